/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers that die at any moment, and the others that go on. The program runs itself again for each peer that is to be
 * killed (peer.c); the two share a page, the notes, in which the doomed one says how far it came.
 */
#ifndef VSHM_TEST_CRASH_H
#define VSHM_TEST_CRASH_H

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <vshm/layout.h>
#include <vshm/vshm.h>

#include "support.h"

#define RING_SIZE 16384u
#define RING_NAME "stream"
#define MAX_PAYLOAD 600u
#define RECORD_HEAD 16u /* run, number */

/* Written by the child with release, read by the parent with acquire. */
struct notes {
	uint64_t ready; /* its end is open */
	uint64_t started; /* records whose commit was begun */
	uint64_t done; /* records whose publication returned; consumer: records released */
	uint64_t first; /* consumer: number of the first record it saw, plus 1 */
	uint64_t error; /* what went wrong, as -errno; 0: nothing */
	uint64_t stop; /* from the parent: end in order */
};
#define note(field, value) __atomic_store_n(&(field), (uint64_t)(value), __ATOMIC_RELEASE)
#define noted(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)

/* What every test here has: a region, its notes, chance. */
struct scene {
	char path[512], uri[520];
	char notes_path[520];
	struct notes *notes;
	uint64_t seed;
};
void scene_open(struct scene *s, uint32_t peers);
void scene_close(struct scene *s);

/* The same region, with notes for a second peer. */
void scene_second(struct scene *second, const struct scene *first);
struct vshm_region *scene_attach(const struct scene *s, vshm_peer peer, uint32_t lease_ms);
struct notes *map_notes(const char *path);

/* A numbered record that can be checked: size and content depend on run and number. */
size_t record_size(uint64_t run, uint64_t number);
void record_fill(void *data, uint64_t run, uint64_t number);

/* 1 if `view` is record `number` of `run`. */
int record_is(const struct vshm_view *view, uint64_t run, uint64_t number);

/* Starts "peer ROLE ..." with clean notes. `pace_us`: now and then it sleeps so long. `fd` of a pipe, or -1. */
pid_t start_peer(struct scene *s, const char *role, vshm_peer peer, uint64_t run, unsigned pace_us, int fd);
int peer_main(int argc, char **argv);

/* In the peer's own process. */
struct doomed {
	struct vshm_region *region;
	struct notes *notes;
	uint64_t run, seed;
	unsigned pace_us;
	int fd;
	uint32_t consumers; /* that its ring can have; 0: one */
};

/* Says why, notes it, and returns 1. */
int give_up(struct doomed *d, const char *what, int rc);
void pace(struct doomed *d);

/* ---- lend.c ---- */

#define POOL_SIZE 32768u
#define LENDS 8u
#define SHELF 6u

/* Blocks that a holder keeps. Each is a record that can be checked, and is before it goes back. */
struct shelf {
	struct {
		struct vshm_view view;
		uint64_t run, number;
	} kept[SHELF];
	unsigned count;
};

/* Keeps the block that was peeked, or does not, releases it, and perhaps gives another one back. 0; -EILSEQ: one is spoilt. */
int shelf_take(struct shelf *s, struct vshm_consumer *c, const struct vshm_view *v, uint64_t *seed);
int shelf_give_back(struct shelf *s, struct vshm_consumer *c, uint64_t *seed);
int shelf_give_back_all(struct shelf *s, struct vshm_consumer *c, uint64_t *seed);
int shelf_is_whole(const struct shelf *s);

int open_borrower(struct vshm_region *r, uint32_t flags, struct vshm_consumer **c);
int open_blocks(struct vshm_region *r, struct vshm_pool **pool);

/* Roles: an owner with one consumer, with several, and a consumer. */
int lend_to_one(struct doomed *d);
int lend_to_many(struct doomed *d);
int hold_blocks(struct doomed *d);

/* Kills the child after a while, counted from its start or from when it is ready, in a thread of its own; reaps it. */
struct killer {
	pid_t pid;
	const struct notes *ready; /* NULL: do not wait for it */
	int64_t delay_us;
	int64_t dead_at_ns; /* 0: not yet */
	pthread_t thread;
};
void killer_start(struct killer *k, pid_t pid, const struct notes *ready, int64_t delay_us);

/* Likewise at a random moment: a third die while they start, the others later. */
void killer_start_random(struct killer *k, pid_t pid, struct scene *s);
int64_t killer_dead_at(const struct killer *k);
void killer_join(struct killer *k);

/* COUNT, or `otherwise`, times `share` of 500: so all tests together kill COUNT times. */
unsigned kills(unsigned share);

Suite *suite_producer(void);
Suite *suite_consumer(void);
Suite *suite_many(void);
Suite *suite_both(void);
Suite *suite_stop(void);
Suite *suite_lend(void);

#endif
