/* SPDX-License-Identifier: BSD-3-Clause */
/* A pool in memory of its own, so that a sanitizer sees its bounds, and a look at all of it: is it intact? */
#ifndef UNIT_POOL_WORLD_H
#define UNIT_POOL_WORLD_H

#include "pool/pool.h"
#include "unit.h"

struct world {
	struct vshmi_pool pool;
	void *memory;
};

#define WORLD_POOL 5u
#define WORLD_GENERATION 1000u

static inline void world_open(struct world *w, enum vshmi_pool_kind kind, uint64_t size, uint32_t count)
{
	struct vshmi_pool_shape shape = {kind, size, count};
	uint64_t needs = vshmi_pool_memory(&shape);

	ck_assert_uint_gt(needs, 0);
	w->memory = malloc(needs);
	ck_assert_ptr_nonnull(w->memory);
	memset(w->memory, 0xee, needs);
	ck_ok(vshmi_pool_init(&w->pool, &shape, w->memory, WORLD_POOL, WORLD_GENERATION));
}

static inline void world_close(struct world *w)
{
	free(w->memory);
}

static inline struct vshmi_pool_stats world_stats(const struct world *w)
{
	struct vshmi_pool_stats stats;

	vshmi_pool_stats(&w->pool, &stats);
	return stats;
}

static inline uint32_t world_alloc(struct world *w, uint64_t size)
{
	uint32_t block = VSHMI_NO_BLOCK;

	ck_ok(vshmi_pool_alloc(&w->pool, size, &block));
	return block;
}

/* What a walk over all nodes finds, against what was counted; the used and free bytes of an arena tile the range. */
static inline void world_intact(const struct world *w)
{
	struct vshmi_pool_stats s = world_stats(w);
	uint64_t used = 0, lent = 0, bytes = 0, end = 0;
	uint32_t blocks = 0, lent_blocks = 0, spare = 0, listed = 0;

	for (uint32_t i = 0; i < w->pool.node_count; i++) {
		const struct vshmi_block *b = &w->pool.blocks[i];

		spare += b->state == (w->pool.arena ? VSHMI_BLOCK_SPARE : VSHMI_BLOCK_FREE);
		ck_assert(b->state == VSHMI_BLOCK_USED ? b->owned || b->holders : !b->owned && !b->holders);
		if (b->state == VSHMI_BLOCK_USED || b->state == VSHMI_BLOCK_FREE) {
			bytes += b->size;
			end = b->offset + b->size > end ? b->offset + b->size : end;
		}
		if (b->state != VSHMI_BLOCK_USED)
			continue;
		blocks++;
		used += b->size;
		lent_blocks += b->holders != 0;
		lent += b->holders ? b->size : 0;
	}
	for (uint32_t i = w->pool.spare; i != VSHMI_NO_BLOCK && listed <= spare; i = w->pool.blocks[i].next)
		listed++;
	ck_assert_uint_eq(listed, spare);
	ck_assert_uint_eq(s.blocks_used, blocks);
	ck_assert_uint_eq(s.bytes_used, used);
	ck_assert_uint_eq(s.blocks_lent, lent_blocks);
	ck_assert_uint_eq(s.bytes_lent, lent);
	ck_assert_uint_eq(s.bytes, bytes);
	ck_assert(!w->pool.arena || end == s.bytes);
}

#endif
