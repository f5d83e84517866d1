/* SPDX-License-Identifier: BSD-3-Clause */
/* What `vshmctl ping` found, for people and for programs. */
#ifndef CLI_PING_H
#define CLI_PING_H

#include "trips.h"

struct ping {
	struct stream stream;
	struct companion companion;
	struct trips trips;
	struct trips_limits limits;
	const char *name;
	enum trip_mode mode;
	uint64_t size;
	bool answers, json;
	bool alone; /* the region lets one process of this machine in, so that none can be started to answer */
	uint64_t elapsed_ns;
	struct histogram histogram;
};

/* The figures, then the histogram, within the width of the terminal. */
void ping_text(const struct ping *ping);

/* One document. 0, or -1: no memory. */
int ping_json(const struct ping *ping);

#endif
