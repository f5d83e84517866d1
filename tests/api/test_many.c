/* SPDX-License-Identifier: BSD-3-Clause */
/* One-to-many rings: every record to each consumer, the slowest is waited for or dropped, comers and goers. */
#include <pthread.h>
#include <string.h>

#include "world.h"

#define READERS 3

struct many {
	struct world w;
	struct vshm_region *a, *r[READERS];
	struct vshm_producer *p;
	struct vshm_consumer *c[READERS];
};

static struct vshm_producer *open_many(struct vshm_region *r, uint64_t ring_size, uint32_t consumers, uint32_t flags)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p = NULL;

	o.ring_size = ring_size;
	o.consumers = consumers;
	o.flags = flags;
	ck_ok(vshm_producer_open(r, "ring", &o, &p));
	return p;
}

static void await_consumers(struct vshm_producer *p, int count)
{
	int64_t give_up = support_now_ns() + SUPPORT_LONG;

	while (vshm_producer_consumers(p) != count) {
		ck_assert_msg(support_now_ns() < give_up, "%d consumers", vshm_producer_consumers(p));
		support_sleep_us(500);
	}
}

/* Granted, the consumer only has to look. */
static void notice(struct vshm_consumer *c)
{
	int64_t give_up = support_now_ns() + SUPPORT_LONG;

	while (!vshm_consumer_connected(c))
		ck_assert(support_now_ns() < give_up);
}

static void begin(struct many *t, int transport, uint64_t ring_size)
{
	world_create(&t->w, transport, READERS + 1, 1 << 17);
	t->a = world_open(&t->w, 0);
	t->p = open_many(t->a, ring_size, READERS, 0);
	for (unsigned i = 0; i < READERS; i++) {
		t->r[i] = world_open(&t->w, i + 1);
		t->c[i] = consumer(t->r[i], "ring", 0);
	}
	await_consumers(t->p, READERS);
	for (unsigned i = 0; i < READERS; i++)
		notice(t->c[i]);
}

static void end(struct many *t)
{
	for (unsigned i = 0; i < READERS; i++)
		if (t->r[i])
			ck_ok(vshm_region_close(t->r[i]));
	ck_ok(vshm_region_close(t->a));
	world_destroy(&t->w);
}

/* Reads until something else than a record comes; a release, too, can say that the consumer was dropped. */
static int read_to_the_end(struct vshm_consumer *c)
{
	struct vshm_view v;
	int rc;

	do {
		rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);
		if (!rc)
			rc = vshm_consumer_release(c);
	} while (!rc);
	return rc;
}

START_TEST(each_gets_every_record)
{
	struct many t;

	begin(&t, _i, 4096);
	for (unsigned i = 0; i < 500; i++) {
		put(t.p, NULL, i % 300, i);
		for (unsigned k = 0; k < READERS; k++)
			get(t.c[k], i % 300, i);
	}
	for (unsigned k = 0; k < READERS; k++)
		get_nothing(t.c[k], -EAGAIN);
	end(&t);
}
END_TEST

/* Threads of their own, so that everybody really waits for everybody. */
struct reading {
	struct vshm_consumer *c;
	unsigned count, pause_every;
};

static void *read_all(void *arg)
{
	struct reading *r = arg;
	struct vshm_view v;
	int rc;

	for (unsigned i = 0; !(rc = vshm_consumer_peek(r->c, &v, SUPPORT_LONG)); i++) {
		ck_assert(v.size == i % 700 && support_same(v.data, v.size, i));
		if (r->pause_every && i % r->pause_every == 0)
			support_sleep_us(300);
		ck_ok(vshm_consumer_release(r->c));
		r->count++;
	}
	ck_is(rc, -ENODATA);
	return NULL;
}

START_TEST(waits_for_the_slowest)
{
	struct reading reading[READERS];
	pthread_t thread[READERS];
	unsigned char record[700];
	struct many t;

	begin(&t, _i, 8192);
	for (unsigned k = 0; k < READERS; k++) {
		reading[k] = (struct reading){t.c[k], 0, k == 1 ? 50 : 0};
		ck_ok(pthread_create(&thread[k], NULL, read_all, &reading[k]));
	}
	for (unsigned i = 0; i < 6000; i++) {
		support_fill(record, i % 700, i);
		ck_ok(vshm_producer_send(t.p, record, i % 700, SUPPORT_LONG));
	}
	ck_ok(vshm_producer_close(t.p, SUPPORT_LONG));
	for (unsigned k = 0; k < READERS; k++) {
		ck_ok(pthread_join(thread[k], NULL));
		ck_assert_uint_eq(reading[k].count, 6000);
	}
	end(&t);
}
END_TEST

