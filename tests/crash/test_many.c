/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One-to-many rings. Consumers are killed: the producer and the others go on, and each of these gets every record once. The
 * producer is killed: each consumer gets every record that was committed.
 */
#include "crash.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEADY 2u /* consumers that nobody kills */
#define VICTIMS 2u
#define PEERS (1 + STEADY + VICTIMS)

/* ---- consumers are killed ---- */

struct herd {
	struct scene s; /* and notes of their own for each consumer */
	struct scene steady[STEADY], victim[VICTIMS];
	pid_t pid[STEADY];
	struct vshm_region *region;
	struct vshm_producer *p;
	uint64_t sent;
	unsigned pace_us;
};

/* The same region, with notes for another peer. */
static void scene_for(struct scene *other, const struct scene *first, unsigned peer)
{
	*other = *first;
	other->seed += peer;
	snprintf(other->notes_path, sizeof(other->notes_path), "%.500s%u", first->notes_path, peer);
	other->notes = map_notes(other->notes_path);
	ck_assert_ptr_nonnull(other->notes);
}

static void open_many(struct herd *h)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;

	o.ring_size = RING_SIZE;
	o.consumers = STEADY + VICTIMS;
	ck_assert_int_eq(vshm_producer_open(h->region, RING_NAME, &o, &h->p), 0);
}

static void await_consumers(struct vshm_producer *p, int count)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;

	while (vshm_producer_consumers(p) != count) {
		ck_assert_msg(support_now_ns() < end, "%d consumers", vshm_producer_consumers(p));
		support_sleep_us(200);
	}
}

static void herd_open(struct herd *h, unsigned pace_us)
{
	memset(h, 0, sizeof(*h));
	scene_open(&h->s, PEERS);
	h->region = scene_attach(&h->s, 0, 20000);
	h->pace_us = pace_us;
	open_many(h);
	for (unsigned i = 0; i < STEADY; i++) {
		scene_for(&h->steady[i], &h->s, 1 + i);
		h->pid[i] = start_peer(&h->steady[i], "consume", 1 + i, 1, i * 4000, -1);
	}
	for (unsigned i = 0; i < VICTIMS; i++)
		scene_for(&h->victim[i], &h->s, 1 + STEADY + i);
	await_consumers(h->p, STEADY);
}

static void send_next(struct herd *h, int64_t timeout_ns)
{
	size_t size = record_size(1, h->sent);
	void *data;
	int rc = vshm_producer_reserve(h->p, size, &data, timeout_ns);

	if (rc == -ETIMEDOUT)
		return; /* a death is told by whoever is the last */
	ck_assert_msg(rc == 0, "%d %s", rc, vshm_strerror(rc));
	record_fill(data, 1, h->sent);
	ck_assert_int_eq(vshm_producer_commit(h->p, size, 0), 0);
	h->sent++;
	if (h->pace_us && support_below(&h->s.seed, 16) == 0)
		support_sleep_us((int64_t)support_below(&h->s.seed, h->pace_us));
}

/* Two at a time; the producer goes on until both are dead, and for a little while. */
static void kill_some(struct herd *h)
{
	struct killer k[VICTIMS];
	uint64_t goal;

	for (unsigned i = 0; i < VICTIMS; i++)
		killer_start_random(&k[i], start_peer(&h->victim[i], "consume", 1 + STEADY + i, 1, 100, -1),
				    &h->victim[i]);
	while (!killer_dead_at(&k[0]) || !killer_dead_at(&k[1]))
		send_next(h, 5 * SUPPORT_MS);
	for (unsigned i = 0; i < VICTIMS; i++) {
		killer_join(&k[i]);
		ck_assert_uint_eq(noted(h->victim[i].notes->error), 0);
	}
	for (goal = h->sent + support_below(&h->s.seed, 100); h->sent < goal;)
		send_next(h, 5 * SUPPORT_MS);
}

/* One more is killed while the producer waits for everybody to come to the end. */
static void herd_close(struct herd *h)
{
	pid_t pid = start_peer(&h->victim[0], "consume", 1 + STEADY, 1, 50000, -1);
	struct killer k;
	int rc;

	await_consumers(h->p, STEADY + 1);
	for (uint64_t goal = h->sent + 40; h->sent < goal;)
		send_next(h, 5 * SUPPORT_MS);
	killer_start(&k, pid, NULL, 2000);
	rc = vshm_producer_close(h->p, SUPPORT_LONG);
	ck_assert_msg(rc == 0 || rc == -EPIPE, "close: %d %s", rc, vshm_strerror(rc));
	for (unsigned i = 0; i < STEADY; i++)
		ck_assert_msg(noted(h->steady[i].notes->done) + 1 >= h->sent,
			      "close: %d, but consumer %u had still to read", rc, i);
	killer_join(&k);
	for (unsigned i = 0; i < STEADY; i++) {
		ck_assert_int_eq(support_wait(h->pid[i], SUPPORT_LONG), 0);
		ck_assert_uint_eq(noted(h->steady[i].notes->first), 1);
		ck_assert_uint_eq(noted(h->steady[i].notes->done), h->sent);
		(void)unlink(h->steady[i].notes_path);
	}
	for (unsigned i = 0; i < VICTIMS; i++)
		(void)unlink(h->victim[i].notes_path);
	ck_assert_int_eq(vshm_region_close(h->region), 0);
	scene_close(&h->s);
}

