/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The producer is killed, the consumer goes on: every committed record is delivered, in order and whole, then -EPIPE;
 * the next producer in the same slot continues; nothing that the dead one still had in the kernel spoils its records.
 */
#include "crash.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct survivor {
	struct scene s;
	struct vshm_region *region;
	struct vshm_consumer *c;
	uint64_t run;
	uint64_t delivered; /* of this run */
	uint64_t position; /* where a model of the ring stands after them */
	uint64_t all; /* of all runs */
	int64_t slowest_ns; /* from a death to -EPIPE */
	unsigned unheard; /* runs that ended before anything was committed and anybody connected */
	int foretold; /* such a death may still be told in the next run */
};

static void survivor_open(struct survivor *u, uint32_t flags, uint32_t spin_us)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;

	memset(u, 0, sizeof(*u));
	scene_open(&u->s, 2);
	u->region = scene_attach(&u->s, 0, 20000); /* suspicion is another test */
	o.flags = VSHM_CONSUMER_FOLLOW | flags;
	o.spin_us = spin_us;
	ck_assert_int_eq(vshm_consumer_open(u->region, RING_NAME, &o, &u->c), 0);
}

static void survivor_close(struct survivor *u, const char *what, unsigned count)
{
	ck_assert_int_eq(vshm_region_status(u->region), 0);
	ck_assert_int_eq(vshm_region_close(u->region), 0);
	scene_close(&u->s);
	printf("%s: %u kills (%u before the first record), %llu records delivered, slowest -EPIPE after %lld us\n",
	       what, count, u->unheard, (unsigned long long)u->all, (long long)(u->slowest_ns / 1000));
}

/* Where the ring stands after one more record: padding fills it up to its end where the record does not fit. */
static void advance(struct survivor *u, size_t size)
{
	uint64_t span = (size + 7) / 8 * 8 + VSHM_RECORD_HEADER;

	if (u->position % RING_SIZE + span > RING_SIZE)
		u->position = (u->position / RING_SIZE + 1) * RING_SIZE;
	u->position += span;
}

/* The tail that stands in the dead producer's section, read from the file as layout.h describes it. */
static int raw_tail(struct survivor *u, uint64_t *tail)
{
	struct vshm_superblock sb;
	struct vshm_entry entry;
	int fd = open(u->s.path, O_RDONLY | O_CLOEXEC), found = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &sb, sizeof(sb), 0), (ssize_t)sizeof(sb));
	for (unsigned i = 0; i < VSHM_ENTRIES && !found; i++) {
		off_t at = (off_t)(sb.section[1].offset + VSHM_SECTION_DIRECTORY + i * sizeof(entry));

		ck_assert_int_eq(pread(fd, &entry, sizeof(entry), at), (ssize_t)sizeof(entry));
		found = entry.state != VSHM_END_FREE && entry.kind == VSHM_PRODUCER && !strcmp(entry.name, RING_NAME);
	}
	(void)close(fd);
	*tail = entry.position;
	return found;
}

/* The tail may stand behind a padding without the record that needed it. */
static void check_tail(struct survivor *u)
{
	uint64_t tail, padded = (u->position + RING_SIZE - 1) / RING_SIZE * RING_SIZE;

	ck_assert_msg(raw_tail(u, &tail), "the dead producer's directory entry is gone");
	ck_assert_msg(tail == u->position || tail == padded, "tail %llu, but records up to %llu were delivered",
		      (unsigned long long)tail, (unsigned long long)u->position);
}

static void check_counts(struct survivor *u)
{
	uint64_t started = noted(u->s.notes->started), done = noted(u->s.notes->done);

	ck_assert_uint_eq(noted(u->s.notes->error), 0);
	ck_assert_msg(u->delivered >= done && u->delivered <= started,
		      "run %llu: %llu delivered, %llu published, %llu begun", (unsigned long long)u->run,
		      (unsigned long long)u->delivered, (unsigned long long)done, (unsigned long long)started);
	u->all += u->delivered;
}

/* Of a producer that died before it committed anything nothing can be expected. */
static void check_delivered(struct survivor *u)
{
	if (u->foretold)
		return;
	check_counts(u);
	check_tail(u);
}

