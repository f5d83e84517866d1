/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A producer and several consumers that return whatever they like, and come and go. Each head is looked at once, who broke a
 * rule is named, and what a consumer that breaks none has not returned is never given away.
 */
#include "fetch.h"
#include "ring/ring.h"

#include <stdlib.h>

#define READERS 4
#define MOST_CALLS 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char *ring;
static uint64_t size;
static struct vshmi_word64 tail, producer_armed;
static struct vshmi_word64 head[READERS], armed[READERS], id[READERS], back[READERS];
static struct vshmi_tx tx;
static struct vshmi_reader reader[READERS];

static void set_word(void *word, uint64_t value)
{
	memcpy(word, &value, 8);
}

static void begin(void)
{
	size = UINT64_C(8) << fetch_byte() % 7;
	ring = malloc(size);
	if (!ring)
		abort();
	memset(ring, 0xee, size);
	memset(reader, 0, sizeof(reader));
	vshmi_tx_init(&tx, ring, size, &tail, &producer_armed);
	set_word(&tail, 0);
	for (unsigned i = 0; i < READERS; i++) {
		set_word(&head[i], VSHM_NOT_STARTED);
		set_word(&id[i], 7);
		set_word(&back[i], 9);
	}
}

static unsigned connected(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < READERS; i++)
		count += reader[i].connected;
	return count;
}

static void connect_reader(unsigned i)
{
	const struct vshmi_head from = {&head[i], fetch_byte() & 1 ? &id[i] : NULL, 7,
					fetch_byte() & 1 ? &back[i] : NULL, 9, NULL};
	uint64_t start;

	if (reader[i].connected)
		return;
	fetch_call((unsigned)(size / 8));
	start = connected() ? tx.tail : vshmi_tx_resume(&tx);
	fetch_call(0);
	vshmi_reader_connect(&tx, &reader[i], start, &from, fetch_byte() & 1 ? &armed[i] : NULL, fetch_byte() & 1);
	if (fetch_byte() & 3)
		set_word(&head[i], start);
}

/* As src/region/readers.c: where the last one stopped the next one starts. */
static void disconnect_reader(unsigned i)
{
	fetch_call(3);
	vshmi_reader_disconnect(&tx, &reader[i]);
	if (!connected())
		tx.head = reader[i].head;
}

static void look(void)
{
	int liar;

	for (unsigned turn = 0;; turn++) {
		fetch_call(3 * READERS); /* head, and the two ids that say whose it is */
		liar = vshmi_readers_look(&tx, reader, READERS);
		FETCH_ASSERT(liar >= -1 && liar < READERS && turn <= READERS);
		for (unsigned i = 0; i < READERS; i++)
			FETCH_ASSERT(!reader[i].connected || tx.tail - reader[i].head <= tx.tail - tx.head);
		if (liar < 0)
			return;
		FETCH_ASSERT(reader[liar].connected && reader[liar].fault.rule);
		disconnect_reader((unsigned)liar);
	}
}

static void reserve(void)
{
	uint64_t bytes = fetch_byte() % size;
	void *data = NULL;
	int rc;

	fetch_call(0);
	rc = vshmi_tx_reserve_slow(&tx, bytes, &data);
	if (rc == -EAGAIN) {
		look();
		fetch_call(0);
		rc = vshmi_tx_reserve_slow(&tx, bytes, &data);
	}
	FETCH_ASSERT(rc == 0 || rc == -EAGAIN || rc == -EMSGSIZE);
	if (rc)
		return;
	FETCH_ASSERT((unsigned char *)data >= ring + 8 && (unsigned char *)data + bytes <= ring + size);
	memset(data, 0x11, bytes);
	vshmi_tx_append(&tx, bytes);
}

static void publish(void)
{
	fetch_call(1);
	vshmi_readers_publish(&tx, reader, READERS);
	FETCH_ASSERT(tx.published == tx.tail);
	for (unsigned i = 0; i < READERS; i++) {
		fetch_call(1);
		if (vshmi_reader_due(&tx, &reader[i]))
			FETCH_ASSERT(reader[i].connected && reader[i].armed && reader[i].rung);
	}
}

static void falsify(unsigned i, uint8_t how)
{
	if (how & 1)
		set_word(&head[i], how & 2 ? tx.published : fetch_value(how & 4 ? reader[i].head : tx.published));
	else if (how & 2)
		set_word(&armed[i], fetch_value(tx.tail));
	else
		set_word(how & 4 ? &id[i] : &back[i], fetch_byte() & 1 ? fetch_word() : how & 4 ? 7 : 9);
}

static void one_call(uint8_t what)
{
	unsigned i = what / 8 % READERS;

	switch (what % 8) {
	case 0:
	case 1:
		reserve();
		break;
	case 2:
		publish();
		break;
	case 3:
		look();
		break;
	case 4:
		connect_reader(i);
		break;
	case 5:
		if (reader[i].connected && what & 32)
			disconnect_reader(i);
		break;
	default:
		falsify(i, fetch_byte());
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	fetch_begin(bytes, count);
	begin();
	for (unsigned i = 0; i < MOST_CALLS && !fetch_empty(); i++) {
		one_call(fetch_byte());
		FETCH_ASSERT(tx.tail - tx.head <= size && tx.tail % 8 == 0 && tx.head % 8 == 0);
		FETCH_ASSERT(tx.published <= tx.tail && !tx.fault.rule && !tx.connected);
		for (unsigned k = 0; k < READERS; k++)
			FETCH_ASSERT(!reader[k].connected || reader[k].head - tx.head <= tx.tail - tx.head);
	}
	free(ring);
	return 0;
}
