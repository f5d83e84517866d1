/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What candidates use inside their child processes: the start line, the clock, the consumer's meter and the
 * asking side of a round trip.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define BENCH_MAX_SAMPLES (1u << 18)

uint64_t bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Says "ready" and waits until the program starts both sides. */
void bench_ready(struct bench_job *job)
{
	const struct timespec pause = {0, 50000};

	bench_dawdle(job->dawdle[job->role]);
	atomic_fetch_add(&job->control->ready, 1);
	while (bench_phase(job) == BENCH_PREPARE)
		nanosleep(&pause, NULL);
}

/* Keeps one line for the program to print. `error`: a negative errno, or 0 when there is none. Returns 1. */
int bench_error(struct bench_job *job, const char *what, int error)
{
	char *line = job->control->error[job->role];

	if (error)
		snprintf(line, sizeof(job->control->error[0]), "%s: %s", what, strerror(-error));
	else
		snprintf(line, sizeof(job->control->error[0]), "%s", what);
	return 1;
}

/* Shared memory for candidates that bring none; mapped before the fork, so pointers hold on both sides. */
int bench_map(struct bench_job *job, size_t size)
{
	job->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (job->memory == MAP_FAILED)
		return -errno;
	job->memory_size = size;
	return 0;
}

void bench_unmap(struct bench_job *job)
{
	munmap(job->memory, job->memory_size);
}

static long preempted(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nivcsw;
}

void bench_meter_init(struct bench_meter *meter, struct bench_job *job)
{
	memset(meter, 0, sizeof(*meter));
	meter->job = job;
	meter->phase = BENCH_WARM;
}

void bench_meter_turn(struct bench_meter *meter, unsigned phase, uint64_t count)
{
	meter->phase = phase;
	if (phase == BENCH_MEASURE) {
		meter->began = bench_now();
		meter->began_count = count;
		meter->job->control->preempted[1] = -preempted();
		atomic_store(&meter->job->control->measuring, 1);
	} else if (phase == BENCH_STOP) {
		meter->ended = bench_now();
		meter->ended_count = count;
		meter->job->control->preempted[1] += preempted();
	}
}

/* At the end of the stream. `count`: all messages that arrived. */
void bench_meter_finish(struct bench_meter *meter, uint64_t count)
{
	struct bench_control *control = meter->job->control;
	uint64_t messages;

	if (meter->phase != BENCH_STOP)
		bench_meter_turn(meter, BENCH_STOP, count);
	control->received = count;
	messages = meter->ended_count - meter->began_count;
	control->measured = messages;
	control->ns = messages ? (double)(meter->ended - meter->began) / (double)messages : 0;
}

/* Returns 0, or 1 after a complaint. */
int bench_samples_init(struct bench_samples *samples, struct bench_job *job)
{
	samples->ns = calloc(BENCH_MAX_SAMPLES, sizeof(uint64_t));
	samples->count = 0;
	return samples->ns ? 0 : bench_error(job, "samples", -ENOMEM);
}

void bench_samples_add(struct bench_samples *samples, uint64_t ns)
{
	samples->ns[samples->count++ % BENCH_MAX_SAMPLES] = ns;
}

void bench_samples_finish(struct bench_samples *samples, struct bench_job *job, unsigned per_sample)
{
	size_t count = samples->count < BENCH_MAX_SAMPLES ? samples->count : BENCH_MAX_SAMPLES;

	job->control->measured = samples->count * per_sample;
	job->control->ns = bench_quantile(samples->ns, count, 0.5) / per_sample;
	job->control->p99_ns = bench_quantile(samples->ns, count, 0.99) / per_sample;
	free(samples->ns);
}

/*
 * Makes round trips until the program says stop, and keeps the median and the 99th percentile of batches of
 * them (a clock costs as much as a quarter of a polled trip). Returns 0, or 1 when `trip` failed.
 */
int bench_ask(struct bench_job *job, int (*trip)(void *arg, uint64_t n), void *arg)
{
	struct bench_samples samples;
	uint64_t n = 0, before, now;
	unsigned phase;
	long taken = 0;

	if (bench_samples_init(&samples, job))
		return 1;
	before = bench_now();
	while ((phase = bench_phase(job)) != BENCH_STOP) {
		for (unsigned i = 0; i < job->batch; i++, n++)
			if (trip(arg, n)) {
				free(samples.ns);
				return 1;
			}
		now = bench_now();
		if (phase == BENCH_MEASURE) {
			if (!samples.count) {
				taken = preempted();
				atomic_store(&job->control->measuring, 1);
			}
			bench_samples_add(&samples, now - before);
		}
		before = now;
	}
	job->control->preempted[0] = preempted() - taken;
	job->control->sent = n;
	bench_samples_finish(&samples, job, job->batch);
	return 0;
}
