/* SPDX-License-Identifier: BSD-3-Clause */
/* os: threads, the mutex, and the kernel's death mark. */
#include "os/os.h"
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAITERS 0x80000000u
#define DIED 0xc0000000u

/* ---- threads ---- */

struct report {
	uint32_t tid;
	char name[16];
	sigset_t blocked;
};

static void report(void *arg)
{
	struct report *r = arg;

	r->tid = vshmi_thread_id();
	pthread_getname_np(pthread_self(), r->name, sizeof(r->name));
	pthread_sigmask(SIG_BLOCK, NULL, &r->blocked);
}

START_TEST(threads_are_not_disturbed)
{
	struct vshmi_thread *thread;
	struct report r;
	sigset_t mine;

	ck_ok(vshmi_thread_start(&thread, "a name that is too long", report, &r));
	vshmi_thread_join(thread);
	ck_assert_uint_ne(r.tid, vshmi_thread_id());
	ck_assert_str_eq(r.name, "a name that is ");
	ck_assert(sigismember(&r.blocked, SIGTERM));
	ck_assert(sigismember(&r.blocked, SIGALRM));
	ck_assert(sigismember(&r.blocked, SIGCHLD));
	/* A fault of its own must reach its handler. */
	ck_assert(!sigismember(&r.blocked, SIGBUS));
	ck_assert(!sigismember(&r.blocked, SIGSEGV));
	pthread_sigmask(SIG_BLOCK, NULL, &mine);
	ck_assert(!sigismember(&mine, SIGTERM));
}
END_TEST

#define ROUNDS 20000

struct counter {
	struct vshmi_mutex mutex;
	uint64_t value; /* plain: a mutex that does not exclude loses some, and ThreadSanitizer sees it */
};

static void count(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < ROUNDS; i++) {
		vshmi_lock(&c->mutex);
		c->value++;
		vshmi_unlock(&c->mutex);
	}
}

START_TEST(the_mutex_excludes)
{
	struct vshmi_thread *threads[4];
	struct counter c = {{0}, 0};

	for (int i = 0; i < 4; i++)
		ck_ok(vshmi_thread_start(&threads[i], "counter", count, &c));
	for (int i = 0; i < 4; i++)
		vshmi_thread_join(threads[i]);
	ck_assert_uint_eq(c.value, 4 * ROUNDS);
	ck_assert_uint_eq(c.mutex.state, 0);
}
END_TEST

/* ---- the death mark ---- */

struct marked {
	uint32_t *word;            /* writable */
	const uint32_t *seen;      /* the same, read-only, as another peer has it */
	struct vshmi_mark mark;
	uint32_t ready; /* in the child only */
	bool stays;
};

static void marked_make(struct marked *m)
{
	int fd = memfd_create("mark", MFD_CLOEXEC);

	memset(m, 0, sizeof(*m));
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	m->word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	m->seen = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(m->word, MAP_FAILED);
	ck_assert_ptr_ne(m->seen, MAP_FAILED);
	close(fd);
}

static uint32_t look(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void keep(void *arg)
{
	struct marked *m = arg;

	/* First the list, then the word: death at any instruction leaves it free or marked. */
	if (vshmi_mark_set(&m->mark, m->word))
		_exit(50);
	__atomic_store_n(m->word, vshmi_thread_id() | WAITERS, __ATOMIC_RELEASE);
	while (m->stays)
		vshmi_sleep_ns(SUPPORT_SECOND);
}

static void keep_and_clear(void *arg)
{
	struct marked *m = arg;
	struct vshmi_mark set;

	keep(m);
	set = m->mark;
	vshmi_mark_clear(&m->mark);
	/* Its memory may be anything by now: the kernel must not look there again. */
	m->mark = set;
}

/* A child whose thread holds the word, which is taken when this returns. */
static pid_t start_keeper(struct marked *m)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	struct vshmi_thread *thread;
	pid_t pid;

	m->stays = true;
	pid = support_fork();
	if (!pid) {
		if (vshmi_thread_start(&thread, "keeper", keep, m))
			_exit(51);
		vshmi_thread_join(thread);
		_exit(52);
	}
	while (!look(m->seen) && support_now_ns() < end)
		support_sleep_us(100);
	ck_assert_uint_ne(look(m->seen), 0);
	return pid;
}

START_TEST(the_kernel_marks_a_killed_process)
{
	struct marked m;
	uint32_t held;
	pid_t pid;

	marked_make(&m);
	pid = start_keeper(&m);
	held = look(m.seen);
	ck_assert_uint_eq(held & WAITERS, WAITERS);
	ck_assert_int_ne((pid_t)(held & 0x3fffffff), pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	/* Told by the kernel, through a read-only mapping: the wait ends long before its time-out. */
	while (look(m.seen) == held)
		ck_ok(vshmi_futex_wait(&m.seen, &held, 1, 500 * SUPPORT_SECOND));
	ck_assert_uint_eq(look(m.seen), DIED);
	support_kill(pid);
}
END_TEST

START_TEST(the_kernel_leaves_a_word_of_others_alone)
{
	struct marked m;
	pid_t pid;

	marked_make(&m);
	pid = start_keeper(&m);
	__atomic_store_n(m.word, 0xc0000001u, __ATOMIC_RELEASE); /* evicted meanwhile */
	support_kill(pid);
	ck_assert_uint_eq(look(m.seen), 0xc0000001u);
}
END_TEST

START_TEST(the_end_of_the_thread_is_a_death)
{
	struct vshmi_thread *thread;
	struct marked m;

	marked_make(&m);
	ck_ok(vshmi_thread_start(&thread, "keeper", keep, &m));
	vshmi_thread_join(thread);
	ck_assert_uint_eq(look(m.seen), DIED);
}
END_TEST

START_TEST(a_cleared_mark_is_none)
{
	struct vshmi_thread *thread;
	struct marked m;

	marked_make(&m);
	ck_ok(vshmi_thread_start(&thread, "keeper", keep_and_clear, &m));
	vshmi_thread_join(thread);
	ck_assert_uint_eq(look(m.seen) & WAITERS, WAITERS);
	ck_assert_uint_ne(look(m.seen), DIED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("os: thread");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, threads_are_not_disturbed);
	tcase_add_test(tc, the_mutex_excludes);
	tcase_add_test(tc, the_kernel_marks_a_killed_process);
	tcase_add_test(tc, the_kernel_leaves_a_word_of_others_alone);
	tcase_add_test(tc, the_end_of_the_thread_is_a_death);
	tcase_add_test(tc, a_cleared_mark_is_none);
	suite_add_tcase(suite, tc);
	return unit_run("os-thread", suite);
}
