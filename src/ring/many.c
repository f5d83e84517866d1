/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several consumers of one ring, each with a head of its own: the producer waits for the slowest. One that breaks a rule
 * is only itself to blame: the caller disconnects it, and the others go on.
 */
#include "ring/ring.h"

void vshmi_reader_connect(struct vshmi_tx *tx, struct vshmi_reader *reader, uint64_t start, const struct vshmi_head *from,
			  const struct vshmi_word64 *armed, bool fence)
{
	/* no head may lie behind what is published, as in vshmi_tx_connect() */
	vshmi_store_release64(tx->tail_word, tx->tail);
	tx->published = tx->tail;
	*reader = (struct vshmi_reader){
		.connected = true,
		.fence = fence && armed,
		.from = *from,
		.armed = armed,
		.start = start,
		.head = start,
	};
}

void vshmi_reader_disconnect(struct vshmi_tx *tx, struct vshmi_reader *reader)
{
	struct vshmi_ring_fault ignored;

	/* what it did not return lawfully, it did not return */
	if (reader->connected && !reader->fault.rule)
		(void)vshmi_head_take(&reader->from, tx->published, &reader->head, &ignored);
	reader->connected = false;
}

static uint64_t behind(const struct vshmi_tx *tx, const struct vshmi_reader *reader)
{
	return tx->tail - reader->head;
}

/*
 * A consumer that was dropped and granted anew may not know either: while it has returned nothing, a position before its start
 * is one of its former grant.
 */
static bool takes_its_time(const struct vshmi_reader *reader)
{
	return reader->head == reader->start && reader->fault.rule == VSHM_RULE_HEAD_RANGE &&
	       (int64_t)(reader->fault.value - reader->start) < 0;
}

static bool lies(const struct vshmi_tx *tx, struct vshmi_reader *reader)
{
	if (!reader->connected || vshmi_head_take(&reader->from, tx->published, &reader->head, &reader->fault) >= 0)
		return false;
	if (!takes_its_time(reader))
		return true;
	reader->fault = (struct vshmi_ring_fault){0, 0, 0};
	return false;
}

int vshmi_readers_look(struct vshmi_tx *tx, struct vshmi_reader readers[], unsigned count)
{
	int broken = -1, slowest;

	for (unsigned i = 0; i < count; i++)
		if (lies(tx, &readers[i]))
			broken = (int)i;
	slowest = vshmi_readers_slowest(tx, readers, count);
	if (slowest >= 0)
		tx->head = readers[slowest].head;
	else
		for (unsigned i = 0; i < count; i++)
			if (readers[i].connected)
				tx->head = tx->tail;
	return broken;
}

int vshmi_readers_slowest(const struct vshmi_tx *tx, const struct vshmi_reader readers[], unsigned count)
{
	uint64_t most = 0;
	int slowest = -1;

	for (unsigned i = 0; i < count; i++) {
		if (!readers[i].connected || behind(tx, &readers[i]) <= most)
			continue;
		most = behind(tx, &readers[i]);
		slowest = (int)i;
	}
	return slowest;
}

void vshmi_readers_publish(struct vshmi_tx *tx, const struct vshmi_reader readers[], unsigned count)
{
	tx->fence = false;
	for (unsigned i = 0; i < count; i++)
		tx->fence |= readers[i].connected && readers[i].fence;
	(void)vshmi_tx_publish_armed(tx);
}

bool vshmi_reader_due(struct vshmi_tx *tx, struct vshmi_reader *reader)
{
	uint64_t armed;

	if (!reader->connected || !reader->armed)
		return false;
	armed = vshmi_load64(reader->armed);
	if (!armed || (int64_t)(tx->tail - armed) < 0 || armed == reader->rung)
		return false;
	reader->rung = armed;
	tx->rings++;
	return true;
}
