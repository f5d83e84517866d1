/* SPDX-License-Identifier: BSD-3-Clause */
/* Unix sockets as a client uses them: never blocking but in the connect, at most one descriptor with each piece of data. */
#include "base/base.h"
#include "os/os.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A sender that passes more in one message breaks the protocols spoken here: what comes is taken, so that it can be closed. */
#define MOST_PASSED 16

int vshmi_socket_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return vshmi_error_of(errno);
	/* not blocking: a server whose queue is full is too busy for one more */
	if (!connect(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)))
		return fd;
	error = errno == ECONNREFUSED || errno == ENOENT ? -ENOENT : errno == EAGAIN ? -EBUSY : vshmi_error_of(errno);
	close(fd);
	return error;
}

/* Keeps the first descriptor that came along, closes the others. */
static int take_passed(struct msghdr *message)
{
	int kept = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (kept < 0)
				kept = fd;
			else
				close(fd);
		}
	}
	return kept;
}

int vshmi_socket_receive(int fd, void *data, size_t size, int *passed)
{
	union {
		struct cmsghdr align;
		unsigned char room[CMSG_SPACE(MOST_PASSED * sizeof(int))];
	} control;
	struct iovec part = {data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n;

	*passed = -1;
	do
		n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	*passed = take_passed(&message);
	return n ? (int)n : -EPIPE;
}
