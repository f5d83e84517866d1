/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes in comes out: sizes, wrap, bursts, VSHM_MORE, limits. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

START_TEST(every_size)
{
	struct pair t;
	size_t max;

	pair_open(&t, _i, 4096);
	max = vshm_producer_max_record(t.p);
	ck_assert_uint_eq(max, 4096 - VSHM_RECORD_HEADER);
	for (size_t size = 0; size <= max; size++) {
		put(t.p, t.c, size, size);
		get(t.c, size, size);
	}
	get_nothing(t.c, -EAGAIN);
	pair_close(&t);
}
END_TEST

/* The largest record fits an empty ring wherever the positions stand. */
START_TEST(largest_at_every_position)
{
	size_t max = VSHM_MIN_RING - VSHM_RECORD_HEADER;
	struct pair t;

	pair_open(&t, _i, VSHM_MIN_RING);
	ck_assert_uint_eq(vshm_producer_max_record(t.p), max);
	for (unsigned step = 0; step < 3 * VSHM_MIN_RING / 8; step++) {
		put(t.p, t.c, 0, 0); /* moves on by one header */
		get(t.c, 0, 0);
		for (size_t size = max - 9; size <= max; size++) {
			put(t.p, t.c, size, step + size);
			get(t.c, size, step + size);
		}
	}
	pair_close(&t);
}
END_TEST

/* Random sizes with a varying number of records in the ring. */
START_TEST(random_sizes_wrap)
{
	uint64_t seed = support_seed(), sent = 0, got = 0;
	size_t sizes[64];
	struct pair t;

	pair_open(&t, _i, 1024);
	while (got < 20000) {
		void *data;
		size_t size = support_below(&seed, support_below(&seed, 8) ? 64 : 1017);

		if (sent - got < 64 && vshm_producer_reserve(t.p, size, &data, 0) == 0) {
			support_fill(data, size, sent);
			sizes[sent++ % 64] = size;
			ck_ok(vshm_producer_commit(t.p, size, 0));
		}
		if (sent == got)
			get_nothing(t.c, -EAGAIN);
		else if (support_below(&seed, 3))
			get(t.c, sizes[got % 64], got), got++;
	}
	pair_close(&t);
}
END_TEST

START_TEST(full_says_again_and_loses_nothing)
{
	unsigned fitted = 0;
	struct pair t;
	void *data;

	pair_open(&t, _i, 1024);
	while (vshm_producer_reserve(t.p, 56, &data, 0) == 0) {
		support_fill(data, 56, fitted);
		ck_ok(vshm_producer_commit(t.p, 56, 0));
		ck_assert_uint_le(++fitted, 16);
	}
	ck_assert_uint_eq(fitted, 16);
	ck_is(vshm_producer_send(t.p, "x", 1, 0), -EAGAIN);
	for (unsigned i = 0; i < fitted; i++)
		get(t.c, 56, i);
	get_nothing(t.c, -EAGAIN);
	put(t.p, t.c, 56, 99);
	get(t.c, 56, 99);
	pair_close(&t);
}
END_TEST

START_TEST(commit_cuts)
{
	struct pair t;
	void *data;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_producer_reserve(t.p, 3000, &data, 0));
	support_fill(data, 10, 5);
	ck_ok(vshm_producer_commit(t.p, 10, 0));
	ck_ok(vshm_producer_reserve(t.p, 3000, &data, 0));
	ck_ok(vshm_producer_commit(t.p, 0, 0));
	get(t.c, 10, 5);
	get(t.c, 0, 0);
	pair_close(&t);
}
END_TEST

START_TEST(reserve_again_replaces)
{
	void *one = NULL, *two = NULL;
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_producer_reserve(t.p, 100, &one, 0));
	ck_ok(vshm_producer_reserve(t.p, 200, &two, 0));
	support_fill(two, 200, 6);
	ck_ok(vshm_producer_commit(t.p, 200, 0));
	get(t.c, 200, 6);
	get_nothing(t.c, -EAGAIN);
	pair_close(&t);
}
END_TEST

START_TEST(commit_rules)
{
	struct pair t;
	void *data;

	pair_open(&t, _i, 4096);
	put(t.p, t.c, 8, 1);
	ck_is(vshm_producer_commit(t.p, 0, 0), -EINVAL); /* nothing reserved */
	get(t.c, 8, 1);
	ck_ok(vshm_producer_reserve(t.p, 100, &data, 0));
	ck_is(vshm_producer_commit(t.p, 101, 0), -EINVAL);
	ck_is(vshm_producer_commit(t.p, SIZE_MAX, 0), -EINVAL);
	ck_is(vshm_producer_commit(t.p, 10, ~VSHM_MORE), -EINVAL);
	ck_is(vshm_producer_commit_burst(t.p, 1, 4), -EINVAL);
	ck_ok(vshm_producer_reserve(t.p, 100, &data, 0));
	ck_ok(vshm_producer_commit(t.p, 1, 0));
	ck_is(vshm_producer_commit(t.p, 1, 0), -EINVAL);
	pair_close(&t);
}
END_TEST

