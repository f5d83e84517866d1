/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions: create, destroy, open as a peer or as an observer, and look at what is inside.
 *
 * A region is named by a URI (vshm(7)):
 *   file:/dev/shm/net0   a file (flat: all sections in it) or a directory (split: a file per peer);
 *                        a path that begins with / or . means the same
 *   inproc:NAME          within one process
 *   vshm:NAME            the URI that /run/vshm/NAME holds
 *   server:SOCKET        what an ivshmem server passes, for a process of the host
 *   ivshmem:0000:00:05.0 in a guest: the memory of a PCI device
 *   split:0000:00:05.0,0000:00:06.0
 *                        in a guest: of several, one for each peer, this one's own first
 * Parameters follow after '?', separated by '&': peer=N, owner=USER (file: the owner to accept besides
 * root and the caller), via=WAY (a device: vfio, uio, sysfs), doorbell=ADDRESS (split).
 */
#ifndef VSHM_REGION_H
#define VSHM_REGION_H

#include <vshm/types.h>

VSHM_BEGIN_DECLS

struct vshm_region; /* an attached region; safe to use from several threads */

/* ---- create and destroy ---- */

#define VSHM_CREATE_FORCE 1u /* replace an existing region: its peers get -ESTALE */
#define VSHM_CREATE_SPLIT 2u /* a segment per peer, each writable by its owner only */

/* Who owns a segment of a split region (or the whole of a flat one). (uint32_t)-1 leaves uid or gid as they are. */
struct vshm_owner {
	uint32_t uid, gid;
	uint32_t mode; /* permission bits, 0 .. 0777 */
};
#define VSHM_OWNER_INIT                                                                            \
	{                                                                                          \
		UINT32_MAX, UINT32_MAX, 0600                                                       \
	}

struct vshm_create_options {
	size_t struct_size;
	const char *name; /* region name; NULL: the last component of the path */
	uint64_t size;    /* bytes of the whole region; 0: 1 MiB and what the sections need */
	uint32_t peers;   /* 1 .. VSHM_MAX_PEERS; 0: 2 */
	uint32_t flags;   /* VSHM_CREATE_… */
	const struct vshm_owner *owners; /* flat: 1. split: `owner_count` = peers, or 1 for all. NULL: VSHM_OWNER_INIT */
	size_t owner_count;
};
#define VSHM_CREATE_OPTIONS_INIT                                                                   \
	{                                                                                          \
		sizeof(struct vshm_create_options), NULL, 0, 0, 0, NULL, 0                         \
	}

/*
 * Creates and formats a region: all memory is allocated, so that a full disk is noticed here and not
 * later as SIGBUS; then it appears under its name in one step. On failure nothing is left behind.
 * `uri`: file:, inproc:, or ivshmem: whose memory begins with 4096 zero bytes. `options`: NULL for defaults. `why`: NULL, or VSHM_WHY_SIZE bytes that
 * receive one line on failure. Blocks for as long as the file system takes to allocate.
 * Errors: -EINVAL, -E2BIG, -EEXIST (use VSHM_CREATE_FORCE), -EACCES, -ENOENT (no such directory),
 * -ENOSPC, -EOPNOTSUPP, -ENOMEM, -EIO.
 */
VSHM_API VSHM_MUST_USE int vshm_region_create(const char *uri, const struct vshm_create_options *options, char *why);

/*
 * Removes a region. Its peers keep their mapping, and get -ESTALE from their next slow call.
 * Refuses to remove what is not a region. `why` as above.
 * Errors: -EINVAL, -ENOENT, -EACCES, -EPROTO (not a region), -EOPNOTSUPP, -EIO.
 */
VSHM_API VSHM_MUST_USE int vshm_region_destroy(const char *uri, char *why);

/*
 * Leaves (or removes, with `uri` NULL) the one-line file /run/vshm/NAME, so that "vshm:NAME" finds the
 * region. The environment variable VSHM_RUN_DIR names another directory.
 * Errors: -EINVAL, -EACCES, -ENOENT, -ENOSPC, -EIO.
 */
VSHM_API VSHM_MUST_USE int vshm_region_register(const char *name, const char *uri, char *why);

/* ---- open and close ---- */

#define VSHM_OPEN_OBSERVE 1u   /* read-only, takes no slot, disturbs nobody; no ends can be opened */
/* No thread: no heart beats, death is noticed by pid only; ends connect, and what a server says is read, only inside calls. */
#define VSHM_OPEN_NO_KEEPER 2u
#define VSHM_OPEN_GUARD 4u     /* process-wide SIGBUS handler: vanished memory gives -ENODEV instead of a crash */

struct vshm_open_options {
	size_t struct_size;
	uint32_t flags; /* VSHM_OPEN_… */
	vshm_peer peer; /* the slot to take, or VSHM_PEER_ANY; peer= in the URI wins */
	const char *label; /* what to call this peer in `vshmctl show`; NULL: the program's name */
	uint32_t beat_ms;  /* heartbeat and look-around interval; 0: 50. At least 10 */
	uint32_t lease_ms; /* a heart that stood still for so long makes a peer suspect; 0: 1000. At least 100 */
	vshm_log_fn log;   /* NULL: silent */
	void *log_arg;
};
#define VSHM_OPEN_OPTIONS_INIT                                                                     \
	{                                                                                          \
		sizeof(struct vshm_open_options), 0, VSHM_PEER_ANY, NULL, 0, 0, NULL, NULL         \
	}

