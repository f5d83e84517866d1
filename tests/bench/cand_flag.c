/* SPDX-License-Identifier: BSD-3-Clause */
/* A large payload in shared memory and one bare flag beside it: the least that a hand-over can cost. */
#include "bench.h"

#define DATA_OFFSET 4096u

struct flag {
	alignas(BENCH_LINE) _Atomic(uint64_t) word; /* payloads written so far */
};

static int setup(struct bench_job *job)
{
	int rc = bench_map(job, DATA_OFFSET + job->size);

	return rc ? bench_error(job, "shared memory", rc) : 0;
}

static void *room(void *self)
{
	const struct bench_job *job = self;

	return (char *)job->memory + DATA_OFFSET;
}

static int publish(void *self)
{
	struct flag *flag = ((struct bench_job *)self)->memory;
	uint64_t n = atomic_load_explicit(&flag->word, memory_order_relaxed); /* written by this side alone */

	atomic_store_explicit(&flag->word, n + 1, memory_order_release);
	return 0;
}

static const void *look(void *self, uint64_t n)
{
	const struct bench_job *job = self;
	const struct flag *flag = job->memory;

	while (atomic_load_explicit(&flag->word, memory_order_acquire) == n)
		if (atomic_load_explicit(&job->control->end, memory_order_relaxed) == n + 1)
			return NULL;
	return (const char *)job->memory + DATA_OFFSET;
}

static int release(void *self)
{
	(void)self;
	return 0;
}

static int give(struct bench_job *job)
{
	static const struct bench_giver giver = {room, publish};

	return bench_hand_over(job, &giver, job);
}

static int take(struct bench_job *job)
{
	static const struct bench_taker taker = {look, release};

	return bench_take_over(job, &taker, job);
}

const struct bench_candidate bench_flag = {
	.name = "flag",
	.label = "bare flag",
	.work = BENCH_HANDOVER,
	.setup = setup,
	.first = give,
	.second = take,
	.teardown = bench_unmap,
};
