/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pools as their owner uses them. The allocator and the books are pool/'s; here are the memory in the section, the entry
 * that shows the pool to others, and the lock.
 */
#include "end/end.h"

#include <vshm/pool.h>

/* Bytes for one block where the caller does not say how many an arena can have. */
#define BYTES_PER_BLOCK 4096u
#define FEWEST_BLOCKS 64u

_Static_assert(sizeof(struct vshm_pool) <= VSHMI_HANDLE_SIZE, "a pool fits its page");

static int usable(struct vshm_pool *pool)
{
	int rc = vshmi_end_handle(pool ? &pool->end : NULL);

	return rc ? rc : vshmi_region_usable(pool->end.region);
}

void vshmi_pool_show(struct vshm_pool *pool)
{
	struct vshmi_pool_stats stats;

	vshmi_pool_stats(&pool->pool, &stats);
	vshmi_store64(&pool->end.entry->position, stats.bytes_used);
	vshmi_store64(&pool->end.entry->oldest, stats.largest);
	vshmi_store64(&pool->end.entry->newest, stats.blocks_lent);
}

/* ---- open ---- */

static int choose_shape(struct vshm_region *region, const struct vshm_pool_options *o, struct vshmi_pool_shape *shape)
{
	uint64_t count = o->block_size ? o->size / o->block_size : o->blocks;

	if (!o->size || o->block_size > o->size || (o->block_size && o->blocks) || o->reserved ||
	    o->size > VSHMI_MAX_POOL_SIZE)
		return vshmi_region_fail(region, -EINVAL, "a pool needs a size, and either blocks of a size up to that or, for an "
						    "arena, a number of blocks");
	if (!count)
		count = o->size / BYTES_PER_BLOCK < FEWEST_BLOCKS ? FEWEST_BLOCKS : o->size / BYTES_PER_BLOCK;
	*shape = (struct vshmi_pool_shape){
		.kind = o->block_size ? VSHMI_POOL_FIXED : VSHMI_POOL_ARENA,
		.size = vshmi_align_up(o->size, VSHM_LINE),
		.count = count < VSHMI_MAX_NODES ? (uint32_t)count : VSHMI_MAX_NODES,
	};
	if (o->block_size) /* blocks begin on lines, so what was asked for can need more than the size that was said */
		shape->size = vshmi_align_up(o->block_size, VSHM_LINE) * shape->count;
	return vshmi_pool_memory(shape) ? 0 :
					  vshmi_region_fail(region, -EINVAL, "a pool of %llu bytes cannot have %u blocks",
							    (unsigned long long)shape->size, shape->count);
}

static int prepare(struct vshm_pool *pool, const struct vshmi_pool_shape *shape)
{
	uint32_t generation, number;
	int rc = vshmi_random(&generation, sizeof(generation));

	if (rc)
		return rc;
	pool->end.copy = vshmi_alloc(vshmi_pool_memory(shape));
	if (!pool->end.copy)
		return -ENOMEM;
	rc = vshmi_lender_add(pool->end.region, &pool->pool, &number);
	if (rc)
		return rc == -ENOSPC ? vshmi_region_fail(pool->end.region, rc, "all %u pools of this peer are in use: close some",
							 VSHMI_MAX_POOLS) : rc;
	rc = vshmi_pool_init(&pool->pool, shape, pool->end.copy, number, generation);
	if (!rc)
		rc = vshmi_entry_take(pool->end.region, &pool->end, shape->size);
	if (rc)
		vshmi_lender_remove(pool->end.region, number);
	return rc;
}

static int open_locked(struct vshm_region *region, const char *name, const struct vshm_pool_options *o,
		       struct vshm_pool **out)
{
	struct vshmi_pool_shape shape;
	struct vshm_pool *pool;
	int rc = choose_shape(region, o, &shape);

	if (rc)
		return rc;
	pool = (struct vshm_pool *)(void *)vshmi_handle_take(region);
	if (!pool)
		return -ENOMEM;
	vshmi_end_init(&pool->end, VSHM_POOL, name, 0);
	rc = prepare(pool, &shape);
	if (rc) {
		vshmi_handle_drop(&pool->end);
		return rc;
	}
	pool->memory = (unsigned char *)region->section + region->own[pool->end.index].ring_offset;
	vshmi_pool_show(pool);
	vshmi_directory_changed(region);
	*out = pool;
	return 0;
}