static void kill_consumers(unsigned pace_us, unsigned share)
{
	unsigned count = (kills(share) + 1) / VICTIMS;
	struct herd h;

	herd_open(&h, pace_us);
	for (unsigned i = 0; i < count; i++)
		kill_some(&h);
	herd_close(&h);
	printf("consumers of a one-to-many ring killed: %u kills, %llu records to each of the others\n",
	       VICTIMS * count + 1, (unsigned long long)h.sent);
}

START_TEST(busy_producer)
{
	kill_consumers(0, 60);
}
END_TEST

START_TEST(slow_producer)
{
	kill_consumers(300, 40);
}
END_TEST

/* ---- the producer is killed ---- */

struct reader {
	struct vshm_region *region;
	struct vshm_consumer *c;
	const struct notes *notes;
	uint64_t run, delivered, all;
	pthread_t thread;
};

/* Until the death is told. */
static void *read_to_death(void *arg)
{
	struct reader *r = arg;
	struct vshm_view v;
	int rc;

	while (!(rc = vshm_consumer_peek(r->c, &v, SUPPORT_LONG))) {
		ck_assert_msg(record_is(&v, r->run, r->delivered), "run %llu: record %llu is not what was sent",
			      (unsigned long long)r->run, (unsigned long long)r->delivered);
		ck_assert_int_eq(vshm_consumer_release(r->c), 0);
		r->delivered++;
	}
	ck_assert_msg(rc == -EPIPE || rc == -ESTALE, "run %llu: %d %s", (unsigned long long)r->run, rc,
		      vshm_strerror(rc));
	return NULL;
}

/* Consumers that look are granted when the producer opens, so that all of them see all of it. */
static void start_reading(struct reader *r, struct scene *s, uint64_t run)
{
	r->run = run;
	r->delivered = 0;
	r->notes = s->notes;
	ck_assert_int_eq(vshm_consumer_open(r->region, RING_NAME, NULL, &r->c), 0);
}

static void end_reading(struct reader *r)
{
	uint64_t started = noted(r->notes->started), done = noted(r->notes->done);

	ck_assert_int_eq(pthread_join(r->thread, NULL), 0);
	ck_assert_int_eq(vshm_consumer_close(r->c), 0);
	ck_assert_uint_eq(noted(r->notes->error), 0);
	ck_assert_msg(r->delivered >= done && r->delivered <= started,
		      "run %llu: %llu delivered, %llu published, %llu begun", (unsigned long long)r->run,
		      (unsigned long long)r->delivered, (unsigned long long)done, (unsigned long long)started);
	r->all += r->delivered;
}

static void kill_producer(struct scene *s, struct reader readers[], uint64_t run)
{
	struct killer k;
	pid_t pid;

	for (unsigned i = 0; i < STEADY; i++)
		start_reading(&readers[i], s, run);
	pid = start_peer(s, "produce-many", 0, run, run % 2 ? 0 : 100, -1);
	killer_start(&k, pid, s->notes, (int64_t)support_below(&s->seed, 5000));
	for (unsigned i = 0; i < STEADY; i++)
		ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, read_to_death, &readers[i]), 0);
	killer_join(&k);
	for (unsigned i = 0; i < STEADY; i++)
		end_reading(&readers[i]);
}

START_TEST(producer_killed)
{
	unsigned count = kills(60);
	struct reader readers[STEADY];
	struct scene s;

	memset(readers, 0, sizeof(readers));
	scene_open(&s, PEERS);
	for (unsigned i = 0; i < STEADY; i++)
		readers[i].region = scene_attach(&s, 1 + i, 20000);
	for (unsigned i = 0; i < count; i++)
		kill_producer(&s, readers, 1 + i);
	for (unsigned i = 0; i < STEADY; i++)
		ck_assert_int_eq(vshm_region_close(readers[i].region), 0);
	scene_close(&s);
	printf("producer of a one-to-many ring killed: %u kills, %llu and %llu records delivered\n", count,
	       (unsigned long long)readers[0].all, (unsigned long long)readers[1].all);
}
END_TEST

Suite *suite_many(void)
{
	Suite *s = suite_create("many");
	TCase *tc = tcase_create("many");

	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_test(tc, busy_producer);
	tcase_add_test(tc, slow_producer);
	tcase_add_test(tc, producer_killed);
	suite_add_tcase(s, tc);
	return s;
}
