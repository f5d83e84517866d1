/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The peers that are to die: "peer ROLE URI NOTES PEER RUN PACE_US FD". They only stop by being killed, when the
 * notes say so, or with an error, which they note.
 */
#include "crash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

int give_up(struct doomed *d, const char *what, int rc)
{
	char why[VSHM_WHY_SIZE] = "";

	if (d->region)
		(void)vshm_region_why(d->region, why);
	fprintf(stderr, "peer of run %llu: %s: %d %s: %s\n", (unsigned long long)d->run, what, rc, vshm_strerror(rc),
		why);
	note(d->notes->error, -rc);
	return 1;
}

void pace(struct doomed *d)
{
	if (d->pace_us && support_below(&d->seed, 8) == 0)
		support_sleep_us((int64_t)support_below(&d->seed, d->pace_us));
}

static int open_producer(struct doomed *d, struct vshm_producer **p)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	int rc;

	o.ring_size = RING_SIZE;
	o.consumers = d->consumers;
	rc = vshm_producer_open(d->region, RING_NAME, &o, p);
	if (rc)
		return give_up(d, "producer open", rc);
	note(d->notes->ready, 1);
	return 0;
}

/* ---- a producer ---- */

static int send_one(struct doomed *d, struct vshm_producer *p, uint64_t number)
{
	uint32_t more = support_below(&d->seed, 4) == 0 ? VSHM_MORE : 0;
	size_t size = record_size(d->run, number);
	void *data;
	int rc;

	do
		rc = vshm_producer_reserve(p, size, &data, SUPPORT_LONG);
	while (rc == -EHOSTDOWN || rc == -EPIPE); /* each is said once; the next consumer may come */
	if (rc)
		return give_up(d, "reserve", rc);
	record_fill(data, d->run, number);
	note(d->notes->started, number + 1);
	rc = vshm_producer_commit(p, size, more);
	if (rc)
		return give_up(d, "commit", rc);
	if (!more)
		note(d->notes->done, number + 1);
	return 0;
}

static int produce(struct doomed *d)
{
	struct vshm_producer *p = NULL;
	uint64_t number = 0;
	int rc;

	if (open_producer(d, &p))
		return 1;
	while (!noted(d->notes->stop)) {
		if (send_one(d, p, number++))
			return 1;
		pace(d);
	}
	rc = vshm_producer_close(p, SUPPORT_LONG);
	return rc ? give_up(d, "close", rc) : 0;
}

static int produce_many(struct doomed *d)
{
	d->consumers = 4;
	return produce(d);
}

/* ---- a producer that reads a pipe straight into the ring ---- */

static int produce_from_pipe(struct doomed *d)
{
	struct vshm_producer *p = NULL;
	uint64_t number = 0;
	void *data;
	ssize_t got;
	int rc;

	if (open_producer(d, &p))
		return 1;
	for (;;) {
		rc = vshm_producer_reserve(p, MAX_PAYLOAD, &data, SUPPORT_LONG);
		if (rc)
			return give_up(d, "reserve", rc);
		got = read(d->fd, data, MAX_PAYLOAD);
		if (got <= 0)
			return 0;
		note(d->notes->started, ++number);
		rc = vshm_producer_commit(p, (size_t)got, 0);
		if (rc)
			return give_up(d, "commit", rc);
		note(d->notes->done, number);
	}
}

struct reader {
	int fd;
	unsigned char *data;
	size_t size;
};

static void *read_for_ever(void *arg)
{
	const struct reader *r = arg;

	while (read(r->fd, r->data, r->size) > 0)
		;
	return NULL;
}

/* Reads zeros into the same memory a thousand times, in one call that nothing interrupts, not even SIGKILL. */
static void *flood_for_ever(void *arg)
{
	const struct reader *r = arg;
	struct iovec vector[1000];

	for (size_t i = 0; i < sizeof(vector) / sizeof(vector[0]); i++)
		vector[i] = (struct iovec){r->data, r->size};
	while (preadv(r->fd, vector, sizeof(vector) / sizeof(vector[0]), 0) > 0)
		;
	return NULL;
}

/* Threads inside the kernel at once, until the end: a dying process writes for as long as any of its threads is in there. */
static int read_with_threads(struct doomed *d, int fd, void *(*run)(void *), unsigned char *data, size_t part)
{
	struct reader readers[3];
	pthread_t threads[3];

	for (unsigned i = 0; i < 3; i++) {
		readers[i] = (struct reader){fd, data + i * part, part};
		if (pthread_create(&threads[i], NULL, run, &readers[i]))
			return 1;
	}
	note(d->notes->ready, 2);
	for (unsigned i = 0; i < 3; i++)
		(void)pthread_join(threads[i], NULL);
	return 0;
}

/* Over the whole ring, and never a commit. */
static int write_into_reserved(struct doomed *d, int fd, void *(*run)(void *))
{
	struct vshm_producer *p = NULL;
	void *data;
	size_t part;
	int rc;

	if (open_producer(d, &p))
		return 1;
	part = vshm_producer_max_record(p) / 3;
	rc = vshm_producer_reserve(p, 3 * part, &data, SUPPORT_LONG);
	if (rc)
		return give_up(d, "reserve all", rc);
	return read_with_threads(d, fd, run, data, part);
}

static int pour(struct doomed *d)
{
	return write_into_reserved(d, d->fd, read_for_ever);
}

static int open_zeros(void)
{
	int fd = memfd_create("zeros", MFD_CLOEXEC);

	return fd >= 0 && ftruncate(fd, 1 << 30) ? -1 : fd;
}

