/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vshmctl bench: how fast a region is on this machine, at a glance. Both processes go through the same list of figures; what
 * is measured, and how, is in bench_stream.c and bench_round.c.
 */
#include "bench.h"
#include "command.h"
#include "cores.h"
#include "parse.h"
#include "say.h"
#include "stop.h"
#include "text.h"

#include <stdio.h>
#include <unistd.h>

#define DEFAULT_NS 300000000
#define LONGEST_NS 3600000000000
#define STALL_NS 10000000000
#define MOST_BYTES (1u << 30)

/* Small enough for a region of the default size. */
#define LENT_BYTES 65536u

enum { OPTION_SECONDS = STREAM_OWN, OPTION_SIZE, OPTION_JSON };

/* ---- what is measured ---- */

static const struct {
	const char *name;
	int (*lead)(struct bench *bench, struct figure *figure);
	int (*follow)(struct bench *bench, struct figure *figure); /* NULL: the first process measures alone */
} kinds[] = {
	[BENCH_STREAM] = {"one way", bench_stream_lead, bench_stream_follow},
	[BENCH_LEND] = {"lent blocks", bench_stream_lead, bench_stream_follow},
	[BENCH_ROUND] = {"round trips", bench_round_lead, bench_round_follow},
	[BENCH_MEMORY] = {"memcpy", bench_memory_lead, NULL},
};

static struct figure *add(struct bench *bench, enum bench_kind kind, uint64_t size)
{
	struct figure *figure = &bench->figure[bench->count];
	*figure = (struct figure){.kind = kind, .size = size, .burst = 1};
	(void)snprintf(figure->ring, sizeof(figure->ring), "bench-%d.%u", (int)getpid(), bench->count);
	bench->count++;
	return figure;
}

/* Before the second process is started: both have the same list, and the same names. */
static void plan(struct bench *bench)
{
	static const uint64_t sizes[] = {8, 64, 256, 1024, 4096, 16384, 65536};
	static const uint64_t copied[] = {65536, 32u << 20};
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (bench->size && i)
			break;
		add(bench, BENCH_STREAM, bench->size ? bench->size : sizes[i]);
		add(bench, BENCH_STREAM, bench->size ? bench->size : sizes[i])->burst = BENCH_BURST;
	}
	add(bench, BENCH_LEND, LENT_BYTES);
	add(bench, BENCH_ROUND, bench->size > TRIP_SMALLEST ? bench->size : TRIP_SMALLEST)->mode = TRIP_POLL;
	add(bench, BENCH_ROUND, bench->size > TRIP_SMALLEST ? bench->size : TRIP_SMALLEST)->mode = TRIP_SLEEP;
	for (unsigned i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
		add(bench, BENCH_MEMORY, copied[i]);
}

/* ---- the two processes ---- */

/* Only now, and each for itself: the keepers, which run already, stay where they like. */
static void pin(const struct bench *bench, unsigned which)
{
	if (bench->pinned && cores_pin(bench->cores[which]))
		say_note("cannot stay on processor %u", bench->cores[which]);
}

static int follow(void *arg)
{
	struct bench *bench = arg;
	int rc = 1, code = stream_open(&bench->stream, "measured");
	if (code)
		return code;
	pin(bench, 1);
	for (unsigned i = 0; i < bench->count && rc > 0; i++) {
		if (kinds[bench->figure[i].kind].follow)
			rc = kinds[bench->figure[i].kind].follow(bench, &bench->figure[i]);
	}
	(void)vshm_region_close(bench->stream.region);
	return rc < 0 ? CTL_FAILED : CTL_OK;
}

static void show_progress(struct bench *bench, unsigned number)
{
	const struct figure *figure = &bench->figure[number];
	char line[100], size[TEXT_SIZE];
	(void)snprintf(line, sizeof(line), "%u of %u: %s, %s%s", number + 1, bench->count, kinds[figure->kind].name,
		       text_bytes(size, figure->size), figure->burst > 1 ? ", in bursts" : "");
	progress_say(&bench->stream.progress, line);
}

