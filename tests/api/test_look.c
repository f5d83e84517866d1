/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at a region: what the directory shows, what check finds, the log hook. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

static struct vshm_end_info find_end(struct vshm_region *r, vshm_peer peer, uint32_t kind, const char *name)
{
	struct vshm_end_info info = VSHM_END_INFO_INIT;

	for (uint32_t i = 0; i < VSHM_ENTRIES; i++) {
		int rc = vshm_region_end(r, peer, i, &info);

		ck_assert_msg(rc == 0 || rc == -ENOENT, "entry %u of peer %u: %d", i, peer, rc);
		if (!rc && info.kind == kind && !strcmp(info.name, name))
			return info;
	}
	ck_abort_msg("peer %u has no end %s of kind %u", peer, name, kind);
	return info;
}

START_TEST(directory_shows_both_ends)
{
	struct vshm_end_info p, c;
	struct vshm_region *o;
	struct pair t;

	pair_open(&t, _i, 4096);
	o = world_observe(&t.w);
	put(t.p, t.c, 100, 1);
	p = find_end(o, 0, VSHM_PRODUCER, "ring");
	c = find_end(o, 1, VSHM_CONSUMER, "ring");
	ck_assert_uint_eq(p.state, VSHM_END_OPEN);
	ck_assert_uint_eq(c.state, VSHM_END_OPEN);
	ck_assert_uint_eq(p.connected, 1);
	ck_assert_uint_eq(c.connected, 1);
	ck_assert_uint_eq(p.ring_size, 4096);
	ck_assert_uint_ge(p.ring_offset, VSHM_SECTION_DATA);
	ck_assert_uint_eq(p.other_peer, 1);
	ck_assert_uint_eq(c.other_peer, 0);
	ck_assert_uint_eq(p.other_index, c.index);
	ck_assert_uint_eq(c.other_index, p.index);
	ck_assert_uint_eq(p.position - c.position, 112); /* 8 and 104 bytes wait to be read */
	ck_assert_uint_eq(p.other_position, c.position);
	ck_assert_uint_eq(c.other_position, p.position);
	ck_assert_uint_eq(p.flags | c.flags, 0);
	ck_ok(vshm_region_close(o));
	pair_close(&t);
}
END_TEST

START_TEST(directory_shows_flags_and_solitude)
{
	struct vshm_end_info info = VSHM_END_INFO_INIT;
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	ck_is(vshm_region_end(r, 0, 0, &info), -ENOENT);
	ck_is(vshm_region_end(r, 1, 0, &info), -ENOENT);
	(void)producer(r, "alone", 1024, VSHM_PRODUCER_DROP);
	(void)consumer(r, "lonely", VSHM_CONSUMER_POLL);
	info = find_end(r, 0, VSHM_PRODUCER, "alone");
	ck_assert_uint_eq(info.flags, VSHM_ENTRY_DROP);
	ck_assert_uint_eq(info.connected, 0);
	ck_assert_uint_eq(info.other_peer, VSHM_PEER_ANY);
	info = find_end(r, 0, VSHM_CONSUMER, "lonely");
	ck_assert_uint_eq(info.flags, VSHM_ENTRY_POLLS);
	ck_assert_uint_eq(info.connected, 0);
	ck_assert_uint_eq(info.other_peer, VSHM_PEER_ANY);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(ring_bytes_are_counted)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
	struct pair t;

	pair_open(&t, _i, 4096);
	(void)producer(t.a, "second", 8192, 0);
	ck_ok(vshm_region_peer(t.b, 0, &info));
	ck_assert_uint_ge(info.ring_bytes, 4096 + 8192);
	ck_assert_uint_le(info.ring_bytes, info.size);
	pair_close(&t);
}
END_TEST

/* ---- check ---- */

struct findings {
	unsigned count;
	struct vshm_fault first;
};

static void found(void *arg, const struct vshm_fault *fault)
{
	struct findings *f = arg;

	if (!f->count++)
		f->first = *fault;
}

