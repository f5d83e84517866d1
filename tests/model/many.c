/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reliable ring with several readers. Two that are waited for: each gets every record, nobody sleeps for ever. One that is
 * too slow and is dropped: what it copied while its bytes were overwritten is never delivered. Around the ring's own code
 * things are done as in src/end and src/region/readers.c.
 */
#include "ring/ring.h"
#include "scenarios.h"
#include "wait/wait.h"

#include "os/os.h"

#define DATA 64
#define READERS 2
#define PEERS 2
#define OWN_ID 5 /* of the reader that is dropped */

struct setting {
	uint64_t size;
	unsigned records, length;
	bool fence; /* all fence; else the sleeper's membarrier */
	bool started; /* the reader that is dropped knows of its grant when it begins */
};

/* The grants lie behind the ring, whatever its size. */
static struct {
	_Alignas(64) unsigned char data[DATA];
	struct vshmi_shared_grant grant;
	struct vshmi_word64 tail, producer_armed;
	struct vshmi_word32 reader_bell[READERS]; /* in the producer's section */
	struct vshmi_word64 head[READERS], reader_armed[READERS];
	struct vshmi_word32 producer_bell[READERS];
} shared;

static struct {
	struct vshmi_tx tx;
	struct vshmi_reader reader[READERS];
	unsigned readers;
	void *data;
	uint32_t bell[READERS];
	unsigned sent;
} producer;

struct reader {
	struct vshmi_rx rx;
	uint32_t bell;
	unsigned received;
	struct vshm_view view;
	uint64_t start; /* what its grant said */
};
static struct reader readers[READERS];

static const struct setting *setting(void)
{
	return vmc_setting();
}

static void declare_words(void)
{
	vmc_name(&shared.grant, sizeof(shared.grant), "grant");
	vmc_name(&shared.grant.id, sizeof(shared.grant.id), "grant's id");
	vmc_name(&shared.tail, sizeof(shared.tail), "tail");
	vmc_name(&shared.producer_armed, sizeof(shared.producer_armed), "producer's armed");
	vmc_name(shared.reader_bell, sizeof(shared.reader_bell), "reader's bell");
	vmc_name(shared.head, sizeof(shared.head), "head");
	vmc_name(shared.reader_armed, sizeof(shared.reader_armed), "reader's armed");
	vmc_name(shared.producer_bell, sizeof(shared.producer_bell), "producer's bell");
}

static void declare_two(void)
{
	declare_words();
	vmc_payload(shared.data, sizeof(shared.data), "record of many");
}

static void connect_reader(unsigned i, uint64_t start)
{
	const struct vshmi_head from = {.word = &shared.head[i]};

	vshmi_reader_connect(&producer.tx, &producer.reader[i], start, &from, &shared.reader_armed[i],
			     setting()->fence);
}

static void start_reader(struct reader *r, unsigned i, uint64_t start)
{
	vshmi_rx_init(&r->rx, &shared.head[i], &shared.reader_armed[i]);
	vshmi_rx_connect(&r->rx, shared.data, setting()->size, start, &shared.tail, &shared.producer_armed,
			 setting()->fence);
	r->start = start;
}

static void setup(unsigned count)
{
	memset(&shared, 0, sizeof(shared));
	memset(&producer, 0, sizeof(producer));
	memset(readers, 0, sizeof(readers));
	vshmi_tx_init(&producer.tx, shared.data, setting()->size, &shared.tail, &shared.producer_armed);
	producer.readers = count;
	for (unsigned i = 0; i < count; i++)
		connect_reader(i, 0);
}

static void setup_two(void)
{
	setup(READERS);
	for (unsigned i = 0; i < READERS; i++)
		start_reader(&readers[i], i, 0);
}

static void ring_bell(struct vshmi_word32 *bell, uint32_t *rung)
{
	vshmi_store_release32(bell, ++*rung);
	vshmi_futex_wake(vshmi_futex_address(bell));
}

static unsigned char byte_of(unsigned record)
{
	return (unsigned char)(0x11 * (record + 1));
}

static void wait_with(const struct vshmi_sleeper *sleeper)
{
	int rc = sleeper->look(sleeper->end);
	bool slept;

	while (rc == -EAGAIN) {
		rc = vshmi_sleep_once(sleeper, INT64_MAX, &slept);
		if (slept)
			rc = sleeper->look(sleeper->end);
	}
	VMC_ASSERT(!rc, "somebody is accused");
}

/* ---- the producer: as src/end/many.c ---- */

static void publish(void)
{
	vshmi_readers_publish(&producer.tx, producer.reader, producer.readers);
	for (unsigned i = 0; i < producer.readers; i++)
		if (vshmi_reader_due(&producer.tx, &producer.reader[i]))
			ring_bell(&shared.reader_bell[i], &producer.bell[i]);
}

static void look_at_heads(void)
{
	int liar = vshmi_readers_look(&producer.tx, producer.reader, producer.readers);

	VMC_ASSERT(liar < 0, "an honest reader is accused: rule %u", producer.reader[liar].fault.rule);
}

