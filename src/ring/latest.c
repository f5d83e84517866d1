/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring whose producer never waits. The order that makes it safe, on either side:
 *
 *   producer: move `oldest` on; release fence; write over what lay before it; store the tail with release
 *   reader:   load the tail with acquire; copy a record; acquire fence; load `oldest`: was the record still behind it?
 *
 * If a reader saw one word of what was written over its record, the two fences make it see the `oldest` of before, too, and
 * it gives up the copy. Until then nothing that it copied is believed.
 */
#include "ring/ring.h"

/* Looks at a record that is overwritten each time: then the reader is told that nothing is there, and comes again. */
#define TRIES 64

static struct vshmi_word64 *word_at(const struct vshmi_tx *tx, uint64_t position)
{
	return (struct vshmi_word64 *)(void *)(tx->data + (position & (tx->size - 1)));
}

/* ---- producer ---- */

void vshmi_latest_init(struct vshmi_latest_tx *latest, const struct vshmi_tx *tx, struct vshmi_word64 *oldest_word,
		       struct vshmi_word64 *newest_word)
{
	memset(latest, 0, sizeof(*latest));
	latest->oldest_word = oldest_word;
	latest->newest_word = newest_word;
	for (uint64_t piece = tx->size / VSHMI_LATEST_PIECES; piece > 1; piece /= 2)
		latest->shift++;
	vshmi_store64(oldest_word, 0);
	vshmi_store64(newest_word, 0);
}

/* The first record that begins in the piece behind `position`, or in one of those behind that; else the tail. */
static uint64_t next_piece(const struct vshmi_latest_tx *latest, uint64_t position, uint64_t tail)
{
	for (uint64_t piece = (position >> latest->shift) + 1; piece <= tail >> latest->shift; piece++) {
		uint64_t first = latest->first[piece % VSHMI_LATEST_PIECES];

		if (first >> latest->shift == piece && first > position)
			return first;
	}
	return tail;
}

/* Gives up as much as is overwritten by what reaches up to `end`. */
static void make_room(struct vshmi_latest_tx *latest, const struct vshmi_tx *tx, uint64_t end)
{
	uint64_t oldest = latest->oldest;

	while (end - oldest > tx->size && oldest != tx->tail) /* each step is a piece further */
		oldest = next_piece(latest, oldest, tx->tail);
	if (oldest == latest->oldest)
		return;
	latest->oldest = oldest;
	vshmi_store64(latest->oldest_word, oldest);
	vshmi_fence_release(); /* pairs with the acquire fence in overwritten() */
}

static void note_start(struct vshmi_latest_tx *latest, uint64_t position)
{
	uint64_t *first = &latest->first[(position >> latest->shift) % VSHMI_LATEST_PIECES];

	if (*first >> latest->shift != position >> latest->shift)
		*first = position;
}

void vshmi_latest_append(struct vshmi_latest_tx *latest, struct vshmi_tx *tx, const uint64_t *payload, uint64_t size)
{
	uint64_t words = (size + 7) / 8, span = VSHMI_LATEST_HEADER + 8 * words;
	uint64_t rest = tx->size - (tx->tail & (tx->size - 1)), pad = span > rest ? rest : 0;

	make_room(latest, tx, tx->tail + pad + span);
	if (pad) {
		vshmi_store64(word_at(tx, tx->tail), vshmi_record_pack(pad - VSHM_RECORD_HEADER, VSHM_RECORD_PAD, tx->sequence));
		note_start(latest, tx->tail);
		tx->tail += pad;
	}
	vshmi_store64(word_at(tx, tx->tail), vshmi_record_pack(size, VSHM_RECORD_DATA, tx->sequence));
	vshmi_store64(word_at(tx, tx->tail + 8), tx->sequence);
	vshmi_store_block(word_at(tx, tx->tail + VSHMI_LATEST_HEADER), payload, words);
	note_start(latest, tx->tail);
	vshmi_store64(latest->newest_word, tx->tail); /* relaxed: the tail's release store hands it over */
	tx->tail += span;
	tx->sequence++;
	tx->bytes += size;
}

/* ---- reader ---- */

static int broken(struct vshmi_latest_rx *rx, uint32_t rule, uint64_t value)
{
	rx->fault = (struct vshmi_ring_fault){rule, rx->position, value};
	return -EPROTO;
}

/*
 * After a copy: is what was copied none of the record at the position any more? The id, too, because a reader that stood
 * still for long may find the memory, and these very words, in another ring's use.
 */
static bool overwritten(const struct vshmi_latest_rx *rx)
{
	vshmi_fence_acquire(); /* pairs with the release fences in make_room() and vshmi_entry_open() */
	return (int64_t)(vshmi_load64(rx->oldest_word) - rx->position) > 0 || vshmi_load64(rx->id_word) != rx->id;
}

static uint64_t load_at(const struct vshmi_latest_rx *rx, uint64_t position)
{
	return vshmi_load64((const struct vshmi_word64 *)(const void *)(rx->data + (position & (rx->size - 1))));
}

