/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The consuming side. Every header is loaded once and checked against private state: kind and sequence number, and
 * the length against what is readable in one piece. The head goes back lazily, but always when nothing is left.
 */
#include "ring/ring.h"

void vshmi_rx_init(struct vshmi_rx *rx, struct vshmi_word64 *head_word, struct vshmi_word64 *armed_word)
{
	memset(rx, 0, sizeof(*rx));
	rx->head_word = head_word;
	rx->armed_word = armed_word;
}

void vshmi_rx_connect(struct vshmi_rx *rx, const unsigned char *data, uint64_t size, uint64_t start,
		      const struct vshmi_word64 *tail_word, const struct vshmi_word64 *peer_armed, bool fence)
{
	rx->data = data;
	rx->size = size;
	rx->head = rx->tail = rx->peeked = rx->returned = start;
	rx->peeked_count = 0;
	rx->tail_word = tail_word;
	rx->peer_id_word = NULL;
	rx->peer_armed = peer_armed;
	rx->fence = fence;
	rx->rung = 0;
	rx->first = true;
	rx->lent_count = 0;
	rx->done = 0;
	rx->sequence = UINT64_MAX; /* matches no 24-bit number, so that the first record takes the slow path */
	rx->fault = (struct vshmi_ring_fault){0, 0, 0};
	vshmi_store_release64(rx->head_word, start);
}

void vshmi_rx_bind(struct vshmi_rx *rx, const struct vshmi_word64 *id_word, uint64_t id)
{
	rx->peer_id_word = id_word;
	rx->peer_id = id;
}

void vshmi_rx_disconnect(struct vshmi_rx *rx)
{
	rx->tail = rx->peeked = rx->head;
	rx->peeked_count = 0;
	rx->tail_word = NULL;
}

static int broken(struct vshmi_rx *rx, uint32_t rule, uint64_t position, uint64_t value)
{
	rx->fault = (struct vshmi_ring_fault){rule, position, value};
	return -EPROTO;
}

int vshmi_rx_refresh(struct vshmi_rx *rx)
{
	uint64_t tail = vshmi_load_acquire64(rx->tail_word); /* pairs with vshmi_tx_publish() */

	if (tail == rx->tail)
		return rx->tail == rx->head ? -EAGAIN : 0;
	/* the id after the tail: vshmi_entry_open() clears the old id before it stores a new position */
	if (!vshmi_rx_bound(rx))
		return -EAGAIN;
	if (tail % 8)
		return broken(rx, VSHM_RULE_TAIL_ALIGN, rx->tail, tail);
	if (tail - rx->tail > rx->size - (rx->tail - rx->head))
		return broken(rx, VSHM_RULE_TAIL_RANGE, rx->tail, tail);
	rx->tail = tail;
	return 0;
}

bool vshmi_rx_return(struct vshmi_rx *rx)
{
	uint64_t armed;

	if (rx->returned == rx->head)
		return false;
	vshmi_store_release64(rx->head_word, rx->head); /* pairs with vshmi_head_take() */
	rx->returned = rx->head;
	rx->publications++;
	if (rx->fence)
		vshmi_fence_full();
	else
		vshmi_fence_light();
	armed = vshmi_load64(rx->peer_armed);
	if (armed % 8 || !armed || (int64_t)(rx->head - armed) < 0 || armed == rx->rung)
		return false; /* no position: it waits for something else, see end/lend.c */
	rx->rung = armed;
	rx->rings++;
	return true;
}

uint64_t vshmi_rx_arm(struct vshmi_rx *rx)
{
	return vshmi_rx_arm_behind(rx, rx->head);
}

uint64_t vshmi_rx_arm_behind(struct vshmi_rx *rx, uint64_t position)
{
	uint64_t tail = position + VSHM_RECORD_HEADER; /* never 0 */

	vshmi_store64(rx->armed_word, tail);
	return tail;
}

void vshmi_rx_disarm(struct vshmi_rx *rx)
{
	vshmi_store64(rx->armed_word, 0);
}

/* How far a peek has come. */
struct cursor {
	uint64_t at, sequence, header;
	uint32_t done; /* records of the run at `at` */
	unsigned shown;
	uint64_t bytes; /* of payload shown */
};

