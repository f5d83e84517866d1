/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of any size. The free ones hang in lists by size class, 16 to each power of two, with bitmaps of the classes that
 * have any (M. Masmano et al., TLSF, ECRTS 2004); a block that comes home becomes one with its free neighbours at once.
 * No step here is repeated more than LOOKS times. Two free blocks never lie side by side.
 */
#include "pool/arena.h"

#define CLASS_BITS 4
#define CLASSES (1u << CLASS_BITS) /* to a power of two: sizes in a list differ by a 16th at most */
#define LEVELS 31u /* the first has sizes below CLASSES; the last, of 2^33 lines, is VSHMI_MAX_POOL_SIZE */
#define LOOKS 8 /* the mix of tests/unit/pool_blocks.c gains nothing beyond 2; each look can miss the cache */

struct vshmi_arena {
	uint64_t levels; /* a bit for each that has a free block */
	uint32_t classes[LEVELS + 1]; /* the same for its classes; one more to keep the size a multiple of 8 */
	uint32_t first[LEVELS * CLASSES];
};

_Static_assert(sizeof(struct vshmi_arena) % 8 == 0, "the nodes follow");
const uint64_t vshmi_arena_index_size = sizeof(struct vshmi_arena);

/* The class whose smallest size is at most `size` bytes, a multiple of lines: blocks in higher ones are all larger. */
static uint32_t class_of(uint64_t size)
{
	uint64_t lines = size / VSHM_LINE;
	uint32_t shift;

	if (lines < CLASSES)
		return (uint32_t)lines;
	shift = 63 - (uint32_t)__builtin_clzll(lines) - CLASS_BITS;
	return (shift + 1) * CLASSES + ((uint32_t)(lines >> shift) & (CLASSES - 1));
}

/* ---- the lists ---- */

static void list_add(struct vshmi_pool *pool, uint32_t block)
{
	struct vshmi_arena *arena = pool->arena;
	struct vshmi_block *b = &pool->blocks[block];
	uint32_t class = class_of(b->size);

	b->state = VSHMI_BLOCK_FREE;
	b->previous = VSHMI_NO_BLOCK;
	b->next = arena->first[class];
	if (b->next != VSHMI_NO_BLOCK)
		pool->blocks[b->next].previous = block;
	arena->first[class] = block;
	arena->classes[class / CLASSES] |= 1u << class % CLASSES;
	arena->levels |= UINT64_C(1) << class / CLASSES;
}

static void list_remove(struct vshmi_pool *pool, uint32_t block)
{
	struct vshmi_arena *arena = pool->arena;
	const struct vshmi_block *b = &pool->blocks[block];
	uint32_t class = class_of(b->size);

	if (b->next != VSHMI_NO_BLOCK)
		pool->blocks[b->next].previous = b->previous;
	if (b->previous != VSHMI_NO_BLOCK) {
		pool->blocks[b->previous].next = b->next;
		return;
	}
	arena->first[class] = b->next;
	if (b->next != VSHMI_NO_BLOCK)
		return;
	arena->classes[class / CLASSES] &= ~(1u << class % CLASSES);
	if (!arena->classes[class / CLASSES])
		arena->levels &= ~(UINT64_C(1) << class / CLASSES);
}

/* The first block of the lowest class above `class` that has any. */
static uint32_t first_above(const struct vshmi_arena *arena, uint32_t class)
{
	uint32_t level = class / CLASSES;
	uint32_t bits = arena->classes[level] & (~1u << class % CLASSES);
	uint64_t levels = arena->levels & (~UINT64_C(1) << level);

	if (!bits) {
		if (!levels)
			return VSHMI_NO_BLOCK;
		level = (uint32_t)__builtin_ctzll(levels);
		bits = arena->classes[level];
	}
	return arena->first[level * CLASSES + (uint32_t)__builtin_ctz(bits)];
}

