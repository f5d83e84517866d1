/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boost::lockfree::spsc_queue with a capacity known at compile time, so that it needs no pointer and lies in shared
 * memory as it is. Elements are copied in by push() and read in place by consume_one() and consume_all(). It never
 * sleeps and trusts both sides. The one file here that is C++: the queue is nothing else.
 */
#include "loops.h"

#include <boost/lockfree/spsc_queue.hpp>
#include <new>

namespace
{

constexpr size_t room(size_t size)
{
	return size < 65536 ? 262144 : 16 * size; /* as the others have it; --ring comes too late for a constant */
}

template <size_t Size> struct message {
	uint64_t word[Size / 8];
};

template <size_t Size>
using queue = boost::lockfree::spsc_queue<message<Size>, boost::lockfree::capacity<room(Size) / Size>>;

template <size_t Size> struct both {
	alignas(BENCH_LINE) queue<Size> there;
	alignas(BENCH_LINE) queue<Size> back;
};

template <size_t Size> struct talk {
	bench_job *job;
	queue<Size> *out, *in;
	message<Size> data;
};

template <size_t Size> talk<Size> *talk_open(bench_job *job)
{
	static talk<Size> one;
	auto *rings = static_cast<both<Size> *>(job->memory);

	one.job = job;
	one.out = job->role ? &rings->back : &rings->there;
	one.in = job->role ? &rings->there : &rings->back;
	return &one;
}

template <size_t Size> int setup(bench_job *job)
{
	int rc = bench_map(job, sizeof(both<Size>));

	if (rc)
		return bench_error(job, "shared memory", rc);
	new (job->memory) both<Size>;
	return 0;
}

/* ---- one by one ---- */

template <size_t Size> int put(void *self, uint64_t counter)
{
	auto *t = static_cast<talk<Size> *>(self);

	bench_fill(&t->data, Size, counter);
	while (!t->out->push(t->data))
		;
	return 0;
}

template <size_t Size> int get(void *self, uint64_t counter)
{
	auto *t = static_cast<talk<Size> *>(self);
	uint64_t wrong = 0;

	while (!t->in->consume_one([&](const message<Size> &m) { wrong = bench_check(&m, Size, counter); }))
		if (bench_is_end(t->job, counter))
			return 0;
	return wrong ? -bench_error(t->job, "wrong bytes", 0) : 1;
}

template <size_t Size> int produce(bench_job *job)
{
	return bench_produce(job, talk_open<Size>(job), put<Size>);
}

template <size_t Size> int consume(bench_job *job)
{
	return bench_consume(job, talk_open<Size>(job), get<Size>);
}

/* ---- bursts ---- */

template <size_t Size> int produce_burst(bench_job *job)
{
	static message<Size> data[BENCH_BURST];
	auto *t = talk_open<Size>(job);
	uint64_t n = 0;

	bench_ready(job);
	while (bench_phase(job) != BENCH_STOP) {
		for (size_t i = 0; i < BENCH_BURST; i++)
			bench_fill(&data[i], Size, n + i);
		for (size_t done = 0; done < BENCH_BURST;)
			done += t->out->push(data + done, BENCH_BURST - done);
		n += BENCH_BURST;
	}
	bench_sent(job, n);
	return 0;
}

template <size_t Size> int consume_burst(bench_job *job)
{
	auto *t = talk_open<Size>(job);
	bench_meter meter;
	uint64_t n = 0, wrong = 0;

	bench_ready(job);
	bench_meter_init(&meter, job);
	while (t->in->consume_all([&](const message<Size> &m) { wrong |= bench_check(&m, Size, n++); }) ||
	       !bench_is_end(job, n)) {
		if (wrong)
			return bench_error(job, "wrong bytes", 0);
		if (bench_phase(job) != meter.phase)
			bench_meter_turn(&meter, bench_phase(job), n);
	}
	bench_meter_finish(&meter, n);
	return 0;
}

/* ---- there and back ---- */

template <size_t Size> int trip(void *arg, uint64_t n)
{
	return put<Size>(arg, n) || get<Size>(arg, ~n) != 1;
}

template <size_t Size> int ask(bench_job *job)
{
	auto *t = talk_open<Size>(job);
	int failed;

	bench_ready(job);
	failed = bench_ask(job, trip<Size>, t);
	bench_sent(job, job->control->sent);
	return failed;
}

template <size_t Size> int answer(bench_job *job)
{
	return bench_answer(job, talk_open<Size>(job), get<Size>, put<Size>);
}

} // namespace

/* The code for each size is another one: chosen when the job begins. */
#define BY_SIZE(name) \
	static int name##_any(bench_job *job) \
	{ \
		switch (job->size) { \
		case 8: \
			return name<8>(job); \
		case 48: \
			return name<48>(job); \
		case 64: \
			return name<64>(job); \
		case 256: \
			return name<256>(job); \
		case 1024: \
			return name<1024>(job); \
		case 4096: \
			return name<4096>(job); \
		case 65536: \
			return name<65536>(job); \
		default: \
			return bench_error(job, "not built for this size", 0); \
		} \
	}
BY_SIZE(setup)
BY_SIZE(produce)
BY_SIZE(consume)
BY_SIZE(produce_burst)
BY_SIZE(consume_burst)
BY_SIZE(ask)
BY_SIZE(answer)

#define CANDIDATE(...) BENCH_CANDIDATE(__VA_ARGS__, setup_any, bench_unmap)

extern "C" {
extern const struct bench_candidate bench_boost, bench_boost_burst, bench_boost_poll;
const struct bench_candidate bench_boost = CANDIDATE("boost", "boost spsc_queue, one by one", BENCH_STREAM, produce_any,
						     consume_any);
const struct bench_candidate bench_boost_burst = CANDIDATE("boost-burst", "boost spsc_queue, bursts", BENCH_STREAM,
							   produce_burst_any, consume_burst_any);
const struct bench_candidate bench_boost_poll = CANDIDATE("boost", "boost spsc_queue", BENCH_ROUND_POLL, ask_any,
							  answer_any);
}
