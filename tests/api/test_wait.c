/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting: timeouts, both orders of opening, threads that sleep and are woken, lingering. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "world.h"

struct stream {
	struct vshm_producer *p;
	struct vshm_consumer *c;
	uint64_t count, key;
	uint64_t pause_every; /* producer sleeps after so many records, so that the consumer sleeps too; 0: never */
	size_t max;
};

static size_t size_of(const struct stream *s, uint64_t i)
{
	uint64_t state = s->key + i;

	return support_below(&state, s->max + 1);
}

static void *send_all(void *arg)
{
	struct stream *s = arg;
	void *data;

	for (uint64_t i = 0; i < s->count; i++) {
		size_t size = size_of(s, i);

		ck_ok(vshm_producer_reserve(s->p, size, &data, SUPPORT_LONG));
		support_fill(data, size, s->key + i);
		ck_ok(vshm_producer_commit(s->p, size, i % 3 ? 0 : VSHM_MORE));
		if (s->pause_every && i % s->pause_every == 0) {
			ck_ok(vshm_producer_flush(s->p));
			support_sleep_us(2000);
		}
	}
	ck_ok(vshm_producer_flush(s->p));
	return NULL;
}

static void *receive_all(void *arg)
{
	struct stream *s = arg;

	for (uint64_t i = 0; i < s->count; i++)
		get(s->c, size_of(s, i), s->key + i);
	return NULL;
}

static void stream_both(struct pair *t, uint64_t count, uint64_t pause_every)
{
	struct stream s = {t->p, t->c, count, 11, pause_every, 300};
	pthread_t one = start_thread(send_all, &s), two = start_thread(receive_all, &s);

	join_thread(one);
	join_thread(two);
}

START_TEST(two_threads_stream)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	stream_both(&t, 50000, 0);
	pair_close(&t);
}
END_TEST

START_TEST(two_threads_sleep_and_wake)
{
	struct vshm_counters sent = VSHM_COUNTERS_INIT, got = VSHM_COUNTERS_INIT;
	struct pair t;

	pair_open(&t, _i, 4096);
	stream_both(&t, 300, 3);
	ck_ok(vshm_producer_counters(t.p, &sent));
	ck_ok(vshm_consumer_counters(t.c, &got));
	ck_assert_uint_gt(got.sleeps, 0);
	ck_assert_uint_gt(sent.rings_sent, 0);
	pair_close(&t);
}
END_TEST

START_TEST(polling_consumer)
{
	struct vshm_counters sent = VSHM_COUNTERS_INIT, got = VSHM_COUNTERS_INIT;
	struct pair t;

	world_create(&t.w, _i, 2, 65536);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	t.p = producer(t.a, "ring", 4096, 0);
	t.c = consumer(t.b, "ring", VSHM_CONSUMER_POLL);
	connect_ends(t.p, t.c);
	stream_both(&t, 2000, 100);
	ck_ok(vshm_producer_counters(t.p, &sent));
	ck_ok(vshm_consumer_counters(t.c, &got));
	ck_assert_uint_eq(got.sleeps, 0);
	ck_assert_uint_eq(sent.rings_sent, 0);
	pair_close(&t);
}
END_TEST

/* Lower bounds are exact, upper bounds as generous as a busy machine needs. */
static void check_elapsed(int64_t since, int64_t least)
{
	int64_t took = support_now_ns() - since;

	ck_assert_msg(took >= least, "returned after %lld ns, before its timeout of %lld", (long long)took,
		      (long long)least);
	ck_assert_msg(took < least + SUPPORT_LONG, "returned after %lld ns only", (long long)took);
}

