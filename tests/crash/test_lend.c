/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lending survives both sides. A holder is killed: all that it held comes home, and nothing else does. The owner is
 * killed: the holders hear of it behind what was lent, and the next owner begins with an empty pool.
 */
#include "crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* ---- the holder is killed ---- */

/* The owner, and a faithful holder in the same process that shares each block with the doomed one. */
struct lender {
	struct scene s;
	struct vshm_region *region, *other;
	struct vshm_producer *p, *q; /* q: to the faithful one, unless p has both */
	struct vshm_consumer *faithful;
	struct vshm_pool *pool;
	struct shelf shelf;
	uint64_t run, lent, told;
	int64_t slowest_ns; /* from a death to the last block's return */
};

static struct vshm_producer *open_ring(struct vshm_region *r, const char *name, uint32_t consumers)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p = NULL;

	o.ring_size = RING_SIZE;
	o.consumers = consumers;
	ck_assert_int_eq(vshm_producer_open(r, name, &o, &p), 0);
	return p;
}

static void lender_open(struct lender *u, int many)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_producer *to;

	memset(u, 0, sizeof(*u));
	scene_open(&u->s, 3);
	u->region = scene_attach(&u->s, 0, 20000);
	u->other = scene_attach(&u->s, 2, 20000);
	ck_assert_int_eq(open_blocks(u->region, &u->pool), 0);
	u->p = open_ring(u->region, RING_NAME, many ? 2 : 0);
	if (!many)
		u->q = open_ring(u->region, "faithful", 0);
	to = many ? u->p : u->q;
	o.lends = LENDS;
	ck_assert_int_eq(vshm_consumer_open(u->other, many ? RING_NAME : "faithful", &o, &u->faithful), 0);
	while (!vshm_consumer_connected(u->faithful) || vshm_producer_consumers(to) != 1) {
		struct vshm_view v;

		ck_assert_int_eq(vshm_consumer_peek(u->faithful, &v, 0), -EAGAIN);
	}
}

static struct vshm_pool_info pool_info(struct vshm_pool *pool)
{
	struct vshm_pool_info info = VSHM_POOL_INFO_INIT;

	ck_assert_int_eq(vshm_pool_info(pool, &info), 0);
	return info;
}

/* The faithful one gets every block that anybody got. */
static void see_next(struct lender *u)
{
	struct vshm_view v;

	ck_assert_int_eq(vshm_consumer_peek(u->faithful, &v, SUPPORT_LONG), 0);
	ck_assert_msg(record_is(&v, u->run, u->lent), "block %llu is not what was lent", (unsigned long long)u->lent);
	ck_assert_int_eq(shelf_take(&u->shelf, u->faithful, &v, &u->s.seed), 0);
	u->lent++;
}

