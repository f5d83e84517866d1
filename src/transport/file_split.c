/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A split region: a directory that only its owner can change, with a file per peer, each with an owner and a
 * mode of its own. Whoever owns the directory put the files there, so their owners need not be known to us;
 * where others can put files there, they must be.
 */
#include "transport/file.h"

#include "os/os.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* A smaller file is one that nobody has formatted yet. */
#define LEAST_SIZE 4096

/* Bytes of "peer-63" with its NUL, and some. */
#define NAME_SIZE 16
#define SHOWN_FILE_SIZE (VSHMI_SHOWN_SIZE + NAME_SIZE + 1)

static void file_name(char name[NAME_SIZE], uint32_t peer)
{
	snprintf(name, NAME_SIZE, "peer-%u", peer);
}

static void show_file(char shown[SHOWN_FILE_SIZE], const struct vshmi_place *place, const char *name)
{
	snprintf(shown, SHOWN_FILE_SIZE, "%s/%s", place->shown, name);
}

/* ---- open ---- */

static int check_directory(const struct stat *st, const char *owner, const char *shown, char *why)
{
	if ((st->st_mode & 022) && !(st->st_mode & S_ISVTX))
		return vshmi_why(why, -EACCES,
				 "%s: others than its owner may change this directory (mode %04o): chmod go-w it", shown,
				 (unsigned)(st->st_mode & 07777));
	return vshmi_file_check_owner(st, owner, shown, why);
}

