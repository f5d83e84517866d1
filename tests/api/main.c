/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite of the public interface. Arguments: names of suites to run, all without.
 * CK_RUN_CASE and the like work too; SEED repeats random tests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define SKIPPED 77 /* for ctest; the reason was printed */

static const struct {
	const char *name;
	Suite *(*make)(void);
} suites[] = {
	{"region", suite_region},
	{"slots", suite_slots},
	{"stream", suite_stream},
	{"wait", suite_wait},
	{"ends", suite_ends},
	{"restart", suite_restart},
	{"look", suite_look},
	{"options", suite_options},
	{"process", suite_process},
	{"arguments", suite_arguments},
	{"vanish", suite_vanish},
	{"damage", suite_damage},
	{"quarantine", suite_quarantine},
	{"many", suite_many},
	{"latest", suite_latest},
	{"pool", suite_pool},
	{"poll", suite_poll},
	{"cancel", suite_cancel},
	{"events", suite_events},
	{"fd", suite_fd},
};

static int is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return argc < 2;
}

int main(int argc, char **argv)
{
	SRunner *runner;
	int wanted = 0, result;

	support_begin("api");
	world_probe();
	runner = srunner_create(NULL);
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (is_wanted(suites[i].name, argc, argv)) {
			srunner_add_suite(runner, suites[i].make());
			wanted++;
		}
	for (int i = 0; i < world_count(); i++)
		printf("transport %d: %s\n", i, world_label(i));
	srunner_run_all(runner, CK_ENV);
	result = srunner_ntests_failed(runner) || !wanted ? EXIT_FAILURE : EXIT_SUCCESS;
	if (wanted && !srunner_ntests_run(runner))
		result = SKIPPED;
	srunner_free(runner);
	support_end();
	return result;
}
