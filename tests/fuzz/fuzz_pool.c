/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An owner of two pools, and two holders that write whatever they like into their return rings, also while the owner looks.
 * A plain account of who has what says of each block what must have become of it: none is lost, none is given
 * back twice or by somebody else, none overlaps another, and no call works for longer than there are blocks out.
 */
#include "fetch.h"
#include "pool/pool.h"

#include <stdlib.h>

#define POOLS 2u
#define HOLDERS 2u
#define QUOTA 4u
#define BLOCKS 6u
#define SIZE (BLOCKS * 2 * VSHM_LINE)
#define NODES (2 * BLOCKS + 1)
#define MOST_CALLS 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vshmi_pool pools[POOLS];
static struct vshmi_pool *const by_number[] = {&pools[0], &pools[1]};
static void *memory[POOLS];

static struct {
	struct vshmi_word64 tail, words[QUOTA];
	struct vshmi_returns returns;
	struct vshmi_holder holder;
	uint64_t last; /* token that it got last: near it, forgeries are most like real ones */
} rings[HOLDERS];

/* The account. */
static struct {
	bool owned, lent[HOLDERS];
	uint64_t token;
} account[POOLS][NODES];

static void set_word(void *word, uint64_t value)
{
	memcpy(word, &value, 8);
}

static void open_ring(unsigned h)
{
	set_word(&rings[h].tail, 0);
	for (unsigned i = 0; i < QUOTA; i++)
		set_word(&rings[h].words[i], fetch_byte() & 1 ? fetch_value(rings[h].last) : 0);
	FETCH_ASSERT(!vshmi_returns_init(&rings[h].returns, &rings[h].tail, rings[h].words, QUOTA));
	FETCH_ASSERT(!vshmi_holder_init(&rings[h].holder, h, &rings[h].tail, rings[h].words, QUOTA));
}

static void begin(void)
{
	memset(account, 0, sizeof(account));
	for (unsigned p = 0; p < POOLS; p++) {
		struct vshmi_pool_shape shape = {p ? VSHMI_POOL_ARENA : VSHMI_POOL_FIXED, SIZE, BLOCKS};
		uint32_t generation = fetch_byte() & 1 ? (uint32_t)fetch_value(UINT32_MAX) : fetch_byte();

		memory[p] = malloc(vshmi_pool_memory(&shape));
		if (!memory[p])
			abort();
		FETCH_ASSERT(!vshmi_pool_init(&pools[p], &shape, memory[p], p, generation));
	}
	for (unsigned h = 0; h < HOLDERS; h++)
		open_ring(h);
}

/* ---- the account against the pools ---- */

static bool in_use(unsigned p, uint32_t block)
{
	bool used = account[p][block].owned;

	for (unsigned h = 0; h < HOLDERS; h++)
		used = used || account[p][block].lent[h];
	return used;
}

static void check_block(unsigned p, uint32_t block, uint8_t map[])
{
	uint64_t offset, size;
	int rc = vshmi_pool_block(&pools[p], block, &offset, &size);

	FETCH_ASSERT(rc == (in_use(p, block) ? 0 : -EINVAL));
	if (rc)
		return;
	FETCH_ASSERT(size && offset % VSHM_LINE == 0 && vshmi_range_fits(offset, size, SIZE));
	for (uint64_t line = offset / VSHM_LINE; line < (offset + size) / VSHM_LINE; line++)
		FETCH_ASSERT(!map[line]++);
}

static void check_pool(unsigned p)
{
	uint8_t map[SIZE / VSHM_LINE] = {0};
	struct vshmi_pool_stats stats;
	uint32_t used = 0, lent = 0;

	for (uint32_t block = 0; block < pools[p].node_count; block++) {
		check_block(p, block, map);
		used += in_use(p, block);
		lent += account[p][block].lent[0] || account[p][block].lent[1];
	}
	vshmi_pool_stats(&pools[p], &stats);
	FETCH_ASSERT(stats.blocks_used == used && stats.blocks_lent == lent && stats.blocks == BLOCKS);
	FETCH_ASSERT(!p || used || stats.largest == (stats.blocks ? SIZE : 0));
}

/* ---- what the owner does ---- */

static void allocate(unsigned p)
{
	uint64_t size = fetch_byte() * 8;
	uint32_t block;
	int rc;

	fetch_call(0);
	rc = vshmi_pool_alloc(&pools[p], size, &block);
	FETCH_ASSERT(rc == (size ? rc ? -ENOSPC : 0 : -EINVAL));
	if (rc)
		return;
	FETCH_ASSERT(block < pools[p].node_count && !in_use(p, block));
	account[p][block].owned = true;
}

static void drop(unsigned p)
{
	uint32_t block = fetch_byte() % (NODES + 1);
	int rc;

	fetch_call(0);
	rc = vshmi_pool_free(&pools[p], block);
	FETCH_ASSERT(rc == (block < NODES && account[p][block].owned ? 0 : -EINVAL));
	if (!rc)
		account[p][block].owned = false;
}

