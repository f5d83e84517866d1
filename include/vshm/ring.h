/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings: records of any size, in order, from one producer to one consumer, or to each of several.
 *
 * The ring lies in the producer's section, the consumer's position in the consumer's. Ends find each
 * other by name, in either order of opening. One thread at a time uses an end; different ends are
 * independent. No call allocates or, while the other side is awake, enters the kernel, except open and close.
 *
 * Every `timeout_ns` is nanoseconds; 0: -EAGAIN at once; VSHM_FOREVER. A call that waits says -ECANCELED after
 * vshm_region_cancel() (wait.h); wait.h also waits for many ends at once.
 *
 * Errors that any call here can return: -EINVAL, -ECHILD, -ESTALE (this peer was evicted, or the region was
 * replaced), -ENODEV. After -EPROTO an end stays so: all its calls say -EPROTO, everything else goes on.
 */
#ifndef VSHM_RING_H
#define VSHM_RING_H

#include <vshm/region.h>
#include <vshm/types.h>

VSHM_BEGIN_DECLS

struct vshm_producer;
struct vshm_consumer;

#define VSHM_DEFAULT_RING_SIZE 262144u

/* What an end did so far. Plain numbers of this process; `vshmctl show` prints the published copy. */
struct vshm_counters {
	size_t struct_size;
	uint64_t records;
	uint64_t bytes;         /* of payload */
	uint64_t rings_sent;    /* doorbells */
	uint64_t rings_avoided; /* publications that had to ring nobody */
	uint64_t sleeps;
	uint64_t spurious; /* wake-ups that found nothing */
	uint64_t dropped;  /* producer with VSHM_PRODUCER_DROP: records that nobody heard */
	uint64_t lost;	   /* consumer of a latest ring: records that were overwritten before it read them */
};
#define VSHM_COUNTERS_INIT                                                                         \
	{                                                                                          \
		sizeof(struct vshm_counters), 0, 0, 0, 0, 0, 0, 0, 0                               \
	}

/* ---- producer ---- */

#define VSHM_PRODUCER_DROP 1u /* while nobody listens, drop records instead of waiting for a consumer */
/*
 * A latest ring: the producer never waits, the oldest records are overwritten. Each consumer starts with the newest record
 * and is told exactly how many it missed: -EOVERFLOW, vshm_consumer_lost(). Both sides copy: what a reserve and a peek show
 * is private memory. A record can have a quarter of the ring, less 16 bytes; bursts have one record. Blocks cannot be lent.
 */
#define VSHM_PRODUCER_LATEST 2u

struct vshm_producer_options {
	size_t struct_size;
	uint32_t flags;     /* VSHM_PRODUCER_… */
	uint32_t spin_us;   /* look around for at most this long before a sleep, as long as it pays; UINT32_MAX: 20 */
	uint64_t ring_size; /* bytes, rounded up to a power of two; 0: VSHM_DEFAULT_RING_SIZE or what fits */
	/*
	 * At most so many consumers at a time, up to VSHM_MAX_PEERS. 0: one, or with VSHM_PRODUCER_LATEST 16. With more than
	 * one every record goes to each of them, and the producer waits for the slowest (vshm_producer_drop()). Who comes
	 * while others are there starts with the next record. Each call then takes a private lock, never held for long.
	 */
	uint32_t consumers;
	uint32_t reserved; /* 0 */
};
#define VSHM_PRODUCER_OPTIONS_INIT                                                                 \
	{                                                                                          \
		sizeof(struct vshm_producer_options), 0, UINT32_MAX, 0, 0, 0                       \
	}

/*
 * Opens the producing end of the ring `name` (VSHM_NAME_SIZE). Never blocks. `options`: NULL for defaults.
 * On success *producer belongs to the region: vshm_producer_close().
 * Errors: -EINVAL (name, flags, consumers), -E2BIG, -EEXIST (a producer of that name is open), -ENOSPC (ring larger than what is
 * free in the section, or no directory entry: vshm_region_why() names the largest possible), -EACCES (observer),
 * -ENOMEM.
 */
VSHM_API VSHM_MUST_USE int vshm_producer_open(struct vshm_region *region, const char *name,
					      const struct vshm_producer_options *options,
					      struct vshm_producer **producer);