/* 0, -EAGAIN when there is no taker, or what the owner was told. */
static int lend_next(struct lender *u, int64_t timeout_ns)
{
	size_t size = record_size(u->run, u->lent);
	struct vshm_block block;
	int rc;

	ck_assert_int_eq(vshm_pool_alloc(u->pool, size, &block), 0);
	record_fill(block.data, u->run, u->lent);
	rc = vshm_producer_lend(u->p, u->pool, &block, size, timeout_ns);
	if (!rc && u->q)
		ck_assert_int_eq(vshm_producer_lend(u->q, u->pool, &block, size, SUPPORT_LONG), 0);
	ck_assert_int_eq(vshm_pool_free(u->pool, &block), 0);
	if (!rc)
		see_next(u);
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

/* Lends until the holder of this run is dead, and until that was told if it is to be told. */
static void lend_until_told(struct lender *u, const struct killer *k)
{
	int64_t dead = 0;
	int told = !u->q, rc; /* nobody is told that one of several consumers died */

	while (!dead || !told) {
		rc = lend_next(u, 5 * SUPPORT_MS);
		told |= rc == -EPIPE || rc == -ESTALE;
		ck_assert_msg(rc == 0 || rc == -EAGAIN || rc == -EPIPE || rc == -ESTALE, "%d %s", rc,
			      vshm_strerror(rc));
		dead = killer_dead_at(k);
		if (dead && !told && !noted(u->s.notes->first) && support_now_ns() - dead > 30 * SUPPORT_MS)
			break; /* it died before it was connected */
		ck_assert_msg(!dead || support_now_ns() - dead < SUPPORT_LONG, "the death was not told");
	}
	u->told += (uint64_t)told;
}

/* What the faithful one keeps is lent and in use, and nothing else is. */
static void only_the_shelf_is_out(struct lender *u, int64_t dead)
{
	struct vshm_pool_info info;

	do {
		info = pool_info(u->pool);
		ck_assert_msg(support_now_ns() - dead < SUPPORT_LONG, "%u blocks are out, %u are kept",
			      info.blocks_used, u->shelf.count);
	} while (info.blocks_used > u->shelf.count);
	ck_assert_uint_eq(info.blocks_used, u->shelf.count);
	ck_assert_uint_eq(info.blocks_lent, u->shelf.count);
	ck_assert_uint_eq(info.used, info.lent);
	ck_assert(shelf_is_whole(&u->shelf));
	if (support_now_ns() - dead > u->slowest_ns)
		u->slowest_ns = support_now_ns() - dead;
}

static void kill_holder(struct lender *u)
{
	struct killer k;
	pid_t pid;

	u->run++;
	pid = start_peer(&u->s, "hold", 1, u->run, 200, -1);
	killer_start_random(&k, pid, &u->s);
	lend_until_told(u, &k);
	killer_join(&k);
	ck_assert_uint_eq(noted(u->s.notes->error), 0);
	only_the_shelf_is_out(u, k.dead_at_ns);
}

/* The last holder is not killed; in the end the pool is one piece again. */
static void finish_lending(struct lender *u)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	struct vshm_view v;
	pid_t pid;

	u->run++;
	pid = start_peer(&u->s, "hold", 1, u->run, 0, -1);
	while (!noted(u->s.notes->first) && support_now_ns() < end)
		(void)lend_next(u, 5 * SUPPORT_MS);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(lend_next(u, SUPPORT_LONG), 0);
	ck_assert_int_eq(vshm_consumer_peek(u->faithful, &v, 0), -EAGAIN); /* says how far it has read */
	ck_assert_int_eq(vshm_producer_close(u->p, SUPPORT_LONG), 0);
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	only_the_shelf_is_out(u, support_now_ns());
	ck_assert_int_eq(shelf_give_back_all(&u->shelf, u->faithful, &u->s.seed), 0);
	ck_assert_uint_eq(pool_info(u->pool).used, 0);
	ck_assert_uint_eq(pool_info(u->pool).largest, POOL_SIZE);
	ck_assert_int_eq(vshm_pool_close(u->pool), 0);
}

static void lend_and_kill(int many, unsigned share, const char *what)
{
	unsigned count = kills(share);
	struct lender u;

	lender_open(&u, many);
	for (unsigned i = 0; i < count; i++)
		kill_holder(&u);
	finish_lending(&u);
	ck_assert_int_eq(vshm_region_close(u.other), 0);
	ck_assert_int_eq(vshm_region_close(u.region), 0);
	scene_close(&u.s);
	printf("%s: %u kills, %llu told, %llu blocks, all home after %lld us at most\n", what, count,
	       (unsigned long long)u.told, (unsigned long long)u.lent, (long long)(u.slowest_ns / 1000));
}

START_TEST(holder)
{
	lend_and_kill(0, 150, "holder killed, another shares its blocks");
}
END_TEST

