/* SPDX-License-Identifier: BSD-3-Clause */
/* vshm_poll: many ends at once, none hidden by another, nothing shown or lost by looking. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

/* Several rings from peer 0 to peer 1. */
#define MOST 64

struct rings {
	struct world w;
	struct vshm_region *a, *b;
	struct vshm_producer *p[MOST];
	struct vshm_consumer *c[MOST];
	struct vshm_poll in[MOST], out[MOST];
	unsigned count;
};

static void rings_open(struct rings *t, int transport, unsigned count, uint64_t ring_size)
{
	memset(t, 0, sizeof(*t));
	t->count = count;
	world_create(&t->w, transport, 2, 65536);
	t->a = world_open(&t->w, 0);
	t->b = world_open(&t->w, 1);
	for (unsigned i = 0; i < count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "ring%u", i);
		t->p[i] = producer(t->a, name, ring_size, 0);
		t->c[i] = consumer(t->b, name, 0);
		connect_ends(t->p[i], t->c[i]);
		t->in[i].consumer = t->c[i];
		t->out[i].producer = t->p[i];
		t->out[i].size = 200;
	}
}

static void rings_close(struct rings *t)
{
	ck_ok(vshm_region_close(t->a));
	ck_ok(vshm_region_close(t->b));
	world_destroy(&t->w);
}

START_TEST(all_that_are_ready_are_marked)
{
	struct rings t;

	rings_open(&t, _i, 3, 256);
	t.in[0].ready = t.in[1].ready = 7;
	ck_is(vshm_poll(t.b, t.in, 3, 0), -EAGAIN);
	ck_assert_int_eq(t.in[0].ready | t.in[1].ready | t.in[2].ready, 0);
	put(t.p[0], t.c[0], 200, 0);
	put(t.p[2], t.c[2], 8, 2);
	for (unsigned again = 0; again < 2; again++) {
		ck_is(vshm_poll(t.b, t.in, 3, again ? SUPPORT_LONG : 0), 2);
		ck_assert_int_eq(t.in[0].ready, 1);
		ck_assert_int_eq(t.in[1].ready, 0);
		ck_assert_int_eq(t.in[2].ready, 1);
	}
	/* room for 200 bytes */
	ck_is(vshm_poll(t.a, t.out, 3, 0), 2);
	ck_assert_int_eq(t.out[0].ready, 0);
	ck_assert_int_eq(t.out[1].ready, 1);
	ck_assert_int_eq(t.out[2].ready, 1);
	get(t.c[0], 200, 0);
	get_nothing(t.c[0], -EAGAIN);
	ck_is(vshm_poll(t.a, t.out, 3, SUPPORT_LONG), 3);
	ck_is(vshm_poll(t.b, t.in, 3, SUPPORT_LONG), 1);
	get(t.c[2], 8, 2);
	ck_is(vshm_poll(t.b, t.in, 3, 3 * SUPPORT_MS), -ETIMEDOUT);
	rings_close(&t);
}
END_TEST

/* Reads and writes in the same poll; what a peer that is not there yet will send. */
START_TEST(both_directions)
{
	struct vshm_poll ends[2] = {{NULL, NULL, 0, 0}, {NULL, NULL, 100, 0}};
	struct vshm_producer *p;
	struct pair t;

	pair_open(&t, _i, 256);
	ends[0].consumer = consumer(t.a, "back", 0);
	ends[1].producer = t.p;
	ck_is(vshm_poll(t.a, ends, 2, 0), 1);
	ck_assert_int_eq(ends[1].ready, 1);
	put(t.p, t.c, 200, 1);
	ck_is(vshm_poll(t.a, ends, 2, SUPPORT_MS), -ETIMEDOUT);
	p = producer(t.b, "back", 256, 0);
	connect_ends(p, ends[0].consumer);
	put(p, ends[0].consumer, 8, 2);
	ck_is(vshm_poll(t.a, ends, 2, SUPPORT_LONG), 1);
	ck_assert_int_eq(ends[0].ready, 1);
	ck_assert_int_eq(ends[1].ready, 0);
	get(ends[0].consumer, 8, 2);
	pair_close(&t);
}
END_TEST

