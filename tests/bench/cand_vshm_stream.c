/* SPDX-License-Identifier: BSD-3-Clause */
/* libvshm, one way: record by record and in bursts, in place; and record by record with a copy at both ends. */
#include "cand_vshm.h"

#include <errno.h>
#include <stdlib.h>

typedef int (*produce_fn)(struct bench_job *job, struct vshm_producer *producer, uint64_t *n);
typedef int (*consume_fn)(struct bench_job *job, struct vshm_consumer *consumer, struct bench_meter *meter,
			  uint64_t *n);

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
			rc = vshm_producer_reserve(producer, size, &data, VSHM_FOREVER);
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

	while (!(rc = vshm_consumer_peek(consumer, &view, VSHM_FOREVER))) {
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

	while ((got = vshm_consumer_peek_burst(consumer, view, BENCH_BURST, VSHM_FOREVER)) > 0) {
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

/* ---- with copies ---- */

static int produce_copy(struct bench_job *job, struct vshm_producer *producer, uint64_t *n)
{
	const size_t size = job->size;
	uint64_t *data = malloc(size), counter = 0;
	int rc = data ? 0 : -ENOMEM;

	while (!rc && bench_phase(job) != BENCH_STOP)
		for (unsigned i = 0; i < job->batch && !rc; i++, counter++) {
			bench_fill(data, size, counter);
			rc = vshm_producer_send(producer, data, size, VSHM_FOREVER);
		}
	*n = counter;
	free(data);
	return rc;
}

static int consume_copy(struct bench_job *job, struct vshm_consumer *consumer, struct bench_meter *meter, uint64_t *n)
{
	const size_t size = job->size;
	uint64_t *data = malloc(size), counter = 0;
	size_t received = 0;
	int rc = data ? 0 : -ENOMEM;

	while (data && !(rc = vshm_consumer_recv(consumer, data, size, &received, VSHM_FOREVER))) {
		if (received != size || bench_check(data, size, counter)) {
			rc = -EBADMSG;
			break;
		}
		bench_tick(meter, ++counter);
	}
	*n = counter;
	free(data);
	return rc == -ENODATA ? 0 : rc;
}

/* ---- both ends ---- */

static int run_producer(struct bench_job *job, produce_fn produce)
{
	struct vshm_region *region;
	struct vshm_producer *producer;
	uint64_t n = 0;
	int rc;

	if (bench_vshm_attach(job, &region) || bench_vshm_producer(job, region, "stream", &producer))
		return 1;
	bench_ready(job);
	rc = produce(job, producer, &n);
	job->control->sent = n;
	if (!rc)
		rc = vshm_producer_close(producer, BENCH_LINGER_NS);
	vshm_region_close(region);
	return rc ? bench_error(job, vshm_strerror(rc), 0) : 0;
}

static int run_consumer(struct bench_job *job, consume_fn consume)
{
	struct vshm_region *region;
	struct vshm_consumer *consumer;
	struct bench_meter meter;
	uint64_t n = 0;
	int rc;

	if (bench_vshm_attach(job, &region) || bench_vshm_consumer(job, region, "stream", &consumer))
		return 1;
	bench_ready(job);
	bench_meter_init(&meter, job);
	rc = consume(job, consumer, &meter, &n);
	if (!rc)
		bench_meter_finish(&meter, n);
	vshm_region_close(region);
	return rc ? bench_error(job, rc == -EBADMSG ? "wrong bytes" : vshm_strerror(rc), 0) : 0;
}

static int one_first(struct bench_job *job)
{
	return run_producer(job, produce_one);
}

static int one_second(struct bench_job *job)
{
	return run_consumer(job, consume_one);
}

static int burst_first(struct bench_job *job)
{
	return run_producer(job, produce_burst);
}

static int burst_second(struct bench_job *job)
{
	return run_consumer(job, consume_burst);
}

static int copy_first(struct bench_job *job)
{
	return run_producer(job, produce_copy);
}

static int copy_second(struct bench_job *job)
{
	return run_consumer(job, consume_copy);
}

const struct bench_candidate bench_vshm_burst = {
	"vshm-burst",	  "vshm, bursts of 32", NULL,	      BENCH_STREAM,	   0,
	bench_vshm_setup, burst_first,		burst_second, bench_vshm_teardown,
};

const struct bench_candidate bench_vshm_one = {
	"vshm", "vshm, one by one", NULL, BENCH_STREAM, 0, bench_vshm_setup, one_first, one_second, bench_vshm_teardown,
};

const struct bench_candidate bench_vshm_one_poll = {
	"vshm-poll",	  "vshm, polling", NULL,       BENCH_STREAM,	    BENCH_VSHM_POLL,
	bench_vshm_setup, one_first,	   one_second, bench_vshm_teardown,
};

const struct bench_candidate bench_vshm_copy = {
	"vshm-copy", "vshm, send and recv", NULL, BENCH_STREAM, 0, bench_vshm_setup, copy_first,
	copy_second, bench_vshm_teardown,
};
