/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file transport: regions in a file system that lives in memory (/dev/shm, hugetlbfs) or not. What is the
 * same for one file and for a directory of files is here.
 */
#include "transport/file.h"

#include "os/os.h"

#include <vshm/layout.h>

#include <fcntl.h>
#include <unistd.h>

static int files_init(struct vshmi_transport *t, const struct vshmi_uri *uri, char *why)
{
	struct vshmi_files *files = vshmi_alloc(sizeof(*files));

	vshmi_transport_init(t, files, VSHM_FACT_CACHED | VSHM_FACT_RMW, true);
	if (!files)
		return vshmi_why(why, -ENOMEM, "out of memory");
	files->dir = -1;
	for (unsigned i = 0; i < VSHM_MAX_PEERS; i++)
		files->fd[i] = -1;
	return vshmi_place_init(&files->place, uri->path, why);
}

/* What was created and never published goes away. */
static void remove_temporary(struct vshmi_files *files)
{
	if (!files->place.temporary[0])
		return;
	if (files->split)
		(void)vshmi_split_remove(files->place.dir, files->place.temporary);
	else
		unlinkat(files->place.dir, files->place.temporary, 0);
}

static void file_close(struct vshmi_transport *t)
{
	struct vshmi_files *files = t->state;

	if (!files)
		return;
	remove_temporary(files);
	for (uint32_t i = 0; i < VSHM_MAX_PEERS; i++) {
		vshmi_unmap(t->segment[i].base, t->segment[i].size);
		if (files->fd[i] >= 0)
			close(files->fd[i]);
	}
	if (files->dir >= 0)
		close(files->dir);
	vshmi_place_fini(&files->place);
	vshmi_free(files);
	t->state = NULL;
	t->segment_count = 0;
	memset(t->segment, 0, sizeof(t->segment));
}

/* Nothing stays behind when opening or creating failed. */
static int finish(struct vshmi_transport *t, int error)
{
	if (error)
		file_close(t);
	return error;
}

int vshmi_files_map(struct vshmi_transport *t, uint32_t index, int fd, uint64_t size, bool writable, bool writable_now,
		    const char *shown, char *why)
{
	struct vshmi_files *files = t->state;
	uint64_t unit = vshmi_map_unit(fd);
	int error;

	files->fd[index] = fd;
	t->segment[index].base = vshmi_map(fd, size, writable_now, unit > VSHM_MIN_PAGE ? unit : VSHM_MIN_PAGE, &error);
	if (!t->segment[index].base)
		return vshmi_why(why, error, "%s: cannot map its %llu bytes: %s", shown, (unsigned long long)size,
				 error == -ENOMEM ? "no address space (ulimit -v) or no memory" : "refused by the system");
	t->segment[index].size = size;
	t->segment[index].can_write = writable;
	if (t->segment_count <= index)
		t->segment_count = index + 1;
	return 0;
}

void vshmi_files_drop(struct vshmi_transport *t, uint32_t index)
{
	struct vshmi_files *files = t->state;

	if (files->fd[index] >= 0)
		close(files->fd[index]);
	files->fd[index] = -1;
	t->segment[index] = (struct vshmi_segment){NULL, 0, false, false};
}

static int open_what_is_there(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	struct vshmi_files *files = t->state;
	struct stat st;
	int error = vshmi_place_look(&files->place, &st, why);

	if (error == -ENOENT)
		return vshmi_why(why, -ENOENT, "%s does not exist: vshmctl create makes a region", files->place.shown);
	if (error)
		return error;
	if (!S_ISDIR(st.st_mode))
		return vshmi_flat_open(t, uri, observe, why);
	t->facts |= VSHM_FACT_ENFORCED;
	return vshmi_split_open(t, uri, observe, why);
}

static int file_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	int error = files_init(t, uri, why);

	return finish(t, error ? error : open_what_is_there(t, uri, observe, why));
}

