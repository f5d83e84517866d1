/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This peer's own directory: entries, and the places of rings in the section. All bookkeeping is private; the shared
 * entries are only written. A closed entry stays until nobody refers to it, so that what was committed can be read.
 */
#include "region/region.h"

void vshmi_directory_changed(struct vshm_region *region)
{
	struct vshmi_word64 *changes = &region->section->changes;

	/* only this peer writes it, under the lock; what it says otherwise does not matter as long as it changes */
	vshmi_store_release64(changes, vshmi_load64(changes) + 1);
}

struct reference {
	const struct vshm_region *region;
	uint64_t id;
};

static int refers_to(void *arg, const struct vshmi_seen *seen)
{
	const struct reference *reference = arg;

	return seen->entry.kind == VSHM_CONSUMER && seen->entry.state == VSHM_END_OPEN &&
	       seen->entry.other_id == reference->id && seen->entry.other_peer == reference->region->self &&
	       seen->entry.other_incarnation == reference->region->incarnation &&
	       !vshmi_peer_dead(reference->region, seen->peer);
}

/* Does the producer still name our consumer, and so perhaps look at its final head? */
static bool still_granted(const struct vshm_region *region, const struct vshmi_own *own)
{
	const struct vshmi_link *link = &own->link;
	int rc = vshmi_link_check(region, link);

	return link->id && (!rc || rc == -ENODATA) && vshmi_load_acquire64(&link->entry->other_id) == own->id;
}

static bool still_needed(struct vshm_region *region, const struct vshmi_own *own)
{
	struct reference reference = {region, own->id};

	if (own->kind == VSHM_CONSUMER)
		return still_granted(region, own);
	return vshmi_directory_visit(region, refers_to, &reference) != 0;
}

static void reclaim(struct vshm_region *region)
{
	for (unsigned i = 0; i < VSHM_ENTRIES; i++) {
		struct vshmi_own *own = &region->own[i];

		if (own->state != VSHM_END_CLOSED || still_needed(region, own))
			continue;
		vshmi_entry_free(&region->section->directory[i]);
		memset(own, 0, sizeof(*own));
	}
}

static uint64_t own_section_size(const struct vshm_region *region)
{
	return region->peer[region->self].size;
}

/* The lowest ring of ours that reaches into [offset, offset + size); NULL: the place is free. */
static const struct vshmi_own *ring_in_the_way(const struct vshm_region *region, uint64_t offset, uint64_t size)
{
	const struct vshmi_own *lowest = NULL;

	for (unsigned i = 0; i < VSHM_ENTRIES; i++) {
		const struct vshmi_own *own = &region->own[i];

		if (own->state == VSHM_END_FREE || own->kind != VSHM_PRODUCER)
			continue;
		if (own->ring_offset < offset + size && offset < own->ring_offset + own->ring_size &&
		    (!lowest || own->ring_offset < lowest->ring_offset))
			lowest = own;
	}
	return lowest;
}

/* First fit. 0 when there is no place. */
static uint64_t ring_place(const struct vshm_region *region, uint64_t size)
{
	uint64_t offset = VSHM_SECTION_DATA;

	while (vshmi_range_fits(offset, size, own_section_size(region))) {
		const struct vshmi_own *other = ring_in_the_way(region, offset, size);

		if (!other)
			return offset;
		offset = vshmi_align_up(other->ring_offset + other->ring_size, VSHM_LINE);
	}
	return 0;
}

uint64_t vshmi_ring_room(struct vshm_region *region)
{
	reclaim(region);
	for (uint64_t size = VSHM_MAX_RING; size >= VSHM_MIN_RING; size /= 2)
		if (ring_place(region, size))
			return size;
	return 0;
}

static int free_index(const struct vshm_region *region)
{
	for (int i = 0; i < (int)VSHM_ENTRIES; i++)
		if (region->own[i].state == VSHM_END_FREE)
			return i;
	return -ENOSPC;
}

int vshmi_entry_take(struct vshm_region *region, struct vshmi_end *end, uint64_t ring_size)
{
	struct vshm_entry entry = {
		.id = region->next_id + 1,
		.kind = end->kind,
		.flags = end->flags,
		.ring_size = ring_size,
		.position = end->kind == VSHM_CONSUMER ? VSHM_NOT_STARTED : 0,
	};
	int index;

	reclaim(region);
	index = free_index(region);
	if (index < 0)
		return vshmi_region_fail(region, -ENOSPC, "all %u directory entries of this peer are in use: close some ends",
					 VSHM_ENTRIES);
	if (ring_size) {
		entry.ring_offset = ring_place(region, ring_size);
		if (!entry.ring_offset)
			return vshmi_region_fail(region, -ENOSPC,
						 "a ring of %llu bytes does not fit: the largest possible now is %llu bytes (the "
						 "section has %llu): make the region larger, or the ring smaller",
						 (unsigned long long)ring_size, (unsigned long long)vshmi_ring_room(region),
						 (unsigned long long)own_section_size(region));
	}
	region->next_id++;
	memcpy(entry.name, end->name, sizeof(entry.name));
	end->index = (uint32_t)index;
	end->id = entry.id;
	end->entry = &region->section->directory[index];
	region->own[index] = (struct vshmi_own){
		.state = VSHM_END_OPEN,
		.kind = end->kind,
		.id = entry.id,
		.ring_offset = entry.ring_offset,
		.ring_size = ring_size,
		.end = end,
	};
	vshmi_entry_open(end->entry, &entry);
	return 0;
}

void vshmi_entry_retire(struct vshm_region *region, struct vshmi_end *end)
{
	struct vshmi_own *own = &region->own[end->index];

	if (vshmi_region_usable(region)) { /* the section may be somebody else's by now */
		memset(own, 0, sizeof(*own));
		return;
	}
	own->state = VSHM_END_CLOSED;
	own->end = NULL;
	if (end->link.id) /* else the last one that was withdrawn */
		own->link = end->link;
	reclaim(region);
	vshmi_directory_changed(region);
	if (own->link.id)
		vshmi_peer_ring(region, own->link.peer);
}

struct vshmi_end *vshmi_handle_take(struct vshm_region *region)
{
	struct vshmi_end *end;

	for (end = region->handles; end; end = end->next)
		if (end->life == VSHMI_CLOSED)
			break;
	if (!end) {
		end = vshmi_alloc_private_pages(VSHMI_HANDLE_SIZE);
		if (!end)
			return NULL;
		end->next = region->handles;
		region->handles = end;
	}
	end->life = VSHMI_OPEN;
	end->region = region;
	return end;
}

void vshmi_handle_drop(struct vshmi_end *end)
{
	struct vshmi_end *next = end->next;

	memset(end, 0, VSHMI_HANDLE_SIZE);
	end->next = next;
	end->life = VSHMI_CLOSED;
}
