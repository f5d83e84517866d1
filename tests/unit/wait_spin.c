/* SPDX-License-Identifier: BSD-3-Clause */
/* wait: how long the spin lasts, on a clock that moves only when it is looked at. */
#include "unit.h"

#define vshmi_clock_ns fake_clock_ns
#include "wait/spin.c"

static int64_t now, tick; /* how much a look at the clock takes */
static unsigned looks, found_at;

int64_t fake_clock_ns(void)
{
	return now += tick;
}

static int look(void *end)
{
	*(unsigned *)end += 1;
	return ++looks == found_at ? 0 : looks > found_at && found_at ? -EPROTO : -EAGAIN;
}

static void begin(struct vshmi_spin *spin, uint32_t spin_us)
{
	now = 1000;
	tick = 100;
	looks = found_at = 0;
	vshmi_spin_init(spin, spin_us);
}

START_TEST(budgets)
{
	struct vshmi_spin spin;

	begin(&spin, UINT32_MAX);
	ck_assert_int_gt(spin.budget_ns, 0);
	begin(&spin, 0);
	ck_assert_int_eq(spin.budget_ns, 0);
	begin(&spin, 50);
	ck_assert_int_eq(spin.budget_ns, 50000);
	begin(&spin, UINT32_MAX - 1);
	ck_assert_int_eq(spin.budget_ns, (int64_t)(UINT32_MAX - 1) * 1000);
}
END_TEST

START_TEST(no_budget_is_one_look)
{
	struct vshmi_spin spin;
	unsigned calls = 0;

	begin(&spin, 0);
	ck_is(vshmi_spin(&spin, look, &calls, INT64_MAX), -EAGAIN);
	ck_assert_uint_eq(calls, 1);
	ck_is(vshmi_spin_briefly(&spin, look, &calls), -EAGAIN);
	ck_assert_uint_eq(calls, 1);
	ck_assert_int_eq(now, 1000); /* the clock was not asked */
}
END_TEST

START_TEST(gives_up_after_the_budget)
{
	struct vshmi_spin spin;
	unsigned calls = 0;

	begin(&spin, 10);
	ck_is(vshmi_spin(&spin, look, &calls, INT64_MAX), -EAGAIN);
	ck_assert_int_ge(now, 1000 + 10000);
	ck_assert_int_le(now, 1000 + 10000 + 2 * tick);
	ck_assert_uint_gt(calls, 0);
}
END_TEST

START_TEST(never_beyond_the_deadline)
{
	struct vshmi_spin spin;
	unsigned calls = 0;

	begin(&spin, 1000);
	ck_is(vshmi_spin(&spin, look, &calls, 3000), -EAGAIN);
	ck_assert_int_le(now, 3000 + 2 * tick);
	begin(&spin, 1000);
	ck_is(vshmi_spin(&spin, look, &calls, 0), -EAGAIN); /* it has passed */
	ck_assert_int_le(now, 1000 + 2 * tick);
	ck_assert_uint_gt(looks, 0); /* but it was looked */
}
END_TEST

START_TEST(returns_what_look_said_at_once)
{
	struct vshmi_spin spin;
	unsigned calls = 0;

	begin(&spin, 1000);
	found_at = 5;
	ck_ok(vshmi_spin(&spin, look, &calls, INT64_MAX));
	ck_assert_uint_eq(calls, 5);
	ck_is(vshmi_spin(&spin, look, &calls, INT64_MAX), -EPROTO);
	ck_assert_uint_eq(calls, 6);
	begin(&spin, 1000);
	found_at = 3;
	ck_ok(vshmi_spin_briefly(&spin, look, &calls));
	ck_is(vshmi_spin_briefly(&spin, look, &calls), -EPROTO);
	ck_assert_int_eq(now, 1000);
}
END_TEST

START_TEST(the_brief_one_is_bounded)
{
	struct vshmi_spin spin;
	unsigned calls = 0;

	begin(&spin, 1000);
	ck_is(vshmi_spin_briefly(&spin, look, &calls), -EAGAIN);
	ck_assert_uint_gt(calls, 0);
	ck_assert_uint_le(calls, 1000);
}
END_TEST

/* After many long waits the spin is a token; after short ones it is whole again. */
START_TEST(learns_what_pays)
{
	struct vshmi_spin spin;
	unsigned calls = 0;
	int64_t before;

	begin(&spin, 100);
	for (unsigned i = 0; i < 50; i++)
		vshmi_spin_learn(&spin, INT64_MAX);
	ck_assert_int_le(spin.recent_ns, 4 * spin.budget_ns);
	before = now;
	(void)vshmi_spin(&spin, look, &calls, INT64_MAX);
	ck_assert_int_lt(now - before, spin.budget_ns / 2);
	for (unsigned i = 0; i < 50; i++)
		vshmi_spin_learn(&spin, 500);
	before = now;
	(void)vshmi_spin(&spin, look, &calls, INT64_MAX);
	ck_assert_int_ge(now - before, spin.budget_ns);
}
END_TEST

START_TEST(one_long_wait_changes_little)
{
	struct vshmi_spin spin;

	begin(&spin, 100);
	vshmi_spin_learn(&spin, INT64_MAX);
	ck_assert_int_lt(spin.recent_ns, spin.budget_ns);
}
END_TEST

START_TEST(bursts_are_looked_for_less_often)
{
	struct vshmi_spin spin;
	unsigned first, most;

	begin(&spin, 100);
	first = spin.pauses;
	for (unsigned i = 0; i < 100; i++)
		vshmi_spin_found(&spin, true);
	most = spin.pauses;
	ck_assert_uint_gt(most, first);
	ck_assert_uint_le(most, 64);
	for (unsigned i = 0; i < 100; i++)
		vshmi_spin_found(&spin, false);
	ck_assert_uint_eq(spin.pauses, first);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wait_spin");
	TCase *tcase = tcase_create("spin");

	tcase_add_test(tcase, budgets);
	tcase_add_test(tcase, no_budget_is_one_look);
	tcase_add_test(tcase, gives_up_after_the_budget);
	tcase_add_test(tcase, never_beyond_the_deadline);
	tcase_add_test(tcase, returns_what_look_said_at_once);
	tcase_add_test(tcase, the_brief_one_is_bounded);
	tcase_add_test(tcase, learns_what_pays);
	tcase_add_test(tcase, one_long_wait_changes_little);
	tcase_add_test(tcase, bursts_are_looked_for_less_often);
	suite_add_tcase(suite, tcase);
	return unit_run("wait_spin", suite);
}
