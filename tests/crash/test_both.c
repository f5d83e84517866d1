/* SPDX-License-Identifier: BSD-3-Clause */
/* Both sides are killed, and the region that they leave behind is used again. */
#include "crash.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_fault(void *arg, const struct vshm_fault *f)
{
	(void)arg;
	fprintf(stderr, "peer %u: %s at 0x%llx: 0x%llx\n", f->peer, vshm_rule_text(f->rule),
		(unsigned long long)f->offset, (unsigned long long)f->value);
}

/* Dead peers leave lawful memory behind, whenever they died. */
static void check_remains(struct scene *s)
{
	struct vshm_region *o = scene_attach(s, VSHM_PEER_ANY, 0);

	ck_assert_int_eq(vshm_region_check(o, print_fault, NULL), 0);
	ck_assert_int_eq(vshm_region_close(o), 0);
}

/* After the murders both slots work, with a stream from the first record to the last. */
static void stream_in_order(struct scene *from, struct scene *to, uint64_t run)
{
	pid_t consumer = start_peer(to, "consume", 1, run, 30, -1);
	pid_t producer = start_peer(from, "produce", 0, run, 0, -1);
	int64_t end = support_now_ns() + SUPPORT_LONG;

	while (noted(from->notes->done) < 200 && !noted(from->notes->error) && support_now_ns() < end)
		support_sleep_us(500);
	note(from->notes->stop, 1);
	ck_assert_int_eq(support_wait(producer, SUPPORT_LONG), 0);
	ck_assert_int_eq(support_wait(consumer, SUPPORT_LONG), 0);
	ck_assert_uint_eq(noted(to->notes->first), 1);
	ck_assert_uint_eq(noted(to->notes->done), noted(from->notes->started));
}

static void kill_both(struct scene *from, struct scene *to, uint64_t run)
{
	struct killer one, two;

	killer_start_random(&one, start_peer(from, "produce", 0, run, 30, -1), from);
	killer_start_random(&two, start_peer(to, "consume", 1, run, 30, -1), to);
	killer_join(&one);
	killer_join(&two);
	ck_assert_uint_eq(noted(from->notes->error), 0);
	ck_assert_uint_eq(noted(to->notes->error), 0);
}

START_TEST(both_killed)
{
	unsigned count = kills(60) / 2 + 1;
	struct scene s, second;

	scene_open(&s, 2);
	scene_second(&second, &s);
	for (unsigned i = 0; i < count; i++) {
		kill_both(&s, &second, 2 * i + 1);
		check_remains(&s);
		if (i % 4 == 3)
			stream_in_order(&s, &second, 2 * i + 2);
	}
	stream_in_order(&s, &second, 2 * count + 2);
	(void)unlink(second.notes_path);
	scene_close(&s);
	printf("both killed: %u kills\n", 2 * count);
}
END_TEST

/* Killed while it attaches or detaches, again and again: slots are never lost. */
START_TEST(killed_at_the_door)
{
	unsigned count = kills(60);
	struct scene s;

	scene_open(&s, 2);
	for (unsigned i = 0; i < count; i++) {
		struct killer k;
		pid_t pid = start_peer(&s, "idle", i % 2, i, 0, -1);

		killer_start(&k, pid, NULL, (int64_t)support_below(&s.seed, SUPPORT_SANITIZED ? 60000 : 2500));
		killer_join(&k);
		ck_assert_uint_eq(noted(s.notes->error), 0);
		check_remains(&s);
	}
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(vshm_region_close(scene_attach(&s, i, 0)), 0);
	scene_close(&s);
	printf("killed while attaching: %u kills\n", count);
}
END_TEST

Suite *suite_both(void)
{
	Suite *s = suite_create("both");
	TCase *tc = tcase_create("both");

	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	tcase_add_test(tc, both_killed);
	tcase_add_test(tc, killed_at_the_door);
	suite_add_tcase(s, tc);
	return s;
}
