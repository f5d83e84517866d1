/* SPDX-License-Identifier: BSD-3-Clause */
/* Collects what libvshm-discover finds, and knows how a find is shown. */
#include "find.h"

#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vshm/layout.h>

struct collecting {
	struct found_regions *found;
	uint32_t flags; /* only those with all of them */
	bool failed;
};

static void collect(void *arg, const struct vshm_found *found)
{
	struct collecting *collecting = arg;
	struct found_regions *into = collecting->found;
	if ((found->flags & collecting->flags) != collecting->flags)
		return;
	if (into->count == into->room) {
		size_t room = into->room ? 2 * into->room : 16;
		struct vshm_found *more = realloc(into->one, room * sizeof(*more));
		collecting->failed |= !more;
		if (!more)
			return;
		into->one = more;
		into->room = room;
	}
	into->one[into->count++] = *found;
}

static int find(struct found_regions *found, const struct vshm_discover_options *options, uint32_t with)
{
	struct collecting collecting = {found, with, false};
	return vshm_discover(options, collect, &collecting) < 0 || collecting.failed ? -1 : 0;
}

int find_things(struct found_regions *found, const struct vshm_discover_options *options)
{
	return find(found, options, 0);
}

void find_registered(struct found_regions *found)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	options.flags = VSHM_DISCOVER_SHALLOW;
	options.kinds = 1u << VSHM_FOUND_REGION;
	(void)find(found, &options, VSHM_FOUND_REGISTERED);
}

void find_free(struct found_regions *found)
{
	free(found->one);
	memset(found, 0, sizeof(*found));
}

int find_path(const char *uri, char *path)
{
	if (!strncmp(uri, "file:", 5))
		uri += 5;
	else if (*uri != '/' && *uri != '.')
		return -1;
	size_t length = strcspn(uri, "?");
	if (length >= PATH_MAX)
		return -1;
	memcpy(path, uri, length);
	path[length] = 0;
	return 0;
}

/* ---- how it is shown ---- */

static bool is_device(const struct vshm_found *found)
{
	return found->kind != VSHM_FOUND_REGION && found->kind != VSHM_FOUND_SERVER;
}

/* Of the devices of a split region the first stands for all of it. */
bool found_first(const struct vshm_found *found)
{
	size_t length = strlen(found->place);
	return !(found->flags & VSHM_FOUND_SEGMENT) ||
	       (!strncmp(found->uri, "split:", 6) && !strncmp(found->uri + 6, found->place, length));
}

const char *found_where(const struct vshm_found *found)
{
	bool part = !found_first(found) || found->flags & VSHM_FOUND_DOORBELL;
	return *found->uri && !part ? found->uri : found->place;
}

const char *found_way(const struct vshm_found *found, char *room, size_t size)
{
	const char *way = "none";
	if (!is_device(found))
		way = "";
	else if (found->ways & VSHM_FOUND_VFIO)
		return "vfio";
	else if (found->ways & VSHM_FOUND_UIO_WAY || found->kind == VSHM_FOUND_UIO)
		way = "uio";
	else if (found->ways & VSHM_FOUND_SYSFS)
		way = "sysfs";
	if (!found->driver[0])
		return way;
	(void)snprintf(room, size, "%s (%s)", way, found->driver);
	return room;
}

static int add_holders(const struct vshm_found *found, char *room, size_t size)
{
	if (!found->holders || !is_device(found))
		return 0;
	return snprintf(room, size, "; in use by %.15s (process %u)%s", found->holder[0].command,
			(unsigned)found->holder[0].pid, found->holders > 1 ? " and others" : "");
}

static int add_part(const struct vshm_found *found, char *room, size_t size)
{
	if (found->flags & VSHM_FOUND_SEGMENT)
		return snprintf(room, size, "; segment of peer %u", (unsigned)found->peer);
	return found->flags & VSHM_FOUND_DOORBELL ? snprintf(room, size, "; doorbells of a split region") : 0;
}

