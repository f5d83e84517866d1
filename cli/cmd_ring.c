/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl ring: a doorbell by hand. */
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

struct ringing {
	uint64_t count;
	int64_t interval_ns;
};

static int ring(const char *uri, uint32_t address, const struct ringing *ringing)
{
	struct vshm_doorbell *bell;
	char why[VSHM_WHY_SIZE] = "";
	int rc = vshm_doorbell_open(uri, &bell, why);
	if (rc)
		return say_refused(rc, why);
	for (uint64_t i = 0; !rc && i < ringing->count && !stop_asked(); i++) {
		if (i)
			observe_pause((uint64_t)ringing->interval_ns);
		rc = vshm_doorbell_ring(bell, address);
	}
	(void)vshm_doorbell_close(bell);
	if (rc == -ENOENT)
		return say_failed("nobody of this server has the address %" PRIu32 ": vshmctl wait tells its own", address);
	return rc ? say_refused(rc, vshm_strerror(rc)) : CTL_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"count", required_argument, NULL, 'c'},
						{"interval", required_argument, NULL, 'i'},
						COMMAND_OPTIONS_END};
	static const char *const names[] = {"URI", "ADDRESS", NULL};
	struct ringing ringing = {1, 0};
	char uri[OBSERVE_URI_SIZE];
	uint64_t address = 0;
	const char *bad = NULL;
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		bad = option == 'c' ? parse_number(optarg, &ringing.count) : parse_seconds(optarg, &ringing.interval_ns);
		if (bad)
			return say_usage("'%s': %s", optarg, bad);
	}
	if (!command_arguments(argc, argv, 2, 2, names))
		return CTL_USAGE;
	bad = parse_number(argv[optind + 1], &address);
	if (bad || address > UINT16_MAX)
		return say_usage("'%s': %s", argv[optind + 1], bad ? bad : "addresses of doorbells are 0 to 65535");
	if (observe_uri(argv[optind], uri))
		return say_usage("the URI is too long");
	stop_install();
	return stop_leave(ring(uri, (uint32_t)address, &ringing));
}

const struct command command_ring = {
	.name = "ring",
	.arguments = "URI ADDRESS [--count N] [--interval SECONDS]",
	.summary = "Ring a doorbell by hand",
	.help = "  --count N            so often; default: once\n"
		"  --interval SECONDS   between two rings; default: 0\n"
		"\n"
		"To try devices and servers: no region is needed. ADDRESS is what vshmctl wait tells on the other side, and what\n"
		"ivshmem calls the id of a peer. URI is ivshmem:DEVICE, or split: with doorbell=, in a guest; server:SOCKET on\n"
		"the host. Through a device one cannot see whether anybody is there.\n",
	.run = run,
};
