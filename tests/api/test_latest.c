/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings that keep the latest records: the producer never waits, each consumer knows exactly what it missed. */
#include <pthread.h>
#include <string.h>

#include "world.h"

struct latest {
	struct world w;
	struct vshm_region *a, *b;
	struct vshm_producer *p;
	struct vshm_consumer *c;
};

static void begin(struct latest *t, int transport, uint64_t ring_size)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;

	world_create(&t->w, transport, 2, 1 << 17);
	t->a = world_open(&t->w, 0);
	t->b = world_open(&t->w, 1);
	o.flags = VSHM_PRODUCER_LATEST;
	o.ring_size = ring_size;
	ck_ok(vshm_producer_open(t->a, "ring", &o, &t->p));
}

static void join(struct latest *t)
{
	int64_t give_up = support_now_ns() + SUPPORT_LONG;

	t->c = consumer(t->b, "ring", 0);
	while (!vshm_consumer_connected(t->c))
		ck_assert(support_now_ns() < give_up);
}

static void end(struct latest *t)
{
	ck_ok(vshm_region_close(t->b));
	ck_ok(vshm_region_close(t->a));
	world_destroy(&t->w);
}

static void send(struct latest *t, size_t size, uint64_t key)
{
	unsigned char record[4096];

	support_fill(record, size, key);
	ck_ok(vshm_producer_send(t->p, record, size, 0));
}

static uint64_t lost(const struct latest *t)
{
	uint64_t n = UINT64_MAX;

	ck_ok(vshm_consumer_lost(t->c, &n));
	return n;
}

START_TEST(a_reader_in_time_loses_nothing)
{
	struct latest t;

	begin(&t, _i, 4096);
	join(&t);
	for (unsigned i = 0; i < 3000; i++) {
		send(&t, i % 700, i);
		get(t.c, i % 700, i);
		get_nothing(t.c, -EAGAIN);
	}
	ck_assert_uint_eq(lost(&t), 0);
	end(&t);
}
END_TEST

START_TEST(begins_with_the_newest)
{
	struct latest t;

	begin(&t, _i, 4096);
	for (unsigned i = 0; i < 1000; i++)
		send(&t, 40, i);
	join(&t);
	get(t.c, 40, 999);
	get_nothing(t.c, -EAGAIN);
	ck_assert_uint_eq(lost(&t), 0);
	end(&t);
}
END_TEST

/* Told once, with the exact number; what follows is in order and without a gap. */
START_TEST(counts_what_it_missed)
{
	unsigned next = 1;
	struct latest t;

	begin(&t, _i, 2048);
	join(&t);
	send(&t, 24, 0);
	get(t.c, 24, 0);
	for (unsigned round = 0; round < 50; round++) {
		unsigned first = next, count = 1 + round * 7;
		struct vshm_view v;
		uint64_t before = lost(&t);
		int rc;

		for (unsigned i = 0; i < count; i++)
			send(&t, 24, next++);
		rc = vshm_consumer_peek(t.c, &v, 0);
		if (rc == -EOVERFLOW) {
			ck_assert_uint_gt(lost(&t), before);
			first += (unsigned)(lost(&t) - before);
		} else {
			ck_ok(rc);
			ck_assert_uint_eq(lost(&t), before);
		}
		ck_assert_uint_lt(first, next);
		for (; first < next; first++)
			get(t.c, 24, first);
		get_nothing(t.c, -EAGAIN);
	}
	ck_assert_uint_gt(lost(&t), 0);
	end(&t);
}
END_TEST

/* A record that is shown stays as it is, whatever the producer does meanwhile. */
START_TEST(a_peeked_record_is_private)
{
	struct vshm_view v, again;
	struct latest t;

	begin(&t, _i, 1024);
	join(&t);
	send(&t, 100, 5);
	ck_ok(vshm_consumer_peek(t.c, &v, SUPPORT_LONG));
	for (unsigned i = 0; i < 100; i++)
		send(&t, 100, 6);
	ck_assert(v.size == 100 && support_same(v.data, 100, 5));
	ck_ok(vshm_consumer_peek(t.c, &again, 0));
	ck_assert(again.data == v.data && again.size == 100 && support_same(v.data, 100, 5));
	ck_ok(vshm_consumer_release(t.c));
	ck_is(vshm_consumer_peek(t.c, &v, 0), -EOVERFLOW);
	end(&t);
}
END_TEST

static void *flood(void *arg)
{
	struct latest *t = arg;
	uint64_t record[64];

	for (uint64_t i = 0; i < 60000; i++) {
		for (unsigned k = 0; k < 64; k++)
			record[k] = i * 64 + k;
		ck_ok(vshm_producer_send(t->p, record, 8 * (1 + i % 64), 0));
	}
	ck_ok(vshm_producer_close(t->p, SUPPORT_LONG));
	return NULL;
}

