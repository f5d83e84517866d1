/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring: the latest records. Every load of a shared word is a place where the reader can be stopped while the producer goes
 * on: what is read is one whole record, and what was missed is counted exactly.
 */
#define VSHM_TEST_HOOKS 1
#include "ring/latest.c"
#include "unit.h"

struct world {
	unsigned char *data;
	uint64_t size, most; /* of the ring; of a record */
	struct vshmi_word64 tail, producer_armed, oldest, newest, id;
	struct vshmi_tx tx;
	struct vshmi_latest_tx latest;
	struct vshmi_latest_rx rx;
	uint64_t *out, *in; /* as large as the largest record */
	uint64_t first; /* number of the first record that was sent */
	uint64_t seed;
};

/* ---- the hooks ---- */

static uint64_t loads, pause_at; /* counted from 1; 0: never */
static void (*meanwhile)(struct world *w);
static struct world *pausing;

uint64_t vshmi_hook_load(const void *word, unsigned size, enum vshmi_hook_order order)
{
	uint64_t value = 0;

	(void)order;
	if (++loads == pause_at && pausing)
		meanwhile(pausing);
	memcpy(&value, word, size);
	return value;
}

void vshmi_hook_store(void *word, unsigned size, uint64_t value, enum vshmi_hook_order order)
{
	(void)order;
	memcpy(word, &value, size);
}

bool vshmi_hook_compare_exchange(void *word, uint32_t expected, uint32_t wanted)
{
	(void)word;
	(void)expected;
	(void)wanted;
	ck_abort_msg("compare-and-swap");
	return false;
}

void vshmi_hook_fence(enum vshmi_hook_fence fence)
{
	(void)fence;
}

void vshmi_hook_copy_in(void *private_copy, const void *shared, size_t size)
{
	memcpy(private_copy, shared, size);
}

void vshmi_hook_copy_out(void *shared, const void *private_copy, size_t size)
{
	memcpy(shared, private_copy, size);
}

void vshmi_hook_call_begins(void) {}

/* `act` runs before that load of the next read. */
static void stop_at(struct world *w, uint64_t load, void (*act)(struct world *w))
{
	loads = 0;
	pause_at = load;
	pausing = w;
	meanwhile = act;
}

/* ---- the world ---- */

static void set(struct vshmi_word64 *word, uint64_t value)
{
	vshmi_store64(word, value);
}

/* A ring of `size` bytes whose stream so far is `start` bytes and `number` records long, and a reader that is up to date. */
static void world_open(struct world *w, uint64_t size, uint64_t start, uint64_t number)
{
	memset(w, 0, sizeof(*w));
	stop_at(NULL, 0, NULL);
	w->size = size;
	w->most = vshmi_latest_max_record(size);
	w->seed = size + start + number;
	w->first = number;
	w->data = aligned_alloc(64, (size_t)size);
	w->out = malloc(w->most + 1);
	w->in = malloc(w->most + 1);
	ck_assert(w->data && w->out && w->in);
	memset(w->data, 0xee, size);
	vshmi_tx_init(&w->tx, w->data, size, &w->tail, &w->producer_armed);
	w->tx.tail = w->tx.published = start;
	w->tx.sequence = number;
	set(&w->tail, start);
	vshmi_latest_init(&w->latest, &w->tx, &w->oldest, &w->newest);
	w->latest.oldest = start;
	set(&w->oldest, start);
	set(&w->newest, start);
	set(&w->id, 7);
	w->rx = (struct vshmi_latest_rx){
		.data = w->data,
		.size = size,
		.position = start,
		.expected = number,
		.tail_word = &w->tail,
		.oldest_word = &w->oldest,
		.newest_word = &w->newest,
		.id_word = &w->id,
		.id = 7,
	};
}

static void world_close(struct world *w)
{
	pausing = NULL;
	free(w->data);
	free(w->out);
	free(w->in);
}

/* Some length for each number, up to the largest. */
static uint64_t size_of(const struct world *w, uint64_t number)
{
	uint64_t state = number + w->size;

	return support_below(&state, w->most + 1);
}

static void append_sized(struct world *w, uint64_t size)
{
	memset(w->out, 0, w->most);
	support_fill(w->out, size, w->tx.sequence);
	vshmi_latest_append(&w->latest, &w->tx, w->out, size);
}

static void publish(struct world *w)
{
	vshmi_readers_publish(&w->tx, NULL, 0);
}

