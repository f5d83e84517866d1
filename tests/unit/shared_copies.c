/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shared: copies by words, for what may be device memory. No machine here faults on an unaligned access to it; that only whole
 * words are touched is what the types say, so this is about the bytes.
 */
#include "shared/shared.h"
#include "unit.h"

#define WORDS 8u
#define MOST (WORDS * sizeof(uint64_t))

static struct vshmi_word64 words[WORDS + 1];
static unsigned char bytes[MOST + 16];

static void fill(unsigned char *to, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (unsigned char)(seed + 7 * i);
}

/* Every size, and the private side at every place: what is copied is right, and nothing beyond its last word is touched. */
START_TEST(out)
{
	unsigned char seen[sizeof(words)];

	for (size_t size = 0; size <= MOST; size++) {
		for (size_t at = 0; at < 9; at++) {
			size_t whole = (size + 7) / 8 * 8;

			memset(words, 0xee, sizeof(words));
			fill(bytes + at, size, (unsigned)size);
			vshmi_copy_out_words(words, bytes + at, size);
			memcpy(seen, words, sizeof(seen));
			ck_assert(!memcmp(seen, bytes + at, size));
			for (size_t i = size; i < sizeof(seen); i++)
				ck_assert_uint_eq(seen[i], i < whole ? 0 : 0xee);
		}
	}
}
END_TEST

START_TEST(in)
{
	unsigned char from[sizeof(words)];

	fill(from, sizeof(from), 3);
	memcpy(words, from, sizeof(words));
	for (size_t size = 0; size <= MOST; size++) {
		for (size_t at = 0; at < 9; at++) {
			memset(bytes, 0xee, sizeof(bytes));
			vshmi_copy_in_words(bytes + at, words, size);
			ck_assert(!memcmp(bytes + at, from, size));
			for (size_t i = 0; i < sizeof(bytes); i++)
				ck_assert(bytes[i] == 0xee || (i >= at && i < at + size));
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shared: copies");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, out);
	tcase_add_test(tc, in);
	suite_add_tcase(suite, tc);
	return unit_run("shared-copies", suite);
}
