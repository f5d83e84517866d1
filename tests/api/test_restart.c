/* SPDX-License-Identifier: BSD-3-Clause */
/* Restarts: a consumer that goes on where the last one stopped, producers that come again, following them. */
#include <pthread.h>
#include <string.h>

#include "world.h"

START_TEST(next_consumer_goes_on)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	for (unsigned i = 0; i < 30; i++)
		put(t.p, t.c, 100, i);
	for (unsigned i = 0; i < 30; i += 3) {
		struct vshm_view v;

		get(t.c, 100, i);
		get(t.c, 100, i + 1);
		get(t.c, 100, i + 2);
		if (i + 3 < 30)
			ck_ok(vshm_consumer_peek(t.c, &v, 0)); /* shown, not released: comes again */
		ck_ok(vshm_consumer_close(t.c));
		t.c = consumer(t.b, "ring", 0);
		connect_ends(t.p, t.c);
	}
	get_nothing(t.c, -EAGAIN);
	pair_close(&t);
}
END_TEST

static void put_burst(struct vshm_producer *p, size_t size, unsigned count, uint64_t key)
{
	void *data[32];

	ck_is(vshm_producer_reserve_burst(p, size, data, count, 0), (int)count);
	for (unsigned i = 0; i < count; i++)
		support_fill(data[i], size, key + i);
	ck_ok(vshm_producer_commit_burst(p, count, 0));
}

/* A burst is one thing in the ring, and still nothing of it that was released comes again. */
START_TEST(next_consumer_goes_on_within_a_burst)
{
	const size_t sizes[] = {0, 8, 12, 64, 100};
	struct pair t;

	pair_open(&t, _i, 65536);
	for (unsigned i = 0; i < 30; i++) {
		size_t size = sizes[i % 5];
		struct vshm_view v;

		put(t.p, t.c, 40, i);
		put_burst(t.p, size, 10, i);
		put(t.p, t.c, 48, i);
		get(t.c, 40, i);
		for (unsigned k = 0; k < i % 11; k++)
			get(t.c, size, i + k);
		ck_ok(vshm_consumer_peek(t.c, &v, 0)); /* shown, not released */
		if (i % 2) { /* the whole peer leaves */
			ck_ok(vshm_region_close(t.b));
			t.b = world_open(&t.w, 1);
		} else {
			ck_ok(vshm_consumer_close(t.c));
		}
		t.c = consumer(t.b, "ring", 0);
		connect_ends(t.p, t.c);
		for (unsigned k = i % 11; k < 10; k++)
			get(t.c, size, i + k);
		get(t.c, 48, i);
		get_nothing(t.c, -EAGAIN);
	}
	pair_close(&t);
}
END_TEST

/* Sends one small record after another, never near a full ring, until the consumer has one. */
static void slow_until_heard(struct vshm_producer *p, struct vshm_consumer *c)
{
	int64_t give_up = support_now_ns() + SUPPORT_LONG;
	struct vshm_view v;
	int rc;

	do {
		ck_assert(support_now_ns() < give_up);
		ck_ok(vshm_producer_send(p, "slow", 4, SUPPORT_LONG));
		rc = vshm_consumer_peek(c, &v, 10 * SUPPORT_MS);
	} while (rc == -ETIMEDOUT);
	ck_ok(rc);
	ck_ok(vshm_consumer_release(c));
}

/* A producer that always has room takes no slow path by itself: it has to be called. */
START_TEST(slow_producer_finds_each_consumer)
{
	struct pair t;

	pair_open(&t, _i, 65536);
	for (unsigned i = 0; i < 4; i++) {
		slow_until_heard(t.p, t.c);
		if (i % 2) { /* the whole peer leaves */
			ck_ok(vshm_region_close(t.b));
			t.b = world_open(&t.w, 1);
		} else {
			ck_ok(vshm_consumer_close(t.c));
		}
		t.c = consumer(t.b, "ring", 0);
	}
	pair_close(&t);
}
END_TEST

/* Consumers come and go while the producer makes no call at all: each gets what the last one left. */
START_TEST(idle_producer_serves_each_consumer)
{
	struct vshm_view v;
	struct pair t;

	world_create(&t.w, _i, 2, 65536);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	t.p = producer(t.a, "ring", 4096, 0);
	for (unsigned i = 0; i < 12; i++)
		put(t.p, NULL, 40, i);
	for (unsigned i = 0; i < 12; i += 2) {
		t.c = consumer(t.b, "ring", 0);
		get(t.c, 40, i);
		get(t.c, 40, i + 1);
		if (i % 4) { /* the whole peer leaves */
			ck_ok(vshm_region_close(t.b));
			t.b = world_open(&t.w, 1);
		} else {
			ck_ok(vshm_consumer_close(t.c));
		}
	}
	t.c = consumer(t.b, "ring", 0);
	ck_is(vshm_consumer_peek(t.c, &v, 200 * SUPPORT_MS), -ETIMEDOUT);
	put(t.p, t.c, 40, 99);
	get(t.c, 40, 99);
	pair_close(&t);
}
END_TEST

