/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hand-over of a large payload: the time from the moment at which one side has written all of it to the moment at which
 * the other may read the first byte, by the one clock that both processes have. The next one is written only when
 * the last was read, so nobody queues.
 */
#include "bench.h"

/* 0: the last payload was read; 1: that does not happen. */
static int await_taken(struct bench_job *job, uint64_t n)
{
	uint64_t looks = 0;

	while (atomic_load_explicit(&job->control->taken, memory_order_acquire) != n)
		if (++looks > UINT64_C(10000000000))
			return bench_error(job, "the other side does not read", 0);
	return 0;
}

int bench_hand_over(struct bench_job *job, const struct bench_giver *giver, void *self)
{
	uint64_t n = 0;
	void *data;

	bench_ready(job);
	for (; bench_phase(job) != BENCH_STOP; n++) {
		if (await_taken(job, n))
			return 1;
		data = giver->room(self);
		if (!data)
			return 1;
		bench_fill(data, job->size, n);
		job->control->written_ns = bench_now(); /* handed over by what publish() does */
		if (giver->publish(self))
			return 1;
	}
	job->control->sent = n;
	atomic_store(&job->control->end, n + 1);
	return 0;
}

int bench_take_over(struct bench_job *job, const struct bench_taker *taker, void *self)
{
	struct bench_samples samples;
	const void *data;
	uint64_t n = 0, now;

	if (bench_samples_init(&samples, job))
		return 1;
	bench_ready(job);
	for (; (data = taker->look(self, n)); n++) {
		now = bench_now();
		if (bench_phase(job) == BENCH_MEASURE) {
			atomic_store(&job->control->measuring, 1);
			bench_samples_add(&samples, now - job->control->written_ns);
		}
		if (bench_check(data, job->size, n))
			return bench_error(job, "wrong bytes", 0);
		if (taker->release(self))
			return 1;
		atomic_store_explicit(&job->control->taken, n + 1, memory_order_release);
	}
	job->control->received = n;
	bench_samples_finish(&samples, job, 1);
	return 0;
}