/*
 * Attaches to a region and takes a slot in it. The keeper thread holds the slot until close; when the
 * process dies, by SIGKILL too, the kernel tells the other peers.
 * A slot whose last user left or is fenced is taken; where a consumer still drains the last user's
 * records, the call waits up to 5 s for it. A forked child cannot use the handle (-ECHILD).
 * `options`: NULL for defaults. `why`: NULL, or VSHM_WHY_SIZE bytes for one line on failure.
 * On success *region is owned by the caller: vshm_region_close().
 * Errors: -EINVAL, -E2BIG, -ENOENT, -EACCES, -EBUSY (no free slot, or that slot is taken), -EPROTO
 * (not a region, or damaged), -EPROTONOSUPPORT, -ENOMEM, -EOPNOTSUPP, -EIO.
 */
VSHM_API VSHM_MUST_USE int vshm_region_open(const char *uri, const struct vshm_open_options *options,
					    struct vshm_region **region, char *why);

/*
 * Closes what is still open at this handle without lingering, gives the slot back and unmaps. Closes its descriptor (wait.h).
 * The pointers of its producers and consumers become invalid. No thread may be inside a call on them.
 * A second close of the same handle is -EINVAL as long as no other region was opened since.
 * Errors: -EINVAL, -ECHILD (the parent's handle is unmapped in a child; nothing to do).
 */
VSHM_API int vshm_region_close(struct vshm_region *region);

/* ---- look ---- */

/*
 * 0, or why the region can no longer be used: -ESTALE (replaced, destroyed or evicted), -ENODEV, -ECHILD,
 * -EINVAL. Never blocks.
 */
VSHM_API VSHM_MUST_USE int vshm_region_status(struct vshm_region *region);

/*
 * Copies the line that explains the last failed call on this region or its ends into `why`
 * (VSHM_WHY_SIZE bytes; empty when there was none, and for outcomes that vshm_strerror() says all about: -EAGAIN,
 * -ETIMEDOUT, -ENODATA, -EPIPE, -EHOSTDOWN). Any thread; the last failure of any thread wins.
 * Errors: -EINVAL, -ECHILD.
 */
VSHM_API int vshm_region_why(struct vshm_region *region, char *why);

#define VSHM_FACT_CACHED 1u    /* ordinary cached memory */
#define VSHM_FACT_RMW 2u       /* atomic read-modify-write allowed */
#define VSHM_FACT_PROTECTED 4u /* other peers' sections are read-only for this process */
#define VSHM_FACT_TOLD 16u     /* whether it is cached was told by the kernel, and is no guess */
#define VSHM_FACT_ENFORCED 8u  /* the operating system lets each peer write its own segment only (split) */

struct vshm_region_info {
	size_t struct_size;
	char name[VSHM_NAME_SIZE];
	uint8_t uuid[16];
	uint32_t layout_version;
	uint32_t peers;
	uint32_t profile; /* enum vshm_profile in layout.h */
	uint32_t facts;   /* VSHM_FACT_… */
	vshm_peer self;   /* VSHM_PEER_ANY for an observer */
	uint32_t segments;
	uint64_t size; /* of all segments */
	uint64_t layout_page;
	uint64_t created_ns; /* CLOCK_REALTIME */
	char way[16];		     /* how a device is reached: "vfio", "uio" or "sysfs"; empty: there is one way only */
	char because[VSHM_WHY_SIZE]; /* why this way: a line */
};
#define VSHM_REGION_INFO_INIT                                                                      \
	{                                                                                          \
		sizeof(struct vshm_region_info), {0}, {0}, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}, {0}     \
	}

/* Fills `info`, whose struct_size is set. Never blocks. Errors: -EINVAL, -E2BIG, -ECHILD. */
VSHM_API VSHM_MUST_USE int vshm_region_info(struct vshm_region *region, struct vshm_region_info *info);

enum vshm_peer_state {
	VSHM_PEER_FREE = 0,    /* nobody */
	VSHM_PEER_PENDING = 1, /* its segment is not there or not formatted yet */
	VSHM_PEER_LIVE = 2,
	VSHM_PEER_CLOSING = 3, /* left in order; consumers may still drain */
	VSHM_PEER_SUSPECT = 4, /* its heart stands still: stopped, paused, or a machine in trouble */
	VSHM_PEER_DIED = 5,    /* will not come back; may still write for a moment */
	VSHM_PEER_FENCED = 6,  /* surely gone: its slot may be reused */
};

