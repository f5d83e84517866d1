/* SPDX-License-Identifier: BSD-3-Clause */
/* os: who this process is, and whether another one is surely gone: alive, stopped, zombie, reaped, reused. */
#include "os/os.h"
#include "unit.h"

#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(who_am_i)
{
	static const uint8_t zero[16];
	struct vshmi_host a, b;

	memset(&a, 0xff, sizeof(a));
	ck_ok(vshmi_host_self(&a));
	ck_ok(vshmi_host_self(&b));
	ck_assert_mem_eq(&a, &b, sizeof(a));
	ck_assert_uint_eq(a.pid, (uint32_t)getpid());
	ck_assert_uint_eq(a.uid, geteuid());
	ck_assert_mem_ne(a.boot_id, zero, 16);
	ck_assert_uint_ne(a.pid_namespace, 0);
	ck_assert_uint_ne(a.start_ticks, 0);
}
END_TEST

/* A name that looks like the fields behind it must not confuse the reading of /proc/self/stat. */
START_TEST(a_strange_name)
{
	struct vshmi_host before, after;
	char name[16], small[4];

	ck_ok(vshmi_host_self(&before));
	ck_assert_int_eq(prctl(PR_SET_NAME, ") R 1 (x) 9 9"), 0);
	ck_ok(vshmi_host_self(&after));
	ck_assert_mem_eq(&before, &after, sizeof(before));
	memset(name, 0xff, sizeof(name));
	vshmi_program_name(name, sizeof(name));
	ck_assert_str_eq(name, ") R 1 (x) 9 9");
	ck_assert_int_eq(name[15], '\0');
	vshmi_program_name(small, sizeof(small));
	ck_assert_str_eq(small, ") R");
}
END_TEST

START_TEST(random_bytes_differ)
{
	uint64_t a[4] = {0}, b[4] = {0};

	ck_ok(vshmi_random(a, sizeof(a)));
	ck_ok(vshmi_random(b, sizeof(b)));
	for (int i = 0; i < 4; i++)
		ck_assert_uint_ne(a[i], b[i]);
	ck_ok(vshmi_random(a, 0));
}
END_TEST

/* ---- gone? ---- */

struct child {
	pid_t pid;
	struct vshmi_host host;
};

/* A child that lives until it is killed, and says when it was started. */
static void child_start(struct child *c)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	c->pid = support_fork();
	if (!c->pid) {
		if (vshmi_host_self(&c->host) || write(fds[1], &c->host, sizeof(c->host)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(fds[0], &c->host, sizeof(c->host)), (ssize_t)sizeof(c->host));
	close(fds[0]);
	close(fds[1]);
}

static int gone(const struct child *c)
{
	return vshmi_process_gone(c->host.pid, c->host.start_ticks);
}

START_TEST(alive_and_stopped_are_not_gone)
{
	struct child c;
	int status;

	child_start(&c);
	ck_is(gone(&c), 0);
	ck_is(vshmi_process_gone(c.host.pid, 0), 0);
	ck_assert_int_eq(kill(c.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(c.pid, &status, WUNTRACED), c.pid);
	ck_is(gone(&c), 0);
	support_kill(c.pid);
	ck_is(vshmi_process_gone((uint32_t)getpid(), 0), 0);
}
END_TEST

START_TEST(zombies_are_gone)
{
	struct child c;
	siginfo_t info;

	child_start(&c);
	ck_assert_int_eq(kill(c.pid, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT), 0);
	ck_is(gone(&c), 1);
	support_kill(c.pid);
	ck_is(gone(&c), 1);
}
END_TEST

START_TEST(a_reused_number_is_another_process)
{
	struct child c;

	child_start(&c);
	c.host.start_ticks -= 1;
	ck_is(gone(&c), 1);
	support_kill(c.pid);
}
END_TEST

static void wait_for_release(void *arg)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	const uint32_t *release = arg;

	while (!__atomic_load_n(release, __ATOMIC_ACQUIRE) && support_now_ns() < end)
		support_sleep_us(1000);
}

/* Ends the process, of which a sanitizer may keep a thread of its own. */
static void end_when_released(void *arg)
{
	wait_for_release(arg);
	_exit(0);
}

static void tell_id(void *arg)
{
	uint32_t *shared = arg;

	__atomic_store_n(&shared[1], vshmi_thread_id(), __ATOMIC_RELEASE);
	wait_for_release(shared);
}

/* The number of a process that ended may now be that of somebody's thread. */
START_TEST(a_thread_is_no_process)
{
	struct vshmi_thread *thread;
	uint32_t shared[2] = {0, 0};

	ck_ok(vshmi_thread_start(&thread, "other", tell_id, shared));
	while (!__atomic_load_n(&shared[1], __ATOMIC_ACQUIRE))
		support_sleep_us(100);
	ck_is(vshmi_process_gone(shared[1], 0), 1);
	__atomic_store_n(&shared[0], 1, __ATOMIC_RELEASE);
	vshmi_thread_join(thread);
}
END_TEST

/* Until the first thread of `pid` ended (state Z of proc(5)), whatever its others do. */
static void wait_for_zombie_leader(pid_t pid)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	char path[64], state = '?';

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (state != 'Z' && support_now_ns() < end) {
		FILE *f = fopen(path, "re");

		ck_assert_ptr_nonnull(f);
		ck_assert_int_eq(fscanf(f, "%*d %*[^)]) %c", &state), 1);
		fclose(f);
		support_sleep_us(1000);
	}
	ck_assert_int_eq(state, 'Z');
}

