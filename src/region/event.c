/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Region events without a queue: what was told last of each peer is compared with what is known now, so that nothing can
 * overflow, and who looks late gets the shortest story that leads to the present.
 */
#include "region/region.h"

#include <vshm/wait.h>

/* What comes next in the story of one peer; 0: nothing. */
static uint32_t next_event(const struct vshmi_told *told, const struct vshmi_peer *peer)
{
	enum vshm_peer_state state = (enum vshm_peer_state)peer->state;
	bool here = state == VSHM_PEER_LIVE || state == VSHM_PEER_SUSPECT;
	bool somebody = here || state >= VSHM_PEER_CLOSING;

	if (here && !peer->incarnation)
		return 0; /* it takes the slot this very moment */
	if (told->standing == VSHMI_ABSENT)
		return here ? VSHM_EVENT_JOINED : 0;
	if (somebody && peer->incarnation && peer->incarnation != told->incarnation)
		return VSHM_EVENT_RESTARTED;
	if (!here)
		return state >= VSHM_PEER_DIED ? VSHM_EVENT_DIED : VSHM_EVENT_LEFT;
	if ((state == VSHM_PEER_SUSPECT) == (told->standing == VSHMI_SUSPECTED))
		return 0;
	return state == VSHM_PEER_SUSPECT ? VSHM_EVENT_SUSPECT : VSHM_EVENT_RECOVERED;
}

static void note(struct vshmi_told *told, const struct vshm_event *event)
{
	told->incarnation = event->incarnation;
	if (event->type == VSHM_EVENT_SUSPECT)
		told->standing = VSHMI_SUSPECTED;
	else if (event->type == VSHM_EVENT_DIED || event->type == VSHM_EVENT_LEFT)
		told->standing = VSHMI_ABSENT;
	else
		told->standing = VSHMI_PRESENT;
}

/* The next one in turn, so that a peer that comes and goes all the time hides no other. */
static bool find_event(const struct vshm_region *region, struct vshm_event *event)
{
	for (vshm_peer i = 0; i < region->peers; i++) {
		vshm_peer number = (region->next_told + i) % region->peers;
		const struct vshmi_told *told = &region->told[number];

		event->type = number == region->self ? 0 : next_event(told, &region->peer[number]);
		if (!event->type)
			continue;
		event->peer = number;
		event->incarnation = event->type == VSHM_EVENT_JOINED || event->type == VSHM_EVENT_RESTARTED ?
					     region->peer[number].incarnation : told->incarnation;
		return true;
	}
	return false;
}

/*
 * Where no keeper looks around, or has not yet. Not all the time: a hostile peer that comes and goes at line rate must not
 * keep a program from seeing the end of the events.
 */
static void look_around(struct vshm_region *region)
{
	int64_t now = vshmi_clock_ns();

	if (region->looked_ns && (region->has_keeper || now - region->looked_ns < VSHMI_SHORT_NS))
		return;
	region->looked_ns = now;
	for (vshm_peer i = 0; i < region->peers; i++)
		if (i != region->self)
			(void)vshmi_peer_examine(region, i, NULL);
}

int vshm_region_event(struct vshm_region *region, struct vshm_event *event)
{
	struct vshm_event out = VSHM_EVENT_INIT;
	int rc = vshmi_region_handle(region);

	if (rc || !event)
		return rc ? rc : -EINVAL;
	rc = vshmi_region_usable(region);
	if (rc)
		return rc;
	vshmi_lock(&region->lock);
	look_around(region);
	rc = find_event(region, &out) ? vshmi_options_out(event, &out, sizeof(out)) : -EAGAIN;
	if (!rc) {
		note(&region->told[out.peer], &out);
		region->next_told = (out.peer + 1) % region->peers;
	}
	vshmi_unlock(&region->lock);
	return rc;
}