static void send(struct world *w)
{
	append_sized(w, size_of(w, w->tx.sequence));
	publish(w);
}

static int read_any(struct world *w, uint64_t *size)
{
	memset(w->in, 0xcc, w->most);
	*size = UINT64_MAX;
	return vshmi_latest_read(&w->rx, w->in, size);
}

/* Reads one; whatever it is, it is whole, and its number is that of the last plus what was lost. */
static bool receive(struct world *w)
{
	uint64_t expected = w->rx.expected, lost = w->rx.lost, size;
	bool first = w->rx.first;
	int rc = read_any(w, &size);
	uint64_t number = w->rx.expected - 1;

	if (rc == -EAGAIN)
		return false;
	ck_assert_msg(rc == 0, "accused: rule %u", w->rx.fault.rule);
	ck_assert(first || number == expected + (w->rx.lost - lost));
	ck_assert_uint_lt(number, w->tx.sequence);
	ck_assert_uint_eq(size, size_of(w, number));
	ck_assert(support_same(w->in, size, number));
	return true;
}

/* ---- in time ---- */

static void one_record(uint64_t ring, uint64_t start, uint64_t size)
{
	uint64_t span = VSHMI_LATEST_HEADER + vshmi_align_up(size, 8), rest = ring - start % ring, got;
	struct world w;

	world_open(&w, ring, start, 77);
	append_sized(&w, size);
	ck_is(read_any(&w, &got), -EAGAIN); /* not published */
	publish(&w);
	ck_ok(read_any(&w, &got));
	ck_assert_uint_eq(got, size);
	ck_assert(support_same(w.in, size, 77));
	for (uint64_t i = size; i < vshmi_align_up(size, 8); i++)
		ck_assert_uint_eq(((unsigned char *)w.in)[i], 0); /* nothing else of the producer's memory shows */
	ck_assert_uint_eq(w.tx.tail - start, span > rest ? rest + span : span);
	ck_assert_uint_eq(w.rx.position, w.tx.tail);
	ck_assert_uint_eq(w.rx.lost, 0);
	ck_is(read_any(&w, &got), -EAGAIN);
	world_close(&w);
}

START_TEST(every_size_at_every_place)
{
	for (uint64_t ring = 64; ring <= 1024; ring *= 4)
		for (uint64_t start = 0; start < ring; start += 8)
			for (uint64_t size = 0; size <= vshmi_latest_max_record(ring); size++)
				one_record(ring, start, size);
}
END_TEST

START_TEST(the_largest_record)
{
	struct world w;
	uint64_t size;

	world_open(&w, VSHM_MIN_RING, 0, 0);
	for (unsigned i = 0; i < 100; i++) { /* four of them are the ring, so that no pad is needed */
		append_sized(&w, w.most);
		publish(&w);
		ck_ok(read_any(&w, &size));
		ck_assert(size == w.most && support_same(w.in, size, i));
	}
	ck_assert_uint_eq(w.tx.tail, 100 * VSHM_MIN_RING / 4);
	world_close(&w);
}
END_TEST

static void in_time(uint64_t ring, uint64_t start, uint64_t number)
{
	struct world w;

	world_open(&w, ring, start, number);
	for (unsigned i = 0; i < 3000; i++) {
		send(&w);
		ck_assert(receive(&w) && !receive(&w));
	}
	ck_assert_uint_eq(w.rx.lost, 0);
	ck_assert_uint_eq(w.rx.expected, number + 3000);
	world_close(&w);
}

START_TEST(a_reader_in_time_loses_nothing)
{
	for (uint64_t ring = 128; ring <= 4096; ring *= 2)
		in_time(ring, 0, 0);
	in_time(256, (UINT64_C(1) << 32) - 256, (1 << 24) - 100);
	in_time(256, (UINT64_C(1) << 63) - 512, UINT32_MAX - UINT64_C(100));
	in_time(256, UINT64_C(15) << 60, (UINT64_C(1) << 63) - 100);
}
END_TEST

