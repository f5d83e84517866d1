/* SPDX-License-Identifier: BSD-3-Clause */
/* The region of a libvshm job, a flat file in /dev/shm that lives as long as the job; and the two ends of a stream. */
#include "cand_vshm.h"

#include <errno.h>
#include <unistd.h>

int bench_vshm_setup(struct bench_job *job)
{
	struct vshm_create_options options = VSHM_CREATE_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";

	snprintf(job->uri, sizeof(job->uri), "file:/dev/shm/vshm-bench-%ld", (long)getpid());
	options.peers = job->candidate->flags & BENCH_VSHM_CROWD ? VSHM_MAX_PEERS : 2;
	options.size = options.peers * (2 * job->ring_bytes + (UINT64_C(1) << 19));
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

int bench_vshm_open(const struct bench_job *job, vshm_peer peer, struct vshm_region **region, char *why)
{
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;

	options.peer = peer;
	return vshm_region_open(job->uri, &options, region, why);
}

int bench_vshm_attach(struct bench_job *job, struct vshm_region **region)
{
	char why[VSHM_WHY_SIZE] = "";

	return bench_vshm_open(job, (vshm_peer)job->role, region, why) ? bench_error(job, why, 0) : 0;
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

/* ---- both ends of a stream ---- */

int bench_vshm_run_producer(struct bench_job *job, bench_vshm_produce_fn *produce)
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

int bench_vshm_run_consumer(struct bench_job *job, bench_vshm_consume_fn *consume)
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
