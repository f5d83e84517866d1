/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of vshm-bench. */
#include "bench.h"

#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
	"usage: vshm-bench [options]\n"
	"Measures libvshm beside other ways to move messages between two processes of one machine.\n"
	"  --rounds N     rounds, each runs everything once, back to back (5)\n"
	"  --seconds S    measure each candidate at each size for so long, per round (0.2)\n"
	"  --only NAME    only this kind of work, or this candidate (see --list); may be repeated\n"
	"  --size BYTES   only this message size; may be repeated\n"
	"  --cores A,B    the two cores to use (the first two that this program may use)\n"
	"  --json FILE    write the results as JSON too; - is standard output, instead of the table\n"
	"  --svg FILE     write a chart\n"
	"  --markdown FILE  write the tables as Markdown, and which goals were met\n"
	"  --ring BYTES   room between the two sides, for those that can choose (256 KiB; 1 MiB for 64 KiB messages)\n"
	"  --dawdle A,B   the first and the second side waste so many turns of an empty loop on each message (0,0)\n"
	"  --strict       exit 77 when the machine is too noisy to conclude\n"
	"  --list         list the candidates and what was left out\n"
	"  --help\n"
	"Exit codes: 0 ok, 1 failed, 2 usage, 77 not possible here.\n";

static int wrong(const char *option, const char *value)
{
	fprintf(stderr, "vshm-bench: %s: \"%s\" is not possible; see --help\n", option, value);
	return 2;
}

static bool is_work_name(const char *name)
{
	for (unsigned i = 0; i < BENCH_WORKS; i++)
		if (!strcmp(name, bench_work_names[i]))
			return true;
	return false;
}

static bool known(const char *name)
{
	if (is_work_name(name))
		return true;
	for (const struct bench_candidate *const *c = bench_candidates; *c; c++)
		if (!strcmp(name, (*c)->name))
			return true;
	return false;
}

static bool any_work_has(size_t size)
{
	for (unsigned work = 0; work < BENCH_WORKS; work++) {
		unsigned count;
		const size_t *sizes = bench_work_sizes((enum bench_work)work, &count);

		for (unsigned i = 0; i < count; i++)
			if (sizes[i] == size)
				return true;
	}
	return false;
}

static int add_only(struct bench_options *options, const char *name)
{
	if (!known(name) || options->only_count == sizeof(options->only) / sizeof(options->only[0]))
		return wrong("--only", name);
	options->only[options->only_count++] = name;
	return 0;
}

static int add_size(struct bench_options *options, const char *text)
{
	char *rest;
	unsigned long size = strtoul(text, &rest, 10);

	if (*rest || !any_work_has(size) || options->size_count == BENCH_MAX_SIZES)
		return wrong("--size", text);
	options->sizes[options->size_count++] = size;
	return 0;
}

static int set_rounds(struct bench_options *options, const char *text)
{
	char *rest;
	unsigned long rounds = strtoul(text, &rest, 10);

	if (*rest || !rounds || rounds > BENCH_MAX_ROUNDS)
		return wrong("--rounds", text);
	options->rounds = (unsigned)rounds;
	return 0;
}

static int set_seconds(struct bench_options *options, const char *text)
{
	char *rest;
	double seconds = strtod(text, &rest);

	if (*rest || !(seconds >= 0.001 && seconds <= 60))
		return wrong("--seconds", text);
	options->seconds = seconds;
	return 0;
}

static int set_cores(struct bench_options *options, const char *text)
{
	int end = 0;

	if (sscanf(text, "%d,%d%n", &options->core[0], &options->core[1], &end) != 2 || text[end] ||
	    options->core[0] < 0 || options->core[1] < 0 || options->core[0] == options->core[1])
		return wrong("--cores", text);
	return 0;
}

static int set_dawdle(struct bench_options *options, const char *text)
{
	int end = 0;

	if (sscanf(text, "%u,%u%n", &options->dawdle[0], &options->dawdle[1], &end) != 2 || text[end])
		return wrong("--dawdle", text);
	return 0;
}

