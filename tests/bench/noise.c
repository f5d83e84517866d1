/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How quiet the machine is. A loop that does nothing but look at the clock sees every interruption as a gap:
 * an interrupt, another program, a hypervisor that runs somebody else. A bounced cache line shows how far apart the
 * two cores are, and that the hypervisor has moved them. Both ruin a benchmark silently.
 */
#include "bench.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define SPIN_NS UINT64_C(25000000)
#define LINE_SECONDS 0.01
#define GAP_NS 1000u /* the clock itself takes some 30 ns */
#define MAX_LOST_PERCENT 5.0 /* a quiet core loses 0.1 to its timer tick, a quiet virtual one 1 to 2 */
#define MAX_GAP_US 3000.0 /* the shortest slice that the scheduler gives to another program */
#define MAX_MOVE 1.3 /* between a line's round trips before and after */

static void spin(struct bench_spin *result, int core)
{
	uint64_t start, last, now, longest = 0, lost = 0;

	bench_pin(core);
	start = last = bench_now();
	while ((now = bench_now()) - start < SPIN_NS) {
		uint64_t gap = now - last;

		if (gap > GAP_NS)
			lost += gap;
		if (gap > longest)
			longest = gap;
		last = now;
	}
	lost += now - last > GAP_NS ? now - last : 0;
	longest = now - last > longest ? now - last : longest;
	result->core = core;
	result->longest_us = (double)longest / 1e3;
	result->lost_percent = 100.0 * (double)lost / (double)(now - start);
}

static bool disturbed(const struct bench_spin *result)
{
	return result->lost_percent > MAX_LOST_PERCENT || result->longest_us > MAX_GAP_US;
}

static bool moved(const double line_ns[2])
{
	double low = line_ns[0] < line_ns[1] ? line_ns[0] : line_ns[1];

	return low > 0 && line_ns[0] + line_ns[1] - low > MAX_MOVE * low;
}

static double bounce(const struct bench_options *options)
{
	struct bench_options brief = *options;
	struct bench_sample sample;

	brief.seconds = LINE_SECONDS;
	return bench_run(&brief, &bench_line_poll, 8, &sample) ? 0 : sample.ns;
}

/* Before and after a round, on both cores. Leaves the caller's own pinning as it was. */
void bench_noise_look(const struct bench_options *options, struct bench_noise *noise, bool after)
{
	cpu_set_t own;

	sched_getaffinity(0, sizeof(own), &own);
	for (int i = 0; i < 2; i++) {
		struct bench_spin *result = &noise->spin[2 * after + i];

		spin(result, options->core[i]);
		noise->noisy |= disturbed(result);
	}
	sched_setaffinity(0, sizeof(own), &own);
	noise->line_ns[after] = bounce(options);
	if (after)
		noise->noisy |= moved(noise->line_ns);
	else if (getloadavg(&noise->load, 1) != 1)
		noise->load = -1;
}

/* Too noisy to conclude when more than one round in three was disturbed: the median no longer hides it. */
void bench_noise_judge(struct bench_report *report)
{
	unsigned noisy = 0;

	for (unsigned i = 0; i < report->rounds; i++)
		noisy += report->noise[i].noisy;
	report->noisy = 3 * noisy > report->rounds;
}

static void cpu_model(char *text, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "r");

	snprintf(text, size, "unknown CPU");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
			line[strcspn(line, "\n")] = 0;
			snprintf(text, size, "%s", strchr(line, ':') + 2);
			break;
		}
	if (file)
		fclose(file);
}

/* One line: CPU model, kernel. */
void bench_machine(char *text, size_t size)
{
	struct utsname name;
	char cpu[128];

	cpu_model(cpu, sizeof(cpu));
	if (uname(&name))
		snprintf(text, size, "%s", cpu);
	else
		snprintf(text, size, "%s, %s %s %s", cpu, name.sysname, name.release, name.machine);
}