/* Dead is not gone: nothing comes home while a thread of the holder can still read it. */
static void kill_slowly(struct lender *u)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	pid_t pid;

	u->run++;
	pid = start_peer(&u->s, "linger", 1, u->run, 0, -1);
	while (noted(u->s.notes->ready) < 2) {
		if (!noted(u->s.notes->first) && !lend_next(u, 5 * SUPPORT_MS))
			note(u->s.notes->first, 1);
		ck_assert(support_now_ns() < end && !noted(u->s.notes->error));
	}
	ck_assert_int_eq(shelf_give_back_all(&u->shelf, u->faithful, &u->s.seed), 0);
	ck_assert_uint_eq(pool_info(u->pool).blocks_lent, 1);
	support_sleep_us((int64_t)support_below(&u->s.seed, 5000));
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	while (pool_info(u->pool).blocks_lent)
		ck_assert_msg(support_now_ns() < end, "the block does not come home");
	ck_assert_msg(waitpid(pid, NULL, WNOHANG) == pid, "the block is home, its holder's process is still there");
	while (lend_next(u, SUPPORT_MS) != -EPIPE)
		ck_assert(support_now_ns() < end);
}

START_TEST(lingering_holder)
{
	unsigned count = kills(20);
	struct lender u;

	lender_open(&u, 0);
	for (unsigned i = 0; i < count; i++)
		kill_slowly(&u);
	finish_lending(&u);
	ck_assert_int_eq(vshm_region_close(u.other), 0);
	ck_assert_int_eq(vshm_region_close(u.region), 0);
	scene_close(&u.s);
}
END_TEST

START_TEST(one_of_several_holders)
{
	lend_and_kill(1, 150, "one of the ring's holders killed");
}
END_TEST

/* ---- the owner is killed ---- */

struct holder {
	struct vshm_region *region;
	struct vshm_consumer *c;
	struct shelf shelf;
	uint64_t first, next; /* numbers of blocks of this run; next 0: none yet */
	int told;
};

struct holders {
	struct scene s;
	struct holder holder[2];
	unsigned count;
	uint64_t run, seen;
	unsigned unheard;
};

static void holders_open(struct holders *u, unsigned count)
{
	memset(u, 0, sizeof(*u));
	scene_open(&u->s, 3);
	u->count = count;
	for (unsigned i = 0; i < count; i++) {
		u->holder[i].region = scene_attach(&u->s, 2 * i, 20000);
		ck_assert_int_eq(open_borrower(u->holder[i].region, VSHM_CONSUMER_FOLLOW, &u->holder[i].c), 0);
	}
}

/* The dead owner's blocks are as they were until its end is told, and nobody's afterwards. */
static void forget(struct holder *h)
{
	ck_assert(shelf_is_whole(&h->shelf));
	if (h->shelf.count)
		ck_assert_int_eq(vshm_consumer_give_back(h->c, h->shelf.kept[0].view.data), -ENOENT);
	h->shelf.count = 0;
}

static void hold(struct holders *u, struct holder *h, const struct vshm_view *v)
{
	uint64_t number;

	memcpy(&number, (const char *)v->data + 8, 8);
	if (!h->next)
		h->first = h->next = number;
	ck_assert_msg(number == h->next && record_is(v, u->run, number), "run %llu: block %llu is not what was lent",
		      (unsigned long long)u->run, (unsigned long long)h->next);
	h->next++;
	u->seen++;
	ck_assert_int_eq(shelf_take(&h->shelf, h->c, v, &u->s.seed), 0);
}

/* One look. The end of a run that ended unheard can still come before the first block of the next. */
static void look(struct holders *u, struct holder *h, int dead)
{
	struct vshm_view v;
	int rc = vshm_consumer_peek(h->c, &v, (u->count == 1 ? 10 : 1) * SUPPORT_MS);

	if (!rc) {
		hold(u, h, &v);
	} else if (rc == -EPIPE || rc == -ESTALE || (rc == -ENODATA && noted(u->s.notes->stop))) {
		forget(h);
		h->told = h->next || dead || rc == -ENODATA;
	} else {
		ck_assert_msg(rc == -ETIMEDOUT, "run %llu: %d %s", (unsigned long long)u->run, rc, vshm_strerror(rc));
	}
}

