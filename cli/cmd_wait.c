/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl wait: being rung by hand. */
#include "command.h"
#include "observe.h"
#include "parse.h"
#include "say.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <vshm/doorbell.h>
#include <vshm/error.h>

/* So often a signal that asks to leave is looked for. */
#define SLICE_NS (INT64_C(100) * 1000 * 1000)

struct waiting {
	uint64_t count;
	int64_t timeout_ns; /* for each ring; VSHM_FOREVER */
};

/* One ring: 0, -ETIMEDOUT, or -ECANCELED: asked to leave. */
static int wait_for_one(struct vshm_doorbell *bell, int64_t timeout_ns)
{
	const uint64_t begin = observe_clock_ns();
	for (;;) {
		int64_t gone = (int64_t)(observe_clock_ns() - begin), left = timeout_ns < 0 ? SLICE_NS : timeout_ns - gone;
		int rc = vshm_doorbell_wait(bell, left < 0 ? 0 : left < SLICE_NS ? left : SLICE_NS);
		if (rc != -ETIMEDOUT && rc != -EAGAIN)
			return rc;
		if (stop_asked())
			return -ECANCELED;
		if (timeout_ns >= 0 && gone >= timeout_ns)
			return -ETIMEDOUT;
	}
}

static int wait_for_all(struct vshm_doorbell *bell, const struct waiting *waiting)
{
	const uint64_t begin = observe_clock_ns();
	(void)printf("this is doorbell %" PRIu32 "\n", vshm_doorbell_address(bell));
	(void)fflush(stdout);
	for (uint64_t i = 0; i < waiting->count; i++) {
		int rc = wait_for_one(bell, waiting->timeout_ns);
		if (rc == -ETIMEDOUT)
			return say_failed("nobody rang");
		if (rc)
			return rc == -ECANCELED ? CTL_OK : say_refused(rc, vshm_strerror(rc));
		(void)printf("rung after %.6f s\n", (double)(observe_clock_ns() - begin) / 1e9);
		(void)fflush(stdout);
	}
	return CTL_OK;
}

static int wait_at(const char *uri, const struct waiting *waiting)
{
	struct vshm_doorbell *bell;
	char why[VSHM_WHY_SIZE] = "";
	int rc = vshm_doorbell_open(uri, &bell, why);
	if (rc)
		return say_refused(rc, why);
	int code = vshm_doorbell_address(bell) == VSHM_DOORBELL_NONE ?
			   say_failed("this way to the device has no interrupts, so nobody can ring here: vshmctl doctor tells what is missing") :
			   wait_for_all(bell, waiting);
	(void)vshm_doorbell_close(bell);
	return code;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"count", required_argument, NULL, 'c'},
						{"timeout", required_argument, NULL, 't'},
						COMMAND_OPTIONS_END};
	static const char *const names[] = {"URI", NULL};
	struct waiting waiting = {1, VSHM_FOREVER};
	char uri[OBSERVE_URI_SIZE];
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		const char *bad = option == 'c' ? parse_number(optarg, &waiting.count) : parse_seconds(optarg, &waiting.timeout_ns);
		if (bad)
			return say_usage("'%s': %s", optarg, bad);
	}
	if (!command_arguments(argc, argv, 1, 1, names))
		return CTL_USAGE;
	if (observe_uri(argv[optind], uri))
		return say_usage("the URI is too long");
	stop_install();
	return stop_leave(wait_at(uri, &waiting));
}

const struct command command_wait = {
	.name = "wait",
	.arguments = "URI [--count N] [--timeout SECONDS]",
	.summary = "Wait until somebody rings this doorbell",
	.help = "  --count N           for so many rings; default: one\n"
		"  --timeout SECONDS   for each; default: for ever\n"
		"\n"
		"To try devices and servers: no region is needed. First the address is printed by which others ring here, then a\n"
		"line for each ring; rings that come together are one. URI is ivshmem:DEVICE, or split: with doorbell=, in a guest;\n"
		"server:SOCKET on the host. Exit status 1: nobody rang in time.\n",
	.run = run,
};
