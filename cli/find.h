/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions of this machine: those registered by name, and those that lie where regions usually are. */
#ifndef CLI_FIND_H
#define CLI_FIND_H

#include "observe.h"

#include <sys/types.h>

struct found_region {
	char name[VSHM_NAME_SIZE]; /* under which it is registered; empty: it is not */
	char uri[OBSERVE_URI_SIZE]; /* "vshm:NAME" where the registration cannot be read */
	dev_t device; /* of the file; 0, 0: not there */
	ino_t inode;
};

struct found_regions {
	struct found_region *one;
	size_t count, room;
};

/* All that are registered under /run/vshm (VSHM_RUN_DIR), broken registrations too. */
void find_registered(struct found_regions *found);

/* Adds those in /dev/shm and on hugetlbfs that are not registered. */
void find_unregistered(struct found_regions *found);

/* Whose file this is, for a region that this user may not read: a user's name or number. NULL: it can be read. */
const char *find_unreadable(const struct found_region *found, char *room, size_t size);

void find_free(struct found_regions *found);

/* The path in a file: URI, without parameters: PATH_MAX bytes. 0, or -1: another kind of URI. */
int find_path(const char *uri, char *path);

#endif
