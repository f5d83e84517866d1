/* SPDX-License-Identifier: BSD-3-Clause */
/* ring: what the other side may write and must not; each broken rule has its name, and nothing else happens. */
#include "ring_world.h"

static uint64_t data_header(uint64_t size, uint64_t sequence)
{
	return vshmi_record_pack(size, VSHM_RECORD_DATA, sequence);
}

/* ---- what a producer can do to a consumer ---- */

static void tail_breaks(struct world *w, uint64_t tail, uint32_t rule)
{
	uint64_t seen = w->rx.tail;
	struct vshm_view view;

	vshmi_store64(&w->tail, tail);
	ck_is(vshmi_rx_refresh(&w->rx), -EPROTO);
	ck_assert_uint_eq(w->rx.fault.rule, rule);
	ck_assert_uint_eq(w->rx.fault.value, tail);
	ck_assert_uint_eq(w->rx.tail, seen);
	ck_is(vshmi_rx_peek(&w->rx, &view, 1), seen == w->rx.head ? -EAGAIN : 1);
}

START_TEST(unlawful_tails)
{
	struct world w;

	world_open(&w, 256, 1024, 0);
	tail_breaks(&w, 1025, VSHM_RULE_TAIL_ALIGN);
	tail_breaks(&w, 1028, VSHM_RULE_TAIL_ALIGN);
	tail_breaks(&w, 1023, VSHM_RULE_TAIL_ALIGN);
	tail_breaks(&w, UINT64_MAX, VSHM_RULE_TAIL_ALIGN);
	tail_breaks(&w, 1016, VSHM_RULE_TAIL_RANGE); /* backwards */
	tail_breaks(&w, 0, VSHM_RULE_TAIL_RANGE);
	tail_breaks(&w, 1024 + 264, VSHM_RULE_TAIL_RANGE); /* more than there is */
	tail_breaks(&w, UINT64_MAX - 7, VSHM_RULE_TAIL_RANGE);
	tail_breaks(&w, UINT64_C(1) << 63, VSHM_RULE_TAIL_RANGE);
	vshmi_store64(&w.tail, 1024 + 256);
	ck_ok(vshmi_rx_refresh(&w.rx)); /* a full ring is lawful */
	world_close(&w);
}
END_TEST

START_TEST(tails_while_records_are_held)
{
	struct vshm_view view;
	struct world w;

	world_open(&w, 64, 0, 0);
	ck_ok(world_send(&w, 8, 0));
	ck_ok(world_send(&w, 8, 1));
	ck_is(world_peek(&w, &view, 1), 1);
	tail_breaks(&w, 24, VSHM_RULE_TAIL_RANGE);
	tail_breaks(&w, 8, VSHM_RULE_TAIL_RANGE);
	tail_breaks(&w, 72, VSHM_RULE_TAIL_RANGE); /* into what is peeked */
	(void)vshmi_rx_release(&w.rx);
	vshmi_store64(&w.tail, 72); /* released: lawful, though it was not returned yet */
	ck_ok(vshmi_rx_refresh(&w.rx));
	world_close(&w);
}
END_TEST

/* A good record, then this header where the next should begin, at 16 of a ring of 64 with everything readable. */
static void header_breaks(uint64_t header, uint32_t rule)
{
	struct vshm_view views[4];
	struct world w;

	world_open(&w, 64, 0, 7);
	ck_ok(world_send(&w, 8, 0));
	world_forge(&w, 16, header);
	vshmi_store64(&w.tail, 64);
	ck_is(world_peek(&w, views, 4), 1); /* the good one is shown first */
	(void)vshmi_rx_release(&w.rx);
	for (unsigned i = 0; i < 2; i++) {
		ck_is(world_peek(&w, views, 4), -EPROTO);
		ck_assert_uint_eq(w.rx.fault.rule, rule);
		ck_assert_uint_eq(w.rx.fault.position, 16);
		ck_assert_uint_eq(w.rx.fault.value, header);
	}
	ck_assert_uint_eq(w.rx.head, 16);
	world_close(&w);
}

START_TEST(unlawful_headers)
{
	header_breaks(data_header(41, 8), VSHM_RULE_RECORD_LENGTH);
	header_breaks(data_header(48, 8), VSHM_RULE_RECORD_LENGTH);
	header_breaks(data_header(UINT32_MAX, 8), VSHM_RULE_RECORD_LENGTH);
	header_breaks(data_header(UINT32_MAX - 7, 8), VSHM_RULE_RECORD_LENGTH);
	header_breaks(data_header(UINT64_C(1) << 31, 8), VSHM_RULE_RECORD_LENGTH);
	header_breaks(data_header(8, 7), VSHM_RULE_RECORD_SEQUENCE);
	header_breaks(data_header(8, 9), VSHM_RULE_RECORD_SEQUENCE);
	header_breaks(data_header(8, 8 + (1 << 23)), VSHM_RULE_RECORD_SEQUENCE);
	header_breaks(0, VSHM_RULE_RECORD_SEQUENCE);
	header_breaks(UINT64_MAX, VSHM_RULE_RECORD_SEQUENCE);
	for (uint32_t kind = 0; kind < 256; kind++)
		if (kind != VSHM_RECORD_DATA && kind != VSHM_RECORD_PAD && kind != VSHM_RECORD_RUN)
			header_breaks(vshmi_record_pack(8, kind, 8), VSHM_RULE_RECORD_KIND);
}
END_TEST