START_TEST(what_is_held_stays)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct vshm_poll in = {NULL, NULL, 0, 0}, out = {NULL, NULL, 64, 0};
	struct vshm_view v[3];
	struct pair t;
	void *data;

	pair_open(&t, _i, 256);
	in.consumer = t.c;
	out.producer = t.p;
	for (unsigned i = 0; i < 3; i++)
		put(t.p, t.c, 8, i);
	ck_is(vshm_poll(t.b, &in, 1, 0), 1);
	ck_is(vshm_consumer_release(t.c), -EINVAL); /* nothing was shown */
	ck_is(vshm_consumer_peek_burst(t.c, v, 3, 0), 3);
	ck_is(vshm_poll(t.b, &in, 1, 0), 1);
	ck_assert(support_same(v[2].data, 8, 2));
	ck_ok(vshm_consumer_release(t.c));
	ck_ok(vshm_consumer_counters(t.c, &n));
	ck_assert_uint_eq(n.records, 3);
	get_nothing(t.c, -EAGAIN);

	ck_is(vshm_poll(t.a, &out, 1, 0), 1);
	ck_is(vshm_producer_commit(t.p, 64, 0), -EINVAL); /* nothing was reserved */
	ck_ok(vshm_producer_reserve(t.p, 100, &data, 0));
	support_fill(data, 100, 7);
	ck_is(vshm_poll(t.a, &out, 1, 0), 1);
	ck_ok(vshm_producer_commit(t.p, 100, 0));
	get(t.c, 100, 7);
	ck_is(vshm_producer_reserve_burst(t.p, 8, &data, 1, 0), 1);
	out.size = 8;
	ck_is(vshm_poll(t.a, &out, 1, 0), 1);
	support_fill(data, 8, 8);
	ck_ok(vshm_producer_commit_burst(t.p, 1, 0));
	get(t.c, 8, 8);
	ck_ok(vshm_producer_reserve(t.p, 8, &data, 0));
	out.size = 64;
	ck_is(vshm_poll(t.a, &out, 1, SUPPORT_MS), 1);
	ck_is(vshm_producer_commit(t.p, 8, 0), -EINVAL); /* too small: given up */
	pair_close(&t);
}
END_TEST

/* What is said once is seen by any number of polls, then said by the end. */
START_TEST(said_once)
{
	struct vshm_poll end = {NULL, NULL, 0, 0};
	struct vshm_consumer *follower;
	struct vshm_producer *p;
	struct pair t;

	pair_open(&t, _i, 256);
	follower = consumer(t.b, "other", VSHM_CONSUMER_FOLLOW);
	end.consumer = follower;
	for (unsigned i = 0; i < 2; i++) {
		p = producer(t.a, "other", 256, 0);
		connect_ends(p, follower);
		ck_ok(vshm_producer_close(p, SUPPORT_LONG));
		ck_is(vshm_poll(t.b, &end, 1, SUPPORT_LONG), 1);
		ck_is(end.ready, -ENODATA);
		ck_is(vshm_poll(t.b, &end, 1, 0), 1);
		ck_is(end.ready, -ENODATA);
		get_nothing(follower, -ENODATA);
		get_nothing(follower, -EAGAIN);
		ck_is(vshm_poll(t.b, &end, 1, 0), -EAGAIN);
	}
	/* and what is said for ever */
	end.consumer = t.c;
	ck_ok(vshm_producer_close(t.p, SUPPORT_LONG));
	ck_is(vshm_poll(t.b, &end, 1, SUPPORT_LONG), 1);
	get_nothing(t.c, -ENODATA);
	ck_is(vshm_poll(t.b, &end, 1, 0), 1);
	get_nothing(t.c, -ENODATA);
	pair_close(&t);
}
END_TEST