/* A producer begins at 0; but a reader is told where it is, and that can be anywhere. */
START_TEST(a_reader_goes_over_2_to_the_64)
{
	const uint64_t start = UINT64_MAX - 127;
	uint64_t header, number, size;
	struct world w;

	world_open(&w, 256, start, 0);
	for (number = 0; number < 4; number++) {
		unsigned char *at = w.data + ((start + 64 * number) & 255);

		header = vshmi_record_pack(48, VSHM_RECORD_DATA, number);
		memcpy(at, &header, 8);
		memcpy(at + 8, &number, 8);
		support_fill(at + 16, 48, number);
	}
	set(&w.tail, start + 256);
	for (number = 0; number < 4; number++) {
		ck_ok(read_any(&w, &size));
		ck_assert(size == 48 && support_same(w.in, size, number));
	}
	ck_is(read_any(&w, &size), -EAGAIN);
	ck_assert_uint_eq(w.rx.position, 128);
	world_close(&w);
}
END_TEST

/* ---- what is given up ---- */

#define STARTS 20000

/* The oldest record is always a record (or pad), no more than a ring away, and not much less. */
static void keep_up(uint64_t ring, uint64_t start)
{
	static uint64_t starts[STARTS]; /* where records and pads begin, in order */
	uint64_t oldest = start, count = 0, i = 0;
	struct world w;

	world_open(&w, ring, start, 0);
	while (w.tx.tail - start < 300 * ring) {
		uint64_t before = w.tx.tail, newest;

		send(&w);
		newest = vshmi_load64(&w.newest);
		ck_assert_uint_lt(count, STARTS - 1);
		starts[count++] = before;
		if (newest != before)
			starts[count++] = newest; /* before it lies a pad */
		ck_assert_uint_eq(newest % 8, 0);
		ck_assert_uint_ge(vshmi_load64(&w.oldest), oldest);
		oldest = vshmi_load64(&w.oldest);
		ck_assert_uint_le(w.tx.tail - oldest, ring);
		ck_assert(w.tx.tail - start < ring || w.tx.tail - oldest >= ring / 2);
		while (i < count && starts[i] < oldest)
			i++;
		ck_assert_msg(i < count && starts[i] == oldest, "the oldest is inside a record");
	}
	world_close(&w);
}

START_TEST(the_oldest_is_a_record)
{
	for (uint64_t ring = 64; ring <= 16384; ring *= 2)
		keep_up(ring, 0);
	keep_up(1024, (UINT64_C(1) << 32) - 1024);
	keep_up(256, UINT64_C(15) << 60);
}
END_TEST

/* Records of no bytes, many in each piece; and such that span several pieces. */
static void keep_sized(uint64_t ring, uint64_t size)
{
	uint64_t kept = 0, got;
	struct world w;

	world_open(&w, ring, 0, 0);
	for (unsigned i = 0; i < 20 * ring / 16; i++) {
		append_sized(&w, size);
		publish(&w);
	}
	ck_assert_uint_le(w.tx.tail - w.latest.oldest, ring);
	ck_assert_uint_ge(w.tx.tail - w.latest.oldest, ring - ring / 4 - ring / VSHMI_LATEST_PIECES);
	while (!read_any(&w, &got)) {
		ck_assert_uint_eq(got, size);
		kept++;
	}
	ck_assert_uint_eq(w.rx.lost + kept, w.tx.sequence);
	world_close(&w);
}

START_TEST(as_much_as_possible_is_kept)
{
	for (uint64_t ring = 256; ring <= 16384; ring *= 4) {
		keep_sized(ring, 0);
		keep_sized(ring, 1);
		keep_sized(ring, 30);
		keep_sized(ring, vshmi_latest_max_record(ring));
		keep_sized(ring, vshmi_latest_max_record(ring) - 9);
	}
}
END_TEST

/* ---- what is missed ---- */

static void some_are_missed(uint64_t ring, uint64_t start, uint64_t number)
{
	uint64_t received = 0;
	struct world w;

	world_open(&w, ring, start, number);
	while (w.tx.sequence - number < 20000) {
		for (uint64_t n = support_below(&w.seed, ring / 8); n > 0; n--)
			send(&w);
		for (uint64_t n = support_below(&w.seed, ring / 16); n > 0 && receive(&w); n--)
			received++;
	}
	while (receive(&w))
		received++;
	ck_assert_uint_eq(received + w.rx.lost, w.tx.sequence - number);
	ck_assert_uint_eq(w.rx.expected, w.tx.sequence);
	ck_assert_uint_gt(w.rx.lost, 0);
	ck_assert_uint_gt(received, 300);
	world_close(&w);
}

