/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A consumer and a producer that writes whatever it likes, also while the consumer looks. Whatever is shown lies in the
 * ring, in one piece, and never twice; no call works for longer than the ring is.
 */
#include "fetch.h"
#include "ring/ring.h"

#include <stdlib.h>

#define VIEWS 16
#define MOST_CALLS 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char *ring;
static uint64_t size;
static struct vshmi_word64 tail, producer_armed, producer_id, head, consumer_armed;
static struct vshmi_rx rx;
static uint64_t honest_tail, honest_sequence; /* where a lawful record would go */

static void set_word(void *word, uint64_t value)
{
	memcpy(word, &value, 8);
}

static void begin(void)
{
	uint64_t start = fetch_byte() & 1 ? fetch_word() & ~UINT64_C(7) : 8 * (uint64_t)fetch_byte();

	size = UINT64_C(8) << fetch_byte() % 7;
	ring = malloc(size);
	if (!ring)
		abort();
	for (uint64_t i = 0; i < size; i++)
		ring[i] = fetch_empty() ? (uint8_t)i : i % 16 ? 0 : fetch_byte();
	honest_tail = start;
	honest_sequence = fetch_byte();
	set_word(&tail, start);
	set_word(&producer_armed, 0);
	vshmi_rx_init(&rx, &head, &consumer_armed);
	vshmi_rx_connect(&rx, ring, size, start, &tail, &producer_armed, fetch_byte() & 1);
	set_word(&producer_id, 7);
	if (fetch_byte() & 1)
		vshmi_rx_bind(&rx, &producer_id, 7);
	fetch_hint(&producer_armed);
}

/* A record or pad as an honest producer would write it, perhaps with one thing wrong. */
static void forge(void)
{
	uint64_t rest = size - (honest_tail & (size - 1)), payload = fetch_byte() % size;
	uint8_t how = fetch_byte();
	uint32_t kind = how & 1 ? VSHM_RECORD_PAD : VSHM_RECORD_DATA;
	uint64_t header;

	if (kind == VSHM_RECORD_PAD || vshmi_record_span(payload) > rest)
		payload = rest - VSHM_RECORD_HEADER;
	header = vshmi_record_pack(payload, kind, honest_sequence++);
	set_word(ring + (honest_tail & (size - 1)), how & 6 ? header : fetch_value(header));
	honest_tail += vshmi_record_span(payload);
	if (how & 24)
		set_word(&tail, honest_tail);
}

static void peek(void)
{
	struct vshm_view views[VIEWS];
	unsigned count = 1 + fetch_byte() % VIEWS;
	uint64_t spans = 0;
	int shown;

	fetch_call((unsigned)(size / 8) + 1);
	shown = vshmi_rx_peek(&rx, views, count);
	FETCH_ASSERT(shown == -EAGAIN || shown == -EPROTO || (shown > 0 && (unsigned)shown <= count));
	for (int i = 0; i < shown; i++) {
		const unsigned char *at = views[i].data;

		FETCH_ASSERT(at >= ring + 8 && views[i].size <= size && at + views[i].size <= ring + size);
		fetch_read(at, views[i].size);
		spans += vshmi_record_span(views[i].size);
	}
	if (shown > 0) {
		FETCH_ASSERT(rx.peeked - rx.head >= spans && rx.peeked - rx.head <= size);
		FETCH_ASSERT(rx.peeked_count == (unsigned)shown);
	}
}

static void refresh(void)
{
	uint64_t before = rx.tail;
	int rc;

	fetch_call(2); /* tail, and the id that says whose it is */
	rc = vshmi_rx_refresh(&rx);
	FETCH_ASSERT(rc == 0 || rc == -EAGAIN || rc == -EPROTO);
	FETCH_ASSERT(rc != -EPROTO || (rx.tail == before && rx.fault.rule));
}

static void release(void)
{
	fetch_call(1);
	if (rx.peeked_count)
		(void)vshmi_rx_release(&rx);
}

static void one_call(uint8_t what)
{
	switch (what % 9) {
	case 0:
	case 1:
		refresh();
		break;
	case 2:
		peek();
		break;
	case 3:
		release();
		break;
	case 4:
		fetch_call(1);
		(void)vshmi_rx_return(&rx);
		break;
	case 5:
		fetch_call(0);
		FETCH_ASSERT(vshmi_rx_arm(&rx) == rx.head + 8);
		if (what & 16)
			vshmi_rx_disarm(&rx);
		break;
	case 6:
		set_word(&tail, fetch_value(honest_tail));
		set_word(&producer_armed, fetch_value(rx.head));
		break;
	default:
		forge();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	fetch_begin(bytes, count);
	begin();
	for (unsigned i = 0; i < MOST_CALLS && !fetch_empty() && !rx.fault.rule; i++) {
		one_call(fetch_byte());
		FETCH_ASSERT(rx.tail - rx.head <= size && rx.head % 8 == 0 && rx.tail % 8 == 0);
		FETCH_ASSERT(rx.data == ring && rx.size == size);
	}
	free(ring);
	return 0;
}
