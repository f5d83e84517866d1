/* SPDX-License-Identifier: BSD-3-Clause */
/* The results for people: one block for each kind of work, a column for each size, then the noise. */
#include "bench.h"

#define NAME_WIDTH 27
#define UNIT_WIDTH 12

/* "64 B", "4 KiB" */
void bench_size_text(char *text, size_t space, size_t size)
{
	if (size < 1024)
		snprintf(text, space, "%zu B", size);
	else if (size < 1048576)
		snprintf(text, space, "%zu KiB", size / 1024);
	else
		snprintf(text, space, "%zu MiB", size / 1048576);
}

/* What charts and Markdown show of a result: million messages per second, or a median time. */
double bench_value(const struct bench_result *result)
{
	if (result->candidate->work == BENCH_STREAM)
		return 1e3 / result->ns;
	return result->candidate->work == BENCH_ROUND_SLEEP ? result->ns / 1e3 : result->ns;
}

const char *bench_unit(enum bench_work work)
{
	if (work == BENCH_STREAM)
		return "million messages per second, more is better";
	return work == BENCH_ROUND_SLEEP ? "median in microseconds, less is better"
					 : "median in nanoseconds, less is better";
}

/* Three digits that matter. */
void bench_value_text(char *text, size_t space, double value)
{
	int digits = value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0;

	if (value > 0)
		snprintf(text, space, "%.*f", digits, value);
	else
		snprintf(text, space, "-");
}

static void print_size(FILE *out, size_t size)
{
	char text[16];

	bench_size_text(text, sizeof(text), size);
	fprintf(out, "%10s", text);
}

static void print_value(FILE *out, double value)
{
	char text[32];

	bench_value_text(text, sizeof(text), value);
	fprintf(out, "%10s", text);
}

static const struct bench_result *find(const struct bench_report *report, const struct bench_candidate *candidate,
				       size_t size)
{
	return bench_find(report, candidate->work, candidate->name, size);
}

enum row { ROW_RATE, ROW_NS, ROW_P99, ROW_RATIO };

static double cell(const struct bench_result *result, enum row row)
{
	if (!result || result->ns <= 0)
		return 0;
	if (row == ROW_RATE)
		return bench_value(result);
	if (row == ROW_NS)
		return result->ns;
	return row == ROW_P99 ? result->p99_ns : result->ratio;
}

static void print_row(const struct bench_report *report, FILE *out, const struct bench_candidate *candidate,
		      enum row row, const char *name, const char *unit)
{
	unsigned count;
	const size_t *sizes = bench_work_sizes(candidate->work, &count);

	fprintf(out, "  %-*s%*s", NAME_WIDTH, name, UNIT_WIDTH, unit);
	for (unsigned i = 0; i < count; i++)
		if (bench_wanted(report->options, candidate, sizes[i]))
			print_value(out, cell(find(report, candidate, sizes[i]), row));
		else
			fprintf(out, "%10s", "");
	fputc('\n', out);
}

static bool has_ratio(const struct bench_report *report, const struct bench_candidate *candidate)
{
	for (unsigned i = 0; i < report->count; i++)
		if (report->results[i].candidate == candidate && report->results[i].base &&
		    report->results[i].base->candidate != candidate)
			return true;
	return false;
}

static void print_candidate(const struct bench_report *report, FILE *out, const struct bench_candidate *candidate)
{
	char unit[32];
	bool stream = candidate->work == BENCH_STREAM;

	print_row(report, out, candidate, stream ? ROW_RATE : ROW_NS, candidate->label, stream ? "M msg/s" : "p50 ns");
	print_row(report, out, candidate, stream ? ROW_NS : ROW_P99, "", stream ? "ns" : "p99 ns");
	if (has_ratio(report, candidate)) {
		snprintf(unit, sizeof(unit), "x %s", bench_base_name(candidate));
		print_row(report, out, candidate, ROW_RATIO, "", unit);
	}
}

static void print_work(const struct bench_report *report, FILE *out, enum bench_work work)
{
	unsigned count;
	const size_t *sizes = bench_work_sizes(work, &count);
	const struct bench_candidate *last = NULL;

	for (unsigned i = 0; i < report->count; i++)
		if (report->results[i].candidate->work == work)
			last = report->results[i].candidate;
	if (!last)
		return;
	fprintf(out, "\n%s (%sratio: %s)\n  %-*s", bench_work_titles[work],
		work == BENCH_ROUND_POLL || work == BENCH_ROUND_QUICK ? "timed 64 at once; " : "",
		work == BENCH_STREAM ? "higher is faster" : "lower is faster", NAME_WIDTH + UNIT_WIDTH, "");
	for (unsigned i = 0; i < count; i++)
		print_size(out, sizes[i]);
	fputc('\n', out);
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		if ((*c)->work == work && !(*c)->absent)
			for (unsigned i = 0; i < count; i++)
				if (find(report, *c, sizes[i])) {
					print_candidate(report, out, *c);
					break;
				}
}

static void print_left_out(FILE *out)
{
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		if ((*c)->absent)
			fprintf(out, "left out: %s, %s: %s\n", bench_work_names[(*c)->work], (*c)->name, (*c)->absent);
}

static void print_look(const struct bench_noise *noise, FILE *out, int after)
{
	for (int i = 2 * after; i < 2 * after + 2; i++)
		fprintf(out, "%12.0f us%6.1f %%", noise->spin[i].longest_us, noise->spin[i].lost_percent);
	fprintf(out, "%8.0f ns%s\n", noise->line_ns[after], after && noise->noisy ? "  noisy" : "");
}

static void print_noise(const struct bench_report *report, FILE *out)
{
	fprintf(out,
		"\nNoise: a loop that only looks at the clock, and a bounced line, before and after each round\n"
		"  round  load  preempted  repeated  spoilt    core %d: gap,  lost    core %d: gap,  lost       line\n",
		report->options->core[0], report->options->core[1]);
	for (unsigned i = 0; i < report->rounds; i++) {
		const struct bench_noise *noise = &report->noise[i];

		fprintf(out, "%7u%6.2f%11ld%10u%8u", i + 1, noise->load, noise->preempted, noise->repeated,
			noise->spoilt);
		print_look(noise, out, 0);
		fprintf(out, "%42s", "");
		print_look(noise, out, 1);
	}
}

/* What this run was not asked to measure is left out. */
static void print_goals(const struct bench_report *report, FILE *out)
{
	struct bench_verdict goal[BENCH_MAX_GOALS];
	unsigned count = bench_goals(report, goal, BENCH_MAX_GOALS), printed = 0;

	for (unsigned i = 0; i < count; i++)
		if (goal[i].known)
			fprintf(out, "%s  %-28s%9s  against %-28s%-16s%10s  %s\n", printed++ ? "" : "\nGoals\n",
				goal[i].work, goal[i].size, goal[i].against, goal[i].goal, goal[i].measured,
				goal[i].met ? "met" : "not met");
}

void bench_table(const struct bench_report *report, FILE *out)
{
	char machine[256], noise[256];

	bench_machine(machine, sizeof(machine));
	bench_noise_text(report, noise, sizeof(noise));
	fprintf(out, "%s; cores %d and %d; median of %u rounds, %g s each\n", machine, report->options->core[0],
		report->options->core[1], report->rounds, report->options->seconds);
	for (unsigned work = 0; work < BENCH_WORKS; work++)
		print_work(report, out, (enum bench_work)work);
	print_goals(report, out);
	print_noise(report, out);
	print_left_out(out);
	if (report->noisy)
		fprintf(out, "warning: too noisy to conclude anything: %s\n", noise);
}
