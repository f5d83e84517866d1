/* SPDX-License-Identifier: BSD-3-Clause */
/* A fuzz target without the fuzzer: a number of inputs by chance, the same ones each time. plain COUNT [SEED] */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LONGEST 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t chance(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 0, seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	uint8_t *input = malloc(LONGEST);

	if (!count || !input) {
		fprintf(stderr, "usage: %s COUNT [SEED]\n", argv[0]);
		return 2;
	}
	for (uint64_t i = 0; i < count; i++) {
		size_t size = chance(&seed) % LONGEST;

		for (size_t b = 0; b < size; b++)
			input[b] = (uint8_t)chance(&seed);
		(void)LLVMFuzzerTestOneInput(input, size);
	}
	printf("%llu inputs\n", (unsigned long long)count);
	free(input);
	return 0;
}
