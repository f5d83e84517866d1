/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring: a one-to-one ring of variable-size records as a pure algorithm on memory. No region, no names, no waiting:
 * whoever owns a `struct vshmi_tx` or `vshmi_rx` decides what to do when there is no room or no record.
 *
 * The record bytes, `tail` and the producer's `armed` word lie in the producer's section; `head` and the consumer's
 * `armed` word in the consumer's. Everything else here is private and never read back from shared memory.
 * Positions are free-running 64-bit byte counts; the byte of position p lies at data[p & (size - 1)].
 */
#ifndef RING_RING_H
#define RING_RING_H

#include "wire/wire.h"

/* What the other side broke; `position` says where in the stream. */
struct vshmi_ring_fault {
	uint32_t rule; /* enum vshm_rule; 0: nothing */
	uint64_t position;
	uint64_t value;
};

/* ---- a consumer's position, as its producer sees it: head.c ---- */

/* Where it stands, and when it counts. */
struct vshmi_head {
	const struct vshmi_word64 *word;
	const struct vshmi_word64 *id_word; /* NULL: the word always belongs to this consumer */
	uint64_t id;
	const struct vshmi_word64 *back_word; /* NULL: it is always about this ring */
	uint64_t back;
	const struct vshmi_word64 *part_word; /* of one that left: how much of the run there it has released; NULL: all or nothing */
};

/*
 * Takes over the position that the consumer published, when there is a lawful one: between the last, `*head`, and what it
 * could have read, `published`. 1; 0: the word says nothing of this ring; -EPROTO with `fault` filled.
 */
int vshmi_head_take(const struct vshmi_head *from, uint64_t published, uint64_t *head, struct vshmi_ring_fault *fault);

/* ---- producer: tx.c ---- */

struct vshmi_tx {
	unsigned char *data;
	uint64_t size; /* capacity, a power of two */
	uint64_t tail;  /* end of the committed records */
	uint64_t limit; /* a record may reach up to here without a closer look; 0 forces that look; atomic */
	uint64_t room;	/* the limit as the last look found it, also while no consumer is there */
	uint64_t reserved; /* payload bytes reserved at tail, plus 1; 0: nothing */
	uint64_t sequence; /* number of the next record or pad; its low 24 bits stand in the header */
	uint64_t first_sequence; /* of the first record: random, so that a late reader of an older ring notices */
	uint64_t published;   /* what `tail_word` says */
	uint64_t lend_end;    /* behind the last record that lends: it is for those who were granted then */
	struct vshmi_word64 *tail_word;
	const struct vshmi_word64 *peer_armed; /* `nobody` while no consumer is there, or when it polls */
	uint64_t publications, rings, bytes, pads;
	uint64_t in_runs; /* records that have no number of their own */
	uint64_t rung; /* the armed position that was rung last: not rung twice */
	bool fence;    /* between kernels: fence before the look at peer_armed */

	bool connected;
	uint64_t head; /* last lawful value seen */
	struct vshmi_head peer;
	struct vshmi_word64 *armed_word; /* own */
	struct vshmi_ring_fault fault;
	struct vshmi_word64 nobody; /* always 0 */
};

/* `data`: `size` bytes, a power of two, 8-byte aligned; the words are in the producer's own section. */
void vshmi_tx_init(struct vshmi_tx *tx, unsigned char *data, uint64_t size, struct vshmi_word64 *tail_word,
		   struct vshmi_word64 *armed_word);

/* Numbers the records from `sequence` on. Before the first one. */
static inline void vshmi_tx_number_from(struct vshmi_tx *tx, uint32_t sequence)
{
	tx->sequence = tx->first_sequence = sequence;
}

/* Records so far, without pads. */
static inline uint64_t vshmi_tx_records(const struct vshmi_tx *tx)
{
	return tx->sequence - tx->first_sequence - tx->pads + tx->in_runs;
}

/*
 * A consumer was granted: it starts at `start` (from vshmi_tx_resume). `armed` NULL: it only polls.
 */