/*
 * Reserves room for a record of up to `size` bytes (0 is allowed) in the ring, 8-byte aligned: *data, valid
 * until the commit. A second reserve without commit replaces the first.
 * Waits for room, or, while the ring is full and no consumer is there, for a consumer.
 * Errors: -EAGAIN, -ETIMEDOUT, -EMSGSIZE (larger than vshm_producer_max_record()), -EPIPE (the consumer died, or
 * the last of several: said once; what it did not read goes to the next consumer), -EHOSTDOWN (it is suspect: said once each time),
 * -EPROTO, -ECANCELED. With several consumers there is no -EHOSTDOWN, and no -EPROTO: one that breaks a rule is dropped.
 */
VSHM_API VSHM_MUST_USE int vshm_producer_reserve(struct vshm_producer *producer, size_t size, void **data,
						 int64_t timeout_ns);

#define VSHM_MORE 1u /* more follows: publish later, with the next commit without VSHM_MORE or with a flush */

/*
 * Makes the reserved record, cut to `size` bytes, part of the stream, and rings the consumer if it sleeps for it.
 * Never waits. Errors: -EINVAL (nothing reserved, `size` larger than reserved, unknown flags).
 */
VSHM_API int vshm_producer_commit(struct vshm_producer *producer, size_t size, uint32_t flags);

/* Publishes what was committed with VSHM_MORE. Never waits. */
VSHM_API int vshm_producer_flush(struct vshm_producer *producer);

/*
 * Reserve, copy, commit: sends one record of `size` bytes at `data` (NULL only with size 0).
 * Errors: as vshm_producer_reserve.
 */
VSHM_API VSHM_MUST_USE int vshm_producer_send(struct vshm_producer *producer, const void *data, size_t size,
					      int64_t timeout_ns);

/*
 * Reserves `count` records of `size` bytes each, in place: data[0 .. n-1]. As many as fit now in one piece and in a sixteenth
 * of the ring, in small rings 4096 bytes or a quarter (but at least one), waiting only for the first. `count` 1 .. 1024. Returns n. Errors: as vshm_producer_reserve.
 */
VSHM_API VSHM_MUST_USE int vshm_producer_reserve_burst(struct vshm_producer *producer, size_t size, void *data[],
						       unsigned count, int64_t timeout_ns);

/*
 * Commits the first `count` records of the last burst, each with the full size, and publishes them once.
 * The rest of the burst is given up. Errors: -EINVAL (more than reserved, unknown flags).
 */
VSHM_API int vshm_producer_commit_burst(struct vshm_producer *producer, unsigned count, uint32_t flags);

/*
 * Ends the stream and waits until the consumer has read everything (without a consumer: until one came and did, except with
 * VSHM_PRODUCER_DROP; a stream without records has nothing to wait for). The end is closed whatever is returned.
 * Errors: -ETIMEDOUT or -EAGAIN (not everything was read: a consumer that is there can go on reading until the
 * region is closed), -ECANCELED (likewise), -EPIPE (the consumer died before it had read everything), -EPROTO.
 */
VSHM_API int vshm_producer_close(struct vshm_producer *producer, int64_t timeout_ns);

/* How many consumers are connected. Never waits. Errors: -EINVAL, -ECHILD. */
VSHM_API VSHM_MUST_USE int vshm_producer_consumers(struct vshm_producer *producer);

/*
 * Drops the consumer that is furthest behind: it is not waited for any more, and hears -EOVERFLOW. For a producer that must
 * not be held up for ever by one that does not read. `peer` (NULL: not wanted) gets whose it was. Never waits.
 * Errors: -ENOENT (all have read everything; or a latest ring, which waits for nobody), -EINVAL (NULL, closed, or a
 * one-to-one ring), -ECHILD.
 */
VSHM_API VSHM_MUST_USE int vshm_producer_drop(struct vshm_producer *producer, vshm_peer *peer);

/* The largest record this ring takes, in bytes. 0 for NULL or a closed end. */
VSHM_API size_t vshm_producer_max_record(const struct vshm_producer *producer);

/* Fills `counters`, whose struct_size is set. Errors: -EINVAL, -E2BIG, -ECHILD. */
VSHM_API VSHM_MUST_USE int vshm_producer_counters(const struct vshm_producer *producer,
						  struct vshm_counters *counters);

/* After -EPROTO: what the consumer broke. `fault->struct_size` is set. -ENOENT: nothing. -EINVAL, -E2BIG, -ECHILD. */
VSHM_API VSHM_MUST_USE int vshm_producer_fault(const struct vshm_producer *producer, struct vshm_fault *fault);

/* ---- consumer ---- */

/* -ENODATA, -EPIPE, -ESTALE and a drop (-EOVERFLOW) are said once; then waits for the next producer, or to be taken again. */
#define VSHM_CONSUMER_FOLLOW 1u
#define VSHM_CONSUMER_POLL 2u /* never sleeps: spins; the producer need not look whether to ring */

