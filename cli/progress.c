/* SPDX-License-Identifier: BSD-3-Clause */
/* Progress: bytes, share of the whole, rate, elapsed time. Five times a second at most. */
#include "progress.h"

#include "observe.h"
#include "screen.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAW_NS 200000000u

static bool in_foreground(void)
{
	pid_t group = tcgetpgrp(STDERR_FILENO);
	return group < 0 || group == getpgrp();
}

void progress_init(struct progress *progress, const char *verb, bool quiet)
{
	memset(progress, 0, sizeof(*progress));
	progress->enabled = !quiet && isatty(STDERR_FILENO) == 1;
	progress->verb = verb;
	progress->began_ns = progress->drawn_ns = observe_clock_ns();
}

bool progress_due(const struct progress *progress)
{
	return progress->enabled && observe_clock_ns() - progress->drawn_ns >= DRAW_NS;
}

/* The rate of the last ticks: half of it is older than one tick, so that it neither jumps nor lags. */
static void measure(struct progress *progress, uint64_t now)
{
	double seconds = (double)(now - progress->drawn_ns) / 1e9;
	double rate = (double)(progress->bytes - progress->drawn_bytes) / seconds;
	progress->rate = progress->rate > 0 ? (progress->rate + rate) / 2 : rate;
	progress->drawn_ns = now;
	progress->drawn_bytes = progress->bytes;
}

void progress_tick(struct progress *progress, const char *state)
{
	char bytes[TEXT_SIZE], rate[TEXT_SIZE], clock[TEXT_SIZE], left[TEXT_SIZE], bar[128], line[400];
	struct screen screen;
	uint64_t now = observe_clock_ns();
	if (!progress->enabled || now - progress->drawn_ns < DRAW_NS || !in_foreground())
		return;
	measure(progress, now);
	screen_look(&screen, stderr);
	int used = snprintf(line, sizeof(line), "%s %s", progress->verb, text_bytes(bytes, progress->bytes));
	if (progress->total) {
		screen_bar(bar, sizeof(bar), screen.utf8, 20, (double)progress->bytes, (double)progress->total);
		used += snprintf(line + used, sizeof(line) - (size_t)used, " of %s  %s %3.0f%%",
				 text_bytes(left, progress->total), bar,
				 100.0 * (double)progress->bytes / (double)progress->total);
	}
	used += snprintf(line + used, sizeof(line) - (size_t)used, "  %s  %s", text_rate(rate, progress->rate),
			 text_clock(clock, now - progress->began_ns));
	if (progress->total > progress->bytes && progress->rate >= 1)
		used += snprintf(line + used, sizeof(line) - (size_t)used, ", %s left",
				 text_clock(left, (uint64_t)((double)(progress->total - progress->bytes) /
							     progress->rate * 1e9)));
	if (state)
		(void)snprintf(line + used, sizeof(line) - (size_t)used, "  (%s)", state);
	/* A line that wraps cannot be wiped: better none of the details. */
	if (text_width(line) >= screen.width)
		(void)snprintf(line, sizeof(line), "%s %s", progress->verb, text_bytes(bytes, progress->bytes));
	(void)fprintf(stderr, "\r\033[K%s", line);
	progress->shown = true;
}

void progress_clear(struct progress *progress)
{
	if (progress->shown)
		(void)fputs("\r\033[K", stderr);
	progress->shown = false;
}
