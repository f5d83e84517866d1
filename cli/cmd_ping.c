/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl ping: how long a record takes there and back. */
#include "command.h"
#include "parse.h"
#include "ping.h"
#include "say.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_COUNT 100000u
#define DEFAULT_NS 2000000000u
#define DEFAULT_TIMEOUT_NS 5000000000
#define MOST_BYTES (1u << 30)
/* Somebody who answers may be about to open its ends. */
#define LOOKS 10u
#define LOOK_NS 10000000u

enum {
	OPTION_ANSWER = STREAM_OWN,
	OPTION_COUNT,
	OPTION_SIZE,
	OPTION_POLL,
	OPTION_SLEEP,
	OPTION_INTERVAL,
	OPTION_JSON,
};

static int attach(struct ping *ping)
{
	int code = stream_open(&ping->stream, "pinged");
	ping->stream.progress.enabled = false; /* it counts bytes */
	trips_init(&ping->trips, &ping->stream, ping->name);
	ping->trips.mode = ping->mode;
	ping->trips.size = ping->size;
	return code;
}

static void detach(struct ping *ping)
{
	trips_close(&ping->trips);
	(void)vshm_region_close(ping->stream.region);
}

/* ---- the answering side ---- */

static int answer(struct ping *ping, bool forever)
{
	int code = attach(ping);
	if (code)
		return code;
	code = trips_open_answering(&ping->trips);
	if (!code && forever)
		stream_note(&ping->stream, "answering; a signal ends this");
	if (!code)
		code = trips_answer(&ping->trips, forever);
	detach(ping);
	return code;
}

static int answer_once(void *arg)
{
	struct ping *ping = arg;
	ping->stream.peer = VSHM_PEER_ANY;
	return answer(ping, false);
}

/* ---- the asking side ---- */

/* Does somebody answer here already? 1, 0, or a negative exit code. */
static int look(struct ping *ping)
{
	char uri[OBSERVE_URI_SIZE], why[VSHM_WHY_SIZE] = "";
	struct vshm_region *region;
	struct trips trips;
	if (observe_uri(ping->stream.uri_text, uri))
		return -say_usage("the URI is too long");
	int rc = observe_open(uri, &region, why);
	if (rc)
		return -say_refused(rc, why);
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	ping->alone = !vshm_region_info(region, &info) && !strcmp(info.way, "vfio");
	trips_init(&trips, &ping->stream, ping->name);
	bool answered = trips_answered(&trips, region);
	for (unsigned i = 0; i < LOOKS && !answered && !stop_asked(); i++) {
		observe_pause(LOOK_NS);
		answered = trips_answered(&trips, region);
	}
	(void)vshm_region_close(region);
	return answered;
}

static int report(const struct ping *ping)
{
	if (!ping->histogram.count)
		return CTL_OK;
	if (!ping->json)
		ping_text(ping);
	else if (ping_json(ping))
		return say_failed("no memory");
	return CTL_OK;
}

static void note_companion(struct ping *ping)
{
	char line[160];
	(void)snprintf(line, sizeof(line), "nobody answers \"%s\": started process %d, which does", ping->name,
		       (int)ping->companion.pid);
	if (ping->companion.pid)
		stream_note(&ping->stream, line);
}

static void note_alone(struct ping *ping)
{
	char line[240];
	(void)snprintf(line, sizeof(line), "nobody answers \"%s\", and through VFIO no second process of this machine can: waiting for "
					   "vshmctl ping --answer elsewhere", ping->name);
	stream_note(&ping->stream, line);
}

/* What was measured before a failure is shown as well. */
static int ask(struct ping *ping)
{
	int done = trips_meet(&ping->trips);
	if (done > 0)
		note_companion(ping);
	if (done > 0)
		done = trips_ask(&ping->trips, &ping->limits, &ping->histogram, &ping->elapsed_ns);
	int code = report(ping);
	return done < 0 ? CTL_FAILED : code;
}

static int attach_and_ask(struct ping *ping)
{
	int code = attach(ping);
	if (code)
		return code;
	ping->trips.companion = ping->companion.pid ? &ping->companion : NULL;
	code = trips_open_asking(&ping->trips);
	if (!code) {
		companion_go(&ping->companion);
		code = ask(ping);
	}
	detach(ping);
	return code;
}

static int ping_somebody(struct ping *ping)
{
	int answered = look(ping);
	if (answered < 0 || stop_asked())
		return answered < 0 ? -answered : CTL_FAILED;
	if (!answered && ping->alone)
		note_alone(ping);
	int code = answered || ping->alone ? CTL_OK : companion_start(&ping->companion, answer_once, ping);
	if (!code)
		code = attach_and_ask(ping);
	companion_finish(&ping->companion);
	return code;
}

/* ---- options ---- */

