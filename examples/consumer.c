/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The classic pair, part two: reads the producer's frames in place and checks them.
 *
 *   consumer [URI [--follow]]      default: file:/dev/shm/vshm-example
 *
 * It may be started before the producer. With --follow it goes on when the producer has ended, died or restarted.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <vshm/vshm.h>

/* As in producer.c. */
struct frame {
	uint64_t number;
	uint64_t sum;
	uint8_t bytes[];
};

struct tally {
	uint64_t frames, bytes, next;
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

/* Checks one frame where it lies. The producer could write anything: nothing is believed that was not compared. */
static bool take(const struct vshm_view *view, struct tally *tally)
{
	const struct frame *frame = view->data;
	uint64_t sum = 0;

	if (view->size < sizeof(*frame))
		return false;
	for (size_t i = 0; i < view->size - sizeof(*frame); i++)
		sum += frame->bytes[i];
	if (sum != frame->sum || frame->number != tally->next)
		return false;
	tally->next++;
	tally->frames++;
	tally->bytes += view->size;
	return true;
}

/* Did this producer end, die or restart, and can there be another one? Not when the region itself is gone. */
static bool can_follow(struct vshm_region *region, int rc)
{
	return (rc == -ENODATA || rc == -EPIPE || rc == -ESTALE) && !vshm_region_status(region);
}

static int consume(struct vshm_region *region, struct vshm_consumer *consumer, bool follow, struct tally *tally)
{
	while (!stopped) {
		struct vshm_view view;
		int rc = vshm_consumer_peek(consumer, &view, 200000000);

		if (!rc) {
			if (!take(&view, tally)) {
				fprintf(stderr, "consumer: frame %llu is not what it should be\n",
					(unsigned long long)tally->next);
				return -EIO;
			}
			vshm_consumer_release(consumer);
		} else if (follow && can_follow(region, rc)) {
			printf("consumer: %llu frames, then: %s\n", (unsigned long long)tally->next, vshm_strerror(rc));
			fflush(stdout);
			tally->next = 0; /* the next producer counts from 0 */
		} else if (rc == -EHOSTDOWN) {
			fprintf(stderr, "consumer: %s\n", vshm_strerror(rc)); /* it may come back */
		} else if (rc != -ETIMEDOUT) {
			return rc == -ENODATA ? 0 : rc;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *uri = argc > 1 ? argv[1] : "file:/dev/shm/vshm-example";
	struct vshm_consumer_options options = VSHM_CONSUMER_OPTIONS_INIT;
	struct tally tally = {0, 0, 0};
	struct vshm_consumer *consumer;
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE];
	bool follow = argc > 2 && !strcmp(argv[2], "--follow");
	int rc;

	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	rc = vshm_region_create(uri, NULL, why); /* or the producer has done it, or vshmctl create */
	if (!rc || rc == -EEXIST)
		rc = vshm_region_open(uri, NULL, &region, why);
	if (rc) {
		fprintf(stderr, "consumer: %s\n", why);
		return 1;
	}
	options.flags = follow ? VSHM_CONSUMER_FOLLOW : 0;
	rc = vshm_consumer_open(region, "frames", &options, &consumer);
	if (!rc) {
		rc = consume(region, consumer, follow, &tally);
		vshm_consumer_close(consumer);
	}
	if (rc) {
		vshm_region_why(region, why);
		fprintf(stderr, "consumer: %s\n", why[0] ? why : vshm_strerror(rc));
	}
	printf("consumer: %llu frames, %llu bytes in all\n", (unsigned long long)tally.frames,
	       (unsigned long long)tally.bytes);
	vshm_region_close(region);
	return rc != 0;
}
