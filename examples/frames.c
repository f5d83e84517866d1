/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large frames, lent instead of copied: 4 MiB each, written once, read in place by every viewer.
 *
 *   frames lend [URI [COUNT]]   default: file:/dev/shm/vshm-frames, 100 frames, to two viewers
 *   frames view [URI]           as often as there are viewers; each keeps the last frame that it saw, until the next
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vshm/vshm.h>

#define FRAME_BYTES (4u << 20)
#define BLOCKS 6u /* one is being written, each viewer keeps one, the rest are on their way */
#define VIEWERS 2u

static int complain(const char *what, int rc)
{
	fprintf(stderr, "frames: %s: %s\n", what, vshm_strerror(rc));
	return 1;
}

static void nap(void)
{
	const struct timespec pause = {0, 100000};

	nanosleep(&pause, NULL);
}

static uint64_t sum_of(const uint64_t *words)
{
	uint64_t sum = 0;

	for (size_t i = 1; i < FRAME_BYTES / 8; i++)
		sum = sum * 31 + words[i];
	return sum;
}

/* The first word is the sum of the others. */
static void draw(void *data, uint64_t number)
{
	uint64_t *words = data;

	for (size_t i = 1; i < FRAME_BYTES / 8; i++)
		words[i] = number * i;
	words[0] = sum_of(words);
}

static int lend_frames(struct vshm_pool *pool, struct vshm_producer *producer, unsigned count)
{
	struct vshm_block block;
	int rc = 0;

	while (vshm_producer_consumers(producer) < (int)VIEWERS) /* those who come later see only what comes later */
		nap();
	for (unsigned i = 0; i < count && !rc; i++) {
		while ((rc = vshm_pool_alloc(pool, FRAME_BYTES, &block)) == -ENOSPC)
			nap(); /* a viewer gives one back soon; a camera would drop the frame here */
		if (rc)
			return rc;
		draw(block.data, i);
		do
			rc = vshm_producer_lend(producer, pool, &block, FRAME_BYTES, VSHM_FOREVER);
		while (rc == -EPIPE || rc == -EHOSTDOWN);
		vshm_pool_free(pool, &block); /* ours no more; free when all viewers have done with it */
	}
	return rc;
}

static int lend(struct vshm_region *region, unsigned count)
{
	struct vshm_producer_options many = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_pool_options frames = VSHM_POOL_OPTIONS_INIT;
	struct vshm_producer *producer;
	struct vshm_pool *pool;
	int rc;

	frames.block_size = FRAME_BYTES;
	frames.size = BLOCKS * (uint64_t)FRAME_BYTES;
	many.consumers = VIEWERS;
	many.ring_size = 4096; /* only the lends travel through it */
	rc = vshm_pool_open(region, "frames", &frames, &pool);
	if (!rc)
		rc = vshm_producer_open(region, "frames", &many, &producer);
	if (rc)
		return complain("open", rc);
	rc = lend_frames(pool, producer, count);
	if (!rc)
		rc = vshm_producer_close(producer, VSHM_FOREVER);
	if (rc)
		return complain("lend", rc);
	printf("frames: lent %u frames of %u MiB, from %u blocks, to %u viewers\n", count, FRAME_BYTES >> 20, BLOCKS, VIEWERS);
	return 0;
}

static int view(struct vshm_region *region)
{
	struct vshm_consumer *consumer;
	const void *kept = NULL;
	struct vshm_view frame;
	unsigned count = 0;
	int rc = vshm_consumer_open(region, "frames", NULL, &consumer);

	if (rc)
		return complain("open", rc);
	while (!(rc = vshm_consumer_peek(consumer, &frame, VSHM_FOREVER))) {
		if (frame.size != FRAME_BYTES || *(const uint64_t *)frame.data != sum_of(frame.data))
			return complain("a frame is wrong", -EPROTO);
		rc = vshm_consumer_keep(consumer, frame.data);
		if (rc)
			return complain("keep", rc);
		vshm_consumer_release(consumer); /* the record, not the frame */
		if (kept)
			vshm_consumer_give_back(consumer, kept);
		kept = frame.data;
		count++;
	}
	if (kept && *(const uint64_t *)kept != sum_of(kept)) /* still ours, although the stream has ended */
		return complain("the last frame is wrong", -EPROTO);
	printf("frames: saw %u, then: %s\n", count, vshm_strerror(rc));
	vshm_consumer_close(consumer);
	return rc != -ENODATA;
}

int main(int argc, char **argv)
{
	const char *uri = argc > 2 ? argv[2] : "file:/dev/shm/vshm-frames";
	struct vshm_create_options options = VSHM_CREATE_OPTIONS_INIT;
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE];
	int rc;

	if (argc < 2 || (strcmp(argv[1], "lend") && strcmp(argv[1], "view")))
		return fputs("usage: frames lend|view [URI [COUNT]]\n", stderr), 2;
	options.peers = 1 + VIEWERS;
	options.size = options.peers * (BLOCKS + 1) * (uint64_t)FRAME_BYTES;
	rc = vshm_region_create(uri, &options, why);
	if ((rc && rc != -EEXIST) || vshm_region_open(uri, NULL, &region, why))
		return fprintf(stderr, "frames: %s\n", why), 1;
	rc = strcmp(argv[1], "lend") ? view(region) : lend(region, argc > 3 ? (unsigned)atoi(argv[3]) : 100);
	vshm_region_close(region);
	return rc;
}
