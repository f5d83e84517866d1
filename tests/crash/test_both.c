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

static pid_t start_with(struct scene *s, struct notes *notes, const char *path, const char *role, vshm_peer peer,
			uint64_t run)
{
	struct scene other = *s;

	snprintf(other.notes_path, sizeof(other.notes_path), "%s", path);
	other.notes = notes;
	return start_peer(&other, role, peer, run, 30, -1);
}

/* After the murders both slots work, with a stream from the first record to the last. */
static void stream_in_order(struct scene *s, struct notes *second, const char *path, uint64_t run)
{
	pid_t consumer = start_with(s, second, path, "consume", 1, run);
	pid_t producer = start_peer(s, "produce", 0, run, 0, -1);
	int64_t end = support_now_ns() + SUPPORT_LONG;

	while (noted(s->notes->done) < 200 && !noted(s->notes->error) && support_now_ns() < end)
		support_sleep_us(500);
	note(s->notes->stop, 1);
	ck_assert_int_eq(support_wait(producer, SUPPORT_LONG), 0);
	ck_assert_int_eq(support_wait(consumer, SUPPORT_LONG), 0);
	ck_assert_uint_eq(noted(second->first), 1);
	ck_assert_uint_eq(noted(second->done), noted(s->notes->done));
}

START_TEST(both_killed)
{
	unsigned count = kills(60) / 2 + 1;
	struct notes *second;
	struct scene s;
	char path[600];

	scene_open(&s, 2);
	snprintf(path, sizeof(path), "%s2", s.notes_path);
	second = map_notes(path);
	ck_assert_ptr_nonnull(second);
	for (unsigned i = 0; i < count; i++) {
		struct killer one, two;

		killer_start_random(&one, start_peer(&s, "produce", 0, 2 * i + 1, 30, -1), &s);
		killer_start_random(&two, start_with(&s, second, path, "consume", 1, 2 * i + 1), &s);
		killer_join(&one);
		killer_join(&two);
		ck_assert_uint_eq(noted(s.notes->error), 0);
		ck_assert_uint_eq(noted(second->error), 0);
		check_remains(&s);
		if (i % 4 == 3)
			stream_in_order(&s, second, path, 2 * i + 2);
	}
	stream_in_order(&s, second, path, 2 * count + 2);
	(void)unlink(path);
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
	tcase_add_test(tc, both_killed);
	tcase_add_test(tc, killed_at_the_door);
	suite_add_tcase(s, tc);
	return s;
}