static int flood(struct doomed *d)
{
	int fd = open_zeros();

	return fd < 0 ? give_up(d, "memfd", -errno) : write_into_reserved(d, fd, flood_for_ever);
}

/* ---- a consumer that takes long to die, with a lent block in its hands ---- */

static int linger(struct doomed *d)
{
	static unsigned char zeros[3 * 65536];
	struct vshm_consumer *c = NULL;
	struct vshm_view v;
	int fd = open_zeros(), rc = fd < 0 ? -errno : open_borrower(d->region, 0, &c);

	if (!rc)
		rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);
	if (!rc)
		rc = vshm_consumer_keep(c, v.data);
	if (!rc)
		rc = vshm_consumer_release(c);
	return rc ? give_up(d, "lingering holder", rc) : read_with_threads(d, fd, flood_for_ever, zeros, sizeof(zeros) / 3);
}

/* ---- a consumer ---- */

/* Leftovers of a dead producer are delivered, too: whole, but of another run. */
static int is_leftover(const struct doomed *d, const struct vshm_view *v)
{
	uint64_t run, number;

	memcpy(&run, v->data, 8);
	memcpy(&number, (const char *)v->data + 8, 8);
	return run != d->run && record_is(v, run, number);
}

static int check_record(struct doomed *d, const struct vshm_view *v, uint64_t *expected)
{
	uint64_t number;

	memcpy(&number, (const char *)v->data + 8, 8);
	if (!noted(d->notes->first)) {
		*expected = number;
		note(d->notes->first, number + 1);
	}
	if (number != *expected || !record_is(v, d->run, number)) {
		fprintf(stderr, "peer: record %llu where %llu was expected, or spoilt\n", (unsigned long long)number,
			(unsigned long long)*expected);
		return give_up(d, "record", -EILSEQ);
	}
	++*expected;
	return 0;
}

static int consume_one(struct doomed *d, struct vshm_consumer *c, const struct vshm_view *v, uint64_t *expected)
{
	int leftover = is_leftover(d, v);

	if (!leftover && check_record(d, v, expected))
		return 1;
	(void)vshm_consumer_release(c);
	if (!leftover)
		note(d->notes->done, *expected);
	pace(d);
	return 0;
}

/* Until the end of the stream of this run. */
static int consume(struct doomed *d)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_consumer *c = NULL;
	struct vshm_view v;
	uint64_t expected = 0;
	int rc;

	o.flags = VSHM_CONSUMER_FOLLOW;
	rc = vshm_consumer_open(d->region, RING_NAME, &o, &c);
	if (rc)
		return give_up(d, "consumer open", rc);
	note(d->notes->ready, 1);
	for (;;) {
		rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);
		if (!rc && consume_one(d, c, &v, &expected))
			return 1;
		if (rc == -ENODATA && noted(d->notes->first))
			return 0;
		if (rc && rc != -EHOSTDOWN && rc != -EPIPE && rc != -ESTALE && rc != -ENODATA)
			return give_up(d, "peek", rc);
	}
}

/* ---- one that does nothing until it learns that it was evicted ---- */

static int idle(struct doomed *d)
{
	struct vshm_consumer *c = NULL;
	struct vshm_producer *p = NULL;
	struct vshm_view v;
	void *data;
	int rc;

	if (open_producer(d, &p) || vshm_consumer_open(d->region, "nobody", NULL, &c))
		return 1;
	note(d->notes->ready, 2);
	do
		rc = vshm_region_status(d->region);
	while (!rc && !noted(d->notes->stop));
	if (rc != -ESTALE)
		return give_up(d, "status", rc ? rc : -ETIMEDOUT);
	rc = vshm_producer_reserve(p, MAX_PAYLOAD, &data, SUPPORT_LONG);
	if (rc != -ESTALE)
		return give_up(d, "reserve of an evicted peer", rc ? rc : -EIO);
	rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);
	if (rc != -ESTALE)
		return give_up(d, "peek of an evicted peer", rc ? rc : -EIO);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct doomed *d);
} roles[] = {
	{"produce", produce}, {"succeed", produce}, {"pipe", produce_from_pipe}, {"pour", pour}, {"flood", flood},
	{"consume", consume}, {"idle", idle},	    {"produce-many", produce_many},
	{"lend", lend_to_one}, {"lend-many", lend_to_many}, {"hold", hold_blocks}, {"linger", linger},
};

static int play(struct doomed *d, const char *role)
{
	int rc = 2;

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!strcmp(roles[i].name, role))
			rc = roles[i].run(d);
	return vshm_region_close(d->region) ? 1 : rc;
}

int peer_main(int argc, char **argv)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct doomed d;
	int rc;

	if (argc != 9)
		return 2;
	memset(&d, 0, sizeof(d));
	d.notes = map_notes(argv[4]);
	d.run = strtoull(argv[6], NULL, 10);
	d.seed = d.run * 77;
	d.pace_us = (unsigned)strtoul(argv[7], NULL, 10);
	d.fd = atoi(argv[8]);
	if (!d.notes)
		return 2;
	o.peer = (vshm_peer)strtoul(argv[5], NULL, 10);
	do
		rc = vshm_region_open(argv[3], &o, &d.region, NULL);
	while (rc == -EBUSY && !strcmp(argv[2], "succeed")); /* waits for the present user's death */
	if (rc)
		return give_up(&d, "region open", rc);
	return play(&d, argv[2]);
}
