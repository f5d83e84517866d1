/* SPDX-License-Identifier: BSD-3-Clause */
/* pool: what is handed out, against a model that keeps a plain map of lines; and how an arena fragments. */
#include "pool_world.h"

#define LINE ((uint64_t)VSHM_LINE)
#define LOOKS 8 /* as arena.c */

/* ---- creation ---- */

START_TEST(shapes)
{
	static const struct vshmi_pool_shape bad[] = {
		{VSHMI_POOL_FIXED, 4096, 0},
		{VSHMI_POOL_ARENA, 4096, 0},
		{VSHMI_POOL_FIXED, 127, 1},
		{VSHMI_POOL_ARENA, 127, 1},
		{VSHMI_POOL_FIXED, 4096, 33},
		{VSHMI_POOL_FIXED, VSHMI_MAX_POOL_SIZE + 1, 1},
		{VSHMI_POOL_ARENA, UINT64_MAX, 1},
		{VSHMI_POOL_FIXED, UINT64_C(1) << 39, (1u << 26) + 1},
		{VSHMI_POOL_ARENA, 1 << 30, 1u << 25},
		{VSHMI_POOL_ARENA, 1 << 30, UINT32_MAX},
		{(enum vshmi_pool_kind)2, 4096, 1},
	};
	struct vshmi_pool_shape good = {VSHMI_POOL_ARENA, VSHMI_MAX_POOL_SIZE, (1u << 25) - 1};
	static uint64_t memory[1024];
	struct vshmi_pool pool;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_uint_eq(vshmi_pool_memory(&bad[i]), 0);
		ck_is(vshmi_pool_init(&pool, &bad[i], memory, 0, 1), -EINVAL);
	}
	ck_assert_uint_gt(vshmi_pool_memory(&good), 0);
	good = (struct vshmi_pool_shape){VSHMI_POOL_FIXED, 4096, 32};
	ck_assert_uint_le(vshmi_pool_memory(&good), sizeof(memory));
	ck_is(vshmi_pool_init(&pool, &good, memory, 64, 1), -EINVAL);
	ck_ok(vshmi_pool_init(&pool, &good, memory, 63, 1));
}
END_TEST

START_TEST(the_largest_arena)
{
	struct world w;
	uint32_t block;

	world_open(&w, VSHMI_POOL_ARENA, VSHMI_MAX_POOL_SIZE, 2);
	ck_is(vshmi_pool_alloc(&w.pool, VSHMI_MAX_POOL_SIZE + 1, &block), -ENOSPC);
	ck_is(vshmi_pool_alloc(&w.pool, UINT64_MAX, &block), -ENOSPC);
	ck_ok(vshmi_pool_free(&w.pool, world_alloc(&w, VSHMI_MAX_POOL_SIZE)));
	ck_ok(vshmi_pool_free(&w.pool, world_alloc(&w, VSHMI_MAX_POOL_SIZE - 1000)));
	world_intact(&w);
	world_close(&w);
}
END_TEST

/* ---- blocks of one size ---- */

START_TEST(fixed)
{
	uint32_t blocks[7], block = 99;
	uint64_t offset, size, seen = 0;
	struct world w;

	world_open(&w, VSHMI_POOL_FIXED, 7 * 300, 7); /* of 256 bytes, then */
	ck_is(vshmi_pool_alloc(&w.pool, 0, &block), -EINVAL);
	ck_is(vshmi_pool_alloc(&w.pool, 257, &block), -ENOSPC);
	ck_assert_uint_eq(world_stats(&w).largest, 256);
	for (unsigned i = 0; i < 7; i++) {
		blocks[i] = world_alloc(&w, i + 250);
		ck_ok(vshmi_pool_block(&w.pool, blocks[i], &offset, &size));
		ck_assert_uint_eq(size, 256);
		ck_assert(offset % 256 == 0 && offset < 7 * 256 && !(seen & UINT64_C(1) << offset / 256));
		seen |= UINT64_C(1) << offset / 256;
	}
	ck_is(vshmi_pool_alloc(&w.pool, 1, &block), -ENOSPC);
	ck_assert_uint_eq(block, 99);
	ck_assert_uint_eq(world_stats(&w).largest, 0);
	world_intact(&w);
	for (unsigned i = 0; i < 7; i++) {
		ck_ok(vshmi_pool_free(&w.pool, blocks[i]));
		ck_is(vshmi_pool_free(&w.pool, blocks[i]), -EINVAL);
		ck_is(vshmi_pool_block(&w.pool, blocks[i], NULL, NULL), -EINVAL);
	}
	ck_is(vshmi_pool_free(&w.pool, 7), -EINVAL);
	ck_is(vshmi_pool_free(&w.pool, VSHMI_NO_BLOCK), -EINVAL);
	ck_assert_uint_eq(world_stats(&w).blocks_used, 0);
	world_intact(&w);
	world_close(&w);
}
END_TEST

