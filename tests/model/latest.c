/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring that keeps the latest records: the producer overwrites while a reader copies. What is delivered is one whole record,
 * what was missed is counted exactly, and who sleeps for the next one is woken. Around the ring's own code things are done as
 * in src/end.
 */
#include "ring/ring.h"
#include "scenarios.h"
#include "wait/wait.h"

#include "os/os.h"

#define SIZE 128
#define RECORDS 8
#define WORDS 2 /* of payload, at most: a quarter of the ring less its header */

struct setting {
	unsigned before; /* records that are there when it begins */
	unsigned sent; /* that are sent then */
	unsigned size; /* of each, in bytes */
	bool first; /* the reader has read nothing yet, and begins with the newest */
	bool fence; /* both sides fence; else the sleeper's membarrier */
};

static struct vshmi_shared_entry entry; /* the producer's */
static struct {
	_Alignas(64) unsigned char data[SIZE];
	struct vshmi_word32 bell;
	struct vshmi_word64 armed; /* the reader's */
} shared;
static struct vshm_entry first_ring, second_ring;

static struct {
	struct vshmi_tx tx;
	struct vshmi_latest_tx latest;
	struct vshmi_reader reader;
	struct vshmi_word64 armed;
	uint32_t bell;
} producer;

static struct {
	struct vshmi_latest_rx latest;
	struct vshmi_rx rx;
	struct vshmi_word64 nowhere;
	uint64_t record[WORDS], size;
	unsigned received;
} reader;

static const struct setting *setting(void)
{
	return vmc_setting();
}

static void make_entry(struct vshm_entry *e, uint64_t id)
{
	memset(e, 0, sizeof(*e));
	e->id = id;
	e->kind = VSHM_PRODUCER;
	e->flags = VSHM_ENTRY_LATEST;
	e->state = VSHM_END_OPEN;
}

static void declare(void)
{
	make_entry(&first_ring, 7);
	make_entry(&second_ring, 9);
	vmc_name(shared.data, sizeof(shared.data), "latest record");
	vmc_name(&shared.bell, sizeof(shared.bell), "reader's bell");
	vmc_name(&shared.armed, sizeof(shared.armed), "reader's armed");
	vmc_name(&entry, sizeof(entry), "entry");
	vmc_quiet(&entry, sizeof(entry));
	vmc_name(&entry.position, sizeof(entry.position), "tail");
	vmc_name(&entry.oldest, sizeof(entry.oldest), "oldest");
	vmc_name(&entry.newest, sizeof(entry.newest), "newest");
}

static uint64_t word_of(uint64_t number, unsigned index)
{
	return 0x101 * (number + 1) + 0x10000 * index;
}

static void append(void)
{
	uint64_t payload[WORDS];

	for (unsigned i = 0; i < WORDS; i++)
		payload[i] = word_of(producer.tx.sequence, i);
	vshmi_latest_append(&producer.latest, &producer.tx, payload, setting()->size);
}

static void setup(void)
{
	const struct setting *s = setting();

	memset(&shared, 0, sizeof(shared));
	memset(&producer, 0, sizeof(producer));
	memset(&reader, 0, sizeof(reader));
	memset(&entry, 0, sizeof(entry));
	memcpy(&entry, &first_ring, sizeof(first_ring));
	vshmi_tx_init(&producer.tx, shared.data, SIZE, &entry.position, &producer.armed);
	vshmi_latest_init(&producer.latest, &producer.tx, &entry.oldest, &entry.newest);
	producer.reader = (struct vshmi_reader){.connected = true, .fence = s->fence, .armed = &shared.armed};
	for (unsigned i = 0; i < s->before; i++)
		append();
	vshmi_readers_publish(&producer.tx, &producer.reader, 1);
	reader.latest = (struct vshmi_latest_rx){
		.data = shared.data,
		.size = SIZE,
		.first = s->first,
		.tail_word = &entry.position,
		.oldest_word = &entry.oldest,
		.newest_word = &entry.newest,
		.id_word = &entry.what[0],
		.id = first_ring.id,
	};
	vshmi_rx_init(&reader.rx, &reader.nowhere, &shared.armed);
}

/* ---- the producer: as vshmi_many_publish() ---- */

static void produce(void)
{
	for (unsigned i = 0; i < setting()->sent; i++) {
		append();
		vshmi_readers_publish(&producer.tx, &producer.reader, 1);
		if (!vshmi_reader_due(&producer.tx, &producer.reader))
			continue;
		vshmi_store_release32(&shared.bell, ++producer.bell);
		vshmi_futex_wake(vshmi_futex_address(&shared.bell));
	}
}

