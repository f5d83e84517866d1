/* SPDX-License-Identifier: BSD-3-Clause */
/* ring: records of every size at every place of small rings, pads, bursts, long streams. */
#include "ring_world.h"

/* One record from `start` on, in an otherwise empty ring: it arrives, with a pad before it when it must. */
static void one_record(uint64_t ring, uint64_t start, uint64_t size)
{
	uint64_t span = vshmi_record_span(size), rest = ring - (start & (ring - 1));
	struct world w;
	int rc;

	world_open(&w, ring, start, 77);
	rc = world_send(&w, size, size);
	if (span > rest && rest + span > ring) {
		struct vshm_view view;

		ck_is(rc, -EAGAIN); /* the pad goes first, alone */
		ck_is(world_peek(&w, &view, 1), -EAGAIN);
		ck_assert(!vshmi_rx_return(&w.rx));
		rc = world_send(&w, size, size);
	}
	ck_ok(rc);
	ck_assert_uint_eq(w.tx.pads, span > rest);
	world_expect(&w, size, size);
	ck_assert_uint_eq(w.rx.head, w.tx.tail);
	ck_ok(vshmi_tx_drained(&w.tx));
	world_close(&w);
}

START_TEST(every_size_at_every_place)
{
	for (uint64_t ring = 8; ring <= 256; ring *= 2)
		for (uint64_t start = 0; start < ring; start += 8)
			for (uint64_t size = 0; size <= ring - 8; size++)
				one_record(ring, start, size);
}
END_TEST

/* Sizes that grow and wrap around, as many in flight as fit. */
static void stream(uint64_t ring, uint64_t start, uint64_t sequence, unsigned records)
{
	unsigned sent = 0, received = 0;
	struct world w;

	world_open(&w, ring, start, sequence);
	while (received < records) {
		int rc = 0;

		while (sent < records && !(rc = world_send(&w, sent * 5 % (ring - 7), sent)))
			sent++;
		ck_assert(!rc || rc == -EAGAIN);
		ck_assert_uint_le(w.tx.tail - w.tx.head, ring);
		if (received < sent) {
			world_expect(&w, received * 5 % (ring - 7), received);
			received++;
		} else { /* only a pad stood in the way */
			struct vshm_view view;

			ck_is(world_peek(&w, &view, 1), -EAGAIN);
			(void)vshmi_rx_return(&w.rx);
		}
	}
	ck_assert_uint_eq(w.rx.records, records);
	ck_assert_uint_eq(w.rx.bytes, w.tx.bytes);
	world_close(&w);
}

START_TEST(streams_of_mixed_sizes)
{
	for (uint64_t ring = 16; ring <= 1024; ring *= 2)
		stream(ring, 0, 0, 3000);
}
END_TEST

START_TEST(sequence_numbers_wrap_at_24_bits)
{
	stream(256, 0, (1 << 24) - 100, 500);
	stream(256, 8, UINT64_MAX - 100, 500);
}
END_TEST

/* A producer begins at 0 and never comes to 2^64 (58 years at 10 GB/s); but far it must come. */
START_TEST(positions_of_any_size)
{
	stream(64, (UINT64_C(1) << 32) - 64, 5, 500);
	stream(64, (UINT64_C(1) << 63) - 64, 5, 500);
	stream(1024, UINT64_C(15) << 60, 5, 500);
}
END_TEST

/* A consumer begins where the producer tells it, and that can be anywhere. */
START_TEST(a_consumer_goes_over_2_to_the_64)
{
	const uint64_t start = UINT64_MAX - 63;
	struct vshm_view views[8];
	unsigned seen = 0;
	struct world w;

	world_open(&w, 128, 0, 0);
	for (uint64_t i = 0; i < 8; i++)
		world_forge(&w, start + 16 * i, vshmi_record_pack(8, VSHM_RECORD_DATA, i));
	vshmi_store64(&w.tail, start + 128);
	vshmi_rx_connect(&w.rx, w.data, w.size, start, &w.tail, &w.producer_armed, false);
	while (seen < 8) {
		int n = world_peek(&w, views, 8);

		ck_assert_int_ge(n, 1);
		for (int i = 0; i < n; i++, seen++)
			ck_assert_ptr_eq(views[i].data, w.data + (start + 16 * seen) % 128 + 8);
		(void)vshmi_rx_release(&w.rx);
	}
	(void)vshmi_rx_return(&w.rx);
	ck_assert_uint_eq(vshmi_load64(&w.head), 64);
	ck_is(world_peek(&w, views, 8), -EAGAIN);
	world_close(&w);
}
END_TEST