/* ---- an arena against a map of its lines ---- */

#define LINES 512u
#define MOST 64u
#define OPERATIONS (SUPPORT_SANITIZED ? 4000u : 20000u)

struct model {
	struct world w;
	uint8_t taken[LINES]; /* 1: in a block */
	uint32_t block[MOST];
	uint32_t count;
	uint64_t seed;
};

static void mark(struct model *m, uint32_t block, uint8_t from, uint8_t to)
{
	uint64_t offset, size;

	ck_ok(vshmi_pool_block(&m->w.pool, block, &offset, &size));
	ck_assert(offset % LINE == 0 && size % LINE == 0 && size > 0);
	ck_assert(vshmi_range_fits(offset, size, LINES * LINE));
	for (uint64_t i = offset / LINE; i < (offset + size) / LINE; i++) {
		ck_assert_uint_eq(m->taken[i], from);
		m->taken[i] = to;
	}
}

/* The number of lines of the largest gap, by looking at each. */
static uint64_t largest_gap(const struct model *m)
{
	uint64_t largest = 0, run = 0;

	for (unsigned i = 0; i < LINES; i++) {
		run = m->taken[i] ? 0 : run + 1;
		largest = run > largest ? run : largest;
	}
	return largest;
}

/* Gaps of `low` to `high` lines. */
static unsigned gaps(const struct model *m, uint64_t low, uint64_t high)
{
	unsigned found = 0;
	uint64_t run = 0;

	for (unsigned i = 0; i <= LINES; i++) {
		if (i < LINES && !m->taken[i]) {
			run++;
			continue;
		}
		found += run >= low && run <= high;
		run = 0;
	}
	return found;
}

/* -ENOSPC is right when the limit is reached, no gap is large enough, or more than LOOKS others hide those that are. */
static bool may_fail(const struct model *m, uint64_t lines)
{
	uint64_t low = lines, high;

	if (m->count == MOST || largest_gap(m) < lines)
		return true;
	if (lines < 32)
		return false; /* each size has a class of its own */
	high = UINT64_C(1) << (63 - __builtin_clzll(lines) - 4);
	low = lines & ~(high - 1);
	high += low - 1;
	return largest_gap(m) <= high && gaps(m, low, high) > LOOKS;
}

static void model_alloc(struct model *m)
{
	uint64_t most = support_below(&m->seed, 4) ? 16 * LINE : 200 * LINE;
	uint64_t size = 1 + support_below(&m->seed, most), got, lines = (size + LINE - 1) / LINE;
	uint32_t block;
	int rc = vshmi_pool_alloc(&m->w.pool, size, &block);

	if (rc) {
		ck_is(rc, -ENOSPC);
		ck_assert_msg(may_fail(m, lines), "%u lines are refused", (unsigned)lines);
		return;
	}
	ck_assert_uint_lt(m->count, MOST);
	ck_ok(vshmi_pool_block(&m->w.pool, block, NULL, &got));
	ck_assert_uint_eq(got, lines * LINE);
	mark(m, block, 0, 1);
	m->block[m->count++] = block;
}

static void model_free(struct model *m)
{
	uint64_t i = m->count ? support_below(&m->seed, m->count) : 0;

	if (!m->count)
		return;
	mark(m, m->block[i], 1, 0);
	ck_ok(vshmi_pool_free(&m->w.pool, m->block[i]));
	m->block[i] = m->block[--m->count];
}