static void take(struct survivor *u, const struct vshm_view *v, int is_checked)
{
	ck_assert_msg(!is_checked || record_is(v, u->run, u->delivered), "run %llu: record %llu is not what was sent",
		      (unsigned long long)u->run, (unsigned long long)u->delivered);
	advance(u, v->size);
	u->delivered++;
	ck_assert_int_eq(vshm_consumer_release(u->c), 0);
}

static int is_death(int rc)
{
	return rc == -EPIPE || rc == -ESTALE;
}

/* The run is over when the death was told, or when the dead one never got as far as to be noticed. */
static int is_over(struct survivor *u, const struct killer *k, int rc)
{
	int64_t dead = killer_dead_at(k);

	if (is_death(rc)) {
		int was_foretold = u->foretold && !u->delivered && !dead;

		u->foretold = 0;
		return !was_foretold;
	}
	ck_assert_msg(rc == -ETIMEDOUT || rc == -EAGAIN, "run %llu: %d %s", (unsigned long long)u->run, rc,
		      vshm_strerror(rc));
	if (!dead)
		return 0;
	if (!noted(u->s.notes->done) && !vshm_consumer_connected(u->c) && support_now_ns() - dead > 50 * SUPPORT_MS) {
		u->foretold = 1;
		u->unheard++;
		return 1;
	}
	ck_assert_msg(support_now_ns() - dead < SUPPORT_LONG,
		      "run %llu: the death was not told; %llu of %llu published records were delivered, connected %d",
		      (unsigned long long)u->run, (unsigned long long)u->delivered,
		      (unsigned long long)noted(u->s.notes->done), vshm_consumer_connected(u->c));
	return 0;
}

static void survive(struct survivor *u, struct killer *k, int is_checked)
{
	struct vshm_view v;
	int rc;

	u->delivered = 0;
	u->position = 0;
	do {
		rc = vshm_consumer_peek(u->c, &v, 20 * SUPPORT_MS);
		if (!rc)
			take(u, &v, is_checked);
	} while (!rc || !is_over(u, k, rc));
	killer_join(k);
	if (is_death(rc) && support_now_ns() - k->dead_at_ns > u->slowest_ns)
		u->slowest_ns = support_now_ns() - k->dead_at_ns;
}

static void kill_one(struct survivor *u, const char *role, unsigned pace_us, int fd)
{
	struct killer k;
	pid_t pid;

	u->run++;
	pid = start_peer(&u->s, role, 1, u->run, pace_us, fd);
	if (fd >= 0)
		(void)close(fd);
	killer_start_random(&k, pid, &u->s);
	survive(u, &k, fd < 0);
}

static void stream_and_kill(uint32_t flags, uint32_t spin_us, unsigned pace_us, unsigned share, const char *what)
{
	unsigned count = kills(share);
	struct survivor u;
	int fds = 0;

	survivor_open(&u, flags, spin_us);
	for (unsigned i = 0; i < count; i++) {
		kill_one(&u, "produce", pace_us, -1);
		check_delivered(&u);
		if (i == count / 2)
			fds = support_count_fds();
	}
	ck_assert_int_eq(support_count_fds(), fds);
	survivor_close(&u, what, count);
}

START_TEST(sleeping_consumer)
{
	stream_and_kill(0, 0, 300, 120, "producer killed, consumer sleeps");
}
END_TEST

START_TEST(default_consumer)
{
	stream_and_kill(0, UINT32_MAX, 50, 60, "producer killed, consumer spins, then sleeps");
}
END_TEST

START_TEST(spinning_consumer)
{
	stream_and_kill(VSHM_CONSUMER_POLL, UINT32_MAX, 0, 60, "producer killed, consumer polls");
}
END_TEST

/* ---- inside read(2) ---- */

struct feeder {
	int fd;
	pthread_t thread;
};

/* Bytes arrive all the time, at the moment of the kill too. */
static void *feed(void *arg)
{
	struct feeder *f = arg;
	unsigned char bytes[MAX_PAYLOAD];

	memset(bytes, 0xee, sizeof(bytes));
	while (write(f->fd, bytes, sizeof(bytes)) > 0)
		;
	(void)close(f->fd);
	return NULL;
}

