/* SPDX-License-Identifier: BSD-3-Clause */
/* os: sleeping on words, waking from another process, barriers, clocks; and where the kernel lacks or denies them. */
#include "os/os.h"
#include "unit.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 128

/* The same words twice: as whoever rings writes them, and read-only as the sleeper sees them. */
struct bells {
	uint32_t *write;
	const uint32_t *read;
	const uint32_t *words[WORDS];
	uint32_t expected[WORDS];
};

static void bells_make(struct bells *b)
{
	int fd = memfd_create("bells", MFD_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	b->write = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b->read = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(b->write, MAP_FAILED);
	ck_assert_ptr_ne(b->read, MAP_FAILED);
	close(fd);
	for (unsigned i = 0; i < WORDS; i++) {
		b->words[i] = &b->read[i];
		b->expected[i] = 0;
	}
}

static void ring(uint32_t *word)
{
	__atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
	vshmi_futex_wake(word);
}

/* Waits until word `which` changed, however often the wait returns early; false: never. */
static bool wait_for(struct bells *b, unsigned count, unsigned which, int64_t each_ns)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;

	while (!__atomic_load_n(b->words[which], __ATOMIC_ACQUIRE)) {
		if (support_now_ns() > end || vshmi_futex_wait(b->words, b->expected, count, each_ns))
			return false;
	}
	return true;
}

/* A child that rings `which` after a moment. */
static pid_t ring_later(struct bells *b, unsigned which)
{
	pid_t pid = support_fork();

	if (!pid) {
		support_sleep_us(20000);
		ring(&b->write[which]);
		_exit(0);
	}
	return pid;
}

static const struct {
	unsigned count, which;
} waits[] = {{1, 0}, {2, 0}, {2, 1}, {7, 6}, {WORDS, WORDS - 1}};

START_TEST(woken_by_another_process)
{
	struct bells b;
	pid_t pid;

	bells_make(&b);
	pid = ring_later(&b, waits[_i].which);
	ck_assert(wait_for(&b, waits[_i].count, waits[_i].which, INT64_MAX));
	ck_is(support_wait(pid, SUPPORT_LONG), 0);
}
END_TEST

/* A wake-up, and not the end of some time-out, ended the wait: the word never changes. */
START_TEST(woken_without_a_change)
{
	struct bells b;
	pid_t pid;

	bells_make(&b);
	pid = support_fork();
	if (!pid)
		for (;;) {
			support_sleep_us(5000);
			vshmi_futex_wake(&b.write[waits[_i].which]);
		}
	ck_ok(vshmi_futex_wait(b.words, b.expected, waits[_i].count, 500 * SUPPORT_SECOND));
	support_kill(pid);
}
END_TEST

/* One wake-up ends the sleep of all. */
START_TEST(all_sleepers_wake)
{
	pid_t pids[3];
	struct bells b;

	bells_make(&b);
	for (int i = 0; i < 3; i++) {
		pids[i] = support_fork();
		if (!pids[i])
			_exit(!wait_for(&b, waits[_i].count, waits[_i].which, 500 * SUPPORT_SECOND));
	}
	support_sleep_us(20000);
	ring(&b.write[waits[_i].which]);
	for (int i = 0; i < 3; i++)
		ck_is(support_wait(pids[i], SUPPORT_LONG), 0);
}
END_TEST

START_TEST(returns_at_once_when_changed)
{
	struct bells b;

	bells_make(&b);
	b.write[waits[_i].which] = 1;
	ck_ok(vshmi_futex_wait(b.words, b.expected, waits[_i].count, 500 * SUPPORT_SECOND));
}
END_TEST

START_TEST(time_passes)
{
	struct bells b;
	int64_t start = support_now_ns(), slept = 0;

	bells_make(&b);
	while (slept < 30 * SUPPORT_MS) {
		ck_ok(vshmi_futex_wait(b.words, b.expected, waits[_i].count, 30 * SUPPORT_MS));
		slept = support_now_ns() - start;
	}
	ck_ok(vshmi_futex_wait(b.words, b.expected, waits[_i].count, 0));
	ck_ok(vshmi_futex_wait(b.words, b.expected, waits[_i].count, -1));
}
END_TEST

START_TEST(unreadable_words)
{
	void *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct bells b;

	bells_make(&b);
	b.words[0] = nothing;
	ck_is(vshmi_futex_wait(b.words, b.expected, 1, SUPPORT_SECOND), -EFAULT);
	ck_is(vshmi_futex_wait(b.words, b.expected, 2, SUPPORT_SECOND), -EFAULT);
	vshmi_futex_wake(nothing);
}
END_TEST

static void on_alarm(int number)
{
	(void)number;
}

/* A signal every millisecond: waits end early or go on, and never say so. */
START_TEST(interrupted_all_the_time)
{
	const struct itimerval beat = {{0, 1000}, {0, 1000}}, stop = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = on_alarm};
	int64_t start;
	struct bells b;

	bells_make(&b);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &beat, NULL), 0);
	for (int i = 0; i < 20; i++)
		ck_ok(vshmi_futex_wait(b.words, b.expected, 1 + (unsigned)i % 2, 10 * SUPPORT_MS));
	start = support_now_ns();
	vshmi_sleep_ns(50 * SUPPORT_MS);
	ck_assert_int_ge(support_now_ns() - start, 50 * SUPPORT_MS);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &stop, NULL), 0);
}
END_TEST