static int take_option(struct ping *ping, int option, const char *value, bool *limited)
{
	const char *bad = NULL, *name = NULL;
	int64_t ns = 0;
	switch (option) {
	case OPTION_COUNT:
		name = "count";
		bad = parse_number(value, &ping->limits.count);
		if (!bad && !ping->limits.count)
			bad = "write at least 1";
		*limited = false;
		break;
	case OPTION_SIZE:
		name = "size";
		bad = parse_size(value, &ping->size);
		if (!bad && (ping->size < TRIP_SMALLEST || ping->size > MOST_BYTES))
			bad = "write 8 to 1G";
		break;
	case OPTION_INTERVAL:
		name = "interval";
		bad = parse_seconds(value, &ns);
		ping->limits.interval_ns = (uint64_t)ns;
		*limited = false;
		break;
	default:
		return stream_take_option(&ping->stream, option, value);
	}
	return bad ? say_usage("--%s '%s': %s", name, value, bad) : CTL_OK;
}

static int take_mode(struct ping *ping, enum trip_mode mode)
{
	if (ping->mode != TRIP_SPIN_THEN_SLEEP && ping->mode != mode)
		return say_usage("--poll and --sleep exclude each other");
	ping->mode = mode;
	return CTL_OK;
}

static int read_options(int argc, char **argv, struct ping *ping)
{
	static const struct option options[] = {
		{"answer", no_argument, NULL, OPTION_ANSWER},
		{"count", required_argument, NULL, OPTION_COUNT},
		{"size", required_argument, NULL, OPTION_SIZE},
		{"poll", no_argument, NULL, OPTION_POLL},
		{"sleep", no_argument, NULL, OPTION_SLEEP},
		{"interval", required_argument, NULL, OPTION_INTERVAL},
		{"json", no_argument, NULL, OPTION_JSON},
		{"peer", required_argument, NULL, STREAM_PEER},
		{"timeout", required_argument, NULL, STREAM_TIMEOUT},
		{"quiet", no_argument, NULL, STREAM_QUIET},
		COMMAND_OPTIONS_END,
	};
	bool limited = true;
	int code = CTL_OK;
	for (int option; !code && (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		if (option == OPTION_ANSWER)
			ping->answers = true;
		else if (option == OPTION_JSON)
			ping->json = true;
		else if (option == OPTION_POLL || option == OPTION_SLEEP)
			code = take_mode(ping, option == OPTION_POLL ? TRIP_POLL : TRIP_SLEEP);
		else
			code = take_option(ping, option, optarg, &limited);
	}
	ping->limits.count = ping->limits.count ? ping->limits.count : DEFAULT_COUNT;
	ping->limits.time_ns = limited ? DEFAULT_NS : 0;
	return code;
}

static int take_arguments(int argc, char **argv, struct ping *ping)
{
	static const char *const names[] = {"URI", "NAME", NULL};
	if (!command_arguments(argc, argv, 1, 2, names))
		return CTL_USAGE;
	ping->stream.uri_text = argv[optind];
	ping->name = argc - optind == 2 ? argv[optind + 1] : "ping";
	const char *bad = parse_name(ping->name);
	if (!bad && strlen(ping->name) >= TRIPS_NAME_SIZE)
		bad = "at most 56 characters, because .answer is added";
	return bad ? say_usage("name '%s': %s", ping->name, bad) : CTL_OK;
}

static int run(int argc, char **argv)
{
	static struct ping ping = {.size = TRIP_SMALLEST};
	stream_init(&ping.stream, "vshmctl-ping");
	ping.stream.timeout_ns = DEFAULT_TIMEOUT_NS;
	int code = read_options(argc, argv, &ping);
	if (!code)
		code = take_arguments(argc, argv, &ping);
	if (code)
		return code;
	stop_install();
	code = ping.answers ? answer(&ping, true) : ping_somebody(&ping);
	return stop_leave(code);
}

const struct command command_ping = {
	.name = "ping",
	.arguments = "[--answer] URI [NAME]",
	.summary = "Measure round trips between two processes",
	.help = "  --answer            be the other side: send back what comes, until a signal\n"
		"  --count N           so many trips; default: 100000, or what 2 seconds bring\n"
		"  --size SIZE         bytes of each record, 8 or more; default: 8\n"
		"  --poll              never sleep while waiting\n"
		"  --sleep             always sleep while waiting; default: look around for 20 us, then sleep\n"
		"  --interval SECONDS  pause between trips; there is no limit of 2 seconds then\n"
		"  --json              one document for programs\n"
		"  --peer N            the slot to take; default: one that is free\n"
		"  --timeout SECONDS   give up when an answer takes so long; default: 5\n"
		"  --quiet             no notes\n"
		"\n"
		"Records go through the ring NAME.ask and come back through NAME.answer; NAME is \"ping\" unless given. When\n"
		"nobody answers, a second process is started that does, for as long as this takes. --poll and --sleep hold\n"
		"for that process, too; give them to --answer yourself. An interrupt ends it early: what there is, is shown.\n",
	.run = run,
};
