/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One descriptor for an event loop. Somebody has to sleep on the words of the peers in the loop's place: the keeper. It
 * listens all the time, so that an end need only arm and look again before its program sleeps on the descriptor.
 */
#include "region/region.h"

#include <vshm/wait.h>

int vshm_region_fd(struct vshm_region *region)
{
	int rc = vshmi_region_handle(region);

	if (rc)
		return rc;
	if (vshmi_region_listens(region))
		return region->fd;
	rc = vshmi_region_usable(region);
	if (rc)
		return rc;
	if (!region->has_keeper)
		return vshmi_region_fail(region, -EOPNOTSUPP,
					 "only a keeper can watch for a descriptor: open the region without %s",
					 vshmi_observes(region) ? "VSHM_OPEN_OBSERVE" : "VSHM_OPEN_NO_KEEPER");
	vshmi_lock(&region->lock);
	if (!vshmi_region_listens(region)) {
		rc = vshmi_eventfd_open();
		if (rc >= 0) {
			region->fd = rc;
			vshmi_eventfd_signal(rc); /* a loop begins with a look around */
			vshmi_keeper_listen(region);
		}
	}
	rc = rc < 0 ? vshmi_region_fail(region, rc, "no descriptor for region %s: %s", region->name, vshm_strerror(rc)) :
		      region->fd;
	vshmi_unlock(&region->lock);
	return rc;
}

int vshm_region_dispatch(struct vshm_region *region)
{
	int rc = vshmi_region_handle(region);

	if (rc)
		return rc;
	if (!vshmi_region_listens(region))
		return -EINVAL;
	vshmi_eventfd_clear(region->fd);
	return vshmi_region_usable(region);
}

void vshmi_fd_close(struct vshm_region *region)
{
	if (vshmi_region_listens(region))
		vshmi_eventfd_close(region->fd);
}

/* ---- in the keeper's thread ---- */

/* A flood is a hundred wake-ups at once, then a hundred naps: about 1000 a second. */
#define NAP_NS (2 * VSHMI_SHORT_NS)

static void add_word(struct vshmi_ears *ears, const struct vshmi_word32 *word)
{
	if (ears->count == VSHMI_EARS)
		return; /* 64 peers: a death that is not heard is seen at the next beat */
	ears->word[ears->count] = word;
	ears->noted[ears->count++] = vshmi_load_acquire32(word);
}

/* Bells before alive words. */
static void prick_up(struct vshmi_ears *ears, const struct vshm_region *region)
{
	add_word(ears, &region->kick);
	for (vshm_peer i = 0; i < region->peers; i++)
		if (region->peer[i].section)
			add_word(ears, &region->peer[i].section->bell[region->self].word);
	ears->alive = ears->count;
	for (vshm_peer i = 0; i < region->peers; i++)
		if (i != region->self && region->peer[i].section)
			add_word(ears, &region->peer[i].section->alive);
	ears->news = true; /* what came before */
}

/* What changed since it was noted last is news. The kernel wakes only one for an alive word: who is woken wakes the others. */
static void note_words(struct vshmi_ears *ears)
{
	for (unsigned i = 0; i < ears->count; i++) {
		uint32_t value = vshmi_load_acquire32(ears->word[i]); /* pairs with vshmi_peer_ring() */

		if (value == ears->noted[i])
			continue;
		ears->noted[i] = value;
		ears->news = true;
		if (i < ears->alive)
			continue;
		ears->alarm = true;
		vshmi_futex_wake(vshmi_futex_address(ears->word[i]));
	}
}

void vshmi_ears_note_peers(struct vshmi_ears *ears, const struct vshm_region *region)
{
	for (vshm_peer i = 0; i < region->peers; i++) {
		const struct vshmi_peer *peer = &region->peer[i];

		ears->news |= ears->state[i] != peer->state || ears->incarnation[i] != peer->incarnation;
		ears->state[i] = peer->state;
		ears->incarnation[i] = peer->incarnation;
	}
}

/* News for the program; or it is time to make up for a doorbell that was lost. */
static void tell(struct vshmi_ears *ears, struct vshm_region *region, int64_t now)
{
	uint32_t found = __atomic_load_n(&region->found, __ATOMIC_RELAXED);

	if (found != ears->found)
		ears->flood.empty = 0;
	ears->found = found;
	if (ears->news)
		vshmi_flood_note(&ears->flood, now);
	else if (now - ears->told_ns < VSHMI_RECHECK_NS || !__atomic_exchange_n(&region->waiting, 0, __ATOMIC_RELAXED))
		return;
	ears->news = false;
	ears->told_ns = now;
	vshmi_eventfd_signal(region->fd);
}

bool vshmi_ears_look(struct vshmi_ears *ears, struct vshm_region *region)
{
	if (!ears->count)
		prick_up(ears, region);
	note_words(ears);
	tell(ears, region, vshmi_clock_ns());
	return !ears->alarm || ears->flood.naps;
}

void vshmi_ears_listen(struct vshmi_ears *ears, struct vshm_region *region, const uint32_t *phase, uint32_t expected,
		       int64_t until_ns)
{
	const uint32_t *address[VSHMI_EARS + 1] = {phase};
	uint32_t noted[VSHMI_EARS + 1] = {expected};
	int64_t timeout;
	unsigned count = 1;

	if (!vshmi_ears_look(ears, region))
		return;
	timeout = until_ns - vshmi_clock_ns();
	if (timeout > VSHMI_RECHECK_NS)
		timeout = VSHMI_RECHECK_NS;
	if (vshmi_flood_nap(&ears->flood)) { /* only the keeper's own word */
		if (timeout > NAP_NS)
			timeout = NAP_NS;
	} else {
		for (unsigned i = 0; i < ears->count; i++, count++) {
			address[count] = vshmi_futex_address(ears->word[i]);
			noted[count] = ears->noted[i];
		}
	}
	if (vshmi_futex_wait(address, noted, count, timeout) == -EFAULT)
		vshmi_sleep_ns(VSHMI_SHORT_NS);
}
