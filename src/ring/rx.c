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
	rx->peer_armed = peer_armed;
	rx->fence = fence;
	rx->rung = 0;
	rx->first = true;
	rx->sequence = UINT64_MAX; /* matches no 24-bit number, so that the first record takes the slow path */
	rx->fault = (struct vshmi_ring_fault){0, 0, 0};
	vshmi_store_release64(rx->head_word, start);
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
	vshmi_store_release64(rx->head_word, rx->head); /* pairs with take_head() in tx.c */
	rx->returned = rx->head;
	rx->publications++;
	if (rx->fence)
		vshmi_fence_full();
	else
		vshmi_fence_light();
	armed = vshmi_load64(rx->peer_armed);
	if (!armed || (int64_t)(rx->head - armed) < 0 || armed == rx->rung)
		return false;
	rx->rung = armed;
	rx->rings++;
	return true;
}

void vshmi_rx_arm(struct vshmi_rx *rx)
{
	vshmi_store64(rx->armed_word, rx->head + VSHM_RECORD_HEADER); /* never 0 */
}

void vshmi_rx_disarm(struct vshmi_rx *rx)
{
	vshmi_store64(rx->armed_word, 0);
}

/* A pad: lawful only as the whole rest of a lap that has begun. */
static int skip_pad(struct vshmi_rx *rx, uint64_t *at, uint64_t *sequence, uint64_t header)
{
	uint64_t offset = *at & (rx->size - 1), rest = rx->size - offset;

	if (!offset || vshmi_record_size(header) != rest - VSHM_RECORD_HEADER || rest > rx->tail - *at)
		return broken(rx, VSHM_RULE_RECORD_PAD, *at, header);
	if (*at == rx->head) { /* nobody holds it: it is over at once */
		rx->head += rest;
		rx->sequence = *sequence + 1;
	}
	*at += rest;
	++*sequence;
	return 0;
}

int vshmi_rx_next_slow(struct vshmi_rx *rx, uint64_t *at, uint64_t *sequence, struct vshm_view *view, uint64_t header)
{
	uint32_t tag = vshmi_record_tag(header);
	int rc;

	if (rx->first) {
		rx->first = false;
		rx->sequence = *sequence = tag >> 8;
		if (vshmi_rx_take(rx, at, sequence, view, header))
			return 0;
	}
	if (tag >> 8 != (*sequence & 0xffffff))
		return broken(rx, VSHM_RULE_RECORD_SEQUENCE, *at, header);
	if ((tag & 0xff) == VSHM_RECORD_DATA)
		return broken(rx, VSHM_RULE_RECORD_LENGTH, *at, header);
	if ((tag & 0xff) != VSHM_RECORD_PAD)
		return broken(rx, VSHM_RULE_RECORD_KIND, *at, header);
	rc = skip_pad(rx, at, sequence, header);
	/* a pad ends at the start of a lap, where another pad is unlawful: this goes no deeper */
	return rc ? rc : vshmi_rx_next(rx, at, sequence, view);
}
