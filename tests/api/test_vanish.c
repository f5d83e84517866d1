/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that goes away: files truncated while they are mapped, with the SIGBUS guard. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "world.h"

static void guarded_pair(struct pair *t, int transport)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;

	world_create(&t->w, transport, 2, 65536);
	o.flags = VSHM_OPEN_GUARD;
	o.peer = 0;
	t->a = world_open_with(&t->w, &o);
	o.peer = 1;
	t->b = world_open_with(&t->w, &o);
	t->p = producer(t->a, "ring", 4096, 0);
	t->c = consumer(t->b, "ring", 0);
	connect_ends(t->p, t->c);
	put(t->p, t->c, 100, 1);
}

static void cut(const struct world *w, vshm_peer peer, off_t size)
{
	char path[PATH_MAX];

	world_segment_path(w, peer, path, sizeof(path));
	ck_assert_int_eq(truncate(path, size), 0);
}

/* Calls go on being made, none of them crashes, and soon each says that the memory is gone. */
static void ends_say_gone(struct pair *t)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	int sent = 0, got = 0;
	struct vshm_view v;

	while (sent != -ENODEV || got != -ENODEV) {
		ck_assert_msg(support_now_ns() < end, "producer says %d, consumer %d", sent, got);
		sent = vshm_producer_send(t->p, "x", 1, SUPPORT_MS);
		got = vshm_consumer_peek(t->c, &v, SUPPORT_MS);
		if (!got)
			(void)vshm_consumer_release(t->c);
	}
}

START_TEST(truncated_while_mapped)
{
	static const off_t sizes[] = {0, 4096, VSHM_MIN_PAGE};
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	struct pair t;

	if (world_kind(_i) == WORLD_INPROC || world_kind(_i) == WORLD_HUGE)
		return; /* no file to truncate; hugetlbfs refuses these sizes */
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		guarded_pair(&t, _i);
		cut(&t.w, 0, sizes[i]);
		if (t.w.kind == WORLD_SPLIT)
			cut(&t.w, 1, sizes[i]);
		ends_say_gone(&t);
		wait_status(t.a, -ENODEV);
		wait_status(t.b, -ENODEV);
		ck_ok(vshm_region_info(t.a, &info)); /* private knowledge stays */
		(void)vshm_producer_close(t.p, SUPPORT_MS);
		(void)vshm_consumer_close(t.c);
		ck_ok(vshm_region_close(t.a));
		ck_ok(vshm_region_close(t.b));
		(void)!vshm_region_destroy(t.w.create_uri, NULL);
		(void)unlink(t.w.path);
	}
}
END_TEST

/* Another region of this process is not concerned. */
START_TEST(others_go_on)
{
	struct pair gone, well;

	guarded_pair(&gone, 0);
	guarded_pair(&well, 0);
	cut(&gone.w, 0, 0);
	ends_say_gone(&gone);
	get(well.c, 100, 1);
	put(well.p, well.c, 50, 2);
	get(well.c, 50, 2);
	ck_ok(vshm_region_status(well.a));
	ck_ok(vshm_region_close(gone.a));
	ck_ok(vshm_region_close(gone.b));
	(void)unlink(gone.w.path);
	pair_close(&well);
}
END_TEST

static sigjmp_buf escape;

static void on_sigbus(int signal)
{
	(void)signal;
	siglongjmp(escape, 1);
}

/* A file of the program's own, shorter than its mapping: a touch is SIGBUS. */
static volatile unsigned char *short_mapping(void)
{
	char path[PATH_MAX];
	void *map;
	int fd;

	snprintf(path, sizeof(path), "%s/short", support_dir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	(void)close(fd);
	(void)unlink(path);
	return map;
}

/* The program's own handler still gets the faults that are its own. */
START_TEST(guard_passes_on_what_is_not_its_own)
{
	volatile unsigned char *mine = short_mapping();
	struct sigaction action;
	struct pair t;
	volatile int caught = 0;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_sigbus;
	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
	guarded_pair(&t, 0);
	if (sigsetjmp(escape, 1) == 0)
		mine[0] = 1;
	else
		caught = 1;
	ck_assert_int_eq(caught, 1);
	cut(&t.w, 0, 0);
	ends_say_gone(&t);
	ck_ok(vshm_region_close(t.a));
	ck_ok(vshm_region_close(t.b));
	(void)unlink(t.w.path);
}
END_TEST

/* One who sleeps for a record is told too. */
START_TEST(sleeper_is_told)
{
	struct vshm_view v;
	struct pair t;

	guarded_pair(&t, 0);
	get(t.c, 100, 1);
	cut(&t.w, 0, 0);
	ck_is(vshm_consumer_peek(t.c, &v, SUPPORT_LONG), -ENODEV);
	ck_ok(vshm_region_close(t.a));
	ck_ok(vshm_region_close(t.b));
	(void)unlink(t.w.path);
}
END_TEST

Suite *suite_vanish(void)
{
	Suite *s = suite_create("vanish");
	TCase *tc = tcase_create("vanish");

	tcase_set_timeout(tc, 90);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	if (SUPPORT_TSAN) {
		printf("skip: vanish: ThreadSanitizer's atomic operations must not be interrupted by SIGBUS\n");
		suite_add_tcase(s, tc);
		return s;
	}
	add_everywhere(tc, truncated_while_mapped);
	tcase_add_test(tc, others_go_on);
	tcase_add_test(tc, guard_passes_on_what_is_not_its_own);
	tcase_add_test(tc, sleeper_is_told);
	suite_add_tcase(s, tc);
	return s;
}
