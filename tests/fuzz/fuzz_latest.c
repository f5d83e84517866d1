/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of a latest ring and a producer that writes whatever it likes, also while the reader copies. What is read fits the
 * largest record, no word of a record is looked at again once it was judged, and no call works for longer than its tries.
 */
#include "fetch.h"
#include "ring/ring.h"

#include <stdlib.h>

#define MOST_CALLS 200
#define CANARY UINT64_C(0xc0ffee1234567890)

/* What one try loads besides the payload: tail, id, newest, oldest, header, number, and oldest and id behind each copy. */
#define LOADS 10
#define TRIES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char *ring;
static uint64_t size, most;
static uint64_t *in, *out; /* the largest record, and behind it the canary */
static struct vshmi_word64 tail, armed, oldest, newest, id;
static struct vshmi_tx tx;
static struct vshmi_latest_tx latest;
static struct vshmi_latest_rx rx;
static uint64_t losses;

static void set_word(void *word, uint64_t value)
{
	memcpy(word, &value, 8);
}

static void begin_reader(uint64_t start, uint8_t how)
{
	rx = (struct vshmi_latest_rx){
		.data = ring,
		.size = size,
		.position = how & 1 ? 0 : start,
		.expected = tx.sequence,
		.first = how & 1,
		.tail_word = &tail,
		.oldest_word = &oldest,
		.newest_word = &newest,
		.id_word = &id,
		.id = 7,
	};
	losses = 0;
}

static void begin(void)
{
	uint64_t start = fetch_byte() & 1 ? fetch_word() >> 1 & ~UINT64_C(7) : 8 * (uint64_t)fetch_byte();

	size = UINT64_C(64) << fetch_byte() % 5;
	most = vshmi_latest_max_record(size);
	ring = malloc(size);
	in = malloc(most + 8);
	out = malloc(most + 8);
	if (!ring || !in || !out)
		abort();
	for (uint64_t i = 0; i < size; i++)
		ring[i] = fetch_empty() ? (uint8_t)i : i % 16 ? 0 : fetch_byte();
	vshmi_tx_init(&tx, ring, size, &tail, &armed);
	tx.tail = tx.published = start;
	tx.sequence = fetch_byte();
	vshmi_latest_init(&latest, &tx, &oldest, &newest);
	latest.oldest = start;
	set_word(&tail, start);
	set_word(&oldest, start);
	set_word(&newest, start);
	set_word(&id, 7);
	begin_reader(start, fetch_byte());
	fetch_hint(&oldest);
	fetch_hint(&id);
	fetch_hint(&tx.nobody);
	fetch_renewed_by(&tail); /* each try begins with the tail */
}

/* A record as an honest producer writes it. */
static void append(void)
{
	uint64_t bytes = fetch_byte() % (most + 1);

	memset(out, 0, most);
	memset(out, 0x5a, bytes);
	fetch_call(1); /* armed */
	vshmi_latest_append(&latest, &tx, out, bytes);
	if (fetch_byte() & 3)
		vshmi_readers_publish(&tx, NULL, 0);
	FETCH_ASSERT(tx.tail - latest.oldest <= size && latest.oldest % 8 == 0);
}

static void read_one(void)
{
	uint64_t bytes = UINT64_MAX;
	int rc;

	in[most / 8] = CANARY;
	fetch_call(TRIES * (LOADS + (unsigned)(most / 8)));
	rc = vshmi_latest_read(&rx, in, &bytes);
	FETCH_ASSERT(rc == 0 || rc == -EAGAIN || rc == -EPROTO);
	FETCH_ASSERT((rc == -EPROTO) == (rx.fault.rule != 0));
	FETCH_ASSERT(in[most / 8] == CANARY);
	if (rc)
		return;
	FETCH_ASSERT(bytes <= most);
	fetch_read(in, bytes);
	FETCH_ASSERT(!rx.first && !rx.lapped);
}

static void falsify(uint8_t what)
{
	static struct vshmi_word64 *const words[] = {&tail, &oldest, &newest, &id};

	if (what & 1)
		set_word(words[what / 2 % 4], fetch_value(what & 16 ? rx.position : tx.tail));
	else
		set_word(ring + fetch_byte() * 8 % size, fetch_value(fetch_word()));
}

/* The record that the reader will meet next, with one thing wrong. */
static void forge(void)
{
	uint64_t header = vshmi_record_pack(fetch_byte() % (most + 1),
					    fetch_byte() & 1 ? VSHM_RECORD_PAD : VSHM_RECORD_DATA, rx.expected);

	set_word(ring + (rx.position & (size - 1)), fetch_value(header));
	set_word(ring + ((rx.position + 8) & (size - 1)), fetch_byte() & 3 ? rx.expected : fetch_value(rx.expected));
}

static void one_call(uint8_t what)
{
	switch (what % 8) {
	case 0:
	case 1:
	case 2:
		append();
		break;
	case 3:
	case 4:
	case 5:
		read_one();
		break;
	case 6:
		forge();
		break;
	default:
		falsify(what / 8);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	fetch_begin(bytes, count);
	begin();
	for (unsigned i = 0; i < MOST_CALLS && !fetch_empty() && !rx.fault.rule; i++) {
		one_call(fetch_byte());
		FETCH_ASSERT(rx.position % 8 == 0 && rx.lost >= losses);
		FETCH_ASSERT(rx.data == ring && rx.size == size);
		losses = rx.lost;
	}
	free(ring);
	free(in);
	free(out);
	return 0;
}
