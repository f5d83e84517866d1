/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots: claiming one, asking for one, none left, coming back, observers, eviction. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

static int try_open(const struct world *w, vshm_peer peer, uint32_t flags, char *why)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r = NULL;
	int rc;

	o.peer = peer;
	o.flags = flags;
	why[0] = '\0';
	rc = vshm_region_open(w->uri, &o, &r, why);
	if (rc)
		ck_assert_msg(why[0] != '\0' && !r, "open as %u: %d without a reason", peer, rc);
	else
		ck_ok(vshm_region_close(r));
	return rc;
}

static vshm_peer self(struct vshm_region *r)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;

	ck_ok(vshm_region_info(r, &info));
	return info.self;
}

static enum vshm_peer_state state_of(struct vshm_region *r, vshm_peer peer)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;

	ck_ok(vshm_region_peer(r, peer, &info));
	return info.state;
}

START_TEST(claims_whatever_is_free)
{
	struct vshm_region *r[4];
	char why[VSHM_WHY_SIZE];
	uint32_t seen = 0;
	struct world w;

	world_create(&w, _i, 4, 65536);
	for (unsigned i = 0; i < 4; i++) {
		/* who may write which segment of a split region is for its owner to say */
		r[i] = world_open(&w, w.kind == WORLD_SPLIT ? i : VSHM_PEER_ANY);
		ck_assert_uint_lt(self(r[i]), 4);
		seen |= 1u << self(r[i]);
	}
	ck_assert_uint_eq(seen, 15);
	ck_is(try_open(&w, VSHM_PEER_ANY, 0, why), -EBUSY);
	ck_ok(vshm_region_close(r[2]));
	if (w.kind != WORLD_SPLIT)
		ck_ok(try_open(&w, VSHM_PEER_ANY, 0, why));
	r[2] = world_open(&w, 2);
	for (unsigned i = 0; i < 4; i++)
		ck_ok(vshm_region_close(r[i]));
	world_destroy(&w);
}
END_TEST

START_TEST(asks_for_one)
{
	char why[VSHM_WHY_SIZE];
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 3, 65536);
	r = world_open(&w, 2);
	ck_assert_uint_eq(self(r), 2);
	ck_is(try_open(&w, 2, 0, why), -EBUSY);
	ck_is(try_open(&w, 3, 0, why), -EINVAL);
	ck_is(try_open(&w, 64, 0, why), -EINVAL);
	ck_is(try_open(&w, UINT32_MAX - 1, 0, why), -EINVAL);
	ck_ok(vshm_region_close(r));
	ck_ok(try_open(&w, 2, 0, why));
	world_destroy(&w);
}
END_TEST

START_TEST(uri_wins_over_options)
{
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 3, 65536);
	strncat(w.uri, "?peer=1", sizeof(w.uri) - strlen(w.uri) - 1);
	r = world_open(&w, 2);
	ck_assert_uint_eq(self(r), 1);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(one_peer_region)
{
	struct vshm_producer *p;
	struct vshm_consumer *c;
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 1, 65536);
	r = world_open(&w, 0);
	p = producer(r, "self", 1024, 0); /* with itself: both ends at one handle */
	c = consumer(r, "self", 0);
	connect_ends(p, c);
	put(p, c, 64, 1);
	get(c, 64, 1);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(sixty_four_peers)
{
	struct vshm_region *r[VSHM_MAX_PEERS];
	struct vshm_producer *p;
	struct vshm_consumer *c;
	struct world w;

	if (world_kind(_i) == WORLD_HUGE)
		return; /* would take 130 MiB of huge pages */
	world_create(&w, _i, VSHM_MAX_PEERS, 65536);
	for (unsigned i = 0; i < VSHM_MAX_PEERS; i++)
		r[i] = world_open(&w, i);
	p = producer(r[63], "ring", 1024, 0);
	c = consumer(r[62], "ring", 0);
	connect_ends(p, c);
	put(p, c, 64, 1);
	get(c, 64, 1);
	for (unsigned i = 0; i < VSHM_MAX_PEERS; i++)
		ck_ok(vshm_region_close(r[i]));
	world_destroy(&w);
}
END_TEST