/* A consumer that dies: its producer is told once, a poll before it or not. */
START_TEST(the_death_of_a_consumer)
{
	struct vshm_poll end = {NULL, NULL, 200, 0};
	struct vshm_region *a;
	struct world w;
	void *data;
	pid_t pid;
	int rc;

	world_create(&w, _i, 2, 65536);
	if (w.kind == WORLD_INPROC) {
		world_destroy(&w);
		return;
	}
	pid = support_fork();
	if (!pid) {
		struct vshm_view v;

		(void)!vshm_consumer_peek(consumer(world_open(&w, 1), "ring", 0), &v, VSHM_FOREVER);
		for (;;)
			pause();
	}
	a = world_open(&w, 0);
	end.producer = producer(a, "ring", 256, 0);
	ck_ok(vshm_producer_send(end.producer, "x", 1, SUPPORT_LONG));
	do { /* until it is connected, and has not read */
		rc = vshm_producer_reserve(end.producer, 200, &data, 10 * SUPPORT_MS);
		if (!rc)
			ck_ok(vshm_producer_commit(end.producer, 200, 0));
	} while (!rc);
	ck_is(rc, -ETIMEDOUT);
	for (struct vshm_end_info info = VSHM_END_INFO_INIT; !info.connected; support_sleep_us(1000))
		ck_ok(vshm_region_end(a, 0, 0, &info));
	support_kill(pid);
	ck_is(vshm_poll(a, &end, 1, SUPPORT_LONG), 1);
	ck_is(end.ready, -EPIPE);
	ck_is(vshm_poll(a, &end, 1, 0), 1);
	ck_is(vshm_producer_reserve(end.producer, 200, &data, 0), -EPIPE);
	ck_is(vshm_producer_reserve(end.producer, 200, &data, 0), -EAGAIN);
	ck_ok(vshm_region_close(a));
	world_destroy(&w);
}
END_TEST

START_TEST(a_record_that_is_too_large)
{
	struct vshm_poll end = {NULL, NULL, 1000, 0};
	struct pair t;

	pair_open(&t, _i, 256);
	end.producer = t.p;
	ck_is(vshm_poll(t.a, &end, 1, VSHM_FOREVER), 1);
	ck_is(end.ready, -EMSGSIZE);
	put(t.p, t.c, 8, 1);
	get(t.c, 8, 1);
	pair_close(&t);
}
END_TEST

/* ---- asleep ---- */

struct ball {
	struct vshm_region *r;
	struct vshm_poll in; /* where it comes from */
	struct vshm_producer *out;
	unsigned rounds;
	unsigned late; /* rounds that took as long as the look around that makes up for a lost doorbell */
};

static void throw(const struct ball *ball, uint64_t key)
{
	struct vshm_poll out = {ball->out, NULL, 16, 0};
	unsigned char bytes[16];

	ck_is(vshm_poll(ball->r, &out, 1, SUPPORT_LONG), 1);
	support_fill(bytes, sizeof(bytes), key);
	ck_ok(vshm_producer_send(ball->out, bytes, sizeof(bytes), 0));
}

static void catch(struct ball *ball, uint64_t key)
{
	int64_t began = support_now_ns();

	ck_is(vshm_poll(ball->r, &ball->in, 1, SUPPORT_LONG), 1);
	ball->late += support_now_ns() - began > 90 * SUPPORT_MS;
	get(ball->in.consumer, 16, key);
}

static void *play_back(void *arg)
{
	struct ball *ball = arg;

	for (unsigned i = 0; i < ball->rounds; i++) {
		catch(ball, i);
		throw(ball, i);
	}
	return NULL;
}

static struct vshm_consumer *sleepy_consumer(struct vshm_region *r, const char *name)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_consumer *c;

	o.spin_us = 0;
	ck_ok(vshm_consumer_open(r, name, &o, &c));
	return c;
}

