/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vshm-bench: libvshm beside other ways to move messages between two processes. Works through the rounds;
 * within one, all candidates at one size run back to back.
 */
#include "bench.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void add(struct bench_report *report, const struct bench_candidate *candidate, size_t size)
{
	struct bench_result *result = &report->results[report->count++];

	result->candidate = candidate;
	result->size = size;
}

/* All candidates of one work at one size, with what their ratios are to. */
static void plan_size(struct bench_report *report, enum bench_work work, size_t size)
{
	unsigned from = report->count;

	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		if ((*c)->work == work && bench_wanted(report->options, *c, size))
			add(report, *c, size);
	for (unsigned i = from; i < report->count; i++)
		report->results[i].base = bench_find(report, work, bench_base_name(report->results[i].candidate), size);
}

static int plan(struct bench_report *report)
{
	size_t candidates = 0;

	while (bench_candidates[candidates])
		candidates++;
	report->results = calloc(candidates * BENCH_MAX_SIZES, sizeof(*report->results));
	if (!report->results)
		return 1;
	for (unsigned work = 0; work < BENCH_WORKS; work++) {
		unsigned count;
		const size_t *sizes = bench_work_sizes((enum bench_work)work, &count);

		for (unsigned i = 0; i < count; i++)
			plan_size(report, (enum bench_work)work, sizes[i]);
	}
	return 0;
}

static void progress(const struct bench_report *report, unsigned i)
{
	const struct bench_result *result = &report->results[i];

	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[Kround %u of %u, %u of %u: %s, %s, %zu B", report->rounds + 1, report->options->rounds,
		i + 1, report->count, bench_work_names[result->candidate->work], result->candidate->label,
		result->size);
	if (i + 1 == report->count)
		fputs("\r\033[K", stderr);
}

#define MAX_ATTEMPTS 4
#define MAX_REPEATED 60 /* in a round: on a machine that is never quiet the end shall come, and the verdict */
#define MIN_WATCHED 0.02

/* One measurement; made again while it was disturbed, unless there is no time for that anyway (very short ones). */
static int run_job(const struct bench_options *options, const struct bench_result *result, struct bench_sample *sample,
		   struct bench_noise *noise, double line_ns)
{
	struct bench_watch watch;
	bool disturbed = true;
	int failed = 0;

	noise->jobs++;
	for (unsigned i = 0; i < MAX_ATTEMPTS && disturbed && !failed && !interrupted; i++) {
		if (i && noise->repeated == MAX_REPEATED)
			break;
		noise->repeated += i > 0;
		bench_watch_begin(&watch, options);
		failed = bench_run(options, result->candidate, result->size, sample);
		if (options->seconds < MIN_WATCHED)
			return failed;
		sample->line_ns = bench_bounce(options);
		disturbed = bench_watch_disturbed(&watch, options, sample->line_ns, line_ns);
	}
	noise->spoilt += disturbed;
	return failed;
}

static int run_round(struct bench_report *report)
{
	struct bench_noise *noise = &report->noise[report->rounds];
	unsigned failures = 0;
	double line_ns = 0;

	bench_noise_look(report->options, noise, false);
	for (unsigned i = 0; i < report->count && !interrupted; i++) {
		struct bench_result *result = &report->results[i];
		struct bench_sample *sample = &result->round[report->rounds];

		if (!i || result->size != report->results[i - 1].size) /* what is compared begins here */
			line_ns = bench_bounce(report->options);
		progress(report, i);
		failures += run_job(report->options, result, sample, noise, line_ns) != 0;
		noise->preempted += sample->preempted;
	}
	bench_noise_look(report->options, noise, true);
	report->rounds++;
	return failures != 0;
}

static bool is_standard_output(const char *path)
{
	return path && !strcmp(path, "-");
}

/* The table too, unless something else goes to standard output. */
static int write_all(const struct bench_report *report)
{
	const struct bench_options *o = report->options;
	int failed = 0;

	if (!is_standard_output(o->json) && !is_standard_output(o->svg) && !is_standard_output(o->markdown))
		bench_table(report, stdout);
	if (o->json)
		failed |= bench_write(report, o->json, bench_json);
	if (o->svg)
		failed |= bench_write(report, o->svg, bench_svg);
	if (o->markdown)
		failed |= bench_write(report, o->markdown, bench_markdown);
	return failed;
}

static int run(struct bench_report *report)
{
	int failed = 0;

	for (unsigned i = 0; i < report->options->rounds && !interrupted; i++)
		failed |= run_round(report);
	if (interrupted)
		return 1;
	bench_summarize(report);
	bench_noise_judge(report);
	return failed | write_all(report);
}

static int refuse(const struct bench_report *report)
{
	char noise[256];

	bench_noise_text(report, noise, sizeof(noise));
	fprintf(stderr, "vshm-bench: skipped: too noisy to conclude anything: %s\n", noise);
	return BENCH_SKIP;
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct bench_report report;
	struct sigaction action = {.sa_handler = interrupt};
	int rc = bench_parse(argc, argv, &options);

	if (rc)
		return rc;
	if (options.list) {
		bench_list(stdout);
		return 0;
	}
	memset(&report, 0, sizeof(report));
	report.options = &options;
	if (plan(&report))
		return 1;
	if (!report.count) {
		fprintf(stderr, "vshm-bench: skipped: nothing here fits --only and --size; see --list\n");
		free(report.results);
		return BENCH_SKIP;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	rc = run(&report);
	if (!rc && report.noisy && options.strict)
		rc = refuse(&report);
	free(report.results);
	return rc;
}
