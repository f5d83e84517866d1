/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The consuming end. While records are there a peek reads the ring and nothing else; a look at the producer (closed,
 * died, suspect, restarted) happens only when the ring is empty, so everything committed is delivered before any end.
 */
#include "end/end.h"

#define BURST_MAX 1024u

/* One line of return ring. */
#define DEFAULT_LENDS 16u

static void publish_counters(struct vshm_consumer *c)
{
	if (c->left)
		return;
	if (c->copies && !vshmi_region_usable(c->end.region)) /* for those who look: its producer does not */
		vshmi_store64(&c->end.entry->position, c->latest.position);
	vshmi_end_counters_publish(&c->end, c->rx.records, c->rx.rings, c->rx.publications - c->rx.rings, c->sleeps,
				   c->spurious, c->lost + c->latest.lost);
}

/* Returns the head, and rings a producer that sleeps for the room. */
static VSHMI_RARE int give_back(struct vshm_consumer *c)
{
	if (!vshmi_region_usable(c->end.region) && vshmi_rx_return(&c->rx))
		vshmi_peer_ring(c->end.region, c->end.link.peer);
	return 0;
}

/* Lock held. A new directory entry, and so a new end id, for every producer that is followed. */
static int enter(struct vshm_consumer *c)
{
	int rc = vshmi_entry_take(c->end.region, &c->end, 8 * c->lends);

	if (rc)
		return rc;
	c->left = false;
	vshmi_lent_begin(c);
	c->rx.head_word = &c->end.entry->position;
	c->rx.armed_word = &c->end.entry->armed;
	vshmi_directory_changed(c->end.region);
	return 0;
}

/* Lock held. The entry says that this consumer left, and where it stopped; it goes when the producer has noted that. */
static void leave(struct vshm_consumer *c)
{
	c->armed = false;
	if (!vshmi_region_usable(c->end.region)) {
		vshmi_store64(&c->end.entry->part, c->rx.done);
		vshmi_store_release32(&c->end.entry->state, VSHM_END_CLOSED); /* pairs with vshmi_link_check() */
	}
	vshmi_entry_retire(c->end.region, &c->end);
	vshmi_consumer_has_read(&c->end);
	memset(&c->end.link, 0, sizeof(c->end.link));
	c->rx.head_word = c->rx.armed_word = &c->nowhere;
	vshmi_rx_disconnect(&c->rx);
	c->lost += c->copies ? c->latest.lost : 0;
	c->connected = c->fencing = c->told_suspect = c->copies = c->held = false;
	c->latest.lost = 0;
	c->kept_count = 0;
	c->end.granted = NULL;
	c->end.grant = NULL;
	c->left = true;
}

/* The producer is gone in one way or another: nothing of it is referred to any more. Returns `rc`. */
static int finish(struct vshm_consumer *c, int rc)
{
	struct vshm_region *region = c->end.region;
	int again = 0;

	publish_counters(c);
	(void)give_back(c);
	if (!c->follow && c->kept_count) { /* the owner still has to hear of these: leave with the last of them */
		vshmi_rx_disconnect(&c->rx);
		c->connected = c->fencing = c->copies = false;
		c->over = rc;
		return rc;
	}
	vshmi_lock(&region->lock);
	leave(c);
	if (c->follow)
		again = enter(c);
	vshmi_unlock(&region->lock);
	c->over = !c->follow ? rc : again; /* without a free entry it cannot go on: said by the next call */
	return rc;
}

void vshmi_consumer_leave_late(struct vshm_consumer *c)
{
	if (c->left || c->connected || !c->over || c->over == -EPROTO || c->kept_count)
		return;
	vshmi_lock(&c->end.region->lock);
	leave(c);
	vshmi_unlock(&c->end.region->lock);
}

static int quarantine(struct vshm_consumer *c, uint64_t ring_offset)
{
	int rc = vshmi_end_quarantine(&c->end, &c->rx.fault, ring_offset, c->rx.size ? c->rx.size : 1, &c->fault);

	if (rc == -EPROTO) {
		vshmi_rx_disconnect(&c->rx);
		c->connected = false;
		c->over = rc;
	}
	return rc;
}