void vshmi_tx_connect(struct vshmi_tx *tx, uint64_t start, const struct vshmi_word64 *head,
		      const struct vshmi_word64 *armed, bool fence);

/* From now on a head counts only while `id_word` says `id`: the entry it stands in can get another user. */
void vshmi_tx_bind(struct vshmi_tx *tx, const struct vshmi_word64 *id_word, uint64_t id);

/* And only while `back_word`, in which the consumer names its producer, says `back`: it may have chosen another one. */
void vshmi_tx_bind_back(struct vshmi_tx *tx, const struct vshmi_word64 *back_word, uint64_t back);

/* The consumer left or died: keeps what it had returned last. `final_head`: look at its head once more. */
void vshmi_tx_disconnect(struct vshmi_tx *tx, bool final_head);

/*
 * Where the next consumer starts: the position the last one returned, if the records from there on form an unbroken
 * chain up to the tail; else (a hostile consumer returned a position inside a record) the tail.
 */
uint64_t vshmi_tx_resume(const struct vshmi_tx *tx);

/*
 * Makes the next reserve take the slow path. From another thread of this process: the only call that may be; it can be
 * overwritten by a reserve that is under way, so it is repeated until it is heard.
 */
static inline void vshmi_tx_call_attention(struct vshmi_tx *tx)
{
	__atomic_store_n(&tx->limit, 0, __ATOMIC_RELAXED);
}

/* Nobody listens and nobody shall get it: forgets all records. Not while a consumer is connected. */
void vshmi_tx_discard(struct vshmi_tx *tx);

/* Bytes in the ring, header and padding included, that a record of `size` bytes takes. */
static inline uint64_t vshmi_record_span(uint64_t size)
{
	return vshmi_align_up(size, 8) + VSHM_RECORD_HEADER;
}

/* The part of a reserve that looks at `head`, writes a pad at the end of the ring, and decides. As vshmi_tx_reserve(). */
int vshmi_tx_reserve_slow(struct vshmi_tx *tx, uint64_t size, void **data);

/* The fast path: room that was seen before. False: look closer. */
static inline bool vshmi_tx_reserve_fast(struct vshmi_tx *tx, uint64_t size, void **data)
{
	/* the first comparison keeps the sum from overflowing; a ring has at most 2^30 bytes */
	if (VSHMI_UNLIKELY(size > tx->size ||
			   tx->tail + vshmi_record_span(size) > __atomic_load_n(&tx->limit, __ATOMIC_RELAXED)))
		return false;
	*data = tx->data + (tx->tail & (tx->size - 1)) + VSHM_RECORD_HEADER;
	tx->reserved = size + 1;
	return true;
}

/* 0; -EAGAIN: no room; -EMSGSIZE; -EPROTO: `fault` says what the consumer broke. */
static inline int vshmi_tx_reserve(struct vshmi_tx *tx, uint64_t size, void **data)
{
	return vshmi_tx_reserve_fast(tx, size, data) ? 0 : vshmi_tx_reserve_slow(tx, size, data);
}

static inline void vshmi_tx_append_kind(struct vshmi_tx *tx, uint64_t size, uint32_t kind)
{
	struct vshmi_word64 *header = (struct vshmi_word64 *)(void *)(tx->data + (tx->tail & (tx->size - 1)));

	/* relaxed: the tail's release store hands it over */
	vshmi_store64(header, vshmi_record_pack(size, kind, tx->sequence));
	tx->tail += vshmi_record_span(size);
	tx->sequence++;
	tx->bytes += size;
	tx->reserved = 0;
}

/* Appends the reserved record to the private tail. The caller has checked `size` against `reserved`. */
static inline void vshmi_tx_append(struct vshmi_tx *tx, uint64_t size)
{
	vshmi_tx_append_kind(tx, size, VSHM_RECORD_DATA);
}

/* Appends a lend, for which room for its payload is reserved. Nobody who comes after its holder may be shown it. */
void vshmi_tx_append_lend(struct vshmi_tx *tx, const struct vshm_lend *lend);

