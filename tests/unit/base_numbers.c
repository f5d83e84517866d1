/* SPDX-License-Identifier: BSD-3-Clause */
/* base: arithmetic at the edges of 64 bits, the checksum, and the texts of errors and rules. */
#include "base/base.h"
#include "unit.h"

#include <vshm/error.h>
#include <vshm/layout.h>
#include <vshm/version.h>

START_TEST(round_up_to_power_of_two)
{
	ck_assert_uint_eq(vshmi_round_up_power_of_two(0), 1);
	ck_assert_uint_eq(vshmi_round_up_power_of_two(1), 1);
	ck_assert_uint_eq(vshmi_round_up_power_of_two(2), 2);
	ck_assert_uint_eq(vshmi_round_up_power_of_two(3), 4);
	ck_assert_uint_eq(vshmi_round_up_power_of_two((UINT64_C(1) << 63) - 1), UINT64_C(1) << 63);
	ck_assert_uint_eq(vshmi_round_up_power_of_two(UINT64_C(1) << 63), UINT64_C(1) << 63);
	ck_assert_uint_eq(vshmi_round_up_power_of_two((UINT64_C(1) << 63) + 1), 0);
	ck_assert_uint_eq(vshmi_round_up_power_of_two(UINT64_MAX), 0);
	for (unsigned bit = 2; bit < 63; bit++) {
		uint64_t power = UINT64_C(1) << bit;

		ck_assert_uint_eq(vshmi_round_up_power_of_two(power - 1), power);
		ck_assert_uint_eq(vshmi_round_up_power_of_two(power), power);
		ck_assert_uint_eq(vshmi_round_up_power_of_two(power + 1), power << 1);
	}
}
END_TEST

START_TEST(ranges)
{
	ck_assert(vshmi_range_fits(0, 0, 0));
	ck_assert(vshmi_range_fits(0, 8, 8));
	ck_assert(vshmi_range_fits(8, 0, 8));
	ck_assert(!vshmi_range_fits(8, 1, 8));
	ck_assert(!vshmi_range_fits(9, 0, 8));
	ck_assert(!vshmi_range_fits(0, 9, 8));
	ck_assert(!vshmi_range_fits(UINT64_MAX, 2, UINT64_MAX));
	ck_assert(!vshmi_range_fits(2, UINT64_MAX, UINT64_MAX));
	ck_assert(!vshmi_range_fits(UINT64_MAX, UINT64_MAX, 8));
	ck_assert(vshmi_range_fits(UINT64_MAX - 1, 1, UINT64_MAX));
}
END_TEST

START_TEST(alignment)
{
	ck_assert_uint_eq(vshmi_align_up(0, 8), 0);
	ck_assert_uint_eq(vshmi_align_up(1, 8), 8);
	ck_assert_uint_eq(vshmi_align_up(65537, 65536), 131072);
	ck_assert_uint_eq(vshmi_align_down(65535, 65536), 0);
	ck_assert_uint_eq(vshmi_align_down(UINT64_MAX, 4096), UINT64_MAX - 4095);
	ck_assert(vshmi_is_power_of_two(1));
	ck_assert(vshmi_is_power_of_two(UINT64_C(1) << 63));
	ck_assert(!vshmi_is_power_of_two(0));
	ck_assert(!vshmi_is_power_of_two(3));
}
END_TEST

/* RFC 3720 appendix B.4. */
/* A hundred in a row within 20 ms are met with a hundred naps; slower ones are not. */
START_TEST(floods)
{
	struct vshmi_flood flood = {0, 0, 0};
	int64_t now = 0;

	for (unsigned i = 0; i < 1000; i++)
		vshmi_flood_note(&flood, now += 300000);
	ck_assert(!vshmi_flood_nap(&flood));
	for (unsigned i = 0; i < 200 && !flood.naps; i++)
		vshmi_flood_note(&flood, now += 1000);
	for (unsigned i = 0; i < 100; i++)
		ck_assert(vshmi_flood_nap(&flood));
	ck_assert(!vshmi_flood_nap(&flood));
	for (unsigned i = 0; i < 99; i++)
		vshmi_flood_note(&flood, now += 1000);
	ck_assert(!vshmi_flood_nap(&flood));
}
END_TEST

