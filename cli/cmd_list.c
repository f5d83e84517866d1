/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl list: the regions of this machine and the devices that hold some, the broken ones too; and who comes and goes. */
#include "command.h"
#include "find.h"
#include "say.h"
#include "stop.h"
#include "table.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <vshm/error.h>
#include <vshm/layout.h>

/* One thing that comes is several events: they are one look. */
#define SETTLE_NS 50000000u

static const int pretty = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;

/* ---- once ---- */

static const char *group_of(const struct vshm_found *found)
{
	return found->kind == VSHM_FOUND_REGION ? "regions" : found->kind == VSHM_FOUND_SERVER ? "servers" : "devices";
}

static void print_json(const struct found_regions *found)
{
	static const char *const groups[] = {"regions", "servers", "devices"};
	struct json_object *all = json_object_new_object(), *group;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		(void)json_object_object_add(all, groups[i], json_object_new_array());
	for (size_t i = 0; i < found->count; i++) {
		if (json_object_object_get_ex(all, group_of(&found->one[i]), &group))
			(void)json_object_array_add(group, found_json(&found->one[i]));
	}
	(void)puts(json_object_to_json_string_ext(all, pretty));
	(void)json_object_put(all);
}

static void print_row(struct table *table, const struct vshm_found *found)
{
	char size[TEXT_SIZE], peers[32], way[VSHM_FOUND_DRIVER_SIZE + 16], note[FOUND_NOTE_SIZE];
	bool region = !found->error && found->peers && found_first(found);
	enum style style = found_note(found, note, sizeof(note));
	(void)snprintf(peers, sizeof(peers), "%" PRIu32 "/%" PRIu32, found->live, found->peers);
	table_cell(table, STYLE_BOLD, "%s", *found->name ? found->name : "?");
	table_cell(table, STYLE_PLAIN, "%s", found_where(found));
	table_cell(table, STYLE_PLAIN, "%s", found->size ? text_bytes(size, found->size) : "");
	table_cell(table, found->live ? STYLE_GOOD : STYLE_PLAIN, "%s", region ? peers : "");
	table_cell(table, STYLE_PLAIN, "%s", region ? found->profile == VSHM_SPLIT ? "split" : "flat" : "");
	table_cell(table, STYLE_PLAIN, "%s", found_way(found, way, sizeof(way)));
	table_cell(table, style, "%s", note);
}

static void print_text(const struct found_regions *found)
{
	static const char *const titles[] = {"NAME", "URI", ">SIZE", ">PEERS", "PROFILE", "WAY", "NOTE", NULL};
	struct table table;
	struct screen screen;
	screen_look(&screen, stdout);
	table_init(&table, titles);
	for (size_t i = 0; i < found->count; i++)
		print_row(&table, &found->one[i]);
	table_print(&table, &screen);
}

static int list(bool json)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct found_regions found = {0};
	int code = CTL_OK;
	options.flags = VSHM_DISCOVER_GUARD | VSHM_DISCOVER_HOLDERS;
	if (find_things(&found, &options))
		code = say_failed("out of memory");
	else if (json)
		print_json(&found);
	else if (found.count)
		print_text(&found);
	else
		say_note(
			"nothing here: make a region with vshmctl create, or give the machine a device (vshmctl qemu-args)");
	find_free(&found);
	return code;
}

/* ---- again and again ---- */

struct watch {
	bool json;
	bool first; /* what is there already */
};

static void print_change_json(const struct watch *watch, enum vshm_found_change change, const struct vshm_found *found)
{
	static const char *const words[] = {
		[VSHM_FOUND_ADDED] = "added", [VSHM_FOUND_REMOVED] = "removed", [VSHM_FOUND_CHANGED] = "changed"};
	struct json_object *object = found_json(found);
	(void)json_object_object_add(object, "change",
				     json_object_new_string(watch->first ? "present" : words[change]));
	(void)puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	(void)json_object_put(object);
}

