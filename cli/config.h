/* SPDX-License-Identifier: BSD-3-Clause */
/* Config files: INI, sections [region NAME] and [region NAME peer N]. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "plan.h"

struct config {
	struct plan **plans;
	char **files; /* which file each came from */
	size_t count;
};

/* Room for "FILE:LINE: [section] key: what is wrong". */
#define CONFIG_WHY_SIZE (PATH_MAX + 1024)

/* Reads one file. 0, or -1 and one line in `why`. Does not look at the file system beyond the file. */
int config_read(struct config *config, const char *file, char *why);

/* Reads every *.ini of a directory, in the order of their names. */
int config_read_directory(struct config *config, const char *directory, char *why);

/*
 * Rules between keys, between regions, and (but with `force`) that nothing is in the way. `only`: the one region
 * that is meant, or NULL. 0, or -1 and one line in `why`.
 */
int config_check(const struct config *config, const char *only, enum plan_existing existing, char *why);

/* Where config files are: /etc/vshm, or VSHM_CONFIG_DIR. */
const char *config_directory(void);

/* The plan of that name, or NULL. */
const struct plan *config_find(const struct config *config, const char *name);

void config_free(struct config *config);

#endif
