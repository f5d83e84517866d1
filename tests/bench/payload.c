/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is in a message. In a file of its own and never inlined: a compiler that sees both the payload and
 * the ring at once moves work between them, and the result is off by up to three times.
 */
#include "bench.h"

#define BENCH_SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define BENCH_STEP UINT64_C(0x0101010101010101)

__attribute__((noinline)) void bench_fill(void *data, size_t size, uint64_t counter)
{
	uint64_t *word = data;
	uint64_t value = counter * BENCH_SPREAD;

	for (size_t i = 0; i < size / 8; i++)
		word[i] = value + i * BENCH_STEP;
}

__attribute__((noinline)) uint64_t bench_check(const void *data, size_t size, uint64_t counter)
{
	const uint64_t *word = data;
	uint64_t value = counter * BENCH_SPREAD, wrong = 0;

	for (size_t i = 0; i < size / 8; i++)
		wrong |= word[i] ^ (value + i * BENCH_STEP);
	return wrong;
}
