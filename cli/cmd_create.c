/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl create: regions from options or from config files. */
#include "command.h"
#include "config.h"
#include "parse.h"
#include "say.h"

#include <stdio.h>
#include <string.h>
#include <vshm/error.h>

enum { OPTION_FORCE = PLAN_KEYS, OPTION_MISSING, OPTION_CONFIG, OPTION_URI };

struct request {
	const char *name, *file, *uri;
	struct plan plan;
	enum plan_existing existing;
	bool any_key;
	unsigned keys; /* which were given, 1 << PLAN_… */
};

static int read_options(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{"uri", required_argument, NULL, OPTION_URI},
		{"path", required_argument, NULL, PLAN_PATH},
		{"size", required_argument, NULL, PLAN_SIZE},
		{"peers", required_argument, NULL, PLAN_PEERS},
		{"profile", required_argument, NULL, PLAN_PROFILE},
		{"owner", required_argument, NULL, PLAN_OWNER},
		{"mode", required_argument, NULL, PLAN_MODE},
		{"force", no_argument, NULL, OPTION_FORCE},
		{"missing", no_argument, NULL, OPTION_MISSING},
		{"config", required_argument, NULL, OPTION_CONFIG},
		COMMAND_OPTIONS_END,
	};
	static const char *const names[] = {"NAME", NULL};
	char room[VSHM_WHY_SIZE];
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		if (option == OPTION_FORCE || option == OPTION_MISSING) {
			enum plan_existing wanted = option == OPTION_FORCE ? PLAN_REPLACE : PLAN_KEEP;
			if (request->existing && request->existing != wanted)
				return say_usage("--force replaces what is there, --missing keeps it: choose one");
			request->existing = wanted;
		} else if (option == OPTION_CONFIG) {
			request->file = optarg;
		} else if (option == OPTION_URI) {
			request->uri = optarg;
			request->any_key = true;
		} else {
			enum plan_key key = (enum plan_key)option;
			const char *bad = plan_set(&request->plan, key, optarg, room);
			request->any_key = true;
			request->keys |= 1u << key;
			if (bad)
				return say_usage("--%s %s", plan_key_name(key), bad);
		}
	}
	if (!command_arguments(argc, argv, 0, 1, names))
		return CTL_USAGE;
	request->name = optind < argc ? argv[optind] : NULL;
	const char *bad = request->name ? parse_name(request->name) : NULL;
	if (bad)
		return say_usage("'%s': %s", request->name, bad);
	return CTL_OK;
}

/* What has its memory already: a device has no owner, and one segment. */
static int create_in_device(const struct request *request)
{
	struct vshm_create_options options = VSHM_CREATE_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";
	if (!request->name)
		return say_usage("NAME is missing");
	if (request->existing == PLAN_KEEP)
		return say_usage("--missing is for files");
	if (request->keys & ~(1u << PLAN_SIZE | 1u << PLAN_PEERS))
		return say_usage("with --uri there are only --size and --peers");
	options.name = request->name;
	options.size = request->plan.size;
	options.peers = request->plan.peers;
	options.flags = request->existing == PLAN_REPLACE ? VSHM_CREATE_FORCE : 0;
	int rc = vshm_region_create(request->uri, &options, why);
	if (rc)
		return say_refused(rc, why);
	rc = vshm_region_register(request->name, request->uri, why);
	(void)printf("created %s in %s\n", request->name, request->uri);
	if (rc)
		say_note("vshm:%s will not find it, use its URI: %s", request->name, *why ? why : vshm_strerror(rc));
	return CTL_OK;
}

static int create_one(struct request *request)
{
	char room[VSHM_WHY_SIZE];
	enum plan_key key;
	unsigned line;
	struct plan *plan = &request->plan;
	if (!request->name)
		return say_usage("NAME is missing");
	if (!plan->path[0])
		return say_usage("--path is missing: write where the region is to be, such as --path /dev/shm/%s",
				 request->name);
	if (plan->memfd)
		return say_usage("--path memfd: what has no path is made by its server: vshmctl serve");
	(void)snprintf(plan->name, sizeof(plan->name), "%s", request->name);
	const char *bad = plan_check(plan, request->existing, &key, &line, room);
	if (bad && key != PLAN_PATH)
		return say_usage("--%s: %s", plan_key_name(key), bad);
	if (bad)
		return say_failed("%s", bad);
	return plan_create(plan, request->existing);
}