/* The same for `count` records of `size` bytes each, whose payload is in place. */
static inline void vshmi_tx_append_burst(struct vshmi_tx *tx, uint64_t size, unsigned count)
{
	uint64_t span = vshmi_record_span(size), sequence = tx->sequence;
	unsigned char *at = tx->data + (tx->tail & (tx->size - 1));

	for (unsigned i = 0; i < count; i++, at += span)
		vshmi_store64((struct vshmi_word64 *)(void *)at, vshmi_record_pack(size, VSHM_RECORD_DATA, sequence++));
	tx->sequence = sequence;
	tx->tail += span * count;
	tx->bytes += size * count;
}

/*
 * The same behind one header: `count` records, at least one, that stand from vshmi_run_first() on, vshmi_run_stride() apart.
 * Less to write, to check and to move between caches than a header for each of them.
 */
static inline void vshmi_tx_append_run(struct vshmi_tx *tx, uint64_t size, unsigned count)
{
	struct vshmi_word64 *header = (struct vshmi_word64 *)(void *)(tx->data + (tx->tail & (tx->size - 1)));
	uint64_t stride = vshmi_run_stride(size), end = vshmi_run_first(tx->tail, stride) + stride * count;

	vshmi_store64(header, vshmi_record_pack(end - tx->tail - VSHM_RECORD_HEADER, VSHM_RECORD_RUN, tx->sequence));
	vshmi_store64(header + 1, vshmi_run_pack(size, count));
	tx->tail = end;
	tx->sequence++;
	tx->in_runs += count - 1;
	tx->bytes += size * count;
}

/* How many records of `size` bytes fit into a run in the room there is. */
static inline uint64_t vshmi_tx_run_room(const struct vshmi_tx *tx, uint64_t size)
{
	uint64_t stride = vshmi_run_stride(size), before = vshmi_run_first(tx->tail, stride) - tx->tail;
	uint64_t room = tx->room - tx->tail;

	return room > before ? (room - before) / stride : 0;
}

/* The rare rest of a publication: the consumer has armed. True when it has to be rung. */
bool vshmi_tx_ring_due(struct vshmi_tx *tx, uint64_t armed);

/* Publishes the tail. 0, or what the consumer armed: then vshmi_tx_ring_due() decides. */
static inline uint64_t vshmi_tx_publish_armed(struct vshmi_tx *tx)
{
	vshmi_store_release64(tx->tail_word, tx->tail); /* pairs with the acquire load in vshmi_rx_refresh() */
	tx->published = tx->tail;
	tx->publications++;
	/* the look at `armed` must come after the store: with the sleeper's barrier no wake-up can be lost */
	if (VSHMI_UNLIKELY(tx->fence))
		vshmi_fence_full();
	else
		vshmi_fence_light();
	return vshmi_load64(tx->peer_armed);
}

/* Both in one: publishes, and tells whether the consumer has to be rung. */
static inline bool vshmi_tx_publish(struct vshmi_tx *tx)
{
	uint64_t armed = vshmi_tx_publish_armed(tx);

	return VSHMI_UNLIKELY(armed) && vshmi_tx_ring_due(tx, armed);
}

/*
 * Sleeping: tell the consumer which head is waited for (room for `size` bytes), then look again with _reserve. Returns
 * that position; a look that appends a pad changes it, and then it has to be armed anew before sleeping.
 */
uint64_t vshmi_tx_arm(struct vshmi_tx *tx, uint64_t size);
void vshmi_tx_disarm(struct vshmi_tx *tx);

/* For a lingering close: sleep until the consumer has returned everything. 0: it has; -EAGAIN; -EPROTO. */
uint64_t vshmi_tx_arm_drained(struct vshmi_tx *tx);
int vshmi_tx_drained(struct vshmi_tx *tx);

/* ---- several consumers: many.c ---- */

/*
 * One of the consumers of a one-to-many ring, as its producer knows it. The ring's `tx` stays without a consumer of its
 * own, so that every call takes the slow path, in which the caller holds a lock and looks at all readers.
 */
