/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl show: what is going on in a region, without disturbing anybody. */
#include "command.h"
#include "parse.h"
#include "say.h"
#include "show.h"
#include "stop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vshm/error.h>

struct options {
	char uri[OBSERVE_URI_SIZE];
	bool json, map, watch;
	int64_t every_ns;
};

/* Composes a picture in memory; what `draw` prints goes there. */
static int compose(const struct options *options, const struct observation *now, char **text, size_t *size)
{
	struct show show = {.uri = options->uri, .now = now};
	screen_look(&show.screen, stdout);
	show.screen.out = open_memstream(text, size);
	if (!show.screen.out)
		return -1;
	int rc = 0;
	if (options->json)
		rc = show_json(&show, !options->watch);
	else if (options->map)
		show_map(&show);
	else
		show_text(&show);
	return fclose(show.screen.out) ? -1 : rc;
}

/* Paints over the last picture line by line instead of wiping the screen, which would flicker. */
static void repaint(const char *text, unsigned height)
{
	(void)fputs("\033[H", stdout);
	for (unsigned line = 1; *text && line < height; line++) {
		size_t length = strcspn(text, "\n");
		(void)fwrite(text, 1, length, stdout);
		(void)fputs("\033[K\n", stdout);
		text += length + (text[length] == '\n');
	}
	(void)fputs("\033[J", stdout);
}

static int print(const struct options *options, const struct observation *now, bool first)
{
	struct screen screen;
	char *text = NULL;
	size_t size = 0;
	if (compose(options, now, &text, &size)) {
		free(text);
		return say_failed("out of memory");
	}
	screen_look(&screen, stdout);
	if (options->watch && screen.terminal && !options->json) {
		repaint(text, screen.height);
	} else {
		if (!first && !options->json)
			(void)fputc('\n', stdout);
		(void)fwrite(text, 1, size, stdout);
	}
	free(text);
	return fflush(stdout) || ferror(stdout) ? CTL_FAILED : CTL_OK;
}

static int look_failed(const struct options *options, struct vshm_region *region, int rc)
{
	return say_failed("%s", rc == -ESTALE ? observe_stale(options->uri, region) : vshm_strerror(rc));
}

/* Sleeps until the next picture is due; a signal ends it. */
static void wait_for_next(int64_t every_ns, uint64_t last_ns)
{
	uint64_t due = last_ns + (uint64_t)every_ns;
	for (uint64_t now; !stop_asked() && (now = observe_clock_ns()) < due;)
		observe_pause(due - now);
}

static int watch(const struct options *options, struct vshm_region *region, struct observation *before)
{
	int code = CTL_OK;
	while (!code && !stop_asked()) {
		struct observation now;
		wait_for_next(options->every_ns, before->monotonic_ns);
		if (stop_asked())
			break;
		int rc = observe(region, before, &now);
		if (rc)
			return look_failed(options, region, rc);
		code = print(options, &now, false);
		observe_free(before);
		*before = now;
	}
	return code;
}

static int show(const struct options *options, struct vshm_region *region)
{
	struct observation now;
	int rc = observe_twice(region, &now, stop_asked);
	if (rc)
		return look_failed(options, region, rc);
	if (options->watch && !options->json && isatty(STDOUT_FILENO) == 1)
		(void)fputs("\033[H\033[2J", stdout);
	int code = print(options, &now, true);
	if (!code && options->watch)
		code = watch(options, region, &now);
	observe_free(&now);
	return code;
}

static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{"json", no_argument, NULL, 'j'},
		{"map", no_argument, NULL, 'm'},
		{"watch", optional_argument, NULL, 'w'},
		COMMAND_OPTIONS_END,
	};
	static const char *const names[] = {"URI", NULL};
	const char *behind = NULL; /* a number behind --watch: meant as its value? */
	int64_t number;
	for (int option; (option = command_option(argc, argv, known)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		options->json |= option == 'j';
		options->map |= option == 'm';
		options->watch |= option == 'w';
		if (option == 'w' && !optarg && optind < argc && !parse_seconds(argv[optind], &number))
			behind = argv[optind];
		const char *bad = option == 'w' && optarg ? parse_seconds(optarg, &options->every_ns) : NULL;
		if (bad || options->every_ns < 50000000)
			return say_usage("--watch '%s': %s", optarg, bad ? bad : "write at least 0.05 seconds");
	}
	if (options->json && options->map)
		return say_usage("--json and --map exclude each other");
	if (behind && argc - optind > 1)
		return say_usage("write --watch=%s, without a blank", behind);
	if (!command_arguments(argc, argv, 1, 1, names))
		return CTL_USAGE;
	return observe_uri(argv[optind], options->uri) ? say_usage("the URI is too long") : CTL_OK;
}

static int run(int argc, char **argv)
{
	static struct options options = {.every_ns = 1000000000};
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_region *region;
	int code = read_options(argc, argv, &options);
	if (code)
		return code;
	stop_install();
	int rc = observe_open(options.uri, &region, why);
	if (rc)
		return say_refused(rc, why);
	code = show(&options, region);
	(void)vshm_region_close(region);
	return stop_leave(say_flushed(code));
}

const struct command command_show = {
	.name = "show",
	.arguments = "URI [--json] [--map] [--watch[=SECONDS]]",
	.summary = "Show who is attached to a region, and what its rings do",
	.help = "  --json              one document for programs, with everything\n"
		"  --map               draw the layout to scale: segments, sections, rings and how full they are\n"
		"  --watch[=SECONDS]   again and again, every second by default; with --json one document per line\n"
		"\n"
		"Takes no slot, writes nothing, disturbs nobody. Takes a moment, because rates and heartbeats need two looks.\n"
		"A peer is suspect when its heart stood still for a second (stopped, or its machine is paused).\n",
	.run = run,
};
