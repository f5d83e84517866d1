/* SPDX-License-Identifier: BSD-3-Clause */
/* ring: several consumers. The slowest decides, a liar is named and harms nobody, each is rung for itself. */
#include "ring/ring.h"
#include "unit.h"

#define READERS 3
#define PRODUCER_ID 700

struct herd {
	unsigned char *data;
	uint64_t size;
	struct vshmi_word64 tail, producer_armed;
	struct vshmi_tx tx;
	struct vshmi_reader reader[READERS];
	struct vshmi_word64 head[READERS], armed[READERS], id[READERS], back[READERS];
	struct vshmi_rx rx[READERS];
	uint64_t sent, received[READERS];
};

static void herd_open(struct herd *h, uint64_t size, uint64_t start)
{
	memset(h, 0, sizeof(*h));
	h->size = size;
	h->data = aligned_alloc(64, (size_t)vshmi_align_up(size, 64));
	ck_assert_ptr_nonnull(h->data);
	memset(h->data, 0xee, size);
	vshmi_tx_init(&h->tx, h->data, size, &h->tail, &h->producer_armed);
	h->tx.tail = h->tx.head = h->tx.published = start;
	vshmi_store64(&h->tail, start);
	for (unsigned i = 0; i < READERS; i++)
		vshmi_store64(&h->head[i], VSHM_NOT_STARTED);
}

static void herd_close(struct herd *h)
{
	free(h->data);
}

/* As the region does: the ids say that the entry is still this consumer's, and that it still wants this producer. */
static void grant(struct herd *h, unsigned i, uint64_t start)
{
	const struct vshmi_head from = {&h->head[i], &h->id[i], 10 + i, &h->back[i], PRODUCER_ID, NULL};

	vshmi_store64(&h->id[i], 10 + i);
	vshmi_store64(&h->back[i], PRODUCER_ID);
	vshmi_reader_connect(&h->tx, &h->reader[i], start, &from, &h->armed[i], false);
}

/* The consumer has seen its grant. */
static void start(struct herd *h, unsigned i)
{
	vshmi_rx_init(&h->rx[i], &h->head[i], &h->armed[i]);
	vshmi_rx_connect(&h->rx[i], h->data, h->size, h->reader[i].head, &h->tail, &h->producer_armed, false);
	h->received[i] = h->sent;
}

static void join(struct herd *h, unsigned i)
{
	grant(h, i, h->tx.tail);
	start(h, i);
}

static int look(struct herd *h)
{
	return vshmi_readers_look(&h->tx, h->reader, READERS);
}

/* As src/end/many.c: the heads are looked at when there is no room. */
static int append(struct herd *h, uint64_t size)
{
	void *data;
	int rc = vshmi_tx_reserve_slow(&h->tx, size, &data);

	if (rc == -EAGAIN) {
		ck_is(look(h), -1);
		rc = vshmi_tx_reserve_slow(&h->tx, size, &data);
	}
	if (rc)
		return rc;
	support_fill(data, size, h->sent);
	vshmi_tx_append(&h->tx, size);
	h->sent++;
	return 0;
}

static int send(struct herd *h, uint64_t size)
{
	int rc = append(h, size);

	vshmi_readers_publish(&h->tx, h->reader, READERS);
	return rc;
}

static void fill(struct herd *h, uint64_t size)
{
	int rc;

	while (!(rc = send(h, size)))
		;
	ck_is(rc, -EAGAIN);
}

static uint64_t size_of(uint64_t number)
{
	return number * 5 % 57;
}

/* One record, if there is one. */
static bool receive(struct herd *h, unsigned i)
{
	struct vshm_view view;
	int rc = vshmi_rx_refresh(&h->rx[i]);

	if (!rc)
		rc = vshmi_rx_peek(&h->rx[i], &view, 1);
	if (rc == -EAGAIN) {
		(void)vshmi_rx_return(&h->rx[i]);
		return false;
	}
	ck_is(rc, 1);
	ck_assert_uint_eq(view.size, size_of(h->received[i]));
	ck_assert(support_same(view.data, view.size, h->received[i]));
	h->received[i]++;
	if (vshmi_rx_release(&h->rx[i]))
		(void)vshmi_rx_return(&h->rx[i]);
	return true;
}

