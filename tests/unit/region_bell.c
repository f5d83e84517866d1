/* SPDX-License-Identifier: BSD-3-Clause */
/* region: a bell that is an interrupt, several threads that wait for it, and one that leads. No ring is lost. */
#include "region/region.h"
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#define WAITERS 3
#define LONG_NS (INT64_C(10) * 1000 * 1000 * 1000)
#define MS INT64_C(1000000)

static struct vshm_region region;
static const struct vshmi_transport_ops eventfds = {.scheme = "test"};

/* Only what the bell needs of a region. */
static void begin(void)
{
	memset(&region, 0, sizeof(region));
	region.ways = VSHM_WAY_DOORBELL;
	region.transport.ops = &eventfds;
	region.transport.news = -1;
	region.transport.bell = vshmi_eventfd_open();
	ck_assert_int_ge(region.transport.bell, 0);
	ck_ok(vshmi_bell_open(&region.bell_heard, &region));
	ck_assert(region.bell_heard.there);
}

static void end(void)
{
	vshmi_bell_close(&region.bell_heard);
	vshmi_eventfd_close(region.transport.bell);
}

static void ring(void)
{
	vshmi_eventfd_signal(region.transport.bell);
}

/* Somebody who waits for a number, which comes with a ring that says nothing of whom it is for. */
struct waiter {
	pthread_t thread;
	uint32_t number, seen, until;
	bool late;
};

static void *wait_for_numbers(void *arg)
{
	struct waiter *w = arg;

	while (w->seen < w->until) {
		int64_t begin_ns = vshmi_clock_ns();
		uint32_t kick, number;

		vshmi_bell_prepare(&region);
		kick = vshmi_load_acquire32(&region.kick);
		number = __atomic_load_n(&w->number, __ATOMIC_ACQUIRE); /* looks after it has noted the word */
		if (number == w->seen) {
			vshmi_bell_wait(&region, kick, LONG_NS);
			w->late |= vshmi_clock_ns() - begin_ns > LONG_NS / 2;
			continue;
		}
		__atomic_fetch_add(&region.found, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&w->seen, number, __ATOMIC_RELEASE);
	}
	return NULL;
}

START_TEST(no_ring_is_lost)
{
	uint64_t seed = support_seed();
	struct waiter waiters[WAITERS];

	begin();
	for (unsigned i = 0; i < WAITERS; i++) {
		waiters[i] = (struct waiter){.until = 3000};
		ck_ok(pthread_create(&waiters[i].thread, NULL, wait_for_numbers, &waiters[i]));
	}
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = 0; i < WAITERS; i++) {
			struct waiter *w = &waiters[i];
			int64_t give_up = vshmi_clock_ns() + LONG_NS / 2;

			__atomic_store_n(&w->number, round + 1, __ATOMIC_RELEASE);
			ring();
			if (support_below(&seed, 2)) /* sometimes all at once, sometimes one after the other */
				continue;
			while (__atomic_load_n(&w->seen, __ATOMIC_ACQUIRE) != round + 1)
				ck_assert_msg(vshmi_clock_ns() < give_up, "waiter %u does not hear number %u", i, round + 1);
		}
		for (unsigned i = 0; i < WAITERS; i++) {
			int64_t give_up = vshmi_clock_ns() + LONG_NS / 2;

			while (__atomic_load_n(&waiters[i].seen, __ATOMIC_ACQUIRE) != round + 1)
				ck_assert_msg(vshmi_clock_ns() < give_up, "waiter %u does not hear number %u", i, round + 1);
		}
	}
	for (unsigned i = 0; i < WAITERS; i++) {
		ck_ok(pthread_join(waiters[i].thread, NULL));
		ck_assert(!waiters[i].late);
	}
	ck_assert_uint_eq(region.bell_heard.waiting, 0);
	end();
}
END_TEST

static uint32_t note(void)
{
	return vshmi_load_acquire32(&region.kick);
}

/* Waits with what was noted earlier: does it end at once? */
static bool ends(uint32_t noted)
{
	int64_t begin_ns = vshmi_clock_ns();

	vshmi_bell_wait(&region, noted, LONG_NS / 2);
	return vshmi_clock_ns() - begin_ns < LONG_NS / 4;
}

/* One thread's ring is noticed by another one, which clears it before its own next sleep: both orders of the two. */
START_TEST(cleared_by_another)
{
	uint32_t noted;
	int fd;

	begin();
	fd = region.transport.bell;
	noted = note(); /* one has armed and looked, */
	ring();
	ck_assert(ends(note())); /* another one wakes, */
	vshmi_bell_prepare(&region);
	ck_assert(ends(noted)); /* and the first does not sleep. */

	ring();
	ck_assert(ends(note()));
	ck_assert_uint_eq(vshmi_poll(&fd, 1, 0), 1); /* not cleared yet: */
	noted = note();
	ring(); /* this one cannot be told from it */
	vshmi_bell_prepare(&region);
	ck_assert_uint_eq(vshmi_poll(&fd, 1, 0), 0);
	ck_assert(ends(noted));
	end();
}
END_TEST