/*
 * A producer takes a grant back from a consumer that is too slow, and then overwrites what that one reads: what was read
 * counts only if the grant still stands behind it. Pairs with the release fence in vshmi_readers_drop().
 */
static bool still_granted(const struct vshm_consumer *c)
{
	vshmi_fence_acquire();
	return !c->end.grant || (vshmi_load_acquire64(&c->end.grant->id) == c->end.id &&
				 (c->copies || vshmi_load64(&c->end.grant->start) == c->start));
}

/* Dropped: said once, the next records are those of a new grant. */
static int dropped(struct vshm_consumer *c)
{
	return finish(c, -EOVERFLOW);
}

static int ring_fault(struct vshm_consumer *c)
{
	const unsigned char *section = (const unsigned char *)c->end.link.section;
	int rc = vshmi_region_look(c->end.region);

	if (rc)
		return rc;
	/* the slot was given up under this consumer: these are no longer the producer's words */
	if (vshmi_incarnation_load(c->end.link.section) != c->end.link.incarnation ||
	    vshmi_entry_id(c->end.link.entry) != c->end.link.id)
		return finish(c, -ESTALE);
	if (!still_granted(c))
		return dropped(c);
	if (c->copies)
		c->rx.fault = c->latest.fault;
	return quarantine(c, (uint64_t)(c->rx.data - section));
}

/* ---- finding a producer ---- */

/* Changes when any peer's directory does. */
static uint64_t directories_digest(const struct vshm_region *region)
{
	uint64_t digest = 0;

	for (vshm_peer p = 0; p < region->peers; p++) {
		const struct vshmi_shared_section *section = region->peer[p].section;

		if (section)
			digest += (vshmi_load_acquire64(&section->changes) + vshmi_incarnation_load(section)) * (p + 1);
	}
	return digest;
}

/* Private memory for records of a latest ring, as large as this one's largest. */
static int make_copy(struct vshm_consumer *c, uint64_t ring_size)
{
	uint64_t size = vshmi_latest_max_record(ring_size);

	if (c->copy_size >= size)
		return 0;
	vshmi_free(c->end.copy);
	c->end.copy = vshmi_alloc(size);
	c->copy_size = c->end.copy ? size : 0;
	return c->end.copy ? 0 : vshmi_region_fail(c->end.region, -ENOMEM, "ring %s: no memory for a record of %llu bytes",
						   c->end.name, (unsigned long long)size);
}

static int accept_latest(struct vshm_consumer *c, const struct vshm_entry *producer)
{
	const struct vshmi_link *link = &c->end.link;
	int rc = make_copy(c, producer->ring_size);

	if (rc)
		return rc;
	c->latest = (struct vshmi_latest_rx){
		.data = (const unsigned char *)link->section + producer->ring_offset,
		.size = producer->ring_size,
		.first = true,
		.tail_word = &link->entry->position,
		.oldest_word = &link->entry->oldest,
		.newest_word = &link->entry->newest,
		.id_word = &link->entry->what[0],
		.id = link->id,
	};
	/* the ring's own reader has nothing to read and nothing to return, but says that a record is peeked */
	vshmi_rx_connect(&c->rx, c->latest.data, c->latest.size, 0, &c->nowhere, &c->nowhere, false);
	c->connected = c->copies = c->slow = true;
	return 0;
}

