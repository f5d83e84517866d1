/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The producing side. A record lies in one piece; what is left at the end of the ring and too short becomes a pad, a
 * record of its own, so that any record up to the capacity fits an empty ring: the pad is published alone, the
 * consumer returns it, and the record follows at the start.
 */
#include "ring/ring.h"

void vshmi_tx_init(struct vshmi_tx *tx, unsigned char *data, uint64_t size, struct vshmi_word64 *tail_word,
		   struct vshmi_word64 *armed_word)
{
	memset(tx, 0, sizeof(*tx));
	tx->data = data;
	tx->size = size;
	tx->tail_word = tail_word;
	tx->armed_word = armed_word;
	tx->peer_armed = &tx->nobody;
}

void vshmi_tx_connect(struct vshmi_tx *tx, uint64_t start, const struct vshmi_word64 *head,
		      const struct vshmi_word64 *armed, bool fence)
{
	/* `start` can lie behind what was published; no head may: vshmi_head_take() and the consumer rely on it */
	vshmi_store_release64(tx->tail_word, tx->tail);
	tx->head = start;
	tx->published = tx->tail;
	tx->peer = (struct vshmi_head){.word = head};
	tx->peer_armed = armed ? armed : &tx->nobody;
	tx->fence = fence && armed;
	tx->rung = 0;
	tx->connected = true;
	vshmi_tx_call_attention(tx);
}

void vshmi_tx_bind(struct vshmi_tx *tx, const struct vshmi_word64 *id_word, uint64_t id)
{
	tx->peer.id_word = id_word;
	tx->peer.id = id;
	tx->peer.back_word = NULL;
}

void vshmi_tx_bind_back(struct vshmi_tx *tx, const struct vshmi_word64 *back_word, uint64_t back)
{
	tx->peer.back_word = back_word;
	tx->peer.back = back;
}

static int take_head(struct vshmi_tx *tx)
{
	int rc = tx->connected ? vshmi_head_take(&tx->peer, tx->published, &tx->head, &tx->fault) : 0;

	return rc < 0 ? rc : 0;
}

static struct vshmi_word64 *word_at(const struct vshmi_tx *tx, uint64_t at)
{
	return (struct vshmi_word64 *)(void *)(tx->data + (at & (tx->size - 1)));
}

/* The span of the record at `at` whose header was loaded; 0 when it has another sequence number or does not fit there. */
static uint64_t chain_span(const struct vshmi_tx *tx, uint64_t at, uint64_t header, uint32_t sequence)
{
	uint64_t offset = at & (tx->size - 1), span = vshmi_record_span(vshmi_record_size(header));

	if (vshmi_record_tag(header) >> 8 != (sequence & 0xffffff))
		return 0;
	return span <= tx->size - offset && span <= tx->tail - at ? span : 0;
}

/* Do the records from the head on form an unbroken chain up to the tail? `first`: header of the first; 0: there is none. */
static bool walk(const struct vshmi_tx *tx, uint64_t *first)
{
	uint64_t at = tx->head;
	uint32_t sequence = 0;

	*first = 0;
	while (at != tx->tail) { /* at most size / 8 steps: each span is at least 8 and inside the ring */
		uint64_t header = vshmi_load64(word_at(tx, at)), span;

		if (at == tx->head) {
			*first = header;
			sequence = vshmi_record_tag(header) >> 8;
		}
		span = chain_span(tx, at, header, sequence++);
		if (!span)
			return false;
		at += span;
	}
	return (sequence & 0xffffff) == (tx->sequence & 0xffffff);
}

uint64_t vshmi_tx_resume(const struct vshmi_tx *tx)
{
	uint64_t start = (int64_t)(tx->lend_end - tx->head) > 0 ? tx->lend_end : tx->head, unused;

	return walk(tx, &unused) ? start : tx->tail;
}

/*
 * The consumer that left has released the first `part` records of the run at its head: what is left becomes a run of its own,
 * in place, so that nothing is read twice. Only while nobody reads the ring.
 */
static void cut_run(struct vshmi_tx *tx, uint64_t header, uint64_t part)
{
	uint64_t payload = vshmi_record_size(header), stride, start;
	struct vshm_run run;

	if ((vshmi_record_tag(header) & 0xff) != VSHM_RECORD_RUN ||
	    !vshmi_run_read(vshmi_load64(word_at(tx, tx->head + VSHM_RECORD_HEADER)), tx->head, payload, &run) || part >= run.count)
		return;
	stride = vshmi_run_stride(run.size);
	/* the next record stands where the first of a run does that begins here */
	start = vshmi_run_first(tx->head, stride) + part * stride - VSHM_RECORD_HEADER - sizeof(run);
	payload -= start - tx->head;
	vshmi_store64(word_at(tx, start), vshmi_record_pack(payload, VSHM_RECORD_RUN, vshmi_record_tag(header) >> 8));
	vshmi_store64(word_at(tx, start + VSHM_RECORD_HEADER), vshmi_run_pack(run.size, run.count - part));
	tx->head = start;
}