START_TEST(check_finds_nothing_in_a_good_region)
{
	struct findings f = {0, VSHM_FAULT_INIT};
	struct vshm_region *o;
	struct pair t;

	pair_open(&t, _i, 4096);
	o = world_observe(&t.w);
	for (unsigned i = 0; i < 20; i++)
		put(t.p, t.c, 100, i);
	ck_is(vshm_region_check(o, found, &f), 0);
	ck_is(vshm_region_check(t.a, found, &f), 0);
	ck_ok(vshm_consumer_close(t.c));
	ck_ok(vshm_region_close(t.b));
	ck_is(vshm_region_check(o, found, &f), 0);
	ck_assert_uint_eq(f.count, 0);
	ck_ok(vshm_region_close(t.a));
	ck_is(vshm_region_check(o, found, &f), 0);
	ck_ok(vshm_region_close(o));
	world_destroy(&t.w);
}
END_TEST

/* One word at a time is spoilt where it lies in the file; check has to name it. */
static uint64_t poke(int fd, uint64_t place, uint64_t value, unsigned bytes)
{
	uint64_t old = 0;

	ck_assert_int_eq(pread(fd, &old, bytes, (off_t)place), (ssize_t)bytes);
	ck_assert_int_eq(pwrite(fd, &value, bytes, (off_t)place), (ssize_t)bytes);
	return old;
}

static void check_names(struct vshm_region *o, int fd, uint64_t section, uint64_t offset, uint64_t value,
			unsigned bytes)
{
	struct findings f = {0, VSHM_FAULT_INIT};
	uint64_t old = poke(fd, section + offset, value, bytes);
	int n = vshm_region_check(o, found, &f);

	(void)poke(fd, section + offset, old, bytes);
	ck_assert_msg(n >= 1 && f.count == (unsigned)n, "word 0x%llx = 0x%llx: %d findings, %u calls",
		      (unsigned long long)offset, (unsigned long long)value, n, f.count);
	ck_assert_uint_eq(f.first.peer, 0);
	ck_assert_msg(f.first.rule > 0 && f.first.rule < VSHM_RULE_COUNT, "rule %u", f.first.rule);
}

START_TEST(check_names_the_wrong_word)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
	struct vshm_end_info p;
	struct vshm_region *o;
	struct pair t;
	uint64_t entry;
	int fd;

	pair_open(&t, 0, 4096);
	o = world_observe(&t.w);
	ck_ok(vshm_region_peer(o, 0, &info));
	p = find_end(o, 0, VSHM_PRODUCER, "ring");
	entry = VSHM_SECTION_DIRECTORY + p.index * sizeof(struct vshm_entry);
	fd = open(t.w.path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, kind), 9, 4);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, state), 77, 4);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, flags), 0x8000, 4);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, name), 0x0a41, 8);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, ring_size), 4095, 8);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, ring_size), UINT64_C(1) << 40, 8);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, ring_offset), 64, 8);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, ring_offset), UINT64_MAX - 7, 8);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, position), 3, 8);
	check_names(o, fd, info.offset, entry + offsetof(struct vshm_entry, position), UINT64_C(1) << 40, 8);
	check_names(o, fd, info.offset, offsetof(struct vshm_identity, state), 99, 4);
	ck_is(vshm_region_check(o, NULL, NULL), 0);
	(void)close(fd);
	ck_ok(vshm_region_close(o));
	pair_close(&t);
}
END_TEST

/* ---- log ---- */

static void count_line(void *arg, enum vshm_log_level level, const char *line)
{
	unsigned *lines = arg;

	ck_assert(level >= VSHM_LOG_ERROR && level <= VSHM_LOG_INFO);
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_null(strpbrk(line, "\n\x1b"));
	(void)__atomic_add_fetch(lines, 1, __ATOMIC_RELAXED);
}

START_TEST(log_hook_gets_lines)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r;
	struct world w;
	unsigned lines = 0;

	world_create(&w, _i, 2, 65536);
	o.peer = 0;
	o.log = count_line;
	o.log_arg = &lines;
	r = world_open_with(&w, &o);
	world_destroy(&w);
	wait_status(r, -ESTALE);
	ck_ok(vshm_region_close(r));
}
END_TEST

Suite *suite_look(void)
{
	Suite *s = suite_create("look");
	TCase *tc = tcase_create("look");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, directory_shows_both_ends);
	add_everywhere(tc, directory_shows_flags_and_solitude);
	add_everywhere(tc, ring_bytes_are_counted);
	add_everywhere(tc, check_finds_nothing_in_a_good_region);
	tcase_add_test(tc, check_names_the_wrong_word);
	add_everywhere(tc, log_hook_gets_lines);
	suite_add_tcase(s, tc);
	return s;
}