START_TEST(unlawful_pads)
{
	header_breaks(vshmi_record_pack(32, VSHM_RECORD_PAD, 8), VSHM_RULE_RECORD_PAD);
	header_breaks(vshmi_record_pack(48, VSHM_RECORD_PAD, 8), VSHM_RULE_RECORD_PAD);
	header_breaks(vshmi_record_pack(0, VSHM_RECORD_PAD, 8), VSHM_RULE_RECORD_PAD);
	header_breaks(vshmi_record_pack(39, VSHM_RECORD_PAD, 8), VSHM_RULE_RECORD_PAD);
	header_breaks(vshmi_record_pack(UINT32_MAX, VSHM_RECORD_PAD, 8), VSHM_RULE_RECORD_PAD);
	header_breaks(vshmi_record_pack(40, VSHM_RECORD_PAD, 9), VSHM_RULE_RECORD_SEQUENCE);
}
END_TEST

/* Two headers in a row where the first is a lawful pad. */
static void after_pad(uint64_t header, uint32_t rule, uint64_t tail)
{
	struct vshm_view view;
	struct world w;

	world_open(&w, 64, 48, 0);
	world_forge(&w, 48, vshmi_record_pack(8, VSHM_RECORD_PAD, 0));
	world_forge(&w, 64, header);
	vshmi_store64(&w.tail, tail);
	ck_is(world_peek(&w, &view, 1), rule ? -EPROTO : -EAGAIN);
	ck_assert_uint_eq(w.rx.fault.rule, rule);
	ck_assert_uint_eq(w.rx.head, 64);
	world_close(&w);
}

START_TEST(what_follows_a_pad)
{
	after_pad(0, VSHM_RULE_NONE, 64);
	after_pad(vshmi_record_pack(56, VSHM_RECORD_PAD, 1), VSHM_RULE_RECORD_PAD,
		  112); /* a lap does not begin with one */
	after_pad(vshmi_record_pack(0, VSHM_RECORD_PAD, 1), VSHM_RULE_RECORD_PAD, 72);
	after_pad(data_header(8, 0), VSHM_RULE_RECORD_SEQUENCE, 80);
	after_pad(data_header(16, 1), VSHM_RULE_RECORD_LENGTH, 80);
}
END_TEST

START_TEST(a_pad_must_be_whole)
{
	struct vshm_view view;
	struct world w;

	world_open(&w, 64, 32, 0);
	world_forge(&w, 32, vshmi_record_pack(24, VSHM_RECORD_PAD, 0));
	vshmi_store64(&w.tail, 56);
	ck_is(world_peek(&w, &view, 1), -EPROTO);
	ck_assert_uint_eq(w.rx.fault.rule, VSHM_RULE_RECORD_PAD);
	world_close(&w);
}
END_TEST

/* The first record may have any sequence number, and nothing else out of the ordinary. */
START_TEST(the_first_record_is_checked_too)
{
	const struct {
		uint64_t header;
		uint32_t rule;
	} first[] = {
		{data_header(8, 0xabcdef), VSHM_RULE_NONE},
		{data_header(56, 0xffffff), VSHM_RULE_NONE},
		{data_header(57, 3), VSHM_RULE_RECORD_LENGTH},
		{vshmi_record_pack(56, VSHM_RECORD_PAD, 3), VSHM_RULE_RECORD_PAD},
		{vshmi_record_pack(8, 0, 3), VSHM_RULE_RECORD_KIND},
		{vshmi_record_pack(8, 255, 3), VSHM_RULE_RECORD_KIND},
	};

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		struct vshm_view view;
		struct world w;

		world_open(&w, 64, 0, 0);
		world_forge(&w, 0, first[i].header);
		vshmi_store64(&w.tail, 64);
		ck_is(world_peek(&w, &view, 1), first[i].rule ? -EPROTO : 1);
		ck_assert_uint_eq(w.rx.fault.rule, first[i].rule);
		world_close(&w);
	}
}
END_TEST

/* Every header value with one bit wrong is refused, or is a lawful shorter record. */
START_TEST(every_bit_of_a_header)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t header = data_header(40, 8) ^ UINT64_C(1) << bit;
		struct vshm_view views[2];
		struct world w;
		int rc;

		world_open(&w, 64, 0, 7);
		ck_ok(world_send(&w, 8, 0));
		world_forge(&w, 16, header);
		vshmi_store64(&w.tail, 64);
		world_expect(&w, 8, 0);
		rc = vshmi_rx_peek(&w.rx, views, 1);
		ck_assert(rc == -EPROTO || (rc == 1 && bit < 6));
		if (rc == 1)
			ck_assert_uint_le(views[0].size, 40);
		world_close(&w);
	}
}
END_TEST