struct vshm_consumer_options {
	size_t struct_size;
	uint32_t flags;   /* VSHM_CONSUMER_… */
	uint32_t spin_us; /* as for producers */
	/*
	 * Lent blocks (vshm/pool.h) that it can hold at a time, up to VSHM_MAX_LENDS (4096), rounded up to a power of two. 0: 16,
	 * or none where the section has no room.
	 */
	uint32_t lends;
	uint32_t reserved; /* 0 */
};
#define VSHM_CONSUMER_OPTIONS_INIT                                                                 \
	{                                                                                          \
		sizeof(struct vshm_consumer_options), 0, UINT32_MAX, 0, 0                          \
	}

/*
 * Opens the consuming end of the ring `name`. The producer need not be there yet: peek waits for it. Never blocks.
 * `options`: NULL for defaults. On success *consumer belongs to the region: vshm_consumer_close().
 * Errors: -EINVAL (name, flags, lends), -E2BIG, -EBUSY (the ring has all the consumers that it can have), -ENOSPC (no directory
 * entry, or no room for the lent blocks' return ring: 8 bytes for each), -EACCES (observer), -ENOMEM.
 */
VSHM_API VSHM_MUST_USE int vshm_consumer_open(struct vshm_region *region, const char *name,
					      const struct vshm_consumer_options *options,
					      struct vshm_consumer **consumer);

/*
 * Shows the next record in place: *view, valid until the release. Peeking again shows the same record.
 * A hostile producer can change the bytes while they are read: parse a copy (vshm_consumer_recv) if that matters.
 * Errors: -EAGAIN, -ETIMEDOUT, -ENODATA (orderly end), -EPIPE (the producer died; everything that it had committed
 * was delivered before), -ESTALE (it restarted), -EHOSTDOWN (it is suspect: said once each time), -EBUSY (other
 * consumers were faster), -EOVERFLOW (a latest ring: records were lost, said once each time, the next call goes on; else
 * the producer dropped this consumer, whose stream ends here, unless it follows), -EPROTO, -ECANCELED.
 */
VSHM_API VSHM_MUST_USE int vshm_consumer_peek(struct vshm_consumer *consumer, struct vshm_view *view,
					      int64_t timeout_ns);

/*
 * Gives back the records that the last peek showed. Never waits. Errors: -EINVAL (nothing was peeked), -EOVERFLOW (the
 * producer has dropped this consumer: what was read in place may have been overwritten meanwhile).
 */
VSHM_API int vshm_consumer_release(struct vshm_consumer *consumer);

/*
 * Shows up to `count` (1 .. 1024) records in place, as many as are there and begin within a quarter of the ring, waiting
 * only for the first. Returns their number; vshm_consumer_release() gives all of them back. Errors: as vshm_consumer_peek.
 */
VSHM_API VSHM_MUST_USE int vshm_consumer_peek_burst(struct vshm_consumer *consumer, struct vshm_view views[],
						    unsigned count, int64_t timeout_ns);

/*
 * Copies the next record into `data` (`size` bytes large) and releases it; *received gets its length.
 * The copy is private: check it, then trust it.
 * Errors: as vshm_consumer_peek, and -EMSGSIZE (the buffer is too small; the record stays).
 */
VSHM_API VSHM_MUST_USE int vshm_consumer_recv(struct vshm_consumer *consumer, void *data, size_t size,
					      size_t *received, int64_t timeout_ns);

/*
 * Leaves the ring; what was released is not delivered again, the rest goes to the next consumer, after at most one beat of
 * the producer's region. Never waits.
 */
VSHM_API int vshm_consumer_close(struct vshm_consumer *consumer);

/* 1: a producer has granted this consumer, records can flow; 0: not yet. Never waits. */
VSHM_API VSHM_MUST_USE int vshm_consumer_connected(struct vshm_consumer *consumer);

/*
 * Records of latest rings that were overwritten before this consumer read them; without those before its first, and those that a
 * dropped consumer of another ring did not get. Exact, as long as the producer does not lie. Errors: -EINVAL, -ECHILD.
 */
VSHM_API VSHM_MUST_USE int vshm_consumer_lost(const struct vshm_consumer *consumer, uint64_t *lost);

/* As for producers. */
VSHM_API VSHM_MUST_USE int vshm_consumer_counters(const struct vshm_consumer *consumer,
						  struct vshm_counters *counters);
VSHM_API VSHM_MUST_USE int vshm_consumer_fault(const struct vshm_consumer *consumer, struct vshm_fault *fault);

VSHM_END_DECLS

#endif
