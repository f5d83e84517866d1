/* SPDX-License-Identifier: BSD-3-Clause */
/* Lent blocks: what is seen, who holds what, how it comes home, and who cannot keep it for ever. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define POOL_BYTES (1u << 17)

struct lending {
	struct world w;
	struct vshm_region *a, *b;
	struct vshm_pool *pool;
	struct vshm_producer *p;
	struct vshm_consumer *c;
};

static struct vshm_pool *open_pool(struct vshm_region *r, uint64_t size, uint64_t block_size)
{
	struct vshm_pool_options o = VSHM_POOL_OPTIONS_INIT;
	struct vshm_pool *pool = NULL;

	o.size = size;
	o.block_size = block_size;
	ck_ok(vshm_pool_open(r, "blocks", &o, &pool));
	return pool;
}

static struct vshm_consumer *borrower(struct vshm_region *r, const char *name, uint32_t lends, uint32_t flags)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_consumer *c = NULL;

	o.lends = lends;
	o.flags = flags;
	ck_ok(vshm_consumer_open(r, name, &o, &c));
	return c;
}

static void begin(struct lending *t, int transport, uint64_t block_size, uint32_t lends)
{
	world_create(&t->w, transport, 4, 1 << 19);
	t->a = world_open(&t->w, 0);
	t->b = world_open(&t->w, 1);
	t->pool = open_pool(t->a, POOL_BYTES, block_size);
	t->p = producer(t->a, "ring", 4096, 0);
	t->c = borrower(t->b, "ring", lends, 0);
	connect_ends(t->p, t->c);
}

static void end(struct lending *t)
{
	if (t->b)
		ck_ok(vshm_region_close(t->b));
	ck_ok(vshm_region_close(t->a));
	world_destroy(&t->w);
}

static struct vshm_pool_info info_of(struct vshm_pool *pool)
{
	struct vshm_pool_info info = VSHM_POOL_INFO_INIT;

	ck_ok(vshm_pool_info(pool, &info));
	return info;
}

/* Everything is at home, in one piece. */
static void is_empty(struct vshm_pool *pool)
{
	struct vshm_pool_info info = info_of(pool);

	ck_assert_uint_eq(info.blocks_used, 0);
	ck_assert_uint_eq(info.used, 0);
	ck_assert_uint_eq(info.lent, 0);
	ck_assert_uint_eq(info.blocks_lent, 0);
}

static void becomes_empty(struct vshm_pool *pool)
{
	int64_t give_up = support_now_ns() + SUPPORT_LONG;

	while (info_of(pool).blocks_used) {
		ck_assert(support_now_ns() < give_up);
		support_sleep_us(1000);
	}
	is_empty(pool);
}

static struct vshm_block make(struct vshm_pool *pool, size_t size, uint64_t key)
{
	struct vshm_block block;

	ck_ok(vshm_pool_alloc(pool, size, &block));
	ck_assert_uint_eq(block.size, size);
	ck_assert_uint_eq((uintptr_t)block.data % 128, 0);
	support_fill(block.data, size, key);
	return block;
}

/* Allocates, lends and frees: from now on the consumer alone has it. */
static void lend(const struct lending *t, size_t size, uint64_t key)
{
	struct vshm_block block = make(t->pool, size, key);

	ck_ok(vshm_producer_lend(t->p, t->pool, &block, size, SUPPORT_LONG));
	ck_ok(vshm_pool_free(t->pool, &block));
}

static const void *see(struct vshm_consumer *c, size_t size, uint64_t key)
{
	struct vshm_view v;

	ck_ok(vshm_consumer_peek(c, &v, SUPPORT_LONG));
	ck_assert_uint_eq(v.size, size);
	ck_assert(support_same(v.data, size, key));
	return v.data;
}

START_TEST(looks_like_a_record)
{
	struct lending t;
	unsigned char copy[3000];
	size_t size;

	begin(&t, _i, 0, 0);
	for (unsigned i = 0; i < 300; i++) {
		put(t.p, t.c, 20, i);
		lend(&t, 3000, i);
		put(t.p, t.c, 30, i);
		get(t.c, 20, i);
		if (i % 2) {
			(void)see(t.c, 3000, i);
			(void)see(t.c, 3000, i); /* a peek again shows it again */
			ck_ok(vshm_consumer_release(t.c));
		} else {
			ck_ok(vshm_consumer_recv(t.c, copy, sizeof(copy), &size, SUPPORT_LONG));
			ck_assert(size == 3000 && support_same(copy, size, i));
		}
		get(t.c, 30, i);
		is_empty(t.pool);
	}
	ck_ok(vshm_pool_close(t.pool));
	end(&t);
}
END_TEST

