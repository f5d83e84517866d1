/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How two ends find each other. A consumer publishes a request that names a producer by (peer, incarnation, id); the
 * producer answers with a grant in its own entry that names the consumer the same way, and where it starts. Only then do
 * tail and head mean anything to the other side. A request or grant with other ids is somebody else's, never a fault.
 */
#include "region/region.h"

int vshmi_directory_visit(struct vshm_region *region, int (*visit)(void *arg, const struct vshmi_seen *seen), void *arg)
{
	struct vshm_fault fault;

	for (vshm_peer p = 0; p < region->peers; p++) {
		const struct vshmi_shared_section *section = region->peer[p].section;
		struct vshmi_seen seen = {.peer = p};

		if (!section || !vshmi_load_acquire32(&section->alive))
			continue;
		seen.incarnation = vshmi_incarnation_load(section);
		for (seen.index = 0; seen.incarnation && seen.index < VSHM_ENTRIES; seen.index++) {
			int rc = vshmi_entry_read(section, seen.index, region->peer[p].size, region->peers, &seen.entry,
						  &fault);

			if (!rc)
				rc = visit(arg, &seen);
			else
				rc = 0; /* free, changing, or unlawful: not an end that one could connect to */
			if (rc)
				return rc;
		}
	}
	return 0;
}

int vshmi_link_check(const struct vshm_region *region, const struct vshmi_link *link)
{
	uint64_t named;
	uint32_t state;

	if (!link->id)
		return 0;
	state = vshmi_load_acquire32(&link->entry->state);
	if (vshmi_incarnation_load(link->section) != link->incarnation)
		return -EPIPE;
	if (vshmi_entry_id(link->entry) != link->id)
		return -ENOENT;
	named = link->back ? vshmi_load_acquire64(&link->entry->other_id) : 0;
	if (named && named != link->back)
		return -ENOENT; /* closed or not: what it read was another's */
	if (state == VSHM_END_CLOSED)
		return -ENODATA;
	return vshmi_peer_dead(region, link->peer) ? -EPIPE : 0;
}

void vshmi_link_up(struct vshm_region *region, struct vshmi_link *link, const struct vshmi_seen *seen)
{
	const struct vshmi_shared_section *section = region->peer[seen->peer].section;
	struct vshm_identity identity;
	struct vshm_fault fault;
	uint32_t ways = 0;
	bool same_kernel = false;

	if (!vshmi_identity_read(section, &identity, &fault) && identity.incarnation == seen->incarnation) {
		same_kernel = vshmi_peer_same_kernel(region, &identity);
		ways = identity.ways;
		vshmi_peers_hear(region);
		vshmi_peer_note_doorbell(region, seen->peer, &identity);
	}
	*link = (struct vshmi_link){
		.id = seen->entry.id,
		.incarnation = seen->incarnation,
		.peer = seen->peer,
		.index = seen->index,
		.light = same_kernel && ways & region->ways & VSHM_WAY_MEMBARRIER,
		.deaf = vshmi_region_has_futexes(region) ? !same_kernel : !(region->ways & VSHM_WAY_DOORBELL && ways & VSHM_WAY_RINGS),
		.section = section,
		.entry = &section->directory[seen->index],
		.returns = (const struct vshmi_word64 *)(const void *)((const unsigned char *)section +
								       seen->entry.ring_offset),
		.lends = seen->entry.kind == VSHM_CONSUMER ? (uint32_t)(seen->entry.ring_size / 8) : 0,
	};
}

/* ---- the producer's side ---- */

struct search {
	struct vshm_region *region;
	const char *name;
	uint64_t not_this;
};

static int is_producer_of(const struct search *search, const struct vshmi_seen *seen)
{
	return seen->entry.kind == VSHM_PRODUCER && !strcmp(seen->entry.name, search->name) &&
	       !vshmi_peer_dead(search->region, seen->peer);
}

static int is_open_producer(void *arg, const struct vshmi_seen *seen)
{
	const struct search *search = arg;

	return is_producer_of(search, seen) && seen->entry.state == VSHM_END_OPEN && seen->entry.id != search->not_this;
}

bool vshmi_producer_exists(struct vshm_region *region, const char *name, uint64_t not_this)
{
	struct search search = {region, name, not_this};

	return vshmi_directory_visit(region, is_open_producer, &search);
}

