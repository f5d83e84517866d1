/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals that ask to leave: noted, so that long work can end in order and then die of the signal all the same. */
#ifndef CLI_STOP_H
#define CLI_STOP_H

/* From now on SIGINT, SIGTERM and SIGHUP are noted, and a closed pipe is an error of write(2). */
void stop_install(void);

/* The signal that asked to leave, or 0. */
int stop_asked(void);

/* The next signal that asks to leave ends the process at once, after `line` on stderr. NULL: no more. */
void stop_at_once(const char *line);

/* When a signal asked to leave: dies of it, so that the parent sees that. Otherwise returns `code`. */
int stop_leave(int code);

#endif
