/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region: an attached region, its peers, this peer's section and directory, and the handshake of the ends.
 *
 * `lock` guards everything that is not said to be otherwise. It is taken in slow paths only: opening, closing,
 * connecting, and while a producer has no consumer. It is private: no peer can hold it.
 */
#ifndef REGION_REGION_H
#define REGION_REGION_H

#include "os/os.h"
#include "pool/pool.h"
#include "ring/ring.h"
#include "transport/transport.h"

#include <vshm/error.h>
#include <vshm/region.h>

/* The last records of a slot, or of a closed ring, may be drained for so long before the place is taken all the same. */
#define VSHMI_DRAIN_NS (INT64_C(5) * 1000 * 1000 * 1000)

/* After the kernel's mark alone, where nothing says that the whole process is gone. Not a fence against the hostile. */
#define VSHMI_GRACE_NS (INT64_C(2) * 1000 * 1000 * 1000)

/* A sleep ends by itself after so long, so that a lost doorbell costs time and never a hang. */
#define VSHMI_RECHECK_NS (INT64_C(100) * 1000 * 1000)

/* While waiting for the fence, for a peer that cannot ring, or while somebody floods the bells. */
#define VSHMI_SHORT_NS (INT64_C(1) * 1000 * 1000)

/* Dead producers of one name that a consumer has done with: one for each slot, and some. */
#define VSHMI_READS 96u

/* The other end of a ring, as this peer knows it. */
struct vshmi_link {
	uint64_t id; /* of the other entry; 0: nobody */
	uint64_t incarnation;
	vshm_peer peer;
	uint32_t index;
	uint64_t back; /* a producer's own id: the consumer may name this, or nobody yet. 0: not looked at */
	bool light;    /* same kernel, and both use membarrier: see wait/sleep.c */
	bool deaf;  /* it has no means to ring this peer */
	const struct vshmi_shared_section *section;
	const struct vshmi_shared_entry *entry;
	const struct vshmi_word64 *returns; /* a consumer's return ring, */
	uint32_t lends;			    /* for so many lent blocks; 0: it takes none */
};

/* The consumers of a one-to-many ring: as many as its entry has grants. Everything under the lock. */
struct vshmi_readers {
	uint32_t live; /* connected; atomic, so that a look at it needs no lock */
	struct vshmi_shared_grant *table; /* own */
	struct vshmi_link link[VSHM_MAX_PEERS];
	struct vshmi_reader reader[VSHM_MAX_PEERS];
};

enum vshmi_life {
	VSHMI_WIPED = 0, /* a forked child looks at its parent's handle */
	VSHMI_OPEN,
	VSHMI_CLOSED,
};

/* What a producer and a consumer have in common; the first member of both handles. */
struct vshmi_end {
	enum vshmi_life life;
	struct vshm_region *region;
	uint32_t kind, index, flags;
	uint32_t grants; /* producer of a one-to-many ring: how many consumers it can have; else 0 */
	uint64_t id;
	char name[VSHM_NAME_SIZE];
	struct vshmi_shared_entry *entry;
	struct vshmi_link link; /* granted consumer, or requested producer */
	struct vshmi_readers *readers; /* instead of `link` with `grants`; always adrift then */
	const struct vshmi_word64 *granted; /* consumer: where the producer names it; NULL: it does not (it died before) */
	const struct vshmi_shared_grant *grant; /* the same, in the table of a one-to-many ring; else NULL */
	/* consumer: the producers that it has read to their end, or passes over; the last of so many, and of those the last */
	struct vshmi_read {
		uint64_t incarnation, id;
	} read[VSHMI_READS];
	unsigned reads;
	struct vshmi_end *next; /* handles of this region, open or closed; kept, so that a second close is noticed */
	uint64_t *copy; /* a record of a ring that keeps the latest: private to this process, as large as the largest */
	struct vshmi_lent *lent; /* a consumer's list of blocks that it holds */
	struct vshmi_tx *tx;	/* producers */
	struct vshmi_rx *rx;	/* consumers */
	/*
	 * Producer: no consumer, so every use of tx holds the lock, for the keeper may grant one. Otherwise tx is its thread's
	 * alone while `busy`; while it is not, and tx.limit is 0, the keeper may see the consumer off: vshmi_grant_seize().
	 */
	bool adrift;
	uint32_t busy; /* its thread is inside a call, or holds a reservation; atomic */
	int lost;      /* how the consumer went that the keeper saw off; for the producer's thread to say */
	int left; /* producer: how its consumer went (-ENODATA, -EPIPE), noted under the lock; atomic; 0: nothing noted */
	struct vshmi_word64 final_head; /* private: the head that consumer left behind */
};

