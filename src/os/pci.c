/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One PCI device through sysfs (Documentation/PCI/sysfs-pci.rst): what it is, and its memory. Nothing is bound to any driver
 * and nothing is written but the attribute "enable", which the kernel counts.
 */
#include "base/base.h"
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* PCI Local Bus Specification 3.0, section 6.2.2: the command register, and its bit for memory space. */
#define PCI_COMMAND 4
#define PCI_COMMAND_MEMORY 2u

static bool hex_digits(const char *text, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!strchr("0123456789abcdefABCDEF", text[i]) || !text[i])
			return false;
	return true;
}

/* "BB:DD.F" */
static bool is_slot(const char *text)
{
	return strlen(text) == 7 && hex_digits(text, 2) && text[2] == ':' && hex_digits(text + 3, 2) && text[5] == '.' &&
	       text[6] >= '0' && text[6] <= '7';
}

/* "DDDD:BB:DD.F", where the domain 0000 may be left out, in the kernel's spelling. */
static bool read_address(const char *text, char address[VSHMI_PCI_ADDRESS])
{
	bool whole = strlen(text) == 12 && hex_digits(text, 4) && text[4] == ':' && is_slot(text + 5);

	if (!whole && !is_slot(text))
		return false;
	(void)snprintf(address, VSHMI_PCI_ADDRESS, "%s%s", whole ? "" : "0000:", text);
	for (char *c = address; *c; c++)
		if (*c >= 'A' && *c <= 'F')
			*c = (char)(*c - 'A' + 'a');
	return true;
}

/* An attribute as a number, written as 0x… or decimal; UINT32_MAX: it is not there. */
static uint32_t read_number(int dir, const char *name)
{
	char text[32];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return UINT32_MAX;
	text[n] = '\0';
	return (uint32_t)strtoul(text, NULL, 0);
}

static void read_driver(struct vshmi_pci *pci)
{
	char target[256];
	const char *slash;
	ssize_t n = readlinkat(pci->dir, "driver", target, sizeof(target) - 1);

	if (n <= 0)
		return;
	target[n] = '\0';
	slash = strrchr(target, '/');
	(void)snprintf(pci->driver, sizeof(pci->driver), "%.*s", (int)sizeof(pci->driver) - 1, slash ? slash + 1 : target);
}

int vshmi_pci_open(const char *root, const char *text, struct vshmi_pci *pci, char *why)
{
	char path[512];

	memset(pci, 0, sizeof(*pci));
	pci->root = root;
	pci->dir = -1;
	if (!read_address(text, pci->address))
		return vshmi_why(why, -EINVAL, "\"%.40s\" is no PCI address: write it as lspci -D does, for example 0000:00:05.0",
				 text);
	(void)snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s", root, pci->address);
	pci->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pci->dir < 0)
		return vshmi_why(why, errno == ENOENT ? -ENOENT : vshmi_error_of(errno),
				 "there is no PCI device %s here: vshmctl list and lspci -D show which there are", pci->address);
	pci->vendor = read_number(pci->dir, "vendor");
	pci->device = read_number(pci->dir, "device");
	pci->revision = read_number(pci->dir, "revision");
	read_driver(pci);
	return 0;
}

/* Unplugged devices lose their directory, and what was open of it can no longer be read. */
bool vshmi_pci_there(const struct vshmi_pci *pci)
{
	return !faccessat(pci->dir, "vendor", R_OK, 0);
}

bool vshmi_pci_child(const struct vshmi_pci *pci, const char *of, char *name, size_t size)
{
	int fd = openat(pci->dir, of, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool found = false;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && (entry = readdir(list)))
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < size) {
			memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
			found = true;
		}
	closedir(list);
	return found;
}

/* The kernel counts: each user adds one, and takes it back. */
static bool write_enable(const struct vshmi_pci *pci, const char *value)
{
	int fd = openat(pci->dir, "enable", O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, value, 1) == 1;

	if (fd >= 0)
		close(fd);
	return written;
}

void vshmi_pci_close(struct vshmi_pci *pci)
{
	if (pci->enabled)
		(void)write_enable(pci, "0"); /* else it stays enabled, which harms nobody */
	pci->enabled = false;
	if (pci->dir >= 0)
		close(pci->dir);
	pci->dir = -1;
}

