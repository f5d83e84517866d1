/* SPDX-License-Identifier: BSD-3-Clause */
/* pool: who has a block, and what of a holder's returns is believed. */
#include "pool_world.h"

#define QUOTA 4u

/* A holder and its ring, both sides. */
struct ring {
	struct vshmi_word64 tail, words[QUOTA];
	struct vshmi_returns returns;
	struct vshmi_holder holder;
};

static void ring_open(struct ring *r, uint32_t number)
{
	ck_ok(vshmi_returns_init(&r->returns, &r->tail, r->words, QUOTA));
	ck_ok(vshmi_holder_init(&r->holder, number, &r->tail, r->words, QUOTA));
}

static uint64_t lend(struct world *w, struct ring *r, uint32_t block)
{
	uint64_t token = 0;

	ck_ok(vshmi_pool_lend(&w->pool, &r->holder, block, &token));
	return token;
}

/* Whatever stands in the ring goes back to the one pool. */
static int collect(struct world *w, struct ring *r)
{
	struct vshmi_pool *pools[WORLD_POOL + 1] = {[WORLD_POOL] = &w->pool};

	return vshmi_holder_collect(&r->holder, pools, WORLD_POOL + 1);
}

/* The token is refused by this rule, and neither pool nor other holders notice. */
static void refused(struct world *w, struct ring *r, uint64_t token, uint32_t rule)
{
	struct vshmi_pool_stats before = world_stats(w), after;
	uint64_t other;

	vshmi_returns_put(&r->returns, token);
	ck_is(collect(w, r), -EPROTO);
	ck_assert_uint_eq(r->holder.fault.rule, rule);
	ck_assert_uint_eq(r->holder.fault.value, token);
	after = world_stats(w);
	ck_assert_mem_eq(&before, &after, offsetof(struct vshmi_pool_stats, blocks_lent) + sizeof(after.blocks_lent));
	world_intact(w);
	ck_is(collect(w, r), -EPROTO); /* it stays */
	ck_is(vshmi_holder_take(&r->holder, &other), -EPROTO);
}

/* ---- the lawful ---- */

START_TEST(until_nobody_has_it)
{
	struct ring a, b;
	struct world w;
	uint64_t ta, tb;
	uint32_t block;

	world_open(&w, _i ? VSHMI_POOL_ARENA : VSHMI_POOL_FIXED, 1024, 4);
	ring_open(&a, 0);
	ring_open(&b, 63);
	block = world_alloc(&w, 200);
	ta = lend(&w, &a, block);
	tb = lend(&w, &b, block);
	ck_assert_uint_eq(ta, tb);
	ck_assert_uint_eq(ta, vshmi_token_pack(WORLD_GENERATION, WORLD_POOL, block));
	ck_assert_uint_eq(world_stats(&w).blocks_lent, 1);
	ck_assert_uint_eq(world_stats(&w).bytes_lent, 256);
	vshmi_returns_put(&a.returns, ta);
	ck_is(collect(&w, &a), 1);
	ck_is(collect(&w, &a), 0);
	ck_ok(vshmi_pool_free(&w.pool, block));
	ck_is(vshmi_pool_free(&w.pool, block), -EINVAL);
	ck_is(vshmi_pool_lend(&w.pool, &a.holder, block, &ta), -EINVAL); /* the owner has it no more */
	ck_ok(vshmi_pool_block(&w.pool, block, NULL, NULL));
	vshmi_returns_put(&b.returns, tb);
	ck_is(collect(&w, &b), 1);
	ck_is(vshmi_pool_block(&w.pool, block, NULL, NULL), -EINVAL);
	ck_assert_uint_eq(world_stats(&w).blocks_used, 0);
	ck_assert_uint_eq(world_stats(&w).bytes_lent, 0);
	world_intact(&w);
	world_close(&w);
}
END_TEST

