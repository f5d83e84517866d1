/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Times in buckets: exact below 128 ns, above that 128 buckets for each power of two, so that a value is known to
 * 0.8 %. A constant 60 KB, however many values there are.
 */
#ifndef CLI_HISTOGRAM_H
#define CLI_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 128u
#define HISTOGRAM_BUCKETS (58u * HISTOGRAM_STEPS) /* all 64-bit values */

struct histogram {
	uint64_t count, sum, least, most; /* least: only when count > 0 */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* All of it zero: an empty one. */
void histogram_add(struct histogram *histogram, uint64_t value);

/* What a bucket holds: from its lowest value up to, not including, that of the next. */
uint64_t histogram_from(unsigned bucket);

/*
 * The value that `share` (0 .. 1) of all are not above: the highest of its bucket, never outside of least .. most. 0 when
 * it is empty.
 */
uint64_t histogram_at(const struct histogram *histogram, double share);

double histogram_mean(const struct histogram *histogram);

#endif
