/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The section header: who writes this section. The incarnation stands last when written and frames every read: the
 * same value before and after means that what was copied belongs to it.
 */
#include "wire/wire.h"

_Static_assert(offsetof(struct vshmi_shared_section, alive) == VSHM_SECTION_ALIVE, "layout");
_Static_assert(offsetof(struct vshmi_shared_section, heartbeat) == VSHM_SECTION_HEARTBEAT, "layout");
_Static_assert(offsetof(struct vshmi_shared_section, changes) == VSHM_SECTION_CHANGES, "layout");
_Static_assert(offsetof(struct vshmi_shared_section, bell) == VSHM_SECTION_BELLS, "layout");
_Static_assert(offsetof(struct vshmi_shared_section, directory) == VSHM_SECTION_DIRECTORY, "layout");
_Static_assert(sizeof(struct vshmi_shared_section) <= VSHM_SECTION_DATA, "layout");
_Static_assert(sizeof(struct vshm_identity) % 8 == 0 && sizeof(struct vshm_identity) <= VSHM_SECTION_ALIVE, "layout");
_Static_assert(offsetof(struct vshm_identity, incarnation) == 0 && offsetof(struct vshm_identity, state) == 8, "layout");

#define IDENTITY_WORDS (sizeof(struct vshm_identity) / 8)
#define KNOWN_WAYS (VSHM_WAY_FUTEX | VSHM_WAY_MEMBARRIER | VSHM_WAY_KEEPER | VSHM_WAY_DOORBELL | VSHM_WAY_RINGS)

static int broken(struct vshm_fault *fault, uint32_t rule, size_t offset, uint64_t value)
{
	fault->rule = rule;
	fault->offset = offset;
	fault->value = value;
	return -EPROTO;
}

int vshmi_identity_read(const struct vshmi_shared_section *section, struct vshm_identity *out, struct vshm_fault *fault)
{
	union {
		uint64_t word[IDENTITY_WORDS];
		struct vshm_identity identity;
	} copy;

	/* pairs with vshmi_incarnation_publish() */
	copy.word[0] = vshmi_load_acquire64(&section->identity[0]);
	if (!copy.word[0]) {
		memset(out, 0, sizeof(*out));
		return 0;
	}
	vshmi_load_block(copy.word + 1, section->identity + 1, IDENTITY_WORDS - 1);
	vshmi_fence_acquire();
	if (vshmi_load64(&section->identity[0]) != copy.word[0])
		return -EAGAIN;
	if (copy.identity.state > VSHM_SECTION_CLOSING)
		return broken(fault, VSHM_RULE_STATE, offsetof(struct vshm_identity, state), copy.identity.state);
	if (copy.identity.ways & ~KNOWN_WAYS)
		return broken(fault, VSHM_RULE_WAYS, offsetof(struct vshm_identity, ways), copy.identity.ways);
	if (!vshmi_name_field_ok(copy.identity.label))
		return broken(fault, VSHM_RULE_LABEL, offsetof(struct vshm_identity, label), 0);
	*out = copy.identity;
	return 0;
}

void vshmi_identity_write(struct vshmi_shared_section *section, const struct vshm_identity *identity)
{
	uint64_t words[IDENTITY_WORDS];

	memcpy(words, identity, sizeof(words));
	vshmi_store64(&section->identity[0], 0);
	vshmi_fence_release();
	vshmi_store_block(section->identity + 1, words + 1, IDENTITY_WORDS - 1);
}

void vshmi_incarnation_publish(struct vshmi_shared_section *section, uint64_t incarnation)
{
	vshmi_store_release64(&section->identity[0], incarnation);
}

uint64_t vshmi_incarnation_load(const struct vshmi_shared_section *section)
{
	return vshmi_load_acquire64(&section->identity[0]);
}

void vshmi_section_state_store(struct vshmi_shared_section *section, uint32_t state, uint32_t ways)
{
	/* state and ways share a word, so both are always whole */
	vshmi_store_release64(&section->identity[1], (uint64_t)ways << 32 | state);
}

bool vshmi_alive_ok(uint32_t alive)
{
	if (!alive || alive == VSHM_ALIVE_EVICTED)
		return true;
	if (!(alive & VSHM_ALIVE_WAITERS))
		return false;
	return alive & VSHM_ALIVE_DIED ? !(alive & VSHM_ALIVE_TID) : alive & VSHM_ALIVE_TID;
}
