/* SPDX-License-Identifier: BSD-3-Clause */
/* A server in this process, and clients that speak the protocol by hand. */
#ifndef VSHM_TEST_SERVER_HELP_H
#define VSHM_TEST_SERVER_HELP_H

#include "unit.h"

#include <vshm/vshm.h>

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MEMORY_SIZE 65536
#define NO_ID UINT32_MAX

/* What was told of clients, the last first counted. */
static struct {
	unsigned count[5];
	struct vshm_server_event last;
} events;

static struct vshm_server *server;
static char place[108];

static inline void on_event(void *arg, const struct vshm_server_event *event)
{
	(void)arg;
	ck_assert_uint_ge(event->change, VSHM_SERVER_JOINED);
	ck_assert_uint_le(event->change, VSHM_SERVER_DROPPED);
	ck_assert_ptr_nonnull(vshm_server_reason_text(event->reason));
	events.count[event->change]++;
	events.last = *event;
}

static inline int make_memory(void)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, MEMORY_SIZE), 0);
	return fd;
}

static inline struct vshm_server_options options_for(uint32_t vectors, uint32_t clients)
{
	struct vshm_server_options options = VSHM_SERVER_OPTIONS_INIT;

	options.vectors = vectors;
	options.clients = clients;
	options.event = on_event;
	return options;
}

static inline void open_server(const struct vshm_server_options *options)
{
	char why[VSHM_WHY_SIZE] = "";
	int memory = make_memory();

	memset(&events, 0, sizeof(events));
	snprintf(place, sizeof(place), "%s/socket", support_dir());
	ck_assert_msg(!vshm_server_open(place, memory, options, &server, why), "%s", why);
	close(memory);
}

static inline void close_server(void)
{
	ck_ok(vshm_server_close(server));
	server = NULL;
	ck_assert_int_ne(access(place, F_OK), 0);
}

/* Everything that there is to do now. */
static inline void run_server(void)
{
	struct pollfd ready = {.fd = vshm_server_fd(server), .events = POLLIN};

	while (poll(&ready, 1, 0) == 1)
		ck_ok(vshm_server_dispatch(server));
}

static inline struct vshm_server_info info_of_server(void)
{
	struct vshm_server_info info = VSHM_SERVER_INFO_INIT;

	ck_ok(vshm_server_info(server, &info));
	return info;
}

static inline int try_connect(int flags)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	memcpy(address.sun_path, place, strlen(place));
	if (!connect(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

static inline int connect_raw(void)
{
	int fd = try_connect(0);

	ck_assert_int_ge(fd, 0);
	run_server();
	return fd;
}

#define NOTHING INT64_MIN /* no message now */
#define GOODBYE (INT64_MIN + 1) /* the server closed */

/* The next message, and the descriptor that came with it (-1: none). */
static inline int64_t hear(int client, int *fd)
{
	union {
		struct cmsghdr header;
		unsigned char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	unsigned char bytes[8];
	struct iovec part = {bytes, sizeof(bytes)};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	uint64_t value = 0;
	ssize_t n = recvmsg(client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	*fd = -1;
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? NOTHING : GOODBYE;
	ck_assert_int_eq(n, 8);
	ck_assert_int_eq(message.msg_flags & MSG_CTRUNC, 0);
	if (c) {
		ck_assert_uint_eq(c->cmsg_len, CMSG_LEN(sizeof(int)));
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	}
	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return (int64_t)value;
}

/* The same, with the server at work meanwhile. */
static inline int64_t next(int client, int *fd)
{
	int64_t value = hear(client, fd);

	if (value != NOTHING)
		return value;
	run_server();
	return hear(client, fd);
}

static inline bool same_file(int a, int b)
{
	struct stat one, two;

	ck_assert_int_eq(fstat(a, &one), 0);
	ck_assert_int_eq(fstat(b, &two), 0);
	return one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

static inline void expect(int client, int64_t value)
{
	int fd;

	ck_assert_int_eq(next(client, &fd), value);
	ck_assert_int_eq(fd, -1);
}

/* A message with a descriptor, which is returned. */
static inline int expect_fd(int client, int64_t value)
{
	int fd;

	ck_assert_int_eq(next(client, &fd), value);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* `vectors` doorbells of `id`; kept in `bells`, or closed. */
static inline void expect_bells(int client, int64_t id, unsigned vectors, int *bells)
{
	for (unsigned i = 0; i < vectors; i++) {
		int fd = expect_fd(client, id);

		if (bells)
			bells[i] = fd;
		else
			close(fd);
	}
}

/* The first three messages. Returns the id. */
static inline uint32_t expect_opening(int client)
{
	struct stat st;
	int64_t id;
	int fd;

	expect(client, 0);
	id = next(client, &fd);
	ck_assert_int_eq(fd, -1);
	ck_assert(id >= 0 && id <= 65535);
	fd = expect_fd(client, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, MEMORY_SIZE);
	close(fd);
	return (uint32_t)id;
}

/* A client that is alone, with one vector and an id of its own; it stays connected. */
static inline int connect_alone(uint32_t id)
{
	int fd = connect_raw();

	ck_assert_uint_eq(expect_opening(fd), id);
	expect_bells(fd, id, 1, NULL);
	expect(fd, NOTHING);
	return fd;
}

/* Reads everything that is there for a client. How many messages. */
static inline unsigned drain(int client)
{
	unsigned count = 0;
	int fd;

	for (int64_t value = next(client, &fd); value != NOTHING && value != GOODBYE; value = next(client, &fd)) {
		count++;
		if (fd >= 0)
			close(fd);
	}
	return count;
}

static inline void leave(int client)
{
	close(client);
	run_server();
}

#endif
