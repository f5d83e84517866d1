/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Does a server live at a socket? Connecting would tell, and the server would greet a client and give it an id. So this connects
 * with a datagram socket: the kernel finds who is bound there and then refuses, because that is a stream socket (unix(7),
 * EPROTOTYPE), and the server hears nothing. Where nobody is bound, it says so instead. /proc/net/unix cannot be asked: it has
 * the name under which the server once bound the socket, which it renamed since, and only those of this network namespace.
 */
#include "discover/discover.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the lock of vshmctl serve ---- */

/* A line of /proc/locks, proc(5), ends with: device and inode, start, end. To try the lock instead could cost a server its own. */
static bool is_locked(const struct stat *facts)
{
	char line[256];
	FILE *file = fopen("/proc/locks", "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		unsigned major, minor;
		unsigned long long inode;

		found = sscanf(line, "%*s FLOCK %*s WRITE %*s %x:%x:%llu", &major, &minor, &inode) == 3 &&
			makedev(major, minor) == facts->st_dev && inode == facts->st_ino;
	}
	if (file)
		(void)fclose(file);
	return found;
}

/* It has a file beside the socket locked while it serves (vshm_server(7)). That there is no lock says nothing. */
static bool is_served(int directory, const char *name)
{
	char ids[300];
	struct stat facts;

	VSHMI_TEXT(ids, ".%.255s.next", name);
	return !fstatat(directory, ids, &facts, AT_SYMLINK_NOFOLLOW) && S_ISREG(facts.st_mode) && is_locked(&facts);
}

/* ---- who is bound there ---- */

/* 0, or an errno. By way of the directory: a path can be longer than an address. */
static int try_datagrams(int directory, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, error;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory, name) >=
	    (int)sizeof(address.sun_path))
		return ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	error = connect(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) ? errno : 0;
	(void)close(fd);
	return error;
}

enum vshmi_socket vshmi_ask_socket(int directory, const char *name)
{
	int error = try_datagrams(directory, name);

	if (!error)
		return VSHMI_SOCKET_OTHER;
	if (error == EPROTOTYPE)
		return VSHMI_SOCKET_LIVE;
	if (error == ECONNREFUSED)
		return VSHMI_SOCKET_DEAD;
	return is_served(directory, name) ? VSHMI_SOCKET_LIVE : VSHMI_SOCKET_UNKNOWN;
}