START_TEST(no_wake_up_is_lost)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct ball there, back;
	struct vshm_region *a, *b;
	pthread_t thread;
	struct world w;

	world_create(&w, _i, 2, 65536);
	a = world_open(&w, 0);
	b = world_open(&w, 1);
	there = (struct ball){a, {NULL, sleepy_consumer(a, "pong"), 0, 0}, producer(a, "ping", 256, 0), 2000, 0};
	back = (struct ball){b, {NULL, sleepy_consumer(b, "ping"), 0, 0}, producer(b, "pong", 256, 0), 2000, 0};
	thread = start_thread(play_back, &back);
	for (unsigned i = 0; i < there.rounds; i++) {
		throw(&there, i);
		catch(&there, i);
	}
	join_thread(thread);
	ck_ok(vshm_consumer_counters(there.in.consumer, &n));
	ck_assert_uint_gt(n.sleeps, 0);
	/* a busy machine may be late, too; a sleep that ended by itself is one more than its round needed */
	ck_assert_uint_le(there.late + back.late, 20);
	ck_assert_uint_le(n.sleeps, there.rounds + n.spurious + 20);
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

/* Several rings, sizes that change, pads, rings that are often full; each side waits in polls only, in two threads. */
struct part {
	struct vshm_region *r;
	struct vshm_poll *ends;
	uint64_t sent[MOST]; /* or received */
	unsigned count, late;
};

#define EACH 2000u

static size_t size_of(uint64_t i)
{
	return support_below(&i, 200);
}

/* One more, or nothing yet. */
static void move_one(struct part *part, unsigned i)
{
	struct vshm_poll *end = &part->ends[i];
	size_t size = size_of(part->sent[i]);
	struct vshm_view v;
	void *data;

	if (end->producer) {
		ck_ok(vshm_producer_reserve(end->producer, size, &data, 0));
		support_fill(data, size, part->sent[i]);
		ck_ok(vshm_producer_commit(end->producer, size, 0));
	} else {
		ck_ok(vshm_consumer_peek(end->consumer, &v, 0));
		ck_assert_uint_eq(v.size, size);
		ck_assert(support_same(v.data, size, part->sent[i]));
		ck_ok(vshm_consumer_release(end->consumer));
	}
	part->sent[i]++;
	end->size = size_of(part->sent[i]);
}

static void *move_all(void *arg)
{
	struct part *part = arg;
	uint64_t left = (uint64_t)part->count * EACH;

	while (left) {
		int64_t began = support_now_ns();

		ck_assert_int_ge(vshm_poll(part->r, part->ends, part->count, SUPPORT_LONG), 1);
		part->late += support_now_ns() - began > 90 * SUPPORT_MS;
		for (unsigned i = 0; i < part->count; i++) {
			if (!part->ends[i].ready || part->sent[i] == EACH)
				continue;
			move_one(part, i);
			left--;
		}
		if (left % 64 == 0)
			support_sleep_us(200);
	}
	return NULL;
}

