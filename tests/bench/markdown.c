/* SPDX-License-Identifier: BSD-3-Clause */
/* The results as Markdown tables: what was measured, and which goals were met. */
#include "bench.h"

static bool measured(const struct bench_report *report, const struct bench_candidate *candidate)
{
	for (unsigned i = 0; i < report->count; i++)
		if (report->results[i].candidate == candidate)
			return true;
	return false;
}

static bool work_measured(const struct bench_report *report, enum bench_work work)
{
	for (unsigned i = 0; i < report->count; i++)
		if (report->results[i].candidate->work == work)
			return true;
	return false;
}

static void put_row(const struct bench_report *report, FILE *out, const struct bench_candidate *candidate)
{
	unsigned count;
	const size_t *sizes = bench_work_sizes(candidate->work, &count);

	fprintf(out, "| %s |", candidate->label);
	for (unsigned i = 0; i < count; i++) {
		const struct bench_result *result = bench_find(report, candidate->work, candidate->name, sizes[i]);
		char text[32];

		bench_value_text(text, sizeof(text), result && result->ns > 0 ? bench_value(result) : 0);
		fprintf(out, " %s |", result ? text : "");
	}
	fputc('\n', out);
}

static void put_work(const struct bench_report *report, FILE *out, enum bench_work work)
{
	unsigned count;
	const size_t *sizes = bench_work_sizes(work, &count);
	char text[16];

	fprintf(out, "### %s, %s\n\n| |", bench_work_titles[work], bench_unit(work));
	for (unsigned i = 0; i < count; i++) {
		bench_size_text(text, sizeof(text), sizes[i]);
		fprintf(out, " %s |", text);
	}
	fprintf(out, "\n|---|");
	for (unsigned i = 0; i < count; i++)
		fprintf(out, "---:|");
	fputc('\n', out);
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		if ((*c)->work == work && measured(report, *c))
			put_row(report, out, *c);
	fputc('\n', out);
}

static void put_goals(const struct bench_report *report, FILE *out)
{
	struct bench_verdict goal[BENCH_MAX_GOALS];
	unsigned count = bench_goals(report, goal, BENCH_MAX_GOALS);

	fprintf(out, "### Goals, as ratios within one run\n\n"
		     "| work | size | against | goal | measured | |\n|---|---:|---|---|---:|---|\n");
	for (unsigned i = 0; i < count; i++)
		if (goal[i].known)
			fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", goal[i].work, goal[i].size, goal[i].against,
				goal[i].goal, goal[i].measured, goal[i].met ? "met" : "**not met**");
}

static void put_left_out(FILE *out)
{
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		if ((*c)->absent)
			fprintf(out, "\nLeft out: %s (%s): %s.\n", (*c)->label, bench_work_names[(*c)->work],
				(*c)->absent);
}

void bench_markdown(const struct bench_report *report, FILE *out)
{
	char machine[256], noise[256];

	bench_machine(machine, sizeof(machine));
	bench_noise_text(report, noise, sizeof(noise));
	for (unsigned work = 0; work < BENCH_WORKS; work++)
		if (work_measured(report, (enum bench_work)work))
			put_work(report, out, (enum bench_work)work);
	put_goals(report, out);
	fprintf(out,
		"\n%s; two processes on cores %d and %d; medians of %u rounds. Every byte is written and checked. %s%s.%s\n",
		machine, report->options->core[0], report->options->core[1], report->rounds, report->noisy ? "**" : "",
		noise, report->noisy ? "** Too noisy to conclude anything." : "");
	put_left_out(out);
}
