/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is done to any file: find it, refuse what may be a trap (links, devices, files of strangers), make a
 * new one and allocate it in full, give it its name in one step. Everything is relative to a directory that
 * is held open.
 */
#include "transport/file.h"

#include "os/os.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

/* fallocate() starts again from nothing when a signal interrupts it: small steps get somewhere, whatever beats. */
#define ALLOCATION_STEP (UINT64_C(64) << 20)

int vshmi_file_failed(char *why, const char *shown, const char *doing)
{
	int cause = errno;

	return vshmi_why(why, vshmi_error_of(cause), "%s: cannot %s: %s", shown, doing, strerror(cause));
}

/* ---- names and directories ---- */

static void show_path(char *shown, const char *path)
{
	size_t length = strlen(path);

	if (length < VSHMI_SHOWN_SIZE)
		memcpy(shown, path, length + 1);
	else
		snprintf(shown, VSHMI_SHOWN_SIZE, "...%s", path + length - (VSHMI_SHOWN_SIZE - 4));
}

static int open_directory(const char *path, const char *shown, char *why)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return vshmi_why(why, -ENOENT, "%s: its directory does not exist: make that first", shown);
	if (errno == ENOTDIR)
		return vshmi_why(why, -ENOENT, "%s: a part of the path is not a directory", shown);
	return vshmi_file_failed(why, shown, "open its directory");
}

int vshmi_place_init(struct vshmi_place *place, const char *path, char *why)
{
	char parent[sizeof(((struct vshmi_uri *)0)->path) + 1];
	const char *slash, *name;
	size_t length = strlen(path);

	place->dir = -1;
	place->temporary[0] = '\0';
	show_path(place->shown, path);
	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length + 1 > sizeof(parent))
		return vshmi_why(why, -EINVAL, "%s: the path is too long", place->shown);
	memcpy(parent, path, length);
	parent[length] = '\0';
	slash = strrchr(parent, '/');
	name = slash ? slash + 1 : parent;
	length = strlen(name);
	if (!length || !strcmp(name, ".") || !strcmp(name, ".."))
		return vshmi_why(why, -EINVAL, "%s: the path must end in a name", place->shown);
	if (length > NAME_MAX)
		return vshmi_why(why, -EINVAL, "%s: its last part is longer than %d bytes", place->shown, NAME_MAX);
	memcpy(place->name, name, length + 1);
	if (!slash)
		memcpy(parent, ".", 2);
	else
		parent[slash - parent + (slash == parent)] = '\0';
	place->dir = open_directory(parent, place->shown, why);
	return place->dir < 0 ? place->dir : 0;
}

void vshmi_place_fini(struct vshmi_place *place)
{
	if (place->dir >= 0)
		close(place->dir);
	place->dir = -1;
}

int vshmi_place_look(const struct vshmi_place *place, struct stat *st, char *why)
{
	if (!fstatat(place->dir, place->name, st, AT_SYMLINK_NOFOLLOW))
		return 0;
	return errno == ENOENT ? -ENOENT : vshmi_file_failed(why, place->shown, "look at it");
}

int vshmi_place_temporary(struct vshmi_place *place, char *why)
{
	uint32_t random;

	if (vshmi_random(&random, sizeof(random)))
		return vshmi_why(why, -EIO, "the system gives no random numbers");
	/* A dot first, so that no listing shows it; cut, so that any lawful name has room. */
	snprintf(place->temporary, sizeof(place->temporary), ".%.200s.%06x", place->name, random & 0xffffff);
	return 0;
}

static int name_taken(const struct vshmi_place *place, char *why)
{
	return vshmi_why(why, -EEXIST, "%s exists already: choose another path, or replace it with --force",
			 place->shown);
}

/* For file systems that cannot rename without replacing: a second name, then without the first. */
static int publish_by_link(struct vshmi_place *place, char *why)
{
	if (linkat(place->dir, place->temporary, place->dir, place->name, 0))
		return errno == EEXIST ? name_taken(place, why) : vshmi_file_failed(why, place->shown, "name it");
	unlinkat(place->dir, place->temporary, 0);
	return 0;
}

int vshmi_place_publish(struct vshmi_place *place, char *why)
{
	int error = 0;

	if (renameat2(place->dir, place->temporary, place->dir, place->name, RENAME_NOREPLACE)) {
		if (errno == EEXIST)
			return name_taken(place, why);
		if (errno != EINVAL && errno != ENOSYS)
			return vshmi_file_failed(why, place->shown, "give it its name");
		error = publish_by_link(place, why);
	}
	if (!error)
		place->temporary[0] = '\0';
	return error;
}

