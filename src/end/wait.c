/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an end waits, or several at a time (poll.c): look, spin, then arm, look again and sleep on the words of whoever
 * can bring news. Every sleep ends by itself, floods of bells are left out, a cancel ends all of it.
 */
#include "end/end.h"

/* The producer of a one-to-many ring listens to all that are there. */
static void listen_to_readers(const struct vshmi_end *end, struct vshmi_sleeper *sleeper)
{
	struct vshm_region *region = end->region;

	vshmi_lock(&region->lock);
	for (unsigned i = 0; i < end->grants; i++) {
		const struct vshmi_link *link = &end->readers->link[i];

		if (!end->readers->reader[i].connected)
			continue;
		sleeper->light |= link->light;
		sleeper->deaf |= link->deaf || vshmi_peer_is_stranger(region, link->peer);
		if (!vshmi_region_has_futexes(region))
			continue;
		vshmi_sleeper_add(sleeper, &link->section->bell[region->self].word);
		vshmi_sleeper_add(sleeper, &link->section->alive);
	}
	vshmi_unlock(&region->lock);
}

void vshmi_end_listen(const struct vshmi_end *end, bool connected, struct vshmi_sleeper *sleeper)
{
	const struct vshm_region *region = end->region;
	vshm_peer first = connected ? end->link.peer : 0;
	vshm_peer last = connected ? end->link.peer : region->peers - 1;

	if (connected && end->readers) {
		listen_to_readers(end, sleeper);
		return;
	}
	sleeper->light |= connected && end->link.light;
	sleeper->deaf |= connected ? end->link.deaf || vshmi_peer_is_stranger(region, end->link.peer) :
				     !vshmi_region_hears(region);
	if (!vshmi_region_has_futexes(region))
		return;
	for (vshm_peer i = first; i <= last; i++)
		if (region->peer[i].section)
			vshmi_sleeper_add(sleeper, &region->peer[i].section->bell[region->self].word);
	if (connected)
		vshmi_sleeper_add(sleeper, &end->link.section->alive);
}

void vshmi_end_pass_on(const struct vshmi_end *end, bool connected)
{
	if (connected && end->link.id && vshmi_peer_dead(end->region, end->link.peer))
		vshmi_futex_wake(vshmi_futex_address(&end->link.section->alive));
}

/* ---- the sleep: its `end` is the wait ---- */

static int look_unless_cancelled(void *arg)
{
	const struct vshmi_wait *wait = arg;
	int rc = wait->look(wait->end);

	return rc == -EAGAIN && vshmi_region_cancelled(wait->region) ? -ECANCELED : rc;
}

static uint64_t arm(void *arg)
{
	const struct vshmi_wait *wait = arg;

	return wait->arm(wait->end);
}

static void disarm(void *arg)
{
	const struct vshmi_wait *wait = arg;

	wait->disarm(wait->end);
}

static void add_words(const struct vshmi_wait *wait, struct vshmi_sleeper *sleeper)
{
	if (wait->listen)
		wait->listen(wait->end, sleeper);
	else
		vshmi_end_listen(wait->end, wait->connected(wait->end), sleeper);
}

/* All words that bring news; during a flood only the process' own, and only for short. Returns how long to sleep. */
static int64_t listen(const struct vshmi_wait *wait, struct vshmi_flood *flood, struct vshmi_sleeper *sleeper)
{
	bool brief = wait->hurry && wait->hurry(wait->end);

	vshmi_bell_prepare(wait->region);
	if (vshmi_flood_nap(flood))
		brief = true;
	else
		add_words(wait, sleeper);
	vshmi_sleeper_add(sleeper, &wait->region->kick);
	return brief || sleeper->deaf ? VSHMI_SHORT_NS : VSHMI_RECHECK_NS;
}

/* Where interrupts ring, the words of others cannot be slept on: the only one is the kick word. */
static void rest(void *arg, uint32_t kick, int64_t timeout_ns)
{
	const struct vshmi_wait *wait = arg;

	vshmi_bell_wait(wait->region, kick, timeout_ns);
}

static void pass_on(const struct vshmi_wait *wait, bool connected)
{
	if (wait->pass_on)
		wait->pass_on(wait->end);
	else
		vshmi_end_pass_on(wait->end, connected);
}

