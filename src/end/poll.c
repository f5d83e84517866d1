/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting for many ends at once: one wait whose look looks at all of them. All are armed before the first is looked at
 * again, so that one barrier serves all. Every look marks every end that is ready: no flood hides another end.
 */
#include "end/end.h"

#include <vshm/wait.h>

/* Looking around at more ends than this takes as long as a sleep does. */
#define MOST_TO_SPIN 8u

struct polled {
	const struct vshmi_pollable *how;
	void *end; /* begins with a struct vshmi_end */
	uint64_t armed;
};

struct polling {
	struct vshm_region *region;
	struct vshm_poll *ends;
	unsigned count;
	uint64_t armings; /* counts those that changed a position */
	struct polled polled[VSHM_POLL_MAX];
};

static bool is_connected(const struct polling *polling, unsigned i)
{
	return polling->polled[i].how->connected(polling->polled[i].end);
}

/* The number of ends that are ready; -EAGAIN; why the region cannot be used. */
static int look_at_all(void *arg)
{
	struct polling *polling = arg;
	int ready = 0, rc = vshmi_region_usable(polling->region);

	if (rc)
		return rc;
	for (unsigned i = 0; i < polling->count; i++) {
		rc = polling->polled[i].how->look(polling->polled[i].end);
		polling->ends[i].ready = !rc ? 1 : rc == -EAGAIN ? 0 : rc;
		ready += rc != -EAGAIN;
	}
	return ready ? ready : -EAGAIN;
}

static int quick_look_at_all(void *arg)
{
	struct polling *polling = arg;

	for (unsigned i = 0; i < polling->count; i++)
		if (is_connected(polling, i) && polling->polled[i].how->quick(polling->polled[i].end) != -EAGAIN)
			return look_at_all(polling);
	return -EAGAIN;
}

static uint64_t arm_all(void *arg)
{
	struct polling *polling = arg;
	bool changed = false;

	for (unsigned i = 0; i < polling->count; i++) {
		struct polled *polled = &polling->polled[i];
		uint64_t armed = polled->how->arm(polled->end);

		changed |= armed != polled->armed;
		polled->armed = armed;
	}
	polling->armings += changed;
	return polling->armings;
}

static void disarm_all(void *arg)
{
	const struct polling *polling = arg;

	for (unsigned i = 0; i < polling->count; i++)
		polling->polled[i].how->disarm(polling->polled[i].end);
}

static bool any_connected(const void *arg)
{
	const struct polling *polling = arg;

	for (unsigned i = 0; i < polling->count; i++)
		if (is_connected(polling, i))
			return true;
	return false;
}

static bool any_in_a_hurry(const void *arg)
{
	const struct polling *polling = arg;

	for (unsigned i = 0; i < polling->count; i++)
		if (polling->polled[i].how->hurry && polling->polled[i].how->hurry(polling->polled[i].end))
			return true;
	return false;
}

static void listen_to_all(const void *arg, struct vshmi_sleeper *sleeper)
{
	const struct polling *polling = arg;
	bool to_everybody = false;

	for (unsigned i = 0; i < polling->count; i++) {
		bool connected = is_connected(polling, i);

		if (connected || !to_everybody)
			vshmi_end_listen(polling->polled[i].end, connected, sleeper);
		to_everybody |= !connected;
	}
}

static void pass_all_on(const void *arg)
{
	const struct polling *polling = arg;

	for (unsigned i = 0; i < polling->count; i++)
		vshmi_end_pass_on(polling->polled[i].end, is_connected(polling, i));
}

/* Each end once: it has only one word to be armed. */
static bool is_there(const struct polling *polling, unsigned count, const void *end)
{
	for (unsigned i = 0; i < count; i++)
		if (polling->polled[i].end == end)
			return true;
	return false;
}

static int take_in(struct polling *polling, unsigned i)
{
	const struct vshm_poll *poll = &polling->ends[i];
	void *end = poll->producer ? (void *)poll->producer : (void *)poll->consumer;
	int rc = !poll->producer == !poll->consumer ? -EINVAL : vshmi_end_handle(end);

	if (rc)
		return rc;
	if (((const struct vshmi_end *)end)->region != polling->region || is_there(polling, i, end))
		return -EINVAL;
	polling->polled[i] = (struct polled){
		.how = poll->producer ? &vshmi_pollable_producer : &vshmi_pollable_consumer,
		.end = end,
	};
	return 0;
}

/* A sleep was one of each end. */
static void count_sleeps(const struct polling *polling, uint64_t sleeps, uint64_t spurious)
{
	for (unsigned i = 0; i < polling->count; i++) {
		struct vshm_producer *p = polling->ends[i].producer;
		struct vshm_consumer *c = polling->ends[i].consumer;

		*(p ? &p->sleeps : &c->sleeps) += sleeps;
		*(p ? &p->spurious : &c->spurious) += spurious;
	}
}

/* A consumer that never sleeps, because its producer would not ring it. */
static bool any_polls(const struct polling *polling)
{
	for (unsigned i = 0; i < polling->count; i++)
		if (polling->ends[i].consumer && polling->ends[i].consumer->end.flags & VSHM_ENTRY_POLLS)
			return true;
	return false;
}

static int poll_for(struct polling *polling, int64_t timeout_ns)
{
	const struct vshm_poll *first = &polling->ends[0];
	uint64_t sleeps = 0, spurious = 0;
	const struct vshmi_wait wait = {
		.region = polling->region,
		.end = polling,
		.quick = polling->count <= MOST_TO_SPIN ? quick_look_at_all : NULL,
		.look = look_at_all,
		.arm = arm_all,
		.disarm = disarm_all,
		.connected = any_connected,
		.hurry = any_in_a_hurry,
		.listen = listen_to_all,
		.pass_on = pass_all_on,
		.polls = any_polls(polling),
		.spin = first->producer ? &first->producer->spin : &first->consumer->spin,
		.sleeps = &sleeps,
		.spurious = &spurious,
	};
	int rc = vshmi_end_wait(&wait, timeout_ns);

	count_sleeps(polling, sleeps, spurious);
	return rc;
}

int vshm_poll(struct vshm_region *region, struct vshm_poll ends[], unsigned count, int64_t timeout_ns)
{
	struct polling polling;
	int rc = vshmi_region_handle(region);

	vshmi_call_begins();
	if (rc)
		return rc;
	if (!ends || count < 1 || count > VSHM_POLL_MAX || (timeout_ns < 0 && timeout_ns != VSHM_FOREVER))
		return -EINVAL;
	polling.region = region;
	polling.ends = ends;
	polling.count = count;
	polling.armings = 1;
	for (unsigned i = 0; i < count; i++) {
		rc = take_in(&polling, i);
		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < count; i++) {
		ends[i].ready = 0;
		if (!ends[i].producer)
			continue;
		vshmi_producer_enter(ends[i].producer);
		ends[i].producer->wanted = ends[i].size;
	}
	rc = poll_for(&polling, timeout_ns);
	for (unsigned i = 0; i < count; i++)
		if (ends[i].producer)
			vshmi_producer_settle(ends[i].producer);
	return rc;
}
