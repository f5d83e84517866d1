/* SPDX-License-Identifier: BSD-3-Clause */
/* A flat region: one file that holds everything. */
#include "transport/file.h"

#include "os/os.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* The least that could be a region: a superblock. */
#define LEAST_SIZE 4096

static int check_open_file(int fd, const struct vshmi_uri *uri, uint64_t *size, const char *shown, char *why)
{
	struct stat st;
	int error;

	if (fstat(fd, &st))
		return vshmi_file_failed(why, shown, "look at it");
	error = vshmi_file_check_kind(&st, shown, why);
	if (!error)
		error = vshmi_file_check_owner(&st, uri->owner, shown, why);
	if (error)
		return error;
	if (!st.st_size)
		return vshmi_why(why, -EPROTO, "%s is empty: no region (vshmctl create makes one)", shown);
	if (st.st_size < LEAST_SIZE)
		return vshmi_why(why, -EPROTO, "%s has only %lld bytes: no region", shown, (long long)st.st_size);
	*size = vshmi_align_down((uint64_t)st.st_size, vshmi_map_unit(fd));
	return 0;
}

int vshmi_flat_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	struct vshmi_files *files = t->state;
	const struct vshmi_place *place = &files->place;
	uint64_t size = 0;
	bool writable;
	int error, fd;

	fd = vshmi_file_open(place->dir, place->name, observe ? VSHMI_FILE_READ : VSHMI_FILE_WRITE, &writable, place->shown, why);
	if (fd < 0)
		return fd;
	error = check_open_file(fd, uri, &size, place->shown, why);
	if (error) {
		close(fd);
		return error;
	}
	return vshmi_files_map(t, 0, fd, size, writable, false, place->shown, why);
}

/* For file systems that have no unnamed files. */
static int make_named(struct vshmi_place *place, const struct vshmi_shape *shape, char *why)
{
	int fd, error = vshmi_place_temporary(place, why);

	if (error)
		return error;
	fd = vshmi_file_make(place->dir, place->temporary, shape->segment_size, &shape->owners[0], place->shown, why);
	if (fd < 0)
		place->temporary[0] = '\0';
	return fd;
}

int vshmi_flat_create(struct vshmi_transport *t, const struct vshmi_shape *shape, char *why)
{
	struct vshmi_files *files = t->state;
	struct vshmi_place *place = &files->place;
	int fd = vshmi_file_make_unnamed(place->dir, shape->segment_size, &shape->owners[0], place->shown, why);

	if (fd == -EOPNOTSUPP)
		fd = make_named(place, shape, why);
	if (fd < 0)
		return fd;
	files->mode[0] = shape->owners[0].mode & 0777;
	return vshmi_files_map(t, 0, fd, shape->segment_size, true, true, place->shown, why);
}

int vshmi_flat_publish(struct vshmi_transport *t, char *why)
{
	struct vshmi_files *files = t->state;
	struct vshmi_place *place = &files->place;
	int error;

	if (fchmod(files->fd[0], files->mode[0]))
		return vshmi_file_failed(why, place->shown, "set its mode");
	if (!place->temporary[0]) {
		error = vshmi_place_publish_unnamed(place, files->fd[0], files->force, why);
		if (error || !files->force)
			return error;
	} else if (!files->force) {
		return vshmi_place_publish(place, why);
	}
	if (renameat(place->dir, place->temporary, place->dir, place->name)) {
		if (errno == EISDIR)
			return vshmi_why(why, -EEXIST, "%s is a directory, and the new region is one file: destroy it first",
					 place->shown);
		return vshmi_file_failed(why, place->shown, "replace it");
	}
	place->temporary[0] = '\0';
	return 0;
}