static int reserve(void)
{
	int rc = vshmi_tx_reserve_slow(&producer.tx, setting()->length, &producer.data);

	if (rc != -EAGAIN)
		return rc;
	look_at_heads();
	return vshmi_tx_reserve_slow(&producer.tx, setting()->length, &producer.data);
}

static int look_for_room(void *end)
{
	(void)end;
	return reserve();
}

static uint64_t arm_for_room(void *end)
{
	(void)end;
	return vshmi_tx_arm(&producer.tx, setting()->length);
}

static int look_drained(void *end)
{
	(void)end;
	look_at_heads();
	return producer.tx.head == producer.tx.tail ? 0 : -EAGAIN;
}

static uint64_t arm_drained(void *end)
{
	(void)end;
	return vshmi_tx_arm_drained(&producer.tx);
}

static void disarm_producer(void *end)
{
	(void)end;
	vshmi_tx_disarm(&producer.tx);
}

static void producer_waits(int (*look)(void *end), uint64_t (*arm)(void *end))
{
	const struct vshmi_sleeper sleeper = {
		.look = look,
		.arm = arm,
		.disarm = disarm_producer,
		.light = !setting()->fence,
		.count = READERS,
		.words = {&shared.producer_bell[0], &shared.producer_bell[1]},
	};

	wait_with(&sleeper);
}

static void produce(void)
{
	const struct setting *s = setting();
	unsigned char bytes[DATA];

	for (unsigned i = 0; i < s->records; i++) {
		producer_waits(look_for_room, arm_for_room);
		memset(bytes, byte_of(i), s->length);
		vshmi_copy_out(producer.data, bytes, s->length);
		vshmi_tx_append(&producer.tx, s->length);
		publish();
	}
	producer_waits(look_drained, arm_drained);
}

/* ---- two readers that are waited for ---- */

static void give_back(struct reader *r)
{
	if (vshmi_rx_return(&r->rx))
		ring_bell(&shared.producer_bell[r - readers], &r->bell);
}

static int look_for_record(void *end)
{
	struct reader *r = end;
	int rc = vshmi_rx_refresh(&r->rx);

	if (!rc) {
		rc = vshmi_rx_peek(&r->rx, &r->view, 1);
		if (rc > 0)
			return 0;
	}
	if (rc == -EAGAIN && r->rx.head != r->rx.returned)
		give_back(r);
	return rc;
}

static uint64_t arm_reader(void *end)
{
	return vshmi_rx_arm(&((struct reader *)end)->rx);
}

static void disarm_reader(void *end)
{
	vshmi_rx_disarm(&((struct reader *)end)->rx);
}

static void take(struct reader *r)
{
	const struct setting *s = setting();
	unsigned char bytes[DATA];
	unsigned i = r->received++;

	VMC_ASSERT(i < s->records && r->view.size == s->length, "record %u has %zu bytes", i, r->view.size);
	vshmi_copy_in(bytes, r->view.data, r->view.size);
	for (size_t b = 0; b < r->view.size; b++)
		VMC_ASSERT(bytes[b] == byte_of(i), "record %u is not intact", i);
}

static void consume(struct reader *r)
{
	const struct vshmi_sleeper sleeper = {
		.look = look_for_record,
		.arm = arm_reader,
		.disarm = disarm_reader,
		.end = r,
		.light = !setting()->fence,
		.count = 1,
		.words = {&shared.reader_bell[r - readers]},
	};

	while (r->received < setting()->records) {
		if (vshmi_rx_peek(&r->rx, &r->view, 1) <= 0)
			wait_with(&sleeper);
		take(r);
		if (vshmi_rx_release(&r->rx))
			give_back(r);
	}
	give_back(r);
}

static void consume_first(void)
{
	consume(&readers[0]);
}

static void consume_second(void)
{
	consume(&readers[1]);
}

/* ---- one that is dropped: its bytes are overwritten while it copies, so each is a word of its own ---- */

static void declare_dropped(void)
{
	declare_words();
	vmc_name(shared.data, sizeof(shared.data), "word of many");
}

static uint64_t word_of(unsigned record, unsigned index)
{
	return 0x101 * (record + 1) + 0x10000 * index;
}

static void append_words(void)
{
	struct vshmi_word64 *words = producer.data;

	for (unsigned i = 0; i < setting()->length / 8; i++)
		vshmi_store64(&words[i], word_of(producer.sent, i));
	vshmi_tx_append(&producer.tx, setting()->length);
	producer.sent++;
	publish();
}

static void setup_dropped(void)
{
	setup(1);
	if (setting()->started)
		start_reader(&readers[0], 0, 0);
	else
		vshmi_store64(&shared.head[0], VSHM_NOT_STARTED);
	vshmi_grant_set(&shared.grant, 1, 10, OWN_ID, 0);
	(void)reserve();
	append_words();
}