START_TEST(losses_are_counted_exactly)
{
	for (uint64_t ring = 128; ring <= 4096; ring *= 2)
		some_are_missed(ring, 0, 0);
	some_are_missed(512, (UINT64_C(1) << 32) - 512, (1 << 24) - 1000);
	some_are_missed(512, (UINT64_C(1) << 63) - 512, UINT32_MAX - UINT64_C(1000));
	some_are_missed(512, UINT64_C(15) << 60, 5);
}
END_TEST

START_TEST(begins_with_the_newest)
{
	for (unsigned sent = 1; sent < 200; sent++) {
		struct world w;

		world_open(&w, 512, 0, 40);
		w.rx.first = true;
		w.rx.expected = 0;
		ck_assert(!receive(&w));
		for (unsigned i = 0; i < sent; i++)
			send(&w);
		ck_assert(receive(&w));
		ck_assert_uint_eq(w.rx.expected, 40 + sent);
		ck_assert_uint_eq(w.rx.lost, 0); /* what was before is not missed */
		ck_assert(!receive(&w));
		world_close(&w);
	}
}
END_TEST

/* A record that is written, but not published, is not the newest. */
START_TEST(begins_when_something_is_published)
{
	struct world w;

	world_open(&w, 512, 0, 0);
	w.rx.first = true;
	send(&w);
	append_sized(&w, size_of(&w, 1));
	ck_assert(!receive(&w));
	publish(&w);
	ck_assert(receive(&w));
	ck_assert_uint_eq(w.rx.expected, 2);
	world_close(&w);
}
END_TEST

/* ---- a reader that is stopped ---- */

static unsigned burst; /* records that the producer sends meanwhile */

static void go_on(struct world *w)
{
	for (unsigned i = 0; i < burst; i++)
		send(w);
}

/* Stopped before that load: is there another one? */
static bool stopped_at(uint64_t load, unsigned before, bool first)
{
	uint64_t received = 0;
	bool stopped;
	struct world w;

	world_open(&w, 256, 0, 0);
	w.rx.first = first;
	for (unsigned i = 0; i < before; i++)
		send(&w);
	stop_at(&w, load, go_on);
	received += receive(&w);
	stopped = loads >= load;
	pausing = NULL;
	if (first)
		received = w.rx.first ? 0 : w.rx.expected - w.rx.lost; /* counts from the one that it began with */
	while (receive(&w))
		received++;
	ck_assert(first ? received + w.rx.lost <= w.tx.sequence + w.rx.lost : received + w.rx.lost == w.tx.sequence);
	ck_assert_uint_eq(w.rx.expected, w.tx.sequence);
	world_close(&w);
	return stopped;
}

START_TEST(stopped_at_any_load)
{
	for (unsigned before = 1; before < 24; before++)
		for (burst = 1; burst < 24; burst++)
			for (unsigned first = 0; first < 2; first++)
				for (uint64_t load = 1; stopped_at(load, before, first); load++)
					ck_assert_uint_lt(load, 200);
}
END_TEST

/* At random loads, again and again. */
static void go_on_and_on(struct world *w)
{
	burst = (unsigned)support_below(&w->seed, 12);
	go_on(w);
	pause_at = loads + 1 + support_below(&w->seed, 60);
}

START_TEST(stopped_again_and_again)
{
	uint64_t received = 0;
	struct world w;

	world_open(&w, 512, 0, 0);
	while (w.tx.sequence < 100000) {
		send(&w);
		stop_at(&w, 1 + support_below(&w.seed, 60), go_on_and_on);
		received += receive(&w);
		pausing = NULL;
	}
	while (receive(&w))
		received++;
	ck_assert_uint_eq(received + w.rx.lost, w.tx.sequence);
	ck_assert_uint_gt(w.rx.lost, 10000);
	ck_assert_uint_gt(received, 10000);
	world_close(&w);
}
END_TEST

/* Overwritten before it could be copied, each time: the reader gives up, and is not stopped for ever. */
static void overtake(struct world *w)
{
	burst = 40;
	go_on(w);
	pause_at = loads + 1;
}

START_TEST(overtaken_each_time)
{
	struct world w;

	world_open(&w, 256, 0, 0);
	send(&w);
	stop_at(&w, 1, overtake);
	ck_assert(!receive(&w));
	ck_assert_uint_lt(loads, 2000);
	ck_assert_uint_eq(w.rx.lost, 0); /* counted when a record shows how many */
	pausing = NULL;
	ck_assert(receive(&w));
	ck_assert_uint_gt(w.rx.lost, 100);
	world_close(&w);
}
END_TEST

