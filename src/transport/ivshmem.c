/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region in the memory of one ivshmem device. Where it has no interrupts, waits look again now and then: futexes do not
 * work on such mappings.
 */
#include "transport/device.h"
#include "transport/list.h"

#include <vshm/layout.h>

#include <unistd.h>

static void ivshmem_close(struct vshmi_transport *t)
{
	struct vshmi_device *device = t->state;

	if (!device)
		return;
	vshmi_device_close(device);
	vshmi_free(device);
	vshmi_transport_init(t, NULL, 0, false);
}

static int finish(struct vshmi_transport *t, int error)
{
	if (error)
		ivshmem_close(t);
	return error;
}

/* What the transport says of the device. */
static void introduce(struct vshmi_transport *t, const struct vshmi_device *device, bool writable)
{
	t->facts = vshmi_device_facts(device);
	t->way = device->way;
	memcpy(t->because, device->because, sizeof(t->because));
	t->rings = device->rings;
	t->bell = device->bell;
	t->doorbell = device->doorbell;
	t->segment[0] = (struct vshmi_segment){device->base, device->size, writable, false};
	t->segment_count = 1;
}

int vshmi_ivshmem_open(struct vshmi_transport *t, const char *root, const struct vshmi_uri *uri, bool observe,
		       bool writable_now, char *why)
{
	struct vshmi_device *device = vshmi_alloc(sizeof(*device));
	uint32_t wants = VSHMI_DEVICE_MEMORY;
	int error;

	vshmi_transport_init(t, device, 0, false);
	if (!device)
		return vshmi_why(why, -ENOMEM, "out of memory");
	if (!observe) /* an observer is rung by nobody */
		wants |= VSHMI_DEVICE_WRITE | VSHMI_DEVICE_DOORBELL;
	if (writable_now)
		wants |= VSHMI_DEVICE_WRITE_NOW;
	error = vshmi_device_open(device, root, uri->path, uri->via, wants, why);
	if (!error)
		introduce(t, device, !observe);
	return finish(t, error);
}

static int ivshmem_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	return vshmi_ivshmem_open(t, "", uri, observe, false, why);
}

static int ivshmem_ring(struct vshmi_transport *t, uint32_t doorbell)
{
	vshmi_device_ring(t->state, doorbell);
	return 0;
}

static void ivshmem_hear(struct vshmi_transport *t)
{
	vshmi_device_hear(t->state);
}

/* Memory that holds a region, or anything else that begins with some bytes, is not formatted. */
static int check_empty(const struct vshmi_transport *t, const char *address, char *why)
{
	const struct vshmi_segment *segment = &t->segment[0];
	uint64_t any = 0;

	for (uint64_t i = 0; i < VSHM_SUPERBLOCK_SIZE; i += 8) {
		uint64_t word;

		memcpy(&word, segment->base + i, sizeof(word));
		any |= word;
	}
	return any ? vshmi_why(why, -EEXIST, "the memory of %s is in use: if it is nobody's, fill its first 4096 bytes with zeros",
			       address) :
		     0;
}

int vshmi_ivshmem_create(struct vshmi_transport *t, const char *root, const struct vshmi_uri *uri, const struct vshmi_shape *shape,
			 char *why)
{
	int error;

	if (shape->split)
		return vshmi_why(why, -EOPNOTSUPP, "one device is one flat region: a split one has a device for each peer");
	error = vshmi_ivshmem_open(t, root, uri, false, true, why);
	if (error)
		return error;
	if (shape->segment_size > t->segment[0].size)
		error = vshmi_why(why, -ENOSPC, "the memory of %s has %llu bytes, not %llu: ask for less, or enlarge it in the hypervisor",
				  uri->path, (unsigned long long)t->segment[0].size, (unsigned long long)shape->segment_size);
	return finish(t, error ? error : check_empty(t, uri->path, why));
}

static int ivshmem_create(struct vshmi_transport *t, const struct vshmi_uri *uri, const struct vshmi_shape *shape, char *why)
{
	return vshmi_ivshmem_create(t, "", uri, shape, why);
}

/* The memory has its name already: the superblock's magic, stored last, makes a region of it. */
static int ivshmem_publish(struct vshmi_transport *t, char *why)
{
	(void)t;
	(void)why;
	return 0;
}

static int ivshmem_status(struct vshmi_transport *t)
{
	return vshmi_device_status(t->state);
}

static int ivshmem_page(const struct vshmi_uri *uri, uint64_t *page, char *why)
{
	(void)uri;
	(void)why;
	*page = VSHM_MIN_PAGE;
	return 0;
}

const struct vshmi_transport_ops vshmi_ivshmem_ops = {
	.scheme = "ivshmem",
	.open = ivshmem_open,
	.create = ivshmem_create,
	.publish = ivshmem_publish,
	.status = ivshmem_status,
	.ring = ivshmem_ring,
	.hear = ivshmem_hear,
	.close = ivshmem_close,
	.page = ivshmem_page,
};
