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

/* "12.3 MiB/s  0:04", and how long it will take yet, unless it waits for somebody. */
static void describe_pace(const struct progress *progress, const char *state, uint64_t now, char *out, size_t size)
{
	char rate[TEXT_SIZE], clock[TEXT_SIZE], left[TEXT_SIZE];
	int used = snprintf(out, size, "  %s  %s", text_rate(rate, progress->rate),
			    text_clock(clock, now - progress->began_ns));
	if (state)
		(void)snprintf(out + used, size - (size_t)used, "  (%s)", state);
	else if (progress->total > progress->bytes && progress->rate >= 1)
		(void)snprintf(out + used, size - (size_t)used, ", %s left",
			       text_clock(left, (uint64_t)((double)(progress->total - progress->bytes) /
							   progress->rate * 1e9)));
}

/* " of 100 MiB  ####....  42%"; the bar takes the room that is left, if that is worth it. */
static void describe_share(const struct progress *progress, const struct screen *screen, unsigned taken, char *out,
			   size_t size)
{
	char whole[TEXT_SIZE], bar[128] = "";
	unsigned room = screen->width > taken + 28 ? screen->width - taken - 28 : 0;
	*out = 0;
	if (!progress->total)
		return;
	room = room > 20 ? 20 : room;
	if (room >= 5)
		screen_bar(bar, sizeof(bar), screen->utf8, room, (double)progress->bytes, (double)progress->total);
	(void)snprintf(out, size, " of %s  %s%s%.0f%%", text_bytes(whole, progress->total), bar, *bar ? " " : "",
		       100.0 * (double)progress->bytes / (double)progress->total);
}

static void describe(const struct progress *progress, const struct screen *screen, const char *state, uint64_t now,
		     char *out, size_t size)
{
	char bytes[TEXT_SIZE], pace[160], share[200];
	describe_pace(progress, state, now, pace, sizeof(pace));
	(void)text_bytes(bytes, progress->bytes);
	describe_share(progress, screen, text_width(pace) + text_width(bytes) + text_width(progress->verb), share,
		       sizeof(share));
	(void)snprintf(out, size, "%s %s%s%s", progress->verb, bytes, share, pace);
}

void progress_tick(struct progress *progress, const char *state)
{
	char line[400], bytes[TEXT_SIZE];
	struct screen screen;
	uint64_t now = observe_clock_ns();
	if (!progress->enabled || progress->steps || now - progress->drawn_ns < DRAW_NS || !in_foreground())
		return;
	measure(progress, now);
	screen_look(&screen, stderr);
	describe(progress, &screen, state, now, line, sizeof(line));
	/* A line that wraps cannot be wiped: better without the details. */
	if (text_width(line) >= screen.width)
		describe(progress, &screen, NULL, now, line, sizeof(line));
	if (text_width(line) >= screen.width)
		(void)snprintf(line, sizeof(line), "%s %s", progress->verb, text_bytes(bytes, progress->bytes));
	(void)fprintf(stderr, "\r\033[K%s", line);
	progress->shown = true;
}

void progress_say(struct progress *progress, const char *line)
{
	struct screen screen;
	progress->steps = true;
	if (!progress->enabled || !in_foreground())
		return;
	screen_look(&screen, stderr);
	if (text_width(line) < screen.width)
		(void)fprintf(stderr, "\r\033[K%s", line);
	progress->shown = true;
}

void progress_clear(struct progress *progress)
{
	if (progress->shown)
		(void)fputs("\r\033[K", stderr);
	progress->shown = false;
}