/* As a server that answers: the answer can be committed just before the next client comes in place of the last. */
START_TEST(the_last_answer_is_heard)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	for (unsigned i = 0; i < 30; i++) {
		if (i % 3 == 0)
			put(t.p, t.c, 30, 1000 + i);
		ck_ok(vshm_consumer_close(t.c));
		put(t.p, NULL, 30, i);
		t.c = consumer(t.b, "ring", 0);
		if (i % 3 == 0)
			get(t.c, 30, 1000 + i);
		get(t.c, 30, i);
	}
	pair_close(&t);
}
END_TEST

/* A reservation that is held for long is not disturbed. */
START_TEST(a_reservation_is_kept)
{
	void *data;
	struct pair t;

	pair_open(&t, _i, 4096);
	put(t.p, t.c, 30, 0);
	ck_ok(vshm_producer_reserve(t.p, 50, &data, 0));
	ck_ok(vshm_consumer_close(t.c));
	t.c = consumer(t.b, "ring", 0);
	get_nothing(t.c, -EAGAIN);
	support_sleep_us(200000); /* several beats of the keeper */
	get_nothing(t.c, -EAGAIN);
	support_fill(data, 50, 1);
	ck_ok(vshm_producer_commit(t.p, 50, 0));
	get(t.c, 30, 0);
	get(t.c, 50, 1);
	pair_close(&t);
}
END_TEST

static void *linger(void *p)
{
	(void)vshm_producer_close(p, SUPPORT_LONG);
	return NULL;
}

/* An older and a newer producer both grant the consumer that looks; where it stops in the one says nothing about the other. */
START_TEST(head_counts_in_its_own_ring)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	int64_t give_up = support_now_ns() + SUPPORT_LONG;
	struct vshm_producer *older;
	pthread_t thread;
	struct pair t;
	int rc;

	world_create(&t.w, _i, 2, 65536);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	older = producer(t.a, "ring", 4096, 0);
	for (unsigned i = 0; i < 10; i++)
		put(older, NULL, 8, i);
	t.c = consumer(t.b, "ring", 0);
	ck_ok(pthread_create(&thread, NULL, linger, older));
	o.ring_size = 4096;
	do
		rc = vshm_producer_open(t.a, "ring", &o, &t.p);
	while (rc == -EEXIST && support_now_ns() < give_up);
	ck_ok(rc);
	for (unsigned i = 0; i < 20; i++)
		put(t.p, NULL, 8, 100 + i);
	for (unsigned i = 0; i < 10; i++)
		get(t.c, 8, i);
	get_nothing(t.c, -ENODATA);
	ck_ok(vshm_consumer_close(t.c));
	ck_ok(pthread_join(thread, NULL));
	support_sleep_us(200000); /* the keeper looks around: it must not take the wrong head */
	t.c = consumer(t.b, "ring", 0);
	connect_ends(t.p, t.c);
	for (unsigned i = 0; i < 20; i++)
		get(t.c, 8, 100 + i);
	pair_close(&t);
}
END_TEST

/*
 * A follower that has read a lingering producer to its end looks for the next one: it is not granted by the same again, and
 * so the only place for a ring is free at once, not when the patience for a reader is over (5 s).
 */
START_TEST(follower_is_granted_once)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	pthread_t thread;
	struct pair t;

	o.ring_size = 65536;
	world_create(&t.w, _i, 2, 65536);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	t.p = producer(t.a, "ring", o.ring_size, 0);
	t.c = consumer(t.b, "ring", VSHM_CONSUMER_FOLLOW);
	for (unsigned i = 0; i < 20; i++) {
		int64_t began;

		connect_ends(t.p, t.c);
		put(t.p, t.c, 40, i);
		ck_ok(pthread_create(&thread, NULL, linger, t.p));
		get(t.c, 40, i);
		ck_is(vshm_consumer_peek(t.c, &(struct vshm_view){NULL, 0}, SUPPORT_LONG), -ENODATA);
		began = support_now_ns();
		ck_ok(pthread_join(thread, NULL));
		while (vshm_producer_open(t.a, "ring", &o, &t.p))
			ck_assert_msg(support_now_ns() - began < 4 * SUPPORT_SECOND, "round %u: the ring is kept", i);
	}
	pair_close(&t);
}
END_TEST