static int accept_grant(struct vshm_consumer *c, const struct vshm_entry *producer)
{
	const struct vshmi_link *link = &c->end.link;
	bool polls = c->end.flags & VSHM_ENTRY_POLLS;

	c->start = producer->other_start;
	if (producer->flags & VSHM_ENTRY_LATEST)
		return accept_latest(c, producer);
	if (producer->other_start % 8 || producer->position - producer->other_start > producer->ring_size) {
		if (!still_granted(c)) /* dropped meanwhile, and so not waited for: the next look tells */
			return -EAGAIN;
		c->rx.fault = (struct vshmi_ring_fault){VSHM_RULE_START, producer->position, producer->other_start};
		return quarantine(c, producer->ring_offset);
	}
	vshmi_rx_connect(&c->rx, (const unsigned char *)link->section + producer->ring_offset, producer->ring_size,
			 producer->other_start, &link->entry->position, &link->entry->armed, !link->light && !polls);
	vshmi_rx_bind(&c->rx, &link->entry->what[0], link->id);
	c->rx.section = (const unsigned char *)link->section;
	c->rx.section_size = c->end.region->peer[link->peer].size;
	c->connected = true;
	return 0;
}

static int find_producer_locked(struct vshm_consumer *c)
{
	struct vshm_entry producer;
	struct vshm_fault fault = VSHM_FAULT_INIT;
	int rc = vshmi_request_step(c->end.region, &c->end, &producer, &fault);

	if (!rc)
		return accept_grant(c, &producer);
	if (rc == -EPROTO) {
		c->fault = fault;
		c->over = vshmi_region_fail(c->end.region, rc, "ring %s: the directory of peer %u is unlawful: %s", c->end.name,
					    fault.peer, vshm_rule_text(fault.rule));
	}
	return rc;
}

/* Looks for a producer when there is news, and now and then without: a death changes no directory. */
static int find_producer(struct vshm_consumer *c)
{
	struct vshm_region *region = c->end.region;
	uint64_t digest = directories_digest(region);
	int64_t now = vshmi_clock_ns();
	int rc;

	if (digest == c->looked && now - c->looked_ns < VSHMI_RECHECK_NS)
		return -EAGAIN;
	c->looked = digest;
	c->looked_ns = now;
	vshmi_lock(&region->lock);
	rc = find_producer_locked(c);
	vshmi_unlock(&region->lock);
	return rc;
}

/* ---- looking ---- */

/* A record of a latest ring is copied once, and shown until it is released. A loss comes before the record behind it. */
static int look_latest(struct vshm_consumer *c)
{
	uint64_t before = c->latest.lost, size;
	int rc;

	if (!c->held || c->held_since != c->rx.records) { /* none yet, or released */
		c->held = false;
		rc = vshmi_latest_read(&c->latest, c->end.copy, &size);
		if (rc)
			return rc == -EPROTO ? ring_fault(c) : rc;
		c->held = true;
		c->held_since = c->rx.records;
		c->held_size = size;
		if (c->latest.lost != before) {
			publish_counters(c);
			return -EOVERFLOW;
		}
	}
	c->views[0] = (struct vshm_view){c->end.copy, c->held_size};
	c->shown = vshmi_rx_peeked(&c->rx, c->rx.head, c->rx.sequence, 1, c->held_size);
	return 0;
}

/* Only the ring. When nothing is there, everything that was released goes back. */
static int quick_look(void *end)
{
	struct vshm_consumer *c = end;
	int rc = c->copies ? look_latest(c) : vshmi_rx_refresh(&c->rx);

	if (c->copies)
		return rc;
	if (!rc) {
		rc = vshmi_rx_peek(&c->rx, c->views, c->count);
		if (rc > 0) {
			c->shown = rc;
			return 0;
		}
	}
	if (rc == -EAGAIN && c->rx.head != c->rx.returned)
		(void)give_back(c);
	return rc == -EPROTO ? ring_fault(c) : rc;
}

/* The kernel's mark is no fence: another thread of the dying process may commit until the whole process is gone. */
static bool fence_passed(struct vshm_consumer *c)
{
	struct vshm_region *region = c->end.region;
	int64_t now = vshmi_clock_ns();
	enum vshm_peer_state state;

	if (!c->fencing) {
		c->fencing = true;
		c->died_ns = now;
	}
	vshmi_lock(&region->lock);
	state = vshmi_peer_examine(region, c->end.link.peer, NULL);
	vshmi_unlock(&region->lock);
	return state == VSHM_PEER_FENCED || now - c->died_ns > VSHMI_FENCE_NS;
}

