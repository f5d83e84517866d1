/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is every word of the layout lawful? Reads everything, writes nothing. What is found is looked at twice, because a
 * peer that opens or closes an end this very moment can look unlawful for an instant.
 */
#include "region/region.h"

#define SECOND_LOOK_NS (INT64_C(20) * 1000 * 1000)

/* Findings of one look; what does not fit is counted only. */
struct findings {
	struct vshm_fault list[256];
	unsigned count;
};

static void add(struct findings *findings, vshm_peer peer, uint32_t rule, uint64_t offset, uint64_t value)
{
	if (findings->count < sizeof(findings->list) / sizeof(findings->list[0]))
		findings->list[findings->count++] =
			(struct vshm_fault){sizeof(struct vshm_fault), peer, rule, offset, value};
}

static uint64_t entry_offset(uint32_t index, size_t field)
{
	return VSHM_SECTION_DIRECTORY + (uint64_t)index * sizeof(struct vshm_entry) + field;
}

/* Two rings of one section in the same place, or two ends with one id. */
static void check_pair(struct findings *findings, vshm_peer peer, uint32_t index, const struct vshm_entry *a,
		       const struct vshm_entry *b)
{
	if (a->id == b->id)
		add(findings, peer, VSHM_RULE_DUPLICATE, entry_offset(index, offsetof(struct vshm_entry, id)), a->id);
	if (a->kind == VSHM_PRODUCER && b->kind == VSHM_PRODUCER && a->ring_offset < b->ring_offset + b->ring_size &&
	    b->ring_offset < a->ring_offset + a->ring_size)
		add(findings, peer, VSHM_RULE_RING_OVERLAP, entry_offset(index, offsetof(struct vshm_entry, ring_offset)),
		    a->ring_offset);
}

static void check_positions(struct findings *findings, const struct vshm_region *region, vshm_peer peer, uint32_t index,
			    const struct vshm_entry *entry)
{
	uint64_t at = entry_offset(index, offsetof(struct vshm_entry, position));
	struct vshm_end_info info = VSHM_END_INFO_INIT;
	uint32_t rule = entry->kind == VSHM_PRODUCER ? VSHM_RULE_TAIL_ALIGN : VSHM_RULE_HEAD_ALIGN;

	if (entry->position != VSHM_NOT_STARTED && entry->position % 8)
		add(findings, peer, rule, at, entry->position);
	if (entry->kind != VSHM_PRODUCER || !entry->other_id ||
	    vshm_region_end((struct vshm_region *)(uintptr_t)region, peer, index, &info) || !info.connected)
		return;
	if (entry->other_start % 8)
		add(findings, peer, VSHM_RULE_START, entry_offset(index, offsetof(struct vshm_entry, other_start)),
		    entry->other_start);
}

static void check_entries(struct findings *findings, const struct vshm_region *region, vshm_peer number)
{
	const struct vshmi_peer *peer = &region->peer[number];
	struct vshm_entry entries[VSHM_ENTRIES];

	memset(entries, 0, sizeof(entries));
	for (uint32_t i = 0; i < VSHM_ENTRIES; i++) {
		struct vshm_fault fault;
		int rc = vshmi_entry_read(peer->section, i, peer->size, region->peers, &entries[i], &fault);

		if (rc == -EPROTO)
			add(findings, number, fault.rule, fault.offset, fault.value);
		if (rc)
			continue;
		check_positions(findings, region, number, i, &entries[i]);
		for (uint32_t j = 0; j < i; j++)
			if (entries[j].id)
				check_pair(findings, number, i, &entries[i], &entries[j]);
	}
}

static void check_peer(struct findings *findings, const struct vshm_region *region, vshm_peer number)
{
	const struct vshmi_peer *peer = &region->peer[number];
	struct vshm_identity identity;
	struct vshm_fault fault;
	uint32_t alive;

	if (!peer->section)
		return;
	alive = vshmi_load_acquire32(&peer->section->alive);
	if (!vshmi_alive_ok(alive))
		add(findings, number, VSHM_RULE_ALIVE, VSHM_SECTION_ALIVE, alive);
	if (vshmi_identity_read(peer->section, &identity, &fault) == -EPROTO)
		add(findings, number, fault.rule, fault.offset, fault.value);
	if (alive)
		check_entries(findings, region, number);
}

static void look(struct findings *findings, const struct vshm_region *region)
{
	findings->count = 0;
	for (vshm_peer i = 0; i < region->peers; i++)
		check_peer(findings, region, i);
}

static bool contains(const struct findings *findings, const struct vshm_fault *fault)
{
	for (unsigned i = 0; i < findings->count; i++)
		if (findings->list[i].peer == fault->peer && findings->list[i].rule == fault->rule &&
		    findings->list[i].offset == fault->offset)
			return true;
	return false;
}

int vshm_region_check(struct vshm_region *region, void (*found)(void *arg, const struct vshm_fault *fault), void *arg)
{
	struct findings *first, *second;
	int rc = vshmi_region_handle(region), count = 0;

	if (rc)
		return rc;
	first = vshmi_alloc(sizeof(*first));
	second = vshmi_alloc(sizeof(*second));
	if (first && second) {
		look(first, region);
		second->count = 0;
		if (first->count) {
			vshmi_sleep_ns(SECOND_LOOK_NS);
			look(second, region);
		}
		for (unsigned i = 0; i < second->count; i++) {
			if (!contains(first, &second->list[i]))
				continue;
			count++;
			if (found)
				found(arg, &second->list[i]);
		}
	}
	rc = first && second ? count : -ENOMEM;
	vshmi_free(first);
	vshmi_free(second);
	return rc;
}