/* Opens and checks the directory; *strangers: others may have put files there. */
static int open_directory(struct vshmi_files *files, const char *owner, bool *strangers, char *why)
{
	const char *shown = files->place.shown;
	struct stat st;

	files->dir = openat(files->place.dir, files->place.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (files->dir < 0 || fstat(files->dir, &st))
		return vshmi_file_failed(why, shown, "open the directory");
	*strangers = st.st_mode & 022;
	return check_directory(&st, owner, shown, why);
}

static int check_file(int fd, const char *owner, bool strangers, uint64_t *size, const char *shown, char *why)
{
	struct stat st;
	int error;

	if (fstat(fd, &st))
		return vshmi_file_failed(why, shown, "look at it");
	error = vshmi_file_check_kind(&st, shown, why);
	if (!error && strangers)
		error = vshmi_file_check_owner(&st, owner, shown, why);
	*size = vshmi_align_down((uint64_t)st.st_size, vshmi_map_unit(fd));
	return error;
}

/* One peer's file. A missing one, or one without content, is a segment that is not there yet. */
static int open_segment(struct vshmi_transport *t, uint32_t peer, const char *owner, bool strangers, bool observe, char *why)
{
	struct vshmi_files *files = t->state;
	char name[NAME_SIZE], shown[SHOWN_FILE_SIZE];
	struct stat st;
	uint64_t size = 0;
	bool writable;
	int fd, error;

	file_name(name, peer);
	show_file(shown, &files->place, name);
	if (fstatat(files->dir, name, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		return 0;
	t->segment_count = peer + 1;
	fd = vshmi_file_open(files->dir, name, observe ? VSHMI_FILE_READ : VSHMI_FILE_MAY_WRITE, &writable, shown, why);
	if (fd < 0)
		return fd;
	error = check_file(fd, owner, strangers, &size, shown, why);
	if (error || size < LEAST_SIZE) {
		close(fd);
		return error;
	}
	return vshmi_files_map(t, peer, fd, size, writable, false, shown, why);
}

/*
 * Whoever owns a file can make it unreadable, lease it, or stretch it beyond all address space: that keeps its owner out, and
 * nobody else. What is wrong with the own one, and with the first of the others, is told if nothing can be opened.
 */
static int open_segments(struct vshmi_transport *t, const struct vshmi_uri *uri, bool strangers, bool observe, char *why)
{
	char said[VSHM_WHY_SIZE];
	int first = 0;

	for (uint32_t peer = 0; peer < VSHM_MAX_PEERS; peer++) {
		int error = open_segment(t, peer, uri->owner, strangers, observe, said);

		if (!error)
			continue;
		if (error == -ENOMEM && ((const struct vshmi_files *)t->state)->fd[peer] < 0)
			return vshmi_why(why, error, "%s", said); /* no descriptors: that is this process' own affair */
		vshmi_files_drop(t, peer);
		if (!first || peer == uri->peer)
			first = vshmi_why(why, error, "%s", said);
		if (peer == uri->peer)
			return error;
	}
	for (uint32_t i = 0; i < t->segment_count; i++)
		if (t->segment[i].base)
			return 0;
	return first;
}

static int check_access(const struct vshmi_transport *t, bool observe, const char *shown, char *why)
{
	if (!t->segment_count)
		return vshmi_why(why, -EPROTO, "%s holds no file peer-N: no region (vshmctl create makes one)", shown);
	for (uint32_t i = 0; i < t->segment_count; i++)
		if (observe || t->segment[i].can_write)
			return 0;
	return vshmi_why(why, -EACCES, "%s: you (uid %u) may write none of its files: you can only observe it", shown,
			 geteuid());
}

int vshmi_split_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	struct vshmi_files *files = t->state;
	bool strangers = false;
	int error;

	files->split = true;
	error = open_directory(files, uri->owner, &strangers, why);
	if (!error)
		error = open_segments(t, uri, strangers, observe, why);
	return error ? error : check_access(t, observe, files->place.shown, why);
}

/* ---- create ---- */

static int make_directory(struct vshmi_files *files, char *why)
{
	struct vshmi_place *place = &files->place;
	int error = vshmi_place_temporary(place, why);

	if (error)
		return error;
	if (mkdirat(place->dir, place->temporary, 0700)) {
		place->temporary[0] = '\0';
		return vshmi_file_failed(why, place->shown, "make the directory");
	}
	files->dir = openat(place->dir, place->temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return files->dir < 0 ? vshmi_file_failed(why, place->shown, "open the new directory") : 0;
}

/* Without a name where that can be done: then the directory is made only when all is complete. */
static int make_file(struct vshmi_files *files, const char *name, const struct vshmi_shape *shape,
		     const struct vshm_owner *owner, const char *shown, char *why)
{
	int error, fd = -EOPNOTSUPP;

	if (files->dir < 0)
		fd = vshmi_file_make_unnamed(files->place.dir, shape->segment_size, owner, shown, why);
	if (fd != -EOPNOTSUPP)
		return fd;
	error = files->dir < 0 ? make_directory(files, why) : 0;
	return error ? error : vshmi_file_make(files->dir, name, shape->segment_size, owner, shown, why);
}

static int make_segment(struct vshmi_transport *t, uint32_t peer, const struct vshmi_shape *shape, char *why)
{
	struct vshmi_files *files = t->state;
	char name[NAME_SIZE], shown[SHOWN_FILE_SIZE];
	int fd;

	file_name(name, peer);
	show_file(shown, &files->place, name);
	fd = make_file(files, name, shape, &shape->owners[peer], shown, why);
	if (fd < 0)
		return fd;
	files->mode[peer] = shape->owners[peer].mode & 0777;
	return vshmi_files_map(t, peer, fd, shape->segment_size, true, true, shown, why);
}

int vshmi_split_create(struct vshmi_transport *t, const struct vshmi_shape *shape, char *why)
{
	struct vshmi_files *files = t->state;
	uint64_t total;
	int error;

	files->split = true;
	if (__builtin_mul_overflow(shape->segment_size, (uint64_t)shape->segments, &total))
		total = UINT64_MAX;
	error = vshmi_file_check_room(files->place.dir, total, files->place.shown, why);
	for (uint32_t peer = 0; !error && peer < shape->segments; peer++)
		error = make_segment(t, peer, shape, why);
	return error;
}

/* The files without a name get theirs in a directory that has none yet. */
static int name_files(struct vshmi_transport *t, char *why)
{
	struct vshmi_files *files = t->state;
	char name[NAME_SIZE];
	int error = make_directory(files, why);

	for (uint32_t i = 0; !error && i < t->segment_count; i++) {
		file_name(name, i);
		if (vshmi_file_link(files->fd[i], files->dir, name))
			error = vshmi_file_failed(why, files->place.shown, "name its files");
	}
	return error;
}

/* The new directory and the old one change names, so that there is never none; then the old one goes. */
static int replace_directory(struct vshmi_place *place, char *why)
{
	int error = vshmi_split_check_contents(place, why);

	if (error)
		return error;
	if (renameat2(place->dir, place->temporary, place->dir, place->name, RENAME_EXCHANGE)) {
		if (errno == EINVAL || errno == ENOSYS)
			return vshmi_why(why, -EOPNOTSUPP,
					 "%s: its file system cannot replace a directory in one step: destroy it first",
					 place->shown);
		return vshmi_file_failed(why, place->shown, "replace it");
	}
	/* Ours is published. What is left of the old one cannot be told to anybody who would care. */
	(void)vshmi_split_remove(place->dir, place->temporary);
	place->temporary[0] = '\0';
	return 0;
}

int vshmi_split_publish(struct vshmi_transport *t, char *why)
{
	struct vshmi_files *files = t->state;
	struct stat st;
	int error;

	for (uint32_t i = 0; i < t->segment_count; i++)
		if (fchmod(files->fd[i], files->mode[i]))
			return vshmi_file_failed(why, files->place.shown, "set the mode of its files");
	error = files->dir < 0 ? name_files(t, why) : 0;
	if (error)
		return error;
	if (fchmod(files->dir, 0755))
		return vshmi_file_failed(why, files->place.shown, "set its mode");
	if (files->force && !vshmi_place_look(&files->place, &st, NULL))
		return replace_directory(&files->place, why);
	return vshmi_place_publish(&files->place, why);
}

/* ---- remove ---- */

static bool is_peer_name(const char *name)
{
	char lawful[NAME_SIZE];

	for (uint32_t peer = 0; peer < VSHM_MAX_PEERS; peer++) {
		file_name(lawful, peer);
		if (!strcmp(name, lawful))
			return true;
	}
	return false;
}

static int check_names(DIR *stream, const char *shown, char *why)
{
	const struct dirent *entry;

	while ((entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || is_peer_name(entry->d_name))
			continue;
		return vshmi_why(why, -EPROTO, "%s holds \"%.40s\" too, which is no part of a region: move it away", shown,
				 entry->d_name);
	}
	return 0;
}

int vshmi_split_check_contents(const struct vshmi_place *place, char *why)
{
	int fd = openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	int error;

	if (!stream) {
		error = vshmi_file_failed(why, place->shown, "list the directory");
		if (fd >= 0)
			close(fd);
		return error;
	}
	error = check_names(stream, place->shown, why);
	closedir(stream);
	return error;
}

int vshmi_split_remove(int parent, const char *name)
{
	int dir = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char file[NAME_SIZE];

	if (dir < 0)
		return -1;
	for (uint32_t peer = 0; peer < VSHM_MAX_PEERS; peer++) {
		file_name(file, peer);
		unlinkat(dir, file, 0);
	}
	close(dir);
	return unlinkat(parent, name, AT_REMOVEDIR);
}

int vshmi_split_destroy(struct vshmi_place *place, char *why)
{
	int error = vshmi_split_check_contents(place, why);

	if (!error)
		error = vshmi_place_temporary(place, why);
	if (error)
		return error;
	/* Away with the name first: nobody shall find half of a region. */
	if (renameat(place->dir, place->name, place->dir, place->temporary))
		return vshmi_file_failed(why, place->shown, "remove it");
	if (!vshmi_split_remove(place->dir, place->temporary))
		return 0;
	error = vshmi_file_failed(why, place->shown, "remove its files");
	(void)renameat(place->dir, place->temporary, place->dir, place->name);
	return error;
}
