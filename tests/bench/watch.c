/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Was one measurement disturbed? Two things spoil it without a trace in its figures: somebody else's use of the two cores
 * (the kernel counts it: what was used less what our own children used), and a hypervisor that moves the cores
 * apart (a bounced cache line then takes another time than when the round began).
 */
#include "bench.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_FOREIGN 0.1 /* of both cores: the kernel counts in ticks of 10 ms, so 0.25 s are good for some percent */
#define MAX_MOVE 1.3

static double seconds_of(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static double used_by_us(void)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	return seconds_of(&self.ru_utime) + seconds_of(&self.ru_stime) + seconds_of(&children.ru_utime) +
	       seconds_of(&children.ru_stime);
}

/* Seconds in which a core was not idle, from its line in /proc/stat: user, nice, system, (idle, iowait,) irq, softirq, steal. */
static double busy_in(const char *line)
{
	unsigned long long t[8];

	if (sscanf(line, "%*s %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6],
		   &t[7]) != 8)
		return 0;
	return (double)(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) / (double)sysconf(_SC_CLK_TCK);
}

static double used_by_all(const int core[2])
{
	char line[512], name[2][16];
	double busy = 0;
	FILE *file = fopen("/proc/stat", "r");

	for (int i = 0; i < 2; i++)
		snprintf(name[i], sizeof(name[i]), "cpu%d ", core[i]);
	while (file && fgets(line, sizeof(line), file))
		for (int i = 0; i < 2; i++)
			if (!strncmp(line, name[i], strlen(name[i])))
				busy += busy_in(line);
	if (file)
		fclose(file);
	return busy;
}

void bench_watch_begin(struct bench_watch *watch, const struct bench_options *options)
{
	watch->began_ns = bench_now();
	watch->ours = used_by_us();
	watch->all = used_by_all(options->core);
}

/* After the children are gone. `line_ns`: how long a bounced line takes now, and when the round began. */
bool bench_watch_disturbed(const struct bench_watch *watch, const struct bench_options *options, double line_ns,
			   double reference_ns)
{
	double seconds = (double)(bench_now() - watch->began_ns) / 1e9;
	double foreign = used_by_all(options->core) - watch->all - (used_by_us() - watch->ours);

	return foreign > 2 * seconds * MAX_FOREIGN + 0.02 || line_ns > MAX_MOVE * reference_ns ||
	       reference_ns > MAX_MOVE * line_ns;
}