/* Returns the end to read from, for the child. */
static int feeder_start(struct feeder *f)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[1], F_SETFD, FD_CLOEXEC), 0);
	f->fd = fds[1];
	ck_assert_int_eq(pthread_create(&f->thread, NULL, feed, f), 0);
	return fds[0];
}

static void kill_reader(struct survivor *u, const char *role)
{
	struct feeder f;
	int fd = feeder_start(&f);

	kill_one(u, role, 0, fd);
	ck_assert_int_eq(pthread_join(f.thread, NULL), 0);
}

/* Each killed reader is followed by an ordinary producer in the same slot, whose records lie in the same bytes. */
START_TEST(inside_read)
{
	unsigned count = kills(160);
	struct survivor u;

	survivor_open(&u, 0, 0);
	for (unsigned i = 0; i < count; i += 2) {
		kill_reader(&u, i % 4 ? "pour" : "pipe");
		if (!u.foretold)
			check_counts(&u);
		kill_one(&u, "produce", 20, -1);
		check_delivered(&u);
	}
	survivor_close(&u, "producer killed inside read(2) into the ring", count);
}
END_TEST

/* Reads what the heir sends, checked, until that is several laps of the ring. */
static void read_laps(struct survivor *u)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	struct vshm_view v;

	u->delivered = 0;
	u->position = 0;
	while (u->delivered < 400) {
		int rc = vshm_consumer_peek(u->c, &v, 20 * SUPPORT_MS);

		if (!rc)
			take(u, &v, 1);
		ck_assert_msg(rc == 0 || rc == -ETIMEDOUT || (is_death(rc) && !u->delivered), "%d %s", rc,
			      vshm_strerror(rc));
		ck_assert_uint_eq(noted(u->s.notes->error), 0);
		ck_assert_msg(support_now_ns() < end, "the heir did not get the slot");
	}
}

/* What the heir still sent, and the word that it died. */
static void read_to_death(struct survivor *u)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	struct vshm_view v;
	int rc = 0;

	while (!is_death(rc)) {
		rc = vshm_consumer_peek(u->c, &v, 20 * SUPPORT_MS);
		if (!rc)
			take(u, &v, 1);
		ck_assert_msg(support_now_ns() < end, "the death was not told: %d", rc);
	}
	check_delivered(u);
}

/* Dies with threads in the kernel that go on writing into the ring, while the next one wants the slot at once. */
static void inherit(struct survivor *u, struct survivor *heir)
{
	struct killer k;
	pid_t flood, next;

	flood = start_peer(&u->s, "flood", 1, 0, 0, -1);
	for (int i = 0; i < 30000 && noted(u->s.notes->ready) < 2; i++)
		support_sleep_us(1000);
	heir->run++;
	next = start_peer(&heir->s, "succeed", 1, heir->run, 0, -1);
	killer_start(&k, flood, NULL, (int64_t)support_below(&u->s.seed, 20000));
	read_laps(heir);
	killer_join(&k);
	ck_assert_uint_eq(noted(u->s.notes->error), 0);
	support_kill(next);
	read_to_death(heir);
}

START_TEST(late_writer)
{
	unsigned count = kills(60) / 2;
	struct survivor u, heir;

	survivor_open(&u, 0, 0);
	heir = u;
	scene_second(&heir.s, &u.s);
	for (unsigned i = 0; i < count; i++)
		inherit(&u, &heir);
	(void)unlink(heir.s.notes_path);
	u.all = heir.all;
	survivor_close(&u, "killed while the kernel writes for it, slot wanted at once", 2 * count);
}
END_TEST

Suite *suite_producer(void)
{
	Suite *s = suite_create("producer");
	TCase *tc = tcase_create("producer");

	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_test(tc, sleeping_consumer);
	tcase_add_test(tc, default_consumer);
	tcase_add_test(tc, spinning_consumer);
	tcase_add_test(tc, inside_read);
	tcase_add_test(tc, late_writer);
	suite_add_tcase(s, tc);
	return s;
}
