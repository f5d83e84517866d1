/* SPDX-License-Identifier: BSD-3-Clause */
/* The results for programs. Names and labels here are our own; only the machine's line needs escaping. */
#include "bench.h"

static void put_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		if ((unsigned char)*text >= ' ')
			fputc(*text, out);
	}
	fputc('"', out);
}

static void put_noise(const struct bench_report *report, FILE *out)
{
	fprintf(out, "  \"noise\": [\n");
	for (unsigned i = 0; i < report->rounds; i++) {
		const struct bench_noise *noise = &report->noise[i];

		fprintf(out,
			"    {\"round\": %u, \"load\": %.2f, \"preempted\": %ld, \"repeated\": %u, \"spoilt\": %u, \"noisy\": %s, \"spins\": [",
			i + 1, noise->load, noise->preempted, noise->repeated, noise->spoilt,
			noise->noisy ? "true" : "false");
		for (unsigned j = 0; j < 4; j++)
			fprintf(out, "%s{\"when\": \"%s\", \"core\": %d, \"longest_us\": %.1f, \"lost_percent\": %.2f}",
				j ? ", " : "", j < 2 ? "before" : "after", noise->spin[j].core,
				noise->spin[j].longest_us, noise->spin[j].lost_percent);
		fprintf(out, "], \"line_ns\": [%.1f, %.1f]}%s\n", noise->line_ns[0], noise->line_ns[1],
			i + 1 < report->rounds ? "," : "");
	}
	fprintf(out, "  ],\n");
}

static void put_rounds(const struct bench_report *report, const struct bench_result *result, FILE *out)
{
	fprintf(out, "\"rounds\": [");
	for (unsigned i = 0; i < report->rounds; i++)
		fprintf(out, "%s{\"ns\": %.2f, \"measured\": %llu, \"preempted\": %ld, \"line_ns\": %.1f}",
			i ? ", " : "", result->round[i].ns, (unsigned long long)result->round[i].measured,
			result->round[i].preempted, result->round[i].line_ns);
	fprintf(out, "]");
}

static void put_result(const struct bench_report *report, const struct bench_result *result, FILE *out)
{
	const struct bench_candidate *candidate = result->candidate;

	fprintf(out, "    {\"work\": \"%s\", \"candidate\": \"%s\", \"size\": %zu, \"ns\": %.2f, ",
		bench_work_names[candidate->work], candidate->name, result->size, result->ns);
	if (candidate->work == BENCH_STREAM)
		fprintf(out, "\"million_per_second\": %.4f, ", result->ns > 0 ? 1e3 / result->ns : 0);
	else
		fprintf(out, "\"p99_ns\": %.2f, ", result->p99_ns);
	if (result->base)
		fprintf(out, "\"ratio\": %.4f, \"ratio_to\": \"%s\", ", result->ratio, result->base->candidate->name);
	put_rounds(report, result, out);
	fprintf(out, "}");
}

static void put_left_out(FILE *out)
{
	const char *comma = "";

	fprintf(out, "  \"left_out\": [");
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++) {
		if (!(*c)->absent)
			continue;
		fprintf(out, "%s{\"work\": \"%s\", \"candidate\": \"%s\", \"why\": ", comma,
			bench_work_names[(*c)->work], (*c)->name);
		put_string(out, (*c)->absent);
		fprintf(out, "}");
		comma = ", ";
	}
	fprintf(out, "],\n");
}

static void put_goals(const struct bench_report *report, FILE *out)
{
	struct bench_verdict goal[BENCH_MAX_GOALS];
	unsigned count = bench_goals(report, goal, BENCH_MAX_GOALS);

	fprintf(out, "  \"goals\": [");
	for (unsigned i = 0; i < count; i++)
		fprintf(out,
			"%s\n    {\"work\": \"%s\", \"size\": \"%s\", \"against\": \"%s\", \"goal\": \"%s\", "
			"\"measured\": \"%s\", \"met\": %s}",
			i ? "," : "", goal[i].work, goal[i].size, goal[i].against, goal[i].goal, goal[i].measured,
			!goal[i].known ? "null"
			: goal[i].met  ? "true"
				       : "false");
	fprintf(out, "\n  ]\n");
}

void bench_json(const struct bench_report *report, FILE *out)
{
	char machine[256];

	bench_machine(machine, sizeof(machine));
	fprintf(out, "{\n  \"machine\": ");
	put_string(out, machine);
	fprintf(out, ",\n  \"cores\": [%d, %d],\n  \"rounds\": %u,\n  \"seconds\": %g,\n  \"noisy\": %s,\n",
		report->options->core[0], report->options->core[1], report->rounds, report->options->seconds,
		report->noisy ? "true" : "false");
	put_noise(report, out);
	fprintf(out, "  \"results\": [\n");
	for (unsigned i = 0; i < report->count; i++) {
		put_result(report, &report->results[i], out);
		fprintf(out, "%s\n", i + 1 < report->count ? "," : "");
	}
	fprintf(out, "  ],\n");
	put_left_out(out);
	put_goals(report, out);
	fprintf(out, "}\n");
}
