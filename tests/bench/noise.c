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
#define MAX_SPOILT 0.1 /* of the measurements of a round, after some attempts */

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

/* Nanoseconds; 0 when even that fails. */
double bench_bounce(const struct bench_options *options)
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
	noise->line_ns[after] = bench_bounce(options);
	if (after)
		noise->noisy |= noise->spoilt > noise->jobs * MAX_SPOILT;
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

/* One line: how noisy it was, and by what that shows. */
void bench_noise_text(const struct bench_report *report, char *text, size_t size)
{
	double load = 0, lost = 0, gap = 0, low = 0, high = 0;
	unsigned noisy = 0, jobs = 0, spoilt = 0;

	for (unsigned i = 0; i < report->rounds; i++) {
		const struct bench_noise *noise = &report->noise[i];

		noisy += noise->noisy;
		jobs += noise->jobs;
		spoilt += noise->spoilt;
		load = noise->load > load ? noise->load : load;
		for (unsigned j = 0; j < 4; j++) {
			lost = noise->spin[j].lost_percent > lost ? noise->spin[j].lost_percent : lost;
			gap = noise->spin[j].longest_us > gap ? noise->spin[j].longest_us : gap;
		}
		for (unsigned j = 0; j < 2; j++) {
			low = low <= 0 || noise->line_ns[j] < low ? noise->line_ns[j] : low;
			high = noise->line_ns[j] > high ? noise->line_ns[j] : high;
		}
	}
	snprintf(
		text, size,
		"%u of %u rounds and %u of %u measurements disturbed: load up to %.2f, a spinning core lost up to %.1f %% "
		"and %.0f us at once, a bounced line took %.0f to %.0f ns",
		noisy, report->rounds, spoilt, jobs, load, lost, gap, low, high);
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