/* What the statistics call the largest is what is given, and no more. */
static void model_largest(struct model *m)
{
	struct vshmi_pool_stats stats = world_stats(&m->w);
	uint32_t block;

	ck_assert_uint_le(stats.largest, largest_gap(m) * LINE);
	ck_is(vshmi_pool_alloc(&m->w.pool, stats.largest + 1, &block), -ENOSPC);
	if (stats.largest) {
		ck_ok(vshmi_pool_alloc(&m->w.pool, stats.largest, &block));
		ck_ok(vshmi_pool_free(&m->w.pool, block));
	}
}

START_TEST(random_operations)
{
	struct model m = {.seed = support_seed() + (uint64_t)_i};

	world_open(&m.w, VSHMI_POOL_ARENA, LINES * LINE + 77, MOST);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		if (support_below(&m.seed, 100) < (i / 500 % 2 ? 40 : 60))
			model_alloc(&m);
		else
			model_free(&m);
		if (i % 16 == 0) {
			model_largest(&m);
			world_intact(&m.w);
		}
	}
	while (m.count)
		model_free(&m);
	world_intact(&m.w);
	ck_assert_uint_eq(world_stats(&m.w).largest, LINES * LINE); /* one piece again */
	ck_ok(vshmi_pool_free(&m.w.pool, world_alloc(&m.w, LINES * LINE)));
	world_close(&m.w);
}
END_TEST

/* Blocks that come home in any order become one. */
START_TEST(coalescing)
{
	static const uint8_t order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (unsigned i = 0; i < 6; i++) {
		uint32_t block[3];
		struct world w;

		world_open(&w, VSHMI_POOL_ARENA, 30 * LINE, 3);
		for (unsigned k = 0; k < 3; k++)
			block[k] = world_alloc(&w, 10 * LINE);
		ck_assert_uint_eq(world_stats(&w).largest, 0);
		for (unsigned k = 0; k < 3; k++)
			ck_ok(vshmi_pool_free(&w.pool, block[order[i][k]]));
		ck_assert_uint_eq(world_stats(&w).largest, 30 * LINE);
		world_intact(&w);
		world_close(&w);
	}
}
END_TEST

START_TEST(as_many_as_were_asked_for)
{
	uint32_t block[100], extra;
	struct world w;

	world_open(&w, VSHMI_POOL_ARENA, 300 * LINE, 100);
	for (unsigned i = 0; i < 100; i++)
		block[i] = world_alloc(&w, LINE);
	ck_is(vshmi_pool_alloc(&w.pool, 1, &extra), -ENOSPC); /* of blocks, not of bytes */
	for (unsigned i = 0; i < 100; i += 2)
		ck_ok(vshmi_pool_free(&w.pool, block[i]));
	for (unsigned i = 0; i < 50; i++)
		(void)world_alloc(&w, 1 + i % 2 * LINE);
	ck_is(vshmi_pool_alloc(&w.pool, 1, &extra), -ENOSPC);
	world_intact(&w);
	world_close(&w);
}
END_TEST

/*
 * Constant time: the one loop of an allocation is over the free blocks of its own class, and ends after LOOKS of them,
 * however many there are. So a hole that fits is found behind LOOKS - 1 that do not, and not behind LOOKS.
 */
static void hidden_hole(unsigned before, int expected)
{
	uint32_t hole[1000], block, i = 0;
	struct world w;

	world_open(&w, VSHMI_POOL_ARENA, 1100 * 34 * LINE, 2200);
	block = world_alloc(&w, 33 * LINE); /* 32 and 33 lines are of one class */
	(void)world_alloc(&w, LINE);
	for (; i < before; i++) {
		hole[i] = world_alloc(&w, 32 * LINE);
		(void)world_alloc(&w, LINE);
	}
	while (world_stats(&w).largest)
		(void)world_alloc(&w, world_stats(&w).largest);
	ck_ok(vshmi_pool_free(&w.pool, block));
	while (i > 0)
		ck_ok(vshmi_pool_free(&w.pool, hole[--i]));
	ck_assert_uint_eq(world_stats(&w).largest, (expected ? 32 : 33) * LINE);
	ck_is(vshmi_pool_alloc(&w.pool, 33 * LINE, &block), expected);
	world_intact(&w);
	world_close(&w);
}

