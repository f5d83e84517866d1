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
		findings->list[findings->count++] = (struct vshm_fault){sizeof(struct vshm_fault), peer, rule, offset,
									value};
}

static uint64_t entry_offset(uint32_t index, size_t field)
{
	return VSHM_SECTION_DIRECTORY + (uint64_t)index * sizeof(struct vshm_entry) + field;
}

static uint64_t place_size(const struct vshm_entry *entry)
{
	return entry->ring_size + vshmi_grants_size(entry->grants);
}

/* Two rings of one section in the same place, or two ends with one id. */
static void check_pair(struct findings *findings, vshm_peer peer, uint32_t index, const struct vshm_entry *a,
		       const struct vshm_entry *b)
{
	if (a->id == b->id)
		add(findings, peer, VSHM_RULE_DUPLICATE, entry_offset(index, offsetof(struct vshm_entry, id)), a->id);
	if (a->ring_offset < b->ring_offset + place_size(b) && b->ring_offset < a->ring_offset + place_size(a))
		add(findings, peer, VSHM_RULE_RING_OVERLAP, entry_offset(index, offsetof(struct vshm_entry, ring_offset)),
		    a->ring_offset);
}

/* The two ends of a connected ring, as far as they can be told to be wrong while both may be moving. */
struct flow {
	const unsigned char *data;
	uint64_t size, head, tail;
	const struct vshmi_shared_entry *producer, *consumer;
};

/* Does this entry name the producer back? Otherwise a grant says nothing of it: a hostile peer can grant anybody. */
static bool names_back(const struct vshm_region *region, const struct vshmi_shared_entry *consumer, vshm_peer peer,
		       const struct vshm_entry *producer)
{
	return vshmi_load_acquire64(&consumer->other_id) == producer->id &&
	       vshmi_load32(&consumer->other_peer) == peer &&
	       vshmi_load64(&consumer->other_incarnation) == vshmi_incarnation_load(region->peer[peer].section);
}

/* The entry that a producer of `peer` granted, if that one still is what the grant says. */
static const struct vshmi_shared_entry *granted_entry(const struct vshm_region *region, vshm_peer peer,
						      const struct vshm_entry *producer, const struct vshm_grant *grant)
{
	const struct vshmi_peer *other = &region->peer[grant->peer];

	if (!other->section || vshmi_incarnation_load(other->section) != grant->incarnation)
		return NULL;
	for (uint32_t i = 0; i < VSHM_ENTRIES; i++)
		if (vshmi_entry_id(&other->section->directory[i]) == grant->id)
			return names_back(region, &other->section->directory[i], peer, producer)
				       ? &other->section->directory[i]
				       : NULL;
	return NULL;
}

/* The word behind a header; a run has one. */
static uint64_t run_word(const struct flow *flow, uint64_t offset)
{
	uint64_t at = (offset + VSHM_RECORD_HEADER) & (flow->size - 1);

	return vshmi_load64((const struct vshmi_word64 *)(const void *)(flow->data + at));
}

/* Walks the records between head and tail: the rule that the first bad one breaks, and where; 0: none. */
static uint32_t broken_record(const struct flow *flow, uint64_t *at, uint64_t *header)
{
	uint32_t sequence = 0;
	struct vshm_run run;

	for (*at = flow->head; *at != flow->tail;) { /* at most size / 8 steps */
		uint64_t offset = *at & (flow->size - 1), span;
		uint32_t tag;

		*header = vshmi_load64((const struct vshmi_word64 *)(const void *)(flow->data + offset));
		tag = vshmi_record_tag(*header);
		span = vshmi_record_span(vshmi_record_size(*header));
		if ((tag & 0xff) < VSHM_RECORD_DATA || (tag & 0xff) > VSHM_RECORD_RUN)
			return VSHM_RULE_RECORD_KIND;
		if (*at != flow->head && tag >> 8 != (sequence & 0xffffff))
			return VSHM_RULE_RECORD_SEQUENCE;
		if (span > flow->size - offset || span > flow->tail - *at)
			return VSHM_RULE_RECORD_LENGTH;
		if ((tag & 0xff) == VSHM_RECORD_PAD && (!offset || span != flow->size - offset))
			return VSHM_RULE_RECORD_PAD;
		if ((tag & 0xff) == VSHM_RECORD_RUN && !vshmi_run_read(run_word(flow, offset), *at, span - VSHM_RECORD_HEADER, &run))
			return VSHM_RULE_RECORD_RUN;
		sequence = (tag >> 8) + 1;
		*at += span;
	}
	return 0;
}

/* Records can be judged only when neither end moved meanwhile. */
static void check_records(struct findings *findings, vshm_peer peer, uint64_t ring_offset, const struct flow *flow)
{
	uint64_t at, header = 0;
	uint32_t rule = broken_record(flow, &at, &header);

	if (rule && vshmi_load_acquire64(&flow->consumer->position) == flow->head &&
	    vshmi_load_acquire64(&flow->producer->position) == flow->tail)
		add(findings, peer, rule, ring_offset + (at & (flow->size - 1)), header);
}

