/* SPDX-License-Identifier: BSD-3-Clause */
/* vshm_region_event: the story of each peer is coherent, however late somebody looks. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

static struct vshm_event next_event(struct vshm_region *r)
{
	struct vshm_event event = VSHM_EVENT_INIT;
	int64_t end = support_now_ns() + SUPPORT_LONG;
	int rc;

	while ((rc = vshm_region_event(r, &event)) == -EAGAIN) {
		ck_assert_msg(support_now_ns() < end, "no event came");
		support_sleep_us(2000);
	}
	ck_ok(rc);
	return event;
}

static uint64_t incarnation_of(struct vshm_region *r, vshm_peer peer)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;

	ck_ok(vshm_region_peer(r, peer, &info));
	return info.incarnation;
}

static void expect(struct vshm_region *r, uint32_t type, vshm_peer peer, uint64_t incarnation)
{
	struct vshm_event event = next_event(r);

	ck_assert_msg(event.type == type && event.peer == peer, "event %u of peer %u, wanted %u of %u", event.type,
		      event.peer, type, peer);
	ck_assert_uint_eq(event.incarnation, incarnation);
	ck_assert_uint_eq(event.struct_size, sizeof(event));
}

static void expect_none(struct vshm_region *r)
{
	struct vshm_event event = VSHM_EVENT_INIT;

	ck_is(vshm_region_event(r, &event), -EAGAIN);
	ck_assert_uint_eq(event.type, 0);
}

/* What a keeper has noticed once it noticed this. */
static void wait_until(struct vshm_region *r, vshm_peer peer, enum vshm_peer_state state)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
	int64_t end = support_now_ns() + SUPPORT_LONG;

	do {
		ck_assert_msg(support_now_ns() < end, "peer %u: state %d", peer, (int)info.state);
		support_sleep_us(2000);
		ck_ok(vshm_region_peer(r, peer, &info));
	} while (info.state != state);
}

/* ---- in order ---- */

static void come_and_go(struct vshm_region *r, const struct world *w)
{
	struct vshm_region *others[2] = {world_open(w, 1), world_open(w, 2)};
	uint64_t one = incarnation_of(others[0], 1), two = incarnation_of(others[0], 2);

	expect(r, VSHM_EVENT_JOINED, 1, one);
	expect(r, VSHM_EVENT_JOINED, 2, two);
	expect_none(r);
	ck_ok(vshm_region_close(others[0]));
	expect(r, VSHM_EVENT_LEFT, 1, one);
	expect_none(r);
	others[0] = world_open(w, 1);
	expect(r, VSHM_EVENT_JOINED, 1, incarnation_of(r, 1));
	ck_assert_uint_ne(incarnation_of(r, 1), one);
	ck_ok(vshm_region_close(others[1]));
	expect(r, VSHM_EVENT_LEFT, 2, two);
	ck_ok(vshm_region_close(others[0]));
}

START_TEST(joined_and_left)
{
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 3, 65536);
	r = world_open(&w, 0);
	expect_none(r); /* not oneself */
	come_and_go(r, &w);
	ck_assert_uint_eq(next_event(r).type, VSHM_EVENT_LEFT);
	expect_none(r);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(those_who_are_there_already)
{
	struct vshm_open_options no_keeper = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r[4];
	struct world w;
	uint64_t two;

	world_create(&w, _i, 4, 65536);
	r[2] = world_open(&w, 2);
	r[0] = world_open(&w, 0);
	no_keeper.flags = VSHM_OPEN_NO_KEEPER;
	no_keeper.peer = 1;
	r[1] = world_open_with(&w, &no_keeper);
	r[3] = world_observe(&w);
	expect(r[0], VSHM_EVENT_JOINED, 1, incarnation_of(r[0], 1));
	expect(r[0], VSHM_EVENT_JOINED, 2, incarnation_of(r[0], 2));
	expect_none(r[0]);
	expect(r[1], VSHM_EVENT_JOINED, 0, incarnation_of(r[0], 0));
	expect(r[1], VSHM_EVENT_JOINED, 2, incarnation_of(r[0], 2));
	expect_none(r[1]);
	for (vshm_peer i = 0; i < 3; i++)
		expect(r[3], VSHM_EVENT_JOINED, i, incarnation_of(r[0], i));
	expect_none(r[3]);
	two = incarnation_of(r[0], 2);
	ck_ok(vshm_region_close(r[2]));
	for (unsigned i = 0; i < 4; i++)
		if (i != 2)
			expect(r[i], VSHM_EVENT_LEFT, 2, two);
	ck_ok(vshm_region_close(r[0]));
	ck_ok(vshm_region_close(r[1]));
	ck_ok(vshm_region_close(r[3]));
	world_destroy(&w);
}
END_TEST

/* ---- looked at late ---- */