/* Its slot was given up, and the memory is another ring's now, whose words look as if nothing was overwritten. */
static void give_up(struct world *w)
{
	set(&w->id, 8);
	set(&w->oldest, 0);
	set(&w->newest, 0);
	set(&w->tail, 0);
	memset(w->data, 0x11, w->size);
}

START_TEST(of_another_ring_nothing_is_read)
{
	uint64_t size;
	bool stopped = true;

	for (uint64_t load = 1; stopped; load++) {
		struct world w;

		world_open(&w, 256, 0, 0);
		append_sized(&w, w.most);
		publish(&w);
		stop_at(&w, load, give_up);
		if (!read_any(&w, &size))
			ck_assert(size == w.most && support_same(w.in, size, 0));
		stopped = loads >= load;
		pausing = NULL;
		if (stopped)
			ck_is(read_any(&w, &size), -EAGAIN);
		world_close(&w);
	}
}
END_TEST

/* ---- a producer that breaks a rule ---- */

static void put(struct world *w, uint64_t position, uint64_t word)
{
	memcpy(w->data + (position & (w->size - 1)), &word, 8);
}

/* Three records are there, the reader has read the first, at 0; the others begin at `second` and `third`. */
static uint64_t second, third;

static void world_three(struct world *w)
{
	uint64_t size;

	world_open(w, 256, 0, 0);
	append_sized(w, 40);
	second = w->tx.tail;
	append_sized(w, 40);
	third = w->tx.tail;
	append_sized(w, 40);
	publish(w);
	ck_ok(read_any(w, &size));
}

static void accuse(struct world *w, uint32_t rule)
{
	uint64_t size;

	ck_is(read_any(w, &size), -EPROTO);
	ck_assert_uint_eq(w->rx.fault.rule, rule);
	world_close(w);
}

START_TEST(unlawful_positions)
{
	static const struct {
		uint64_t tail;
		uint32_t rule;
	} tails[] = {
		{100, VSHM_RULE_TAIL_ALIGN},	  {48, VSHM_RULE_TAIL_RANGE},
		{56 + 264, VSHM_RULE_TAIL_RANGE}, {UINT64_MAX - 7, VSHM_RULE_TAIL_RANGE},
		{0, VSHM_RULE_TAIL_RANGE},	  {UINT64_C(1) << 62, VSHM_RULE_TAIL_RANGE},
	};
	struct world w;

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		world_three(&w);
		ck_assert_uint_eq(w.rx.position, 56);
		set(&w.tail, tails[i].tail);
		accuse(&w, tails[i].rule);
	}
	world_three(&w);
	set(&w.oldest, 60);
	accuse(&w, VSHM_RULE_TAIL_ALIGN);
}
END_TEST

static void accuse_header(uint64_t header, uint32_t rule)
{
	struct world w;

	world_three(&w);
	put(&w, second, header);
	accuse(&w, rule);
}

START_TEST(unlawful_headers)
{
	const uint64_t most = vshmi_latest_max_record(256);

	accuse_header(vshmi_record_pack(40, 0, 1), VSHM_RULE_RECORD_KIND);
	accuse_header(vshmi_record_pack(40, 3, 1), VSHM_RULE_RECORD_KIND);
	accuse_header(vshmi_record_pack(most + 1, VSHM_RECORD_DATA, 1), VSHM_RULE_RECORD_LENGTH);
	accuse_header(vshmi_record_pack(UINT32_MAX, VSHM_RECORD_DATA, 1), VSHM_RULE_RECORD_LENGTH);
	accuse_header(vshmi_record_pack(UINT32_MAX - 7, VSHM_RECORD_DATA, 1), VSHM_RULE_RECORD_LENGTH);
	accuse_header(vshmi_record_pack(40, VSHM_RECORD_DATA, 2), VSHM_RULE_RECORD_SEQUENCE);
	accuse_header(vshmi_record_pack(200, VSHM_RECORD_PAD, 1), VSHM_RULE_RECORD_PAD); /* beyond the tail */
	accuse_header(vshmi_record_pack(192, VSHM_RECORD_PAD, 1), VSHM_RULE_RECORD_PAD);
	accuse_header(vshmi_record_pack(0, VSHM_RECORD_PAD, 1), VSHM_RULE_RECORD_PAD);
}
END_TEST