START_TEST(in_a_burst)
{
	struct vshm_view views[16];
	struct lending t;

	begin(&t, _i, 4096, 8);
	for (unsigned i = 0; i < 6; i++)
		if (i % 2)
			lend(&t, 4000, i);
		else
			put(t.p, t.c, 100, i);
	ck_is(vshm_consumer_peek_burst(t.c, views, 3, SUPPORT_LONG), 3);
	ck_is(vshm_consumer_peek_burst(t.c, views, 16, SUPPORT_LONG), 6);
	for (unsigned i = 0; i < 6; i++)
		ck_assert(views[i].size == (i % 2 ? 4000 : 100) && support_same(views[i].data, views[i].size, i));
	ck_is(vshm_consumer_peek_burst(t.c, views, 2, SUPPORT_LONG), 2); /* releases fewer than were shown before */
	ck_ok(vshm_consumer_release(t.c));
	ck_assert_uint_eq(info_of(t.pool).blocks_lent, 2);
	ck_is(vshm_consumer_peek_burst(t.c, views, 16, SUPPORT_LONG), 4);
	ck_ok(vshm_consumer_keep(t.c, views[1].data));
	ck_ok(vshm_consumer_release(t.c));
	ck_assert_uint_eq(info_of(t.pool).blocks_lent, 1);
	ck_ok(vshm_consumer_give_back(t.c, views[1].data));
	is_empty(t.pool);
	end(&t);
}
END_TEST

static struct vshm_end_info end_of(struct vshm_region *r, vshm_peer peer, uint32_t kind)
{
	struct vshm_end_info info = VSHM_END_INFO_INIT;

	for (uint32_t i = 0; i < VSHM_ENTRIES; i++)
		if (!vshm_region_end(r, peer, i, &info) && info.kind == kind)
			return info;
	ck_abort_msg("peer %u has no such end", peer);
	return info;
}

/* Kept beyond the release, given back in another order, and not twice. */
START_TEST(kept)
{
	const void *at[8];
	struct lending t;

	begin(&t, _i, 0, 8);
	for (unsigned i = 0; i < 8; i++)
		lend(&t, 1000 + i, i);
	for (unsigned i = 0; i < 8; i++) {
		at[i] = see(t.c, 1000 + i, i);
		ck_ok(vshm_consumer_keep(t.c, at[i]));
		ck_is(vshm_consumer_keep(t.c, at[i]), -ENOENT);
		ck_is(vshm_consumer_give_back(t.c, at[i]), -ENOENT); /* not before the release */
		ck_ok(vshm_consumer_release(t.c));
	}
	ck_assert_uint_eq(info_of(t.pool).blocks_lent, 8);
	ck_assert_uint_eq(end_of(t.a, 1, VSHM_CONSUMER).lent, 8);
	ck_assert_uint_eq(end_of(t.a, 1, VSHM_CONSUMER).lends, 8);
	for (unsigned i = 0; i < 8; i++) {
		unsigned k = (5 * i + 3) % 8;

		ck_assert(support_same(at[k], 1000 + k, k));
		ck_ok(vshm_consumer_give_back(t.c, at[k]));
		ck_is(vshm_consumer_give_back(t.c, at[k]), -ENOENT);
		ck_assert_uint_eq(info_of(t.pool).blocks_lent, 7 - i);
	}
	is_empty(t.pool);
	end(&t);
}
END_TEST