/* ---- the reader ---- */

static int look(void *end)
{
	(void)end;
	return vshmi_latest_read(&reader.latest, reader.record, &reader.size);
}

static uint64_t arm(void *end)
{
	(void)end;
	return vshmi_rx_arm_behind(&reader.rx, reader.latest.position);
}

static void disarm(void *end)
{
	(void)end;
	vshmi_rx_disarm(&reader.rx);
}

static int wait_for_record(void)
{
	const struct vshmi_sleeper sleeper = {
		.look = look,
		.arm = arm,
		.disarm = disarm,
		.light = !setting()->fence,
		.count = 1,
		.words = {&shared.bell},
	};
	int rc = look(NULL);
	bool slept;

	while (rc == -EAGAIN) {
		rc = vshmi_sleep_once(&sleeper, INT64_MAX, &slept);
		if (slept)
			rc = look(NULL);
	}
	return rc;
}

static void check_record(uint64_t number)
{
	VMC_ASSERT(reader.size == setting()->size, "record %llu has %llu bytes", (unsigned long long)number,
		   (unsigned long long)reader.size);
	for (unsigned i = 0; i < reader.size / 8; i++)
		VMC_ASSERT(reader.record[i] == word_of(number, i), "record %llu is torn", (unsigned long long)number);
}

/* Up to the last record, which nobody overwrites. */
static void read_all(void)
{
	const struct setting *s = setting();

	while (reader.latest.expected != s->before + s->sent) {
		int rc = wait_for_record();

		VMC_ASSERT(!rc, "an honest producer is accused: rule %u", reader.latest.fault.rule);
		check_record(reader.latest.expected - 1);
		reader.received++;
	}
	VMC_ASSERT(s->first || reader.received + reader.latest.lost == s->before + s->sent, "%u received, %llu lost",
		   reader.received, (unsigned long long)reader.latest.lost);
}

/* ---- the entry and the bytes get another user, while a reader that stood still for long copies ---- */

static void declare_reuse(void)
{
	declare();
	vmc_name(&entry.what[0], 8, "entry's id");
	vmc_name(&entry.state, 4, "entry's state");
}

static void reuse(void)
{
	vshmi_entry_free(&entry);
	vshmi_entry_open(&entry, &second_ring);
	for (unsigned i = 0; i < SIZE / 8; i++)
		vshmi_store64((struct vshmi_word64 *)(void *)(shared.data + 8 * i), 0xee);
}

static void read_one(void)
{
	int rc = look(NULL);

	/* an accusation is looked into by src/end/consumer.c: is it still the same ring? */
	VMC_ASSERT(rc != -EPROTO || vshmi_entry_id(&entry) != first_ring.id, "an honest producer is accused");
	if (!rc)
		check_record(reader.latest.expected - 1);
}

/* ---- the settings ---- */

static const struct setting overtaken = {.before = 4, .sent = 2, .size = 16, .fence = true};
static const struct setting overtaken_light = {.before = 4, .sent = 2, .size = 16};
/* Five records and a pad are the ring. */
static const struct setting pads = {.before = 5, .sent = 2, .size = 8, .fence = true};
static const struct setting newest = {.before = 3, .sent = 2, .size = 16, .first = true, .fence = true};
static const struct setting sleeps = {.before = 0, .sent = 2, .size = 8, .fence = true};
static const struct setting sleeps_light = {.before = 0, .sent = 2, .size = 8};
static const struct setting given_up = {.before = 1, .size = 16};

#define SCENARIO(title, with, old) \
	{ \
		.name = title, .declare = declare, .setup = setup, .setting = &(with), \
		.thread = {{"latest producer", produce}, {"latest reader", read_all}}, .preemptions = 2, \
		.stale = (old), \
	}

const struct vmc_scenario latest_scenarios[] = {
	SCENARIO("latest, overtaken, fences", overtaken, 2),
	SCENARIO("latest, overtaken, membarrier", overtaken_light, 2),
	SCENARIO("latest, pads", pads, 2),
	SCENARIO("latest, begins with the newest", newest, 1),
	SCENARIO("latest, sleeps, fences", sleeps, 2),
	SCENARIO("latest, sleeps, membarrier", sleeps_light, 2),
	{
		.name = "latest, entry and bytes reused",
		.declare = declare_reuse,
		.setup = setup,
		.setting = &given_up,
		.thread = {{"writer", reuse}, {"latest reader", read_one}},
		.preemptions = 2,
		.stale = 2,
	},
};
const unsigned latest_scenario_count = sizeof(latest_scenarios) / sizeof(latest_scenarios[0]);
