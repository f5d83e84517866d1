/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The producing end. With a consumer, a reserve and a commit touch only private memory, the ring, and one word of the
 * consumer. Without one (adrift) every use of the ring holds the region's lock, because the keeper may grant a consumer
 * meanwhile; tx.reserved then stays 0, so that a commit takes the slow path too. A one-to-many ring is always used so.
 */
#include "end/end.h"

#define BURST_MAX 1024u
#define LEAST_BURST 4096u /* bytes, in rings that have as many in a quarter */

/* ---- state ---- */

/* From here on the keeper leaves the ring alone, see vshmi_grant_seize(). */
static inline void enter(struct vshm_producer *p)
{
	__atomic_store_n(&p->end.busy, 1, __ATOMIC_RELAXED);
	vshmi_fence_light(); /* before the look at the limit */
}

static inline void leave(struct vshm_producer *p)
{
	__atomic_store_n(&p->end.busy, 0, __ATOMIC_RELEASE);
}

/* For calls off the fast path: without it the keeper may be at work right now. */
static void enter_slowly(struct vshm_producer *p)
{
	enter(p);
	if (p->end.readers || __atomic_load_n(&p->tx.limit, __ATOMIC_RELAXED))
		return; /* such a ring it never touches but under the lock */
	vshmi_lock(&p->end.region->lock);
	vshmi_unlock(&p->end.region->lock);
}

/* The end of a call: a reservation keeps the producer busy until its commit. */
static void settle(struct vshm_producer *p)
{
	if (!p->tx.reserved && !p->adrift_reserved && !p->burst)
		leave(p);
}

static uint64_t data_records(const struct vshm_producer *p)
{
	return vshmi_tx_records(&p->tx);
}

static void publish_counters(struct vshm_producer *p)
{
	vshmi_end_counters_publish(&p->end, data_records(p), p->tx.rings, p->tx.publications - p->tx.rings, p->sleeps,
				   p->spurious, p->dropped);
}

/* The consumer has armed: rings it if it sleeps for what was published. */
static VSHMI_RARE int ring_if_due(struct vshm_producer *p, uint64_t armed)
{
	if (vshmi_tx_ring_due(&p->tx, armed))
		vshmi_peer_ring(p->end.region, p->end.link.peer);
	return 0;
}

/* Publishes what is committed, and rings a consumer that sleeps for it. */
static inline int publish(struct vshm_producer *p)
{
	uint64_t armed = vshmi_tx_publish_armed(&p->tx);

	return VSHMI_LIKELY(!armed) ? 0 : ring_if_due(p, armed);
}

/* Lock held when adrift. */
static void publish_any(struct vshm_producer *p)
{
	if (p->end.readers)
		vshmi_many_publish(p);
	else
		(void)publish(p);
}

/* Lock held, no consumer: what is in the ring goes, so that the next record finds room. */
static void drop_all(struct vshm_producer *p)
{
	p->dropped += data_records(p) - p->kept;
	p->kept = data_records(p);
	vshmi_tx_discard(&p->tx);
}

/* Lock held. The consumer is gone. */
static void note_loss(struct vshm_producer *p)
{
	p->kept = data_records(p);
	p->told_suspect = false;
}

static int quarantine(struct vshm_producer *p)
{
	const struct vshmi_own *own = &p->end.region->own[p->end.index];
	int rc;

	if (vshmi_link_check(p->end.region, &p->end.link))
		return -EAGAIN; /* not the consumer's words any more: the next look notices that it is gone */
	rc = vshmi_end_quarantine(&p->end, &p->tx.fault, own->ring_offset, own->ring_size, &p->fault);

	if (rc == -EPROTO) {
		p->over = rc;
		p->tx.reserved = p->adrift_reserved = p->burst = 0;
		vshmi_tx_call_attention(&p->tx);
	}
	return rc;
}

/* Lock held when adrift. Was everything read? 0, -EAGAIN, -EPROTO. */
static int drained(struct vshm_producer *p)
{
	return p->end.readers ? vshmi_many_drained(p) : vshmi_tx_drained(&p->tx);
}