/* As vshmi_readers_drop(): all others have read everything. One that never looked is granted anew. */
static void drop(void)
{
	vshmi_reader_disconnect(&producer.tx, &producer.reader[0]);
	vshmi_grant_set(&shared.grant, 0, 0, 0, 0);
	vshmi_fence_release();
	producer.tx.head = producer.tx.tail;
	if (vshmi_load_acquire64(&shared.head[0]) != VSHM_NOT_STARTED)
		return;
	connect_reader(0, producer.tx.tail);
	vshmi_grant_set(&shared.grant, 1, 10, OWN_ID, producer.tx.tail);
}

static void produce_and_drop(void)
{
	for (unsigned i = 1; i < setting()->records; i++) {
		if (reserve() == -EAGAIN) {
			drop();
			(void)reserve();
		}
		append_words();
	}
}

static bool still_granted(const struct reader *r)
{
	vshmi_fence_acquire();
	return vshmi_load_acquire64(&shared.grant.id) == OWN_ID && vshmi_load64(&shared.grant.start) == r->start;
}

/* As vshmi_grant_find(): one that was given anew while it was copied may be a mixture, and fits nobody. */
static bool find_grant(uint64_t *start)
{
	const struct vshm_entry entry = {.kind = VSHM_PRODUCER, .grants = 1, .ring_size = sizeof(shared.data)};
	struct vshm_grant grant;

	if (!vshmi_grant_read((const void *)&shared, &entry, 0, PEERS, &grant) || grant.id != OWN_ID ||
	    grant.peer != 1 || grant.incarnation != 10)
		return false;
	*start = grant.start;
	return true;
}

/* As vshmi_request_step() and accept_grant(). */
static bool accept_grant(struct reader *r)
{
	uint64_t position;

	if (!find_grant(&r->start))
		return false;
	position = vshmi_load_acquire64(&shared.tail);
	if (position - r->start <= setting()->size) {
		start_reader(r, 0, r->start);
		return true;
	}
	VMC_ASSERT(!still_granted(r), "the producer is accused of the start");
	return false;
}

/* As vshm_consumer_recv(). False: dropped. */
static bool receive(struct reader *r, unsigned *number)
{
	uint64_t copy[DATA / 8];
	int rc = vshmi_rx_refresh(&r->rx);

	if (!rc)
		rc = vshmi_rx_peek(&r->rx, &r->view, 1);
	if (rc <= 0) {
		bool granted = still_granted(r);

		VMC_ASSERT(rc != -EPROTO || !granted, "the producer is accused: rule %u", r->rx.fault.rule);
		return granted;
	}
	vshmi_load_block(copy, r->view.data, r->view.size / 8);
	if (!still_granted(r))
		return false;
	for (unsigned i = 0; i < setting()->length / 8; i++)
		VMC_ASSERT(copy[i] == word_of(*number, i), "record %u is torn, or another", *number);
	++*number;
	if (vshmi_rx_release(&r->rx))
		give_back(r);
	return true;
}

static void consume_until_dropped(void)
{
	struct reader *r = &readers[0];
	unsigned number;

	if (!setting()->started && !accept_grant(r))
		return;
	number = (unsigned)(r->start / vshmi_record_span(setting()->length));
	for (unsigned looks = 0; looks < setting()->records && receive(r, &number); looks++)
		;
}

/* ---- the settings ---- */

static const struct setting roomy = {.size = 64, .records = 1, .length = 8, .fence = true};
static const struct setting roomy_light = {.size = 64, .records = 1, .length = 8};
static const struct setting full = {.size = 16, .records = 2, .length = 8, .fence = true};
static const struct setting full_light = {.size = 16, .records = 2, .length = 8};
static const struct setting slow = {.size = 32, .records = 2, .length = 24, .fence = true, .started = true};
static const struct setting late = {.size = 32, .records = 3, .length = 24, .fence = true};

#define TWO(title, with, switches, old) \
	{ \
		.name = title, .declare = declare_two, .setup = setup_two, .setting = &(with), \
		.thread = {{"many producer", produce}, \
			   {"many reader", consume_first}, \
			   {"many reader", consume_second}}, \
		.preemptions = (switches), .stale = (old), \
	}
#define DROPPED(title, with, switches) \
	{ \
		.name = title, .declare = declare_dropped, .setup = setup_dropped, .setting = &(with), \
		.thread = {{"many producer", produce_and_drop}, {"many reader", consume_until_dropped}}, \
		.preemptions = (switches), .stale = 2, \
	}

const struct vmc_scenario many_scenarios[] = {
	DROPPED("a reader is dropped", slow, 3),
	DROPPED("a reader is dropped before it starts", late, 2),
	TWO("two readers, one record, fences", full, 1, 1),
	TWO("two readers, one record, membarrier", full_light, 1, 1),
	TWO("two readers with room, fences", roomy, 1, 1),
	TWO("two readers with room, membarrier", roomy_light, 2, 1),
};
const unsigned many_scenario_count = sizeof(many_scenarios) / sizeof(many_scenarios[0]);