START_TEST(peer_info_follows_life)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *a, *b;
	uint64_t beat, first;
	struct world w;

	world_create(&w, _i, 2, 65536);
	a = world_open(&w, 0);
	ck_assert_uint_eq(state_of(a, 1), VSHM_PEER_FREE);
	o.peer = 1;
	o.label = "second";
	o.beat_ms = 20;
	b = world_open_with(&w, &o);
	ck_ok(vshm_region_peer(a, 1, &info));
	ck_assert_uint_eq(info.state, VSHM_PEER_LIVE);
	ck_assert_str_eq(info.label, "second");
	ck_assert_uint_eq(info.beat_ms, 20);
	ck_assert_uint_ne(info.incarnation, 0);
	ck_assert_uint_eq(info.same_kernel, 1);
	ck_assert_uint_eq(info.can_wake, 1);
	ck_assert_uint_ge(info.size, VSHM_MIN_SECTION);
	beat = info.heartbeat;
	first = info.incarnation;
	for (int i = 0; i < 3000 && info.heartbeat == beat; i++) {
		support_sleep_us(10000);
		ck_ok(vshm_region_peer(a, 1, &info));
	}
	ck_assert_uint_gt(info.heartbeat, beat);
	ck_ok(vshm_region_close(b));
	ck_assert_uint_eq(state_of(a, 1), VSHM_PEER_FREE);
	b = world_open(&w, 1);
	ck_ok(vshm_region_peer(a, 1, &info));
	ck_assert_uint_ne(info.incarnation, first);
	ck_is(vshm_region_peer(a, 2, &info), -EINVAL);
	ck_ok(vshm_region_close(b));
	ck_ok(vshm_region_close(a));
	world_destroy(&w);
}
END_TEST

START_TEST(label_rules)
{
	static const char *const bad[] = {"", "a\nb", "\x1b[2J",
					  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r = NULL;
	struct world w;

	world_create(&w, _i, 2, 65536);
	o.peer = 0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o.label = bad[i];
		ck_is(vshm_region_open(w.uri, &o, &r, NULL), -EINVAL);
	}
	o.label = NULL;
	o.beat_ms = 9;
	ck_is(vshm_region_open(w.uri, &o, &r, NULL), -EINVAL);
	o.beat_ms = 0;
	o.lease_ms = 99;
	ck_is(vshm_region_open(w.uri, &o, &r, NULL), -EINVAL);
	ck_assert_ptr_null(r);
	world_destroy(&w);
}
END_TEST

START_TEST(observer_takes_nothing)
{
	struct vshm_producer *p = NULL;
	struct vshm_consumer *c = NULL;
	struct vshm_region *o[3];
	struct pair t;

	pair_open(&t, _i, 4096); /* both slots are taken */
	for (unsigned i = 0; i < 3; i++)
		o[i] = world_observe(&t.w);
	ck_assert_uint_eq(self(o[0]), VSHM_PEER_ANY);
	ck_is(vshm_producer_open(o[0], "mine", NULL, &p), -EACCES);
	ck_is(vshm_consumer_open(o[0], "ring", NULL, &c), -EACCES);
	ck_assert(!p && !c);
	ck_assert_uint_eq(state_of(o[1], 0), VSHM_PEER_LIVE);
	ck_assert_uint_eq(state_of(o[1], 1), VSHM_PEER_LIVE);
	put(t.p, t.c, 100, 1);
	get(t.c, 100, 1);
	for (unsigned i = 0; i < 3; i++)
		ck_ok(vshm_region_close(o[i]));
	pair_close(&t);
}
END_TEST

/* An observer changes no byte of what it looks at. */
START_TEST(observer_writes_nothing)
{
	static unsigned char before[1 << 18], after[1 << 18];
	char path[PATH_MAX];
	struct vshm_region *o;
	struct world w;
	FILE *f;

	if (world_kind(_i) == WORLD_INPROC || world_kind(_i) == WORLD_HUGE)
		return; /* no file, or none that can be read */
	world_create(&w, _i, 1, 65536);
	world_segment_path(&w, 0, path, sizeof(path));
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(before, 1, sizeof(before), f), 0);
	o = world_observe(&w);
	ck_is(vshm_region_check(o, NULL, NULL), 0);
	support_sleep_us(200000);
	ck_ok(vshm_region_close(o));
	rewind(f);
	ck_assert_uint_gt(fread(after, 1, sizeof(after), f), 0);
	ck_assert_mem_eq(before, after, sizeof(before));
	ck_assert_int_eq(fclose(f), 0);
	world_destroy(&w);
}
END_TEST

