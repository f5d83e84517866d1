/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of libvshm-discover, so that running out of it can be seen in one place. */
#include "discover/discover.h"

#include <stdlib.h>

void *vshmi_discover_alloc(size_t size)
{
	return calloc(1, size);
}

void vshmi_discover_free(void *memory)
{
	free(memory);
}

struct vshm_found *vshmi_finds_add(struct vshmi_finds *finds, enum vshm_found_kind kind)
{
	struct vshm_found *one;

	if (finds->count == finds->room) {
		size_t room = finds->room ? 2 * finds->room : 8;
		struct vshm_found *more = realloc(finds->one, room * sizeof(*more));

		finds->failed |= !more;
		if (!more)
			return NULL;
		finds->one = more;
		finds->room = room;
	}
	one = &finds->one[finds->count++];
	memset(one, 0, sizeof(*one));
	one->struct_size = sizeof(*one);
	one->kind = kind;
	one->iommu_group = -1;
	return one;
}

void vshmi_finds_free(struct vshmi_finds *finds)
{
	free(finds->one);
	memset(finds, 0, sizeof(*finds));
}
