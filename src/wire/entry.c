/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory entry: one end of a ring. Its id frames every read, as the incarnation does for the header; ids are never
 * used again, so the same id before and after means one and the same entry. Likewise the id of the other end frames
 * what is said about that.
 */
#include "wire/wire.h"

_Static_assert(sizeof(struct vshmi_shared_entry) == sizeof(struct vshm_entry), "layout");
_Static_assert(sizeof(struct vshm_entry) == 512, "layout");
_Static_assert(offsetof(struct vshm_entry, id) == 0, "layout");
_Static_assert(offsetof(struct vshmi_shared_entry, state) == offsetof(struct vshm_entry, state), "layout");
_Static_assert(offsetof(struct vshmi_shared_entry, other_start) == offsetof(struct vshm_entry, other_start), "layout");
_Static_assert(offsetof(struct vshmi_shared_entry, counters) == offsetof(struct vshm_entry, records), "layout");
_Static_assert(offsetof(struct vshmi_shared_entry, position) == offsetof(struct vshm_entry, position), "layout");
_Static_assert(offsetof(struct vshmi_shared_entry, newest) == offsetof(struct vshm_entry, newest), "layout");
_Static_assert(offsetof(struct vshmi_shared_entry, armed) == offsetof(struct vshm_entry, armed), "layout");

#define KNOWN_FLAGS (VSHM_ENTRY_DROP | VSHM_ENTRY_POLLS | VSHM_ENTRY_LATEST)

struct place {
	struct vshm_fault *fault;
	uint64_t offset; /* of the entry in its section */
};

static int broken(const struct place *at, uint32_t rule, size_t offset, uint64_t value)
{
	at->fault->rule = rule;
	at->fault->offset = at->offset + offset;
	at->fault->value = value;
	return -EPROTO;
}

#define BROKEN(rule, field, value) broken(at, rule, offsetof(struct vshm_entry, field), value)

/* Is the size lawful for this kind? A consumer can do without. */
static bool size_ok(const struct vshm_entry *e)
{
	switch (e->kind) {
	case VSHM_PRODUCER:
		return vshmi_is_power_of_two(e->ring_size) && e->ring_size >= VSHM_MIN_RING && e->ring_size <= VSHM_MAX_RING;
	case VSHM_CONSUMER:
		return !e->ring_size || (vshmi_is_power_of_two(e->ring_size) && e->ring_size >= 8 &&
					 e->ring_size <= 8 * VSHM_MAX_LENDS);
	default:
		return e->ring_size && e->ring_size % VSHM_LINE == 0;
	}
}

static int check_ring(const struct vshm_entry *e, uint64_t section_size, const struct place *at)
{
	if (!size_ok(e))
		return BROKEN(VSHM_RULE_RING_SIZE, ring_size, e->ring_size);
	if (e->kind != VSHM_PRODUCER && e->grants)
		return BROKEN(VSHM_RULE_GRANTS, grants, e->grants);
	if (e->kind == VSHM_CONSUMER && !e->ring_size)
		return e->ring_offset ? BROKEN(VSHM_RULE_RING_PLACE, ring_offset, e->ring_offset) : 0;
	if (e->ring_offset < VSHM_SECTION_DATA || e->ring_offset % VSHM_LINE ||
	    !vshmi_range_fits(e->ring_offset, e->ring_size, section_size))
		return BROKEN(VSHM_RULE_RING_PLACE, ring_offset, e->ring_offset);
	/* the ring fits, so neither sum overflows */
	if (e->grants > VSHM_MAX_PEERS || (e->flags & VSHM_ENTRY_LATEST && !e->grants) ||
	    !vshmi_range_fits(e->ring_offset + e->ring_size, vshmi_grants_size(e->grants), section_size))
		return BROKEN(VSHM_RULE_GRANTS, grants, e->grants);
	return 0;
}

static int check(const struct vshm_entry *e, uint64_t section_size, uint32_t peers, const struct place *at)
{
	if (e->state > VSHM_END_CLOSED)
		return BROKEN(VSHM_RULE_ENTRY_STATE, state, e->state);
	if (e->kind < VSHM_PRODUCER || e->kind > VSHM_POOL)
		return BROKEN(VSHM_RULE_ENTRY_KIND, kind, e->kind);
	if (e->flags & ~KNOWN_FLAGS)
		return BROKEN(VSHM_RULE_ENTRY_FLAGS, flags, e->flags);
	if (!vshmi_name_field_ok(e->name))
		return BROKEN(VSHM_RULE_ENTRY_NAME, name, 0);
	if (e->other_id && e->other_peer >= peers)
		return BROKEN(VSHM_RULE_OTHER_PEER, other_peer, e->other_peer);
	return check_ring(e, section_size, at);
}

/* Did the entry, or whom it names, change since it was copied? */
static bool changed(const struct vshmi_shared_entry *shared, const struct vshm_entry *copy)
{
	return vshmi_load64(&shared->what[0]) != copy->id || vshmi_load64(&shared->other_id) != copy->other_id;
}

