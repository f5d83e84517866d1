/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: in a process of its own, under clients that mean harm. An honest one connects again and again meanwhile; how long
 * that takes, and what memory the server takes, is printed beside what is wanted. Times are only checked for not being out
 * of all proportion: on a loaded machine they are the machine's.
 */
#include "server_help.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define WANTED_MS 100
#define WANTED_MIB 64
#define HANGS_NS (20 * WANTED_MS * SUPPORT_MS)
#define ROUNDS 200

static void serve_for_ever(void)
{
	struct pollfd ready = {.fd = vshm_server_fd(server), .events = POLLIN};

	while (poll(&ready, 1, -1) < 0 || !vshm_server_dispatch(server))
		;
	_exit(1);
}

/* Runs a server in a child. */
static pid_t serve(const struct vshm_server_options *options)
{
	pid_t pid;

	open_server(options);
	pid = support_fork();
	if (!pid)
		serve_for_ever();
	return pid;
}

/* The most memory that a process ever had, in KiB. */
static long peak_of(pid_t pid)
{
	char path[64], line[128];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		(void)sscanf(line, "VmHWM: %ld", &kib);
	if (file)
		fclose(file);
	return kib;
}

/* How long a process had to wait for a CPU so far. */
static int64_t delay_of(pid_t pid)
{
	char path[64];
	long long delay = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%*d %lld", &delay) != 1)
		delay = 0;
	if (file)
		fclose(file);
	return delay;
}

static int fds_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	return support_count_entries(path);
}

/* Ticks that a process has used. */
static long ticks_of(pid_t pid)
{
	char path[64];
	long user = 0, kernel = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &kernel) != 2)
		user = 0;
	if (file)
		fclose(file);
	return user + kernel;
}

/* How long an honest client takes until it has its own doorbell. Others may come and go meanwhile. */
static int64_t honest(void)
{
	int64_t begin = support_now_ns(), id = -1, value = NOTHING;
	int client = try_connect(0), fd;

	ck_assert_int_ge(client, 0);
	for (unsigned heard = 0; heard < 3 || value != id || fd < 0;) {
		struct pollfd ready = {.fd = client, .events = POLLIN};

		ck_assert_int_eq(poll(&ready, 1, 5000), 1);
		value = hear(client, &fd);
		ck_assert_int_ne(value, GOODBYE);
		heard += value != NOTHING;
		if (heard == 2 && id < 0)
			id = value;
		if (fd >= 0)
			close(fd);
	}
	close(client);
	return support_now_ns() - begin;
}

/* What honest clients found. */
struct times {
	pid_t server;
	unsigned count;
	int64_t took[ROUNDS];
	int64_t longest, delay_then; /* and for how long server and client waited for a CPU meanwhile */
};

static void ask(struct times *times)
{
	int64_t before = delay_of(times->server) + delay_of(getpid()), took = honest();

	ck_assert_uint_lt(times->count, ROUNDS);
	times->took[times->count++] = took;
	if (took <= times->longest)
		return;
	times->longest = took;
	times->delay_then = delay_of(times->server) + delay_of(getpid()) - before;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void check_times(const char *beside, struct times *times)
{
	long kib = peak_of(times->server);
	int64_t p99;

	qsort(times->took, times->count, sizeof(times->took[0]), compare);
	p99 = times->took[times->count * 99 / 100];
	printf("beside %s: %u honest ones: p50 %.1f ms, p99 %.1f ms, max %.1f ms (wanted: %d ms); server memory %.1f MiB at most "
	       "(wanted: %d MiB)\n",
	       beside, times->count, (double)times->took[times->count / 2] / 1e6, (double)p99 / 1e6,
	       (double)times->longest / 1e6, WANTED_MS, (double)kib / 1024, WANTED_MIB);
	if (times->longest > WANTED_MS * SUPPORT_MS)
		printf("    in the longest, server and client waited %.1f ms for a CPU\n", (double)times->delay_then / 1e6);
	ck_assert_int_lt(p99, HANGS_NS);
	ck_assert_int_gt(kib, 0);
	if (!SUPPORT_SANITIZED)
		ck_assert_int_lt(kib, WANTED_MIB * 1024);
}

/* `harm` runs in a child, as nobody if that can be, until it is killed. */
static void ask_beside(void (*harm)(void), struct times *times)
{
	pid_t pid = support_fork();

	if (!pid) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534))
			_exit(1);
		for (;;)
			harm();
	}
	support_sleep_us(20000);
	for (unsigned i = 0; i < ROUNDS; i++) {
		ask(times);
		support_sleep_us(5000);
	}
	support_kill(pid);
}

static void come_and_go(void)
{
	close(try_connect(0));
}

static void come_and_stay(void)
{
	if (try_connect(0) < 0)
		support_sleep_us(1000);
	else
		support_sleep_us(100);
}