struct vshmi_reader {
	bool connected;
	bool fence; /* between kernels: fence before the look at `armed` */
	struct vshmi_head from;
	const struct vshmi_word64 *armed; /* NULL: it only polls */
	uint64_t start, head; /* where it began; last lawful value seen */
	uint64_t rung;	      /* the armed position that was rung last */
	struct vshmi_ring_fault fault;
};

/* A consumer was granted: it starts at `start`. What is in `from` and `armed` is its own. */
void vshmi_reader_connect(struct vshmi_tx *tx, struct vshmi_reader *reader, uint64_t start, const struct vshmi_head *from,
			  const struct vshmi_word64 *armed, bool fence);

/* It left, died, or is dropped: it holds nothing back any more. The last one's final head stays where the next one starts. */
void vshmi_reader_disconnect(struct vshmi_tx *tx, struct vshmi_reader *reader);

/*
 * Takes over all heads; room reaches from the slowest. Returns the index of a reader that broke a rule (its `fault`), who
 * holds everything back until the caller disconnects it; -1: none.
 */
int vshmi_readers_look(struct vshmi_tx *tx, struct vshmi_reader readers[], unsigned count);

/* The slowest, if it is behind the tail; -1: all have read everything. */
int vshmi_readers_slowest(const struct vshmi_tx *tx, const struct vshmi_reader readers[], unsigned count);

/* Publishes the tail, with the fence that any of the readers needs. Then vshmi_reader_due() for each of them. */
void vshmi_readers_publish(struct vshmi_tx *tx, const struct vshmi_reader readers[], unsigned count);

/* Does this one sleep for what was published, and has not been rung for it? */
bool vshmi_reader_due(struct vshmi_tx *tx, struct vshmi_reader *reader);

/* ---- rings that keep the latest records: latest.c ---- */

/*
 * Such a producer never waits: before it overwrites it moves `oldest` on. A reader copies, and then looks whether what it
 * copied was still there (a sequence lock: Boehm, "Can seqlocks get along with programming language memory models?",
 * MSPC 2012). All accesses to the ring are of single words, so neither side needs the other's good will. A record has a
 * second word of header, its 64-bit number, by which a reader counts what it missed.
 */
#define VSHMI_LATEST_HEADER (2 * VSHM_RECORD_HEADER)

/* The ring is given up in pieces of this fraction. */
#define VSHMI_LATEST_PIECES 64u

struct vshmi_latest_tx {
	struct vshmi_word64 *oldest_word, *newest_word;
	uint64_t oldest;
	unsigned shift;				/* log2 of the size of a piece */
	uint64_t first[VSHMI_LATEST_PIECES]; /* where the first record that begins in a piece stands */
};

/* `tx` was initialised and numbered; it keeps the positions. */
void vshmi_latest_init(struct vshmi_latest_tx *latest, const struct vshmi_tx *tx, struct vshmi_word64 *oldest_word,
		       struct vshmi_word64 *newest_word);

/* A quarter of the ring, so that a reader has some time for each record. */
static inline uint64_t vshmi_latest_max_record(uint64_t ring_size)
{
	return ring_size / 4 - VSHMI_LATEST_HEADER;
}

/*
 * Appends a record of `size` bytes to the private tail; `payload` has whole words, what is behind `size` in the last one is
 * zero. Then vshmi_readers_publish().
 */
void vshmi_latest_append(struct vshmi_latest_tx *latest, struct vshmi_tx *tx, const uint64_t *payload, uint64_t size);

struct vshmi_latest_rx {
	const unsigned char *data;
	uint64_t size;
	uint64_t position; /* of the next record */
	uint64_t expected; /* its number, unless some were missed */
	uint64_t lost;
	bool first;  /* nothing was read yet: begins with the newest */
	bool lapped; /* `position` was moved to the oldest record: a gap is lawful */
	const struct vshmi_word64 *tail_word, *oldest_word, *newest_word, *id_word;
	uint64_t id;
	struct vshmi_ring_fault fault;
};

/*
 * Copies the next record into `buffer`, which has room for the largest, and says how long it is. 0; -EAGAIN: nothing there
 * (or overwritten again and again while it was copied); -EPROTO. Work is bounded by the ring's size.
 */
