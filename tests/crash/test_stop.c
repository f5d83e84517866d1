/* SPDX-License-Identifier: BSD-3-Clause */
/* Stopped is not dead: suspect, slot kept, healed by SIGCONT; and eviction, for those who stay stopped. */
#include "crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define LEASE_MS 300

static void wait_ready(struct scene *s, uint64_t ready)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;

	while (noted(s->notes->ready) < ready && !noted(s->notes->error) && support_now_ns() < end)
		support_sleep_us(200);
	ck_assert_uint_eq(noted(s->notes->error), 0);
	ck_assert_uint_ge(noted(s->notes->ready), ready);
}

static enum vshm_peer_state state_of(struct vshm_region *r, vshm_peer peer)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;

	ck_assert_int_eq(vshm_region_peer(r, peer, &info), 0);
	return info.state;
}

static void wait_state(struct vshm_region *r, vshm_peer peer, enum vshm_peer_state state)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;

	while (state_of(r, peer) != state) {
		ck_assert_msg(support_now_ns() < end, "peer %u is in state %d, not %d", peer, (int)state_of(r, peer),
			      (int)state);
		support_sleep_us(5000);
	}
}

static void slot_is_kept(struct scene *s, vshm_peer peer)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r = NULL;

	o.peer = peer;
	ck_assert_int_eq(vshm_region_open(s->uri, &o, &r, NULL), -EBUSY);
}

static struct vshm_consumer *follow(struct vshm_region *r)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_consumer *c = NULL;

	o.flags = VSHM_CONSUMER_FOLLOW;
	ck_assert_int_eq(vshm_consumer_open(r, RING_NAME, &o, &c), 0);
	return c;
}

/* Reads records until `code` is said, or, with code 0, `count` of them. -EHOSTDOWN is passed over on a busy machine. */
static void read_until(struct vshm_consumer *c, uint64_t run, uint64_t *number, int code, unsigned count)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	struct vshm_view v;
	int rc;

	while (code || count--) {
		rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);
		if (code && rc == code)
			return;
		ck_assert_msg(support_now_ns() < end, "no %d", code);
		if (rc == -EHOSTDOWN) {
			count++;
			continue;
		}
		ck_assert_msg(rc == 0, "peek: %d %s", rc, vshm_strerror(rc));
		ck_assert_msg(record_is(&v, run, *number), "record %llu is wrong", (unsigned long long)*number);
		++*number;
		(void)vshm_consumer_release(c);
	}
}

START_TEST(stopped_producer_is_suspect_and_heals)
{
	struct vshm_region *r;
	struct vshm_consumer *c;
	uint64_t number = 0;
	struct scene s;
	pid_t pid;

	scene_open(&s, 2);
	r = scene_attach(&s, 0, LEASE_MS);
	c = follow(r);
	pid = start_peer(&s, "produce", 1, 5, 100, -1);
	for (unsigned i = 0; i < 3; i++) {
		read_until(c, 5, &number, 0, 300);
		ck_assert_int_eq(kill(pid, SIGSTOP), 0);
		read_until(c, 5, &number, -EHOSTDOWN, 0);
		ck_assert_uint_eq(state_of(r, 1), VSHM_PEER_SUSPECT);
		slot_is_kept(&s, 1);
		ck_assert_int_eq(vshm_region_evict(s.uri, 1, 0, NULL), -EBUSY);
		ck_assert_int_eq(kill(pid, SIGCONT), 0);
		read_until(c, 5, &number, 0, 300);
		wait_state(r, 1, VSHM_PEER_LIVE);
	}
	support_kill(pid);
	read_until(c, 5, &number, -EPIPE, 0);
	ck_assert_uint_ge(number, noted(s.notes->done));
	ck_assert_int_eq(vshm_region_close(r), 0);
	scene_close(&s);
}
END_TEST

START_TEST(stopped_and_killed)
{
	struct vshm_region *r;
	struct vshm_consumer *c;
	uint64_t number = 0;
	struct scene s;
	pid_t pid;

	scene_open(&s, 2);
	r = scene_attach(&s, 0, LEASE_MS);
	c = follow(r);
	pid = start_peer(&s, "produce", 1, 5, 100, -1);
	read_until(c, 5, &number, 0, 100);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	read_until(c, 5, &number, -EHOSTDOWN, 0);
	support_kill(pid);
	read_until(c, 5, &number, -EPIPE, 0);
	ck_assert_uint_ge(number, noted(s.notes->done));
	pid = start_peer(&s, "produce", 1, 6, 100, -1);
	number = 0;
	read_until(c, 6, &number, 0, 100);
	support_kill(pid);
	ck_assert_int_eq(vshm_region_close(r), 0);
	scene_close(&s);
}
END_TEST

