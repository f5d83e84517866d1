/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans: one meaning for options and config files, checked as a whole before the first byte is written. */
#include "plan.h"

#include "names.h"
#include "parse.h"
#include "say.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vshm/error.h>
#include <vshm/layout.h>

static const struct vshm_owner nobody_special = VSHM_OWNER_INIT;

void plan_init(struct plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	plan->owner = nobody_special;
	plan->vectors = 1;
	for (unsigned i = 0; i < VSHM_MAX_PEERS; i++)
		plan->peer_owner[i] = nobody_special;
}

const char *plan_key_name(enum plan_key key)
{
	static const char *const names[PLAN_KEYS] = {
		[PLAN_SIZE] = "size",	  [PLAN_PEERS] = "peers",     [PLAN_PROFILE] = "profile",
		[PLAN_PATH] = "path",	  [PLAN_OWNER] = "owner",     [PLAN_MODE] = "mode",
		[PLAN_SOCKET] = "socket", [PLAN_VECTORS] = "vectors", [PLAN_ALLOW] = "allow",
	};
	return names[key];
}

/* "server:/run/x" is a URI, "./odd:name" a path. */
static bool has_scheme(const char *value)
{
	size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyz-0123456789");
	return length && value[length] == ':';
}

/* A path is kept absolute: the URI that is registered must mean the same from every directory. */
static const char *set_path(struct plan *plan, const char *value)
{
	if (!strncmp(value, "file:", 5))
		value += 5;
	plan->memfd = !strcmp(value, "memfd");
	if (plan->memfd) {
		(void)snprintf(plan->path, sizeof(plan->path), "%s", value);
		return NULL;
	}
	if (!*value)
		return "write the path of a file, or of a directory for profile split";
	if (strpbrk(value, "?"))
		return "a path must not contain '?', which begins the parameters of a URI";
	if (has_scheme(value))
		return "takes a path such as /dev/shm/net0, no other kind of URI (./ before a file name with a colon)";
	if (strlen(value) > 1000)
		return "a path has at most 1000 characters";
	char directory[PATH_MAX];
	const char *slash = *value == '/' ? "" : "/";
	if (!*slash)
		directory[0] = 0;
	else if (!getcwd(directory, sizeof(directory)))
		return "write an absolute path: the current directory has none";
	if (strlen(directory) + strlen(value) + 2 > sizeof(plan->path))
		return "the path is too long";
	(void)snprintf(plan->path, sizeof(plan->path), "%.3000s%s%.1000s", directory, slash, value);
	size_t length = strlen(plan->path);
	while (length > 1 && plan->path[length - 1] == '/')
		plan->path[--length] = 0;
	return NULL;
}

static const char *set_peers(struct plan *plan, const char *value)
{
	uint64_t number;
	if (parse_number(value, &number) || number < 1 || number > VSHM_MAX_PEERS)
		return "write a number of peers, 1 to 64";
	plan->peers = (uint32_t)number;
	return NULL;
}

static const char *set_profile(struct plan *plan, const char *value)
{
	if (strcmp(value, "flat") != 0 && strcmp(value, "split") != 0)
		return "write flat (one segment) or split (a segment per peer)";
	plan->split = *value == 's';
	return NULL;
}

static const char *set_socket(struct plan *plan, const char *value)
{
	if (*value != '/')
		return "write an absolute path";
	if (strlen(value) >= sizeof(plan->socket))
		return "the path of a socket has at most 107 characters";
	(void)snprintf(plan->socket, sizeof(plan->socket), "%s", value);
	return NULL;
}

static const char *set_vectors(struct plan *plan, const char *value)
{
	uint64_t number;
	if (parse_number(value, &number) || number < 1 || number > 64)
		return "write a number of doorbell vectors, 1 to 64";
	plan->vectors = (uint32_t)number;
	return NULL;
}

/* "uid:0" or "gid:kvm" */
static const char *add_allowed(struct plan *plan, const char *word)
{
	struct vshm_owner owner = VSHM_OWNER_INIT;
	bool user = strncmp(word, "uid:", 4) == 0, group = strncmp(word, "gid:", 4) == 0;
	if (!(user || group) || !word[4] || strchr(word + 4, ':'))
		return "write words such as uid:0 gid:kvm";
	/* ":kvm" is how parse_owner takes a group alone */
	if (parse_owner(user ? word + 4 : word + 3, &owner))
		return user ? "no such user on this machine" : "no such group on this machine";
	if ((user ? plan->allow_uid_count : plan->allow_gid_count) == PLAN_ALLOWED)
		return "the list is too long: allow a group";
	if (user)
		plan->allow_uids[plan->allow_uid_count++] = owner.uid;
	else
		plan->allow_gids[plan->allow_gid_count++] = owner.gid;
	return NULL;
}