/* Does the record end before the tail and the end of the lap? */
static bool fits(const struct vshmi_rx *rx, uint64_t at, uint64_t header)
{
	uint64_t lap = rx->size - (at & (rx->size - 1)), room = rx->tail - at;

	return vshmi_record_size(header) <= (room < lap ? room : lap) - VSHM_RECORD_HEADER;
}

/* A pad: lawful only as the whole rest of a lap that has begun. */
static int skip_pad(struct vshmi_rx *rx, struct cursor *cursor)
{
	uint64_t offset = cursor->at & (rx->size - 1), rest = rx->size - offset;

	if (!offset || vshmi_record_size(cursor->header) != rest - VSHM_RECORD_HEADER || rest > rx->tail - cursor->at)
		return broken(rx, VSHM_RULE_RECORD_PAD, cursor->at, cursor->header);
	if (cursor->at == rx->head) { /* nobody holds it: it is over at once */
		rx->head += rest;
		rx->sequence = cursor->sequence + 1;
		rx->done = 0;
	}
	cursor->at += rest;
	cursor->sequence++;
	return 0;
}

/* Is the record noted already? A peek that is repeated before the release meets it again. */
static bool is_noted(const struct vshmi_rx *rx, uint64_t position)
{
	for (unsigned i = 0; i < rx->lent_count; i++)
		if (rx->lent[i].position == position)
			return true;
	return false;
}

/* Three words, each loaded once; then a view of the memory that they name, which the consumer holds from now on. */
static int show_lent(struct vshmi_rx *rx, const struct cursor *cursor, struct vshm_view *view)
{
	struct vshm_lend lend;
	uint64_t words[3];

	vshmi_load_block(words, (const struct vshmi_word64 *)(const void *)(rx->data + (cursor->at & (rx->size - 1)) +
									   VSHM_RECORD_HEADER), 3);
	memcpy(&lend, words, sizeof(lend));
	if (lend.offset < VSHM_SECTION_DATA || lend.offset % VSHM_LINE || !lend.token ||
	    !vshmi_range_fits(lend.offset, lend.size, rx->section_size))
		return broken(rx, VSHM_RULE_LEND, cursor->at, lend.offset);
	view->data = rx->section + lend.offset;
	view->size = lend.size;
	if (is_noted(rx, cursor->at))
		return 0;
	if (rx->lent_count >= rx->lent_max)
		return broken(rx, VSHM_RULE_LEND, cursor->at, lend.token);
	rx->lent[rx->lent_count++] = (struct vshmi_lent){cursor->at, lend.token, view->data, false};
	return 0;
}

static int take_lent(struct vshmi_rx *rx, struct cursor *cursor, struct vshm_view *view)
{
	int rc;

	if (vshmi_record_size(cursor->header) != sizeof(struct vshm_lend) || !fits(rx, cursor->at, cursor->header))
		return broken(rx, VSHM_RULE_RECORD_LENGTH, cursor->at, cursor->header);
	rc = show_lent(rx, cursor, view);
	if (rc)
		return rc;
	cursor->at += vshmi_record_span(sizeof(struct vshm_lend));
	cursor->sequence++;
	cursor->shown++;
	cursor->bytes += view->size;
	return 0;
}

/* The run at the cursor. Its word is loaded once for each peek, and has to fit what was read of the run before. */
static int read_run(struct vshmi_rx *rx, const struct cursor *cursor, struct vshm_run *run)
{
	uint64_t payload = vshmi_record_size(cursor->header), word;

	if (payload < sizeof(*run) || !fits(rx, cursor->at, cursor->header))
		return broken(rx, VSHM_RULE_RECORD_LENGTH, cursor->at, cursor->header);
	word = vshmi_rx_header(rx, cursor->at + VSHM_RECORD_HEADER);
	if (!vshmi_run_read(word, cursor->at, payload, run) || cursor->done >= run->count)
		return broken(rx, VSHM_RULE_RECORD_RUN, cursor->at + VSHM_RECORD_HEADER, word);
	return 0;
}

