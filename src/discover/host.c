/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions of the host: names in the run directory, then files that begin with the magic. Opens nothing that could
 * block (FIFOs, devices) and follows no symbolic link in directories where anybody may put one.
 */
#include "discover/discover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vshm/layout.h>

/* What can stand in a registration: the library writes no longer one. */
#define LINE_SIZE VSHM_FOUND_URI_SIZE

const char *vshmi_run_directory(void)
{
	/* Not from the environment of a program that runs with more rights than its user. */
	const char *given = secure_getenv("VSHM_RUN_DIR");

	return given && *given ? given : "/run/vshm";
}

int vshmi_uri_path(const char *uri, char *path, size_t size)
{
	size_t length;

	if (!strncmp(uri, "file:", 5))
		uri += 5;
	else if (*uri != '/' && *uri != '.')
		return -1;
	length = strcspn(uri, "?");
	if (length >= size)
		return -1;
	memcpy(path, uri, length);
	path[length] = '\0';
	return 0;
}

/* The rule of VSHM_NAME_SIZE: the library registers no others. */
static bool is_name(const char *text)
{
	static const char others[] = "._:+-";
	const char *at;

	if (strchr(others, *text) || strlen(text) >= VSHM_NAME_SIZE)
		return false;
	for (at = text; *at; at++)
		if (!(*at >= '0' && *at <= '9') && !(*at >= 'A' && *at <= 'Z') && !(*at >= 'a' && *at <= 'z') &&
		    !strchr(others, *at))
			return false;
	return true;
}

/* ---- entries of a directory, sorted ---- */

struct walk {
	struct vshmi_finds *finds;
	int directory;
	const char *place;
};

static void walk(struct vshmi_finds *finds, const char *place, void (*each)(struct walk *walk, const char *name))
{
	struct walk one = {finds, open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC), place};
	struct dirent **entries = NULL;
	int count = one.directory < 0 ? 0 : scandirat(one.directory, ".", &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.')
			each(&one, entries[i]->d_name);
		vshmi_discover_free(entries[i]);
	}
	vshmi_discover_free(entries);
	if (one.directory >= 0)
		(void)close(one.directory);
}

/* ---- the run directory ---- */

/*
 * The one line of a registration; false: none. Whether it is to be believed is the library's to say, when the
 * region is opened by that name.
 */
