/* SPDX-License-Identifier: BSD-3-Clause */
/* A report into a file, or to standard output. */
#include "bench.h"

#include <errno.h>
#include <string.h>

/* Returns 0, or 1 after a line on stderr. */
int bench_write(const struct bench_report *report, const char *path,
		void (*write)(const struct bench_report *report, FILE *out))
{
	FILE *out = strcmp(path, "-") ? fopen(path, "w") : stdout;
	bool bad;

	if (out)
		write(report, out);
	bad = !out || fflush(out) || ferror(out);
	if (out && out != stdout)
		bad |= fclose(out) != 0;
	if (bad)
		fprintf(stderr, "vshm-bench: cannot write %s: %s\n", path, strerror(errno));
	return bad;
}
