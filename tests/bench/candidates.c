/* SPDX-License-Identifier: BSD-3-Clause */
/* Which candidates there are, in the order in which one round runs them, and what their ratios are to. */
#include "bench.h"

#include <string.h>

extern const struct bench_candidate bench_vshm_one, bench_vshm_one_poll, bench_vshm_burst, bench_vshm_copy;
extern const struct bench_candidate bench_vshm_crowd, bench_vshm_burst_crowd;
extern const struct bench_candidate bench_vshm_unchecked, bench_vshm_burst_unchecked;
extern const struct bench_candidate bench_vshm_poll, bench_vshm_quick, bench_vshm_sleep, bench_vshm_handover,
	bench_vshm_lent;
extern const struct bench_candidate bench_rte_burst, bench_rte, bench_rte_poll;
extern const struct bench_candidate bench_boost_burst, bench_boost, bench_boost_poll;
extern const struct bench_candidate bench_ck, bench_ck_poll;
extern const struct bench_candidate bench_ucx, bench_ucx_poll;
extern const struct bench_candidate bench_zmq, bench_zmq_sleep, bench_nng, bench_nng_sleep;
extern const struct bench_candidate bench_pipe, bench_pipe_sleep, bench_unix, bench_unix_sleep;
extern const struct bench_candidate bench_line_quick, bench_flag;
extern const struct bench_candidate bench_futex, bench_eventfd;

/* clang-format off: a line for each kind of thing */
const struct bench_candidate *const bench_candidates[] = {
	&bench_vshm_burst,
	&bench_vshm_burst_unchecked,
	&bench_vshm_burst_crowd,
	&bench_rte_burst,
	&bench_boost_burst,
	&bench_vshm_one,
	&bench_vshm_unchecked,
	&bench_vshm_crowd,
	&bench_vshm_one_poll,
	&bench_vshm_copy,
	&bench_rte,
	&bench_boost,
	&bench_ck,
	&bench_ucx,
	&bench_zmq,
	&bench_nng,
	&bench_pipe,
	&bench_unix,
	&bench_line_poll,
	&bench_vshm_poll,
	&bench_rte_poll,
	&bench_boost_poll,
	&bench_ck_poll,
	&bench_ucx_poll,
	&bench_line_quick,
	&bench_vshm_quick,
	&bench_futex,
	&bench_vshm_sleep,
	&bench_eventfd,
	&bench_pipe_sleep,
	&bench_unix_sleep,
	&bench_zmq_sleep,
	&bench_nng_sleep,
	&bench_flag,
	&bench_vshm_handover,
	&bench_vshm_lent,
	NULL,
};
/* clang-format on */

const char *const bench_work_names[BENCH_WORKS] = {
	[BENCH_STREAM] = "stream",	     [BENCH_ROUND_POLL] = "round-poll", [BENCH_ROUND_QUICK] = "round-quick",
	[BENCH_ROUND_SLEEP] = "round-sleep", [BENCH_HANDOVER] = "hand-over",
};

const char *const bench_work_titles[BENCH_WORKS] = {
	[BENCH_STREAM] = "One-to-one stream",
	[BENCH_ROUND_POLL] = "Round trip, both sides poll",
	[BENCH_ROUND_QUICK] = "Round trip, both sides may sleep but answers come quickly",
	[BENCH_ROUND_SLEEP] = "Round trip, both sides sleep",
	[BENCH_HANDOVER] = "Large payload, from written to readable",
};

static const char *const bench_base_names[BENCH_WORKS] = {
	[BENCH_STREAM] = "ck_ring",    [BENCH_ROUND_POLL] = "line", [BENCH_ROUND_QUICK] = "line",
	[BENCH_ROUND_SLEEP] = "futex", [BENCH_HANDOVER] = "flag",
};

const char *bench_base_name(const struct bench_candidate *candidate)
{
	return candidate->base ? candidate->base : bench_base_names[candidate->work];
}

const size_t *bench_work_sizes(enum bench_work work, unsigned *count)
{
	static const size_t stream[] = {8, 64, 256, 1024, 4096, 65536};
	static const size_t round[] = {8, 48, 64, 1024};
	static const size_t large[] = {1048576};

	*count = work == BENCH_STREAM ? 6 : work == BENCH_HANDOVER ? 1 : 4;
	return work == BENCH_STREAM ? stream : work == BENCH_HANDOVER ? large : round;
}

void bench_list(FILE *out)
{
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		fprintf(out, "%-12s %-16s %s%s%s\n", bench_work_names[(*c)->work], (*c)->name, (*c)->label,
			(*c)->absent ? "; left out: " : "", (*c)->absent ? (*c)->absent : "");
}