/* Before anything is allocated: may the name be taken? */
static int check_target(const struct vshmi_files *files, const struct vshmi_shape *shape, char *why)
{
	const char *shown = files->place.shown;
	struct stat st;
	int error = vshmi_place_look(&files->place, &st, why);

	if (error)
		return error == -ENOENT ? 0 : error;
	if (!shape->force)
		return vshmi_why(why, -EEXIST, "%s exists already: choose another path, or replace it with --force",
				 shown);
	if (S_ISREG(st.st_mode) && shape->split)
		return vshmi_why(why, -EEXIST, "%s is a file, and a split region is a directory: destroy it first", shown);
	if (S_ISDIR(st.st_mode) && !shape->split)
		return vshmi_why(why, -EEXIST, "%s is a directory, and the new region is one file: destroy it first",
				 shown);
	if (S_ISDIR(st.st_mode))
		return vshmi_split_check_contents(&files->place, why);
	return vshmi_file_check_kind(&st, shown, why);
}

static int file_create(struct vshmi_transport *t, const struct vshmi_uri *uri, const struct vshmi_shape *shape,
		       char *why)
{
	struct vshmi_files *files;
	int error = files_init(t, uri, why);

	files = t->state;
	if (!error)
		error = check_target(files, shape, why);
	if (error)
		return finish(t, error);
	files->force = shape->force;
	if (!shape->split)
		return finish(t, vshmi_flat_create(t, shape, why));
	t->facts |= VSHM_FACT_ENFORCED;
	return finish(t, vshmi_split_create(t, shape, why));
}

static int file_publish(struct vshmi_transport *t, char *why)
{
	const struct vshmi_files *files = t->state;

	return files->split ? vshmi_split_publish(t, why) : vshmi_flat_publish(t, why);
}

static int destroy_place(struct vshmi_place *place, char *why)
{
	struct stat st;
	int error = vshmi_place_look(place, &st, why);

	if (error == -ENOENT)
		return vshmi_why(why, -ENOENT, "%s does not exist", place->shown);
	if (error)
		return error;
	if (S_ISDIR(st.st_mode))
		return vshmi_split_destroy(place, why);
	error = vshmi_file_check_kind(&st, place->shown, why);
	if (!error && unlinkat(place->dir, place->name, 0))
		error = vshmi_file_failed(why, place->shown, "remove it");
	return error;
}

static int file_destroy(const struct vshmi_uri *uri, char *why)
{
	struct vshmi_place place;
	int error = vshmi_place_init(&place, uri->path, why);

	if (!error)
		error = destroy_place(&place, why);
	vshmi_place_fini(&place);
	return error;
}

static int file_status(struct vshmi_transport *t)
{
	const struct vshmi_files *files = t->state;
	struct stat st;

	if (files->dir >= 0 && !fstat(files->dir, &st) && !st.st_nlink)
		return -ESTALE;
	for (uint32_t i = 0; i < t->segment_count; i++) {
		/* of a split region another peer's file is its own affair */
		if (files->fd[i] < 0 || (files->split && !t->segment[i].own))
			continue;
		if (fstat(files->fd[i], &st) || (uint64_t)st.st_size < t->segment[i].size)
			return -ENODEV;
		if (!st.st_nlink)
			return -ESTALE;
	}
	return 0;
}

static int file_page(const struct vshmi_uri *uri, uint64_t *page, char *why)
{
	struct vshmi_place place;
	int error = vshmi_place_init(&place, uri->path, why);
	uint64_t unit;

	if (error)
		return error;
	unit = vshmi_map_unit(place.dir);
	*page = unit > VSHM_MIN_PAGE ? unit : VSHM_MIN_PAGE;
	vshmi_place_fini(&place);
	return 0;
}

const struct vshmi_transport_ops vshmi_file_ops = {
	.scheme = "file",
	.open = file_open,
	.create = file_create,
	.publish = file_publish,
	.destroy = file_destroy,
	.status = file_status,
	.close = file_close,
	.page = file_page,
};