/* Begins with the newest record; if that is gone by now, the next look finds out. */
static void begin(struct vshmi_latest_rx *rx, uint64_t tail)
{
	uint64_t newest = vshmi_load64(rx->newest_word);

	rx->position = newest % 8 || tail - newest > rx->size ? tail : newest;
}

/* The tail against the position; moves on to the oldest record when the position is no longer in the ring. */
static int find(struct vshmi_latest_rx *rx, uint64_t tail)
{
	uint64_t oldest = vshmi_load64(rx->oldest_word); /* relaxed: all before the tail came with that */

	if (oldest % 8)
		return broken(rx, VSHM_RULE_TAIL_ALIGN, oldest);
	if ((int64_t)(tail - rx->position) < 0)
		return broken(rx, VSHM_RULE_TAIL_RANGE, tail);
	if ((int64_t)(oldest - rx->position) > 0) {
		if ((int64_t)(tail - oldest) >= 0) { /* else the tail is older than what was just loaded */
			rx->position = oldest;
			rx->lapped = true;
		}
		return -EAGAIN;
	}
	/* the tail was loaded first, so it is at most one ring ahead of this `oldest` */
	return tail - rx->position > rx->size ? broken(rx, VSHM_RULE_TAIL_RANGE, tail) : 0;
}

/* A header that was not overwritten: a record of `*size` bytes, or -EAGAIN when it was a pad, which is left behind. */
static int judge(struct vshmi_latest_rx *rx, uint64_t tail, uint64_t header, uint64_t *size)
{
	uint64_t offset = rx->position & (rx->size - 1), room = rx->size - offset;
	uint32_t kind = vshmi_record_tag(header) & 0xff;

	if (room > tail - rx->position)
		room = tail - rx->position;
	*size = vshmi_record_size(header);
	if (kind == VSHM_RECORD_PAD) {
		if (!offset || *size != rx->size - offset - VSHM_RECORD_HEADER || *size + VSHM_RECORD_HEADER > room)
			return broken(rx, VSHM_RULE_RECORD_PAD, header);
		rx->position += *size + VSHM_RECORD_HEADER;
		return -EAGAIN;
	}
	if (kind != VSHM_RECORD_DATA)
		return broken(rx, VSHM_RULE_RECORD_KIND, header);
	if (*size > vshmi_latest_max_record(rx->size) || VSHMI_LATEST_HEADER + vshmi_align_up(*size, 8) > room)
		return broken(rx, VSHM_RULE_RECORD_LENGTH, header);
	return 0;
}

/* Records count up by one, except where some were missed. */
static int count(struct vshmi_latest_rx *rx, uint64_t header, uint64_t number)
{
	uint64_t gap = number - rx->expected;

	if (vshmi_record_tag(header) >> 8 != (number & 0xffffff) ||
	    (!rx->first && (rx->lapped ? (int64_t)gap < 0 : gap != 0)))
		return broken(rx, VSHM_RULE_RECORD_SEQUENCE, number);
	rx->lost += rx->first ? 0 : gap;
	rx->first = rx->lapped = false;
	rx->expected = number + 1;
	return 0;
}

/* One try. -EAGAIN: another one finds out more, or there is nothing (`*over`). */
static int try_read(struct vshmi_latest_rx *rx, uint64_t *buffer, uint64_t *size, bool *over)
{
	uint64_t tail = vshmi_load_acquire64(rx->tail_word), header, number; /* pairs with vshmi_tx_publish_armed() */
	int rc;

	*over = tail == rx->position || vshmi_load64(rx->id_word) != rx->id;
	if (*over)
		return -EAGAIN;
	if (tail % 8)
		return broken(rx, VSHM_RULE_TAIL_ALIGN, tail);
	if (rx->first)
		begin(rx, tail);
	rc = find(rx, tail);
	if (rc || rx->position == tail)
		return rc ? rc : -EAGAIN;
	header = load_at(rx, rx->position);
	number = load_at(rx, rx->position + 8);
	if (overwritten(rx))
		return -EAGAIN;
	rc = judge(rx, tail, header, size);
	if (rc)
		return rc;
	vshmi_load_block(buffer, (const struct vshmi_word64 *)(const void *)(rx->data + ((rx->position + VSHMI_LATEST_HEADER) &
									    (rx->size - 1))), (*size + 7) / 8);
	if (overwritten(rx))
		return -EAGAIN;
	rc = count(rx, header, number);
	if (!rc)
		rx->position += VSHMI_LATEST_HEADER + vshmi_align_up(*size, 8);
	return rc;
}

int vshmi_latest_read(struct vshmi_latest_rx *rx, uint64_t *buffer, uint64_t *size)
{
	bool over = false;
	int rc = -EAGAIN;

	for (unsigned i = 0; rc == -EAGAIN && !over && i < TRIES; i++)
		rc = try_read(rx, buffer, size, &over);
	return rc;
}