/* A record reaches neither over the tail nor over the end of the ring. */
START_TEST(unlawful_places)
{
	uint64_t size;
	struct world w;

	world_three(&w);
	set(&w.tail, second + 48);
	accuse(&w, VSHM_RULE_RECORD_LENGTH);
	world_three(&w);
	set(&w.tail, second + 8);
	accuse(&w, VSHM_RULE_RECORD_LENGTH);
	world_three(&w);
	ck_ok(read_any(&w, &size));
	ck_ok(read_any(&w, &size));
	ck_assert_uint_eq(w.rx.position, 168);
	put(&w, 168, vshmi_record_pack(48, VSHM_RECORD_DATA, 3));
	put(&w, 176, 3);
	put(&w, 232, vshmi_record_pack(16, VSHM_RECORD_DATA, 4)); /* 32 bytes where 24 are left */
	put(&w, 240, 4);
	set(&w.tail, 264);
	ck_ok(read_any(&w, &size));
	accuse(&w, VSHM_RULE_RECORD_LENGTH);
	world_three(&w);
	w.rx.position = w.size; /* a whole lap of padding */
	set(&w.tail, 2 * w.size);
	put(&w, 0, vshmi_record_pack(w.size - 8, VSHM_RECORD_PAD, 1));
	accuse(&w, VSHM_RULE_RECORD_PAD);
}
END_TEST

static void accuse_number(uint64_t number, bool lapped, uint32_t rule)
{
	uint64_t lost, size;
	struct world w;

	world_three(&w);
	if (lapped)
		set(&w.oldest, third); /* so the second is missed */
	put(&w, lapped ? third : second, vshmi_record_pack(40, VSHM_RECORD_DATA, number));
	put(&w, (lapped ? third : second) + 8, number);
	lost = w.rx.lost;
	if (rule) {
		accuse(&w, rule);
		return;
	}
	ck_ok(read_any(&w, &size));
	ck_assert_uint_eq(w.rx.lost - lost, number - 1);
	world_close(&w);
}

/* Numbers go up by one; where something was overwritten they may go up by more, but not down. */
START_TEST(unlawful_numbers)
{
	accuse_number(0, false, VSHM_RULE_RECORD_SEQUENCE);
	accuse_number(2, false, VSHM_RULE_RECORD_SEQUENCE);
	accuse_number((1 << 24) + 1, false, VSHM_RULE_RECORD_SEQUENCE);
	accuse_number(1, false, 0);
	accuse_number(2, true, 0);
	accuse_number(1000, true, 0);
	accuse_number(0, true, VSHM_RULE_RECORD_SEQUENCE);
	accuse_number(UINT64_MAX, true, VSHM_RULE_RECORD_SEQUENCE);
}
END_TEST

/* What the newest word says is a guess: one that leads nowhere leads to the end. */
START_TEST(a_newest_that_is_none)
{
	static const uint64_t lies[] = {3, 1 << 20, UINT64_MAX - 7, 512};
	struct world w;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		world_open(&w, 256, 0, 0);
		w.rx.first = true;
		send(&w);
		set(&w.newest, lies[i]);
		ck_assert(!receive(&w));
		send(&w);
		ck_assert(receive(&w));
		ck_assert_uint_eq(w.rx.expected, 2);
		world_close(&w);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_latest");
	TCase *tcase = tcase_create("latest");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, every_size_at_every_place);
	tcase_add_test(tcase, the_largest_record);
	tcase_add_test(tcase, a_reader_in_time_loses_nothing);
	tcase_add_test(tcase, a_reader_goes_over_2_to_the_64);
	tcase_add_test(tcase, the_oldest_is_a_record);
	tcase_add_test(tcase, as_much_as_possible_is_kept);
	tcase_add_test(tcase, losses_are_counted_exactly);
	tcase_add_test(tcase, begins_with_the_newest);
	tcase_add_test(tcase, begins_when_something_is_published);
	tcase_add_test(tcase, stopped_at_any_load);
	tcase_add_test(tcase, stopped_again_and_again);
	tcase_add_test(tcase, overtaken_each_time);
	tcase_add_test(tcase, of_another_ring_nothing_is_read);
	tcase_add_test(tcase, unlawful_positions);
	tcase_add_test(tcase, unlawful_headers);
	tcase_add_test(tcase, unlawful_places);
	tcase_add_test(tcase, unlawful_numbers);
	tcase_add_test(tcase, a_newest_that_is_none);
	suite_add_tcase(suite, tcase);
	return unit_run("ring_latest", suite);
}
