/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * os: everything that asks the operating system, in the library's own terms. Linux.
 * EINTR never leaves this module; errors are negative errno values.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- why.c: the one line that says why a call failed ---- */

/* Writes a line into `why` (VSHM_WHY_SIZE bytes, may be NULL), control characters replaced. Returns `error`. */
int vshmi_why(char *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vshmi_why_va(char *why, int error, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

/* An errno value of the system as a negative one of the closed list in vshm/error.h. */
int vshmi_error_of(int system_errno);

/* ---- memory.c: the only allocator ---- */

void *vshmi_alloc(size_t size); /* zeroed; NULL when there is none */
void vshmi_free(void *memory);

/* Bytes of memory that this machine could still hand out, swap included; UINT64_MAX: not known. */
uint64_t vshmi_memory_available(void);

/* Whole pages that read as zero in a forked child (MADV_WIPEONFORK): handles live there. NULL when there is none. */
void *vshmi_alloc_private_pages(size_t size);
void vshmi_free_private_pages(void *memory, size_t size);

/* ---- map.c ---- */

/* The unit in which the file system behind `fd` can map: 4096, or the size of its huge pages. */
uint64_t vshmi_map_unit(int fd);

/*
 * Maps `size` bytes of `fd` shared, read-only or read-write, at a multiple of `align` (a power of two), not
 * inherited by children (MADV_DONTFORK). NULL and *error set on failure.
 */
void *vshmi_map(int fd, uint64_t size, bool writable, uint64_t align, int *error);
void *vshmi_map_at(int fd, uint64_t offset, uint64_t size, bool writable, uint64_t align, int *error);
int vshmi_map_protect(void *address, uint64_t size, bool writable);
void vshmi_unmap(void *address, uint64_t size);

/* ---- guard.c: SIGBUS on memory that vanished (process-wide, opt-in) ---- */

/*
 * Watches a mapping: when it faults, it is replaced by zero pages, *gone becomes 1, and the program goes on.
 * Other faults reach the handler that was there before. 0, -ENOSPC (256 mappings are watched), -EIO.
 */
int vshmi_guard_add(void *address, uint64_t size, uint32_t *gone);
void vshmi_guard_remove(void *address);

/* Has this process asked for the handler? Then short-lived mappings may use it, too. */
bool vshmi_guard_is_on(void);

/* ---- futex.c ---- */

/*
 * Sleeps until one of `count` words (1 .. 128) no longer holds its expected value or is woken, or until
 * `timeout_ns` from now (>= 0). The words may lie in read-only mappings. Spurious returns are allowed.
 * Uses FUTEX_WAIT for one word, futex_waitv for several; where that is missing or denied it waits on the first
 * word and at most 1 ms. 0 always, except -EFAULT: a word cannot be read.
 */
int vshmi_futex_wait(const uint32_t *const words[], const uint32_t expected[], unsigned count, int64_t timeout_ns);

/* Wakes all who sleep on `word`, in any process of this kernel. Never blocks. */
void vshmi_futex_wake(const uint32_t *word);

/* Registers this process for expedited global memory barriers; true when they can be had. Idempotent. */
bool vshmi_membarrier_register(void);

/* A full memory barrier on every running thread of every registered process; false when denied. */
bool vshmi_membarrier(void);

/* ---- eventfd.c ---- */

/* A descriptor that is readable from a signal until it is cleared. It, or -ENOMEM, -EIO and the like. */
int vshmi_eventfd_open(void);
void vshmi_eventfd_signal(int fd);
void vshmi_eventfd_clear(int fd);
void vshmi_eventfd_close(int fd);
bool vshmi_eventfd_signalled(int fd); /* is it readable? */

bool vshmi_is_eventfd(int fd);

/*
 * Signals eventfds that others have, too. They share its flags and its count, and can have a write(2) block whenever they like; so the
 * kernel is asked to do it, as a notice of an asynchronous read that is over at once (io_submit(2), IOCB_FLAG_RESFD). Where that is denied
 * it is a write, and only as good as never blocks. Not for two threads at a time.
 */
struct vshmi_ringer {
	unsigned long context; /* aio_context_t; 0: denied */
	int file;
	char byte;
};
void vshmi_ringer_open(struct vshmi_ringer *ringer);
void vshmi_ringer_close(struct vshmi_ringer *ringer);
void vshmi_ringer_ring(struct vshmi_ringer *ringer, int fd);

/* Sleeps until one of up to 32 descriptors is readable: bit i for fds[i]; 0 after `timeout_ns` (>= 0), or earlier. */
uint32_t vshmi_poll(const int fds[], unsigned count, int64_t timeout_ns);

/* ---- socket.c ---- */

/* A descriptor of a connection that does not block. Or -ENOENT (nobody listens there), -EBUSY, -EINVAL (too long), -EACCES, -EIO. */
int vshmi_socket_connect(const char *path);

/*
 * Receives up to `size` bytes, and the descriptor that came with them, or -1; further ones are closed. How many bytes; -EAGAIN:
 * none now; -EPIPE: the other side is gone.
 */
int vshmi_socket_receive(int fd, void *data, size_t size, int *passed);

/* ---- pci.c: a PCI device through sysfs ---- */

#define VSHMI_PCI_ADDRESS 16 /* "0000:00:05.0" and room */

struct vshmi_pci {
	const char *root; /* what "/sys" and "/dev" are below: "", or a test's own; the caller's */
	int dir; /* its directory in sysfs; -1: not open */
	char address[VSHMI_PCI_ADDRESS];
	uint32_t vendor, device, revision; /* UINT32_MAX: not told */
	char driver[32]; /* bound to it; empty: none */
	bool enabled; /* by us: to be taken back */
};

/* Opens the device that `text` names. 0, -EINVAL (no address), -ENOENT, -EACCES, -EIO. */
int vshmi_pci_open(const char *root, const char *text, struct vshmi_pci *pci, char *why);
void vshmi_pci_close(struct vshmi_pci *pci);

/* Is it still plugged in? */
bool vshmi_pci_there(const struct vshmi_pci *pci);

/* What another subsystem calls this device: the only name in its directory `of`. False: there is none. */
bool vshmi_pci_child(const struct vshmi_pci *pci, const char *of, char *name, size_t size);

/* Makes the device answer to accesses to its memory: without that loads give zeros or ones, and no error. 0 or -EACCES. */
int vshmi_pci_enable(struct vshmi_pci *pci, char *why);

/* Bytes of a memory bar; 0: there is none. Where it begins in physical memory; 0: not told. */
uint64_t vshmi_pci_bar_size(const struct vshmi_pci *pci, unsigned bar);
uint64_t vshmi_pci_bar_address(const struct vshmi_pci *pci, unsigned bar);

/*
 * A descriptor to map a bar from: device memory, or, if `combining` and the kernel has it, write-combined memory. Or -ENODEV (no
 * such bar), -EACCES, -EIO.
 */
int vshmi_pci_open_bar(const struct vshmi_pci *pci, unsigned bar, bool writable, bool combining, char *why);

/* How the kernel maps that memory for a program, if it tells (debugfs, for root): VSHMI_MEMORY_… */
enum vshmi_memory {
	VSHMI_MEMORY_UNKNOWN,
	VSHMI_MEMORY_UNCACHED,
	VSHMI_MEMORY_COMBINING, /* write-combined */
	VSHMI_MEMORY_CACHED,
};
enum vshmi_memory vshmi_pci_memory(const struct vshmi_pci *pci, unsigned bar);

/* ---- uio.c: a PCI device through its UIO driver ---- */

struct vshmi_uio {
	int fd, dir; /* /dev/uioN, and its directory in sysfs; -1: not open */
};

/* Has it such a driver? */
bool vshmi_uio_there(const struct vshmi_pci *pci);

/* 0; -EOPNOTSUPP (no such driver), -EACCES, -EIO, with what to do. */
int vshmi_uio_open(const struct vshmi_pci *pci, struct vshmi_uio *uio, char *why);
void vshmi_uio_close(struct vshmi_uio *uio);

/*
 * Bytes of the first mapping that has one of these names (the last is NULL); 0: there is none. Mapped from `offset` of the
 * descriptor, it begins `inside` bytes after the start of the page.
 */
uint64_t vshmi_uio_map(const struct vshmi_uio *uio, const char *const names[], uint64_t *offset, uint64_t *inside);

/* Does its descriptor become readable with interrupts? */
bool vshmi_uio_has_bells(const struct vshmi_uio *uio);
void vshmi_uio_clear(const struct vshmi_uio *uio); /* takes in those that came */

/* ---- vfio.c: a PCI device through VFIO ---- */

struct vshmi_vfio {
	int container, group, device; /* -1: not open */
};

/* 0; -EOPNOTSUPP (no IOMMU, no driver), -EBUSY (another process has it), -EACCES, -EIO, with what to do. */
int vshmi_vfio_open(const struct vshmi_pci *pci, struct vshmi_vfio *vfio, char *why);
void vshmi_vfio_close(struct vshmi_vfio *vfio);

/*
 * Where a bar is, seen from the device's descriptor. 1: it can be mapped there; 0: only loads and stores can be made, because
 * its page has something else on it, too; -ENODEV (no such bar), -EIO.
 */
int vshmi_vfio_bar(const struct vshmi_vfio *vfio, unsigned bar, uint64_t *size, uint64_t *offset);

/* One word of it. 0 or -EIO. */
int vshmi_vfio_load32(const struct vshmi_vfio *vfio, uint64_t offset, uint32_t *value);
void vshmi_vfio_store32(const struct vshmi_vfio *vfio, uint64_t offset, uint32_t value);

/* Memory space on, and bus master, without which the device sends no interrupt. 0 or -EIO. */
int vshmi_vfio_enable(const struct vshmi_vfio *vfio);

/* Does it have MSI-X? Then its first vector makes `fd`, an eventfd, readable. */
bool vshmi_vfio_has_bells(const struct vshmi_vfio *vfio);
int vshmi_vfio_set_bell(const struct vshmi_vfio *vfio, int fd);

/* Somebody wants to unplug the device and waits until it is closed: then `fd`, an eventfd, becomes readable. 0 or -EIO. */
int vshmi_vfio_set_request(const struct vshmi_vfio *vfio, int fd);

/* ---- clock.c ---- */

int64_t vshmi_clock_ns(void);      /* CLOCK_MONOTONIC */
uint64_t vshmi_wall_clock_ns(void); /* CLOCK_REALTIME */
void vshmi_sleep_ns(int64_t duration_ns);

/* ---- identity.c: who and where this process is, and whether another one still is ---- */

struct vshmi_host {
	uint8_t machine_id[16]; /* /etc/machine-id; zero when there is none */
	uint8_t boot_id[16];
	uint64_t pid_namespace;
	uint64_t start_ticks;
	uint32_t pid, uid;
};
int vshmi_host_self(struct vshmi_host *host);

/*
 * Is the process with this pid and start time, in this pid namespace, surely gone (all its threads)?
 * 1 gone, 0 still there, -EOPNOTSUPP cannot be told.
 */
int vshmi_process_gone(uint32_t pid, uint64_t start_ticks);

/* Fills with random bytes. 0 or -EIO. */
int vshmi_random(void *out, size_t size);

/* The program's short name (/proc/self/comm), NUL-padded. */
void vshmi_program_name(char *out, size_t size);

/* ---- thread.c: mutex and the keeper's thread ---- */

/*
 * Runs `body` in a thread with all signals blocked but those that a fault of its own raises: a blocked
 * SIGBUS would kill the process, guard or not. `name`: up to 15 bytes. 0 or -ENOMEM.
 */
struct vshmi_thread;
int vshmi_thread_start(struct vshmi_thread **thread, const char *name, void (*body)(void *arg), void *arg);
void vshmi_thread_join(struct vshmi_thread *thread); /* frees it */

struct vshmi_mutex {
	uint32_t state; /* 0 free, 1 taken, 2 taken and waited for; a private futex */
};
void vshmi_lock(struct vshmi_mutex *mutex);
void vshmi_unlock(struct vshmi_mutex *mutex);

/*
 * A mutex of the process as a whole is free in a forked child, whichever thread held it at the fork. For mutexes whose
 * data are whole between any two stores. At most four; called once for each, before threads.
 */
void vshmi_mutex_free_in_child(struct vshmi_mutex *mutex);

uint32_t vshmi_thread_id(void);

/*
 * Makes the kernel mark `word` (in shared memory) when the calling thread dies while the word holds its thread id:
 * WAITERS | OWNER_DIED, and wake one. Replaces the thread's robust list, so only for threads that use no robust
 * mutex. `mark` stays alive until vshmi_mark_clear(), which the same thread calls before it ends (the end of a
 * thread is its death, too). 0 or -EOPNOTSUPP.
 */
struct vshmi_mark {
	struct vshmi_mark *next; /* struct robust_list */
	struct {
		struct vshmi_mark *list;
		long futex_offset;
		struct vshmi_mark *pending;
	} head; /* struct robust_list_head, linux/futex.h */
};
int vshmi_mark_set(struct vshmi_mark *mark, uint32_t *word);
void vshmi_mark_clear(struct vshmi_mark *mark);

#endif