/* The owner keeps its own hold, and lends one block on two rings; both readers see the same memory. */
START_TEST(on_two_rings)
{
	struct vshm_consumer *other;
	struct vshm_producer *q;
	struct vshm_block block;
	struct lending t;

	begin(&t, _i, 0, 0);
	q = producer(t.a, "second", 1024, 0);
	other = consumer(t.b, "second", 0);
	connect_ends(q, other);
	block = make(t.pool, 50000, 1);
	ck_ok(vshm_producer_lend(t.p, t.pool, &block, 50000, 0));
	ck_assert_uint_eq(end_of(t.a, 0, VSHM_POOL).lent, 1); /* who looks sees it at once */
	ck_is(vshm_producer_lend(t.p, t.pool, &block, 50000, 0), -EEXIST);
	ck_ok(vshm_producer_lend(q, t.pool, &block, 40000, 0)); /* only a part of it */
	ck_assert_ptr_eq(see(t.c, 50000, 1), see(other, 40000, 1));
	ck_ok(vshm_consumer_release(other));
	ck_ok(vshm_consumer_release(t.c));
	ck_assert_uint_eq(info_of(t.pool).blocks_lent, 0);
	ck_assert_uint_eq(info_of(t.pool).blocks_used, 1);
	ck_ok(vshm_producer_lend(t.p, t.pool, &block, 50000, 0));
	ck_ok(vshm_pool_free(t.pool, &block));
	ck_is(vshm_pool_free(t.pool, &block), -EINVAL);
	ck_is(vshm_producer_lend(q, t.pool, &block, 1, 0), -EINVAL); /* no longer its own */
	(void)see(t.c, 50000, 1);
	ck_ok(vshm_consumer_release(t.c));
	is_empty(t.pool);
	end(&t);
}
END_TEST

/* To all consumers of a one-to-many ring: home when the last of them gave it back. */
START_TEST(to_several)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	int64_t give_up = support_now_ns() + SUPPORT_LONG;
	struct vshm_consumer *c[3];
	const void *at;
	struct lending t;

	world_create(&t.w, _i, 4, 1 << 19);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	t.pool = open_pool(t.a, POOL_BYTES, 0);
	o.consumers = 3;
	o.ring_size = 4096;
	ck_ok(vshm_producer_open(t.a, "ring", &o, &t.p));
	for (unsigned i = 0; i < 3; i++)
		c[i] = borrower(t.b, "ring", 4, 0);
	while (vshm_producer_consumers(t.p) != 3)
		ck_assert(support_now_ns() < give_up);
	for (unsigned round = 0; round < 40; round++) {
		lend(&t, 10000, round);
		at = see(c[0], 10000, round);
		for (unsigned i = 0; i < 3; i++)
			ck_assert_ptr_eq(see(c[i], 10000, round), at);
		for (unsigned i = 0; i < 3; i++) {
			ck_assert_uint_eq(info_of(t.pool).blocks_lent, 1);
			ck_ok(vshm_consumer_release(c[(round + i) % 3]));
		}
		is_empty(t.pool);
	}
	end(&t);
}
END_TEST

/* One of several has its quota: nobody is lent the block, whoever was asked first. */
START_TEST(one_is_full)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	int64_t give_up = support_now_ns() + SUPPORT_LONG;
	struct vshm_consumer *c[2], *full, *other;
	struct vshm_block block;
	struct lending t;

	world_create(&t.w, 0, 4, 1 << 19);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	t.pool = open_pool(t.a, POOL_BYTES, 0);
	o.consumers = 2;
	o.ring_size = 4096;
	ck_ok(vshm_producer_open(t.a, "ring", &o, &t.p));
	for (unsigned i = 0; i < 2; i++) {
		c[i] = borrower(t.b, "ring", i == (unsigned)_i ? 1 : 8, 0);
		while (vshm_producer_consumers(t.p) != (int)i + 1)
			ck_assert(support_now_ns() < give_up);
	}
	full = c[_i];
	other = c[!_i];
	lend(&t, 900, 1);
	ck_ok(vshm_consumer_keep(full, see(full, 900, 1)));
	ck_ok(vshm_consumer_release(full));
	(void)see(other, 900, 1);
	ck_ok(vshm_consumer_release(other));
	block = make(t.pool, 900, 2);
	ck_is(vshm_producer_lend(t.p, t.pool, &block, 900, 0), -EAGAIN);
	ck_is(vshm_producer_lend(t.p, t.pool, &block, 900, SUPPORT_MS), -ETIMEDOUT);
	ck_assert_uint_eq(info_of(t.pool).blocks_lent, 1);
	get_nothing(other, -EAGAIN);
	ck_ok(vshm_pool_free(t.pool, &block));
	ck_assert_uint_eq(info_of(t.pool).blocks_used, 1);
	end(&t);
}
END_TEST

