/* SPDX-License-Identifier: BSD-3-Clause */
/* A descriptor that poll() and its kin can wait for: eventfd(2). Signalling and clearing never block and keep errno. */
#include "base/base.h"
#include "os/os.h"

#include <poll.h>
#include <sys/eventfd.h>
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

	(void)!read(fd, &count, sizeof(count));
	errno = kept;
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
