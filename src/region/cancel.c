/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ending waits from outside, signal handlers included: a flag, and a kick that makes everybody look at it. No lock.
 */
#include "region/region.h"

#include <vshm/wait.h>

void vshmi_region_kick(struct vshm_region *region)
{
	vshmi_increment32(&region->kick);
	vshmi_futex_wake(vshmi_futex_address(&region->kick));
	if (region->bell_heard.there)
		vshmi_eventfd_signal(region->bell_heard.wake_leader);
}

int vshm_region_cancel(struct vshm_region *region)
{
	int rc = vshmi_region_handle(region);

	if (rc)
		return rc;
	/* relaxed: the kick is a release, and a sleeper acquires it before it looks */
	__atomic_store_n(&region->cancelled, 1, __ATOMIC_RELAXED);
	vshmi_region_kick(region);
	return 0;
}

int vshm_region_resume(struct vshm_region *region)
{
	int rc = vshmi_region_handle(region);

	if (!rc)
		__atomic_store_n(&region->cancelled, 0, __ATOMIC_RELAXED);
	return rc;
}
