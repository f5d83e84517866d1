/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the suites named by the arguments, all without. SEED repeats a run, COUNT is the number of kills (500). */
#include "crash.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	Suite *(*make)(void);
} suites[] = {
	{"producer", suite_producer},
	{"consumer", suite_consumer},
	{"many", suite_many},
	{"both", suite_both},
	{"stop", suite_stop},
	{"lend", suite_lend},
};

int main(int argc, char **argv)
{
	SRunner *runner;
	int failed;

	if (argc > 1 && !strcmp(argv[1], "peer"))
		return peer_main(argc, argv);
	support_begin("crash");
	runner = srunner_create(NULL);
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (argc < 2 || !strcmp(argv[1], suites[i].name))
			srunner_add_suite(runner, suites[i].make());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner) || !srunner_ntests_run(runner);
	srunner_free(runner);
	support_end();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
