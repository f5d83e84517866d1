/* SPDX-License-Identifier: BSD-3-Clause */
/* Bare futex: both sides sleep in the kernel and wake each other. No payload, no spinning: the floor. */
#include "bench.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAST 0x80000000u

struct words {
	alignas(BENCH_LINE) _Atomic uint32_t ask;
	alignas(BENCH_LINE) _Atomic uint32_t answer;
};

static int setup(struct bench_job *job)
{
	int rc = bench_map(job, 4096);

	return rc ? bench_error(job, "shared memory", rc) : 0;
}

static void ring(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps until the word is no longer `old`; returns what it is. */
static uint32_t sleep_on(_Atomic uint32_t *word, uint32_t old)
{
	uint32_t value;

	while ((value = atomic_load(word)) == old)
		syscall(SYS_futex, word, FUTEX_WAIT, old, NULL, NULL, 0);
	return value;
}

static int trip(void *arg, uint64_t n)
{
	struct words *words = arg;
	uint32_t old = (uint32_t)n & ~LAST;

	ring(&words->ask, (old + 1) & ~LAST);
	sleep_on(&words->answer, old);
	return 0;
}

static int ask(struct bench_job *job)
{
	struct words *words = job->memory;
	int failed;

	bench_ready(job);
	failed = bench_ask(job, trip, words);
	ring(&words->ask, LAST);
	return failed;
}

static int answer(struct bench_job *job)
{
	struct words *words = job->memory;
	uint64_t n = 0;
	uint32_t value = 0;

	bench_ready(job);
	while ((value = sleep_on(&words->ask, value)) != LAST) {
		n++;
		if (value != ((uint32_t)n & ~LAST))
			return bench_error(job, "wrong word", 0);
		ring(&words->answer, value);
	}
	job->control->received = n;
	return 0;
}

const struct bench_candidate bench_futex = {
	.name = "futex",
	.label = "bare futex",
	.work = BENCH_ROUND_SLEEP,
	.setup = setup,
	.first = ask,
	.second = answer,
	.teardown = bench_unmap,
};
