/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is in a message. In a file of its own and never inlined: a compiler that sees both the payload and
 * the ring at once moves work between them, and the result is off by up to three times. Small vectors, four
 * chains of additions, so that memory is the limit.
 */
#include "bench.h"

#define BENCH_SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define BENCH_STEP UINT64_C(0x0101010101010101)

typedef uint64_t pair __attribute__((vector_size(16)));
typedef uint64_t loose_pair __attribute__((vector_size(16), aligned(8), may_alias));

/* How long this side dawdles over each message, in turns of an empty loop; for experiments. */
static unsigned turns;

void bench_dawdle(unsigned count)
{
	turns = count;
}

static inline void dawdle(void)
{
	for (unsigned i = 0; i < turns; i++)
		__asm__ volatile("");
}

/* Words i and i + 1 of the message whose first word is in both halves of `value`. */
#define BEGIN(value, i) ((value) + (pair){(i)*BENCH_STEP, ((i) + 1) * BENCH_STEP})

static const pair lot_step = {8 * BENCH_STEP, 8 * BENCH_STEP};

__attribute__((noinline)) void bench_fill(void *data, size_t size, uint64_t counter)
{
	uint64_t *word = data;
	uint64_t value = counter * BENCH_SPREAD;
	size_t left = size / 8;

	dawdle();
	if (left >= 8) {
		pair first = {value, value};
		pair a = BEGIN(first, 0), b = BEGIN(first, 2), c = BEGIN(first, 4), d = BEGIN(first, 6);
		loose_pair *p = data;

		for (; left >= 8; left -= 8, p += 4) {
			p[0] = a;
			p[1] = b;
			p[2] = c;
			p[3] = d;
			a += lot_step;
			b += lot_step;
			c += lot_step;
			d += lot_step;
		}
		word = (uint64_t *)p;
		value = a[0];
	}
	for (; left; left--, value += BENCH_STEP)
		*word++ = value;
}

__attribute__((noinline)) uint64_t bench_check(const void *data, size_t size, uint64_t counter)
{
	const uint64_t *word = data;
	uint64_t value = counter * BENCH_SPREAD, wrong = 0;
	size_t left = size / 8;

	dawdle();
	if (left >= 8) {
		pair first = {value, value};
		pair a = BEGIN(first, 0), b = BEGIN(first, 2), c = BEGIN(first, 4), d = BEGIN(first, 6);
		pair odd = {0, 0}, even = {0, 0};
		const loose_pair *p = data;

		for (; left >= 8; left -= 8, p += 4) {
			odd |= (p[0] ^ a) | (p[1] ^ b);
			even |= (p[2] ^ c) | (p[3] ^ d);
			a += lot_step;
			b += lot_step;
			c += lot_step;
			d += lot_step;
		}
		odd |= even;
		wrong = odd[0] | odd[1];
		word = (const uint64_t *)p;
		value = a[0];
	}
	for (; left; left--, value += BENCH_STEP)
		wrong |= *word++ ^ value;
	return wrong;
}
