/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring: two threads and a million records. The payload is plain memory, so that ThreadSanitizer sees each order of the
 * ring that is missing; and the same with both sides asleep much of the time.
 */
#include "os/os.h"
#include "ring_world.h"
#include "wait/wait.h"

#include <pthread.h>
#include <sched.h>

#define RECORDS 1000000u
#define NAPS 20000u /* records of the sleeping variant */
#define MOST 16u /* payload words of a record */

static struct world world;
static struct vshmi_word32 producer_bell, consumer_bell; /* by whom they are heard */
static bool light;

static unsigned words_of(uint64_t record)
{
	return (unsigned)(record * 7 % MOST);
}

static void write_record(uint64_t *payload, uint64_t record)
{
	for (unsigned i = 0; i < words_of(record); i++)
		payload[i] = record * MOST + i;
}

static bool read_record(const struct vshm_view *view, uint64_t record)
{
	const uint64_t *payload = view->data;
	bool good = view->size == 8 * words_of(record);

	for (unsigned i = 0; good && i < words_of(record); i++)
		good = payload[i] == record * MOST + i;
	return good;
}

static void *produce(void *unused)
{
	void *data;

	for (uint64_t i = 0; i < RECORDS;) {
		if (vshmi_tx_reserve(&world.tx, 8 * words_of(i), &data)) {
			(void)vshmi_tx_publish(&world.tx);
			sched_yield();
			continue;
		}
		write_record(data, i);
		vshmi_tx_append(&world.tx, 8 * words_of(i));
		i++;
		if (i % 3)
			(void)vshmi_tx_publish(&world.tx);
	}
	(void)vshmi_tx_publish(&world.tx);
	return unused;
}

static void *consume(void *bad)
{
	struct vshm_view views[8];

	for (uint64_t i = 0; i < RECORDS;) {
		int n = world_peek(&world, views, 1 + (unsigned)(i % 8));

		if (n == -EAGAIN) {
			(void)vshmi_rx_return(&world.rx);
			sched_yield();
			continue;
		}
		for (int k = 0; k < n; k++)
			*(uint64_t *)bad += !read_record(&views[k], i++);
		if (n < 0) {
			*(uint64_t *)bad += 1;
			break;
		}
		if (vshmi_rx_release(&world.rx))
			(void)vshmi_rx_return(&world.rx);
	}
	(void)vshmi_rx_return(&world.rx);
	return bad;
}

static uint64_t run(void *(*producer)(void *), void *(*consumer)(void *))
{
	pthread_t threads[2];
	uint64_t bad = 0;

	ck_ok(pthread_create(&threads[0], NULL, producer, NULL));
	ck_ok(pthread_create(&threads[1], NULL, consumer, &bad));
	ck_ok(pthread_join(threads[0], NULL));
	ck_ok(pthread_join(threads[1], NULL));
	return bad;
}

START_TEST(a_million_records)
{
	world_open(&world, 1024, 0, 0);
	ck_assert_uint_eq(run(produce, consume), 0);
	ck_ok(vshmi_tx_drained(&world.tx));
	ck_assert_uint_eq(world.rx.records, RECORDS);
	world_close(&world);
}
END_TEST

/* ---- asleep ---- */

static void ring_bell(struct vshmi_word32 *bell)
{
	vshmi_store_release32(bell, vshmi_load32(bell) + 1); /* one writer each */
	vshmi_futex_wake(vshmi_futex_address(bell));
}

static void publish(void)
{
	if (vshmi_tx_publish(&world.tx))
		ring_bell(&consumer_bell);
}

static void give_back(void)
{
	if (vshmi_rx_return(&world.rx))
		ring_bell(&producer_bell);
}

static int look_for_room(void *want)
{
	void *data;
	int rc = vshmi_tx_reserve_slow(&world.tx, *(uint64_t *)want, &data);

	if (rc == -EAGAIN && world.tx.tail != world.tx.published)
		publish();
	return rc;
}

static uint64_t arm_for_room(void *want)
{
	return vshmi_tx_arm(&world.tx, *(uint64_t *)want);
}

static void disarm_producer(void *want)
{
	(void)want;
	vshmi_tx_disarm(&world.tx);
}

static int look_for_records(void *view)
{
	int rc = world_peek(&world, view, 1);

	if (rc == -EAGAIN)
		give_back();
	return rc == 1 ? 0 : rc;
}

static uint64_t arm_for_records(void *view)
{
	(void)view;
	return vshmi_rx_arm(&world.rx);
}

static void disarm_consumer(void *view)
{
	(void)view;
	vshmi_rx_disarm(&world.rx);
}

/* There is no re-check here: a lost wake-up is a hang, and the timeout of the test. */
static int wait_with(const struct vshmi_sleeper *sleeper)
{
	bool slept;
	int rc = sleeper->look(sleeper->end);

	while (rc == -EAGAIN)
		rc = vshmi_sleep_once(sleeper, INT64_MAX, &slept);
	return rc;
}

static void *produce_and_sleep(void *unused)
{
	uint64_t want;
	const struct vshmi_sleeper sleeper = {
		.look = look_for_room,
		.arm = arm_for_room,
		.disarm = disarm_producer,
		.end = &want,
		.light = light,
		.count = 1,
		.words = {&producer_bell},
	};

	for (uint64_t i = 0; i < NAPS; i++) {
		want = 8 * words_of(i);
		if (wait_with(&sleeper))
			break;
		write_record((void *)(world.data + (world.tx.tail & (world.size - 1)) + VSHM_RECORD_HEADER), i);
		vshmi_tx_append(&world.tx, want);
		publish();
	}
	return unused;
}

static void *consume_and_sleep(void *bad)
{
	struct vshm_view view;
	const struct vshmi_sleeper sleeper = {
		.look = look_for_records,
		.arm = arm_for_records,
		.disarm = disarm_consumer,
		.end = &view,
		.light = light,
		.count = 1,
		.words = {&consumer_bell},
	};

	for (uint64_t i = 0; i < NAPS; i++) {
		*(uint64_t *)bad += wait_with(&sleeper) || !read_record(&view, i);
		if (vshmi_rx_release(&world.rx))
			give_back();
	}
	give_back();
	return bad;
}

static void sleepers(void)
{
	world_open(&world, 256, 0, 0);
	world.tx.fence = world.rx.fence = !light;
	vshmi_store32(&producer_bell, 0);
	vshmi_store32(&consumer_bell, 0);
	ck_assert_uint_eq(run(produce_and_sleep, consume_and_sleep), 0);
	ck_ok(vshmi_tx_drained(&world.tx));
	world_close(&world);
}

START_TEST(both_sleep_with_fences)
{
	light = false;
	sleepers();
}
END_TEST

START_TEST(both_sleep_with_membarriers)
{
	light = vshmi_membarrier_register();
	if (!light)
		printf("no membarrier here: fences are used\n");
	sleepers();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_stress");
	TCase *tcase = tcase_create("threads");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_million_records);
	tcase_add_test(tcase, both_sleep_with_fences);
	tcase_add_test(tcase, both_sleep_with_membarriers);
	suite_add_tcase(suite, tcase);
	return unit_run("ring_stress", suite);
}
