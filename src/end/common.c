/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What producers and consumers do alike: opening, and what to say of a suspect or broken peer. Waiting: wait.c.
 */
#include "end/end.h"

int vshmi_end_may_open(struct vshm_region *region, const char *name)
{
	int rc = vshmi_region_handle(region);

	if (!rc)
		rc = vshmi_region_usable(region);
	if (rc)
		return rc;
	if (vshmi_observes(region))
		return vshmi_region_fail(region, -EACCES, "an observer cannot open ends: open the region without VSHM_OPEN_OBSERVE");
	if (!vshmi_name_ok(name))
		return vshmi_region_fail(region, -EINVAL,
					 "\"%.80s\" cannot be a ring's name: use 1 to %u letters, digits or . _ : + -, beginning "
					 "with a letter or digit",
					 name ? name : "(NULL)", VSHM_NAME_SIZE - 1);
	return 0;
}

void vshmi_end_init(struct vshmi_end *end, uint32_t kind, const char *name, uint32_t flags)
{
	end->kind = kind;
	end->flags = flags;
	memcpy(end->name, name, strlen(name));
}

int vshmi_end_liveness(const struct vshmi_end *end, bool *told)
{
	struct vshm_region *region = end->region;
	enum vshm_peer_state state;

	if (!end->link.id)
		return 0;
	state = vshmi_peer_known(region, end->link.peer);
	/* what the keeper knows may be of the slot's last user: bad news is looked at closely before it is told */
	if (!region->has_keeper || (state >= VSHM_PEER_SUSPECT && !(state == VSHM_PEER_SUSPECT && *told))) {
		vshmi_lock(&region->lock);
		state = vshmi_peer_examine(region, end->link.peer, NULL);
		vshmi_unlock(&region->lock);
	}
	if (state >= VSHM_PEER_DIED)
		return -EPIPE;
	if ((state == VSHM_PEER_SUSPECT) == *told)
		return 0;
	*told = state == VSHM_PEER_SUSPECT;
	return *told ? -EHOSTDOWN : 0;
}

/* Where in the other peer's section the broken word stands. */
static uint64_t fault_offset(const struct vshmi_end *end, const struct vshmi_ring_fault *ring, uint64_t ring_offset,
			     uint64_t ring_size)
{
	uint64_t entry = VSHM_SECTION_DIRECTORY + (uint64_t)end->link.index * sizeof(struct vshm_entry);

	if (ring->rule < VSHM_RULE_RECORD_KIND)
		return entry + offsetof(struct vshm_entry, position);
	return ring_offset + (ring->position & (ring_size - 1));
}

int vshmi_end_quarantine(const struct vshmi_end *end, const struct vshmi_ring_fault *ring, uint64_t ring_offset,
			 uint64_t ring_size, struct vshm_fault *fault)
{
	struct vshm_region *region = end->region;

	int rc = vshmi_region_look(region);

	if (rc)
		return rc;
	*fault = (struct vshm_fault){
		.struct_size = sizeof(*fault),
		.peer = end->link.peer,
		.rule = ring->rule,
		.offset = fault_offset(end, ring, ring_offset, ring_size),
		.value = ring->value,
	};
	vshmi_region_log(region, VSHM_LOG_ERROR, "ring %s: peer %u broke the format: %s (0x%llx at offset 0x%llx)", end->name,
			 fault->peer, vshm_rule_text(fault->rule), (unsigned long long)fault->value,
			 (unsigned long long)fault->offset);
	return vshmi_region_fail(region, -EPROTO, "ring %s: peer %u broke the format: %s (0x%llx at offset 0x%llx of its section)",
				 end->name, fault->peer, vshm_rule_text(fault->rule), (unsigned long long)fault->value,
				 (unsigned long long)fault->offset);
}

void vshmi_end_counters_publish(const struct vshmi_end *end, uint64_t records, uint64_t rings, uint64_t avoided,
				uint64_t sleeps, uint64_t spurious, uint64_t lost)
{
	const uint64_t counters[VSHMI_COUNTERS] = {records, rings, avoided, sleeps, spurious, lost};

	if (!vshmi_region_usable(end->region))
		vshmi_store_block(end->entry->counters, counters, VSHMI_COUNTERS);
}
