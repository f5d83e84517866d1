/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lending: a producer's record that names a block, and a consumer's list of those that it holds. All consumers that a ring
 * has are lent a block in one go, under the lock, so that each of them holds it before the record is there.
 */
#include "end/end.h"

#include <vshm/pool.h>

/* ---- the producer ---- */

/* The consumers that a record goes to now, one after another; NULL: no more. */
static const struct vshmi_link *next_consumer(const struct vshm_producer *p, unsigned *index)
{
	if (!p->end.readers)
		return (*index)++ == 0 && p->end.link.id ? &p->end.link : NULL;
	while (*index < p->end.grants) {
		unsigned i = (*index)++;

		if (p->end.readers->reader[i].connected)
			return &p->end.readers->link[i];
	}
	return NULL;
}

static void recall(struct vshm_producer *p, const struct vshmi_loan *loan, unsigned count)
{
	const struct vshmi_link *link;
	unsigned index = 0;

	while (count-- && (link = next_consumer(p, &index)))
		vshmi_lender_recall(p->end.region, link, loan->pool->pool.number, loan->block.number);
}

/* To all, or to nobody. The number of consumers, or an error. */
static int lend_to_all(struct vshm_producer *p, const struct vshmi_loan *loan, uint64_t *token)
{
	const struct vshmi_link *link;
	unsigned index = 0;
	int count = 0, rc;

	while ((link = next_consumer(p, &index))) {
		rc = vshmi_lender_lend(p->end.region, link, loan->pool->pool.number, loan->block.number, token);
		if (rc == -EPROTO) { /* it lied about blocks: for a one-to-many ring that is its own affair */
			if (!p->end.readers)
				return rc;
			vshmi_readers_drop(p->end.region, &p->end, index - 1);
			continue;
		}
		if (rc) {
			recall(p, loan, (unsigned)count);
			return rc;
		}
		count++;
	}
	return count;
}

/* Lock held, room reserved. */
static int lend_now(struct vshm_producer *p, const struct vshmi_loan *loan)
{
	struct vshm_lend lend = {.size = loan->size};
	int count;

	p->lends_back = vshmi_lender_collect(p->end.region);
	if (!vshmi_pool_owns(loan->pool, &loan->block))
		return -EINVAL;
	count = lend_to_all(p, loan, &lend.token);
	if (count < 0)
		return count;
	if (!count && !(p->end.flags & VSHM_ENTRY_DROP))
		return -EAGAIN;
	if (!count)
		return 0; /* nobody listens, and that is all right */
	lend.offset = (uint64_t)((const unsigned char *)loan->block.data - (const unsigned char *)p->end.region->section);
	vshmi_tx_append_lend(&p->tx, &lend);
	vshmi_producer_publish(p);
	vshmi_pool_show(loan->pool);
	return 0;
}

int vshmi_lend_look(void *end)
{
	struct vshm_producer *p = end;
	int rc = vshmi_producer_look_for_room(p);

	p->lend_waits_for_room = rc == -EAGAIN;
	if (rc)
		return rc;
	vshmi_lock(&p->end.region->lock);
	rc = lend_now(p, p->loan);
	p->tx.reserved = p->adrift_reserved = 0;
	vshmi_unlock(&p->end.region->lock);
	return rc;
}

/* Room, or blocks that come back: an odd number is no position of a consumer, and new with each block. */
uint64_t vshmi_lend_arm(void *end)
{
	struct vshm_producer *p = end;
	uint64_t room = vshmi_producer_arm_for_room(p), odd = 2 * p->lends_back + 1;

	if (p->lend_waits_for_room)
		return room;
	vshmi_store64(p->tx.armed_word, odd);
	return odd;
}

int vshm_producer_lend(struct vshm_producer *p, struct vshm_pool *pool, const struct vshm_block *block, size_t size,
		       int64_t timeout_ns)
{
	struct vshmi_loan loan;
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	if (!rc)
		rc = vshmi_end_handle(pool ? &pool->end : NULL);
	if (rc)
		return rc;
	if (!block || size > block->size || pool->end.region != p->end.region || p->end.copy ||
	    (timeout_ns < 0 && timeout_ns != VSHM_FOREVER))
		return -EINVAL;
	loan = (struct vshmi_loan){pool, *block, size};
	p->loan = &loan;
	rc = vshmi_producer_wait_to_lend(p, timeout_ns);
	p->loan = NULL;
	return rc;
}

