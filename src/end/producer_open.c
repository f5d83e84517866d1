/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a producing end: an entry with a place for its ring, and a grant for everybody who looks for its name already.
 */
#include "end/end.h"

/* Readers of a latest ring cost its producer next to nothing. */
#define DEFAULT_LATEST_CONSUMERS 16u

static int check_options(struct vshm_region *region, const struct vshm_producer_options *o)
{
	if (o->flags & ~(VSHM_PRODUCER_DROP | VSHM_PRODUCER_LATEST) || o->reserved)
		return vshmi_region_fail(region, -EINVAL, "unknown flag bits 0x%x in the producer options",
					 o->flags | o->reserved);
	if (o->consumers > VSHM_MAX_PEERS)
		return vshmi_region_fail(region, -EINVAL, "a ring can have at most %u consumers, not %u", VSHM_MAX_PEERS,
					 o->consumers);
	if (o->ring_size > VSHM_MAX_RING)
		return vshmi_region_fail(region, -ENOSPC,
					 "a ring of %llu bytes is too large: the largest possible is %llu bytes here, %llu anywhere",
					 (unsigned long long)o->ring_size, (unsigned long long)vshmi_ring_room(region),
					 (unsigned long long)VSHM_MAX_RING);
	return 0;
}

static uint64_t choose_ring_size(struct vshm_region *region, uint64_t asked)
{
	uint64_t size = vshmi_round_up_power_of_two(asked ? asked : VSHM_DEFAULT_RING_SIZE), room;

	if (size < VSHM_MIN_RING)
		size = VSHM_MIN_RING;
	if (asked)
		return size;
	room = vshmi_ring_room(region);
	return room && room < size ? room : size;
}

static int taken(struct vshm_region *region, const char *name)
{
	return vshmi_region_fail(region, -EEXIST, "a producer of ring %s is open already: use another name, or close that one",
				 name);
}

/* The flags of an entry, as the options have them. */
static uint32_t entry_flags(const struct vshm_producer_options *o)
{
	return (o->flags & VSHM_PRODUCER_DROP ? VSHM_ENTRY_DROP : 0) |
	       (o->flags & VSHM_PRODUCER_LATEST ? VSHM_ENTRY_LATEST : 0);
}

/* Takes the entry and the place of the ring. */
static int take_place(struct vshm_producer *p, const struct vshm_producer_options *o)
{
	uint64_t size = choose_ring_size(p->end.region, o->ring_size);
	bool latest = o->flags & VSHM_PRODUCER_LATEST;
	int rc = 0;

	if (latest || o->consumers > 1)
		rc = vshmi_many_prepare(p, o->consumers ? o->consumers : DEFAULT_LATEST_CONSUMERS, size);
	return rc ? rc : vshmi_entry_take(p->end.region, &p->end, size);
}

static int open_locked(struct vshm_region *region, const char *name, const struct vshm_producer_options *o,
		       struct vshm_producer *p)
{
	const struct vshmi_own *own;
	uint32_t sequence;
	int rc;

	if (vshmi_producer_exists(region, name, 0))
		return taken(region, name);
	rc = vshmi_random(&sequence, sizeof(sequence));
	if (rc)
		return vshmi_region_fail(region, rc, "ring %s: the system gives no random numbers", name);
	vshmi_end_init(&p->end, VSHM_PRODUCER, name, entry_flags(o));
	rc = take_place(p, o);
	if (rc)
		return rc;
	own = &region->own[p->end.index];
	vshmi_tx_init(&p->tx, (unsigned char *)region->section + own->ring_offset, own->ring_size, &p->end.entry->position,
		      &p->end.entry->armed);
	vshmi_tx_number_from(&p->tx, sequence);
	vshmi_many_begin(p);
	p->end.tx = &p->tx;
	p->end.adrift = true;
	vshmi_spin_init(&p->spin, o->spin_us);
	/* two that open at the same moment both see each other after this fence; both may give up, none doubles */
	vshmi_fence_full();
	if (vshmi_producer_exists(region, name, p->end.id)) {
		vshmi_store_release32(&p->end.entry->state, VSHM_END_CLOSED);
		vshmi_entry_retire(region, &p->end);
		return taken(region, name);
	}
	region->rescan = true;
	vshmi_grant_requests(region);
	vshmi_directory_changed(region);
	return 0;
}

int vshm_producer_open(struct vshm_region *region, const char *name, const struct vshm_producer_options *options,
		       struct vshm_producer **producer)
{
	static const struct vshm_producer_options defaults = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer_options o;
	struct vshm_producer *p;
	int rc = vshmi_end_may_open(region, name);

	if (!rc)
		rc = producer ? vshmi_options_in(&o, &defaults, sizeof(o), options) : -EINVAL;
	if (rc)
		return rc;
	vshmi_lock(&region->lock);
	rc = check_options(region, &o);
	p = rc ? NULL : (struct vshm_producer *)(void *)vshmi_handle_take(region);
	if (p) {
		rc = open_locked(region, name, &o, p);
		if (rc)
			vshmi_handle_drop(&p->end);
	} else if (!rc) {
		rc = -ENOMEM;
	}
	vshmi_unlock(&region->lock);
	if (!rc)
		*producer = p;
	return rc;
}
