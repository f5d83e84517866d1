/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends: names, roles that are taken, room in the section, drop policy, closing, several rings. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static const char *const bad_names[] = {
	"",
	"a b",
	"a/b",
	"-a",
	".a",
	"_a",
	":a",
	"+a",
	"a\n",
	"\n",
	"a\x1b[2J",
	"\x7f",
	"a\xc3\xa4",
	"a%n",
	"a,b",
	"a\tb",
	"a\\b",
	"(a)",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* 64 */
};

static const char *const good_names[] = {
	"a",	       "Z",    "0",
	"a.b_c:d+e-f", "9to5", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* 63 */
};

START_TEST(names)
{
	struct vshm_producer *p = NULL;
	struct vshm_consumer *c = NULL;
	char why[VSHM_WHY_SIZE];
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 1, 65536);
	r = world_open(&w, 0);
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		ck_is(vshm_producer_open(r, bad_names[i], NULL, &p), -EINVAL);
		ck_ok(vshm_region_why(r, why));
		ck_assert(why[0] && !strpbrk(why, "\n\t\x1b\x7f"));
		ck_is(vshm_consumer_open(r, bad_names[i], NULL, &c), -EINVAL);
		ck_assert(!p && !c);
	}
	for (size_t i = 0; i < sizeof(good_names) / sizeof(good_names[0]); i++) {
		p = producer(r, good_names[i], 256, 0);
		c = consumer(r, good_names[i], 0);
		connect_ends(p, c);
	}
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* A name of a megabyte is no reason to read far. */
START_TEST(name_without_end)
{
	struct vshm_producer *p = NULL;
	struct vshm_consumer *c = NULL;
	char *name = malloc(1 << 20);
	struct pair t;

	ck_assert_ptr_nonnull(name);
	memset(name, 'a', 1 << 20);
	name[(1 << 20) - 1] = '\0';
	pair_open(&t, _i, 4096);
	ck_is(vshm_producer_open(t.a, name, NULL, &p), -EINVAL);
	ck_is(vshm_consumer_open(t.a, name, NULL, &c), -EINVAL);
	free(name);
	pair_close(&t);
}
END_TEST

START_TEST(one_producer_per_name)
{
	struct vshm_producer *p = NULL;
	char why[VSHM_WHY_SIZE] = "";
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_is(vshm_producer_open(t.a, "ring", NULL, &p), -EEXIST);
	ck_is(vshm_producer_open(t.b, "ring", NULL, &p), -EEXIST);
	ck_assert_ptr_null(p);
	ck_ok(vshm_region_why(t.b, why));
	ck_assert_msg(strstr(why, "ring") != NULL, "does not name the ring: %s", why);
	put(t.p, t.c, 10, 1);
	get(t.c, 10, 1);
	pair_close(&t);
}
END_TEST

START_TEST(one_consumer_per_ring)
{
	struct vshm_consumer *c = NULL;
	struct vshm_region *third;
	struct pair t;

	world_create(&t.w, _i, 3, 65536);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	third = world_open(&t.w, 2);
	t.p = producer(t.a, "ring", 1024, 0);
	t.c = consumer(t.b, "ring", 0);
	connect_ends(t.p, t.c);
	ck_is(vshm_consumer_open(t.b, "ring", NULL, &c), -EBUSY);
	ck_is(vshm_consumer_open(third, "ring", NULL, &c), -EBUSY);
	ck_is(vshm_consumer_open(t.a, "ring", NULL, &c), -EBUSY);
	ck_assert_ptr_null(c);
	put(t.p, t.c, 10, 1);
	get(t.c, 10, 1);
	ck_ok(vshm_consumer_close(t.c));
	c = consumer(third, "ring", 0); /* the place is free again */
	connect_ends(t.p, c);
	put(t.p, c, 10, 2);
	get(c, 10, 2);
	ck_ok(vshm_region_close(third));
	pair_close(&t);
}
END_TEST

