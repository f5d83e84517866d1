/* SPDX-License-Identifier: BSD-3-Clause */
/* Round trips through two rings, NAME.ask and NAME.answer: the asking and the answering side. */
#ifndef CLI_TRIPS_H
#define CLI_TRIPS_H

#include "companion.h"
#include "histogram.h"
#include "stream.h"

#define TRIP_SMALLEST 8u /* the number of the trip */

/* NAME leaves room for what is added to it. */
#define TRIPS_NAME_SIZE (VSHM_NAME_SIZE - sizeof(".answer") + 1)

enum trip_mode {
	TRIP_SPIN_THEN_SLEEP, /* what the library does unless told otherwise */
	TRIP_POLL,
	TRIP_SLEEP,
};

struct trips {
	struct stream *stream; /* its region, timeout, notes */
	struct companion *companion; /* that answers; NULL: somebody else does */
	char ask[VSHM_NAME_SIZE], answer[VSHM_NAME_SIZE];
	enum trip_mode mode;
	uint64_t size; /* of each record */
	uint64_t number; /* of the last trip */
	uint64_t done;
	struct vshm_producer *out;
	struct vshm_consumer *in;
};

/* When to stop asking; 0: no such limit. */
struct trips_limits {
	uint64_t count, time_ns, interval_ns;
};

void trips_init(struct trips *trips, struct stream *stream, const char *name);

/* "poll", "sleep", "spin". */
const char *trip_mode_name(enum trip_mode mode);

/* Is there a side that answers, as far as `region` shows? */
bool trips_answered(const struct trips *trips, struct vshm_region *region);

/* Open both ends. Exit codes; what is open is closed by trips_close(). */
int trips_open_asking(struct trips *trips);
int trips_open_answering(struct trips *trips);
void trips_close(struct trips *trips);

/* The first trip, not measured: the two sides find each other. 1: done; 0: asked to leave; -1: failed, which was said. */
int trips_meet(struct trips *trips);

/* Trips up to a limit, each added to `histogram`; *elapsed_ns is what they all took. As trips_meet(). */
int trips_ask(struct trips *trips, const struct trips_limits *limits, struct histogram *histogram,
	      uint64_t *elapsed_ns);

/* Answers until the asking side ends or dies; with `forever` the next one, too, until a signal. An exit code. */
int trips_answer(struct trips *trips, bool forever);

#endif