/* What it had returned last. `part` is loaded before the ids, which say whose both are. */
static void take_last_head(struct vshmi_tx *tx)
{
	uint64_t part = tx->peer.part_word ? vshmi_load64(tx->peer.part_word) : 0, header;
	struct vshmi_ring_fault ignored; /* what it did not return lawfully, it did not return */

	if (vshmi_head_take(&tx->peer, tx->published, &tx->head, &ignored) > 0 && part && walk(tx, &header))
		cut_run(tx, header, part);
}

void vshmi_tx_disconnect(struct vshmi_tx *tx, bool final_head)
{
	if (final_head && tx->connected)
		take_last_head(tx);
	tx->connected = false;
	tx->peer.word = NULL;
	tx->peer_armed = &tx->nobody;
	tx->fence = false;
	vshmi_tx_call_attention(tx);
}

void vshmi_tx_discard(struct vshmi_tx *tx)
{
	tx->head = tx->tail;
}

void vshmi_tx_append_lend(struct vshmi_tx *tx, const struct vshm_lend *lend)
{
	struct vshmi_word64 *payload = (struct vshmi_word64 *)(void *)(tx->data + (tx->tail & (tx->size - 1)) + VSHM_RECORD_HEADER);
	const uint64_t words[3] = {lend->offset, lend->size, lend->token};

	vshmi_store_block(payload, words, 3); /* relaxed: the tail's release store hands it over */
	vshmi_tx_append_kind(tx, sizeof(*lend), VSHM_RECORD_LEND);
	tx->lend_end = tx->tail;
}

/* Fills the rest of the lap. */
static void append_pad(struct vshmi_tx *tx, uint64_t contiguous)
{
	struct vshmi_word64 *header = (struct vshmi_word64 *)(void *)(tx->data + (tx->tail & (tx->size - 1)));

	vshmi_store64(header, vshmi_record_pack(contiguous - VSHM_RECORD_HEADER, VSHM_RECORD_PAD, tx->sequence));
	tx->tail += contiguous;
	tx->sequence++;
	tx->pads++;
}

static uint64_t contiguous(const struct vshmi_tx *tx)
{
	return tx->size - (tx->tail & (tx->size - 1));
}

/* How much has to be free behind the tail before the next step towards a record of `span` bytes can be made. */
static uint64_t wanted(const struct vshmi_tx *tx, uint64_t span)
{
	uint64_t rest = contiguous(tx);

	if (span <= rest)
		return span;
	return rest + span <= tx->size ? rest + span : rest;
}

int vshmi_tx_reserve_slow(struct vshmi_tx *tx, uint64_t size, void **data)
{
	uint64_t span, free;
	int rc;

	tx->reserved = 0;
	if (size > tx->size - VSHM_RECORD_HEADER)
		return -EMSGSIZE;
	rc = take_head(tx);
	if (rc)
		return rc;
	span = vshmi_record_span(size);
	free = tx->head + tx->size - tx->tail;
	if (wanted(tx, span) > free)
		return -EAGAIN;
	if (span > contiguous(tx)) {
		free -= contiguous(tx);
		append_pad(tx, contiguous(tx));
		if (span > free)
			return -EAGAIN; /* the caller publishes the pad before it waits */
	}
	tx->room = tx->tail + (free < contiguous(tx) ? free : contiguous(tx));
	__atomic_store_n(&tx->limit, tx->connected ? tx->room : 0, __ATOMIC_RELAXED);
	*data = tx->data + (tx->tail & (tx->size - 1)) + VSHM_RECORD_HEADER;
	tx->reserved = size + 1;
	return 0;
}

bool vshmi_tx_ring_due(struct vshmi_tx *tx, uint64_t armed)
{
	if ((int64_t)(tx->tail - armed) < 0 || armed == tx->rung)
		return false;
	tx->rung = armed;
	tx->rings++;
	return true;
}

uint64_t vshmi_tx_arm(struct vshmi_tx *tx, uint64_t size)
{
	/* never 0: there was no room, so the head that makes room lies behind the present one */
	uint64_t head = tx->tail + wanted(tx, vshmi_record_span(size)) - tx->size;

	vshmi_store64(tx->armed_word, head);
	return head;
}

void vshmi_tx_disarm(struct vshmi_tx *tx)
{
	vshmi_store64(tx->armed_word, 0);
}

uint64_t vshmi_tx_arm_drained(struct vshmi_tx *tx)
{
	vshmi_store64(tx->armed_word, tx->tail);
	return tx->tail;
}

int vshmi_tx_drained(struct vshmi_tx *tx)
{
	int rc = take_head(tx);

	return rc ? rc : tx->head == tx->tail ? 0 : -EAGAIN;
}