static bool read_registration(int directory, const char *name, char *line, size_t size)
{
	struct stat facts;
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	ssize_t got;

	if (fd < 0)
		return false;
	got = !fstat(fd, &facts) && S_ISREG(facts.st_mode) ? read(fd, line, size - 1) : -1;
	(void)close(fd);
	line[got > 0 ? got : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return *line != '\0';
}

static void add_registered(struct walk *walk, const char *name)
{
	struct vshm_found *one;
	struct stat facts;

	/* sockets of a server lie here too */
	if (!is_name(name) || fstatat(walk->directory, name, &facts, AT_SYMLINK_NOFOLLOW) || S_ISSOCK(facts.st_mode) ||
	    S_ISDIR(facts.st_mode))
		return;
	one = vshmi_finds_add(walk->finds, VSHM_FOUND_REGION);
	if (!one)
		return;
	one->flags = VSHM_FOUND_REGISTERED;
	VSHMI_TEXT(one->name, "%s", name);
	if (!read_registration(walk->directory, name, one->uri, LINE_SIZE))
		VSHMI_TEXT(one->uri, "vshm:%s", name);
	VSHMI_TEXT(one->place, "%s/%s", walk->place, name);
	VSHMI_TEXT(one->model, "file");
}

void vshmi_find_registered(struct vshmi_finds *finds)
{
	walk(finds, vshmi_run_directory(), add_registered);
}

static void note_server(struct vshm_found *one, enum vshmi_socket socket)
{
	static const struct {
		int error;
		const char *why;
	} says[] = {
		[VSHMI_SOCKET_DEAD] = {-EPIPE, "nobody listens there"},
		[VSHMI_SOCKET_OTHER] = {-EPROTO, "no server has it: it is a socket for datagrams"},
		[VSHMI_SOCKET_UNKNOWN] = {-EACCES,
					  "whether a server lives there cannot be told: you may not connect to it"},
	};

	if (socket == VSHMI_SOCKET_LIVE) {
		one->flags = VSHM_FOUND_LISTENS;
		return;
	}
	one->error = says[socket].error;
	VSHMI_TEXT(one->why, "%s", says[socket].why);
}

static void add_server(struct walk *walk, const char *name)
{
	struct vshm_found *one;
	struct stat facts;
	size_t length = strlen(name);

	if (fstatat(walk->directory, name, &facts, AT_SYMLINK_NOFOLLOW) || !S_ISSOCK(facts.st_mode))
		return;
	one = vshmi_finds_add(walk->finds, VSHM_FOUND_SERVER);
	if (!one)
		return;
	length -= length > 5 && !strcmp(name + length - 5, ".sock") ? 5 : 0;
	VSHMI_TEXT(one->place, "%s/%s", walk->place, name);
	VSHMI_TEXT(one->uri, "server:%s", one->place);
	VSHMI_TEXT(one->name, "%.*s", (int)length, name);
	VSHMI_TEXT(one->model, "ivshmem server");
	note_server(one, vshmi_ask_socket(walk->directory, name));
}

void vshmi_find_servers(struct vshmi_finds *finds)
{
	walk(finds, vshmi_run_directory(), add_server);
}

/* ---- where regions usually lie ---- */

/* Does this file begin like a segment of that profile? Whether it is lawful, opening it will say. */
static bool is_segment(int directory, const char *name, uint32_t profile)
{
	struct vshm_superblock block;
	const size_t size = offsetof(struct vshm_superblock, section);
	struct stat facts;
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	ssize_t got;

	if (fd < 0)
		return false;
	got = !fstat(fd, &facts) && S_ISREG(facts.st_mode) ? pread(fd, &block, size, 0) : 0;
	(void)close(fd);
	return got == (ssize_t)size && block.magic == VSHM_MAGIC && block.profile == profile;
}

/* A split region is a directory of segments; a few entries are enough to tell. */
static bool is_split(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool found = false;

	if (!list) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	for (unsigned looked = 0; !found && looked < 2 * VSHM_MAX_PEERS && (entry = readdir(list)); looked++)
		found = entry->d_name[0] != '.' && is_segment(fd, entry->d_name, VSHM_SPLIT);
	(void)closedir(list);
	return found;
}

/* Is it what one of the names stands for, or found already? */
static bool is_known(const struct vshmi_finds *finds, const struct stat *facts)
{
	char path[PATH_MAX];
	struct stat other;

	for (size_t i = 0; i < finds->count; i++)
		if (!vshmi_uri_path(finds->one[i].uri, path, sizeof(path)) && !stat(path, &other) &&
		    other.st_dev == facts->st_dev && other.st_ino == facts->st_ino)
			return true;
	return false;
}

static void add_region(struct vshmi_finds *finds, const struct stat *facts, const char *path)
{
	struct vshm_found *one = is_known(finds, facts) ? NULL : vshmi_finds_add(finds, VSHM_FOUND_REGION);
	const struct passwd *user;

	if (!one)
		return;
	user = facts->st_uid && facts->st_uid != geteuid() ? getpwuid(facts->st_uid) : NULL;
	VSHMI_TEXT(one->place, "%s", path);
	VSHMI_TEXT(one->uri, "file:%s%s%s", path, user ? "?owner=" : "", user ? user->pw_name : "");
	VSHMI_TEXT(one->model, "file");
}

static void add_file(struct walk *walk, const char *name)
{
	char path[PATH_MAX];
	struct stat facts;

	if (fstatat(walk->directory, name, &facts, AT_SYMLINK_NOFOLLOW))
		return;
	if (!(S_ISREG(facts.st_mode) && is_segment(walk->directory, name, VSHM_FLAT)) &&
	    !(S_ISDIR(facts.st_mode) && is_split(walk->directory, name)))
		return;
	VSHMI_TEXT(path, "%s/%s", walk->place, name);
	add_region(walk->finds, &facts, path);
}

void vshmi_find_path(struct vshmi_finds *finds, const char *uri)
{
	char path[PATH_MAX];
	struct stat facts;

	if (!vshmi_uri_path(uri, path, sizeof(path)) && !stat(path, &facts) &&
	    (S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode)))
		add_region(finds, &facts, path);
}

static void scan(void *arg, const char *place)
{
	walk(arg, place, add_file);
}

void vshmi_each_hugetlbfs(void (*each)(void *arg, const char *place), void *arg)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");

	if (!mounts)
		return;
	for (const struct mntent *mount; (mount = getmntent(mounts));)
		if (!strcmp(mount->mnt_type, "hugetlbfs"))
			each(arg, mount->mnt_dir);
	(void)endmntent(mounts);
}

void vshmi_find_unregistered(struct vshmi_finds *finds)
{
	scan(finds, "/dev/shm");
	vshmi_each_hugetlbfs(scan, finds);
}
