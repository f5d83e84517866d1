/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions within one process, for tests and first steps: memfds under a name in a list of the process. Every
 * open maps them again, so that peers in one process meet in shared memory exactly as processes do.
 */
#include "transport/file.h"
#include "transport/list.h"

#include "os/os.h"

#include <vshm/layout.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* All under `lock`, but what never changes: name, fds, sizes. */
struct memory {
	struct memory *next;
	char name[VSHM_NAME_SIZE];
	unsigned users; /* handles, and the list */
	bool listed;
	uint32_t count;
	uint64_t size; /* of each segment */
	int fd[VSHM_MAX_PEERS];
};

struct handle {
	struct memory *memory;
	bool force; /* of a memory that is not published yet */
};

static struct vshmi_mutex lock;

__attribute__((constructor)) static void prepare_for_fork(void)
{
	vshmi_mutex_free_in_child(&lock);
}
static struct memory *memories;

static struct memory *find(const char *name)
{
	struct memory *memory = memories;

	while (memory && strcmp(memory->name, name) != 0)
		memory = memory->next;
	return memory;
}

static void put(struct memory *memory)
{
	if (--memory->users)
		return;
	for (uint32_t i = 0; i < memory->count; i++)
		close(memory->fd[i]);
	vshmi_free(memory);
}

static void unlist(struct memory *memory)
{
	struct memory **link = &memories;

	while (*link != memory)
		link = &(*link)->next;
	*link = memory->next;
	memory->listed = false;
	put(memory);
}

static int check_name(const struct vshmi_uri *uri, char *why)
{
	if (vshmi_name_ok(uri->path))
		return 0;
	return vshmi_why(why, -EINVAL, "inproc:%.64s: a name is 1 to 63 of A-Z a-z 0-9 . _ : + -, a letter or digit first",
			 uri->path);
}

