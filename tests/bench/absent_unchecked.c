/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for the second libvshm, the one without checks, when that was not built. BENCH_WHY says why. */
#include "loops.h"

#ifndef BENCH_WHY
#define BENCH_WHY "not built"
#endif

#define ABSENT(its_name, its_label, its_base) \
	{ \
		.name = its_name, .label = its_label, .absent = BENCH_WHY, .work = BENCH_STREAM, .base = its_base, \
	}

const struct bench_candidate bench_vshm_burst_unchecked = ABSENT("burst-unchecked", "vshm, bursts, unchecked",
								 "vshm-burst");
const struct bench_candidate bench_vshm_unchecked = ABSENT("unchecked", "vshm, unchecked", "vshm");
