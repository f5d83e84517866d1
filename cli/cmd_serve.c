/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl serve: an ivshmem server for one region, or for all regions of config files that have a socket. */
#include "command.h"
#include "config.h"
#include "parse.h"
#include "say.h"
#include "service.h"
#include "serving.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { OPTION_MEMFD = PLAN_KEYS, OPTION_CONFIG };

struct request {
	char **names; /* NULL-terminated; none: all */
	const char *file;
	struct plan plan;
	bool any_key;
};

struct hall {
	struct serving **one;
	struct pollfd *polled; /* the signals, then one for each */
	size_t count;
};

static int set_key(struct request *request, enum plan_key key, const char *value)
{
	char room[VSHM_WHY_SIZE];
	const char *bad = plan_set(&request->plan, key, value, room);
	request->any_key = true;
	return bad ? say_usage("--%s %s", plan_key_name(key), bad) : CTL_OK;
}

static int read_options(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, PLAN_SOCKET},
		{"path", required_argument, NULL, PLAN_PATH},
		{"memfd", no_argument, NULL, OPTION_MEMFD},
		{"size", required_argument, NULL, PLAN_SIZE},
		{"peers", required_argument, NULL, PLAN_PEERS},
		{"vectors", required_argument, NULL, PLAN_VECTORS},
		{"allow", required_argument, NULL, PLAN_ALLOW},
		{"owner", required_argument, NULL, PLAN_OWNER},
		{"mode", required_argument, NULL, PLAN_MODE},
		{"config", required_argument, NULL, OPTION_CONFIG},
		COMMAND_OPTIONS_END,
	};
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		int code = CTL_OK;
		if (option == '?')
			return CTL_USAGE;
		if (option == OPTION_CONFIG)
			request->file = optarg;
		else
			code = option == OPTION_MEMFD ? set_key(request, PLAN_PATH, "memfd")
						      : set_key(request, (enum plan_key)option, optarg);
		if (code)
			return code;
	}
	request->names = argv + optind;
	for (char **name = request->names; *name; name++) {
		if (!**name || parse_name(*name))
			return say_usage("'%s': %s", *name, parse_name(*name));
	}
	return CTL_OK;
}

/* ---- which regions ---- */

static bool is_named(const struct request *request, const char *name)
{
	for (char **one = request->names; *one; one++) {
		if (!strcmp(*one, name))
			return true;
	}
	return !*request->names;
}

static bool is_meant(const struct request *request, const struct plan *plan)
{
	return plan->socket[0] && is_named(request, plan->name);
}

static int read_config(const struct request *request, struct config *config, char *why)
{
	int rc = request->file ? config_read(config, request->file, why)
			       : config_read_directory(config, config_directory(), why);
	/* force: that the regions exist is no mistake here */
	return rc ? rc : config_check(config, NULL, PLAN_REPLACE, why);
}

static const struct plan *find_twin(const struct request *request, const struct config *config, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (is_meant(request, config->plans[j]) && !strcmp(config->plans[j]->socket, config->plans[i]->socket))
			return config->plans[j];
	}
	return NULL;
}

/* What a config must have besides, to be served. */
static int check_config(const struct request *request, const struct config *config)
{
	size_t meant = 0;
	for (char **name = request->names; *name; name++) {
		const struct plan *plan = config_find(config, *name);
		if (!plan)
			return say_failed("there is no section [region %s]", *name);
		if (!plan->socket[0])
			return say_failed("[region %s] has no socket: write socket = /run/vshm/%s.sock", *name, *name);
	}
	for (size_t i = 0; i < config->count; i++) {
		if (!is_meant(request, config->plans[i]))
			continue;
		const struct plan *twin = find_twin(request, config, i);
		if (twin)
			return say_failed("[region %s] and [region %s] have the same socket: give each its own",
					  twin->name, config->plans[i]->name);
		meant++;
	}
	return meant ? CTL_OK : say_failed("no section [region NAME] has a socket: nothing to serve");
}

