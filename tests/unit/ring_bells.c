/* SPDX-License-Identifier: BSD-3-Clause */
/* ring: who is rung and when; returning the head; a consumer that leaves and the next that follows. */
#include "ring_world.h"

START_TEST(nobody_awake_is_rung)
{
	struct world w;

	world_open(&w, 64, 0, 0);
	for (unsigned i = 0; i < 100; i++) {
		struct vshm_view view;

		ck_ok(world_append(&w, 8, i));
		ck_assert(!vshmi_tx_publish(&w.tx));
		ck_is(world_peek(&w, &view, 1), 1);
		(void)vshmi_rx_release(&w.rx);
		ck_assert(!vshmi_rx_return(&w.rx));
	}
	ck_assert_uint_eq(w.tx.rings + w.rx.rings, 0);
	world_close(&w);
}
END_TEST

START_TEST(a_sleeping_consumer_is_rung_once)
{
	struct world w;

	world_open(&w, 256, 0, 0);
	vshmi_rx_arm(&w.rx);
	ck_ok(world_append(&w, 8, 0));
	ck_assert(vshmi_tx_publish(&w.tx));
	ck_ok(world_append(&w, 8, 1));
	ck_assert(!vshmi_tx_publish(&w.tx)); /* it was told already */
	vshmi_rx_disarm(&w.rx);
	world_expect(&w, 8, 0);
	world_expect(&w, 8, 1);
	vshmi_rx_arm(&w.rx);
	ck_ok(world_append(&w, 8, 2));
	ck_assert(vshmi_tx_publish(&w.tx));
	ck_assert_uint_eq(w.tx.rings, 2);
	world_close(&w);
}
END_TEST

START_TEST(a_consumer_is_rung_for_a_pad_alone)
{
	struct world w;
	void *data;

	world_open(&w, 64, 24, 0);
	vshmi_rx_arm(&w.rx);
	ck_is(vshmi_tx_reserve(&w.tx, 48, &data), -EAGAIN);
	ck_assert_uint_eq(w.tx.tail, 64);
	ck_assert(vshmi_tx_publish(&w.tx));
	world_close(&w);
}
END_TEST

