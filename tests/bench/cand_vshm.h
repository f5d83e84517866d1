/* SPDX-License-Identifier: BSD-3-Clause */
/* What the candidates that use libvshm share: a region for the job, opened in each child. */
#ifndef VSHM_BENCH_CAND_VSHM_H
#define VSHM_BENCH_CAND_VSHM_H

#include "bench.h"

#include <vshm/vshm.h>

#define BENCH_LINGER_NS INT64_C(5000000000)

#define BENCH_VSHM_POLL 1u /* consumers with VSHM_CONSUMER_POLL */
#define BENCH_VSHM_SLEEP 2u /* no spinning before a sleep */

int bench_vshm_setup(struct bench_job *job);
void bench_vshm_teardown(struct bench_job *job);
int bench_vshm_attach(struct bench_job *job, struct vshm_region **region);
int bench_vshm_producer(struct bench_job *job, struct vshm_region *region, const char *name,
			struct vshm_producer **producer);
int bench_vshm_consumer(struct bench_job *job, struct vshm_region *region, const char *name,
			struct vshm_consumer **consumer);

#endif
