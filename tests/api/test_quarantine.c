/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One broken word, and what follows: the end that notices says -EPROTO, stays so, and can tell who, what and where;
 * everything else goes on; a new end works. The words are broken in the file, where a hostile peer would break them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

struct broken {
	struct pair t;
	struct vshm_producer *other_p; /* a ring beside it, the other way round */
	struct vshm_consumer *other_c;
	int fd;
	uint64_t section[2]; /* where the sections lie in the file */
	struct vshm_end_info p, c;
};

static struct vshm_end_info end_of(struct vshm_region *r, vshm_peer peer, const char *name)
{
	struct vshm_end_info info = VSHM_END_INFO_INIT;

	for (uint32_t i = 0; i < VSHM_ENTRIES; i++)
		if (!vshm_region_end(r, peer, i, &info) && !strcmp(info.name, name))
			return info;
	ck_abort_msg("peer %u has no end %s", peer, name);
	return info;
}

static void begin(struct broken *b)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;

	pair_open(&b->t, 0, 4096);
	b->other_p = producer(b->t.b, "other", 1024, 0);
	b->other_c = consumer(b->t.a, "other", 0);
	connect_ends(b->other_p, b->other_c);
	b->fd = open(b->t.w.path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(b->fd, 0);
	for (vshm_peer i = 0; i < 2; i++) {
		ck_ok(vshm_region_peer(b->t.a, i, &info));
		b->section[i] = info.offset;
	}
	b->p = end_of(b->t.a, 0, "ring");
	b->c = end_of(b->t.a, 1, "ring");
}

static void end(struct broken *b)
{
	ck_ok(vshm_region_status(b->t.a));
	ck_ok(vshm_region_status(b->t.b));
	put(b->other_p, b->other_c, 77, 5);
	get(b->other_c, 77, 5);
	(void)close(b->fd);
	pair_close(&b->t);
}

static void poke(const struct broken *b, vshm_peer peer, uint64_t offset, uint64_t value)
{
	ck_assert_int_eq(pwrite(b->fd, &value, 8, (off_t)(b->section[peer] + offset)), 8);
}

/* The sequence number of the record at `place`, where it stands in a header. */
static uint64_t sequence_at(const struct broken *b, uint64_t place)
{
	uint64_t header = 0;

	ck_assert_int_eq(pread(b->fd, &header, 8, (off_t)(b->section[0] + place)), 8);
	return header >> 40 << 40;
}

static uint64_t entry_word(const struct vshm_end_info *end, size_t field)
{
	return VSHM_SECTION_DIRECTORY + end->index * sizeof(struct vshm_entry) + field;
}

static void check_fault(const struct vshm_fault *f, vshm_peer peer, uint32_t rule, uint64_t offset, uint64_t value)
{
	ck_assert_uint_eq(f->peer, peer);
	ck_assert_msg(f->rule == rule, "rule: %s, wanted: %s", vshm_rule_text(f->rule), vshm_rule_text(rule));
	ck_assert_uint_eq(f->offset, offset);
	ck_assert_uint_eq(f->value, value);
}

static void consumer_is_quarantined(struct broken *b, uint32_t rule, uint64_t offset, uint64_t value)
{
	struct vshm_fault f = VSHM_FAULT_INIT;
	char why[VSHM_WHY_SIZE] = "";
	unsigned char copy[8];
	struct vshm_view v;
	size_t n;

	ck_is(vshm_consumer_peek(b->t.c, &v, SUPPORT_LONG), -EPROTO);
	ck_ok(vshm_region_why(b->t.b, why));
	ck_assert_msg(strstr(why, "ring") && strstr(why, vshm_rule_text(rule)), "why: %s", why);
	ck_ok(vshm_consumer_fault(b->t.c, &f));
	check_fault(&f, 0, rule, offset, value);
	f.struct_size = 0;
	ck_is(vshm_consumer_fault(b->t.c, &f), -EINVAL);
	ck_is(vshm_consumer_peek(b->t.c, &v, 0), -EPROTO);
	ck_is(vshm_consumer_peek_burst(b->t.c, &v, 1, VSHM_FOREVER), -EPROTO);
	ck_is(vshm_consumer_recv(b->t.c, copy, sizeof(copy), &n, 0), -EPROTO);
	ck_ok(vshm_consumer_close(b->t.c));
}