START_TEST(quota)
{
	uint32_t block[QUOTA + 1];
	uint64_t token[QUOTA + 1];
	struct world w;
	struct ring r;

	world_open(&w, VSHMI_POOL_FIXED, 8 * 128, 8);
	ring_open(&r, 3);
	for (unsigned i = 0; i <= QUOTA; i++)
		block[i] = world_alloc(&w, 1);
	for (unsigned i = 0; i < QUOTA; i++)
		token[i] = lend(&w, &r, block[i]);
	ck_is(vshmi_pool_lend(&w.pool, &r.holder, block[QUOTA], &token[QUOTA]), -EAGAIN);
	ck_is(vshmi_pool_lend(&w.pool, &r.holder, block[0], &token[QUOTA]), -EEXIST);
	vshmi_returns_put(&r.returns, token[2]); /* in the ring it still counts */
	ck_is(vshmi_pool_lend(&w.pool, &r.holder, block[QUOTA], &token[QUOTA]), -EAGAIN);
	ck_is(collect(&w, &r), 1);
	for (unsigned i = 0; i < 10 * QUOTA; i++) { /* and around */
		token[QUOTA] = lend(&w, &r, block[QUOTA]);
		vshmi_returns_put(&r.returns, token[QUOTA]);
		ck_is(collect(&w, &r), 1);
	}
	(void)lend(&w, &r, block[QUOTA]);
	ck_ok(vshmi_pool_recall(&w.pool, &r.holder, block[QUOTA]));
	ck_is(vshmi_pool_recall(&w.pool, &r.holder, block[QUOTA]), -EINVAL);
	ck_is(vshmi_pool_recall(&w.pool, &r.holder, 99), -EINVAL);
	(void)lend(&w, &r, block[QUOTA]);
	world_intact(&w);
	world_close(&w);
}
END_TEST

START_TEST(arguments)
{
	struct world w;
	struct ring r;
	uint64_t token;

	ring_open(&r, 0);
	ck_is(vshmi_holder_init(&r.holder, 64, &r.tail, r.words, 4), -EINVAL);
	for (uint32_t bad = 0; bad < 10; bad += 3) {
		ck_is(vshmi_holder_init(&r.holder, 0, &r.tail, r.words, bad), -EINVAL);
		ck_is(vshmi_returns_init(&r.returns, &r.tail, r.words, bad), -EINVAL);
	}
	ck_is(vshmi_holder_init(&r.holder, 0, &r.tail, r.words, 8192), -EINVAL);
	ck_is(vshmi_returns_init(&r.returns, &r.tail, r.words, 8192), -EINVAL);
	world_open(&w, VSHMI_POOL_FIXED, 256, 2);
	ck_is(vshmi_pool_lend(&w.pool, &r.holder, 0, &token), -EINVAL);
	ck_is(vshmi_pool_lend(&w.pool, &r.holder, 2, &token), -EINVAL);
	ck_is(vshmi_pool_lend(&w.pool, &r.holder, VSHMI_NO_BLOCK, &token), -EINVAL);
	world_close(&w);
}
END_TEST

/* ---- unlawful returns ---- */

enum wrong {
	TWICE,
	TWICE_FREE,
	NEVER_LENT,
	OF_ANOTHER,
	STALE,
	FUTURE,
	OTHER_POOL,
	NO_POOL,
	BEYOND,
	ZERO,
	ONES,
	WRONGS
};

/* A token that is wrong in this way; the ring's holder has one block all the time, so that the tail is lawful. */
static uint64_t wrong_token(struct world *w, struct ring *r, struct ring *other, enum wrong how)
{
	uint32_t block = world_alloc(w, 1);
	uint64_t token = lend(w, how == OF_ANOTHER ? other : r, block);

	switch (how) {
	case TWICE_FREE:
	case STALE:
		ck_ok(vshmi_pool_free(&w->pool, block));
		/* fall through */
	case TWICE:
		vshmi_returns_put(&r->returns, token);
		ck_is(collect(w, r), 1);
		if (how == STALE) { /* the same block, lent to the same holder again */
			ck_assert_uint_eq(world_alloc(w, 1), block);
			ck_assert_uint_ne(lend(w, r, block), token);
		}
		return token;
	case NEVER_LENT:
		return vshmi_token_pack(WORLD_GENERATION, WORLD_POOL, world_alloc(w, 1));
	case FUTURE:
		return token + (UINT64_C(1) << 32);
	case OTHER_POOL: /* one that there is, and has this block and generation: the wrong one for this call */
	case NO_POOL:
		return vshmi_token_pack(WORLD_GENERATION, how == NO_POOL ? 63 : WORLD_POOL - 1, block);
	case BEYOND:
		return vshmi_token_pack(WORLD_GENERATION, WORLD_POOL, w->pool.node_count);
	case ZERO:
		return 0;
	case ONES:
		return UINT64_MAX;
	default:
		return token;
	}
}

