/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/base.h"

/* So many wake-ups in a row within such a time that found nothing are a flood. */
#define MANY 100u
#define SHORT_NS (INT64_C(20) * 1000 * 1000)

void vshmi_flood_note(struct vshmi_flood *flood, int64_t now_ns)
{
	if (!flood->empty || now_ns - flood->since_ns > SHORT_NS) {
		flood->empty = 0;
		flood->since_ns = now_ns;
	}
	if (++flood->empty == MANY) {
		flood->empty = 0;
		flood->naps = MANY;
	}
}

bool vshmi_flood_nap(struct vshmi_flood *flood)
{
	if (!flood->naps)
		return false;
	flood->naps--;
	return true;
}
