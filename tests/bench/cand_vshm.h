/* SPDX-License-Identifier: BSD-3-Clause */
/* What the candidates that use libvshm share: a region for the job, opened in each child. */
#ifndef VSHM_BENCH_CAND_VSHM_H
#define VSHM_BENCH_CAND_VSHM_H

#include "bench.h"

#include <vshm/vshm.h>

#define BENCH_LINGER_NS INT64_C(5000000000)

#define BENCH_VSHM_POLL 1u /* consumers with VSHM_CONSUMER_POLL */
#define BENCH_VSHM_SLEEP 2u /* no spinning before a sleep */
#define BENCH_VSHM_CROWD 4u /* as many peers as there can be */
#define BENCH_VSHM_LEND 8u /* blocks of a pool */

int bench_vshm_setup(struct bench_job *job);
void bench_vshm_teardown(struct bench_job *job);
int bench_vshm_crowd_setup(struct bench_job *job);
void bench_vshm_crowd_teardown(struct bench_job *job);
int bench_vshm_open(const struct bench_job *job, vshm_peer peer, struct vshm_region **region, char *why);
int bench_vshm_attach(struct bench_job *job, struct vshm_region **region);
int bench_vshm_producer(struct bench_job *job, struct vshm_region *region, const char *name,
			struct vshm_producer **producer);
int bench_vshm_consumer(struct bench_job *job, struct vshm_region *region, const char *name,
			struct vshm_consumer **consumer);

/* What a stream candidate brings: the loops. Each sets *n to the number of messages; a negative errno, or 0. */
typedef int bench_vshm_produce_fn(struct bench_job *job, struct vshm_producer *producer, uint64_t *n);
typedef int bench_vshm_consume_fn(struct bench_job *job, struct vshm_consumer *consumer, struct bench_meter *meter,
				  uint64_t *n);
int bench_vshm_run_producer(struct bench_job *job, bench_vshm_produce_fn *produce);
int bench_vshm_run_consumer(struct bench_job *job, bench_vshm_consume_fn *consume);

#endif