/* The descriptor of an allocated, sealed memfd. */
static int make_segment(uint64_t size, const char *name, char *why)
{
	int error, fd = memfd_create("vshm", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return vshmi_file_failed(why, name, "make memory");
	error = vshmi_file_allocate(fd, size, name, why);
	if (!error && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		error = vshmi_file_failed(why, name, "seal its memory");
	if (!error)
		return fd;
	close(fd);
	return error;
}

static int make_memory(struct memory *memory, const struct vshmi_shape *shape, char *why)
{
	memory->size = shape->segment_size;
	for (uint32_t i = 0; i < shape->segments; i++) {
		int fd = make_segment(shape->segment_size, memory->name, why);

		if (fd < 0)
			return fd;
		memory->fd[memory->count++] = fd;
	}
	return 0;
}

static int map_all(struct vshmi_transport *t, const struct memory *memory, bool writable_now, char *why)
{
	int error;

	for (uint32_t i = 0; i < memory->count; i++) {
		struct vshmi_segment *segment = &t->segment[i];

		segment->base = vshmi_map(memory->fd[i], memory->size, writable_now, VSHM_MIN_PAGE, &error);
		if (!segment->base)
			return vshmi_why(why, error, "inproc:%s: cannot map it: no address space or no memory",
					 memory->name);
		segment->size = memory->size;
		segment->can_write = true;
		t->segment_count = i + 1;
	}
	return 0;
}

static int init(struct vshmi_transport *t, char *why)
{
	vshmi_transport_init(t, vshmi_alloc(sizeof(struct handle)), VSHM_FACT_CACHED | VSHM_FACT_RMW, true);
	return t->state ? 0 : vshmi_why(why, -ENOMEM, "out of memory");
}

static void inproc_close(struct vshmi_transport *t)
{
	struct handle *handle = t->state;

	if (!handle)
		return;
	for (uint32_t i = 0; i < t->segment_count; i++)
		vshmi_unmap(t->segment[i].base, t->segment[i].size);
	vshmi_lock(&lock);
	if (handle->memory)
		put(handle->memory);
	vshmi_unlock(&lock);
	vshmi_free(handle);
	t->state = NULL;
	t->segment_count = 0;
	memset(t->segment, 0, sizeof(t->segment));
}

static int finish(struct vshmi_transport *t, int error)
{
	if (error)
		inproc_close(t);
	return error;
}

static int inproc_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	struct handle *handle;
	int error = check_name(uri, why);

	(void)observe;
	if (!error)
		error = init(t, why);
	if (error)
		return error;
	handle = t->state;
	vshmi_lock(&lock);
	handle->memory = find(uri->path);
	if (handle->memory)
		handle->memory->users++;
	vshmi_unlock(&lock);
	if (!handle->memory)
		return finish(t, vshmi_why(why, -ENOENT,
					   "inproc:%s does not exist: this process must create it first (other processes "
					   "have their own)",
					   uri->path));
	return finish(t, map_all(t, handle->memory, false, why));
}

static int name_taken(const char *name, char *why)
{
	return vshmi_why(why, -EEXIST, "inproc:%s exists already: choose another name, or replace it with --force", name);
}

static int check_free(const char *name, const struct vshmi_shape *shape, char *why)
{
	bool taken;

	vshmi_lock(&lock);
	taken = find(name) != NULL;
	vshmi_unlock(&lock);
	return taken && !shape->force ? name_taken(name, why) : 0;
}

static int inproc_create(struct vshmi_transport *t, const struct vshmi_uri *uri, const struct vshmi_shape *shape,
			 char *why)
{
	struct memory *memory;
	struct handle *handle;
	int error = check_name(uri, why);

	if (!error)
		error = check_free(uri->path, shape, why);
	if (!error)
		error = init(t, why);
	if (error)
		return error;
	handle = t->state;
	memory = vshmi_alloc(sizeof(*memory));
	if (!memory)
		return finish(t, vshmi_why(why, -ENOMEM, "out of memory"));
	memory->users = 1;
	memcpy(memory->name, uri->path, strlen(uri->path) + 1);
	handle->memory = memory;
	handle->force = shape->force;
	error = make_memory(memory, shape, why);
	return finish(t, error ? error : map_all(t, memory, true, why));
}

static int inproc_publish(struct vshmi_transport *t, char *why)
{
	struct handle *handle = t->state;
	struct memory *memory = handle->memory, *old;
	bool taken;

	vshmi_lock(&lock);
	old = find(memory->name);
	taken = old && !handle->force;
	if (!taken) {
		if (old)
			unlist(old);
		memory->next = memories;
		memories = memory;
		memory->listed = true;
		memory->users++;
	}
	vshmi_unlock(&lock);
	return taken ? name_taken(memory->name, why) : 0;
}

static int inproc_destroy(const struct vshmi_uri *uri, char *why)
{
	struct memory *memory;
	int error = check_name(uri, why);

	if (error)
		return error;
	vshmi_lock(&lock);
	memory = find(uri->path);
	if (memory)
		unlist(memory);
	vshmi_unlock(&lock);
	return memory ? 0 : vshmi_why(why, -ENOENT, "inproc:%s does not exist in this process", uri->path);
}

static int inproc_status(struct vshmi_transport *t)
{
	const struct handle *handle = t->state;
	bool listed;

	vshmi_lock(&lock);
	listed = handle->memory->listed;
	vshmi_unlock(&lock);
	return listed ? 0 : -ESTALE;
}

static int inproc_page(const struct vshmi_uri *uri, uint64_t *page, char *why)
{
	int error = check_name(uri, why);

	if (!error)
		*page = VSHM_MIN_PAGE;
	return error;
}

const struct vshmi_transport_ops vshmi_inproc_ops = {
	.scheme = "inproc",
	.open = inproc_open,
	.create = inproc_create,
	.publish = inproc_publish,
	.destroy = inproc_destroy,
	.status = inproc_status,
	.close = inproc_close,
	.page = inproc_page,
};