/* One entry of this peer's own directory. `end` NULL while `state` is CLOSED: the other side still refers to it. */
struct vshmi_own {
	uint32_t state; /* enum vshm_end_state */
	uint32_t kind;
	uint64_t id, ring_offset, ring_size;
	uint64_t place_size; /* the ring and its grants */
	int64_t closed_ns;
	struct vshmi_end *end;
	struct vshmi_link link;
	struct vshmi_readers *readers; /* of a closed producer */
	const struct vshmi_word64 *granted;
};

/* A peer, and what was noticed of it. */
struct vshmi_peer {
	uint32_t segment;
	uint64_t offset, size;
	struct vshmi_shared_section *section; /* NULL: pending */
	uint32_t state; /* enum vshm_peer_state as last examined; atomic, read without the lock */
	uint64_t incarnation, heartbeat, changes;
	int64_t beat_seen_ns, died_seen_ns;
	uint32_t doorbell; /* where its interrupts go; UINT32_MAX: nowhere; atomic, read without the lock */
	uint64_t departed; /* the incarnation that is surely gone, as the transport or the server's pages say; atomic */
	uint32_t stranger; /* nobody of the two can ring the other: clients of different servers; atomic, read without the lock */
};

/* An interrupt, and who sleeps on it: bell.c. */
struct vshmi_bell {
	bool there;
	int wake_keeper, wake_leader; /* descriptors that end their sleep */
	uint32_t led;	  /* somebody leads; atomic */
	uint32_t waiting; /* threads, the leader too; atomic */
	uint32_t spent;	  /* it rang, that was noticed, and it is still readable; atomic, set and cleared by who leads */
	struct vshmi_flood flood; /* the leader's */
	uint32_t found;
};

/* What vshm_region_event() told last of a peer. */
enum vshmi_standing {
	VSHMI_ABSENT = 0,
	VSHMI_PRESENT,
	VSHMI_SUSPECTED,
};

struct vshmi_told {
	enum vshmi_standing standing;
	uint64_t incarnation;
};

#define VSHMI_HANDLE_SIZE 4096u /* an end has a page of its own */

struct vshm_region {
	uint64_t magic; /* VSHM_MAGIC; zero pages in a forked child */
	struct vshmi_mutex lock;
	struct vshmi_transport transport;
	char name[VSHM_NAME_SIZE];
	uint8_t uuid[16];
	uint32_t profile, peers;
	uint64_t layout_page, created_ns, size;
	vshm_peer self; /* VSHM_PEER_ANY: observer */
	uint64_t incarnation;
	uint32_t alive; /* what our alive word must say */
	uint32_t ways, beat_ms, lease_ms;
	const struct vshmi_shared_server *server; /* where a server tells of its clients, if there is one; NULL: split */
	uint64_t server_life; /* of the server that this peer is a client of; 0: not known */
	bool takes_any_word; /* of segments that contradict each other one is enough */
	uint64_t left_out; /* segments that do not belong to the region: a bit each */
	bool has_keeper, guarded;
	struct vshmi_host host;
	char label[VSHM_NAME_SIZE];
	vshm_log_fn log;
	void *log_arg;
	struct vshmi_shared_section *section; /* own */
	struct vshmi_peer peer[VSHM_MAX_PEERS];
	struct vshmi_told told[VSHM_MAX_PEERS];
	vshm_peer next_told;
	int64_t looked_ns; /* for events, last; 0: never */
	struct vshmi_own own[VSHM_ENTRIES];
	struct vshmi_end *handles;
	struct vshmi_lender *lender; /* lender.c; NULL until there is a pool */
	uint64_t next_id;
	uint32_t bell[VSHM_MAX_PEERS]; /* the last value rung; atomic */
	uint32_t status; /* 0, ESTALE, ENODEV; atomic */
	uint32_t own_segment; /* with this peer's section; VSHM_MAX_PEERS: none, of a split region that is only looked at */
	uint32_t gone[VSHM_MAX_PEERS + 1]; /* segments; set by the SIGBUS guard; atomic */
	struct vshmi_word32 kick; /* private: wakes this process' own waiters */
	uint32_t cancelled;	  /* waits end with -ECANCELED; atomic, stored before a kick */
	int fd;		    /* once `listens` */
	uint32_t listens;   /* the keeper listens for a descriptor; atomic */
	uint32_t waiting;   /* since it was told last, an end said -EAGAIN; atomic */
	uint32_t found;	    /* counts what ends found; atomic */
	struct vshmi_mark mark;
	struct vshmi_thread *keeper;
	uint32_t keeper_phase; /* a private futex, keeper.c */
	struct vshmi_bell bell_heard;
	int keeper_result;
	vshm_peer wanted_peer;
	char *keeper_why;
	bool rescan; /* a producer of ours lost its consumer: look at all requests again */
	struct vshmi_mutex why_lock; /* guards `why` alone */
	char why[VSHM_WHY_SIZE];
};