/* ---- the consumer ---- */

/* The list: `lends` places for what a peek showed, and as many for what is kept. */
int vshmi_lent_prepare(struct vshm_consumer *c, uint32_t lends)
{
	c->lends = lends;
	if (!lends)
		return 0;
	c->end.lent = vshmi_alloc(2 * lends * sizeof(*c->end.lent));
	if (!c->end.lent)
		return -ENOMEM;
	c->kept = c->end.lent + lends;
	return 0;
}

void vshmi_lent_begin(struct vshm_consumer *c)
{
	const struct vshm_region *region = c->end.region;

	c->rx.lent = c->end.lent;
	c->rx.lent_count = c->kept_count = 0;
	c->rx.lent_max = c->lends;
	if (c->lends)
		(void)vshmi_returns_init(&c->returns, &c->end.entry->returned,
					 (struct vshmi_word64 *)(void *)((unsigned char *)region->section +
									 region->own[c->end.index].ring_offset),
					 c->lends);
}

/* The owner is told if it waits for a block, once for each number that it armed. */
static void tell_owner(struct vshm_consumer *c)
{
	uint64_t armed;

	if (!c->end.link.id)
		return;
	if (c->rx.fence)
		vshmi_fence_full();
	else
		vshmi_fence_light();
	armed = vshmi_load64(&c->end.link.entry->armed);
	if (!(armed & 1) || armed == c->rx.rung)
		return;
	c->rx.rung = armed;
	c->rx.rings++;
	vshmi_peer_ring(c->end.region, c->end.link.peer);
}

/* For those who look at the region. */
static void show_kept(const struct vshm_consumer *c)
{
	if (!c->left && !vshmi_region_usable(c->end.region))
		vshmi_store64(&c->end.entry->held, c->kept_count);
}

static void put_back(struct vshm_consumer *c, const struct vshmi_lent *lent)
{
	if (!c->left && !vshmi_region_usable(c->end.region))
		vshmi_returns_put(&c->returns, lent->token);
}

void vshmi_lent_release(struct vshm_consumer *c, uint64_t position)
{
	unsigned rest = 0;
	bool any = false;

	for (unsigned i = 0; i < c->rx.lent_count; i++) {
		const struct vshmi_lent lent = c->rx.lent[i];

		if ((int64_t)(lent.position - position) >= 0) {
			c->rx.lent[rest++] = lent;
		} else if (lent.kept) {
			c->kept[c->kept_count++] = lent;
		} else {
			put_back(c, &lent);
			any = true;
		}
	}
	c->rx.lent_count = rest;
	c->rx.lent_max = c->lends - c->kept_count;
	show_kept(c);
	if (any)
		tell_owner(c);
}

int vshm_consumer_keep(struct vshm_consumer *c, const void *data)
{
	int rc = vshmi_end_handle(c ? &c->end : NULL);

	if (rc)
		return rc;
	for (unsigned i = 0; i < c->rx.lent_count; i++) {
		if (c->rx.lent[i].data != data || c->rx.lent[i].kept)
			continue;
		c->rx.lent[i].kept = true;
		return 0;
	}
	return -ENOENT;
}

int vshm_consumer_give_back(struct vshm_consumer *c, const void *data)
{
	int rc = vshmi_end_handle(c ? &c->end : NULL);

	if (rc)
		return rc;
	for (unsigned i = 0; i < c->kept_count; i++) {
		const struct vshmi_lent lent = c->kept[i];

		if (lent.data != data)
			continue;
		c->kept[i] = c->kept[--c->kept_count];
		c->rx.lent_max = c->lends - c->kept_count;
		put_back(c, &lent);
		show_kept(c);
		tell_owner(c);
		vshmi_consumer_leave_late(c);
		return 0;
	}
	return -ENOENT;
}