/* ---- the regions that are served ---- */

static bool make_room(struct hall *hall)
{
	struct serving **one = realloc(hall->one, (hall->count + 1) * sizeof(void *));
	if (one)
		hall->one = one;
	struct pollfd *polled = realloc(hall->polled, (hall->count + 2) * sizeof(*polled));
	if (polled)
		hall->polled = polled;
	return one && polled;
}

static int add(struct hall *hall, const struct plan *plan)
{
	struct serving *serving = make_room(hall) ? malloc(sizeof(*serving)) : NULL;
	if (!serving)
		return say_failed("out of memory");
	int code = serving_open(serving, plan);
	if (code) {
		free(serving);
		return code;
	}
	hall->one[hall->count++] = serving;
	hall->polled[hall->count] = (struct pollfd){.fd = vshm_server_fd(serving->server), .events = POLLIN};
	say_news("%s: serving at %s", plan->name, plan->socket);
	return CTL_OK;
}

static struct serving *find(const struct hall *hall, const char *name)
{
	for (size_t i = 0; i < hall->count; i++) {
		if (!strcmp(hall->one[i]->plan.name, name))
			return hall->one[i];
	}
	return NULL;
}

static void close_all(struct hall *hall)
{
	for (size_t i = 0; i < hall->count; i++) {
		serving_close(hall->one[i]);
		free(hall->one[i]);
	}
	free(hall->one);
	free(hall->polled);
}

/* One that cannot be served is no reason to leave the others alone, but at the start. */
static int add_all(struct hall *hall, const struct request *request, const struct config *config, bool start)
{
	int code = CTL_OK;
	for (size_t i = 0; i < config->count && !(start && code); i++) {
		if (is_meant(request, config->plans[i]) && !find(hall, config->plans[i]->name))
			code = add(hall, config->plans[i]);
	}
	return code;
}

static int begin_from_files(struct hall *hall, const struct request *request)
{
	struct config config = {0};
	char why[CONFIG_WHY_SIZE];
	int code = read_config(request, &config, why) ? say_failed("%s", why) : check_config(request, &config);
	if (!code)
		code = add_all(hall, request, &config, true);
	config_free(&config);
	return code;
}

/* The name is that of the socket, unless it is given. */
static int name_plan(struct plan *plan, const struct request *request)
{
	const char *slash = strrchr(plan->socket, '/');
	size_t length = strcspn(slash + 1, ".");
	if (*request->names && request->names[1])
		return say_usage("'%s' is one argument too many: with --socket one region is served",
				 request->names[1]);
	if (*request->names)
		(void)snprintf(plan->name, sizeof(plan->name), "%s", *request->names);
	else
		(void)snprintf(plan->name, sizeof(plan->name), "%.*s", (int)(length < VSHM_NAME_SIZE ? length : 0),
			       slash + 1);
	return parse_name(plan->name) ? say_usage("NAME is missing") : CTL_OK;
}

static int begin_from_options(struct hall *hall, struct request *request)
{
	char room[VSHM_WHY_SIZE];
	enum plan_key key;
	unsigned line;
	struct plan *plan = &request->plan;
	if (request->file)
		return say_usage("--config and options of a region exclude each other: write them into the file");
	if (!plan->socket[0])
		return say_usage("--socket is missing: write where to listen, such as --socket /run/vshm/net0.sock");
	if (!plan->path[0])
		return say_usage("--path or --memfd is missing: write whose memory is served");
	int code = name_plan(plan, request);
	const char *bad = code ? NULL : plan_check(plan, PLAN_REPLACE, &key, &line, room);
	if (bad)
		return say_usage("--%s: %s", plan_key_name(key), bad);
	return code ? code : add(hall, plan);
}

