/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared mappings. Nothing is touched or populated: attaching to a large region costs address space only.
 */
#include "base/base.h"
#include "os/os.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#define NORMAL_UNIT 4096u

uint64_t vshmi_map_unit(int fd)
{
	struct statfs fs;

	if (!fstatfs(fd, &fs) && (unsigned long)fs.f_type == HUGETLBFS_MAGIC && vshmi_is_power_of_two((uint64_t)fs.f_bsize))
		return (uint64_t)fs.f_bsize;
	return NORMAL_UNIT;
}

/* Room for `size` bytes at a multiple of `align`, which nobody can touch; what surrounds it is given back. */
static unsigned char *reserve(uint64_t size, uint64_t align)
{
	unsigned char *start, *aligned;
	uint64_t head, tail;

	start = mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	head = vshmi_align_up((uintptr_t)start, align) - (uintptr_t)start;
	tail = align - head;
	aligned = start + head;
	if (head)
		munmap(start, head);
	if (tail)
		munmap(aligned + size, tail);
	return aligned;
}

void *vshmi_map(int fd, uint64_t size, bool writable, uint64_t align, int *error)
{
	return vshmi_map_at(fd, 0, size, writable, align, error);
}

void *vshmi_map_at(int fd, uint64_t offset, uint64_t size, bool writable, uint64_t align, int *error)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *address;

	if (align < page)
		align = page;
	*error = -EINVAL;
	if (!size || size > INT64_MAX / 2 || align > INT64_MAX / 2 || !vshmi_is_power_of_two(align))
		return NULL;
	size = vshmi_align_up(size, page);
	address = reserve(size, align);
	if (!address) {
		*error = -ENOMEM;
		return NULL;
	}
	if (mmap(address, size, protection, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) == MAP_FAILED ||
	    madvise(address, size, MADV_DONTFORK)) {
		*error = vshmi_error_of(errno);
		munmap(address, size);
		return NULL;
	}
	*error = 0;
	return address;
}

int vshmi_map_protect(void *address, uint64_t size, bool writable)
{
	if (!mprotect(address, size, writable ? PROT_READ | PROT_WRITE : PROT_READ))
		return 0;
	return errno == EACCES ? -EACCES : -EIO;
}

void vshmi_unmap(void *address, uint64_t size)
{
	if (address)
		munmap(address, vshmi_align_up(size, (uint64_t)sysconf(_SC_PAGESIZE)));
}
