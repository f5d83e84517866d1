/* SPDX-License-Identifier: BSD-3-Clause */
/* A descriptor that poll() and its kin can wait for: eventfd(2). Signalling and clearing never block and keep errno. */
#include "base/base.h"
#include "os/os.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
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

void vshmi_eventfd_ring(int fd)
{
	struct pollfd full = {.fd = fd, .events = POLLOUT};
	int kept = errno;

	/* one that cannot count further is readable anyway */
	if (poll(&full, 1, 0) == 1 && full.revents & POLLOUT)
		vshmi_eventfd_signal(fd);
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
