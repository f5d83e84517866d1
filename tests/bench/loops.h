/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loops of candidates that differ only in how one message is put and got. Everything is inlined where it is
 * used, the two functions too, so that each candidate still has an inner loop of its own.
 */
#ifndef VSHM_BENCH_LOOPS_H
#define VSHM_BENCH_LOOPS_H

#include "bench.h"

#include <time.h>

#define BENCH_LOOP static inline __attribute__((always_inline))

/* Sends message number `counter`, filled with bench_fill(). 0, or 1 after bench_error(). */
typedef int bench_put_fn(void *self, uint64_t counter);
/* Receives one, which must be number `counter`. 1: it came; 0: there is none any more; -1 after bench_error(). */
typedef int bench_get_fn(void *self, uint64_t counter);

/* Says how many were sent: a candidate that has no end of stream of its own looks at this. */
static inline void bench_sent(struct bench_job *job, uint64_t n)
{
	job->control->sent = n;
	atomic_store(&job->control->end, n + 1);
}

static inline bool bench_is_end(const struct bench_job *job, uint64_t n)
{
	uint64_t end = atomic_load_explicit(&job->control->end, memory_order_relaxed);

	return end && end == n + 1; /* answers count from ~0 down: theirs never ends */
}

/* Waits until the other side has counted as many: what closes at once loses what is under way. For five seconds at most. */
static inline void bench_await_received(const struct bench_job *job)
{
	const volatile uint64_t *received = &job->control->received;
	const struct timespec pause = {0, 1000000};

	for (int i = 0; i < 5000 && *received != job->control->sent; i++)
		nanosleep(&pause, NULL);
}

BENCH_LOOP int bench_produce(struct bench_job *job, void *self, bench_put_fn *put)
{
	const unsigned batch = job->batch;
	uint64_t n = 0;

	bench_ready(job);
	while (bench_phase(job) != BENCH_STOP)
		for (unsigned i = 0; i < batch; i++, n++)
			if (put(self, n))
				return 1;
	bench_sent(job, n);
	return 0;
}

BENCH_LOOP int bench_consume(struct bench_job *job, void *self, bench_get_fn *get)
{
	struct bench_meter meter;
	uint64_t n = 0;
	int rc;

	bench_ready(job);
	bench_meter_init(&meter, job);
	while ((rc = get(self, n)) > 0)
		bench_tick(&meter, ++n);
	if (!rc)
		bench_meter_finish(&meter, n);
	return rc != 0;
}

BENCH_LOOP int bench_answer(struct bench_job *job, void *self, bench_get_fn *get, bench_put_fn *put)
{
	uint64_t n = 0;
	int rc;

	bench_ready(job);
	for (; (rc = get(self, n)) > 0; n++)
		if (put(self, ~n))
			return 1;
	job->control->received = n;
	return rc != 0;
}

#endif