START_TEST(a_producer_is_rung_when_there_is_enough_room)
{
	struct vshm_view views[4];
	struct world w;

	world_open(&w, 64, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_ok(world_send(&w, 8, i));
	ck_is(world_send(&w, 24, 4), -EAGAIN);
	vshmi_tx_arm(&w.tx, 24); /* needs two of the records to go */
	ck_is(world_peek(&w, views, 1), 1);
	ck_assert(vshmi_rx_release(&w.rx)); /* somebody waits: return at once */
	ck_assert(!vshmi_rx_return(&w.rx)); /* but not enough */
	ck_is(world_peek(&w, views, 1), 1);
	ck_assert(vshmi_rx_release(&w.rx));
	ck_assert(vshmi_rx_return(&w.rx));
	ck_is(world_peek(&w, views, 1), 1);
	(void)vshmi_rx_release(&w.rx);
	ck_assert(!vshmi_rx_return(&w.rx)); /* told already */
	vshmi_tx_disarm(&w.tx);
	ck_ok(world_send(&w, 24, 4));
	world_close(&w);
}
END_TEST

START_TEST(a_lingering_producer_is_rung_when_all_is_read)
{
	struct vshm_view view;
	struct world w;

	world_open(&w, 256, 0, 0);
	ck_ok(vshmi_tx_drained(&w.tx));
	ck_ok(world_send(&w, 8, 0));
	ck_ok(world_send(&w, 8, 1));
	ck_is(vshmi_tx_drained(&w.tx), -EAGAIN);
	vshmi_tx_arm_drained(&w.tx);
	ck_is(world_peek(&w, &view, 1), 1);
	ck_assert(vshmi_rx_release(&w.rx));
	ck_assert(!vshmi_rx_return(&w.rx));
	ck_is(vshmi_tx_drained(&w.tx), -EAGAIN);
	ck_is(world_peek(&w, &view, 1), 1);
	ck_assert(vshmi_rx_release(&w.rx));
	ck_assert(vshmi_rx_return(&w.rx));
	ck_ok(vshmi_tx_drained(&w.tx));
	world_close(&w);
}
END_TEST

START_TEST(the_head_goes_back_a_quarter_at_a_time)
{
	struct vshm_view view;
	struct world w;

	world_open(&w, 256, 0, 0);
	for (unsigned i = 0; i < 16; i++)
		ck_ok(world_send(&w, 8, i));
	for (unsigned i = 1; i <= 16; i++) {
		bool due;

		ck_is(world_peek(&w, &view, 1), 1);
		due = vshmi_rx_release(&w.rx);
		ck_assert(due == (i % 4 == 0));
		if (due)
			ck_assert(!vshmi_rx_return(&w.rx));
		ck_assert_uint_eq(vshmi_load64(&w.head), i / 4 * 64);
	}
	ck_assert_uint_eq(w.rx.publications, 4);
	world_close(&w);
}
END_TEST

/* ---- one consumer after the other ---- */

static void reconnect(struct world *w)
{
	uint64_t start = vshmi_tx_resume(&w->tx);

	vshmi_tx_connect(&w->tx, start, &w->head, &w->consumer_armed, false);
	vshmi_rx_init(&w->rx, &w->head, &w->consumer_armed);
	vshmi_rx_connect(&w->rx, w->data, w->size, start, &w->tail, &w->producer_armed, false);
}

START_TEST(the_next_consumer_begins_where_the_last_returned)
{
	struct vshm_view view;
	struct world w;

	world_open(&w, 256, 16, 0xfffffe);
	for (unsigned i = 0; i < 6; i++)
		ck_ok(world_send(&w, 8 * i, i));
	world_expect(&w, 0, 0);
	world_expect(&w, 8, 1);
	ck_is(world_peek(&w, &view, 1), 1); /* seen, not returned */
	vshmi_tx_disconnect(&w.tx, true);
	reconnect(&w);
	for (unsigned i = 2; i < 6; i++)
		world_expect(&w, 8 * i, i);
	vshmi_tx_disconnect(&w.tx, true);
	ck_assert_uint_eq(vshmi_tx_resume(&w.tx), w.tx.tail);
	world_close(&w);
}
END_TEST

START_TEST(resume_at_every_record)
{
	for (unsigned taken = 0; taken <= 40; taken++) {
		struct world w;

		world_open(&w, 512, 488, 0xfffff0);
		for (unsigned i = 0; i < 40; i++) {
			while (world_send(&w, i, i))
				world_expect(&w, w.rx.records, w.rx.records);
		}
		while (w.rx.records < taken)
			world_expect(&w, w.rx.records, w.rx.records);
		taken = (unsigned)w.rx.records;
		vshmi_tx_disconnect(&w.tx, true);
		ck_assert_uint_eq(vshmi_tx_resume(&w.tx), w.rx.head);
		reconnect(&w);
		for (unsigned i = taken; i < 40; i++)
			world_expect(&w, i, i);
		world_close(&w);
	}
}
END_TEST

/* A head inside a record is lawful as a number, but no record begins there. */
START_TEST(a_head_inside_a_record_is_not_believed)
{
	for (uint64_t head = 0; head <= 96; head += 8) {
		struct world w;
		bool at_record = head % 32 == 0;

		world_open(&w, 128, 0, 5);
		for (unsigned i = 0; i < 3; i++)
			ck_ok(world_send(&w, 24, i));
		vshmi_store64(&w.head, head);
		vshmi_tx_disconnect(&w.tx, true);
		ck_assert_uint_eq(w.tx.head, head);
		ck_assert_uint_eq(vshmi_tx_resume(&w.tx), at_record ? head : w.tx.tail);
		world_close(&w);
	}
}
END_TEST

/* The payload imitates headers, so that a chain from inside a record looks right for a while. */
START_TEST(a_forged_chain_is_not_believed)
{
	struct world w;
	uint64_t forged;
	void *data;

	world_open(&w, 128, 0, 5);
	ck_ok(vshmi_tx_reserve(&w.tx, 24, &data));
	forged = vshmi_record_pack(8, VSHM_RECORD_DATA, 4);
	memcpy(data, &forged, 8);
	vshmi_tx_append(&w.tx, 24); /* 0 to 32: a forged record at 8, up to 24 */
	forged = vshmi_record_pack(0, VSHM_RECORD_DATA, 5);
	memcpy((unsigned char *)data + 16, &forged, 8); /* at 24, up to 32: meets the next at 32 */
	ck_ok(world_send(&w, 24, 1)); /* 32 to 64, number 6 */
	vshmi_store64(&w.head, 16);
	vshmi_tx_disconnect(&w.tx, true);
	ck_assert_uint_eq(vshmi_tx_resume(&w.tx), w.tx.tail);
	world_close(&w);
}
END_TEST

START_TEST(an_unlawful_last_head_counts_for_nothing)
{
	const uint64_t heads[] = {4, 40, 1000, UINT64_MAX - 7, UINT64_MAX};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct world w;

		world_open(&w, 128, 0, 0);
		ck_ok(world_send(&w, 24, 1));
		vshmi_store64(&w.head, heads[i]);
		vshmi_tx_disconnect(&w.tx, true);
		ck_assert_uint_eq(w.tx.fault.rule, VSHM_RULE_NONE);
		ck_assert_uint_eq(vshmi_tx_resume(&w.tx), 0);
		world_close(&w);
	}
}
END_TEST

