/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bell that is an interrupt, on a descriptor. Of the threads that wait one leads: it sleeps on the descriptor, and when it
 * rings, or when its own wait is over, it kicks the others, who sleep on the kick word and look at what they wait for. While
 * the program waits on the region's descriptor, the keeper leads all the time.
 *
 * No ring is lost: whoever clears the descriptor changes the kick word before it gives up the lead, and whoever takes the lead
 * looks whether the word still is what it noted before it armed. A thread that was woken leaves the descriptor as it is, and
 * clears it when it is about to arm for its next sleep: what it was woken for shall not wait for a system call.
 */
#include "region/region.h"

/* A flood is a hundred rings for nothing within 20 ms; then nobody hears anything for as many of these: about 1000 a second. */
#define NAP_NS VSHMI_SHORT_NS

int vshmi_bell_open(struct vshmi_bell *bell, const struct vshm_region *region)
{
	memset(bell, 0, sizeof(*bell));
	bell->wake_keeper = bell->wake_leader = -1;
	if (!(region->ways & VSHM_WAY_DOORBELL))
		return 0;
	bell->wake_keeper = vshmi_eventfd_open();
	bell->wake_leader = bell->wake_keeper < 0 ? bell->wake_keeper : vshmi_eventfd_open();
	if (bell->wake_leader >= 0) {
		bell->there = true;
		return 0;
	}
	if (bell->wake_keeper >= 0)
		vshmi_eventfd_close(bell->wake_keeper);
	return bell->wake_leader;
}

void vshmi_bell_close(struct vshmi_bell *bell)
{
	if (!bell->there)
		return;
	bell->there = false;
	vshmi_eventfd_close(bell->wake_keeper);
	vshmi_eventfd_close(bell->wake_leader);
}

/* Who leads makes the descriptor unreadable. */
static void clear(struct vshmi_bell *bell, struct vshm_region *region)
{
	__atomic_store_n(&bell->spent, 0, __ATOMIC_RELAXED);
	if (region->transport.ops->hear)
		region->transport.ops->hear(&region->transport);
	else
		vshmi_eventfd_clear(region->transport.bell);
}

/* It rang. Did anybody find something since it rang last? */
static void note_ring(struct vshmi_bell *bell, const struct vshm_region *region)
{
	uint32_t found = __atomic_load_n(&region->found, __ATOMIC_RELAXED);

	if (found != bell->found)
		bell->flood.empty = 0;
	bell->found = found;
	vshmi_flood_note(&bell->flood, vshmi_clock_ns());
}

/* As the leader: until it rings, somebody kicks, or `timeout_ns`. True: it rang. */
static bool sleep_on(struct vshmi_bell *bell, struct vshm_region *region, int64_t timeout_ns)
{
	const int fds[] = {bell->wake_leader, region->transport.bell};
	bool deaf = vshmi_flood_nap(&bell->flood);
	uint32_t readable;

	if (__atomic_load_n(&bell->spent, __ATOMIC_RELAXED)) { /* of an earlier ring, or a new one, which nobody can tell */
		clear(bell, region);
		return true;
	}
	if (deaf && timeout_ns > NAP_NS)
		timeout_ns = NAP_NS;
	readable = vshmi_poll(fds, deaf ? 1 : 2, timeout_ns > 0 ? timeout_ns : 0);
	if (readable & 1)
		vshmi_eventfd_clear(bell->wake_leader);
	if (readable & 2) {
		note_ring(bell, region);
		__atomic_store_n(&bell->spent, 1, __ATOMIC_RELAXED);
	}
	return readable & 2;
}

static bool lead(struct vshmi_bell *bell)
{
	uint32_t nobody = 0;

	return __atomic_compare_exchange_n(&bell->led, &nobody, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/*
 * Somebody else may take the lead now, and may be whom the ring was for: also one who is only about to wait, so the word changes
 * in any case. The count and the lead are a Dekker pair: who finds the lead taken is seen here, or does not find it taken.
 */
static void stop_leading(struct vshmi_bell *bell, struct vshm_region *region, bool rang, unsigned self)
{
	if (rang)
		vshmi_increment32(&region->kick);
	__atomic_store_n(&bell->led, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&bell->waiting, __ATOMIC_SEQ_CST) <= self)
		return;
	if (!rang)
		vshmi_increment32(&region->kick);
	vshmi_futex_wake(vshmi_futex_address(&region->kick));
}

void vshmi_bell_prepare(struct vshm_region *region)
{
	struct vshmi_bell *bell = &region->bell_heard;

	if (!__atomic_load_n(&bell->spent, __ATOMIC_RELAXED) || vshmi_region_listens(region) || !lead(bell))
		return; /* whoever leads clears it */
	if (__atomic_load_n(&bell->spent, __ATOMIC_RELAXED))
		clear(bell, region);
	stop_leading(bell, region, true, 0);
}

void vshmi_bell_wait(struct vshm_region *region, uint32_t kick, int64_t timeout_ns)
{
	struct vshmi_bell *bell = &region->bell_heard;
	const uint32_t *word = vshmi_futex_address(&region->kick);

	__atomic_fetch_add(&bell->waiting, 1, __ATOMIC_SEQ_CST);
	if (vshmi_region_listens(region) || !lead(bell)) {
		(void)vshmi_futex_wait(&word, &kick, 1, timeout_ns);
	} else {
		bool rang = vshmi_load_acquire32(&region->kick) == kick && sleep_on(bell, region, timeout_ns);

		stop_leading(bell, region, rang, 1);
	}
	__atomic_fetch_sub(&bell->waiting, 1, __ATOMIC_SEQ_CST);
}

/* What the transport has to say. True: somebody is gone. */
static bool read_news(struct vshm_region *region)
{
	uint32_t departed[VSHM_MAX_PEERS];
	unsigned count;

	vshmi_lock(&region->lock);
	count = region->transport.ops->attend(&region->transport, departed, VSHM_MAX_PEERS);
	for (unsigned i = 0; i < count; i++)
		vshmi_peers_depart(region, departed[i]);
	vshmi_unlock(&region->lock);
	return count;
}

bool vshmi_bell_keep(struct vshm_region *region, bool listening, int64_t until_ns)
{
	struct vshmi_bell *bell = &region->bell_heard;
	bool leads = listening && lead(bell);
	int fds[3] = {bell->wake_keeper}, count = 1, news = 0, rings = 0;
	int64_t timeout = until_ns - vshmi_clock_ns();
	uint32_t readable;

	if (region->transport.news >= 0)
		fds[news = count++] = region->transport.news;
	if (leads && !vshmi_flood_nap(&bell->flood))
		fds[rings = count++] = region->transport.bell;
	else if (listening && timeout > NAP_NS) /* a flood, or the thread that still leads has not done yet */
		timeout = NAP_NS;
	readable = vshmi_poll(fds, (unsigned)count, timeout > 0 ? timeout : 0);
	if (readable & 1)
		vshmi_eventfd_clear(bell->wake_keeper);
	if (rings && readable >> rings & 1) {
		note_ring(bell, region);
		clear(bell, region);
		vshmi_region_kick(region);
	}
	if (leads)
		__atomic_store_n(&bell->led, 0, __ATOMIC_SEQ_CST);
	return news && readable >> news & 1 && read_news(region);
}