START_TEST(release_rules)
{
	struct vshm_view one, two;
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_is(vshm_consumer_release(t.c), -EINVAL);
	put(t.p, t.c, 30, 1);
	ck_is(vshm_consumer_release(t.c), -EINVAL);
	ck_ok(vshm_consumer_peek(t.c, &one, 0));
	ck_ok(vshm_consumer_peek(t.c, &two, 0));
	ck_assert_ptr_eq(one.data, two.data);
	ck_assert_uint_eq(one.size, two.size);
	ck_ok(vshm_consumer_release(t.c));
	ck_is(vshm_consumer_release(t.c), -EINVAL);
	get_nothing(t.c, -EAGAIN);
	pair_close(&t);
}
END_TEST

START_TEST(too_large)
{
	char why[VSHM_WHY_SIZE] = "";
	struct pair t;
	void *data = &t;
	size_t max;

	pair_open(&t, _i, 4096);
	max = vshm_producer_max_record(t.p);
	ck_is(vshm_producer_reserve(t.p, max + 1, &data, 0), -EMSGSIZE);
	ck_is(vshm_producer_reserve(t.p, SIZE_MAX, &data, 0), -EMSGSIZE);
	ck_is(vshm_producer_reserve(t.p, SIZE_MAX - 7, &data, VSHM_FOREVER), -EMSGSIZE);
	ck_is(vshm_producer_reserve(t.p, UINT32_MAX, &data, 0), -EMSGSIZE);
	ck_is(vshm_producer_send(t.p, why, max + 1, VSHM_FOREVER), -EMSGSIZE);
	ck_is(vshm_producer_reserve_burst(t.p, SIZE_MAX, &data, 1, 0), -EMSGSIZE);
	ck_assert_ptr_eq(data, &t);
	ck_ok(vshm_region_why(t.a, why));
	ck_assert_msg(why[0] != '\0', "why says nothing about a record that is too large");
	put(t.p, t.c, max, 1);
	get(t.c, max, 1);
	pair_close(&t);
}
END_TEST

START_TEST(copying_calls)
{
	unsigned char in[512], out[512];
	size_t received = 7;
	struct pair t;

	pair_open(&t, _i, 4096);
	support_fill(in, sizeof(in), 3);
	ck_ok(vshm_producer_send(t.p, in, 300, 0));
	ck_is(vshm_consumer_recv(t.c, out, 299, &received, 0), -EMSGSIZE);
	ck_assert_uint_eq(received, 7);
	ck_ok(vshm_consumer_recv(t.c, out, sizeof(out), &received, 0));
	ck_assert_uint_eq(received, 300);
	ck_assert_mem_eq(in, out, 300);
	ck_is(vshm_consumer_release(t.c), -EINVAL); /* recv released it */
	ck_ok(vshm_producer_send(t.p, NULL, 0, 0));
	ck_ok(vshm_consumer_recv(t.c, out, sizeof(out), &received, 0));
	ck_assert_uint_eq(received, 0);
	ck_is(vshm_consumer_recv(t.c, out, sizeof(out), &received, 0), -EAGAIN);
	pair_close(&t);
}
END_TEST

START_TEST(more_then_flush)
{
	struct pair t;
	void *data;

	pair_open(&t, _i, 4096);
	for (unsigned i = 0; i < 3; i++) {
		ck_ok(vshm_producer_reserve(t.p, 40, &data, 0));
		support_fill(data, 40, i);
		ck_ok(vshm_producer_commit(t.p, 40, VSHM_MORE));
		get_nothing(t.c, -EAGAIN);
	}
	ck_ok(vshm_producer_flush(t.p));
	for (unsigned i = 0; i < 3; i++)
		get(t.c, 40, i);
	ck_ok(vshm_producer_flush(t.p)); /* nothing to do is no error */
	ck_ok(vshm_producer_reserve(t.p, 40, &data, 0));
	support_fill(data, 40, 7);
	ck_ok(vshm_producer_commit(t.p, 40, VSHM_MORE));
	put(t.p, t.c, 8, 8); /* a commit without VSHM_MORE publishes both */
	get(t.c, 40, 7);
	get(t.c, 8, 8);
	pair_close(&t);
}
END_TEST

