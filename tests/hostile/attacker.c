/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The attacker: attaches through the library, then maps the file itself and writes what it likes, in its own section
 * only. Pure noise is refused at the first check, so most of the time it keeps to the protocol by hand (announces
 * rings, grants, requests, writes records) and breaks one thing at a time.
 */
#include "hostile.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the ring "prey" lent it, as far as it is worth remembering, and its return ring. */
struct borrowed {
	uint64_t seen; /* how far the ring was walked */
	uint64_t offset, words; /* of the return ring; words 0: it takes no blocks */
	uint64_t returned;
	uint64_t token[64];
	unsigned count;
};

struct attacker {
	unsigned char *map;
	struct vshm_superblock sb;
	unsigned char *own; /* the section */
	uint64_t size;
	unsigned char *good; /* a copy of the first pages as the library wrote them */
	struct notes *notes;
	uint64_t seed;
	/* the streams that are forged */
	uint64_t tail, last, sequence, ring_size, ring_offset;
	uint32_t grants; /* 0: one-to-one */
	int latest;
	uint64_t granted_id, requested_id[2];
	struct borrowed borrowed;
};

#define EVIL_ENTRY 0u
#define PREY_ENTRY 1u
#define HERD_ENTRY 2u

/* The victims' rings that it wants to consume, from an entry each. */
static const struct prey {
	unsigned entry, peer;
	const char *name;
} preys[] = {
	{PREY_ENTRY, PEER_PRODUCER, "prey"},
	{HERD_ENTRY, PEER_HERD, "herd"},
};

static uint64_t chance(struct attacker *a, uint64_t limit)
{
	return support_below(&a->seed, limit);
}

/* ---- words ---- */

static void put32(struct attacker *a, uint64_t offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(a->own + offset), value, __ATOMIC_RELEASE);
	a->notes->scribbles++;
}

static void put64(struct attacker *a, uint64_t offset, uint64_t value)
{
	__atomic_store_n((uint64_t *)(void *)(a->own + offset), value, __ATOMIC_RELEASE);
	a->notes->scribbles++;
}

static uint64_t get64(const struct attacker *a, uint64_t offset)
{
	return __atomic_load_n((const uint64_t *)(const void *)(a->own + offset), __ATOMIC_ACQUIRE);
}

static uint64_t entry_at(unsigned index, size_t field)
{
	return VSHM_SECTION_DIRECTORY + index * sizeof(struct vshm_entry) + field;
}
#define ENTRY(index, field) entry_at(index, offsetof(struct vshm_entry, field))

static void changed(struct attacker *a)
{
	put64(a, VSHM_SECTION_CHANGES, get64(a, VSHM_SECTION_CHANGES) + 1);
}

