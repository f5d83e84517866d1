/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving one region. The next id is written down before it is given out, so that the server after this one, however this one
 * ends, gives out others. The file is locked: two of these cannot serve at one place.
 */
#include "serving.h"

#include "memory.h"
#include "parse.h"
#include "say.h"
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <vshm/error.h>

#define IDS 65536u
#define AHEAD 256u /* so many are written down at once */

/* ---- lines, not more than a reader can want ---- */

#define LINES 50u /* at once, and then */
#define LINES_PER_SECOND 10u

static struct {
	uint64_t left_out;
	int64_t since_ns;
	uint32_t budget;
} lines = {.budget = LINES};

static int64_t now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool may_say(void)
{
	int64_t now = now_ns();
	uint64_t more = (uint64_t)(now - lines.since_ns) * LINES_PER_SECOND / 1000000000u;
	if (more) {
		lines.budget = more > LINES - lines.budget ? LINES : lines.budget + (uint32_t)more;
		lines.since_ns = now;
	}
	if (!lines.budget) {
		lines.left_out++;
		return false;
	}
	lines.budget--;
	return true;
}

int serving_say_rest(void)
{
	if (!lines.left_out)
		return -1;
	uint64_t left_out = lines.left_out;
	lines.left_out = 0;
	if (may_say())
		say_news("%" PRIu64 " more lines of this kind were left out", left_out);
	else
		lines.left_out = left_out;
	return lines.left_out ? 1000 : -1;
}

static void on_event(void *arg, const struct vshm_server_event *event)
{
	static const char *const words[] = {"", "joined", "left", "refused", "dropped"};
	const struct serving *serving = arg;
	char id[24] = "client";
	if (!may_say())
		return;
	if (event->id != UINT32_MAX)
		(void)snprintf(id, sizeof(id), "client %" PRIu32, event->id);
	say_news("%s: %s %s: uid %" PRIu32 ", pid %" PRIu32 "%s%s", serving->plan.name, id, words[event->change],
		 event->uid, event->pid, event->reason ? ": " : "",
		 event->reason ? vshm_server_reason_text(event->reason) : "");
}

/* ---- ids ---- */

/* ".NAME.next" beside the socket: no name of a region begins with a dot. */
static void name_ids(const struct plan *plan, char *path, size_t size)
{
	int length = (int)(strrchr(plan->socket, '/') + 1 - plan->socket);
	(void)snprintf(path, size, "%.*s.%s.next", length, plan->socket, plan->socket + length);
}

/* Without a file ids begin anywhere, so that they are hardly those of the server before. */
static uint32_t any_id(void)
{
	return (uint32_t)((uint64_t)now_ns() / 1000000) % IDS;
}

