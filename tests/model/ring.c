/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A producer and a consumer that sleep for each other, on the real ring and the real sleep protocol. What they do around
 * these is what src/end does: a look publishes what it appended, or returns the head when there is no record.
 */
#include "ring/ring.h"
#include "scenarios.h"
#include "wait/wait.h"

#include "os/os.h"

#define DATA 64
#define RECORDS 5

struct setting {
	uint64_t size; /* of the ring, at most DATA */
	uint64_t start; /* first position */
	unsigned records;
	unsigned char length[RECORDS];
	unsigned char burst; /* records per publication */
	bool fence; /* both sides fence; else the sleeper's membarrier */
	bool ends; /* the consumer does not know how many there are: it reads up to the end of the stream */
	bool loop; /* the consumer sleeps on a descriptor, and a keeper on the bell in its place */
	bool leaves; /* the consumer leaves after the first record, and the producer does not wait for more */
};

static struct {
	_Alignas(64) unsigned char data[DATA];
	struct vshmi_word64 tail, producer_armed;
	struct vshmi_word32 producer_state; /* of its entry */
	struct vshmi_word32 consumer_bell; /* in the producer's section: rings the consumer */
	struct vshmi_word64 head, consumer_armed;
	struct vshmi_word32 producer_bell;
	struct vshmi_word32 consumer_state;
	struct vshmi_word32 descriptor; /* counts what its keeper told the consumer, as an eventfd does */
	struct vshmi_word32 consumer_done;
} shared;

/* Each struct belongs to one thread. */
static struct {
	struct vshmi_tx tx;
	uint64_t want;
	void *data;
	uint32_t bell;
	bool alone; /* the consumer left */
} producer;

static struct {
	struct vshmi_rx rx;
	uint32_t bell;
	unsigned received;
	struct vshm_view views[RECORDS];
	int shown;
	bool over; /* the end of the stream was met */
} consumer;

static const struct setting *setting(void)
{
	return vmc_setting();
}

static void declare(void)
{
	vmc_payload(shared.data, sizeof(shared.data), "record");
	vmc_name(&shared.tail, sizeof(shared.tail), "tail");
	vmc_name(&shared.head, sizeof(shared.head), "head");
	vmc_name(&shared.producer_armed, sizeof(shared.producer_armed), "producer's armed");
	vmc_name(&shared.consumer_armed, sizeof(shared.consumer_armed), "consumer's armed");
	vmc_name(&shared.producer_state, sizeof(shared.producer_state), "producer's state");
	vmc_name(&shared.consumer_state, sizeof(shared.consumer_state), "consumer's state");
	vmc_name(&shared.consumer_bell, sizeof(shared.consumer_bell), "consumer's bell");
	vmc_name(&shared.producer_bell, sizeof(shared.producer_bell), "producer's bell");
	vmc_name(&shared.descriptor, sizeof(shared.descriptor), "descriptor");
	vmc_name(&shared.consumer_done, sizeof(shared.consumer_done), "consumer is done");
}

static void setup(void)
{
	const struct setting *s = setting();

	memset(&shared, 0, sizeof(shared));
	memset(&producer, 0, sizeof(producer));
	memset(&consumer, 0, sizeof(consumer));
	vshmi_tx_init(&producer.tx, shared.data, s->size, &shared.tail, &shared.producer_armed);
	producer.tx.tail = producer.tx.head = producer.tx.published = s->start;
	vshmi_store64(&shared.tail, s->start);
	vshmi_tx_connect(&producer.tx, s->start, &shared.head, &shared.consumer_armed, s->fence);
	vshmi_rx_init(&consumer.rx, &shared.head, &shared.consumer_armed);
	vshmi_rx_connect(&consumer.rx, shared.data, s->size, s->start, &shared.tail, &shared.producer_armed, s->fence);
}

static void ring_bell(struct vshmi_word32 *bell, uint32_t *rung)
{
	vshmi_store_release32(bell, ++*rung);
	vshmi_futex_wake(vshmi_futex_address(bell));
}

