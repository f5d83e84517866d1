/* SPDX-License-Identifier: BSD-3-Clause */
#include "service.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "parse.h"

#define FIRST 3 /* SD_LISTEN_FDS_START */
#define MOST 128
#define NAME_SIZE 256 /* FDNAME has at most 255 characters */

static struct {
	int fd; /* -1: taken */
	char name[NAME_SIZE];
} given[MOST];
static unsigned count;

/* LISTEN_FDNAMES: one name for each, with colons between. */
static void name_them(const char *names)
{
	for (unsigned i = 0; names && i < count; i++) {
		size_t length = strcspn(names, ":");
		(void)snprintf(given[i].name, NAME_SIZE, "%.*s", (int)(length < NAME_SIZE ? length : 0), names);
		names = names[length] ? names + length + 1 : NULL;
	}
}

void service_begin(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t number, for_whom;
	if (pid && fds && !parse_number(pid, &for_whom) && for_whom == (uint64_t)getpid() &&
	    !parse_number(fds, &number))
		count = number < MOST ? (unsigned)number : MOST;
	for (unsigned i = 0; i < count; i++)
		given[i].fd = fcntl(FIRST + (int)i, F_SETFD, FD_CLOEXEC) ? -1 : FIRST + (int)i;
	name_them(getenv("LISTEN_FDNAMES"));
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
}

static int take(unsigned i)
{
	int fd = given[i].fd;
	given[i].fd = -1;
	return fd;
}

static int is_at(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNSPEC};
	socklen_t size = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)(void *)&address, &size) || address.sun_family != AF_UNIX)
		return 0;
	return size <= sizeof(address) && !strncmp(address.sun_path, path, sizeof(address.sun_path));
}

int service_socket(const char *path)
{
	for (unsigned i = 0; i < count; i++) {
		if (given[i].fd >= 0 && is_at(given[i].fd, path))
			return take(i);
	}
	return -1;
}

int service_stored(const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		if (given[i].fd >= 0 && !strcmp(given[i].name, name))
			return take(i);
	}
	return -1;
}

/* A datagram to the socket that NOTIFY_SOCKET names; one that begins with @ is in the abstract namespace (unix(7)). */
static void send_datagram(const char *words, int passed)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	char line[512];
	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = 0;
	(void)snprintf(line, sizeof(line), "%s", words);
	struct iovec part = {line, strlen(line)};
	struct msghdr message = {.msg_name = &address,
				 .msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)),
				 .msg_iov = &part,
				 .msg_iovlen = 1};
	if (passed >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
	}
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendmsg(fd, &message, MSG_NOSIGNAL);
	close(fd);
}

void service_store(const char *name, int fd)
{
	char words[NAME_SIZE + 64];
	(void)snprintf(words, sizeof(words), "FDSTORE=1\nFDNAME=%s", name);
	send_datagram(words, fd);
}

void service_tell(const char *words)
{
	send_datagram(words, -1);
}

unsigned service_close_rest(void)
{
	unsigned rest = 0;
	for (unsigned i = 0; i < count; i++) {
		int fd = take(i);
		rest += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	return rest;
}