static const uint32_t rules[WRONGS] = {
	[TWICE] = VSHM_RULE_RETURN_HOLDER,	[TWICE_FREE] = VSHM_RULE_RETURN_GENERATION,
	[NEVER_LENT] = VSHM_RULE_RETURN_HOLDER, [OF_ANOTHER] = VSHM_RULE_RETURN_HOLDER,
	[STALE] = VSHM_RULE_RETURN_GENERATION,	[FUTURE] = VSHM_RULE_RETURN_GENERATION,
	[OTHER_POOL] = VSHM_RULE_RETURN_BLOCK,	[NO_POOL] = VSHM_RULE_RETURN_BLOCK,
	[BEYOND] = VSHM_RULE_RETURN_BLOCK,	[ZERO] = VSHM_RULE_RETURN_BLOCK,
	[ONES] = VSHM_RULE_RETURN_BLOCK,
};

START_TEST(unlawful_returns)
{
	struct ring r, other;
	struct world w;
	uint64_t token;

	world_open(&w, _i % 2 ? VSHMI_POOL_ARENA : VSHMI_POOL_FIXED, 1024, 8);
	ring_open(&r, 7);
	ring_open(&other, 8);
	(void)lend(&w, &r, world_alloc(&w, 1));
	token = wrong_token(&w, &r, &other, (enum wrong)(_i / 2));
	refused(&w, &r, token, rules[_i / 2]);
	ck_is(vshmi_pool_lend(&w.pool, &r.holder, world_alloc(&w, 1), &token), -EPROTO);
	ck_is(vshmi_pool_recall(&w.pool, &r.holder, 0), -EPROTO);
	ck_assert_uint_ge(vshmi_pool_take_back_all(&w.pool, 7), 1);
	ck_assert_uint_eq(vshmi_pool_take_back_all(&w.pool, 7), 0);
	ck_assert_uint_eq(world_stats(&w).blocks_lent, _i / 2 == OF_ANOTHER);
	world_intact(&w);
	world_close(&w);
}
END_TEST

/* A token handed to the wrong pool by the caller's own mistake is no one's either. */
START_TEST(the_wrong_pool)
{
	struct world w;
	struct ring r;
	uint64_t token;

	world_open(&w, VSHMI_POOL_FIXED, 1024, 8);
	ring_open(&r, 7);
	token = lend(&w, &r, world_alloc(&w, 1));
	w.pool.number = 6;
	vshmi_returns_put(&r.returns, token);
	ck_ok(vshmi_holder_take(&r.holder, &token));
	ck_is(vshmi_pool_give_back(&w.pool, &r.holder, token), -EPROTO);
	ck_assert_uint_eq(r.holder.fault.rule, VSHM_RULE_RETURN_BLOCK);
	world_close(&w);
}
END_TEST

static void tail_breaks(uint64_t lent, uint64_t taken, uint64_t tail)
{
	uint64_t token[QUOTA], got;
	struct world w;
	struct ring r;

	world_open(&w, VSHMI_POOL_FIXED, 1024, 8);
	ring_open(&r, 1);
	for (uint64_t i = 0; i < lent; i++)
		token[i] = lend(&w, &r, world_alloc(&w, 1));
	for (uint64_t i = 0; i < taken; i++)
		vshmi_returns_put(&r.returns, token[i]);
	ck_is(collect(&w, &r), (int)taken);
	vshmi_store64(&r.tail, tail);
	for (unsigned i = 0; i < 2; i++) {
		ck_is(vshmi_holder_take(&r.holder, &got), -EPROTO);
		ck_assert_uint_eq(r.holder.fault.rule, VSHM_RULE_RETURN_TAIL);
		ck_assert_uint_eq(r.holder.fault.position, taken);
		ck_assert_uint_eq(r.holder.fault.value, tail);
	}
	ck_assert_uint_eq(vshmi_pool_take_back_all(&w.pool, 1), lent - taken);
	world_intact(&w);
	world_close(&w);
}

