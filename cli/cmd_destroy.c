/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl destroy: removes regions and their names under /run/vshm. */
#include "command.h"
#include "config.h"
#include "names.h"
#include "parse.h"
#include "say.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vshm/error.h>

static int destroy(const char *uri)
{
	struct found_regions found = {0};
	char why[VSHM_WHY_SIZE] = "", safe[OBSERVE_URI_SIZE];
	const char *target = uri;
	size_t names = 0;
	find_registered(&found);
	for (size_t i = 0; i < found.count && !strncmp(uri, "vshm:", 5); i++) {
		if (!strcmp(found.one[i].name, uri + 5))
			target = found.one[i].uri;
	}
	/* Compared while the file is there: realpath() needs it. */
	for (size_t i = 0; i < found.count; i++) {
		bool mine = names_same_place(found.one[i].uri, target);
		if (!mine)
			found.one[i].name[0] = 0;
		names += mine;
	}
	observe_guard(uri);
	int rc = vshm_region_destroy(uri, why);
	int code = CTL_OK;
	if (rc && !(rc == -ENOENT && names))
		code = say_refused(rc, why);
	for (size_t i = 0; i < found.count && !code; i++) {
		if (found.one[i].name[0])
			names_remove(found.one[i].name);
	}
	text_escape(safe, sizeof(safe), target);
	if (!code)
		(void)printf("%s %s%s\n", rc ? "was gone already:" : "destroyed", safe,
			     rc ? ", its name is removed" : "");
	find_free(&found);
	return code;
}

static int destroy_from_file(const char *file, const char *name)
{
	struct config config = {0};
	char why[CONFIG_WHY_SIZE], uri[PLAN_URI_SIZE];
	int code = CTL_OK;
	/* force: that the regions exist is no mistake here */
	int rc = config_read(&config, file, why);
	if (!rc)
		rc = config_check(&config, name, PLAN_REPLACE, why);
	if (rc)
		code = say_failed("%s", why);
	else if (name && !config_find(&config, name))
		code = say_failed("%s: has no section [region %s]", file, name);
	else if (!config.count)
		code = say_failed("%s: has no section [region NAME]: nothing to destroy", file);
	for (size_t i = 0; i < config.count && !rc; i++) {
		if (config.plans[i]->memfd || (name && strcmp(name, config.plans[i]->name) != 0))
			continue;
		plan_uri(config.plans[i], uri);
		code = destroy(uri) == CTL_OK ? code : CTL_FAILED; /* the others all the same */
	}
	config_free(&config);
	return code;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'}, COMMAND_OPTIONS_END};
	static const char *const names[] = {"NAME or URI", NULL};
	const char *file = NULL;
	char uri[OBSERVE_URI_SIZE];
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		file = optarg;
	}
	if (!command_arguments(argc, argv, file ? 0 : 1, 1, names))
		return CTL_USAGE;
	const char *name = optind < argc ? argv[optind] : NULL;
	if (file && name && parse_name(name))
		return say_usage("'%s': %s", name, parse_name(name));
	if (file)
		return destroy_from_file(file, name);
	if (observe_uri(name, uri))
		return say_usage("the URI is too long");
	return destroy(uri);
}

const struct command command_destroy = {
	.name = "destroy",
	.arguments = "NAME|URI | --config FILE [NAME]",
	.summary = "Remove a region, or all regions of a config file",
	.help = "  --config FILE   the regions of an INI file; with NAME, only that one\n"
		"\n"
		"Peers that are attached keep the memory, and get ESTALE from their next slow call. The name under /run/vshm\n"
		"goes as well. What is not a region is not removed.\n",
	.run = run,
};