/* The first of a class's first few blocks that has `size` bytes. */
static uint32_t first_fit(const struct vshmi_pool *pool, uint32_t class, uint64_t size)
{
	uint32_t block = pool->arena->first[class];

	for (unsigned i = 0; i < LOOKS && block != VSHMI_NO_BLOCK; i++, block = pool->blocks[block].next)
		if (pool->blocks[block].size >= size)
			return block;
	return VSHMI_NO_BLOCK;
}

uint64_t vshmi_arena_largest(const struct vshmi_pool *pool)
{
	const struct vshmi_arena *arena = pool->arena;
	uint64_t largest = 0;
	uint32_t level, block;

	if (!arena->levels)
		return 0;
	level = 63 - (uint32_t)__builtin_clzll(arena->levels);
	block = arena->first[level * CLASSES + 31 - (uint32_t)__builtin_clz(arena->classes[level])];
	for (unsigned i = 0; i < LOOKS && block != VSHMI_NO_BLOCK; i++, block = pool->blocks[block].next)
		if (pool->blocks[block].size > largest)
			largest = pool->blocks[block].size;
	return largest;
}

/* ---- neighbours ---- */

static bool is_free(const struct vshmi_pool *pool, uint32_t block)
{
	return block != VSHMI_NO_BLOCK && pool->blocks[block].state == VSHMI_BLOCK_FREE;
}

/* `block` takes over the one behind it, which becomes a spare node. */
static void absorb(struct vshmi_pool *pool, uint32_t block)
{
	struct vshmi_block *b = &pool->blocks[block];
	uint32_t gone = b->after;

	b->size += pool->blocks[gone].size;
	b->after = pool->blocks[gone].after;
	if (b->after != VSHMI_NO_BLOCK)
		pool->blocks[b->after].before = block;
	vshmi_node_put(pool, gone, VSHMI_BLOCK_SPARE);
}

/* Leaves `size` bytes to a block; the rest becomes a free one. What lies behind it is in use, or it were one with it. */
static void split(struct vshmi_pool *pool, uint32_t block, uint64_t size)
{
	uint32_t rest = vshmi_node_get(pool);
	struct vshmi_block *b = &pool->blocks[block], *r = &pool->blocks[rest];

	r->offset = b->offset + size;
	r->size = b->size - size;
	r->before = block;
	r->after = b->after;
	if (r->after != VSHMI_NO_BLOCK)
		pool->blocks[r->after].before = rest;
	b->size = size;
	b->after = rest;
	list_add(pool, rest);
}

/* ---- what pool.c calls ---- */

void vshmi_arena_init(struct vshmi_pool *pool, uint64_t size)
{
	uint32_t block = vshmi_node_get(pool);
	struct vshmi_block *b = &pool->blocks[block];

	memset(pool->arena, 0, sizeof(*pool->arena));
	memset(pool->arena->first, 0xff, sizeof(pool->arena->first)); /* VSHMI_NO_BLOCK */
	b->offset = 0;
	b->size = size;
	b->before = b->after = VSHMI_NO_BLOCK;
	list_add(pool, block);
}

uint32_t vshmi_arena_take(struct vshmi_pool *pool, uint64_t size)
{
	uint64_t whole = vshmi_align_up(size, VSHM_LINE);
	uint32_t class = class_of(whole), block;

	/* its own class first: there lie the holes of blocks of the same size */
	block = first_fit(pool, class, whole);
	if (block == VSHMI_NO_BLOCK)
		block = first_above(pool->arena, class);
	if (block == VSHMI_NO_BLOCK)
		return VSHMI_NO_BLOCK;
	list_remove(pool, block);
	if (pool->blocks[block].size > whole)
		split(pool, block, whole);
	return block;
}

void vshmi_arena_put(struct vshmi_pool *pool, uint32_t block)
{
	if (is_free(pool, pool->blocks[block].after)) {
		list_remove(pool, pool->blocks[block].after);
		absorb(pool, block);
	}
	if (is_free(pool, pool->blocks[block].before)) {
		block = pool->blocks[block].before;
		list_remove(pool, block);
		absorb(pool, block);
	}
	list_add(pool, block);
}