static void grant(struct vshm_region *region, struct vshmi_end *end, const struct vshmi_seen *seen)
{
	uint64_t start;

	if (end->flags & VSHM_ENTRY_DROP)
		vshmi_tx_discard(end->tx);
	start = vshmi_tx_resume(end->tx);
	vshmi_link_up(region, &end->link, seen);
	end->link.back = end->id;
	end->left = 0;
	vshmi_tx_connect(end->tx, start, &end->link.entry->position,
			 seen->entry.flags & VSHM_ENTRY_POLLS ? NULL : &end->link.entry->armed, !end->link.light);
	end->tx->peer.part_word = &end->link.entry->part;
	vshmi_tx_bind(end->tx, &end->link.entry->what[0], end->link.id);
	vshmi_tx_bind_back(end->tx, &end->link.entry->other_id, end->id);
	vshmi_entry_set_other(end->entry, seen->peer, seen->incarnation, seen->entry.id, start);
	vshmi_directory_changed(region);
	vshmi_peer_ring(region, seen->peer);
}

static bool vacant(const struct vshmi_end *end, const struct vshmi_seen *seen)
{
	return end->readers ? vshmi_readers_vacant(end, seen->entry.id) : !end->link.id;
}

/* A request names this producer; a consumer that names nobody yet looks for any producer of its name. */
static bool asks_for(const struct vshm_region *region, const struct vshmi_end *end, const struct vshmi_seen *seen)
{
	if (!seen->entry.other_id) /* unless it has read this one to its end: it follows, and looks for the next */
		return !strcmp(seen->entry.name, end->name) &&
		       (seen->entry.other_incarnation != region->incarnation || seen->entry.other_start != end->id);
	return seen->entry.other_id == end->id && seen->entry.other_peer == region->self &&
	       seen->entry.other_incarnation == region->incarnation;
}

static int grant_if_asked(void *arg, const struct vshmi_seen *seen)
{
	struct vshm_region *region = arg;

	if (seen->entry.kind != VSHM_CONSUMER || seen->entry.state != VSHM_END_OPEN ||
	    vshmi_peer_dead(region, seen->peer))
		return 0;
	for (unsigned i = 0; i < VSHM_ENTRIES; i++) {
		struct vshmi_end *end = region->own[i].end;

		if (!end || end->kind != VSHM_PRODUCER || !end->adrift || !vacant(end, seen) || !asks_for(region, end, seen))
			continue;
		if (end->readers)
			vshmi_readers_grant(region, end, seen);
		else
			grant(region, end, seen);
	}
	return 0;
}

/* Did any directory change since the last look? */
static bool news(struct vshm_region *region)
{
	bool changed = region->rescan;

	region->rescan = false;
	for (vshm_peer p = 0; p < region->peers; p++) {
		uint64_t changes;

		if (!region->peer[p].section)
			continue;
		changes = vshmi_load_acquire64(&region->peer[p].section->changes); /* pairs with _directory_changed() */
		changed |= changes != region->peer[p].changes;
		region->peer[p].changes = changes;
	}
	return changed;
}

void vshmi_grant_requests(struct vshm_region *region)
{
	if (news(region))
		(void)vshmi_directory_visit(region, grant_if_asked, region);
}

void vshmi_grant_acknowledge(struct vshm_region *region, struct vshmi_end *end, int how)
{
	uint64_t head = vshmi_load_acquire64(&end->link.entry->position);

	if (end->left)
		return;
	/* the ids after the head, as in the ring: a head of the next user, or in another ring, says nothing of this one */
	if (how == -ENOENT || vshmi_entry_id(end->link.entry) != end->link.id ||
	    vshmi_load64(&end->link.entry->other_id) != end->id)
		head = VSHM_NOT_STARTED;
	vshmi_store64(&end->final_head, head);
	__atomic_store_n(&end->left, how == -ENOENT ? -ENODATA : how, __ATOMIC_RELAXED);
	/* where the next one starts is for the producer's thread to find out */
	vshmi_entry_set_other(end->entry, 0, 0, 0, VSHM_NOT_STARTED);
	vshmi_directory_changed(region);
	vshmi_peer_ring(region, end->link.peer);
}

