/* SPDX-License-Identifier: BSD-3-Clause */
/* ring: runs, which are bursts behind one header: where they lie, how they are read in parts, and what is wrong with one. */
#include "ring_world.h"

#define MOST 64

/* A run of `count` records, keys from `key` on, in room that is there. */
static void append_run(struct world *w, uint64_t size, unsigned count, uint64_t key)
{
	uint64_t stride = vshmi_run_stride(size);
	unsigned char *first;
	void *unused;

	ck_ok(vshmi_tx_reserve(&w->tx, size, &unused));
	ck_assert_uint_le(count, vshmi_tx_run_room(&w->tx, size));
	first = w->data + (vshmi_run_first(w->tx.tail, stride) & (w->size - 1));
	for (unsigned i = 0; i < count; i++)
		support_fill(first + i * stride, size, key + i);
	vshmi_tx_append_run(&w->tx, size, count);
	(void)vshmi_tx_publish(&w->tx);
}

/* Reads `count` records, `step` at a time, whose keys begin with `key`. */
static void expect(struct world *w, uint64_t size, unsigned count, unsigned step, uint64_t key)
{
	struct vshm_view views[MOST];

	for (unsigned seen = 0; seen < count;) {
		unsigned most = step < count - seen ? step : count - seen;
		int n = world_peek(w, views, most);

		ck_assert_int_ge(n, 1);
		ck_assert_int_le(n, (int)most);
		for (int i = 0; i < n; i++, seen++) {
			ck_assert_uint_eq(views[i].size, size);
			ck_assert(support_same(views[i].data, size, key + seen));
		}
		(void)vshmi_rx_release(&w->rx);
		(void)vshmi_rx_return(&w->rx);
	}
}

static void one_run(uint64_t start, uint64_t size, unsigned count, unsigned step)
{
	struct vshm_view view;
	struct world w;

	world_open(&w, 4096, start, 3);
	append_run(&w, size, count, size);
	expect(&w, size, count, step, size);
	ck_is(world_peek(&w, &view, 1), -EAGAIN);
	ck_assert_uint_eq(vshmi_load64(&w.head), w.tx.tail);
	ck_assert_uint_eq(w.rx.records, count);
	ck_assert_uint_eq(vshmi_tx_records(&w.tx) + w.tx.first_sequence, 3 + count);
	ck_assert_uint_eq(w.rx.bytes, w.tx.bytes);
	ck_ok(vshmi_tx_drained(&w.tx));
	world_close(&w);
}

START_TEST(every_size_at_every_place)
{
	for (uint64_t size = 0; size <= 200; size++)
		for (uint64_t start = 0; start < 128; start += 8)
			for (unsigned step = 1; step <= 8; step += 3)
				one_run(start, size, 7, step);
}
END_TEST

/* Records of whole lines lie on lines, of half ones do not cross them. */
START_TEST(records_lie_on_lines)
{
	for (uint64_t at = 0; at < 256; at += 8) {
		ck_assert_uint_eq(vshmi_run_first(at, 64) % 64, 0);
		ck_assert_uint_eq(vshmi_run_first(at, 1024) % 64, 0);
		ck_assert_uint_eq(vshmi_run_first(at, 32) % 32, 0);
		ck_assert_uint_eq(vshmi_run_first(at, 48) % 16, 0);
		ck_assert_uint_eq(vshmi_run_first(at, 8), at + 16);
		ck_assert_uint_lt(vshmi_run_first(at, 64), at + 16 + 64);
	}
}
END_TEST

/* What is released of a run does not come again; the head stays before it, so that the memory is not reused. */
START_TEST(a_run_is_returned_as_a_whole)
{
	struct vshm_view views[4];
	struct world w;

	world_open(&w, 1024, 0, 0);
	append_run(&w, 8, 4, 0);
	for (unsigned i = 0; i < 4; i++) {
		ck_is(world_peek(&w, views, 1), 1);
		ck_is(world_peek(&w, views, 4), (int)(4 - i)); /* a peek can be repeated */
		ck_is(world_peek(&w, views, 1), 1);
		ck_assert(support_same(views[0].data, 8, i));
		(void)vshmi_rx_release(&w.rx);
		(void)vshmi_rx_return(&w.rx);
		ck_assert_uint_eq(vshmi_load64(&w.head), i < 3 ? 0 : w.tx.tail);
	}
	world_close(&w);
}
END_TEST