START_TEST(who_came_and_went_is_not_mentioned)
{
	struct vshm_region *r, *other;
	uint64_t first;
	struct world w;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	expect_none(r);
	ck_ok(vshm_region_close(world_open(&w, 1)));
	wait_until(r, 1, VSHM_PEER_FREE);
	expect_none(r);
	/* one that left, and another that came: nothing in between is told */
	other = world_open(&w, 1);
	first = incarnation_of(r, 1);
	expect(r, VSHM_EVENT_JOINED, 1, first);
	for (unsigned i = 0; i < 3; i++) {
		ck_ok(vshm_region_close(other));
		wait_until(r, 1, VSHM_PEER_FREE);
		other = world_open(&w, 1);
		wait_until(r, 1, VSHM_PEER_LIVE);
	}
	ck_assert_uint_ne(incarnation_of(r, 1), first);
	expect(r, VSHM_EVENT_RESTARTED, 1, incarnation_of(r, 1));
	expect_none(r);
	ck_ok(vshm_region_close(other));
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* ---- stopped and killed ---- */

static pid_t start_peer(const struct world *w, vshm_peer peer)
{
	pid_t pid = support_fork();

	if (pid)
		return pid;
	(void)world_open(w, peer);
	for (;;)
		pause();
}

START_TEST(suspect_recovered_died)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	uint64_t first, second;
	struct vshm_region *r;
	struct world w;
	pid_t pid;

	world_create(&w, _i, 2, 65536);
	if (w.kind == WORLD_INPROC) {
		world_destroy(&w);
		return;
	}
	pid = start_peer(&w, 1); /* before there is a thread here */
	o.peer = 0;
	o.lease_ms = 200;
	r = world_open_with(&w, &o);
	wait_until(r, 1, VSHM_PEER_LIVE);
	first = incarnation_of(r, 1);
	expect(r, VSHM_EVENT_JOINED, 1, first);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	expect(r, VSHM_EVENT_SUSPECT, 1, first);
	expect_none(r);
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	expect(r, VSHM_EVENT_RECOVERED, 1, first);
	support_kill(pid);
	expect(r, VSHM_EVENT_DIED, 1, first);
	wait_until(r, 1, VSHM_PEER_FENCED);
	expect_none(r);
	/* another, unseen until it is dead, too; and one that is there in its place */
	pid = start_peer(&w, 1);
	wait_until(r, 1, VSHM_PEER_LIVE);
	second = incarnation_of(r, 1);
	ck_assert_uint_ne(first, second);
	expect(r, VSHM_EVENT_JOINED, 1, second);
	support_kill(pid);
	wait_until(r, 1, VSHM_PEER_FENCED);
	pid = start_peer(&w, 1);
	wait_until(r, 1, VSHM_PEER_LIVE);
	expect(r, VSHM_EVENT_RESTARTED, 1, incarnation_of(r, 1));
	support_kill(pid);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* ---- mistakes ---- */

START_TEST(bad_arguments)
{
	struct vshm_event event = VSHM_EVENT_INIT;
	struct {
		struct vshm_event event;
		uint64_t more;
	} longer;
	struct vshm_region *r, *other;
	struct world w;
	pid_t pid;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	other = world_open(&w, 1);
	ck_is(vshm_region_event(NULL, &event), -EINVAL);
	ck_is(vshm_region_event(r, NULL), -EINVAL);
	event.struct_size = 0;
	ck_is(vshm_region_event(r, &event), -EINVAL);
	memset(&longer, 0xff, sizeof(longer));
	longer.event.struct_size = sizeof(longer);
	ck_is(vshm_region_event(r, &longer.event), -E2BIG);
	event.struct_size = sizeof(event);
	ck_ok(vshm_region_event(r, &event)); /* it was not lost */
	ck_assert_uint_eq(event.type, VSHM_EVENT_JOINED);
	pid = support_fork();
	if (!pid)
		_exit(vshm_region_event(r, &event) == -ECHILD ? 0 : 1);
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	ck_ok(vshm_region_close(other));
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(a_region_that_is_gone)
{
	struct vshm_event event = VSHM_EVENT_INIT;
	char why[VSHM_WHY_SIZE];
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	ck_ok(vshm_region_destroy(w.create_uri, why));
	wait_status(r, -ESTALE);
	ck_is(vshm_region_event(r, &event), -ESTALE);
	ck_ok(vshm_region_close(r));
	if (w.kind == WORLD_NAMED)
		ck_ok(vshm_region_register(w.name, NULL, why));
}
END_TEST

Suite *suite_events(void)
{
	Suite *s = suite_create("events");
	TCase *tc = tcase_create("events");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, joined_and_left);
	add_everywhere(tc, those_who_are_there_already);
	add_everywhere(tc, who_came_and_went_is_not_mentioned);
	add_everywhere(tc, suspect_recovered_died);
	add_everywhere(tc, bad_arguments);
	add_everywhere(tc, a_region_that_is_gone);
	suite_add_tcase(s, tc);
	return s;
}
