/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking at a region without touching it: copies of checked words, for tools.
 */
#include "region/region.h"

int vshm_region_info(struct vshm_region *region, struct vshm_region_info *info)
{
	struct vshm_region_info out = VSHM_REGION_INFO_INIT;
	int rc = vshmi_region_handle(region);

	if (rc || !info)
		return rc ? rc : -EINVAL;
	memcpy(out.name, region->name, sizeof(out.name));
	memcpy(out.uuid, region->uuid, sizeof(out.uuid));
	out.layout_version = VSHM_LAYOUT_VERSION;
	out.peers = region->peers;
	out.profile = region->profile;
	out.facts = region->transport.facts | VSHM_FACT_PROTECTED;
	out.self = region->self;
	out.segments = region->transport.segment_count;
	out.size = region->size;
	out.layout_page = region->layout_page;
	out.created_ns = region->created_ns;
	if (region->transport.way)
		(void)strncpy(out.way, region->transport.way, sizeof(out.way) - 1);
	memcpy(out.because, region->transport.because, sizeof(out.because));
	return vshmi_options_out(info, &out, sizeof(out));
}

/* Bytes of rings and pools that a peer's lawful entries name; return rings are next to nothing. */
static uint64_t ring_bytes(const struct vshm_region *region, vshm_peer number)
{
	const struct vshmi_peer *peer = &region->peer[number];
	struct vshm_fault fault;
	struct vshm_entry entry;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < VSHM_ENTRIES; i++)
		if (!vshmi_entry_read(peer->section, i, peer->size, region->peers, &entry, &fault) &&
		    entry.kind != VSHM_CONSUMER)
			sum += entry.ring_size;
	return sum;
}

static void fill_identity(const struct vshm_region *region, vshm_peer number, const struct vshm_identity *identity,
			  struct vshm_peer_info *out)
{
	out->incarnation = identity->incarnation;
	out->heartbeat = vshmi_load64(&region->peer[number].section->heartbeat);
	out->attached_ns = identity->attached_ns;
	out->pid = identity->pid;
	out->uid = identity->uid;
	out->ways = identity->ways;
	out->beat_ms = identity->beat_ms;
	out->same_kernel = vshmi_peer_same_kernel(region, identity);
	out->can_wake = (out->same_kernel && identity->ways & VSHM_WAY_FUTEX) ||
			(region->ways & VSHM_WAY_RINGS && identity->ways & VSHM_WAY_DOORBELL &&
			 !vshmi_peer_is_stranger(region, number));
	out->server_life = identity->server_life;
	out->ring_bytes = ring_bytes(region, number);
	memcpy(out->label, identity->label, sizeof(out->label));
}

int vshm_region_peer(struct vshm_region *region, vshm_peer number, struct vshm_peer_info *info)
{
	struct vshm_peer_info out = VSHM_PEER_INFO_INIT;
	struct vshm_identity identity;
	int rc = vshmi_region_handle(region);

	if (!rc && (!info || number >= region->peers))
		rc = -EINVAL;
	if (rc)
		return rc;
	vshmi_lock(&region->lock);
	out.state = vshmi_peer_examine(region, number, &identity);
	vshmi_unlock(&region->lock);
	out.segment = region->peer[number].segment;
	out.offset = region->peer[number].offset;
	out.size = region->peer[number].size;
	if (out.state > VSHM_PEER_PENDING && identity.incarnation)
		fill_identity(region, number, &identity, &out);
	return vshmi_options_out(info, &out, sizeof(out));
}

/* The entry at the other end that names this one back, if there is one. */
static void find_other(const struct vshm_region *region, const struct vshm_entry *entry, uint64_t incarnation,
		       struct vshm_end_info *out)
{
	const struct vshmi_peer *other = &region->peer[entry->other_peer];
	struct vshm_fault fault;
	struct vshm_grant grant;
	struct vshm_entry back;

	if (!other->section || vshmi_incarnation_load(other->section) != entry->other_incarnation)
		return;
	for (uint32_t i = 0; i < VSHM_ENTRIES; i++) {
		if (vshmi_entry_id(&other->section->directory[i]) != entry->other_id ||
		    vshmi_entry_read(other->section, i, other->size, region->peers, &back, &fault))
			continue;
		out->other_index = i;
		/* one that has not noticed its grant yet will begin where that says */
		out->other_position = back.position == VSHM_NOT_STARTED ? entry->other_start : back.position;
		out->connected = back.kind == VSHM_PRODUCER ?
					 vshmi_grant_find(region, entry->other_peer, &back, out->peer, incarnation,
							  entry->id, &grant) :
					 back.other_id == entry->id && back.other_peer == out->peer &&
						 back.other_incarnation == incarnation && back.kind != entry->kind;
		return;
	}
}

/* An entry changes for some nanoseconds now and then; one that does so for longer is not to be had. */
#define TRIES 100

static int read_end(const struct vshm_region *region, vshm_peer number, uint32_t index, struct vshm_end_info *out)
{
	const struct vshmi_peer *peer = &region->peer[number];
	struct vshm_fault fault;
	struct vshm_entry entry;
	int rc = -EAGAIN;

	if (!peer->section || !vshmi_load_acquire32(&peer->section->alive))
		return -ENOENT;
	for (unsigned i = 0; rc == -EAGAIN && i < TRIES; i++)
		rc = vshmi_entry_read(peer->section, index, peer->size, region->peers, &entry, &fault);
	if (rc)
		return rc == -EAGAIN ? -ENOENT : rc;
	out->peer = number;
	out->index = index;
	out->kind = entry.kind;
	out->state = entry.state;
	out->flags = entry.flags;
	memcpy(out->name, entry.name, sizeof(out->name));
	out->id = entry.id;
	out->ring_offset = entry.ring_offset;
	out->ring_size = entry.ring_size;
	out->position = entry.position == VSHM_NOT_STARTED ? 0 : entry.position;
	out->armed = entry.armed;
	out->other_peer = entry.other_id ? entry.other_peer : VSHM_PEER_ANY;
	out->records = entry.records;
	out->rings_sent = entry.rings_sent;
	out->rings_avoided = entry.rings_avoided;
	out->sleeps = entry.sleeps;
	out->spurious = entry.spurious;
	out->lost = entry.lost;
	out->grants = entry.grants;
	out->consumers = entry.kind == VSHM_PRODUCER ? vshmi_grants_live(region, number, &entry) : 0;
	if (entry.grants)
		out->connected = out->consumers != 0;
	if (entry.kind == VSHM_CONSUMER) {
		out->lends = (uint32_t)(entry.ring_size / 8);
		out->lent = (uint32_t)vshmi_load64(&peer->section->directory[index].held);
	}
	if (entry.kind == VSHM_POOL) {
		out->largest = vshmi_load64(&peer->section->directory[index].oldest);
		out->lent = (uint32_t)vshmi_load64(&peer->section->directory[index].newest);
	}
	if (entry.other_id)
		find_other(region, &entry, vshmi_incarnation_load(peer->section), out);
	return 0;
}

int vshm_region_end(struct vshm_region *region, vshm_peer number, uint32_t index, struct vshm_end_info *info)
{
	struct vshm_end_info out = VSHM_END_INFO_INIT;
	int rc = vshmi_region_handle(region);

	if (!rc && (!info || number >= region->peers || index >= VSHM_ENTRIES))
		rc = -EINVAL;
	if (!rc)
		rc = read_end(region, number, index, &out);
	return rc ? rc : vshmi_options_out(info, &out, sizeof(out));
}