/* Two ask before there is a producer: one gets it, the other is told. */
START_TEST(two_consumers_wait)
{
	struct vshm_consumer *c[2];
	struct vshm_region *r[3];
	struct vshm_producer *p;
	struct vshm_view v;
	int rc[2] = {-EAGAIN, -EAGAIN};
	struct world w;

	world_create(&w, _i, 3, 65536);
	for (unsigned i = 0; i < 3; i++)
		r[i] = world_open(&w, i);
	c[0] = consumer(r[0], "ring", 0);
	c[1] = consumer(r[1], "ring", 0);
	p = producer(r[2], "ring", 1024, 0);
	ck_ok(vshm_producer_send(p, "12345678", 8, 0));
	for (int i = 0; i < 10000 && (rc[0] == -EAGAIN || rc[1] == -EAGAIN); i++) {
		(void)vshm_producer_flush(p);
		(void)!vshm_producer_reserve(p, 1000, (void *[]){NULL}, 0); /* does not fit: looks around */
		for (unsigned k = 0; k < 2; k++)
			rc[k] = rc[k] == -EAGAIN ? vshm_consumer_peek(c[k], &v, SUPPORT_MS / 10) : rc[k];
		for (unsigned k = 0; k < 2; k++)
			rc[k] = rc[k] == -ETIMEDOUT ? -EAGAIN : rc[k];
	}
	ck_assert_msg((rc[0] == 0 && rc[1] == -EBUSY) || (rc[0] == -EBUSY && rc[1] == 0), "%d and %d", rc[0], rc[1]);
	for (unsigned i = 0; i < 3; i++)
		ck_ok(vshm_region_close(r[i]));
	world_destroy(&w);
}
END_TEST

/* ---- room ---- */

/* A number in a line for people, with K, M, KiB or MiB behind it. */
static uint64_t number_in(const char **text)
{
	char *end;
	uint64_t n = strtoull(*text, &end, 10);

	if (*end == ' ' && (end[1] == 'K' || end[1] == 'M'))
		end++;
	n <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
	*text = end;
	return n;
}

/* True if one of the numbers in `why` is the largest ring that opens. */
static int names_the_largest(struct vshm_region *r, const char *why)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p;

	while (*why) {
		if (!isdigit((unsigned char)*why)) {
			why++;
			continue;
		}
		o.ring_size = number_in(&why);
		if (o.ring_size < VSHM_MIN_RING || vshm_producer_open(r, "fits", &o, &p))
			continue;
		(void)vshm_producer_close(p, 0);
		o.ring_size = 2 * o.ring_size;
		return vshm_producer_open(r, "fits.not", &o, &p) == -ENOSPC;
	}
	return 0;
}

