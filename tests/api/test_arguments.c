/* SPDX-License-Identifier: BSD-3-Clause */
/* NULL, zero and huge for every public function, and what the functions without a region say. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define is_invalid(call) ck_assert_msg((call) == -EINVAL, "%s", #call)

START_TEST(null_regions)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	struct vshm_peer_info peer = VSHM_PEER_INFO_INIT;
	struct vshm_end_info end = VSHM_END_INFO_INIT;
	struct vshm_region *r = NULL;
	struct vshm_producer *p = NULL;
	struct vshm_consumer *c = NULL;
	struct vshm_doorbell *bell = NULL;
	char why[VSHM_WHY_SIZE];

	is_invalid(vshm_region_create(NULL, NULL, NULL));
	is_invalid(vshm_region_create(NULL, NULL, why));
	is_invalid(vshm_region_destroy(NULL, NULL));
	is_invalid(vshm_region_register(NULL, "inproc:x", NULL));
	is_invalid(vshm_region_register(NULL, NULL, NULL));
	is_invalid(vshm_region_open(NULL, NULL, &r, NULL));
	is_invalid(vshm_region_open("inproc:x", NULL, NULL, NULL));
	is_invalid(vshm_region_open(NULL, NULL, NULL, why));
	is_invalid(vshm_region_close(NULL));
	is_invalid(vshm_region_status(NULL));
	is_invalid(vshm_region_why(NULL, why));
	is_invalid(vshm_region_info(NULL, &info));
	is_invalid(vshm_region_peer(NULL, 0, &peer));
	is_invalid(vshm_region_end(NULL, 0, 0, &end));
	is_invalid(vshm_region_check(NULL, NULL, NULL));
	is_invalid(vshm_region_evict(NULL, 0, 0, NULL));
	is_invalid(vshm_doorbell_open(NULL, &bell, why));
	is_invalid(vshm_doorbell_open("server:/x", NULL, NULL));
	is_invalid(vshm_doorbell_close(NULL));
	is_invalid(vshm_doorbell_ring(NULL, 0));
	is_invalid(vshm_doorbell_wait(NULL, 0));
	ck_assert_uint_eq(vshm_doorbell_address(NULL), VSHM_DOORBELL_NONE);
	ck_is(vshm_doorbell_open("inproc:x", &bell, why), -ENOENT);
	is_invalid(vshm_producer_open(NULL, "x", NULL, &p));
	is_invalid(vshm_consumer_open(NULL, "x", NULL, &c));
}
END_TEST

START_TEST(null_ends)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct vshm_fault f = VSHM_FAULT_INIT;
	struct vshm_view v;
	size_t size;
	void *data;

	is_invalid(vshm_producer_reserve(NULL, 1, &data, 0));
	is_invalid(vshm_producer_commit(NULL, 1, 0));
	is_invalid(vshm_producer_flush(NULL));
	is_invalid(vshm_producer_send(NULL, "x", 1, 0));
	is_invalid(vshm_producer_reserve_burst(NULL, 1, &data, 1, 0));
	is_invalid(vshm_producer_commit_burst(NULL, 1, 0));
	is_invalid(vshm_producer_close(NULL, 0));
	is_invalid(vshm_producer_close(NULL, VSHM_FOREVER));
	is_invalid(vshm_producer_counters(NULL, &n));
	is_invalid(vshm_producer_fault(NULL, &f));
	ck_assert_uint_eq(vshm_producer_max_record(NULL), 0);
	is_invalid(vshm_consumer_peek(NULL, &v, 0));
	is_invalid(vshm_consumer_release(NULL));
	is_invalid(vshm_consumer_peek_burst(NULL, &v, 1, 0));
	is_invalid(vshm_consumer_recv(NULL, &v, 1, &size, 0));
	is_invalid(vshm_consumer_close(NULL));
	is_invalid(vshm_consumer_connected(NULL));
	is_invalid(vshm_consumer_counters(NULL, &n));
	is_invalid(vshm_consumer_fault(NULL, &f));
}
END_TEST

START_TEST(null_outputs)
{
	struct vshm_producer *p = NULL;
	struct vshm_consumer *c = NULL;
	struct pair t;
	char byte;
	size_t n;

	pair_open(&t, _i, 4096);
	is_invalid(vshm_region_why(t.a, NULL));
	is_invalid(vshm_region_info(t.a, NULL));
	is_invalid(vshm_region_peer(t.a, 0, NULL));
	is_invalid(vshm_region_end(t.a, 0, 0, NULL));
	is_invalid(vshm_producer_open(t.a, NULL, NULL, &p));
	is_invalid(vshm_producer_open(t.a, "x", NULL, NULL));
	is_invalid(vshm_consumer_open(t.a, NULL, NULL, &c));
	is_invalid(vshm_consumer_open(t.a, "x", NULL, NULL));
	is_invalid(vshm_producer_reserve(t.p, 1, NULL, 0));
	is_invalid(vshm_producer_reserve(t.p, 1, NULL, VSHM_FOREVER));
	is_invalid(vshm_producer_reserve_burst(t.p, 1, NULL, 1, 0));
	is_invalid(vshm_producer_send(t.p, NULL, 1, 0));
	is_invalid(vshm_producer_counters(t.p, NULL));
	is_invalid(vshm_producer_fault(t.p, NULL));
	is_invalid(vshm_consumer_peek(t.c, NULL, 0));
	is_invalid(vshm_consumer_peek_burst(t.c, NULL, 1, 0));
	is_invalid(vshm_consumer_recv(t.c, NULL, 1, &n, 0));
	is_invalid(vshm_consumer_recv(t.c, &byte, 1, NULL, 0));
	is_invalid(vshm_consumer_counters(t.c, NULL));
	is_invalid(vshm_consumer_fault(t.c, NULL));
	put(t.p, t.c, 9, 1);
	get(t.c, 9, 1);
	pair_close(&t);
}
END_TEST

START_TEST(huge_numbers)
{
	struct vshm_peer_info peer = VSHM_PEER_INFO_INIT;
	struct vshm_end_info end = VSHM_END_INFO_INIT;
	struct vshm_view v;
	struct pair t;
	size_t n = 0;
	void *data;
	char byte;

	pair_open(&t, _i, 4096);
	is_invalid(vshm_region_peer(t.a, UINT32_MAX, &peer));
	is_invalid(vshm_region_peer(t.a, 64, &peer));
	is_invalid(vshm_region_end(t.a, UINT32_MAX, 0, &end));
	is_invalid(vshm_region_end(t.a, 0, VSHM_ENTRIES, &end));
	is_invalid(vshm_region_end(t.a, 0, UINT32_MAX, &end));
	is_invalid(vshm_producer_commit(t.p, SIZE_MAX, UINT32_MAX));
	is_invalid(vshm_producer_commit_burst(t.p, UINT_MAX, 0));
	is_invalid(vshm_producer_reserve_burst(t.p, 1, &data, UINT_MAX, VSHM_FOREVER));
	is_invalid(vshm_consumer_peek_burst(t.c, &v, UINT_MAX, VSHM_FOREVER));
	ck_is(vshm_producer_send(t.p, &byte, SIZE_MAX, VSHM_FOREVER), -EMSGSIZE);
	put(t.p, t.c, 1, 1);
	ck_ok(vshm_consumer_recv(t.c, &byte, SIZE_MAX, &n, 0)); /* a lie about the buffer: one byte is copied */
	ck_assert_uint_eq(n, 1);
	pair_close(&t);
}
END_TEST

