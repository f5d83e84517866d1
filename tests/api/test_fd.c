/* SPDX-License-Identifier: BSD-3-Clause */
/* vshm_region_fd: an event loop hears of everything, and sleeps when there is nothing. */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/futex.h>
#include <unistd.h>

#include "world.h"

static int fd_of(struct vshm_region *r)
{
	int fd = vshm_region_fd(r);

	ck_assert_msg(fd >= 0, "vshm_region_fd: %d", fd);
	return fd;
}

static bool readable(struct vshm_region *r, int64_t timeout_ns)
{
	struct pollfd p = {fd_of(r), POLLIN, 0};
	int rc = poll(&p, 1, (int)(timeout_ns / SUPPORT_MS));

	ck_assert_int_ge(rc, 0);
	return rc;
}

/* What a loop does when it is woken. */
static void await_news(struct vshm_region *r)
{
	ck_assert_msg(readable(r, SUPPORT_LONG), "nothing is heard");
	ck_ok(vshm_region_dispatch(r));
}

/* Looks at a consumer until there is a record; how often there was none. */
static unsigned loop_for_record(struct vshm_region *r, struct vshm_consumer *c, struct vshm_view *v)
{
	unsigned empty = 0;
	int rc;

	while ((rc = vshm_consumer_peek(c, v, 0)) == -EAGAIN) {
		await_news(r);
		empty++;
	}
	ck_ok(rc);
	return empty;
}

static uint64_t armed(struct vshm_region *r, vshm_peer peer)
{
	struct vshm_end_info info = VSHM_END_INFO_INIT;

	ck_ok(vshm_region_end(r, peer, 0, &info));
	return info.armed;
}

/* ---- the descriptor ---- */