int vshmi_latest_read(struct vshmi_latest_rx *rx, uint64_t *buffer, uint64_t *size);

/* ---- consumer: rx.c ---- */

/* A lent block that a peek showed. */
struct vshmi_lent {
	uint64_t position; /* of the record */
	uint64_t token;
	const unsigned char *data;
	bool kept; /* beyond the release */
};

struct vshmi_rx {
	const unsigned char *data;
	uint64_t size;
	uint64_t head;   /* end of the released records; where some of a run were released, its start */
	uint64_t tail;   /* last lawful value seen */
	uint64_t peeked; /* end of what the last peek showed */
	uint64_t sequence;	  /* expected at head */
	uint64_t peeked_sequence; /* expected at peeked */
	uint32_t done, peeked_done; /* records of the run at `head` that were released; of the run at `peeked` that were shown */
	uint64_t returned;	  /* what `head_word` says */
	const struct vshmi_word64 *tail_word;
	const struct vshmi_word64 *peer_id_word; /* NULL: tail_word always belongs to this producer */
	uint64_t peer_id;
	const struct vshmi_word64 *peer_armed; /* the producer's */
	struct vshmi_word64 *head_word;	       /* own */
	struct vshmi_word64 *armed_word;       /* own */
	uint64_t peeked_count, peeked_bytes; /* count 0: nothing is peeked */
	uint64_t records, bytes, publications, rings;
	uint64_t rung;
	bool fence;
	bool first; /* the first record sets the sequence */
	unsigned lent_count, lent_max; /* blocks in `lent`: shown since the last release; how many more the owner may lend */
	struct vshmi_lent *lent;       /* NULL: this consumer takes no lent blocks */
	const unsigned char *section;  /* of the owner, */
	uint64_t section_size;	       /* in which they lie */
	struct vshmi_ring_fault fault;
};

void vshmi_rx_init(struct vshmi_rx *rx, struct vshmi_word64 *head_word, struct vshmi_word64 *armed_word);

/* A producer granted this consumer: read from `start` on. `size` and places were checked by wire. */
void vshmi_rx_connect(struct vshmi_rx *rx, const unsigned char *data, uint64_t size, uint64_t start,
		      const struct vshmi_word64 *tail_word, const struct vshmi_word64 *peer_armed, bool fence);

/* From now on a tail counts only while `id_word` says `id`: the entry it stands in can get another user. */
void vshmi_rx_bind(struct vshmi_rx *rx, const struct vshmi_word64 *id_word, uint64_t id);

/* Is the ring still this producer's? */
static inline bool vshmi_rx_bound(const struct vshmi_rx *rx)
{
	return !rx->peer_id_word || vshmi_load64(rx->peer_id_word) == rx->peer_id;
}

/* The producer is gone, or not to be looked at any more: nothing is readable. */
void vshmi_rx_disconnect(struct vshmi_rx *rx);

/* Looks at the tail. 0: there is something; -EAGAIN; -EPROTO. */
int vshmi_rx_refresh(struct vshmi_rx *rx);

/* Returns the head to the producer now. True when the producer sleeps for it and has to be rung. */
bool vshmi_rx_return(struct vshmi_rx *rx);

/*
 * Sleeping: tell the producer which tail is waited for, then look again with _refresh and _peek. Returns that position; a
 * look that skips a pad changes it, and then it has to be armed anew before sleeping.
 */
uint64_t vshmi_rx_arm(struct vshmi_rx *rx);
uint64_t vshmi_rx_arm_behind(struct vshmi_rx *rx, uint64_t position);
void vshmi_rx_disarm(struct vshmi_rx *rx);

/* The header at `at`; relaxed, because the tail's acquire load covers it. */
static inline uint64_t vshmi_rx_header(const struct vshmi_rx *rx, uint64_t at)
{
	return vshmi_load64((const struct vshmi_word64 *)(const void *)(rx->data + (at & (rx->size - 1))));
}

