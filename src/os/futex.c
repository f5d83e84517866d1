/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping on words in shared memory, and the barrier that a sleeper issues on behalf of those who are awake.
 * Futexes here are never FUTEX_PRIVATE: the sleeper and the one who wakes it are different processes, and the
 * sleeper's mapping may be read-only. membarrier: see membarrier(2).
 */
#include "base/base.h"
#include "os/os.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <limits.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

/* Longer waits return early, which is allowed; so no sum of times can overflow. */
#define LONGEST_WAIT_NS (600 * NS_PER_S)

/* How long a wait on several words lasts where the system cannot wait for several. */
#define BLIND_WAIT_NS INT64_C(1000000)

#define MAX_WORDS 128u

/* struct futex_waitv and FUTEX_32 of linux/futex.h (5.16), which older headers lack. */
struct waitv {
	uint64_t value;
	uint64_t address;
	uint32_t flags;
	uint32_t reserved;
};
#define WAITV_32 2u
#define WAITV_SYSCALL 449 /* the same number on every architecture */

/* Set once futex_waitv turned out to be missing or denied. Relaxed: it protects nothing, late news cost a call. */
static uint32_t waitv_missing;

static struct timespec timespec_of(int64_t ns)
{
	struct timespec t;

	t.tv_sec = ns / NS_PER_S;
	t.tv_nsec = ns % NS_PER_S;
	return t;
}

static int wait_one(const uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
	struct timespec timeout = timespec_of(timeout_ns);

	if (!syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0))
		return 0;
	if (errno == EFAULT)
		return -EFAULT;
	/* Denied: do not let the caller spin. */
	if (errno == EPERM || errno == ENOSYS)
		vshmi_sleep_ns(timeout_ns < BLIND_WAIT_NS ? timeout_ns : BLIND_WAIT_NS);
	return 0; /* woken, changed already, timed out, interrupted: the caller looks again */
}

/* 0, -EFAULT, or -EOPNOTSUPP. */
static int wait_several(const uint32_t *const words[], const uint32_t expected[], unsigned count, int64_t timeout_ns)
{
	struct waitv waiters[MAX_WORDS];
	struct timespec deadline = timespec_of(vshmi_clock_ns() + timeout_ns);

	for (unsigned i = 0; i < count; i++) {
		waiters[i].value = expected[i];
		waiters[i].address = (uintptr_t)words[i];
		waiters[i].flags = WAITV_32;
		waiters[i].reserved = 0;
	}
	if (syscall(WAITV_SYSCALL, waiters, count, 0, &deadline, CLOCK_MONOTONIC) >= 0)
		return 0;
	switch (errno) {
	case EFAULT:
		return -EFAULT;
	case EAGAIN:
	case ETIMEDOUT:
	case EINTR:
		return 0;
	case ENOSYS:
	case EPERM:
		__atomic_store_n(&waitv_missing, 1, __ATOMIC_RELAXED);
		return -EOPNOTSUPP;
	default: /* ENOMEM and what comes */
		return -EOPNOTSUPP;
	}
}

/* Only the first word wakes it; so it looks at all of them and sleeps for a short time. */
static int wait_blindly(const uint32_t *const words[], const uint32_t expected[], unsigned count, int64_t timeout_ns)
{
	/* Relaxed: the caller looks at everything again, with its own ordering. */
	for (unsigned i = 0; i < count; i++)
		if (__atomic_load_n(words[i], __ATOMIC_RELAXED) != expected[i])
			return 0;
	return wait_one(words[0], expected[0], timeout_ns < BLIND_WAIT_NS ? timeout_ns : BLIND_WAIT_NS);
}

int vshmi_futex_wait(const uint32_t *const words[], const uint32_t expected[], unsigned count, int64_t timeout_ns)
{
	int error;

	if (timeout_ns > LONGEST_WAIT_NS)
		timeout_ns = LONGEST_WAIT_NS;
	if (timeout_ns < 0)
		timeout_ns = 0;
	if (count == 1)
		return wait_one(words[0], expected[0], timeout_ns);
	if (count <= MAX_WORDS && !__atomic_load_n(&waitv_missing, __ATOMIC_RELAXED)) {
		error = wait_several(words, expected, count, timeout_ns);
		if (error != -EOPNOTSUPP)
			return error;
	}
	return wait_blindly(words, expected, count, timeout_ns);
}

void vshmi_futex_wake(const uint32_t *word)
{
	int kept = errno;

	/* Fails only where the page is gone, and then nobody sleeps there. */
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	errno = kept;
}

bool vshmi_membarrier_register(void)
{
	const long needed = MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	long known = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (known < 0 || (known & needed) != needed)
		return false;
	return !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
}

bool vshmi_membarrier(void)
{
	return !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}
