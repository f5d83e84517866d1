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

#ifdef __cplusplus
extern "C" { /* one candidate is C++; everything here is in the language that both share */
#endif

#define BENCH_LINE 128
#define BENCH_BURST 32
#define BENCH_MAX_ROUNDS 64
#define BENCH_MAX_GOALS 32
#define BENCH_MAX_SIZES 8
#define BENCH_SKIP 77

enum bench_work {
	BENCH_STREAM, /* one way, as fast as it goes */
	BENCH_ROUND_POLL, /* there and back, both sides spin */
	BENCH_ROUND_QUICK, /* there and back, both sides may sleep but answers come quickly */
	BENCH_ROUND_SLEEP, /* there and back, both sides sleep each time */
	BENCH_HANDOVER, /* a large payload: from "written" on one side to "readable" on the other */
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
	alignas(BENCH_LINE) _Atomic(unsigned) phase;
	alignas(BENCH_LINE) _Atomic(unsigned) ready;
	_Atomic(unsigned) measuring;
	alignas(BENCH_LINE) _Atomic(uint64_t) end; /* 1 + messages sent, once that is known; 0 before */
	alignas(BENCH_LINE) _Atomic(uint64_t) taken; /* hand-over: messages that were read */
	alignas(BENCH_LINE) uint64_t written_ns; /* hand-over: when the last one was complete */
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
	unsigned dawdle[2]; /* turns of an empty loop per message, first and second side */
	int helper; /* pid of a process of the candidate; 0: none */
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
	const char *base; /* the name of what its ratio is to; NULL: the usual one of this work */
	const size_t *sizes; /* ends with 0; NULL: all sizes of this work */
};

/* A candidate with nothing unusual; and one whose package was not there when this was built. */
#define BENCH_CANDIDATE(its_name, its_label, its_work, its_first, its_second, its_setup, its_teardown) \
	{ \
		.name = its_name, .label = its_label, .work = its_work, .setup = its_setup, .first = its_first, \
		.second = its_second, .teardown = its_teardown, \
	}
#ifdef BENCH_SANITIZED
#define BENCH_NOT_THERE(package) "sanitizer builds go without foreign libraries"
#else
#define BENCH_NOT_THERE(package) package " was not there when this was built"
#endif
#define BENCH_ABSENT(its_name, its_label, its_work, package) \
	{ \
		.name = its_name, .label = its_label, .absent = BENCH_NOT_THERE(package), .work = its_work, \
	}

/* One job's outcome in one round. ns: 0 when it did not run. */
struct bench_sample {
	double ns, p99_ns;
	double line_ns; /* a bounced line right after it; 0: not looked at */
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
	unsigned jobs, repeated, spoilt; /* measurements; those made again; those that stayed disturbed nevertheless */
	bool noisy;
};

struct bench_options {
	unsigned rounds;
	double seconds;
	bool strict, list;
	const char *json, *svg, *markdown;
	const char *only[64];
	unsigned only_count;
	size_t sizes[BENCH_MAX_SIZES];
	unsigned size_count;
	int core[2];
	unsigned dawdle[2]; /* see bench_job */
	size_t ring_bytes; /* 0: as much as suits the size */
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
extern const char *const bench_work_titles[BENCH_WORKS];
extern const struct bench_candidate bench_line_poll;
const char *bench_base_name(const struct bench_candidate *candidate);
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

/* Times that one side of a job has taken; the newest quarter of a million. */
struct bench_samples {
	uint64_t *ns;
	size_t count;
};
int bench_samples_init(struct bench_samples *samples, struct bench_job *job);
void bench_samples_add(struct bench_samples *samples, uint64_t ns);
void bench_samples_finish(struct bench_samples *samples, struct bench_job *job, unsigned per_sample);

/* ---- handover.c: the same ---- */
struct bench_giver {
	void *(*room)(void *self); /* where the next payload goes; NULL after bench_error() */
	int (*publish)(void *self);
};
struct bench_taker {
	const void *(*look)(void *self, uint64_t n); /* waits for payload number n; NULL: there is none any more */
	int (*release)(void *self);
};
int bench_hand_over(struct bench_job *job, const struct bench_giver *giver, void *self);
int bench_take_over(struct bench_job *job, const struct bench_taker *taker, void *self);

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
void bench_dawdle(unsigned count);
void bench_fill(void *data, size_t size, uint64_t counter);
uint64_t bench_check(const void *data, size_t size, uint64_t counter); /* 0: every byte is as it must be */

/* ---- noise.c ---- */
void bench_noise_look(const struct bench_options *options, struct bench_noise *noise, bool after);
void bench_noise_judge(struct bench_report *report);
void bench_noise_text(const struct bench_report *report, char *text, size_t size);
void bench_machine(char *text, size_t size);

double bench_bounce(const struct bench_options *options);

/* ---- watch.c ---- */
struct bench_watch {
	uint64_t began_ns;
	double ours, all; /* seconds of processor time */
};
void bench_watch_begin(struct bench_watch *watch, const struct bench_options *options);
bool bench_watch_disturbed(const struct bench_watch *watch, const struct bench_options *options, double line_ns,
			   double reference_ns);

/* ---- stats.c ---- */
double bench_median(double *values, size_t count);
double bench_quantile(uint64_t *values, size_t count, double q);
void bench_summarize(struct bench_report *report);

/* ---- goals.c: what the run says about what libvshm wants to reach ---- */
struct bench_verdict {
	const char *work, *against;
	char size[16], goal[32], measured[32];
	bool known, met;
};
unsigned bench_goals(const struct bench_report *report, struct bench_verdict verdicts[], unsigned count);
const struct bench_result *bench_find(const struct bench_report *report, enum bench_work work, const char *name,
				      size_t size);
double bench_ratio(const struct bench_result *own, const struct bench_result *peer, unsigned rounds);

/* ---- table.c, json.c, markdown.c, svg.c ---- */
void bench_size_text(char *text, size_t space, size_t size);
double bench_value(const struct bench_result *result);
const char *bench_unit(enum bench_work work);
void bench_value_text(char *text, size_t space, double value);
void bench_table(const struct bench_report *report, FILE *out);
int bench_write(const struct bench_report *report, const char *path,
		void (*write)(const struct bench_report *report, FILE *out));
void bench_json(const struct bench_report *report, FILE *out);
void bench_markdown(const struct bench_report *report, FILE *out);
void bench_svg(const struct bench_report *report, FILE *out);

#ifdef __cplusplus
}
#endif

#endif