static int is_over(const struct holders *u, int64_t dead)
{
	for (unsigned i = 0; i < u->count; i++) {
		const struct holder *h = &u->holder[i];

		if (!h->told && (h->next || vshm_consumer_connected(h->c) || support_now_ns() - dead < 50 * SUPPORT_MS))
			return 0;
	}
	return 1;
}

static void begin_run(struct holders *u)
{
	u->run++;
	for (unsigned i = 0; i < u->count; i++)
		u->holder[i].first = u->holder[i].next = (uint64_t)(u->holder[i].told = 0);
}

/* The first block goes to whoever is there, and each holder has all since its first. */
static void check_run(struct holders *u)
{
	uint64_t started = noted(u->s.notes->started), done = noted(u->s.notes->done);
	unsigned heard = 0, from_start = 0;

	ck_assert_uint_eq(noted(u->s.notes->error), 0);
	for (unsigned i = 0; i < u->count; i++) {
		const struct holder *h = &u->holder[i];

		if (!h->next)
			continue;
		heard++;
		from_start += h->first == 0;
		ck_assert_msg(h->next >= done && h->next <= started, "run %llu: %llu seen, %llu lent, %llu begun",
			      (unsigned long long)u->run, (unsigned long long)h->next, (unsigned long long)done,
			      (unsigned long long)started);
	}
	ck_assert(from_start || !heard);
	u->unheard += !heard;
}

static void kill_owner(struct holders *u)
{
	int64_t dead = 0;
	struct killer k;
	pid_t pid;

	begin_run(u);
	pid = start_peer(&u->s, u->count == 1 ? "lend" : "lend-many", 1, u->run, 100, -1);
	killer_start_random(&k, pid, &u->s);
	while (!dead || !is_over(u, dead)) {
		dead = killer_dead_at(&k);
		for (unsigned i = 0; i < u->count; i++)
			if (!u->holder[i].told)
				look(u, &u->holder[i], dead != 0);
		ck_assert_msg(!dead || support_now_ns() - dead < SUPPORT_LONG, "the death was not told");
	}
	killer_join(&k);
	check_run(u);
}

/* The last owner ends in order: it waits until all its blocks are home. */
static void finish_holding(struct holders *u)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	unsigned told = 0;
	pid_t pid;

	begin_run(u);
	pid = start_peer(&u->s, u->count == 1 ? "lend" : "lend-many", 1, u->run, 0, -1);
	while (told < u->count) {
		ck_assert_msg(support_now_ns() < end, "no end");
		told = 0;
		for (unsigned i = 0; i < u->count; i++) {
			struct holder *h = &u->holder[i];

			told += (unsigned)h->told;
			if (!h->told)
				look(u, h, 0);
			if (h->next > 100)
				note(u->s.notes->stop, 1);
		}
	}
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	check_run(u);
}

static void hold_and_kill(unsigned holders, unsigned share, const char *what)
{
	unsigned count = kills(share);
	struct holders u;

	holders_open(&u, holders);
	for (unsigned i = 0; i < count; i++)
		kill_owner(&u);
	finish_holding(&u);
	for (unsigned i = 0; i < holders; i++)
		ck_assert_int_eq(vshm_region_close(u.holder[i].region), 0);
	scene_close(&u.s);
	printf("%s: %u kills (%u before the first block), %llu blocks seen\n", what, count, u.unheard,
	       (unsigned long long)u.seen);
}

START_TEST(owner_of_one)
{
	hold_and_kill(1, 150, "owner killed");
}
END_TEST

START_TEST(owner_of_several)
{
	hold_and_kill(2, 150, "owner killed, several holders");
}
END_TEST

Suite *suite_lend(void)
{
	Suite *s = suite_create("lend");
	TCase *tc = tcase_create("lend");

	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_test(tc, holder);
	tcase_add_test(tc, lingering_holder);
	tcase_add_test(tc, one_of_several_holders);
	tcase_add_test(tc, owner_of_one);
	tcase_add_test(tc, owner_of_several);
	suite_add_tcase(s, tc);
	return s;
}