START_TEST(bursts_go_to_all)
{
	struct vshm_view views[32];
	void *data[32];
	struct many t;

	begin(&t, _i, 16384);
	for (unsigned round = 0; round < 40; round++) {
		int n = vshm_producer_reserve_burst(t.p, 64, data, 32, SUPPORT_LONG);

		ck_assert_int_ge(n, 1);
		for (int i = 0; i < n; i++)
			support_fill(data[i], 64, round * 32u + (unsigned)i);
		ck_ok(vshm_producer_commit_burst(t.p, (unsigned)n, 0));
		for (unsigned k = 0; k < READERS; k++) {
			int seen = 0;

			while (seen < n) {
				int got = vshm_consumer_peek_burst(t.c[k], views, 32, SUPPORT_LONG);

				ck_assert_int_ge(got, 1);
				for (int i = 0; i < got; i++, seen++)
					ck_assert(support_same(views[i].data, 64, round * 32u + (unsigned)seen));
				ck_ok(vshm_consumer_release(t.c[k]));
			}
		}
	}
	end(&t);
}
END_TEST

/* One never reads: the ring fills, it is dropped on request, the others lose nothing. */
START_TEST(one_is_dropped)
{
	vshm_peer peer = 99;
	unsigned sent = 0;
	struct vshm_view v;
	struct many t;
	int rc;

	begin(&t, _i, 1024);
	ck_is(vshm_producer_drop(t.p, &peer), -ENOENT);
	while (!(rc = vshm_producer_send(t.p, "0123456789", 10, 0))) {
		sent++;
		for (unsigned k = 0; k < READERS; k += 2) {
			ck_ok(vshm_consumer_peek(t.c[k], &v, SUPPORT_LONG));
			ck_ok(vshm_consumer_release(t.c[k]));
			get_nothing(t.c[k], -EAGAIN);
		}
	}
	ck_is(rc, -EAGAIN);
	ck_assert_uint_ge(sent, 30);
	ck_ok(vshm_producer_drop(t.p, &peer));
	ck_assert_uint_eq(peer, 2);
	ck_assert_int_eq(vshm_producer_consumers(t.p), 2);
	ck_is(vshm_producer_drop(t.p, NULL), -ENOENT);
	for (unsigned i = 0; i < 200; i++) {
		put(t.p, NULL, 20, i);
		get(t.c[0], 20, i);
		get(t.c[2], 20, i);
	}
	ck_is(read_to_the_end(t.c[1]), -EOVERFLOW);
	ck_is(vshm_consumer_peek(t.c[1], &v, 0), -EOVERFLOW);
	ck_ok(vshm_consumer_close(t.c[1]));
	t.c[1] = consumer(t.r[1], "ring", 0); /* and comes again */
	await_consumers(t.p, 3);
	put(t.p, NULL, 20, 7);
	for (unsigned k = 0; k < READERS; k++)
		get(t.c[k], 20, 7);
	end(&t);
}
END_TEST

/* What it copies counts only if nobody dropped it: the bytes may be others' by then. */
START_TEST(what_is_received_after_the_drop)
{
	unsigned char data[64];
	struct many t;
	size_t size = 0;

	begin(&t, _i, 4096);
	put(t.p, NULL, 30, 1);
	for (unsigned k = 0; k < READERS; k += 2) {
		get(t.c[k], 30, 1);
		get_nothing(t.c[k], -EAGAIN); /* and so returns it */
	}
	ck_ok(vshm_producer_drop(t.p, NULL));
	ck_is(vshm_consumer_recv(t.c[1], data, sizeof(data), &size, 0), -EOVERFLOW);
	ck_assert_uint_eq(size, 0);
	end(&t);
}
END_TEST

