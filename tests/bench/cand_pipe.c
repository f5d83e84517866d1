/* SPDX-License-Identifier: BSD-3-Clause */
/* Pipe and Unix stream socket: one write and one read for each message, as a program would without a library. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define USE_SOCKET 1u

/* fd: first reads 0 and writes 1, second reads 2 and writes 3. */
static int open_pipes(int fd[4])
{
	int there[2], back[2];

	if (pipe(there))
		return -errno;
	if (pipe(back)) {
		close(there[0]);
		close(there[1]);
		return -errno;
	}
	fd[0] = back[0];
	fd[1] = there[1];
	fd[2] = there[0];
	fd[3] = back[1];
	return 0;
}

static int open_sockets(int fd[4])
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	fd[0] = pair[0];
	fd[1] = dup(pair[0]);
	fd[2] = pair[1];
	fd[3] = dup(pair[1]);
	return fd[1] < 0 || fd[3] < 0 ? -errno : 0;
}

static int setup(struct bench_job *job)
{
	int rc = job->candidate->flags & USE_SOCKET ? open_sockets(job->fd) : open_pipes(job->fd);

	return rc ? bench_error(job, "pipe or socket", rc) : 0;
}

/* A child keeps its own two only: the end of a stream is that nobody holds the other end any more. */
static void close_pair(const int *fd)
{
	close(fd[0]);
	close(fd[1]);
}

static int put(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* 1: `size` bytes came; 0: end of stream. */
static int get(int fd, char *data, size_t size)
{
	while (size) {
		ssize_t n = read(fd, data, size);

		if (n <= 0)
			return n ? -errno : 0;
		data += n;
		size -= (size_t)n;
	}
	return 1;
}

static void *buffer(struct bench_job *job)
{
	void *data = aligned_alloc(64, (job->size + 63) / 64 * 64);

	if (!data)
		bench_error(job, "buffer", -ENOMEM);
	return data;
}

static int produce(struct bench_job *job)
{
	void *data = buffer(job);
	uint64_t n = 0;
	int rc = data ? 0 : -ENOMEM;

	close_pair(&job->fd[2]);
	bench_ready(job);
	while (!rc && bench_phase(job) != BENCH_STOP)
		for (unsigned i = 0; i < job->batch && !rc; i++, n++) {
			bench_fill(data, job->size, n);
			rc = put(job->fd[1], data, job->size);
		}
	job->control->sent = n;
	free(data);
	return rc ? bench_error(job, "write", rc) : 0;
}

static int consume(struct bench_job *job)
{
	struct bench_meter meter;
	void *data = buffer(job);
	uint64_t n = 0;
	int rc = 0;

	close_pair(&job->fd[0]);
	bench_ready(job);
	bench_meter_init(&meter, job);
	while (data && (rc = get(job->fd[2], data, job->size)) == 1) {
		if (bench_check(data, job->size, n))
			return bench_error(job, "wrong bytes", 0);
		bench_tick(&meter, ++n);
	}
	bench_meter_finish(&meter, n);
	free(data);
	return rc ? bench_error(job, "read", rc) : 0;
}

struct talk {
	struct bench_job *job;
	void *data;
};

static int trip(void *arg, uint64_t n)
{
	struct talk *talk = arg;
	struct bench_job *job = talk->job;
	int rc;

	bench_fill(talk->data, job->size, n);
	rc = put(job->fd[1], talk->data, job->size);
	if (rc)
		return bench_error(job, "write", rc);
	rc = get(job->fd[0], talk->data, job->size);
	if (rc != 1)
		return bench_error(job, "read", rc);
	return bench_check(talk->data, job->size, ~n) ? bench_error(job, "wrong bytes", 0) : 0;
}

static int ask(struct bench_job *job)
{
	struct talk talk = {job, buffer(job)};
	int failed;

	close_pair(&job->fd[2]);
	if (!talk.data)
		return 1;
	bench_ready(job);
	failed = bench_ask(job, trip, &talk);
	free(talk.data);
	return failed;
}

static int answer(struct bench_job *job)
{
	void *data = buffer(job);
	uint64_t n = 0;
	int rc = 0;

	close_pair(&job->fd[0]);
	bench_ready(job);
	for (; data && (rc = get(job->fd[2], data, job->size)) == 1; n++) {
		if (bench_check(data, job->size, n))
			return bench_error(job, "wrong bytes", 0);
		bench_fill(data, job->size, ~n);
		rc = put(job->fd[3], data, job->size);
		if (rc)
			break;
	}
	job->control->received = n;
	free(data);
	return rc ? bench_error(job, "talk", rc) : 0;
}

const struct bench_candidate bench_pipe = {
	.name = "pipe",
	.label = "pipe",
	.work = BENCH_STREAM,
	.setup = setup,
	.first = produce,
	.second = consume,
};

const struct bench_candidate bench_unix = {
	.name = "unix",
	.label = "Unix stream socket",
	.work = BENCH_STREAM,
	.flags = USE_SOCKET,
	.setup = setup,
	.first = produce,
	.second = consume,
};

const struct bench_candidate bench_pipe_sleep = {
	.name = "pipe",
	.label = "pipe",
	.work = BENCH_ROUND_SLEEP,
	.setup = setup,
	.first = ask,
	.second = answer,
};

const struct bench_candidate bench_unix_sleep = {
	.name = "unix",
	.label = "Unix stream socket",
	.work = BENCH_ROUND_SLEEP,
	.flags = USE_SOCKET,
	.setup = setup,
	.first = ask,
	.second = answer,
};
