/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that no signal disturbs, a mutex without a libc object, and the kernel's death mark: a robust futex
 * list of our own (linux Documentation/locking/robust-futex-ABI.rst) with one entry that points into shared
 * memory, so that the kernel itself tells the other peers that this process died.
 */
#include "base/base.h"
#include "os/os.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Small, since a program may lock all its memory; the keeper needs little. Sanitizers need a few pages more. */
#define STACK_SIZE (256u * 1024u)

struct vshmi_thread {
	pthread_t id;
	void (*body)(void *arg);
	void *arg;
	char name[16];
};

static void *run(void *arg)
{
	struct vshmi_thread *thread = arg;

	pthread_setname_np(pthread_self(), thread->name);
	thread->body(thread->arg);
	return NULL;
}

static int create_thread(struct vshmi_thread *thread)
{
	pthread_attr_t attributes;
	int error;

	if (pthread_attr_init(&attributes))
		return -ENOMEM;
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	error = pthread_create(&thread->id, &attributes, run, thread);
	pthread_attr_destroy(&attributes);
	return error ? -ENOMEM : 0;
}

/* A fault in a thread that blocks its signal ends the process at once, handlers or not. */
static void signals_to_block(sigset_t *set)
{
	sigfillset(set);
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGSEGV);
	sigdelset(set, SIGFPE);
	sigdelset(set, SIGILL);
	sigdelset(set, SIGTRAP);
	sigdelset(set, SIGSYS);
}

int vshmi_thread_start(struct vshmi_thread **thread, const char *name, void (*body)(void *arg), void *arg)
{
	struct vshmi_thread *new = vshmi_alloc(sizeof(*new));
	sigset_t blocked, before;
	int error;

	if (!new)
		return -ENOMEM;
	new->body = body;
	new->arg = arg;
	memcpy(new->name, name, strnlen(name, sizeof(new->name) - 1));
	/* Inherited: so no signal can slip in before the thread runs. */
	signals_to_block(&blocked);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	error = create_thread(new);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		vshmi_free(new);
		return error;
	}
	*thread = new;
	return 0;
}

void vshmi_thread_join(struct vshmi_thread *thread)
{
	pthread_join(thread->id, NULL);
	vshmi_free(thread);
}

/* Drepper, "Futexes are tricky", mutex 2. Acquire pairs with the release in vshmi_unlock(). */
void vshmi_lock(struct vshmi_mutex *mutex)
{
	uint32_t seen = 0;

	if (__atomic_compare_exchange_n(&mutex->state, &seen, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(&mutex->state, 2, __ATOMIC_ACQUIRE) != 0)
		syscall(SYS_futex, &mutex->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void vshmi_unlock(struct vshmi_mutex *mutex)
{
	if (__atomic_exchange_n(&mutex->state, 0, __ATOMIC_RELEASE) == 2)
		syscall(SYS_futex, &mutex->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static struct vshmi_mutex *process_mutexes[4];

static void free_in_child(void)
{
	for (unsigned i = 0; i < sizeof(process_mutexes) / sizeof(process_mutexes[0]); i++)
		if (process_mutexes[i])
			__atomic_store_n(&process_mutexes[i]->state, 0, __ATOMIC_RELAXED);
}

void vshmi_mutex_free_in_child(struct vshmi_mutex *mutex)
{
	for (unsigned i = 0; i < sizeof(process_mutexes) / sizeof(process_mutexes[0]); i++) {
		if (process_mutexes[i])
			continue;
		process_mutexes[i] = mutex;
		if (!i)
			(void)pthread_atfork(NULL, NULL, free_in_child);
		return;
	}
}

uint32_t vshmi_thread_id(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

/* struct vshmi_mark is what the kernel walks: its list entry, and its list head. */
_Static_assert(offsetof(struct vshmi_mark, next) == 0, "the mark is its own list entry");
_Static_assert(sizeof(((struct vshmi_mark *)0)->next) == sizeof(struct robust_list), "list entry");
_Static_assert(sizeof(((struct vshmi_mark *)0)->head) == sizeof(struct robust_list_head), "list head");
_Static_assert(offsetof(struct vshmi_mark, head.list) - offsetof(struct vshmi_mark, head) ==
		       offsetof(struct robust_list_head, list),
	       "list head: first entry");
_Static_assert(offsetof(struct vshmi_mark, head.futex_offset) - offsetof(struct vshmi_mark, head) ==
		       offsetof(struct robust_list_head, futex_offset),
	       "list head: offset from an entry to its futex");
_Static_assert(offsetof(struct vshmi_mark, head.pending) - offsetof(struct vshmi_mark, head) ==
		       offsetof(struct robust_list_head, list_op_pending),
	       "list head: entry being changed");

int vshmi_mark_set(struct vshmi_mark *mark, uint32_t *word)
{
	/* The list is a circle: head -> the mark -> head. */
	mark->next = (struct vshmi_mark *)(void *)&mark->head;
	mark->head.list = mark;
	mark->head.futex_offset = (long)((uintptr_t)word - (uintptr_t)&mark->next);
	mark->head.pending = NULL;
	if (syscall(SYS_set_robust_list, &mark->head, sizeof(mark->head)))
		return -EOPNOTSUPP;
	return 0;
}

void vshmi_mark_clear(struct vshmi_mark *mark)
{
	mark->head.list = (struct vshmi_mark *)(void *)&mark->head;
	/* The kernel must not look at `mark` after its memory was given back. */
	syscall(SYS_set_robust_list, NULL, sizeof(mark->head));
}