/* Its first thread ended, another one still runs, and may still write. */
START_TEST(a_process_lives_as_long_as_any_thread)
{
	uint32_t *release = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct vshmi_thread *thread;
	siginfo_t info;
	pid_t pid;

	pid = support_fork();
	if (!pid) {
		/* It must not die with the first thread of its parent, which is what this is about. */
		prctl(PR_SET_PDEATHSIG, 0);
		if (vshmi_thread_start(&thread, "last", end_when_released, release))
			_exit(1);
		syscall(SYS_exit, 0);
	}
	wait_for_zombie_leader(pid);
	ck_is(vshmi_process_gone((uint32_t)pid, 0), 0);
	__atomic_store_n(release, 1, __ATOMIC_RELEASE);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_is(vshmi_process_gone((uint32_t)pid, 0), 1);
	support_kill(pid);
}
END_TEST

START_TEST(senseless_numbers)
{
	ck_is(vshmi_process_gone(0, 0), -EOPNOTSUPP);
	ck_is(vshmi_process_gone(UINT32_MAX, 0), -EOPNOTSUPP);
	ck_is(vshmi_process_gone((uint32_t)INT_MAX + 1, 5), -EOPNOTSUPP);
	ck_is(vshmi_process_gone(INT_MAX, 5), 1);
}
END_TEST

/* ---- where it cannot be told, nobody is declared gone ---- */

static bool deny_pidfd(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

START_TEST(no_pidfd)
{
	pid_t pid = support_fork();
	int status;

	if (!pid) {
		if (!deny_pidfd())
			_exit(77);
		_exit(vshmi_process_gone((uint32_t)getppid(), 1) != -EOPNOTSUPP);
	}
	status = support_wait(pid, SUPPORT_LONG);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("skip: no_pidfd: seccomp filters are not allowed here\n");
	else
		ck_is(status, 0);
}
END_TEST

START_TEST(no_descriptor_left)
{
	const struct rlimit none = {3, 3};
	pid_t pid = support_fork();

	if (!pid) {
		if (setrlimit(RLIMIT_NOFILE, &none))
			_exit(1);
		while (dup(0) >= 0)
			;
		_exit(vshmi_process_gone((uint32_t)getppid(), 1) != -EOPNOTSUPP);
	}
	ck_is(support_wait(pid, SUPPORT_LONG), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("os: identity");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, who_am_i);
	tcase_add_test(tc, a_strange_name);
	tcase_add_test(tc, random_bytes_differ);
	tcase_add_test(tc, alive_and_stopped_are_not_gone);
	tcase_add_test(tc, zombies_are_gone);
	tcase_add_test(tc, a_reused_number_is_another_process);
	tcase_add_test(tc, a_thread_is_no_process);
	tcase_add_test(tc, a_process_lives_as_long_as_any_thread);
	tcase_add_test(tc, senseless_numbers);
	tcase_add_test(tc, no_pidfd);
	tcase_add_test(tc, no_descriptor_left);
	suite_add_tcase(suite, tc);
	return unit_run("os-identity", suite);
}