int vshmi_file_link(int fd, int dir, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

int vshmi_place_publish_unnamed(struct vshmi_place *place, int fd, bool replace, char *why)
{
	int error;

	if (!replace) {
		if (!vshmi_file_link(fd, place->dir, place->name))
			return 0;
		return errno == EEXIST ? name_taken(place, why) : vshmi_file_failed(why, place->shown, "name it");
	}
	error = vshmi_place_temporary(place, why); /* only for the instant until it takes the other one's place */
	if (!error && vshmi_file_link(fd, place->dir, place->temporary)) {
		place->temporary[0] = '\0';
		error = vshmi_file_failed(why, place->shown, "name it");
	}
	return error;
}

/* ---- files that exist ---- */

/* owner=: a name or a number. False: there is no such user. */
static bool find_user(const char *text, uid_t *uid)
{
	struct passwd entry, *found;
	char buffer[4096], *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end) {
		*uid = (uid_t)number;
		return !errno && number < UINT32_MAX;
	}
	if (getpwnam_r(text, &entry, buffer, sizeof(buffer), &found) || !found)
		return false;
	*uid = found->pw_uid;
	return true;
}

int vshmi_file_check_owner(const struct stat *st, const char *owner, const char *shown, char *why)
{
	uid_t named;

	if (owner[0] && !find_user(owner, &named))
		return vshmi_why(why, -EINVAL, "owner=%s: there is no such user", owner);
	if (st->st_uid == 0 || st->st_uid == geteuid() || (owner[0] && st->st_uid == named))
		return 0;
	return vshmi_why(why, -EACCES,
			 "%s is owned by uid %u, who is neither you nor root: add \"?owner=%u\" if you trust that user",
			 shown, st->st_uid, st->st_uid);
}

int vshmi_file_check_kind(const struct stat *st, const char *shown, char *why)
{
	if (S_ISLNK(st->st_mode))
		return vshmi_why(why, -EACCES,
				 "%s is a symbolic link, which is not followed: give the path that it points to",
				 shown);
	if (!S_ISREG(st->st_mode))
		return vshmi_why(why, -EPROTO, "%s is not a regular file: no region", shown);
	if (st->st_nlink > 1)
		return vshmi_why(why, -EACCES, "%s has %lu names (hard links), which may be a trap: remove the others",
				 shown, (unsigned long)st->st_nlink);
	return 0;
}

static int open_failed(const struct stat *st, bool write, const char *shown, char *why)
{
	if (errno == EROFS)
		return vshmi_why(why, -EACCES, "%s lies on a read-only file system: it can only be observed", shown);
	if (errno != EACCES && errno != EPERM)
		return vshmi_file_failed(why, shown, "open it");
	return vshmi_why(why, -EACCES, "%s: no permission to %s (owner uid %u, mode %04o, you are uid %u): ask its owner%s",
			 shown, write ? "write" : "read", st->st_uid, (unsigned)(st->st_mode & 07777), geteuid(),
			 write ? ", or only observe it" : "");
}

int vshmi_file_open(int dir, const char *name, enum vshmi_file_access access, bool *writable, const char *shown, char *why)
{
	/* O_NONBLOCK and O_NOCTTY: for what takes the file's place between the look and the open. */
	const int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	struct stat st;
	int fd = -1, error;

	/* Looked at first: to open a device can be an act in itself. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return vshmi_file_failed(why, shown, "look at it");
	error = vshmi_file_check_kind(&st, shown, why);
	if (error)
		return error;
	/* an observer leaves no trace: closing a file that was open for writing is an event to those who watch it */
	if (access != VSHMI_FILE_READ)
		fd = openat(dir, name, O_RDWR | flags);
	*writable = fd >= 0;
	if (access == VSHMI_FILE_READ || (fd < 0 && access == VSHMI_FILE_MAY_WRITE && (errno == EACCES || errno == EPERM || errno == EROFS)))
		fd = openat(dir, name, O_RDONLY | flags);
	return fd >= 0 ? fd : open_failed(&st, access == VSHMI_FILE_WRITE, shown, why);
}

/* ---- new files ---- */

static void size_text(char out[32], uint64_t size)
{
	if (size < UINT64_C(1) << 20)
		snprintf(out, 32, "%llu KiB", (unsigned long long)(size >> 10));
	else
		snprintf(out, 32, "%llu MiB", (unsigned long long)(size >> 20));
}

static int no_space(uint64_t size, uint64_t room, const char *shown, char *why)
{
	char needed[32], left[32];

	size_text(needed, size);
	size_text(left, room);
	if (room >= size) /* the file system does not know its own limits: hugetlbfs, network file systems */
		return vshmi_why(why, -ENOSPC,
				 "%s: needs %s, and there is less left: make room (hugetlbfs: raise vm.nr_hugepages)", shown,
				 needed);
	return vshmi_why(why, -ENOSPC, "%s: needs %s, and only %s are left: make room, or a smaller region", shown, needed,
			 left);
}

