/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pools: memory to lend. A large or long-lived payload is written once, in a block of the producer's own section, and
 * then lent to the consumers of its rings: only a small record travels, nothing is copied.
 *
 *   producer: vshm_pool_alloc(), fill the block, vshm_producer_lend() (to as many rings as needed), vshm_pool_free()
 *   consumer: vshm_consumer_peek() shows the block like any record; vshm_consumer_release() gives it back, or
 *             vshm_consumer_keep() and, later and in any order, vshm_consumer_give_back()
 *
 * A block is free again when its owner has freed it and every consumer that it was lent to gave it back, closed, or is dead
 * and fenced. A consumer takes a limited number of blocks at a time (vshm_consumer_options.lends), so that none of them can
 * hold all memory. What it says about blocks is checked against private books: one that returns what it does not hold is
 * lent nothing any more.
 *
 * One region's pools and rings can be used by different threads. Calls take a private lock and never wait, except
 * vshm_producer_lend().
 */
#ifndef VSHM_POOL_H
#define VSHM_POOL_H

#include <vshm/region.h>
#include <vshm/ring.h>
#include <vshm/types.h>

VSHM_BEGIN_DECLS

struct vshm_pool;

struct vshm_pool_options {
	size_t struct_size;
	uint64_t size;       /* bytes of memory for blocks, rounded up to VSHM_LINE */
	uint64_t block_size; /* bytes of each block; 0: an arena, with blocks of any size */
	uint32_t blocks;     /* arena: at most so many at a time; 0: one for each 4 KiB, at least 64. Else 0 */
	uint32_t reserved;   /* 0 */
};
#define VSHM_POOL_OPTIONS_INIT                                                                     \
	{                                                                                          \
		sizeof(struct vshm_pool_options), 0, 0, 0, 0                                       \
	}

/*
 * Takes `options->size` bytes of this peer's section as a pool `name`, so that `vshmctl show` can tell it. A pool hands out
 * blocks of one size; an arena blocks of any size, in lines of 128 bytes, in constant time either way. On success *pool
 * belongs to the region: vshm_pool_close().
 * Errors: -EINVAL (name, size 0, block_size larger than size, blocks with block_size, too many blocks), -E2BIG, -ENOSPC (the
 * section has no room, or there are 64 pools: vshm_region_why() says how much there is), -EACCES (observer), -ENOMEM,
 * -ECHILD, -ESTALE, -ENODEV.
 */
VSHM_API VSHM_MUST_USE int vshm_pool_open(struct vshm_region *region, const char *name,
					  const struct vshm_pool_options *options, struct vshm_pool **pool);

/* A block in the hands of its owner. Filled by vshm_pool_alloc(); only `data`'s bytes are the caller's to change. */
struct vshm_block {
	void *data;          /* on a line of 128 bytes that no other block shares */
	size_t size;         /* as asked for */
	uint32_t number;     /* of the block in its pool */
	uint32_t generation; /* which of its lives this is */
};

/*
 * Hands out a block of `size` bytes. Blocks that came back since the last call are taken in first.
 * Errors: -EINVAL (size 0), -ENOSPC (larger than a block, or than the largest free one, which vshm_region_why() names; or
 * all are in use), -ECHILD, -ESTALE, -ENODEV.
 */
VSHM_API VSHM_MUST_USE int vshm_pool_alloc(struct vshm_pool *pool, size_t size, struct vshm_block *block);

/*
 * The owner has done with a block: it is free as soon as nobody holds it any more, at once if it was not lent.
 * Errors: -EINVAL (not a block that the owner holds: freed already, or another pool's), -ECHILD.
 */
VSHM_API int vshm_pool_free(struct vshm_pool *pool, const struct vshm_block *block);

/*
 * Gives the pool's memory back. Errors: -EBUSY (blocks are lent: nothing was closed; come again, or close the region),
 * -EINVAL, -ECHILD. Blocks that the owner still holds end with the pool.
 */
VSHM_API int vshm_pool_close(struct vshm_pool *pool);

struct vshm_pool_info {
	size_t struct_size;
	uint64_t size;         /* bytes that could be handed out, were everything free */
	uint64_t used;         /* bytes in blocks in use */
	uint64_t lent;         /* of these, in blocks that a consumer holds */
	uint64_t largest;      /* the largest size that vshm_pool_alloc() gets now */
	uint32_t blocks;       /* that can be in use at a time */
	uint32_t blocks_used;
	uint32_t blocks_lent;
	uint32_t reserved;
};
#define VSHM_POOL_INFO_INIT                                                                        \
	{                                                                                          \
		sizeof(struct vshm_pool_info), 0, 0, 0, 0, 0, 0, 0, 0                              \
	}

/* Fills `info`, whose struct_size is set; takes in what came back first. Errors: -EINVAL, -E2BIG, -ECHILD, -ESTALE, -ENODEV. */
VSHM_API VSHM_MUST_USE int vshm_pool_info(struct vshm_pool *pool, struct vshm_pool_info *info);

/*
 * Sends a record that lends the first `size` bytes of `block` to the consumers that the ring has now: each of them reads it
 * in place, and holds the block until it gives it back. The owner must not change the bytes before it is back, and
 * keeps its own hold until vshm_pool_free(), so that a block can be lent to several rings.
 * It is published at once, with what was committed before; a reservation that was not committed is given up.
 * Waits for room in the ring, for a consumer, and while one of them holds as many blocks as it takes. With
 * VSHM_PRODUCER_DROP and nobody there: 0, and nothing is lent. A consumer that comes later starts behind the last block that
 * was lent to others.
 * Errors: as vshm_producer_reserve(); -EPROTO also says that the consumer of a one-to-one ring returned what it did not
 * hold: then only records that are sent still go there. And -EINVAL (not a block that the owner holds, larger than it, another region's pool,
 * or a latest ring), -EEXIST (a consumer of this ring has this block already), -EOPNOTSUPP (a consumer takes no blocks).
 */
VSHM_API VSHM_MUST_USE int vshm_producer_lend(struct vshm_producer *producer, struct vshm_pool *pool,
					      const struct vshm_block *block, size_t size, int64_t timeout_ns);

/*
 * Keeps a lent block, which the last peek showed at `data`, beyond the release. It then has to be given back, by data; a close
 * gives back what is left, after which its bytes are not to be read. Without FOLLOW it stays valid after the end of the stream; with
 * FOLLOW it ends with its producer.
 * Errors: -ENOENT (no lent block is shown there), -EINVAL, -ECHILD.
 */
VSHM_API VSHM_MUST_USE int vshm_consumer_keep(struct vshm_consumer *consumer, const void *data);

/*
 * Gives a kept block back; blocks can go in any order. Wakes the owner if it waits for that. Never waits.
 * Errors: -ENOENT (no such block is kept), -EINVAL, -ECHILD.
 */
VSHM_API int vshm_consumer_give_back(struct vshm_consumer *consumer, const void *data);

VSHM_END_DECLS

#endif
