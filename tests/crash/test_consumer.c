/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The consumer is killed, the producer goes on: it is told once, and the next consumer starts with the first record
 * that the dead one had not released.
 */
#include "crash.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

struct survivor {
	struct scene s;
	struct vshm_region *region;
	struct vshm_producer *p;
	uint64_t sent;
	uint64_t released; /* by all consumers so far, as far as they could note it */
	uint64_t told; /* deaths */
	unsigned pace_us;
	int64_t slowest_ns;
};

static void survivor_open(struct survivor *u, uint32_t spin_us, unsigned pace_us)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;

	memset(u, 0, sizeof(*u));
	scene_open(&u->s, 2);
	u->pace_us = pace_us;
	u->region = scene_attach(&u->s, 0, 20000);
	o.ring_size = RING_SIZE;
	o.spin_us = spin_us;
	ck_assert_int_eq(vshm_producer_open(u->region, RING_NAME, &o, &u->p), 0);
}

/* 0, -EAGAIN when it is full, or what the producer was told. */
static int send_next(struct survivor *u, int64_t timeout_ns)
{
	size_t size = record_size(1, u->sent);
	void *data;
	int rc = vshm_producer_reserve(u->p, size, &data, timeout_ns);

	if (rc)
		return rc == -ETIMEDOUT ? -EAGAIN : rc;
	record_fill(data, 1, u->sent);
	ck_assert_int_eq(vshm_producer_commit(u->p, size, 0), 0);
	u->sent++;
	if (u->pace_us && support_below(&u->s.seed, 16) == 0)
		support_sleep_us((int64_t)support_below(&u->s.seed, u->pace_us));
	return 0;
}

/* Sends until the consumer of this run is dead, and until that was told if it had come so far as to be known. */
static void send_until_told(struct survivor *u, struct killer *k)
{
	int64_t dead = 0;
	int told = 0, rc;

	while (!dead || !told) {
		rc = send_next(u, 5 * SUPPORT_MS);
		told |= rc == -EPIPE || rc == -ESTALE;
		ck_assert_msg(rc == 0 || rc == -EAGAIN || rc == -EPIPE || rc == -ESTALE, "%d %s", rc,
			      vshm_strerror(rc));
		dead = killer_dead_at(k);
		if (dead && !told && !noted(u->s.notes->first) && support_now_ns() - dead > 30 * SUPPORT_MS)
			break; /* it died before it was connected */
		ck_assert_msg(!dead || support_now_ns() - dead < SUPPORT_LONG, "the death was not told");
	}
	if (told && support_now_ns() - dead > u->slowest_ns)
		u->slowest_ns = support_now_ns() - dead;
	u->told += (uint64_t)told;
	killer_join(k);
}

/* No gap between one consumer and the next: what was not released comes again, nothing is skipped. */
static void check_gap(struct survivor *u)
{
	uint64_t first = noted(u->s.notes->first), done = noted(u->s.notes->done);

	ck_assert_uint_eq(noted(u->s.notes->error), 0);
	if (!first)
		return;
	/* the last release may have happened, and its note not */
	ck_assert_msg(first - 1 <= u->released + 1, "record %llu was the last released, %llu comes next",
		      (unsigned long long)u->released, (unsigned long long)first - 1);
	if (done > u->released)
		u->released = done;
}

static void kill_one(struct survivor *u)
{
	pid_t pid = start_peer(&u->s, "consume", 1, 1, 200, -1);
	struct killer k;

	killer_start_random(&k, pid, &u->s);
	send_until_told(u, &k);
	check_gap(u);
}

/* The last one is not killed and reads everything. */
static void finish(struct survivor *u)
{
	pid_t pid = start_peer(&u->s, "consume", 1, 1, 0, -1);
	int64_t end = support_now_ns() + SUPPORT_LONG;
	int rc;

	while (!noted(u->s.notes->first) && support_now_ns() < end)
		(void)send_next(u, 5 * SUPPORT_MS);
	do
		rc = vshm_producer_close(u->p, SUPPORT_LONG);
	while (rc == -EHOSTDOWN);
	ck_assert_msg(rc == 0, "close: %d %s", rc, vshm_strerror(rc));
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	check_gap(u);
	ck_assert_uint_eq(u->released, u->sent);
}

static void stream_and_kill(uint32_t spin_us, unsigned pace_us, unsigned share, const char *what)
{
	unsigned count = kills(share);
	struct survivor u;

	survivor_open(&u, spin_us, pace_us);
	for (unsigned i = 0; i < count; i++)
		kill_one(&u);
	finish(&u);
	ck_assert_int_eq(vshm_region_close(u.region), 0);
	scene_close(&u.s);
	printf("%s: %u kills, %llu told, %llu records, slowest after %lld us\n", what, count,
	       (unsigned long long)u.told, (unsigned long long)u.sent, (long long)(u.slowest_ns / 1000));
}

START_TEST(sleeping_producer)
{
	stream_and_kill(0, 0, 60, "consumer killed, producer sleeps for room");
}
END_TEST

START_TEST(slow_producer)
{
	stream_and_kill(UINT32_MAX, 500, 40, "consumer killed, consumer sleeps for records");
}
END_TEST

Suite *suite_consumer(void)
{
	Suite *s = suite_create("consumer");
	TCase *tc = tcase_create("consumer");

	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_test(tc, sleeping_producer);
	tcase_add_test(tc, slow_producer);
	suite_add_tcase(s, tc);
	return s;
}