/* Runs, single records and pads in one stream, read in steps that end anywhere. */
START_TEST(mixed_stream)
{
	uint64_t seed = support_seed(), sent = 0, seen = 0;
	struct vshm_view views[MOST];
	struct world w;

	world_open(&w, 2048, 0, (1 << 24) - 50);
	while (seen < 20000) {
		unsigned count = 1 + (unsigned)support_below(&seed, 12);
		uint64_t size = support_below(&seed, 70);
		void *unused;
		int n, rc = vshmi_tx_reserve(&w.tx, size, &unused);

		if (!rc && count > 1 && vshmi_tx_run_room(&w.tx, size) >= count) {
			append_run(&w, size, count, sent);
			sent += count;
		} else if (!rc && !world_send(&w, size, sent)) {
			sent++;
		} else {
			(void)vshmi_tx_publish(&w.tx);
		}
		n = support_below(&seed, 3) ? world_peek(&w, views, 1 + (unsigned)support_below(&seed, MOST)) : 0;
		for (int i = 0; i < n; i++, seen++)
			ck_assert(support_same(views[i].data, views[i].size, seen));
		if (n > 0)
			(void)vshmi_rx_release(&w.rx);
		ck_assert_int_ne(n, -EPROTO);
		(void)vshmi_rx_return(&w.rx);
	}
	world_close(&w);
}
END_TEST

/* ---- one consumer after the other ---- */

static void leave(struct world *w, struct vshmi_word64 *part, uint64_t released)
{
	vshmi_store64(part, released);
	w->tx.peer.part_word = part;
	vshmi_tx_disconnect(&w->tx, true);
}

static void next_consumer(struct world *w)
{
	uint64_t start = vshmi_tx_resume(&w->tx);

	vshmi_tx_connect(&w->tx, start, &w->head, &w->consumer_armed, false);
	vshmi_rx_init(&w->rx, &w->head, &w->consumer_armed);
	vshmi_rx_connect(&w->rx, w->data, w->size, start, &w->tail, &w->producer_armed, false);
}

/* The next one begins with the record behind the last that was released. */
static void leave_after(uint64_t start, uint64_t size, unsigned released)
{
	struct vshmi_word64 part;
	struct world w;

	world_open(&w, 4096, start, 0);
	ck_ok(world_send(&w, 24, 1));
	append_run(&w, size, 9, 10);
	ck_ok(world_send(&w, 40, 2));
	world_expect(&w, 24, 1);
	expect(&w, size, released, 2, 10);
	leave(&w, &part, w.rx.done);
	next_consumer(&w);
	expect(&w, size, 9 - released, 4, 10 + released);
	world_expect(&w, 40, 2);
	ck_assert_uint_eq(w.rx.head, w.tx.tail);
	world_close(&w);
}

START_TEST(one_that_leaves_in_the_middle)
{
	for (uint64_t size = 0; size <= 136; size += 4)
		for (uint64_t start = 0; start < 128; start += 24)
			for (unsigned released = 0; released <= 9; released++)
				leave_after(start, size, released);
}
END_TEST

/* What the consumer says of the run is checked; it can only hurt whoever comes after it, by leaving records out. */
START_TEST(a_lie_about_the_part)
{
	const uint64_t lies[] = {9, 10, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct vshmi_word64 part;
		struct world w;

		world_open(&w, 1024, 0, 0);
		append_run(&w, 16, 9, 0);
		leave(&w, &part, lies[i]);
		next_consumer(&w);
		expect(&w, 16, 9, 9, 0);
		world_close(&w);
	}
}
END_TEST

START_TEST(a_part_of_what_is_no_run)
{
	struct vshmi_word64 part;
	struct world w;

	world_open(&w, 1024, 0, 0);
	ck_ok(world_send(&w, 64, 1));
	ck_ok(world_send(&w, 64, 2));
	leave(&w, &part, 1);
	next_consumer(&w);
	world_expect(&w, 64, 1);
	world_expect(&w, 64, 2);
	leave(&w, &part, 1); /* nothing is left */
	ck_assert_uint_eq(vshmi_tx_resume(&w.tx), w.tx.tail);
	world_close(&w);
}
END_TEST

/* The payload imitates a run, and the head points into it. */
START_TEST(a_forged_run_is_not_cut)
{
	struct vshmi_word64 part;
	unsigned char before[256];
	struct world w;
	uint64_t words[2] = {vshmi_record_pack(8 + 2 * 8, VSHM_RECORD_RUN, 4), vshmi_run_pack(8, 2)};
	void *data;

	world_open(&w, 256, 0, 5);
	ck_ok(vshmi_tx_reserve(&w.tx, 40, &data));
	memset(data, 0x77, 40);
	memcpy(data, words, sizeof(words));
	vshmi_tx_append(&w.tx, 40);
	ck_ok(world_send(&w, 24, 1));
	memcpy(before, w.data, sizeof(before));
	vshmi_store64(&w.head, 8);
	leave(&w, &part, 1);
	ck_assert_mem_eq(before, w.data, sizeof(before));
	ck_assert_uint_eq(vshmi_tx_resume(&w.tx), w.tx.tail);
	world_close(&w);
}
END_TEST

