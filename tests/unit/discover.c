/* SPDX-License-Identifier: BSD-3-Clause */
/* libvshm-discover as a program sees it: what lies on this host. Devices are in tests/cli/test_discover.py and tests/vm. */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vshm/discover.h>
#include <vshm/region.h>

static char run[300], path[320];

/* A directory for each test, so that they do not see one another's. */
static void make_world(void)
{
	char directory[280];

	(void)snprintf(directory, sizeof(directory), "%s/XXXXXX", support_dir());
	ck_assert(mkdtemp(directory) != NULL);
	(void)snprintf(run, sizeof(run), "%s/run", directory);
	(void)snprintf(path, sizeof(path), "%s/net", directory);
	ck_ok(mkdir(run, 0755));
	ck_ok(setenv("VSHM_RUN_DIR", run, 1));
}

static void make_region(void)
{
	ck_assert_int_eq(vshm_region_create(path, NULL, NULL), 0);
	ck_assert_int_eq(vshm_region_register("net", path, NULL), 0);
}

/* What was said of "net", and how often anything was said of it. */
struct seen {
	struct vshm_found found;
	enum vshm_found_change change;
	unsigned times;
};

static void see(void *arg, const struct vshm_found *found)
{
	struct seen *seen = arg;

	if (strcmp(found->name, "net") != 0)
		return;
	seen->found = *found;
	seen->times++;
}

static void see_change(void *arg, enum vshm_found_change change, const struct vshm_found *found)
{
	struct seen *seen = arg;
	unsigned before = seen->times;

	see(arg, found);
	if (seen->times > before)
		seen->change = change;
}

START_TEST(a_region_is_found)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct seen seen = {.times = 0};

	make_region();
	options.kinds = 1u << VSHM_FOUND_REGION;
	ck_assert_int_ge(vshm_discover(&options, see, &seen), 1);
	ck_assert_uint_eq(seen.times, 1);
	ck_assert_int_eq(seen.found.error, 0);
	ck_assert_uint_eq(seen.found.peers, 2);
	ck_assert_uint_eq(seen.found.holders, 0);
	ck_assert_str_eq(seen.found.uri, path);
	ck_assert_str_eq(vshm_found_kind_text(seen.found.kind), "region");
}
END_TEST

START_TEST(a_shallow_look_opens_nothing)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct seen seen = {.times = 0};

	make_region();
	options.flags = VSHM_DISCOVER_SHALLOW;
	ck_assert_int_ge(vshm_discover(&options, see, &seen), 1);
	ck_assert_uint_eq(seen.times, 1);
	ck_assert_uint_eq(seen.found.peers, 0);
	ck_assert_int_eq(seen.found.error, 0);
}
END_TEST

START_TEST(who_has_it_open)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct seen seen = {.times = 0};
	void *mapping = NULL;
	int fd;
	pid_t child;

	make_region();
	fd = open(path, O_RDONLY);
	if (_i) { /* mapped, and closed */
		mapping = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		ck_ok(close(fd));
	}
	options.flags = VSHM_DISCOVER_HOLDERS;
	ck_assert_int_ge(vshm_discover(&options, see, &seen), 1);
	ck_assert_uint_eq(seen.found.holders, 0); /* it does not tell itself */
	child = support_fork();
	if (!child)
		for (;;)
			pause();
	ck_ok(_i ? munmap(mapping, 4096) : close(fd));
	ck_assert_int_ge(vshm_discover(&options, see, &seen), 1);
	ck_assert_uint_eq(seen.found.holders, 1);
	ck_assert_uint_eq(seen.found.holder[0].pid, (unsigned)child);
	ck_assert_str_eq(seen.found.holder[0].command, program_invocation_short_name);
	ck_ok(kill(child, SIGKILL));
	ck_assert_int_ge(support_wait(child, SUPPORT_LONG), 0);
}
END_TEST

/* ---- diagnosis ---- */

struct said {
	int problems, all;
	char topic[32], command[VSHM_COMMAND_SIZE];
};

static void hear(void *arg, const struct vshm_finding *finding)
{
	struct said *said = arg;

	said->all++;
	if (finding->level != VSHM_FINDING_PROBLEM)
		return;
	said->problems++;
	(void)snprintf(said->topic, sizeof(said->topic), "%s", finding->topic);
	(void)snprintf(said->command, sizeof(said->command), "%s", finding->command);
}

START_TEST(a_name_without_its_region_is_a_problem)
{
	struct seen seen = {.times = 0};
	struct said said = {0};

	make_region();
	ck_assert_int_ge(vshm_discover(NULL, see, &seen), 1);
	ck_assert_int_eq(vshm_diagnose(&seen.found, hear, &said), 0);
	ck_assert_int_ge(said.all, 1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_ge(vshm_discover(NULL, see, &seen), 1);
	ck_assert_int_eq(seen.found.error, -ENOENT);
	ck_assert_int_eq(vshm_diagnose(&seen.found, hear, &said), 1);
	ck_assert_int_eq(said.problems, 1);
	ck_assert_str_eq(said.topic, "registration");
	ck_assert_str_eq(said.command, "vshmctl destroy net");
}
END_TEST

/* Like a server of ours: bound under another name, then renamed. */
static int make_server(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_lt(snprintf(address.sun_path, sizeof(address.sun_path), "%s/.hidden", run),
			 (int)sizeof(address.sun_path));
	ck_ok(bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)));
	ck_ok(listen(fd, 1));
	(void)snprintf(path, sizeof(path), "%s/net.sock", run);
	ck_ok(rename(address.sun_path, path));
	return fd;
}

