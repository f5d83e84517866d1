/* SPDX-License-Identifier: BSD-3-Clause */
/* Which candidates there are, in the order in which one round runs them, and what their ratios are to. */
#include "bench.h"

#include <string.h>

extern const struct bench_candidate bench_vshm_one, bench_vshm_one_poll, bench_vshm_burst, bench_vshm_copy;
extern const struct bench_candidate bench_vshm_poll, bench_vshm_quick, bench_vshm_sleep;
extern const struct bench_candidate bench_ck, bench_ck_poll;
extern const struct bench_candidate bench_pipe, bench_pipe_sleep, bench_unix, bench_unix_sleep;
extern const struct bench_candidate bench_line_quick;
extern const struct bench_candidate bench_futex, bench_eventfd;

const struct bench_candidate *const bench_candidates[] = {
	&bench_vshm_burst, &bench_vshm_one,   &bench_vshm_one_poll,
	&bench_vshm_copy,  &bench_ck,	      &bench_pipe,
	&bench_unix,	   &bench_vshm_poll,  &bench_ck_poll,
	&bench_line_poll,  &bench_vshm_quick, &bench_line_quick,
	&bench_vshm_sleep, &bench_futex,      &bench_eventfd,
	&bench_pipe_sleep, &bench_unix_sleep, NULL,
};

const char *const bench_work_names[BENCH_WORKS] = {
	[BENCH_STREAM] = "stream",
	[BENCH_ROUND_POLL] = "round-poll",
	[BENCH_ROUND_QUICK] = "round-quick",
	[BENCH_ROUND_SLEEP] = "round-sleep",
};

const char *const bench_base_names[BENCH_WORKS] = {
	[BENCH_STREAM] = "ck_ring",
	[BENCH_ROUND_POLL] = "line",
	[BENCH_ROUND_QUICK] = "line",
	[BENCH_ROUND_SLEEP] = "futex",
};

const size_t *bench_work_sizes(enum bench_work work, unsigned *count)
{
	static const size_t stream[] = {8, 64, 256, 1024, 4096, 65536};
	static const size_t round[] = {8, 48, 64, 1024};

	*count = work == BENCH_STREAM ? 6 : 4;
	return work == BENCH_STREAM ? stream : round;
}

void bench_list(FILE *out)
{
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		fprintf(out, "%-12s %-14s %s%s%s\n", bench_work_names[(*c)->work], (*c)->name, (*c)->label,
			(*c)->absent ? "; left out: " : "", (*c)->absent ? (*c)->absent : "");
}