/* What a hostile consumer would store. */
static void claim(struct herd *h, unsigned i, uint64_t head)
{
	vshmi_store64(&h->head[i], head);
}

static uint64_t room(const struct herd *h)
{
	return h->tx.head + h->size - h->tx.tail;
}

/* ---- who is waited for ---- */

START_TEST(each_reads_every_record)
{
	uint64_t seed = 4;
	struct herd h;

	herd_open(&h, 256, 0);
	for (unsigned i = 0; i < READERS; i++)
		join(&h, i);
	while (h.sent < 20000) {
		unsigned i = (unsigned)support_below(&seed, READERS);

		while (support_below(&seed, 4) && !send(&h, size_of(h.sent)))
			;
		while (support_below(&seed, 4) && receive(&h, i))
			;
		for (unsigned k = 0; k < READERS; k++)
			ck_assert_uint_le(h.tx.tail - h.rx[k].head, h.size);
	}
	for (unsigned i = 0; i < READERS; i++) {
		while (receive(&h, i))
			;
		ck_assert_uint_eq(h.received[i], h.sent);
	}
	ck_is(look(&h), -1);
	ck_assert_uint_eq(h.tx.head, h.tx.tail);
	herd_close(&h);
}
END_TEST

START_TEST(the_slowest_decides)
{
	struct herd h;

	herd_open(&h, 128, 1024);
	for (unsigned i = 0; i < READERS; i++)
		join(&h, i);
	fill(&h, 8);
	ck_assert_uint_eq(h.sent, 8);
	claim(&h, 0, 1024 + 128);
	claim(&h, 1, 1024 + 32);
	ck_is(send(&h, 8), -EAGAIN);
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), 2);
	claim(&h, 2, 1024 + 64);
	ck_is(look(&h), -1);
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), 1);
	ck_assert_uint_eq(room(&h), 32);
	fill(&h, 8);
	ck_assert_uint_eq(h.sent, 10);
	for (unsigned i = 0; i < READERS; i++)
		claim(&h, i, h.tx.tail);
	ck_is(look(&h), -1);
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), -1);
	ck_assert_uint_eq(room(&h), 128);
	herd_close(&h);
}
END_TEST

/* At first everybody may be equally far behind; somebody has to be it. */
START_TEST(the_slowest_of_equals)
{
	struct herd h;

	herd_open(&h, 128, UINT64_C(1) << 63);
	for (unsigned i = 0; i < READERS; i++)
		join(&h, i);
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), -1);
	ck_ok(send(&h, 8));
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), 0);
	vshmi_reader_disconnect(&h.tx, &h.reader[0]);
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), 1);
	herd_close(&h);
}
END_TEST

/* It was granted, and everything from there on is for it, although it has not come to look. */
START_TEST(one_that_has_not_started_is_waited_for)
{
	struct herd h;

	herd_open(&h, 64, 0);
	join(&h, 0);
	grant(&h, 1, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_ok(send(&h, 8));
	claim(&h, 0, 64);
	ck_is(send(&h, 8), -EAGAIN);
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), 1);
	start(&h, 1);
	claim(&h, 1, 16);
	ck_ok(send(&h, 8));
	ck_is(send(&h, 8), -EAGAIN);
	herd_close(&h);
}
END_TEST

START_TEST(what_is_not_published_is_not_read)
{
	struct herd h;

	herd_open(&h, 128, 0);
	join(&h, 0);
	ck_ok(append(&h, 8));
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), 0);
	claim(&h, 0, 16);
	ck_is(look(&h), 0); /* it cannot know that */
	ck_assert_uint_eq(h.reader[0].fault.rule, VSHM_RULE_HEAD_RANGE);
	herd_close(&h);
}
END_TEST

