/* SPDX-License-Identifier: BSD-3-Clause */
/* Registrations: which region a name stands for, and which names stand for a region. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "find.h"

/* Do two URIs mean the same file or directory? */
bool names_same_place(const char *a, const char *b);

/*
 * Is `name` registered for another region than that at `uri`, which is still there? NULL: no. Otherwise what to do
 * instead, in `room` (VSHM_WHY_SIZE bytes).
 */
const char *names_taken(const char *name, const char *uri, char *room);

/* Takes the name out of the run directory; says so when that fails. */
void names_remove(const char *name);

/* Removes all other names of the region at `uri`: what they stood for was replaced by `keep`. Says so. */
void names_remove_others(const char *keep, const char *uri);

#endif