START_TEST(zero_sized)
{
	struct vshm_view v = {NULL, 1};
	struct pair t;
	size_t n = 9;
	void *data;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_producer_reserve(t.p, 0, &data, 0));
	ck_ok(vshm_producer_commit(t.p, 0, 0));
	ck_ok(vshm_consumer_peek(t.c, &v, 0));
	ck_assert_uint_eq(v.size, 0);
	ck_ok(vshm_consumer_release(t.c));
	ck_ok(vshm_producer_send(t.p, "", 0, 0));
	ck_ok(vshm_consumer_recv(t.c, NULL, 0, &n, 0)); /* room for nothing is enough for nothing */
	ck_assert_uint_eq(n, 0);
	ck_is(vshm_producer_reserve_burst(t.p, 0, &data, 1, 0), 1);
	ck_ok(vshm_producer_commit_burst(t.p, 0, 0)); /* gives the burst up */
	ck_is(vshm_producer_commit_burst(t.p, 1, 0), -EINVAL);
	get_nothing(t.c, -EAGAIN);
	pair_close(&t);
}
END_TEST

START_TEST(why_is_empty_until_something_fails)
{
	char why[VSHM_WHY_SIZE] = "x";
	struct pair t;

	pair_open(&t, _i, 4096);
	ck_ok(vshm_region_why(t.b, why));
	ck_assert_str_eq(why, "");
	pair_close(&t);
}
END_TEST