/* A full ring of records that are not published yet must not make both sides wait for each other. */
START_TEST(more_until_full)
{
	unsigned fitted = 0;
	struct pair t;
	void *data;

	pair_open(&t, _i, 1024);
	while (vshm_producer_reserve(t.p, 24, &data, 0) == 0) {
		support_fill(data, 24, fitted++);
		ck_ok(vshm_producer_commit(t.p, 24, VSHM_MORE));
		ck_assert_uint_le(fitted, 32);
	}
	for (unsigned i = 0; i < fitted; i++)
		get(t.c, 24, i);
	pair_close(&t);
}
END_TEST

/* Closing publishes what VSHM_MORE held back. */
START_TEST(more_then_close)
{
	struct pair t;
	void *data;

	pair_open(&t, _i, 1024);
	ck_ok(vshm_producer_reserve(t.p, 24, &data, 0));
	support_fill(data, 24, 1);
	ck_ok(vshm_producer_commit(t.p, 24, VSHM_MORE));
	ck_is(vshm_producer_close(t.p, 0), -EAGAIN);
	get(t.c, 24, 1);
	get_nothing(t.c, -ENODATA);
	pair_close(&t);
}
END_TEST

static void burst_once(struct pair *t, unsigned count, unsigned commit, size_t size, uint64_t key)
{
	struct vshm_view views[1024];
	void *data[1024];
	int n = vshm_producer_reserve_burst(t->p, size, data, count, 0);

	ck_assert_int_ge(n, 1);
	ck_assert_int_le(n, (int)count);
	if (commit > (unsigned)n)
		commit = (unsigned)n;
	for (unsigned i = 0; i < commit; i++)
		support_fill(data[i], size, key + i);
	ck_ok(vshm_producer_commit_burst(t->p, commit, 0));
	for (unsigned seen = 0; seen < commit; seen += (unsigned)n) {
		n = vshm_consumer_peek_burst(t->c, views, 1024, 0);
		ck_assert_int_ge(n, 1);
		for (unsigned i = 0; i < (unsigned)n; i++) {
			ck_assert_uint_eq(views[i].size, size);
			ck_assert(support_same(views[i].data, size, key + seen + i));
		}
		ck_ok(vshm_consumer_release(t->c));
	}
	get_nothing(t->c, -EAGAIN);
}

START_TEST(bursts)
{
	uint64_t seed = support_seed();
	struct pair t;

	pair_open(&t, _i, 16384);
	for (unsigned i = 0; i < 3000; i++) {
		unsigned count = 1 + (unsigned)support_below(&seed, 64);

		burst_once(&t, count, (unsigned)support_below(&seed, count + 1), support_below(&seed, 120), i);
	}
	burst_once(&t, 1024, 1024, 8, 5);
	pair_close(&t);
}
END_TEST

START_TEST(burst_rules)
{
	struct vshm_view views[4];
	void *data[4];
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_is(vshm_producer_reserve_burst(t.p, 8, data, 0, 0), -EINVAL);
	ck_is(vshm_producer_reserve_burst(t.p, 8, data, 1025, 0), -EINVAL);
	ck_is(vshm_producer_reserve_burst(t.p, 8, data, UINT_MAX, 0), -EINVAL);
	ck_is(vshm_consumer_peek_burst(t.c, views, 0, 0), -EINVAL);
	ck_is(vshm_consumer_peek_burst(t.c, views, 1025, 0), -EINVAL);
	ck_is(vshm_consumer_peek_burst(t.c, views, 4, 0), -EAGAIN);
	ck_is(vshm_producer_reserve_burst(t.p, 8, data, 4, 0), 4);
	ck_is(vshm_producer_commit_burst(t.p, 5, 0), -EINVAL);
	ck_ok(vshm_producer_commit_burst(t.p, 2, VSHM_MORE));
	ck_is(vshm_consumer_peek_burst(t.c, views, 4, 0), -EAGAIN);
	ck_ok(vshm_producer_flush(t.p));
	ck_is(vshm_consumer_peek_burst(t.c, views, 1, 0), 1);
	ck_ok(vshm_consumer_release(t.c));
	ck_is(vshm_consumer_peek_burst(t.c, views, 4, 0), 1);
	ck_ok(vshm_consumer_release(t.c));
	pair_close(&t);
}
END_TEST

/* Whatever is reserved or sent after a burst takes its place. */
START_TEST(burst_is_replaced)
{
	void *data[4], *room;
	struct pair t;

	pair_open(&t, _i, 256);
	ck_is(vshm_producer_reserve_burst(t.p, 8, data, 4, 0), 4);
	put(t.p, t.c, 72, 1);
	put(t.p, t.c, 72, 2);
	put(t.p, t.c, 72, 3); /* the ring is nearly full */
	ck_is(vshm_producer_commit_burst(t.p, 4, 0), -EINVAL);
	get(t.c, 72, 1);
	get(t.c, 72, 2);
	get(t.c, 72, 3);
	ck_is(vshm_producer_reserve_burst(t.p, 8, data, 1, 0), 1);
	ck_ok(vshm_producer_reserve(t.p, 0, &room, 0));
	ck_is(vshm_producer_commit_burst(t.p, 1, 0), -EINVAL);
	ck_ok(vshm_producer_commit(t.p, 0, 0));
	get(t.c, 0, 0);
	ck_is(vshm_producer_commit(t.p, 0, 0), -EINVAL);
	get_nothing(t.c, -EAGAIN);
	pair_close(&t);
}
END_TEST

