/* SPDX-License-Identifier: BSD-3-Clause */
/* One line on stderr that says how far long work is. Shown only on a terminal whose foreground we are. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool enabled;
	bool shown; /* the line is on the terminal now */
	bool steps; /* progress_say() draws, and nothing else */
	uint64_t began_ns, drawn_ns, drawn_bytes;
	double rate;
	uint64_t total; /* bytes to come, where known; 0: not known */
	uint64_t bytes, records;
	const char *verb; /* "sent" */
};

void progress_init(struct progress *progress, const char *verb, bool quiet);

/* Draws when it is time to. `state`: what it waits for, or NULL. */
void progress_tick(struct progress *progress, const char *state);

/* Shows one line, now. For work that has steps rather than bytes. */
void progress_say(struct progress *progress, const char *line);

/* Is it time to draw? So that the caller need not find out about `state` otherwise. */
bool progress_due(const struct progress *progress);

/* Wipes the line, before something else is said. */
void progress_clear(struct progress *progress);

#endif
