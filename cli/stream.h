/* SPDX-License-Identifier: BSD-3-Clause */
/* What send and recv share: options, the region, waiting in slices, the line of counters. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include "observe.h"
#include "progress.h"

#include <getopt.h>
#include <vshm/ring.h>

/* Waits are cut into slices of this length, to notice signals and to draw progress. */
#define STREAM_SLICE_NS 200000000

struct stream {
	const char *uri_text, *ring, *label;
	char uri[OBSERVE_URI_SIZE];
	vshm_peer peer;
	int64_t timeout_ns; /* VSHM_FOREVER: none */
	bool quiet, stats;
	struct vshm_region *region;
	struct progress progress;
	uint64_t waiting_since; /* 0: not waiting */
	bool told; /* that nobody is there */
};

enum stream_option {
	STREAM_PEER = 256,
	STREAM_TIMEOUT,
	STREAM_LABEL,
	STREAM_QUIET,
	STREAM_STATS,
	STREAM_OWN, /* the first number for a command's own options */
};

#define STREAM_OPTIONS \
	{"peer", required_argument, NULL, STREAM_PEER}, {"timeout", required_argument, NULL, STREAM_TIMEOUT}, \
		{"label", required_argument, NULL, STREAM_LABEL}, {"quiet", no_argument, NULL, STREAM_QUIET}, \
	{ \
		"stats", no_argument, NULL, STREAM_STATS \
	}

#define STREAM_HELP \
	"  --peer N            the slot to take; default: one that is free\n" \
	"  --label TEXT        what to be called in vshmctl show; default: the command\n" \
	"  --timeout SECONDS   give up when nothing moves for so long; default: wait for ever\n" \
	"  --quiet             no progress and no notes\n" \
	"  --stats             one line of counters at the end\n"

void stream_init(struct stream *stream, const char *label);

/* Takes one of STREAM_OPTIONS. An exit code. */
int stream_take_option(struct stream *stream, int option, const char *value);

/* URI and RING from the arguments. An exit code. */
int stream_take_target(struct stream *stream, char **arguments);

/* Attaches. An exit code. */
int stream_open(struct stream *stream, const char *verb);

/* May the kernel read from, and write to, the region's memory? Not where that may be device memory. */
bool stream_is_plain_memory(const struct stream *stream);

/* How long the next call may wait. */
int64_t stream_slice(const struct stream *stream);

/*
 * After a slice that brought nothing: notes the time, draws progress. false: stop waiting; either a signal asked to
 * leave, or the timeout passed (then stream_timed_out() is true).
 */
bool stream_wait_on(struct stream *stream, const char *state);
bool stream_timed_out(const struct stream *stream);

/* Something moved. */
void stream_moved(struct stream *stream);

/* After two seconds without anybody at the other side of our end (of this `kind`): says so once, unless --quiet. */
void stream_note_nobody(struct stream *stream, uint32_t kind);

/* A note, unless --quiet. */
void stream_note(struct stream *stream, const char *line);

/* The reason of a failed call on the region or an end of it: its own line, or the meaning of the code. Returns `why`. */
const char *stream_why(const struct stream *stream, int error, char *why);

/* Is the ring's producer (or consumer), ours, connected to an other end? */
bool stream_connected(const struct stream *stream, uint32_t kind);

/* Something that differs when other peers attached or left since. */
uint64_t stream_attached(const struct stream *stream);

/* Prints the counters of --stats. */
void stream_report(const struct stream *stream, const struct vshm_counters *counters);

#endif