static const int codes[] = {
	0,	 -EINVAL, -E2BIG,  -EAGAIN, -ETIMEDOUT, -ENOMEM, -ENOSPC, -EMSGSIZE,	    -ENODATA,
	-EPIPE,	 -ESTALE, -EPROTO, -ENODEV, -EHOSTDOWN, -EBUSY,	 -EEXIST, -EPROTONOSUPPORT, -EOPNOTSUPP,
	-EACCES, -ENOENT, -ECHILD, -EIO,    -ECANCELED,
};
#define CODES (sizeof(codes) / sizeof(codes[0]))

START_TEST(every_code_has_a_text_of_its_own)
{
	for (size_t i = 0; i < CODES; i++) {
		const char *text = vshm_strerror(codes[i]);

		ck_assert(text && strlen(text) > 3);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(text, vshm_strerror(codes[k]));
	}
	ck_assert_str_eq(vshm_strerror(17), vshm_strerror(0)); /* a count is success */
	ck_assert_str_eq(vshm_strerror(INT_MAX), vshm_strerror(0));
	ck_assert_ptr_nonnull(vshm_strerror(INT_MIN));
	ck_assert_ptr_nonnull(vshm_strerror(-99999));
}
END_TEST

START_TEST(every_rule_has_a_text_of_its_own)
{
	for (uint32_t i = 1; i < VSHM_RULE_COUNT; i++) {
		const char *text = vshm_rule_text(i);

		ck_assert(text && strlen(text) > 3);
		for (uint32_t k = 1; k < i; k++)
			ck_assert_str_ne(text, vshm_rule_text(k));
	}
	ck_assert_ptr_nonnull(vshm_rule_text(0));
	ck_assert_ptr_nonnull(vshm_rule_text(VSHM_RULE_COUNT));
	ck_assert_ptr_nonnull(vshm_rule_text(UINT32_MAX));
}
END_TEST

START_TEST(version_matches_headers)
{
	ck_assert_str_eq(vshm_version(), VSHM_VERSION);
}
END_TEST

Suite *suite_arguments(void)
{
	Suite *s = suite_create("arguments");
	TCase *tc = tcase_create("arguments");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_test(tc, null_regions);
	tcase_add_test(tc, null_ends);
	add_everywhere(tc, null_outputs);
	add_everywhere(tc, huge_numbers);
	add_everywhere(tc, zero_sized);
	add_everywhere(tc, why_is_empty_until_something_fails);
	tcase_add_test(tc, every_code_has_a_text_of_its_own);
	tcase_add_test(tc, every_rule_has_a_text_of_its_own);
	tcase_add_test(tc, version_matches_headers);
	suite_add_tcase(s, tc);
	return s;
}
