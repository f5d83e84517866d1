/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Superblock, identity, directory entry and what a server tells: lawful ones with words changed before and while they are
 * read. What a validator accepts keeps its promises, and names a rule when it does not.
 */
#include "fetch.h"
#include "wire/wire.h"

#include <stdlib.h>

#define SECTION_SIZE UINT64_C(0x40000)
#define PEERS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Changes some words: near what they are, or anything. */
static void change_words(void *words, size_t count)
{
	unsigned changes = fetch_byte() % 8;

	for (unsigned i = 0; i < changes; i++) {
		char *at = (char *)words + 8 * (fetch_byte() * (size_t)(1 + fetch_byte() % 3) % count);
		uint64_t value;

		memcpy(&value, at, 8);
		value = fetch_byte() & 1 ? fetch_value(value) : value + (fetch_word() & UINT64_C(0x000000ff000000ff));
		memcpy(at, &value, 8);
	}
}

static void seal(struct vshm_superblock *s)
{
	s->crc = 0;
	s->crc = vshmi_crc32c(0, s, sizeof(*s));
}

static void check_fault(int rc, const struct vshm_fault *fault, uint64_t size)
{
	if (rc == -EAGAIN || rc == -ENOENT)
		return;
	FETCH_ASSERT(rc == -EPROTO || rc == -EPROTONOSUPPORT);
	FETCH_ASSERT(fault->rule > VSHM_RULE_NONE && fault->rule < VSHM_RULE_COUNT && fault->offset < size);
}

static void check_name(const char *name)
{
	size_t length = strnlen(name, VSHM_NAME_SIZE);

	FETCH_ASSERT(length > 0 && length < VSHM_NAME_SIZE);
	for (size_t i = 0; i < length; i++)
		FETCH_ASSERT(name[i] > ' ' && name[i] < 127);
}

/* ---- superblock ---- */

static void make_superblock(struct vshm_superblock *s)
{
	memset(s, 0, sizeof(*s));
	s->magic = VSHM_MAGIC;
	s->layout_version = VSHM_LAYOUT_VERSION;
	strcpy(s->name, "net0");
	s->profile = fetch_byte() & 1;
	s->peer_count = 1 + fetch_byte() % VSHM_MAX_PEERS;
	s->section_count = s->profile == VSHM_SPLIT ? 1 : s->peer_count;
	s->layout_page = VSHM_MIN_PAGE;
	s->segment_size = VSHM_MIN_PAGE + s->section_count * SECTION_SIZE;
	for (uint32_t i = 0; i < s->section_count; i++)
		s->section[i] = (struct vshm_section_place){i, 0, VSHM_MIN_PAGE + i * SECTION_SIZE, SECTION_SIZE};
}

static void check_superblock(const struct vshm_superblock *s, uint64_t mapped)
{
	FETCH_ASSERT(s->peer_count >= 1 && s->peer_count <= VSHM_MAX_PEERS && s->section_count <= s->peer_count);
	FETCH_ASSERT(s->section_count >= 1 && s->segment_size <= mapped && s->profile <= VSHM_SPLIT);
	check_name(s->name);
	for (uint32_t i = 0; i < s->section_count; i++) {
		const struct vshm_section_place *a = &s->section[i];

		FETCH_ASSERT(a->peer < s->peer_count && a->size >= VSHM_MIN_SECTION && a->size <= mapped);
		FETCH_ASSERT(a->offset >= VSHM_SUPERBLOCK_SIZE && a->offset <= mapped - a->size);
		FETCH_ASSERT(a->offset % VSHM_MIN_PAGE == 0);
		for (uint32_t j = 0; j < i; j++) {
			const struct vshm_section_place *b = &s->section[j];

			FETCH_ASSERT(a->peer != b->peer);
			FETCH_ASSERT(a->offset + a->size <= b->offset || b->offset + b->size <= a->offset);
		}
	}
}

static void superblock(void)
{
	struct vshmi_shared_superblock *shared = malloc(sizeof(*shared));
	struct vshm_fault fault = VSHM_FAULT_INIT;
	struct vshm_superblock s;
	uint64_t mapped;
	int rc;

	if (!shared)
		abort();
	make_superblock(&s);
	mapped = fetch_byte() & 1 ? s.segment_size : fetch_value(s.segment_size);
	change_words(&s, 160);
	if (fetch_byte() & 7)
		seal(&s);
	memcpy(shared, &s, sizeof(s));
	fetch_call(VSHM_SUPERBLOCK_SIZE / 8);
	rc = vshmi_superblock_read(shared, mapped, &s, &fault);
	if (rc)
		check_fault(rc, &fault, VSHM_SUPERBLOCK_SIZE);
	else
		check_superblock(&s, mapped);
	free(shared);
}

/* ---- section ---- */

static void identity(struct vshmi_shared_section *section)
{
	struct vshm_identity s = {.incarnation = 77, .state = VSHM_SECTION_LIVE, .ways = 7, .label = "peer"};
	struct vshm_fault fault = VSHM_FAULT_INIT;
	int rc;

	change_words(&s, sizeof(s) / 8);
	memcpy(section->identity, &s, sizeof(s));
	fetch_hint(&section->identity[0]);
	fetch_call(sizeof(s) / 8 + 1);
	rc = vshmi_identity_read(section, &s, &fault);
	if (rc) {
		check_fault(rc, &fault, sizeof(s));
	} else if (s.incarnation) {
		FETCH_ASSERT(s.state <= VSHM_SECTION_CLOSING && s.ways < 32);
		check_name(s.label);
	}
}

