/* SPDX-License-Identifier: BSD-3-Clause */
/* base: names, option structs and URIs: what is accepted, and what is refused. */
#include "base/base.h"
#include "unit.h"

#include <vshm/types.h>

#define LENGTH_63 "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ."

/* ---- names ---- */

static const char *const good_names[] = {"a", "Z", "0", "net0", "a.b_c:d+e-f", "9-", LENGTH_63};
static const char *const bad_names[] = {
	NULL, "", ".", "..", "-a", "_a", ":a", "+a", " a", "a ", "a b", "a/b", "a\n", "a\x7f", "a\xc3\xa4", LENGTH_63 "x",
};

START_TEST(lawful_names)
{
	ck_assert_uint_eq(strlen(LENGTH_63), 63);
	ck_assert_msg(vshmi_name_ok(good_names[_i]), "%s", good_names[_i]);
}
END_TEST

START_TEST(unlawful_names)
{
	ck_assert(!vshmi_name_ok(bad_names[_i]));
}
END_TEST

START_TEST(only_these_characters)
{
	const char *first = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	char name[3] = "a?";

	for (int c = 1; c < 256; c++) {
		name[0] = (char)c;
		name[1] = '\0';
		ck_assert_int_eq(vshmi_name_ok(name), strchr(first, c) != NULL);
		name[0] = 'a';
		name[1] = (char)c;
		ck_assert_int_eq(vshmi_name_ok(name), strchr(first, c) || strchr("._:+-", c));
	}
}
END_TEST

START_TEST(name_fields)
{
	char field[VSHM_NAME_SIZE];

	memset(field, 0, sizeof(field));
	ck_assert(!vshmi_name_field_ok(field));
	memcpy(field, "net0", 4);
	ck_assert(vshmi_name_field_ok(field));
	for (size_t i = 5; i < sizeof(field); i++) {
		field[i] = 'x';
		ck_assert(!vshmi_name_field_ok(field));
		field[i] = '\0';
	}
	memset(field, 'x', sizeof(field));
	ck_assert(!vshmi_name_field_ok(field));
	field[63] = '\0';
	ck_assert(vshmi_name_field_ok(field));
}
END_TEST

/* ---- option structs ---- */

struct options {
	size_t struct_size;
	uint32_t flags;
	uint32_t count;
	uint64_t size;
};

struct newer_options {
	struct options known;
	uint64_t more[4];
};

static const struct options defaults = {sizeof(struct options), 1, 2, 3};

START_TEST(options_default_where_missing)
{
	struct options out, in = {sizeof(in), 10, 20, 30};

	ck_ok(vshmi_options_in(&out, &defaults, sizeof(out), NULL));
	ck_assert_mem_eq(&out, &defaults, sizeof(out));
	ck_ok(vshmi_options_in(&out, &defaults, sizeof(out), &in));
	ck_assert_mem_eq(&out, &in, sizeof(out));
	in.struct_size = offsetof(struct options, size);
	ck_ok(vshmi_options_in(&out, &defaults, sizeof(out), &in));
	ck_assert_uint_eq(out.struct_size, sizeof(out));
	ck_assert_uint_eq(out.count, 20);
	ck_assert_uint_eq(out.size, 3);
	in.struct_size = sizeof(size_t);
	ck_ok(vshmi_options_in(&out, &defaults, sizeof(out), &in));
	ck_assert_uint_eq(out.flags, 1);
}
END_TEST

START_TEST(options_of_a_newer_program)
{
	struct newer_options in = {.known = {sizeof(in), 10, 20, 30}};
	struct options out = {0};

	ck_ok(vshmi_options_in(&out, &defaults, sizeof(out), &in));
	ck_assert_uint_eq(out.size, 30);
	ck_assert_uint_eq(out.struct_size, sizeof(out));
	memset(&out, 0, sizeof(out));
	for (size_t i = 0; i < 4; i++) {
		in.more[i] = UINT64_C(1) << (16 * i);
		ck_is(vshmi_options_in(&out, &defaults, sizeof(out), &in), -E2BIG);
		in.more[i] = 0;
	}
	ck_assert_uint_eq(out.struct_size, 0);
}
END_TEST

START_TEST(options_with_a_senseless_size)
{
	struct options out = {0}, in = {0};

	ck_is(vshmi_options_in(&out, &defaults, sizeof(out), &in), -EINVAL);
	in.struct_size = sizeof(size_t) - 1;
	ck_is(vshmi_options_in(&out, &defaults, sizeof(out), &in), -EINVAL);
	in.struct_size = SIZE_MAX;
	ck_is(vshmi_options_in(&out, &defaults, sizeof(out), &in), -E2BIG);
}
END_TEST

