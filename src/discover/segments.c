/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Split regions in a guest: a device for each peer's segment, and perhaps one more for the doorbells (vshm(7), "split:"). Alone, a
 * device tells the region and whose segment it is; those of one region are put together in the order of their addresses, in which
 * `vshmctl qemu-args` gives them to a machine: its own first.
 */
#include "discover/discover.h"

#include <errno.h>

void vshmi_look_at_segment(struct vshm_found *found, uint32_t flags)
{
	struct vshm_found alone = *found;
	struct vshm_region *region;
	char uri[64];

	VSHMI_TEXT(uri, "split:%.32s", found->place);
	if (vshmi_look_into(&alone, uri, flags, &region))
		return; /* the first answer stays */
	for (vshm_peer peer = 0; peer < alone.peers; peer++) {
		struct vshm_peer_info info = VSHM_PEER_INFO_INIT;

		if (vshm_region_peer(region, peer, &info) || info.state == VSHM_PEER_PENDING)
			continue;
		alone.peer = peer;
		alone.flags |= VSHM_FOUND_SEGMENT;
	}
	(void)vshm_region_close(region);
	if (!(alone.flags & VSHM_FOUND_SEGMENT))
		return;
	*found = alone;
	found->uri[0] = '\0'; /* until it is put together */
}

static bool belongs(const struct vshm_found *segment, const struct vshm_found *first)
{
	return segment->flags & VSHM_FOUND_SEGMENT && !memcmp(segment->uuid, first->uuid, sizeof(first->uuid));
}

/* Better has no memory of its own that anybody reads: it then is there for nothing else. */
static struct vshm_found *find_doorbell(struct vshmi_finds *finds)
{
	struct vshm_found *best = NULL;

	for (size_t i = 0; i < finds->count; i++) {
		struct vshm_found *one = &finds->one[i];

		if (one->kind == VSHM_FOUND_IVSHMEM && one->vectors && !(one->flags & VSHM_FOUND_SEGMENT) &&
		    (!best || (!best->error && one->error)))
			best = one;
	}
	return best;
}

static void compose(const struct vshmi_finds *finds, const struct vshm_found *first, const struct vshm_found *doorbell,
		    char *uri, size_t size)
{
	size_t used = 6;

	vshmi_text(uri, size, "split:");
	for (size_t i = 0; i < finds->count; i++) {
		if (!belongs(&finds->one[i], first) || used + 64 > size)
			continue;
		vshmi_text(uri + used, size - used, "%s%.32s", used > 6 ? "," : "", finds->one[i].place);
		used += strlen(uri + used);
	}
	if (doorbell)
		vshmi_text(uri + used, size - used, "?doorbell=%.32s", doorbell->place);
}

/* Its memory is only there because a device has to have some. */
static void note_doorbell(struct vshm_found *doorbell, const struct vshm_found *first)
{
	doorbell->flags |= VSHM_FOUND_DOORBELL;
	if (!doorbell->error)
		return;
	if (doorbell->error == -EPROTO) {
		doorbell->error = 0;
		doorbell->why[0] = '\0';
	}
	VSHMI_TEXT(doorbell->uri, "%s", first->uri);
	VSHMI_TEXT(doorbell->name, "%s", first->name);
}

static void assemble(struct vshmi_finds *finds, struct vshm_found *first, uint32_t flags)
{
	struct vshm_found *doorbell = find_doorbell(finds);

	compose(finds, first, doorbell, first->uri, sizeof(first->uri));
	for (size_t i = 0; i < finds->count; i++)
		if (&finds->one[i] != first && belongs(&finds->one[i], first))
			VSHMI_TEXT(finds->one[i].uri, "%s", first->uri);
	if (doorbell)
		note_doorbell(doorbell, first);
	(void)vshmi_look_into(first, first->uri, flags, NULL); /* all of it, as one */
}

void vshmi_assemble(struct vshmi_finds *finds, uint32_t flags)
{
	for (size_t i = 0; i < finds->count; i++)
		if (finds->one[i].flags & VSHM_FOUND_SEGMENT && !finds->one[i].uri[0])
			assemble(finds, &finds->one[i], flags);
}
