/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile machine: writes all over the memory of devices, and says how much of it stayed.
 *   scribble [-f OFFSET] [-r ROUNDS] FILE...     FILE: resource2 of a PCI device; from OFFSET on
 * "FILE: kept K of N pages" for each. The memory is mapped as the kernel gives it: whether a store stays is the hypervisor's to say.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
#define WORDS (PAGE / sizeof(uint64_t))

static uint64_t garbage(uint64_t at, unsigned round)
{
	uint64_t x = at * UINT64_C(0x9e3779b97f4a7c15) + round + 1;

	return x ^ x >> 29;
}

static int scribble(const char *path, size_t from, unsigned rounds)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	volatile uint64_t *memory;
	size_t pages, kept = 0;

	if (fd < 0 || fstat(fd, &st) || (size_t)st.st_size <= from)
		return perror(path), 1;
	memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return perror(path), 1;
	pages = ((size_t)st.st_size - from) / PAGE;
	memory += from / sizeof(uint64_t);
	for (unsigned round = 0; round < rounds; round++)
		for (size_t i = 0; i < pages * WORDS; i++)
			memory[i] = garbage(i, round);
	for (size_t page = 0; page < pages; page++) {
		size_t i = page * WORDS;

		while (i < (page + 1) * WORDS && memory[i] != garbage(i, rounds - 1))
			i++;
		kept += i < (page + 1) * WORDS;
	}
	printf("%s: kept %zu of %zu pages\n", path, kept, pages);
	munmap((void *)(uintptr_t)(memory - from / sizeof(uint64_t)), (size_t)st.st_size);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long from = 0, rounds = 1;
	int bad = 0;

	for (int option; (option = getopt(argc, argv, "f:r:")) != -1;) {
		if (option == '?')
			return 2;
		*(option == 'f' ? &from : &rounds) = strtoul(optarg, NULL, 0);
	}
	for (int i = optind; i < argc; i++)
		bad |= scribble(argv[i], from / PAGE * PAGE, (unsigned)rounds);
	return bad;
}
