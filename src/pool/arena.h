/* SPDX-License-Identifier: BSD-3-Clause */
/* What pool.c and arena.c know of each other. Private to this module. */
#ifndef POOL_ARENA_H
#define POOL_ARENA_H

#include "pool/pool.h"

/* Bytes of the index that arenas have in front of their nodes; a multiple of 8. */
extern const uint64_t vshmi_arena_index_size;

/* One free block of `size` bytes; all nodes are spare. */
void vshmi_arena_init(struct vshmi_pool *pool, uint64_t size);

/* Takes a block of at least `size` bytes (more than 0, at most VSHMI_MAX_POOL_SIZE) out of the free ones; or VSHMI_NO_BLOCK. */
uint32_t vshmi_arena_take(struct vshmi_pool *pool, uint64_t size);

/* Makes a block free and one with the free ones beside it. */
void vshmi_arena_put(struct vshmi_pool *pool, uint32_t block);

/* The largest size that vshmi_arena_take() finds. */
uint64_t vshmi_arena_largest(const struct vshmi_pool *pool);

/* The list of spare nodes, in pool.c. There is always one when an arena needs it: see node_count(). */
uint32_t vshmi_node_get(struct vshmi_pool *pool);
void vshmi_node_put(struct vshmi_pool *pool, uint32_t node, enum vshmi_block_state state);

#endif
