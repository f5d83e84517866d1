/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool: hands out blocks of a range of bytes, lends them to other peers and takes them back. No region, no names: the
 * module knows offsets 0 to size - 1 and never touches the bytes. All bookkeeping lies in private memory of the caller;
 * the one thing that others write, the return ring in a holder's section, is read word by word and believed in nothing.
 *
 * A block is in use while its owner or a holder has it: it is free again when the owner's hold is dropped and no holder is
 * left. Nothing here locks: one thread at a time works on a pool and on the holders that it lends to. No call blocks.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include "wire/wire.h"

#define VSHMI_MAX_POOLS 64u /* of one owner: 6 bits of a token */
#define VSHMI_MAX_NODES (1u << 26) /* of one pool: 26 bits of a token */
#define VSHMI_MAX_POOL_SIZE (UINT64_C(1) << 40) /* keeps the index of an arena small: 31 powers of two of lines */
#define VSHMI_MAX_HOLDERS 64u /* a bit each */
#define VSHMI_MAX_QUOTA 4096u /* a return ring of 32 KiB */
#define VSHMI_NO_BLOCK UINT32_MAX

/* ---- pools and arenas: pool.c, arena.c ---- */

enum vshmi_pool_kind {
	VSHMI_POOL_FIXED, /* blocks of one size */
	VSHMI_POOL_ARENA, /* blocks of any size, in lines */
};

struct vshmi_pool_shape {
	enum vshmi_pool_kind kind;
	uint64_t size; /* of the range, up to VSHMI_MAX_POOL_SIZE; what is behind the last whole block is not used */
	uint32_t count; /* fixed: of blocks that share the range; arena: of blocks that can be in use at a time */
};

enum vshmi_block_state {
	VSHMI_BLOCK_SPARE, /* a node of an arena without bytes */
	VSHMI_BLOCK_FREE,
	VSHMI_BLOCK_USED,
};

/* A node: a block, or what could become one. Its index names the block as long as it is in use. */
struct vshmi_block {
	uint64_t offset, size;
	uint64_t holders;
	uint32_t generation;
	uint32_t before, after; /* arena: what lies beside it, or VSHMI_NO_BLOCK */
	uint32_t previous, next; /* in its list, or VSHMI_NO_BLOCK */
	uint8_t state; /* enum vshmi_block_state */
	bool owned; /* the owner's hold */
	bool named; /* tokens with this generation were given out */
};

struct vshmi_pool_stats {
	uint64_t bytes; /* that could be handed out, were everything free */
	uint64_t bytes_used; /* in blocks in use; in lines, not as asked for */
	uint64_t bytes_lent; /* of these, in blocks with a holder */
	uint64_t largest; /* the largest size that an allocation gets now; one byte more is -ENOSPC */
	uint32_t blocks; /* that can be in use at a time */
	uint32_t blocks_used;
	uint32_t blocks_lent;
};

struct vshmi_arena; /* arena.c */

struct vshmi_pool {
	struct vshmi_block *blocks;
	struct vshmi_arena *arena; /* NULL: blocks of one size */
	uint64_t block_size; /* fixed only */
	uint32_t node_count;
	uint32_t spare; /* a list. Fixed: the free blocks; arena: the nodes without bytes */
	uint32_t number;
	uint32_t held[VSHMI_MAX_HOLDERS]; /* how many blocks each has */
	struct vshmi_pool_stats stats; /* but `largest` */
};

/* Bytes of private memory that a pool of this shape needs, 8-byte aligned; 0: there is no such pool. */
uint64_t vshmi_pool_memory(const struct vshmi_pool_shape *shape);

/*
 * Everything is free. `memory`: vshmi_pool_memory() bytes, the caller's, as long as the pool lives; what it contains does
 * not matter. `number` is what tokens call this pool; `generation`, best by chance, is where counting begins, so that a
 * token of an earlier pool in this place is noticed. The range is to begin on a line. 0; -EINVAL: the shape or number.
 */
int vshmi_pool_init(struct vshmi_pool *pool, const struct vshmi_pool_shape *shape, void *memory, uint32_t number,
		    uint32_t generation);

/*
 * Hands out a block of at least `size` bytes, on whole lines of VSHM_LINE bytes that no other block shares, in constant time.
 * `block`: its index. 0; -EINVAL: size 0; -ENOSPC: larger than a block, or than what is free in one piece, or as many
 * blocks are in use as there can be. An arena looks at no more than 8 free blocks of about this size (within a 16th),
 * then takes a larger one; vshmi_pool_stats() knows the largest size that it finds so.
 */
int vshmi_pool_alloc(struct vshmi_pool *pool, uint64_t size, uint32_t *block);

/* Where a block lies and how large it is; either pointer can be NULL. 0; -EINVAL: no such block is in use. */
int vshmi_pool_block(const struct vshmi_pool *pool, uint32_t block, uint64_t *offset, uint64_t *size);

/* Drops the owner's hold; the last holder's return then frees the block. 0; -EINVAL: the owner does not hold it. */
int vshmi_pool_free(struct vshmi_pool *pool, uint32_t block);

void vshmi_pool_stats(const struct vshmi_pool *pool, struct vshmi_pool_stats *out);

/* ---- tokens ---- */

