/* SPDX-License-Identifier: BSD-3-Clause */
/* The common half of send and recv. */
#include "stream.h"

#include "observe.h"
#include "parse.h"
#include "say.h"
#include "stop.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <vshm/error.h>
#include <vshm/layout.h>

/* So long the other side may take to start before it is mentioned. */
#define TELL_NS 2000000000u

void stream_init(struct stream *stream, const char *label)
{
	memset(stream, 0, sizeof(*stream));
	stream->label = label;
	stream->peer = VSHM_PEER_ANY;
	stream->timeout_ns = VSHM_FOREVER;
}

int stream_take_option(struct stream *stream, int option, const char *value)
{
	const char *bad = NULL;
	switch (option) {
	case STREAM_PEER:
		bad = parse_peer(value, &stream->peer);
		break;
	case STREAM_TIMEOUT:
		bad = parse_seconds(value, &stream->timeout_ns);
		if (!bad && stream->timeout_ns < 1000000)
			bad = "write at least 0.001, or leave it out to wait for ever";
		break;
	case STREAM_LABEL:
		stream->label = value;
		bad = parse_name(value);
		break;
	case STREAM_QUIET:
		stream->quiet = true;
		break;
	case STREAM_STATS:
		stream->stats = true;
		break;
	default:
		return CTL_USAGE;
	}
	if (bad)
		return say_usage("--%s '%s': %s",
				 option == STREAM_PEER	  ? "peer"
				 : option == STREAM_LABEL ? "label"
							  : "timeout",
				 value, bad);
	return CTL_OK;
}

int stream_take_target(struct stream *stream, char **arguments)
{
	stream->uri_text = arguments[0];
	stream->ring = arguments[1];
	const char *bad = parse_name(stream->ring);
	return bad ? say_usage("ring '%s': %s", stream->ring, bad) : CTL_OK;
}

int stream_open(struct stream *stream, const char *verb)
{
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";
	options.flags = VSHM_OPEN_GUARD;
	options.peer = stream->peer;
	options.label = stream->label;
	if (observe_uri(stream->uri_text, stream->uri))
		return say_usage("the URI is too long");
	int rc = vshm_region_open(stream->uri, &options, &stream->region, why);
	if (rc)
		return say_refused(rc, why);
	progress_init(&stream->progress, verb, stream->quiet);
	return CTL_OK;
}

bool stream_is_plain_memory(const struct stream *stream)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	return !vshm_region_info(stream->region, &info) && info.facts & VSHM_FACT_RMW;
}

int64_t stream_slice(const struct stream *stream)
{
	if (stream->timeout_ns >= 0 && stream->timeout_ns < STREAM_SLICE_NS)
		return stream->timeout_ns;
	return STREAM_SLICE_NS;
}

bool stream_timed_out(const struct stream *stream)
{
	return stream->timeout_ns >= 0 && stream->waiting_since &&
	       observe_clock_ns() - stream->waiting_since >= (uint64_t)stream->timeout_ns;
}

bool stream_wait_on(struct stream *stream, const char *state)
{
	if (!stream->waiting_since) /* it began with the slice that is over */
		stream->waiting_since = observe_clock_ns() - (uint64_t)stream_slice(stream);
	progress_tick(&stream->progress, state);
	return !stop_asked() && !stream_timed_out(stream);
}

void stream_moved(struct stream *stream)
{
	stream->waiting_since = 0;
	progress_tick(&stream->progress, NULL);
}

void stream_note(struct stream *stream, const char *line)
{
	if (stream->quiet)
		return;
	progress_clear(&stream->progress);
	say_note("%s", line);
}

/* The names of ends of the other kind, as far as there is room: what may have been meant. */
static void name_others(const struct stream *stream, uint32_t kind, char *out, size_t size)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	size_t used = 0;
	*out = 0;
	if (vshm_region_info(stream->region, &info))
		return;
	for (uint32_t i = 0; i < info.peers * VSHM_ENTRIES && used + VSHM_NAME_SIZE + 2 < size; i++) {
		struct vshm_end_info end = VSHM_END_INFO_INIT;
		if (vshm_region_end(stream->region, i / VSHM_ENTRIES, i % VSHM_ENTRIES, &end) ||
		    end.kind != (kind == VSHM_PRODUCER ? VSHM_CONSUMER : VSHM_PRODUCER) ||
		    end.state != VSHM_END_OPEN || (kind == VSHM_PRODUCER && end.connected))
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", end.name);
	}
}

void stream_note_nobody(struct stream *stream, uint32_t kind)
{
	char others[400], line[600];
	bool sends = kind == VSHM_PRODUCER;
	if (!sends && stream->progress.records)
		return;
	if (stream->told || stream->quiet || !stream->waiting_since ||
	    observe_clock_ns() - stream->waiting_since < TELL_NS || stream_connected(stream, kind))
		return;
	stream->told = true;
	name_others(stream, kind, others, sizeof(others));
	(void)snprintf(line, sizeof(line), "waiting for a %s of ring \"%s\"%s%s%s", sends ? "receiver" : "sender",
		       stream->ring,
		       !*others ? ""
		       : sends	? " (receivers here wait for: "
				: " (this region has: ",
		       others, *others ? ")" : "");
	stream_note(stream, line);
}

const char *stream_why(const struct stream *stream, int error, char *why)
{
	why[0] = 0;
	if (error == -ESTALE && vshm_region_status(stream->region) == -ESTALE)
		(void)snprintf(why, VSHM_WHY_SIZE, "%s", observe_stale(stream->uri, stream->region));
	else if (!stream->region || vshm_region_why(stream->region, why) || !*why)
		(void)snprintf(why, VSHM_WHY_SIZE, "%s", vshm_strerror(error));
	return why;
}

bool stream_connected(const struct stream *stream, uint32_t kind)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	if (vshm_region_info(stream->region, &info))
		return false;
	for (uint32_t index = 0; index < VSHM_ENTRIES; index++) {
		struct vshm_end_info end = VSHM_END_INFO_INIT;
		if (!vshm_region_end(stream->region, info.self, index, &end) && end.kind == kind &&
		    !strcmp(end.name, stream->ring))
			return end.connected;
	}
	return false;
}

uint64_t stream_attached(const struct stream *stream)
{
	uint64_t sum = 0;
	for (vshm_peer peer = 0; peer < VSHM_MAX_PEERS; peer++) {
		struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
		if (vshm_region_peer(stream->region, peer, &info))
			break;
		sum = (sum * 31 + info.incarnation) * 31 + (info.state == VSHM_PEER_FREE);
	}
	return sum;
}

void stream_report(const struct stream *stream, const struct vshm_counters *c)
{
	char bytes[TEXT_SIZE], rate[TEXT_SIZE];
	double seconds = (double)(observe_clock_ns() - stream->progress.began_ns) / 1e9;
	(void)fprintf(stderr,
		      "%s %" PRIu64 " bytes (%s) in %" PRIu64 " records, %.3f s, %s; doorbells rung %" PRIu64
		      ", not needed %" PRIu64 "; slept %" PRIu64 ", for nothing %" PRIu64 "; dropped %" PRIu64 "\n",
		      stream->progress.verb, c->bytes, text_bytes(bytes, c->bytes), c->records, seconds,
		      text_rate(rate, seconds > 0 ? (double)c->bytes / seconds : 0), c->rings_sent, c->rings_avoided,
		      c->sleeps, c->spurious, c->dropped);
}