/* What has no path is made by its server. */
static bool is_meant(const struct plan *plan, const struct request *request)
{
	return !plan->memfd && (!request->name || !strcmp(request->name, plan->name));
}

static int create_all(const struct config *config, const struct request *request)
{
	size_t done = 0, meant = 0;
	for (size_t i = 0; i < config->count; i++)
		meant += is_meant(config->plans[i], request);
	for (size_t i = 0; i < config->count; i++) {
		if (!is_meant(config->plans[i], request))
			continue;
		int code = plan_create(config->plans[i], request->existing);
		if (code && done)
			say_note("%zu of %zu regions were created before that, and stay", done, meant);
		if (code)
			return code;
		done++;
	}
	return CTL_OK;
}

static int create_from_files(const struct request *request)
{
	struct config config = {0};
	char why[CONFIG_WHY_SIZE];
	const char *source = request->file ? request->file : config_directory();
	int rc = request->file ? config_read(&config, source, why) : config_read_directory(&config, source, why);
	int code;
	if (!rc)
		rc = config_check(&config, request->name, request->existing, why);
	if (rc)
		code = say_failed("%s", why);
	else if (request->name && !config_find(&config, request->name))
		code = say_failed("%s: has no section [region %s]", source, request->name);
	else if (!config.count)
		code = say_failed("%s: has no section [region NAME]: nothing to create", source);
	else
		code = create_all(&config, request);
	config_free(&config);
	return code;
}

static int run(int argc, char **argv)
{
	static struct request request; /* large */
	plan_init(&request.plan);
	int code = read_options(argc, argv, &request);
	if (code)
		return code;
	if (request.file && request.any_key)
		return say_usage("--config and options of a region exclude each other: write them into the file");
	if (request.uri)
		return create_in_device(&request);
	return request.any_key ? create_one(&request) : create_from_files(&request);
}

const struct command command_create = {
	.name = "create",
	.arguments = "NAME --path PATH|--uri URI [OPTION...] | [NAME] [--config FILE]",
	.summary = "Make a region, or all regions of config files",
	.help = "  --path PATH            the file (flat) or directory (split) to make, such as /dev/shm/net0\n"
		"  --uri URI              or the device whose memory becomes the region, such as ivshmem:0000:00:05.0: it must be zero\n"
		"  --size SIZE            bytes of the whole region, with K, M, G or T; default: 1 MiB and the headers\n"
		"  --peers N              how many peers share it, 1 to 64; default: 2\n"
		"  --profile flat|split   one segment for all, or one for each peer that only this peer may write\n"
		"  --owner USER[:GROUP]   who owns the file; default: you\n"
		"  --mode MODE            permission bits in octal; default: 0600\n"
		"  --force                replace what is there (its peers get ESTALE, other names of it go), and take NAME over\n"
		"  --missing              make what is not there, leave what is there as it is: after a boot, say\n"
		"  --config FILE          take everything from an INI file; with NAME, only that region\n"
		"\n"
		"Without options: all regions of /etc/vshm/*.ini, or the one called NAME. A config file looks like this:\n"
		"\n"
		"  [region net0]\n"
		"  path = /dev/shm/net0\n"
		"  size = 64M\n"
		"  peers = 4\n"
		"  profile = split\n"
		"  owner = root:vshm\n"
		"  mode = 0660\n"
		"  [region net0 peer 1]\n"
		"  owner = vm1:vshm\n"
		"\n"
		"Users and groups must exist. socket, vectors and allow are for vshmctl serve and do not matter here; a region\n"
		"with path = memfd is made there. A mistake in a file is told with file, line and key, and then nothing is created.\n",
	.run = run,
};