START_TEST(streams_in_two_threads)
{
	pthread_t threads[4];
	struct part parts[4];
	struct rings t;

	rings_open(&t, _i, 6, 256);
	for (unsigned i = 0; i < 4; i++) {
		unsigned first = i % 2 * 3;

		parts[i] = (struct part){i < 2 ? t.a : t.b, i < 2 ? &t.out[first] : &t.in[first], {0}, 3, 0};
		for (unsigned j = 0; j < 3; j++)
			parts[i].ends[j].size = size_of(0);
		threads[i] = start_thread(move_all, &parts[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		join_thread(threads[i]);
		ck_assert_uint_le(parts[i].late, 20);
	}
	rings_close(&t);
}
END_TEST

static void *flood(void *arg)
{
	struct vshm_producer *p = arg;
	void *data;

	while (!vshm_producer_reserve(p, 32, &data, VSHM_FOREVER)) {
		memset(data, 1, 32);
		ck_ok(vshm_producer_commit(p, 32, 0));
	}
	return NULL;
}

/* Takes one record from each end that is ready. Did `quiet` have one? */
static bool serve(struct rings *t, unsigned quiet)
{
	struct vshm_view v;

	ck_assert_int_ge(vshm_poll(t->b, t->in, t->count, SUPPORT_LONG), 1);
	for (unsigned i = 0; i < t->count; i++) {
		if (!t->in[i].ready)
			continue;
		ck_is(t->in[i].ready, 1);
		ck_ok(vshm_consumer_peek(t->c[i], &v, 0));
		ck_ok(vshm_consumer_release(t->c[i]));
	}
	return t->in[quiet].ready == 1;
}

START_TEST(a_flood_hides_nobody)
{
	pthread_t thread;
	struct rings t;

	rings_open(&t, _i, 3, 4096);
	thread = start_thread(flood, t.p[0]);
	for (unsigned i = 0; i < 500; i++) {
		unsigned quiet = 1 + i % 2;

		serve(&t, quiet);
		ck_ok(vshm_producer_send(t.p[quiet], &i, sizeof(i), 0));
		ck_assert_msg(serve(&t, quiet), "not served by the very next poll");
	}
	ck_ok(vshm_region_cancel(t.a));
	join_thread(thread);
	rings_close(&t);
}
END_TEST

static void *send_one_late(void *p)
{
	support_sleep_us(20000);
	ck_ok(vshm_producer_send(p, "hello", 5, 0));
	return NULL;
}

static void *read_one_late(void *c)
{
	struct vshm_view v;

	support_sleep_us(20000);
	ck_ok(vshm_consumer_peek(c, &v, 0));
	ck_ok(vshm_consumer_release(c));
	ck_is(vshm_consumer_peek(c, &v, 0), -EAGAIN);
	return NULL;
}

START_TEST(many_ends)
{
	struct vshm_view v;
	pthread_t thread;
	struct rings t;

	rings_open(&t, _i, MOST, 256);
	ck_is(vshm_poll(t.b, t.in, MOST, 5 * SUPPORT_MS), -ETIMEDOUT);
	for (unsigned i = 0; i < MOST; i += 21) {
		thread = start_thread(send_one_late, t.p[i]);
		ck_is(vshm_poll(t.b, t.in, MOST, SUPPORT_LONG), 1);
		ck_assert_int_eq(t.in[i].ready, 1);
		join_thread(thread);
		ck_ok(vshm_consumer_peek(t.c[i], &v, 0));
		ck_ok(vshm_consumer_release(t.c[i]));
	}
	for (unsigned i = 0; i < MOST; i++)
		put(t.p[i], t.c[i], 200, i);
	ck_is(vshm_poll(t.b, t.in, MOST, 0), MOST);
	ck_is(vshm_poll(t.a, t.out, MOST, 5 * SUPPORT_MS), -ETIMEDOUT);
	thread = start_thread(read_one_late, t.c[40]);
	ck_is(vshm_poll(t.a, t.out, MOST, SUPPORT_LONG), 1);
	ck_assert_int_eq(t.out[40].ready, 1);
	join_thread(thread);
	rings_close(&t);
}
END_TEST

/* A consumer that its producer never rings. */
START_TEST(one_that_never_sleeps)
{
	struct vshm_poll ends[2] = {{NULL, NULL, 0, 0}, {NULL, NULL, 0, 0}};
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct vshm_producer *p;
	pthread_t thread;
	struct pair t;

	pair_open(&t, _i, 256);
	ends[0].consumer = t.c;
	ends[1].consumer = consumer(t.b, "polls", VSHM_CONSUMER_POLL);
	p = producer(t.a, "polls", 256, 0);
	connect_ends(p, ends[1].consumer);
	thread = start_thread(send_one_late, p);
	ck_is(vshm_poll(t.b, ends, 2, SUPPORT_LONG), 1);
	ck_assert_int_eq(ends[1].ready, 1);
	join_thread(thread);
	ck_ok(vshm_consumer_counters(ends[1].consumer, &n));
	ck_assert_uint_eq(n.sleeps, 0);
	pair_close(&t);
}
END_TEST

/* ---- mistakes ---- */

START_TEST(bad_arguments)
{
	struct vshm_poll ends[VSHM_POLL_MAX + 1];
	struct rings t;

	rings_open(&t, _i, 2, 256);
	for (unsigned i = 0; i <= VSHM_POLL_MAX; i++)
		ends[i] = t.in[0];
	ck_is(vshm_poll(NULL, t.in, 2, 0), -EINVAL);
	ck_is(vshm_poll(t.b, NULL, 2, 0), -EINVAL);
	ck_is(vshm_poll(t.b, t.in, 0, 0), -EINVAL);
	ck_is(vshm_poll(t.b, ends, VSHM_POLL_MAX + 1, 0), -EINVAL);
	ck_is(vshm_poll(t.b, ends, 2, 0), -EINVAL); /* twice */
	ck_is(vshm_poll(t.b, t.in, 2, -2), -EINVAL);
	ck_is(vshm_poll(t.b, t.in, 2, INT64_MIN), -EINVAL);
	ck_is(vshm_poll(t.a, t.in, 2, 0), -EINVAL); /* of another region handle */
	ends[0].producer = t.p[0];
	ck_is(vshm_poll(t.b, ends, 1, 0), -EINVAL); /* both */
	ends[0].producer = NULL;
	ends[0].consumer = NULL;
	ck_is(vshm_poll(t.b, ends, 1, 0), -EINVAL); /* neither */
	ck_ok(vshm_consumer_close(t.c[1]));
	t.in[0].ready = 5;
	ck_is(vshm_poll(t.b, t.in, 2, 0), -EINVAL); /* closed */
	ck_assert_int_eq(t.in[0].ready, 5);
	rings_close(&t);
}
END_TEST

START_TEST(a_region_that_is_gone)
{
	char why[VSHM_WHY_SIZE];
	struct rings t;

	rings_open(&t, _i, 2, 256);
	ck_ok(vshm_region_destroy(t.w.create_uri, why));
	ck_is(vshm_poll(t.b, t.in, 2, SUPPORT_LONG), -ESTALE);
	ck_is(vshm_poll(t.b, t.in, 2, 0), -ESTALE);
	ck_ok(vshm_region_close(t.a));
	ck_ok(vshm_region_close(t.b));
	if (t.w.kind == WORLD_NAMED)
		ck_ok(vshm_region_register(t.w.name, NULL, why));
}
END_TEST

START_TEST(in_a_forked_child)
{
	struct rings t;
	pid_t pid;

	rings_open(&t, _i, 2, 256);
	pid = support_fork();
	if (!pid)
		_exit(vshm_poll(t.b, t.in, 2, 0) == -ECHILD ? 0 : 1);
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	rings_close(&t);
}
END_TEST

Suite *suite_poll(void)
{
	Suite *s = suite_create("poll");
	TCase *tc = tcase_create("poll");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, all_that_are_ready_are_marked);
	add_everywhere(tc, both_directions);
	add_everywhere(tc, what_is_held_stays);
	add_everywhere(tc, said_once);
	add_everywhere(tc, the_death_of_a_consumer);
	add_everywhere(tc, a_record_that_is_too_large);
	add_everywhere(tc, no_wake_up_is_lost);
	add_everywhere(tc, streams_in_two_threads);
	add_everywhere(tc, a_flood_hides_nobody);
	add_everywhere(tc, many_ends);
	add_everywhere(tc, one_that_never_sleeps);
	add_everywhere(tc, bad_arguments);
	add_everywhere(tc, a_region_that_is_gone);
	add_everywhere(tc, in_a_forked_child);
	suite_add_tcase(s, tc);
	return s;
}
