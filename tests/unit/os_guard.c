/* SPDX-License-Identifier: BSD-3-Clause */
/* os: memory that vanishes under a mapping, and every SIGBUS that is none of the guard's business. */
#include "os/os.h"
#include "unit.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE UINT64_C(65536)
#define SIZE (16 * PAGE)
#define WATCHED 256

struct shared {
	int fd;
	unsigned char *memory;
	uint32_t gone;
	uint32_t stop;
};

static void shared_make(struct shared *s)
{
	int error;

	memset(s, 0, sizeof(*s));
	s->fd = memfd_create("guard", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(s->fd, SIZE), 0);
	s->memory = vshmi_map(s->fd, SIZE, true, PAGE, &error);
	ck_assert_ptr_nonnull(s->memory);
	memset(s->memory, 0x5a, SIZE);
}

static void shared_end(struct shared *s)
{
	vshmi_guard_remove(s->memory);
	vshmi_unmap(s->memory, SIZE);
	close(s->fd);
}

/* A load that the compiler neither drops nor repeats. */
static unsigned char look(const unsigned char *p)
{
	return *(const volatile unsigned char *)p;
}

START_TEST(truncated_memory_reads_as_zero)
{
	struct shared s;

	shared_make(&s);
	ck_ok(vshmi_guard_add(s.memory, SIZE, &s.gone));
	ck_assert_uint_eq(look(s.memory + SIZE - 1), 0x5a);
	ck_assert_uint_eq(s.gone, 0);
	ck_assert_int_eq(ftruncate(s.fd, 0), 0);
	errno = 1234;
	ck_assert_uint_eq(look(s.memory + SIZE - 1), 0);
	ck_assert_int_eq(errno, 1234);
	ck_assert_uint_eq(s.gone, 1);
	/* All of it, and writable wherever it was. */
	for (uint64_t i = 0; i < SIZE; i += 4096) {
		ck_assert_uint_eq(look(s.memory + i), 0);
		s.memory[i] = 1;
	}
	shared_end(&s);
}
END_TEST

START_TEST(a_store_is_survived_too)
{
	struct shared s;

	shared_make(&s);
	ck_ok(vshmi_map_protect(s.memory, SIZE - PAGE, false));
	ck_ok(vshmi_guard_add(s.memory, SIZE, &s.gone));
	ck_assert_int_eq(ftruncate(s.fd, (off_t)PAGE), 0);
	ck_assert_uint_eq(look(s.memory), 0x5a);
	ck_assert_uint_eq(s.gone, 0);
	*(volatile unsigned char *)(s.memory + SIZE - 8) = 7;
	ck_assert_uint_eq(s.gone, 1);
	ck_assert_uint_eq(look(s.memory + SIZE - 8), 7);
	shared_end(&s);
}
END_TEST

static void read_until_stopped(void *arg)
{
	struct shared *s = arg;
	uint64_t sum = 0;

	/* Relaxed: only the end of the test depends on it. */
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
		for (uint64_t i = 0; i < SIZE; i += 4096)
			sum += look(s->memory + i);
	__atomic_store_n(&s->stop, sum == UINT64_MAX ? 2 : 1, __ATOMIC_RELAXED);
}

START_TEST(several_threads_fault_at_once)
{
	for (int round = 0; round < 20; round++) {
		struct vshmi_thread *threads[4];
		int64_t end = support_now_ns() + SUPPORT_LONG;
		struct shared s;

		shared_make(&s);
		ck_ok(vshmi_guard_add(s.memory, SIZE, &s.gone));
		for (int i = 0; i < 4; i++)
			ck_ok(vshmi_thread_start(&threads[i], "reader", read_until_stopped, &s));
		support_sleep_us(500);
		ck_assert_int_eq(ftruncate(s.fd, 0), 0);
		while (!__atomic_load_n(&s.gone, __ATOMIC_ACQUIRE) && support_now_ns() < end)
			support_sleep_us(100);
		__atomic_store_n(&s.stop, 1, __ATOMIC_RELAXED);
		for (int i = 0; i < 4; i++)
			vshmi_thread_join(threads[i]);
		ck_assert_uint_eq(s.gone, 1);
		shared_end(&s);
	}
}
END_TEST