static void *wait_once(void *arg)
{
	uint32_t *done = arg;

	vshmi_bell_wait(&region, vshmi_load_acquire32(&region.kick), LONG_NS);
	__atomic_store_n(done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void await_waiting(uint32_t count)
{
	while (__atomic_load_n(&region.bell_heard.waiting, __ATOMIC_SEQ_CST) != count)
		vshmi_sleep_ns(MS / 10);
	vshmi_sleep_ns(5 * MS); /* until they sleep */
}

/* A kick ends all waits, the leader's too. */
START_TEST(a_kick_ends_all_waits)
{
	pthread_t thread[WAITERS];
	uint32_t done[WAITERS] = {0};
	int64_t begin_ns;

	begin();
	for (unsigned i = 0; i < WAITERS; i++)
		ck_ok(pthread_create(&thread[i], NULL, wait_once, &done[i]));
	await_waiting(WAITERS);
	begin_ns = vshmi_clock_ns();
	vshmi_region_kick(&region);
	for (unsigned i = 0; i < WAITERS; i++)
		ck_ok(pthread_join(thread[i], NULL));
	ck_assert_int_lt(vshmi_clock_ns() - begin_ns, LONG_NS / 2);
	end();
}
END_TEST

/* Who leads gives the lead away when its own time is over. */
START_TEST(the_lead_is_passed_on)
{
	uint32_t done = 0, kick;
	pthread_t thread;

	begin();
	ck_ok(pthread_create(&thread, NULL, wait_once, &done));
	await_waiting(1); /* it leads */
	kick = vshmi_load_acquire32(&region.kick);
	vshmi_bell_wait(&region, kick, 5 * MS);
	ck_assert_uint_eq(__atomic_load_n(&done, __ATOMIC_ACQUIRE), 0);
	ring();
	ck_ok(pthread_join(thread, NULL));
	ck_assert_uint_ne(vshmi_load_acquire32(&region.kick), kick);
	ck_assert_uint_eq(region.bell_heard.led, 0);
	end();
}
END_TEST

static void *lead_for_a_while(void *arg)
{
	(void)arg;
	vshmi_bell_wait(&region, vshmi_load_acquire32(&region.kick), 100 * MS);
	return NULL;
}

/* Else those who are left would hear nothing more. */
START_TEST(a_leader_that_goes_wakes_the_others)
{
	int64_t begin_ns = vshmi_clock_ns();
	pthread_t leader, other;
	uint32_t done = 0;

	begin();
	ck_ok(pthread_create(&leader, NULL, lead_for_a_while, NULL));
	await_waiting(1);
	ck_ok(pthread_create(&other, NULL, wait_once, &done));
	ck_ok(pthread_join(leader, NULL));
	ck_ok(pthread_join(other, NULL));
	ck_assert_int_lt(vshmi_clock_ns() - begin_ns, LONG_NS / 2);
	end();
}
END_TEST

/* What rang before the wait is heard at once; what was kicked, too. */
START_TEST(what_came_before_the_wait)
{
	int64_t begin_ns = vshmi_clock_ns();
	uint32_t kick;

	begin();
	kick = vshmi_load_acquire32(&region.kick);
	ring();
	vshmi_bell_wait(&region, kick, LONG_NS);
	kick = vshmi_load_acquire32(&region.kick);
	vshmi_increment32(&region.kick);
	vshmi_bell_wait(&region, kick, LONG_NS);
	ck_assert_int_lt(vshmi_clock_ns() - begin_ns, LONG_NS / 2);
	end();
}
END_TEST

/* Rings for nothing, as fast as they come, cost about a thousand looks a second. */
START_TEST(a_flood)
{
	int64_t until = vshmi_clock_ns() + 300 * MS;
	unsigned looks = 0;

	begin();
	for (; vshmi_clock_ns() < until; looks++) {
		ring();
		vshmi_bell_wait(&region, vshmi_load_acquire32(&region.kick), 100 * MS);
	}
	ck_assert_uint_lt(looks, 2000);
	end();
}
END_TEST

/* While the program waits on the region's descriptor the keeper leads, and a ring kicks whoever waits otherwise. */
START_TEST(the_keeper_listens)
{
	uint32_t done = 0;
	pthread_t thread;

	begin();
	region.listens = 1;
	ck_ok(pthread_create(&thread, NULL, wait_once, &done));
	await_waiting(1);
	ring();
	vshmi_bell_keep(&region, true, vshmi_clock_ns() + LONG_NS);
	ck_ok(pthread_join(thread, NULL));
	vshmi_eventfd_signal(region.bell_heard.wake_keeper);
	vshmi_bell_keep(&region, false, vshmi_clock_ns() + LONG_NS);
	ck_assert_uint_eq(region.bell_heard.led, 0);
	end();
}
END_TEST

START_TEST(who_has_no_bell)
{
	memset(&region, 0, sizeof(region));
	ck_ok(vshmi_bell_open(&region.bell_heard, &region));
	ck_assert(!region.bell_heard.there);
	vshmi_region_kick(&region);
	vshmi_bell_close(&region.bell_heard);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("region_bell");
	TCase *tc = tcase_create("bell");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, no_ring_is_lost);
	tcase_add_test(tc, cleared_by_another);
	tcase_add_test(tc, a_kick_ends_all_waits);
	tcase_add_test(tc, the_lead_is_passed_on);
	tcase_add_test(tc, a_leader_that_goes_wakes_the_others);
	tcase_add_test(tc, what_came_before_the_wait);
	tcase_add_test(tc, a_flood);
	tcase_add_test(tc, the_keeper_listens);
	tcase_add_test(tc, who_has_no_bell);
	suite_add_tcase(suite, tc);
	return unit_run("region_bell", suite);
}