START_TEST(ring_larger_than_the_section)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p = NULL;
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 2, 1 << 17);
	r = world_open(&w, 0);
	o.ring_size = 1 << 24;
	ck_is(vshm_producer_open(r, "big", &o, &p), -ENOSPC);
	ck_assert_ptr_null(p);
	ck_ok(vshm_region_why(r, why));
	ck_assert_msg(names_the_largest(r, why), "does not name the largest possible ring: %s", why);
	o.ring_size = VSHM_MAX_RING;
	ck_is(vshm_producer_open(r, "big", &o, &p), -ENOSPC);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(ring_sizes)
{
	static const uint64_t bad[] = {VSHM_MAX_RING + 1, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p = NULL;
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 2, 1 << 19);
	r = world_open(&w, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int rc;

		o.ring_size = bad[i];
		rc = vshm_producer_open(r, "bad", &o, &p);
		ck_assert_msg(rc == -EINVAL || rc == -ENOSPC, "ring of %llu: %d", (unsigned long long)bad[i], rc);
	}
	p = producer(r, "default", 0, 0);
	ck_assert_uint_eq(vshm_producer_max_record(p), VSHM_DEFAULT_RING_SIZE - VSHM_RECORD_HEADER);
	p = producer(r, "rounded", 1000, 0);
	ck_assert_uint_eq(vshm_producer_max_record(p), 1024 - VSHM_RECORD_HEADER);
	p = producer(r, "tiny", 1, 0);
	ck_assert_uint_eq(vshm_producer_max_record(p), VSHM_MIN_RING - VSHM_RECORD_HEADER);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* Without a size a ring takes what fits. */
START_TEST(default_size_fits)
{
	struct vshm_producer *p;
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	p = producer(r, "default", 0, 0);
	ck_assert_uint_ge(vshm_producer_max_record(p), 32768 - VSHM_RECORD_HEADER);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(directory_full)
{
	struct vshm_consumer *c = NULL;
	struct vshm_producer *p = NULL;
	char name[16], why[VSHM_WHY_SIZE] = "";
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 1, 65536);
	r = world_open(&w, 0);
	for (unsigned i = 0; i < VSHM_ENTRIES; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		if (i % 2)
			(void)producer(r, name, 256, 0);
		else
			c = consumer(r, name, 0);
	}
	ck_is(vshm_producer_open(r, "more", NULL, &p), -ENOSPC);
	ck_ok(vshm_region_why(r, why));
	ck_assert_msg(why[0] != '\0', "no reason");
	ck_ok(vshm_consumer_close(c));
	(void)producer(r, "more", 256, 0);
	ck_is(vshm_consumer_open(r, "evenmore", NULL, &c), -ENOSPC);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* Memory of closed rings comes back, in any order. */
START_TEST(rings_come_and_go)
{
	uint64_t seed = support_seed();
	struct vshm_producer *p[8] = {NULL};
	struct vshm_region *r;
	char name[16];
	struct world w;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	for (unsigned i = 0; i < 400; i++) {
		unsigned k = (unsigned)support_below(&seed, 8);

		if (p[k])
			ck_ok(vshm_producer_close(p[k], 0)); /* empty: nothing to linger for */
		snprintf(name, sizeof(name), "n%u", i);
		p[k] = producer(r, name, UINT64_C(256) << support_below(&seed, 5), VSHM_PRODUCER_DROP);
	}
	for (unsigned k = 0; k < 8; k++)
		if (p[k])
			ck_ok(vshm_producer_close(p[k], 0));
	(void)producer(r, "whole", 32768, 0);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* ---- policy ---- */

START_TEST(waits_for_a_consumer)
{
	struct vshm_producer *p;
	struct vshm_consumer *c;
	struct vshm_region *a, *b;
	unsigned fitted = 0;
	struct world w;
	unsigned char record[56];

	world_create(&w, _i, 2, 65536);
	a = world_open(&w, 0);
	b = world_open(&w, 1);
	p = producer(a, "ring", 1024, 0);
	support_fill(record, sizeof(record), 1);
	while (vshm_producer_send(p, record, sizeof(record), 0) == 0)
		ck_assert_uint_le(++fitted, 16);
	ck_assert_uint_eq(fitted, 16);
	ck_is(vshm_producer_send(p, record, sizeof(record), 20 * SUPPORT_MS), -ETIMEDOUT);
	c = consumer(b, "ring", 0);
	ck_is(vshm_producer_send(p, record, sizeof(record), 20 * SUPPORT_MS), -ETIMEDOUT); /* grants, still full */
	for (unsigned i = 0; i < 16; i++)
		get(c, sizeof(record), 1);
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

START_TEST(drops_while_nobody_listens)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct vshm_producer *p;
	struct vshm_consumer *c;
	struct vshm_region *a, *b;
	unsigned char record[56];
	struct world w;

	world_create(&w, _i, 2, 65536);
	a = world_open(&w, 0);
	b = world_open(&w, 1);
	p = producer(a, "ring", 1024, VSHM_PRODUCER_DROP);
	support_fill(record, sizeof(record), 1);
	for (unsigned i = 0; i < 1000; i++)
		ck_ok(vshm_producer_send(p, record, sizeof(record), 0));
	ck_ok(vshm_producer_counters(p, &n));
	ck_assert_uint_gt(n.dropped, 900);
	c = consumer(b, "ring", 0);
	for (unsigned i = 0; i < 10000 && !vshm_consumer_connected(c); i++)
		ck_ok(vshm_producer_send(p, record, sizeof(record), 0));
	ck_assert_int_eq(vshm_consumer_connected(c), 1);
	while (vshm_producer_send(p, record, sizeof(record), 0) == 0)
		; /* somebody listens: full is full */
	get(c, sizeof(record), 1);
	ck_ok(vshm_consumer_close(c));
	for (unsigned i = 0; i < 1000; i++)
		ck_ok(vshm_producer_send(p, record, sizeof(record), SUPPORT_LONG));
	ck_ok(vshm_producer_close(p, 0));
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

/* ---- closing ---- */

START_TEST(closed_ends_stay_closed)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct vshm_fault f = VSHM_FAULT_INIT;
	struct vshm_view v;
	struct pair t;
	size_t size;
	void *data;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_producer_close(t.p, 0));
	get_nothing(t.c, -ENODATA);
	ck_ok(vshm_consumer_close(t.c));
	ck_is(vshm_producer_close(t.p, 0), -EINVAL);
	ck_is(vshm_producer_close(t.p, VSHM_FOREVER), -EINVAL);
	ck_is(vshm_producer_reserve(t.p, 1, &data, VSHM_FOREVER), -EINVAL);
	ck_is(vshm_producer_reserve_burst(t.p, 1, &data, 1, 0), -EINVAL);
	ck_is(vshm_producer_send(t.p, "x", 1, VSHM_FOREVER), -EINVAL);
	ck_is(vshm_producer_commit(t.p, 0, 0), -EINVAL);
	ck_is(vshm_producer_commit_burst(t.p, 0, 0), -EINVAL);
	ck_is(vshm_producer_flush(t.p), -EINVAL);
	ck_is(vshm_producer_counters(t.p, &n), -EINVAL);
	ck_is(vshm_producer_fault(t.p, &f), -EINVAL);
	ck_assert_uint_eq(vshm_producer_max_record(t.p), 0);
	ck_is(vshm_consumer_close(t.c), -EINVAL);
	ck_is(vshm_consumer_peek(t.c, &v, VSHM_FOREVER), -EINVAL);
	ck_is(vshm_consumer_peek_burst(t.c, &v, 1, 0), -EINVAL);
	ck_is(vshm_consumer_recv(t.c, &n, sizeof(n), &size, 0), -EINVAL);
	ck_is(vshm_consumer_release(t.c), -EINVAL);
	ck_is(vshm_consumer_connected(t.c), -EINVAL);
	ck_is(vshm_consumer_counters(t.c, &n), -EINVAL);
	ck_is(vshm_consumer_fault(t.c, &f), -EINVAL);
	pair_close(&t);
}
END_TEST

START_TEST(region_closed_twice)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_region_close(t.b));
	ck_is(vshm_region_close(t.b), -EINVAL);
	ck_ok(vshm_region_close(t.a));
	ck_is(vshm_region_close(t.a), -EINVAL);
	world_destroy(&t.w);
}
END_TEST