static void ring(struct attacker *a, unsigned peer)
{
	uint64_t bell = VSHM_SECTION_BELLS + peer * VSHM_LINE;

	put32(a, bell, (uint32_t)get64(a, bell) + 1);
	(void)syscall(SYS_futex, a->own + bell, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Another word in place of `old`: noise, a small step, a far step, one bit, an edge, or a word from elsewhere. */
static uint64_t spoil(struct attacker *a, uint64_t old)
{
	static const uint64_t steps[] = {1, 2, 4, 8, 16, 24, 64, 4096, 65536, UINT64_C(1) << 32, UINT64_C(1) << 63};
	static const uint64_t edges[] = {0, 1, 8, UINT32_MAX, UINT64_MAX, UINT64_MAX - 7, VSHM_MAX_RING};
	uint64_t step = steps[chance(a, sizeof(steps) / sizeof(steps[0]))];

	switch (chance(a, 7)) {
	case 0:
		return support_random(&a->seed);
	case 1:
		return old + step;
	case 2:
		return old - step;
	case 3:
		return old ^ (UINT64_C(1) << chance(a, 64));
	case 4:
		return edges[chance(a, sizeof(edges) / sizeof(edges[0]))];
	case 5:
		return get64(a, chance(a, a->size / 8) * 8);
	default:
		return old + a->ring_size * (chance(a, 5) - 2);
	}
}

/* ---- keeping to the protocol ---- */

/* Another peer's section, to read. */
static const unsigned char *section_of(const struct attacker *a, unsigned peer)
{
	return a->map + a->sb.section[peer].offset;
}

static uint64_t incarnation_of(const struct attacker *a, unsigned peer)
{
	return __atomic_load_n((const uint64_t *)(const void *)section_of(a, peer), __ATOMIC_ACQUIRE);
}

static const struct vshm_entry *find_entry(const struct attacker *a, unsigned peer, uint32_t kind, const char *name)
{
	const struct vshm_entry *e = (const void *)(section_of(a, peer) + VSHM_SECTION_DIRECTORY);

	for (unsigned i = 0; i < VSHM_ENTRIES; i++, e++)
		if (__atomic_load_n(&e->state, __ATOMIC_ACQUIRE) == VSHM_END_OPEN && e->kind == kind &&
		    !strncmp(e->name, name, VSHM_NAME_SIZE))
			return e;
	return NULL;
}

/* Header, bells and directory as they were when all was well, the ends closed. */
static void restore(struct attacker *a)
{
	for (uint64_t offset = 0; offset < VSHM_SECTION_DATA; offset += 8) {
		uint64_t word;

		memcpy(&word, a->good + offset, 8);
		if (offset >= VSHM_SECTION_DIRECTORY)
			word = 0;
		if (offset != VSHM_SECTION_CHANGES)
			put64(a, offset, word);
	}
	a->granted_id = a->requested_id[0] = a->requested_id[1] = 0;
	changed(a);
}

static void write_name(struct attacker *a, unsigned index, const char *name)
{
	char padded[VSHM_NAME_SIZE] = "";
	uint64_t word;

	memcpy(padded, name, strlen(name));
	for (size_t i = 0; i < sizeof(padded); i += 8) {
		memcpy(&word, padded + i, 8);
		put64(a, ENTRY(index, name) + i, word);
	}
}

/* Its kind and place, mostly flush with the end of the memory. */
static void choose_ring(struct attacker *a)
{
	uint64_t table;

	a->latest = chance(a, 3) == 0;
	a->grants = a->latest ? 1 + (uint32_t)chance(a, 4) : chance(a, 3) ? 0 : (uint32_t)chance(a, 17);
	table = (a->grants * sizeof(struct vshm_grant) + VSHM_LINE - 1) / VSHM_LINE * VSHM_LINE;
	a->ring_size = UINT64_C(256) << chance(a, 9);
	a->ring_offset = chance(a, 4) ? a->size - a->ring_size - table : VSHM_SECTION_DATA + chance(a, 4) * 65536;
	a->tail = chance(a, 4) ? 0 : (support_random(&a->seed) & ~UINT64_C(7));
	for (uint64_t i = 0; i < table; i += 8)
		put64(a, a->ring_offset + a->ring_size + i, chance(a, 50) ? 0 : support_random(&a->seed));
}

static void announce(struct attacker *a, const char *name)
{
	put32(a, ENTRY(EVIL_ENTRY, state), VSHM_END_FREE);
	choose_ring(a);
	a->granted_id = 0;
	put64(a, ENTRY(EVIL_ENTRY, id), support_random(&a->seed) | 1);
	put32(a, ENTRY(EVIL_ENTRY, kind), VSHM_PRODUCER);
	put32(a, ENTRY(EVIL_ENTRY, flags), (uint32_t)chance(a, 2) | (a->latest ? VSHM_ENTRY_LATEST : 0));
	put32(a, ENTRY(EVIL_ENTRY, grants), a->grants);
	put64(a, ENTRY(EVIL_ENTRY, oldest), a->tail);
	put64(a, ENTRY(EVIL_ENTRY, newest), a->tail);
	write_name(a, EVIL_ENTRY, name);
	put64(a, ENTRY(EVIL_ENTRY, ring_offset), a->ring_offset);
	put64(a, ENTRY(EVIL_ENTRY, ring_size), a->ring_size);
	put64(a, ENTRY(EVIL_ENTRY, other_id), 0);
	put64(a, ENTRY(EVIL_ENTRY, position), a->tail);
	put32(a, ENTRY(EVIL_ENTRY, state), VSHM_END_OPEN);
	changed(a);
	ring(a, PEER_CONSUMER);
}

static void grant_in_entry(struct attacker *a, uint64_t id)
{
	put32(a, ENTRY(EVIL_ENTRY, other_peer), PEER_CONSUMER);
	put64(a, ENTRY(EVIL_ENTRY, other_incarnation), incarnation_of(a, PEER_CONSUMER));
	put64(a, ENTRY(EVIL_ENTRY, other_start), chance(a, 8) ? a->tail : spoil(a, a->tail));
	put64(a, ENTRY(EVIL_ENTRY, other_id), id);
}

static void grant_in_table(struct attacker *a, uint64_t id)
{
	uint64_t at = a->ring_offset + a->ring_size + chance(a, a->grants) * sizeof(struct vshm_grant);

	put32(a, at + offsetof(struct vshm_grant, peer), PEER_CONSUMER);
	put64(a, at + offsetof(struct vshm_grant, incarnation), incarnation_of(a, PEER_CONSUMER));
	put64(a, at + offsetof(struct vshm_grant, start), chance(a, 8) ? a->tail : spoil(a, a->tail));
	put64(a, at + offsetof(struct vshm_grant, id), id);
}

/* Answers the victim's request. */
static void grant(struct attacker *a)
{
	const struct vshm_entry *e = find_entry(a, PEER_CONSUMER, VSHM_CONSUMER, "evil");
	uint64_t id = e ? __atomic_load_n(&e->other_id, __ATOMIC_ACQUIRE) : 0;

	if (!e || id != get64(a, ENTRY(EVIL_ENTRY, id)) || e->id == a->granted_id)
		return;
	a->granted_id = e->id;
	if (a->grants)
		grant_in_table(a, e->id);
	else
		grant_in_entry(a, e->id);
	changed(a);
	ring(a, PEER_CONSUMER);
	a->notes->grants++;
}

static uint64_t record(uint64_t size, uint64_t kind, uint64_t sequence)
{
	return size | kind << 32 | (sequence & 0xffffff) << 40;
}

/* A record that lends some of its memory, or something else. */
static uint64_t forge_lend(struct attacker *a, uint64_t at, unsigned risk)
{
	uint64_t offset = VSHM_SECTION_DATA + chance(a, (a->size - VSHM_SECTION_DATA) / VSHM_LINE) * VSHM_LINE;
	uint64_t room = a->size - offset, size = chance(a, 8) ? chance(a, room < 4096 ? room + 1 : 4096) : room;
	uint64_t token = support_random(&a->seed) | 1;

	put64(a, at, chance(a, risk) ? offset : spoil(a, offset));
	put64(a, at + 8, chance(a, risk) ? size : spoil(a, size));
	put64(a, at + 16, chance(a, risk) ? token : 0);
	return record(sizeof(struct vshm_lend), VSHM_RECORD_LEND, a->sequence);
}

/* The last header flickers while it is being read: between a lawful length and one that is not. */
static void flicker(struct attacker *a)
{
	uint64_t place = a->ring_offset + (a->last & (a->ring_size - 1)), header = get64(a, place);
	uint64_t larger = header | (a->ring_size - 1);

	for (unsigned i = 0; i < 200; i++) {
		put64(a, place, larger);
		put64(a, place, header);
	}
}

/* A run that fits into `left` bytes, or something else; the bytes it takes. */
static uint64_t forge_run(struct attacker *a, uint64_t place, uint64_t left, unsigned risk, uint64_t *header)
{
	uint64_t each = (1 + chance(a, 24)) * 8, line = each & -each, first, count, word;

	line = line < 64 ? line : 64;
	first = (16 + place + line - 1) / line * line - place; /* a ring begins on a line */
	if (first + each > left)
		return 0;
	count = 1 + chance(a, (left - first) / each);
	word = each | count << 32;
	put64(a, a->ring_offset + place + 8, chance(a, risk) ? word : spoil(a, word));
	*header = record(first + count * each - 8, VSHM_RECORD_RUN, a->sequence);
	return first + count * each;
}

#define LEND_SPAN (VSHM_RECORD_HEADER + sizeof(struct vshm_lend))

/* A few records that are right, each with a small chance that it is not. */
static void produce(struct attacker *a, unsigned risk)
{
	const struct vshm_entry *e = find_entry(a, PEER_CONSUMER, VSHM_CONSUMER, "evil");
	uint64_t head = e ? __atomic_load_n(&e->position, __ATOMIC_ACQUIRE) : a->tail;

	for (unsigned i = 0; i < 8 && a->tail - head < a->ring_size; i++) {
		uint64_t place = a->tail & (a->ring_size - 1), left = a->ring_size - place;
		uint64_t free_bytes = a->ring_size - (a->tail - head);
		uint64_t size = chance(a, 4) ? chance(a, a->ring_size / 4) : sizeof(struct vshm_lend);
		uint64_t span = (size + 7) / 8 * 8 + 8, header, run;

		if ((span > left ? left : span) > free_bytes)
			break;
		header = span > left ? record(left - 8, VSHM_RECORD_PAD, a->sequence)
				     : record(size, VSHM_RECORD_DATA, a->sequence);
		if (span == LEND_SPAN && span <= left)
			header = forge_lend(a, a->ring_offset + place + 8, risk);
		if (span <= left && chance(a, 3) == 0) {
			run = forge_run(a, place, free_bytes < left ? free_bytes : left, risk, &header);
			span = run ? run : span;
		}
		put64(a, a->ring_offset + place, chance(a, risk) ? header : spoil(a, header));
		a->last = a->tail;
		a->tail += span > left ? left : span;
		a->sequence++;
	}
	put64(a, ENTRY(EVIL_ENTRY, position), chance(a, risk) ? a->tail : spoil(a, a->tail));
	put64(a, ENTRY(EVIL_ENTRY, armed), chance(a, 2) ? head + chance(a, a->ring_size) : 0);
	if (chance(a, 4) == 0)
		ring(a, PEER_CONSUMER);
	if (chance(a, 2))
		flicker(a);
}

/* The same for a ring that keeps the latest: everything older is given up at times, or a lie is told about it. */
static void produce_latest(struct attacker *a, unsigned risk)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t place = a->tail & (a->ring_size - 1), left = a->ring_size - place;
		uint64_t size = chance(a, a->ring_size / 4 - 15), span = (size + 7) / 8 * 8 + 16, header;
		int pad = span > left;

		if (chance(a, 3) == 0)
			put64(a, ENTRY(EVIL_ENTRY, oldest), chance(a, risk) ? a->tail : spoil(a, a->tail));
		header = pad ? record(left - 8, VSHM_RECORD_PAD, a->sequence)
			     : record(size, VSHM_RECORD_DATA, a->sequence);
		put64(a, a->ring_offset + place, chance(a, risk) ? header : spoil(a, header));
		if (!pad)
			put64(a, a->ring_offset + place + 8, chance(a, risk) ? a->sequence : spoil(a, a->sequence));
		a->last = a->tail;
		if (!pad)
			put64(a, ENTRY(EVIL_ENTRY, newest), chance(a, risk) ? a->tail : spoil(a, a->tail));
		a->tail += pad ? left : span;
		a->sequence += !pad;
	}
	put64(a, ENTRY(EVIL_ENTRY, position), chance(a, risk) ? a->tail : spoil(a, a->tail));
	if (chance(a, 4) == 0)
		ring(a, PEER_CONSUMER);
	if (chance(a, 2))
		flicker(a);
}

