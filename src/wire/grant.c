/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom a producer granted: one consumer in its entry, or several in the table behind its ring. As in the entry, the id
 * frames what is said beside it.
 */
#include "wire/wire.h"

_Static_assert(sizeof(struct vshmi_shared_grant) == sizeof(struct vshm_grant), "layout");
_Static_assert(sizeof(struct vshm_grant) == 32, "layout");
_Static_assert(offsetof(struct vshmi_shared_grant, id) == offsetof(struct vshm_grant, id), "layout");

const struct vshmi_shared_grant *vshmi_grant_table(const struct vshmi_shared_section *section,
						   const struct vshm_entry *producer)
{
	return (const struct vshmi_shared_grant *)(const void *)((const unsigned char *)section + producer->ring_offset +
								 producer->ring_size);
}

/* Each word once, but the id: it was stored last, and must be the same behind the rest. */
static bool read_table(const struct vshmi_shared_grant *shared, struct vshm_grant *out)
{
	out->reserved = 0;
	out->id = vshmi_load_acquire64(&shared->id); /* pairs with vshmi_grant_set() */
	if (!out->id)
		return false;
	out->peer = vshmi_load32(&shared->peer);
	out->incarnation = vshmi_load64(&shared->incarnation);
	out->start = vshmi_load64(&shared->start);
	vshmi_fence_acquire();
	return vshmi_load64(&shared->id) == out->id;
}

bool vshmi_grant_read(const struct vshmi_shared_section *section, const struct vshm_entry *producer, uint32_t index,
		      uint32_t peers, struct vshm_grant *out)
{
	if (producer->kind != VSHM_PRODUCER)
		return false;
	if (producer->grants)
		return read_table(&vshmi_grant_table(section, producer)[index], out) && out->peer < peers;
	*out = (struct vshm_grant){0, producer->other_peer, producer->other_incarnation, producer->other_id,
				   producer->other_start};
	return out->id != 0;
}

void vshmi_grant_set(struct vshmi_shared_grant *grant, vshm_peer peer, uint64_t incarnation, uint64_t id, uint64_t start)
{
	vshmi_store64(&grant->id, 0);
	vshmi_fence_release();
	if (!id) /* the rest stays: a start of 0 could be taken for one's own by who looks whether it is granted still */
		return;
	vshmi_store32(&grant->reserved, 0);
	vshmi_store32(&grant->peer, peer);
	vshmi_store64(&grant->incarnation, incarnation);
	vshmi_store64(&grant->start, start);
	vshmi_store_release64(&grant->id, id);
}