START_TEST(what_it_is)
{
	struct pair t;
	int fd;

	pair_open(&t, _i, 256);
	ck_is(vshm_region_dispatch(t.a), -EINVAL); /* not yet */
	fd = fd_of(t.a);
	ck_assert_int_eq(fd_of(t.a), fd);
	ck_assert_int_ne(fd_of(t.b), fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert(readable(t.a, 0)); /* a loop begins with a look around */
	ck_ok(vshm_region_dispatch(t.a));
	ck_ok(vshm_region_dispatch(t.a)); /* never waits */
	pair_close(&t);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

/* Nothing waits, nothing happens: nothing wakes the program. */
START_TEST(it_is_quiet)
{
	struct pair t;
	unsigned woken = 0;

	pair_open(&t, _i, 256);
	(void)fd_of(t.b);
	for (unsigned i = 0; i < 10; i++)
		if (readable(t.b, 30 * SUPPORT_MS)) {
			ck_ok(vshm_region_dispatch(t.b));
			woken++;
		}
	ck_assert_uint_le(woken, 4);
	pair_close(&t);
}
END_TEST

START_TEST(an_end_that_waits_is_armed)
{
	struct vshm_poll end = {NULL, NULL, 0, 0};
	struct pair t;
	void *data;

	pair_open(&t, _i, 256);
	get_nothing(t.c, -EAGAIN);
	ck_assert_uint_eq(armed(t.a, 1), 0);
	(void)fd_of(t.b);
	(void)fd_of(t.a);
	get_nothing(t.c, -EAGAIN);
	ck_assert_uint_ne(armed(t.a, 1), 0);
	put(t.p, t.c, 200, 1);
	get(t.c, 200, 1);
	ck_assert_uint_eq(armed(t.a, 1), 0); /* while records come nobody is rung */
	end.consumer = t.c;
	ck_is(vshm_poll(t.b, &end, 1, 0), -EAGAIN);
	ck_assert_uint_ne(armed(t.a, 1), 0);
	put(t.p, t.c, 200, 2);
	ck_is(vshm_producer_reserve(t.p, 200, &data, 0), -EAGAIN);
	ck_assert_uint_ne(armed(t.a, 0), 0);
	get(t.c, 200, 2);
	get_nothing(t.c, -EAGAIN);
	ck_ok(vshm_producer_reserve(t.p, 200, &data, 0));
	ck_assert_uint_eq(armed(t.a, 0), 0);
	pair_close(&t);
}
END_TEST

/* ---- no news is lost ---- */

struct ball {
	struct vshm_region *r;
	struct vshm_consumer *in;
	struct vshm_producer *out;
	unsigned rounds;
	unsigned late; /* rounds that took as long as what makes up for a lost doorbell */
	int epoll;
};

static void wait_in_epoll(const struct ball *ball)
{
	struct epoll_event event;

	ck_assert_int_eq(epoll_wait(ball->epoll, &event, 1, 30000), 1);
	ck_ok(vshm_region_dispatch(ball->r));
}

static void throw(const struct ball *ball, uint64_t key, size_t size)
{
	void *data;
	int rc;

	while ((rc = vshm_producer_reserve(ball->out, size, &data, 0)) == -EAGAIN)
		wait_in_epoll(ball);
	ck_ok(rc);
	support_fill(data, size, key);
	ck_ok(vshm_producer_commit(ball->out, size, 0));
}

static void catch(struct ball *ball, uint64_t key, size_t size)
{
	int64_t began = support_now_ns();
	struct vshm_view v;
	int rc;

	while ((rc = vshm_consumer_peek(ball->in, &v, 0)) == -EAGAIN)
		wait_in_epoll(ball);
	ck_ok(rc);
	ball->late += support_now_ns() - began > 90 * SUPPORT_MS;
	ck_assert_uint_eq(v.size, size);
	ck_assert(support_same(v.data, size, key));
	ck_ok(vshm_consumer_release(ball->in));
}

static void ball_open(struct ball *ball, struct vshm_region *r, const char *in, const char *out, unsigned rounds)
{
	struct epoll_event event = {.events = EPOLLIN};

	*ball = (struct ball){r, consumer(r, in, 0), producer(r, out, 256, 0), rounds, 0, epoll_create1(EPOLL_CLOEXEC)};
	ck_assert_int_ge(ball->epoll, 0);
	ck_assert_int_eq(epoll_ctl(ball->epoll, EPOLL_CTL_ADD, fd_of(r), &event), 0);
}

static void *play_back(void *arg)
{
	struct ball *ball = arg;

	for (unsigned i = 0; i < ball->rounds; i++) {
		catch(ball, i, 16);
		throw(ball, i, 16);
	}
	return NULL;
}

START_TEST(ping_pong_through_epoll)
{
	struct ball there, back;
	struct vshm_region *a, *b;
	pthread_t thread;
	struct world w;

	world_create(&w, _i, 2, 65536);
	a = world_open(&w, 0);
	b = world_open(&w, 1);
	ball_open(&there, a, "pong", "ping", 2000);
	ball_open(&back, b, "ping", "pong", 2000);
	thread = start_thread(play_back, &back);
	for (unsigned i = 0; i < there.rounds; i++) {
		throw(&there, i, 16);
		catch(&there, i, 16);
	}
	join_thread(thread);
	ck_assert_uint_le(there.late + back.late, 20); /* a busy machine may be late, too */
	(void)close(there.epoll);
	(void)close(back.epoll);
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

/* Pads, a ring that is often full, and sizes that change. */
static size_t size_of(unsigned i)
{
	uint64_t state = i;

	return support_below(&state, 200);
}

static void *send_all(void *arg)
{
	struct ball *ball = arg;

	for (unsigned i = 0; i < ball->rounds; i++) {
		throw(ball, i, size_of(i));
		if (i % 16 == 0)
			support_sleep_us(300);
	}
	return NULL;
}

START_TEST(a_stream_through_epoll)
{
	struct ball sender, receiver;
	struct vshm_region *a, *b;
	pthread_t thread;
	struct world w;

	world_create(&w, _i, 2, 65536);
	a = world_open(&w, 0);
	b = world_open(&w, 1);
	ball_open(&sender, a, "unused", "data", 3000);
	ball_open(&receiver, b, "data", "unused", 3000);
	thread = start_thread(send_all, &sender);
	for (unsigned i = 0; i < receiver.rounds; i++) {
		if (i % 50 == 0)
			support_sleep_us(500);
		catch(&receiver, i, size_of(i));
	}
	join_thread(thread);
	ck_assert_uint_le(sender.late + receiver.late, 20);
	(void)close(sender.epoll);
	(void)close(receiver.epoll);
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

/* ---- what else is heard ---- */

START_TEST(a_producer_comes_and_ends)
{
	struct vshm_producer *p;
	struct vshm_consumer *c;
	struct vshm_view v;
	struct pair t;
	int rc;

	pair_open(&t, _i, 256);
	c = consumer(t.b, "other", 0);
	(void)fd_of(t.b);
	get_nothing(c, -EAGAIN);
	p = producer(t.a, "other", 256, 0);
	ck_ok(vshm_producer_send(p, "x", 1, 0));
	(void)loop_for_record(t.b, c, &v);
	ck_ok(vshm_consumer_release(c));
	get_nothing(c, -EAGAIN);
	ck_ok(vshm_producer_close(p, SUPPORT_LONG));
	while ((rc = vshm_consumer_peek(c, &v, 0)) == -EAGAIN)
		await_news(t.b);
	ck_is(rc, -ENODATA);
	pair_close(&t);
}
END_TEST

START_TEST(events_and_cancel)
{
	struct vshm_event event = VSHM_EVENT_INIT;
	struct vshm_open_options slow = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r, *other;
	struct world w;

	world_create(&w, _i, 2, 65536);
	slow.peer = 0;
	slow.beat_ms = 100;
	r = world_open_with(&w, &slow);
	(void)fd_of(r);
	ck_is(vshm_region_event(r, &event), -EAGAIN);
	other = world_open(&w, 1);
	while (vshm_region_event(r, &event))
		await_news(r);
	ck_assert_uint_eq(event.type, VSHM_EVENT_JOINED);
	ck_ok(vshm_region_close(other));
	while (vshm_region_event(r, &event))
		await_news(r);
	ck_assert_uint_eq(event.type, VSHM_EVENT_LEFT);
	ck_is(vshm_region_event(r, &event), -EAGAIN);
	support_sleep_us(20000);
	ck_ok(vshm_region_dispatch(r));
	ck_ok(vshm_region_cancel(r));
	ck_assert(readable(r, SUPPORT_LONG));
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(a_death)
{
	struct vshm_event event = VSHM_EVENT_INIT;
	struct vshm_region *r;
	struct vshm_consumer *c;
	struct vshm_view v;
	struct world w;
	pid_t pid;
	int rc;

	world_create(&w, _i, 2, 65536);
	if (w.kind == WORLD_INPROC) {
		world_destroy(&w);
		return;
	}
	pid = support_fork();
	if (!pid) {
		ck_ok(vshm_producer_send(producer(world_open(&w, 1), "ring", 256, 0), "x", 1, 0));
		for (;;)
			pause();
	}
	r = world_open(&w, 0);
	c = consumer(r, "ring", 0);
	(void)fd_of(r);
	(void)loop_for_record(r, c, &v);
	ck_ok(vshm_consumer_release(c));
	get_nothing(c, -EAGAIN);
	while (!vshm_region_event(r, &event))
		;
	support_kill(pid);
	while ((rc = vshm_consumer_peek(c, &v, 0)) == -EAGAIN)
		await_news(r);
	ck_is(rc, -EPIPE);
	while (vshm_region_event(r, &event))
		await_news(r);
	ck_assert_uint_eq(event.type, VSHM_EVENT_DIED);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* ---- a hostile peer rings at line rate ---- */

struct ringer {
	uint32_t *bell;
	bool stop;
};

static void *ring_on(void *arg)
{
	struct ringer *ringer = arg;

	while (!__atomic_load_n(&ringer->stop, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(ringer->bell, 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, ringer->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
	return NULL;
}

START_TEST(a_flood_of_bells)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
	struct ringer ringer = {NULL, false};
	char path[PATH_MAX];
	unsigned woken = 0;
	pthread_t thread;
	struct pair t;
	int64_t end;
	char *map;
	int fd;

	pair_open(&t, _i, 256);
	if (t.w.kind == WORLD_INPROC) {
		pair_close(&t);
		return;
	}
	world_segment_path(&t.w, 0, path, sizeof(path));
	ck_ok(vshm_region_peer(t.a, 0, &info));
	fd = open(path, O_RDWR | O_CLOEXEC);
	map = mmap(NULL, info.offset + info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ringer.bell = (uint32_t *)(void *)(map + info.offset + VSHM_SECTION_BELLS + VSHM_LINE);
	get_nothing(t.c, -EAGAIN);
	(void)fd_of(t.b);
	thread = start_thread(ring_on, &ringer);
	for (end = support_now_ns() + SUPPORT_SECOND; support_now_ns() < end; woken++) {
		ck_assert(readable(t.b, SUPPORT_LONG));
		ck_ok(vshm_region_dispatch(t.b));
		get_nothing(t.c, -EAGAIN);
	}
	ck_assert_uint_lt(woken, 2000); /* about 1000 */
	put(t.p, t.c, 8, 1); /* and what comes is still heard */
	get(t.c, 8, 1);
	__atomic_store_n(&ringer.stop, true, __ATOMIC_RELAXED);
	join_thread(thread);
	ck_assert_int_eq(munmap(map, info.offset + info.size), 0);
	(void)close(fd);
	pair_close(&t);
}
END_TEST

/* ---- mistakes ---- */

START_TEST(bad_arguments)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r, *observer;
	char why[VSHM_WHY_SIZE];
	struct world w;
	pid_t pid;

	world_create(&w, _i, 2, 65536);
	ck_is(vshm_region_fd(NULL), -EINVAL);
	ck_is(vshm_region_dispatch(NULL), -EINVAL);
	o.flags = VSHM_OPEN_NO_KEEPER;
	r = world_open_with(&w, &o);
	ck_is(vshm_region_fd(r), -EOPNOTSUPP);
	ck_ok(vshm_region_why(r, why));
	ck_assert_ptr_nonnull(strstr(why, "VSHM_OPEN_NO_KEEPER"));
	ck_is(vshm_region_dispatch(r), -EINVAL);
	observer = world_observe(&w);
	ck_is(vshm_region_fd(observer), -EOPNOTSUPP);
	ck_ok(vshm_region_why(observer, why));
	ck_assert_ptr_nonnull(strstr(why, "VSHM_OPEN_OBSERVE"));
	ck_ok(vshm_region_close(observer));
	ck_ok(vshm_region_close(r));
	r = world_open(&w, 0);
	(void)fd_of(r);
	pid = support_fork();
	if (!pid)
		_exit(vshm_region_fd(r) == -ECHILD && vshm_region_dispatch(r) == -ECHILD ? 0 : 1);
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(a_region_that_is_gone)
{
	char why[VSHM_WHY_SIZE];
	struct vshm_region *r;
	struct world w;
	int rc;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	(void)fd_of(r);
	ck_ok(vshm_region_destroy(w.create_uri, why));
	do {
		ck_assert(readable(r, SUPPORT_LONG));
		rc = vshm_region_dispatch(r);
	} while (!rc);
	ck_is(rc, -ESTALE);
	ck_assert(readable(r, SUPPORT_LONG));
	ck_ok(vshm_region_close(r));
	if (w.kind == WORLD_NAMED)
		ck_ok(vshm_region_register(w.name, NULL, why));
}
END_TEST

Suite *suite_fd(void)
{
	Suite *s = suite_create("fd");
	TCase *tc = tcase_create("fd");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, what_it_is);
	add_everywhere(tc, it_is_quiet);
	add_everywhere(tc, an_end_that_waits_is_armed);
	add_everywhere(tc, ping_pong_through_epoll);
	add_everywhere(tc, a_stream_through_epoll);
	add_everywhere(tc, a_producer_comes_and_ends);
	add_everywhere(tc, events_and_cancel);
	add_everywhere(tc, a_death);
	add_everywhere(tc, a_flood_of_bells);
	add_everywhere(tc, bad_arguments);
	add_everywhere(tc, a_region_that_is_gone);
	suite_add_tcase(s, tc);
	return s;
}