START_TEST(no_keeper)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	int threads = support_count_threads();
	struct vshm_producer *p;
	struct vshm_consumer *c;
	struct vshm_region *a, *b;
	struct world w;

	world_create(&w, _i, 2, 65536);
	o.flags = VSHM_OPEN_NO_KEEPER;
	o.peer = 0;
	a = world_open_with(&w, &o);
	o.peer = 1;
	b = world_open_with(&w, &o);
	ck_assert_int_eq(support_count_threads(), threads);
	p = producer(a, "ring", 1024, 0);
	c = consumer(b, "ring", 0);
	connect_ends(p, c);
	put(p, c, 64, 1);
	get(c, 64, 1);
	support_sleep_us(1500000); /* longer than a lease: no heart beats, nobody is suspect */
	ck_assert_uint_eq(state_of(a, 1), VSHM_PEER_LIVE);
	ck_assert_uint_eq(state_of(a, 1), VSHM_PEER_LIVE);
	put(p, c, 64, 2);
	get(c, 64, 2);
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

START_TEST(evict_rules)
{
	char why[VSHM_WHY_SIZE] = "";
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_is(vshm_region_evict(t.w.uri, 2, 0, why), -EINVAL);
	ck_is(vshm_region_evict(t.w.uri, VSHM_PEER_ANY, 0, why), -EINVAL);
	ck_is(vshm_region_evict(t.w.uri, 0, ~VSHM_EVICT_FORCE, why), -EINVAL);
	ck_is(vshm_region_evict(t.w.uri, 0, 0, why), -EBUSY);
	ck_assert_msg(why[0] != '\0', "no reason");
	put(t.p, t.c, 10, 1);
	get(t.c, 10, 1);
	ck_ok(vshm_region_close(t.b));
	ck_is(vshm_region_evict(t.w.uri, 1, 0, why), -ENOENT);
	ck_ok(vshm_region_close(t.a));
	world_destroy(&t.w);
}
END_TEST

START_TEST(evicted_peer_gets_stale)
{
	struct vshm_view v;
	struct pair t;
	void *data;
	int rc;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_region_evict(t.w.uri, 1, VSHM_EVICT_FORCE, NULL));
	wait_status(t.b, -ESTALE);
	ck_is(vshm_consumer_peek(t.c, &v, SUPPORT_LONG), -ESTALE);
	while ((rc = vshm_producer_reserve(t.p, 1000, &data, SUPPORT_LONG)) == 0)
		(void)vshm_producer_commit(t.p, 1000, 0);
	ck_assert_msg(rc == -EPIPE || rc == -ESTALE, "the evicted peer's producer: %d", rc);
	ck_ok(vshm_region_close(t.b));
	ck_ok(vshm_region_status(t.a));
	t.b = world_open(&t.w, 1);
	ck_ok(vshm_region_status(t.b));
	pair_close(&t);
}
END_TEST

