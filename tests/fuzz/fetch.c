/* SPDX-License-Identifier: BSD-3-Clause */
/* The hooks of shared/hooks.h for the fuzzers. See fetch.h. */
#include "fetch.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE 4096u /* a power of two, more than any call may load */
#define HINTS 8

static const uint8_t *input;
static size_t input_size;
static unsigned until_mutation;

static struct {
	const void *word;
	uint64_t call; /* in which it was loaded last */
} loaded[TABLE];
static uint64_t call;
static unsigned loads_left;
static const void *hints[HINTS];
static unsigned hint_count;
static const void *renewed_by;

static volatile uint8_t sink;

void fetch_fail(const char *what)
{
	fprintf(stderr, "fetch: %s\n", what);
	abort();
}

/* ---- the input ---- */

void fetch_begin(const uint8_t *data, size_t size)
{
	input = data;
	input_size = size;
	hint_count = 0;
	renewed_by = NULL;
	until_mutation = fetch_byte();
	fetch_call(0);
}

bool fetch_empty(void)
{
	return !input_size;
}

uint8_t fetch_byte(void)
{
	if (!input_size)
		return 0;
	input_size--;
	return *input++;
}

uint64_t fetch_word(void)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < 8; i++)
		word = word << 8 | fetch_byte();
	return word;
}

uint64_t fetch_value(uint64_t near)
{
	uint8_t how = fetch_byte();

	switch (how % 8) {
	case 0:
		return 0;
	case 1: /* what makes sums overflow */
		return how & 8 ? UINT64_MAX - how / 16 : 0 - (UINT64_C(1) << fetch_byte() % 64);
	case 2:
		return fetch_word();
	case 3:
		return near ^ UINT64_C(1) << fetch_byte() % 64;
	case 4:
		return near + how / 8;
	case 5:
		return near - how / 8;
	case 6:
		return near + 8 * (uint64_t)fetch_byte();
	default:
		return near - 8 * (uint64_t)fetch_byte();
	}
}

/* ---- loads ---- */

void fetch_call(unsigned loads)
{
	call++;
	loads_left = loads;
}

void fetch_hint(const void *word)
{
	if (hint_count == HINTS)
		abort();
	hints[hint_count++] = word;
}

void fetch_renewed_by(const void *word)
{
	renewed_by = word;
}

static bool is_hint(const void *word)
{
	for (unsigned i = 0; i < hint_count; i++)
		if (hints[i] == word)
			return true;
	return false;
}

static void count_load(const void *word)
{
	uintptr_t slot = ((uintptr_t)word >> 2) * 0x9e37u & (TABLE - 1);

	if (!loads_left--)
		fetch_fail("more loads than the call may do");
	if (word == renewed_by)
		call++;
	while (loaded[slot].call == call && loaded[slot].word != word)
		slot = (slot + 1) & (TABLE - 1);
	if (loaded[slot].call == call && !is_hint(word))
		fetch_fail("a word was loaded twice in one call");
	loaded[slot].word = word;
	loaded[slot].call = call;
}

uint64_t vshmi_hook_load(const void *word, unsigned size, enum vshmi_hook_order order)
{
	uint64_t value = 0, other;

	(void)order;
	count_load(word);
	memcpy(&value, word, size);
	if (!until_mutation--) {
		other = fetch_value(value);
		memcpy((void *)(uintptr_t)word, &other, size);
		until_mutation = fetch_byte();
	}
	return value;
}

void vshmi_hook_store(void *word, unsigned size, uint64_t value, enum vshmi_hook_order order)
{
	(void)order;
	memcpy(word, &value, size);
}

bool vshmi_hook_compare_exchange(void *word, uint32_t expected, uint32_t wanted)
{
	(void)word;
	(void)expected;
	(void)wanted;
	fetch_fail("compare-and-swap on a data path");
}

void vshmi_hook_fence(enum vshmi_hook_fence fence)
{
	(void)fence;
}

void vshmi_hook_copy_in(void *private_copy, const void *shared, size_t size)
{
	memcpy(private_copy, shared, size);
}

void vshmi_hook_copy_out(void *shared, const void *private_copy, size_t size)
{
	memcpy(shared, private_copy, size);
}

void vshmi_hook_call_begins(void) {}

void fetch_read(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
	sink = sum; /* or the compiler leaves the loop out, and the sanitizer sees nothing */
}
