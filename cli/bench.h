/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vshmctl bench`: a list of figures that two processes measure one after another, each by the functions of its kind. A new
 * kind of figure: a file with its two functions, a row in cmd_bench.c's `kinds` and `plan`, and a place in bench_report.c.
 */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "companion.h"
#include "stream.h"
#include "trips.h"

#define BENCH_BURST 32u
#define BENCH_FIGURES 32u

enum bench_kind {
	BENCH_STREAM, /* one way; `size`, `burst` */
	BENCH_LEND, /* one way, in lent blocks that are handed over and not written; `size` */
	BENCH_ROUND, /* there and back; `size`, `mode` */
	BENCH_MEMORY, /* memcpy(3) without any ring; `size` */
};

struct figure {
	enum bench_kind kind;
	uint64_t size;
	unsigned burst;
	enum trip_mode mode;
	char ring[VSHM_NAME_SIZE]; /* its own, so that nothing of an earlier figure is in the way */
	struct vshm_pool *pool; /* BENCH_LEND, in the first process: where the blocks come from; NULL: no room for it */
	/* what was measured */
	bool done; /* nothing below is valid before */
	uint64_t records, elapsed_ns;
	uint64_t p50_ns, p99_ns;
};

struct bench {
	struct stream stream;
	struct companion companion;
	unsigned cores[2];
	bool pinned, json;
	int64_t figure_ns; /* how long each is measured */
	uint64_t size; /* 0: several */
	unsigned count;
	struct figure figure[BENCH_FIGURES];
};

/*
 * Each kind has a side that measures, in the first process, and one that goes along, in the second. 1: done; 0: asked to
 * leave; -1: failed, which was said.
 */
int bench_stream_lead(struct bench *bench, struct figure *figure);
int bench_stream_follow(struct bench *bench, struct figure *figure);
int bench_round_lead(struct bench *bench, struct figure *figure);
int bench_round_follow(struct bench *bench, struct figure *figure);
int bench_memory_lead(struct bench *bench, struct figure *figure);

void bench_text(const struct bench *bench);

/* 0, or -1: no memory. */
int bench_json(const struct bench *bench);

#endif