/*
 * A token names a lent block: bits 0-25 block, 26-31 pool, 32-63 generation. The generation of a node goes up each time that
 * it comes home and is never 0, so a word of zeros is no token. It comes round after 2^32 lives: a token of then would be
 * accepted, but only from one who has the block now, and could give it back anyway.
 */
static inline uint64_t vshmi_token_pack(uint32_t generation, uint32_t pool, uint32_t block)
{
	return (uint64_t)generation << 32 | pool << 26 | block;
}

static inline uint32_t vshmi_token_block(uint64_t token)
{
	return (uint32_t)token & (VSHMI_MAX_NODES - 1);
}

static inline uint32_t vshmi_token_pool(uint64_t token)
{
	return (uint32_t)token >> 26;
}

static inline uint32_t vshmi_token_generation(uint64_t token)
{
	return (uint32_t)(token >> 32);
}

/* ---- lending: pool.c, and returns.c for the ring as the owner sees it ---- */

/* What a holder broke; `position` says at which return. */
struct vshmi_pool_fault {
	uint32_t rule; /* enum vshm_rule; 0: nothing */
	uint64_t position;
	uint64_t value;
};

/*
 * A consumer that can hold blocks of any of the owner's pools, and its return ring. At most `quota` blocks are with it or in
 * the ring, so the ring is never full. The first fault stays: nothing more is lent to it nor believed of it, until
 * vshmi_pool_take_back_all() of each pool and a new vshmi_holder_init().
 */
struct vshmi_holder {
	uint64_t bit;
	uint64_t position; /* of the next return */
	uint64_t tail; /* last lawful value seen */
	uint32_t number;
	uint32_t quota; /* capacity of the ring */
	uint32_t outstanding; /* lent, and not yet taken from the ring */
	const struct vshmi_word64 *tail_word; /* these two are the holder's */
	const struct vshmi_word64 *words;
	struct vshmi_pool_fault fault;
};

/*
 * A new holder with nothing. `number`: below VSHMI_MAX_HOLDERS, and nobody else's who holds blocks of these pools; the
 * ring's `quota` words, a power of two up to VSHMI_MAX_QUOTA, and its tail, which counts from 0. 0; -EINVAL.
 */
int vshmi_holder_init(struct vshmi_holder *holder, uint32_t number, const struct vshmi_word64 *tail_word,
		      const struct vshmi_word64 *words, uint32_t quota);

/*
 * Lends a block that the owner holds. `token`: what the holder has to return. 0; -EINVAL: the owner does not hold it;
 * -EEXIST: this holder has it; -EAGAIN: the holder has its quota; -EPROTO: the holder broke a rule before.
 */
int vshmi_pool_lend(struct vshmi_pool *pool, struct vshmi_holder *holder, uint32_t block, uint64_t *token);

/*
 * Undoes a lend whose token the holder was never shown. 0; -EINVAL: it was not lent to this holder; -EPROTO: the holder
 * broke a rule before.
 */
int vshmi_pool_recall(struct vshmi_pool *pool, struct vshmi_holder *holder, uint32_t block);

/*
 * The next return: `token` was loaded once and can be anything. 0; -EAGAIN: nothing there; -EPROTO: `fault` says that the
 * tail went back or is beyond what the holder has. At most `outstanding` times in a row something other than -EAGAIN.
 */
int vshmi_holder_take(struct vshmi_holder *holder, uint64_t *token);

/*
 * Believes a token that vshmi_holder_take() gave: the holder has that block no more. 0; -EPROTO: `fault` says that there is no
 * such block, that its generation is another, or that this holder does not have it (any more); the pool stays as it was.
 */
int vshmi_pool_give_back(struct vshmi_pool *pool, struct vshmi_holder *holder, uint64_t token);

/*
 * Both, for all that one look at the tail finds, not more than `outstanding`. `pools`: by number, NULL where none is; `count`
 * of them. How many blocks were given back, 0 too; or -EPROTO, `fault` filled: those before the bad one were.
 */
int vshmi_holder_collect(struct vshmi_holder *holder, struct vshmi_pool *const pools[], uint32_t count);

/*
 * The holder with this number closed, or is dead and fenced: all that it held comes home, and its return ring is not
 * looked at any more. Linear in the number of nodes up to the last one that it held. How many blocks that were.
 */
uint32_t vshmi_pool_take_back_all(struct vshmi_pool *pool, uint32_t number);

/* ---- the return ring, as the holder sees it: returns.c ---- */

struct vshmi_returns {
	struct vshmi_word64 *tail_word; /* own, as are the words */
	struct vshmi_word64 *words;
	uint64_t tail;
	uint32_t capacity;
};

/* An empty ring of `capacity` words, a power of two up to VSHMI_MAX_QUOTA. Stores the tail. 0; -EINVAL. */
int vshmi_returns_init(struct vshmi_returns *returns, struct vshmi_word64 *tail_word, struct vshmi_word64 *words,
		       uint32_t capacity);

/*
 * Returns a token as it came, once; the block must not be touched any more. There is always room: an owner has no more than
 * `capacity` tokens out, and one that has more spoils only its own returns.
 */
void vshmi_returns_put(struct vshmi_returns *returns, uint64_t token);

#endif