/* Behind the smallest rings, where mostly nothing else of its own lies. */
static void choose_return_ring(struct attacker *a)
{
	a->borrowed = (struct borrowed){.words = chance(a, 6) ? UINT64_C(1) << chance(a, 6) : 0};
	a->borrowed.offset = a->borrowed.words ? VSHM_SECTION_DATA + 32768 + chance(a, 8) * VSHM_LINE : 0;
	put64(a, ENTRY(PREY_ENTRY, returned), 0);
}

/* Asks for a victim's ring. */
static void request(struct attacker *a, const struct prey *prey, const char *name)
{
	const struct vshm_entry *e = find_entry(a, prey->peer, VSHM_PRODUCER, prey->name);
	uint64_t *requested = &a->requested_id[prey - preys];

	if (!e || e->id == *requested)
		return;
	*requested = e->id;
	put32(a, ENTRY(prey->entry, state), VSHM_END_FREE);
	put64(a, ENTRY(prey->entry, id), support_random(&a->seed) | 1);
	put32(a, ENTRY(prey->entry, kind), VSHM_CONSUMER);
	put32(a, ENTRY(prey->entry, flags), chance(a, 2) ? VSHM_ENTRY_POLLS : 0);
	write_name(a, prey->entry, name);
	if (prey->entry == PREY_ENTRY)
		choose_return_ring(a);
	put64(a, ENTRY(prey->entry, ring_offset), prey->entry == PREY_ENTRY ? a->borrowed.offset : 0);
	put64(a, ENTRY(prey->entry, ring_size), prey->entry == PREY_ENTRY ? 8 * a->borrowed.words : 0);
	put64(a, ENTRY(prey->entry, position), chance(a, 2) ? 0 : VSHM_NOT_STARTED);
	put32(a, ENTRY(prey->entry, other_peer), prey->peer);
	put64(a, ENTRY(prey->entry, other_incarnation), incarnation_of(a, prey->peer));
	put32(a, ENTRY(prey->entry, state), VSHM_END_OPEN);
	put64(a, ENTRY(prey->entry, other_id), e->id);
	changed(a);
	ring(a, prey->peer);
	a->notes->requests++;
}

