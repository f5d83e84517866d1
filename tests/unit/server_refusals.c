/* SPDX-License-Identifier: BSD-3-Clause */
/* server: who is not let in, what is thrown out, and where no server can be. */
#include "server_help.h"

#include <grp.h>
#include <poll.h>
#include <sys/resource.h>

/* ---- who may not come in ---- */

static void expect_refusal(enum vshm_server_reason reason)
{
	unsigned before = events.count[VSHM_SERVER_REFUSED];
	int client = connect_raw();

	expect(client, GOODBYE);
	ck_assert_uint_eq(events.count[VSHM_SERVER_REFUSED], before + 1);
	ck_assert_int_eq(events.last.change, VSHM_SERVER_REFUSED);
	ck_assert_int_eq(events.last.reason, reason);
	ck_assert_uint_eq(events.last.id, NO_ID);
	close(client);
}

START_TEST(full)
{
	struct vshm_server_options options = options_for(1, 3);
	int clients[3];

	open_server(&options);
	for (unsigned i = 0; i < 3; i++)
		clients[i] = connect_raw();
	for (unsigned i = 0; i < 10; i++)
		expect_refusal(VSHM_SERVER_FULL);
	leave(clients[1]);
	clients[1] = connect_raw();
	ck_assert_uint_eq(expect_opening(clients[1]), 3);
	expect_refusal(VSHM_SERVER_FULL);
	for (unsigned i = 0; i < 3; i++)
		close(clients[i]);
	close_server();
}
END_TEST

START_TEST(full_of_one_user)
{
	struct vshm_server_options options = options_for(1, 8);
	int clients[2];

	options.clients_per_user = 2;
	open_server(&options);
	for (unsigned i = 0; i < 2; i++)
		clients[i] = connect_raw();
	expect_refusal(VSHM_SERVER_USER_FULL);
	ck_assert_uint_eq(events.last.uid, getuid());
	ck_assert_uint_eq(events.last.gid, getgid());
	ck_assert_uint_eq(events.last.pid, (uint32_t)getpid());
	close(clients[0]);
	close(clients[1]);
	close_server();
}
END_TEST

START_TEST(the_access_list)
{
	const uint32_t self = getuid(), own_group = getgid(), others[] = {4000000000u, 4000000001u};
	struct vshm_server_options options = options_for(1, 8);

	options.allow_uids = options.allow_gids = others;
	options.allow_uid_count = options.allow_gid_count = 2;
	open_server(&options);
	expect_refusal(VSHM_SERVER_ACCESS);
	options.allow_uids = &self;
	options.allow_uid_count = 1;
	ck_ok(vshm_server_update(server, &options));
	leave(connect_raw());
	ck_assert_int_eq(events.last.change, VSHM_SERVER_LEFT);
	options.allow_uid_count = 0;
	ck_ok(vshm_server_update(server, &options));
	expect_refusal(VSHM_SERVER_ACCESS);
	options.allow_gids = &own_group;
	options.allow_gid_count = 1;
	ck_ok(vshm_server_update(server, &options));
	leave(connect_raw());
	ck_assert_int_eq(events.last.change, VSHM_SERVER_LEFT);
	close_server();
}
END_TEST

/* The groups that a process is in besides its own count, too, be they many. */
START_TEST(further_groups)
{
	const uint32_t wanted = 70000;
	struct vshm_server_options options = options_for(1, 8);
	gid_t groups[300];

	if (geteuid() != 0)
		return; /* only root chooses its groups */
	options.allow_gids = &wanted;
	options.allow_gid_count = 1;
	open_server(&options);
	expect_refusal(VSHM_SERVER_ACCESS);
	for (unsigned i = 0; i < 300; i++)
		groups[i] = 70299 - i;
	for (size_t count = 300; count; count = count == 300 ? 1 : 0) {
		ck_ok(setgroups(count, groups + 300 - count));
		leave(connect_raw());
		ck_assert_int_eq(events.last.change, VSHM_SERVER_LEFT);
	}
	ck_ok(setgroups(10, groups));
	expect_refusal(VSHM_SERVER_ACCESS);
	close_server();
}
END_TEST

