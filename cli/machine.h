/* SPDX-License-Identifier: BSD-3-Clause */
/* A region as the memory of devices in a virtual machine: what qemu-args and libvirt-xml have to say of it. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include "observe.h"

#include <limits.h>

struct machine_memory {
	char id[VSHM_NAME_SIZE + 32]; /* fit for QEMU: letters, digits, - _ . */
	char path[PATH_MAX + 16];
	uint64_t size;
	bool readonly;
};

struct machine {
	char name[VSHM_NAME_SIZE];
	const char *socket; /* of an ivshmem server; NULL: none */
	unsigned vectors;
	size_t count;
	struct machine_memory memory[VSHM_MAX_PEERS]; /* the own one first */
};

/*
 * Reads options and the region that both commands have: NAME or URI, --socket PATH, --vectors N, --peer N. CTL_OK; another exit
 * code: it was said what is wrong.
 */
int machine_read(int argc, char **argv, struct machine *machine);

#endif
