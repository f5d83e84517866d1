/* SPDX-License-Identifier: BSD-3-Clause */
/* What a region should be, from options or from a config file, before anything is created. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <vshm/region.h>

#define PLAN_SOCKET_SIZE 108 /* sun_path of unix(7) */
#define PLAN_ALLOWED 64	     /* users, and as many groups, in one list */

struct plan {
	char name[VSHM_NAME_SIZE];
	char path[PATH_MAX]; /* absolute, or "memfd" */
	uint64_t size; /* 0: the library's default */
	uint32_t peers; /* 0: the library's default */
	bool split;
	struct vshm_owner owner;
	struct vshm_owner peer_owner[VSHM_MAX_PEERS];
	uint32_t peer_keys[VSHM_MAX_PEERS]; /* PLAN_… that the section of this peer gave */
	bool memfd; /* memory of the server, without a path */
	char socket[PLAN_SOCKET_SIZE]; /* empty: no server */
	uint32_t vectors;
	uint32_t allow_uids[PLAN_ALLOWED], allow_gids[PLAN_ALLOWED]; /* both empty: whoever the mode lets in */
	size_t allow_uid_count, allow_gid_count;
	unsigned line; /* of its section in the config file */
	unsigned peer_line[VSHM_MAX_PEERS];
	uint32_t keys; /* PLAN_… seen so far */
	unsigned key_line[16];
};

enum plan_key {
	PLAN_SIZE,
	PLAN_PEERS,
	PLAN_PROFILE,
	PLAN_PATH,
	PLAN_OWNER,
	PLAN_MODE,
	PLAN_SOCKET,
	PLAN_VECTORS,
	PLAN_ALLOW,
	PLAN_KEYS,
};

/* An empty plan: everything as the library has it. */
void plan_init(struct plan *plan);

/* The spelling of a key, in config files and (with "--") as an option. */
const char *plan_key_name(enum plan_key key);

/* Takes a value. NULL, or a text that says what to write instead: constant, or in `room` (VSHM_WHY_SIZE bytes). */
const char *plan_set(struct plan *plan, enum plan_key key, const char *value, char *room);

/* The same for the section of one peer: owner and mode only. */
const char *plan_set_peer(struct plan *plan, vshm_peer peer, enum plan_key key, const char *value, char *room);

/* What becomes of a region that is there already. */
enum plan_existing { PLAN_REFUSE, PLAN_REPLACE, PLAN_KEEP };

/*
 * Rules between values. NULL, or what is wrong, as above; then *key is the one to blame, and *line where that stands
 * (0 without a config file).
 */
const char *plan_check(const struct plan *plan, enum plan_existing existing, enum plan_key *key, unsigned *line, char *room);

/* The URI of the region, with the owner that openers must accept: `uri` has PLAN_URI_SIZE bytes. */
#define PLAN_URI_SIZE (PATH_MAX + 128)
void plan_uri(const struct plan *plan, char *uri);

/* Creates the region, or keeps it, and its name under /run/vshm. An exit code. */
int plan_create(const struct plan *plan, enum plan_existing existing);

#endif