static void speak(void)
{
	static const char bytes[64];
	int client = try_connect(0);

	(void)!send(client, bytes, sizeof(bytes), MSG_NOSIGNAL);
	close(client);
}

static void join_then_go(void)
{
	int client = try_connect(0);
	struct pollfd ready = {.fd = client, .events = POLLIN};

	(void)poll(&ready, 1, 1000);
	close(client);
}

static void pass_descriptors(void)
{
	int client = try_connect(0);

	for (unsigned i = 0; i < 10; i++) {
		union {
			struct cmsghdr header;
			unsigned char room[CMSG_SPACE(100 * sizeof(int))];
		} control = {.room = {0}};
		char byte = 0;
		struct iovec part = {&byte, 1};
		struct msghdr message = {
			.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(100 * sizeof(int));
		for (unsigned j = 0; j < 100; j++)
			memcpy(CMSG_DATA(&control.header) + j * sizeof(int), &client, sizeof(int));
		(void)!sendmsg(client, &message, MSG_NOSIGNAL);
	}
	close(client);
}

/* Connects as often as it has descriptors, and then goes on trying. */
static void take_all(void)
{
	int fd = try_connect(SOCK_NONBLOCK);

	if (fd < 0 && errno != EAGAIN)
		support_sleep_us(1000);
}

static const struct {
	const char *name;
	void (*harm)(void);
	bool uninvited;
} harms[] = {
	{"one who is not on the access list", come_and_go, true},
	{"one who comes and goes", come_and_go, false},
	{"one who comes and stays", come_and_stay, false},
	{"one who takes all descriptors", take_all, false},
	{"one who speaks", speak, false},
	{"one who joins and goes", join_then_go, false},
	{"one who passes 1000 descriptors", pass_descriptors, false},
};

static void await_fds(pid_t pid, int count)
{
	for (int64_t end = support_now_ns() + SUPPORT_LONG; fds_of(pid) != count && support_now_ns() < end;)
		support_sleep_us(1000);
	ck_assert_int_eq(fds_of(pid), count);
}

START_TEST(an_honest_client_beside_harm)
{
	struct vshm_server_options options = options_for(4, 64);
	const uint32_t myself = geteuid();
	struct times times = {0};
	int idle;

	if (geteuid() != 0 && (harms[_i].uninvited || harms[_i].harm == come_and_stay || harms[_i].harm == take_all))
		return; /* all are one user, and one takes the places of the other */
	options.mode = 0666;
	options.allow_uids = &myself;
	options.allow_uid_count = harms[_i].uninvited;
	chmod(support_dir(), 0755);
	times.server = serve(&options);
	idle = fds_of(times.server);
	ask_beside(harms[_i].harm, &times);
	check_times(harms[_i].name, &times);
	await_fds(times.server, idle);
	support_kill(times.server);
	close_server();
}
END_TEST

START_TEST(ten_thousand_times)
{
	struct vshm_server_options options = options_for(2, 64);
	struct times times = {.server = serve(&options)};
	int idle = fds_of(times.server);

	for (unsigned i = 0; i < 10000; i++) {
		int client = try_connect(0);

		ck_assert_int_ge(client, 0);
		close(client);
		if (i % 100 == 0)
			ask(&times);
	}
	check_times("10000 who come and go", &times);
	(void)honest();
	await_fds(times.server, idle);
	support_kill(times.server);
	close_server();
}
END_TEST

/* As nobody the kernel limits how many descriptors a user has under way in sockets: those who do not read must not use that up. */
START_TEST(many_who_never_read)
{
	struct vshm_server_options options = options_for(4, 100);
	struct times times = {0};
	int lazy[60];
	long ticks;
	pid_t pid;

	options.clients_per_user = 100;
	options.mode = 0666;
	open_server(&options);
	chmod(support_dir(), 0755);
	pid = support_fork();
	if (!pid) {
		struct rlimit limit = {1024, 1024};

		if (setrlimit(RLIMIT_NOFILE, &limit) || (geteuid() == 0 && setresuid(65534, 65534, 65534)))
			_exit(1);
		serve_for_ever();
	}
	for (unsigned i = 0; i < 60; i++)
		lazy[i] = try_connect(0);
	times.server = pid;
	for (unsigned i = 0; i < ROUNDS; i++)
		ask(&times);
	check_times("60 who never read", &times);
	/* and nothing is done for them meanwhile */
	ticks = ticks_of(pid);
	support_sleep_us(500000);
	ck_assert_int_le(ticks_of(pid) - ticks, 5);
	for (unsigned i = 0; i < 60; i++)
		close(lazy[i]);
	support_kill(pid);
	close_server();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server: strain");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, an_honest_client_beside_harm, 0, (int)(sizeof(harms) / sizeof(harms[0])));
	tcase_add_test(tc, ten_thousand_times);
	tcase_add_test(tc, many_who_never_read);
	suite_add_tcase(suite, tc);
	return unit_run("server-strain", suite);
}
