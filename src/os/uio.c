/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The UIO device of a PCI device (Documentation/driver-api/uio-howto.rst): its mappings by name, and the descriptor that becomes
 * readable with its interrupts. Whatever the driver is: what its mappings mean is for the caller to know.
 */
#include "base/base.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* MAX_UIO_MAPS of linux/uio_driver.h */
#define MOST_MAPS 5u

/* One line of a file below the device's directory; empty: it is not there. */
static void read_line(int dir, const char *name, char *line, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);

	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

/* "uioN", below the PCI device's directory. */
static bool find_node(const struct vshmi_pci *pci, char node[16])
{
	return vshmi_pci_child(pci, "uio", node, 16);
}

bool vshmi_uio_there(const struct vshmi_pci *pci)
{
	char node[16];

	return find_node(pci, node);
}

int vshmi_uio_open(const struct vshmi_pci *pci, struct vshmi_uio *uio, char *why)
{
	char node[16], path[512];

	if (!find_node(pci, node))
		return vshmi_why(why, -EOPNOTSUPP,
				 "%s has no UIO driver: as root, modprobe uio_pci_generic; vshmctl bind %s uio_pci_generic", pci->address,
				 pci->address);
	(void)snprintf(path, sizeof(path), "uio/%s", node);
	uio->dir = openat(pci->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/dev/%s", pci->root, node);
	uio->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (uio->fd >= 0 && uio->dir >= 0)
		return 0;
	vshmi_uio_close(uio);
	return vshmi_why(why, vshmi_error_of(errno), "cannot open /dev/%s: it needs to be readable and writable for you", node);
}

void vshmi_uio_close(struct vshmi_uio *uio)
{
	if (uio->fd >= 0)
		close(uio->fd);
	if (uio->dir >= 0)
		close(uio->dir);
	uio->fd = uio->dir = -1;
}

static uint64_t read_number(const struct vshmi_uio *uio, unsigned map, const char *name)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof(path), "maps/map%u/%s", map, name);
	read_line(uio->dir, path, text, sizeof(text));
	return strtoull(text, NULL, 0);
}

uint64_t vshmi_uio_map(const struct vshmi_uio *uio, const char *const names[], uint64_t *offset, uint64_t *inside)
{
	char path[64], text[64];

	for (unsigned map = 0; map < MOST_MAPS; map++) {
		(void)snprintf(path, sizeof(path), "maps/map%u/name", map);
		read_line(uio->dir, path, text, sizeof(text));
		for (unsigned i = 0; names[i]; i++) {
			if (strcmp(text, names[i]) != 0)
				continue;
			*offset = map * (uint64_t)sysconf(_SC_PAGESIZE);
			*inside = read_number(uio, map, "offset") % (uint64_t)sysconf(_SC_PAGESIZE);
			return read_number(uio, map, "size");
		}
	}
	return 0;
}

/* A device without interrupts says so at once. */
bool vshmi_uio_has_bells(const struct vshmi_uio *uio)
{
	struct pollfd polled = {.fd = uio->fd, .events = POLLIN};

	return poll(&polled, 1, 0) >= 0 && !(polled.revents & (POLLERR | POLLHUP));
}

void vshmi_uio_clear(const struct vshmi_uio *uio)
{
	int kept = errno;
	int32_t count; /* of all interrupts so far: none is lost by not looking at it */

	(void)!read(uio->fd, &count, sizeof(count));
	errno = kept;
}
