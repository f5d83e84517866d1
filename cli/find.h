/* SPDX-License-Identifier: BSD-3-Clause */
/* What libvshm-discover finds, in one piece; and how a find is shown. */
#ifndef CLI_FIND_H
#define CLI_FIND_H

#include "observe.h"
#include "screen.h"

#include <json-c/json.h>
#include <vshm/discover.h>

struct found_regions {
	struct vshm_found *one;
	size_t count, room;
};

/* All that vshm_discover() finds. 0, or -1: no memory for it. */
int find_things(struct found_regions *found, const struct vshm_discover_options *options);

/* All that are registered under /run/vshm (VSHM_RUN_DIR), broken registrations too. Opens none. */
void find_registered(struct found_regions *found);

void find_free(struct found_regions *found);

/* The path in a file: URI, without parameters: PATH_MAX bytes. 0, or -1: another kind of URI. */
int find_path(const char *uri, char *path);

/* ---- how it is shown ---- */

#define FOUND_NOTE_SIZE 640

/* Does it stand for a region, or is it only a further part of one? */
bool found_first(const struct vshm_found *found);

/* The URI, or the place where it has none, or where the URI stands with another part already. */
const char *found_where(const struct vshm_found *found);

/* The way that opening it takes, with a driver that does not go without saying; empty: no device. */
const char *found_way(const struct vshm_found *found, char *room, size_t size);

/* What else there is to say, or why it cannot be used. */
enum style found_note(const struct vshm_found *found, char *room, size_t size);

/* Everything, for programs. */
struct json_object *found_json(const struct vshm_found *found);

#endif
