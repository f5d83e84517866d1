/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What libvshm wants to reach, as ratios within one run, and whether this run shows it. A goal against something that
 * is not measured here is carried over to what is: rigtorp's SPSCQueue, polled, ran at 0.86 of ck_ring at 8 and
 * at 0.87 at 64 bytes one way, and its round trip took 0.95 of ck_ring's, on the machine where both were there.
 */
#include "bench.h"

#include <string.h>

#define RIGTORP_8 0.86
#define RIGTORP_64 0.87
#define RIGTORP_TRIP 0.95

/* bound: at least so much for a stream, at most for all else. peer NULL: the best of those that are no libvshm. */
struct goal {
	enum bench_work work;
	size_t size;
	const char *own, *peer;
	double bound;
	const char *text; /* what is measured */
	const char *against;
};

static const struct goal goals[] = {
	{BENCH_STREAM, 8, "vshm-burst", NULL, 1.2, "stream, bursts", NULL},
	{BENCH_STREAM, 64, "vshm-burst", NULL, 1.2, "stream, bursts", NULL},
	{BENCH_STREAM, 256, "vshm-burst", NULL, 1.0, "stream, bursts", NULL},
	{BENCH_STREAM, 1024, "vshm-burst", NULL, 1.0, "stream, bursts", NULL},
	{BENCH_STREAM, 4096, "vshm-burst", NULL, 1.0, "stream, bursts", NULL},
	{BENCH_STREAM, 65536, "vshm-burst", NULL, 1.0, "stream, bursts", NULL},
	{BENCH_STREAM, 8, "vshm", "ck_ring", 7 * RIGTORP_8, "stream, one by one", "ck_ring (7x rigtorp)"},
	{BENCH_STREAM, 64, "vshm", "ck_ring", 7 * RIGTORP_64, "stream, one by one", "ck_ring (7x rigtorp)"},
	{BENCH_STREAM, 64, "vshm-burst", "ucx", 9, "stream, a whole system", "UCX"},
	{BENCH_ROUND_POLL, 8, "vshm", "line", 1.15, "round trip, polling", "a raw cache line"},
	{BENCH_ROUND_POLL, 48, "vshm", "line", 1.15, "round trip, polling", "a raw cache line"},
	{BENCH_ROUND_POLL, 64, "vshm", "ck_ring", 0.5 * RIGTORP_TRIP, "round trip, polling", "ck_ring (0.5x rigtorp)"},
	{BENCH_ROUND_POLL, 1024, "vshm", "ck_ring", 0.6 * RIGTORP_TRIP, "round trip, polling",
	 "ck_ring (0.6x rigtorp)"},
	{BENCH_ROUND_QUICK, 8, "vshm", "line", 1.5, "round trip, quick answers", "a raw cache line"},
	{BENCH_ROUND_SLEEP, 8, "vshm", "futex", 1.05, "round trip, sleeping", "a bare futex"},
	{BENCH_HANDOVER, 1048576, "vshm-lent", "flag", 2, "from written to readable", "a bare flag"},
	{BENCH_STREAM, 64, "vshm", "unchecked", 1 / 1.03, "checks, one by one", "the same without checks"},
	{BENCH_STREAM, 64, "vshm-burst", "burst-unchecked", 1 / 1.03, "checks, bursts", "the same without checks"},
	{BENCH_STREAM, 64, "crowd", "vshm", 0.95, "62 idle peers, one by one", "the pair alone"},
	{BENCH_STREAM, 64, "burst-crowd", "vshm-burst", 0.95, "62 idle peers, bursts", "the pair alone"},
};

const struct bench_result *bench_find(const struct bench_report *report, enum bench_work work, const char *name,
				      size_t size)
{
	for (unsigned i = 0; i < report->count; i++) {
		const struct bench_result *result = &report->results[i];

		if (result->candidate->work == work && result->size == size && !strcmp(result->candidate->name, name))
			return result;
	}
	return NULL;
}

static bool is_own(const struct bench_candidate *candidate)
{
	return !strncmp(candidate->label, "vshm", 4);
}

static const struct bench_result *best_peer(const struct bench_report *report, enum bench_work work, size_t size)
{
	const struct bench_result *best = NULL;

	for (unsigned i = 0; i < report->count; i++) {
		const struct bench_result *result = &report->results[i];

		if (result->candidate->work == work && result->size == size && !is_own(result->candidate) &&
		    result->ns > 0 && (!best || result->ns < best->ns))
			best = result;
	}
	return best;
}

static void judge(const struct bench_report *report, const struct goal *goal, struct bench_verdict *verdict)
{
	const struct bench_result *own = bench_find(report, goal->work, goal->own, goal->size);
	const struct bench_result *peer = goal->peer ? bench_find(report, goal->work, goal->peer, goal->size)
						     : best_peer(report, goal->work, goal->size);
	double ratio = own && peer ? bench_ratio(own, peer, report->rounds) : 0;
	bool faster = goal->work == BENCH_STREAM;

	memset(verdict, 0, sizeof(*verdict));
	verdict->work = goal->text;
	verdict->against = goal->against ? goal->against : peer ? peer->candidate->label : "the best peer";
	bench_size_text(verdict->size, sizeof(verdict->size), goal->size);
	snprintf(verdict->goal, sizeof(verdict->goal), "%s %.2fx", faster ? "at least" : "at most", goal->bound);
	verdict->known = ratio > 0;
	verdict->met = faster ? ratio >= goal->bound : ratio <= goal->bound;
	if (verdict->known)
		snprintf(verdict->measured, sizeof(verdict->measured), "%.2fx", ratio);
	else
		snprintf(verdict->measured, sizeof(verdict->measured), "not measured");
}

/* Fills up to `count` verdicts; returns how many. */
unsigned bench_goals(const struct bench_report *report, struct bench_verdict verdicts[], unsigned count)
{
	unsigned n = sizeof(goals) / sizeof(goals[0]);

	for (unsigned i = 0; i < n && i < count; i++)
		judge(report, &goals[i], &verdicts[i]);
	return n < count ? n : count;
}
