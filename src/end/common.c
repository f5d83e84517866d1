/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What producers and consumers do alike: opening, listening, waiting, and what to say of a broken peer.
 */
#include "end/end.h"

int vshmi_end_may_open(struct vshm_region *region, const char *name)
{
	int rc = vshmi_region_handle(region);

	if (!rc)
		rc = vshmi_region_usable(region);
	if (rc)
		return rc;
	if (vshmi_observes(region))
		return vshmi_region_fail(region, -EACCES, "an observer cannot open ends: open the region without VSHM_OPEN_OBSERVE");
	if (!vshmi_name_ok(name))
		return vshmi_region_fail(region, -EINVAL,
					 "\"%.80s\" cannot be a ring's name: use 1 to %u letters, digits or . _ : + -, beginning "
					 "with a letter or digit",
					 name ? name : "(NULL)", VSHM_NAME_SIZE - 1);
	return 0;
}

void vshmi_end_init(struct vshmi_end *end, uint32_t kind, const char *name, uint32_t flags)
{
	end->kind = kind;
	end->flags = flags;
	memcpy(end->name, name, strlen(name));
}

/* The producer of a one-to-many ring listens to all that are there. The kernel takes 128 words. */
static void listen_to_readers(const struct vshmi_end *end, struct vshmi_sleeper *sleeper)
{
	struct vshm_region *region = end->region;

	vshmi_lock(&region->lock);
	for (unsigned i = 0; i < end->grants && sleeper->count + 2 <= VSHMI_WAIT_WORDS; i++) {
		const struct vshmi_link *link = &end->readers->link[i];

		if (!end->readers->reader[i].connected)
			continue;
		sleeper->light |= link->light;
		sleeper->deaf |= link->deaf;
		sleeper->words[sleeper->count++] = &link->section->bell[region->self].word;
		sleeper->words[sleeper->count++] = &link->section->alive;
	}
	vshmi_unlock(&region->lock);
}

void vshmi_end_listen(const struct vshmi_end *end, bool connected, struct vshmi_sleeper *sleeper)
{
	const struct vshm_region *region = end->region;
	vshm_peer first = connected ? end->link.peer : 0;
	vshm_peer last = connected ? end->link.peer : region->peers - 1;

	sleeper->count = 0;
	sleeper->words[sleeper->count++] = &region->kick;
	if (connected && end->readers) {
		sleeper->light = sleeper->deaf = false;
		listen_to_readers(end, sleeper);
		return;
	}
	sleeper->light = connected && end->link.light;
	sleeper->deaf = connected ? end->link.deaf : !region->transport.same_kernel;
	for (vshm_peer i = first; i <= last; i++)
		if (region->peer[i].section)
			sleeper->words[sleeper->count++] = &region->peer[i].section->bell[region->self].word;
	if (connected)
		sleeper->words[sleeper->count++] = &end->link.section->alive;
}

/* The kernel wakes only one of those who sleep on an alive word: whoever it was wakes the others. */
static void pass_on(const struct vshmi_end *end, bool connected)
{
	if (connected && end->link.id && vshmi_peer_dead(end->region, end->link.peer))
		vshmi_futex_wake(vshmi_futex_address(&end->link.section->alive));
}

/* Bells that ring for nothing. */
struct flood {
	unsigned empty;	  /* wake-ups in a row that found nothing */
	int64_t since_ns; /* the first of them */
	unsigned naps;	  /* so many more sleeps without the bells */
};

static void note_empty(struct flood *flood, int64_t now)
{
	if (!flood->empty || now - flood->since_ns > VSHMI_FLOOD_NS) {
		flood->empty = 0;
		flood->since_ns = now;
	}
	if (++flood->empty == VSHMI_FLOOD) {
		flood->empty = 0;
		flood->naps = VSHMI_FLOOD;
	}
}

/* Only to the process' own word, and only for short. */
static bool nap(struct flood *flood, const struct vshm_region *region, struct vshmi_sleeper *sleeper)
{
	if (!flood->naps)
		return false;
	flood->naps--;
	sleeper->count = 1;
	sleeper->words[0] = &region->kick;
	return true;
}

static int sleep_until(const struct vshmi_wait *wait, int64_t deadline, struct flood *flood)
{
	struct vshmi_sleeper sleeper = {
		.look = wait->look,
		.arm = wait->arm,
		.disarm = wait->disarm,
		.end = wait->end,
	};
	bool connected = wait->connected(wait->end), slept = false;
	int64_t timeout = VSHMI_RECHECK_NS, begin = vshmi_clock_ns(), left = deadline - begin;
	int rc;

	if (left <= 0)
		return -ETIMEDOUT;
	vshmi_end_listen(wait->end, connected, &sleeper);
	if (sleeper.deaf || (wait->hurry && wait->hurry(wait->end)) || nap(flood, wait->end->region, &sleeper))
		timeout = VSHMI_SHORT_NS;
	rc = vshmi_sleep_once(&sleeper, timeout < left ? timeout : left, &slept);
	*wait->sleeps += slept;
	if (slept) {
		pass_on(wait->end, connected);
		rc = rc == -EFAULT ? rc : wait->look(wait->end);
		if (rc == -EAGAIN && vshmi_clock_ns() - begin < (timeout < left ? timeout : left)) {
			++*wait->spurious; /* woken, not just looking around */
			note_empty(flood, vshmi_clock_ns());
		}
	}
	if (rc == -EFAULT) { /* the memory vanished under the futex: the next look says what happened to it */
		vshmi_sleep_ns(VSHMI_SHORT_NS);
		rc = -EAGAIN;
	}
	return rc;
}