START_TEST(checksum_of_the_standard)
{
	unsigned char bytes[32];

	memset(bytes, 0, sizeof(bytes));
	ck_assert_uint_eq(vshmi_crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(vshmi_crc32c(0, bytes, 32), 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		bytes[i] = (unsigned char)i;
	ck_assert_uint_eq(vshmi_crc32c(0, bytes, 32), 0x46dd794e);
	for (unsigned i = 0; i < 32; i++)
		bytes[i] = (unsigned char)(31 - i);
	ck_assert_uint_eq(vshmi_crc32c(0, bytes, 32), 0x113fdb5c);
	ck_assert_uint_eq(vshmi_crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(vshmi_crc32c(0, bytes, 0), 0);
}
END_TEST

START_TEST(checksum_in_pieces)
{
	unsigned char bytes[VSHM_SUPERBLOCK_SIZE];
	uint64_t random = support_seed();
	uint32_t whole;

	support_fill(bytes, sizeof(bytes), random);
	whole = vshmi_crc32c(0, bytes, sizeof(bytes));
	ck_assert_uint_eq(whole, support_crc32c(bytes, sizeof(bytes)));
	for (int i = 0; i < 100; i++) {
		size_t cut = support_below(&random, sizeof(bytes) + 1);
		uint32_t first = vshmi_crc32c(0, bytes, cut);

		ck_assert_uint_eq(vshmi_crc32c(first, bytes + cut, sizeof(bytes) - cut), whole);
	}
}
END_TEST

static const int errors[] = {
	EINVAL, E2BIG, EAGAIN,	   ETIMEDOUT,	    ENOMEM,	ENOSPC, EMSGSIZE, ENODATA, EPIPE,  ESTALE, EHOSTDOWN,
	EPROTO, EPROTONOSUPPORT, EOPNOTSUPP, ENODEV, EBUSY, EEXIST, EACCES,   ENOENT,  ECHILD, ECANCELED, EIO,
};

START_TEST(every_error_has_a_text_of_its_own)
{
	const char *unknown = vshm_strerror(-100000);

	ck_assert_str_eq(vshm_strerror(0), "success");
	ck_assert_str_eq(vshm_strerror(7), "success");
	ck_assert_ptr_nonnull(vshm_strerror(INT32_MIN));
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		ck_assert_str_ne(vshm_strerror(-errors[i]), unknown);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(vshm_strerror(-errors[i]), vshm_strerror(-errors[j]));
	}
}
END_TEST

START_TEST(every_rule_has_a_text_of_its_own)
{
	const char *unknown = vshm_rule_text(VSHM_RULE_COUNT);

	ck_assert_str_eq(unknown, vshm_rule_text(UINT32_MAX));
	for (uint32_t i = 0; i < VSHM_RULE_COUNT; i++) {
		ck_assert_msg(strcmp(vshm_rule_text(i), unknown) != 0, "rule %u has no text", i);
		for (uint32_t j = 0; j < i; j++)
			ck_assert_str_ne(vshm_rule_text(i), vshm_rule_text(j));
	}
}
END_TEST

START_TEST(version_is_that_of_the_headers)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", VSHM_VERSION_MAJOR, VSHM_VERSION_MINOR, VSHM_VERSION_PATCH);
	ck_assert_str_eq(vshm_version(), text);
	ck_assert_str_eq(vshm_version(), VSHM_VERSION);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base: numbers");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, round_up_to_power_of_two);
	tcase_add_test(tc, ranges);
	tcase_add_test(tc, alignment);
	tcase_add_test(tc, floods);
	tcase_add_test(tc, checksum_of_the_standard);
	tcase_add_test(tc, checksum_in_pieces);
	tcase_add_test(tc, every_error_has_a_text_of_its_own);
	tcase_add_test(tc, every_rule_has_a_text_of_its_own);
	tcase_add_test(tc, version_is_that_of_the_headers);
	suite_add_tcase(suite, tc);
	return unit_run("base-numbers", suite);
}
