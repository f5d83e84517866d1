/* SPDX-License-Identifier: BSD-3-Clause */
/* Bare eventfd: what an ivshmem doorbell is on the host. No payload. */
#include "bench.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LAST 2u

static int setup(struct bench_job *job)
{
	for (int i = 0; i < 2; i++) {
		job->fd[i] = eventfd(0, EFD_CLOEXEC);
		if (job->fd[i] < 0)
			return bench_error(job, "eventfd", -errno);
	}
	return 0;
}

static int trip(void *arg, uint64_t n)
{
	struct bench_job *job = arg;
	uint64_t one = 1, got;

	(void)n;
	if (write(job->fd[0], &one, sizeof(one)) != sizeof(one))
		return bench_error(job, "write", -errno);
	if (read(job->fd[1], &got, sizeof(got)) != sizeof(got))
		return bench_error(job, "read", -errno);
	return got == 1 ? 0 : bench_error(job, "wrong count", 0);
}

static int ask(struct bench_job *job)
{
	uint64_t last = LAST;
	int failed;

	bench_ready(job);
	failed = bench_ask(job, trip, job);
	if (write(job->fd[0], &last, sizeof(last)) != sizeof(last))
		return bench_error(job, "write", -errno);
	return failed;
}

static int answer(struct bench_job *job)
{
	uint64_t got, n = 0;

	bench_ready(job);
	for (;; n++) {
		if (read(job->fd[0], &got, sizeof(got)) != sizeof(got))
			return bench_error(job, "read", -errno);
		if (got == LAST)
			break;
		if (write(job->fd[1], &got, sizeof(got)) != sizeof(got))
			return bench_error(job, "write", -errno);
	}
	job->control->received = n;
	return 0;
}

const struct bench_candidate bench_eventfd = {
	.name = "eventfd",
	.label = "eventfd",
	.work = BENCH_ROUND_SLEEP,
	.setup = setup,
	.first = ask,
	.second = answer,
};