/* 0, -EINVAL for NULL, -ECHILD in a forked child. */
static inline int vshmi_region_handle(const struct vshm_region *region)
{
	if (!region)
		return -EINVAL;
	return VSHMI_LIKELY(region->magic == VSHM_MAGIC) ? 0 : -ECHILD;
}

/* Has the guard put zeros in the place of this peer's memory? What vanishes of others' segments is their end alone. */
static inline bool vshmi_region_vanished(const struct vshm_region *region)
{
	return __atomic_load_n(&region->gone[region->own_segment], __ATOMIC_RELAXED);
}

/* 0, -ESTALE or -ENODEV: can this region still be used? Cheap. */
static inline int vshmi_region_usable(const struct vshm_region *region)
{
	if (VSHMI_UNLIKELY(vshmi_region_vanished(region)))
		return -ENODEV;
	return -(int)__atomic_load_n(&region->status, __ATOMIC_RELAXED);
}

/*
 * The same with a look at the memory, before somebody else is blamed for what its words say: of a device that was unplugged all
 * are ones.
 */
int vshmi_region_look(struct vshm_region *region);

/* A waiter looks after it noted the kick word (acquire), so that it either sees this or does not sleep. */
static inline bool vshmi_region_cancelled(const struct vshm_region *region)
{
	return VSHMI_UNLIKELY(__atomic_load_n(&region->cancelled, __ATOMIC_RELAXED));
}

/* Does the program sleep on a descriptor? Then what has to wait stays armed. */
static inline bool vshmi_region_listens(const struct vshm_region *region)
{
	return VSHMI_UNLIKELY(__atomic_load_n(&region->listens, __ATOMIC_ACQUIRE)); /* pairs with vshmi_keeper_listen() */
}

/* Does a wait sleep on the words of others? Where interrupts ring, it does not, nor where such memory cannot be slept on. */
static inline bool vshmi_region_has_futexes(const struct vshm_region *region)
{
	return region->transport.same_kernel && !region->bell_heard.there;
}

/* Can somebody wake this peer, who is not there yet? */
static inline bool vshmi_region_hears(const struct vshm_region *region)
{
	return region->transport.same_kernel || region->ways & VSHM_WAY_DOORBELL;
}

/* May words of this region be swapped atomically? On device memory such an instruction can fault. */
static inline bool vshmi_region_is_atomic(const struct vshm_region *region)
{
	return region->transport.facts & VSHM_FACT_RMW;
}

static inline bool vshmi_observes(const struct vshm_region *region)
{
	return region->self == VSHM_PEER_ANY;
}

/* ---- open.c ---- */

/* Maps, reads the superblocks, finds the sections. On failure nothing is left. */
int vshmi_region_map(struct vshm_region *region, const struct vshmi_uri *uri, const struct vshmi_transport_ops *ops,
		     bool observe, char *why);
void vshmi_region_unmap(struct vshm_region *region);

/* The peer whose section is the only one that this process may write; VSHM_PEER_ANY: there are several. */
vshm_peer vshmi_region_only_writable(const struct vshm_region *region);

/* ---- segments.c ---- */

/* What the segments that are mapped make up: the region's facts and its sections. 0, -EPROTO, -EPROTONOSUPPORT, -ENOMEM. */
int vshmi_region_assemble(struct vshm_region *region, const char *path, char *why);

