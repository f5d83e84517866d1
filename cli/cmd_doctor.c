/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl doctor: what works, what does not, why, and the command that mends it. */
#include "command.h"
#include "find.h"
#include "names.h"
#include "say.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* A document, or a page in text. */
struct report {
	struct screen screen;
	struct json_object *things, *findings; /* NULL: text */
	bool lenient; /* nobody asked for this thing: that it is another user's is no problem */
	unsigned problems;
};

static const char *const levels[] = {
	[VSHM_FINDING_OK] = "ok", [VSHM_FINDING_HINT] = "hint", [VSHM_FINDING_PROBLEM] = "problem"};

static void print_finding(const struct report *report, const struct vshm_finding *finding,
			  enum vshm_finding_level level)
{
	static const enum style styles[] = {STYLE_GOOD, STYLE_WARN, STYLE_BAD};
	char safe[4 * VSHM_COMMAND_SIZE];
	(void)printf("  %s%-8s%s ", screen_on(&report->screen, styles[level]), levels[level],
		     screen_off(&report->screen));
	text_escape(safe, sizeof(safe), finding->text);
	(void)puts(safe);
	text_escape(safe, sizeof(safe), finding->command);
	if (*safe)
		(void)printf("           %s: %s\n", geteuid() ? "run as root" : "run", safe);
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	char safe[4 * VSHM_COMMAND_SIZE];
	text_escape(safe, sizeof(safe), text);
	(void)json_object_object_add(object, key, *safe ? json_object_new_string(safe) : NULL);
}

static void on_finding(void *arg, const struct vshm_finding *finding)
{
	struct report *report = arg;
	enum vshm_finding_level level = finding->level;
	if (report->lenient && level == VSHM_FINDING_PROBLEM)
		level = VSHM_FINDING_HINT;
	report->problems += level == VSHM_FINDING_PROBLEM;
	if (!report->findings) {
		print_finding(report, finding, level);
		return;
	}
	struct json_object *object = json_object_new_object();
	add_text(object, "level", levels[level]);
	add_text(object, "topic", finding->topic);
	add_text(object, "text", finding->text);
	add_text(object, "command", finding->command);
	(void)json_object_array_add(report->findings, object);
}

static void print_title(const struct report *report, const struct vshm_found *found)
{
	char safe[4 * VSHM_FOUND_URI_SIZE];
	text_escape(safe, sizeof(safe), *found->name ? found->name : vshm_found_kind_text(found->kind));
	screen_put(&report->screen, STYLE_BOLD, safe);
	text_escape(safe, sizeof(safe), found_where(found));
	(void)printf("  %s", safe);
	if (found->kind != VSHM_FOUND_REGION)
		(void)printf("  %s", found->model);
	(void)puts("");
}

static void examine(struct report *report, const struct vshm_found *found, bool asked)
{
	report->lenient = !asked && found->flags & VSHM_FOUND_UNREADABLE;
	if (report->things) {
		struct json_object *object = found_json(found);
		report->findings = json_object_new_array();
		(void)json_object_object_add(object, "findings", report->findings);
		(void)json_object_array_add(report->things, object);
	} else {
		print_title(report, found);
	}
	int rc = vshm_diagnose(found, on_finding, report);
	(void)rc; /* counted with the findings */
}

/* ---- which ---- */

/* "0000:00:05.0", also without its domain. */
static bool is_place(const struct vshm_found *found, const char *text)
{
	return !strcmp(found->place, text) || !strcasecmp(found->place, text) ||
	       (strlen(text) == 7 && !strncmp(found->place, "0000:", 5) && !strcasecmp(found->place + 5, text));
}

static bool is_meant(const struct vshm_found *found, const char *text)
{
	char bare[OBSERVE_URI_SIZE];
	(void)snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(text, "?"), text);
	if (!strncmp(bare, "vshm:", 5))
		return !strcmp(found->name, bare + 5);
	if (!strncmp(bare, "ivshmem:", 8))
		return is_place(found, bare + 8);
	if (!strncmp(bare, "split:", 6))
		return found_first(found) && strcspn(found->uri, "?") == strlen(bare) &&
		       !strncmp(found->uri, bare, strlen(bare));
	return !strcmp(found->name, bare) || is_place(found, bare) || !strcmp(found->node, bare) ||
	       (*found->uri && names_same_place(found->uri, bare));
}

static int examine_all(struct report *report, const struct found_regions *found, const char *text)
{
	size_t meant = 0;
	for (size_t i = 0; i < found->count; i++) {
		if (text && !is_meant(&found->one[i], text))
			continue;
		if (meant++ && !report->things)
			(void)puts("");
		examine(report, &found->one[i], text);
	}
	if (!meant && text)
		return say_failed("there is no '%s' here: vshmctl list shows what there is", text);
	if (!meant && !report->things)
		say_note(
			"nothing here: make a region with vshmctl create, or give the machine a device (vshmctl qemu-args)");
	return report->problems ? CTL_FAILED : CTL_OK;
}

static int doctor(bool json, const char *text)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct found_regions found = {0};
	struct report report = {.things = json ? json_object_new_array() : NULL};
	screen_look(&report.screen, stdout);
	options.flags = VSHM_DISCOVER_GUARD | VSHM_DISCOVER_HOLDERS;
	options.also = text;
	if (find_things(&found, &options))
		return say_failed("out of memory");
	int code = examine_all(&report, &found, text);
	if (json) {
		struct json_object *all = json_object_new_object();
		(void)json_object_object_add(all, "problems", json_object_new_uint64(report.problems));
		(void)json_object_object_add(all, "found", report.things);
		(void)puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
								       JSON_C_TO_STRING_NOSLASHESCAPE));
		(void)json_object_put(all);
	}
	find_free(&found);
	return code;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, COMMAND_OPTIONS_END};
	static const char *const names[] = {"URI", NULL};
	bool json = false;
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		json = true;
	}
	if (!command_arguments(argc, argv, 0, 1, names))
		return CTL_USAGE;
	return doctor(json, optind < argc ? argv[optind] : NULL);
}

const struct command command_doctor = {
	.name = "doctor",
	.arguments = "[NAME|URI|ADDRESS] [--json]",
	.summary = "Say what works, what does not, why, and the command that mends it",
	.help = "  --json   for programs\n"
		"\n"
		"Looks at everything that vshmctl list shows, or at the one that is named: drivers, IOMMU, interrupts, permissions,\n"
		"who has it, sizes, names whose region is gone, AppArmor and SELinux. Changes nothing; the commands that it prints\n"
		"are for root. Exit status 1: there are problems.\n",
	.run = run,
};