START_TEST(timeouts_pass)
{
	static const int64_t timeouts[] = {1, 1000, SUPPORT_MS, 30 * SUPPORT_MS, 120 * SUPPORT_MS};
	unsigned char byte;
	size_t received;
	struct vshm_view v;
	struct pair t;
	void *data;

	pair_open(&t, _i, 256);
	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		int64_t began = support_now_ns();

		ck_is(vshm_consumer_peek(t.c, &v, timeouts[i]), -ETIMEDOUT);
		check_elapsed(began, timeouts[i]);
	}
	ck_is(vshm_consumer_peek_burst(t.c, &v, 1, SUPPORT_MS), -ETIMEDOUT);
	ck_is(vshm_consumer_recv(t.c, &byte, 1, &received, SUPPORT_MS), -ETIMEDOUT);
	put(t.p, t.c, 200, 1);
	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		int64_t began = support_now_ns();

		ck_is(vshm_producer_reserve(t.p, 200, &data, timeouts[i]), -ETIMEDOUT);
		check_elapsed(began, timeouts[i]);
	}
	ck_is(vshm_producer_send(t.p, "abcdefgh12345678abcdefgh12345678abcdefgh12345678", 48, SUPPORT_MS), -ETIMEDOUT);
	ck_is(vshm_producer_reserve_burst(t.p, 200, &data, 1, SUPPORT_MS), -ETIMEDOUT);
	get(t.c, 200, 1);
	pair_close(&t);
}
END_TEST

/* Where a call would have to wait. */
START_TEST(negative_timeouts)
{
	static const int64_t bad[] = {-2, -1000, INT64_MIN};
	unsigned char record[200] = {0};
	struct vshm_view v;
	struct pair t;
	size_t n;
	void *data;

	pair_open(&t, _i, 256);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_is(vshm_consumer_peek(t.c, &v, bad[i]), -EINVAL);
		ck_is(vshm_consumer_peek_burst(t.c, &v, 1, bad[i]), -EINVAL);
		ck_is(vshm_consumer_recv(t.c, record, 1, &n, bad[i]), -EINVAL);
	}
	put(t.p, t.c, 200, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_is(vshm_producer_reserve(t.p, 200, &data, bad[i]), -EINVAL);
		ck_is(vshm_producer_reserve_burst(t.p, 200, &data, 1, bad[i]), -EINVAL);
		ck_is(vshm_producer_send(t.p, record, 200, bad[i]), -EINVAL);
	}
	get(t.c, 200, 1);
	put(t.p, t.c, 1, 2);
	get(t.c, 1, 2);
	pair_close(&t);
}
END_TEST

struct late {
	struct pair *t;
	int64_t timeout;
};

static void *get_late(void *arg)
{
	const struct late *l = arg;
	struct vshm_view v;

	ck_ok(vshm_consumer_peek(l->t->c, &v, l->timeout));
	ck_assert_uint_eq(v.size, 5);
	ck_ok(vshm_consumer_release(l->t->c));
	return NULL;
}

/* Timeouts near the end of the number range must not overflow into the past. */
START_TEST(very_long_timeouts)
{
	static const int64_t timeouts[] = {VSHM_FOREVER, INT64_MAX, INT64_MAX - 1, INT64_MAX / 2};
	struct pair t;

	pair_open(&t, _i, 4096);
	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		struct late l = {&t, timeouts[i]};
		pthread_t thread = start_thread(get_late, &l);

		support_sleep_us(30000);
		ck_ok(vshm_producer_send(t.p, "hello", 5, timeouts[i]));
		join_thread(thread);
	}
	pair_close(&t);
}
END_TEST

/* The timeout counts from the call: signals do not stretch it, and EINTR never escapes. */
static void on_alarm(int signal)
{
	(void)signal;
}

START_TEST(signals_do_not_disturb)
{
	struct itimerval storm = {{0, 1000}, {0, 1000}}, calm = {{0, 0}, {0, 0}};
	struct sigaction action;
	struct vshm_view v;
	struct pair t;
	int64_t began;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_alarm;
	pair_open(&t, _i, 4096);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
	began = support_now_ns();
	ck_is(vshm_consumer_peek(t.c, &v, 200 * SUPPORT_MS), -ETIMEDOUT);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &calm, NULL), 0);
	check_elapsed(began, 200 * SUPPORT_MS);
	pair_close(&t);
}
END_TEST

/* ---- both orders of opening ---- */

struct opener {
	struct vshm_region *r;
	uint64_t delay_us;
	uint64_t count;
};

