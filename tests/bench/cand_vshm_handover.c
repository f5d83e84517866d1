/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvshm, a large payload from written to readable: a record that is written in place in the ring; and a block that is
 * lent. The taker need not know which of them it is.
 */
#include "cand_vshm.h"

#include <errno.h>

struct giving {
	struct bench_job *job;
	struct vshm_producer *producer;
	struct vshm_pool *pool; /* lent blocks */
	struct vshm_block block;
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

/* ---- lent blocks: two, so that the next is there before the last comes home ---- */

static void *block(void *self)
{
	struct giving *giving = self;

	return complain(giving->job, vshm_pool_alloc(giving->pool, giving->job->size, &giving->block)) ? NULL :
													 giving->block.data;
}

static int lend(void *self)
{
	struct giving *giving = self;
	int rc;

	do
		rc = vshm_producer_lend(giving->producer, giving->pool, &giving->block, giving->job->size, VSHM_FOREVER);
	while (rc == -EHOSTDOWN);
	if (!rc)
		rc = vshm_pool_free(giving->pool, &giving->block);
	return complain(giving->job, rc);
}

static int open_pool(struct giving *giving, struct vshm_region *region)
{
	struct vshm_pool_options options = VSHM_POOL_OPTIONS_INIT;

	options.block_size = giving->job->size;
	options.size = 2 * options.block_size;
	return complain(giving->job, vshm_pool_open(region, "large", &options, &giving->pool));
}

/* ---- both ---- */

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
	static const struct bench_giver in_place = {room, publish}, lent = {block, lend};
	bool lends = job->candidate->flags & BENCH_VSHM_LEND;
	struct giving giving = {.job = job};
	struct vshm_region *region;
	int failed;

	if (bench_vshm_attach(job, &region) || (lends && open_pool(&giving, region)) ||
	    bench_vshm_producer(job, region, "large", &giving.producer))
		return 1;
	failed = bench_hand_over(job, lends ? &lent : &in_place, &giving);
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

const struct bench_candidate bench_vshm_lent = {
	.name = "vshm-lent",
	.label = "vshm, lent block",
	.work = BENCH_HANDOVER,
	.flags = BENCH_VSHM_POLL | BENCH_VSHM_LEND,
	.setup = bench_vshm_setup,
	.first = give,
	.second = take,
	.teardown = bench_vshm_teardown,
};
