/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl evict: an operator's word that the user of a slot will not come back. */
#include "command.h"
#include "observe.h"
#include "parse.h"
#include "say.h"

#include <inttypes.h>
#include <stdio.h>
#include <vshm/region.h>

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"force", no_argument, NULL, 'f'}, COMMAND_OPTIONS_END};
	static const char *const names[] = {"URI", "N", NULL};
	char uri[OBSERVE_URI_SIZE], why[VSHM_WHY_SIZE] = "";
	uint32_t flags = 0;
	vshm_peer peer;
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		flags |= VSHM_EVICT_FORCE;
	}
	if (!command_arguments(argc, argv, 2, 2, names))
		return CTL_USAGE;
	const char *bad = parse_peer(argv[optind + 1], &peer);
	if (bad)
		return say_usage("'%s': %s", argv[optind + 1], bad);
	if (observe_uri(argv[optind], uri))
		return say_usage("the URI is too long");
	observe_guard(uri);
	int rc = vshm_region_evict(uri, peer, flags, why);
	if (rc)
		return say_refused(rc, why);
	(void)printf("peer %" PRIu32 " is evicted, its slot can be taken again\n", peer);
	return CTL_OK;
}

const struct command command_evict = {
	.name = "evict",
	.arguments = "URI N [--force]",
	.summary = "Declare the user of slot N gone, so that the slot can be taken again",
	.help = "  --force   a peer that still lives, too\n"
		"\n"
		"For a machine that will not come back, or a process that stays stopped. The evicted peer, should it run\n"
		"on, gets ESTALE. Slots of processes that ended on this machine are freed without this.\n",
	.run = run,
};