enum style found_note(const struct vshm_found *found, char *room, size_t size)
{
	int used = 0;
	room[0] = 0;
	if (found->kind == VSHM_FOUND_REGION && found->error) {
		bool broken = !(found->flags & VSHM_FOUND_UNREADABLE);
		(void)snprintf(room, size, "%s%s", broken ? "broken: " : "", found->why);
		return broken ? STYLE_BAD : STYLE_DIM;
	}
	if (found->kind == VSHM_FOUND_REGION)
		(void)snprintf(room, size, "%s", found->flags & VSHM_FOUND_REGISTERED ? "" : "not registered");
	else
		used = snprintf(room, size, "%s", found->model);
	used += add_part(found, room + used, size - (size_t)used);
	int users = add_holders(found, room + used, size - (size_t)used);
	used += users;
	if (found->error && !(users && found->error == -EBUSY)) /* who is in the way is said */
		(void)snprintf(room + used, size - (size_t)used, ": %s", found->why);
	return found->error && found->error != -EBUSY ? STYLE_WARN : STYLE_DIM;
}

static void put_text(struct json_object *object, const char *key, const char *text)
{
	char safe[4 * VSHM_FOUND_URI_SIZE];
	text_escape(safe, sizeof(safe), text);
	(void)json_object_object_add(object, key, *safe ? json_object_new_string(safe) : NULL);
}

static void put_number(struct json_object *object, const char *key, uint64_t number)
{
	(void)json_object_object_add(object, key, json_object_new_uint64(number));
}

static void put_region(struct json_object *object, const struct vshm_found *found)
{
	put_text(object, "profile", found->profile == VSHM_SPLIT ? "split" : "flat");
	put_number(object, "peer_count", found->peers);
	put_number(object, "peers_live", found->live);
}

static void put_ids(struct json_object *object, const struct vshm_found *found)
{
	char text[32];
	(void)snprintf(text, sizeof(text), "%04x:%04x", found->vendor, found->device);
	put_text(object, "id", text);
	(void)snprintf(text, sizeof(text), "%04x:%04x", found->subsystem_vendor, found->subsystem);
	put_text(object, "subsystem", text);
	if (found->kind == VSHM_FOUND_IVSHMEM2)
		put_number(object, "protocol", found->protocol);
	(void)json_object_object_add(object, "vectors",
				     found->flags & VSHM_FOUND_CONFIG ? json_object_new_uint64(found->vectors) : NULL);
	(void)json_object_object_add(object, "iommu_group",
				     found->iommu_group >= 0 ? json_object_new_int(found->iommu_group) : NULL);
}

static void put_device(struct json_object *object, const struct vshm_found *found)
{
	char way[VSHM_FOUND_DRIVER_SIZE + 16];
	put_text(object, "model", found->model);
	put_text(object, "driver", found->driver);
	put_text(object, "node", found->node);
	put_text(object, "way", found_way(found, way, sizeof(way)));
	put_text(object, "because", found->because);
	if (found->kind == VSHM_FOUND_IVSHMEM || found->kind == VSHM_FOUND_IVSHMEM2)
		put_ids(object, found);
}

static void put_holders(struct json_object *object, const struct vshm_found *found)
{
	struct json_object *holders = json_object_new_array();
	(void)json_object_object_add(object, "in_use_by", holders);
	for (unsigned i = 0; i < found->holders && i < VSHM_FOUND_HOLDERS; i++) {
		struct json_object *one = json_object_new_object();
		put_number(one, "pid", found->holder[i].pid);
		put_text(one, "command", found->holder[i].command);
		(void)json_object_array_add(holders, one);
	}
}

struct json_object *found_json(const struct vshm_found *found)
{
	struct json_object *object = json_object_new_object();
	put_text(object, "kind", vshm_found_kind_text(found->kind));
	put_text(object, "name", found->name);
	put_text(object, "uri", found->uri);
	put_text(object, "place", found->place);
	(void)json_object_object_add(object, "registered",
				     json_object_new_boolean(found->flags & VSHM_FOUND_REGISTERED));
	put_text(object, "error", found->why);
	if (found->size)
		put_number(object, "size", found->size);
	if (!found->error && found->peers)
		put_region(object, found);
	if (found->flags & VSHM_FOUND_SEGMENT)
		put_number(object, "peer", found->peer);
	if (is_device(found))
		put_device(object, found);
	put_holders(object, found);
	return object;
}
