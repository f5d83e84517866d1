/* SPDX-License-Identifier: BSD-3-Clause */
/* wait: the steps of a sleep and their order; and a real sleep that is ended by its word. */
#include "unit.h"

#include <pthread.h>

#define vshmi_membarrier fake_membarrier
#define vshmi_futex_wait fake_futex_wait
#include "wait/sleep.c"
#undef vshmi_futex_wait

int vshmi_futex_wait(const uint32_t *const words[], const uint32_t expected[], unsigned count, int64_t timeout_ns);

#define TIMEOUT INT64_C(7654321)

static char steps[64]; /* a letter each */
static struct vshmi_word32 words[VSHMI_WAIT_WORDS];
static int look_says, futex_says;
static uint64_t armed_first, armed_again;
static bool membarrier_works, real_futex;
static unsigned waited_for;

static void step(char letter)
{
	size_t length = strlen(steps);

	ck_assert_uint_lt(length, sizeof(steps) - 1);
	steps[length] = letter;
}

bool fake_membarrier(void)
{
	step('b');
	return membarrier_works;
}

int fake_futex_wait(const uint32_t *const addresses[], const uint32_t expected[], unsigned count, int64_t timeout_ns)
{
	step('s');
	if (real_futex)
		return vshmi_futex_wait(addresses, expected, count, timeout_ns);
	waited_for = count;
	ck_assert_int_eq(timeout_ns, TIMEOUT);
	for (unsigned i = 0; i < count; i++) {
		ck_assert_ptr_eq(addresses[i], vshmi_futex_address(&words[i]));
		ck_assert_uint_eq(expected[i], 1000 + i);
	}
	return futex_says;
}

/* Words change from now on: what was noted must have been noted before. */
static uint64_t arm(void *end)
{
	bool again = strchr(steps, 'a');

	ck_assert_ptr_eq(end, steps);
	step('a');
	for (unsigned i = 0; i < VSHMI_WAIT_WORDS; i++)
		vshmi_store32(&words[i], 5);
	return again ? armed_again : armed_first;
}

static int look(void *end)
{
	ck_assert_ptr_eq(end, steps);
	step('l');
	return look_says;
}

static void disarm(void *end)
{
	ck_assert_ptr_eq(end, steps);
	step('d');
}

static int sleep_once(unsigned count, bool light, bool *slept)
{
	struct vshmi_sleeper sleeper = {
		.look = look, .arm = arm, .disarm = disarm, .end = steps, .light = light, .count = count};

	memset(steps, 0, sizeof(steps));
	for (unsigned i = 0; i < VSHMI_WAIT_WORDS; i++) {
		sleeper.words[i] = &words[i];
		vshmi_store32(&words[i], 1000 + i);
	}
	return vshmi_sleep_once(&sleeper, TIMEOUT, slept);
}

static void setup(void)
{
	look_says = -EAGAIN;
	futex_says = 0;
	armed_first = armed_again = 24;
	membarrier_works = true;
	real_futex = false;
	waited_for = 0;
}

START_TEST(nothing_there_sleeps)
{
	bool slept = false;

	ck_is(sleep_once(3, true, &slept), -EAGAIN);
	ck_assert(slept);
	ck_assert_str_eq(steps, "ablasd");
	ck_assert_uint_eq(waited_for, 3);
	ck_is(sleep_once(VSHMI_WAIT_WORDS, false, &slept), -EAGAIN);
	ck_assert_str_eq(steps, "alasd"); /* a fence of its own instead of the membarrier */
	ck_assert_uint_eq(waited_for, VSHMI_WAIT_WORDS);
}
END_TEST

START_TEST(something_there_does_not)
{
	const int says[] = {0, 1, -EPROTO, -EPIPE, -ECANCELED};

	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		bool slept = true;

		look_says = says[i];
		ck_is(sleep_once(1, true, &slept), says[i]);
		ck_assert(!slept);
		ck_assert_str_eq(steps, "abld");
	}
}
END_TEST

/* The look met a pad: the position that was armed is not the one to sleep for. */
START_TEST(another_position_does_not_sleep)
{
	bool slept = true;

	armed_again = 32;
	ck_is(sleep_once(1, true, &slept), -EAGAIN);
	ck_assert(!slept);
	ck_assert_str_eq(steps, "ablad");
}
END_TEST

START_TEST(a_denied_membarrier_is_no_reason_not_to_sleep)
{
	bool slept = false;

	membarrier_works = false;
	ck_is(sleep_once(1, true, &slept), -EAGAIN);
	ck_assert(slept);
	ck_assert_str_eq(steps, "ablasd");
}
END_TEST

START_TEST(unreadable_words_are_told)
{
	bool slept;

	futex_says = -EFAULT;
	ck_is(sleep_once(1, true, &slept), -EFAULT);
	ck_assert_str_eq(steps, "ablasd"); /* disarmed all the same */
}
END_TEST

/* ---- for a descriptor ---- */

static uint64_t next_position;

static uint64_t arm_another(void *end)
{
	(void)arm(end);
	return next_position++;
}

static int stay(uint64_t (*arm_with)(void *end), bool *stands)
{
	struct vshmi_sleeper sleeper = {.look = look, .arm = arm_with, .disarm = disarm, .end = steps, .light = true};

	memset(steps, 0, sizeof(steps));
	return vshmi_stay_armed(&sleeper, stands);
}

START_TEST(nothing_there_stays_armed)
{
	bool stands = false;

	ck_is(stay(arm, &stands), -EAGAIN);
	ck_assert(stands);
	ck_assert_str_eq(steps, "abla");
}
END_TEST