/* Those who are there stay when nobody else is let in. */
START_TEST(shut)
{
	struct vshm_server_options options = options_for(1, 8);
	int client;

	open_server(&options);
	client = connect_alone(0);
	options.flags = VSHM_SERVER_ADMIT_NONE;
	ck_ok(vshm_server_update(server, &options));
	expect_refusal(VSHM_SERVER_SHUT);
	expect(client, NOTHING);
	options.flags = 0;
	ck_ok(vshm_server_update(server, &options));
	leave(connect_raw());
	expect_bells(client, 1, 1, NULL);
	expect(client, 1);
	close(client);
	close_server();
}
END_TEST

/* ---- what is thrown out ---- */

static void say_bytes(int client, int kind)
{
	static const char bytes[4096];

	ck_assert_int_gt(send(client, bytes, kind ? sizeof(bytes) : 1, kind == 2 ? MSG_OOB : 0), 0);
}

static void say_descriptors(int client)
{
	union {
		struct cmsghdr header;
		unsigned char room[CMSG_SPACE(200 * sizeof(int))];
	} control = {.room = {0}};
	char byte = 0;
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(200 * sizeof(int));
	for (unsigned i = 0; i < 200; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &client, sizeof(int));
	ck_assert_int_eq(sendmsg(client, &message, 0), 1);
}

/* A byte, many, one out of band, descriptors: nothing of it is taken, and the others hear only that somebody left. */
START_TEST(clients_that_speak)
{
	struct vshm_server_options options = options_for(1, 8);
	int honest, client, fds;

	open_server(&options);
	honest = connect_alone(0);
	fds = support_count_fds();
	for (int kind = 0; kind < 4; kind++) {
		client = connect_raw();
		if (kind < 3)
			say_bytes(client, kind);
		else
			say_descriptors(client);
		run_server();
		ck_assert_int_eq(events.last.change, VSHM_SERVER_DROPPED);
		ck_assert_int_eq(events.last.reason, VSHM_SERVER_SPOKE);
		ck_assert_uint_eq(events.last.id, (uint32_t)kind + 1);
		close(client);
		ck_assert_int_eq(drain(honest), 2);
		ck_assert_int_eq(support_count_fds(), fds);
	}
	ck_assert_uint_eq(info_of_server().dropped, 4);
	ck_assert_uint_eq(info_of_server().clients, 1);
	close(honest);
	close_server();
}
END_TEST

/* Before it was let in: costs no id. */
START_TEST(clients_that_speak_at_once)
{
	struct vshm_server_options options = options_for(1, 8);
	int client;

	open_server(&options);
	client = try_connect(0);
	say_bytes(client, 0);
	run_server();
	ck_assert_int_eq(events.last.change, VSHM_SERVER_REFUSED);
	ck_assert_int_eq(events.last.reason, VSHM_SERVER_SPOKE);
	close(client);
	close(try_connect(0)); /* nor does one who went already */
	run_server();
	ck_assert_uint_eq(info_of_server().next_id, 0);
	ck_assert_uint_eq(info_of_server().joined, 0);
	close_server();
}
END_TEST

START_TEST(clients_that_hang_up_by_half)
{
	struct vshm_server_options options = options_for(1, 8);

	open_server(&options);
	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		int client = connect_raw(), other;

		ck_ok(shutdown(client, how));
		run_server();
		other = connect_raw(); /* whoever cannot hear is noticed when there is something to say */
		leave(other);
		ck_assert_uint_eq(info_of_server().clients, 0);
		ck_assert_int_eq(events.last.change, VSHM_SERVER_LEFT);
		close(client);
	}
	close_server();
}
END_TEST

/* One who does not take what it is to know from the start is dropped after 10 seconds. */
START_TEST(introduction_not_read)
{
	struct vshm_server_options options = options_for(16, 8);
	struct pollfd ready;
	int64_t begin = support_now_ns();
	int client;

	open_server(&options);
	client = connect_raw();
	ready = (struct pollfd){.fd = vshm_server_fd(server), .events = POLLIN};
	while (!events.count[VSHM_SERVER_DROPPED] && support_now_ns() - begin < SUPPORT_LONG) {
		(void)poll(&ready, 1, 1000);
		ck_ok(vshm_server_dispatch(server));
	}
	ck_assert_int_eq(events.last.reason, VSHM_SERVER_SLOW);
	ck_assert_int_ge(support_now_ns() - begin, 10 * SUPPORT_SECOND);
	ck_assert_int_eq(poll(&ready, 1, 1500), 1); /* the last tick */
	ck_ok(vshm_server_dispatch(server));
	ck_assert_int_eq(poll(&ready, 1, 1500), 0); /* nobody is waited for, so nothing ticks */
	close(client);
	close_server();
}
END_TEST

