/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: one thread per attached region. It holds the slot (the kernel marks the alive word when it dies), beats the
 * heart, and looks around once per beat: who became suspect, who asks for a producer of ours, whether the region was
 * replaced or this peer evicted. It wakes waiters; it never touches a ring that has a consumer. For a program with an
 * event loop it also listens to the bells (fd.c).
 */
#include "region/region.h"

enum phase {
	STARTING,
	RUNNING,
	LISTENING, /* for a descriptor, too */
	FAILED,
	STOPPING,
};

static void set_phase(struct vshm_region *region, uint32_t phase)
{
	__atomic_store_n(&region->keeper_phase, phase, __ATOMIC_RELEASE);
	vshmi_futex_wake(&region->keeper_phase);
	if (region->bell_heard.there)
		vshmi_eventfd_signal(region->bell_heard.wake_keeper);
}

static uint32_t get_phase(const struct vshm_region *region)
{
	return __atomic_load_n(&region->keeper_phase, __ATOMIC_ACQUIRE);
}

/*
 * Producers whose consumer is gone, or (`all`) whose region is, leave their fast path at the next reserve. It is repeated
 * at every beat until they do. One that makes no call is left without a consumer here, and can be granted the next.
 */
static void call_attention(struct vshm_region *region, bool all)
{
	for (unsigned i = 0; i < VSHM_ENTRIES; i++) {
		struct vshmi_end *end = region->own[i].end;
		int gone;

		if (end && end->readers)
			(void)vshmi_readers_attend(region, end);
		/* one that was granted a consumer while its thread was elsewhere is still adrift */
		if (!end || end->kind != VSHM_PRODUCER || end->readers || (end->adrift && !end->link.id))
			continue;
		gone = end->left ? end->left : vshmi_link_check(region, &end->link);
		if (!gone && !all && vshmi_peer_known(region, end->link.peer) >= VSHM_PEER_DIED)
			gone = -EPIPE; /* without a keeper of its own: no mark, but its process is gone */
		if (gone && !all)
			vshmi_grant_acknowledge(region, end, gone);
		if (gone || all)
			vshmi_tx_call_attention(end->tx);
		if (gone && !all)
			vshmi_grant_seize(region, end);
	}
}

static void tell_unusable(struct vshm_region *region, int rc)
{
	const char *what = rc == -ENODEV ? "its memory is gone (truncated, or unplugged): recreate it" :
			   vshmi_load_acquire32(&region->section->alive) != region->alive ?
					   "this peer was evicted: open the region again" :
					   "it was replaced or destroyed: open it again by its name";

	(void)vshmi_region_fail(region, rc, "region %s: %s", region->name, what);
	vshmi_region_log(region, VSHM_LOG_ERROR, "region %s: %s", region->name, what);
}

int vshmi_region_look(struct vshm_region *region)
{
	int rc = vshmi_region_usable(region);

	if (rc || !region->transport.ops->status || region->transport.ops->status(&region->transport) != -ENODEV)
		return rc;
	if (__atomic_exchange_n(&region->status, ENODEV, __ATOMIC_RELAXED) != ENODEV)
		tell_unusable(region, -ENODEV);
	return -ENODEV;
}

/* Is the region still the one under its name, and the slot still ours? */
static bool look_at_region(struct vshm_region *region)
{
	int rc = vshmi_region_usable(region);

	if (!rc && region->transport.ops->status)
		rc = region->transport.ops->status(&region->transport);
	if (!rc && vshmi_load_acquire32(&region->section->alive) != region->alive)
		rc = vshmi_region_usable(region) ? -ENODEV : -ESTALE;
	if (!rc)
		return true;
	if (__atomic_exchange_n(&region->status, (uint32_t)-rc, __ATOMIC_RELAXED) != (uint32_t)-rc)
		tell_unusable(region, rc);
	call_attention(region, true);
	vshmi_region_kick(region);
	return false;
}

static void look_at_peers(struct vshm_region *region)
{
	bool news = false;

	for (vshm_peer i = 0; i < region->peers; i++) {
		enum vshm_peer_state before = vshmi_peer_known(region, i), after;

		if (i == region->self)
			continue;
		after = vshmi_peer_examine(region, i, NULL);
		if (after == before)
			continue;
		if (after >= VSHM_PEER_SUSPECT)
			vshmi_region_log(region, VSHM_LOG_WARNING, "region %s: peer %u %s", region->name, i,
					 after == VSHM_PEER_SUSPECT ? "is suspect" :
					 after == VSHM_PEER_DIED    ? "died" :
								      "is fenced");
		news |= after >= VSHM_PEER_SUSPECT || before == VSHM_PEER_SUSPECT;
	}
	if (news)
		vshmi_region_kick(region);
}