uint64_t vshmi_pci_bar_size(const struct vshmi_pci *pci, unsigned bar)
{
	char name[16];
	struct stat st;

	(void)snprintf(name, sizeof(name), "resource%u", bar);
	return fstatat(pci->dir, name, &st, 0) || st.st_size < 0 ? 0 : (uint64_t)st.st_size;
}

/* Does the device answer to accesses to its memory? The first 64 bytes of its configuration can be read by everybody. */
static bool answers(const struct vshmi_pci *pci)
{
	unsigned char command[2] = {0, 0};
	int fd = openat(pci->dir, "config", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, command, sizeof(command), PCI_COMMAND);

	if (fd >= 0)
		close(fd);
	return n == sizeof(command) && command[0] & PCI_COMMAND_MEMORY;
}

int vshmi_pci_enable(struct vshmi_pci *pci, char *why)
{
	if (!pci->enabled)
		pci->enabled = write_enable(pci, "1");
	if (answers(pci))
		return 0;
	/* the count says enabled, and somebody has cleared the bit since: once more from 0 */
	if (pci->enabled && write_enable(pci, "0"))
		pci->enabled = write_enable(pci, "1");
	if (answers(pci))
		return 0;
	return vshmi_why(why, -EACCES, "the memory of PCI device %s is switched off: as root, "
				       "echo 1 > /sys/bus/pci/devices/%s/enable, or setpci -s %s COMMAND=2:2",
			 pci->address, pci->address, pci->address);
}

int vshmi_pci_open_bar(const struct vshmi_pci *pci, unsigned bar, bool writable, bool combining, char *why)
{
	int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC, fd = -1;
	char name[24];

	(void)snprintf(name, sizeof(name), "resource%u_wc", bar);
	if (combining)
		fd = openat(pci->dir, name, flags);
	(void)snprintf(name, sizeof(name), "resource%u", bar);
	if (fd < 0)
		fd = openat(pci->dir, name, flags);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return vshmi_why(why, -ENODEV, "PCI device %s has no memory bar %u", pci->address, bar);
	return vshmi_why(why, vshmi_error_of(errno),
			 "cannot open /sys/bus/pci/devices/%s/%s: it belongs to root; run as root, or give it to a group by a udev rule",
			 pci->address, name);
}

uint64_t vshmi_pci_bar_address(const struct vshmi_pci *pci, unsigned bar)
{
	unsigned long long start = 0, end, flags;
	int fd = openat(pci->dir, "resource", O_RDONLY | O_CLOEXEC);
	FILE *lines = fd < 0 ? NULL : fdopen(fd, "r");

	if (!lines) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	for (unsigned i = 0; i <= bar; i++)
		if (fscanf(lines, "%llx %llx %llx", &start, &end, &flags) != 3)
			start = 0;
	(void)fclose(lines);
	return start;
}

/* A line of it: "PAT: [mem 0x00000000fe000000-0x00000000fe100000] uncached-minus" (Linux arch/x86/mm/pat/memtype.c). */
static enum vshmi_memory memory_in(const char *line, uint64_t address)
{
	unsigned long long start, end;
	const char *at = strstr(line, "0x");

	if (!at || sscanf(at, "%llx-%llx]", &start, &end) != 2 || address < start || address >= end)
		return VSHMI_MEMORY_UNKNOWN;
	return strstr(line, "write-back")      ? VSHMI_MEMORY_CACHED :
	       strstr(line, "write-combining") ? VSHMI_MEMORY_COMBINING :
	       strstr(line, "uncached")	       ? VSHMI_MEMORY_UNCACHED :
						 VSHMI_MEMORY_UNKNOWN;
}

enum vshmi_memory vshmi_pci_memory(const struct vshmi_pci *pci, unsigned bar)
{
	enum vshmi_memory found = VSHMI_MEMORY_UNKNOWN;
	uint64_t address = vshmi_pci_bar_address(pci, bar);
	char line[256];
	FILE *list;

	(void)snprintf(line, sizeof(line), "%s/sys/kernel/debug/x86/pat_memtype_list", pci->root);
	list = address ? fopen(line, "re") : NULL;
	while (list && !found && fgets(line, sizeof(line), list))
		found = memory_in(line, address);
	if (list)
		(void)fclose(list);
	return found;
}
