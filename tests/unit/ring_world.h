/* SPDX-License-Identifier: BSD-3-Clause */
/* Both ends of one ring in one process. The data lies in a block of its own, so that a sanitizer sees its bounds. */
#ifndef UNIT_RING_WORLD_H
#define UNIT_RING_WORLD_H

#include "ring/ring.h"
#include "unit.h"

struct world {
	unsigned char *data;
	uint64_t size;
	struct vshmi_word64 tail, producer_armed, head, consumer_armed;
	struct vshmi_tx tx;
	struct vshmi_rx rx;
};

/* A ring of `size` bytes whose stream so far is `start` bytes and `sequence` records long. */
static inline void world_open(struct world *w, uint64_t size, uint64_t start, uint64_t sequence)
{
	memset(w, 0, sizeof(*w));
	w->size = size;
	w->data = aligned_alloc(64, (size_t)vshmi_align_up(size, 64));
	ck_assert_ptr_nonnull(w->data);
	memset(w->data, 0xee, size);
	vshmi_tx_init(&w->tx, w->data, size, &w->tail, &w->producer_armed);
	w->tx.tail = w->tx.head = w->tx.published = start;
	w->tx.sequence = sequence;
	vshmi_store64(&w->tail, start);
	vshmi_rx_init(&w->rx, &w->head, &w->consumer_armed);
	vshmi_tx_connect(&w->tx, start, &w->head, &w->consumer_armed, false);
	vshmi_rx_connect(&w->rx, w->data, size, start, &w->tail, &w->producer_armed, false);
}

static inline void world_close(struct world *w)
{
	free(w->data);
}

/* Reserves, fills and appends a record whose bytes depend on `key`; what reserve said. Does not publish. */
static inline int world_append(struct world *w, uint64_t size, uint64_t key)
{
	void *data;
	int rc = vshmi_tx_reserve(&w->tx, size, &data);

	if (rc)
		return rc;
	support_fill(data, size, key);
	vshmi_tx_append(&w->tx, size);
	return 0;
}

/* The same, published; a pad that stood in the way too. */
static inline int world_send(struct world *w, uint64_t size, uint64_t key)
{
	int rc = world_append(w, size, key);

	(void)vshmi_tx_publish(&w->tx);
	return rc;
}

/* Refreshes and peeks; what peek said. */
static inline int world_peek(struct world *w, struct vshm_view views[], unsigned count)
{
	int rc = vshmi_rx_refresh(&w->rx);

	return rc ? rc : vshmi_rx_peek(&w->rx, views, count);
}

/* Receives one record, which must be that one, and returns the head at once. */
static inline void world_expect(struct world *w, uint64_t size, uint64_t key)
{
	struct vshm_view view;

	ck_is(world_peek(w, &view, 1), 1);
	ck_assert_uint_eq(view.size, size);
	ck_assert(support_same(view.data, size, key));
	(void)vshmi_rx_release(&w->rx);
	(void)vshmi_rx_return(&w->rx);
}

/* The header word at a position, past the producer. */
static inline void world_forge(struct world *w, uint64_t position, uint64_t header)
{
	memcpy(w->data + (position & (w->size - 1)), &header, 8);
}

#endif
