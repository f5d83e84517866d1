/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A producer and consumers that return whatever they like; in a flat region they may even overwrite the ring. What is
 * reserved lies in the ring and can be written; the private positions never leave their order.
 */
#include "fetch.h"
#include "ring/ring.h"

#include <stdlib.h>

#define MOST_CALLS 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char *ring;
static uint64_t size;
static struct vshmi_word64 tail, producer_armed, head, consumer_armed, consumer_id, part;
static struct vshmi_tx tx;

static void set_word(void *word, uint64_t value)
{
	memcpy(word, &value, 8);
}

static void connect_consumer(void)
{
	uint64_t start;

	if (tx.connected)
		return;
	fetch_call((unsigned)(size / 8));
	start = vshmi_tx_resume(&tx);
	FETCH_ASSERT(start == tx.head || start == tx.tail);
	fetch_call(0);
	vshmi_tx_connect(&tx, start, &head, fetch_byte() & 1 ? &consumer_armed : NULL, fetch_byte() & 1);
	if (fetch_byte() & 1)
		tx.peer.part_word = &part;
	if (fetch_byte() & 1)
		vshmi_tx_bind(&tx, &consumer_id, 7);
}

static void begin(void)
{
	size = UINT64_C(8) << fetch_byte() % 7;
	ring = malloc(size);
	if (!ring)
		abort();
	memset(ring, 0xee, size);
	vshmi_tx_init(&tx, ring, size, &tail, &producer_armed);
	set_word(&tail, 0);
	set_word(&head, 0);
	set_word(&consumer_armed, 0);
	set_word(&consumer_id, 7);
	fetch_hint(&consumer_armed);
	fetch_hint(&tx.nobody);
}

static void fill(void *data, uint64_t bytes)
{
	memset(data, 0x11, bytes);
	FETCH_ASSERT((unsigned char *)data >= ring + 8 && (unsigned char *)data + bytes <= ring + size);
}

/* As src/end does: as many of equal size as the last look found room for. */
static void burst(void *data, uint64_t bytes)
{
	uint64_t fit = (tx.room - tx.tail) / vshmi_record_span(bytes);

	FETCH_ASSERT(fit >= 1 && fit <= size / 8);
	for (uint64_t i = 0; i < fit; i++)
		fill((unsigned char *)data + i * vshmi_record_span(bytes), bytes);
	vshmi_tx_append_burst(&tx, bytes, 1 + fetch_byte() % (unsigned)fit);
}

/* The same behind one header, where more than one fits. */
static void run(void *data, uint64_t bytes)
{
	uint64_t stride = vshmi_run_stride(bytes), fit = vshmi_tx_run_room(&tx, bytes);
	unsigned char *first = ring + (vshmi_run_first(tx.tail, stride) & (size - 1));

	if (fit < 2) {
		burst(data, bytes);
		return;
	}
	for (uint64_t i = 0; i < fit; i++)
		fill(first + i * stride, bytes);
	vshmi_tx_append_run(&tx, bytes, 1 + fetch_byte() % (unsigned)fit);
	FETCH_ASSERT(tx.tail <= tx.room);
}

static void reserve(void)
{
	uint8_t how = fetch_byte();
	uint64_t bytes = how & 1 ? fetch_value(size) : fetch_byte() % size;
	void *data = NULL;
	int rc;

	fetch_call(2); /* head, and the id that says whose it is */
	rc = how & 2 ? vshmi_tx_reserve(&tx, bytes, &data) : vshmi_tx_reserve_slow(&tx, bytes, &data);
	FETCH_ASSERT(rc == 0 || rc == -EAGAIN || rc == -EMSGSIZE || rc == -EPROTO);
	FETCH_ASSERT((rc == -EMSGSIZE) == (bytes > size - 8));
	if (rc)
		return;
	FETCH_ASSERT(tx.reserved == bytes + 1);
	fill(data, bytes);
	if ((how & 20) == 20)
		run(data, bytes);
	else if (how & 4)
		burst(data, bytes);
	else
		vshmi_tx_append(&tx, how & 8 && bytes ? fetch_byte() % bytes : bytes);
}

static void sleep_or_leave(uint8_t what)
{
	switch (what % 5) {
	case 0:
		if (tx.head + size - tx.tail < size) /* as after a reserve that found no room */
			(void)vshmi_tx_arm(&tx, size - 8);
		break;
	case 1:
		vshmi_tx_disarm(&tx);
		break;
	case 2:
		(void)vshmi_tx_arm_drained(&tx);
		break;
	case 3:
		fetch_call((unsigned)(size / 8) + 6); /* head, part, the id twice, a run's two words; and the records there are */
		set_word(&part, fetch_byte() % 12);
		if (tx.connected)
			vshmi_tx_disconnect(&tx, what & 16);
		FETCH_ASSERT(tx.tail - tx.head <= size);
		break;
	default:
		if (!tx.connected)
			vshmi_tx_discard(&tx);
		break;
	}
}

static void one_call(uint8_t what)
{
	switch (what % 8) {
	case 0:
	case 1:
		reserve();
		break;
	case 2:
		fetch_call(1);
		(void)vshmi_tx_publish(&tx);
		FETCH_ASSERT(tx.published == tx.tail);
		break;
	case 3:
		fetch_call(2);
		(void)vshmi_tx_drained(&tx);
		break;
	case 4:
		connect_consumer();
		break;
	case 5:
		sleep_or_leave(what / 8);
		break;
	case 6:
		set_word(&head, fetch_value(what & 8 ? tx.published : tx.head));
		set_word(&consumer_armed, fetch_value(tx.tail));
		break;
	default:
		set_word(ring + fetch_byte() * 8 % size, fetch_value(fetch_word()));
		vshmi_tx_call_attention(&tx);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	fetch_begin(bytes, count);
	begin();
	for (unsigned i = 0; i < MOST_CALLS && !fetch_empty() && !tx.fault.rule; i++) {
		one_call(fetch_byte());
		FETCH_ASSERT(tx.tail - tx.head <= size && tx.tail % 8 == 0 && tx.head % 8 == 0);
		FETCH_ASSERT(tx.published <= tx.tail);
		FETCH_ASSERT(!tx.connected || tx.head <= tx.published);
		FETCH_ASSERT(tx.data == ring && tx.size == size);
	}
	free(ring);
	return 0;
}