/* Lock held. `gone`: how the consumer went, 0 when it did not. Looks for another one. */
static void change_consumer(struct vshm_producer *p, int gone)
{
	if (gone) {
		vshmi_grant_lose(p->end.region, &p->end, gone);
		note_loss(p);
	}
	/* whoever is granted an ended stream that was read to its end sees the end, and has no say in it */
	if (p->end.adrift && !p->end.link.id && p->ended && !drained(p))
		p->drained = true;
	if (p->end.adrift)
		vshmi_grant_requests(p->end.region);
	if (p->end.link.id)
		p->end.adrift = false;
}

/* The same for a one-to-many ring: the keeper, too, may have seen some of them off. */
static int change_consumers(struct vshm_producer *p)
{
	int died = vshmi_readers_attend(p->end.region, &p->end);

	if (p->ended && !vshmi_readers_live(&p->end) && !drained(p))
		p->drained = true;
	vshmi_grant_requests(p->end.region);
	return vshmi_readers_live(&p->end) ? 0 : died;
}

/* Is there a usable region, and a consumer? 0, or what has to be said: -EPIPE and -EHOSTDOWN once. */
static int attend(struct vshm_producer *p)
{
	struct vshm_region *region = p->end.region;
	int rc = p->over ? p->over : vshmi_region_usable(region), gone = 0, lost = 0;

	if (rc)
		return rc;
	if (p->end.readers) {
		vshmi_lock(&region->lock);
		rc = change_consumers(p);
		vshmi_unlock(&region->lock);
		return rc;
	}
	if (!p->end.adrift) {
		gone = __atomic_load_n(&p->end.left, __ATOMIC_RELAXED);
		if (!gone)
			gone = vshmi_link_check(region, &p->end.link);
		if (!gone)
			rc = vshmi_end_liveness(&p->end, &p->told_suspect);
		if (rc == -EPIPE)
			gone = rc;
	}
	if (gone) { /* but of a device that was unplugged all words are ones */
		int vanished = vshmi_region_look(region);

		if (vanished)
			return vanished;
	}
	if (p->end.adrift || gone) {
		vshmi_lock(&region->lock);
		if (p->end.left)
			gone = p->end.left;
		if (p->end.lost)
			note_loss(p);
		lost = p->end.lost;
		p->end.lost = 0;
		change_consumer(p, gone);
		vshmi_unlock(&region->lock);
	}
	return gone == -EPIPE || lost == -EPIPE ? -EPIPE : rc;
}

/* ---- reserve ---- */

/* Tries once more, lock held when adrift. What was committed is published before anybody waits. */
static int try_reserve(struct vshm_producer *p, void **data)
{
	int rc = p->end.readers ? vshmi_many_reserve(p, p->wanted, data) :
				  vshmi_tx_reserve_slow(&p->tx, p->wanted, data);

	if (rc == -EAGAIN && p->tx.tail != p->tx.published)
		publish_any(p);
	return rc;
}

static int try_reserve_adrift(struct vshm_producer *p, void **data)
{
	int rc;

	vshmi_lock(&p->end.region->lock);
	if (p->end.flags & VSHM_ENTRY_DROP && !p->end.link.id && !vshmi_readers_live(&p->end))
		drop_all(p);
	rc = try_reserve(p, data);
	p->adrift_reserved = p->tx.reserved;
	p->tx.reserved = 0;
	vshmi_unlock(&p->end.region->lock);
	return rc;
}

static int try_anyway(struct vshm_producer *p)
{
	void *unused;

	return p->end.adrift ? try_reserve_adrift(p, &unused) : try_reserve(p, &unused);
}

static int look_for_room(void *end)
{
	struct vshm_producer *p = end;
	int rc = attend(p);

	if (!rc)
		rc = try_anyway(p);
	return rc == -EPROTO && !p->over ? quarantine(p) : rc;
}

static int quick_look_for_room(void *end)
{
	struct vshm_producer *p = end;
	int rc = try_anyway(p);

	return rc == -EPROTO ? quarantine(p) : rc;
}