/* ---- entry ---- */

static void make_entry(struct vshm_entry *e)
{
	memset(e, 0, sizeof(*e));
	e->id = 9;
	e->kind = VSHM_PRODUCER + fetch_byte() % 3;
	strcpy(e->name, "frames");
	e->state = 1 + (fetch_byte() & 1);
	if (e->kind == VSHM_PRODUCER) {
		e->ring_size = VSHM_MIN_RING << fetch_byte() % 12;
		e->ring_offset = VSHM_SECTION_DATA + fetch_byte() * (uint64_t)VSHM_LINE;
		e->grants = fetch_byte() & 1 ? fetch_byte() % (VSHM_MAX_PEERS + 2) : 0;
	} else if (fetch_byte() & 1) {
		e->ring_size = e->kind == VSHM_POOL ? fetch_byte() * (uint64_t)VSHM_LINE : UINT64_C(8) << fetch_byte() % 14;
		e->ring_offset = VSHM_SECTION_DATA + fetch_byte() * (uint64_t)VSHM_LINE;
	}
	e->other_peer = fetch_byte() % PEERS;
	e->other_id = fetch_byte();
}

static void check_entry(const struct vshm_entry *e)
{
	FETCH_ASSERT(e->id && (e->state == VSHM_END_OPEN || e->state == VSHM_END_CLOSED));
	FETCH_ASSERT(e->other_peer < PEERS);
	check_name(e->name);
	FETCH_ASSERT(e->kind >= VSHM_PRODUCER && e->kind <= VSHM_POOL);
	if (e->kind == VSHM_CONSUMER && !e->ring_size) {
		FETCH_ASSERT(!e->ring_offset && !e->grants);
		return;
	}
	FETCH_ASSERT(e->ring_size <= SECTION_SIZE && e->ring_offset >= VSHM_SECTION_DATA);
	FETCH_ASSERT(e->ring_offset % VSHM_LINE == 0 && e->ring_offset <= SECTION_SIZE - e->ring_size);
	FETCH_ASSERT(e->kind == VSHM_POOL ? !(e->ring_size % VSHM_LINE) : !(e->ring_size & (e->ring_size - 1)));
	FETCH_ASSERT(e->kind == VSHM_PRODUCER ? e->ring_size >= VSHM_MIN_RING : !e->grants);
	FETCH_ASSERT(e->kind != VSHM_CONSUMER || e->ring_size <= 8 * VSHM_MAX_LENDS);
	FETCH_ASSERT(e->grants <= VSHM_MAX_PEERS &&
		     e->grants * sizeof(struct vshm_grant) <= SECTION_SIZE - e->ring_size - e->ring_offset);
}

static void entry(struct vshmi_shared_section *section)
{
	uint32_t index = fetch_byte() % VSHM_ENTRIES;
	struct vshmi_shared_entry *shared = &section->directory[index];
	struct vshm_fault fault = VSHM_FAULT_INIT;
	struct vshm_entry e;
	int rc;

	make_entry(&e);
	change_words(&e, 48); /* the words in front of the last line */
	memcpy(shared, &e, sizeof(e));
	fetch_hint(&shared->what[0]);
	fetch_hint(&shared->other_id);
	fetch_hint(&shared->state);
	fetch_call(16 + 13 + 4);
	rc = vshmi_entry_read(section, index, SECTION_SIZE, PEERS, &e, &fault);
	if (rc)
		check_fault(rc, &fault, SECTION_SIZE);
	else
		check_entry(&e);
	fetch_call(2);
	(void)vshmi_entry_id(shared);
}

/* ---- what a server tells ---- */

/* Whatever stands there and changes meanwhile: a lawful state, of the life that was asked for or of none, in five loads. */
static void life(struct vshmi_shared_server *server)
{
	struct vshm_server_page page = {.magic = VSHM_SERVER_MAGIC, .life = fetch_byte() & 7 ? 77 : fetch_value(77)};
	uint32_t id = (uint32_t)(fetch_value(VSHM_CLIENT_IDS) & UINT32_MAX);
	enum vshm_client_state state;
	uint64_t asked;

	change_words(&page, 2);
	memcpy(server, &page, sizeof(page.magic) + sizeof(page.life));
	memset(server->state, fetch_byte(), sizeof(server->state));
	fetch_hint(&server->magic);
	fetch_hint(&server->life);
	fetch_call(2);
	asked = vshmi_server_life(server);
	FETCH_ASSERT(asked != VSHM_LIFE_OVER);
	fetch_call(5);
	state = vshmi_server_client(server, asked, id);
	FETCH_ASSERT(state <= VSHM_CLIENT_DROPPED && (asked || state == VSHM_CLIENT_UNKNOWN));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vshmi_shared_section section;
	static struct vshmi_shared_server server;

	fetch_begin(data, size);
	switch (fetch_byte() % 4) {
	case 0:
		superblock();
		break;
	case 1:
		identity(&section);
		break;
	case 2:
		life(&server);
		break;
	default:
		entry(&section);
		break;
	}
	return 0;
}