/* "uid:0 gid:kvm": who may connect to the socket. Commas will do, too, as an option needs no quotes then. */
static const char *set_allow(struct plan *plan, const char *value)
{
	char copy[1024], *rest = copy;
	const char *bad = NULL;
	if (strlen(value) >= sizeof(copy))
		return "the list is too long";
	(void)snprintf(copy, sizeof(copy), "%s", value);
	plan->allow_uid_count = plan->allow_gid_count = 0;
	for (const char *word; !bad && (word = strsep(&rest, " \t,"));)
		bad = *word ? add_allowed(plan, word) : NULL;
	if (!bad && !plan->allow_uid_count && !plan->allow_gid_count)
		bad = "write words such as uid:0 gid:kvm";
	return bad;
}

static const char *owner_key(struct vshm_owner *owner, enum plan_key key, const char *value)
{
	return key == PLAN_OWNER ? parse_owner(value, owner) : parse_mode(value, &owner->mode);
}

static const char *with_value(const char *bad, const char *value, char *room)
{
	if (bad)
		(void)snprintf(room, VSHM_WHY_SIZE, "'%.60s': %s", value, bad);
	return bad ? room : NULL;
}

const char *plan_set(struct plan *plan, enum plan_key key, const char *value, char *room)
{
	const char *bad = NULL;
	plan->keys |= 1u << key;
	switch (key) {
	case PLAN_SIZE:
		bad = parse_size(value, &plan->size);
		break;
	case PLAN_PEERS:
		bad = set_peers(plan, value);
		break;
	case PLAN_PROFILE:
		bad = set_profile(plan, value);
		break;
	case PLAN_PATH:
		bad = set_path(plan, value);
		break;
	case PLAN_OWNER:
	case PLAN_MODE:
		bad = owner_key(&plan->owner, key, value);
		break;
	case PLAN_SOCKET:
		bad = set_socket(plan, value);
		break;
	case PLAN_VECTORS:
		bad = set_vectors(plan, value);
		break;
	case PLAN_ALLOW:
		bad = set_allow(plan, value);
		break;
	case PLAN_KEYS:
		break;
	}
	return with_value(bad, value, room);
}

const char *plan_set_peer(struct plan *plan, vshm_peer peer, enum plan_key key, const char *value, char *room)
{
	if (key != PLAN_OWNER && key != PLAN_MODE)
		return "belongs into the section of the region: a peer has only owner and mode";
	plan->peer_keys[peer] |= 1u << key;
	return with_value(owner_key(&plan->peer_owner[peer], key, value), value, room);
}

/* A region there would be replaced by the line that registers its name. */
static bool is_run_directory(const struct stat *facts)
{
	const char *place = getenv("VSHM_RUN_DIR");
	struct stat run;
	return !stat(place && *place ? place : "/run/vshm", &run) && run.st_dev == facts->st_dev && run.st_ino == facts->st_ino;
}

/* Is there something in the way, or nothing to put it into? */
static const char *check_place(const struct plan *plan, enum plan_existing existing, char *room)
{
	struct stat facts;
	char parent[PATH_MAX];
	(void)snprintf(parent, sizeof(parent), "%s", plan->path);
	char *slash = strrchr(parent, '/');
	*(slash == parent ? slash + 1 : slash) = 0;
	if (stat(parent, &facts))
		(void)snprintf(room, VSHM_WHY_SIZE, "directory '%.160s': %s", parent,
			       errno == ENOENT ? "does not exist: make it first" : strerror(errno));
	else if (!S_ISDIR(facts.st_mode))
		(void)snprintf(room, VSHM_WHY_SIZE, "'%.160s' is not a directory", parent);
	else if (is_run_directory(&facts))
		(void)snprintf(room, VSHM_WHY_SIZE, "'%.160s' is where names are registered: choose another directory, such as /dev/shm", parent);
	else if (existing == PLAN_REFUSE && !lstat(plan->path, &facts))
		(void)snprintf(room, VSHM_WHY_SIZE,
			       "'%.120s' exists already: destroy it, or create with --force (its peers get ESTALE)",
			       plan->path);
	else
		return NULL;
	return room;
}