static int lead(struct bench *bench)
{
	int rc = 1;
	for (unsigned i = 0; i < bench->count && rc > 0; i++) {
		show_progress(bench, i);
		rc = kinds[bench->figure[i].kind].lead(bench, &bench->figure[i]);
		bench->stream.waiting_since = 0;
	}
	progress_clear(&bench->stream.progress);
	if (!bench->figure[0].done)
		return rc < 0 ? CTL_FAILED : CTL_OK;
	if (!bench->json)
		bench_text(bench);
	else if (bench_json(bench))
		return say_failed("no memory");
	return rc < 0 ? CTL_FAILED : CTL_OK;
}

static int attach_and_lead(struct bench *bench)
{
	int code = stream_open(&bench->stream, "measured");
	if (code)
		return code;
	if (observe_is_alone(bench->stream.region)) {
		code = say_failed("through VFIO one process of this machine can have the region, and this needs two: use via=sysfs");
	} else {
		pin(bench, 0);
		companion_go(&bench->companion);
		code = lead(bench);
	}
	(void)vshm_region_close(bench->stream.region);
	return code;
}

static int run_both(struct bench *bench)
{
	bench->pinned = !cores_choose(bench->cores);
	plan(bench);
	int code = companion_start(&bench->companion, follow, bench);
	if (!code)
		code = attach_and_lead(bench);
	companion_finish(&bench->companion);
	return code;
}

/* ---- options ---- */

static int take_option(struct bench *bench, int option, const char *value)
{
	const char *bad = NULL;
	switch (option) {
	case OPTION_JSON:
		bench->json = true;
		return CTL_OK;
	case OPTION_SECONDS:
		bad = parse_seconds(value, &bench->figure_ns);
		if (!bad && (bench->figure_ns < 1000000 || bench->figure_ns > LONGEST_NS))
			bad = "write 0.001 to 3600";
		return bad ? say_usage("--seconds '%s': %s", value, bad) : CTL_OK;
	case OPTION_SIZE:
		bad = parse_size(value, &bench->size);
		if (!bad && bench->size > MOST_BYTES)
			bad = "write 1 to 1G";
		return bad ? say_usage("--size '%s': %s", value, bad) : CTL_OK;
	default:
		return stream_take_option(&bench->stream, option, value);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, OPTION_SECONDS},
		{"size", required_argument, NULL, OPTION_SIZE},
		{"json", no_argument, NULL, OPTION_JSON},
		{"quiet", no_argument, NULL, STREAM_QUIET},
		COMMAND_OPTIONS_END,
	};
	static const char *const names[] = {"URI", NULL};
	static struct bench bench = {.figure_ns = DEFAULT_NS};
	int code = CTL_OK;
	stream_init(&bench.stream, "vshmctl-bench");
	bench.stream.timeout_ns = STALL_NS;
	for (int option; !code && (option = command_option(argc, argv, options)) != -1;)
		code = option == '?' ? CTL_USAGE : take_option(&bench, option, optarg);
	if (!code && !command_arguments(argc, argv, 1, 1, names))
		code = CTL_USAGE;
	if (code)
		return code;
	bench.stream.uri_text = argv[optind];
	stop_install();
	return stop_leave(run_both(&bench));
}

const struct command command_bench = {
	.name = "bench",
	.arguments = "URI",
	.summary = "Measure what a region does on this machine",
	.help = "  --seconds SECONDS   how long to measure each figure; default: 0.3\n"
		"  --size SIZE         records of this size only; default: 8 bytes to 64K\n"
		"  --json              one document for programs\n"
		"  --quiet             no progress\n"
		"\n"
		"Streams records to a second process, one by one and in bursts of 32, sends records there and back, and\n"
		"copies memory for comparison. The two stay on processors of their own, if there are two. A quick look:\n"
		"other work on the machine changes every figure. Takes two slots.\n",
	.run = run,
};