/*
 * An open entry without id: unlawful, unless it was freed after its state was loaded. In that case the state says so by
 * now, or is that of the next user, who has stored an id before.
 */
static bool was_freed(const struct vshmi_shared_entry *shared, uint32_t state)
{
	return vshmi_load_acquire32(&shared->state) != state || vshmi_load64(&shared->what[0]);
}

/*
 * Lines 1 to 3, each word once. The id of the other end is loaded first: it was stored last. Where there is none, the
 * peer beside it means nothing, and could be out of range.
 */
static void load_rest(const struct vshmi_shared_entry *shared, struct vshm_entry *e)
{
	uint64_t counters[VSHMI_COUNTERS];

	e->other_id = vshmi_load_acquire64(&shared->other_id);
	e->other_peer = e->other_id ? vshmi_load32(&shared->other_peer) : 0;
	e->other_incarnation = vshmi_load64(&shared->other_incarnation);
	e->other_start = vshmi_load64(&shared->other_start);
	vshmi_load_block(counters, shared->counters, VSHMI_COUNTERS);
	e->records = counters[0];
	e->rings_sent = counters[1];
	e->rings_avoided = counters[2];
	e->sleeps = counters[3];
	e->spurious = counters[4];
	e->lost = counters[5];
	e->position = vshmi_load_acquire64(&shared->position);
	e->armed = vshmi_load64(&shared->armed);
}

int vshmi_entry_read(const struct vshmi_shared_section *section, uint32_t index, uint64_t section_size, uint32_t peers,
		     struct vshm_entry *out, struct vshm_fault *fault)
{
	const struct vshmi_shared_entry *shared = &section->directory[index];
	const struct place at = {fault, VSHM_SECTION_DIRECTORY + (uint64_t)index * sizeof(*shared)};
	union {
		uint64_t word[16];
		struct vshm_entry entry;
	} copy;
	int rc;

	memset(&copy, 0, sizeof(copy));
	copy.entry.state = vshmi_load_acquire32(&shared->state); /* pairs with vshmi_entry_open() */
	if (copy.entry.state == VSHM_END_FREE)
		return -ENOENT;
	copy.word[0] = vshmi_load_acquire64(&shared->what[0]);
	vshmi_load_block(copy.word + 1, shared->what + 1, 15);
	load_rest(shared, &copy.entry);
	vshmi_fence_acquire();
	if (changed(shared, &copy.entry))
		return -EAGAIN;
	if (!copy.entry.id)
		return was_freed(shared, copy.entry.state) ? -EAGAIN : broken(&at, VSHM_RULE_ENTRY_ID, 0, 0);
	rc = check(&copy.entry, section_size, peers, &at);
	if (!rc)
		*out = copy.entry;
	return rc;
}

uint64_t vshmi_entry_id(const struct vshmi_shared_entry *entry)
{
	return vshmi_load_acquire32(&entry->state) == VSHM_END_FREE ? 0 : vshmi_load_acquire64(&entry->what[0]);
}

void vshmi_entry_open(struct vshmi_shared_entry *shared, const struct vshm_entry *entry)
{
	uint64_t words[16];
	const uint64_t zero[VSHMI_COUNTERS] = {0};

	memcpy(words, entry, sizeof(words));
	vshmi_store_release64(&shared->what[0], 0); /* as in vshmi_entry_free() */
	vshmi_fence_release();
	vshmi_store_block(shared->what + 1, words + 1, 15);
	vshmi_entry_set_other(shared, 0, entry->other_incarnation, 0, entry->other_start);
	vshmi_store_block(shared->counters, zero, VSHMI_COUNTERS);
	vshmi_store64(&shared->position, entry->position);
	vshmi_store64(&shared->oldest, 0);
	vshmi_store64(&shared->newest, 0);
	vshmi_store64(&shared->returned, 0);
	vshmi_store64(&shared->held, 0);
	vshmi_store64(&shared->part, 0);
	vshmi_store64(&shared->armed, 0);
	vshmi_store_release64(&shared->what[0], words[0]);
	vshmi_store_release32(&shared->state, VSHM_END_OPEN);
}

void vshmi_entry_free(struct vshmi_shared_entry *shared)
{
	vshmi_store_release32(&shared->state, VSHM_END_FREE);
	vshmi_store_release64(&shared->what[0], 0); /* whoever reads it sees that the entry is free: was_freed() */
}

void vshmi_entry_set_other(struct vshmi_shared_entry *shared, vshm_peer peer, uint64_t incarnation, uint64_t id,
			   uint64_t start)
{
	vshmi_store64(&shared->other_id, 0);
	vshmi_fence_release();
	vshmi_store32(&shared->other_peer, peer);
	vshmi_store64(&shared->other_incarnation, incarnation);
	vshmi_store64(&shared->other_start, start);
	vshmi_store_release64(&shared->other_id, id);
}