static void producer_is_quarantined(struct broken *b, uint32_t rule, uint64_t offset, uint64_t value)
{
	struct vshm_fault f = VSHM_FAULT_INIT;
	unsigned char record[1000] = {0};
	void *data;
	int rc = 0;

	for (unsigned i = 0; i < 10 && !rc; i++) /* it looks at the head when the ring is full */
		rc = vshm_producer_send(b->t.p, record, sizeof(record), SUPPORT_MS);
	ck_is(rc, -EPROTO);
	ck_ok(vshm_producer_fault(b->t.p, &f));
	check_fault(&f, 1, rule, offset, value);
	f.struct_size = 1;
	ck_is(vshm_producer_fault(b->t.p, &f), -EINVAL);
	ck_is(vshm_producer_reserve(b->t.p, 1, &data, VSHM_FOREVER), -EPROTO);
	ck_is(vshm_producer_send(b->t.p, record, 1, 0), -EPROTO);
	ck_is(vshm_producer_reserve_burst(b->t.p, 1, &data, 1, 0), -EPROTO);
	ck_is(vshm_producer_close(b->t.p, VSHM_FOREVER), -EPROTO);
}

/* ---- what a producer can break ---- */

static const struct {
	uint64_t step;
	uint32_t rule;
} tails[] = {
	{1, VSHM_RULE_TAIL_ALIGN},
	{7, VSHM_RULE_TAIL_ALIGN},
	{4096 + 8, VSHM_RULE_TAIL_RANGE},
	{UINT64_C(1) << 63, VSHM_RULE_TAIL_RANGE},
	{(uint64_t)-8, VSHM_RULE_TAIL_RANGE},
	{(uint64_t)-4096, VSHM_RULE_TAIL_RANGE},
};

START_TEST(tail_out_of_range)
{
	struct broken b;
	uint64_t tail, word;

	begin(&b);
	put(b.t.p, b.t.c, 8, 1);
	get(b.t.c, 8, 1);
	get_nothing(b.t.c, -EAGAIN);
	tail = end_of(b.t.a, 0, "ring").position + tails[_i].step;
	word = entry_word(&b.p, offsetof(struct vshm_entry, position));
	poke(&b, 0, word, tail);
	consumer_is_quarantined(&b, tails[_i].rule, word, tail);
	end(&b);
}
END_TEST

static const struct {
	uint64_t header;
	uint32_t rule;
} headers[] = {
	{8, VSHM_RULE_RECORD_KIND},
	{0, VSHM_RULE_RECORD_SEQUENCE},
	{UINT64_MAX, VSHM_RULE_RECORD_SEQUENCE},
	{8 | UINT64_C(5) << 32, VSHM_RULE_RECORD_KIND},
	{0 | UINT64_C(4) << 32, VSHM_RULE_RECORD_LENGTH}, /* a run says at least what it consists of */
	{8 | UINT64_C(3) << 32, VSHM_RULE_RECORD_LENGTH}, /* a lend has 24 bytes */
	{9 | UINT64_C(1) << 32, VSHM_RULE_RECORD_LENGTH},
	{4088 | UINT64_C(1) << 32, VSHM_RULE_RECORD_LENGTH},
	{UINT32_MAX | UINT64_C(1) << 32, VSHM_RULE_RECORD_LENGTH},
	{0x10008 | UINT64_C(1) << 32, VSHM_RULE_RECORD_LENGTH}, /* right again when cut to 16 bits */
	{8 | UINT64_C(2) << 32, VSHM_RULE_RECORD_PAD},
	{8 | UINT64_C(1) << 32 | UINT64_C(0x123456) << 40, VSHM_RULE_RECORD_SEQUENCE},
};

/* The first record was read, so that the sequence number of the second is known. */
START_TEST(record_header)
{
	uint64_t header = headers[_i].header, place;
	struct broken b;

	begin(&b);
	put(b.t.p, b.t.c, 8, 1);
	get(b.t.c, 8, 1);
	place = b.p.ring_offset + end_of(b.t.a, 0, "ring").position % 4096;
	put(b.t.p, b.t.c, 8, 2);
	if (header && header != UINT64_MAX && headers[_i].rule != VSHM_RULE_RECORD_SEQUENCE)
		header |= sequence_at(&b, place);
	poke(&b, 0, place, header);
	consumer_is_quarantined(&b, headers[_i].rule, place, header);
	end(&b);
}
END_TEST

