/* SPDX-License-Identifier: BSD-3-Clause */
/* Names under the run directory. */
#include "names.h"

#include "say.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vshm/error.h>

bool names_same_place(const char *a, const char *b)
{
	char one[PATH_MAX], two[PATH_MAX], real_one[PATH_MAX], real_two[PATH_MAX];
	if (find_path(a, one) || find_path(b, two))
		return !strcmp(a, b);
	return !strcmp(realpath(one, real_one) ? real_one : one, realpath(two, real_two) ? real_two : two);
}

/* A name of nothing may be used again. What this user may not read could be a region. */
static bool still_a_region(const char *name)
{
	char uri[VSHM_NAME_SIZE + 8];
	struct vshm_region *region;
	(void)snprintf(uri, sizeof(uri), "vshm:%s", name);
	int rc = observe_open(uri, &region, NULL);
	if (!rc)
		(void)vshm_region_close(region);
	return rc != -ENOENT && rc != -EPROTO && rc != -EINVAL;
}

const char *names_taken(const char *name, const char *uri, char *room)
{
	struct found_regions found = {0};
	const char *taken = NULL;
	find_registered(&found);
	for (size_t i = 0; i < found.count; i++) {
		const struct vshm_found *one = &found.one[i];
		if (strcmp(one->name, name) != 0 || names_same_place(one->uri, uri) || !still_a_region(name))
			continue;
		(void)snprintf(room, VSHM_WHY_SIZE,
			       "%s is registered already for %.100s: destroy that, choose another name, or use --force",
			       name, one->uri);
		taken = room;
	}
	find_free(&found);
	return taken;
}

void names_remove(const char *name)
{
	char why[VSHM_WHY_SIZE] = "";
	int rc = vshm_region_register(name, NULL, why);
	if (rc && rc != -ENOENT)
		say_note("the name vshm:%s stays: %s", name, *why ? why : vshm_strerror(rc));
}

void names_remove_others(const char *keep, const char *uri)
{
	struct found_regions found = {0};
	find_registered(&found);
	for (size_t i = 0; i < found.count; i++) {
		const struct vshm_found *one = &found.one[i];
		if (!strcmp(one->name, keep) || !names_same_place(one->uri, uri))
			continue;
		say_note("the name vshm:%s is removed: %s took its place", one->name, keep);
		names_remove(one->name);
	}
	find_free(&found);
}
