/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvshm, one way, in place: record by record and in bursts. On a machine so busy that a keeper does not come to beat for a
 * lease the other side is said to be suspect (-EHOSTDOWN); that can heal, so it goes on.
 */
#include "cand_vshm.h"

#include <errno.h>

/* ---- one by one ---- */

static int produce_one(struct bench_job *job, struct vshm_producer *producer, uint64_t *n)
{
	const size_t size = job->size;
	const unsigned batch = job->batch;
	uint64_t counter = 0;
	void *data;
	int rc;

	while (bench_phase(job) != BENCH_STOP)
		for (unsigned i = 0; i < batch; i++, counter++) {
			do
				rc = vshm_producer_reserve(producer, size, &data, VSHM_FOREVER);
			while (rc == -EHOSTDOWN);
			if (rc)
				return rc;
			bench_fill(data, size, counter);
			vshm_producer_commit(producer, size, 0);
		}
	*n = counter;
	return 0;
}

static int consume_one(struct bench_job *job, struct vshm_consumer *consumer, struct bench_meter *meter, uint64_t *n)
{
	const size_t size = job->size;
	struct vshm_view view;
	uint64_t counter = 0;
	int rc;

	while (!(rc = vshm_consumer_peek(consumer, &view, VSHM_FOREVER)) || rc == -EHOSTDOWN) {
		if (rc)
			continue;
		if (view.size != size || bench_check(view.data, size, counter))
			return -EBADMSG;
		vshm_consumer_release(consumer);
		bench_tick(meter, ++counter);
	}
	*n = counter;
	return rc == -ENODATA ? 0 : rc;
}

/* ---- bursts ---- */

static int produce_burst(struct bench_job *job, struct vshm_producer *producer, uint64_t *n)
{
	const size_t size = job->size;
	uint64_t counter = 0;
	void *data[BENCH_BURST];
	int got;

	while (bench_phase(job) != BENCH_STOP) {
		got = vshm_producer_reserve_burst(producer, size, data, BENCH_BURST, VSHM_FOREVER);
		if (got == -EHOSTDOWN)
			continue;
		if (got < 0)
			return got;
		for (int i = 0; i < got; i++)
			bench_fill(data[i], size, counter++);
		vshm_producer_commit_burst(producer, (unsigned)got, 0);
	}
	*n = counter;
	return 0;
}

/* Bursts have any length, so the meter is asked after each; it reads one word that hardly ever changes. */
static int consume_burst(struct bench_job *job, struct vshm_consumer *consumer, struct bench_meter *meter, uint64_t *n)
{
	const size_t size = job->size;
	struct vshm_view view[BENCH_BURST];
	uint64_t counter = 0;
	unsigned phase;
	int got;

	while ((got = vshm_consumer_peek_burst(consumer, view, BENCH_BURST, VSHM_FOREVER)) > 0 || got == -EHOSTDOWN) {
		for (int i = 0; i < got; i++)
			if (view[i].size != size || bench_check(view[i].data, size, counter++))
				return -EBADMSG;
		vshm_consumer_release(consumer);
		phase = bench_phase(job);
		if (phase != meter->phase)
			bench_meter_turn(meter, phase, counter);
	}
	*n = counter;
	return got == -ENODATA ? 0 : got;
}

static int one_first(struct bench_job *job)
{
	return bench_vshm_run_producer(job, produce_one);
}

static int one_second(struct bench_job *job)
{
	return bench_vshm_run_consumer(job, consume_one);
}

static int burst_first(struct bench_job *job)
{
	return bench_vshm_run_producer(job, produce_burst);
}

static int burst_second(struct bench_job *job)
{
	return bench_vshm_run_consumer(job, consume_burst);
}

#ifdef BENCH_UNCHECKED
#define BENCH_EXPORT __attribute__((visibility("default")))

/* The same code beside a libvshm that believes what the other side wrote: what the checks cost. */
BENCH_EXPORT const struct bench_candidate bench_vshm_burst_unchecked = {
	.name = "burst-unchecked",
	.label = "vshm, bursts, unchecked",
	.work = BENCH_STREAM,
	.setup = bench_vshm_setup,
	.first = burst_first,
	.second = burst_second,
	.teardown = bench_vshm_teardown,
	.base = "vshm-burst",
};

BENCH_EXPORT const struct bench_candidate bench_vshm_unchecked = {
	.name = "unchecked",
	.label = "vshm, unchecked",
	.work = BENCH_STREAM,
	.setup = bench_vshm_setup,
	.first = one_first,
	.second = one_second,
	.teardown = bench_vshm_teardown,
	.base = "vshm",
};
#else
static const size_t crowd_sizes[] = {64, 1024, 0};

const struct bench_candidate bench_vshm_burst = {
	.name = "vshm-burst",
	.label = "vshm, bursts of 32",
	.work = BENCH_STREAM,
	.setup = bench_vshm_setup,
	.first = burst_first,
	.second = burst_second,
	.teardown = bench_vshm_teardown,
};

const struct bench_candidate bench_vshm_one = {
	.name = "vshm",
	.label = "vshm, one by one",
	.work = BENCH_STREAM,
	.setup = bench_vshm_setup,
	.first = one_first,
	.second = one_second,
	.teardown = bench_vshm_teardown,
};

const struct bench_candidate bench_vshm_one_poll = {
	.name = "vshm-poll",
	.label = "vshm, polling",
	.work = BENCH_STREAM,
	.flags = BENCH_VSHM_POLL,
	.setup = bench_vshm_setup,
	.first = one_first,
	.second = one_second,
	.teardown = bench_vshm_teardown,
};

const struct bench_candidate bench_vshm_crowd = {
	.name = "crowd",
	.label = "vshm, 62 idle peers more",
	.work = BENCH_STREAM,
	.flags = BENCH_VSHM_CROWD,
	.setup = bench_vshm_crowd_setup,
	.first = one_first,
	.second = one_second,
	.teardown = bench_vshm_crowd_teardown,
	.base = "vshm",
	.sizes = crowd_sizes,
};

const struct bench_candidate bench_vshm_burst_crowd = {
	.name = "burst-crowd",
	.label = "vshm, bursts, 62 idle",
	.work = BENCH_STREAM,
	.flags = BENCH_VSHM_CROWD,
	.setup = bench_vshm_crowd_setup,
	.first = burst_first,
	.second = burst_second,
	.teardown = bench_vshm_crowd_teardown,
	.base = "vshm-burst",
	.sizes = crowd_sizes,
};
#endif