/* Remembers why a call failed (and tells the log hook). Returns `error`. Takes no lock that callers may hold. */
int vshmi_region_fail(struct vshm_region *region, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void vshmi_region_log(struct vshm_region *region, enum vshm_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- explain.c ---- */

/* Puts a superblock's fault into a sentence with the cure. Returns `error`. */
int vshmi_explain_superblock(char *why, int error, const char *path, const struct vshm_fault *fault, uint64_t mapped);

/* ---- slot.c ---- */

/* Takes the wanted slot, or any; makes its section writable and initialises it. In the keeper's thread. */
int vshmi_slot_take(struct vshm_region *region, char *why);
void vshmi_slot_leave(struct vshm_region *region);

/* Changes an alive word, if it still is `before`: by a compare-and-swap where the memory allows it. */
bool vshmi_slot_change(const struct vshm_region *region, struct vshmi_word32 *alive, uint32_t before, uint32_t after);

/* ---- keeper.c ---- */

int vshmi_keeper_start(struct vshm_region *region, char *why);
void vshmi_keeper_stop(struct vshm_region *region);

/* From now on it listens to the bells, and signals region->fd when there is news. Lock held. */
void vshmi_keeper_listen(struct vshm_region *region);

/* ---- bell.c: where this peer is rung by an interrupt ---- */

int vshmi_bell_open(struct vshmi_bell *bell, const struct vshm_region *region); /* 0, -ENOMEM, -EIO */
void vshmi_bell_close(struct vshmi_bell *bell);

/* Before a thread notes the kick word and arms, to sleep then. */
void vshmi_bell_prepare(struct vshm_region *region);

/* Sleeps until the bell rings, the kick word is not `kick` any more, or `timeout_ns`. Any thread. */
void vshmi_bell_wait(struct vshm_region *region, uint32_t kick, int64_t timeout_ns);

/*
 * The keeper sleeps until it is woken, or `until_ns`; if it listens for the program's descriptor, until the bell rings,
 * too. True: peers are gone, as the transport says: look at all of them now.
 */
bool vshmi_bell_keep(struct vshm_region *region, bool listening, int64_t until_ns);

/* ---- fd.c ---- */

/* What a futex wait takes, less the keeper's own word. */
#define VSHMI_EARS 127u

/* What the keeper listens to, and what it heard. Zero at first. */
struct vshmi_ears {
	unsigned count, alive; /* alive words from this one on */
	const struct vshmi_word32 *word[VSHMI_EARS];
	uint32_t noted[VSHMI_EARS];
	uint32_t state[VSHM_MAX_PEERS]; /* of the peers, as told last */
	uint64_t incarnation[VSHM_MAX_PEERS];
	bool news;  /* the program has not been told */
	bool alarm; /* an alive word changed: look at the peers now */
	struct vshmi_flood flood;
	uint32_t found;
	int64_t told_ns;
};

/* Notes what changed, and tells the program what is new. False: look at the peers now, instead of sleeping. */
bool vshmi_ears_look(struct vshmi_ears *ears, struct vshm_region *region);

/* The same, then sleeps until there is more, `phase` is not `expected`, or `until_ns`. */
void vshmi_ears_listen(struct vshmi_ears *ears, struct vshm_region *region, const uint32_t *phase, uint32_t expected,
		       int64_t until_ns);

/* Peers that were examined may be news. Lock held. */
void vshmi_ears_note_peers(struct vshmi_ears *ears, const struct vshm_region *region);

void vshmi_fd_close(struct vshm_region *region);

/* ---- cancel.c ---- */

/* Wakes all threads of this process that wait in this region. Any thread, and signal handlers. */
void vshmi_region_kick(struct vshm_region *region);

/* ---- peer.c ---- */

/* Looks closely at one peer (system calls, lock held) and remembers its state. `identity` may be NULL. */
enum vshm_peer_state vshmi_peer_examine(struct vshm_region *region, vshm_peer peer, struct vshm_identity *identity);

/* The state as last examined; any thread. */
static inline enum vshm_peer_state vshmi_peer_known(const struct vshm_region *region, vshm_peer peer)
{
	return (enum vshm_peer_state)__atomic_load_n(&region->peer[peer].state, __ATOMIC_RELAXED);
}

/* Does the alive word say that this peer will not come back? One load. */
bool vshmi_peer_dead(const struct vshm_region *region, vshm_peer peer);

/* After a pause of this process all leases begin anew. Lock held. */
/* Whoever has this doorbell is gone: a process, or a machine with all that ran in it. Lock held. */
void vshmi_peers_depart(struct vshm_region *region, uint32_t doorbell);

void vshmi_peer_note_doorbell(struct vshm_region *region, vshm_peer peer, const struct vshm_identity *identity);

/* Whose client is this peer? Before it says so in its identity. */
void vshmi_peer_find_server(struct vshm_region *region);

/* Is this the other end's fate, that rings do not reach it, nor come from it? Then both look now and then. Any thread. */
static inline bool vshmi_peer_is_stranger(const struct vshm_region *region, vshm_peer peer)
{
	return VSHMI_UNLIKELY(__atomic_load_n(&region->peer[peer].stranger, __ATOMIC_RELAXED));
}

/* Without a keeper: what a keeper would have heard of the transport meanwhile. Lock held. */
void vshmi_peers_hear(struct vshm_region *region);

void vshmi_peer_restart_leases(struct vshm_region *region);

bool vshmi_peer_same_kernel(const struct vshm_region *region, const struct vshm_identity *identity);
/* Was that written by this machine before it was rebooted, as far as machine ids tell? */
bool vshmi_peer_rebooted(const struct vshm_region *region, const struct vshm_identity *identity);

/* Rings a peer's doorbell: a hint that something changed. Never blocks, any thread. */
void vshmi_peer_ring(struct vshm_region *region, vshm_peer peer);

/* ---- directory.c: this peer's own entries ---- */

/*
 * Opens an entry (and room for a ring of `ring_size`) for `end`, whose name, kind and flags are set. 0, -ENOSPC.
 * Tells nobody yet.
 */
int vshmi_entry_take(struct vshm_region *region, struct vshmi_end *end, uint64_t ring_size);

/* The largest ring that would fit now. */
uint64_t vshmi_ring_room(struct vshm_region *region);

/* The end is closed: its entry goes as soon as the other side no longer refers to it. */
void vshmi_entry_retire(struct vshm_region *region, struct vshmi_end *end);

/* Raises the change counter, so that others look at the directory. */
void vshmi_directory_changed(struct vshm_region *region);

/* A page for an end, zeroed; NULL when there is no memory. Dropping it marks it closed. */
struct vshmi_end *vshmi_handle_take(struct vshm_region *region);
void vshmi_handle_drop(struct vshmi_end *end);

/* 0; -EINVAL: NULL or closed; -ECHILD. */
static inline int vshmi_end_handle(const struct vshmi_end *end)
{
	if (!end || end->life == VSHMI_CLOSED)
		return -EINVAL;
	return end->life == VSHMI_OPEN ? 0 : -ECHILD;
}

/* ---- handshake.c: how two ends find each other ---- */

/* Calls `visit` for every lawful entry of every peer that has a user, until it returns non-zero, which is returned. */
struct vshmi_seen {
	vshm_peer peer;
	uint32_t index;
	uint64_t incarnation;
	struct vshm_entry entry;
};
int vshmi_directory_visit(struct vshm_region *region, int (*visit)(void *arg, const struct vshmi_seen *seen), void *arg);

/* Is an open producer of that name there, besides `not_this`? */
bool vshmi_producer_exists(struct vshm_region *region, const char *name, uint64_t not_this);

/*
 * Grants consumers that ask, or look for the name, to all producers of ours that are adrift. Lock held; also called by
 * the keeper. A producer grants at once when it opens, so that what it commits is read even if it dies the next moment.
 */
void vshmi_grant_requests(struct vshm_region *region);

/* Died this producer with records that nobody was granted, and that a consumer which looks for its name can still read? */
bool vshmi_producer_is_orphan(const struct vshm_region *region, vshm_peer peer, const struct vshm_entry *producer);
bool vshmi_consumer_looks(struct vshm_region *region, const struct vshm_entry *producer, uint64_t incarnation);

/* A consumer that opens after producers of its name died does not want those old records. */
void vshmi_consumer_pass_over(struct vshm_region *region, struct vshmi_end *end);

/* It has read the producer of its link to the end, and does not come back to it. */
void vshmi_consumer_has_read(struct vshmi_end *end);
const struct vshmi_read *vshmi_consumer_read_last(const struct vshmi_end *end);

/* How many consumers that are there, and have not chosen another producer, does this producer's entry name? */
unsigned vshmi_grants_live(const struct vshm_region *region, vshm_peer peer, const struct vshm_entry *producer);

/* Does it name this consumer? Then `grant` says how. */
bool vshmi_grant_find(const struct vshm_region *region, vshm_peer peer, const struct vshm_entry *producer,
		      vshm_peer consumer_peer, uint64_t consumer_incarnation, uint64_t consumer_id,
		      struct vshm_grant *grant);

/* Takes the other side's entry as a link; what that peer says of itself decides about fences and bells. */
void vshmi_link_up(struct vshm_region *region, struct vshmi_link *link, const struct vshmi_seen *seen);

/*
 * Is the other side still there? 0; -ENODATA it closed in order; -ENOENT its entry is gone, so it closed and was done, or
 * it chose another producer;
 * -EPIPE its peer died, or a new one took the slot.
 */
int vshmi_link_check(const struct vshm_region *region, const struct vshmi_link *link);

/*
 * The consumer of this producer closed or died: notes its final head and withdraws the grant, so that its entry and slot
 * can be reused although the producer's thread may not look for a long time. Lock held; by the keeper, or by that thread.
 */
void vshmi_grant_acknowledge(struct vshm_region *region, struct vshmi_end *end, int how);

/* That consumer is gone for good, and the producer adrift. By its thread, or in its place. Lock held. */
void vshmi_grant_lose(struct vshm_region *region, struct vshmi_end *end, int how);

/*
 * In the keeper: loses the consumer in the place of a producer whose thread is elsewhere, so that the next one is served
 * although the producer makes no call. Not where its thread may be at work.
 */
void vshmi_grant_seize(struct vshm_region *region, struct vshmi_end *end);

/*
 * One step of a consumer towards a producer: requests one, or looks whether it was granted. 0: granted, `entry` is a copy
 * of the producer's entry; -EAGAIN; -EBUSY: it has another consumer; -EPROTO with `fault` filled.
 */
int vshmi_request_step(struct vshm_region *region, struct vshmi_end *end, struct vshm_entry *entry,
		       struct vshm_fault *fault);

/* Withdraws a consumer's request: nothing refers to the producer any more. */
void vshmi_request_withdraw(struct vshm_region *region, struct vshmi_end *end);

/* Has a producer of that name all the consumers that it can have? */
bool vshmi_ring_is_taken(struct vshm_region *region, const char *name);

/* ---- readers.c: the consumers of a one-to-many ring; lock held ---- */

/* Before the entry is taken. 0, -ENOMEM. */
int vshmi_readers_open(struct vshmi_end *end);
void vshmi_readers_free(struct vshmi_readers *readers);

/* Can this consumer be granted: is there a place, and has it none yet? */
bool vshmi_readers_vacant(const struct vshmi_end *end, uint64_t id);
void vshmi_readers_grant(struct vshm_region *region, struct vshmi_end *end, const struct vshmi_seen *seen);

/*
 * It left, died, broke a rule, or was too slow: it is not waited for any more. Its place stays taken until it has noticed and
 * left, unless it had not noticed its grant yet.
 */
void vshmi_readers_drop(struct vshm_region *region, struct vshmi_end *end, unsigned index);

/* Loses those that are gone. -EPIPE: one of them died; else 0. */
int vshmi_readers_attend(struct vshm_region *region, struct vshmi_end *end);

/* Rings all of them. None without `readers`. */
void vshmi_readers_ring(struct vshm_region *region, const struct vshmi_end *end);

/* Is any of them still there? */
bool vshmi_readers_remain(const struct vshm_region *region, const struct vshmi_readers *readers);

/* ---- lender.c: who holds blocks of this peer; lock held ---- */

/* A pool becomes one that can be lent from. 0, -ENOSPC, -ENOMEM. */
int vshmi_lender_add(struct vshm_region *region, struct vshmi_pool *pool, uint32_t *number);
void vshmi_lender_remove(struct vshm_region *region, uint32_t number);
void vshmi_lender_free(struct vshm_region *region);

/* Takes in what was given back, and all that those held who are gone. How many blocks came back so far. */
uint64_t vshmi_lender_collect(struct vshm_region *region);

/* As vshmi_pool_lend(), to the consumer of this link; and -EOPNOTSUPP: it takes none. */
int vshmi_lender_lend(struct vshm_region *region, const struct vshmi_link *link, uint32_t pool, uint32_t block,
		      uint64_t *token);

/* Undoes that, before anybody was told. */
void vshmi_lender_recall(struct vshm_region *region, const struct vshmi_link *link, uint32_t pool, uint32_t block);

static inline uint32_t vshmi_readers_live(const struct vshmi_end *end)
{
	return end->readers ? __atomic_load_n(&end->readers->live, __ATOMIC_RELAXED) : 0;
}

#endif
