/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine.h"

#include "command.h"
#include "find.h"
#include "parse.h"
#include "say.h"
#include "text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <vshm/layout.h>

#define MOST_VECTORS 64

static void make_id(char *id, size_t room, const char *name, long peer)
{
	if (peer >= 0)
		(void)snprintf(id, room, "vshm-%s-%ld", name, peer);
	else
		(void)snprintf(id, room, "vshm-%s", name);
	for (char *c = id; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
			*c = '_';
	}
}

/* A PCI bar has a power of two; QEMU ends itself over anything else. */
static int check_size(uint64_t size, const char *path)
{
	char have[TEXT_AMOUNT], want[TEXT_SIZE], safe[PATH_MAX];
	uint64_t next = 1;
	if (size && !(size & (size - 1)))
		return CTL_OK;
	while (next < size)
		next *= 2;
	text_escape(safe, sizeof(safe), path);
	return say_failed("%s has %s: the memory of a device is a power of two: create it with a size of %s", safe, text_amount(have, size),
			  text_bytes(want, next));
}

/* The path behind a registered name, or in a URI. */
static int find_file(const char *uri, char *path)
{
	struct found_regions found = {0};
	int rc = find_path(uri, path);
	find_registered(&found);
	for (size_t i = 0; rc && i < found.count && !strncmp(uri, "vshm:", 5); i++) {
		if (!strcmp(found.one[i].name, uri + 5))
			rc = find_path(found.one[i].uri, path);
	}
	find_free(&found);
	return rc;
}

static int add_memory(struct machine *machine, const char *path, uint64_t size, long peer, bool readonly)
{
	struct machine_memory *memory = &machine->memory[machine->count++];
	char id[sizeof(memory->id)];
	make_id(id, sizeof(id), machine->name, peer);
	memcpy(memory->id, id, sizeof(id));
	(void)snprintf(memory->path, sizeof(memory->path), "%s", path);
	memory->size = size;
	memory->readonly = readonly;
	return check_size(size, path);
}

/* A split region: the own file to write, those of the others to read. */
static int add_segments(struct machine *machine, struct vshm_region *region, uint32_t peers, vshm_peer self, const char *path)
{
	if (self == VSHM_PEER_ANY || self >= peers)
		return say_usage("a split region has a device for each peer: say which one the machine is, with --peer 0 to %" PRIu32,
				 peers - 1);
	for (uint32_t i = 0; i < peers; i++) {
		vshm_peer peer = (self + i) % peers;
		struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
		char file[PATH_MAX + 16];
		if (vshm_region_peer(region, peer, &info))
			return say_failed("peer %" PRIu32 " cannot be looked at", peer);
		(void)snprintf(file, sizeof(file), "%s/peer-%" PRIu32, path, peer);
		int code = add_memory(machine, file, info.offset + info.size, (long)peer, i != 0);
		if (code)
			return code;
	}
	return CTL_OK;
}

static int read_region(struct machine *machine, const char *uri, vshm_peer self)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	struct vshm_region *region;
	char path[PATH_MAX], why[VSHM_WHY_SIZE] = "";
	int rc = observe_open(uri, &region, why);
	if (rc)
		return say_refused(rc, why);
	int code = CTL_OK;
	rc = vshm_region_info(region, &info);
	(void)snprintf(machine->name, sizeof(machine->name), "%s", info.name);
	if (rc || find_file(uri, path))
		code = say_failed("only a region in a file can be given to a machine: name its file, or the name it is registered under");
	else if (info.profile == VSHM_SPLIT)
		code = add_segments(machine, region, info.peers, self, path);
	else
		code = add_memory(machine, path, info.size, -1, false);
	vshm_region_close(region);
	return code;
}

int machine_read(int argc, char **argv, struct machine *machine)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
						{"vectors", required_argument, NULL, 'v'},
						{"peer", required_argument, NULL, 'p'},
						COMMAND_OPTIONS_END};
	static const char *const names[] = {"NAME or URI", NULL};
	char uri[OBSERVE_URI_SIZE];
	vshm_peer self = VSHM_PEER_ANY;
	uint64_t vectors = 1;
	const char *bad = NULL;
	memset(machine, 0, sizeof(*machine));
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		if (option == 's')
			machine->socket = optarg;
		else if (option == 'p')
			bad = parse_peer(optarg, &self);
		else
			bad = parse_number(optarg, &vectors);
		if (bad)
			return say_usage("'%s': %s", optarg, bad);
	}
	if (vectors < 1 || vectors > MOST_VECTORS)
		return say_usage("--vectors: 1 to %d", MOST_VECTORS);
	if (!command_arguments(argc, argv, 1, 1, names))
		return CTL_USAGE;
	if (observe_uri(argv[optind], uri))
		return say_usage("the URI is too long");
	machine->vectors = (unsigned)vectors;
	return read_region(machine, uri, self);
}