/* A consumer that came or left changes whom to listen to: so it is part of what is waited for. */
static uint64_t arm_for_room(void *end)
{
	struct vshm_producer *p = end;

	publish_counters(p);
	p->armed = true;
	vshmi_tx_call_attention(&p->tx); /* if it stays armed, the next reserve disarms it */
	return vshmi_tx_arm(&p->tx, p->wanted) | p->end.adrift; /* positions are multiples of 8 */
}

static void disarm(void *end)
{
	struct vshm_producer *p = end;

	vshmi_tx_disarm(&p->tx);
	p->armed = false;
}

static bool connected(const void *end)
{
	const struct vshm_producer *p = end;

	return !p->end.adrift || vshmi_readers_live(&p->end);
}

/* Waits as a producer does, for whatever `look` looks for. */
static int wait_for(struct vshm_producer *p, int (*quick)(void *end), int (*look)(void *end), uint64_t (*arm)(void *end),
		    int64_t timeout_ns)
{
	const struct vshmi_wait wait = {
		.region = p->end.region,
		.end = p,
		.quick = quick,
		.look = look,
		.arm = arm,
		.disarm = disarm,
		.connected = connected,
		.spin = &p->spin,
		.sleeps = &p->sleeps,
		.spurious = &p->spurious,
	};

	return vshmi_end_wait(&wait, timeout_ns);
}

/* The usual case of a one-to-many ring: there is room. */
static int try_many(struct vshm_producer *p)
{
	int rc = vshmi_region_usable(p->end.region);

	return rc ? rc : try_anyway(p);
}

/* What the last calls left for this one. */
static int catch_up(struct vshm_producer *p)
{
	int rc = p->news;

	if (p->armed)
		disarm(p);
	p->news = 0;
	return rc;
}

int vshmi_producer_look_for_room(struct vshm_producer *p)
{
	return look_for_room(p);
}

uint64_t vshmi_producer_arm_for_room(struct vshm_producer *p)
{
	return arm_for_room(p);
}

void vshmi_producer_publish(struct vshm_producer *p)
{
	publish_any(p);
}

int vshmi_producer_wait_to_lend(struct vshm_producer *p, int64_t timeout_ns)
{
	int rc;

	enter_slowly(p);
	rc = catch_up(p);
	if (!rc)
		rc = p->over;
	p->tx.reserved = p->adrift_reserved = p->burst = 0;
	p->wanted = sizeof(struct vshm_lend);
	if (!rc)
		rc = wait_for(p, NULL, vshmi_lend_look, vshmi_lend_arm, timeout_ns);
	publish_counters(p);
	leave(p);
	return rc;
}

static int reserve_patiently(struct vshm_producer *p, size_t size, void **data, int64_t timeout_ns)
{
	int rc;

	if (!data || (timeout_ns < 0 && timeout_ns != VSHM_FOREVER))
		return -EINVAL;
	p->tx.reserved = p->adrift_reserved = 0;
	if (size > vshm_producer_max_record(p))
		return vshmi_region_fail(p->end.region, -EMSGSIZE,
					 "ring %s: a record of %zu bytes is too large: the ring takes up to %zu; open it larger",
					 p->end.name, size, vshm_producer_max_record(p));
	p->wanted = size;
	rc = catch_up(p);
	/* called by the keeper, or just connected: there is news, whether there is room or not */
	if (!rc && !p->end.adrift && !__atomic_load_n(&p->tx.limit, __ATOMIC_RELAXED))
		rc = attend(p);
	if (!rc)
		rc = p->end.readers ? try_many(p) : -EAGAIN;
	return rc == -EAGAIN ? wait_for(p, quick_look_for_room, look_for_room, arm_for_room, timeout_ns) : rc;
}

/* Everything but the fast path. On success `size` bytes are reserved at *data. */
static VSHMI_RARE int reserve_slow(struct vshm_producer *p, size_t size, void **data, int64_t timeout_ns)
{
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	if (rc)
		return rc;
	enter_slowly(p);
	rc = reserve_patiently(p, size, data, timeout_ns);
	if (rc) {
		settle(p);
		return rc;
	}
	publish_counters(p);
	*data = p->end.copy ? (unsigned char *)p->end.copy :
			      p->tx.data + (p->tx.tail & (p->tx.size - 1)) + VSHM_RECORD_HEADER;
	return 0;
}