static void reload(struct hall *hall, const struct request *request)
{
	struct config config = {0};
	char why[CONFIG_WHY_SIZE], words[80];
	struct timespec now;
	if (request->any_key)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(words, sizeof(words), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
		       (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	service_tell(words);
	if (read_config(request, &config, why)) {
		say_note("all stays as it is: %s", why);
	} else if (!check_config(request, &config)) {
		for (size_t i = 0; i < hall->count; i++)
			serving_reload(hall->one[i], config_find(&config, hall->one[i]->plan.name));
		(void)add_all(hall, request, &config, false);
	}
	config_free(&config);
	service_tell("READY=1");
}

/* ---- the loop ---- */

static int open_signals(void)
{
	sigset_t signals;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A signal that asks to leave, or 0. */
static bool asked_to_leave(struct hall *hall, const struct request *request, int signals)
{
	struct signalfd_siginfo info;
	while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			return true;
		reload(hall, request);
	}
	return false;
}

static int run_all(struct hall *hall, const struct request *request, int signals)
{
	int code = CTL_OK;
	while (!code) {
		hall->polled[0] = (struct pollfd){.fd = signals, .events = POLLIN};
		if (poll(hall->polled, hall->count + 1, serving_say_rest()) < 0 && errno != EINTR)
			return say_failed("cannot wait: %s", strerror(errno));
		for (size_t i = 0; i < hall->count && !code; i++) {
			if (hall->polled[i + 1].revents)
				code = serving_dispatch(hall->one[i]);
		}
		if (hall->polled[0].revents && asked_to_leave(hall, request, signals))
			return CTL_OK;
	}
	return code;
}

static int run(int argc, char **argv)
{
	static struct request request; /* large */
	struct hall hall = {0};
	plan_init(&request.plan);
	int code = read_options(argc, argv, &request);
	if (code)
		return code;
	int signals = open_signals();
	if (signals < 0)
		return say_failed("no descriptor for signals: %s", strerror(errno));
	service_begin();
	code = request.any_key ? begin_from_options(&hall, &request) : begin_from_files(&hall, &request);
	unsigned rest = service_close_rest();
	if (rest && !code)
		say_note("%u descriptors that were handed in belong to no region here", rest);
	if (!code) {
		service_tell("READY=1");
		code = run_all(&hall, &request, signals);
		service_tell("STOPPING=1");
	}
	close_all(&hall);
	close(signals);
	return code;
}

const struct command command_serve = {
	.name = "serve",
	.arguments = "[NAME...] [--config FILE] | [NAME] --socket PATH --path FILE|--memfd [OPTION...]",
	.summary = "Be an ivshmem server: hand regions and doorbells to virtual machines",
	.help = "  --socket PATH          where to listen, such as /run/vshm/net0.sock\n"
		"  --path FILE            the memory: a region in a file, which exists (vshmctl create)\n"
		"  --memfd                the memory has no path: a new region that is there as long as the server\n"
		"  --size SIZE            --memfd: bytes of the region, with K, M, G or T; QEMU takes only powers of two\n"
		"  --peers N              --memfd: how many peers share it, 1 to 64; default: 2\n"
		"  --vectors N            doorbells of each client, 1 to 64; default: 1, which is all that libvshm uses\n"
		"  --allow LIST           who may connect, such as uid:0,gid:kvm; default: whoever the mode lets in\n"
		"  --owner USER[:GROUP]   who owns the socket; default: you\n"
		"  --mode MODE            permission bits of the socket, in octal; default: 0600\n"
		"  --config FILE          serve the regions of an INI file that have a socket; with NAME, only those\n"
		"\n"
		"Without options: the regions of /etc/vshm/*.ini that have a socket, or those called NAME. There the keys path (memfd\n"
		"for memory without a path), socket, vectors, allow, owner and mode mean the same. Says a line for each client that\n"
		"comes, goes, or is not let in. SIGTERM and SIGINT end it; SIGHUP reads the files again, and no client is dropped.\n",
	.run = run,
};