void vshmi_grant_lose(struct vshm_region *region, struct vshmi_end *end, int how)
{
	vshmi_grant_acknowledge(region, end, how); /* unless that was done */
	end->tx->peer.word = &end->final_head;
	vshmi_tx_bind(end->tx, NULL, 0);
	vshmi_tx_disconnect(end->tx, true);
	memset(&end->link, 0, sizeof(end->link));
	end->left = 0;
	end->adrift = true;
	vshmi_entry_set_other(end->entry, 0, 0, 0, vshmi_tx_resume(end->tx));
	region->rescan = true;
}

/*
 * Its thread stores `busy` and then loads tx.limit; here tx.limit was stored, and `busy` is loaded behind a barrier on all
 * CPUs that run this process. So one of the two sees the other: either it is left alone, or it finds the limit at 0 and
 * takes the lock first. A limit that is not 0 was stored by a reserve under way: next time.
 */
void vshmi_grant_seize(struct vshm_region *region, struct vshmi_end *end)
{
	int how = end->left;

	if (!(region->ways & VSHM_WAY_MEMBARRIER) || !vshmi_membarrier() ||
	    __atomic_load_n(&end->busy, __ATOMIC_ACQUIRE) || /* pairs with leave() in end/producer.c */
	    __atomic_load_n(&end->tx->limit, __ATOMIC_RELAXED))
		return;
	vshmi_grant_lose(region, end, how);
	end->lost = how;
}

/* ---- the consumer's side ---- */

struct choice {
	struct search search;
	struct vshmi_end *end;
	struct vshmi_seen seen;
	bool found;
};

bool vshmi_grant_find(const struct vshm_region *region, vshm_peer peer, const struct vshm_entry *producer,
		      vshm_peer consumer_peer, uint64_t consumer_incarnation, uint64_t consumer_id,
		      struct vshm_grant *grant)
{
	for (uint32_t i = 0; i < vshmi_grant_count(producer); i++)
		if (vshmi_grant_read(region->peer[peer].section, producer, i, region->peers, grant) &&
		    grant->id == consumer_id && grant->peer == consumer_peer &&
		    grant->incarnation == consumer_incarnation)
			return true;
	return false;
}

static bool granted_to(const struct vshm_region *region, const struct vshmi_end *end, vshm_peer peer,
		       const struct vshm_entry *producer, struct vshm_grant *grant)
{
	return vshmi_grant_find(region, peer, producer, region->self, region->incarnation, end->id, grant);
}

/* Did it ever grant anybody who may still be there? */
static bool has_granted(const struct vshm_entry *producer)
{
	return producer->other_id || (producer->grants && producer->other_start == VSHM_NOT_STARTED);
}

bool vshmi_producer_is_orphan(const struct vshm_region *region, vshm_peer peer, const struct vshm_entry *producer)
{
	return producer->kind == VSHM_PRODUCER && !producer->other_id && !(producer->flags & VSHM_ENTRY_DROP) &&
	       producer->other_start != VSHM_NOT_STARTED && producer->position != producer->other_start &&
	       vshmi_peer_dead(region, peer);
}

struct orphan {
	struct vshm_region *region;
	const struct vshm_entry *entry;
	uint64_t incarnation;
};

/* While a consumer looks, its entry says which producer it has read to the end: enter() in end/consumer.c. */
static int looks(void *arg, const struct vshmi_seen *seen)
{
	const struct orphan *orphan = arg;

	return seen->entry.kind == VSHM_CONSUMER && seen->entry.state == VSHM_END_OPEN && !seen->entry.other_id &&
	       !strcmp(seen->entry.name, orphan->entry->name) && !vshmi_peer_dead(orphan->region, seen->peer) &&
	       (seen->entry.other_incarnation != orphan->incarnation || seen->entry.other_start != orphan->entry->id);
}

bool vshmi_consumer_looks(struct vshm_region *region, const struct vshm_entry *producer, uint64_t incarnation)
{
	struct orphan orphan = {region, producer, incarnation};

	return vshmi_directory_visit(region, looks, &orphan);
}

static void note_read(struct vshmi_end *end, uint64_t incarnation, uint64_t id)
{
	end->read[end->reads++ % VSHMI_READS] = (struct vshmi_read){incarnation, id};
}