/*
 * In a one-to-many ring a consumer can be dropped at any moment, and granted anew before it knows: then its position holds
 * nothing back, and says nothing.
 */
static bool counts(const struct flow *flow, const struct vshmi_shared_section *section, const struct vshm_entry *producer,
		   const struct vshm_grant *grant)
{
	const struct vshmi_shared_grant *table = vshmi_grant_table(section, producer);

	if (!producer->grants)
		return true;
	for (uint32_t i = 0; i < producer->grants; i++)
		if (vshmi_load_acquire64(&table[i].id) == grant->id)
			return vshmi_load64(&table[i].start) == grant->start && (int64_t)(flow->head - grant->start) >= 0;
	return false;
}

static void check_flow(struct findings *findings, const struct vshm_region *region, vshm_peer peer, uint32_t index,
		       const struct vshm_entry *entry, const struct vshm_grant *grant)
{
	const struct vshmi_shared_section *section = region->peer[peer].section;
	const struct vshmi_shared_entry *consumer = granted_entry(region, peer, entry, grant);
	struct flow flow = {.producer = &section->directory[index], .consumer = consumer, .size = entry->ring_size};
	uint64_t at = entry_offset(index, offsetof(struct vshm_entry, position)), later;

	if (!consumer)
		return;
	/* the head before the tail, and once more after it: both only grow */
	flow.head = vshmi_load_acquire64(&consumer->position);
	flow.tail = vshmi_load_acquire64(&flow.producer->position);
	later = vshmi_load_acquire64(&consumer->position);
	if (flow.head == VSHM_NOT_STARTED || later == VSHM_NOT_STARTED)
		return;
	if (flow.head % 8 || flow.tail % 8)
		return; /* found elsewhere */
	if (!counts(&flow, section, entry, grant))
		return;
	if ((int64_t)(flow.tail - flow.head) < 0)
		add(findings, grant->peer, VSHM_RULE_HEAD_RANGE,
		    (uint64_t)((const char *)&consumer->position - (const char *)region->peer[grant->peer].section),
		    flow.head);
	else if ((int64_t)(flow.tail - later) > (int64_t)flow.size)
		add(findings, peer, VSHM_RULE_TAIL_RANGE, at, flow.tail);
	else if (flow.tail - flow.head <= flow.size) {
		flow.data = (const unsigned char *)section + entry->ring_offset;
		check_records(findings, peer, entry->ring_offset, &flow);
	}
}

static void check_positions(struct findings *findings, const struct vshm_region *region, vshm_peer peer, uint32_t index,
			    const struct vshm_entry *entry)
{
	uint32_t rule = entry->kind == VSHM_PRODUCER ? VSHM_RULE_TAIL_ALIGN : VSHM_RULE_HEAD_ALIGN;
	struct vshm_grant grant;

	if (entry->kind == VSHM_POOL)
		return;

	if (entry->position != VSHM_NOT_STARTED && entry->position % 8)
		add(findings, peer, rule, entry_offset(index, offsetof(struct vshm_entry, position)), entry->position);
	if (entry->kind != VSHM_PRODUCER)
		return;
	if (entry->other_id && (entry->other_start % 8 || (int64_t)(entry->position - entry->other_start) < 0))
		add(findings, peer, VSHM_RULE_START, entry_offset(index, offsetof(struct vshm_entry, other_start)),
		    entry->other_start);
	/* nobody's head holds a latest ring back, so nothing is known of it */
	for (uint32_t i = 0; !(entry->flags & VSHM_ENTRY_LATEST) && i < vshmi_grant_count(entry); i++)
		if (vshmi_grant_read(region->peer[peer].section, entry, i, region->peers, &grant))
			check_flow(findings, region, peer, index, entry, &grant);
}

/* The superblocks were lawful when the region was opened, or were left out then; are they still? */
static void check_superblocks(struct findings *findings, const struct vshm_region *region)
{
	for (uint32_t i = 0; i < region->transport.segment_count; i++) {
		const struct vshmi_segment *segment = &region->transport.segment[i];
		struct vshm_superblock superblock;
		struct vshm_fault fault;
		int rc;

		if (!segment->base)
			continue;
		rc = vshmi_superblock_read((const struct vshmi_shared_superblock *)(const void *)segment->base, segment->size,
					   &superblock, &fault);
		if (rc && (fault.rule != VSHM_RULE_ZERO || region->transport.segment_count == 1))
			add(findings, VSHM_PEER_ANY, fault.rule, fault.offset, fault.value);
		else if (!rc && region->left_out >> i & 1)
			add(findings, VSHM_PEER_ANY, VSHM_RULE_STRANGER, offsetof(struct vshm_superblock, uuid), i);
	}
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
	check_superblocks(findings, region);
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
