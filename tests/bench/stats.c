/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Medians. A ratio is taken within one round, where both sides saw the same machine, and the median of the
 * ratios is reported, not the ratio of the medians.
 */
#include "bench.h"

#include <stdlib.h>

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sorts `values`. 0 for none. */
double bench_median(double *values, size_t count)
{
	if (!count)
		return 0;
	qsort(values, count, sizeof(*values), compare_double);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* Sorts `values`. 0 for none. */
double bench_quantile(uint64_t *values, size_t count, double q)
{
	if (!count)
		return 0;
	qsort(values, count, sizeof(*values), compare_u64);
	return (double)values[(size_t)((double)(count - 1) * q)];
}

static double ratio_in(const struct bench_result *own, const struct bench_result *peer, unsigned round)
{
	double ours = own->round[round].ns, theirs = peer->round[round].ns;

	if (ours <= 0 || theirs <= 0)
		return 0;
	return own->candidate->work == BENCH_STREAM ? theirs / ours : ours / theirs;
}

/* The median of the ratios of each round; above 1 is faster (stream) or slower (all else) than the peer. 0: unknown. */
double bench_ratio(const struct bench_result *own, const struct bench_result *peer, unsigned rounds)
{
	double values[BENCH_MAX_ROUNDS];
	size_t count = 0;

	for (unsigned i = 0; i < rounds; i++) {
		values[count] = ratio_in(own, peer, i);
		count += values[count] > 0;
	}
	return bench_median(values, count);
}

static void summarize(struct bench_result *result, unsigned rounds)
{
	double ns[BENCH_MAX_ROUNDS], p99[BENCH_MAX_ROUNDS];
	size_t count = 0;

	for (unsigned i = 0; i < rounds; i++) {
		ns[count] = result->round[i].ns;
		p99[count] = result->round[i].p99_ns;
		count += ns[count] > 0;
	}
	result->ns = bench_median(ns, count);
	result->p99_ns = bench_median(p99, count);
	result->ratio = result->base ? bench_ratio(result, result->base, rounds) : 0;
}

void bench_summarize(struct bench_report *report)
{
	for (unsigned i = 0; i < report->count; i++)
		summarize(&report->results[i], report->rounds);
}
