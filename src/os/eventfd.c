/* SPDX-License-Identifier: BSD-3-Clause */
/* A descriptor that poll() and its kin can wait for: eventfd(2). Signalling and clearing never block and keep errno. */
#include "base/base.h"
#include "os/os.h"

#include <sys/eventfd.h>
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
