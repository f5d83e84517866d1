/* SPDX-License-Identifier: BSD-3-Clause */
/* Time. Waits and leases use the monotonic clock only; the other one is for people. */
#include "os/os.h"

#include <errno.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t vshmi_clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t vshmi_wall_clock_ns(void)
{
	return (uint64_t)read_clock(CLOCK_REALTIME);
}

void vshmi_sleep_ns(int64_t duration_ns)
{
	struct timespec left;

	if (duration_ns <= 0)
		return;
	left.tv_sec = duration_ns / NS_PER_S;
	left.tv_nsec = duration_ns % NS_PER_S;
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}