START_TEST(structs_that_are_filled)
{
	const struct options filled = {sizeof(filled), 10, 20, 30};
	struct options out = {sizeof(out), 0, 0, 0};
	struct newer_options newer = {.known = {sizeof(newer), 0, 0, 0}};

	ck_is(vshmi_options_out(NULL, &filled, sizeof(filled)), -EINVAL);
	ck_ok(vshmi_options_out(&out, &filled, sizeof(filled)));
	ck_assert_mem_eq(&out, &filled, sizeof(out));
	memset(&out, 0, sizeof(out));
	ck_is(vshmi_options_out(&out, &filled, sizeof(filled)), -EINVAL);
	out.struct_size = offsetof(struct options, size);
	ck_ok(vshmi_options_out(&out, &filled, sizeof(filled)));
	ck_assert_uint_eq(out.struct_size, offsetof(struct options, size));
	ck_assert_uint_eq(out.count, 20);
	ck_assert_uint_eq(out.size, 0);
	ck_ok(vshmi_options_out(&newer, &filled, sizeof(filled)));
	ck_assert_uint_eq(newer.known.struct_size, sizeof(newer));
	ck_assert_uint_eq(newer.known.size, 30);
	newer.more[3] = 1;
	ck_is(vshmi_options_out(&newer, &filled, sizeof(filled)), -E2BIG);
}
END_TEST

/* ---- URIs ---- */

struct good_uri {
	const char *text, *scheme, *path, *owner;
	uint32_t peer;
};

static const struct good_uri good_uris[] = {
	{"file:/dev/shm/net0", "file", "/dev/shm/net0", "", VSHM_PEER_ANY},
	{"/dev/shm/net0", "file", "/dev/shm/net0", "", VSHM_PEER_ANY},
	{"./net0", "file", "./net0", "", VSHM_PEER_ANY},
	{"/a:b", "file", "/a:b", "", VSHM_PEER_ANY},
	{"inproc:x", "inproc", "x", "", VSHM_PEER_ANY},
	{"vshm:net0?peer=0", "vshm", "net0", "", 0},
	{"file:/a?peer=63", "file", "/a", "", 63},
	{"file:/a?peer=07", "file", "/a", "", 7},
	{"/a?owner=vm1", "file", "/a", "vm1", VSHM_PEER_ANY},
	{"/a?owner=1000&peer=3", "file", "/a", "1000", 3},
	{"/a?peer=3&owner=x", "file", "/a", "x", 3},
	{"vfio-platform:dev.0", "vfio-platform", "dev.0", "", VSHM_PEER_ANY},
	{"ivshmem:0000:00:05.0", "ivshmem", "0000:00:05.0", "", VSHM_PEER_ANY},
	{"file:/a b\xc3\xa4&c=d", "file", "/a b\xc3\xa4&c=d", "", VSHM_PEER_ANY},
};

START_TEST(lawful_uris)
{
	const struct good_uri *expected = &good_uris[_i];
	struct vshmi_uri uri;
	const char *bad = "untouched";

	ck_ok(vshmi_uri_parse(expected->text, &uri, &bad));
	ck_assert_str_eq(uri.scheme, expected->scheme);
	ck_assert_str_eq(uri.path, expected->path);
	ck_assert_str_eq(uri.owner, expected->owner);
	ck_assert_uint_eq(uri.peer, expected->peer);
}
END_TEST

static const char *const bad_uris[] = {
	NULL, "", ":", ":x", "file", "net0", "file:", "file:?peer=1", "FILE:/a", "f_x:/a", "-a:/b", "0x:/b", "toolongascheme01:/a",
	"/a?", "/a?peer", "/a?peer=", "/a?peer=64", "/a?peer=-1", "/a?peer=+1", "/a?peer=1x", "/a?peer= 1", "/a?peer=001",
	"/a?peer=4294967296", "/a?owner=", "/a?peer=1&", "/a?&peer=1", "/a?peer=1&peer=1", "/a?owner=x&owner=y",
	"/a?colour=red", "/a?=", "/a\n", "/a\x1b[31m", "/a\x7f", "/a?owner=\t",
	"/a?owner=0123456789012345678901234567890123456789012345678901234567890123",
};

START_TEST(unlawful_uris)
{
	struct vshmi_uri uri, before;
	const char *bad = NULL;

	memset(&uri, 0x5a, sizeof(uri));
	before = uri;
	ck_is(vshmi_uri_parse(bad_uris[_i], &uri, &bad), -EINVAL);
	ck_assert_ptr_nonnull(bad);
	ck_assert_uint_gt(strlen(bad), 5);
	ck_assert_mem_eq(&uri, &before, sizeof(uri));
}
END_TEST

START_TEST(long_paths)
{
	char text[1100];
	struct vshmi_uri uri;
	const char *bad;

	memset(text, 'x', sizeof(text));
	text[0] = '/';
	text[1023] = '\0';
	ck_ok(vshmi_uri_parse(text, &uri, &bad));
	ck_assert_str_eq(uri.path, text);
	text[1023] = 'x';
	text[1024] = '\0';
	ck_is(vshmi_uri_parse(text, &uri, &bad), -EINVAL);
}
END_TEST

#define count_of(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("base: text");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, lawful_names, 0, count_of(good_names));
	tcase_add_loop_test(tc, unlawful_names, 0, count_of(bad_names));
	tcase_add_test(tc, only_these_characters);
	tcase_add_test(tc, name_fields);
	tcase_add_test(tc, options_default_where_missing);
	tcase_add_test(tc, options_of_a_newer_program);
	tcase_add_test(tc, options_with_a_senseless_size);
	tcase_add_test(tc, structs_that_are_filled);
	tcase_add_loop_test(tc, lawful_uris, 0, count_of(good_uris));
	tcase_add_loop_test(tc, unlawful_uris, 0, count_of(bad_uris));
	tcase_add_test(tc, long_paths);
	suite_add_tcase(suite, tc);
	return unit_run("base-text", suite);
}
