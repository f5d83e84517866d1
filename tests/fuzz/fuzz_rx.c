/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A consumer and a producer that writes whatever it likes, also while the consumer looks. Whatever is shown lies in the
 * ring, in one piece, and never twice, or is a lent block on lines of the producer's section; the list of these never
 * outgrows what the consumer takes. No call works for longer than the ring is.
 */
#include "fetch.h"
#include "ring/ring.h"

#include <stdlib.h>

#define VIEWS 16
#define MOST_CALLS 200
#define MOST_LENT 4
#define SECTION_SIZE (VSHM_SECTION_DATA + 4 * VSHM_LINE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char *ring;
static uint64_t size;
static struct vshmi_word64 tail, producer_armed, producer_id, head, consumer_armed;
static struct vshmi_rx rx;
static unsigned char *section;	   /* of the producer; the ring lies elsewhere, so that each view can be told */
static struct vshmi_lent *lent;	   /* NULL: it takes none */
static uint64_t honest_tail, honest_sequence; /* where a lawful record would go */

static void set_word(void *word, uint64_t value)
{
	memcpy(word, &value, 8);
}

/* Room for exactly as many as are said: the sanitizer watches the end. */
static void begin_lent(uint8_t how)
{
	section = malloc(SECTION_SIZE);
	lent = how & 1 ? malloc(MOST_LENT * sizeof(*lent)) : NULL;
	if (!section || (how & 1 && !lent))
		abort();
	memset(section, 0x55, SECTION_SIZE);
	rx.lent = lent;
	rx.lent_max = how & 1 ? (how >> 1) % (MOST_LENT + 1) : 0;
	rx.section = section;
	rx.section_size = SECTION_SIZE;
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
	begin_lent(fetch_byte());
}

/* A lawful lend, perhaps with one thing wrong. Each word lies in the lap. */
static void forge_lend(unsigned char *payload)
{
	uint64_t line = fetch_byte() % 4, offset = VSHM_SECTION_DATA + line * VSHM_LINE;
	uint64_t words[3] = {offset, fetch_byte() % (SECTION_SIZE - offset + 1), 1 + fetch_byte()};
	uint8_t wrong = fetch_byte();

	if (wrong < 96)
		words[wrong % 3] = fetch_value(words[wrong % 3]);
	for (unsigned i = 0; i < 3; i++)
		set_word(payload + 8 * i, words[i]);
}

/* A run that fits the lap, perhaps with one thing wrong. Payload bytes behind its header; 0: there is no room for one. */
static uint64_t forge_run(uint64_t rest)
{
	uint64_t bytes = fetch_byte() % 80, stride = vshmi_run_stride(bytes), first = vshmi_run_first(honest_tail, stride);
	uint64_t most = first - honest_tail < rest ? (rest - (first - honest_tail)) / stride : 0, count;
	uint8_t wrong = fetch_byte();

	if (!most)
		return 0;
	count = 1 + fetch_byte() % most;
	set_word(ring + (honest_tail & (size - 1)) + VSHM_RECORD_HEADER,
		 wrong < 96 ? fetch_value(vshmi_run_pack(bytes, count)) : vshmi_run_pack(bytes, count));
	return first + stride * count - honest_tail - VSHM_RECORD_HEADER;
}

/* A record or pad as an honest producer would write it, perhaps with one thing wrong. */
static void forge(void)
{
	uint64_t rest = size - (honest_tail & (size - 1)), payload = fetch_byte() % size;
	uint8_t how = fetch_byte();
	uint32_t kind = how & 1 ? VSHM_RECORD_PAD : VSHM_RECORD_DATA;
	uint64_t header, run;

	if (kind == VSHM_RECORD_PAD || vshmi_record_span(payload) > rest)
		payload = rest - VSHM_RECORD_HEADER;
	if (how & 32 && kind == VSHM_RECORD_DATA && vshmi_record_span(sizeof(struct vshm_lend)) <= rest) {
		kind = VSHM_RECORD_LEND;
		payload = sizeof(struct vshm_lend);
		forge_lend(ring + (honest_tail & (size - 1)) + VSHM_RECORD_HEADER);
	}
	if (how & 64 && kind == VSHM_RECORD_DATA && (run = forge_run(rest))) {
		kind = VSHM_RECORD_RUN;
		payload = run;
	}
	header = vshmi_record_pack(payload, kind, honest_sequence++);
	set_word(ring + (honest_tail & (size - 1)), how & 6 ? header : fetch_value(header));
	honest_tail += vshmi_record_span(payload);
	if (how & 24)
		set_word(&tail, honest_tail);
}

static bool lies_in(const struct vshm_view *v, const unsigned char *from, uint64_t bytes)
{
	const unsigned char *at = v->data;

	return at >= from && at <= from + bytes && v->size <= (uint64_t)(from + bytes - at);
}

/* Reads it, and says how much of the ring it takes at least. */
static uint64_t read_view(const struct vshm_view *v)
{
	bool is_lent = lent && lies_in(v, section + VSHM_SECTION_DATA, SECTION_SIZE - VSHM_SECTION_DATA);

	FETCH_ASSERT(is_lent || lies_in(v, ring + VSHM_RECORD_HEADER, size - VSHM_RECORD_HEADER));
	FETCH_ASSERT(!is_lent || ((const unsigned char *)v->data - section) % VSHM_LINE == 0);
	fetch_read(v->data, v->size);
	return is_lent ? vshmi_record_span(sizeof(struct vshm_lend)) : vshmi_run_stride(v->size);
}

/* Each noted once, in order, between the head and the tail, with the block that its record named. */
static void check_list(void)
{
	FETCH_ASSERT(rx.lent_count <= rx.lent_max);
	for (unsigned i = 0; i < rx.lent_count; i++) {
		struct vshm_view v = {rx.lent[i].data, 0};

		FETCH_ASSERT(rx.lent[i].token && lies_in(&v, section + VSHM_SECTION_DATA, SECTION_SIZE - VSHM_SECTION_DATA));
		FETCH_ASSERT(rx.lent[i].position - rx.head < rx.tail - rx.head);
		FETCH_ASSERT(!i || (int64_t)(rx.lent[i].position - rx.lent[i - 1].position) > 0);
	}
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
	for (int i = 0; i < shown; i++)
		spans += read_view(&views[i]);
	check_list();
	if (shown > 0) {
		FETCH_ASSERT(spans <= size && rx.peeked - rx.head <= size);
		FETCH_ASSERT(rx.peeked - rx.head >= spans || rx.peeked_done); /* part of a run */
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

/* As end/lend.c: what lies before `position` is given back, perhaps later. */
static void release_lent(uint64_t position)
{
	unsigned rest = 0;

	for (unsigned i = 0; i < rx.lent_count; i++)
		if ((int64_t)(rx.lent[i].position - position) >= 0)
			rx.lent[rest++] = rx.lent[i];
	rx.lent_count = rest;
}

static void release(void)
{
	fetch_call(1);
	if (!rx.peeked_count)
		return;
	release_lent(rx.peeked);
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
	free(section);
	free(lent);
	return 0;
}