/* Notes the tokens of what lies between what it saw last and `tail`. */
static void walk(struct attacker *a, const struct vshm_entry *e, uint64_t tail)
{
	const unsigned char *ring = section_of(a, PEER_PRODUCER) + e->ring_offset;
	uint64_t size = e->ring_size, header;
	struct borrowed *b = &a->borrowed;
	const unsigned most = sizeof(b->token) / sizeof(b->token[0]);

	if (size < VSHM_MIN_RING || size & (size - 1) || size > SECTION_SIZE / 2)
		return;
	if (tail - b->seen > size) /* it did not look for a lap: as if the first record began here */
		b->seen = e->other_start;
	for (unsigned i = 0; i < 1000 && tail - b->seen && tail - b->seen <= size; i++) {
		memcpy(&header, ring + (b->seen & (size - 1)), 8);
		if ((header >> 32 & 0xff) == VSHM_RECORD_LEND && (b->seen & (size - 1)) + LEND_SPAN <= size) {
			b->count -= b->count == most;
			memcpy(&b->token[b->count++], ring + (b->seen & (size - 1)) + VSHM_RECORD_HEADER + 16, 8);
		}
		b->seen += ((header & UINT32_MAX) + 7) / 8 * 8 + VSHM_RECORD_HEADER;
	}
}