/* From now on system call `number` fails with `error` in this process. */
static bool deny(unsigned number, unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#define FUTEX_WAITV_CALL 449u

static void wait_without_waitv(unsigned error)
{
	struct bells b;
	pid_t pid;

	bells_make(&b);
	if (!deny(FUTEX_WAITV_CALL, error))
		_exit(77);
	pid = ring_later(&b, 1);
	if (!wait_for(&b, 2, 1, SUPPORT_SECOND))
		_exit(1);
	if (support_wait(pid, SUPPORT_LONG))
		_exit(2);
	/* The second word wakes nobody now; still it must not take the whole time. */
	if (vshmi_futex_wait(b.words + 2, b.expected, 2, 500 * SUPPORT_SECOND))
		_exit(3);
	_exit(0);
}

static const unsigned denials[] = {ENOSYS, EPERM};

START_TEST(waits_where_waitv_is_missing)
{
	pid_t pid = support_fork();
	int status;

	if (!pid)
		wait_without_waitv(denials[_i]);
	status = support_wait(pid, SUPPORT_LONG);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("skip: waits_where_waitv_is_missing: seccomp filters are not allowed here\n");
	else
		ck_is(status, 0);
}
END_TEST

START_TEST(barriers)
{
	pid_t pid;
	int status;

	if (vshmi_membarrier_register()) {
		ck_assert(vshmi_membarrier_register());
		ck_assert(vshmi_membarrier());
	} else {
		printf("skip: barriers: this kernel has no expedited global membarrier\n");
	}
	pid = support_fork();
	if (!pid) {
		if (!deny(SYS_membarrier, EPERM))
			_exit(0);
		_exit(vshmi_membarrier_register() || vshmi_membarrier());
	}
	status = support_wait(pid, SUPPORT_LONG);
	ck_is(status, 0);
}
END_TEST

START_TEST(clocks)
{
	int64_t before = vshmi_clock_ns(), start = support_now_ns();

	ck_assert_int_ge(start, before);
	vshmi_sleep_ns(0);
	vshmi_sleep_ns(-5);
	vshmi_sleep_ns(3 * SUPPORT_MS);
	ck_assert_int_ge(vshmi_clock_ns() - before, 3 * SUPPORT_MS);
	/* After 2020: nanoseconds, and since 1970. */
	ck_assert_uint_gt(vshmi_wall_clock_ns(), UINT64_C(1577836800) * 1000000000);
}
END_TEST

#define count_of(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- eventfd ---- */

static bool is_readable(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	return poll(&p, 1, 0) == 1;
}

START_TEST(an_eventfd_is_readable_until_cleared)
{
	int fd = vshmi_eventfd_open();

	ck_assert_int_ge(fd, 0);
	ck_assert(!is_readable(fd));
	vshmi_eventfd_clear(fd); /* never blocks */
	vshmi_eventfd_signal(fd);
	vshmi_eventfd_signal(fd);
	ck_assert(is_readable(fd));
	vshmi_eventfd_clear(fd);
	ck_assert(!is_readable(fd));
	errno = 77;
	vshmi_eventfd_clear(fd);
	ck_assert_int_eq(errno, 77);
	vshmi_eventfd_close(fd);
	vshmi_eventfd_signal(fd); /* harmless */
	ck_assert_int_eq(errno, 77);
}
END_TEST

/* Whoever else has an eventfd can make it block, and fill it: a write(2) would wait for ever now. */
static void ring_a_full_one(struct vshmi_ringer *ringer)
{
	const uint64_t full = UINT64_MAX - 1;
	int fd = vshmi_eventfd_open();

	ck_assert_int_eq(write(fd, &full, sizeof(full)), sizeof(full));
	ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
	for (unsigned i = 0; i < 1000; i++)
		vshmi_ringer_ring(ringer, fd);
	vshmi_eventfd_close(fd);
}

START_TEST(a_ring_never_blocks)
{
	struct vshmi_ringer ringer;
	uint64_t count;
	int fd;

	vshmi_ringer_open(&ringer);
	fd = vshmi_eventfd_open();
	for (unsigned i = 0; i < 1000; i++) /* more than fit before anybody asks after them */
		vshmi_ringer_ring(&ringer, fd);
	ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(count, 1000);
	vshmi_eventfd_close(fd);
	ring_a_full_one(&ringer);
	vshmi_ringer_close(&ringer);
}
END_TEST

START_TEST(a_ring_where_that_is_denied)
{
	struct vshmi_ringer denied = {.file = -1};
	int fd = vshmi_eventfd_open();

	vshmi_ringer_ring(&denied, fd);
	ck_assert(vshmi_eventfd_signalled(fd));
	vshmi_eventfd_close(fd);
	ring_a_full_one(&denied);
	vshmi_ringer_close(&denied);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("os: wait");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, woken_by_another_process, 0, count_of(waits));
	tcase_add_loop_test(tc, woken_without_a_change, 0, count_of(waits));
	tcase_add_loop_test(tc, all_sleepers_wake, 0, count_of(waits));
	tcase_add_loop_test(tc, returns_at_once_when_changed, 0, count_of(waits));
	tcase_add_loop_test(tc, time_passes, 0, count_of(waits));
	tcase_add_test(tc, unreadable_words);
	tcase_add_test(tc, interrupted_all_the_time);
	tcase_add_loop_test(tc, waits_where_waitv_is_missing, 0, count_of(denials));
	tcase_add_test(tc, barriers);
	tcase_add_test(tc, clocks);
	tcase_add_test(tc, an_eventfd_is_readable_until_cleared);
	tcase_add_test(tc, a_ring_never_blocks);
	tcase_add_test(tc, a_ring_where_that_is_denied);
	suite_add_tcase(suite, tc);
	return unit_run("os-wait", suite);
}