/* ---- what a consumer can do to a producer ---- */

static void head_breaks(uint64_t head, uint32_t rule)
{
	uint64_t before;
	struct world w;
	void *data;

	world_open(&w, 64, 128, 0);
	for (unsigned i = 0; i < 3; i++)
		ck_ok(world_send(&w, 8, i));
	vshmi_store64(&w.head, 144);
	ck_is(vshmi_tx_drained(&w.tx), -EAGAIN);
	before = w.tx.head;
	ck_assert_uint_eq(before, 144);
	vshmi_store64(&w.head, head);
	ck_is(vshmi_tx_reserve_slow(&w.tx, 8, &data), rule ? -EPROTO : 0);
	ck_is(vshmi_tx_drained(&w.tx), rule ? -EPROTO : head == w.tx.tail ? 0 : -EAGAIN);
	ck_assert_uint_eq(w.tx.fault.rule, rule);
	if (rule) {
		ck_assert_uint_eq(w.tx.fault.value, head);
		ck_assert_uint_eq(w.tx.fault.position, before);
		ck_assert_uint_eq(w.tx.head, before);
		ck_assert_uint_eq(w.tx.reserved, 0);
	}
	world_close(&w);
}

START_TEST(unlawful_heads)
{
	head_breaks(144, VSHM_RULE_NONE);
	head_breaks(152, VSHM_RULE_NONE); /* not where a record begins, but a number is all that a head is */
	head_breaks(176, VSHM_RULE_NONE);
	head_breaks(VSHM_NOT_STARTED, VSHM_RULE_NONE);
	head_breaks(145, VSHM_RULE_HEAD_ALIGN);
	head_breaks(148, VSHM_RULE_HEAD_ALIGN);
	head_breaks(UINT64_MAX - 1, VSHM_RULE_HEAD_ALIGN);
	head_breaks(136, VSHM_RULE_HEAD_RANGE); /* backwards */
	head_breaks(0, VSHM_RULE_HEAD_RANGE);
	head_breaks(184, VSHM_RULE_HEAD_RANGE); /* beyond the tail */
	head_breaks(UINT64_MAX - 7, VSHM_RULE_HEAD_RANGE);
	head_breaks(UINT64_C(1) << 63, VSHM_RULE_HEAD_RANGE);
}
END_TEST

/* What is committed and not published cannot have been read. */
START_TEST(a_head_beyond_the_published_tail)
{
	struct world w;
	void *data;

	world_open(&w, 64, 0, 0);
	ck_ok(world_append(&w, 8, 0));
	vshmi_store64(&w.head, 16);
	ck_is(vshmi_tx_reserve_slow(&w.tx, 8, &data), -EPROTO);
	ck_assert_uint_eq(w.tx.fault.rule, VSHM_RULE_HEAD_RANGE);
	(void)vshmi_tx_publish(&w.tx);
	ck_ok(vshmi_tx_reserve_slow(&w.tx, 8, &data));
	world_close(&w);
}
END_TEST

/* An armed word is a hint: whatever stands there costs a ring at most. */
START_TEST(any_armed_word_is_harmless)
{
	const uint64_t armed[] = {1, 7, 8, 24, 1 << 20, UINT64_C(1) << 63, UINT64_MAX - 7, UINT64_MAX};
	unsigned rings = 0;
	struct world w;

	world_open(&w, 64, 0, 0);
	for (unsigned i = 0; i < 8 * 4; i++) {
		struct vshm_view view;

		vshmi_store64(&w.consumer_armed, armed[i / 4]);
		vshmi_store64(&w.producer_armed, armed[i / 4]);
		ck_ok(world_append(&w, 8, i));
		rings += vshmi_tx_publish(&w.tx);
		ck_is(world_peek(&w, &view, 1), 1);
		ck_assert(support_same(view.data, 8, i));
		(void)vshmi_rx_release(&w.rx);
		rings += vshmi_rx_return(&w.rx);
	}
	ck_assert_uint_le(rings, 2 * 8); /* once for each value */
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_hostile");
	TCase *producer = tcase_create("producer"), *consumer = tcase_create("consumer");

	tcase_add_test(producer, unlawful_tails);
	tcase_add_test(producer, tails_while_records_are_held);
	tcase_add_test(producer, unlawful_headers);
	tcase_add_test(producer, unlawful_pads);
	tcase_add_test(producer, what_follows_a_pad);
	tcase_add_test(producer, a_pad_must_be_whole);
	tcase_add_test(producer, the_first_record_is_checked_too);
	tcase_add_test(producer, every_bit_of_a_header);
	tcase_add_test(consumer, unlawful_heads);
	tcase_add_test(consumer, a_head_beyond_the_published_tail);
	tcase_add_test(consumer, any_armed_word_is_harmless);
	suite_add_tcase(suite, producer);
	suite_add_tcase(suite, consumer);
	return unit_run("ring_hostile", suite);
}