/* Dropped before it ever looked: there is nothing that it could have missed, it starts when it comes. */
START_TEST(one_that_never_looked)
{
	struct vshm_view v;
	unsigned sent = 0;
	struct many t;

	world_create(&t.w, _i, READERS + 1, 1 << 17);
	memset(t.r, 0, sizeof(t.r));
	t.a = world_open(&t.w, 0);
	t.r[0] = world_open(&t.w, 1);
	t.p = open_many(t.a, 1024, 2, 0);
	t.c[0] = consumer(t.r[0], "ring", 0);
	await_consumers(t.p, 1);
	while (!vshm_producer_send(t.p, "0123456789", 10, 0))
		sent++;
	ck_assert_uint_ge(sent, 30);
	ck_ok(vshm_producer_drop(t.p, NULL));
	await_consumers(t.p, 1);
	notice(t.c[0]);
	while (!vshm_consumer_peek(t.c[0], &v, 0))
		ck_ok(vshm_consumer_release(t.c[0]));
	put(t.p, NULL, 20, 1);
	get(t.c[0], 20, 1);
	end(&t);
}
END_TEST

/* A follower that is dropped goes on with what comes next. */
START_TEST(a_dropped_follower_goes_on)
{
	struct many t;
	int rc;

	begin(&t, _i, 1024);
	ck_ok(vshm_consumer_close(t.c[0]));
	await_consumers(t.p, 2);
	t.c[0] = consumer(t.r[0], "ring", VSHM_CONSUMER_FOLLOW);
	await_consumers(t.p, 3);
	notice(t.c[0]);
	ck_ok(vshm_consumer_close(t.c[1]));
	ck_ok(vshm_consumer_close(t.c[2]));
	await_consumers(t.p, 1);
	while (!(rc = vshm_producer_send(t.p, "0123456789", 10, 0)))
		;
	ck_is(rc, -EAGAIN);
	ck_ok(vshm_producer_drop(t.p, NULL));
	ck_assert_int_eq(vshm_producer_consumers(t.p), 0);
	ck_is(read_to_the_end(t.c[0]), -EOVERFLOW);
	get_nothing(t.c[0], -EAGAIN);
	await_consumers(t.p, 1);
	end(&t);
}
END_TEST

/* The first consumer gets what was there; one that joins others starts with the next record; the last one's rest is kept. */
START_TEST(comers_and_goers)
{
	struct many t;

	world_create(&t.w, _i, READERS + 1, 1 << 17);
	t.a = world_open(&t.w, 0);
	t.p = open_many(t.a, 4096, READERS, 0);
	memset(t.r, 0, sizeof(t.r));
	for (unsigned i = 0; i < 5; i++)
		put(t.p, NULL, 30, i);
	for (unsigned k = 0; k < READERS; k++) {
		t.r[k] = world_open(&t.w, k + 1);
		t.c[k] = consumer(t.r[k], "ring", 0);
		await_consumers(t.p, (int)k + 1);
	}
	put(t.p, NULL, 30, 5);
	for (unsigned i = 0; i < 6; i++)
		get(t.c[0], 30, i);
	get(t.c[1], 30, 5);
	get(t.c[2], 30, 5);
	put(t.p, NULL, 30, 6);
	put(t.p, NULL, 30, 7);
	get(t.c[1], 30, 6);
	ck_ok(vshm_consumer_close(t.c[0]));
	ck_ok(vshm_consumer_close(t.c[2]));
	await_consumers(t.p, 1);
	ck_ok(vshm_consumer_close(t.c[1])); /* the last one has read up to 6 */
	await_consumers(t.p, 0);
	put(t.p, NULL, 30, 8);
	t.c[0] = consumer(t.r[0], "ring", 0);
	await_consumers(t.p, 1);
	get(t.c[0], 30, 7);
	get(t.c[0], 30, 8);
	get_nothing(t.c[0], -EAGAIN);
	end(&t);
}
END_TEST

START_TEST(no_more_than_it_can_have)
{
	struct vshm_consumer *c = NULL;
	struct many t;

	begin(&t, _i, 4096);
	ck_is(vshm_consumer_open(t.a, "ring", NULL, &c), -EBUSY);
	ck_ok(vshm_consumer_close(t.c[1]));
	await_consumers(t.p, 2);
	ck_ok(vshm_consumer_open(t.a, "ring", NULL, &c));
	await_consumers(t.p, 3);
	ck_ok(vshm_consumer_close(c));
	end(&t);
}
END_TEST