int vshmi_end_wait(const struct vshmi_wait *wait, int64_t timeout_ns)
{
	struct flood flood = {0, 0, 0};
	int64_t begin, deadline;
	int rc = -EAGAIN;

	if (timeout_ns < 0 && timeout_ns != VSHM_FOREVER)
		return -EINVAL;
	if (timeout_ns && wait->quick && wait->connected(wait->end))
		rc = vshmi_spin_briefly(wait->spin, wait->quick, wait->end);
	if (rc == -EAGAIN)
		rc = wait->look(wait->end);
	if (rc != -EAGAIN || !timeout_ns)
		return rc;
	begin = vshmi_clock_ns();
	deadline = timeout_ns == VSHM_FOREVER || timeout_ns > INT64_MAX - begin ? INT64_MAX : begin + timeout_ns;
	while (rc == -EAGAIN) {
		if (wait->quick && wait->connected(wait->end))
			rc = vshmi_spin(wait->spin, wait->quick, wait->end, deadline);
		if (rc == -EAGAIN && wait->polls && wait->connected(wait->end))
			rc = vshmi_clock_ns() < deadline ? wait->look(wait->end) : -ETIMEDOUT;
		else if (rc == -EAGAIN)
			rc = sleep_until(wait, deadline, &flood);
	}
	vshmi_spin_learn(wait->spin, vshmi_clock_ns() - begin);
	return rc;
}

int vshmi_end_liveness(const struct vshmi_end *end, bool *told)
{
	struct vshm_region *region = end->region;
	enum vshm_peer_state state;

	if (!end->link.id)
		return 0;
	state = vshmi_peer_known(region, end->link.peer);
	/* what the keeper knows may be of the slot's last user: bad news is looked at closely before it is told */
	if (!region->has_keeper || (state >= VSHM_PEER_SUSPECT && !(state == VSHM_PEER_SUSPECT && *told))) {
		vshmi_lock(&region->lock);
		state = vshmi_peer_examine(region, end->link.peer, NULL);
		vshmi_unlock(&region->lock);
	}
	if (state >= VSHM_PEER_DIED)
		return -EPIPE;
	if ((state == VSHM_PEER_SUSPECT) == *told)
		return 0;
	*told = state == VSHM_PEER_SUSPECT;
	return *told ? -EHOSTDOWN : 0;
}

/* Where in the other peer's section the broken word stands. */
static uint64_t fault_offset(const struct vshmi_end *end, const struct vshmi_ring_fault *ring, uint64_t ring_offset,
			     uint64_t ring_size)
{
	uint64_t entry = VSHM_SECTION_DIRECTORY + (uint64_t)end->link.index * sizeof(struct vshm_entry);

	if (ring->rule < VSHM_RULE_RECORD_KIND)
		return entry + offsetof(struct vshm_entry, position);
	return ring_offset + (ring->position & (ring_size - 1));
}

int vshmi_end_quarantine(const struct vshmi_end *end, const struct vshmi_ring_fault *ring, uint64_t ring_offset,
			 uint64_t ring_size, struct vshm_fault *fault)
{
	struct vshm_region *region = end->region;

	if (vshmi_region_usable(region))
		return vshmi_region_usable(region);
	*fault = (struct vshm_fault){
		.struct_size = sizeof(*fault),
		.peer = end->link.peer,
		.rule = ring->rule,
		.offset = fault_offset(end, ring, ring_offset, ring_size),
		.value = ring->value,
	};
	vshmi_region_log(region, VSHM_LOG_ERROR, "ring %s: peer %u broke the format: %s (0x%llx at offset 0x%llx)", end->name,
			 fault->peer, vshm_rule_text(fault->rule), (unsigned long long)fault->value,
			 (unsigned long long)fault->offset);
	return vshmi_region_fail(region, -EPROTO, "ring %s: peer %u broke the format: %s (0x%llx at offset 0x%llx of its section)",
				 end->name, fault->peer, vshm_rule_text(fault->rule), (unsigned long long)fault->value,
				 (unsigned long long)fault->offset);
}

void vshmi_end_counters_publish(const struct vshmi_end *end, uint64_t records, uint64_t rings, uint64_t avoided,
				uint64_t sleeps, uint64_t spurious)
{
	const uint64_t counters[5] = {records, rings, avoided, sleeps, spurious};

	if (!vshmi_region_usable(end->region))
		vshmi_store_block(end->entry->counters, counters, 5);
}
