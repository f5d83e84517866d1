/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks, and who has them. What is counted here (stats, held) is counted where it changes and nowhere computed anew, so
 * that no question about a pool takes longer the larger it is.
 */
#include "pool/arena.h"

/* ---- nodes ---- */

/* An arena with n blocks in use has at most n + 1 free ones between and around them. */
static uint64_t node_count(const struct vshmi_pool_shape *shape)
{
	return shape->kind == VSHMI_POOL_ARENA ? 2 * (uint64_t)shape->count + 1 : shape->count;
}

uint32_t vshmi_node_get(struct vshmi_pool *pool)
{
	uint32_t node = pool->spare;

	pool->spare = pool->blocks[node].next;
	return node;
}

void vshmi_node_put(struct vshmi_pool *pool, uint32_t node, enum vshmi_block_state state)
{
	pool->blocks[node].state = (uint8_t)state;
	pool->blocks[node].next = pool->spare;
	pool->spare = node;
}

/* ---- creation ---- */

uint64_t vshmi_pool_memory(const struct vshmi_pool_shape *shape)
{
	uint64_t nodes = node_count(shape), index = shape->kind == VSHMI_POOL_ARENA ? vshmi_arena_index_size : 0;

	if (shape->kind != VSHMI_POOL_FIXED && shape->kind != VSHMI_POOL_ARENA)
		return 0;
	if (!shape->count || nodes > VSHMI_MAX_NODES || shape->size < VSHM_LINE || shape->size > VSHMI_MAX_POOL_SIZE)
		return 0;
	if (shape->kind == VSHMI_POOL_FIXED && shape->size / shape->count < VSHM_LINE)
		return 0;
	return index + nodes * sizeof(struct vshmi_block);
}

/* The last one first: blocks are handed out from the start of the range on. */
static void init_nodes(struct vshmi_pool *pool, enum vshmi_block_state state, uint32_t generation)
{
	pool->spare = VSHMI_NO_BLOCK;
	for (uint32_t i = pool->node_count; i-- > 0;) {
		pool->blocks[i] = (struct vshmi_block){
			.offset = i * pool->block_size,
			.size = pool->block_size,
			.generation = generation ? generation : 1,
			.before = VSHMI_NO_BLOCK,
			.after = VSHMI_NO_BLOCK,
		};
		vshmi_node_put(pool, i, state);
	}
}

int vshmi_pool_init(struct vshmi_pool *pool, const struct vshmi_pool_shape *shape, void *memory, uint32_t number,
		    uint32_t generation)
{
	if (!vshmi_pool_memory(shape) || number >= VSHMI_MAX_POOLS)
		return -EINVAL;
	memset(pool, 0, sizeof(*pool));
	pool->number = number;
	pool->node_count = (uint32_t)node_count(shape);
	pool->stats.blocks = shape->count;
	if (shape->kind == VSHMI_POOL_ARENA) {
		pool->arena = memory;
		pool->blocks = (void *)((unsigned char *)memory + vshmi_arena_index_size);
		pool->stats.bytes = vshmi_align_down(shape->size, VSHM_LINE);
		init_nodes(pool, VSHMI_BLOCK_SPARE, generation);
		vshmi_arena_init(pool, pool->stats.bytes);
	} else {
		pool->blocks = memory;
		pool->block_size = vshmi_align_down(shape->size / shape->count, VSHM_LINE);
		pool->stats.bytes = pool->block_size * shape->count;
		init_nodes(pool, VSHMI_BLOCK_FREE, generation);
	}
	return 0;
}

/* ---- allocation ---- */

static struct vshmi_block *block_in_use(const struct vshmi_pool *pool, uint32_t block)
{
	if (block >= pool->node_count || pool->blocks[block].state != VSHMI_BLOCK_USED)
		return NULL;
	return &pool->blocks[block];
}

static uint64_t largest(const struct vshmi_pool *pool)
{
	if (pool->stats.blocks_used == pool->stats.blocks)
		return 0;
	return pool->arena ? vshmi_arena_largest(pool) : pool->block_size;
}

int vshmi_pool_alloc(struct vshmi_pool *pool, uint64_t size, uint32_t *block)
{
	uint32_t index;

	if (!size)
		return -EINVAL;
	if (pool->stats.blocks_used == pool->stats.blocks)
		return -ENOSPC;
	if (size > (pool->arena ? pool->stats.bytes : pool->block_size))
		return -ENOSPC;
	index = pool->arena ? vshmi_arena_take(pool, size) : vshmi_node_get(pool);
	if (index == VSHMI_NO_BLOCK)
		return -ENOSPC;
	pool->blocks[index].state = VSHMI_BLOCK_USED;
	pool->blocks[index].owned = true;
	pool->stats.blocks_used++;
	pool->stats.bytes_used += pool->blocks[index].size;
	*block = index;
	return 0;
}