START_TEST(nobody_is_there)
{
	struct herd h;

	herd_open(&h, 64, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_ok(send(&h, 8));
	ck_is(send(&h, 8), -EAGAIN);
	ck_is(look(&h), -1);
	ck_is(vshmi_readers_slowest(&h.tx, h.reader, READERS), -1);
	ck_assert_uint_eq(h.tx.head, 0); /* the records wait for the first that comes */
	herd_close(&h);
}
END_TEST

/* ---- comers and goers ---- */

/* Whoever comes may begin at the tail, also where it is not published yet: no head may lie behind the tail word. */
START_TEST(who_comes_finds_all_published)
{
	struct herd h;

	herd_open(&h, 128, 0);
	join(&h, 0);
	ck_ok(append(&h, size_of(0)));
	ck_assert_uint_eq(vshmi_load64(&h.tail), 0);
	grant(&h, 1, h.tx.tail);
	ck_assert_uint_eq(vshmi_load64(&h.tail), h.tx.tail);
	ck_assert_uint_eq(h.tx.published, h.tx.tail);
	start(&h, 1);
	ck_is(look(&h), -1);
	ck_ok(send(&h, size_of(1)));
	ck_assert(receive(&h, 1) && !receive(&h, 1));
	h.received[0] = 0;
	ck_assert(receive(&h, 0) && receive(&h, 0) && !receive(&h, 0));
	herd_close(&h);
}
END_TEST

START_TEST(who_leaves_holds_nothing_back)
{
	struct herd h;

	herd_open(&h, 64, 0);
	join(&h, 0);
	join(&h, 1);
	fill(&h, 8);
	claim(&h, 0, 48);
	vshmi_reader_disconnect(&h.tx, &h.reader[1]);
	ck_ok(send(&h, 8));
	ck_ok(send(&h, 8));
	ck_ok(send(&h, 8));
	ck_is(send(&h, 8), -EAGAIN);
	claim(&h, 1, 64); /* nobody listens to it any more */
	ck_is(look(&h), -1);
	ck_assert_uint_eq(h.tx.head, 48);
	herd_close(&h);
}
END_TEST

/* What it returned last counts, though the producer had not looked; the next one starts there. */
START_TEST(a_final_head_is_taken)
{
	struct herd h;

	herd_open(&h, 64, 0);
	join(&h, 0);
	fill(&h, 8);
	claim(&h, 0, 32);
	vshmi_reader_disconnect(&h.tx, &h.reader[0]);
	ck_assert(!h.reader[0].connected);
	ck_assert_uint_eq(h.reader[0].head, 32);
	herd_close(&h);
}
END_TEST

START_TEST(an_unlawful_final_head_is_not)
{
	struct herd h;

	herd_open(&h, 64, 0);
	join(&h, 0);
	fill(&h, 8);
	claim(&h, 0, 16);
	ck_is(look(&h), -1);
	claim(&h, 0, 80);
	vshmi_reader_disconnect(&h.tx, &h.reader[0]);
	ck_assert_uint_eq(h.reader[0].head, 16);
	herd_close(&h);
}
END_TEST

/* It was named for a lie; what it says since then is not listened to, however lawful. */
START_TEST(a_liar_has_no_last_word)
{
	struct herd h;

	herd_open(&h, 64, 0);
	join(&h, 0);
	fill(&h, 8);
	claim(&h, 0, 80);
	ck_is(look(&h), 0);
	claim(&h, 0, 64);
	vshmi_reader_disconnect(&h.tx, &h.reader[0]);
	ck_assert_uint_eq(h.reader[0].head, 0);
	herd_close(&h);
}
END_TEST

/* ---- liars ---- */

static void one_lie(uint64_t head, uint32_t rule)
{
	struct herd h;

	herd_open(&h, 128, 512);
	for (unsigned i = 0; i < READERS; i++)
		join(&h, i);
	fill(&h, 8);
	claim(&h, 0, 512 + 64);
	claim(&h, 1, 512 + 32);
	ck_is(look(&h), -1);
	claim(&h, 1, head);
	claim(&h, 2, 512 + 48);
	ck_is(look(&h), 1);
	ck_assert_uint_eq(h.reader[1].fault.rule, rule);
	ck_assert_uint_eq(h.reader[1].fault.value, head);
	ck_assert_uint_eq(h.reader[1].fault.position, 512 + 32);
	ck_assert_uint_eq(h.tx.head, 512 + 32); /* the others were heard, and the liar stays where it was */
	ck_assert_uint_eq(h.reader[2].head, 512 + 48);
	ck_assert_uint_eq(h.reader[0].fault.rule + h.reader[2].fault.rule + h.tx.fault.rule, 0);
	vshmi_reader_disconnect(&h.tx, &h.reader[1]);
	ck_is(look(&h), -1);
	ck_assert_uint_eq(h.tx.head, 512 + 48);
	ck_ok(send(&h, 8));
	herd_close(&h);
}

START_TEST(a_liar_is_named)
{
	one_lie(512 + 33, VSHM_RULE_HEAD_ALIGN);
	one_lie(512 + 24, VSHM_RULE_HEAD_RANGE); /* backwards */
	one_lie(512 + 136, VSHM_RULE_HEAD_RANGE); /* beyond what there is */
	one_lie(0, VSHM_RULE_HEAD_RANGE);
	one_lie(UINT64_MAX - 7, VSHM_RULE_HEAD_RANGE);
	one_lie(512 + (UINT64_C(1) << 63), VSHM_RULE_HEAD_RANGE);
}
END_TEST

START_TEST(two_liars_one_after_the_other)
{
	unsigned named = 0;
	struct herd h;
	int liar;

	herd_open(&h, 128, 0);
	for (unsigned i = 0; i < READERS; i++)
		join(&h, i);
	fill(&h, 8);
	claim(&h, 0, 7);
	claim(&h, 1, 64);
	claim(&h, 2, 1024);
	while ((liar = look(&h)) >= 0) {
		named |= 1u << liar;
		vshmi_reader_disconnect(&h.tx, &h.reader[liar]);
	}
	ck_assert_uint_eq(named, 5);
	ck_assert_uint_eq(room(&h), 64);
	herd_close(&h);
}
END_TEST

/* It was dropped and granted anew, and does not know of either: what it says is no lie, and it is waited for. */
START_TEST(one_that_does_not_know_of_its_new_grant)
{
	struct herd h;

	herd_open(&h, 64, 0);
	join(&h, 0);
	join(&h, 1);
	fill(&h, 8);
	claim(&h, 0, 64);
	claim(&h, 1, VSHM_NOT_STARTED);
	vshmi_reader_disconnect(&h.tx, &h.reader[1]);
	grant(&h, 1, 64);
	claim(&h, 1, 0); /* where the first grant said */
	fill(&h, 8);
	ck_assert_uint_eq(h.sent, 8);
	claim(&h, 1, 48);
	ck_is(send(&h, 8), -EAGAIN);
	claim(&h, 1, 80);
	claim(&h, 0, 80);
	ck_ok(send(&h, 8));
	claim(&h, 1, 48); /* by now it knows */
	ck_is(look(&h), 1);
	ck_assert_uint_eq(h.reader[1].fault.rule, VSHM_RULE_HEAD_RANGE);
	herd_close(&h);
}
END_TEST

/* A position in an entry that has another user, or in another producer's ring, is neither taken nor a lie. */
START_TEST(the_head_of_another_says_nothing)
{
	struct herd h;

	herd_open(&h, 128, 0);
	join(&h, 0);
	join(&h, 1);
	fill(&h, 8);
	vshmi_store64(&h.id[0], 99);
	claim(&h, 0, 4711);
	vshmi_store64(&h.back[1], 99);
	claim(&h, 1, 64);
	ck_is(look(&h), -1);
	ck_assert_uint_eq(h.reader[0].head + h.reader[1].head, 0);
	ck_assert_uint_eq(room(&h), 0);
	herd_close(&h);
}
END_TEST

/* ---- doorbells ---- */

static unsigned due(struct herd *h)
{
	unsigned rung = 0;

	for (unsigned i = 0; i < READERS; i++)
		if (vshmi_reader_due(&h->tx, &h->reader[i]))
			rung |= 1u << i;
	return rung;
}

START_TEST(each_is_rung_for_itself)
{
	struct herd h;

	herd_open(&h, 256, 0);
	for (unsigned i = 0; i < READERS; i++)
		join(&h, i);
	ck_ok(send(&h, 8));
	ck_assert_uint_eq(due(&h), 0); /* all awake */
	vshmi_store64(&h.armed[1], 24);
	ck_assert_uint_eq(due(&h), 0); /* that is not published */
	ck_ok(send(&h, 8));
	ck_assert_uint_eq(due(&h), 2);
	ck_assert_uint_eq(due(&h), 0); /* it was rung for that */
	vshmi_store64(&h.armed[0], 40);
	vshmi_store64(&h.armed[1], 40);
	vshmi_store64(&h.armed[2], 1 << 20);
	ck_ok(send(&h, 8));
	ck_assert_uint_eq(due(&h), 3);
	ck_assert_uint_eq(h.tx.rings, 3);
	vshmi_reader_disconnect(&h.tx, &h.reader[0]);
	vshmi_store64(&h.armed[0], 48);
	ck_assert_uint_eq(due(&h), 0);
	herd_close(&h);
}
END_TEST

/* The same position can be slept for by the next one in that place. */
START_TEST(the_next_one_is_rung_too)
{
	struct herd h;

	herd_open(&h, 256, 0);
	join(&h, 0);
	vshmi_store64(&h.armed[0], 8);
	ck_ok(send(&h, 8));
	ck_assert_uint_eq(due(&h), 1);
	vshmi_reader_disconnect(&h.tx, &h.reader[0]);
	grant(&h, 0, 0);
	ck_assert_uint_eq(due(&h), 1);
	herd_close(&h);
}
END_TEST

START_TEST(one_that_polls_is_not_rung)
{
	struct vshmi_head from;
	struct herd h;

	herd_open(&h, 256, 0);
	join(&h, 0);
	from = h.reader[0].from;
	vshmi_reader_connect(&h.tx, &h.reader[0], 0, &from, NULL, true);
	ck_assert(!h.reader[0].fence); /* who never sleeps needs no fence */
	vshmi_store64(&h.armed[0], 8);
	ck_ok(send(&h, 8));
	ck_assert_uint_eq(due(&h), 0);
	herd_close(&h);
}
END_TEST

/* A fence for one is a fence for all; without any such reader there is none. */
START_TEST(fences_for_those_who_need_it)
{
	struct vshmi_head from;
	struct herd h;

	herd_open(&h, 256, 0);
	join(&h, 0);
	join(&h, 1);
	vshmi_readers_publish(&h.tx, h.reader, READERS);
	ck_assert(!h.tx.fence);
	from = h.reader[1].from;
	vshmi_reader_connect(&h.tx, &h.reader[1], 0, &from, &h.armed[1], true);
	vshmi_readers_publish(&h.tx, h.reader, READERS);
	ck_assert(h.tx.fence);
	vshmi_reader_disconnect(&h.tx, &h.reader[1]);
	vshmi_readers_publish(&h.tx, h.reader, READERS);
	ck_assert(!h.tx.fence);
	ck_assert_uint_eq(h.tx.publications, 3);
	herd_close(&h);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_many");
	TCase *tcase = tcase_create("many");

	tcase_add_test(tcase, each_reads_every_record);
	tcase_add_test(tcase, the_slowest_decides);
	tcase_add_test(tcase, the_slowest_of_equals);
	tcase_add_test(tcase, one_that_has_not_started_is_waited_for);
	tcase_add_test(tcase, what_is_not_published_is_not_read);
	tcase_add_test(tcase, nobody_is_there);
	tcase_add_test(tcase, who_comes_finds_all_published);
	tcase_add_test(tcase, who_leaves_holds_nothing_back);
	tcase_add_test(tcase, a_final_head_is_taken);
	tcase_add_test(tcase, an_unlawful_final_head_is_not);
	tcase_add_test(tcase, a_liar_has_no_last_word);
	tcase_add_test(tcase, a_liar_is_named);
	tcase_add_test(tcase, two_liars_one_after_the_other);
	tcase_add_test(tcase, one_that_does_not_know_of_its_new_grant);
	tcase_add_test(tcase, the_head_of_another_says_nothing);
	tcase_add_test(tcase, each_is_rung_for_itself);
	tcase_add_test(tcase, the_next_one_is_rung_too);
	tcase_add_test(tcase, one_that_polls_is_not_rung);
	tcase_add_test(tcase, fences_for_those_who_need_it);
	suite_add_tcase(suite, tcase);
	return unit_run("ring_many", suite);
}
