/* SPDX-License-Identifier: BSD-3-Clause */
/* vshm_region_cancel: every wait ends, from another thread and from a signal handler, until it is resumed. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

static void *cancel_late(void *region)
{
	support_sleep_us(30000);
	ck_ok(vshm_region_cancel(region));
	return NULL;
}

/* A wait without end, that a cancel from another thread ends. */
static void cancelled(struct vshm_region *r, int (*wait)(struct pair *t), struct pair *t)
{
	int64_t began = support_now_ns();
	pthread_t thread = start_thread(cancel_late, r);

	ck_is(wait(t), -ECANCELED);
	ck_assert_int_lt(support_now_ns() - began, SUPPORT_LONG);
	join_thread(thread);
	ck_is(wait(t), -ECANCELED); /* those that begin later, too */
	ck_ok(vshm_region_resume(r));
}

static int peek(struct pair *t)
{
	struct vshm_view v;

	return vshm_consumer_peek(t->c, &v, VSHM_FOREVER);
}

static int peek_burst(struct pair *t)
{
	struct vshm_view v[4];

	return vshm_consumer_peek_burst(t->c, v, 4, SUPPORT_LONG);
}

static int receive(struct pair *t)
{
	unsigned char byte;
	size_t n;

	return vshm_consumer_recv(t->c, &byte, 1, &n, VSHM_FOREVER);
}

static int poll_both(struct pair *t)
{
	struct vshm_poll end = {NULL, t->c, 0, 0};

	return vshm_poll(t->b, &end, 1, VSHM_FOREVER);
}

static int reserve(struct pair *t)
{
	void *data;

	return vshm_producer_reserve(t->p, 200, &data, VSHM_FOREVER);
}

static int send_one(struct pair *t)
{
	unsigned char bytes[200] = {0};

	return vshm_producer_send(t->p, bytes, sizeof(bytes), VSHM_FOREVER);
}

START_TEST(from_another_thread)
{
	struct pair t;

	pair_open(&t, _i, 256);
	cancelled(t.b, peek, &t);
	cancelled(t.b, peek_burst, &t);
	cancelled(t.b, receive, &t);
	cancelled(t.b, poll_both, &t);
	put(t.p, t.c, 200, 1);
	cancelled(t.a, reserve, &t);
	cancelled(t.a, send_one, &t);
	get(t.c, 200, 1);
	put(t.p, t.c, 20, 2); /* as if nothing had been */
	get(t.c, 20, 2);
	pair_close(&t);
}
END_TEST

START_TEST(a_close_that_lingers)
{
	pthread_t thread;
	struct pair t;

	pair_open(&t, _i, 256);
	put(t.p, t.c, 8, 1);
	thread = start_thread(cancel_late, t.a);
	ck_is(vshm_producer_close(t.p, VSHM_FOREVER), -ECANCELED);
	join_thread(thread);
	get(t.c, 8, 1);
	get_nothing(t.c, -ENODATA);
	pair_close(&t);
}
END_TEST

/* One that waits for a producer to come. */
START_TEST(without_a_producer)
{
	struct vshm_region *r;
	struct pair t;

	world_create(&t.w, _i, 2, 65536);
	r = t.b = world_open(&t.w, 1);
	t.c = consumer(r, "lonely", 0);
	cancelled(r, peek, &t);
	cancelled(r, poll_both, &t);
	ck_ok(vshm_region_close(r));
	world_destroy(&t.w);
}
END_TEST

START_TEST(what_need_not_wait_goes_on)
{
	struct vshm_poll end = {NULL, NULL, 0, 0};
	struct vshm_view v;
	struct pair t;
	void *data;

	pair_open(&t, _i, 256);
	ck_ok(vshm_region_cancel(t.a));
	ck_ok(vshm_region_cancel(t.b));
	put(t.p, t.c, 200, 1);
	ck_is(vshm_producer_reserve(t.p, 200, &data, 0), -EAGAIN);
	ck_is(vshm_producer_reserve(t.p, 200, &data, SUPPORT_LONG), -ECANCELED);
	end.consumer = t.c;
	ck_is(vshm_poll(t.b, &end, 1, SUPPORT_LONG), 1);
	get(t.c, 200, 1);
	ck_is(vshm_poll(t.b, &end, 1, 0), -EAGAIN);
	ck_is(vshm_poll(t.b, &end, 1, SUPPORT_LONG), -ECANCELED);
	get_nothing(t.c, -EAGAIN);
	ck_ok(vshm_region_resume(t.b));
	ck_is(vshm_consumer_peek(t.c, &v, SUPPORT_MS), -ETIMEDOUT);
	ck_ok(vshm_region_resume(t.b));
	pair_close(&t);
}
END_TEST

