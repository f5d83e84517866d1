/* SPDX-License-Identifier: BSD-3-Clause */
/* Log-linear buckets, as HdrHistogram has them: the exponent chooses the row, the bits behind it the step. */
#include "histogram.h"

#define STEP_BITS 7u
_Static_assert(HISTOGRAM_STEPS == 1u << STEP_BITS, "a step is named by the bits behind the leading one");

static unsigned bucket_of(uint64_t value)
{
	if (value < HISTOGRAM_STEPS)
		return (unsigned)value;
	unsigned shift = 63 - STEP_BITS - (unsigned)__builtin_clzll(value);
	return shift * HISTOGRAM_STEPS + (unsigned)(value >> shift);
}

uint64_t histogram_from(unsigned bucket)
{
	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	if (bucket >= HISTOGRAM_BUCKETS)
		return UINT64_MAX;
	unsigned shift = bucket / HISTOGRAM_STEPS - 1;
	return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	if (!histogram->count || value < histogram->least)
		histogram->least = value;
	if (value > histogram->most)
		histogram->most = value;
	histogram->count++;
	histogram->sum += value;
	histogram->bucket[bucket_of(value)]++;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
	double rank = share * (double)histogram->count;
	uint64_t seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->bucket[i];
		if (!seen || (double)seen < rank)
			continue;
		uint64_t highest = histogram_from(i + 1) - 1;
		return highest < histogram->most ? highest : histogram->most;
	}
	return histogram->most;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count ? (double)histogram->sum / (double)histogram->count : 0;
}