/* The ring is empty and the producer is not as it was. The last records are looked for after the end was seen. */
static int look_at_end(struct vshm_consumer *c, int end)
{
	bool replaced = vshmi_incarnation_load(c->end.link.section) != c->end.link.incarnation;
	int rc = vshmi_region_look(c->end.region);

	if (rc)
		return rc;
	if (end == -EPIPE && !replaced && !fence_passed(c))
		return -EAGAIN;
	if (replaced || end == -ENOENT)
		return finish(c, -ESTALE); /* the ring is no longer this producer's: it is not looked at again */
	rc = quick_look(c);
	return rc == -EAGAIN ? finish(c, end) : rc;
}

static int look(void *end)
{
	struct vshm_consumer *c = end;
	struct vshm_region *region = c->end.region;
	int rc = c->over ? c->over : vshmi_region_usable(region);

	if (rc)
		return rc;
	if (!c->connected) {
		rc = find_producer(c);
		if (rc)
			return rc;
	}
	rc = quick_look(c);
	if (rc != -EAGAIN)
		return rc;
	if (vshmi_region_usable(region))
		return vshmi_region_usable(region);
	if (!still_granted(c) && vshmi_rx_bound(&c->rx) && !vshmi_peer_dead(region, c->end.link.peer))
		return dropped(c);
	rc = vshmi_link_check(region, &c->end.link);
	if (!rc)
		rc = vshmi_end_liveness(&c->end, &c->told_suspect);
	if (rc == -EHOSTDOWN)
		return rc;
	return rc ? look_at_end(c, rc) : -EAGAIN;
}

/* ---- waiting ---- */

static uint64_t arm(void *end)
{
	struct vshm_consumer *c = end;

	publish_counters(c);
	c->armed = c->slow = true;
	if (!c->connected)
		return 0;
	return c->copies ? vshmi_rx_arm_behind(&c->rx, c->latest.position) : vshmi_rx_arm(&c->rx);
}

static void disarm(void *end)
{
	struct vshm_consumer *c = end;

	vshmi_rx_disarm(&c->rx);
	c->armed = false;
	c->slow = c->news != 0 || c->copies; /* a latest ring has no fast path */
}

static bool connected(const void *end)
{
	return ((const struct vshm_consumer *)end)->connected;
}

static bool hurry(const void *end)
{
	return ((const struct vshm_consumer *)end)->fencing;
}

static int wait_for_record(struct vshm_consumer *c, int64_t timeout_ns)
{
	const struct vshmi_wait wait = {
		.region = c->end.region,
		.end = c,
		.quick = quick_look,
		.look = look,
		.arm = arm,
		.disarm = disarm,
		.connected = connected,
		.hurry = hurry,
		.polls = c->end.flags & VSHM_ENTRY_POLLS,
		.spin = &c->spin,
		.sleeps = &c->sleeps,
		.spurious = &c->spurious,
	};

	return vshmi_end_wait(&wait, timeout_ns);
}

/* Shows nothing: what is peeked stays so, and what is to be said waits for the next peek. */
static int look_only(struct vshm_consumer *c, int (*how)(void *end))
{
	struct vshm_view unused;
	int rc;

	if (c->news || c->rx.peeked_count)
		return c->news;
	c->views = &unused;
	c->count = 1;
	rc = how(c);
	(void)vshmi_rx_peeked(&c->rx, c->rx.head, c->rx.sequence, 0, 0);
	if (rc && rc != -EAGAIN) {
		c->news = rc;
		c->slow = true;
	}
	return rc;
}

static int look_for_poll(void *end)
{
	return look_only(end, look);
}

static int quick_look_for_poll(void *end)
{
	return look_only(end, quick_look);
}

const struct vshmi_pollable vshmi_pollable_consumer = {
	.quick = quick_look_for_poll,
	.look = look_for_poll,
	.arm = arm,
	.disarm = disarm,
	.connected = connected,
	.hurry = hurry,
};