static void *produce_late(void *arg)
{
	struct opener *o = arg;
	struct stream s = {NULL, NULL, o->count, 3, 0, 100};

	support_sleep_us((int64_t)o->delay_us);
	s.p = producer(o->r, "late", 4096, 0);
	send_all(&s);
	ck_ok(vshm_producer_close(s.p, SUPPORT_LONG));
	return NULL;
}

static void *consume_late(void *arg)
{
	struct opener *o = arg;
	struct stream s = {NULL, NULL, o->count, 3, 0, 100};
	struct vshm_view v;

	support_sleep_us((int64_t)o->delay_us);
	s.c = consumer(o->r, "late", 0);
	receive_all(&s);
	ck_is(vshm_consumer_peek(s.c, &v, SUPPORT_LONG), -ENODATA);
	ck_is(vshm_consumer_peek(s.c, &v, 0), -ENODATA); /* sticky without follow */
	ck_ok(vshm_consumer_close(s.c));
	return NULL;
}

static void orders(int transport, uint64_t produce_us, uint64_t consume_us)
{
	struct opener one = {NULL, produce_us, 500}, two = {NULL, consume_us, 500};
	pthread_t a, b;
	struct world w;

	world_create(&w, transport, 2, 65536);
	one.r = world_open(&w, 0);
	two.r = world_open(&w, 1);
	a = start_thread(produce_late, &one);
	b = start_thread(consume_late, &two);
	join_thread(a);
	join_thread(b);
	ck_ok(vshm_region_close(one.r));
	ck_ok(vshm_region_close(two.r));
	world_destroy(&w);
}

START_TEST(consumer_first)
{
	orders(_i, 100000, 0);
}
END_TEST

START_TEST(producer_first)
{
	orders(_i, 0, 100000);
}
END_TEST

START_TEST(both_at_once)
{
	for (unsigned i = 0; i < 10; i++)
		orders(_i, 0, 0);
}
END_TEST

/* The peer itself comes late too. */
START_TEST(region_handle_comes_late)
{
	struct opener two = {NULL, 0, 100}, one = {NULL, 0, 100};
	pthread_t a, b;
	struct world w;

	world_create(&w, _i, 2, 65536);
	two.r = world_open(&w, 1);
	b = start_thread(consume_late, &two);
	support_sleep_us(50000);
	one.r = world_open(&w, 0);
	a = start_thread(produce_late, &one);
	join_thread(a);
	join_thread(b);
	ck_ok(vshm_region_close(one.r));
	ck_ok(vshm_region_close(two.r));
	world_destroy(&w);
}
END_TEST

/* ---- lingering ---- */

static void *linger(void *arg)
{
	struct pair *t = arg;

	ck_ok(vshm_producer_close(t->p, SUPPORT_LONG));
	return NULL;
}

START_TEST(close_lingers_until_read)
{
	struct vshm_view v;
	pthread_t thread;
	struct pair t;

	pair_open(&t, _i, 4096);
	for (unsigned i = 0; i < 5; i++)
		put(t.p, t.c, 50, i);
	thread = start_thread(linger, &t);
	support_sleep_us(20000);
	for (unsigned i = 0; i < 5; i++)
		get(t.c, 50, i);
	ck_is(vshm_consumer_peek(t.c, &v, SUPPORT_LONG), -ENODATA);
	join_thread(thread);
	pair_close(&t);
}
END_TEST

START_TEST(close_gives_up_in_time)
{
	int64_t began;
	struct pair t;

	pair_open(&t, _i, 4096);
	put(t.p, t.c, 50, 1);
	began = support_now_ns();
	ck_is(vshm_producer_close(t.p, 50 * SUPPORT_MS), -ETIMEDOUT);
	check_elapsed(began, 50 * SUPPORT_MS);
	get(t.c, 50, 1); /* until the region is closed */
	get_nothing(t.c, -ENODATA);
	pair_close(&t);
}
END_TEST