/* A burst gets what fits in one piece and in a quarter of the ring; the ring is never over-filled. */
START_TEST(burst_into_a_nearly_full_ring)
{
	unsigned held = 1;
	void *data[64];
	struct pair t;
	int n;

	pair_open(&t, _i, 1024);
	put(t.p, t.c, 504, 0);
	while ((n = vshm_producer_reserve_burst(t.p, 120, data, 64, 0)) != -EAGAIN) {
		ck_assert_int_ge(n, 1);
		ck_assert_int_le(n, 2);
		for (int i = 0; i < n; i++)
			support_fill(data[i], 120, held + (unsigned)i);
		ck_ok(vshm_producer_commit_burst(t.p, (unsigned)n, 0));
		held += (unsigned)n;
		ck_assert_uint_le(held, 5);
	}
	ck_assert_uint_eq(held, 5);
	get(t.c, 504, 0);
	for (unsigned i = 1; i < held; i++)
		get(t.c, 120, i);
	pair_close(&t);
}
END_TEST

/* At least one, however large. */
START_TEST(burst_of_large_records)
{
	void *data[64];
	struct pair t;

	pair_open(&t, _i, 1024);
	for (unsigned i = 0; i < 20; i++) {
		int n = vshm_producer_reserve_burst(t.p, 900, data, 64, 0);

		if (n == -EAGAIN) { /* the padding goes first */
			get_nothing(t.c, -EAGAIN);
			n = vshm_producer_reserve_burst(t.p, 900, data, 64, 0);
		}
		ck_assert_int_eq(n, 1);
		support_fill(data[0], 900, i);
		ck_ok(vshm_producer_commit_burst(t.p, 1, 0));
		get(t.c, 900, i);
		get_nothing(t.c, -EAGAIN);
	}
	pair_close(&t);
}
END_TEST

START_TEST(counters)
{
	struct vshm_counters sent = VSHM_COUNTERS_INIT, got = VSHM_COUNTERS_INIT;
	struct pair t;

	pair_open(&t, _i, 4096);
	for (unsigned i = 0; i < 1000; i++) {
		put(t.p, t.c, i % 100, i);
		get(t.c, i % 100, i);
	}
	ck_ok(vshm_producer_counters(t.p, &sent));
	ck_ok(vshm_consumer_counters(t.c, &got));
	ck_assert_uint_eq(sent.records, 1000);
	ck_assert_uint_eq(got.records, 1000);
	ck_assert_uint_eq(sent.bytes, 49500);
	ck_assert_uint_eq(got.bytes, 49500);
	ck_assert_uint_eq(sent.dropped, 0);
	ck_assert_uint_eq(sent.rings_sent, 0); /* nobody slept */
	ck_assert_uint_eq(got.sleeps, 0);
	pair_close(&t);
}
END_TEST

START_TEST(no_fault_without_a_violation)
{
	struct vshm_fault f = VSHM_FAULT_INIT;
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_is(vshm_producer_fault(t.p, &f), -ENOENT);
	ck_is(vshm_consumer_fault(t.c, &f), -ENOENT);
	pair_close(&t);
}
END_TEST

Suite *suite_stream(void)
{
	Suite *s = suite_create("stream");
	TCase *tc = tcase_create("stream");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, every_size);
	add_everywhere(tc, largest_at_every_position);
	add_everywhere(tc, random_sizes_wrap);
	add_everywhere(tc, full_says_again_and_loses_nothing);
	add_everywhere(tc, commit_cuts);
	add_everywhere(tc, reserve_again_replaces);
	add_everywhere(tc, commit_rules);
	add_everywhere(tc, release_rules);
	add_everywhere(tc, too_large);
	add_everywhere(tc, copying_calls);
	add_everywhere(tc, more_then_flush);
	add_everywhere(tc, more_until_full);
	add_everywhere(tc, more_then_close);
	add_everywhere(tc, bursts);
	add_everywhere(tc, burst_rules);
	add_everywhere(tc, burst_is_replaced);
	add_everywhere(tc, burst_into_a_nearly_full_ring);
	add_everywhere(tc, burst_of_large_records);
	add_everywhere(tc, counters);
	add_everywhere(tc, no_fault_without_a_violation);
	suite_add_tcase(s, tc);
	return s;
}