/* What the last calls left for this one. */
static VSHMI_RARE int catch_up(struct vshm_consumer *c)
{
	int rc = c->news;

	c->news = 0;
	if (c->armed)
		disarm(c);
	c->slow = c->copies;
	return rc;
}

/* Nothing that was seen before is left, or something is wrong. The number of records shown, or an error. */
static VSHMI_RARE int peek_slow(struct vshm_consumer *c, struct vshm_view views[], unsigned count, int64_t timeout_ns)
{
	int rc = vshmi_end_handle(c ? &c->end : NULL);

	if (rc)
		return rc;
	if (!views || count < 1 || count > BURST_MAX || (timeout_ns < 0 && timeout_ns != VSHM_FOREVER))
		return -EINVAL;
	if (c->slow)
		rc = catch_up(c);
	if (rc)
		return rc;
	c->views = views;
	c->count = count;
	rc = wait_for_record(c, timeout_ns);
	if (rc)
		return rc;
	vshmi_spin_found(&c->spin, c->shown > 1 || c->rx.tail != c->rx.peeked);
	return c->shown;
}

/* Bytes of records that are worth a look at the tail, which costs both cores a cache miss or two. */
#define GOOD_CATCH 1536u

/* Looks at the tail alone for some hundred nanoseconds, with no clock and no other look in between. */
static VSHMI_RARE bool wait_briefly(struct vshm_consumer *c)
{
	int rc = -EAGAIN;

	if (c->rx.head != c->rx.returned)
		(void)give_back(c);
	for (unsigned i = 0; rc == -EAGAIN && i < VSHMI_BRIEF_LOOKS; i++) {
		vshmi_spin_pause(&c->spin);
		rc = vshmi_rx_refresh(&c->rx);
	}
	if (rc)
		return false;
	c->spin.recent_ns -= c->spin.recent_ns / 8;
	/* more than what the last peek showed */
	vshmi_spin_found(&c->spin, c->rx.tail - c->rx.head > vshmi_record_span(c->rx.peeked_bytes));
	return true;
}

/*
 * Everything that was seen is read: did the tail move since? While each look finds something but not much, producer and
 * consumer run in lock-step, a cache miss for every record; a pause before the look lets bursts form. Answers that come
 * singly are not delayed: the look just behind a record finds nothing then.
 */
static inline bool more_came(struct vshm_consumer *c, int64_t timeout_ns)
{
	int rc;

	if (!c->connected || VSHMI_UNLIKELY(c->slow))
		return false;
	if (timeout_ns && c->spin.pauses > 1)
		vshmi_spin_pause(&c->spin);
	rc = vshmi_rx_refresh(&c->rx);
	if (!rc && c->rx.tail - c->rx.head < GOOD_CATCH)
		vshmi_spin_caught(&c->spin, c->rx.tail - c->rx.head > vshmi_record_span(c->rx.peeked_bytes));
	if (rc != -EAGAIN || !timeout_ns || !c->spin.budget_ns || vshmi_region_usable(c->end.region))
		return !rc;
	return wait_briefly(c);
}

static VSHMI_RARE int peek_one_slow(struct vshm_consumer *c, struct vshm_view *view, int64_t timeout_ns)
{
	int rc = peek_slow(c, view, 1, timeout_ns);

	return rc > 0 ? 0 : rc;
}

/* A pad, the first record, or a broken one, whose header was loaded. */
static VSHMI_RARE int peek_odd(struct vshm_consumer *c, struct vshm_view *view, int64_t timeout_ns, uint64_t header)
{
	(void)vshmi_rx_peeked(&c->rx, c->rx.head, c->rx.sequence, 0, 0);
	return vshmi_rx_peek_rest(&c->rx, header, view, 1) > 0 ? 0 : peek_one_slow(c, view, timeout_ns);
}

