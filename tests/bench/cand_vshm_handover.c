/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvshm, a large payload from written to readable: a record that is written in place in the ring. Lent blocks
 * belong here as a second candidate ("vshm-lent") when there are any: `room` takes a block, `publish` lends it,
 * `look` waits for one, `release` gives it back.
 */
#include "cand_vshm.h"

#include <errno.h>

struct giving {
	struct bench_job *job;
	struct vshm_producer *producer;
};

struct taking {
	struct bench_job *job;
	struct vshm_consumer *consumer;
};

static int complain(struct bench_job *job, int rc)
{
	return rc ? bench_error(job, vshm_strerror(rc), 0) : 0;
}

static void *room(void *self)
{
	const struct giving *giving = self;
	void *data = NULL;
	int rc;

	do
		rc = vshm_producer_reserve(giving->producer, giving->job->size, &data, VSHM_FOREVER);
	while (rc == -EHOSTDOWN);
	return complain(giving->job, rc) ? NULL : data;
}

static int publish(void *self)
{
	const struct giving *giving = self;

	return complain(giving->job, vshm_producer_commit(giving->producer, giving->job->size, 0));
}

static const void *look(void *self, uint64_t n)
{
	const struct taking *taking = self;
	struct vshm_view view;
	int rc;

	(void)n;
	do
		rc = vshm_consumer_peek(taking->consumer, &view, VSHM_FOREVER);
	while (rc == -EHOSTDOWN);
	if (rc == -ENODATA || complain(taking->job, rc))
		return NULL;
	return view.data;
}

static int release(void *self)
{
	const struct taking *taking = self;

	return complain(taking->job, vshm_consumer_release(taking->consumer));
}

static int give(struct bench_job *job)
{
	static const struct bench_giver giver = {room, publish};
	struct giving giving = {job, NULL};
	struct vshm_region *region;
	int failed;

	if (bench_vshm_attach(job, &region) || bench_vshm_producer(job, region, "large", &giving.producer))
		return 1;
	failed = bench_hand_over(job, &giver, &giving);
	if (!failed)
		failed = complain(job, vshm_producer_close(giving.producer, BENCH_LINGER_NS));
	vshm_region_close(region);
	return failed;
}

static int take(struct bench_job *job)
{
	static const struct bench_taker taker = {look, release};
	struct taking taking = {job, NULL};
	struct vshm_region *region;
	int failed;

	if (bench_vshm_attach(job, &region) || bench_vshm_consumer(job, region, "large", &taking.consumer))
		return 1;
	failed = bench_take_over(job, &taker, &taking);
	vshm_region_close(region);
	return failed || job->control->error[1][0];
}

const struct bench_candidate bench_vshm_handover = {
	.name = "vshm",
	.label = "vshm, record in place",
	.work = BENCH_HANDOVER,
	.flags = BENCH_VSHM_POLL,
	.setup = bench_vshm_setup,
	.first = give,
	.second = take,
	.teardown = bench_vshm_teardown,
};
