/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking a slot: one compare-and-swap on its alive word. A slot is free when nobody holds it or its last user is fenced,
 * and when no live consumer still drains what that user left. What is needed to decide this is only read.
 */
#include "region/region.h"

#define CLAIM_POLL_NS (INT64_C(10) * 1000 * 1000)

enum readiness {
	READY,
	SOON,  /* died but not fenced, or still drained, or ours before a reboot, which a lease will tell */
	TAKEN, /* in use, or not ours to write */
};

struct drain {
	vshm_peer peer;
	uint64_t incarnation;
	struct vshm_region *region;
};

static bool grants_somebody_there(const struct drain *drain, const struct vshmi_seen *seen)
{
	const struct vshm_region *region = drain->region;
	struct vshm_grant grant;

	for (uint32_t i = 0; i < vshmi_grant_count(&seen->entry); i++)
		if (vshmi_grant_read(region->peer[seen->peer].section, &seen->entry, i, region->peers, &grant) &&
		    grant.peer == drain->peer && grant.incarnation == drain->incarnation)
			return true;
	return false;
}

static bool reads_there(const struct drain *drain, const struct vshmi_seen *seen)
{
	return seen->entry.state == VSHM_END_OPEN && seen->entry.other_id && seen->entry.other_peer == drain->peer &&
	       seen->entry.other_incarnation == drain->incarnation;
}

/* A consumer that still reads there, or a producer that has not yet noted where its consumer there stopped. */
static int refers_to_slot(void *arg, const struct vshmi_seen *seen)
{
	const struct drain *drain = arg;

	if (seen->peer == drain->peer || vshmi_peer_dead(drain->region, seen->peer))
		return false;
	return seen->entry.kind == VSHM_PRODUCER ? grants_somebody_there(drain, seen) : reads_there(drain, seen);
}

/* A producer there died before a consumer that looks for it took note of it. */
static bool unread_there(struct vshm_region *region, vshm_peer number)
{
	const struct vshmi_peer *peer = &region->peer[number];
	uint64_t incarnation = vshmi_incarnation_load(peer->section);
	struct vshm_fault fault;
	struct vshm_entry entry;

	for (uint32_t i = 0; i < VSHM_ENTRIES; i++)
		if (!vshmi_entry_read(peer->section, i, peer->size, region->peers, &entry, &fault) &&
		    entry.kind == VSHM_PRODUCER &&
		    (vshmi_grants_live(region, number, &entry) ||
		     (vshmi_producer_is_orphan(region, number, &entry) &&
		      vshmi_consumer_looks(region, &entry, incarnation))))
			return true;
	return false;
}

static bool still_drained(struct vshm_region *region, vshm_peer peer)
{
	struct drain drain = {peer, vshmi_incarnation_load(region->peer[peer].section), region};

	return drain.incarnation &&
	       (vshmi_directory_visit(region, refers_to_slot, &drain) || unread_there(region, peer));
}

/* The same machine after a reboot gets its own slot again, before any other is taken. */
static bool was_ours(struct vshm_region *region, vshm_peer peer)
{
	struct vshm_identity identity;
	struct vshm_fault fault;

	return region->peer[peer].section && !vshmi_identity_read(region->peer[peer].section, &identity, &fault) &&
	       vshmi_peer_rebooted(region, &identity) && vshmi_load32(&region->peer[peer].section->alive);
}

/* `*before`: what the alive word said when this was found out; the claim replaces exactly that. */
static enum readiness slot_readiness(struct vshm_region *region, vshm_peer peer, bool patient, uint32_t *before)
{
	struct vshmi_peer *p = &region->peer[peer];

	if (!p->section || !region->transport.segment[p->segment].can_write)
		return TAKEN;
	*before = vshmi_load_acquire32(&p->section->alive);
	switch (vshmi_peer_examine(region, peer, NULL)) {
	case VSHM_PEER_FREE:
	case VSHM_PEER_FENCED:
		return patient && still_drained(region, peer) ? SOON : READY;
	case VSHM_PEER_DIED:
		return SOON;
	default:
		return was_ours(region, peer) ? SOON : TAKEN;
	}
}

