/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket that clients connect to. It is made under a name that nobody knows, gets its owner and mode, begins to listen, and is
 * then renamed into place: at no instant can anybody connect who should not, or find nothing where a dead server's
 * socket was. All through a descriptor of its directory, which must be one where nobody else can rename.
 */
#include "server/server.h"

#include "os/os.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How many connections may wait to be taken. More would let a flood stand in front of an honest client. */
#define BACKLOG 128

/* "/proc/self/fd/N/" and a name of ours: fits sun_path however long the path is. */
#define HIDDEN_SIZE 32

static int failed(char *why, const char *path, const char *doing)
{
	int error = errno;

	return vshmi_why(why, vshmi_error_of(error), "%s %s: %s", doing, path, strerror(error));
}

/* Who can rename in a directory can put another socket there. In sticky ones (/tmp) only one's own can be renamed. */
static int check_directory(int dir, const char *path, char *why)
{
	struct stat st;

	if (fstat(dir, &st))
		return failed(why, path, "cannot look at the directory of");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return vshmi_why(why, -EACCES, "the directory of %s belongs to user %u: it must be root's or yours",
				 path, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX))
		return vshmi_why(why, -EACCES, "others can rename in the directory of %s: run chmod go-w on it", path);
	return 0;
}

/* Takes the path apart, and opens its directory. */
static int open_directory(struct vshmi_listener *listener, const char *path, char *why)
{
	char directory[sizeof(listener->name)];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t length = (size_t)(name - path);

	if (strlen(path) >= sizeof(listener->name))
		return vshmi_why(why, -EINVAL, "%s: the path of a socket has at most 107 bytes", path);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return vshmi_why(why, -EINVAL, "'%s' is no path of a socket", path);
	memcpy(directory, path, length);
	directory[length] = '\0';
	memcpy(listener->name, name, strlen(name) + 1);
	listener->dir = open(length ? directory : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (listener->dir < 0)
		return failed(why, path, "cannot open the directory of");
	return check_directory(listener->dir, path, why);
}

/* 0: nothing is there; 1: a socket where nobody listens, which may be replaced. */
static int look_at_place(const struct vshmi_listener *listener, const char *path, char *why)
{
	struct stat st;
	int fd;

	if (fstatat(listener->dir, listener->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : failed(why, path, "cannot look at");
	if (!S_ISSOCK(st.st_mode))
		return vshmi_why(why, -EEXIST, "%s is there already, and no socket", path);
	if (geteuid() != 0 && st.st_uid != geteuid())
		return vshmi_why(why, -EACCES, "the socket %s belongs to user %u", path, (unsigned)st.st_uid);
	fd = vshmi_socket_connect(path);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || fd == -EBUSY)
		return vshmi_why(why, -EBUSY, "a server listens at %s already", path);
	return fd == -ENOENT ? 1 : vshmi_why(why, fd, "cannot tell whether a server listens at %s", path);
}

static int choose_hidden(char *hidden)
{
	uint64_t chance;
	int error = vshmi_random(&chance, sizeof(chance));

	(void)snprintf(hidden, HIDDEN_SIZE, ".vshm-%016llx", (unsigned long long)chance);
	return error;
}

/* umask(2) has its say in the mode of a new socket: too narrow or too wide, until it is set here. */
static int set_owner(int dir, const char *hidden, const struct vshm_server_options *options)
{
	if (fchownat(dir, hidden, options->uid, options->gid, AT_SYMLINK_NOFOLLOW))
		return -1;
	return fchmodat(dir, hidden, options->mode, 0);
}

static int note_inode(struct vshmi_listener *listener, const char *hidden)
{
	struct stat st;

	if (fstatat(listener->dir, hidden, &st, AT_SYMLINK_NOFOLLOW))
		return -1;
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	return 0;
}

static int bind_hidden(const struct vshmi_listener *listener, const char *hidden)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", listener->dir, hidden);
	return bind(listener->fd, (const struct sockaddr *)(const void *)&address, sizeof(address));
}

/* `stale`: replaces the socket that is there, else nothing. */
static int publish(const struct vshmi_listener *listener, const char *hidden, bool stale)
{
	if (stale)
		return renameat(listener->dir, hidden, listener->dir, listener->name);
	return renameat2(listener->dir, hidden, listener->dir, listener->name, RENAME_NOREPLACE);
}

static int make_socket(struct vshmi_listener *listener, const char *path, const struct vshm_server_options *options,
		       bool stale, char *why)
{
	char hidden[HIDDEN_SIZE];
	int error = choose_hidden(hidden);

	if (error)
		return vshmi_why(why, error, "no random numbers");
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return failed(why, path, "cannot make the socket");
	if (bind_hidden(listener, hidden))
		return failed(why, path, "cannot make the socket");
	if (set_owner(listener->dir, hidden, options))
		error = failed(why, path, "cannot set owner and mode of");
	else if (note_inode(listener, hidden) || listen(listener->fd, BACKLOG) || publish(listener, hidden, stale))
		error = failed(why, path, "cannot listen at");
	if (error)
		(void)unlinkat(listener->dir, hidden, 0);
	return error;
}

int vshmi_listener_open(struct vshmi_listener *listener, const char *path, const struct vshm_server_options *options,
			char *why)
{
	int rc;

	*listener = (struct vshmi_listener){.fd = -1, .dir = -1};
	rc = open_directory(listener, path, why);
	if (!rc)
		rc = look_at_place(listener, path, why);
	if (rc >= 0)
		rc = make_socket(listener, path, options, rc == 1, why);
	if (rc) {
		listener->inode = 0;
		vshmi_listener_close(listener);
	}
	return rc;
}

static int option_of(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

int vshmi_listener_adopt(struct vshmi_listener *listener, int fd, char *why)
{
	int flags;

	*listener = (struct vshmi_listener){.fd = -1, .dir = -1};
	if (option_of(fd, SO_DOMAIN) != AF_UNIX || option_of(fd, SO_TYPE) != SOCK_STREAM ||
	    option_of(fd, SO_ACCEPTCONN) != 1)
		return vshmi_why(why, -EINVAL, "descriptor %d is no listening Unix stream socket", fd);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return vshmi_why(why, -EIO, "cannot set up descriptor %d: %s", fd, strerror(errno));
	listener->fd = fd;
	return 0;
}

void vshmi_listener_close(struct vshmi_listener *listener)
{
	struct stat st;

	if (listener->dir >= 0 && listener->inode &&
	    !fstatat(listener->dir, listener->name, &st, AT_SYMLINK_NOFOLLOW) && st.st_dev == listener->device &&
	    st.st_ino == listener->inode)
		(void)unlinkat(listener->dir, listener->name, 0);
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->dir >= 0)
		close(listener->dir);
	*listener = (struct vshmi_listener){.fd = -1, .dir = -1};
}