int vshmi_pool_block(const struct vshmi_pool *pool, uint32_t block, uint64_t *offset, uint64_t *size)
{
	const struct vshmi_block *b = block_in_use(pool, block);

	if (!b)
		return -EINVAL;
	if (offset)
		*offset = b->offset;
	if (size)
		*size = b->size;
	return 0;
}

/* Tokens of this generation exist: the next one. */
static void next_generation(struct vshmi_block *b)
{
	b->named = false;
	b->generation++;
	if (!b->generation)
		b->generation = 1;
}

/* Frees a block that nobody has any more. */
static void come_home(struct vshmi_pool *pool, uint32_t block)
{
	struct vshmi_block *b = &pool->blocks[block];

	if (b->named)
		next_generation(b);
	pool->stats.blocks_used--;
	pool->stats.bytes_used -= b->size;
	if (pool->arena)
		vshmi_arena_put(pool, block);
	else
		vshmi_node_put(pool, block, VSHMI_BLOCK_FREE);
}

int vshmi_pool_free(struct vshmi_pool *pool, uint32_t block)
{
	struct vshmi_block *b = block_in_use(pool, block);

	if (!b || !b->owned)
		return -EINVAL;
	b->owned = false;
	if (!b->holders)
		come_home(pool, block);
	return 0;
}

void vshmi_pool_stats(const struct vshmi_pool *pool, struct vshmi_pool_stats *out)
{
	*out = pool->stats;
	out->largest = largest(pool);
}

/* ---- lending ---- */

int vshmi_pool_lend(struct vshmi_pool *pool, struct vshmi_holder *holder, uint32_t block, uint64_t *token)
{
	struct vshmi_block *b = block_in_use(pool, block);

	if (!b || !b->owned)
		return -EINVAL;
	if (holder->fault.rule)
		return -EPROTO;
	if (b->holders & holder->bit)
		return -EEXIST;
	if (holder->outstanding >= holder->quota)
		return -EAGAIN;
	if (!b->holders) {
		pool->stats.blocks_lent++;
		pool->stats.bytes_lent += b->size;
	}
	b->holders |= holder->bit;
	b->named = true;
	pool->held[holder->number]++;
	holder->outstanding++;
	*token = vshmi_token_pack(b->generation, pool->number, block);
	return 0;
}

/* A holder that has the block has it no more. */
static void take_back(struct vshmi_pool *pool, uint32_t number, uint32_t block)
{
	struct vshmi_block *b = &pool->blocks[block];

	b->holders &= ~(UINT64_C(1) << number);
	pool->held[number]--;
	if (b->holders)
		return;
	pool->stats.blocks_lent--;
	pool->stats.bytes_lent -= b->size;
	if (!b->owned)
		come_home(pool, block);
}

int vshmi_pool_recall(struct vshmi_pool *pool, struct vshmi_holder *holder, uint32_t block)
{
	const struct vshmi_block *b = block_in_use(pool, block);

	if (holder->fault.rule) /* outstanding does not tell any more what it has */
		return -EPROTO;
	if (!b || !(b->holders & holder->bit))
		return -EINVAL;
	holder->outstanding--;
	take_back(pool, holder->number, block);
	return 0;
}

static int broken(struct vshmi_holder *holder, uint32_t rule, uint64_t token)
{
	holder->fault = (struct vshmi_pool_fault){rule, holder->position - 1, token};
	return -EPROTO;
}

int vshmi_pool_give_back(struct vshmi_pool *pool, struct vshmi_holder *holder, uint64_t token)
{
	uint32_t block = vshmi_token_block(token);

	if (vshmi_token_pool(token) != pool->number || block >= pool->node_count)
		return broken(holder, VSHM_RULE_RETURN_BLOCK, token);
	if (vshmi_token_generation(token) != pool->blocks[block].generation)
		return broken(holder, VSHM_RULE_RETURN_GENERATION, token);
	/* only blocks in use have holders */
	if (!(pool->blocks[block].holders & holder->bit))
		return broken(holder, VSHM_RULE_RETURN_HOLDER, token);
	take_back(pool, holder->number, block);
	return 0;
}

uint32_t vshmi_pool_take_back_all(struct vshmi_pool *pool, uint32_t number)
{
	uint32_t had = pool->held[number];

	for (uint32_t i = 0; i < pool->node_count && pool->held[number]; i++)
		if (pool->blocks[i].holders & UINT64_C(1) << number)
			take_back(pool, number, i);
	return had;
}