START_TEST(full_means_again)
{
	struct world w;
	struct vshm_view view;

	world_open(&w, 64, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_ok(world_send(&w, 8, i));
	ck_is(world_send(&w, 8, 4), -EAGAIN);
	ck_is(world_send(&w, 0, 4), -EAGAIN);
	ck_is(world_peek(&w, &view, 1), 1);
	ck_is(world_send(&w, 8, 4), -EAGAIN); /* peeked is not released */
	(void)vshmi_rx_release(&w.rx);
	(void)vshmi_rx_return(&w.rx);
	ck_ok(world_send(&w, 8, 4));
	ck_is(world_send(&w, 8, 5), -EAGAIN);
	for (unsigned i = 1; i < 5; i++)
		world_expect(&w, 8, i);
	ck_is(world_peek(&w, &view, 1), -EAGAIN);
	world_close(&w);
}
END_TEST

START_TEST(too_large_is_refused_at_every_size)
{
	struct world w;
	void *data = &w;

	world_open(&w, 256, 0, 0);
	ck_is(vshmi_tx_reserve(&w.tx, 249, &data), -EMSGSIZE);
	ck_is(vshmi_tx_reserve(&w.tx, 256, &data), -EMSGSIZE);
	ck_is(vshmi_tx_reserve(&w.tx, 257, &data), -EMSGSIZE);
	ck_is(vshmi_tx_reserve(&w.tx, UINT32_MAX, &data), -EMSGSIZE);
	ck_is(vshmi_tx_reserve(&w.tx, UINT64_MAX, &data), -EMSGSIZE);
	ck_is(vshmi_tx_reserve(&w.tx, UINT64_MAX - 7, &data), -EMSGSIZE);
	ck_assert_ptr_eq(data, &w);
	ck_assert_uint_eq(w.tx.reserved, 0);
	ck_ok(vshmi_tx_reserve(&w.tx, 248, &data));
	world_close(&w);
}
END_TEST

START_TEST(a_shorter_commit_takes_less)
{
	struct world w;
	void *data;

	world_open(&w, 64, 0, 0);
	ck_ok(vshmi_tx_reserve(&w.tx, 56, &data));
	ck_assert_uint_eq(w.tx.reserved, 57);
	support_fill(data, 3, 9);
	vshmi_tx_append(&w.tx, 3);
	ck_assert(!vshmi_tx_publish(&w.tx));
	ck_assert_uint_eq(w.tx.tail, 16);
	world_expect(&w, 3, 9);
	world_close(&w);
}
END_TEST

START_TEST(nothing_shows_before_it_is_published)
{
	struct vshm_view views[4];
	struct world w;

	world_open(&w, 256, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		ck_ok(world_append(&w, 8, i));
	ck_is(world_peek(&w, views, 4), -EAGAIN);
	ck_assert(!vshmi_tx_publish(&w.tx));
	ck_is(world_peek(&w, views, 4), 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(support_same(views[i].data, 8, i));
	ck_assert_uint_eq(w.tx.publications, 1);
	world_close(&w);
}
END_TEST

/* Peeks of every length over records with a pad among them show each once, in order. */
static void burst_over_pad(unsigned count)
{
	struct vshm_view views[8];
	unsigned seen = 0;
	struct world w;

	world_open(&w, 128, 80, 3);
	for (unsigned i = 0; i < 5; i++)
		ck_ok(world_append(&w, i == 2 ? 24 : 8, i)); /* 80, 96, pad of 16, 128: 32, 160, 176 */
	(void)vshmi_tx_publish(&w.tx);
	ck_assert_uint_eq(w.tx.pads, 1);
	while (seen < 5) {
		int n = world_peek(&w, views, count);

		ck_assert_int_ge(n, 1);
		ck_assert_int_le(n, (int)count);
		for (int i = 0; i < n; i++, seen++) {
			ck_assert_uint_eq(views[i].size, seen == 2 ? 24 : 8);
			ck_assert(support_same(views[i].data, views[i].size, seen));
		}
		(void)vshmi_rx_release(&w.rx);
	}
	ck_is(world_peek(&w, views, count), -EAGAIN);
	ck_assert_uint_eq(w.rx.head, w.tx.tail);
	ck_assert_uint_eq(w.rx.records, 5);
	world_close(&w);
}

START_TEST(bursts_over_a_pad)
{
	for (unsigned count = 1; count <= 8; count++)
		burst_over_pad(count);
}
END_TEST

START_TEST(burst_of_equal_records)
{
	struct vshm_view views[8];
	unsigned seen = 0;
	struct world w;
	void *data;

	world_open(&w, 256, 16, 0);
	ck_ok(vshmi_tx_reserve(&w.tx, 5, &data));
	for (unsigned i = 0; i < 6; i++)
		support_fill((unsigned char *)data + i * vshmi_record_span(5), 5, i);
	vshmi_tx_append_burst(&w.tx, 5, 6);
	(void)vshmi_tx_publish(&w.tx);
	ck_assert_uint_eq(w.tx.tail, 16 + 6 * 16);
	while (seen < 6) {
		int n = world_peek(&w, views, 8);

		ck_assert_int_ge(n, 1);
		for (int i = 0; i < n; i++, seen++)
			ck_assert(views[i].size == 5 && support_same(views[i].data, 5, seen));
		(void)vshmi_rx_release(&w.rx);
	}
	ck_is(world_peek(&w, views, 8), -EAGAIN);
	world_close(&w);
}
END_TEST

START_TEST(a_peek_can_be_repeated)
{
	struct vshm_view first, second;
	struct world w;

	world_open(&w, 64, 0, 0);
	ck_ok(world_send(&w, 8, 1));
	ck_is(world_peek(&w, &first, 1), 1);
	ck_is(world_peek(&w, &second, 1), 1);
	ck_assert_ptr_eq(first.data, second.data);
	(void)vshmi_rx_release(&w.rx);
	ck_is(world_peek(&w, &first, 1), -EAGAIN);
	world_close(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_records");
	TCase *tcase = tcase_create("records");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, every_size_at_every_place);
	tcase_add_test(tcase, streams_of_mixed_sizes);
	tcase_add_test(tcase, sequence_numbers_wrap_at_24_bits);
	tcase_add_test(tcase, positions_of_any_size);
	tcase_add_test(tcase, a_consumer_goes_over_2_to_the_64);
	tcase_add_test(tcase, full_means_again);
	tcase_add_test(tcase, too_large_is_refused_at_every_size);
	tcase_add_test(tcase, a_shorter_commit_takes_less);
	tcase_add_test(tcase, nothing_shows_before_it_is_published);
	tcase_add_test(tcase, bursts_over_a_pad);
	tcase_add_test(tcase, burst_of_equal_records);
	tcase_add_test(tcase, a_peek_can_be_repeated);
	suite_add_tcase(suite, tcase);
	return unit_run("ring_records", suite);
}