START_TEST(close_lingers_for_a_consumer_to_come)
{
	struct opener two = {NULL, 100000, 20}, one = {NULL, 0, 20};
	pthread_t a, b;
	struct world w;

	world_create(&w, _i, 2, 65536);
	one.r = world_open(&w, 0);
	a = start_thread(produce_late, &one); /* all 20 records fit: it is in close before anybody comes */
	support_sleep_us(50000);
	two.r = world_open(&w, 1);
	b = start_thread(consume_late, &two);
	join_thread(a);
	join_thread(b);
	ck_ok(vshm_region_close(one.r));
	ck_ok(vshm_region_close(two.r));
	world_destroy(&w);
}
END_TEST

/* ---- several threads at one region handle ---- */

#define MANY 4

START_TEST(many_ends_of_one_handle)
{
	struct stream s[2 * MANY];
	pthread_t threads[4 * MANY];
	struct vshm_region *r[2];
	struct world w;

	world_create(&w, _i, 2, 65536);
	r[0] = world_open(&w, 0);
	r[1] = world_open(&w, 1);
	for (unsigned i = 0; i < 2 * MANY; i++) {
		char name[] = {'r', (char)('0' + i), '\0'};

		/* both directions: even rings go from peer 0 to 1, odd ones back */
		s[i] = (struct stream){NULL, NULL, 1500, 1000 * i, 50 + i, 120};
		s[i].p = producer(r[i % 2], name, 1024, 0);
		s[i].c = consumer(r[1 - i % 2], name, 0);
	}
	for (unsigned i = 0; i < 2 * MANY; i++) {
		threads[2 * i] = start_thread(send_all, &s[i]);
		threads[2 * i + 1] = start_thread(receive_all, &s[i]);
	}
	for (unsigned i = 0; i < 4 * MANY; i++)
		join_thread(threads[i]);
	ck_ok(vshm_region_close(r[0]));
	ck_ok(vshm_region_close(r[1]));
	world_destroy(&w);
}
END_TEST

/* Round trips of two sleepers: a lost wake-up would cost each of them a safety interval or more. */
static void *echo(void *arg)
{
	struct stream *s = arg;
	unsigned char buffer[64];
	size_t n;

	for (uint64_t i = 0; i < s->count; i++) {
		ck_ok(vshm_consumer_recv(s->c, buffer, sizeof(buffer), &n, SUPPORT_LONG));
		ck_ok(vshm_producer_send(s->p, buffer, n, SUPPORT_LONG));
	}
	return NULL;
}

START_TEST(ping_pong)
{
	struct stream there, back;
	struct vshm_region *a, *b;
	pthread_t thread;
	struct world w;

	world_create(&w, _i, 2, 65536);
	a = world_open(&w, 0);
	b = world_open(&w, 1);
	there = (struct stream){producer(a, "ping", 1024, 0), consumer(a, "pong", 0), 3000, 0, 0, 0};
	back = (struct stream){producer(b, "pong", 1024, 0), consumer(b, "ping", 0), 3000, 0, 0, 0};
	thread = start_thread(echo, &back);
	for (uint64_t i = 0; i < there.count; i++) {
		unsigned char ball[16];

		support_fill(ball, sizeof(ball), i);
		ck_ok(vshm_producer_send(there.p, ball, sizeof(ball), SUPPORT_LONG));
		get(there.c, sizeof(ball), i);
	}
	join_thread(thread);
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

Suite *suite_wait(void)
{
	Suite *s = suite_create("wait");
	TCase *tc = tcase_create("wait");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, two_threads_stream);
	add_everywhere(tc, two_threads_sleep_and_wake);
	add_everywhere(tc, polling_consumer);
	add_everywhere(tc, timeouts_pass);
	add_everywhere(tc, negative_timeouts);
	add_everywhere(tc, very_long_timeouts);
	add_everywhere(tc, signals_do_not_disturb);
	add_everywhere(tc, consumer_first);
	add_everywhere(tc, producer_first);
	add_everywhere(tc, both_at_once);
	add_everywhere(tc, region_handle_comes_late);
	add_everywhere(tc, close_lingers_until_read);
	add_everywhere(tc, close_gives_up_in_time);
	add_everywhere(tc, close_lingers_for_a_consumer_to_come);
	add_everywhere(tc, many_ends_of_one_handle);
	add_everywhere(tc, ping_pong);
	suite_add_tcase(s, tc);
	return s;
}