/* Drops records only while nobody at all listens. */
START_TEST(drops_while_alone)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct many t;

	world_create(&t.w, _i, READERS + 1, 1 << 17);
	memset(t.r, 0, sizeof(t.r));
	t.a = world_open(&t.w, 0);
	t.p = open_many(t.a, 1024, 2, VSHM_PRODUCER_DROP);
	for (unsigned i = 0; i < 300; i++)
		put(t.p, NULL, 50, i);
	t.r[0] = world_open(&t.w, 1);
	t.c[0] = consumer(t.r[0], "ring", 0);
	await_consumers(t.p, 1);
	put(t.p, NULL, 50, 1000);
	get(t.c[0], 50, 1000);
	ck_ok(vshm_producer_counters(t.p, &n));
	ck_assert_uint_eq(n.records, 301);
	ck_assert_uint_le(n.dropped, 300);
	ck_assert_uint_ge(n.dropped, 280);
	get_nothing(t.c[0], -EAGAIN);
	ck_ok(vshm_producer_close(t.p, SUPPORT_LONG));
	end(&t);
}
END_TEST

START_TEST(what_can_be_seen_of_it)
{
	struct vshm_end_info info = VSHM_END_INFO_INIT;
	struct many t;

	begin(&t, _i, 4096);
	ck_ok(vshm_region_end(t.a, 0, 0, &info));
	ck_assert_uint_eq(info.grants, READERS);
	ck_assert_uint_eq(info.consumers, READERS);
	ck_assert_uint_eq(info.other_peer, VSHM_PEER_ANY);
	for (unsigned k = 0; k < READERS; k++) {
		ck_ok(vshm_region_end(t.a, k + 1, 0, &info));
		ck_assert_uint_eq(info.other_peer, 0);
		ck_assert_uint_eq(info.connected, 1);
	}
	for (unsigned i = 0; i < 20; i++)
		put(t.p, NULL, 100, i);
	get(t.c[1], 100, 0);
	ck_assert_int_eq(vshm_region_check(t.a, NULL, NULL), 0);
	end(&t);
}
END_TEST

START_TEST(arguments)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p = NULL;
	struct pair t;

	pair_open(&t, 0, 4096);
	ck_is(vshm_producer_drop(NULL, NULL), -EINVAL);
	ck_is(vshm_producer_drop(t.p, NULL), -EINVAL);
	ck_is(vshm_producer_consumers(NULL), -EINVAL);
	ck_is(vshm_producer_consumers(t.p), 1);
	o.consumers = VSHM_MAX_PEERS + 1;
	ck_is(vshm_producer_open(t.a, "more", &o, &p), -EINVAL);
	o.consumers = 2;
	o.reserved = 1;
	ck_is(vshm_producer_open(t.a, "more", &o, &p), -EINVAL);
	o.reserved = 0;
	o.consumers = VSHM_MAX_PEERS;
	ck_ok(vshm_producer_open(t.a, "more", &o, &p));
	ck_ok(vshm_producer_close(p, 0));
	ck_is(vshm_producer_drop(p, NULL), -EINVAL);
	pair_close(&t);
}
END_TEST

Suite *suite_many(void)
{
	Suite *s = suite_create("many");
	TCase *tc = tcase_create("many");

	tcase_set_timeout(tc, 90);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, each_gets_every_record);
	add_everywhere(tc, waits_for_the_slowest);
	add_everywhere(tc, bursts_go_to_all);
	add_everywhere(tc, one_is_dropped);
	add_everywhere(tc, what_is_received_after_the_drop);
	add_everywhere(tc, one_that_never_looked);
	add_everywhere(tc, a_dropped_follower_goes_on);
	add_everywhere(tc, comers_and_goers);
	add_everywhere(tc, no_more_than_it_can_have);
	add_everywhere(tc, drops_while_alone);
	add_everywhere(tc, what_can_be_seen_of_it);
	tcase_add_test(tc, arguments);
	suite_add_tcase(s, tc);
	return s;
}