void vshmi_consumer_has_read(struct vshmi_end *end)
{
	if (end->link.id)
		note_read(end, end->link.incarnation, end->link.id);
}

const struct vshmi_read *vshmi_consumer_read_last(const struct vshmi_end *end)
{
	return &end->read[(end->reads ? end->reads - 1 : 0) % VSHMI_READS];
}

/* A dead producer's words stay as they are: only the consumer knows that it was there already. */
static bool was_read(const struct vshmi_end *end, const struct vshmi_seen *seen)
{
	for (unsigned i = 0; i < VSHMI_READS && i < end->reads; i++)
		if (end->read[i].incarnation == seen->incarnation && end->read[i].id == seen->entry.id)
			return true;
	return false;
}

static bool is_unread_orphan(const struct choice *choice, const struct vshmi_seen *seen)
{
	return vshmi_producer_is_orphan(choice->search.region, seen->peer, &seen->entry) && !was_read(choice->end, seen);
}

static int note_orphan(void *arg, const struct vshmi_seen *seen)
{
	const struct choice *choice = arg;

	if (!strcmp(seen->entry.name, choice->search.name) &&
	    vshmi_producer_is_orphan(choice->search.region, seen->peer, &seen->entry))
		note_read(choice->end, seen->incarnation, seen->entry.id);
	return 0;
}

void vshmi_consumer_pass_over(struct vshm_region *region, struct vshmi_end *end)
{
	struct choice choice = {.search = {region, end->name, 0}, .end = end};

	(void)vshmi_directory_visit(region, note_orphan, &choice);
}

/*
 * One that granted this consumer comes first, even if it died since: what it committed is to be read. So does one that
 * died before it could grant anybody. Then an ended one that still waits for its first reader: its records are older than
 * those of an open one.
 */
static int choose_producer(void *arg, const struct vshmi_seen *seen)
{
	struct choice *choice = arg;
	struct vshm_grant grant;
	bool granted = seen->entry.kind == VSHM_PRODUCER &&
		       !strcmp(seen->entry.name, choice->search.name) &&
		       (granted_to(choice->search.region, choice->end, seen->peer, &seen->entry, &grant) ||
			is_unread_orphan(choice, seen));
	bool ended = seen->entry.state == VSHM_END_CLOSED;

	if (!granted && (!is_producer_of(&choice->search, seen) || (ended && has_granted(&seen->entry))))
		return 0;
	if (!choice->found || ended || granted) {
		choice->found = true;
		choice->seen = *seen;
	}
	return granted;
}

static bool choose(struct vshm_region *region, struct vshmi_end *end)
{
	struct choice choice = {.search = {region, end->name, 0}, .end = end};

	(void)vshmi_directory_visit(region, choose_producer, &choice);
	if (!choice.found)
		return false;
	vshmi_link_up(region, &end->link, &choice.seen);
	vshmi_entry_set_other(end->entry, end->link.peer, end->link.incarnation, end->link.id, 0);
	vshmi_directory_changed(region);
	vshmi_peer_ring(region, end->link.peer);
	return true;
}

/* The consumer of a grant is there, and has not chosen another producer. */
static bool is_live(const struct vshm_region *region, uint64_t producer_id, const struct vshm_grant *grant)
{
	const struct vshmi_peer *peer = &region->peer[grant->peer];

	if (!peer->section || vshmi_incarnation_load(peer->section) != grant->incarnation ||
	    vshmi_peer_dead(region, grant->peer))
		return false;
	for (unsigned i = 0; i < VSHM_ENTRIES; i++) {
		const struct vshmi_shared_entry *entry = &peer->section->directory[i];
		uint64_t other;

		if (vshmi_entry_id(entry) != grant->id)
			continue;
		other = vshmi_load_acquire64(&entry->other_id);
		if (!other && vshmi_load64(&entry->other_start) == producer_id)
			return false; /* it looks, and has done with this one */
		return vshmi_load_acquire32(&entry->state) == VSHM_END_OPEN && (!other || other == producer_id);
	}
	return false;
}