static void print_change(void *arg, enum vshm_found_change change, const struct vshm_found *found)
{
	static const char signs[] = {[VSHM_FOUND_ADDED] = '+', [VSHM_FOUND_REMOVED] = '-', [VSHM_FOUND_CHANGED] = '~'};
	const struct watch *watch = arg;
	char size[TEXT_SIZE], way[VSHM_FOUND_DRIVER_SIZE + 16], note[FOUND_NOTE_SIZE], line[2 * VSHM_FOUND_URI_SIZE];
	char safe[4 * sizeof(line)];
	if (watch->json) {
		print_change_json(watch, change, found);
		return;
	}
	(void)found_note(found, note, sizeof(note));
	const char *by = found_way(found, way, sizeof(way));
	(void)snprintf(line, sizeof(line), "%c %-8s %s  %s%s%s%s%s%s%s", watch->first ? ' ' : signs[change],
		       vshm_found_kind_text(found->kind), *found->name ? found->name : "?", found_where(found),
		       found->size ? "  " : "", found->size ? text_bytes(size, found->size) : "", *by ? "  " : "", by,
		       *note ? "  " : "", note);
	text_escape(safe, sizeof(safe), line);
	(void)puts(safe);
}

/* Waits for changes, or to be asked to stop: signals come only while it waits, so that none comes just before. */
static int follow(struct vshm_monitor *monitor, struct watch *watch, const sigset_t *open_to)
{
	struct pollfd ready = {vshm_monitor_fd(monitor), POLLIN, 0};
	sigset_t closed;
	while (!stop_asked()) {
		/* one that never gets to wait, because somebody is busy all the time, must hear signals, too */
		(void)sigprocmask(SIG_SETMASK, open_to, &closed);
		(void)sigprocmask(SIG_SETMASK, &closed, NULL);
		int rc = vshm_monitor_dispatch(monitor, print_change, watch);
		if (rc < 0)
			return say_failed("%s", vshm_strerror(rc));
		if (fflush(stdout))
			return CTL_FAILED; /* say_flushed() says why */
		watch->first = false;
		if (ppoll(&ready, 1, NULL, open_to) > 0)
			observe_pause(SETTLE_NS);
	}
	return CTL_OK;
}

static int watch(bool json)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct watch watch = {json, true};
	struct vshm_monitor *monitor;
	char why[VSHM_WHY_SIZE] = "";
	sigset_t asking, before;
	options.flags = VSHM_DISCOVER_GUARD;
	(void)sigemptyset(&asking);
	(void)sigaddset(&asking, SIGINT);
	(void)sigaddset(&asking, SIGTERM);
	(void)sigaddset(&asking, SIGHUP);
	stop_install();
	int rc = vshm_monitor_open(&options, &monitor, why);
	if (rc)
		return say_refused(rc, why);
	(void)sigprocmask(SIG_BLOCK, &asking, &before);
	int code = follow(monitor, &watch, &before);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)vshm_monitor_close(monitor);
	return stop_leave(say_flushed(code));
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"watch", no_argument, NULL, 'w'}, COMMAND_OPTIONS_END};
	static const char *const names[] = {NULL};
	bool json = false, watching = false;
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		json |= option == 'j';
		watching |= option == 'w';
	}
	if (!command_arguments(argc, argv, 0, 0, names))
		return CTL_USAGE;
	return watching ? watch(json) : list(json);
}

const struct command command_list = {
	.name = "list",
	.arguments = "[--json] [--watch]",
	.summary = "List the regions of this machine, and devices that hold one or could",
	.help = "  --json    for programs; with --watch one document per line\n"
		"  --watch   a line for each thing that comes (+), goes (-) or changes (~), until interrupted\n"
		"\n"
		"Shows what is registered under /run/vshm, regions that lie in /dev/shm and on hugetlbfs without being registered,\n"
		"and sockets of ivshmem servers; in a guest, ivshmem, UIO and DAX devices, and the way into each. It tells how many\n"
		"peers are attached, and what cannot be opened, with the reason: vshmctl doctor says what to do about it.\n",
	.run = run,
};
