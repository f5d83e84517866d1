/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The classic pair, part one: writes numbered frames into a ring, in place.
 *
 *   producer [URI [COUNT]]      default: file:/dev/shm/vshm-example, 1000000 frames; COUNT 0: until SIGINT
 *
 * Start consumer before or after it; kill either of them and start it again.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <vshm/vshm.h>

/* What both programs agree on: a number, a sum over the bytes, the bytes. */
struct frame {
	uint64_t number;
	uint64_t sum;
	uint8_t bytes[];
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

/* Fills a frame where it lies in the ring; returns its size. */
static size_t fill(struct frame *frame, uint64_t number)
{
	size_t count = number * 37 % 4000;
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		frame->bytes[i] = (uint8_t)(number + i);
		sum += (uint8_t)(number + i); /* not read back: only the consumer's copy of it matters */
	}
	frame->number = number;
	frame->sum = sum;
	return sizeof(*frame) + count;
}

static int produce(struct vshm_producer *producer, uint64_t count)
{
	uint64_t number = 0;

	while (!stopped && (!count || number < count)) {
		void *room;
		int rc = vshm_producer_reserve(producer, 4096, &room, 200000000);

		if (rc == -ETIMEDOUT) /* the ring is full, or nobody listens yet */
			continue;
		if (rc == -EPIPE || rc == -EHOSTDOWN) { /* said once: the frames wait for the next consumer */
			fprintf(stderr, "producer: %s\n", vshm_strerror(rc));
			continue;
		}
		if (rc)
			return rc;
		rc = vshm_producer_commit(producer, fill(room, number), 0);
		if (rc)
			return rc;
		number++;
	}
	printf("producer: %llu frames\n", (unsigned long long)number);
	return 0;
}

int main(int argc, char **argv)
{
	const char *uri = argc > 1 ? argv[1] : "file:/dev/shm/vshm-example";
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	struct vshm_producer *producer;
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE];
	int rc;

	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	rc = vshm_region_create(uri, NULL, why); /* or the consumer has done it, or vshmctl create */
	if (!rc || rc == -EEXIST)
		rc = vshm_region_open(uri, NULL, &region, why);
	if (rc) {
		fprintf(stderr, "producer: %s\n", why);
		return 1;
	}
	rc = vshm_producer_open(region, "frames", NULL, &producer);
	if (!rc) {
		int end;

		rc = produce(producer, count);
		end = vshm_producer_close(producer, stopped ? 0 : VSHM_FOREVER); /* until everything was read */
		rc = rc || stopped ? rc : end;
	}
	if (rc) {
		vshm_region_why(region, why);
		fprintf(stderr, "producer: %s\n", why[0] ? why : vshm_strerror(rc));
	}
	vshm_region_close(region);
	return rc != 0;
}
