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

/*
 * Does the other side still refer to a closed entry of ours? A producer's: only the consumer that was granted counts, and
 * only while it has not left. A consumer's: the producer that granted it, until it has noted the final head.
 */
static bool still_needed(const struct vshm_region *region, const struct vshmi_own *own)
{
	int rc = vshmi_link_check(region, &own->link);

	if (own->readers)
		return vshmi_readers_remain(region, own->readers);
	if (!own->link.id)
		return false;
	if (own->kind == VSHM_PRODUCER)
		return !rc;
	return (!rc || rc == -ENODATA) && own->granted && vshmi_load_acquire64(own->granted) == own->id;
}

/*
 * Frees closed entries. `urgent`: there is no room without, so those that were needed for long enough go, too: what a peer
 * says of itself cannot hold this one's entries and memory for ever.
 */
static void reclaim(struct vshm_region *region, bool urgent)
{
	int64_t now = vshmi_clock_ns();

	for (unsigned i = 0; i < VSHM_ENTRIES; i++) {
		struct vshmi_own *own = &region->own[i];

		if (own->state != VSHM_END_CLOSED)
			continue;
		if (still_needed(region, own) && !(urgent && now - own->closed_ns > VSHMI_DRAIN_NS))
			continue;
		vshmi_entry_free(&region->section->directory[i]);
		vshmi_readers_free(own->readers);
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

		if (own->state == VSHM_END_FREE || !own->place_size)
			continue;
		if (own->ring_offset < offset + size && offset < own->ring_offset + own->place_size &&
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
		offset = vshmi_align_up(other->ring_offset + other->place_size, VSHM_LINE);
	}
	return 0;
}

static uint64_t largest_ring(const struct vshm_region *region)
{
	for (uint64_t size = VSHM_MAX_RING; size >= VSHM_MIN_RING; size /= 2)
		if (ring_place(region, size))
			return size;
	return 0;
}

uint64_t vshmi_ring_room(struct vshm_region *region)
{
	reclaim(region, false);
	return largest_ring(region);
}

static int free_index(const struct vshm_region *region)
{
	for (int i = 0; i < (int)VSHM_ENTRIES; i++)
		if (region->own[i].state == VSHM_END_FREE)
			return i;
	return -ENOSPC;
}

/* A free entry, and a place of `size` bytes (0: none). -ENOSPC: one of them is not there. */
static int find_room(struct vshm_region *region, uint64_t size, int *index, uint64_t *place)
{
	for (int urgent = 0; urgent <= 1; urgent++) {
		reclaim(region, urgent);
		*index = free_index(region);
		*place = size ? ring_place(region, size) : 0;
		if (*index >= 0 && (!size || *place))
			return 0;
	}
	return -ENOSPC;
}

/* Before the entry is there: nobody is granted. */
static void clear_grants(struct vshm_region *region, struct vshmi_end *end, const struct vshm_entry *entry)
{
	end->readers->table = (struct vshmi_shared_grant *)(void *)((unsigned char *)region->section + entry->ring_offset +
								    entry->ring_size);
	for (uint32_t i = 0; i < end->grants; i++)
		vshmi_grant_set(&end->readers->table[i], 0, 0, 0, 0);
}

int vshmi_entry_take(struct vshm_region *region, struct vshmi_end *end, uint64_t ring_size)
{
	struct vshm_entry entry = {
		.id = region->next_id + 1,
		.kind = end->kind,
		.flags = end->flags,
		.ring_size = ring_size,
		.grants = end->grants,
		.position = end->kind == VSHM_CONSUMER ? VSHM_NOT_STARTED : 0,
		/* with other_id 0: nobody; the rest tells which producer a consumer has done with */
		.other_incarnation = vshmi_consumer_read_last(end)->incarnation,
		.other_start = vshmi_consumer_read_last(end)->id,
	};
	uint64_t size = ring_size + vshmi_grants_size(end->grants);
	int index;

	if (find_room(region, size, &index, &entry.ring_offset)) {
		if (index < 0)
			return vshmi_region_fail(region, -ENOSPC,
						 "all %u directory entries of this peer are in use: close some ends", VSHM_ENTRIES);
		return vshmi_region_fail(region, -ENOSPC,
					 "a ring of %llu bytes does not fit: the largest possible now is %llu bytes (the "
					 "section has %llu): make the region larger, or the ring smaller",
					 (unsigned long long)ring_size, (unsigned long long)largest_ring(region),
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
		.place_size = size,
		.end = end,
	};
	if (end->readers)
		clear_grants(region, end, &entry);
	vshmi_entry_open(end->entry, &entry);
	return 0;
}

void vshmi_entry_retire(struct vshm_region *region, struct vshmi_end *end)
{
	struct vshmi_own *own = &region->own[end->index];
	struct vshmi_link link;

	if (vshmi_region_usable(region)) { /* the section may be somebody else's by now */
		memset(own, 0, sizeof(*own));
		return;
	}
	own->state = VSHM_END_CLOSED;
	own->end = NULL;
	own->closed_ns = vshmi_clock_ns();
	own->readers = end->readers;
	end->readers = NULL;
	if (end->link.id) { /* else the last one that was withdrawn */
		own->link = end->link;
		own->granted = end->granted;
	}
	link = own->link;
	reclaim(region, false);
	vshmi_directory_changed(region);
	if (link.id)
		vshmi_peer_ring(region, link.peer);
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

	vshmi_readers_free(end->readers);
	vshmi_free(end->copy);
	vshmi_free(end->lent);
	memset(end, 0, VSHMI_HANDLE_SIZE);
	end->next = next;
	end->life = VSHMI_CLOSED;
}