static bool read_ids(int fd, uint32_t *next)
{
	struct stat facts;
	char text[16];
	uint64_t number = 0;
	if (fstat(fd, &facts) || !S_ISREG(facts.st_mode) || facts.st_uid != geteuid() || facts.st_nlink != 1)
		return false;
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
	text[got > 0 ? got : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	if (got < 0 || (got > 0 && (parse_number(text, &number) || number >= IDS)))
		return false;
	*next = (uint32_t)number;
	return true;
}

/* 0, or -1 when another one serves here. *bad: why there will be no file; NULL: there is one. */
static int open_ids(struct serving *serving, uint32_t *next, const char **bad)
{
	char path[PLAN_SOCKET_SIZE + 8];
	name_ids(&serving->plan, path, sizeof(path));
	*next = any_id();
	*bad = NULL;
	serving->ids = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (serving->ids >= 0 && flock(serving->ids, LOCK_EX | LOCK_NB)) {
		(void)say_failed("%s: another vshmctl serves at %s", serving->plan.name, serving->plan.socket);
		return -1;
	}
	if (serving->ids >= 0 && read_ids(serving->ids, next)) {
		serving->written = *next;
		return 0;
	}
	*bad = serving->ids < 0 ? strerror(errno) : "it is not ours, or holds no id";
	if (serving->ids >= 0)
		close(serving->ids);
	serving->ids = -1;
	return 0;
}

static void write_ids(struct serving *serving, uint32_t next)
{
	char text[16];
	(void)snprintf(text, sizeof(text), "%05" PRIu32 "\n", next % IDS);
	/* six bytes always: no reader finds a part of them */
	if (pwrite(serving->ids, text, 6, 0) != 6)
		say_note("%s: cannot write down the next id: %s", serving->plan.name, strerror(errno));
	serving->written = next % IDS;
}

static uint32_t next_of(const struct serving *serving)
{
	struct vshm_server_info info = VSHM_SERVER_INFO_INIT;
	int rc = vshm_server_info(serving->server, &info);
	return rc ? serving->written : info.next_id;
}

static void keep_ids(struct serving *serving)
{
	uint32_t next = next_of(serving);
	if (serving->ids >= 0 && (serving->written - next) % IDS < VSHM_SERVER_BATCH)
		write_ids(serving, next + AHEAD);
}

/* ---- open and close ---- */

static void fill_options(struct serving *serving, struct vshm_server_options *options)
{
	const struct plan *plan = &serving->plan;
	options->vectors = plan->vectors;
	options->mode = plan->owner.mode;
	options->uid = plan->owner.uid;
	options->gid = plan->owner.gid;
	options->allow_uids = plan->allow_uids;
	options->allow_uid_count = plan->allow_uid_count;
	options->allow_gids = plan->allow_gids;
	options->allow_gid_count = plan->allow_gid_count;
	options->flags = serving->closing ? VSHM_SERVER_ADMIT_NONE : 0;
	options->event = on_event;
	options->event_arg = serving;
}

/* A memory without a path lives on in systemd's store while this program is restarted. */
static int open_memory(const struct plan *plan, uint64_t *size)
{
	char name[VSHM_NAME_SIZE + 8];
	struct stat facts;
	(void)snprintf(name, sizeof(name), "vshm-%s", plan->name);
	for (char *c = name; *c; c++)
		*c = (char)(*c == ':' ? '_' : *c); /* not allowed there */
	int fd = plan->memfd ? service_stored(name) : -1;
	if (fd >= 0 && !fstat(fd, &facts)) {
		*size = (uint64_t)facts.st_size;
		return fd;
	}
	fd = memory_open(plan, size);
	if (fd >= 0 && plan->memfd)
		service_store(name, fd);
	return fd;
}

/* Those that have no path are found by their server. */
static void register_name(struct serving *serving)
{
	char uri[PLAN_SOCKET_SIZE + 8], why[VSHM_WHY_SIZE] = "";
	if (!serving->plan.memfd)
		return;
	(void)snprintf(uri, sizeof(uri), "server:%s", serving->plan.socket);
	int rc = vshm_region_register(serving->plan.name, uri, why);
	serving->registered = !rc;
	if (rc)
		say_note("vshm:%s will not find it, use its URI: %s", serving->plan.name,
			 *why ? why : vshm_strerror(rc));
}

static int open_server(struct serving *serving, int memory, uint64_t pages, uint32_t first_id)
{
	struct vshm_server_options options = VSHM_SERVER_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";
	fill_options(serving, &options);
	options.first_id = first_id;
	options.pages_offset = pages;
	int listener = service_socket(serving->plan.socket);
	int rc = listener >= 0 ? vshm_server_adopt(listener, memory, &options, &serving->server, why)
			       : vshm_server_open(serving->plan.socket, memory, &options, &serving->server, why);
	if (!rc)
		return CTL_OK;
	if (listener >= 0)
		close(listener);
	return say_failed("%s: %s", serving->plan.name, *why ? why : vshm_strerror(rc));
}

int serving_open(struct serving *serving, const struct plan *plan)
{
	const char *bad = NULL;
	uint32_t next;
	uint64_t size = 0;
	*serving = (struct serving){.plan = *plan, .ids = -1};
	int memory = open_memory(plan, &size);
	if (memory < 0)
		return CTL_FAILED;
	int code = open_ids(serving, &next, &bad) ? CTL_FAILED : open_server(serving, memory, memory_pages(memory, size), next);
	close(memory);
	if (code) {
		if (serving->ids >= 0)
			close(serving->ids);
		serving->ids = -1;
		return code;
	}
	if (bad)
		say_note(
			"%s: ids of clients may come again after a restart: the file .NAME.next beside the socket cannot be used: %s",
			plan->name, bad);
	keep_ids(serving);
	register_name(serving);
	if (size & (size - 1))
		say_note("%s: QEMU takes only sizes that are a power of two, and this is %" PRIu64 " bytes", plan->name,
			 size);
	return CTL_OK;
}

static bool same_place(const struct plan *a, const struct plan *b)
{
	return !strcmp(a->socket, b->socket) && !strcmp(a->path, b->path) && a->vectors == b->vectors &&
	       a->split == b->split && a->size == b->size && a->peers == b->peers &&
	       !memcmp(&a->owner, &b->owner, sizeof(a->owner));
}

static void take_access(struct plan *to, const struct plan *from)
{
	memcpy(to->allow_uids, from->allow_uids, sizeof(to->allow_uids));
	memcpy(to->allow_gids, from->allow_gids, sizeof(to->allow_gids));
	to->allow_uid_count = from->allow_uid_count;
	to->allow_gid_count = from->allow_gid_count;
}

void serving_reload(struct serving *serving, const struct plan *plan)
{
	struct vshm_server_options options = VSHM_SERVER_OPTIONS_INIT;
	serving->closing = !plan || !plan->socket[0];
	if (serving->closing)
		say_note("%s: is served no more: its clients stay, and no others are let in", serving->plan.name);
	else if (!same_place(plan, &serving->plan))
		say_note("%s: other changes than that of allow need a restart", serving->plan.name);
	if (!serving->closing)
		take_access(&serving->plan, plan);
	fill_options(serving, &options);
	int rc = vshm_server_update(serving->server, &options);
	if (rc)
		(void)say_failed("%s: %s", serving->plan.name, vshm_strerror(rc));
}

int serving_dispatch(struct serving *serving)
{
	keep_ids(serving);
	int rc = vshm_server_dispatch(serving->server);
	return rc ? say_failed("%s: %s", serving->plan.name, vshm_strerror(rc)) : CTL_OK;
}

void serving_close(struct serving *serving)
{
	if (serving->ids >= 0) {
		write_ids(serving, next_of(serving));
		close(serving->ids);
	}
	if (serving->registered) {
		int rc = vshm_region_register(serving->plan.name, NULL, NULL);
		(void)rc; /* it names nobody any more, which opening it says */
	}
	(void)vshm_server_close(serving->server);
}
