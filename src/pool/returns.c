/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The return ring: a holder puts tokens, the owner takes them. How far the owner may read is what it has lent and not taken
 * yet, a private number; so neither tail nor tokens can make it read outside the ring, or longer than it lent.
 */
#include "pool/pool.h"

static bool capacity_ok(uint32_t capacity)
{
	return vshmi_is_power_of_two(capacity) && capacity <= VSHMI_MAX_QUOTA;
}

/* ---- the holder ---- */

int vshmi_returns_init(struct vshmi_returns *returns, struct vshmi_word64 *tail_word, struct vshmi_word64 *words,
		       uint32_t capacity)
{
	if (!capacity_ok(capacity))
		return -EINVAL;
	*returns = (struct vshmi_returns){tail_word, words, 0, capacity};
	vshmi_store64(tail_word, 0); /* relaxed: whoever tells the owner of this ring publishes it */
	return 0;
}

void vshmi_returns_put(struct vshmi_returns *returns, uint64_t token)
{
	vshmi_store64(&returns->words[returns->tail & (returns->capacity - 1)], token);
	/* pairs with vshmi_holder_take(): the token is there, and the reads of the block are over */
	vshmi_store_release64(returns->tail_word, ++returns->tail);
}

/* ---- the owner ---- */

int vshmi_holder_init(struct vshmi_holder *holder, uint32_t number, const struct vshmi_word64 *tail_word,
		      const struct vshmi_word64 *words, uint32_t quota)
{
	if (number >= VSHMI_MAX_HOLDERS || !capacity_ok(quota))
		return -EINVAL;
	*holder = (struct vshmi_holder){
		.bit = UINT64_C(1) << number,
		.number = number,
		.quota = quota,
		.tail_word = tail_word,
		.words = words,
	};
	return 0;
}

/* Is there anything to take? Looks at the tail only when what it said last was taken. */
static int look(struct vshmi_holder *holder)
{
	uint64_t tail;

	if (holder->fault.rule)
		return -EPROTO;
	if (holder->tail != holder->position)
		return 0;
	tail = vshmi_load_acquire64(holder->tail_word); /* pairs with vshmi_returns_put() */
	if (tail - holder->position > holder->outstanding) {
		holder->fault = (struct vshmi_pool_fault){VSHM_RULE_RETURN_TAIL, holder->position, tail};
		return -EPROTO;
	}
	holder->tail = tail;
	return tail == holder->position ? -EAGAIN : 0;
}

/* There is something: takes it. */
static uint64_t take(struct vshmi_holder *holder)
{
	/* relaxed: the tail's acquire load covers it */
	uint64_t token = vshmi_load64(&holder->words[holder->position & (holder->quota - 1)]);

	holder->position++;
	holder->outstanding--;
	return token;
}

int vshmi_holder_take(struct vshmi_holder *holder, uint64_t *token)
{
	int rc = look(holder);

	if (!rc)
		*token = take(holder);
	return rc;
}

/* Gives a token back to the pool that it names. */
static int give_back(struct vshmi_holder *holder, struct vshmi_pool *const pools[], uint32_t count, uint64_t token)
{
	uint32_t number = vshmi_token_pool(token);

	if (number < count && pools[number])
		return vshmi_pool_give_back(pools[number], holder, token);
	holder->fault = (struct vshmi_pool_fault){VSHM_RULE_RETURN_BLOCK, holder->position - 1, token};
	return -EPROTO;
}

int vshmi_holder_collect(struct vshmi_holder *holder, struct vshmi_pool *const pools[], uint32_t count)
{
	int collected = 0, rc = look(holder);

	if (rc)
		return rc == -EAGAIN ? 0 : rc;
	for (; holder->position != holder->tail; collected++) {
		rc = give_back(holder, pools, count, take(holder));
		if (rc)
			return rc;
	}
	return collected;
}