START_TEST(a_stale_head_word_is_not_looked_at_after_death)
{
	struct world w;

	world_open(&w, 128, 0, 0);
	ck_ok(world_send(&w, 24, 1));
	vshmi_store64(&w.head, 32);
	vshmi_tx_disconnect(&w.tx, false);
	ck_assert_uint_eq(w.tx.head, 0);
	world_close(&w);
}
END_TEST

START_TEST(without_a_consumer_the_ring_fills)
{
	struct world w;

	world_open(&w, 64, 0, 0);
	vshmi_tx_disconnect(&w.tx, true);
	for (unsigned i = 0; i < 4; i++)
		ck_ok(world_send(&w, 8, i));
	ck_is(world_send(&w, 8, 4), -EAGAIN);
	ck_is(vshmi_tx_drained(&w.tx), -EAGAIN);
	reconnect(&w);
	for (unsigned i = 0; i < 4; i++)
		world_expect(&w, 8, i);
	ck_ok(world_send(&w, 8, 4));
	world_expect(&w, 8, 4);
	world_close(&w);
}
END_TEST

START_TEST(discarding_makes_room)
{
	struct world w;

	world_open(&w, 64, 0, 0);
	vshmi_tx_disconnect(&w.tx, true);
	for (unsigned i = 0; i < 4; i++)
		ck_ok(world_send(&w, 8, i));
	vshmi_tx_discard(&w.tx);
	ck_ok(world_send(&w, 8, 4));
	reconnect(&w);
	world_expect(&w, 8, 4);
	world_close(&w);
}
END_TEST

/* A consumer must not be told to start behind what the tail word says: it would call that a broken rule. */
START_TEST(a_start_is_never_behind_the_tail_word)
{
	struct vshm_view view;
	struct world w;

	world_open(&w, 64, 0, 0);
	vshmi_tx_disconnect(&w.tx, true);
	ck_ok(world_append(&w, 8, 0)); /* committed, not published */
	vshmi_tx_discard(&w.tx);
	reconnect(&w);
	ck_assert_uint_le(w.rx.head, vshmi_load64(&w.tail));
	ck_is(world_peek(&w, &view, 1), -EAGAIN);
	ck_ok(world_send(&w, 8, 1));
	world_expect(&w, 8, 1);
	world_close(&w);
}
END_TEST

START_TEST(nor_is_it_after_a_head_that_was_not_believed)
{
	struct world w;

	world_open(&w, 128, 0, 5);
	ck_ok(world_send(&w, 24, 0));
	ck_ok(world_append(&w, 24, 1));
	vshmi_store64(&w.head, 8);
	vshmi_tx_disconnect(&w.tx, true);
	reconnect(&w);
	ck_assert_uint_eq(w.rx.head, 64);
	ck_assert_uint_le(w.rx.head, vshmi_load64(&w.tail));
	world_close(&w);
}
END_TEST

/* After a discard the range of lawful heads is what was published since. */
START_TEST(a_head_beyond_the_tail_word_is_refused_after_a_discard)
{
	struct world w;
	void *data;

	world_open(&w, 64, 0, 0);
	vshmi_tx_disconnect(&w.tx, true);
	ck_ok(world_append(&w, 8, 0));
	vshmi_tx_discard(&w.tx);
	reconnect(&w);
	vshmi_store64(&w.head, 4096);
	ck_is(vshmi_tx_reserve_slow(&w.tx, 8, &data), -EPROTO);
	ck_assert_uint_eq(w.tx.fault.rule, VSHM_RULE_HEAD_RANGE);
	world_close(&w);
}
END_TEST

START_TEST(attention_takes_the_slow_path_once)
{
	struct world w;
	void *data;

	world_open(&w, 64, 0, 0);
	ck_assert(!vshmi_tx_reserve_fast(&w.tx, 8, &data)); /* new connections are looked at */
	ck_ok(vshmi_tx_reserve(&w.tx, 8, &data));
	ck_assert(vshmi_tx_reserve_fast(&w.tx, 8, &data));
	vshmi_tx_call_attention(&w.tx);
	ck_assert(!vshmi_tx_reserve_fast(&w.tx, 8, &data));
	ck_assert(!vshmi_tx_reserve_fast(&w.tx, 0, &data));
	ck_ok(vshmi_tx_reserve_slow(&w.tx, 8, &data));
	ck_assert(vshmi_tx_reserve_fast(&w.tx, 8, &data));
	world_close(&w);
}
END_TEST