/* One that never gives back holds no more than it takes; the others' rings and the pool go on. */
START_TEST(capped)
{
	struct vshm_consumer *good;
	struct vshm_producer *q;
	struct vshm_block block;
	struct lending t, u;

	begin(&t, _i, 0, 4);
	q = producer(t.a, "good", 1024, 0);
	good = consumer(t.a, "good", 0);
	connect_ends(q, good);
	for (unsigned i = 0; i < 4; i++) {
		lend(&t, 500, i);
		ck_ok(vshm_consumer_keep(t.c, see(t.c, 500, i)));
		ck_ok(vshm_consumer_release(t.c));
	}
	block = make(t.pool, 500, 9);
	ck_is(vshm_producer_lend(t.p, t.pool, &block, 500, 0), -EAGAIN);
	ck_is(vshm_producer_lend(t.p, t.pool, &block, 500, 5 * SUPPORT_MS), -ETIMEDOUT);
	get_nothing(t.c, -EAGAIN);
	ck_assert_uint_eq(info_of(t.pool).blocks_lent, 4);
	put(t.p, t.c, 100, 3); /* plain records still go */
	get(t.c, 100, 3);
	u = t;
	u.p = q;
	for (unsigned i = 0; i < 100; i++) {
		lend(&u, 700, i);
		(void)see(good, 700, i);
		ck_ok(vshm_consumer_release(good));
	}
	ck_assert_uint_eq(info_of(t.pool).blocks_lent, 4);
	end(&t);
}
END_TEST

static void *give_back_later(void *arg)
{
	struct vshm_consumer *c = arg;
	struct vshm_view v;
	const void *mine = NULL;
	int rc;

	for (unsigned i = 0; !(rc = vshm_consumer_peek(c, &v, SUPPORT_LONG)); i++) {
		ck_assert(v.size == 600 && support_same(v.data, v.size, i));
		if (mine)
			ck_ok(vshm_consumer_give_back(c, mine));
		mine = v.data;
		ck_ok(vshm_consumer_keep(c, mine));
		if (i % 16 == 0)
			support_sleep_us(2000);
		ck_ok(vshm_consumer_release(c));
	}
	ck_is(rc, -ENODATA);
	ck_assert(mine && support_same(mine, 600, 399)); /* the last one outlives the stream */
	ck_ok(vshm_consumer_give_back(c, mine));
	return NULL;
}

/* A lend waits for the return that makes it possible, and is rung for it. */
START_TEST(waits_for_a_block)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	pthread_t thread;
	struct lending t;

	begin(&t, _i, 600, 2);
	ck_ok(pthread_create(&thread, NULL, give_back_later, t.c));
	for (unsigned i = 0; i < 400; i++)
		lend(&t, 600, i);
	ck_ok(vshm_producer_counters(t.p, &n));
	ck_assert_uint_gt(n.sleeps, 0);
	ck_ok(vshm_producer_close(t.p, SUPPORT_LONG));
	ck_ok(pthread_join(thread, NULL));
	becomes_empty(t.pool);
	ck_ok(vshm_pool_close(t.pool));
	end(&t);
}
END_TEST

/* What a consumer held comes home when it closes, and when its whole peer does. */
START_TEST(comes_home)
{
	struct lending t;

	begin(&t, _i, 1000, 8);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 5; i++)
			lend(&t, 1000, i);
		ck_ok(vshm_consumer_keep(t.c, see(t.c, 1000, 0)));
		ck_ok(vshm_consumer_release(t.c));
		(void)see(t.c, 1000, 1);
		ck_is(vshm_pool_close(t.pool), -EBUSY);
		if (round == 1) {
			ck_ok(vshm_region_close(t.b));
			t.b = world_open(&t.w, 1);
		} else {
			ck_ok(vshm_consumer_close(t.c));
		}
		becomes_empty(t.pool);
		t.c = borrower(t.b, "ring", 8, 0);
		connect_ends(t.p, t.c);
		put(t.p, t.c, 10, 1); /* the next one sees nothing of what was lent to the last */
		get(t.c, 10, 1);
	}
	ck_ok(vshm_pool_close(t.pool));
	end(&t);
}
END_TEST

