/* SPDX-License-Identifier: BSD-3-Clause */
/* The only place that allocates private memory. */
#include "os/os.h"

#include <stdlib.h>
#include <sys/mman.h>

void *vshmi_alloc(size_t size)
{
	return calloc(1, size);
}

void vshmi_free(void *memory)
{
	free(memory);
}

void *vshmi_alloc_private_pages(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	/* Without it a child could not tell that the handle is its parent's. Linux has it since 4.14. */
	if (madvise(memory, size, MADV_WIPEONFORK)) {
		munmap(memory, size);
		return NULL;
	}
	return memory;
}

void vshmi_free_private_pages(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}