/* The good records before a broken one are delivered. */
START_TEST(good_records_first)
{
	struct vshm_view views[8];
	struct broken b;
	uint64_t place, header;

	begin(&b);
	for (unsigned i = 0; i < 3; i++)
		put(b.t.p, b.t.c, 16, i);
	place = b.p.ring_offset + end_of(b.t.a, 0, "ring").position % 4096;
	put(b.t.p, b.t.c, 16, 3);
	header = sequence_at(&b, place);
	poke(&b, 0, place, header);
	ck_is(vshm_consumer_peek_burst(b.t.c, views, 8, 0), 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(support_same(views[i].data, 16, i));
	ck_ok(vshm_consumer_release(b.t.c));
	consumer_is_quarantined(&b, VSHM_RULE_RECORD_KIND, place, header);
	end(&b);
}
END_TEST

/* ---- what a consumer can break ---- */

static const struct {
	uint64_t step;
	uint32_t rule;
} heads[] = {
	{1, VSHM_RULE_HEAD_ALIGN},
	{1 << 20, VSHM_RULE_HEAD_RANGE},
	{UINT64_C(1) << 63, VSHM_RULE_HEAD_RANGE},
	{(uint64_t)-8192, VSHM_RULE_HEAD_RANGE}, /* behind whatever the producer saw last */
};

START_TEST(head_out_of_range)
{
	struct broken b;
	uint64_t head, word;

	begin(&b);
	for (unsigned i = 0; i < 8; i++) {
		put(b.t.p, b.t.c, 1000, i);
		get(b.t.c, 1000, i);
		get_nothing(b.t.c, -EAGAIN);
	}
	head = end_of(b.t.a, 1, "ring").position + heads[_i].step;
	word = entry_word(&b.c, offsetof(struct vshm_entry, position));
	poke(&b, 1, word, head);
	producer_is_quarantined(&b, heads[_i].rule, word, head);
	end(&b);
}
END_TEST

/* Peer 1 pretends to ask for the ring, and to have read more than there is. */
static void forge_request(const struct broken *b, uint64_t position)
{
	struct vshm_end_info forged = {.index = 9};
	struct vshm_peer_info peer = VSHM_PEER_INFO_INIT;
	uint64_t name = 0, changes = 0;

	ck_ok(vshm_region_peer(b->t.a, 0, &peer));
	memcpy(&name, "ring", 4);
	poke(b, 1, entry_word(&forged, offsetof(struct vshm_entry, id)), 0x1234567);
	poke(b, 1, entry_word(&forged, offsetof(struct vshm_entry, kind)), VSHM_CONSUMER);
	poke(b, 1, entry_word(&forged, offsetof(struct vshm_entry, name)), name);
	poke(b, 1, entry_word(&forged, offsetof(struct vshm_entry, position)), position);
	poke(b, 1, entry_word(&forged, offsetof(struct vshm_entry, other_incarnation)), peer.incarnation);
	poke(b, 1, entry_word(&forged, offsetof(struct vshm_entry, other_id)), b->p.id);
	poke(b, 1, entry_word(&forged, offsetof(struct vshm_entry, state)), VSHM_END_OPEN);
	ck_assert_int_eq(pread(b->fd, &changes, 8, (off_t)(b->section[1] + VSHM_SECTION_CHANGES)), 8);
	poke(b, 1, VSHM_SECTION_CHANGES, changes + 100);
}

/* The stream was read to its end: who comes after that can say what it likes, the producer closes in order. */
START_TEST(read_to_the_end)
{
	struct broken b;

	begin(&b);
	put(b.t.p, b.t.c, 8, 1);
	get(b.t.c, 8, 1);
	if (_i)
		ck_ok(vshm_consumer_close(b.t.c));
	forge_request(&b, 1 << 20);
	if (!_i)
		ck_ok(vshm_consumer_close(b.t.c));
	ck_ok(vshm_producer_close(b.t.p, SUPPORT_LONG));
	end(&b);
}
END_TEST

/* After the quarantine both sides open the ring again, and it works. */
START_TEST(works_again)
{
	struct broken b;
	uint64_t word;

	begin(&b);
	word = entry_word(&b.p, offsetof(struct vshm_entry, position));
	poke(&b, 0, word, 3);
	consumer_is_quarantined(&b, VSHM_RULE_TAIL_ALIGN, word, 3);
	(void)vshm_producer_close(b.t.p, 0);
	b.t.p = producer(b.t.a, "ring", 4096, 0);
	b.t.c = consumer(b.t.b, "ring", 0);
	connect_ends(b.t.p, b.t.c);
	put(b.t.p, b.t.c, 100, 1);
	get(b.t.c, 100, 1);
	end(&b);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

Suite *suite_quarantine(void)
{
	Suite *s = suite_create("quarantine");
	TCase *tc = tcase_create("quarantine");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_loop_test(tc, tail_out_of_range, 0, COUNT(tails));
	tcase_add_loop_test(tc, record_header, 0, COUNT(headers));
	tcase_add_loop_test(tc, head_out_of_range, 0, COUNT(heads));
	tcase_add_test(tc, good_records_first);
	tcase_add_loop_test(tc, read_to_the_end, 0, 2);
	tcase_add_test(tc, works_again);
	suite_add_tcase(s, tc);
	return s;
}