static struct vshm_region *to_cancel;

static void on_signal(int signal)
{
	(void)signal;
	(void)vshm_region_cancel(to_cancel);
}

START_TEST(from_a_signal_handler)
{
	struct sigaction action;
	struct pair t;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESTART; /* it is not EINTR that ends the wait */
	pair_open(&t, _i, 256);
	to_cancel = t.b;
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	(void)ualarm(30000, 0);
	ck_is(peek(&t), -ECANCELED);
	ck_ok(vshm_region_resume(t.b));
	(void)ualarm(30000, 0);
	ck_is(poll_both(&t), -ECANCELED);
	pair_close(&t);
}
END_TEST

#define MANY 8

struct racer {
	struct vshm_region *r;
	struct vshm_consumer *c;
};

static void *wait_for_cancel(void *arg)
{
	const struct racer *racer = arg;
	struct vshm_view v;

	ck_is(vshm_consumer_peek(racer->c, &v, SUPPORT_LONG), -ECANCELED);
	return NULL;
}

/* At every moment of a wait, several waits at a time: none sleeps on for the 100 ms after which each looks around. */
START_TEST(none_is_missed)
{
	struct racer racers[MANY];
	pthread_t threads[MANY];
	struct vshm_region *r;
	struct world w;
	unsigned late = 0;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	for (unsigned i = 0; i < MANY; i++) {
		char name[] = {'r', (char)('0' + i), '\0'};

		racers[i] = (struct racer){r, consumer(r, name, 0)};
	}
	for (unsigned round = 0; round < 60; round++) {
		int64_t began;

		for (unsigned i = 0; i < MANY; i++)
			threads[i] = start_thread(wait_for_cancel, &racers[i]);
		support_sleep_us(round * 20);
		began = support_now_ns();
		ck_ok(vshm_region_cancel(r));
		for (unsigned i = 0; i < MANY; i++)
			join_thread(threads[i]);
		late += support_now_ns() - began > 90 * SUPPORT_MS;
		ck_ok(vshm_region_resume(r));
	}
	ck_assert_uint_lt(late, 15);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

static int spins;

static void *wait_spinning(void *consumer)
{
	struct vshm_view v;

	__atomic_store_n(&spins, 1, __ATOMIC_RELEASE);
	ck_is(vshm_consumer_peek(consumer, &v, SUPPORT_LONG), -ECANCELED);
	return NULL;
}

/* A waiter that spins has looked at the flag before the cancel; it sees it before it sleeps. */
START_TEST(while_it_spins)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_consumer *c;
	struct vshm_producer *p;
	unsigned late = 0;
	struct pair t;

	pair_open(&t, _i, 256);
	o.spin_us = 20000;
	ck_ok(vshm_consumer_open(t.b, "other", &o, &c));
	p = producer(t.a, "other", 256, 0);
	connect_ends(p, c);
	for (unsigned i = 0; i < 5; i++) {
		pthread_t thread = start_thread(wait_spinning, c);
		int64_t began;

		while (!__atomic_exchange_n(&spins, 0, __ATOMIC_ACQUIRE))
			support_sleep_us(100);
		support_sleep_us(3000);
		began = support_now_ns();
		ck_ok(vshm_region_cancel(t.b));
		join_thread(thread);
		late += support_now_ns() - began > 90 * SUPPORT_MS; /* it would sleep for 100 ms */
		ck_ok(vshm_region_resume(t.b));
	}
	ck_assert_uint_lt(late, 3); /* a busy machine may be late, too */
	pair_close(&t);
}
END_TEST

START_TEST(bad_arguments)
{
	struct vshm_region *r;
	struct world w;
	pid_t pid;

	ck_is(vshm_region_cancel(NULL), -EINVAL);
	ck_is(vshm_region_resume(NULL), -EINVAL);
	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	ck_ok(vshm_region_resume(r)); /* nothing to resume */
	pid = support_fork();
	if (!pid)
		_exit(vshm_region_cancel(r) == -ECHILD && vshm_region_resume(r) == -ECHILD ? 0 : 1);
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

Suite *suite_cancel(void)
{
	Suite *s = suite_create("cancel");
	TCase *tc = tcase_create("cancel");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, from_another_thread);
	add_everywhere(tc, a_close_that_lingers);
	add_everywhere(tc, without_a_producer);
	add_everywhere(tc, what_need_not_wait_goes_on);
	add_everywhere(tc, from_a_signal_handler);
	add_everywhere(tc, none_is_missed);
	add_everywhere(tc, while_it_spins);
	add_everywhere(tc, bad_arguments);
	suite_add_tcase(s, tc);
	return s;
}
