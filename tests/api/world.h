/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the conformance suites stand on: a region on each transport that works here, and the two ends of
 * a ring in it. Each suite runs once per transport: its tests are loop tests, `_i` is the transport.
 */
#ifndef VSHM_TEST_WORLD_H
#define VSHM_TEST_WORLD_H

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <vshm/layout.h>
#include <vshm/vshm.h>

#include "support.h"

#define ck_ok(call) ck_assert_int_eq((call), 0)
#define ck_is(call, code) ck_assert_int_eq((call), (code))

enum world_kind {
	WORLD_SHM, /* one file in /dev/shm */
	WORLD_DISK, /* one file on an ordinary file system */
	WORLD_SPLIT, /* a directory with a file per peer */
	WORLD_INPROC,
	WORLD_HUGE, /* one file on hugetlbfs */
	WORLD_NAMED, /* vshm:NAME for a file in /dev/shm */
	WORLD_KINDS,
};

/* Finds out what works here; prints a line for each transport that is left out, and why. */
void world_probe(void);
int world_count(void);
enum world_kind world_kind(int transport);
const char *world_label(int transport);

struct world {
	enum world_kind kind;
	uint32_t peers;
	char create_uri[PATH_MAX]; /* what to create and destroy */
	char uri[PATH_MAX]; /* what to open */
	char path[PATH_MAX]; /* the file or directory; empty for inproc: */
	char name[VSHM_NAME_SIZE]; /* of the region */
};

/* A fresh place for a region; nothing is created yet. */
void world_place(struct world *w, int transport, uint32_t peers);

/* world_place, and a region with room for `data` bytes of rings in each section. */
void world_create(struct world *w, int transport, uint32_t peers, uint64_t data);

/* The options world_create uses: the size that gives each section `data` bytes. */
struct vshm_create_options world_options(const struct world *w, uint64_t data);
void world_destroy(struct world *w);

/* Opens as peer `peer` with defaults; fails the test if that fails. */
struct vshm_region *world_open(const struct world *w, vshm_peer peer);
struct vshm_region *world_open_with(const struct world *w, const struct vshm_open_options *options);
struct vshm_region *world_observe(const struct world *w);

/* Path of the file that holds `peer`'s section (flat: the only file). */
void world_segment_path(const struct world *w, vshm_peer peer, char *path, size_t size);

/* Two peers, a ring "ring" from `a` (peer 0) to `b` (peer 1), connected. */
struct pair {
	struct world w;
	struct vshm_region *a, *b;
	struct vshm_producer *p;
	struct vshm_consumer *c;
};
void pair_open(struct pair *t, int transport, uint64_t ring_size);
void pair_close(struct pair *t);

/* Opens ends that must open. */
struct vshm_producer *producer(struct vshm_region *r, const char *name, uint64_t ring_size, uint32_t flags);
struct vshm_consumer *consumer(struct vshm_region *r, const char *name, uint32_t flags);

/* Lets both ends look around until they are connected, in one thread. */
void connect_ends(struct vshm_producer *p, struct vshm_consumer *c);

/* Sends a checkable record in one thread: where the ring needs it, lets the consumer look. */
void put(struct vshm_producer *p, struct vshm_consumer *c, size_t size, uint64_t key);

/* Receives a record that must be there now (or within a long time) and is what put() sent. */
void get(struct vshm_consumer *c, size_t size, uint64_t key);

/* Nothing there now. */
void get_nothing(struct vshm_consumer *c, int code);

/* Waits, for a long time, until vshm_region_status says `code`. */
void wait_status(struct vshm_region *r, int code);

/* A thread that must start, and its end. */
pthread_t start_thread(void *(*run)(void *), void *arg);
void join_thread(pthread_t thread);

/* Adds a test for every transport. */
#define add_everywhere(tc, test) tcase_add_loop_test(tc, test, 0, world_count())

/* One suite each; see the files of the same name. */
Suite *suite_region(void);
Suite *suite_slots(void);
Suite *suite_stream(void);
Suite *suite_wait(void);
Suite *suite_ends(void);
Suite *suite_restart(void);
Suite *suite_options(void);
Suite *suite_arguments(void);
Suite *suite_process(void);
Suite *suite_vanish(void);
Suite *suite_damage(void);
Suite *suite_look(void);
Suite *suite_quarantine(void);
Suite *suite_many(void);
Suite *suite_latest(void);
Suite *suite_pool(void);
Suite *suite_poll(void);
Suite *suite_cancel(void);
Suite *suite_events(void);
Suite *suite_fd(void);

#endif
