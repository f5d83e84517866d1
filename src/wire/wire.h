/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: the structures of a region as shared words, and one validator for each. A validator copies its structure
 * once, checks the copy, and hands out only that; what it returns can be trusted as far as its rules go.
 * The bytes are specified in vshm/layout.h and vshm_layout(5).
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "shared/shared.h"

#include <vshm/layout.h>

struct vshmi_shared_superblock {
	struct vshmi_word64 word[VSHM_SUPERBLOCK_SIZE / 8];
};

struct vshmi_shared_server {
	struct vshmi_word64 magic, life;
	unsigned char pad[4080];
	struct vshmi_word64 state[VSHM_CLIENT_IDS / 32];
};

/* records, rings_sent, rings_avoided, sleeps, spurious, lost */
#define VSHMI_COUNTERS 6

struct vshmi_shared_entry {
	struct vshmi_word64 what[16]; /* line 0: id, kind and flags, name, ring */
	struct vshmi_word32 state;    /* line 1 */
	struct vshmi_word32 other_peer;
	struct vshmi_word64 other_incarnation;
	struct vshmi_word64 other_id;
	struct vshmi_word64 other_start;
	struct vshmi_word64 counters[VSHMI_COUNTERS];
	unsigned char pad1[48];
	struct vshmi_word64 position; /* line 2 */
	struct vshmi_word64 oldest, newest, returned, held, part;
	unsigned char pad2[80];
	struct vshmi_word64 armed; /* line 3 */
	unsigned char pad3[120];
};

struct vshmi_shared_grant {
	struct vshmi_word32 reserved, peer;
	struct vshmi_word64 incarnation, id, start;
};

struct vshmi_shared_section {
	struct vshmi_word64 identity[64];
	struct vshmi_word32 alive;
	unsigned char pad0[124];
	struct vshmi_word64 heartbeat;
	unsigned char pad1[120];
	struct vshmi_word64 changes;
	unsigned char pad2[VSHM_SECTION_BELLS - VSHM_SECTION_CHANGES - 8];
	struct {
		struct vshmi_word32 word;
		unsigned char pad[VSHM_LINE - 4];
	} bell[VSHM_MAX_PEERS];
	unsigned char pad3[VSHM_SECTION_DIRECTORY - VSHM_SECTION_BELLS - VSHM_MAX_PEERS * VSHM_LINE];
	struct vshmi_shared_entry directory[VSHM_ENTRIES];
};

/* ---- superblock.c ---- */

/*
 * Copies and checks the superblock at the start of a segment of `mapped` bytes (at least VSHM_SUPERBLOCK_SIZE).
 * 0; -EPROTO or -EPROTONOSUPPORT with `fault` (rule, offset in the segment, value) filled.
 */
int vshmi_superblock_read(const struct vshmi_shared_superblock *shared, uint64_t mapped, struct vshm_superblock *out,
			  struct vshm_fault *fault);

/* Writes a superblock: clears the magic, stores the rest, computes the CRC, stores the magic last. */
void vshmi_superblock_write(struct vshmi_shared_superblock *shared, struct vshm_superblock *superblock);

/* ---- life.c: what an ivshmem server tells of its clients ---- */

/* The life that the pages tell of; 0: none, or it begins this very moment. */
uint64_t vshmi_server_life(const struct vshmi_shared_server *shared);

/* What became of `id`, below VSHM_CLIENT_IDS, in that life; VSHM_CLIENT_UNKNOWN when it is another one. */
enum vshm_client_state vshmi_server_client(const struct vshmi_shared_server *shared, uint64_t life, uint32_t id);

/* Begins a life, in which no id was given out yet. */
void vshmi_server_begin(struct vshmi_shared_server *shared, uint64_t life);

/* Tells what 32 ids are by now: state word `index`. */
void vshmi_server_tell(struct vshmi_shared_server *shared, uint32_t index, uint64_t word);

/* A state word with one id in another state. */
static inline uint64_t vshmi_server_word(uint64_t word, uint32_t id, enum vshm_client_state state)
{
	unsigned shift = 2 * (id % 32);

	return (word & ~(UINT64_C(3) << shift)) | (uint64_t)state << shift;
}

/* ---- section.c ---- */

/* What a peer says of itself. `incarnation` 0 in `out`: nobody attached yet. 0, -EAGAIN (it is changing), -EPROTO. */
int vshmi_identity_read(const struct vshmi_shared_section *section, struct vshm_identity *out, struct vshm_fault *fault);

/* Writes everything but the incarnation, which the caller stores with vshmi_incarnation_publish() when all is ready. */
void vshmi_identity_write(struct vshmi_shared_section *section, const struct vshm_identity *identity);
void vshmi_incarnation_publish(struct vshmi_shared_section *section, uint64_t incarnation);
uint64_t vshmi_incarnation_load(const struct vshmi_shared_section *section);
void vshmi_section_state_store(struct vshmi_shared_section *section, uint32_t state, uint32_t ways);

