/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Structs that carry their size: shorter ones come from older programs, longer ones from newer programs whose
 * additions must be zero. One table, every call that takes such a struct.
 */
#include <stdio.h>
#include <string.h>

#include "world.h"

/* A struct with a tail that this library does not know. */
union stretched {
	size_t struct_size;
	struct vshm_create_options create;
	struct vshm_open_options open;
	struct vshm_producer_options producer;
	struct vshm_consumer_options consumer;
	struct vshm_region_info region;
	struct vshm_peer_info peer;
	struct vshm_end_info end;
	struct vshm_counters counters;
	struct vshm_fault fault;
	unsigned char bytes[2048];
};

static int call_create(struct pair *t, union stretched *s)
{
	char uri[PATH_MAX];
	int rc;

	snprintf(uri, sizeof(uri), "inproc:options-%s", t->w.name);
	rc = vshm_region_create(uri, &s->create, NULL);
	if (!rc)
		ck_ok(vshm_region_destroy(uri, NULL));
	return rc;
}

static int call_open(struct pair *t, union stretched *s)
{
	struct vshm_region *r = NULL;
	char uri[PATH_MAX + 16];
	int rc;

	snprintf(uri, sizeof(uri), "%.4000s?peer=2", t->w.uri);
	rc = vshm_region_open(uri, &s->open, &r, NULL);
	if (!rc)
		ck_ok(vshm_region_close(r));
	return rc;
}

static int call_producer(struct pair *t, union stretched *s)
{
	struct vshm_producer *p = NULL;
	int rc = vshm_producer_open(t->a, "options", &s->producer, &p);

	if (!rc)
		(void)vshm_producer_close(p, 0);
	return rc;
}

static int call_consumer(struct pair *t, union stretched *s)
{
	struct vshm_consumer *c = NULL;
	int rc = vshm_consumer_open(t->a, "options", &s->consumer, &c);

	if (!rc)
		ck_ok(vshm_consumer_close(c));
	return rc;
}

static int call_info(struct pair *t, union stretched *s)
{
	return vshm_region_info(t->a, &s->region);
}

static int call_peer(struct pair *t, union stretched *s)
{
	return vshm_region_peer(t->a, 1, &s->peer);
}

/* The first entry in use. */
static int call_end(struct pair *t, union stretched *s)
{
	int rc = -ENOENT;

	for (uint32_t i = 0; i < VSHM_ENTRIES && rc == -ENOENT; i++)
		rc = vshm_region_end(t->a, 0, i, &s->end);
	return rc;
}

static int call_producer_counters(struct pair *t, union stretched *s)
{
	return vshm_producer_counters(t->p, &s->counters);
}

static int call_consumer_counters(struct pair *t, union stretched *s)
{
	return vshm_consumer_counters(t->c, &s->counters);
}

static const struct {
	const char *name;
	size_t size;
	int (*call)(struct pair *t, union stretched *s);
	int is_input;
} structs[] = {
	{"create", sizeof(struct vshm_create_options), call_create, 1},
	{"open", sizeof(struct vshm_open_options), call_open, 1},
	{"producer", sizeof(struct vshm_producer_options), call_producer, 1},
	{"consumer", sizeof(struct vshm_consumer_options), call_consumer, 1},
	{"region info", sizeof(struct vshm_region_info), call_info, 0},
	{"peer info", sizeof(struct vshm_peer_info), call_peer, 0},
	{"end info", sizeof(struct vshm_end_info), call_end, 0},
	{"producer counters", sizeof(struct vshm_counters), call_producer_counters, 0},
	{"consumer counters", sizeof(struct vshm_counters), call_consumer_counters, 0},
};
#define STRUCTS (int)(sizeof(structs) / sizeof(structs[0]))

static void initialise(union stretched *s, int which)
{
	static const struct vshm_create_options create = VSHM_CREATE_OPTIONS_INIT;
	static const struct vshm_open_options open = VSHM_OPEN_OPTIONS_INIT;
	static const struct vshm_producer_options producer_options = VSHM_PRODUCER_OPTIONS_INIT;
	static const struct vshm_consumer_options consumer_options = VSHM_CONSUMER_OPTIONS_INIT;
	static const void *const defaults[] = {&create, &open, &producer_options, &consumer_options};

	memset(s, 0, sizeof(*s));
	if (structs[which].is_input)
		memcpy(s, defaults[which], structs[which].size);
	s->struct_size = structs[which].size;
}