/* ---- descriptors ---- */

static void limit_fds(rlim_t soft)
{
	struct rlimit limit;

	ck_ok(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = soft;
	ck_ok(setrlimit(RLIMIT_NOFILE, &limit));
}

/* The budget is looked at before anything is opened. */
START_TEST(no_budget)
{
	struct vshm_server_options options = options_for(64, 100);
	int clients[3];

	open_server(&options);
	limit_fds(16 + 4 * 65 - 1);
	for (unsigned i = 0; i < 3; i++) {
		clients[i] = connect_raw();
		(void)drain(clients[i]);
	}
	ck_assert_uint_eq(info_of_server().clients, 3);
	expect_refusal(VSHM_SERVER_DESCRIPTORS);
	for (unsigned i = 0; i < 3; i++)
		close(clients[i]);
	run_server();
	leave(connect_raw());
	ck_assert_int_eq(events.last.change, VSHM_SERVER_LEFT);
	close_server();
}
END_TEST

/* Nor may those who do not read have so many under way that the others get none (unix(7), ETOOMANYREFS). */
START_TEST(no_budget_under_way)
{
	struct vshm_server_options options = options_for(1, 100);
	int clients[10];

	open_server(&options);
	limit_fds(80);
	for (unsigned i = 0; i < 10; i++) {
		clients[i] = connect_raw();
		ck_assert_int_eq(events.last.change, VSHM_SERVER_JOINED);
	}
	expect_refusal(VSHM_SERVER_DESCRIPTORS);
	for (unsigned i = 0; i < 10; i++)
		close(clients[i]);
	close_server();
}
END_TEST

/* Fills the table of this process but for `but`. */
static unsigned use_up(int *fds, unsigned most, unsigned but)
{
	unsigned count = 0;

	while (count < most && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	for (unsigned i = 0; i < but; i++)
		close(fds[--count]);
	return count;
}

/* Others in this process took all descriptors: clients are turned away, and the server does not spin. */
START_TEST(no_descriptors)
{
	struct vshm_server_options options = options_for(4, 16);
	int fds[256], clients[8];
	unsigned count;

	open_server(&options);
	limit_fds(200);
	for (unsigned but = 0; but < 6; but++) {
		for (unsigned i = 0; i < 8; i++)
			clients[i] = try_connect(0);
		count = use_up(fds, 256, but);
		run_server(); /* returns: its descriptor is not readable for ever */
		while (count)
			close(fds[--count]);
		for (unsigned i = 0; i < 8; i++) {
			if (but < 5) {
				expect(clients[i], GOODBYE);
				ck_assert_int_eq(events.last.reason, VSHM_SERVER_DESCRIPTORS);
			}
			close(clients[i]);
		}
		run_server();
	}
	leave(connect_raw());
	ck_assert_int_eq(events.last.change, VSHM_SERVER_LEFT);
	close_server();
}
END_TEST

/* ---- where no server can be ---- */

static void cannot_open(const char *path, int memory, const struct vshm_server_options *options, int error,
			const char *words)
{
	char why[VSHM_WHY_SIZE] = "";
	int fds = support_count_fds();

	ck_is(vshm_server_open(path, memory, options, &server, why), error);
	ck_assert_msg(strstr(why, words) != NULL, "%s", why);
	ck_assert_int_eq(support_count_fds(), fds);
}

START_TEST(places)
{
	int memory = make_memory();
	char path[400], link[400], why[VSHM_WHY_SIZE];
	struct vshm_server *first;
	struct stat st;

	snprintf(path, sizeof(path), "%s/no/socket", support_dir());
	cannot_open(path, memory, NULL, -ENOENT, "directory");
	snprintf(path, sizeof(path), "%s/%0120d", support_dir(), 0);
	cannot_open(path, memory, NULL, -EINVAL, "107");
	cannot_open("", memory, NULL, -EINVAL, "no path");
	snprintf(path, sizeof(path), "%s/..", support_dir());
	cannot_open(path, memory, NULL, -EINVAL, "no path");
	snprintf(path, sizeof(path), "%s/file", support_dir());
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cannot_open(path, memory, NULL, -EEXIST, "no socket");
	snprintf(link, sizeof(link), "%s/link", support_dir());
	ck_ok(symlink("nowhere", link));
	cannot_open(link, memory, NULL, -EEXIST, "no socket");
	ck_ok(lstat(link, &st));
	ck_assert(S_ISLNK(st.st_mode));
	ck_ok(unlink(link));
	ck_ok(unlink(path));
	snprintf(path, sizeof(path), "%s/socket", support_dir());
	ck_ok(vshm_server_open(path, memory, NULL, &first, why));
	cannot_open(path, memory, NULL, -EBUSY, "already");
	ck_ok(vshm_server_close(first));
	ck_assert_int_eq(support_count_entries(support_dir()), 0);
	close(memory);
}
END_TEST

START_TEST(directories_of_others)
{
	int memory = make_memory();
	char dir[300], path[340];

	snprintf(dir, sizeof(dir), "%s/dir", support_dir());
	snprintf(path, sizeof(path), "%s/socket", dir);
	ck_ok(mkdir(dir, 0700));
	ck_ok(chmod(dir, 0777));
	cannot_open(path, memory, NULL, -EACCES, "chmod go-w");
	ck_ok(chmod(dir, 01777));
	ck_ok(vshm_server_open(path, memory, NULL, &server, NULL));
	ck_ok(vshm_server_close(server));
	if (geteuid() == 0) {
		ck_ok(chmod(dir, 0755));
		ck_ok(chown(dir, 65534, 65534));
		cannot_open(path, memory, NULL, -EACCES, "65534");
	}
	ck_ok(rmdir(dir));
	close(memory);
}
END_TEST

/* A socket where nobody listens is replaced; owner and mode are what was asked for, whatever umask says. */
START_TEST(what_a_dead_server_left)
{
	struct vshm_server_options options = options_for(1, 4);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", support_dir());
	ck_ok(bind(dead, (const struct sockaddr *)(const void *)&address, sizeof(address)));
	close(dead);
	options.mode = 0620;
	if (geteuid() == 0)
		options.gid = 12345;
	for (unsigned mask = 0; mask <= 0777; mask += 0777) {
		mode_t kept = umask(mask);

		open_server(&options);
		umask(kept);
		ck_ok(lstat(place, &st));
		ck_assert(S_ISSOCK(st.st_mode));
		ck_assert_uint_eq(st.st_mode & 0777, 0620);
		if (geteuid() == 0)
			ck_assert_uint_eq(st.st_gid, 12345);
		ck_assert_int_eq(support_count_entries(support_dir()), 1);
		close(connect_alone(0));
		close_server();
	}
}
END_TEST

/* What took the server's place meanwhile is not removed. */
START_TEST(a_place_taken_over)
{
	struct vshm_server_options options = options_for(1, 4);

	open_server(&options);
	ck_ok(unlink(place));
	close(open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_ok(vshm_server_close(server));
	ck_ok(unlink(place));
}
END_TEST

START_TEST(memories)
{
	char path[300];
	int pair[2], empty = memfd_create("empty", MFD_CLOEXEC), memory = make_memory(), readable;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	ck_ok(pipe2(pair, O_CLOEXEC));
	snprintf(path, sizeof(path), "%s/socket", support_dir());
	cannot_open(path, -1, NULL, -EINVAL, "file");
	cannot_open(path, pair[0], NULL, -EINVAL, "file");
	cannot_open(path, empty, NULL, -EINVAL, "empty");
	cannot_open(path, readable, NULL, -EINVAL, "writing");
	ck_assert_int_eq(support_count_entries(support_dir()), 0);
	close(pair[0]);
	close(pair[1]);
	close(empty);
	close(memory);
	close(readable);
}
END_TEST

START_TEST(arguments)
{
	static const uint32_t many[VSHM_SERVER_ACCESS_MAX + 1];
	struct vshm_server_options wrong[10];
	struct vshm_server_info info = VSHM_SERVER_INFO_INIT;
	int memory = make_memory();

	for (unsigned i = 0; i < 10; i++)
		wrong[i] = options_for(1, 4);
	wrong[0].vectors = 0;
	wrong[1].vectors = 65;
	wrong[2].clients = 0;
	wrong[3].clients = 1025;
	wrong[4].first_id = 65536;
	wrong[5].flags = 2;
	wrong[6].mode = 01000;
	wrong[7].allow_uid_count = 1;
	wrong[8].allow_gids = many;
	wrong[8].allow_gid_count = VSHM_SERVER_ACCESS_MAX + 1;
	wrong[9].struct_size = 1;
	snprintf(place, sizeof(place), "%s/socket", support_dir());
	for (unsigned i = 0; i < 10; i++)
		cannot_open(place, memory, &wrong[i], -EINVAL, "not lawful");
	wrong[9].struct_size = sizeof(wrong[9]) + 4096;
	cannot_open(place, memory, &wrong[9], -E2BIG, "not lawful");
	cannot_open(NULL, memory, NULL, -EINVAL, "no path");
	ck_is(vshm_server_open(place, memory, NULL, NULL, NULL), -EINVAL);
	ck_is(vshm_server_adopt(memory, memory, NULL, &server, NULL), -EINVAL);
	ck_is(vshm_server_close(NULL), -EINVAL);
	ck_is(vshm_server_fd(NULL), -EINVAL);
	ck_is(vshm_server_dispatch(NULL), -EINVAL);
	ck_is(vshm_server_info(NULL, &info), -EINVAL);
	ck_is(vshm_server_update(NULL, NULL), -EINVAL);
	wrong[0].struct_size = sizeof(size_t); /* the rest is as by default */
	ck_ok(vshm_server_open(place, memory, &wrong[0], &server, NULL));
	ck_is(vshm_server_info(server, NULL), -EINVAL);
	wrong[3].clients = 129;
	ck_is(vshm_server_update(server, &wrong[3]), -EINVAL);
	ck_ok(vshm_server_close(server));
	for (int reason = -1; reason < 12; reason++)
		ck_assert_uint_gt(strlen(vshm_server_reason_text((enum vshm_server_reason)reason)), 3);
	close(memory);
}
END_TEST

/* An event may ask for figures, and nothing else. */
static void curious(void *arg, const struct vshm_server_event *event)
{
	unsigned *calls = arg;

	(void)event;
	(void)info_of_server();
	ck_is(vshm_server_dispatch(server), -EINVAL);
	ck_is(vshm_server_close(server), -EINVAL);
	ck_is(vshm_server_update(server, NULL), -EINVAL);
	(*calls)++;
}

START_TEST(calls_from_an_event)
{
	struct vshm_server_options options = options_for(1, 4);
	unsigned calls = 0;

	options.event = curious;
	options.event_arg = &calls;
	open_server(&options);
	close(connect_raw());
	close_server();
	ck_assert_uint_eq(calls, 2);
}
END_TEST

/* As systemd does it. */
START_TEST(a_socket_handed_in)
{
	struct vshm_server_options options = options_for(1, 4);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int memory = make_memory(), client, listener = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(&events, 0, sizeof(events));
	snprintf(place, sizeof(place), "%s/socket", support_dir());
	memcpy(address.sun_path, place, strlen(place));
	ck_ok(bind(listener, (const struct sockaddr *)(const void *)&address, sizeof(address)));
	ck_is(vshm_server_adopt(listener, memory, &options, &server, NULL), -EINVAL); /* does not listen */
	ck_ok(listen(listener, 5));
	ck_is(vshm_server_adopt(listener, -1, &options, &server, NULL), -EINVAL);
	ck_ok(vshm_server_adopt(listener, memory, &options, &server, NULL));
	ck_assert(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	client = connect_alone(0);
	ck_ok(vshm_server_close(server));
	ck_assert_int_eq(fcntl(listener, F_GETFD), -1);
	ck_ok(unlink(place));
	close(client);
	close(memory);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server: refusals");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, full);
	tcase_add_test(tc, full_of_one_user);
	tcase_add_test(tc, the_access_list);
	tcase_add_test(tc, further_groups);
	tcase_add_test(tc, shut);
	tcase_add_test(tc, clients_that_speak);
	tcase_add_test(tc, clients_that_speak_at_once);
	tcase_add_test(tc, clients_that_hang_up_by_half);
	tcase_add_test(tc, introduction_not_read);
	tcase_add_test(tc, no_budget);
	tcase_add_test(tc, no_budget_under_way);
	tcase_add_test(tc, no_descriptors);
	tcase_add_test(tc, places);
	tcase_add_test(tc, directories_of_others);
	tcase_add_test(tc, what_a_dead_server_left);
	tcase_add_test(tc, a_place_taken_over);
	tcase_add_test(tc, memories);
	tcase_add_test(tc, arguments);
	tcase_add_test(tc, calls_from_an_event);
	tcase_add_test(tc, a_socket_handed_in);
	suite_add_tcase(suite, tc);
	return unit_run("server-refusals", suite);
}
