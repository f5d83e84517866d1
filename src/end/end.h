/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * end: the public producer and consumer calls. Their fast path is the ring's, inlined; everything else (finding the
 * other side, noticing that it is gone, waiting) is a slow path that is entered when there is no room or no record.
 */
#ifndef END_END_H
#define END_END_H

#include "region/region.h"
#include "wait/wait.h"

#include <vshm/error.h>
#include <vshm/pool.h>
#include <vshm/ring.h>

/* After the kernel's mark: how long to wait for the fence, so that the very last committed record is not missed. */
#define VSHMI_FENCE_NS (INT64_C(100) * 1000 * 1000)

struct vshm_pool {
	struct vshmi_end end; /* `copy` holds the books */
	struct vshmi_pool pool;
	unsigned char *memory; /* of the blocks, in the own section */
};

/* What a producer is about to lend. */
struct vshmi_loan {
	struct vshm_pool *pool;
	struct vshm_block block;
	uint64_t size;
};

struct vshm_producer {
	struct vshmi_end end; /* first: region/ hands out the page by its address */
	struct vshmi_tx tx;
	struct vshmi_latest_tx latest; /* with VSHM_ENTRY_LATEST */
	uint64_t adrift_reserved; /* as tx.reserved, for a record that is committed under the lock */
	uint64_t wanted;	  /* payload bytes that a wait is for */
	uint64_t dropped, kept;	  /* records: dropped; committed before the last drop */
	struct vshmi_spin spin;
	uint64_t sleeps, spurious;
	bool told_suspect;
	bool ended, drained; /* closing: no more records come; all were read */
	bool burst_is_run;
	unsigned burst; /* records reserved by the last burst, */
	uint64_t burst_size, burst_at; /* of so many bytes each, where the tail stood */
	const struct vshmi_loan *loan; /* during a lend */
	bool lend_waits_for_room;
	uint64_t lends_back; /* blocks that came back, as of the last look */
	int over; /* a sticky error */
	int news;   /* what a poll saw and the next reserve says */
	bool armed; /* left so by a call that did not wait: vshm_region_fd() */
	struct vshm_fault fault;
};

struct vshm_consumer {
	struct vshmi_end end;
	struct vshmi_rx rx;
	struct vshmi_latest_rx latest; /* instead, while `copies` */
	bool copies; /* connected to a ring that keeps the latest */
	struct vshmi_returns returns;
	struct vshmi_lent *kept;    /* blocks that a release did not give back */
	unsigned lends, kept_count; /* blocks that it takes at most; that it keeps now */
	uint64_t start; /* what its grant said: a newer grant says something else */
	bool held;   /* a copied record was not released yet: rx.records still is */
	uint64_t held_since;
	uint64_t held_size; /* bytes */
	uint64_t copy_size; /* of end.copy */
	uint64_t lost;	    /* with former producers */
	bool connected;
	bool left; /* its entry is closed: a last -ENODATA, -EPIPE or -ESTALE was said */
	bool follow;
	bool told_suspect;
	bool fencing;	     /* the producer died; waiting a moment for the fence */
	int64_t died_ns;     /* when that was noticed */
	uint64_t looked;     /* digest of the change counters at the last search for a producer */
	int64_t looked_ns;
	struct vshm_view *views; /* where the next look shows records, */
	unsigned count;		 /* how many at most, */
	int shown;		 /* and how many it showed */
	struct vshmi_spin spin;
	uint64_t sleeps, spurious;
	int over;
	int news;  /* what a poll saw and the next peek says */
	bool armed; /* left so by a call that did not wait: vshm_region_fd() */
	bool slow;  /* the next peek begins with one of these two */
	struct vshmi_word64 nowhere; /* where the ring's own words go once the entry is closed */
	struct vshm_fault fault;
};

_Static_assert(sizeof(struct vshm_producer) <= VSHMI_HANDLE_SIZE, "an end fits its page");
_Static_assert(sizeof(struct vshm_consumer) <= VSHMI_HANDLE_SIZE, "an end fits its page");

/* ---- wait.c ---- */

/* Adds the words an end listens to: the other side's bell and alive word, or everybody's bells while there is none. */
void vshmi_end_listen(const struct vshmi_end *end, bool connected, struct vshmi_sleeper *sleeper);

/* The kernel wakes only one of those who sleep on an alive word: whoever it was wakes the others. */
void vshmi_end_pass_on(const struct vshmi_end *end, bool connected);

/*
 * Waits until `look` says something else than -EAGAIN: spins, then sleeps. `look` does all that a look can do: the
 * ring, the handshake, liveness. 0 for `timeout_ns` means one look (in a program that sleeps on the region's descriptor
 * the end then stays armed). Returns what look said, -ETIMEDOUT, or -ECANCELED.
 */
