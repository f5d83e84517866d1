/* SPDX-License-Identifier: BSD-3-Clause */
/* vm-trips: a message there and back between two guests, over one of several ways that lie between them. */
#ifndef VM_TRIPS_H
#define VM_TRIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of way->open() and the others: 0, or -1 after trips_say(). */
struct way {
	const char *name, *arguments;
	int (*open)(const char *const arguments[], size_t size, bool asks);
	int (*put)(size_t size, uint64_t counter); /* sends bench_fill(size, counter) */
	int (*get)(size_t size, uint64_t counter); /* receives, and checks every byte */
	int (*meet)(bool asks);			   /* NULL: messages wait for whoever comes late */
	int (*close)(void);
};

extern const struct way way_ring_poll, way_ring_sleep, way_tcp, way_serial, way_doorbell, way_doorbell_poll;

/* Prints what failed and why: an errno code, 0: none. Returns -1. */
int trips_say(const char *what, int error);

/* The address of an ivshmem device at its server; negative: said. */
int doorbell_position(const char *address);

#endif