START_TEST(only_the_mapping_that_faults)
{
	struct shared a, b;

	shared_make(&a);
	shared_make(&b);
	ck_ok(vshmi_guard_add(a.memory, SIZE, &a.gone));
	ck_ok(vshmi_guard_add(b.memory, SIZE, &b.gone));
	ck_assert_int_eq(ftruncate(b.fd, 0), 0);
	ck_assert_uint_eq(look(b.memory), 0);
	ck_assert_uint_eq(b.gone, 1);
	ck_assert_uint_eq(a.gone, 0);
	ck_assert_uint_eq(look(a.memory), 0x5a);
	shared_end(&a);
	shared_end(&b);
}
END_TEST

START_TEST(a_table_of_fixed_size)
{
	static unsigned char pages[WATCHED + 1];
	uint32_t gone = 0;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < WATCHED; i++)
			ck_ok(vshmi_guard_add(&pages[i], 1, &gone));
		ck_is(vshmi_guard_add(&pages[WATCHED], 1, &gone), -ENOSPC);
		for (int i = 0; i < WATCHED; i++)
			vshmi_guard_remove(&pages[i]);
		vshmi_guard_remove(&pages[0]);
		vshmi_guard_remove(NULL);
	}
	ck_assert_uint_eq(gone, 0);
}
END_TEST

/* ---- what others wanted with SIGBUS ---- */

static sigjmp_buf back;
static volatile sig_atomic_t seen;

static void plain_handler(int number)
{
	seen = number;
	siglongjmp(back, 1);
}

static void detailed_handler(int number, siginfo_t *info, void *context)
{
	(void)context;
	seen = info->si_addr ? number : -1;
	siglongjmp(back, 1);
}

static void set_action(int flags, void (*plain)(int), void (*detailed)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_flags = flags};

	if (detailed)
		action.sa_sigaction = detailed;
	else
		action.sa_handler = plain;
	if (sigaction(SIGBUS, &action, NULL))
		_exit(90);
}

/* A guarded mapping is there; another one faults. */
static void fault_elsewhere(void)
{
	struct shared watched, other;

	shared_make(&watched);
	shared_make(&other);
	if (vshmi_guard_add(watched.memory, SIZE, &watched.gone) || ftruncate(other.fd, 0))
		_exit(91);
	if (!sigsetjmp(back, 1)) {
		(void)look(other.memory);
		_exit(92);
	}
	_exit(seen == SIGBUS && !watched.gone ? 0 : 93);
}

static int child_with(void (*body)(void))
{
	pid_t pid = support_fork();

	if (!pid) {
		body();
		_exit(99);
	}
	return support_wait(pid, SUPPORT_LONG);
}

static void case_plain(void)
{
	set_action(0, plain_handler, NULL);
	fault_elsewhere();
}

static void case_detailed(void)
{
	set_action(SA_SIGINFO, NULL, detailed_handler);
	fault_elsewhere();
}

static void case_default(void)
{
	set_action(0, SIG_DFL, NULL);
	fault_elsewhere();
}

static void case_ignored(void)
{
	set_action(0, SIG_IGN, NULL);
	fault_elsewhere();
}

static struct shared one;

static void add_one(void)
{
	shared_make(&one);
	if (vshmi_guard_add(one.memory, SIZE, &one.gone))
		_exit(91);
}

static void case_sent_and_ignored(void)
{
	set_action(0, SIG_IGN, NULL);
	add_one();
	(void)raise(SIGBUS);
	/* And the guard still stands. */
	_exit(!ftruncate(one.fd, 0) && !look(one.memory) && one.gone ? 42 : 94);
}

static void case_sent(void)
{
	set_action(0, SIG_DFL, NULL);
	add_one();
	(void)raise(SIGBUS);
	_exit(42);
}

START_TEST(other_faults_reach_the_old_handler)
{
	ck_is(child_with(case_plain), 0);
	ck_is(child_with(case_detailed), 0);
}
END_TEST

START_TEST(other_faults_kill_as_before)
{
	int status = child_with(case_default);

	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = child_with(case_ignored);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}
END_TEST

START_TEST(a_sent_signal_means_what_it_meant)
{
	int status = child_with(case_sent);

	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = child_with(case_sent_and_ignored);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("os: guard");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, truncated_memory_reads_as_zero);
	tcase_add_test(tc, a_store_is_survived_too);
	tcase_add_test(tc, several_threads_fault_at_once);
	tcase_add_test(tc, only_the_mapping_that_faults);
	tcase_add_test(tc, a_table_of_fixed_size);
	tcase_add_test(tc, other_faults_reach_the_old_handler);
	tcase_add_test(tc, other_faults_kill_as_before);
	tcase_add_test(tc, a_sent_signal_means_what_it_meant);
	suite_add_tcase(suite, tc);
	return unit_run("os-guard", suite);
}
