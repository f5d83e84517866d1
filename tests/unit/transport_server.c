/* SPDX-License-Identifier: BSD-3-Clause */
/* transport: as a client of an ivshmem server that says what it should, and of servers that do not. */
#include "transport_help.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NO_FD (-1)
#define MEMORY (-2)  /* pass the memory */
#define EVENTFD (-3) /* pass a new eventfd, and keep it */
#define PIPE (-4)    /* pass something else */
#define END INT64_MIN

struct message {
	int64_t value;
	int fd;
};

#define MOST 16

/* A server for one client: its lines, perhaps byte by byte. Then it stays until it is told to close. */
static struct server {
	pthread_t thread;
	char path[PATH_MAX];
	int listener, client, memory;
	struct message lines[MOST];
	bool in_bytes;
	int eventfds[MOST];
	unsigned count;
} server;

static void pass(int socket, const void *data, size_t size, int fd)
{
	union {
		struct cmsghdr header;
		unsigned char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	(void)!sendmsg(socket, &message, MSG_NOSIGNAL);
}

static int descriptor_of(int what)
{
	if (what == MEMORY)
		return server.memory;
	if (what == PIPE)
		return server.listener;
	if (what != EVENTFD)
		return -1;
	server.eventfds[server.count] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return server.eventfds[server.count++];
}

static void say(struct message line)
{
	const char *bytes = (const char *)&line.value;
	int fd = descriptor_of(line.fd);

	if (!server.in_bytes) {
		pass(server.client, bytes, 8, fd);
		return;
	}
	for (unsigned i = 0; i < 8; i++)
		pass(server.client, bytes + i, 1, i == 3 ? fd : -1);
}

static void *serve(void *arg)
{
	(void)arg;
	server.client = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
	for (unsigned i = 0; i < MOST && server.lines[i].value != END; i++)
		say(server.lines[i]);
	return NULL;
}

static void begin(const struct message lines[], unsigned count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(&server, 0, sizeof(server));
	path_of(server.path, "socket");
	ck_assert_uint_lt(strlen(server.path), sizeof(address.sun_path));
	memcpy(address.sun_path, server.path, strlen(server.path));
	server.memory = memfd_create("region", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(server.memory, SEGMENT_SIZE), 0);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server.listener, (const struct sockaddr *)(const void *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(server.listener, 4), 0);
	for (unsigned i = 0; i < MOST; i++)
		server.lines[i] = i < count ? lines[i] : (struct message){END, NO_FD};
	ck_ok(pthread_create(&server.thread, NULL, serve, NULL));
}

static void hang_up(void)
{
	shutdown(server.client, SHUT_RDWR);
	close(server.client);
	server.client = -1;
}

static void end(void)
{
	if (server.client > 0)
		hang_up();
	close(server.listener);
	close(server.memory);
	for (unsigned i = 0; i < server.count; i++)
		close(server.eventfds[i]);
	unlink(server.path);
}

static int connect_to(struct vshmi_transport *t, char *why)
{
	char uri[PATH_MAX + 16];
	int rc;

	snprintf(uri, sizeof(uri), "server:%s", server.path);
	rc = find_and_open(t, uri, false, why);
	ck_ok(pthread_join(server.thread, NULL));
	return rc;
}

static const struct message lawful[] = {
	{0, NO_FD}, {7, NO_FD}, {-1, MEMORY}, {3, EVENTFD}, {3, EVENTFD}, {65535, EVENTFD}, {7, EVENTFD}, {7, EVENTFD},
};
#define LAWFUL (sizeof(lawful) / sizeof(lawful[0]))

static uint64_t count_of_bell(int fd)
{
	uint64_t count = 0;

	(void)!read(fd, &count, sizeof(count));
	return count;
}

START_TEST(a_lawful_server)
{
	char why[VSHM_WHY_SIZE] = "";
	uint32_t departed[8];
	struct vshmi_transport t;
	int fds = support_count_fds();

	for (unsigned i = 0; i < 2; i++) {
		begin(lawful, LAWFUL);
		server.in_bytes = i;
		ck_assert_msg(!connect_to(&t, why), "%s", why);
		ck_assert_uint_eq(t.doorbell, 7);
		ck_assert_uint_eq(t.segment[0].size, SEGMENT_SIZE);
		ck_ok(vshmi_transport_protect(&t, 0, VSHM_MIN_PAGE, VSHM_MIN_PAGE, true));
		ck_assert(writable(t.segment[0].base + VSHM_MIN_PAGE) && !writable(t.segment[0].base));
		t.ops->ring(&t, 3);
		t.ops->ring(&t, 65535);
		t.ops->ring(&t, 4); /* nobody */
		ck_assert_uint_eq(count_of_bell(server.eventfds[0]), 1);
		ck_assert_uint_eq(count_of_bell(server.eventfds[1]), 0); /* another vector of the same */
		ck_assert_uint_eq(count_of_bell(server.eventfds[2]), 1);
		vshmi_eventfd_signal(server.eventfds[3]); /* ours */
		ck_assert_uint_eq(vshmi_poll(&t.bell, 1, 0), 1);
		say((struct message){9, EVENTFD});
		say((struct message){3, NO_FD});
		ck_assert_uint_eq(vshmi_poll(&t.news, 1, 1000000000), 1);
		ck_assert_uint_eq(t.ops->attend(&t, departed, 8), 1);
		ck_assert_uint_eq(departed[0], 3);
		t.ops->ring(&t, 3);
		t.ops->ring(&t, 9);
		ck_assert_uint_eq(count_of_bell(server.eventfds[0]), 0);
		ck_assert_uint_eq(count_of_bell(server.eventfds[5]), 1);
		ck_ok(t.ops->status(&t));
		t.ops->close(&t);
		end();
		ck_assert_int_eq(support_count_fds(), fds);
	}
}
END_TEST

/* A place is free again when its client left: the thousandth is rung like the first, and all departures are told. */
START_TEST(clients_that_come_and_go)
{
	char why[VSHM_WHY_SIZE] = "";
	uint32_t departed[2];
	struct vshmi_transport t;
	int fds;

	begin(lawful, LAWFUL);
	ck_assert_msg(!connect_to(&t, why), "%s", why);
	fds = support_count_fds();
	for (uint32_t id = 100; id < 1100; id += 4) {
		unsigned told = 0;

		for (uint32_t i = 0; i < 4; i++)
			pass(server.client, &(int64_t){id + i}, 8, server.eventfds[4]);
		for (uint32_t i = 0; i < 4; i++)
			ck_assert_uint_eq(t.ops->attend(&t, departed, 2), 0);
		t.ops->ring(&t, id + 3);
		ck_assert_uint_eq(count_of_bell(server.eventfds[4]), 1);
		for (uint32_t i = 0; i < 4; i++)
			say((struct message){id + i, NO_FD});
		while (told < 4) {
			unsigned n = t.ops->attend(&t, departed, 2);

			ck_assert(n == 2 && departed[0] == id + told && departed[1] == id + told + 1);
			told += n;
		}
	}
	ck_assert_int_eq(support_count_fds(), fds);
	t.ops->close(&t);
	end();
}
END_TEST

/* Those who know each other go on. */
START_TEST(a_server_that_goes)
{
	char why[VSHM_WHY_SIZE] = "";
	uint32_t departed[8];
	struct vshmi_transport t;

	begin(lawful, LAWFUL);
	ck_assert_msg(!connect_to(&t, why), "%s", why);
	hang_up();
	ck_assert_uint_eq(vshmi_poll(&t.news, 1, 1000000000), 1);
	ck_assert_uint_eq(t.ops->attend(&t, departed, 8), 0);
	ck_assert_int_eq(t.news, -1);
	ck_assert_uint_eq(t.ops->attend(&t, departed, 8), 0);
	t.ops->ring(&t, 3);
	ck_assert_uint_eq(count_of_bell(server.eventfds[0]), 1);
	ck_ok(t.ops->status(&t));
	t.ops->close(&t);
	end();
}
END_TEST

static const struct {
	struct message lines[5];
	const char *words;
} liars[] = {
	{{{1, NO_FD}, {END, 0}}, "not the ivshmem protocol"},	    /* another version */
	{{{-1, MEMORY}, {END, 0}}, "not the ivshmem protocol"},	    /* no version at all */
	{{{0, EVENTFD}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {65536, NO_FD}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {-1, NO_FD}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {7, EVENTFD}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {7, NO_FD}, {-1, PIPE}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {7, NO_FD}, {-1, EVENTFD}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {7, NO_FD}, {-1, NO_FD}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {7, NO_FD}, {3, EVENTFD}, {END, 0}}, "not the ivshmem protocol"}, /* before the memory */
	{{{0, NO_FD}, {7, NO_FD}, {-1, MEMORY}, {-1, MEMORY}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {7, NO_FD}, {-1, MEMORY}, {7, PIPE}, {END, 0}}, "not the ivshmem protocol"},
	{{{0, NO_FD}, {7, NO_FD}, {-1, MEMORY}, {-2, EVENTFD}, {END, 0}}, "not the ivshmem protocol"},
};

START_TEST(an_unlawful_server)
{
	int fds = support_count_fds();
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin(liars[_i].lines, 5);
	ck_is(connect_to(&t, why), -EPROTO);
	check_why(why);
	ck_assert_msg(strstr(why, liars[_i].words) != NULL, "%s", why);
	end();
	ck_assert_int_eq(support_count_fds(), fds);
}
END_TEST

/* Who is not let in, or finds it full, hears nothing. */
START_TEST(a_server_that_refuses)
{
	char why[VSHM_WHY_SIZE] = "", uri[PATH_MAX + 16];
	int fds = support_count_fds();
	struct vshmi_transport t;

	begin(lawful, 0);
	shutdown(server.listener, SHUT_RDWR); /* the queue is gone: whoever was in it is disconnected */
	ck_ok(pthread_join(server.thread, NULL));
	snprintf(uri, sizeof(uri), "server:%s", server.path);
	ck_is(find_and_open(&t, uri, false, why), -ENOENT);
	check_why(why);
	end();
	ck_assert_int_eq(support_count_fds(), fds);
}
END_TEST

START_TEST(where_no_server_is)
{
	char path[PATH_MAX], uri[PATH_MAX + 16];

	path_of(path, "nothing");
	snprintf(uri, sizeof(uri), "server:%s", path);
	cannot_open(uri, false, -ENOENT, "vshmctl serve");
	memset(path, 'x', sizeof(path));
	path[200] = '\0';
	snprintf(uri, sizeof(uri), "server:/%s", path);
	cannot_open(uri, false, -EINVAL, "cannot connect");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transport: server");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_lawful_server);
	tcase_add_test(tc, clients_that_come_and_go);
	tcase_add_test(tc, a_server_that_goes);
	tcase_add_loop_test(tc, an_unlawful_server, 0, (int)(sizeof(liars) / sizeof(liars[0])));
	tcase_add_test(tc, a_server_that_refuses);
	tcase_add_test(tc, where_no_server_is);
	suite_add_tcase(suite, tc);
	return unit_run("transport-server", suite);
}