START_TEST(looks_are_bounded)
{
	hidden_hole(0, 0);
	hidden_hole(LOOKS - 1, 0);
	hidden_hole(LOOKS, -ENOSPC);
	hidden_hole(1000, -ENOSPC);
}
END_TEST

/* ---- fragmentation ---- */

/* Of a camera and its tensors: sizes in bytes, how often of 100, and how many operations a block lives. */
static const struct {
	uint32_t size, often, life;
} mix[] = {
	{64, 8, 20},	  {1514, 30, 60},   {9014, 12, 60},   {65536, 12, 40},	 {150528, 12, 200},
	{602112, 8, 200}, {1382400, 8, 30}, {3110400, 6, 30}, {4194304, 3, 400}, {8294400, 1, 30},
};
#define MIX (sizeof(mix) / sizeof(mix[0]))
#define BLOCKS 4096u
#define STEPS (SUPPORT_SANITIZED ? 20000u : 100000u)

struct live {
	uint32_t block[BLOCKS];
	uint64_t until[BLOCKS];
	unsigned count;
};

static void drop_old(struct world *w, struct live *live, uint64_t now)
{
	for (unsigned i = 0; i < live->count;) {
		if (live->until[i] > now) {
			i++;
			continue;
		}
		ck_ok(vshmi_pool_free(&w->pool, live->block[i]));
		live->count--;
		live->block[i] = live->block[live->count];
		live->until[i] = live->until[live->count];
	}
}

static unsigned kind_by_chance(uint64_t *seed)
{
	uint64_t n = support_below(seed, 100);
	unsigned kind = 0;

	while (n >= mix[kind].often)
		n -= mix[kind++].often;
	return kind;
}

/* Does an arena of `size` bytes serve a run of this mix, the same each time? And what was in use, and in pieces, at worst. */
static bool mix_fits(uint64_t size, uint64_t *peak, double *worst)
{
	static struct live live;
	uint64_t seed = 42;
	struct world w;
	bool fits = true;

	live.count = 0;
	*peak = 0;
	*worst = 1;
	world_open(&w, VSHMI_POOL_ARENA, size, BLOCKS);
	for (uint64_t now = 0; fits && now < STEPS; now++) {
		unsigned kind = kind_by_chance(&seed);
		struct vshmi_pool_stats s;
		double whole;

		drop_old(&w, &live, now);
		live.until[live.count] = now + 1 + support_below(&seed, 2 * mix[kind].life);
		fits = !vshmi_pool_alloc(&w.pool, mix[kind].size, &live.block[live.count]);
		s = world_stats(&w);
		whole = (double)s.largest / (double)(s.bytes - s.bytes_used);
		live.count += fits;
		*peak = s.bytes_used > *peak ? s.bytes_used : *peak;
		*worst = whole < *worst ? whole : *worst;
	}
	world_intact(&w);
	world_close(&w);
	return fits;
}

START_TEST(fragmentation)
{
	uint64_t peak, needs, unused;
	double worst;

	ck_assert(mix_fits(UINT64_C(1) << 32, &peak, &worst));
	for (needs = peak; !mix_fits(needs, &unused, &worst); needs += peak / 64)
		ck_assert_uint_lt(needs, peak * 2);
	printf("fragmentation: %.1f MiB in use at most, an arena of %.1f MiB serves it (%.0f %% more); there the largest "
	       "free block was once %.0f %% of the free bytes\n",
	       (double)peak / 1048576, (double)needs / 1048576, 100 * ((double)needs / (double)peak - 1), 100 * worst);
	ck_assert_uint_lt(needs, peak + peak / 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool_blocks");
	TCase *tests = tcase_create("blocks");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, shapes);
	tcase_add_test(tests, the_largest_arena);
	tcase_add_test(tests, fixed);
	tcase_add_loop_test(tests, random_operations, 0, 4);
	tcase_add_test(tests, coalescing);
	tcase_add_test(tests, as_many_as_were_asked_for);
	tcase_add_test(tests, looks_are_bounded);
	tcase_add_test(tests, fragmentation);
	suite_add_tcase(suite, tests);
	return unit_run("pool_blocks", suite);
}