START_TEST(a_server_that_lives_is_not_removed)
{
	struct seen seen = {.times = 0};
	struct said said = {0};
	int fd = make_server();

	ck_assert_int_ge(vshm_discover(NULL, see, &seen), 1);
	ck_assert_int_eq(seen.found.kind, VSHM_FOUND_SERVER);
	ck_assert_int_eq(seen.found.error, 0);
	ck_assert_uint_eq(seen.found.flags, VSHM_FOUND_LISTENS);
	ck_assert_int_eq(vshm_diagnose(&seen.found, hear, &said), 0);
	ck_assert_int_lt(accept(fd, NULL, NULL), 0); /* it heard nothing of it */
	ck_assert_int_eq(errno, EAGAIN);
	ck_ok(close(fd));
	ck_assert_int_ge(vshm_discover(NULL, see, &seen), 1);
	ck_assert_int_eq(seen.found.error, -EPIPE);
	ck_assert_int_eq(vshm_diagnose(&seen.found, hear, &said), 1);
	ck_assert_int_eq(strncmp(said.command, "rm ", 3), 0);
	ck_assert_str_eq(said.command + 3, path);
}
END_TEST

/* ---- monitor ---- */

/* Waits for a change of "net": other programs have regions, too. */
static enum vshm_found_change next_change(struct vshm_monitor *monitor, struct seen *seen)
{
	struct pollfd ready = {vshm_monitor_fd(monitor), POLLIN, 0};

	seen->times = 0;
	while (!seen->times) {
		ck_assert_int_eq(poll(&ready, 1, 20000), 1);
		ck_assert_int_ge(vshm_monitor_dispatch(monitor, see_change, seen), 0);
	}
	return seen->change;
}

START_TEST(regions_come_and_go)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct vshm_monitor *monitor;
	struct seen seen = {.times = 0};

	options.kinds = 1u << VSHM_FOUND_REGION;
	ck_assert_int_eq(vshm_monitor_open(&options, &monitor, NULL), 0);
	ck_assert_int_ge(vshm_monitor_dispatch(monitor, see_change, &seen), 0);
	ck_assert_uint_eq(seen.times, 0);
	make_region();
	ck_assert_int_eq(next_change(monitor, &seen), VSHM_FOUND_ADDED);
	ck_assert_int_eq(seen.found.error, 0);
	ck_assert_int_eq(vshm_monitor_dispatch(monitor, see_change, &seen), 0);
	ck_assert_int_eq(vshm_region_register("net", "file:/dev/shm/other", NULL), 0);
	ck_assert_int_eq(next_change(monitor, &seen), VSHM_FOUND_CHANGED);
	ck_assert_int_eq(seen.found.error, -ENOENT);
	ck_assert_int_eq(vshm_region_register("net", NULL, NULL), 0);
	ck_assert_int_eq(next_change(monitor, &seen), VSHM_FOUND_REMOVED);
	ck_assert_int_eq(vshm_monitor_close(monitor), 0);
}
END_TEST

START_TEST(the_run_directory_may_come_later)
{
	struct vshm_monitor *monitor;
	struct seen seen = {.times = 0};

	ck_assert_int_eq(rmdir(run), 0);
	ck_assert_int_eq(vshm_monitor_open(NULL, &monitor, NULL), 0);
	ck_assert_int_ge(vshm_monitor_dispatch(monitor, see_change, &seen), 0);
	ck_assert_int_eq(mkdir(run, 0755), 0);
	make_region();
	ck_assert_int_eq(next_change(monitor, &seen), VSHM_FOUND_ADDED);
	ck_assert_int_eq(vshm_monitor_close(monitor), 0);
}
END_TEST

START_TEST(mistakes_are_refused)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct {
		struct vshm_discover_options known;
		char unknown;
	} newer = {VSHM_DISCOVER_OPTIONS_INIT, 1};
	struct vshm_monitor *monitor;
	struct seen seen = {.times = 0};

	ck_assert_int_eq(vshm_discover(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(vshm_diagnose(NULL, hear, NULL), -EINVAL);
	ck_assert_int_eq(vshm_diagnose(&seen.found, hear, NULL), -EINVAL);
	ck_assert_int_eq(vshm_monitor_open(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(vshm_monitor_fd(NULL), -EINVAL);
	ck_assert_int_eq(vshm_monitor_dispatch(NULL, see_change, &seen), -EINVAL);
	ck_assert_int_eq(vshm_monitor_close(NULL), -EINVAL);
	options.flags = 1u << 31;
	ck_assert_int_eq(vshm_discover(&options, see, &seen), -EINVAL);
	ck_assert_int_eq(vshm_monitor_open(&options, &monitor, NULL), -EINVAL);
	options.flags = 0;
	options.kinds = 1;
	ck_assert_int_eq(vshm_discover(&options, see, &seen), -EINVAL);
	options.kinds = 0;
	options.struct_size = 1;
	ck_assert_int_eq(vshm_discover(&options, see, &seen), -EINVAL);
	newer.known.struct_size = sizeof(newer);
	ck_assert_int_eq(vshm_discover(&newer.known, see, &seen), -E2BIG);
	ck_assert_str_eq(vshm_found_kind_text(0), "unknown");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("discover");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, make_world, NULL);
	tcase_add_test(tc, a_region_is_found);
	tcase_add_test(tc, a_shallow_look_opens_nothing);
	tcase_add_loop_test(tc, who_has_it_open, 0, 2);
	tcase_add_test(tc, a_name_without_its_region_is_a_problem);
	tcase_add_test(tc, a_server_that_lives_is_not_removed);
	tcase_add_test(tc, regions_come_and_go);
	tcase_add_test(tc, the_run_directory_may_come_later);
	tcase_add_test(tc, mistakes_are_refused);
	suite_add_tcase(suite, tc);
	return unit_run("discover", suite);
}