/* In a split region a peer's file may come later. */
START_TEST(segment_not_there_yet)
{
	char path[PATH_MAX], why[VSHM_WHY_SIZE];
	struct vshm_region *r;
	struct world w;

	if (world_kind(_i) != WORLD_SPLIT)
		return;
	world_create(&w, _i, 3, 65536);
	world_segment_path(&w, 1, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	r = world_open(&w, 0);
	ck_assert_uint_eq(state_of(r, 1), VSHM_PEER_PENDING);
	ck_assert_uint_eq(state_of(r, 2), VSHM_PEER_FREE);
	ck_is(try_open(&w, 1, 0, why), -ENOENT);
	ck_ok(vshm_region_status(r));
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* A copy in the wrong place: its owner cannot be there, and keeps nobody else out. */
START_TEST(segment_twice)
{
	static unsigned char bytes[1 << 20];
	char from[PATH_MAX], to[PATH_MAX], why[VSHM_WHY_SIZE];
	struct vshm_region *r;
	struct world w;
	size_t n;
	FILE *f;

	if (world_kind(_i) != WORLD_SPLIT)
		return;
	world_create(&w, _i, 2, 65536);
	world_segment_path(&w, 0, from, sizeof(from));
	world_segment_path(&w, 1, to, sizeof(to));
	f = fopen(from, "r");
	ck_assert_ptr_nonnull(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	ck_assert_int_eq(fclose(f), 0);
	f = fopen(to, "r+");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
	r = world_open(&w, 0);
	ck_assert_uint_eq(state_of(r, 1), VSHM_PEER_PENDING);
	ck_assert_int_eq(vshm_region_check(r, NULL, NULL), 1);
	ck_ok(vshm_region_close(r));
	ck_is(try_open(&w, 1, 0, why), -EPROTO);
	ck_assert_int_eq(unlink(to), 0);
	ck_ok(vshm_region_destroy(w.create_uri, NULL));
}
END_TEST

/*
 * Who owns a segment can write its superblock: only the owner is worse off, also where all of them may be written here, and also
 * when most of them lie together.
 */
START_TEST(segment_of_a_liar)
{
	struct vshm_superblock forged;
	char path[PATH_MAX], why[VSHM_WHY_SIZE];
	struct vshm_region *r;
	struct world w;
	int fd, other;

	if (world_kind(_i) != WORLD_SPLIT)
		return;
	world_create(&w, _i, 3, 65536);
	world_segment_path(&w, 0, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &forged, sizeof(forged), 0), (ssize_t)sizeof(forged));
	forged.uuid[0] ^= 1;
	forged.crc = 0;
	forged.crc = support_crc32c(&forged, sizeof(forged));
	ck_assert_int_eq(pwrite(fd, &forged, sizeof(forged), 0), (ssize_t)sizeof(forged));
	for (vshm_peer peer = 1; peer < 3; peer++) {
		r = world_open(&w, peer);
		ck_assert_uint_eq(state_of(r, 0), VSHM_PEER_PENDING);
		ck_assert_uint_eq(state_of(r, peer), VSHM_PEER_LIVE);
		ck_assert_int_eq(vshm_region_check(r, NULL, NULL), 1);
		ck_ok(vshm_region_close(r));
	}
	ck_is(try_open(&w, VSHM_PEER_ANY, 0, why), 0);
	forged.section[0].peer = 1;
	forged.crc = 0;
	forged.crc = support_crc32c(&forged, sizeof(forged));
	world_segment_path(&w, 1, path, sizeof(path));
	other = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(other, &forged, sizeof(forged), 0), (ssize_t)sizeof(forged));
	close(other);
	r = world_open(&w, 2);
	ck_assert_uint_eq(state_of(r, 0), VSHM_PEER_PENDING);
	ck_assert_uint_eq(state_of(r, 1), VSHM_PEER_PENDING);
	ck_ok(vshm_region_close(r));
	memset(&forged, 0, sizeof(forged)); /* not formatted: not there yet */
	ck_assert_int_eq(pwrite(fd, &forged, sizeof(forged), 0), (ssize_t)sizeof(forged));
	close(fd);
	ck_is(try_open(&w, 0, 0, why), -EPROTO); /* and one word stands against one */
	ck_assert_msg(strstr(why, "contradict") != NULL, "%s", why);
	ck_ok(vshm_region_destroy(w.create_uri, NULL));
}
END_TEST

/* A flat superblock in a split region is nobody's word. */
START_TEST(flat_among_segments)
{
	struct vshm_superblock forged;
	char first[PATH_MAX], path[PATH_MAX], why[VSHM_WHY_SIZE];
	struct vshm_region *r;
	struct world w;
	int fd;

	if (world_kind(_i) != WORLD_SPLIT)
		return;
	world_create(&w, _i, 3, 65536);
	world_segment_path(&w, 0, first, sizeof(first));
	world_segment_path(&w, 1, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &forged, sizeof(forged), 0), (ssize_t)sizeof(forged));
	forged.profile = VSHM_FLAT;
	forged.peer_count = 1;
	forged.section[0].peer = 0;
	forged.crc = 0;
	forged.crc = support_crc32c(&forged, sizeof(forged));
	ck_assert_int_eq(pwrite(fd, &forged, sizeof(forged), 0), (ssize_t)sizeof(forged));
	close(fd);
	ck_assert_int_eq(truncate(first, 0), 0);
	ck_is(try_open(&w, VSHM_PEER_ANY, 0, why), 0);
	r = world_open(&w, 2);
	ck_assert_uint_eq(state_of(r, 1), VSHM_PEER_PENDING);
	ck_ok(vshm_region_close(r));
	ck_ok(vshm_region_destroy(w.create_uri, NULL));
}
END_TEST