/* Is this value of an alive word one that exists? */
bool vshmi_alive_ok(uint32_t alive);

/* ---- entry.c ---- */

/*
 * Copies and checks a directory entry of a section of `section_size` bytes in a region of `peers` peers. `position`
 * and `armed` are copied unchecked (the ring checks them). 0; -ENOENT free; -EAGAIN it is changing; -EPROTO.
 */
int vshmi_entry_read(const struct vshmi_shared_section *section, uint32_t index, uint64_t section_size, uint32_t peers,
		     struct vshm_entry *out, struct vshm_fault *fault);

/* Only the id of an entry, 0 when it is free: cheap, for looking whether the other end is still the same. */
uint64_t vshmi_entry_id(const struct vshmi_shared_entry *entry);

/*
 * Fills a free entry of one's own and opens it: nobody is named as the other end, position is `entry->position`. Whom a
 * consumer has done with is there from the first moment: others may grant it the next.
 */
void vshmi_entry_open(struct vshmi_shared_entry *shared, const struct vshm_entry *entry);
void vshmi_entry_free(struct vshmi_shared_entry *shared);

/* Names the other end (the id last), or nobody with id 0. */
void vshmi_entry_set_other(struct vshmi_shared_entry *shared, vshm_peer peer, uint64_t incarnation, uint64_t id,
			   uint64_t start);

/* ---- grants: grant.c ---- */

/* How many consumers a producer's entry can grant. */
static inline uint32_t vshmi_grant_count(const struct vshm_entry *producer)
{
	return producer->grants ? producer->grants : 1;
}

/* Bytes behind a ring for so many grants. */
static inline uint64_t vshmi_grants_size(uint32_t grants)
{
	return vshmi_align_up(grants * (uint64_t)sizeof(struct vshm_grant), VSHM_LINE);
}

/* The table behind a ring; `section` is mapped as far as the entry was checked to reach. */
const struct vshmi_shared_grant *vshmi_grant_table(const struct vshmi_shared_section *section,
						   const struct vshm_entry *producer);

/*
 * Copies a checked producer entry's grant number `index`: that of the entry itself (a copy: as old as `producer`), or one from
 * the table. False: nobody is granted there, or it is changing, or names no peer of this region.
 */
bool vshmi_grant_read(const struct vshmi_shared_section *section, const struct vshm_entry *producer, uint32_t index,
		      uint32_t peers, struct vshm_grant *out);

/* Writes one of one's own grants, the id last; id 0: nobody. */
void vshmi_grant_set(struct vshmi_shared_grant *grant, vshm_peer peer, uint64_t incarnation, uint64_t id, uint64_t start);

/* ---- records ---- */

static inline uint64_t vshmi_record_pack(uint64_t size, uint32_t kind, uint64_t sequence)
{
	return size | (uint64_t)kind << 32 | sequence << 40;
}

static inline uint32_t vshmi_record_size(uint64_t header)
{
	return (uint32_t)header;
}

/* ---- runs ---- */

/* What each record of a run takes. */
static inline uint64_t vshmi_run_stride(uint64_t size)
{
	return size ? vshmi_align_up(size, 8) : 8;
}

/* Where the first record of a run stands whose header is at `at`: a struct vshm_run and perhaps a gap are in between. */
static inline uint64_t vshmi_run_first(uint64_t at, uint64_t stride)
{
	uint64_t line = stride & -stride;

	return vshmi_align_up(at + VSHM_RECORD_HEADER + sizeof(struct vshm_run), line < 64 ? line : 64);
}

static inline uint64_t vshmi_run_pack(uint64_t size, uint64_t count)
{
	return size | count << 32;
}

/* Checks the word behind the header at `at`: do its records fill the `payload` bytes, at most 2^30, that the header says? */
static inline bool vshmi_run_read(uint64_t word, uint64_t at, uint64_t payload, struct vshm_run *out)
{
	uint64_t stride = vshmi_run_stride((uint32_t)word);

	*out = (struct vshm_run){(uint32_t)word, (uint32_t)(word >> 32)};
	/* no overflow: below 2^32 each */
	return out->count && out->count <= payload / 8 &&
	       vshmi_run_first(at, stride) + stride * out->count == at + VSHM_RECORD_HEADER + payload;
}

/* Kind and sequence together, to be compared in one go. */
static inline uint32_t vshmi_record_tag(uint64_t header)
{
	return (uint32_t)(header >> 32);
}

static inline uint32_t vshmi_record_make_tag(uint32_t kind, uint64_t sequence)
{
	return kind | (uint32_t)(sequence << 8);
}

#endif
