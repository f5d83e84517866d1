/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One block that is lent, read, returned, and lent again with other bytes, over a return ring of one word. A word of the
 * owner's stands for the record that carries the token. The owner writes a block that came home at once: a reader that
 * was not done with it would race. A holder that does what it should is never accused.
 */
#include "pool/pool.h"
#include "scenarios.h"

#define ROUNDS 2
#define LOOKS 2 /* enough: who looks too early is stopped before it looks */

static struct {
	_Alignas(64) unsigned char bytes[VSHM_LINE];
	struct vshmi_word64 letter;	  /* the owner's: the last token */
	struct vshmi_word64 tail, word; /* the holder's */
} shared;

static struct {
	struct vshmi_pool pool;
	struct vshmi_block node;
	struct vshmi_holder holder;
	unsigned returned;
} lender;

static struct {
	struct vshmi_returns returns;
	uint64_t last;
} borrower;

static void declare(void)
{
	vmc_payload(shared.bytes, sizeof(shared.bytes), "block");
	vmc_name(&shared.letter, sizeof(shared.letter), "letter");
	vmc_name(&shared.tail, sizeof(shared.tail), "tail of returns");
	vmc_name(&shared.word, sizeof(shared.word), "return");
}

static void setup(void)
{
	const struct vshmi_pool_shape shape = {VSHMI_POOL_FIXED, VSHM_LINE, 1};

	memset(&shared, 0, sizeof(shared));
	memset(&lender, 0, sizeof(lender));
	memset(&borrower, 0, sizeof(borrower));
	VMC_ASSERT(!vshmi_pool_init(&lender.pool, &shape, &lender.node, 0, 1), "no pool");
	VMC_ASSERT(!vshmi_returns_init(&borrower.returns, &shared.tail, &shared.word, 1), "no ring");
	VMC_ASSERT(!vshmi_holder_init(&lender.holder, 0, &shared.tail, &shared.word, 1), "no holder");
}

/* Has the block come home? */
static bool came_home(void)
{
	struct vshmi_pool *pools[] = {&lender.pool};

	for (unsigned look = 0; look < LOOKS; look++) {
		int rc = vshmi_holder_collect(&lender.holder, pools, 1);

		VMC_ASSERT(rc >= 0, "the holder is accused: rule %u", lender.holder.fault.rule);
		if (rc)
			return true;
	}
	return false;
}

static void lend(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t block;
		uint64_t token;

		VMC_ASSERT(!vshmi_pool_alloc(&lender.pool, 1, &block), "the block did not come home");
		vmc_plain_write(shared.bytes, sizeof(shared.bytes));
		VMC_ASSERT(!vshmi_pool_lend(&lender.pool, &lender.holder, block, &token), "not lent");
		VMC_ASSERT(!vshmi_pool_free(&lender.pool, block), "not the owner's");
		vshmi_store_release64(&shared.letter, token);
		if (!came_home())
			return;
		lender.returned++;
	}
}

static void borrow(void)
{
	for (unsigned look = 0; look < ROUNDS * LOOKS; look++) {
		uint64_t token = vshmi_load_acquire64(&shared.letter);

		if (token == borrower.last)
			continue;
		borrower.last = token;
		vmc_plain_read(shared.bytes, sizeof(shared.bytes));
		vshmi_returns_put(&borrower.returns, token);
	}
}

static void finish(void)
{
	VMC_ASSERT(lender.pool.stats.blocks_used == (lender.returned < ROUNDS), "a block is lost");
}

const struct vmc_scenario pool_scenarios[] = {
	{
		.name = "a block is lent and returned", .declare = declare, .setup = setup, .finish = finish,
		.thread = {{"lender", lend}, {"holder", borrow}}, .preemptions = 4, .stale = 3,
	},
};
const unsigned pool_scenario_count = sizeof(pool_scenarios) / sizeof(pool_scenarios[0]);