int vshm_consumer_peek(struct vshm_consumer *c, struct vshm_view *view, int64_t timeout_ns)
{
	uint64_t header;

	vshmi_call_begins();
	if (VSHMI_UNLIKELY(!c || !view || (c->rx.head == c->rx.tail && !more_came(c, timeout_ns))))
		return peek_one_slow(c, view, timeout_ns);
	header = vshmi_rx_header(&c->rx, c->rx.head);
	if (VSHMI_UNLIKELY(!vshmi_rx_lawful(&c->rx, c->rx.head, c->rx.sequence, header)))
		return peek_odd(c, view, timeout_ns, header);
	(void)vshmi_rx_peeked(&c->rx, vshmi_rx_show(&c->rx, c->rx.head, header, view), c->rx.sequence + 1, 1,
			      vshmi_record_size(header));
	return 0;
}

int vshm_consumer_peek_burst(struct vshm_consumer *c, struct vshm_view views[], unsigned count, int64_t timeout_ns)
{
	int rc;

	vshmi_call_begins();
	if (VSHMI_LIKELY(c && views && count <= BURST_MAX)) {
		if (c->rx.head == c->rx.tail && !more_came(c, timeout_ns))
			return peek_slow(c, views, count, timeout_ns);
		rc = vshmi_rx_peek(&c->rx, views, count);
		if (rc > 0)
			return rc;
	}
	return peek_slow(c, views, count, timeout_ns);
}

static VSHMI_RARE int refuse_release(const struct vshm_consumer *c)
{
	int rc = vshmi_end_handle(c ? &c->end : NULL);

	return rc ? rc : -EINVAL;
}

int vshm_consumer_release(struct vshm_consumer *c)
{
	vshmi_call_begins();
	if (VSHMI_UNLIKELY(!c || !c->rx.peeked_count))
		return refuse_release(c);
	if (VSHMI_UNLIKELY(c->end.grant && !c->copies && !still_granted(c)))
		return dropped(c); /* what was read in place may have been overwritten meanwhile */
	if (VSHMI_UNLIKELY(c->rx.lent_count))
		vshmi_lent_release(c, c->rx.peeked);
	return VSHMI_LIKELY(!vshmi_rx_release(&c->rx)) ? 0 : give_back(c);
}

int vshm_consumer_recv(struct vshm_consumer *c, void *data, size_t size, size_t *received, int64_t timeout_ns)
{
	struct vshm_view view;
	int rc;

	if ((!data && size) || !received)
		return -EINVAL;
	rc = vshm_consumer_peek(c, &view, timeout_ns);
	if (rc)
		return rc;
	if (view.size > size)
		return vshmi_region_fail(c->end.region, -EMSGSIZE, "ring %s: the next record has %zu bytes, the buffer %zu",
					 c->end.name, view.size, size);
	if (VSHMI_UNLIKELY(!vshmi_region_is_atomic(c->end.region)))
		vshmi_copy_in_words(data, view.data, view.size);
	else if (view.size)
		vshmi_copy_in(data, view.data, view.size);
	vshmi_fence_acquire();
	if (!vshmi_rx_bound(&c->rx)) /* the slot was given up under this consumer: what was copied may be another's */
		return finish(c, -ESTALE);
	if (!c->copies && !still_granted(c))
		return dropped(c);
	*received = view.size;
	return vshm_consumer_release(c);
}

/* ---- open and close ---- */

/* Words of the return ring. Nobody asked for one: then none where the section is full. */
static uint32_t choose_lends(struct vshm_region *region, uint32_t asked)
{
	if (asked)
		return (uint32_t)vshmi_round_up_power_of_two(asked);
	return vshmi_ring_room(region) >= 8 * DEFAULT_LENDS ? DEFAULT_LENDS : 0;
}

static int open_locked(struct vshm_region *region, const char *name, const struct vshm_consumer_options *o,
		       struct vshm_consumer *c)
{
	int rc;

	if (vshmi_ring_is_taken(region, name))
		return vshmi_region_fail(region, -EBUSY,
					 "ring %s has all the consumers that it can have (a one-to-one ring has one): close one first",
					 name);
	vshmi_end_init(&c->end, VSHM_CONSUMER, name, o->flags & VSHM_CONSUMER_POLL);
	vshmi_rx_init(&c->rx, &c->nowhere, &c->nowhere);
	c->end.rx = &c->rx;
	c->follow = o->flags & VSHM_CONSUMER_FOLLOW;
	rc = vshmi_lent_prepare(c, choose_lends(region, o->lends));
	if (rc)
		return rc;
	vshmi_spin_init(&c->spin, o->flags & VSHM_CONSUMER_POLL ? UINT32_MAX : o->spin_us);
	vshmi_consumer_pass_over(region, &c->end);
	return enter(c);
}

