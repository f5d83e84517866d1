/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for cand_boost.cpp where there is no boost or no C++ compiler that is new enough. */
#include "loops.h"

#define CANDIDATE(name, label, work) BENCH_ABSENT(name, label, work, "libboost-dev, or a C++23 compiler,")

const struct bench_candidate bench_boost = CANDIDATE("boost", "boost spsc_queue, one by one", BENCH_STREAM);
const struct bench_candidate bench_boost_burst = CANDIDATE("boost-burst", "boost spsc_queue, bursts", BENCH_STREAM);
const struct bench_candidate bench_boost_poll = CANDIDATE("boost", "boost spsc_queue", BENCH_ROUND_POLL);