/* Everything of a section but its directory, as a file has it. */
struct header {
	unsigned char bytes[VSHM_SECTION_CHANGES];
};

static void header_move(const struct world *w, const struct vshm_peer_info *peer, struct header *header, bool write)
{
	char path[PATH_MAX];
	FILE *f;

	world_segment_path(w, 1, path, sizeof(path));
	f = fopen(path, "r+");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, (long)peer->offset, SEEK_SET), 0);
	ck_assert_uint_eq(write ? fwrite(header, sizeof(*header), 1, f) : fread(header, sizeof(*header), 1, f), 1);
	ck_assert_int_eq(fclose(f), 0);
}

/* What a machine leaves in slot 1 when it is switched off: a slot that is in use, and a heart that stands still. */
static void switch_off(const struct world *w, struct vshm_peer_info *peer, struct header *header)
{
	struct vshm_region *r = world_open(w, 1);

	ck_ok(vshm_region_peer(r, 1, peer));
	header_move(w, peer, header, false);
	header->bytes[offsetof(struct vshm_identity, boot_id)] ^= 1;
	ck_ok(vshm_region_close(r));
}

START_TEST(again_after_a_reboot)
{
	struct vshm_peer_info peer = VSHM_PEER_INFO_INIT;
	struct header header;
	char why[VSHM_WHY_SIZE];
	struct world w;

	if (access("/etc/machine-id", R_OK))
		return;
	world_create(&w, _i, 2, 65536);
	switch_off(&w, &peer, &header);
	header_move(&w, &peer, &header, true);
	ck_ok(try_open(&w, 1, 0, why));
	ck_ok(try_open(&w, 1, 0, why));

	header.bytes[offsetof(struct vshm_identity, machine_id)] ^= 1; /* another machine's */
	header_move(&w, &peer, &header, true);
	ck_is(try_open(&w, 1, 0, why), -EBUSY);
	world_destroy(&w);
}
END_TEST

/* Switched off while it was attaching: the slot is taken, and nobody says by whom. */
START_TEST(half_attached)
{
	struct vshm_peer_info peer = VSHM_PEER_INFO_INIT;
	struct header header;
	struct vshm_region *r;
	struct world w;
	int64_t give_up;

	world_create(&w, _i, 2, 65536);
	switch_off(&w, &peer, &header);
	memset(header.bytes + offsetof(struct vshm_identity, incarnation), 0, sizeof(uint64_t));
	header_move(&w, &peer, &header, true);
	r = world_observe(&w);
	give_up = support_now_ns() + SUPPORT_LONG;
	ck_assert_uint_eq(state_of(r, 1), VSHM_PEER_LIVE); /* it may be about to say so */
	while (state_of(r, 1) == VSHM_PEER_LIVE && support_now_ns() < give_up)
		support_sleep_us(20000);
	ck_assert_uint_eq(state_of(r, 1), VSHM_PEER_SUSPECT);
	ck_ok(vshm_region_close(r));
	ck_ok(vshm_region_evict(w.uri, 1, VSHM_EVICT_FORCE, NULL));
	ck_ok(vshm_region_close(world_open(&w, 1)));
	world_destroy(&w);
}
END_TEST

Suite *suite_slots(void)
{
	Suite *s = suite_create("slots");
	TCase *tc = tcase_create("slots");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, claims_whatever_is_free);
	add_everywhere(tc, asks_for_one);
	add_everywhere(tc, uri_wins_over_options);
	add_everywhere(tc, one_peer_region);
	add_everywhere(tc, sixty_four_peers);
	add_everywhere(tc, peer_info_follows_life);
	add_everywhere(tc, label_rules);
	add_everywhere(tc, observer_takes_nothing);
	add_everywhere(tc, observer_writes_nothing);
	tcase_add_loop_test(tc, no_keeper, 0, 1); /* takes longer than a lease */
	tcase_add_loop_test(tc, again_after_a_reboot, 0, 1); /* the same */
	tcase_add_loop_test(tc, half_attached, 0, 1); /* the same */
	add_everywhere(tc, segment_not_there_yet);
	add_everywhere(tc, segment_twice);
	add_everywhere(tc, segment_of_a_liar);
	add_everywhere(tc, flat_among_segments);
	add_everywhere(tc, evict_rules);
	add_everywhere(tc, evicted_peer_gets_stale);
	suite_add_tcase(s, tc);
	return s;
}