static void hold_in_child(const struct world *w)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_consumer *c;
	struct vshm_region *r;
	struct vshm_view v;

	(void)raise(SIGSTOP); /* until it is its turn */
	o.peer = 1;
	if (vshm_region_open(w->uri, &o, &r, NULL) || vshm_consumer_open(r, "ring", NULL, &c) ||
	    vshm_consumer_peek(c, &v, SUPPORT_LONG) || vshm_consumer_keep(c, v.data) || vshm_consumer_release(c))
		_exit(1);
	(void)raise(SIGSTOP);
	_exit(2);
}

/* What is lent to one that has just died is its own; so the producer has to know first. */
static void await_death(struct vshm_producer *p)
{
	int64_t give_up = support_now_ns() + SUPPORT_LONG;
	void *unused;
	int rc;

	while ((rc = vshm_producer_reserve(p, 8, &unused, 0)) != -EPIPE) {
		ck_ok(rc);
		ck_assert(support_now_ns() < give_up);
		support_sleep_us(1000);
	}
}

/* Killed: its blocks are safe until the process is gone as a whole, and then they are home. */
#define VICTIMS 4

static void await_stop(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert(WIFSTOPPED(status));
}

START_TEST(a_killed_holder)
{
	pid_t victims[VICTIMS];
	struct lending t;

	if (world_kind(_i) == WORLD_INPROC)
		return;
	world_create(&t.w, _i, 4, 1 << 19);
	for (unsigned i = 0; i < VICTIMS; i++) { /* before this process has threads */
		victims[i] = support_fork();
		if (!victims[i])
			hold_in_child(&t.w);
		await_stop(victims[i]);
	}
	t.a = world_open(&t.w, 0);
	t.b = NULL;
	t.pool = open_pool(t.a, POOL_BYTES, 0);
	t.p = producer(t.a, "ring", 4096, 0);
	for (unsigned round = 0; round < VICTIMS; round++) {
		ck_ok(kill(victims[round], SIGCONT));
		for (unsigned i = 0; i < 3; i++)
			lend(&t, 2000, i);
		await_stop(victims[round]);
		ck_assert_uint_eq(info_of(t.pool).blocks_lent, 3);
		support_kill(victims[round]);
		becomes_empty(t.pool);
		await_death(t.p);
	}
	end(&t);
}
END_TEST

START_TEST(full)
{
	char why[VSHM_WHY_SIZE];
	struct vshm_block block[64], more;
	struct lending t;
	unsigned n = 0;

	begin(&t, _i, 5000, 0);
	while (!vshm_pool_alloc(t.pool, 5000, &block[n]))
		n++;
	ck_assert_uint_eq(n, POOL_BYTES / 5000);
	ck_ok(vshm_region_why(t.a, why));
	ck_assert_msg(strstr(why, "blocks"), "why: %s", why);
	for (unsigned i = 0; i < n; i++)
		ck_ok(vshm_pool_free(t.pool, &block[i]));
	is_empty(t.pool);
	ck_is(vshm_pool_alloc(t.pool, 5121, &more), -ENOSPC);
	ck_is(vshm_pool_alloc(t.pool, 0, &more), -EINVAL);
	ck_ok(vshm_pool_alloc(t.pool, 1, &more));
	ck_is(vshm_pool_free(t.pool, &block[0]), -EINVAL); /* another life */
	ck_ok(vshm_pool_free(t.pool, &more));
	end(&t);
}
END_TEST

/* An arena that is fragmented says how large a block it still has, and has it. */
START_TEST(fragmented)
{
	char why[VSHM_WHY_SIZE];
	struct vshm_block block[300], more;
	struct lending t;
	unsigned n = 0;
	uint64_t largest;

	begin(&t, _i, 0, 0);
	while (n < 300 && !vshm_pool_alloc(t.pool, 2000, &block[n]))
		n++;
	for (unsigned i = 0; i < n; i += 2)
		ck_ok(vshm_pool_free(t.pool, &block[i]));
	ck_is(vshm_pool_alloc(t.pool, 4000, &more), -ENOSPC);
	largest = info_of(t.pool).largest;
	ck_ok(vshm_region_why(t.a, why));
	snprintf(why + 200, 20, "%llu", (unsigned long long)largest);
	ck_assert_msg(strstr(why, why + 200), "why: %s, largest %s", why, why + 200);
	ck_is(vshm_pool_alloc(t.pool, largest + 1, &more), -ENOSPC);
	ck_ok(vshm_pool_alloc(t.pool, largest, &more));
	ck_ok(vshm_pool_free(t.pool, &more));
	for (unsigned i = 1; i < n; i += 2)
		ck_ok(vshm_pool_free(t.pool, &block[i]));
	ck_ok(vshm_pool_alloc(t.pool, POOL_BYTES, &more)); /* one piece again */
	ck_ok(vshm_pool_free(t.pool, &more));
	end(&t);
}
END_TEST