static void expect(struct pair *t, int which, union stretched *s, int code)
{
	size_t size = s->struct_size;
	int rc = structs[which].call(t, s);

	ck_assert_msg(rc == code, "%s with struct_size %zu: %d, wanted %d", structs[which].name, size, rc, code);
}

/* Three slots: two for the pair, one to open and close. */
static void three(struct pair *t)
{
	world_create(&t->w, 0, 3, 1 << 19);
	t->a = world_open(&t->w, 0);
	t->b = world_open(&t->w, 1);
	t->p = producer(t->a, "ring", 4096, 0);
	t->c = consumer(t->b, "ring", 0);
	connect_ends(t->p, t->c);
}

START_TEST(exact_size)
{
	union stretched s;
	struct pair t;

	three(&t);
	initialise(&s, _i);
	expect(&t, _i, &s, 0);
	pair_close(&t);
}
END_TEST

START_TEST(no_size)
{
	static const size_t sizes[] = {0, 1, sizeof(size_t) - 1};
	union stretched s;
	struct pair t;

	three(&t);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		initialise(&s, _i);
		s.struct_size = sizes[i];
		expect(&t, _i, &s, -EINVAL);
	}
	pair_close(&t);
}
END_TEST

/* An older program: what it does not know gets its default, and nothing beyond its struct is touched. */
START_TEST(short_size)
{
	union stretched s;
	struct pair t;

	three(&t);
	for (size_t size = sizeof(size_t); size < structs[_i].size; size += 8) {
		initialise(&s, _i);
		memset(s.bytes + size, 0xa5, sizeof(s) - size);
		s.struct_size = size;
		expect(&t, _i, &s, 0);
		for (size_t i = size; i < sizeof(s); i++)
			ck_assert_uint_eq(s.bytes[i], 0xa5);
	}
	pair_close(&t);
}
END_TEST

START_TEST(long_size)
{
	union stretched s;
	struct pair t;

	three(&t);
	for (size_t size = structs[_i].size + 1; size <= structs[_i].size + 100; size += 11) {
		initialise(&s, _i);
		s.struct_size = size;
		expect(&t, _i, &s, 0);
		initialise(&s, _i);
		s.struct_size = size;
		s.bytes[size - 1] = 1;
		expect(&t, _i, &s, -E2BIG);
	}
	pair_close(&t);
}
END_TEST

START_TEST(absurd_size)
{
	static const size_t sizes[] = {65536, SIZE_MAX / 2, SIZE_MAX};
	union stretched s;
	struct pair t;

	three(&t);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		initialise(&s, _i);
		s.struct_size = sizes[i];
		expect(&t, _i, &s, -E2BIG);
	}
	pair_close(&t);
}
END_TEST

START_TEST(unknown_flags)
{
	union stretched s;
	struct pair t;

	three(&t);
	for (unsigned bit = 3; bit < 32; bit++) {
		initialise(&s, 0);
		s.create.flags = 1u << bit;
		expect(&t, 0, &s, -EINVAL);
		initialise(&s, 1);
		s.open.flags = 1u << bit;
		expect(&t, 1, &s, -EINVAL);
		initialise(&s, 2);
		s.producer.flags = 1u << bit;
		expect(&t, 2, &s, -EINVAL);
		initialise(&s, 3);
		s.consumer.flags = 1u << bit;
		expect(&t, 3, &s, -EINVAL);
	}
	pair_close(&t);
}
END_TEST

Suite *suite_options(void)
{
	Suite *s = suite_create("options");
	TCase *tc = tcase_create("options");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_loop_test(tc, exact_size, 0, STRUCTS);
	tcase_add_loop_test(tc, no_size, 0, STRUCTS);
	tcase_add_loop_test(tc, short_size, 0, STRUCTS);
	tcase_add_loop_test(tc, long_size, 0, STRUCTS);
	tcase_add_loop_test(tc, absurd_size, 0, STRUCTS);
	tcase_add_test(tc, unknown_flags);
	suite_add_tcase(s, tc);
	return s;
}