/* What can be allocated in the file system of `fd`, as far as one can know. */
static uint64_t room_in(int fd)
{
	uint64_t room = UINT64_MAX, memory;
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return room;
	/* No blocks at all: a file system without a limit of its own. */
	if (fs.f_blocks)
		room = (uint64_t)fs.f_bfree * (uint64_t)fs.f_bsize;
	if ((unsigned long)fs.f_type != TMPFS_MAGIC)
		return room;
	/* tmpfs promises more than there is, and then programs are killed: some memory is left to the others. */
	memory = vshmi_memory_available();
	memory -= memory / 16;
	return memory < room ? memory : room;
}

int vshmi_file_check_room(int fd, uint64_t size, const char *shown, char *why)
{
	uint64_t room = room_in(fd);

	return size > room ? no_space(size, room, shown, why) : 0;
}

/* What was allocated already comes back first; then ask how much there is. */
static int allocation_failed(int fd, uint64_t size, int error, const char *shown, char *why)
{
	errno = error;
	if (vshmi_error_of(error) != -ENOSPC)
		return vshmi_file_failed(why, shown, "allocate it");
	(void)!ftruncate(fd, 0);
	return no_space(size, room_in(fd), shown, why);
}

/* Beyond this limit the kernel does not just say no, it sends a signal that ends the program. */
static int check_limit(uint64_t size, const char *shown, char *why)
{
	struct rlimit limit;
	char allowed[32];

	if (getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= size)
		return 0;
	size_text(allowed, limit.rlim_cur);
	return vshmi_why(why, -ENOSPC, "%s: this process may make files of %s at most (ulimit -f): raise that", shown,
			 allowed);
}

int vshmi_file_allocate(int fd, uint64_t size, const char *shown, char *why)
{
	int error = check_limit(size, shown, why);
	uint64_t step;

	if (!error)
		error = vshmi_file_check_room(fd, size, shown, why);
	if (error)
		return error;
	for (uint64_t done = 0; done < size; done += step) {
		step = size - done < ALLOCATION_STEP ? size - done : ALLOCATION_STEP;
		/* at every step: others take memory at the same time */
		if (room_in(fd) < step)
			return allocation_failed(fd, size, ENOSPC, shown, why);
		do
			error = posix_fallocate(fd, (off_t)done, (off_t)step);
		while (error == EINTR);
		if (error)
			return allocation_failed(fd, size, error, shown, why);
	}
	return 0;
}

static int give(int fd, const struct vshm_owner *owner, const char *shown, char *why)
{
	if (owner->uid == UINT32_MAX && owner->gid == UINT32_MAX)
		return 0;
	if (!fchown(fd, owner->uid, owner->gid))
		return 0;
	if (errno == EPERM)
		return vshmi_why(why, -EACCES, "%s: only root can give it to another user or group (uid %d, gid %d)",
				 shown, (int)owner->uid, (int)owner->gid);
	return vshmi_file_failed(why, shown, "change its owner");
}

static int make_failed(const char *shown, char *why)
{
	if (errno == EACCES || errno == EPERM)
		return vshmi_why(why, -EACCES, "%s: no permission to make files in its directory (you are uid %u)", shown,
				 geteuid());
	if (errno == EROFS)
		return vshmi_why(why, -EACCES, "%s: its file system is read-only", shown);
	return vshmi_file_failed(why, shown, "make it");
}

/* A new, empty file becomes one of `size` bytes that belongs to `owner`. */
static int fill_new(int fd, uint64_t size, const struct vshm_owner *owner, const char *shown, char *why)
{
	int error;

	/* The umask may have taken even the owner's bits. */
	if (fchmod(fd, 0600))
		return vshmi_file_failed(why, shown, "set its mode");
	error = give(fd, owner, shown, why);
	if (error)
		return error;
	if (size % vshmi_map_unit(fd))
		return vshmi_why(why, -EINVAL, "%s: the size must be a multiple of %llu bytes there", shown,
				 (unsigned long long)vshmi_map_unit(fd));
	return vshmi_file_allocate(fd, size, shown, why);
}

int vshmi_file_make(int dir, const char *name, uint64_t size, const struct vshm_owner *owner, const char *shown,
		    char *why)
{
	int error, fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return make_failed(shown, why);
	error = fill_new(fd, size, owner, shown, why);
	if (!error)
		return fd;
	unlinkat(dir, name, 0);
	close(fd);
	return error;
}

int vshmi_file_make_unnamed(int dir, uint64_t size, const struct vshm_owner *owner, const char *shown, char *why)
{
	int error, fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	/* open(2): what file systems and kernels without O_TMPFILE say */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL))
		return -EOPNOTSUPP;
	if (fd < 0)
		return make_failed(shown, why);
	error = fill_new(fd, size, owner, shown, why);
	if (!error)
		return fd;
	close(fd);
	return error;
}
