/* SPDX-License-Identifier: BSD-3-Clause */
/* libvshm: two rings, "trips.there" and "trips.back", written and read in place. Polling, or sleeping at each message. */
#include "trips.h"

#include "bench.h"

#include <errno.h>
#include <vshm/vshm.h>

#define LINGER_NS 10000000000

static struct vshm_region *region;
static struct vshm_producer *out;
static struct vshm_consumer *in;

static int say(const char *what, int rc)
{
	char line[VSHM_WHY_SIZE + 64];

	(void)snprintf(line, sizeof(line), "%s: %s", what, vshm_strerror(rc));
	return trips_say(line, 0);
}

static int open_ends(bool asks, bool polls)
{
	struct vshm_consumer_options consumer = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_producer_options producer = VSHM_PRODUCER_OPTIONS_INIT;
	int rc;

	if (polls)
		consumer.flags = VSHM_CONSUMER_POLL;
	else
		consumer.spin_us = producer.spin_us = 0;
	rc = vshm_consumer_open(region, asks ? "trips.back" : "trips.there", &consumer, &in);
	if (!rc)
		rc = vshm_producer_open(region, asks ? "trips.there" : "trips.back", &producer, &out);
	return rc ? say("cannot open the rings", rc) : 0;
}

static int open_region(const char *uri)
{
	char why[VSHM_WHY_SIZE];

	return vshm_region_open(uri, NULL, &region, why) ? trips_say(why, 0) : 0;
}

static int open_polling(const char *const arguments[], size_t size, bool asks)
{
	(void)size;
	return open_region(arguments[0]) || open_ends(asks, true) ? -1 : 0;
}

static int open_sleeping(const char *const arguments[], size_t size, bool asks)
{
	(void)size;
	return open_region(arguments[0]) || open_ends(asks, false) ? -1 : 0;
}

static int put(size_t size, uint64_t counter)
{
	void *data;
	int rc;

	do /* a loaded machine lets a heart stand still */
		rc = vshm_producer_reserve(out, size, &data, VSHM_FOREVER);
	while (rc == -EHOSTDOWN);
	if (!rc) {
		bench_fill(data, size, counter);
		rc = vshm_producer_commit(out, size, 0);
	}
	return rc ? say("cannot send", rc) : 0;
}

static int get(size_t size, uint64_t counter)
{
	struct vshm_view view;
	int rc;

	do
		rc = vshm_consumer_peek(in, &view, VSHM_FOREVER);
	while (rc == -EHOSTDOWN);
	if (rc)
		return say("cannot receive", rc);
	if (view.size != size || bench_check(view.data, size, counter))
		return trips_say("wrong bytes came through the ring", 0);
	rc = vshm_consumer_release(in);
	return rc ? say("cannot release", rc) : 0;
}

/* The consumer first: it says how far it read, for which the other side's producer may be waiting. */
static int finish(void)
{
	int rc;

	(void)vshm_consumer_close(in);
	rc = vshm_producer_close(out, LINGER_NS);
	(void)vshm_region_close(region);
	return rc ? say("the last message was not read", rc) : 0;
}

const struct way way_ring_poll = {"ring-poll", "URI", open_polling, put, get, NULL, finish};
const struct way way_ring_sleep = {"ring-sleep", "URI", open_sleeping, put, get, NULL, finish};