static void lend(unsigned p, unsigned h)
{
	uint8_t choice = fetch_byte();
	uint32_t block = choice % NODES;
	unsigned has = 0;
	uint64_t token;
	int rc;

	/* mostly one that can be lent: else the quota is hardly ever met */
	for (unsigned i = 0; choice >> 6 && i < NODES && (!account[p][block].owned || account[p][block].lent[h]); i++)
		block = (block + 1) % NODES;
	for (unsigned i = 0; i < POOLS * NODES; i++)
		has += account[i / NODES][i % NODES].lent[h];
	fetch_call(0);
	rc = vshmi_pool_lend(&pools[p], &rings[h].holder, block, &token);
	FETCH_ASSERT((rc == -EINVAL) == !account[p][block].owned);
	FETCH_ASSERT(rc || (has < QUOTA && !account[p][block].lent[h]));
	if (rc)
		return;
	account[p][block].lent[h] = true;
	account[p][block].token = rings[h].last = token;
	FETCH_ASSERT(vshmi_token_block(token) == block && vshmi_token_pool(token) == p);
}

/* Takes what the ring says now, each token as it was loaded. */
static void take(unsigned h)
{
	struct vshmi_holder *holder = &rings[h].holder;
	uint32_t block, p;
	uint64_t token;
	bool lawful;
	int rc;

	fetch_call(2);
	rc = vshmi_holder_take(holder, &token);
	FETCH_ASSERT(rc == 0 || rc == -EAGAIN || (rc == -EPROTO && holder->fault.rule));
	if (rc)
		return;
	block = vshmi_token_block(token);
	p = vshmi_token_pool(token);
	lawful = p < POOLS && block < NODES && account[p][block].lent[h] && account[p][block].token == token;
	fetch_call(0);
	rc = vshmi_pool_give_back(&pools[p < POOLS ? p : 0], holder, token);
	FETCH_ASSERT(rc == (lawful ? 0 : -EPROTO));
	FETCH_ASSERT(lawful || holder->fault.rule > VSHM_RULE_RETURN_TAIL);
	if (lawful)
		account[p][block].lent[h] = false;
}

/* The same by the call that does both; what it gave back, the blocks tell. */
static void collect(unsigned h)
{
	struct vshmi_holder *holder = &rings[h].holder;
	uint32_t outstanding = holder->outstanding;
	int rc, gone = 0;

	fetch_call(1 + outstanding);
	rc = vshmi_holder_collect(holder, by_number, POOLS);
	FETCH_ASSERT(rc >= 0 ? (uint32_t)rc <= outstanding : rc == -EPROTO && holder->fault.rule);
	for (unsigned i = 0; i < POOLS * NODES; i++) {
		unsigned p = i / NODES, block = i % NODES;

		if (block >= pools[p].node_count || !account[p][block].lent[h])
			continue;
		account[p][block].lent[h] = pools[p].blocks[block].holders >> h & 1;
		gone += !account[p][block].lent[h];
	}
	FETCH_ASSERT(rc < 0 || gone == rc);
}

static void close_holder(unsigned h)
{
	for (unsigned p = 0; p < POOLS; p++) {
		uint32_t had = 0;

		for (unsigned block = 0; block < NODES; block++) {
			had += account[p][block].lent[h];
			account[p][block].lent[h] = false;
		}
		fetch_call(0);
		FETCH_ASSERT(vshmi_pool_take_back_all(&pools[p], h) == had);
	}
	open_ring(h);
}

/* ---- what the holders do ---- */

/* Returns a block that it has, or something like it; or writes where it likes. */
static void forge(unsigned h)
{
	unsigned at = fetch_byte() % (POOLS * NODES);
	uint8_t how = fetch_byte();

	for (unsigned i = 0; how & 3 && i < POOLS * NODES && !account[at / NODES][at % NODES].lent[h]; i++)
		at = (at + 1) % (POOLS * NODES);
	if (how & 8) {
		uint64_t token = account[at / NODES][at % NODES].token;

		vshmi_returns_put(&rings[h].returns, how & 4 ? token : fetch_value(token));
		return;
	}
	set_word(&rings[h].words[how >> 4 & (QUOTA - 1)], fetch_value(rings[h].last));
	if (how & 64)
		set_word(&rings[h].tail, fetch_value(rings[h].holder.position));
}

static void one_call(uint8_t what)
{
	unsigned p = what >> 7, h = what >> 6 & 1;

	switch (what % 16) {
	case 0:
	case 1:
	case 2:
		allocate(p);
		break;
	case 3:
	case 4:
		drop(p);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		lend(p, h);
		break;
	case 9:
		take(h);
		break;
	case 10:
		collect(h);
		break;
	case 11:
		if (rings[h].holder.fault.rule || what & 32)
			close_holder(h);
		break;
	default:
		forge(h);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	fetch_begin(bytes, count);
	begin();
	for (unsigned i = 0; i < MOST_CALLS && !fetch_empty(); i++) {
		one_call(fetch_byte());
		check_pool(0);
		check_pool(1);
	}
	for (unsigned h = 0; h < HOLDERS; h++)
		close_holder(h);
	check_pool(0);
	check_pool(1);
	for (unsigned p = 0; p < POOLS; p++)
		free(memory[p]);
	return 0;
}
