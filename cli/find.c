/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks for regions: names in the run directory, then files that begin with the magic. Opens nothing that could
 * block (FIFOs, devices) and follows no symbolic link in directories where anybody may put one.
 */
#include "find.h"

#include "parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <mntent.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vshm/layout.h>

static struct found_region *add(struct found_regions *found)
{
	if (found->count == found->room) {
		size_t room = found->room ? 2 * found->room : 16;
		struct found_region *more = realloc(found->one, room * sizeof(*more));
		if (!more)
			return NULL;
		found->one = more;
		found->room = room;
	}
	struct found_region *one = &found->one[found->count++];
	memset(one, 0, sizeof(*one));
	return one;
}

int find_path(const char *uri, char *path)
{
	if (!strncmp(uri, "file:", 5))
		uri += 5;
	else if (*uri != '/' && *uri != '.')
		return -1;
	size_t length = strcspn(uri, "?");
	if (length >= PATH_MAX)
		return -1;
	memcpy(path, uri, length);
	path[length] = 0;
	return 0;
}

/*
 * The one line of a registration; false: none. Whether it is to be believed is the library's to say, when the
 * region is opened by that name.
 */
static bool read_line(int directory, const char *name, char *line, size_t size)
{
	struct stat facts;
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	ssize_t got = !fstat(fd, &facts) && S_ISREG(facts.st_mode) ? read(fd, line, size - 1) : -1;
	close(fd);
	line[got > 0 ? got : 0] = 0;
	line[strcspn(line, "\n")] = 0;
	return *line != 0;
}

static void add_registered(struct found_regions *found, int directory, const char *name)
{
	struct found_region *one = add(found);
	struct stat facts;
	char path[PATH_MAX];
	if (!one)
		return;
	(void)snprintf(one->name, sizeof(one->name), "%s", name);
	if (!read_line(directory, name, one->uri, sizeof(one->uri)))
		(void)snprintf(one->uri, sizeof(one->uri), "vshm:%s", name);
	if (!find_path(one->uri, path) && !stat(path, &facts)) {
		one->device = facts.st_dev;
		one->inode = facts.st_ino;
	}
}

void find_registered(struct found_regions *found)
{
	const char *place = getenv("VSHM_RUN_DIR");
	struct dirent **entries;
	int directory = open(place && *place ? place : "/run/vshm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int count = directory < 0 ? -1 : scandirat(directory, ".", &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		struct stat facts;
		/* sockets of a server lie here too */
		if (!parse_name(entries[i]->d_name) &&
		    !fstatat(directory, entries[i]->d_name, &facts, AT_SYMLINK_NOFOLLOW) && !S_ISSOCK(facts.st_mode) &&
		    !S_ISDIR(facts.st_mode))
			add_registered(found, directory, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (directory >= 0)
		close(directory);
}

/* Does this file begin like a segment of that profile? Whether it is lawful, opening it will say. */
static bool is_segment(int directory, const char *name, uint32_t profile)
{
	struct vshm_superblock block;
	const size_t size = offsetof(struct vshm_superblock, section);
	struct stat facts;
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	ssize_t got = !fstat(fd, &facts) && S_ISREG(facts.st_mode) ? pread(fd, &block, size, 0) : 0;
	close(fd);
	return got == (ssize_t)size && block.magic == VSHM_MAGIC && block.profile == profile;
}

/* A split region is a directory of segments; a few entries are enough to tell. */
static bool is_split(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	bool found = false;
	if (!list) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	const struct dirent *entry;
	for (unsigned looked = 0; !found && looked < 2 * VSHM_MAX_PEERS && (entry = readdir(list)); looked++)
		found = entry->d_name[0] != '.' && is_segment(fd, entry->d_name, VSHM_SPLIT);
	(void)closedir(list);
	return found;
}

static void consider(struct found_regions *found, int directory, const char *place, const char *name)
{
	struct stat facts;
	if (fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW))
		return;
	if (!(S_ISREG(facts.st_mode) && is_segment(directory, name, VSHM_FLAT)) &&
	    !(S_ISDIR(facts.st_mode) && is_split(directory, name)))
		return;
	for (size_t i = 0; i < found->count; i++) {
		if (found->one[i].device == facts.st_dev && found->one[i].inode == facts.st_ino)
			return;
	}
	struct found_region *one = add(found);
	if (!one)
		return;
	one->device = facts.st_dev;
	one->inode = facts.st_ino;
	int used = snprintf(one->uri, sizeof(one->uri), "file:%s/%s", place, name);
	const struct passwd *user = facts.st_uid && facts.st_uid != geteuid() ? getpwuid(facts.st_uid) : NULL;
	if (user && used > 0 && (size_t)used < sizeof(one->uri))
		(void)snprintf(one->uri + used, sizeof(one->uri) - (size_t)used, "?owner=%s", user->pw_name);
}

/* A split region cannot be read where one of its segments cannot: `facts` are then of that. */
static bool closed_segment(const char *path, struct stat *facts)
{
	DIR *list = opendir(path);
	bool closed = false;
	const struct dirent *entry;
	if (!list)
		return errno == EACCES;
	for (unsigned looked = 0; !closed && looked < 2 * VSHM_MAX_PEERS && (entry = readdir(list)); looked++)
		closed = entry->d_name[0] != '.' && faccessat(dirfd(list), entry->d_name, R_OK, AT_EACCESS) &&
			 errno == EACCES && !fstatat(dirfd(list), entry->d_name, facts, AT_SYMLINK_NOFOLLOW);
	(void)closedir(list);
	return closed;
}

const char *find_unreadable(const struct found_region *found, char *room, size_t size)
{
	char path[PATH_MAX];
	struct stat facts;
	if (find_path(found->uri, path) || stat(path, &facts))
		return NULL;
	if (S_ISDIR(facts.st_mode) ? !closed_segment(path, &facts)
				   : !faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) || errno != EACCES)
		return NULL;
	const struct passwd *user = getpwuid(facts.st_uid);
	if (user)
		(void)snprintf(room, size, "%s", user->pw_name);
	else
		(void)snprintf(room, size, "%" PRIu32, (uint32_t)facts.st_uid);
	return room;
}

static void scan(struct found_regions *found, const char *place)
{
	struct dirent **entries;
	int directory = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int count = directory < 0 ? -1 : scandirat(directory, ".", &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.')
			consider(found, directory, place, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (directory >= 0)
		close(directory);
}

void find_unregistered(struct found_regions *found)
{
	scan(found, "/dev/shm");
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	if (!mounts)
		return;
	for (const struct mntent *mount; (mount = getmntent(mounts));) {
		if (!strcmp(mount->mnt_type, "hugetlbfs"))
			scan(found, mount->mnt_dir);
	}
	(void)endmntent(mounts);
}

void find_free(struct found_regions *found)
{
	free(found->one);
	memset(found, 0, sizeof(*found));
}