/* ---- the producer ---- */

static void publish(void)
{
	if (vshmi_tx_publish(&producer.tx))
		ring_bell(&shared.consumer_bell, &producer.bell);
}

static bool consumer_left(void)
{
	producer.alone = setting()->leaves && vshmi_load_acquire32(&shared.consumer_state) == VSHM_END_CLOSED;
	return producer.alone;
}

static int look_for_room(void *end)
{
	int rc = consumer_left() ? 0 : vshmi_tx_reserve_slow(&producer.tx, producer.want, &producer.data);

	(void)end;
	if (rc == -EAGAIN && producer.tx.tail != producer.tx.published)
		publish();
	return rc;
}

static uint64_t arm_for_room(void *end)
{
	(void)end;
	return vshmi_tx_arm(&producer.tx, producer.want);
}

static int look_drained(void *end)
{
	(void)end;
	return consumer_left() ? 0 : vshmi_tx_drained(&producer.tx);
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

static void give_back(void)
{
	if (vshmi_rx_return(&consumer.rx))
		ring_bell(&shared.producer_bell, &consumer.bell);
}

static int quick_look(void)
{
	int rc = vshmi_rx_refresh(&consumer.rx);

	if (!rc) {
		rc = vshmi_rx_peek(&consumer.rx, consumer.views, setting()->burst);
		if (rc > 0) {
			consumer.shown = rc;
			return 0;
		}
	}
	if (rc == -EAGAIN && consumer.rx.head != consumer.rx.returned)
		give_back();
	return rc;
}

/* After the end was seen the last records are looked for once more. */
static int look_for_records(void *end)
{
	int rc = quick_look();

	(void)end;
	if (rc != -EAGAIN || !setting()->ends || vshmi_load_acquire32(&shared.producer_state) != VSHM_END_CLOSED)
		return rc;
	rc = quick_look();
	consumer.over = rc == -EAGAIN;
	return consumer.over ? 0 : rc;
}

/* Looks, and sleeps while there is nothing. */
static void wait_with(const struct vshmi_sleeper *sleeper)
{
	int rc = sleeper->look(NULL);
	bool slept;

	while (rc == -EAGAIN) {
		rc = vshmi_sleep_once(sleeper, INT64_MAX, &slept);
		if (slept)
			rc = sleeper->look(NULL);
	}
	VMC_ASSERT(!rc, "%s accuses the other: rule %u",
		   sleeper->look == look_for_records ? "the consumer" : "the producer",
		   sleeper->look == look_for_records ? consumer.rx.fault.rule : producer.tx.fault.rule);
}

static void producer_waits(int (*look)(void *end), uint64_t (*arm)(void *end))
{
	const struct vshmi_sleeper sleeper = {
		.look = look,
		.arm = arm,
		.disarm = disarm_producer,
		.light = !setting()->fence,
		.count = 1,
		.words = {&shared.producer_bell},
	};

	wait_with(&sleeper);
}

static unsigned char byte_of(unsigned record)
{
	return (unsigned char)(0x11 * (record + 1));
}

static void produce(void)
{
	const struct setting *s = setting();
	unsigned char bytes[DATA];

	for (unsigned i = 0; i < s->records; i++) {
		producer.want = s->length[i];
		producer_waits(look_for_room, arm_for_room);
		if (producer.alone) {
			vshmi_tx_disconnect(&producer.tx, true);
			VMC_ASSERT(producer.tx.head == 16, "the next consumer would get a record twice");
			return;
		}
		memset(bytes, byte_of(i), producer.want);
		vshmi_copy_out(producer.data, bytes, producer.want);
		vshmi_tx_append(&producer.tx, producer.want);
		if ((i + 1) % s->burst == 0)
			publish();
	}
	if (producer.tx.tail != producer.tx.published)
		publish();
	if (s->ends) {
		vshmi_store_release32(&shared.producer_state, VSHM_END_CLOSED);
		ring_bell(&shared.consumer_bell, &producer.bell);
	}
	producer_waits(look_drained, arm_drained); /* a close that lingers */
	VMC_ASSERT(producer.alone || producer.tx.head == producer.tx.tail, "closed before all was read");
}

/* ---- the consumer ---- */

static uint64_t arm_consumer(void *end)
{
	(void)end;
	return vshmi_rx_arm(&consumer.rx);
}

static void disarm_consumer(void *end)
{
	(void)end;
	vshmi_rx_disarm(&consumer.rx);
}

/* As an event loop: what the keeper tells after the descriptor was noted (dispatched) wakes it. */
static void loop_with(const struct vshmi_sleeper *sleeper)
{
	const uint32_t *descriptor = vshmi_futex_address(&shared.descriptor);
	int rc = -EAGAIN;

	while (rc == -EAGAIN) {
		uint32_t seen = vshmi_load_acquire32(&shared.descriptor);
		bool stands;

		rc = sleeper->look(NULL);
		if (rc == -EAGAIN)
			rc = vshmi_stay_armed(sleeper, &stands);
		if (rc == -EAGAIN && stands)
			(void)vshmi_futex_wait(&descriptor, &seen, 1, INT64_MAX);
	}
	VMC_ASSERT(!rc, "the consumer accuses the other: rule %u", consumer.rx.fault.rule);
}

/* What vshmi_ears_listen() does. */
static void keep(void)
{
	const uint32_t *words[2] = {vshmi_futex_address(&shared.consumer_bell),
				    vshmi_futex_address(&shared.consumer_done)};
	uint32_t noted[2] = {0, 0}, told = 0;

	while (!vshmi_load_acquire32(&shared.consumer_done)) {
		uint32_t bell = vshmi_load_acquire32(&shared.consumer_bell);

		if (bell != noted[0]) {
			noted[0] = bell;
			ring_bell(&shared.descriptor, &told);
		}
		(void)vshmi_futex_wait(words, noted, 2, INT64_MAX);
	}
}

static void consumer_waits(void)
{
	const struct vshmi_sleeper sleeper = {
		.look = look_for_records,
		.arm = arm_consumer,
		.disarm = disarm_consumer,
		.light = !setting()->fence,
		.count = 1,
		.words = {&shared.consumer_bell},
	};

	if (setting()->loop)
		loop_with(&sleeper);
	else
		wait_with(&sleeper);
}

static void take(const struct vshm_view *view)
{
	const struct setting *s = setting();
	unsigned char bytes[DATA];
	unsigned i = consumer.received++;

	VMC_ASSERT(i < s->records && view->size == s->length[i], "record %u has %zu bytes", i, view->size);
	vshmi_copy_in(bytes, view->data, view->size);
	for (size_t b = 0; b < view->size; b++)
		VMC_ASSERT(bytes[b] == byte_of(i), "record %u is not intact", i);
}

static void consume(void)
{
	const struct setting *s = setting();

	while (s->ends || consumer.received < (s->leaves ? 1 : s->records)) {
		consumer.shown = vshmi_rx_peek(&consumer.rx, consumer.views, s->burst);
		if (consumer.shown <= 0)
			consumer_waits();
		if (consumer.over)
			break;
		for (int i = 0; i < consumer.shown; i++)
			take(&consumer.views[i]);
		if (vshmi_rx_release(&consumer.rx))
			give_back();
	}
	give_back();
}

static void consume_in_a_loop(void)
{
	uint32_t done = 0;

	consume();
	ring_bell(&shared.consumer_done, &done);
}

static void consume_and_leave(void)
{
	consume();
	vshmi_store_release32(&shared.consumer_state, VSHM_END_CLOSED);
	ring_bell(&shared.producer_bell, &consumer.bell);
}

static void finish(void)
{
	VMC_ASSERT(setting()->leaves || consumer.received == setting()->records, "%u records arrived",
		   consumer.received);
}

/* ---- the settings ---- */

static const struct setting roomy = {.size = 64, .records = 2, .length = {8, 8}, .burst = 1, .fence = true};
static const struct setting roomy_light = {.size = 64, .records = 2, .length = {8, 8}, .burst = 1};
static const struct setting full = {.size = 16, .records = 3, .length = {8, 8, 8}, .burst = 1, .fence = true};
static const struct setting full_light = {.size = 16, .records = 3, .length = {8, 8, 8}, .burst = 1};
/* The second record does not fit behind the first: a pad, at once or on its own. */
static const struct setting pads = {.size = 32, .records = 3, .length = {8, 24, 1}, .burst = 1, .fence = true};
static const struct setting pads_light = {.size = 32, .records = 3, .length = {8, 24, 1}, .burst = 1};
/* The last does not fit either, and there is not even room for the pad. */
static const struct setting waits = {.size = 32, .records = 4, .length = {8, 8, 8, 24}, .burst = 1, .fence = true};
static const struct setting waits_light = {.size = 32, .records = 4, .length = {8, 8, 8, 24}, .burst = 1};
static const struct setting burst = {
	.size = 32, .start = 24, .records = 4, .length = {0, 8, 8, 0}, .burst = 2, .fence = true};
static const struct setting burst_light = {.size = 32, .start = 24, .records = 4, .length = {0, 8, 8, 0}, .burst = 2};

static const struct setting ends = {
	.size = 32, .records = 2, .length = {8, 8}, .burst = 1, .fence = true, .ends = true};
static const struct setting ends_light = {.size = 32, .records = 2, .length = {8, 8}, .burst = 1, .ends = true};

static const struct setting leaves = {
	.size = 16, .records = 3, .length = {8, 8, 8}, .burst = 1, .fence = true, .leaves = true};
static const struct setting leaves_light = {.size = 16, .records = 3, .length = {8, 8, 8}, .burst = 1, .leaves = true};

static const struct setting loop = {
	.size = 32, .records = 2, .length = {8, 24}, .burst = 1, .fence = true, .loop = true};
static const struct setting loop_light = {.size = 32, .records = 2, .length = {8, 24}, .burst = 1, .loop = true};

#define SCENARIO(title, with, old) SCENARIO_WITH(title, with, consume, old)
#define SCENARIO_WITH(title, with, consumes, old) \
	{ \
		.name = title, .declare = declare, .setup = setup, .finish = finish, .setting = &(with), \
		.thread = {{"producer", produce}, {"consumer", consumes}}, .preemptions = 2, .stale = (old), \
	}

#define SCENARIO_LOOP(title, with, old) \
	{ \
		.name = title, .declare = declare, .setup = setup, .finish = finish, .setting = &(with), \
		.thread = {{"producer", produce}, {"consumer", consume_in_a_loop}, {"keeper", keep}}, .preemptions = 1, \
		.stale = (old), \
	}

const struct vmc_scenario ring_scenarios[] = {
	SCENARIO("ring with room, fences", roomy, 3),
	SCENARIO("ring with room, membarrier", roomy_light, 3),
	SCENARIO("ring of one record, fences", full, 1),
	SCENARIO("ring of one record, membarrier", full_light, 3),
	SCENARIO("pads, fences", pads, 1),
	SCENARIO("pads, membarrier", pads_light, 3),
	SCENARIO("waits for a pad, fences", waits, 1),
	SCENARIO("waits for a pad, membarrier", waits_light, 2),
	SCENARIO("bursts, fences", burst, 2),
	SCENARIO("bursts, membarrier", burst_light, 2),
	SCENARIO("end of stream, fences", ends, 2),
	SCENARIO("end of stream, membarrier", ends_light, 3),
	SCENARIO_WITH("consumer leaves, fences", leaves, consume_and_leave, 2),
	SCENARIO_WITH("consumer leaves, membarrier", leaves_light, consume_and_leave, 3),
	SCENARIO_LOOP("event loop, fences", loop, 1),
	SCENARIO_LOOP("event loop, membarrier", loop_light, 1),
};
const unsigned ring_scenario_count = sizeof(ring_scenarios) / sizeof(ring_scenarios[0]);
