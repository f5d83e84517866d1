/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second process, for commands that need both sides of a ring. It opens the region itself: handles do not survive a
 * fork. It never outlives the first.
 */
#ifndef CLI_COMPANION_H
#define CLI_COMPANION_H

#include <stdbool.h>
#include <sys/types.h>

struct companion {
	pid_t pid; /* 0: none */
	int go;
	bool ended;
	int status;
};

/*
 * Starts it, while this process has no threads yet. It waits for companion_go(), then runs `run`, whose result is its
 * exit code. Signals of the terminal are left to the first process. An exit code.
 */
int companion_start(struct companion *companion, int (*run)(void *arg), void *arg);
void companion_go(struct companion *companion);

/* Is it gone? Never blocks. false without one. */
bool companion_ended(struct companion *companion);

/*
 * After something failed: the exit code of a companion that failed and said why, so that nothing is left to be said.
 * CTL_OK: there is none, it lives, or it was killed. Blocks for a moment, while it may be about to end.
 */
int companion_failure(struct companion *companion);

/* Waits a moment for its end, then asks for it, then ends it. One that was not told to go leaves at once. */
void companion_finish(struct companion *companion);

#endif