/* The region handle of the producer goes first: an orderly end. */
START_TEST(producer_side_closes_first)
{
	struct vshm_view v;
	struct pair t;

	pair_open(&t, _i, 4096);
	put(t.p, t.c, 100, 1);
	put(t.p, t.c, 100, 2);
	ck_ok(vshm_region_close(t.a));
	get(t.c, 100, 1);
	get(t.c, 100, 2);
	ck_is(vshm_consumer_peek(t.c, &v, SUPPORT_LONG), -ENODATA);
	ck_ok(vshm_region_close(t.b));
	world_destroy(&t.w);
}
END_TEST

/* The consumer's region goes first: what it did not read waits for the next one. */
START_TEST(consumer_side_closes_first)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	for (unsigned i = 0; i < 4; i++)
		put(t.p, t.c, 100, i);
	get(t.c, 100, 0);
	ck_ok(vshm_region_close(t.b));
	t.b = world_open(&t.w, 1);
	t.c = consumer(t.b, "ring", 0);
	connect_ends(t.p, t.c);
	for (unsigned i = 1; i < 4; i++)
		get(t.c, 100, i);
	pair_close(&t);
}
END_TEST

START_TEST(reopen_a_name)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	for (unsigned i = 0; i < 50; i++) {
		put(t.p, t.c, 64, i);
		get(t.c, 64, i);
		get_nothing(t.c, -EAGAIN); /* looking in vain returns the position */
		ck_ok(vshm_producer_close(t.p, SUPPORT_LONG));
		get_nothing(t.c, -ENODATA);
		ck_ok(vshm_consumer_close(t.c));
		t.c = consumer(t.b, "ring", 0);
		t.p = producer(t.a, "ring", 4096, 0);
		connect_ends(t.p, t.c);
	}
	pair_close(&t);
}
END_TEST

Suite *suite_ends(void)
{
	Suite *s = suite_create("ends");
	TCase *tc = tcase_create("ends");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, names);
	add_everywhere(tc, name_without_end);
	add_everywhere(tc, one_producer_per_name);
	add_everywhere(tc, one_consumer_per_ring);
	add_everywhere(tc, two_consumers_wait);
	add_everywhere(tc, ring_larger_than_the_section);
	add_everywhere(tc, ring_sizes);
	add_everywhere(tc, default_size_fits);
	add_everywhere(tc, directory_full);
	add_everywhere(tc, rings_come_and_go);
	add_everywhere(tc, waits_for_a_consumer);
	add_everywhere(tc, drops_while_nobody_listens);
	add_everywhere(tc, closed_ends_stay_closed);
	add_everywhere(tc, region_closed_twice);
	add_everywhere(tc, producer_side_closes_first);
	add_everywhere(tc, consumer_side_closes_first);
	add_everywhere(tc, reopen_a_name);
	suite_add_tcase(s, tc);
	return s;
}