/* What the headers alone take, without a byte of data; the library knows the exact figure. */
static const char *check_size(const struct plan *plan, char *room)
{
	uint64_t peers = plan->peers ? plan->peers : 2;
	uint64_t least = peers * VSHM_MIN_SECTION + (plan->split ? peers : 1) * VSHM_MIN_PAGE;
	char size[TEXT_SIZE];
	if (!plan->size || plan->size >= least)
		return NULL;
	(void)snprintf(room, VSHM_WHY_SIZE, "%s is too small for %" PRIu64 " peers: write at least %" PRIu64 "K",
		       text_bytes(size, plan->size), peers, (least + 1023) / 1024);
	return room;
}

static const char *check_peer(const struct plan *plan, unsigned peer, char *room)
{
	uint32_t peers = plan->peers ? plan->peers : 2;
	if (!plan->peer_line[peer])
		return NULL;
	if (peer >= peers) {
		(void)snprintf(room, VSHM_WHY_SIZE, "there is no peer %u: the region has peers 0 to %u", peer,
			       peers - 1);
		return room;
	}
	return plan->split ? NULL : "peers have owners of their own only in a split region: write profile = split";
}

/* Nobody but a server can have it. */
static const char *check_memfd(const struct plan *plan, enum plan_key *key, unsigned *line)
{
	if (plan->split)
		return "memfd is one memory for all: write profile = flat";
	*key = PLAN_SOCKET;
	*line = plan->line;
	return plan->socket[0] ? NULL : "is missing: memory without a path is had from a server, vshmctl serve";
}

const char *plan_check(const struct plan *plan, enum plan_existing existing, enum plan_key *key, unsigned *line, char *room)
{
	const char *bad;
	*key = PLAN_PATH;
	*line = plan->key_line[PLAN_PATH] ? plan->key_line[PLAN_PATH] : plan->line;
	if (!plan->path[0])
		return "is missing: write where the region is to be, such as /dev/shm/net0";
	if ((bad = check_size(plan, room))) {
		*key = PLAN_SIZE;
		*line = plan->key_line[PLAN_SIZE];
		return bad;
	}
	for (unsigned peer = 0; peer < VSHM_MAX_PEERS; peer++) {
		if ((bad = check_peer(plan, peer, room))) {
			*key = PLAN_PEERS;
			*line = plan->peer_line[peer];
			return bad;
		}
	}
	if (plan->memfd)
		return check_memfd(plan, key, line);
	if ((bad = check_place(plan, existing, room)) || existing == PLAN_REPLACE)
		return bad;
	return names_taken(plan->name, plan->path, room);
}

/* Openers accept files of root and of themselves; another owner must be named to them. */
static const char *owner_parameter(const struct plan *plan, char *room, size_t size)
{
	uint32_t uid = plan->split ? UINT32_MAX : plan->owner.uid; /* the directory of a split region stays ours */
	if (uid == UINT32_MAX)
		uid = (uint32_t)geteuid();
	if (uid == 0)
		return "";
	const struct passwd *user = getpwuid(uid);
	if (user)
		(void)snprintf(room, size, "?owner=%.60s", user->pw_name);
	else
		(void)snprintf(room, size, "?owner=%" PRIu32, uid);
	return room;
}

void plan_uri(const struct plan *plan, char *uri)
{
	char owner[80];
	(void)snprintf(uri, PLAN_URI_SIZE, "file:%s%s", plan->path, owner_parameter(plan, owner, sizeof(owner)));
}

/* Owner and mode of each segment: a peer's own where given, else those of the region. */
static void gather_owners(const struct plan *plan, struct vshm_owner *owners, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		owners[i] = plan->owner;
		if (plan->peer_keys[i] & 1u << PLAN_OWNER) {
			owners[i].uid = plan->peer_owner[i].uid;
			if (plan->peer_owner[i].gid != UINT32_MAX)
				owners[i].gid = plan->peer_owner[i].gid;
		}
		if (plan->peer_keys[i] & 1u << PLAN_MODE)
			owners[i].mode = plan->peer_owner[i].mode;
	}
}

/* What came out: the size is the library's choice when none was asked for. */
static void report(const struct plan *plan, const char *uri, bool registered)
{
	struct vshm_region *region;
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;
	char size[TEXT_SIZE] = "", safe[PLAN_URI_SIZE * 4];
	options.flags = VSHM_OPEN_OBSERVE | VSHM_OPEN_GUARD;
	info.peers = plan->peers ? plan->peers : 2;
	info.size = plan->size;
	if (!vshm_region_open(uri, &options, &region, NULL)) {
		int rc = vshm_region_info(region, &info);
		(void)rc; /* then the figures asked for stay, as where it was given to somebody else */
		(void)vshm_region_close(region);
	}
	text_escape(safe, sizeof(safe), uri);
	printf("created %s: %s%s%" PRIu32 " peer%s, %s; use %s%s%s\n", plan->name, info.size ? text_bytes(size, info.size) : "",
	       info.size ? ", " : "", info.peers, info.peers == 1 ? "" : "s", plan->split ? "split" : "flat", registered ? "vshm:" : "",
	       registered ? plan->name : safe, registered ? " or its path" : "");
}