int vshm_pool_open(struct vshm_region *region, const char *name, const struct vshm_pool_options *options,
		   struct vshm_pool **pool)
{
	static const struct vshm_pool_options defaults = VSHM_POOL_OPTIONS_INIT;
	struct vshm_pool_options o;
	int rc = vshmi_end_may_open(region, name);

	if (!rc)
		rc = pool ? vshmi_options_in(&o, &defaults, sizeof(o), options) : -EINVAL;
	if (rc)
		return rc;
	vshmi_lock(&region->lock);
	rc = open_locked(region, name, &o, pool);
	vshmi_unlock(&region->lock);
	return rc;
}

/* ---- use ---- */

static int alloc_locked(struct vshm_pool *pool, size_t size, struct vshm_block *block)
{
	struct vshmi_pool_stats stats;
	uint64_t offset;
	uint32_t number;
	int rc;

	(void)vshmi_lender_collect(pool->end.region);
	rc = vshmi_pool_alloc(&pool->pool, size, &number);
	if (rc == -ENOSPC) {
		vshmi_pool_stats(&pool->pool, &stats);
		return vshmi_region_fail(pool->end.region, rc,
					 "pool %s: no block of %zu bytes: the largest free one has %llu, %u of %u blocks are in use, "
					 "%u of them lent",
					 pool->end.name, size, (unsigned long long)stats.largest, stats.blocks_used,
					 stats.blocks, stats.blocks_lent);
	}
	if (!rc)
		rc = vshmi_pool_block(&pool->pool, number, &offset, NULL);
	if (rc)
		return rc;
	*block = (struct vshm_block){pool->memory + offset, size, number, pool->pool.blocks[number].generation};
	vshmi_pool_show(pool);
	return 0;
}

int vshm_pool_alloc(struct vshm_pool *pool, size_t size, struct vshm_block *block)
{
	int rc = usable(pool);

	if (rc || !block)
		return rc ? rc : -EINVAL;
	vshmi_lock(&pool->end.region->lock);
	rc = alloc_locked(pool, size, block);
	vshmi_unlock(&pool->end.region->lock);
	return rc;
}

bool vshmi_pool_owns(const struct vshm_pool *pool, const struct vshm_block *block)
{
	return block->number < pool->pool.node_count &&
	       pool->pool.blocks[block->number].generation == block->generation &&
	       pool->pool.blocks[block->number].state == VSHMI_BLOCK_USED;
}

int vshm_pool_free(struct vshm_pool *pool, const struct vshm_block *block)
{
	int rc = vshmi_end_handle(pool ? &pool->end : NULL);

	if (rc || !block)
		return rc ? rc : -EINVAL;
	vshmi_lock(&pool->end.region->lock);
	rc = vshmi_pool_owns(pool, block) ? vshmi_pool_free(&pool->pool, block->number) : -EINVAL;
	if (!rc && !vshmi_region_usable(pool->end.region))
		vshmi_pool_show(pool);
	vshmi_unlock(&pool->end.region->lock);
	return rc;
}

int vshm_pool_close(struct vshm_pool *pool)
{
	int rc = vshmi_end_handle(pool ? &pool->end : NULL);
	struct vshm_region *region;

	if (rc)
		return rc;
	region = pool->end.region;
	vshmi_lock(&region->lock);
	if (!vshmi_region_usable(region))
		(void)vshmi_lender_collect(region);
	if (pool->pool.stats.blocks_lent && !vshmi_region_usable(region)) {
		rc = -EBUSY;
	} else {
		vshmi_lender_remove(region, pool->pool.number);
		vshmi_entry_retire(region, &pool->end);
		vshmi_handle_drop(&pool->end);
	}
	vshmi_unlock(&region->lock);
	return rc;
}

int vshm_pool_info(struct vshm_pool *pool, struct vshm_pool_info *info)
{
	struct vshm_pool_info out = VSHM_POOL_INFO_INIT;
	struct vshmi_pool_stats stats;
	int rc = usable(pool);

	if (rc || !info)
		return rc ? rc : -EINVAL;
	vshmi_lock(&pool->end.region->lock);
	(void)vshmi_lender_collect(pool->end.region);
	vshmi_pool_stats(&pool->pool, &stats);
	vshmi_pool_show(pool);
	vshmi_unlock(&pool->end.region->lock);
	out.size = stats.bytes;
	out.used = stats.bytes_used;
	out.lent = stats.bytes_lent;
	out.largest = stats.largest;
	out.blocks = stats.blocks;
	out.blocks_used = stats.blocks_used;
	out.blocks_lent = stats.blocks_lent;
	return vshmi_options_out(info, &out, sizeof(out));
}
