/* SPDX-License-Identifier: BSD-3-Clause */
/* libvshm, one way: record by record with a copy at both ends. */
#include "cand_vshm.h"

#include <errno.h>
#include <stdlib.h>

static int produce_copy(struct bench_job *job, struct vshm_producer *producer, uint64_t *n)
{
	const size_t size = job->size;
	uint64_t *data = malloc(size), counter = 0;
	int rc = data ? 0 : -ENOMEM;

	while (!rc && bench_phase(job) != BENCH_STOP)
		for (unsigned i = 0; i < job->batch && !rc; i++, counter++) {
			bench_fill(data, size, counter);
			do
				rc = vshm_producer_send(producer, data, size, VSHM_FOREVER);
			while (rc == -EHOSTDOWN);
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

	while (data &&
	       (!(rc = vshm_consumer_recv(consumer, data, size, &received, VSHM_FOREVER)) || rc == -EHOSTDOWN)) {
		if (rc)
			continue;
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

static int copy_first(struct bench_job *job)
{
	return bench_vshm_run_producer(job, produce_copy);
}

static int copy_second(struct bench_job *job)
{
	return bench_vshm_run_consumer(job, consume_copy);
}

const struct bench_candidate bench_vshm_copy = {
	.name = "vshm-copy",
	.label = "vshm, send and recv",
	.work = BENCH_STREAM,
	.setup = bench_vshm_setup,
	.first = copy_first,
	.second = copy_second,
	.teardown = bench_vshm_teardown,
};
