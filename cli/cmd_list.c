/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl list: the regions of this machine, the broken ones too. */
#include "command.h"
#include "find.h"
#include "say.h"
#include "table.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <vshm/error.h>
#include <vshm/layout.h>

struct listed {
	const struct found_region *found;
	struct vshm_region_info info;
	unsigned live;
	char error[VSHM_WHY_SIZE]; /* empty: it can be used */
	bool unreadable; /* not for this user: that does not make it broken */
};

static int count_live(struct vshm_region *region, uint32_t peers, unsigned *live)
{
	*live = 0;
	for (vshm_peer peer = 0; peer < peers; peer++) {
		struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
		int rc = vshm_region_peer(region, peer, &info);
		if (rc)
			return rc;
		*live += info.state == VSHM_PEER_LIVE || info.state == VSHM_PEER_SUSPECT;
	}
	return 0;
}

static void look(const struct found_region *found, struct listed *out)
{
	static const struct vshm_region_info nothing = VSHM_REGION_INFO_INIT;
	struct vshm_region *region;
	out->found = found;
	out->info = nothing;
	out->live = 0;
	out->error[0] = 0;
	char named[VSHM_NAME_SIZE + 8];
	(void)snprintf(named, sizeof(named), "vshm:%s", found->name);
	int rc = observe_open(found->name[0] ? named : found->uri, &region, out->error);
	if (!rc) {
		rc = vshm_region_info(region, &out->info);
		if (!rc)
			rc = count_live(region, out->info.peers, &out->live);
		(void)vshm_region_close(region);
	}
	if (rc && !out->error[0])
		(void)snprintf(out->error, sizeof(out->error), "%s", vshm_strerror(rc));
	char room[80];
	const char *owner = rc == -EACCES ? find_unreadable(found, room, sizeof(room)) : NULL;
	out->unreadable = owner != NULL;
	if (owner)
		(void)snprintf(out->error, sizeof(out->error), "not readable (owner %s)", owner);
}

static const char *name_of(const struct listed *listed)
{
	return listed->found->name[0] ? listed->found->name : listed->info.name;
}

static void print_json(const struct listed *listed, size_t count)
{
	struct json_object *all = json_object_new_object(), *regions = json_object_new_array();
	(void)json_object_object_add(all, "regions", regions);
	for (size_t i = 0; i < count; i++) {
		const struct listed *one = &listed[i];
		struct json_object *object = json_object_new_object();
		char safe[OBSERVE_URI_SIZE];
		text_escape(safe, sizeof(safe), name_of(one));
		(void)json_object_object_add(object, "name", json_object_new_string(safe));
		text_escape(safe, sizeof(safe), one->found->uri);
		(void)json_object_object_add(object, "uri", json_object_new_string(safe));
		(void)json_object_object_add(object, "registered", json_object_new_boolean(one->found->name[0]));
		text_escape(safe, sizeof(safe), one->error);
		(void)json_object_object_add(object, "error", *safe ? json_object_new_string(safe) : NULL);
		if (!*safe) {
			const char *profile = one->info.profile == VSHM_SPLIT ? "split" : "flat";
			(void)json_object_object_add(object, "size", json_object_new_uint64(one->info.size));
			(void)json_object_object_add(object, "profile", json_object_new_string(profile));
			(void)json_object_object_add(object, "peer_count", json_object_new_uint64(one->info.peers));
			(void)json_object_object_add(object, "peers_live", json_object_new_uint64(one->live));
		}
		(void)json_object_array_add(regions, object);
	}
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
	(void)puts(json_object_to_json_string_ext(all, flags));
	(void)json_object_put(all);
}

static void print_text(const struct listed *listed, size_t count)
{
	static const char *const titles[] = {"NAME", "URI", ">SIZE", ">PEERS", "PROFILE", "NOTE", NULL};
	struct table table;
	struct screen screen;
	screen_look(&screen, stdout);
	table_init(&table, titles);
	for (size_t i = 0; i < count; i++) {
		const struct listed *one = &listed[i];
		bool broken = one->error[0] != 0;
		char size[TEXT_SIZE], peers[32];
		(void)snprintf(peers, sizeof(peers), "%u/%" PRIu32, one->live, one->info.peers);
		table_cell(&table, STYLE_BOLD, "%s", *name_of(one) ? name_of(one) : "?");
		table_cell(&table, STYLE_PLAIN, "%s", one->found->uri);
		table_cell(&table, STYLE_PLAIN, "%s", broken ? "" : text_bytes(size, one->info.size));
		table_cell(&table, one->live ? STYLE_GOOD : STYLE_PLAIN, "%s", broken ? "" : peers);
		table_cell(&table, STYLE_PLAIN, "%s", broken ? "" : one->info.profile == VSHM_SPLIT ? "split" : "flat");
		table_cell(&table, broken && !one->unreadable ? STYLE_BAD : STYLE_DIM, "%s%s",
			   broken && !one->unreadable ? "broken: " : "",
			   broken		 ? one->error
			   : one->found->name[0] ? ""
						 : "not registered");
	}
	table_print(&table, &screen);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, COMMAND_OPTIONS_END};
	static const char *const names[] = {NULL};
	struct found_regions found = {0};
	bool json = false;
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		json = true;
	}
	if (!command_arguments(argc, argv, 0, 0, names))
		return CTL_USAGE;
	find_registered(&found);
	find_unregistered(&found);
	struct listed *listed = calloc(found.count + 1, sizeof(*listed));
	if (!listed) {
		find_free(&found);
		return say_failed("out of memory");
	}
	for (size_t i = 0; i < found.count; i++)
		look(&found.one[i], &listed[i]);
	if (json)
		print_json(listed, found.count);
	else if (found.count)
		print_text(listed, found.count);
	else
		say_note("no regions: make one with vshmctl create");
	free(listed);
	find_free(&found);
	return CTL_OK;
}

const struct command command_list = {
	.name = "list",
	.arguments = "[--json]",
	.summary = "List the regions of this machine",
	.help = "  --json   for programs\n"
		"\n"
		"Shows what is registered under /run/vshm, and regions that lie in /dev/shm and on hugetlbfs without being\n"
		"registered; how many of their peers are attached; and what cannot be opened, with the reason.\n",
	.run = run,
};