/* No record is torn, the numbers add up to the last one. */
START_TEST(nothing_is_torn_under_a_flood)
{
	uint64_t record[64], next = 0, seen = 0;
	pthread_t thread;
	struct latest t;
	size_t size;
	int rc;

	begin(&t, _i, 4096);
	join(&t);
	ck_ok(pthread_create(&thread, NULL, flood, &t));
	while ((rc = vshm_consumer_recv(t.c, record, sizeof(record), &size, SUPPORT_LONG)) != -ENODATA) {
		uint64_t number = record[0] / 64;

		if (rc == -EOVERFLOW)
			continue;
		ck_ok(rc);
		ck_assert_uint_eq(size, 8 * (1 + number % 64));
		for (unsigned k = 0; k < size / 8; k++)
			ck_assert_uint_eq(record[k], number * 64 + k);
		if (!seen++) /* the first one it met: nothing before counts */
			next = number;
		ck_assert_uint_ge(number, next);
		next = number + 1;
	}
	ck_assert_uint_eq(next, 60000);
	ck_ok(pthread_join(thread, NULL));
	end(&t);
}
END_TEST

static void *paced(void *arg)
{
	struct latest *t = arg;

	for (unsigned i = 0; i < 300; i++) {
		send(t, 16, i);
		support_sleep_us(500);
	}
	ck_ok(vshm_producer_close(t->p, 0));
	return NULL;
}

/* A sleeping consumer is rung for each. */
START_TEST(sleeps_for_the_next)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	unsigned count = 0;
	pthread_t thread;
	struct latest t;
	struct vshm_view v;
	int rc;

	begin(&t, _i, 4096);
	join(&t);
	send(&t, 16, 0); /* counting begins with the first that is read */
	get(t.c, 16, 0);
	ck_ok(pthread_create(&thread, NULL, paced, &t));
	while (!(rc = vshm_consumer_peek(t.c, &v, SUPPORT_LONG)) || rc == -EOVERFLOW) {
		count += !rc;
		if (!rc)
			ck_ok(vshm_consumer_release(t.c));
	}
	ck_is(rc, -ENODATA);
	ck_ok(pthread_join(thread, NULL));
	ck_assert_uint_eq(count + lost(&t), 300);
	ck_ok(vshm_consumer_counters(t.c, &n));
	ck_assert_uint_gt(n.sleeps, 0);
	ck_assert_uint_eq(n.lost, lost(&t));
	end(&t);
}
END_TEST

START_TEST(sizes)
{
	struct latest t;
	void *data[4];
	size_t most;

	begin(&t, _i, 4096);
	join(&t);
	most = vshm_producer_max_record(t.p);
	ck_assert_uint_eq(most, 1008);
	for (size_t size = 0; size <= most; size += size < 40 ? 1 : 121) {
		send(&t, size, size);
		get(t.c, size, size);
	}
	send(&t, most, 3);
	get(t.c, most, 3);
	ck_is(vshm_producer_reserve(t.p, most + 1, &data[0], 0), -EMSGSIZE);
	ck_is(vshm_producer_reserve_burst(t.p, 10, data, 4, 0), 1);
	memset(data[0], 'x', 10);
	ck_ok(vshm_producer_commit_burst(t.p, 1, VSHM_MORE));
	get_nothing(t.c, -EAGAIN);
	ck_ok(vshm_producer_flush(t.p));
	ck_ok(vshm_consumer_peek(t.c, &(struct vshm_view){NULL, 0}, 0));
	ck_ok(vshm_consumer_release(t.c));
	ck_is(vshm_producer_drop(t.p, NULL), -ENOENT);
	ck_is(vshm_consumer_lost(NULL, NULL), -EINVAL);
	end(&t);
}
END_TEST

/* Records have whole words in the ring; what the producer had in its buffer behind a short one stays its own. */
START_TEST(nothing_is_shown_behind_a_record)
{
	struct vshm_view v;
	struct latest t;

	begin(&t, _i, 4096);
	join(&t);
	for (size_t size = 1; size < 8; size++) {
		unsigned char record[8];

		memset(record, 0x77, sizeof(record));
		ck_ok(vshm_producer_send(t.p, record, 8, 0));
		ck_ok(vshm_consumer_peek(t.c, &v, SUPPORT_LONG));
		ck_ok(vshm_consumer_release(t.c));
		ck_ok(vshm_producer_send(t.p, record, size, 0));
		ck_ok(vshm_consumer_peek(t.c, &v, SUPPORT_LONG));
		ck_assert_uint_eq(v.size, size);
		for (size_t i = size; i < 8; i++)
			ck_assert_uint_eq(((const unsigned char *)v.data)[i], 0);
		ck_ok(vshm_consumer_release(t.c));
	}
	end(&t);
}
END_TEST

Suite *suite_latest(void)
{
	Suite *s = suite_create("latest");
	TCase *tc = tcase_create("latest");

	tcase_set_timeout(tc, 90);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, a_reader_in_time_loses_nothing);
	add_everywhere(tc, begins_with_the_newest);
	add_everywhere(tc, counts_what_it_missed);
	add_everywhere(tc, a_peeked_record_is_private);
	add_everywhere(tc, nothing_is_torn_under_a_flood);
	add_everywhere(tc, sleeps_for_the_next);
	add_everywhere(tc, sizes);
	add_everywhere(tc, nothing_is_shown_behind_a_record);
	suite_add_tcase(s, tc);
	return s;
}