int vshm_consumer_open(struct vshm_region *region, const char *name, const struct vshm_consumer_options *options,
		       struct vshm_consumer **consumer)
{
	static const struct vshm_consumer_options defaults = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_consumer_options o;
	struct vshm_consumer *c;
	int rc = vshmi_end_may_open(region, name);

	if (!rc)
		rc = consumer ? vshmi_options_in(&o, &defaults, sizeof(o), options) : -EINVAL;
	if (!rc && (o.flags & ~(VSHM_CONSUMER_FOLLOW | VSHM_CONSUMER_POLL) || o.reserved))
		rc = vshmi_region_fail(region, -EINVAL, "unknown flag bits 0x%x in the consumer options", o.flags | o.reserved);
	if (!rc && o.lends > VSHM_MAX_LENDS)
		rc = vshmi_region_fail(region, -EINVAL, "a consumer can hold at most %u lent blocks, not %u", VSHM_MAX_LENDS,
				       o.lends);
	if (rc)
		return rc;
	vshmi_lock(&region->lock);
	c = (struct vshm_consumer *)(void *)vshmi_handle_take(region);
	rc = c ? open_locked(region, name, &o, c) : -ENOMEM;
	if (rc && c)
		vshmi_handle_drop(&c->end);
	vshmi_unlock(&region->lock);
	if (!rc)
		*consumer = c;
	return rc;
}

int vshm_consumer_close(struct vshm_consumer *c)
{
	int rc = vshmi_end_handle(c ? &c->end : NULL);
	struct vshm_region *region;

	if (rc)
		return rc;
	region = c->end.region;
	if (!c->left) {
		publish_counters(c);
		if (c->connected)
			(void)give_back(c);
	}
	vshmi_lock(&region->lock);
	if (!c->left)
		leave(c);
	vshmi_handle_drop(&c->end);
	vshmi_unlock(&region->lock);
	return 0;
}

/* ---- look ---- */

int vshm_consumer_connected(struct vshm_consumer *c)
{
	int rc = vshmi_end_handle(c ? &c->end : NULL);

	if (rc)
		return rc;
	if (!c->connected && !c->over && !vshmi_region_usable(c->end.region))
		(void)find_producer(c);
	return c->connected;
}

int vshm_consumer_lost(const struct vshm_consumer *c, uint64_t *lost)
{
	int rc = vshmi_end_handle(c ? &c->end : NULL);

	if (rc || !lost)
		return rc ? rc : -EINVAL;
	*lost = c->lost + c->latest.lost;
	return 0;
}

int vshm_consumer_counters(const struct vshm_consumer *c, struct vshm_counters *counters)
{
	struct vshm_counters out = VSHM_COUNTERS_INIT;
	int rc = vshmi_end_handle(c ? &c->end : NULL);

	if (rc || !counters)
		return rc ? rc : -EINVAL;
	out.records = c->rx.records;
	out.bytes = c->rx.bytes;
	out.rings_sent = c->rx.rings;
	out.rings_avoided = c->rx.publications - c->rx.rings;
	out.sleeps = c->sleeps;
	out.spurious = c->spurious;
	out.lost = c->lost + c->latest.lost;
	return vshmi_options_out(counters, &out, sizeof(out));
}

int vshm_consumer_fault(const struct vshm_consumer *c, struct vshm_fault *fault)
{
	int rc = vshmi_end_handle(c ? &c->end : NULL);

	if (rc || !fault)
		return rc ? rc : -EINVAL;
	return c->fault.rule ? vshmi_options_out(fault, &c->fault, sizeof(*fault)) : -ENOENT;
}
