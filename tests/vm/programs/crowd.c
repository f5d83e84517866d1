/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vm-crowd: a one-to-many ring, of which every second record lends a block. Sizes differ; every byte is checked by every taker,
 * of a block again before it goes back. After the stream the giver stays, until SIGTERM, so that others can see whether its
 * blocks come home.
 *
 *   vm-crowd give URI RING COUNT TAKERS   waits for so many takers, then gives them COUNT records
 *   vm-crowd take URI RING                to the end of the stream; keeps some blocks all the time
 *   vm-crowd hold URI RING COUNT          takes COUNT records, then neither goes on nor gives back, until SIGTERM
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vshm/vshm.h>

#define RECORD_MOST 8192u
#define BLOCK_MOST 40000u
#define ARENA_SIZE (1u << 20)
#define RING_SIZE (1u << 15) /* full before a taker has all the blocks that it can hold */
#define KEPT 7u /* blocks that a taker keeps before the first goes back; fewer than it can hold */
#define ORDER 3u /* which goes back: not the oldest */

struct kept {
	const void *data;
	size_t size;
	uint64_t counter;
};

static volatile sig_atomic_t asked_to_end;

static void end(int number)
{
	(void)number;
	asked_to_end = 1;
}

static int complain(const char *what, int rc)
{
	(void)fprintf(stderr, "vm-crowd: %s: %s\n", what, vshm_strerror(rc));
	return 1;
}

static void nap(void)
{
	const struct timespec pause = {0, 2000000};

	(void)nanosleep(&pause, NULL);
}

static bool is_lent(uint64_t counter)
{
	return counter % 2;
}

/* Different ones, and the same for giver and taker. */
static size_t size_of(uint64_t counter)
{
	return 8 + counter * 7919 * 8 % (is_lent(counter) ? BLOCK_MOST : RECORD_MOST);
}

/* ---- the giver ---- */

static int give_block(struct vshm_producer *producer, struct vshm_pool *pool, uint64_t counter)
{
	const size_t size = size_of(counter);
	struct vshm_block block;
	int rc;

	while ((rc = vshm_pool_alloc(pool, size, &block)) == -ENOSPC && !asked_to_end)
		nap();
	if (rc)
		return rc;
	bench_fill(block.data, size, counter);
	do
		rc = vshm_producer_lend(producer, pool, &block, size, VSHM_FOREVER);
	while (rc == -EPIPE || rc == -EHOSTDOWN);
	(void)vshm_pool_free(pool, &block);
	return rc;
}

static int give_record(struct vshm_producer *producer, uint64_t counter)
{
	const size_t size = size_of(counter);
	void *data;
	int rc;

	do
		rc = vshm_producer_reserve(producer, size, &data, VSHM_FOREVER);
	while (rc == -EPIPE || rc == -EHOSTDOWN);
	if (rc)
		return rc;
	bench_fill(data, size, counter);
	return vshm_producer_commit(producer, size, 0);
}

static int give_all(struct vshm_producer *producer, struct vshm_pool *pool, uint64_t count, int takers)
{
	int rc = 0;

	while (vshm_producer_consumers(producer) < takers) /* those who come later see only what comes later */
		nap();
	for (uint64_t i = 0; i < count && !rc; i++)
		rc = is_lent(i) ? give_block(producer, pool, i) : give_record(producer, i);
	return rc;
}

/* What came back is noticed only by an owner that looks. */
static int stay(struct vshm_pool *pool)
{
	struct vshm_pool_info info = VSHM_POOL_INFO_INIT;
	int rc = 0;

	while (!rc && !asked_to_end) {
		rc = vshm_pool_info(pool, &info);
		nap();
	}
	printf("%u blocks are out\n", info.blocks_lent);
	return rc ? complain("stay", rc) : 0;
}

static int give(struct vshm_region *region, const char *ring, uint64_t count, uint32_t takers)
{
	struct vshm_producer_options many = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_pool_options arena = VSHM_POOL_OPTIONS_INIT;
	struct vshm_producer *producer;
	struct vshm_pool *pool;
	int rc;

	many.consumers = takers;
	many.ring_size = RING_SIZE;
	arena.size = ARENA_SIZE;
	rc = vshm_pool_open(region, ring, &arena, &pool);
	if (!rc)
		rc = vshm_producer_open(region, ring, &many, &producer);
	if (!rc)
		rc = give_all(producer, pool, count, (int)takers);
	if (!rc)
		rc = vshm_producer_close(producer, VSHM_FOREVER);
	if (rc && rc != -EPIPE) /* a taker that holds and is killed */
		return complain("give", rc);
	printf("gave %llu to %u\n", (unsigned long long)count, takers);
	return stay(pool);
}

/* ---- a taker ---- */

static bool is_right(const struct kept *kept)
{
	return kept->size == size_of(kept->counter) && !bench_check(kept->data, kept->size, kept->counter);
}

static int give_back(struct vshm_consumer *consumer, struct kept kept[], unsigned *count, unsigned which)
{
	if (!is_right(&kept[which]))
		return complain("a block changed while it was kept", -EPROTO);
	if (vshm_consumer_give_back(consumer, kept[which].data))
		return complain("give back", -ENOENT);
	kept[which] = kept[--*count];
	return 0;
}

static int take_one(struct vshm_consumer *consumer, const struct vshm_view *view, uint64_t counter, struct kept kept[],
		    unsigned *count)
{
	const struct kept one = {view->data, view->size, counter};

	if (!is_right(&one))
		return complain("wrong bytes", -EPROTO);
	if (!is_lent(counter))
		return 0;
	if (vshm_consumer_keep(consumer, view->data))
		return complain("keep", -ENOENT);
	kept[(*count)++] = one;
	return *count > KEPT ? give_back(consumer, kept, count, ORDER) : 0;
}

/* `most`: records after which it holds what it has; 0: to the end. */
static int take(struct vshm_region *region, const char *ring, uint64_t most)
{
	struct kept kept[KEPT + 1];
	struct vshm_consumer *consumer;
	struct vshm_view view;
	unsigned count = 0;
	uint64_t taken = 0;
	int rc = vshm_consumer_open(region, ring, NULL, &consumer);

	if (rc)
		return complain("open", rc);
	for (; !most || taken < most; taken++) {
		while ((rc = vshm_consumer_peek(consumer, &view, VSHM_FOREVER)) == -EHOSTDOWN)
			;
		if (rc)
			break;
		if (take_one(consumer, &view, taken, kept, &count))
			return 1;
		(void)vshm_consumer_release(consumer);
	}
	while (most && !asked_to_end)
		nap();
	while (count)
		if (give_back(consumer, kept, &count, 0))
			return 1;
	printf("took %llu, then: %s\n", (unsigned long long)taken, vshm_strerror(rc));
	return rc && rc != -ENODATA;
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = end};
	const uint64_t number = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE];
	int failed;

	if (argc < 4 || (!strcmp(argv[1], "give") && argc < 6))
		return fputs("usage: vm-crowd give URI RING COUNT TAKERS | take URI RING | hold URI RING COUNT\n", stderr), 2;
	(void)sigaction(SIGTERM, &action, NULL);
	if (vshm_region_open(argv[2], NULL, &region, why))
		return fprintf(stderr, "vm-crowd: %s\n", why), 1;
	failed = strcmp(argv[1], "give") ? take(region, argv[3], number) :
					   give(region, argv[3], number, (uint32_t)strtoul(argv[5], NULL, 10));
	(void)vshm_region_close(region);
	return failed;
}
