/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Concurrency Kit's ck_ring, one producer and one consumer, in shared memory: messages are written in place
 * into slots, and the ring carries pointers to them. It never sleeps and trusts both sides.
 */
#include "bench.h"

#ifdef BENCH_HAVE_CK
#include <ck_ring.h>

#define MIN_SLOTS 4u
#define MAX_SLOTS 1024u

/* One way. The ring holds count - 1; one is being read and one written: slots = count + 1. */
struct way {
	ck_ring_t ring;
	unsigned slots;
	size_t stride;
	ck_ring_buffer_t *buffer;
	char *data;
};

struct both {
	alignas(BENCH_LINE) struct way there;
	alignas(BENCH_LINE) struct way back;
};

static unsigned ring_count(const struct bench_job *job)
{
	unsigned count = MIN_SLOTS;

	while (count < MAX_SLOTS && 2 * count * job->size <= job->ring_bytes)
		count *= 2;
	return count;
}

static size_t round_up(size_t size)
{
	return (size + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE;
}

static char *way_init(struct way *way, const struct bench_job *job, char *memory)
{
	unsigned count = ring_count(job);

	ck_ring_init(&way->ring, count);
	way->slots = count + 1;
	way->stride = job->size;
	way->buffer = (void *)memory;
	way->data = memory + round_up(count * sizeof(ck_ring_buffer_t));
	return way->data + round_up(way->slots * way->stride);
}

static int setup(struct bench_job *job)
{
	unsigned count = ring_count(job);
	size_t each = round_up(count * sizeof(ck_ring_buffer_t)) + round_up((count + 1) * job->size);
	int rc = bench_map(job, round_up(sizeof(struct both)) + 2 * each);
	struct both *both = job->memory;

	if (rc)
		return bench_error(job, "shared memory", rc);
	way_init(&both->back, job, way_init(&both->there, job, (char *)both + round_up(sizeof(*both))));
	return 0;
}

/* The next slot without a division. */
static inline unsigned next(const struct way *way, unsigned slot)
{
	return slot + 1 == way->slots ? 0 : slot + 1;
}

static inline void put(struct way *way, unsigned slot, size_t size, uint64_t counter)
{
	char *data = way->data + slot * way->stride;

	bench_fill(data, size, counter);
	while (!ck_ring_enqueue_spsc(&way->ring, way->buffer, data))
		;
}

static int produce(struct bench_job *job)
{
	struct way *way = &((struct both *)job->memory)->there;
	unsigned slot = 0;
	uint64_t n = 0;

	bench_ready(job);
	while (bench_phase(job) != BENCH_STOP)
		for (unsigned i = 0; i < job->batch; i++, n++) {
			put(way, slot, job->size, n);
			slot = next(way, slot);
		}
	job->control->sent = n;
	atomic_store(&job->control->end, n + 1);
	return 0;
}

/* NULL: the other side has ended and everything was read. */
static inline void *get(struct bench_job *job, struct way *way, uint64_t n)
{
	void *data;

	while (!ck_ring_dequeue_spsc(&way->ring, way->buffer, &data))
		if (atomic_load_explicit(&job->control->end, memory_order_relaxed) == n + 1)
			return NULL;
	return data;
}

static int consume(struct bench_job *job)
{
	struct way *way = &((struct both *)job->memory)->there;
	struct bench_meter meter;
	uint64_t n = 0;
	void *data;

	bench_ready(job);
	bench_meter_init(&meter, job);
	while ((data = get(job, way, n))) {
		if (bench_check(data, job->size, n))
			return bench_error(job, "wrong bytes", 0);
		bench_tick(&meter, ++n);
	}
	bench_meter_finish(&meter, n);
	return 0;
}

struct talk {
	struct bench_job *job;
	struct both *both;
	unsigned slot;
};

static int trip(void *arg, uint64_t n)
{
	struct talk *talk = arg;
	void *data;

	put(&talk->both->there, talk->slot, talk->job->size, n);
	talk->slot = next(&talk->both->there, talk->slot);
	while (!ck_ring_dequeue_spsc(&talk->both->back.ring, talk->both->back.buffer, &data))
		;
	return bench_check(data, talk->job->size, ~n) ? bench_error(talk->job, "wrong bytes", 0) : 0;
}

static int ask(struct bench_job *job)
{
	struct talk talk = {job, job->memory, 0};
	int failed;

	bench_ready(job);
	failed = bench_ask(job, trip, &talk);
	atomic_store(&job->control->end, job->control->sent + 1);
	return failed;
}

static int answer(struct bench_job *job)
{
	struct both *both = job->memory;
	unsigned slot = 0;
	uint64_t n = 0;
	void *data;

	bench_ready(job);
	for (; (data = get(job, &both->there, n)); n++) {
		if (bench_check(data, job->size, n))
			return bench_error(job, "wrong bytes", 0);
		put(&both->back, slot, job->size, ~n);
		slot = next(&both->back, slot);
	}
	job->control->received = n;
	return 0;
}

#define CANDIDATE(...) BENCH_CANDIDATE(__VA_ARGS__, setup, bench_unmap)
#else
#define CANDIDATE(name, label, work, ...) BENCH_ABSENT(name, label, work, "libck-dev")
#endif

const struct bench_candidate bench_ck = CANDIDATE("ck_ring", "ck_ring", BENCH_STREAM, produce, consume);
const struct bench_candidate bench_ck_poll = CANDIDATE("ck_ring", "ck_ring", BENCH_ROUND_POLL, ask, answer);