int vshm_producer_reserve(struct vshm_producer *p, size_t size, void **data, int64_t timeout_ns)
{
	vshmi_call_begins();
	if (VSHMI_LIKELY(p && data)) {
		enter(p);
		if (VSHMI_LIKELY(vshmi_tx_reserve_fast(&p->tx, size, data)))
			return 0;
	}
	return reserve_slow(p, size, data, timeout_ns);
}

static unsigned least(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t ab = a < b ? a : b;

	return (unsigned)(ab < c ? ab : c);
}

/* Bytes of a burst: with a quarter of the ring at a time, in which the consumer returns it, the two sides would take turns. */
static uint64_t burst_bytes(uint64_t ring_size)
{
	uint64_t sixteenth = ring_size / 16, quarter = ring_size / 4;

	return sixteenth >= LEAST_BURST ? sixteenth : quarter < LEAST_BURST ? quarter : LEAST_BURST;
}

/* Room was found for one record: lays out as many as fit, in a run where there is one consumer. */
static unsigned lay_out(struct vshm_producer *p, size_t size, void *data[], unsigned count)
{
	uint64_t stride = vshmi_run_stride(size), most = burst_bytes(p->tx.size), fit = vshmi_tx_run_room(&p->tx, size);
	unsigned char *at = data[0];

	p->burst_is_run = !p->end.readers && least(fit, count, most / stride) > 1;
	if (p->burst_is_run) {
		at = p->tx.data + (vshmi_run_first(p->tx.tail, stride) & (p->tx.size - 1));
	} else {
		stride = vshmi_record_span(size);
		fit = (p->tx.room - p->tx.tail) / stride;
	}
	count = least(fit, count, most / stride);
	for (unsigned i = 0; i < count; i++, at += stride)
		data[i] = at;
	return count ? count : 1;
}

int vshm_producer_reserve_burst(struct vshm_producer *p, size_t size, void *data[], unsigned count, int64_t timeout_ns)
{

	vshmi_call_begins();
	if (!p || !data || count < 1 || count > BURST_MAX)
		return -EINVAL;
	enter(p);
	p->burst = 0;
	if (VSHMI_UNLIKELY(!vshmi_tx_reserve_fast(&p->tx, size, &data[0]))) {
		int rc = reserve_slow(p, size, &data[0], timeout_ns);

		if (rc)
			return rc;
	}
	count = lay_out(p, size, data, count);
	p->burst = count;
	p->burst_size = size;
	p->burst_at = p->tx.tail;
	p->tx.reserved = p->adrift_reserved = 0;
	return (int)count;
}

/* ---- commit ---- */

/* Adrift, or a mistake. */
static VSHMI_RARE int commit_slow(struct vshm_producer *p, size_t size, uint32_t flags)
{
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	if (rc)
		return rc;
	if (p->over)
		return p->over;
	if (flags & ~VSHM_MORE || size >= p->adrift_reserved)
		return -EINVAL;
	vshmi_lock(&p->end.region->lock);
	if (p->end.copy)
		vshmi_many_append_latest(p, size);
	else
		vshmi_tx_append(&p->tx, size);
	p->adrift_reserved = 0;
	if (!(flags & VSHM_MORE))
		publish_any(p);
	vshmi_unlock(&p->end.region->lock);
	leave(p);
	return 0;
}

int vshm_producer_commit(struct vshm_producer *p, size_t size, uint32_t flags)
{
	vshmi_call_begins();
	if (VSHMI_UNLIKELY(!p || size >= p->tx.reserved || flags & ~VSHM_MORE))
		return commit_slow(p, size, flags);
	vshmi_tx_append(&p->tx, size);
	if (!(flags & VSHM_MORE))
		(void)publish(p);
	leave(p);
	return 0;
}

