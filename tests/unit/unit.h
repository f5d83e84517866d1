/* SPDX-License-Identifier: BSD-3-Clause */
/* What every unit suite begins and ends with. */
#ifndef VSHM_TEST_UNIT_H
#define VSHM_TEST_UNIT_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define ck_ok(call) ck_assert_int_eq((call), 0)
#define ck_is(call, code) ck_assert_int_eq((call), (code))

/* Runs a suite, with support_dir() for its files. The exit status of the program. */
static inline int unit_run(const char *program, Suite *suite)
{
	SRunner *runner;
	int failed;

	support_begin(program);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	support_end();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