/* A power of two, because rings are. */
static int set_ring(struct bench_options *options, const char *text)
{
	char *rest;
	unsigned long size = strtoul(text, &rest, 10);

	if (*rest || size < 4096 || size > (1u << 30) || size & (size - 1))
		return wrong("--ring", text);
	options->ring_bytes = size;
	return 0;
}

/* The first two cores of this process. BENCH_SKIP: there are not two. */
static int default_cores(struct bench_options *options)
{
	cpu_set_t own;
	int found = 0;

	sched_getaffinity(0, sizeof(own), &own);
	for (int core = 0; core < CPU_SETSIZE && found < 2; core++)
		if (CPU_ISSET((size_t)core, &own))
			options->core[found++] = core;
	if (found == 2)
		return 0;
	fprintf(stderr, "vshm-bench: skipped: needs two cores, has one\n");
	return BENCH_SKIP;
}

static int parse_one(int option, struct bench_options *options)
{
	switch (option) {
	case 'r':
		return set_rounds(options, optarg);
	case 's':
		return set_seconds(options, optarg);
	case 'o':
		return add_only(options, optarg);
	case 'z':
		return add_size(options, optarg);
	case 'c':
		return set_cores(options, optarg);
	case 'j':
		options->json = optarg;
		return 0;
	case 'd':
		return set_dawdle(options, optarg);
	case 'g':
		return set_ring(options, optarg);
	case 'v':
		options->svg = optarg;
		return 0;
	case 'm':
		options->markdown = optarg;
		return 0;
	case 't':
		options->strict = true;
		return 0;
	case 'l':
		options->list = true;
		return 0;
	case 'h':
		fputs(usage_text, stdout);
		exit(0);
	default:
		fputs("See vshm-bench --help\n", stderr);
		return 2;
	}
}

/* Returns 0, 2 (usage) or BENCH_SKIP, after a line on stderr. */
int bench_parse(int argc, char **argv, struct bench_options *options)
{
	static const struct option longs[] = {
		{"rounds", required_argument, NULL, 'r'},   {"seconds", required_argument, NULL, 's'},
		{"only", required_argument, NULL, 'o'},	    {"size", required_argument, NULL, 'z'},
		{"cores", required_argument, NULL, 'c'},    {"json", required_argument, NULL, 'j'},
		{"strict", no_argument, NULL, 't'},	    {"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},	    {"svg", required_argument, NULL, 'v'},
		{"markdown", required_argument, NULL, 'm'}, {"dawdle", required_argument, NULL, 'd'},
		{"ring", required_argument, NULL, 'g'},	    {NULL, 0, NULL, 0},
	};
	int option, rc;

	memset(options, 0, sizeof(*options));
	options->rounds = 5;
	options->seconds = 0.2;
	options->core[0] = -1;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		rc = parse_one(option, options);
		if (rc)
			return rc;
	}
	if (optind < argc)
		return wrong("argument", argv[optind]);
	return options->core[0] < 0 && !options->list ? default_cores(options) : 0;
}

/* Of what --only names, both must fit: the kind of work, if any was named, and the candidate, if any was. */
static bool named(const struct bench_options *options, const struct bench_candidate *candidate)
{
	bool works = false, work = false, names = false, name = false;

	for (unsigned i = 0; i < options->only_count; i++) {
		bool is_work = is_work_name(options->only[i]);

		works |= is_work;
		names |= !is_work;
		work |= !strcmp(options->only[i], bench_work_names[candidate->work]);
		name |= !strcmp(options->only[i], candidate->name);
	}
	return (work || !works) && (name || !names);
}

static bool takes(const struct bench_candidate *candidate, size_t size)
{
	bool found = !candidate->sizes;

	for (const size_t *one = candidate->sizes; one && *one; one++)
		found |= *one == size;
	return found;
}

bool bench_wanted(const struct bench_options *options, const struct bench_candidate *candidate, size_t size)
{
	bool fits = !options->size_count;

	for (unsigned i = 0; i < options->size_count; i++)
		fits |= options->sizes[i] == size;
	return fits && !candidate->absent && takes(candidate, size) && named(options, candidate);
}
