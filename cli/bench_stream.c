/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One way: each record is copied into the ring, and out of it at the other end. The time ends when all of it was read, so
 * that what lies in the ring does not count for more than it is.
 */
#include "bench.h"

#include "say.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vshm/layout.h>
#include <vshm/pool.h>

#define CONNECT_LOOK_NS 1000000u
/* Records between two looks at the clock; fewer of large ones. */
#define BATCH_BYTES 65536u
#define LENT_BLOCKS 4u
#define OPEN_TRIES 500u

/* ---- the first process ---- */

static int lead_failed(struct bench *bench, const struct figure *figure, int rc)
{
	char why[VSHM_WHY_SIZE];
	if (companion_failure(&bench->companion))
		return -1;
	progress_clear(&bench->stream.progress);
	if (rc == -EPIPE)
		(void)say_failed("the second process died");
	else
		(void)say_failed("ring '%s': %s", figure->ring, stream_why(&bench->stream, rc, why));
	return -1;
}

/* After a call that brought nothing. As the functions of bench.h. */
static int keep_waiting(struct bench *bench, const struct figure *figure, int rc)
{
	if (rc != -ETIMEDOUT && rc != -EAGAIN && rc != -EHOSTDOWN)
		return lead_failed(bench, figure, rc);
	if (stop_asked())
		return 0;
	if (companion_ended(&bench->companion))
		return lead_failed(bench, figure, -EPIPE);
	if (stream_wait_on(&bench->stream, NULL))
		return 1;
	if (stop_asked())
		return 0;
	progress_clear(&bench->stream.progress);
	(void)say_failed("nothing was read for %.3g s", (double)bench->stream.timeout_ns / 1e9);
	return -1;
}

static int await_consumer(struct bench *bench, const struct figure *figure)
{
	bench->stream.ring = figure->ring;
	while (!stream_connected(&bench->stream, VSHM_PRODUCER)) {
		int rc = vshm_region_status(bench->stream.region);
		rc = keep_waiting(bench, figure, rc ? rc : -EAGAIN);
		if (rc <= 0)
			return rc;
		observe_pause(CONNECT_LOOK_NS);
	}
	bench->stream.waiting_since = 0;
	return 1;
}

/* Written to readable is what a lend takes: the block's bytes stay where they are. */
static int lend(struct vshm_producer *producer, const struct figure *figure, int64_t timeout_ns)
{
	struct vshm_block block;
	int rc = vshm_pool_alloc(figure->pool, figure->size, &block);
	if (rc) /* all are on their way: they come back with the reader's next releases */
		return rc == -ENOSPC ? -EAGAIN : rc;
	rc = vshm_producer_lend(producer, figure->pool, &block, figure->size, timeout_ns);
	(void)vshm_pool_free(figure->pool, &block);
	return rc ? rc : 1;
}

/* One record, or one burst; the number of records, or an error. */
static int produce(struct vshm_producer *producer, const struct figure *figure, const void *payload, int64_t timeout_ns)
{
	void *data[BENCH_BURST];
	if (figure->pool)
		return lend(producer, figure, timeout_ns);
	if (figure->burst == 1) {
		int rc = vshm_producer_reserve(producer, figure->size, data, timeout_ns);
		if (rc)
			return rc;
		memcpy(data[0], payload, figure->size);
		rc = vshm_producer_commit(producer, figure->size, 0);
		return rc ? rc : 1;
	}
	int count = vshm_producer_reserve_burst(producer, figure->size, data, figure->burst, timeout_ns);
	for (int i = 0; i < count; i++)
		memcpy(data[i], payload, figure->size);
	int rc = count > 0 ? vshm_producer_commit_burst(producer, (unsigned)count, 0) : count;
	return rc ? rc : count;
}

static int produce_for_a_while(struct bench *bench, struct figure *figure, struct vshm_producer *producer,
			       const void *payload)
{
	const uint64_t start = observe_clock_ns(), batch = BATCH_BYTES / figure->size + 1;
	uint64_t records = 0;
	while (!stop_asked() && observe_clock_ns() - start < (uint64_t)bench->figure_ns) {
		for (uint64_t sent = 0; sent < batch;) {
			int rc = produce(producer, figure, payload, STREAM_SLICE_NS);
			if (rc > 0) {
				sent += (uint64_t)rc;
				bench->stream.waiting_since = 0;
				continue;
			}
			rc = keep_waiting(bench, figure, rc);
			if (rc <= 0)
				return rc;
		}
		records += batch;
	}
	figure->records = records;
	return stop_asked() ? 0 : 1;
}

