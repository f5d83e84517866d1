/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The benchmark's own words. A candidate is one way to move messages between two processes; a job is one
 * candidate at one message size: two pinned child processes and a control block that they share with the
 * program that started them. Each candidate owns its inner loop, so that nothing foreign is measured.
 */
#ifndef VSHM_BENCH_H
#define VSHM_BENCH_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BENCH_LINE 128
#define BENCH_BURST 32
#define BENCH_MAX_ROUNDS 64
#define BENCH_MAX_SIZES 8
#define BENCH_SKIP 77

enum bench_work {
	BENCH_STREAM, /* one way, as fast as it goes */
	BENCH_ROUND_POLL, /* there and back, both sides spin */
	BENCH_ROUND_QUICK, /* there and back, both sides may sleep but answers come quickly */
	BENCH_ROUND_SLEEP, /* there and back, both sides sleep each time */
	BENCH_WORKS,
};

enum bench_phase {
	BENCH_PREPARE,
	BENCH_WARM,
	BENCH_MEASURE,
	BENCH_STOP,
};

/* Shared by the program and both children. Written by one of them each, so they get lines of their own. */
struct bench_control {
	alignas(BENCH_LINE) _Atomic unsigned phase;
	alignas(BENCH_LINE) _Atomic unsigned ready;
	_Atomic unsigned measuring;
	alignas(BENCH_LINE) _Atomic uint64_t end; /* 1 + messages sent, once that is known; 0 before */
	alignas(BENCH_LINE) uint64_t sent, received;
	double ns, p99_ns; /* per message or round trip */
	uint64_t measured; /* messages or round trips that this rests on */
	long preempted[2]; /* times that the scheduler took a child off its core */
	char error[2][256];
};

struct bench_candidate;

struct bench_job {
	const struct bench_candidate *candidate;
	size_t size; /* of a message, bytes; a multiple of 8 */
	size_t ring_bytes; /* room between the two sides, for those that can choose */
	unsigned batch; /* messages between two looks at the phase; round trips per sample */
	int role; /* 0: first, 1: second */
	struct bench_control *control;
	void *memory; /* of the candidate, shared */
	size_t memory_size;
	int fd[4]; /* from setup; the children's: the program closes its copies after the fork. -1: none */
	char uri[64];
};

struct bench_candidate {
	const char *name;
	const char *label;
	const char *absent; /* why it cannot run in this build; NULL: it can */
	enum bench_work work;
	unsigned flags; /* for the candidate itself */
	int (*setup)(struct bench_job *job);
	int (*first)(struct bench_job *job); /* produces, or asks */
	int (*second)(struct bench_job *job); /* consumes, or answers */
	void (*teardown)(struct bench_job *job); /* NULL: nothing to do */
};

/* One job's outcome in one round. ns: 0 when it did not run. */
struct bench_sample {
	double ns, p99_ns;
	uint64_t measured;
	long preempted;
};

/* One candidate at one size over all rounds. */
struct bench_result {
	const struct bench_candidate *candidate;
	const struct bench_result *base; /* what the ratio is to; NULL: nothing */
	size_t size;
	struct bench_sample round[BENCH_MAX_ROUNDS];
	double ns, p99_ns, ratio; /* medians. ratio: above 1 is faster (stream) or slower (round trip) than the base */
};

struct bench_spin {
	int core;
	double longest_us, lost_percent;
};

/* What disturbed one round: looks at both cores before and after it. */
struct bench_noise {
	struct bench_spin spin[4];
	double line_ns[2]; /* a raw cache line bounced, before and after: a hypervisor moves cores apart */
	double load;
	long preempted;
	bool noisy;
};

struct bench_options {
	unsigned rounds;
	double seconds;
	bool strict, list;
	const char *json;
	const char *only[32];
	unsigned only_count;
	size_t sizes[BENCH_MAX_SIZES];
	unsigned size_count;
	int core[2];
};

struct bench_report {
	const struct bench_options *options;
	struct bench_result *results;
	unsigned count;
	unsigned rounds; /* done so far */
	struct bench_noise noise[BENCH_MAX_ROUNDS];
	bool noisy;
};

/* ---- candidates.c ---- */
extern const struct bench_candidate *const bench_candidates[];
extern const char *const bench_work_names[BENCH_WORKS];
extern const char *const bench_base_names[BENCH_WORKS];
extern const struct bench_candidate bench_line_poll;
const size_t *bench_work_sizes(enum bench_work work, unsigned *count);
void bench_list(FILE *out);

/* ---- options.c ---- */
int bench_parse(int argc, char **argv, struct bench_options *options);
bool bench_wanted(const struct bench_options *options, const struct bench_candidate *candidate, size_t size);

/* ---- job.c ---- */
int bench_run(const struct bench_options *options, const struct bench_candidate *candidate, size_t size,
	      struct bench_sample *sample);
int bench_pin(int core);

/* ---- child.c: for candidates, inside a child ---- */
void bench_ready(struct bench_job *job);
int bench_error(struct bench_job *job, const char *what, int error);
uint64_t bench_now(void);
int bench_map(struct bench_job *job, size_t size);
void bench_unmap(struct bench_job *job);
int bench_ask(struct bench_job *job, int (*trip)(void *arg, uint64_t n), void *arg);

/* The consumer's clock: notices the phases and counts what arrived between two of them. */
struct bench_meter {
	struct bench_job *job;
	unsigned phase;
	uint64_t began, began_count, ended, ended_count;
};
void bench_meter_init(struct bench_meter *meter, struct bench_job *job);
void bench_meter_turn(struct bench_meter *meter, unsigned phase, uint64_t count);
void bench_meter_finish(struct bench_meter *meter, uint64_t count);

static inline unsigned bench_phase(const struct bench_job *job)
{
	return atomic_load_explicit(&job->control->phase, memory_order_relaxed);
}

/* Cheap enough for every message: most calls only look at the count. */
static inline void bench_tick(struct bench_meter *meter, uint64_t count)
{
	unsigned phase;

	if (count & (meter->job->batch - 1))
		return;
	phase = bench_phase(meter->job);
	if (phase != meter->phase)
		bench_meter_turn(meter, phase, count);
}

/* ---- payload.c: never inlined ---- */
void bench_fill(void *data, size_t size, uint64_t counter);
uint64_t bench_check(const void *data, size_t size, uint64_t counter); /* 0: every byte is as it must be */

/* ---- noise.c ---- */
void bench_noise_look(const struct bench_options *options, struct bench_noise *noise, bool after);
void bench_noise_judge(struct bench_report *report);
void bench_machine(char *text, size_t size);

/* ---- stats.c ---- */
double bench_median(double *values, size_t count);
double bench_quantile(uint64_t *values, size_t count, double q);
void bench_summarize(struct bench_report *report);

/* ---- table.c, json.c ---- */
void bench_table(const struct bench_report *report, FILE *out);
int bench_json(const struct bench_report *report, const char *path);

#endif
