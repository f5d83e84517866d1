/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl check: is every word of a region lawful? */
#include "command.h"
#include "observe.h"
#include "say.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <vshm/error.h>

static void print_finding(void *arg, const struct vshm_fault *fault)
{
	char word[80];
	(void)arg;
	word_name(fault->offset, word, sizeof(word));
	(void)printf("peer %" PRIu32 ", offset 0x%" PRIx64 " (%s): 0x%" PRIx64 ": %s\n", fault->peer, fault->offset,
		     word, fault->value, vshm_rule_text(fault->rule));
}

static int check(struct vshm_region *region)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	int found = vshm_region_check(region, print_finding, NULL);
	int rc = found < 0 ? found : vshm_region_info(region, &info);
	if (!rc)
		rc = vshm_region_status(region);
	if (rc)
		return say_failed("%s", vshm_strerror(rc));
	if (found) {
		(void)printf("%d finding%s\n", found, found == 1 ? "" : "s");
		return CTL_FAILED;
	}
	(void)printf("%s: every word is lawful (%" PRIu32 " peer%s)\n", info.name, info.peers,
		     info.peers == 1 ? "" : "s");
	return CTL_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {COMMAND_OPTIONS_END};
	static const char *const names[] = {"URI", NULL};
	char uri[OBSERVE_URI_SIZE], why[VSHM_WHY_SIZE] = "";
	struct vshm_region *region;
	if (command_option(argc, argv, options) != -1 || !command_arguments(argc, argv, 1, 1, names))
		return CTL_USAGE;
	if (observe_uri(argv[optind], uri))
		return say_usage("the URI is too long");
	int rc = observe_open(uri, &region, why);
	if (rc)
		return say_refused(rc, why);
	int code = check(region);
	(void)vshm_region_close(region);
	return code;
}

const struct command command_check = {
	.name = "check",
	.arguments = "URI",
	.summary = "Check every word of a region against the rules of the layout",
	.help = "Prints one line for each word that breaks a rule: whose section, where, which word, what stands there, and\n"
		"the rule. Nothing is written. Exit status 0: all is lawful; 1: it is not, or this is no region.\n",
	.run = run,
};
