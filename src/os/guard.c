/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGBUS on memory that vanished: a file that somebody truncated, a device that was unplugged. The handler
 * replaces the whole mapping by zero pages and says so in a flag; all other faults reach whoever handled
 * SIGBUS before. It runs at any instruction of any thread, in several threads at once: no locks, only
 * async-signal-safe calls, a table of fixed size whose slots are read under a version.
 */
#include "base/base.h"
#include "os/os.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Four times as many mappings as the largest split region has; looking through them costs nothing that counts. */
#define SLOTS 256

/* Written under `writers`; odd `version`: being changed. */
struct slot {
	uint32_t version;
	uintptr_t start; /* 0: unused */
	uintptr_t size;
	uint32_t *gone;
};

static struct slot slots[SLOTS];
static struct vshmi_mutex writers;
static bool installed; /* written under `writers`, atomic */
static struct sigaction previous; /* written before the handler is installed */

static void slot_write(struct slot *slot, uintptr_t start, uintptr_t size, uint32_t *gone)
{
	uint32_t version = slot->version;

	__atomic_store_n(&slot->version, version + 1, __ATOMIC_RELAXED);
	/* Whoever sees one of the stores below sees the odd version, too: pairs with the fence in slot_read(). */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&slot->start, start, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->size, size, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->gone, gone, __ATOMIC_RELAXED);
	/* Pairs with the acquire in slot_read(). */
	__atomic_store_n(&slot->version, version + 2, __ATOMIC_RELEASE);
}

/* A consistent copy. A slot in change is taken as unused: its mapping comes or goes, and cannot be in use. */
static bool slot_read(const struct slot *slot, struct slot *copy)
{
	uint32_t version = __atomic_load_n(&slot->version, __ATOMIC_ACQUIRE);

	copy->start = __atomic_load_n(&slot->start, __ATOMIC_RELAXED);
	copy->size = __atomic_load_n(&slot->size, __ATOMIC_RELAXED);
	copy->gone = __atomic_load_n(&slot->gone, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !(version & 1) && copy->start && __atomic_load_n(&slot->version, __ATOMIC_RELAXED) == version;
}

static bool find_slot(uintptr_t address, struct slot *found)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (slot_read(&slots[i], found) && address - found->start < found->size)
			return true;
	return false;
}

/* Two threads that fault at once both do this; the second finds zero pages and makes them zero pages again. */
static bool replace(const struct slot *slot)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	/* Not mmap(): it is no async-signal-safe function of POSIX, and sanitizers put theirs in its place. */
	if (syscall(SYS_mmap, slot->start, slot->size, PROT_READ | PROT_WRITE, flags, -1, 0) == -1)
		return false;
	__atomic_store_n(slot->gone, 1, __ATOMIC_RELEASE);
	return true;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(number, info, context);
		return;
	}
	if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(number);
		return;
	}
	/* Somebody's kill(), not a fault: ignored if that is what the program wanted. */
	if (info->si_code <= 0 && previous.sa_handler == SIG_IGN)
		return;
	/* A fault comes again when the instruction is tried again, and then the kernel deals with it. */
	sigaction(number, &previous, NULL);
	if (info->si_code <= 0)
		raise(number); /* pending until this handler returns */
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	int kept = errno;
	struct slot slot;
	bool mended = info->si_code > 0 && find_slot((uintptr_t)info->si_addr, &slot) && replace(&slot);

	if (!mended)
		pass_on(number, info, context);
	errno = kept;
}

static int install(void)
{
	struct sigaction action;

	if (installed)
		return 0;
	if (sigaction(SIGBUS, NULL, &previous))
		return -EIO;
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_sigbus;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	action.sa_mask = previous.sa_mask;
	if (sigaction(SIGBUS, &action, NULL))
		return -EIO;
	__atomic_store_n(&installed, true, __ATOMIC_RELAXED);
	return 0;
}

static struct slot *slot_of(uintptr_t start)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].start == start)
			return &slots[i];
	return NULL;
}

bool vshmi_guard_is_on(void)
{
	return __atomic_load_n(&installed, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void prepare_for_fork(void)
{
	vshmi_mutex_free_in_child(&writers);
}

int vshmi_guard_add(void *address, uint64_t size, uint32_t *gone)
{
	struct slot *slot;
	int error;

	vshmi_lock(&writers);
	error = install();
	slot = slot_of(0);
	if (!error && !slot)
		error = -ENOSPC;
	if (!error)
		slot_write(slot, (uintptr_t)address, size, gone);
	vshmi_unlock(&writers);
	return error;
}

void vshmi_guard_remove(void *address)
{
	struct slot *slot;

	vshmi_lock(&writers);
	slot = address ? slot_of((uintptr_t)address) : NULL;
	if (slot)
		slot_write(slot, 0, 0, NULL);
	vshmi_unlock(&writers);
}