/* Records committed while no consumer was there. */
START_TEST(nothing_is_lost_between_consumers)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	for (unsigned round = 0; round < 10; round++) {
		ck_ok(vshm_consumer_close(t.c));
		for (unsigned i = 0; i < 5; i++) {
			unsigned char record[80];

			support_fill(record, sizeof(record), 10 * round + i);
			ck_ok(vshm_producer_send(t.p, record, sizeof(record), 0));
		}
		t.c = consumer(t.b, "ring", 0);
		connect_ends(t.p, t.c);
		for (unsigned i = 0; i < 5; i++)
			get(t.c, 80, 10 * round + i);
	}
	pair_close(&t);
}
END_TEST

/* The next consumer is another peer. */
START_TEST(consumer_moves_to_another_peer)
{
	struct vshm_region *third;
	struct pair t;

	world_create(&t.w, _i, 3, 65536);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	third = world_open(&t.w, 2);
	t.p = producer(t.a, "ring", 1024, 0);
	t.c = consumer(t.b, "ring", 0);
	connect_ends(t.p, t.c);
	for (unsigned i = 0; i < 6; i++)
		put(t.p, t.c, 50, i);
	get(t.c, 50, 0);
	get(t.c, 50, 1);
	ck_ok(vshm_consumer_close(t.c));
	t.c = consumer(third, "ring", 0);
	connect_ends(t.p, t.c);
	for (unsigned i = 2; i < 6; i++)
		get(t.c, 50, i);
	ck_ok(vshm_region_close(third));
	pair_close(&t);
}
END_TEST

START_TEST(follows_a_reopened_producer)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_consumer_close(t.c));
	t.c = consumer(t.b, "ring", VSHM_CONSUMER_FOLLOW);
	connect_ends(t.p, t.c);
	for (unsigned i = 0; i < 20; i++) {
		put(t.p, t.c, 40, i);
		ck_is(vshm_producer_close(t.p, 0), -EAGAIN); /* unread, stays readable */
		get(t.c, 40, i);
		get_nothing(t.c, -ENODATA); /* once */
		get_nothing(t.c, -EAGAIN);
		t.p = producer(t.a, "ring", 4096, 0);
		connect_ends(t.p, t.c);
	}
	pair_close(&t);
}
END_TEST

START_TEST(follows_to_another_peer)
{
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_consumer_close(t.c));
	t.c = consumer(t.b, "ring", VSHM_CONSUMER_FOLLOW);
	connect_ends(t.p, t.c);
	ck_ok(vshm_producer_close(t.p, 0));
	get_nothing(t.c, -ENODATA);
	t.p = producer(t.b, "ring", 4096, 0);
	connect_ends(t.p, t.c);
	put(t.p, t.c, 40, 9);
	get(t.c, 40, 9);
	pair_close(&t);
}
END_TEST

/* A consumer that does not follow never shows records of another producer. */
START_TEST(does_not_follow_unless_asked)
{
	struct pair t;
	int rc;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_producer_close(t.p, 0));
	get_nothing(t.c, -ENODATA);
	t.p = producer(t.a, "ring", 4096, 0);
	rc = vshm_producer_send(t.p, "x", 1, 0);
	ck_assert_msg(rc == 0, "%d", rc);
	for (unsigned i = 0; i < 20; i++) {
		(void)vshm_producer_flush(t.p);
		get_nothing(t.c, -ENODATA);
	}
	pair_close(&t);
}
END_TEST

/* The peer of the producer is evicted and its slot used again: another incarnation. */
static void restart_by_force(struct pair *t, int transport, uint32_t flags)
{
	pair_open(t, transport, 4096);
	ck_ok(vshm_consumer_close(t->c));
	t->c = consumer(t->b, "ring", flags);
	connect_ends(t->p, t->c);
	put(t->p, t->c, 40, 1);
	get(t->c, 40, 1);
	ck_ok(vshm_region_evict(t->w.uri, 0, VSHM_EVICT_FORCE, NULL));
	wait_status(t->a, -ESTALE);
	ck_ok(vshm_region_close(t->a));
}

static int is_broken_off(int rc)
{
	return rc == -EPIPE || rc == -ESTALE;
}