/* ---- lies ---- */

static const struct {
	uint64_t xor_token, tail_step;
	unsigned twice;
} lies[] = {
	{4, 1, 0},		     /* another block, which is not lent */
	{0x3ffffff, 1, 0},	     /* a block that does not exist */
	{UINT64_C(1) << 30, 1, 0},   /* another pool */
	{UINT64_C(1) << 32, 1, 0},   /* another generation */
	{~UINT64_C(0), 1, 0},
	{0, 3, 0},		     /* more than it has */
	{0, UINT64_C(1) << 63, 0},
	{0, 2, 1},		     /* the same twice */
};

/* Writes into the return ring by hand, where a hostile consumer would. */
START_TEST(a_lie_about_returns)
{
	struct vshm_peer_info sections[2] = {VSHM_PEER_INFO_INIT, VSHM_PEER_INFO_INIT};
	struct vshm_end_info c, p;
	uint64_t token, word, tail = lies[_i].tail_step;
	struct vshm_block block;
	struct lending t;
	int fd;

	begin(&t, 0, 1000, 4);
	lend(&t, 1000, 1);
	lend(&t, 1000, 2);
	ck_ok(vshm_region_peer(t.a, 0, &sections[0]));
	ck_ok(vshm_region_peer(t.a, 1, &sections[1]));
	p = end_of(t.a, 0, VSHM_PRODUCER);
	c = end_of(t.a, 1, VSHM_CONSUMER);
	fd = open(t.w.path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &token, 8, (off_t)(sections[0].offset + p.ring_offset + 8 + 16)), 8);
	word = token ^ lies[_i].xor_token;
	for (unsigned i = 0; i <= lies[_i].twice; i++)
		ck_assert_int_eq(pwrite(fd, &word, 8, (off_t)(sections[1].offset + c.ring_offset + 8 * i)), 8);
	ck_assert_int_eq(pwrite(fd, &tail, 8, (off_t)(sections[1].offset + VSHM_SECTION_DIRECTORY + c.index * 512 +
						      offsetof(struct vshm_entry, returned))), 8);
	(void)close(fd);
	ck_assert_uint_eq(info_of(t.pool).blocks_lent, lies[_i].twice ? 1 : 2); /* intact */
	block = make(t.pool, 1000, 3);
	ck_is(vshm_producer_lend(t.p, t.pool, &block, 1000, 0), -EPROTO);
	put(t.p, t.c, 8, 4); /* the ring itself goes on */
	if (!lies[_i].twice) /* else it has really been given back, and is another's by now */
		(void)see(t.c, 1000, 1);
	ck_ok(vshm_pool_free(t.pool, &block));
	ck_ok(vshm_consumer_close(t.c));
	becomes_empty(t.pool);
	end(&t);
}
END_TEST

/* A hostile owner: the record names memory that is not its to lend. */
static const uint64_t bad_lends[][3] = {
	{0, 8, 1}, {VSHM_SECTION_DATA - 128, 8, 1}, {VSHM_SECTION_DATA + 8, 8, 1}, {VSHM_SECTION_DATA, UINT64_MAX, 1},
	{UINT64_MAX - 127, 256, 1}, {VSHM_SECTION_DATA, UINT64_C(1) << 40, 1}, {VSHM_SECTION_DATA, 8, 0},
};

START_TEST(a_lie_about_a_block)
{
	struct vshm_peer_info section = VSHM_PEER_INFO_INIT;
	struct vshm_fault f = VSHM_FAULT_INIT;
	struct vshm_end_info p;
	struct vshm_view v;
	struct lending t;
	int fd;

	begin(&t, 0, 1000, 4);
	lend(&t, 1000, 1);
	ck_ok(vshm_region_peer(t.a, 0, &section));
	p = end_of(t.a, 0, VSHM_PRODUCER);
	fd = open(t.w.path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, bad_lends[_i], 24, (off_t)(section.offset + p.ring_offset + 8)), 24);
	(void)close(fd);
	ck_is(vshm_consumer_peek(t.c, &v, SUPPORT_LONG), -EPROTO);
	ck_ok(vshm_consumer_fault(t.c, &f));
	ck_assert_uint_eq(f.rule, VSHM_RULE_LEND);
	end(&t);
}
END_TEST

