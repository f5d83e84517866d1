/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a region, layout version 1, for programs that look at one without the library.
 * vshm_layout(5) explains them. All numbers are little-endian; every structure is naturally aligned.
 *
 *   segment   = superblock (4096 bytes) and, when flat, the server's pages, padded to one layout page; then sections
 *   section   = header page, doorbell lines, directory, up to VSHM_SECTION_DATA; then data: the rings
 *
 * Each section is written by one peer only (plus: the kernel's death mark and the claim on `alive`).
 */
#ifndef VSHM_LAYOUT_H
#define VSHM_LAYOUT_H

#include <vshm/types.h>

VSHM_BEGIN_DECLS

#define VSHM_LAYOUT_VERSION 1u

/* "VSHMRGN1" as the bytes lie in memory. Stored last when formatting, cleared first when destroying. */
#define VSHM_MAGIC UINT64_C(0x314e47524d485356)

/* Words polled by different peers never share a line: 128 bytes, because CPUs fetch 64-byte lines in pairs. */
#define VSHM_LINE 128u

/* The smallest layout page: the largest page size in use on arm64, so that a section can be mapped on its own. */
#define VSHM_MIN_PAGE 65536u

#define VSHM_SUPERBLOCK_SIZE 4096u

enum vshm_profile {
	VSHM_FLAT = 0,  /* one segment holds all sections */
	VSHM_SPLIT = 1, /* one segment per peer */
};

struct vshm_section_place {
	uint32_t peer;
	uint32_t reserved; /* 0 */
	uint64_t offset;   /* from the start of this segment; a multiple of layout_page */
	uint64_t size;     /* a multiple of layout_page, at least VSHM_MIN_SECTION */
};

/* At offset 0 of every segment. All that is not named is 0. */
struct vshm_superblock {
	uint64_t magic;
	uint32_t layout_version;
	uint32_t crc;          /* CRC-32C (Castagnoli, RFC 3720) of these 4096 bytes with this field 0 */
	uint64_t compatible;   /* feature bits that an older reader may ignore */
	uint64_t incompatible; /* feature bits that an older reader must refuse */
	uint8_t uuid[16];      /* RFC 4122 version 4; the same in all segments of a region */
	char name[VSHM_NAME_SIZE];
	uint32_t profile; /* enum vshm_profile */
	uint32_t peer_count;
	uint32_t section_count; /* in this segment: peer_count, or 1 when split */
	uint32_t reserved0;
	uint64_t layout_page;
	uint64_t segment_size; /* at most what is mapped */
	uint64_t created_ns;   /* CLOCK_REALTIME */
	struct vshm_section_place section[VSHM_MAX_PEERS];
	uint8_t reserved1[VSHM_SUPERBLOCK_SIZE - 152 - 24 * VSHM_MAX_PEERS];
};

/*
 * What an ivshmem server tells of its clients: at VSHM_SERVER_OFFSET of the segment of a flat region, written by the server
 * alone. For those who hear nothing of it themselves: programs in guests.
 */
#define VSHM_SERVER_OFFSET 4096u
#define VSHM_SERVER_MAGIC UINT64_C(0x315652534d485356) /* "VSHMSRV1" as the bytes lie in memory. Stored last */
#define VSHM_CLIENT_IDS 65536u

/* What became of a client's id in this life of the server; two bits. */
enum vshm_client_state {
	VSHM_CLIENT_UNKNOWN = 0, /* it was not given out */
	VSHM_CLIENT_HERE = 1,
	VSHM_CLIENT_LEFT = 2,	 /* its connection was closed from its side: its machine or process is gone */
	VSHM_CLIENT_DROPPED = 3, /* the server closed it: what is at the other end may live on */
};

struct vshm_server_page {
	uint64_t magic;
	uint64_t life; /* random, new with every start of a server; never 0, nor VSHM_LIFE_OVER */
	uint8_t reserved[4080];
	uint64_t state[VSHM_CLIENT_IDS / 32]; /* id I: bits 2 * (I % 32) and the next one of word I / 32 */
};

/* vshm_identity.server_life of who was a client of another life than that which the pages tell of. */
#define VSHM_LIFE_OVER UINT64_MAX

/* Section header: offsets from the start of the section. */
#define VSHM_SECTION_IDENTITY 0x000u  /* struct vshm_identity, written once per attach */
#define VSHM_SECTION_ALIVE 0x200u     /* u32: see VSHM_ALIVE_… */
#define VSHM_SECTION_HEARTBEAT 0x280u /* u64: counts up while the peer lives */
#define VSHM_SECTION_CHANGES 0x300u   /* u64: counts up when the directory or a request changed */
#define VSHM_SECTION_BELLS 0x1000u    /* u32 per target peer, a line each: rings the target */
#define VSHM_SECTION_DIRECTORY 0x4000u /* VSHM_ENTRIES of struct vshm_entry */
#define VSHM_SECTION_DATA 0x10000u    /* rings start here */
#define VSHM_MIN_SECTION 0x20000u     /* header and as much data */
#define VSHM_ENTRIES 64u

/*
 * The alive word is a robust futex (linux Documentation/locking/robust-futex-ABI.rst):
 * 0 = slot free; tid | WAITERS = taken; WAITERS | OWNER_DIED = the kernel saw its owner die;
 * VSHM_ALIVE_EVICTED = an operator declared it gone.
 */
#define VSHM_ALIVE_WAITERS 0x80000000u
#define VSHM_ALIVE_DIED 0x40000000u
#define VSHM_ALIVE_TID 0x3fffffffu
#define VSHM_ALIVE_EVICTED 0xc0000001u

/* What a peer says about how it waits and how it can be woken: vshm_identity.ways. */
#define VSHM_WAY_FUTEX 1u      /* woken by FUTEX_WAKE on the ringer's bell word, under the same kernel */
#define VSHM_WAY_MEMBARRIER 2u /* registered for, and issues before it sleeps, expedited global membarriers */
#define VSHM_WAY_DOORBELL 8u   /* is rung by an interrupt, at ivshmem_id */
#define VSHM_WAY_RINGS 16u     /* rings the interrupts of others */
#define VSHM_WAY_KEEPER 4u     /* has a keeper thread: the kernel marks its death, its heart beats */

enum vshm_section_state {
	VSHM_SECTION_FREE = 0,
	VSHM_SECTION_LIVE = 1,
	VSHM_SECTION_CLOSING = 2, /* orderly: consumers may still drain */
};

/* `incarnation` is stored last at attach: while it is 0 nothing else here is valid. */
struct vshm_identity {
	uint64_t incarnation; /* random, new at every attach */
	uint32_t state;       /* enum vshm_section_state */
	uint32_t ways;        /* VSHM_WAY_… */
	uint8_t machine_id[16];
	uint8_t boot_id[16];
	uint64_t pid_namespace; /* inode of /proc/self/ns/pid */
	uint64_t start_ticks;   /* field 22 of /proc/PID/stat: tells a reused pid from the first */
	uint64_t attached_ns;   /* CLOCK_REALTIME */
	uint32_t pid;
	uint32_t uid;
	uint32_t beat_ms;    /* how often the heart beats; 0: never */
	uint32_t ivshmem_id; /* its id at an ivshmem server, by which its doorbell is rung, if it has one; UINT32_MAX: none */
	char label[VSHM_NAME_SIZE];
	uint64_t server_life; /* of the server that gave it ivshmem_id: struct vshm_server_page; 0: not known */
};

enum vshm_end_kind {
	VSHM_PRODUCER = 1,
	VSHM_CONSUMER = 2,
	VSHM_POOL = 3, /* memory to lend: no end, but it has an entry, so that it can be seen */
};

enum vshm_end_state {
	VSHM_END_FREE = 0,
	VSHM_END_OPEN = 1,
	VSHM_END_CLOSED = 2, /* producer: end of stream at `position`; consumer: left at `position` */
};

/* One end of a ring, 512 bytes. `state` is stored last when it opens; the first line then stays as it is. */
struct vshm_entry {
	/* line 0: what it is */
	uint64_t id;    /* never 0, never reused within an incarnation */
	uint32_t kind;  /* enum vshm_end_kind */
	uint32_t flags; /* VSHM_ENTRY_… */
	char name[VSHM_NAME_SIZE];
	uint64_t ring_offset; /* from the start of its section; consumer: of its return ring; pool: of its blocks */
	uint64_t ring_size;   /* bytes; producer: a power of two; consumer: 8 for each lent block, a power of two; 0: none */
	uint32_t grants;      /* producer of a one-to-many ring: so many struct vshm_grant stand behind the ring; else 0 */
	uint8_t reserved0[28];
	/*
	 * line 1: with whom. Consumer: the producer it requests; with other_id 0 it looks for one, and other_incarnation and
	 * other_start (an end id) name the one it has done with. Producer: the consumer it granted; with `grants` nobody.
	 */
	uint32_t state; /* enum vshm_end_state */
	uint32_t other_peer;
	uint64_t other_incarnation;
	uint64_t other_id;    /* 0: nobody. Stored last */
	uint64_t other_start; /* producer: where the granted consumer, or the next one, starts; VSHM_NOT_STARTED: not known */
	uint64_t records;     /* count so far, published now and then */
	uint64_t rings_sent;
	uint64_t rings_avoided;
	uint64_t sleeps;
	uint64_t spurious;
	uint64_t lost; /* consumer: records of a latest ring that were overwritten unread; producer: dropped while nobody listened */
	uint8_t reserved1[48];
	/* line 2, line 3: free-running byte counts, a line each */
	uint64_t position; /* producer: tail; consumer: head, VSHM_NOT_STARTED until it has met its producer; pool: bytes in use */
	uint64_t oldest;   /* VSHM_ENTRY_LATEST: what lies before is overwritten, or may be any moment; pool: largest free block */
	uint64_t newest;   /* VSHM_ENTRY_LATEST: where the last record begins; pool: blocks that are lent */
	uint64_t returned; /* consumer: blocks given back so far, the tail of its return ring */
	uint64_t held;	   /* consumer: lent blocks that it keeps; for those who look */
	uint64_t part; /* consumer that left: released records of the run at its position */
	uint8_t reserved2[80];
	uint64_t armed; /* the position of the other side that this end sleeps for; 0: awake */
	uint8_t reserved3[120];
};
#define VSHM_NOT_STARTED UINT64_MAX
#define VSHM_ENTRY_DROP 1u  /* producer: drops records while nobody listens */
#define VSHM_ENTRY_POLLS 2u /* consumer: never sleeps, needs no fence and no doorbell */
#define VSHM_ENTRY_LATEST 4u /* producer: never waits; a record has a second word of header, its 64-bit number */

/* A grant of a one-to-many ring. The table stands directly behind the ring's bytes and belongs to its entry. */
struct vshm_grant {
	uint32_t reserved; /* 0 */
	uint32_t peer;
	uint64_t incarnation;
	uint64_t id;    /* of the consumer's end; 0: nobody. Stored last */
	uint64_t start; /* where it starts; not used with VSHM_ENTRY_LATEST */
};

/*
 * A record: 8 bytes of header, then the payload, padded to 8. One 64-bit word:
 * bits 0-31 payload bytes, bits 32-39 kind, bits 40-63 sequence number (of records, pads included, modulo 2^24).
 */
#define VSHM_RECORD_HEADER 8u
enum vshm_record_kind {
	VSHM_RECORD_DATA = 1,
	VSHM_RECORD_PAD = 2, /* fills the ring up to its end */
	VSHM_RECORD_LEND = 3, /* a struct vshm_lend: memory that its owner lends to the consumer */
	VSHM_RECORD_RUN = 4,  /* a struct vshm_run, a gap, and the run's records: one-to-one rings only */
};

/*
 * A run: `count` records of `size` bytes each behind one header, with one sequence number. Each takes `size` rounded up to 8, at
 * least 8; the first begins at the first position behind this that is a multiple of the largest power of two in that, at most
 * 64, so that records lie on as few cache lines as they can; the last ends where the header says that its payload ends.
 */
struct vshm_run {
	uint32_t size;
	uint32_t count; /* never 0 */
};

/* The payload of a VSHM_RECORD_LEND. The consumer gives the block back by putting the token into its return ring. */
struct vshm_lend {
	uint64_t offset; /* from the start of the producer's section; a multiple of VSHM_LINE */
	uint64_t size;
	uint64_t token; /* never 0: bits 0-25 block, 26-31 pool, 32-63 generation */
};

/* Words of a return ring, and so the blocks that one consumer can hold. */
#define VSHM_MAX_LENDS 4096u

/* Capacity of a ring: a power of two in this range. 2^30 keeps every length in 31 bits. */
#define VSHM_MIN_RING 256u
#define VSHM_MAX_RING (UINT64_C(1) << 30)

/* The rules of the layout: what a fault or `vshmctl check` names. Text: vshm_rule_text(). */
enum vshm_rule {
	VSHM_RULE_NONE = 0,
	/* superblock */
	VSHM_RULE_MAGIC,
	VSHM_RULE_ZERO, /* nothing was ever written */
	VSHM_RULE_CRC,
	VSHM_RULE_VERSION,
	VSHM_RULE_FEATURES,
	VSHM_RULE_NAME,
	VSHM_RULE_PEERS,
	VSHM_RULE_PROFILE,
	VSHM_RULE_PAGE,
	VSHM_RULE_SEGMENT_SIZE,
	VSHM_RULE_SECTION,
	VSHM_RULE_RESERVED,
	VSHM_RULE_STRANGER, /* segment `value` of several */
	/* section header */
	VSHM_RULE_STATE,
	VSHM_RULE_ALIVE,
	VSHM_RULE_WAYS,
	VSHM_RULE_LABEL,
	/* directory entry */
	VSHM_RULE_ENTRY_STATE,
	VSHM_RULE_ENTRY_KIND,
	VSHM_RULE_ENTRY_ID,
	VSHM_RULE_ENTRY_NAME,
	VSHM_RULE_ENTRY_FLAGS,
	VSHM_RULE_RING_SIZE,
	VSHM_RULE_RING_PLACE,
	VSHM_RULE_RING_OVERLAP,
	VSHM_RULE_GRANTS,
	VSHM_RULE_OTHER_PEER,
	VSHM_RULE_DUPLICATE,
	VSHM_RULE_START,
	/* positions and records */
	VSHM_RULE_TAIL_ALIGN,
	VSHM_RULE_TAIL_RANGE,
	VSHM_RULE_HEAD_ALIGN,
	VSHM_RULE_HEAD_RANGE,
	VSHM_RULE_RECORD_KIND,
	VSHM_RULE_RECORD_LENGTH,
	VSHM_RULE_RECORD_SEQUENCE,
	VSHM_RULE_RECORD_PAD,
	VSHM_RULE_RECORD_RUN,
	VSHM_RULE_LEND,
	/* returns of lent blocks */
	VSHM_RULE_RETURN_TAIL,
	VSHM_RULE_RETURN_BLOCK,
	VSHM_RULE_RETURN_GENERATION,
	VSHM_RULE_RETURN_HOLDER,
	VSHM_RULE_COUNT,
};

VSHM_END_DECLS

#endif
