/* SPDX-License-Identifier: BSD-3-Clause */
/* A descriptor that poll() and its kin can wait for: eventfd(2). Signalling and clearing never block and keep errno. */
#include "base/base.h"
#include "os/os.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int vshmi_eventfd_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? vshmi_error_of(errno) : fd;
}

void vshmi_eventfd_signal(int fd)
{
	const uint64_t one = 1;
	int kept = errno;

	/* EAGAIN: it could not be more readable */
	(void)!write(fd, &one, sizeof(one));
	errno = kept;
}

void vshmi_eventfd_clear(int fd)
{
	int kept = errno;
	uint64_t count;
	struct iovec part = {&count, sizeof(count)};

	/* whoever else has it can make it block, and clear it first */
	(void)!preadv2(fd, &part, 1, -1, RWF_NOWAIT);
	errno = kept;
}

bool vshmi_is_eventfd(int fd)
{
	char path[64], target[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	return n > 0 && (size_t)n == strlen("anon_inode:[eventfd]") && !memcmp(target, "anon_inode:[eventfd]", (size_t)n);
}

/* Reads that may be over and not asked after. */
#define READS 64

void vshmi_ringer_open(struct vshmi_ringer *ringer)
{
	aio_context_t context = 0;

	*ringer = (struct vshmi_ringer){0, memfd_create("vshm-ringer", MFD_CLOEXEC), 0};
	if (ringer->file >= 0 && pwrite(ringer->file, "", 1, 0) == 1 && !syscall(SYS_io_setup, READS, &context))
		ringer->context = context;
}

void vshmi_ringer_close(struct vshmi_ringer *ringer)
{
	if (ringer->context)
		(void)syscall(SYS_io_destroy, ringer->context);
	if (ringer->file >= 0)
		close(ringer->file);
	*ringer = (struct vshmi_ringer){0, -1, 0};
}

/* The read is of memory, so it is over when the call returns. */
static int submit(struct vshmi_ringer *ringer, int fd)
{
	struct iocb read = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)ringer->file,
		.aio_buf = (uintptr_t)&ringer->byte,
		.aio_nbytes = 1,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *reads[] = {&read};

	return syscall(SYS_io_submit, ringer->context, 1L, reads) == 1 ? 0 : -errno;
}

/* Room for more. */
static void forget_reads(struct vshmi_ringer *ringer)
{
	const struct timespec now = {0, 0};
	struct io_event over[READS];

	(void)syscall(SYS_io_getevents, ringer->context, 0L, (long)READS, over, &now);
}

static void ring_by_write(int fd)
{
	struct pollfd full = {.fd = fd, .events = POLLOUT};

	/* one that cannot count further is readable anyway */
	if (poll(&full, 1, 0) == 1 && full.revents & POLLOUT)
		vshmi_eventfd_signal(fd);
}

void vshmi_ringer_ring(struct vshmi_ringer *ringer, int fd)
{
	int kept = errno;

	if (!ringer->context) {
		ring_by_write(fd);
	} else if (submit(ringer, fd) == -EAGAIN) {
		forget_reads(ringer);
		(void)submit(ringer, fd);
	}
	errno = kept;
}

bool vshmi_eventfd_signalled(int fd)
{
	return vshmi_poll(&fd, 1, 0) != 0;
}

void vshmi_eventfd_close(int fd)
{
	close(fd);
}

uint32_t vshmi_poll(const int fds[], unsigned count, int64_t timeout_ns)
{
	const struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
	struct pollfd polled[32];
	uint32_t readable = 0;

	for (unsigned i = 0; i < count && i < 32; i++)
		polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	if (ppoll(polled, count < 32 ? count : 32, &timeout, NULL) <= 0)
		return 0;
	for (unsigned i = 0; i < count && i < 32; i++)
		readable |= (uint32_t)((polled[i].revents & POLLIN) != 0) << i;
	return readable;
}