/* ---- what a producer can do to a consumer ---- */

/* A run at 0 of a ring of 256 bytes with this word behind its header. */
static void word_breaks(uint64_t payload, uint64_t word, uint32_t rule)
{
	struct vshm_view views[MOST];
	struct world w;

	world_open(&w, 256, 0, 0);
	ck_ok(world_send(&w, 8, 0));
	world_expect(&w, 8, 0); /* so that the sequence is known */
	world_forge(&w, 16, vshmi_record_pack(payload, VSHM_RECORD_RUN, 1));
	world_forge(&w, 24, word);
	vshmi_store64(&w.tail, 16 + 8 + 72);
	for (unsigned i = 0; i < 2; i++) {
		ck_is(world_peek(&w, views, MOST), -EPROTO);
		ck_assert_uint_eq(w.rx.fault.rule, rule);
	}
	ck_assert_uint_eq(w.rx.head, 16);
	world_close(&w);
}

START_TEST(unlawful_runs)
{
	struct vshm_run run;

	ck_assert(vshmi_run_read(vshmi_run_pack(8, 1), 0, 16, &run));
	ck_assert(!vshmi_run_read(vshmi_run_pack(8, 0), 0, 8, &run));
	word_breaks(72, vshmi_run_pack(8, 7), VSHM_RULE_RECORD_RUN); /* 8 would be right */
	word_breaks(72, vshmi_run_pack(8, 9), VSHM_RULE_RECORD_RUN);
	word_breaks(72, vshmi_run_pack(8, 0), VSHM_RULE_RECORD_RUN);
	word_breaks(72, vshmi_run_pack(9, 8), VSHM_RULE_RECORD_RUN);
	word_breaks(72, vshmi_run_pack(64, 1), VSHM_RULE_RECORD_RUN); /* it would begin at 64 */
	word_breaks(72, vshmi_run_pack(0, UINT32_MAX), VSHM_RULE_RECORD_RUN);
	word_breaks(72, vshmi_run_pack(UINT32_MAX, UINT32_MAX), VSHM_RULE_RECORD_RUN);
	word_breaks(72, vshmi_run_pack(UINT32_MAX, 1), VSHM_RULE_RECORD_RUN);
	word_breaks(72, vshmi_run_pack(UINT64_C(1) << 31, 2), VSHM_RULE_RECORD_RUN); /* their product wraps at 32 bits */
	word_breaks(71, vshmi_run_pack(8, 8), VSHM_RULE_RECORD_RUN);
	word_breaks(8, vshmi_run_pack(8, 0), VSHM_RULE_RECORD_RUN);
	word_breaks(7, vshmi_run_pack(8, 8), VSHM_RULE_RECORD_LENGTH);
	word_breaks(0, 0, VSHM_RULE_RECORD_LENGTH);
	word_breaks(80, vshmi_run_pack(8, 9), VSHM_RULE_RECORD_LENGTH); /* beyond the tail */
	word_breaks(UINT32_MAX, vshmi_run_pack(8, 8), VSHM_RULE_RECORD_LENGTH);
}
END_TEST

/* A run that shrinks while it is read in parts ends where it was begun, not behind it. */
START_TEST(a_run_that_shrinks)
{
	struct vshm_view views[4];
	struct world w;

	world_open(&w, 256, 0, 0);
	append_run(&w, 8, 4, 0);
	expect(&w, 8, 3, 3, 0);
	world_forge(&w, 0, vshmi_record_pack(8 + 16, VSHM_RECORD_RUN, 0));
	world_forge(&w, 8, vshmi_run_pack(8, 2));
	ck_is(world_peek(&w, views, 4), -EPROTO);
	ck_assert_uint_eq(w.rx.fault.rule, VSHM_RULE_RECORD_RUN);
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_runs");
	TCase *tc = tcase_create("runs");

	tcase_add_test(tc, every_size_at_every_place);
	tcase_add_test(tc, records_lie_on_lines);
	tcase_add_test(tc, a_run_is_returned_as_a_whole);
	tcase_add_test(tc, mixed_stream);
	tcase_add_test(tc, one_that_leaves_in_the_middle);
	tcase_add_test(tc, a_lie_about_the_part);
	tcase_add_test(tc, a_part_of_what_is_no_run);
	tcase_add_test(tc, a_forged_run_is_not_cut);
	tcase_add_test(tc, unlawful_runs);
	tcase_add_test(tc, a_run_that_shrinks);
	suite_add_tcase(suite, tc);
	return unit_run("ring_runs", suite);
}