/* Sends until `code` is said, or, with code 0, `count` records. */
static void send_until(struct vshm_producer *p, uint64_t *number, int code, unsigned count)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	void *data;

	while (code || count--) {
		size_t size = record_size(7, *number);
		int rc = vshm_producer_reserve(p, size, &data, SUPPORT_LONG);

		if (code && rc == code)
			return;
		ck_assert_msg(support_now_ns() < end, "no %d", code);
		if (rc == -EHOSTDOWN) {
			count++;
			continue;
		}
		ck_assert_msg(rc == 0, "reserve: %d %s", rc, vshm_strerror(rc));
		record_fill(data, 7, *number);
		ck_assert_int_eq(vshm_producer_commit(p, size, 0), 0);
		++*number;
	}
}

START_TEST(stopped_consumer_is_suspect_and_heals)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p = NULL;
	struct vshm_region *r;
	uint64_t number = 0;
	struct scene s;
	pid_t pid;

	scene_open(&s, 2);
	r = scene_attach(&s, 0, LEASE_MS);
	o.ring_size = RING_SIZE;
	ck_assert_int_eq(vshm_producer_open(r, RING_NAME, &o, &p), 0);
	pid = start_peer(&s, "consume", 1, 7, 50, -1);
	for (unsigned i = 0; i < 3; i++) {
		send_until(p, &number, 0, 500);
		ck_assert_int_eq(kill(pid, SIGSTOP), 0);
		send_until(p, &number, -EHOSTDOWN, 0);
		ck_assert_uint_eq(state_of(r, 1), VSHM_PEER_SUSPECT);
		slot_is_kept(&s, 1);
		ck_assert_int_eq(kill(pid, SIGCONT), 0);
		send_until(p, &number, 0, 500);
		wait_state(r, 1, VSHM_PEER_LIVE);
	}
	ck_assert_int_eq(vshm_producer_close(p, SUPPORT_LONG), 0);
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	ck_assert_uint_eq(noted(s.notes->done), number);
	ck_assert_int_eq(vshm_region_close(r), 0);
	scene_close(&s);
}
END_TEST

/* Evicted while it is stopped; when it wakes, all it gets is -ESTALE, and the next in its slot is not disturbed. */
START_TEST(evicted_while_stopped)
{
	struct vshm_region *r;
	uint64_t number = 0;
	struct scene s;
	int status;
	pid_t pid;

	scene_open(&s, 2);
	r = scene_attach(&s, 0, LEASE_MS);
	for (unsigned i = 0; i < 4; i++) {
		pid = start_peer(&s, "idle", 1, i, 0, -1);
		wait_ready(&s, 2);
		ck_assert_int_eq(kill(pid, SIGSTOP), 0);
		ck_assert_int_eq(vshm_region_evict(s.uri, 1, 0, NULL), -EBUSY);
		wait_state(r, 1, VSHM_PEER_LIVE + (i % 2 ? 0 : 2)); /* at once, or when it is suspect */
		ck_assert_int_eq(vshm_region_evict(s.uri, 1, VSHM_EVICT_FORCE, NULL), 0);
		ck_assert_int_eq(vshm_region_close(scene_attach(&s, 1, 0)), 0); /* the slot is free at once */
		ck_assert_int_eq(kill(pid, SIGCONT), 0);
		status = support_wait(pid, SUPPORT_LONG);
		ck_assert_msg(status == 0, "the evicted peer ended with status 0x%x, error %llu", (unsigned)status,
			      (unsigned long long)noted(s.notes->error));
	}
	pid = start_peer(&s, "produce", 1, 9, 10, -1);
	read_until(follow(r), 9, &number, 0, 1000);
	support_kill(pid);
	ck_assert_int_eq(vshm_region_close(r), 0);
	scene_close(&s);
}
END_TEST

Suite *suite_stop(void)
{
	Suite *s = suite_create("stop");
	TCase *tc = tcase_create("stop");

	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_test(tc, stopped_producer_is_suspect_and_heals);
	tcase_add_test(tc, stopped_and_killed);
	tcase_add_test(tc, stopped_consumer_is_suspect_and_heals);
	tcase_add_test(tc, evicted_while_stopped);
	suite_add_tcase(s, tc);
	return s;
}