/* Is this the header of the expected record, and does all of it lie in one readable piece? */
static inline bool vshmi_rx_lawful(const struct vshmi_rx *rx, uint64_t at, uint64_t sequence, uint64_t header)
{
	uint64_t lap = rx->size - (at & (rx->size - 1));
	uint64_t room = rx->tail - at; /* at least 8, and a multiple of 8 */

	if (room > lap)
		room = lap;
	return vshmi_record_tag(header) == vshmi_record_make_tag(VSHM_RECORD_DATA, sequence) &&
	       vshmi_record_size(header) <= room - VSHM_RECORD_HEADER;
}

/* Shows a lawful record; returns the position behind it. */
static inline uint64_t vshmi_rx_show(const struct vshmi_rx *rx, uint64_t at, uint64_t header, struct vshm_view *view)
{
	view->data = rx->data + (at & (rx->size - 1)) + VSHM_RECORD_HEADER;
	view->size = vshmi_record_size(header);
	return at + vshmi_record_span(vshmi_record_size(header));
}

/*
 * The rare rest of a peek: a pad, the first record, or a broken one, and what follows. What was shown so far is noted in
 * `rx`; `header` was loaded behind it and is not loaded again.
 */
int vshmi_rx_peek_rest(struct vshmi_rx *rx, uint64_t header, struct vshm_view views[], unsigned count);

/* Notes what a peek showed. */
static inline int vshmi_rx_peeked(struct vshmi_rx *rx, uint64_t at, uint64_t sequence, unsigned shown, uint64_t bytes)
{
	rx->peeked = at;
	rx->peeked_sequence = sequence;
	rx->peeked_count = shown;
	rx->peeked_bytes = bytes;
	rx->peeked_done = 0;
	return (int)shown;
}

/*
 * A peek goes on for at most a quarter of the ring: room that is given back in larger pieces makes the two sides take turns.
 */
static inline uint64_t vshmi_rx_reach(const struct vshmi_rx *rx)
{
	uint64_t readable = rx->tail - rx->head, quarter = rx->size / 4;

	return readable < quarter ? readable : quarter;
}

/*
 * Shows up to `count` records from the head on. Their number (at least 1); -EAGAIN: nothing there as far as the last
 * refresh saw; -EPROTO: `fault` says what the producer broke (if it is behind good records, the next peek meets it).
 */
static inline int vshmi_rx_peek(struct vshmi_rx *rx, struct vshm_view views[], unsigned count)
{
	uint64_t at = rx->head, sequence = rx->sequence, bytes = 0, size = 0, span = VSHM_RECORD_HEADER;
	uint64_t reach = vshmi_rx_reach(rx);
	unsigned n = 0;

	for (; n < count && at - rx->head < reach; n++) {
		uint64_t header = vshmi_rx_header(rx, at);

		if (VSHMI_UNLIKELY(!vshmi_rx_lawful(rx, at, sequence, header))) {
			(void)vshmi_rx_peeked(rx, at, sequence, n, bytes);
			return vshmi_rx_peek_rest(rx, header, views, count);
		}
		(void)vshmi_rx_show(rx, at, header, &views[n]);
		sequence++;
		/* a branch, so that the place of the next header is guessed and not waited for: most records are alike */
		if (VSHMI_UNLIKELY(size != vshmi_record_size(header))) {
			size = vshmi_record_size(header);
			span = vshmi_record_span(size);
		}
		at += span;
		bytes += size;
	}
	return n ? vshmi_rx_peeked(rx, at, sequence, n, bytes) : -EAGAIN;
}

/* Releases what was peeked. True when it is time to return the head. */
static inline bool vshmi_rx_release(struct vshmi_rx *rx)
{
	rx->head = rx->peeked;
	rx->sequence = rx->peeked_sequence;
	rx->done = rx->peeked_done;
	rx->records += rx->peeked_count;
	rx->bytes += rx->peeked_bytes;
	rx->peeked_count = 0;
	/* relaxed: only decides how early; an armed producer is met again by _return before any wait */
	return VSHMI_UNLIKELY(rx->head - rx->returned >= rx->size / 4 || vshmi_load64(rx->peer_armed));
}

#endif
