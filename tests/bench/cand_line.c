/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One raw cache line bounced between two cores: the hardware's own round trip. No payload: whatever moves
 * one cannot be faster than this.
 */
#include "bench.h"

#define LAST UINT64_MAX

struct line {
	alignas(BENCH_LINE) _Atomic uint64_t word;
};

static int setup(struct bench_job *job)
{
	int rc = bench_map(job, 4096);

	return rc ? bench_error(job, "shared memory", rc) : 0;
}

static int trip(void *arg, uint64_t n)
{
	struct line *line = arg;

	atomic_store_explicit(&line->word, 2 * n + 1, memory_order_release);
	while (atomic_load_explicit(&line->word, memory_order_acquire) != 2 * n + 2)
		;
	return 0;
}

static int ask(struct bench_job *job)
{
	struct line *line = job->memory;
	int failed;

	bench_ready(job);
	failed = bench_ask(job, trip, line);
	atomic_store(&line->word, LAST);
	return failed;
}

static int answer(struct bench_job *job)
{
	struct line *line = job->memory;
	uint64_t word, n = 0;

	bench_ready(job);
	for (;; n++) {
		while ((word = atomic_load_explicit(&line->word, memory_order_acquire)) == 2 * n)
			;
		if (word == LAST)
			break;
		if (word != 2 * n + 1)
			return bench_error(job, "wrong word in the line", 0);
		atomic_store_explicit(&line->word, word + 1, memory_order_release);
	}
	job->control->received = n;
	return 0;
}

const struct bench_candidate bench_line_poll = {
	.name = "line",
	.label = "raw cache line",
	.work = BENCH_ROUND_POLL,
	.setup = setup,
	.first = ask,
	.second = answer,
	.teardown = bench_unmap,
};

const struct bench_candidate bench_line_quick = {
	.name = "line",
	.label = "raw cache line",
	.work = BENCH_ROUND_QUICK,
	.setup = setup,
	.first = ask,
	.second = answer,
	.teardown = bench_unmap,
};