/* Of another shape than planned: whose peers are at work in it must not lose it, and whoever planned should know. */
static void compare(const struct plan *plan, const struct vshm_region_info *info)
{
	char have[TEXT_SIZE], want[TEXT_SIZE];
	/* the library rounds to pages of each section */
	uint64_t slack = (uint64_t)info->peers * 2 * VSHM_MIN_PAGE;
	uint64_t apart = info->size > plan->size ? info->size - plan->size : plan->size - info->size;
	if (plan->size && apart > slack)
		say_note("%s has %s, and %s were asked for: to change it, destroy it first", plan->name,
			 text_bytes(have, info->size), text_bytes(want, plan->size));
	if (plan->peers && info->peers != plan->peers)
		say_note("%s has %" PRIu32 " peers, and %" PRIu32 " were asked for: to change it, destroy it first", plan->name,
			 info->peers, plan->peers);
	if (plan->split != (info->profile == VSHM_SPLIT))
		say_note("%s is %s, and %s was asked for: to change it, destroy it first", plan->name,
			 plan->split ? "flat" : "split", plan->split ? "split" : "flat");
}

/* May be closed to us and be in order: in a service root has not all rights. A stranger's is not what was planned. */
static bool is_of_owner(const struct plan *plan, const struct stat *facts)
{
	return facts->st_uid == 0 || facts->st_uid == geteuid() || (!plan->split && facts->st_uid == plan->owner.uid);
}

/* Leaves a region as it is; its name may be gone with /run. */
static int keep(const struct plan *plan, const struct stat *facts)
{
	struct vshm_region *region;
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "", uri[PLAN_URI_SIZE];
	options.flags = VSHM_OPEN_OBSERVE | VSHM_OPEN_GUARD;
	plan_uri(plan, uri);
	int rc = vshm_region_open(uri, &options, &region, why);
	if (!rc) {
		rc = vshm_region_info(region, &info);
		vshm_region_close(region);
	}
	if (rc && (rc != -EACCES || !is_of_owner(plan, facts)))
		return say_failed("%s: what is there cannot be kept: %s", plan->name, *why ? why : vshm_strerror(rc));
	printf("kept %s: it exists already\n", plan->name);
	if (rc)
		say_note("%s could not be looked at: %s", plan->name, *why ? why : vshm_strerror(rc));
	else
		compare(plan, &info);
	rc = vshm_region_register(plan->name, uri, why);
	if (rc)
		say_note("vshm:%s will not find it, use its URI: %s", plan->name, *why ? why : vshm_strerror(rc));
	return CTL_OK;
}

int plan_create(const struct plan *plan, enum plan_existing existing)
{
	struct stat facts;
	if (existing == PLAN_KEEP && !lstat(plan->path, &facts))
		return keep(plan, &facts);
	struct vshm_create_options options = VSHM_CREATE_OPTIONS_INIT;
	struct vshm_owner owners[VSHM_MAX_PEERS];
	char why[VSHM_WHY_SIZE] = "", uri[PLAN_URI_SIZE];
	uint32_t peers = plan->peers ? plan->peers : 2;
	options.name = plan->name;
	options.size = plan->size;
	options.peers = peers;
	options.flags = (existing == PLAN_REPLACE ? VSHM_CREATE_FORCE : 0) | (plan->split ? VSHM_CREATE_SPLIT : 0);
	options.owners = owners;
	options.owner_count = plan->split ? peers : 1;
	gather_owners(plan, owners, options.owner_count);
	(void)snprintf(uri, sizeof(uri), "file:%s", plan->path);
	int rc = vshm_region_create(uri, &options, why);
	if (rc) {
		(void)say_failed("%s: %s", plan->name, *why ? why : vshm_strerror(rc));
		return rc == -EOPNOTSUPP ? CTL_IMPOSSIBLE : CTL_FAILED;
	}
	plan_uri(plan, uri);
	rc = vshm_region_register(plan->name, uri, why);
	report(plan, uri, !rc);
	names_remove_others(plan->name, uri);
	if (rc)
		say_note("vshm:%s will not find it, use its URI: %s", plan->name, *why ? why : vshm_strerror(rc));
	return CTL_OK;
}
