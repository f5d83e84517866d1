/* SPDX-License-Identifier: BSD-3-Clause */
/* The only place that allocates private memory, and how much there is. */
#include "os/os.h"

#include <stdio.h>
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

/* proc(5): "MemAvailable:   123 kB", counted with what the kernel would drop for it. */
uint64_t vshmi_memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib, available = 0, swap = 0;
	char line[128];

	if (!file)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			available = kib;
		else if (sscanf(line, "SwapFree: %llu", &kib) == 1)
			swap = kib;
	}
	fclose(file);
	return available ? (available + swap) << 10 : UINT64_MAX;
}
