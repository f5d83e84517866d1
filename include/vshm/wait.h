/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting for many ends at once, ending waits, what happens to the peers, and a descriptor for event loops. vshm_wait(3)
 * shows how it goes together.
 */
#ifndef VSHM_WAIT_H
#define VSHM_WAIT_H

#include <vshm/region.h>
#include <vshm/ring.h>
#include <vshm/types.h>

VSHM_BEGIN_DECLS

/* ---- many ends ---- */

#define VSHM_POLL_MAX 128u

/* One end that vshm_poll() waits for: exactly one of the two pointers is set. */
struct vshm_poll {
	struct vshm_producer *producer;
	struct vshm_consumer *consumer;
	size_t size; /* producer: payload bytes that there shall be room for */
	int ready;   /* 1: its next reserve or peek will not wait; negative: that call will say so; 0: it would wait */
};

/*
 * Waits until at least one of `count` (1 .. VSHM_POLL_MAX) ends of `region` is ready, and marks all that are in `ready`, so
 * that none hides another. Each end at most once. Returns how many are ready. Nothing is shown or reserved: what an end
 * holds stays as it is, except that a reservation smaller than `size` is given up. What an end says only once (-ENODATA
 * when it follows, -EPIPE, -EHOSTDOWN, ...) it still says at its next peek or reserve. `size` larger than the ring takes: -EMSGSIZE.
 * The thread that calls uses all these ends meanwhile; other threads may use others, and poll others.
 * Waits like a peek: spins, if there are few ends, then sleeps; a sleep counts in vshm_consumer_counters() of each. Ends
 * opened with VSHM_CONSUMER_POLL make it spin.
 * Errors (then no end is ready): -EAGAIN (timeout 0), -ETIMEDOUT, -ECANCELED, -EINVAL (a pointer, the count or the timeout;
 * an end that is closed, of another region, or there twice), -ESTALE and -ENODEV (the region), -ECHILD.
 */
VSHM_API VSHM_MUST_USE int vshm_poll(struct vshm_region *region, struct vshm_poll ends[], unsigned count,
				     int64_t timeout_ns);

/* ---- ending waits ---- */

/*
 * Ends all waits in this region with -ECANCELED (peek, reserve, send, recv, lend, a close that lingers, poll), and those that
 * begin later, until vshm_region_resume(). What need not wait is not affected: records that are there, room, timeout 0.
 * Async-signal-safe; any thread; never blocks. The region must not be closed meanwhile. Errors: -EINVAL, -ECHILD.
 */
VSHM_API int vshm_region_cancel(struct vshm_region *region);

/* Lets this region's waits wait again. As vshm_region_cancel(). */
VSHM_API int vshm_region_resume(struct vshm_region *region);

/* ---- events ---- */

enum vshm_event_type {
	VSHM_EVENT_JOINED = 1, /* a peer is there that was not */
	VSHM_EVENT_SUSPECT,    /* its heart stands still */
	VSHM_EVENT_RECOVERED,  /* it beats again */
	VSHM_EVENT_DIED,       /* it will not come back */
	VSHM_EVENT_RESTARTED,  /* another incarnation is there in its place */
	VSHM_EVENT_LEFT,       /* it closed the region in order */
};

struct vshm_event {
	size_t struct_size;
	uint32_t type; /* enum vshm_event_type */
	vshm_peer peer;
	uint64_t incarnation; /* of the peer that it happened to; the new one for JOINED and RESTARTED */
};
#define VSHM_EVENT_INIT                                                                            \
	{                                                                                          \
		sizeof(struct vshm_event), 0, 0, 0                                                 \
	}

/*
 * The next thing that happened to another peer of the region, into `event`, whose struct_size is set. The first calls tell
 * JOINED for those who are there already. Nothing is queued: who looks late gets the shortest sequence that leads from what was
 * told to what is so now; a peer that came and went meanwhile is not mentioned. Each peer's sequence is coherent: JOINED, then
 * SUSPECT and RECOVERED in turn, or RESTARTED, then DIED or LEFT, then JOINED again.
 * What the keeper noticed, once per beat; without a keeper, and for an observer, the call looks itself, once per millisecond.
 * Events are for the region handle: threads that ask get different ones. Never waits. Any thread.
 * Errors: -EAGAIN (nothing new), -EINVAL, -E2BIG, -ECHILD, -ESTALE and -ENODEV (the region).
 */
VSHM_API VSHM_MUST_USE int vshm_region_event(struct vshm_region *region, struct vshm_event *event);

/* ---- in an event loop ---- */

/*
 * One descriptor for poll(2), epoll(7) and event loops: readable (level-triggered) when there may be news for an end of this
 * process or about a peer, and after vshm_region_cancel(). The same one at each call; it belongs to the region, which closes
 * it: do not read, write or close it. Close-on-exec, non-blocking. It is readable at first.
 * From the first call on, ends are used with timeout 0 (or vshm_poll() with timeout 0): one that says -EAGAIN is left armed,
 * and its news makes the descriptor readable. Ends that were not looked at until they said so make no promise, nor do those
 * opened with VSHM_CONSUMER_POLL, which nobody rings.
 * The keeper listens in the program's place; a peer that rings for nothing causes about 1000 wake-ups a second. While
 * ends wait, the descriptor also becomes readable 100 ms after it was last: what makes up for a lost doorbell.
 * Never waits. Any thread. Errors: -EOPNOTSUPP (no keeper: VSHM_OPEN_NO_KEEPER, VSHM_OPEN_OBSERVE), -ENOMEM and -EIO
 * (no descriptor left), -EINVAL, -ECHILD, -ESTALE and -ENODEV (the region). vshm_region_why() explains.
 */
VSHM_API VSHM_MUST_USE int vshm_region_fd(struct vshm_region *region);

/*
 * The descriptor was readable: makes it unreadable until there is more news. Afterwards look at all ends, until they say -EAGAIN,
 * and at the events. Never waits. Any thread.
 * Errors: -ESTALE and -ENODEV (the region can no longer be used; said at each call, and the descriptor stays busy: close the
 * region), -EINVAL (vshm_region_fd() was not called), -ECHILD.
 */
VSHM_API VSHM_MUST_USE int vshm_region_dispatch(struct vshm_region *region);

VSHM_END_DECLS

#endif