static int sleep_until(const struct vshmi_wait *wait, int64_t deadline, struct vshmi_flood *flood)
{
	struct vshmi_sleeper sleeper = {
		.look = look_unless_cancelled,
		.arm = arm,
		.disarm = disarm,
		.rest = wait->region->bell_heard.there ? rest : NULL,
		.end = (void *)(uintptr_t)wait,
	};
	bool connected = wait->connected(wait->end), slept = false;
	int64_t begin = vshmi_clock_ns(), left = deadline - begin, timeout;
	int rc;

	if (left <= 0)
		return -ETIMEDOUT;
	timeout = listen(wait, flood, &sleeper);
	if (timeout > left)
		timeout = left;
	rc = vshmi_sleep_once(&sleeper, timeout, &slept);
	*wait->sleeps += slept;
	if (slept) {
		pass_on(wait, connected);
		rc = rc == -EFAULT ? rc : wait->look(wait->end);
		if (rc != -EAGAIN)
			__atomic_fetch_add(&wait->region->found, 1, __ATOMIC_RELAXED);
		if (rc == -EAGAIN && vshmi_clock_ns() - begin < timeout) {
			++*wait->spurious; /* woken, not just looking around */
			vshmi_flood_note(flood, vshmi_clock_ns());
		}
	}
	if (rc == -EFAULT) { /* the memory vanished under the futex: the next look says what happened to it */
		vshmi_sleep_ns(VSHMI_SHORT_NS);
		rc = -EAGAIN;
	}
	return rc;
}

/* ---- for a descriptor ---- */

/*
 * Nothing is there, and the program will sleep on the region's descriptor: leaves the end armed, so that there is a ring
 * when there is news. The keeper listens for it. A membarrier is right whatever the other side does.
 */
static int stay_armed(const struct vshmi_wait *wait)
{
	const struct vshmi_sleeper sleeper = {
		.look = wait->look,
		.arm = wait->arm,
		.disarm = wait->disarm,
		.end = wait->end,
		.light = true,
	};
	bool stands;
	int rc = vshmi_stay_armed(&sleeper, &stands);

	if (rc == -EAGAIN && !stands)
		vshmi_eventfd_signal(wait->region->fd); /* so that it looks again */
	__atomic_store_n(&wait->region->waiting, 1, __ATOMIC_RELAXED);
	return rc;
}

/* A call that does not wait, in such a program. */
static int look_and_stay(const struct vshmi_wait *wait)
{
	int rc = wait->look(wait->end);

	if (rc == -EAGAIN)
		rc = stay_armed(wait);
	if (rc != -EAGAIN)
		__atomic_fetch_add(&wait->region->found, 1, __ATOMIC_RELAXED);
	return rc;
}

/* ---- the wait ---- */

static int wait_until(const struct vshmi_wait *wait, int64_t deadline)
{
	struct vshmi_flood flood = {0, 0, 0};
	int rc = -EAGAIN;

	while (rc == -EAGAIN) {
		if (vshmi_region_cancelled(wait->region))
			return -ECANCELED;
		if (wait->quick && wait->connected(wait->end))
			rc = vshmi_spin(wait->spin, wait->quick, wait->end, deadline);
		if (rc == -EAGAIN && wait->polls && wait->connected(wait->end))
			rc = vshmi_clock_ns() < deadline ? wait->look(wait->end) : -ETIMEDOUT;
		else if (rc == -EAGAIN)
			rc = sleep_until(wait, deadline, &flood);
	}
	return rc;
}

int vshmi_end_wait(const struct vshmi_wait *wait, int64_t timeout_ns)
{
	int64_t begin, deadline;
	int rc = -EAGAIN;

	if (timeout_ns < 0 && timeout_ns != VSHM_FOREVER)
		return -EINVAL;
	if (!timeout_ns && vshmi_region_listens(wait->region))
		return look_and_stay(wait);
	if (timeout_ns && wait->quick && wait->connected(wait->end))
		rc = vshmi_spin_briefly(wait->spin, wait->quick, wait->end);
	if (rc == -EAGAIN)
		rc = wait->look(wait->end);
	if (rc != -EAGAIN || !timeout_ns)
		return rc;
	begin = vshmi_clock_ns();
	deadline = timeout_ns == VSHM_FOREVER || timeout_ns > INT64_MAX - begin ? INT64_MAX : begin + timeout_ns;
	rc = wait_until(wait, deadline);
	vshmi_spin_learn(wait->spin, vshmi_clock_ns() - begin);
	return rc;
}