/* Does the kernel mark the alive word when this process dies? It does so by a compare-and-swap. */
static bool marks(const struct vshm_region *region)
{
	return region->has_keeper && vshmi_region_is_atomic(region);
}

bool vshmi_slot_change(const struct vshm_region *region, struct vshmi_word32 *alive, uint32_t before, uint32_t after)
{
	if (vshmi_region_is_atomic(region))
		return vshmi_compare_exchange32(alive, before, after);
	/* whoever gave out the peer numbers sees to it that nobody else is about to change it */
	if (vshmi_load_acquire32(alive) != before)
		return false;
	vshmi_store_release32(alive, after);
	return true;
}

/* 1; 0: it cannot be had; -EACCES: memory that a hypervisor gives read-only takes a store and keeps nothing of it. */
static int claim(struct vshm_region *region, vshm_peer peer, uint32_t before)
{
	struct vshmi_peer *p = &region->peer[peer];
	bool claimed;

	if (vshmi_transport_protect(&region->transport, p->segment, p->offset, p->size, true))
		return 0;
	region->alive = vshmi_thread_id() | VSHM_ALIVE_WAITERS;
	/* first the mark, then the claim: dying in between leaves a word that is not ours alone */
	if (marks(region) && vshmi_mark_set(&region->mark, vshmi_mark_address(&p->section->alive)))
		region->ways &= ~VSHM_WAY_KEEPER; /* a sandbox denies it: others ask for the process instead */
	claimed = vshmi_slot_change(region, &p->section->alive, before, region->alive);
	if (claimed && vshmi_load_acquire32(&p->section->alive) != before)
		return 1;
	if (marks(region))
		vshmi_mark_clear(&region->mark);
	(void)vshmi_transport_protect(&region->transport, p->segment, p->offset, p->size, false);
	return claimed ? -EACCES : 0;
}

/* Everything of the last user goes before the new incarnation is published. */
static int initialise(struct vshm_region *region)
{
	struct vshmi_shared_section *section = region->section;
	struct vshm_identity identity = {
		.state = VSHM_SECTION_LIVE,
		.ways = region->ways,
		.pid_namespace = region->host.pid_namespace,
		.start_ticks = region->host.start_ticks,
		.attached_ns = vshmi_wall_clock_ns(),
		.pid = region->host.pid,
		.uid = region->host.uid,
		.beat_ms = region->beat_ms,
		.ivshmem_id = region->transport.doorbell,
		.server_life = region->server_life,
	};
	int rc = vshmi_random(&region->incarnation, sizeof(region->incarnation));

	if (!rc)
		rc = vshmi_random(&region->next_id, sizeof(region->next_id));
	if (rc)
		return rc;
	region->incarnation |= 1; /* never 0 */
	region->next_id >>= 1;	  /* counts up and never gets to 0 */
	memcpy(identity.machine_id, region->host.machine_id, sizeof(identity.machine_id));
	memcpy(identity.boot_id, region->host.boot_id, sizeof(identity.boot_id));
	memcpy(identity.label, region->label, sizeof(identity.label));
	vshmi_identity_write(section, &identity);
	for (unsigned i = 0; i < VSHM_ENTRIES; i++)
		vshmi_entry_free(&section->directory[i]);
	for (vshm_peer i = 0; i < region->peers; i++) /* go on from the old values: others may sleep on them */
		region->bell[i] = vshmi_load32(&section->bell[i].word);
	vshmi_incarnation_publish(section, region->incarnation);
	vshmi_directory_changed(region);
	return 0;
}

static int settle(struct vshm_region *region, vshm_peer peer)
{
	int rc;

	region->section = region->peer[peer].section;
	region->own_segment = region->peer[peer].segment;
	region->transport.segment[region->own_segment].own = true;
	region->self = peer;
	rc = initialise(region);
	if (rc) {
		vshmi_slot_leave(region);
		region->self = VSHM_PEER_ANY;
	}
	return rc;
}

/* 1; 0: somebody else was faster; or negative. */
static int take(struct vshm_region *region, vshm_peer peer, uint32_t before)
{
	int rc = claim(region, peer, before);

	if (rc <= 0)
		return rc;
	rc = settle(region, peer);
	return rc ? rc : 1;
}

