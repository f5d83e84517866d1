/* SPDX-License-Identifier: BSD-3-Clause */
/* Which processors are one core comes from sysfs; where that says nothing, all are taken for cores of their own. */
#include "cores.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void siblings_of(unsigned cpu, char *out, int size)
{
	char path[100];
	(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
	FILE *file = fopen(path, "re");
	*out = 0;
	if (!file)
		return;
	if (!fgets(out, size, file))
		*out = 0;
	(void)fclose(file);
}

static bool same_core(unsigned a, unsigned b)
{
	char one[100], other[100];
	siblings_of(a, one, sizeof(one));
	siblings_of(b, other, sizeof(other));
	return *one && !strcmp(one, other);
}

int cores_choose(unsigned cores[2])
{
	cpu_set_t allowed;
	unsigned found = 0;
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return -1;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		if (found < 2)
			cores[found++] = cpu;
		else if (same_core(cores[0], cores[1]) && !same_core(cores[0], cpu))
			cores[1] = cpu;
	}
	return found == 2 ? 0 : -1;
}

int cores_pin(unsigned core)
{
	cpu_set_t only;
	CPU_ZERO(&only);
	CPU_SET(core, &only);
	return sched_setaffinity(0, sizeof(only), &only);
}
