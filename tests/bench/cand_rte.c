/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's rte_ring, one producer and one consumer, in shared memory of our own and without the rest of DPDK: elements of
 * the message's size, written and read in place ("zero-copy"), in bursts of up to 32 and one by one. It never
 * sleeps and trusts both sides.
 */
#include "loops.h"

#ifdef BENCH_HAVE_RTE
#include <rte_ring.h>
#include <rte_ring_peek_zc.h>

#define MIN_SLOTS 4u

struct talk {
	struct bench_job *job;
	struct rte_ring *out, *in;
	unsigned size;
};

/* As many as the room takes that every candidate is given; the ring holds one less. */
static unsigned ring_count(const struct bench_job *job)
{
	unsigned count = MIN_SLOTS;

	while (2 * count * job->size <= job->ring_bytes)
		count *= 2;
	return count;
}

static size_t ring_space(const struct bench_job *job)
{
	size_t space = (size_t)rte_ring_get_memsize_elem((unsigned)job->size, ring_count(job));

	return (space + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE;
}

static struct rte_ring *ring(const struct bench_job *job, int which)
{
	return (struct rte_ring *)(void *)((char *)job->memory + (size_t)which * ring_space(job));
}

static int setup(struct bench_job *job)
{
	int rc = bench_map(job, 2 * ring_space(job));

	for (int i = 0; i < 2 && !rc; i++)
		rc = rte_ring_init(ring(job, i), "bench", ring_count(job), RING_F_SP_ENQ | RING_F_SC_DEQ);
	return rc ? bench_error(job, "rte_ring", rc) : 0;
}

static struct talk talk_open(struct bench_job *job)
{
	return (struct talk){job, ring(job, job->role), ring(job, !job->role), (unsigned)job->size};
}

/* ---- one by one ---- */

static inline int put(void *self, uint64_t counter)
{
	const struct talk *talk = self;
	struct rte_ring_zc_data place;

	while (!rte_ring_enqueue_zc_burst_elem_start(talk->out, talk->size, 1, &place, NULL))
		;
	bench_fill(place.ptr1, talk->size, counter);
	rte_ring_enqueue_zc_elem_finish(talk->out, 1);
	return 0;
}

static inline int get(void *self, uint64_t counter)
{
	const struct talk *talk = self;
	struct rte_ring_zc_data place;

	while (!rte_ring_dequeue_zc_burst_elem_start(talk->in, talk->size, 1, &place, NULL))
		if (bench_is_end(talk->job, counter))
			return 0;
	if (bench_check(place.ptr1, talk->size, counter))
		return -bench_error(talk->job, "wrong bytes", 0);
	rte_ring_dequeue_zc_elem_finish(talk->in, 1);
	return 1;
}

static int produce(struct bench_job *job)
{
	struct talk talk = talk_open(job);

	return bench_produce(job, &talk, put);
}

static int consume(struct bench_job *job)
{
	struct talk talk = talk_open(job);

	return bench_consume(job, &talk, get);
}

/* ---- bursts ---- */

static inline void fill_run(char *data, unsigned size, unsigned count, uint64_t counter)
{
	for (unsigned i = 0; i < count; i++, data += size)
		bench_fill(data, size, counter + i);
}

static inline uint64_t check_run(const char *data, unsigned size, unsigned count, uint64_t counter)
{
	uint64_t wrong = 0;

	for (unsigned i = 0; i < count; i++, data += size)
		wrong |= bench_check(data, size, counter + i);
	return wrong;
}

static int produce_burst(struct bench_job *job)
{
	struct talk talk = talk_open(job);
	struct rte_ring_zc_data place;
	uint64_t n = 0;
	unsigned got;

	bench_ready(job);
	while (bench_phase(job) != BENCH_STOP) {
		got = rte_ring_enqueue_zc_burst_elem_start(talk.out, talk.size, BENCH_BURST, &place, NULL);
		if (!got)
			continue;
		fill_run(place.ptr1, talk.size, place.n1, n);
		fill_run(place.ptr2, talk.size, got - place.n1, n + place.n1);
		rte_ring_enqueue_zc_elem_finish(talk.out, got);
		n += got;
	}
	bench_sent(job, n);
	return 0;
}

static int consume_burst(struct bench_job *job)
{
	struct talk talk = talk_open(job);
	struct rte_ring_zc_data place;
	struct bench_meter meter;
	uint64_t n = 0;
	unsigned got, phase;

	bench_ready(job);
	bench_meter_init(&meter, job);
	while ((got = rte_ring_dequeue_zc_burst_elem_start(talk.in, talk.size, BENCH_BURST, &place, NULL)) ||
	       !bench_is_end(job, n)) {
		if (!got)
			continue;
		if (check_run(place.ptr1, talk.size, place.n1, n) ||
		    check_run(place.ptr2, talk.size, got - place.n1, n + place.n1))
			return bench_error(job, "wrong bytes", 0);
		rte_ring_dequeue_zc_elem_finish(talk.in, got);
		n += got;
		phase = bench_phase(job);
		if (phase != meter.phase)
			bench_meter_turn(&meter, phase, n);
	}
	bench_meter_finish(&meter, n);
	return 0;
}

/* ---- there and back ---- */

static int trip(void *arg, uint64_t n)
{
	return put(arg, n) || get(arg, ~n) != 1;
}

static int ask(struct bench_job *job)
{
	struct talk talk = talk_open(job);
	int failed;

	bench_ready(job);
	failed = bench_ask(job, trip, &talk);
	bench_sent(job, job->control->sent);
	return failed;
}

static int answer(struct bench_job *job)
{
	struct talk talk = talk_open(job);

	return bench_answer(job, &talk, get, put);
}

#define CANDIDATE(...) BENCH_CANDIDATE(__VA_ARGS__, setup, bench_unmap)
#else
#define CANDIDATE(name, label, work, ...) BENCH_ABSENT(name, label, work, "libdpdk-dev")
#endif

const struct bench_candidate bench_rte_burst = CANDIDATE("rte-burst", "rte_ring, bursts of 32", BENCH_STREAM,
							 produce_burst, consume_burst);
const struct bench_candidate bench_rte = CANDIDATE("rte", "rte_ring, one by one", BENCH_STREAM, produce, consume);
const struct bench_candidate bench_rte_poll = CANDIDATE("rte", "rte_ring", BENCH_ROUND_POLL, ask, answer);