/* ---- an entry that gets another user ---- */

START_TEST(a_head_counts_for_its_consumer_only)
{
	struct vshmi_word64 id;
	struct world w;
	void *data;

	world_open(&w, 64, 0, 0);
	vshmi_store64(&id, 7);
	vshmi_tx_bind(&w.tx, &id, 7);
	ck_ok(world_send(&w, 8, 0));
	world_expect(&w, 8, 0);
	ck_ok(vshmi_tx_drained(&w.tx));
	ck_ok(world_send(&w, 8, 1));
	vshmi_store64(&id, 9);
	for (uint64_t head = 0; head < 100; head += 4) {
		vshmi_store64(&w.head, head);
		ck_is(vshmi_tx_drained(&w.tx), -EAGAIN);
		ck_ok(vshmi_tx_reserve_slow(&w.tx, 8, &data));
		ck_assert_uint_eq(w.tx.head, 16);
		ck_assert_uint_eq(w.tx.fault.rule, VSHM_RULE_NONE);
	}
	vshmi_tx_disconnect(&w.tx, true);
	ck_assert_uint_eq(w.tx.head, 16);
	world_close(&w);
}
END_TEST

START_TEST(a_tail_counts_for_its_producer_only)
{
	struct vshmi_word64 id;
	struct world w;

	world_open(&w, 64, 0, 0);
	vshmi_store64(&id, 7);
	vshmi_rx_bind(&w.rx, &id, 7);
	ck_ok(world_send(&w, 8, 0));
	world_expect(&w, 8, 0);
	vshmi_store64(&id, 9);
	for (uint64_t tail = 0; tail < 100; tail += 4) {
		vshmi_store64(&w.tail, tail);
		ck_is(vshmi_rx_refresh(&w.rx), -EAGAIN);
		ck_assert_uint_eq(w.rx.tail, 16);
		ck_assert_uint_eq(w.rx.fault.rule, VSHM_RULE_NONE);
	}
	world_close(&w);
}
END_TEST

START_TEST(records_are_counted_from_any_number)
{
	struct world w;

	world_open(&w, 64, 0, 0);
	vshmi_tx_number_from(&w.tx, 0xfffffe);
	for (uint64_t i = 0; i < 20; i++) {
		while (world_send(&w, 16, i)) {
			struct vshm_view view;

			ck_is(world_peek(&w, &view, 1), -EAGAIN);
			(void)vshmi_rx_return(&w.rx);
		}
		ck_assert_uint_eq(vshmi_tx_records(&w.tx), i + 1);
		world_expect(&w, 16, i);
	}
	ck_assert_uint_gt(w.tx.pads, 0);
	ck_assert_uint_eq(w.rx.records, 20);
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_bells");
	TCase *bells = tcase_create("bells"), *next = tcase_create("next consumer");
	TCase *other = tcase_create("other user");

	tcase_add_test(bells, nobody_awake_is_rung);
	tcase_add_test(bells, a_sleeping_consumer_is_rung_once);
	tcase_add_test(bells, a_consumer_is_rung_for_a_pad_alone);
	tcase_add_test(bells, a_producer_is_rung_when_there_is_enough_room);
	tcase_add_test(bells, a_lingering_producer_is_rung_when_all_is_read);
	tcase_add_test(bells, the_head_goes_back_a_quarter_at_a_time);
	tcase_add_test(next, the_next_consumer_begins_where_the_last_returned);
	tcase_add_test(next, resume_at_every_record);
	tcase_add_test(next, a_head_inside_a_record_is_not_believed);
	tcase_add_test(next, a_forged_chain_is_not_believed);
	tcase_add_test(next, an_unlawful_last_head_counts_for_nothing);
	tcase_add_test(next, a_stale_head_word_is_not_looked_at_after_death);
	tcase_add_test(next, without_a_consumer_the_ring_fills);
	tcase_add_test(next, discarding_makes_room);
	tcase_add_test(next, a_start_is_never_behind_the_tail_word);
	tcase_add_test(next, nor_is_it_after_a_head_that_was_not_believed);
	tcase_add_test(next, a_head_beyond_the_tail_word_is_refused_after_a_discard);
	tcase_add_test(next, attention_takes_the_slow_path_once);
	tcase_add_test(other, a_head_counts_for_its_consumer_only);
	tcase_add_test(other, a_tail_counts_for_its_producer_only);
	tcase_add_test(other, records_are_counted_from_any_number);
	suite_add_tcase(suite, other);
	suite_add_tcase(suite, bells);
	suite_add_tcase(suite, next);
	return unit_run("ring_bells", suite);
}