unsigned vshmi_grants_live(const struct vshm_region *region, vshm_peer peer, const struct vshm_entry *producer)
{
	struct vshm_grant grant;
	unsigned live = 0;

	for (uint32_t i = 0; i < vshmi_grant_count(producer); i++)
		live += vshmi_grant_read(region->peer[peer].section, producer, i, region->peers, &grant) &&
			is_live(region, producer->id, &grant);
	return live;
}

static bool is_full(const struct vshm_region *region, vshm_peer peer, const struct vshm_entry *producer)
{
	return vshmi_grants_live(region, peer, producer) == vshmi_grant_count(producer);
}

/* Notes where the producer names this consumer: it can take that back at any moment. */
static bool note_grant(const struct vshm_region *region, struct vshmi_end *end, const struct vshm_entry *producer)
{
	const struct vshmi_link *link = &end->link;
	struct vshm_grant grant;

	end->grant = NULL;
	end->granted = producer->other_id == end->id ? &link->entry->other_id : NULL;
	for (uint32_t i = 0; i < producer->grants && !end->grant; i++) {
		if (!vshmi_grant_read(link->section, producer, i, region->peers, &grant) || grant.id != end->id)
			continue;
		end->grant = &vshmi_grant_table(link->section, producer)[i];
		end->granted = &end->grant->id;
	}
	return end->granted != NULL;
}

/* Is the chosen producer, or what it left, still under its entry? */
static bool still_chosen(const struct vshmi_link *link)
{
	return vshmi_entry_id(link->entry) == link->id && vshmi_incarnation_load(link->section) == link->incarnation;
}

int vshmi_request_step(struct vshm_region *region, struct vshmi_end *end, struct vshm_entry *entry,
		       struct vshm_fault *fault)
{
	struct vshmi_link *link = &end->link;
	struct vshm_grant grant;
	int rc;

	if (link->id && !still_chosen(link))
		vshmi_request_withdraw(region, end);
	if (!link->id && !choose(region, end))
		return -EAGAIN;
	rc = vshmi_entry_read(link->section, link->index, region->peer[link->peer].size, region->peers, entry, fault);
	if (rc == -EPROTO) {
		fault->peer = link->peer;
		return rc;
	}
	if (rc || entry->id != link->id || entry->kind != VSHM_PRODUCER)
		return -EAGAIN; /* changing: the next look tells */
	if (granted_to(region, end, link->peer, entry, &grant)) {
		entry->other_start = grant.start;
		/* a grant in the table is newer than the copied entry, and starts at what was published by then */
		entry->position = vshmi_load_acquire64(&link->entry->position);
		return note_grant(region, end, entry) && still_chosen(link) ? 0 : -EAGAIN;
	}
	if (vshmi_producer_is_orphan(region, link->peer, entry)) {
		end->granted = NULL;
		end->grant = NULL;
		return 0;
	}
	/* the last place of a table may have been given to this one since it was looked at */
	if (is_full(region, link->peer, entry) && !granted_to(region, end, link->peer, entry, &grant)) {
		vshmi_request_withdraw(region, end);
		return -EBUSY;
	}
	if (vshmi_peer_dead(region, link->peer)) /* it cannot grant any more */
		vshmi_request_withdraw(region, end);
	return -EAGAIN;
}

void vshmi_request_withdraw(struct vshm_region *region, struct vshmi_end *end)
{
	vshm_peer peer = end->link.peer;
	bool named = end->link.id != 0;

	if (!named)
		return;
	/* that producer may still have to look at the final head: the entry stays until it did */
	region->own[end->index].link = end->link;
	region->own[end->index].granted = end->granted;
	end->granted = NULL;
	memset(&end->link, 0, sizeof(end->link));
	vshmi_entry_set_other(end->entry, 0, vshmi_consumer_read_last(end)->incarnation, 0, vshmi_consumer_read_last(end)->id);
	vshmi_directory_changed(region);
	vshmi_peer_ring(region, peer);
}

static int is_taken(void *arg, const struct vshmi_seen *seen)
{
	const struct search *search = arg;

	return is_producer_of(search, seen) && seen->entry.state == VSHM_END_OPEN &&
	       is_full(search->region, seen->peer, &seen->entry);
}

bool vshmi_ring_is_taken(struct vshm_region *region, const char *name)
{
	struct search search = {region, name, 0};

	return vshmi_directory_visit(region, is_taken, &search);
}