struct vshm_peer_info {
	size_t struct_size;
	enum vshm_peer_state state;
	uint32_t segment;    /* which segment holds its section */
	uint64_t offset;     /* of its section in the segment */
	uint64_t size;       /* of its section */
	uint64_t incarnation; /* 0: never used; the rest is then 0 */
	uint64_t heartbeat;
	uint64_t attached_ns; /* CLOCK_REALTIME */
	uint32_t pid, uid;
	uint32_t ways;     /* VSHM_WAY_… in layout.h */
	uint32_t beat_ms;
	uint32_t can_wake; /* 1: this process (or, for an observer, a peer here) can ring it */
	uint32_t same_kernel;
	uint64_t ring_bytes; /* of its section used by rings, pools, and return rings of lent blocks */
	char label[VSHM_NAME_SIZE];
	/* Of the ivshmem server whose client it is: two of different lives cannot ring each other. 0: not known; VSHM_LIFE_OVER. */
	uint64_t server_life;
};
#define VSHM_PEER_INFO_INIT                                                                        \
	{                                                                                          \
		sizeof(struct vshm_peer_info), VSHM_PEER_FREE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
			0, {0}, 0                                                                  \
	}

/*
 * What is known of one peer now. Suspicion needs two looks, a lease apart (an observer too).
 * Never blocks. Errors: -EINVAL (no such peer), -E2BIG, -ECHILD.
 */
VSHM_API VSHM_MUST_USE int vshm_region_peer(struct vshm_region *region, vshm_peer peer, struct vshm_peer_info *info);

struct vshm_end_info {
	size_t struct_size;
	vshm_peer peer;
	uint32_t index; /* of its directory entry, 0 .. VSHM_ENTRIES - 1 */
	uint32_t kind;  /* enum vshm_end_kind in layout.h */
	uint32_t state; /* enum vshm_end_state in layout.h */
	uint32_t flags; /* VSHM_ENTRY_… in layout.h */
	uint32_t connected; /* 1: both ends name each other; producer of a one-to-many ring: it has a consumer, see `consumers` */
	char name[VSHM_NAME_SIZE];
	uint64_t id;
	/* in the peer's section, bytes: a producer's ring, a pool's blocks, a consumer's return ring of lent blocks (size 0: none) */
	uint64_t ring_offset, ring_size;
	uint64_t position; /* producer: tail; consumer: head, free-running bytes. Pool: bytes in use */
	uint64_t armed; /* position that it sleeps for; 0: awake */
	vshm_peer other_peer; /* VSHM_PEER_ANY: nobody, and always of the producer of a one-to-many ring */
	uint32_t other_index;
	uint64_t other_position; /* when connected: the other side's */
	uint64_t records, rings_sent, rings_avoided, sleeps, spurious;
	uint64_t lost; /* consumer: records of a latest ring that it missed; producer: records dropped while nobody listened */
	uint32_t grants; /* producer of a one-to-many ring: how many consumers it can have at a time; else 0 */
	uint32_t consumers; /* producer of any ring: how many it has granted; else 0 */
	uint32_t lends;   /* consumer: how many lent blocks it can hold */
	uint32_t lent;    /* pool: blocks that consumers hold; consumer: blocks that it keeps */
	uint64_t largest; /* pool: bytes of the largest free block */
};
#define VSHM_END_INFO_INIT                                                                         \
	{                                                                                          \
		sizeof(struct vshm_end_info), 0, 0, 0, 0, 0, 0, {0}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
			0, 0, 0, 0, 0, 0, 0, 0, 0                                                     \
	}

/*
 * What directory entry `index` of `peer` says now, checked. Never blocks.
 * Errors: -ENOENT (free entry, or the slot has no user), -EPROTO (unlawful: vshm_region_check tells),
 * -EINVAL (no such peer or index), -E2BIG, -ECHILD.
 */
VSHM_API VSHM_MUST_USE int vshm_region_end(struct vshm_region *region, vshm_peer peer, uint32_t index,
					   struct vshm_end_info *info);

/*
 * Looks at every word of the layout and calls `found` for each that breaks a rule; nothing is written.
 * A peer that is busy attaching can look unlawful for an instant: each finding was seen twice, 20 ms apart.
 * In a fault, peer VSHM_PEER_ANY means the superblock; the offset is then in the segment, else in the peer's section.
 * Returns the number of findings. Blocks at most 200 ms. Errors: -EINVAL, -ECHILD.
 */
VSHM_API VSHM_MUST_USE int vshm_region_check(struct vshm_region *region,
					     void (*found)(void *arg, const struct vshm_fault *fault), void *arg);

#define VSHM_EVICT_FORCE 1u /* a live or suspect peer too: it must not write any more, or the section is spoilt */

/*
 * Declares the user of a slot gone, so that the slot can be taken again: for a machine that will not
 * come back, or a process that stays stopped. The evicted peer, if it still runs, gets -ESTALE.
 * Needs write permission on that peer's segment. `why` as above.
 * Errors: -EINVAL, -ENOENT (slot is free), -EBUSY (it lives: needs VSHM_EVICT_FORCE), -EACCES, and
 * those of vshm_region_open.
 */
VSHM_API VSHM_MUST_USE int vshm_region_evict(const char *uri, vshm_peer peer, uint32_t flags, char *why);

VSHM_END_DECLS

#endif