struct vshmi_wait {
	struct vshm_region *region;
	void *end;
	int (*quick)(void *end); /* only the ring, for the spin; NULL: do not spin */
	int (*look)(void *end);
	uint64_t (*arm)(void *end); /* as in struct vshmi_sleeper */
	void (*disarm)(void *end);
	bool (*connected)(const void *end);
	bool (*hurry)(const void *end); /* sleep only for short; NULL: never */
	void (*listen)(const void *end, struct vshmi_sleeper *sleeper); /* NULL: `end` is one struct vshmi_end */
	void (*pass_on)(const void *end);				/* likewise */
	bool polls;							/* spin instead of sleeping, once connected */
	struct vshmi_spin *spin;
	uint64_t *sleeps, *spurious;
};
int vshmi_end_wait(const struct vshmi_wait *wait, int64_t timeout_ns);

/* ---- poll.c ---- */

/* What an end offers to vshm_poll(): as for its own waits, but a look shows and reserves nothing, and what it says stays. */
struct vshmi_pollable {
	int (*quick)(void *end);
	int (*look)(void *end);
	uint64_t (*arm)(void *end);
	void (*disarm)(void *end);
	bool (*connected)(const void *end);
	bool (*hurry)(const void *end);
};
extern const struct vshmi_pollable vshmi_pollable_producer; /* for room for `wanted` bytes */
extern const struct vshmi_pollable vshmi_pollable_consumer;

/* ---- common.c ---- */

/* What is known of the other side's life beyond its alive word: 0; -EPIPE it is gone; -EHOSTDOWN suspect, said once. */
int vshmi_end_liveness(const struct vshmi_end *end, bool *told);

/* Makes a ring's fault a public one, logs it, and returns -EPROTO, or -ENODEV when the memory is gone. */
int vshmi_end_quarantine(const struct vshmi_end *end, const struct vshmi_ring_fault *ring, uint64_t ring_offset,
			 uint64_t ring_size, struct vshm_fault *fault);

/* The common part of an end that is about to take its entry. */
void vshmi_end_init(struct vshmi_end *end, uint32_t kind, const char *name, uint32_t flags);

/* Name, region and role are fit for opening an end. */
int vshmi_end_may_open(struct vshm_region *region, const char *name);

void vshmi_end_counters_publish(const struct vshmi_end *end, uint64_t records, uint64_t rings, uint64_t avoided,
				uint64_t sleeps, uint64_t spurious, uint64_t lost);

/* ---- many.c: a producer's side of a one-to-many ring ---- */

/* Lock held: one try to reserve, after a look at the readers when there is no room. As vshmi_tx_reserve_slow(). */
int vshmi_many_reserve(struct vshm_producer *producer, uint64_t size, void **data);

/* Lock held: publishes, and rings the readers that sleep for it. */
void vshmi_many_publish(struct vshm_producer *producer);

/* Lock held: have all readers read everything? 0, -EAGAIN. */
int vshmi_many_drained(struct vshm_producer *producer);

/* Lock held: appends the record in `copy`, and pads it with zeroes. */
void vshmi_many_append_latest(struct vshm_producer *producer, size_t size);

/* Makes a producer one of a one-to-many ring, before and after its entry is taken. 0, -ENOMEM. */
int vshmi_many_prepare(struct vshm_producer *producer, uint32_t consumers, uint64_t ring_size);
void vshmi_many_begin(struct vshm_producer *producer);

/* ---- producer.c, for poll.c: around all that a poll does with a producer ---- */

void vshmi_producer_enter(struct vshm_producer *producer);
void vshmi_producer_settle(struct vshm_producer *producer);

/* ---- producer.c, for lend.c ---- */

/* Looks around as a waiting producer does, and reserves room for `wanted` bytes. As vshm_producer_reserve() with 0. */
int vshmi_producer_look_for_room(struct vshm_producer *producer);
uint64_t vshmi_producer_arm_for_room(struct vshm_producer *producer);

/* Lock held. */
void vshmi_producer_publish(struct vshm_producer *producer);

/* Waits until vshmi_lend_look() has lent. */
int vshmi_producer_wait_to_lend(struct vshm_producer *producer, int64_t timeout_ns);

/* ---- lend.c, pool.c ---- */

int vshmi_lend_look(void *end);
uint64_t vshmi_lend_arm(void *end);

/* Is the block one that this pool has handed out, in this life of it? */
bool vshmi_pool_owns(const struct vshm_pool *pool, const struct vshm_block *block);

/* Publishes how full the pool is, for those who look at the region. Lock held. */
void vshmi_pool_show(struct vshm_pool *pool);

/* Room for a consumer's list of held blocks. 0, -ENOMEM. And for each entry that it takes: an empty return ring. */
int vshmi_lent_prepare(struct vshm_consumer *consumer, uint32_t lends);
void vshmi_lent_begin(struct vshm_consumer *consumer);

/* Records before `position` are released: gives back what they lent, unless it is kept. */
void vshmi_lent_release(struct vshm_consumer *consumer, uint64_t position);

/* ---- consumer.c, for lend.c ---- */

/* The stream has ended, and the last kept block is back: nothing holds the entry any more. */
void vshmi_consumer_leave_late(struct vshm_consumer *consumer);

#endif