START_TEST(unlawful_tails)
{
	tail_breaks(0, 0, 1); /* nothing was lent */
	tail_breaks(2, 0, 3);
	tail_breaks(2, 0, QUOTA);
	tail_breaks(2, 1, 0); /* back */
	tail_breaks(2, 1, 3);
	tail_breaks(4, 4, 5);
	tail_breaks(4, 0, 5);
	tail_breaks(4, 4, UINT64_MAX);
	tail_breaks(4, 0, UINT64_C(1) << 32);
	tail_breaks(4, 2, UINT64_C(1) << 63);
}
END_TEST

/* ---- generations ---- */

/* Lends and returns a block once, so that its generation goes up. */
static uint64_t round_trip(struct world *w, struct ring *r, uint32_t *block)
{
	uint64_t token;

	*block = world_alloc(w, 1);
	token = lend(w, r, *block);
	ck_ok(vshmi_pool_free(&w->pool, *block));
	vshmi_returns_put(&r->returns, token);
	ck_is(collect(w, r), 1);
	return token;
}

START_TEST(generations)
{
	struct world w;
	struct ring r;
	uint32_t block, again;

	world_open(&w, _i ? VSHMI_POOL_ARENA : VSHMI_POOL_FIXED, 1024, 4);
	ring_open(&r, 0);
	ck_assert_uint_eq(vshmi_token_generation(round_trip(&w, &r, &block)), WORLD_GENERATION);
	w.pool.blocks[block].generation = UINT32_MAX;
	ck_assert_uint_eq(vshmi_token_generation(round_trip(&w, &r, &again)), UINT32_MAX);
	ck_assert_uint_eq(again, block);
	ck_assert_uint_eq(vshmi_token_generation(round_trip(&w, &r, &again)), 1); /* never 0 */
	ck_ok(vshmi_pool_free(&w.pool, world_alloc(&w, 1)));
	ck_assert_uint_eq(vshmi_token_generation(round_trip(&w, &r, &again)), 2); /* what was not lent wears nothing */
	world_close(&w);
}
END_TEST

/* ---- a holder that is gone ---- */

START_TEST(take_back_all)
{
	uint32_t block[QUOTA];
	struct ring a, b;
	struct world w;

	world_open(&w, _i ? VSHMI_POOL_ARENA : VSHMI_POOL_FIXED, 8192, 8);
	ring_open(&a, 0);
	ring_open(&b, 1);
	for (unsigned i = 0; i < QUOTA; i++) {
		block[i] = world_alloc(&w, 100);
		vshmi_returns_put(&a.returns, lend(&w, &a, block[i])); /* nobody looks at these any more */
		if (i % 2)
			(void)lend(&w, &b, block[i]);
		if (i / 2)
			ck_ok(vshmi_pool_free(&w.pool, block[i]));
	}
	ck_assert_uint_eq(vshmi_pool_take_back_all(&w.pool, 2), 0);
	ck_assert_uint_eq(vshmi_pool_take_back_all(&w.pool, 0), QUOTA);
	world_intact(&w);
	ck_assert_uint_eq(world_stats(&w).blocks_used, 3); /* two of the owner, one of the other alone */
	ck_assert_uint_eq(world_stats(&w).blocks_lent, 2);
	ring_open(&a, 0); /* the number has a new holder: the old returns are nothing to it */
	ck_is(collect(&w, &a), 0);
	(void)lend(&w, &a, block[0]);
	ck_assert_uint_eq(vshmi_pool_take_back_all(&w.pool, 1), 2);
	ck_assert_uint_eq(vshmi_pool_take_back_all(&w.pool, 0), 1);
	ck_ok(vshmi_pool_free(&w.pool, block[0]));
	ck_ok(vshmi_pool_free(&w.pool, block[1]));
	ck_assert_uint_eq(world_stats(&w).bytes_used, 0);
	world_intact(&w);
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool_lending");
	TCase *tests = tcase_create("lending");

	tcase_add_loop_test(tests, until_nobody_has_it, 0, 2);
	tcase_add_test(tests, quota);
	tcase_add_test(tests, arguments);
	tcase_add_loop_test(tests, unlawful_returns, 0, 2 * WRONGS);
	tcase_add_test(tests, the_wrong_pool);
	tcase_add_test(tests, unlawful_tails);
	tcase_add_loop_test(tests, generations, 0, 2);
	tcase_add_loop_test(tests, take_back_all, 0, 2);
	suite_add_tcase(suite, tests);
	return unit_run("pool_lending", suite);
}
