/* SPDX-License-Identifier: BSD-3-Clause */
/* The region of a libvshm job: a flat file in /dev/shm that lives as long as the job. */
#include "cand_vshm.h"

#include <unistd.h>

int bench_vshm_setup(struct bench_job *job)
{
	struct vshm_create_options options = VSHM_CREATE_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";

	snprintf(job->uri, sizeof(job->uri), "file:/dev/shm/vshm-bench-%ld", (long)getpid());
	options.peers = 2;
	options.size = 4 * job->ring_bytes + (UINT64_C(1) << 20);
	if (vshm_region_create(job->uri, &options, why))
		return bench_error(job, why, 0);
	return 0;
}

void bench_vshm_teardown(struct bench_job *job)
{
	char why[VSHM_WHY_SIZE] = "";

	if (vshm_region_destroy(job->uri, why))
		fprintf(stderr, "vshm-bench: %s\n", why);
}

int bench_vshm_attach(struct bench_job *job, struct vshm_region **region)
{
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";

	options.peer = (vshm_peer)job->role;
	return vshm_region_open(job->uri, &options, region, why) ? bench_error(job, why, 0) : 0;
}

int bench_vshm_producer(struct bench_job *job, struct vshm_region *region, const char *name,
			struct vshm_producer **producer)
{
	struct vshm_producer_options options = VSHM_PRODUCER_OPTIONS_INIT;
	int rc;

	options.ring_size = job->ring_bytes;
	if (job->candidate->flags & BENCH_VSHM_SLEEP)
		options.spin_us = 0;
	rc = vshm_producer_open(region, name, &options, producer);
	return rc ? bench_error(job, vshm_strerror(rc), 0) : 0;
}

int bench_vshm_consumer(struct bench_job *job, struct vshm_region *region, const char *name,
			struct vshm_consumer **consumer)
{
	struct vshm_consumer_options options = VSHM_CONSUMER_OPTIONS_INIT;
	int rc;

	if (job->candidate->flags & BENCH_VSHM_POLL)
		options.flags = VSHM_CONSUMER_POLL;
	if (job->candidate->flags & BENCH_VSHM_SLEEP)
		options.spin_us = 0;
	rc = vshm_consumer_open(region, name, &options, consumer);
	return rc ? bench_error(job, vshm_strerror(rc), 0) : 0;
}