START_TEST(arguments)
{
	struct vshm_pool_options o = VSHM_POOL_OPTIONS_INIT;
	struct vshm_consumer_options co = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_pool_info info = VSHM_POOL_INFO_INIT;
	struct vshm_pool *pool = NULL;
	struct vshm_consumer *c = NULL;
	struct vshm_block block;
	struct lending t;

	begin(&t, 0, 0, 0);
	ck_is(vshm_pool_open(t.a, "x", NULL, &pool), -EINVAL); /* no size */
	o.size = 4096;
	ck_is(vshm_pool_open(NULL, "x", &o, &pool), -EINVAL);
	ck_is(vshm_pool_open(t.a, "", &o, &pool), -EINVAL);
	ck_is(vshm_pool_open(t.a, "x", &o, NULL), -EINVAL);
	o.block_size = 4097;
	ck_is(vshm_pool_open(t.a, "x", &o, &pool), -EINVAL);
	o.block_size = 64;
	o.blocks = 7;
	ck_is(vshm_pool_open(t.a, "x", &o, &pool), -EINVAL);
	o.block_size = o.blocks = 0;
	o.size = UINT64_C(1) << 30;
	ck_is(vshm_pool_open(t.a, "x", &o, &pool), -ENOSPC);
	o.size = UINT64_MAX;
	ck_is(vshm_pool_open(t.a, "x", &o, &pool), -EINVAL);
	block = make(t.pool, 100, 1);
	ck_is(vshm_producer_lend(t.p, t.pool, &block, 101, 0), -EINVAL);
	ck_is(vshm_producer_lend(t.p, t.pool, NULL, 1, 0), -EINVAL);
	ck_is(vshm_producer_lend(t.p, NULL, &block, 1, 0), -EINVAL);
	ck_is(vshm_producer_lend(NULL, t.pool, &block, 1, 0), -EINVAL);
	ck_is(vshm_producer_lend(t.p, t.pool, &block, 1, -5), -EINVAL);
	ck_is(vshm_consumer_keep(NULL, NULL), -EINVAL);
	ck_is(vshm_consumer_keep(t.c, &block), -ENOENT);
	ck_is(vshm_consumer_give_back(NULL, NULL), -EINVAL);
	ck_is(vshm_consumer_give_back(t.c, NULL), -ENOENT);
	ck_is(vshm_pool_alloc(NULL, 1, &block), -EINVAL);
	ck_is(vshm_pool_alloc(t.pool, 1, NULL), -EINVAL);
	ck_is(vshm_pool_free(NULL, &block), -EINVAL);
	ck_is(vshm_pool_free(t.pool, NULL), -EINVAL);
	ck_is(vshm_pool_info(NULL, &info), -EINVAL);
	ck_is(vshm_pool_info(t.pool, NULL), -EINVAL);
	co.lends = VSHM_MAX_LENDS + 1;
	ck_is(vshm_consumer_open(t.b, "other", &co, &c), -EINVAL);
	ck_ok(vshm_pool_close(t.pool));
	ck_is(vshm_pool_close(t.pool), -EINVAL);
	end(&t);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

Suite *suite_pool(void)
{
	Suite *s = suite_create("pool");
	TCase *tc = tcase_create("pool");

	tcase_set_timeout(tc, 90);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, looks_like_a_record);
	add_everywhere(tc, in_a_burst);
	add_everywhere(tc, kept);
	add_everywhere(tc, on_two_rings);
	add_everywhere(tc, to_several);
	tcase_add_loop_test(tc, one_is_full, 0, 2);
	add_everywhere(tc, capped);
	add_everywhere(tc, waits_for_a_block);
	add_everywhere(tc, comes_home);
	add_everywhere(tc, a_killed_holder);
	add_everywhere(tc, full);
	add_everywhere(tc, fragmented);
	tcase_add_loop_test(tc, a_lie_about_returns, 0, COUNT(lies));
	tcase_add_loop_test(tc, a_lie_about_a_block, 0, COUNT(bad_lends));
	tcase_add_test(tc, arguments);
	suite_add_tcase(s, tc);
	return s;
}