/* So many records of the last burst are still reserved: nothing was appended or reserved since. */
static bool burst_stands(const struct vshm_producer *p, unsigned count)
{
	return !count || (count <= p->burst && p->tx.tail == p->burst_at && !p->tx.reserved && !p->adrift_reserved);
}

/* Lock held when adrift. */
static void append_burst(struct vshm_producer *p, unsigned count)
{
	if (p->end.copy && count)
		vshmi_many_append_latest(p, p->burst_size);
	else if (p->burst_is_run && count)
		vshmi_tx_append_run(&p->tx, p->burst_size, count);
	else
		vshmi_tx_append_burst(&p->tx, p->burst_size, count);
	p->burst = 0;
}

int vshm_producer_commit_burst(struct vshm_producer *p, unsigned count, uint32_t flags)
{
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	vshmi_call_begins();
	if (!rc)
		rc = p->over;
	if (rc)
		return rc;
	if (flags & ~VSHM_MORE || !burst_stands(p, count))
		return -EINVAL;
	if (VSHMI_LIKELY(!p->end.adrift)) {
		append_burst(p, count);
		if (!(flags & VSHM_MORE) && count)
			(void)publish(p);
		leave(p);
		return 0;
	}
	vshmi_lock(&p->end.region->lock);
	append_burst(p, count);
	if (!(flags & VSHM_MORE) && count)
		publish_any(p);
	vshmi_unlock(&p->end.region->lock);
	leave(p);
	return 0;
}

/* ---- for poll.c ---- */

void vshmi_producer_enter(struct vshm_producer *p)
{
	enter_slowly(p);
}

void vshmi_producer_settle(struct vshm_producer *p)
{
	settle(p);
}

/* Payload bytes that are reserved and not committed, plus 1; 0: nothing. */
static uint64_t held(const struct vshm_producer *p)
{
	if (p->burst && burst_stands(p, p->burst))
		return p->burst_size + 1;
	return p->tx.reserved > p->adrift_reserved ? p->tx.reserved : p->adrift_reserved;
}

/* Reserves nothing: what is reserved stays so if it is enough, and what is to be said waits for the next reserve. */
static int look_only(struct vshm_producer *p, int (*how)(void *end))
{
	void *unused;
	int rc;

	if (p->news || held(p) > p->wanted)
		return p->news;
	if (p->wanted > vshm_producer_max_record(p))
		return -EMSGSIZE;
	rc = vshmi_tx_reserve_fast(&p->tx, p->wanted, &unused) ? 0 : how(p);
	p->tx.reserved = p->adrift_reserved = p->burst = 0;
	if (rc && rc != -EAGAIN) {
		p->news = rc;
		vshmi_tx_call_attention(&p->tx);
	}
	return rc;
}

static int look_for_poll(void *end)
{
	return look_only(end, look_for_room);
}

/* One that was called has to look at its consumer first. */
static int quick_look_for_poll(void *end)
{
	struct vshm_producer *p = end;
	bool called = !__atomic_load_n(&p->tx.limit, __ATOMIC_RELAXED);

	return look_only(p, called ? look_for_room : quick_look_for_room);
}

const struct vshmi_pollable vshmi_pollable_producer = {
	.quick = quick_look_for_poll,
	.look = look_for_poll,
	.arm = arm_for_room,
	.disarm = disarm,
	.connected = connected,
};

/* Publishes what is not yet, wherever the ring stands. */
static void publish_rest(struct vshm_producer *p)
{
	bool adrift = p->end.adrift;

	if (adrift) /* a keeper that grants publishes too */
		vshmi_lock(&p->end.region->lock);
	if (p->tx.tail != p->tx.published)
		publish_any(p);
	if (adrift)
		vshmi_unlock(&p->end.region->lock);
}

int vshm_producer_flush(struct vshm_producer *p)
{
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	vshmi_call_begins();
	if (!rc)
		rc = p->over;
	if (rc)
		return rc;
	enter_slowly(p);
	publish_rest(p);
	settle(p);
	return 0;
}

