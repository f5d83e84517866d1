/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A producer's side of a one-to-many ring. It stays adrift in the sense of producer.c: every call holds the region's lock,
 * and the keeper may grant or lose consumers between two calls.
 */
#include "end/end.h"

int vshmi_many_prepare(struct vshm_producer *p, uint32_t consumers, uint64_t ring_size)
{
	if (p->end.flags & VSHM_ENTRY_LATEST) {
		p->end.copy = vshmi_alloc(vshmi_latest_max_record(ring_size));
		if (!p->end.copy)
			return -ENOMEM;
	}
	p->end.grants = consumers;
	return vshmi_readers_open(&p->end);
}

void vshmi_many_begin(struct vshm_producer *p)
{
	if (p->end.flags & VSHM_ENTRY_LATEST)
		vshmi_latest_init(&p->latest, &p->tx, &p->end.entry->oldest, &p->end.entry->newest);
}

/* One that broke a rule is not listened to any more; the others are none the worse for it. */
static void drop_liar(struct vshm_producer *p, unsigned index)
{
	struct vshm_region *region = p->end.region;
	const struct vshmi_reader *reader = &p->end.readers->reader[index];

	vshmi_region_log(region, VSHM_LOG_ERROR, "ring %s: a consumer of peer %u broke the format and is dropped: %s (0x%llx)",
			 p->end.name, p->end.readers->link[index].peer, vshm_rule_text(reader->fault.rule),
			 (unsigned long long)reader->fault.value);
	vshmi_readers_drop(region, &p->end, index);
}

static void look_at_heads(struct vshm_producer *p)
{
	int liar;

	/* at most one turn for each reader */
	while ((liar = vshmi_readers_look(&p->tx, p->end.readers->reader, p->end.grants)) >= 0)
		drop_liar(p, (unsigned)liar);
}

static int reserve_copy(struct vshm_producer *p, uint64_t size, void **data)
{
	p->tx.reserved = size + 1;
	p->tx.room = p->tx.tail + vshmi_record_span(size); /* a burst has one record */
	*data = p->end.copy;
	return 0;
}

int vshmi_many_reserve(struct vshm_producer *p, uint64_t size, void **data)
{
	int rc;

	if (p->end.flags & VSHM_ENTRY_LATEST)
		return reserve_copy(p, size, data);
	rc = vshmi_tx_reserve_slow(&p->tx, size, data);
	if (rc != -EAGAIN)
		return rc;
	look_at_heads(p);
	return vshmi_tx_reserve_slow(&p->tx, size, data);
}

void vshmi_many_append_latest(struct vshm_producer *p, size_t size)
{
	if (size % 8) /* what is behind the record in its last word is not this process' business to show */
		memset((unsigned char *)p->end.copy + size, 0, 8 - size % 8);
	vshmi_latest_append(&p->latest, &p->tx, p->end.copy, size);
}

void vshmi_many_publish(struct vshm_producer *p)
{
	struct vshmi_readers *readers = p->end.readers;

	vshmi_readers_publish(&p->tx, readers->reader, p->end.grants);
	for (unsigned i = 0; i < p->end.grants; i++)
		if (vshmi_reader_due(&p->tx, &readers->reader[i]))
			vshmi_peer_ring(p->end.region, readers->link[i].peer);
	if (!readers->live)
		return;
	p->tx.publications += readers->live - 1; /* each of them had to be rung, or not */
	p->kept = vshmi_tx_records(&p->tx);
}

int vshmi_many_drained(struct vshm_producer *p)
{
	if (p->end.flags & VSHM_ENTRY_LATEST)
		return 0;
	look_at_heads(p);
	return p->tx.head == p->tx.tail ? 0 : -EAGAIN;
}

int vshm_producer_consumers(struct vshm_producer *p)
{
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	if (rc)
		return rc;
	vshmi_lock(&p->end.region->lock);
	rc = p->end.readers ? (int)p->end.readers->live : p->end.link.id != 0;
	vshmi_unlock(&p->end.region->lock);
	return rc;
}

static int drop_slowest(struct vshm_producer *p, vshm_peer *peer)
{
	int slowest;

	if (p->end.flags & VSHM_ENTRY_LATEST)
		return -ENOENT;
	look_at_heads(p);
	slowest = vshmi_readers_slowest(&p->tx, p->end.readers->reader, p->end.grants);
	if (slowest < 0)
		return -ENOENT;
	if (peer)
		*peer = p->end.readers->link[slowest].peer;
	vshmi_readers_drop(p->end.region, &p->end, (unsigned)slowest);
	return 0;
}

int vshm_producer_drop(struct vshm_producer *p, vshm_peer *peer)
{
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	if (!rc)
		rc = p->over ? p->over : vshmi_region_usable(p->end.region);
	if (rc)
		return rc;
	vshmi_lock(&p->end.region->lock);
	rc = p->end.readers ? drop_slowest(p, peer) : -EINVAL;
	vshmi_unlock(&p->end.region->lock);
	return rc;
}
