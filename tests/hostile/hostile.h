/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer that breaks every rule inside its own section, and the others of its region. The attacker is a process of its
 * own, so that what it spoils is shared memory only; the victims are threads of the main program, which runs under
 * AddressSanitizer and UndefinedBehaviorSanitizer.
 */
#ifndef VSHM_TEST_HOSTILE_H
#define VSHM_TEST_HOSTILE_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vshm/layout.h>
#include <vshm/vshm.h>

#include "support.h"

#define SECTION_SIZE (UINT64_C(512) << 10)

/* The attacker's section is the last: what is read beyond its end is not there. */
enum {
	PEER_CONSUMER, /* reads the attacker's ring "evil" */
	PEER_PRODUCER, /* writes the ring "prey" for the attacker */
	PEER_FROM, /* an innocent pair with the ring "pure" */
	PEER_TO,
	PEER_HERD, /* writes the one-to-many ring "herd", also for the attacker */
	PEER_SHEEP, /* an innocent consumer of it */
	PEER_DOOR, /* comes and goes */
	PEER_ATTACKER,
	PEERS,
};

/* Shared with the attacker. */
struct notes {
	uint64_t ready, stop;
	uint64_t scribbles; /* words written */
	uint64_t rounds, grants, requests;
};
#define note(field, value) __atomic_store_n(&(field), (uint64_t)(value), __ATOMIC_RELEASE)
#define noted(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define add(field, n) (void)__atomic_add_fetch(&(field), (uint64_t)(n), __ATOMIC_RELAXED)

/* What the victims share. */
struct arena {
	char uri[512], path[500];
	struct notes *notes;
	uint64_t seed;
	uint64_t calls, records, quarantines, reopened, pure, findings;
	uint64_t herd; /* records that the innocent consumer of "herd" has read */
	uint64_t liars, slow; /* consumers of it that were dropped: broke a rule; held it up */
	uint64_t lent, kept; /* blocks lent to the attacker; blocks of its that were kept */
	uint64_t evicted; /* the attacker is: what it held has to come home */
	uint64_t slowest_ns;
	uint64_t rules[VSHM_RULE_COUNT];
};

struct notes *map_notes(const char *path);

/* "attack URI PATH NOTES SEED" */
int attacker_main(int argc, char **argv);

/* Ends the program with a message: a victim saw what must not happen. */
void broken(struct arena *a, const char *what, long long value);

/* Around each call of a victim: counts it, and fails when it took much longer than its timeout. */
int64_t call_begin(struct arena *a);
void call_end(struct arena *a, int64_t began, int64_t timeout_ns, const char *what);
int is_stopped(const struct arena *a);

/* `log`: NULL, or a hook that gets the arena. */
struct vshm_region *attach(struct arena *a, vshm_peer peer, vshm_log_fn log);

/* Threads; each takes the arena. */
void *victim_consumer(void *arg);
void *victim_producer(void *arg);
void *innocent_from(void *arg);
void *innocent_to(void *arg);
void *innocent_shepherd(void *arg);
void *innocent_sheep(void *arg);
void *victim_door(void *arg);
void *victim_observer(void *arg);

#endif