int vshm_producer_send(struct vshm_producer *p, const void *data, size_t size, int64_t timeout_ns)
{
	void *room;
	int rc;

	if (!data && size)
		return -EINVAL;
	rc = vshm_producer_reserve(p, size, &room, timeout_ns);
	if (rc)
		return rc;
	if (VSHMI_UNLIKELY(!vshmi_region_is_atomic(p->end.region)))
		vshmi_copy_out_words(room, data, size);
	else if (size)
		vshmi_copy_out(room, data, size);
	return vshm_producer_commit(p, size, 0);
}

/* ---- close ---- */

static int look_drained(void *end)
{
	struct vshm_producer *p = end;
	int rc = attend(p), left;
	bool another;

	if (p->drained || (!connected(p) && p->end.flags & VSHM_ENTRY_DROP))
		return 0;
	if (p->end.adrift)
		vshmi_lock(&p->end.region->lock);
	left = drained(p);
	another = p->end.link.id || vshmi_readers_live(&p->end);
	if (p->end.adrift)
		vshmi_unlock(&p->end.region->lock);
	/* one died, but another has taken its place, or is one of several, and goes on */
	if (rc == -EHOSTDOWN || (rc == -EPIPE && another))
		rc = 0;
	if (!left || !rc)
		return left == -EPROTO ? quarantine(p) : left;
	return rc;
}

static uint64_t arm_drained(void *end)
{
	struct vshm_producer *p = end;

	return vshmi_tx_arm_drained(&p->tx) | p->end.adrift;
}

/* The end of the stream becomes visible: to the consumer that is there, or to those that look for one. */
static void end_stream(struct vshm_producer *p)
{
	struct vshm_region *region = p->end.region;

	publish_rest(p);
	p->ended = true;
	vshmi_store_release32(&p->end.entry->state, VSHM_END_CLOSED); /* pairs with vshmi_link_check() */
	vshmi_lock(&region->lock);
	vshmi_directory_changed(region);
	if (p->end.link.id)
		vshmi_peer_ring(region, p->end.link.peer);
	vshmi_readers_ring(region, &p->end);
	vshmi_unlock(&region->lock);
}

int vshm_producer_close(struct vshm_producer *p, int64_t timeout_ns)
{
	int rc = vshmi_end_handle(p ? &p->end : NULL);
	struct vshm_region *region;

	if (rc)
		return rc;
	region = p->end.region;
	enter_slowly(p);
	rc = p->over ? p->over : vshmi_region_usable(region);
	if (!vshmi_region_usable(region))
		end_stream(p);
	if (!rc)
		rc = wait_for(p, look_drained, look_drained, arm_drained, timeout_ns);
	publish_counters(p);
	vshmi_lock(&region->lock);
	vshmi_entry_retire(region, &p->end);
	vshmi_handle_drop(&p->end);
	vshmi_unlock(&region->lock);
	return rc;
}

/* ---- look ---- */

size_t vshm_producer_max_record(const struct vshm_producer *p)
{
	if (vshmi_end_handle(p ? &p->end : NULL))
		return 0;
	return (size_t)(p->end.copy ? vshmi_latest_max_record(p->tx.size) : p->tx.size - VSHM_RECORD_HEADER);
}

int vshm_producer_counters(const struct vshm_producer *p, struct vshm_counters *counters)
{
	struct vshm_counters out = VSHM_COUNTERS_INIT;
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	if (rc || !counters)
		return rc ? rc : -EINVAL;
	out.records = data_records(p);
	out.bytes = p->tx.bytes;
	out.rings_sent = p->tx.rings;
	out.rings_avoided = p->tx.publications - p->tx.rings;
	out.sleeps = p->sleeps;
	out.spurious = p->spurious;
	out.dropped = p->dropped;
	return vshmi_options_out(counters, &out, sizeof(out));
}

int vshm_producer_fault(const struct vshm_producer *p, struct vshm_fault *fault)
{
	int rc = vshmi_end_handle(p ? &p->end : NULL);

	if (rc || !fault)
		return rc ? rc : -EINVAL;
	return p->fault.rule ? vshmi_options_out(fault, &p->fault, sizeof(*fault)) : -ENOENT;
}