/* `paused`: this process was stopped itself, so that nobody else is to blame for a heart that seems to stand still. */
static void beat(struct vshm_region *region, struct vshmi_ears *ears, uint64_t *count, bool paused)
{
	vshmi_lock(&region->lock);
	if (paused)
		vshmi_peer_restart_leases(region);
	if (look_at_region(region)) {
		vshmi_store64(&region->section->heartbeat, ++*count);
		look_at_peers(region);
		vshmi_grant_requests(region);
		call_attention(region, false);
		vshmi_ears_note_peers(ears, region);
	}
	vshmi_unlock(&region->lock);
}

/* Until the next beat is due, or something happens. True: the next beat is due now. */
static bool rest(struct vshm_region *region, struct vshmi_ears *ears, uint32_t phase, int64_t due)
{
	const uint32_t *word = &region->keeper_phase;
	int64_t left = due - vshmi_clock_ns();

	if (region->bell_heard.there) {
		return (phase != LISTENING || vshmi_ears_look(ears, region)) &&
		       vshmi_bell_keep(region, phase == LISTENING, due);
	}
	if (phase == LISTENING)
		vshmi_ears_listen(ears, region, word, phase, due);
	else
		(void)vshmi_futex_wait(&word, &phase, 1, left > 0 ? left : 0);
	return false;
}

static void keep(void *arg)
{
	struct vshm_region *region = arg;
	struct vshmi_ears ears = {0};
	int64_t last, due = 0;
	uint32_t phase;
	uint64_t count;

	region->keeper_result = vshmi_slot_take(region, region->keeper_why);
	if (region->keeper_result) {
		set_phase(region, FAILED);
		return;
	}
	count = vshmi_load64(&region->section->heartbeat);
	set_phase(region, RUNNING);
	last = vshmi_clock_ns();
	while ((phase = get_phase(region)) == RUNNING || phase == LISTENING) {
		int64_t now = vshmi_clock_ns();

		if (now >= due || ears.alarm) {
			ears.alarm = false;
			beat(region, &ears, &count, now - last > (int64_t)region->lease_ms * 500000); /* half a lease */
			last = now;
			due = now + (int64_t)region->beat_ms * 1000000;
		}
		if (rest(region, &ears, phase, due))
			due = 0;
	}
	vshmi_slot_leave(region);
}

int vshmi_keeper_start(struct vshm_region *region, char *why)
{
	int rc;

	if (!region->has_keeper)
		return vshmi_slot_take(region, why);
	rc = vshmi_bell_open(&region->bell_heard, region);
	if (rc)
		return vshmi_why(why, rc, "no descriptor for the keeper: %s", vshm_strerror(rc));
	region->keeper_why = why;
	region->keeper_phase = STARTING;
	rc = vshmi_thread_start(&region->keeper, "vshm-keeper", keep, region);
	if (rc) {
		vshmi_bell_close(&region->bell_heard);
		return vshmi_why(why, rc, "cannot start the keeper thread: %s", vshm_strerror(rc));
	}
	while (get_phase(region) == STARTING) { /* ends: taking a slot has a deadline */
		const uint32_t *word = &region->keeper_phase;
		uint32_t starting = STARTING;

		(void)vshmi_futex_wait(&word, &starting, 1, INT64_C(100) * 1000000);
	}
	if (get_phase(region) == RUNNING)
		return 0;
	vshmi_thread_join(region->keeper);
	region->keeper = NULL;
	vshmi_bell_close(&region->bell_heard);
	return region->keeper_result;
}

void vshmi_keeper_listen(struct vshm_region *region)
{
	__atomic_store_n(&region->listens, 1, __ATOMIC_RELEASE);
	set_phase(region, LISTENING);
}

void vshmi_keeper_stop(struct vshm_region *region)
{
	if (!region->has_keeper) {
		vshmi_slot_leave(region);
		return;
	}
	set_phase(region, STOPPING);
	vshmi_thread_join(region->keeper);
	region->keeper = NULL;
	vshmi_bell_close(&region->bell_heard);
}
