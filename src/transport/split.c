/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A split region in a guest: an ivshmem device for each peer's segment, of which the hypervisor lets this machine write its own
 * only, and perhaps one more device, whose memory does not matter, for the doorbells. The first device is this machine's own; the
 * others follow in the order of the peers, as `vshmctl qemu-args` gives them.
 */
#include "transport/device.h"
#include "transport/list.h"

#include <string.h>

struct assembly {
	struct vshmi_device memory[VSHM_MAX_PEERS];
	uint32_t count;
	struct vshmi_device doorbell;
};

static int init(struct vshmi_transport *t, char *why)
{
	struct assembly *all = vshmi_alloc(sizeof(*all));

	vshmi_transport_init(t, all, 0, false);
	if (!all)
		return vshmi_why(why, -ENOMEM, "out of memory");
	vshmi_device_init(&all->doorbell);
	return 0;
}

static void split_close(struct vshmi_transport *t)
{
	struct assembly *all = t->state;

	if (!all)
		return;
	for (uint32_t i = 0; i < all->count; i++)
		vshmi_device_close(&all->memory[i]);
	vshmi_device_close(&all->doorbell);
	vshmi_free(all);
	vshmi_transport_init(t, NULL, 0, false);
}

static int add_memory(struct vshmi_transport *t, const char *root, const char *address, bool writable, char *why)
{
	struct assembly *all = t->state;
	struct vshmi_device *device = &all->memory[all->count];
	uint32_t wants = VSHMI_DEVICE_MEMORY | (writable ? VSHMI_DEVICE_WRITE : 0);
	int error = vshmi_device_open(device, root, address, "", wants, why);

	if (error)
		return error;
	t->segment[all->count++] = (struct vshmi_segment){device->base, device->size, writable, false};
	t->segment_count = all->count;
	return 0;
}

/* "ADDRESS,ADDRESS,…" */
static int add_all(struct vshmi_transport *t, const char *root, const struct vshmi_uri *uri, bool observe, char *why)
{
	struct assembly *all = t->state;
	const char *at = uri->path;
	char address[32];
	int error = 0;

	for (;;) {
		size_t length = strcspn(at, ",");

		if (all->count == VSHM_MAX_PEERS || length >= sizeof(address))
			return vshmi_why(why, -EINVAL, "split: takes the PCI addresses of 1 to %u devices, with commas between",
					 VSHM_MAX_PEERS);
		memcpy(address, at, length);
		address[length] = '\0';
		error = add_memory(t, root, address, !observe && !all->count, why);
		if (error || !at[length])
			return error;
		at += length + 1;
	}
}

static int add_doorbell(struct vshmi_transport *t, const char *root, const struct vshmi_uri *uri, char *why)
{
	struct vshmi_device *device = &((struct assembly *)t->state)->doorbell;
	int error = vshmi_device_open(device, root, uri->doorbell, uri->via, VSHMI_DEVICE_DOORBELL, why);

	if (error)
		return error;
	t->rings = device->rings;
	t->bell = device->bell;
	t->doorbell = device->doorbell;
	return 0;
}

/* What there is to say of how it is reached: the doorbell's way decides how this peer waits. */
static void introduce(struct vshmi_transport *t)
{
	const struct assembly *all = t->state;
	const struct vshmi_device *memory = &all->memory[0], *bell = &all->doorbell;

	t->own_first = true;
	t->facts = vshmi_device_facts(memory) | VSHM_FACT_ENFORCED;
	t->way = memory->way;
	if (bell->way)
		(void)vshmi_why(t->because, 0, "%.90s; doorbell via %s: %.90s", memory->because, bell->way, bell->because);
	else
		memcpy(t->because, memory->because, sizeof(t->because));
}

int vshmi_devices_open(struct vshmi_transport *t, const char *root, const struct vshmi_uri *uri, bool observe, char *why)
{
	int error = init(t, why);

	if (!error)
		error = add_all(t, root, uri, observe, why);
	if (!error && uri->doorbell[0] && !observe)
		error = add_doorbell(t, root, uri, why);
	if (error)
		split_close(t);
	else
		introduce(t);
	return error;
}

static int split_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	return vshmi_devices_open(t, "", uri, observe, why);
}

static int split_ring(struct vshmi_transport *t, uint32_t doorbell)
{
	vshmi_device_ring(&((const struct assembly *)t->state)->doorbell, doorbell);
	return 0;
}

static void split_hear(struct vshmi_transport *t)
{
	vshmi_device_hear(&((const struct assembly *)t->state)->doorbell);
}

static int split_status(struct vshmi_transport *t)
{
	const struct assembly *all = t->state;

	for (uint32_t i = 0; i < all->count; i++)
		if (vshmi_device_status(&all->memory[i]))
			return -ENODEV;
	return 0;
}

const struct vshmi_transport_ops vshmi_split_ops = {
	.scheme = "split",
	.open = split_open,
	.status = split_status,
	.ring = split_ring,
	.hear = split_hear,
	.close = split_close,
};