static int measure(struct bench *bench, struct figure *figure, struct vshm_producer **producer, const void *payload)
{
	int rc = await_consumer(bench, figure);
	const uint64_t start = observe_clock_ns();
	if (rc > 0)
		rc = produce_for_a_while(bench, figure, *producer, payload);
	if (rc <= 0)
		return rc;
	rc = vshm_producer_close(*producer, bench->stream.timeout_ns);
	*producer = NULL;
	figure->elapsed_ns = observe_clock_ns() - start;
	figure->done = !rc;
	return rc ? lead_failed(bench, figure, rc) : 1;
}

/* In a small region there is room only when the reader has left the ring of the last figure. */
static int open_producer(struct bench *bench, const struct figure *figure, const struct vshm_producer_options *options,
			 struct vshm_producer **producer)
{
	int rc = -ENOSPC;
	for (unsigned i = 0; rc == -ENOSPC && i < OPEN_TRIES && !stop_asked(); i++) {
		if (i)
			observe_pause(CONNECT_LOOK_NS);
		rc = vshm_producer_open(bench->stream.region, figure->ring, options, producer);
	}
	return rc;
}

/* The reader's holding limit decides how many are on their way. Without room for a pool this figure is left out. */
static int open_pool(struct bench *bench, struct figure *figure)
{
	struct vshm_pool_options options = VSHM_POOL_OPTIONS_INIT;
	options.block_size = figure->size;
	options.size = LENT_BLOCKS * figure->size;
	int rc = vshm_pool_open(bench->stream.region, figure->ring, &options, &figure->pool);
	return rc == -ENOSPC ? 0 : rc;
}

/* The reader waits for a stream with an end. */
static int leave_out(struct bench *bench, const struct figure *figure, struct vshm_producer *producer)
{
	int rc = await_consumer(bench, figure);
	if (rc > 0 && vshm_producer_send(producer, NULL, 0, STREAM_SLICE_NS))
		rc = lead_failed(bench, figure, -EPIPE);
	return rc;
}

int bench_stream_lead(struct bench *bench, struct figure *figure)
{
	struct vshm_producer_options options = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *producer;
	if (figure->size + VSHM_RECORD_HEADER > VSHM_DEFAULT_RING_SIZE)
		options.ring_size = figure->size + VSHM_RECORD_HEADER;
	bool lends = figure->kind == BENCH_LEND;
	if (lends)
		options.ring_size = VSHM_MIN_RING * 4;
	int rc = open_producer(bench, figure, &options, &producer);
	if (!rc && lends)
		rc = open_pool(bench, figure);
	if (rc)
		return lead_failed(bench, figure, rc);
	void *payload = calloc(1, figure->size);
	size_t most = vshm_producer_max_record(producer);
	rc = -1;
	if (lends && !figure->pool)
		rc = leave_out(bench, figure, producer);
	else if (!lends && figure->size > most)
		(void)say_failed("records of %" PRIu64 " bytes do not fit the ring: at most --size %zu here",
				 figure->size, most);
	else if (!payload)
		(void)say_failed("no memory");
	else
		rc = measure(bench, figure, &producer, payload);
	if (producer)
		(void)vshm_producer_close(producer, 0);
	if (figure->pool) /* with blocks that the reader has not given back it goes with the region */
		(void)vshm_pool_close(figure->pool);
	free(payload);
	return rc;
}

/* ---- the second process ---- */

static int consume(struct vshm_consumer *consumer, const struct figure *figure, void *room)
{
	struct vshm_view views[BENCH_BURST];
	int count = vshm_consumer_peek_burst(consumer, views, figure->burst, STREAM_SLICE_NS);
	for (int i = 0; i < count; i++) {
		if (views[i].size == figure->size && figure->kind == BENCH_STREAM)
			memcpy(room, views[i].data, figure->size);
	}
	return count > 0 ? vshm_consumer_release(consumer) : count;
}

static int consume_all(struct bench *bench, const struct figure *figure, struct vshm_consumer *consumer, void *room)
{
	char why[VSHM_WHY_SIZE];
	int rc = 0;
	while (!stop_asked() && (!rc || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EHOSTDOWN))
		rc = consume(consumer, figure, room);
	if (rc == -ENODATA)
		return 1;
	if (stop_asked() || rc == -EPIPE) /* the first process knows why */
		return 0;
	(void)say_failed("ring '%s': %s", figure->ring, stream_why(&bench->stream, rc, why));
	return -1;
}

int bench_stream_follow(struct bench *bench, struct figure *figure)
{
	struct vshm_consumer *consumer;
	char why[VSHM_WHY_SIZE];
	void *room = calloc(1, figure->size);
	int rc = room ? vshm_consumer_open(bench->stream.region, figure->ring, NULL, &consumer) : -ENOMEM;
	if (rc) {
		(void)say_failed("ring '%s': %s", figure->ring, stream_why(&bench->stream, rc, why));
		free(room);
		return -1;
	}
	rc = consume_all(bench, figure, consumer, room);
	(void)vshm_consumer_close(consumer);
	free(room);
	return rc;
}
