/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory that a server hands out. */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

#include "plan.h"

#include <stdint.h>

/*
 * Opens the file of a flat region; makes memory without a path, formatted as the region and sealed against being cut; or, for a
 * split one whose files the machines have already, makes a page that stands for it. A descriptor and *size, or -1 after
 * saying why.
 */
int memory_open(const struct plan *plan, uint64_t *size);

/* Where in it the server may tell of its clients: what is no flat region of this library is left alone. 0: nowhere. */
uint64_t memory_pages(int fd, uint64_t size);

#endif
