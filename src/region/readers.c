/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The consumers of a one-to-many ring. Unlike the only consumer of a one-to-one ring they come and go entirely under the
 * lock, by the keeper as by the producer's thread, because every call on such a ring takes it. One that comes while others
 * are there starts with the next record; one that is alone starts where the last one stopped.
 */
#include "region/region.h"

int vshmi_readers_open(struct vshmi_end *end)
{
	end->readers = vshmi_alloc(sizeof(*end->readers));
	if (!end->readers)
		return -ENOMEM;
	memset(end->readers, 0, sizeof(*end->readers));
	return 0;
}

void vshmi_readers_free(struct vshmi_readers *readers)
{
	vshmi_free(readers);
}

static void count_live(struct vshmi_readers *readers, int step)
{
	__atomic_store_n(&readers->live, readers->live + (uint32_t)step, __ATOMIC_RELAXED);
}

/* A free place; -1: none. */
static int free_place(const struct vshmi_end *end)
{
	for (unsigned i = 0; i < end->grants; i++)
		if (!end->readers->link[i].id)
			return (int)i;
	return -1;
}

bool vshmi_readers_vacant(const struct vshmi_end *end, uint64_t id)
{
	for (unsigned i = 0; i < end->grants; i++)
		if (end->readers->link[i].id == id)
			return false;
	return free_place(end) >= 0;
}

/* Where somebody starts now. */
static uint64_t choose_start(const struct vshmi_end *end)
{
	if (end->flags & VSHM_ENTRY_LATEST)
		return 0;
	if (end->readers->live)
		return end->tx->tail;
	if (end->flags & VSHM_ENTRY_DROP)
		vshmi_tx_discard(end->tx);
	return vshmi_tx_resume(end->tx);
}

void vshmi_readers_grant(struct vshm_region *region, struct vshmi_end *end, const struct vshmi_seen *seen)
{
	struct vshmi_readers *readers = end->readers;
	int place = free_place(end);
	uint64_t start = choose_start(end);
	struct vshmi_link *link = &readers->link[place];
	struct vshmi_head from;

	vshmi_link_up(region, link, seen);
	link->back = end->id;
	from = (struct vshmi_head){
		.word = &link->entry->position,
		.id_word = &link->entry->what[0],
		.id = link->id,
		.back_word = &link->entry->other_id,
		.back = end->id,
	};
	vshmi_reader_connect(end->tx, &readers->reader[place], start, &from,
			     seen->entry.flags & VSHM_ENTRY_POLLS ? NULL : &link->entry->armed, !link->light);
	if (!readers->live)
		vshmi_entry_set_other(end->entry, 0, 0, 0, VSHM_NOT_STARTED); /* a dead one's records are theirs */
	count_live(readers, 1);
	vshmi_grant_set(&readers->table[place], seen->peer, seen->incarnation, seen->entry.id, start);
	vshmi_directory_changed(region);
	vshmi_peer_ring(region, seen->peer);
}

/* The place is free, and somebody may have been waiting for it. */
static void forget(struct vshm_region *region, struct vshmi_readers *readers, unsigned index)
{
	memset(&readers->link[index], 0, sizeof(readers->link[index]));
	region->rescan = true;
}

/* The last one is gone: whoever comes next starts where that one stopped. */
static void be_alone(struct vshmi_end *end, const struct vshmi_reader *last)
{
	if (end->flags & VSHM_ENTRY_LATEST)
		return;
	end->tx->head = last->head;
	vshmi_entry_set_other(end->entry, 0, 0, 0, vshmi_tx_resume(end->tx));
}

void vshmi_readers_drop(struct vshm_region *region, struct vshmi_end *end, unsigned index)
{
	struct vshmi_readers *readers = end->readers;
	struct vshmi_reader *reader = &readers->reader[index];

	if (end->flags & VSHM_ENTRY_LATEST)
		reader->connected = false;
	else
		vshmi_reader_disconnect(end->tx, reader);
	count_live(readers, -1);
	vshmi_grant_set(&readers->table[index], 0, 0, 0, 0);
	vshmi_fence_release(); /* before anything is overwritten that it may be reading: see still_granted() */
	if (!readers->live)
		be_alone(end, reader);
	vshmi_directory_changed(region);
	vshmi_peer_ring(region, readers->link[index].peer);
	/* it has not seen its grant, and so will not notice that it is gone: it is granted anew, from now on */
	if (vshmi_load_acquire64(&readers->link[index].entry->position) == VSHM_NOT_STARTED)
		forget(region, readers, index);
}

/* 0: it is there; how it went, otherwise. */
static int how_gone(struct vshm_region *region, const struct vshmi_link *link)
{
	int gone = vshmi_link_check(region, link);

	/* without a keeper of its own: no mark, but its process is gone. What is known may be of the slot's last user */
	if (link->id && !gone && vshmi_peer_known(region, link->peer) >= VSHM_PEER_DIED &&
	    vshmi_peer_examine(region, link->peer, NULL) >= VSHM_PEER_DIED)
		gone = -EPIPE;
	return gone;
}

int vshmi_readers_attend(struct vshm_region *region, struct vshmi_end *end)
{
	struct vshmi_readers *readers = end->readers;
	int died = 0;

	for (unsigned i = 0; i < end->grants; i++) {
		int gone = how_gone(region, &readers->link[i]);

		if (!gone)
			continue;
		if (readers->reader[i].connected) {
			vshmi_readers_drop(region, end, i);
			died = gone == -EPIPE ? gone : died;
		}
		forget(region, readers, i);
	}
	return died;
}

void vshmi_readers_ring(struct vshm_region *region, const struct vshmi_end *end)
{
	for (unsigned i = 0; end->readers && i < end->grants; i++)
		if (end->readers->reader[i].connected)
			vshmi_peer_ring(region, end->readers->link[i].peer);
}

bool vshmi_readers_remain(const struct vshm_region *region, const struct vshmi_readers *readers)
{
	for (unsigned i = 0; i < VSHM_MAX_PEERS; i++)
		if (readers->reader[i].connected && !vshmi_link_check(region, &readers->link[i]))
			return true;
	return false;
}