/* Some tokens go back: mostly right ones, some twice, and some blocks are kept for good. */
static void give_back(struct attacker *a, unsigned risk)
{
	struct borrowed *b = &a->borrowed;

	while (b->words && b->count > b->words / 4 && chance(a, 4)) {
		unsigned i = chance(a, 2) ? b->count - 1 : (unsigned)chance(a, b->count);
		uint64_t token = b->token[i];

		if (chance(a, risk))
			b->token[i] = b->token[--b->count];
		put64(a, b->offset + 8 * (b->returned++ & (b->words - 1)), chance(a, risk) ? token : spoil(a, token));
	}
	put64(a, ENTRY(PREY_ENTRY, returned), chance(a, 4 * risk) ? b->returned : spoil(a, b->returned));
}

/* Returns everything, or says so. */
static void consume(struct attacker *a, const struct prey *prey, unsigned risk)
{
	const struct vshm_entry *e = find_entry(a, prey->peer, VSHM_PRODUCER, prey->name);
	uint64_t tail;

	if (!e)
		return;
	tail = __atomic_load_n(&e->position, __ATOMIC_ACQUIRE);
	if (prey->entry == PREY_ENTRY) {
		walk(a, e, tail);
		give_back(a, risk);
	}
	put64(a, ENTRY(prey->entry, position), chance(a, risk) ? tail : spoil(a, tail));
	put64(a, ENTRY(prey->entry, armed), chance(a, 2) ? spoil(a, tail) : 0);
	if (chance(a, 4) == 0)
		ring(a, prey->peer);
}

/* ---- breaking it ---- */

static void noise_everywhere(struct attacker *a)
{
	unsigned n = 1 + (unsigned)chance(a, 4000);

	for (unsigned i = 0; i < n; i++) {
		uint64_t offset = chance(a, a->size / 8) * 8;

		put64(a, offset, spoil(a, get64(a, offset)));
	}
}

static void noise_in_header(struct attacker *a)
{
	for (uint64_t n = chance(a, 40); n > 0; n--) {
		uint64_t offset = chance(a, (VSHM_SECTION_DIRECTORY + 4 * sizeof(struct vshm_entry)) / 8) * 8;

		put64(a, offset, spoil(a, get64(a, offset)));
	}
	changed(a);
}

/* One word of the entries that the victims look at. */
static void spoil_entry(struct attacker *a)
{
	uint64_t offset = entry_at((unsigned)chance(a, 3), chance(a, 50) * 8);

	put64(a, offset, spoil(a, get64(a, offset)));
	if (chance(a, 2))
		changed(a);
}

/* A whole entry somewhere else, or over its neighbour. */
static void copy_entry(struct attacker *a)
{
	uint64_t from = entry_at((unsigned)chance(a, 2), 0), to = entry_at((unsigned)chance(a, VSHM_ENTRIES), 0);

	for (uint64_t i = 0; i < sizeof(struct vshm_entry); i += 8)
		put64(a, to + i, get64(a, from + i));
	changed(a);
}