/* As many of its records as there are views for. */
static int take_run(struct vshmi_rx *rx, struct cursor *cursor, struct vshm_view views[], unsigned count)
{
	const unsigned char *at;
	uint64_t stride;
	struct vshm_run run;
	unsigned n;
	int rc = read_run(rx, cursor, &run);

	if (rc)
		return rc;
	stride = vshmi_run_stride(run.size);
	at = rx->data + (vshmi_run_first(cursor->at, stride) & (rx->size - 1)) + stride * cursor->done;
	n = run.count - cursor->done;
	if (n > count - cursor->shown)
		n = count - cursor->shown;
	for (unsigned i = 0; i < n; i++, at += stride)
		views[cursor->shown + i] = (struct vshm_view){at, run.size};
	cursor->shown += n;
	cursor->bytes += (uint64_t)n * run.size;
	cursor->done += n;
	if (cursor->done < run.count)
		return 0;
	cursor->at += vshmi_record_span(vshmi_record_size(cursor->header));
	cursor->sequence++;
	cursor->done = 0;
	return 0;
}

/* Shows the record at the cursor, or says why it is not lawful. `views` has room for `count`. */
static int take(struct vshmi_rx *rx, struct cursor *cursor, struct vshm_view views[], unsigned count)
{
	struct vshm_view *view = &views[cursor->shown];
	uint32_t tag = vshmi_record_tag(cursor->header), kind = tag & 0xff;

	if (tag >> 8 != (cursor->sequence & 0xffffff))
		return broken(rx, VSHM_RULE_RECORD_SEQUENCE, cursor->at, cursor->header);
	if (kind == VSHM_RECORD_RUN)
		return take_run(rx, cursor, views, count);
	if (kind == VSHM_RECORD_LEND && rx->lent)
		return take_lent(rx, cursor, view);
	if (kind != VSHM_RECORD_DATA)
		return broken(rx, kind == VSHM_RECORD_PAD ? VSHM_RULE_RECORD_PAD : VSHM_RULE_RECORD_KIND, cursor->at,
			      cursor->header);
	if (!vshmi_rx_lawful(rx, cursor->at, cursor->sequence, cursor->header))
		return broken(rx, VSHM_RULE_RECORD_LENGTH, cursor->at, cursor->header);
	cursor->at = vshmi_rx_show(rx, cursor->at, cursor->header, view);
	cursor->sequence++;
	cursor->shown++;
	cursor->bytes += view->size;
	return 0;
}

/* A pad, then the record behind it; or a record. */
static int take_next(struct vshmi_rx *rx, struct cursor *cursor, struct vshm_view views[], unsigned count)
{
	int rc;

	if (rx->first) {
		rx->first = false;
		rx->sequence = cursor->sequence = vshmi_record_tag(cursor->header) >> 8;
	}
	if (vshmi_record_tag(cursor->header) != vshmi_record_make_tag(VSHM_RECORD_PAD, cursor->sequence))
		return take(rx, cursor, views, count);
	rc = skip_pad(rx, cursor);
	if (rc)
		return rc;
	if (cursor->at == rx->tail)
		return -EAGAIN;
	cursor->header = vshmi_rx_header(rx, cursor->at); /* the start of a lap, where another pad is unlawful */
	return take(rx, cursor, views, count);
}

int vshmi_rx_peek_rest(struct vshmi_rx *rx, uint64_t header, struct vshm_view views[], unsigned count)
{
	struct cursor cursor = {rx->peeked, rx->peeked_sequence, header, rx->peeked == rx->head ? rx->done : 0,
				(unsigned)rx->peeked_count, rx->peeked_bytes};
	struct cursor good;
	int rc;

	for (;;) {
		good = cursor;
		rc = take_next(rx, &cursor, views, count);
		if (rc)
			break;
		good = cursor;
		if (cursor.at - rx->head >= vshmi_rx_reach(rx) || cursor.shown == count)
			break;
		cursor.header = vshmi_rx_header(rx, cursor.at);
	}
	if (!good.shown)
		return rc;
	(void)vshmi_rx_peeked(rx, good.at, good.sequence, good.shown, good.bytes);
	rx->peeked_done = good.done;
	return (int)good.shown;
}