START_TEST(something_there_does_not_stay_armed)
{
	bool stands = true;

	look_says = -EPIPE;
	ck_is(stay(arm, &stands), -EPIPE);
	ck_assert(!stands);
	ck_assert_str_eq(steps, "abld");
}
END_TEST

/* The look met a pad: armed anew. One that changes for ever is given up. */
START_TEST(another_position_is_armed_anew)
{
	bool stands = false;

	armed_again = 32; /* from the second arming on */
	ck_is(stay(arm, &stands), -EAGAIN);
	ck_assert(stands);
	ck_assert_str_eq(steps, "ablaabla");
	ck_is(stay(arm_another, &stands), -EAGAIN);
	ck_assert(!stands);
	ck_assert_uint_lt(strlen(steps), sizeof(steps) - 1);
}
END_TEST

/* ---- many words ---- */

START_TEST(a_word_is_listened_to_once)
{
	static struct vshmi_word32 more[VSHMI_WAIT_WORDS + 1];
	struct vshmi_sleeper sleeper = {.count = 0};

	for (unsigned i = 0; i < VSHMI_WAIT_WORDS; i++)
		for (unsigned twice = 0; twice < 2; twice++)
			vshmi_sleeper_add(&sleeper, &more[i]);
	ck_assert_uint_eq(sleeper.count, VSHMI_WAIT_WORDS);
	ck_assert(!sleeper.deaf);
	vshmi_sleeper_add(&sleeper, &more[VSHMI_WAIT_WORDS]);
	ck_assert_uint_eq(sleeper.count, VSHMI_WAIT_WORDS);
	ck_assert(sleeper.deaf);
}
END_TEST

/* ---- really asleep ---- */

static uint64_t arm_only(void *end)
{
	(void)end;
	return 8;
}

static void *change_last_word(void *unused)
{
	support_sleep_us(20000);
	vshmi_store_release32(&words[2], 1);
	vshmi_futex_wake(vshmi_futex_address(&words[2]));
	return unused;
}

static struct vshmi_sleeper real_sleeper(void)
{
	memset(steps, 0, sizeof(steps));
	memset(words, 0, sizeof(words));
	real_futex = true;
	return (struct vshmi_sleeper){.look = look,
				      .arm = arm_only,
				      .disarm = disarm,
				      .end = steps,
				      .count = 3,
				      .words = {&words[0], &words[1], &words[2]}};
}

START_TEST(a_change_ends_the_sleep)
{
	struct vshmi_sleeper sleeper = real_sleeper();
	int64_t begin = support_now_ns();
	pthread_t thread;
	bool slept;

	ck_ok(pthread_create(&thread, NULL, change_last_word, NULL));
	while (!vshmi_load32(&words[2])) { /* where futex_waitv is missing a sleep is short and blind */
		ck_is(vshmi_sleep_once(&sleeper, SUPPORT_LONG, &slept), -EAGAIN);
		ck_assert(slept);
		memset(steps, 0, sizeof(steps));
	}
	ck_ok(pthread_join(thread, NULL));
	ck_assert_int_lt(support_now_ns() - begin, SUPPORT_LONG);
}
END_TEST

/* The bell rings after it was noted and before the sleep. */
static int look_and_ring(void *end)
{
	vshmi_store_release32(&words[0], 1);
	return look(end);
}

START_TEST(a_ring_before_the_sleep_is_not_lost)
{
	struct vshmi_sleeper sleeper = real_sleeper();
	int64_t begin = support_now_ns();
	bool slept;

	sleeper.look = look_and_ring;
	sleeper.count = 1;
	ck_is(vshmi_sleep_once(&sleeper, SUPPORT_LONG, &slept), -EAGAIN);
	ck_assert_int_lt(support_now_ns() - begin, SUPPORT_LONG);
}
END_TEST

START_TEST(the_timeout_ends_the_sleep)
{
	struct vshmi_sleeper sleeper = real_sleeper();
	int64_t begin = support_now_ns();
	bool slept;

	sleeper.count = 1;
	ck_is(vshmi_sleep_once(&sleeper, 10 * SUPPORT_MS, &slept), -EAGAIN);
	ck_assert(slept);
	ck_assert_int_ge(support_now_ns() - begin, 10 * SUPPORT_MS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wait_sleep");
	TCase *order = tcase_create("order"), *real = tcase_create("real");

	tcase_add_checked_fixture(order, setup, NULL);
	tcase_add_test(order, nothing_there_sleeps);
	tcase_add_test(order, something_there_does_not);
	tcase_add_test(order, another_position_does_not_sleep);
	tcase_add_test(order, a_denied_membarrier_is_no_reason_not_to_sleep);
	tcase_add_test(order, unreadable_words_are_told);
	tcase_add_test(order, nothing_there_stays_armed);
	tcase_add_test(order, something_there_does_not_stay_armed);
	tcase_add_test(order, another_position_is_armed_anew);
	tcase_add_test(order, a_word_is_listened_to_once);
	tcase_add_checked_fixture(real, setup, NULL);
	tcase_set_timeout(real, 60);
	tcase_add_test(real, a_change_ends_the_sleep);
	tcase_add_test(real, a_ring_before_the_sleep_is_not_lost);
	tcase_add_test(real, the_timeout_ends_the_sleep);
	suite_add_tcase(suite, order);
	suite_add_tcase(suite, real);
	return unit_run("wait_sleep", suite);
}