START_TEST(restarted_peer_is_stale)
{
	struct vshm_view v;
	struct pair t;
	int rc;

	restart_by_force(&t, _i, 0);
	rc = vshm_consumer_peek(t.c, &v, SUPPORT_LONG);
	ck_assert_msg(is_broken_off(rc), "%d", rc);
	t.a = world_open(&t.w, 0);
	t.p = producer(t.a, "ring", 4096, 0);
	ck_ok(vshm_producer_send(t.p, "x", 1, 0));
	rc = vshm_consumer_peek(t.c, &v, 50 * SUPPORT_MS);
	ck_assert_msg(is_broken_off(rc), "%d", rc);
	ck_ok(vshm_region_status(t.b));
	pair_close(&t);
}
END_TEST

START_TEST(follows_a_restarted_peer)
{
	struct vshm_view v;
	struct pair t;
	int rc;

	restart_by_force(&t, _i, VSHM_CONSUMER_FOLLOW);
	rc = vshm_consumer_peek(t.c, &v, SUPPORT_LONG);
	ck_assert_msg(is_broken_off(rc), "%d", rc);
	t.a = world_open(&t.w, 0);
	t.p = producer(t.a, "ring", 4096, 0);
	connect_ends(t.p, t.c);
	put(t.p, t.c, 40, 2);
	get(t.c, 40, 2);
	pair_close(&t);
}
END_TEST

/* The slot comes back although a consumer never looks again, after a while. */
START_TEST(slot_returns_without_a_reader)
{
	struct pair t;
	int rc;

	pair_open(&t, _i, 4096);
	put(t.p, t.c, 40, 1);
	ck_ok(vshm_region_close(t.a));
	t.a = world_open(&t.w, 0); /* waits up to 5 s for the reader */
	t.p = producer(t.a, "ring", 4096, 0);
	rc = vshm_consumer_peek(t.c, &(struct vshm_view){NULL, 0}, 0);
	ck_assert_msg(rc == -ESTALE || rc == -EPIPE || rc == -ENODATA, "reads what is no longer there: %d", rc);
	pair_close(&t);
}
END_TEST

/* Producers that were gone before the consumer came: their unread records are nobody's, however many they are. */
START_TEST(passes_over_the_dead)
{
	struct vshm_region *dead[3], *r, *live;
	struct vshm_producer *p;
	struct vshm_consumer *c;
	struct vshm_view v;
	struct world w;

	world_create(&w, _i, 5, 65536);
	for (vshm_peer i = 0; i < 3; i++) {
		dead[i] = world_open(&w, i);
		ck_ok(vshm_producer_send(producer(dead[i], "ring", 4096, 0), &i, sizeof(i), 0));
		ck_ok(vshm_region_evict(w.uri, i, VSHM_EVICT_FORCE, NULL));
	}
	live = world_open(&w, 3);
	p = producer(live, "ring", 4096, 0);
	r = world_open(&w, 4);
	c = consumer(r, "ring", 0);
	ck_ok(vshm_producer_send(p, "live", 4, SUPPORT_LONG));
	ck_ok(vshm_consumer_peek(c, &v, SUPPORT_LONG));
	ck_assert_uint_eq(v.size, 4);
	ck_assert_mem_eq(v.data, "live", 4);
	ck_ok(vshm_consumer_release(c));
	for (vshm_peer i = 0; i < 3; i++)
		ck_ok(vshm_region_close(dead[i]));
	ck_ok(vshm_region_close(live));
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

Suite *suite_restart(void)
{
	Suite *s = suite_create("restart");
	TCase *tc = tcase_create("restart");

	tcase_set_timeout(tc, 90);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, next_consumer_goes_on);
	add_everywhere(tc, next_consumer_goes_on_within_a_burst);
	add_everywhere(tc, nothing_is_lost_between_consumers);
	add_everywhere(tc, consumer_moves_to_another_peer);
	add_everywhere(tc, slow_producer_finds_each_consumer);
	add_everywhere(tc, idle_producer_serves_each_consumer);
	add_everywhere(tc, the_last_answer_is_heard);
	add_everywhere(tc, a_reservation_is_kept);
	add_everywhere(tc, head_counts_in_its_own_ring);
	add_everywhere(tc, follower_is_granted_once);
	add_everywhere(tc, follows_a_reopened_producer);
	add_everywhere(tc, follows_to_another_peer);
	add_everywhere(tc, does_not_follow_unless_asked);
	add_everywhere(tc, restarted_peer_is_stale);
	add_everywhere(tc, follows_a_restarted_peer);
	add_everywhere(tc, passes_over_the_dead);
	tcase_add_loop_test(tc, slot_returns_without_a_reader, 0, 1);
	suite_add_tcase(s, tc);
	return s;
}