/* Somebody else's entry as one's own: their ids, their names. */
static void steal_entry(struct attacker *a)
{
	unsigned peer = (unsigned)chance(a, PEER_ATTACKER);
	const unsigned char *from = section_of(a, peer) + entry_at((unsigned)chance(a, 4), 0);
	uint64_t to = entry_at(2 + (unsigned)chance(a, 8), 0), word;

	for (uint64_t i = 0; i < sizeof(struct vshm_entry); i += 8) {
		memcpy(&word, from + i, 8);
		put64(a, to + i, word);
	}
	changed(a);
}

static void flood(struct attacker *a)
{
	for (uint64_t n = chance(a, 300); n > 0; n--)
		ring(a, (unsigned)chance(a, PEERS));
}

static void be_dead(struct attacker *a)
{
	static const uint32_t words[] = {0, VSHM_ALIVE_WAITERS | VSHM_ALIVE_DIED, VSHM_ALIVE_EVICTED,
					 VSHM_ALIVE_WAITERS | 1, VSHM_ALIVE_DIED};

	put32(a, VSHM_SECTION_ALIVE, words[chance(a, sizeof(words) / sizeof(words[0]))]);
	(void)syscall(SYS_futex, a->own + VSHM_SECTION_ALIVE, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	put64(a, offsetof(struct vshm_identity, incarnation), spoil(a, get64(a, 0)));
	changed(a);
}

static void all_the_same(struct attacker *a)
{
	uint64_t word = chance(a, 2) ? 0 : UINT64_MAX;

	for (uint64_t offset = 0; offset < VSHM_SECTION_DATA; offset += 8)
		put64(a, offset, word);
}

/* ---- the campaign ---- */

static void open_streams(struct attacker *a)
{
	restore(a);
	announce(a, chance(a, 20) ? "evil" : "pure");
	for (unsigned i = 0; i < 2; i++)
		request(a, &preys[i], chance(a, 20) ? preys[i].name : "pure");
}

static void break_something(struct attacker *a)
{
	static void (*const ways[])(struct attacker *) = {
		noise_everywhere, noise_in_header, spoil_entry, spoil_entry, spoil_entry,
		copy_entry,	  steal_entry,	   flood,	be_dead,     all_the_same,
	};

	ways[chance(a, sizeof(ways) / sizeof(ways[0]))](a);
}

/* Some lawful traffic, then something unlawful, then again from the start. */
static void one_round(struct attacker *a)
{
	unsigned risk = 5 + (unsigned)chance(a, 200);
	unsigned eager = (unsigned)chance(a, 3); /* how many of the rings it reads; the others it holds up */

	open_streams(a);
	for (uint64_t n = 20 + chance(a, 400); n > 0; n--) {
		grant(a);
		for (unsigned i = 0; i < 2; i++)
			request(a, &preys[i], preys[i].name);
		if (a->latest)
			produce_latest(a, risk);
		else
			produce(a, risk);
		for (unsigned i = 0; i < eager; i++)
			consume(a, &preys[i], risk);
		if (chance(a, 40) == 0)
			break_something(a);
		if (chance(a, 16) == 0)
			support_sleep_us(1 + (int64_t)chance(a, 60));
	}
	for (uint64_t n = chance(a, 6); n > 0; n--)
		break_something(a);
	a->notes->rounds++;
}

static int map_region(struct attacker *a, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -1;
	a->map = map;
	memcpy(&a->sb, a->map, sizeof(a->sb));
	a->own = a->map + a->sb.section[PEER_ATTACKER].offset;
	a->size = a->sb.section[PEER_ATTACKER].size;
	a->good = malloc(VSHM_SECTION_DATA);
	if (!a->good)
		return -1;
	memcpy(a->good, a->own, VSHM_SECTION_DATA);
	return 0;
}

int attacker_main(int argc, char **argv)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r = NULL;
	struct attacker a;

	if (argc != 6)
		return 2;
	memset(&a, 0, sizeof(a));
	a.notes = map_notes(argv[4]);
	a.seed = strtoull(argv[5], NULL, 10);
	a.ring_size = 4096;
	o.peer = PEER_ATTACKER;
	o.label = "attacker";
	if (!a.notes || vshm_region_open(argv[2], &o, &r, NULL) || map_region(&a, argv[3]))
		return 2;
	note(a.notes->ready, 1);
	while (!noted(a.notes->stop))
		one_round(&a);
	_exit(0); /* without a word to anybody */
}
