/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A consumer's position lies in an entry that can get another user, who can choose another ring: so the ids are looked at
 * after the position, and one with other ids says nothing. A position that counts only grows, up to what was published.
 */
#include "ring/ring.h"

static int broken(struct vshmi_ring_fault *fault, uint32_t rule, uint64_t last, uint64_t head)
{
	*fault = (struct vshmi_ring_fault){rule, last, head};
	return -EPROTO;
}

int vshmi_head_take(const struct vshmi_head *from, uint64_t published, uint64_t *head, struct vshmi_ring_fault *fault)
{
	uint64_t last = *head, now = vshmi_load_acquire64(from->word); /* pairs with vshmi_rx_return(): its reads are over */

	if (now == VSHM_NOT_STARTED)
		return 0;
	/* the id after the head: vshmi_entry_open() clears the old id before it stores a new position */
	if (from->id_word && vshmi_load64(from->id_word) != from->id)
		return 0;
	/* likewise: a consumer names the producer it chose before it stores a position in that one's ring */
	if (from->back_word && vshmi_load64(from->back_word) != from->back)
		return 0;
	if (now % 8)
		return broken(fault, VSHM_RULE_HEAD_ALIGN, last, now);
	if (now - last > published - last)
		return broken(fault, VSHM_RULE_HEAD_RANGE, last, now);
	*head = now;
	return 1;
}
