/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bell that is an interrupt: the keeper sleeps on its descriptor, and kicks this process' waiters when it rings. One
 * descriptor serves all, so whoever is kicked looks at what it waits for, and finds nothing when the ring was another's.
 */
#include "region/region.h"

/* A flood is a hundred rings for nothing within 20 ms; then the keeper hears nothing for as many of these: about 1000 a second. */
#define NAP_NS VSHMI_SHORT_NS

int vshmi_bell_open(struct vshmi_bell *bell, const struct vshm_region *region)
{
	memset(bell, 0, sizeof(*bell));
	bell->wake = -1;
	if (!(region->ways & VSHM_WAY_DOORBELL))
		return 0;
	bell->wake = vshmi_eventfd_open();
	return bell->wake < 0 ? bell->wake : 0;
}

void vshmi_bell_close(struct vshmi_bell *bell)
{
	if (bell->wake >= 0)
		vshmi_eventfd_close(bell->wake);
	bell->wake = -1;
}

void vshmi_bell_wake(const struct vshmi_bell *bell)
{
	if (bell->wake >= 0)
		vshmi_eventfd_signal(bell->wake);
}

/* It rang. Did anybody find something since it rang last? */
static void note_ring(struct vshmi_bell *bell, struct vshm_region *region)
{
	uint32_t found = __atomic_load_n(&region->found, __ATOMIC_RELAXED);

	vshmi_eventfd_clear(region->transport.bell);
	if (found != bell->found)
		bell->flood.empty = 0;
	bell->found = found;
	vshmi_flood_note(&bell->flood, vshmi_clock_ns());
	vshmi_region_kick(region);
}

void vshmi_bell_sleep(struct vshmi_bell *bell, struct vshm_region *region, int64_t until_ns)
{
	const int fds[] = {bell->wake, region->transport.bell};
	int64_t timeout = until_ns - vshmi_clock_ns();
	bool deaf = vshmi_flood_nap(&bell->flood);
	uint32_t readable;

	if (deaf && timeout > NAP_NS)
		timeout = NAP_NS;
	readable = vshmi_poll(fds, deaf ? 1 : 2, timeout > 0 ? timeout : 0);
	if (readable & 1)
		vshmi_eventfd_clear(bell->wake);
	if (readable & 2)
		note_ring(bell, region);
}