/* In which order slots are looked at. */
enum preference {
	OWN,   /* ours before a reboot */
	FREE,  /* nobody's */
	OTHER, /* what a dead peer left, which somebody may still want to read */
};

static bool preferred(struct vshm_region *region, vshm_peer peer, enum preference preference)
{
	const struct vshmi_shared_section *section = region->peer[peer].section;

	if (preference == OWN)
		return was_ours(region, peer);
	return preference == OTHER || (section && !vshmi_load_acquire32(&section->alive));
}

/* One round over the candidates: 1 taken one, 0 none; *soon tells whether waiting may help. */
static int claim_round(struct vshm_region *region, bool patient, bool *soon)
{
	for (enum preference preference = OWN; preference <= OTHER; preference++) {
		for (vshm_peer i = 0; i < region->peers; i++) {
			enum readiness readiness;
			uint32_t before = 0;
			int rc;

			if (region->wanted_peer != VSHM_PEER_ANY && region->wanted_peer != i)
				continue;
			if (!preferred(region, i, preference))
				continue;
			readiness = slot_readiness(region, i, patient, &before);
			rc = readiness == READY ? take(region, i, before) : 0;
			if (rc)
				return rc;
			*soon |= readiness == SOON;
		}
	}
	return 0;
}

static int refuse(struct vshm_region *region, char *why)
{
	struct vshm_identity identity;
	vshm_peer peer = region->wanted_peer;

	if (peer == VSHM_PEER_ANY && region->profile == VSHM_SPLIT)
		peer = vshmi_region_only_writable(region); /* of a split region a machine, or a user, can be one peer only */
	if (peer == VSHM_PEER_ANY)
		return vshmi_why(why, -EBUSY,
				 "all %u slots of region %s are taken (or not writable for you): see `vshmctl show`; free one with "
				 "`vshmctl evict`, or create it with more --peers",
				 region->peers, region->name);
	if (!region->peer[peer].section)
		return vshmi_why(why, -ENOENT, "peer %u of region %s has no segment yet: create it first", peer,
				 region->name);
	if (!region->transport.segment[region->peer[peer].segment].can_write)
		return vshmi_why(why, -EACCES, "the segment of peer %u is not writable for you: check its owner and mode",
				 peer);
	(void)vshmi_peer_examine(region, peer, &identity);
	return vshmi_why(why, -EBUSY, "%s %u of region %s, and that is taken by %s (pid %u): %s`vshmctl evict` it",
			 region->wanted_peer == VSHM_PEER_ANY ? "this process can only be peer" : "this is to be peer", peer, region->name,
			 identity.incarnation ? identity.label : "somebody", identity.pid,
			 region->wanted_peer == VSHM_PEER_ANY ? "" : "choose another, or ");
}

int vshmi_slot_take(struct vshm_region *region, char *why)
{
	int64_t give_up = vshmi_clock_ns() + VSHMI_DRAIN_NS;
	bool patient = true;

	for (;;) {
		bool soon = false;
		int rc = claim_round(region, patient, &soon);

		if (rc > 0)
			return 0;
		if (rc == -EACCES)
			return vshmi_why(why, rc, "what is written into the segment does not stay there, so it is another peer's: name "
						  "this machine's own device first");
		if (rc < 0)
			return vshmi_why(why, rc, "no random numbers: %s", vshm_strerror(rc));
		if (!soon || !patient)
			return refuse(region, why);
		vshmi_sleep_ns(CLAIM_POLL_NS);
		patient = vshmi_clock_ns() < give_up; /* one last round takes what is still drained */
	}
}

void vshmi_slot_leave(struct vshm_region *region)
{
	struct vshmi_word32 *alive = &region->section->alive;

	if (marks(region))
		vshmi_mark_clear(&region->mark);
	/* when it is no longer ours (evicted), leave it as it is */
	if (!vshmi_region_vanished(region) && vshmi_slot_change(region, alive, region->alive, 0))
		vshmi_futex_wake(vshmi_futex_address(alive));
}
