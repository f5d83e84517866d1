/* SPDX-License-Identifier: BSD-3-Clause */
/* Processors to run on: measurements that wander between them say little. */
#ifndef CLI_CORES_H
#define CLI_CORES_H

/*
 * Two of the processors that this process may use, on different cores where there are such, else any two: `cores`. 0, or -1:
 * there is only one.
 */
int cores_choose(unsigned cores[2]);

/* Keeps the calling thread, and threads that it starts from now on, on one processor. 0, or -1. */
int cores_pin(unsigned core);

#endif
