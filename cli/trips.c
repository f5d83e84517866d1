/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each record begins with the number of its trip, and comes back as it went. Numbers begin anywhere, so that what an
 * earlier asker left in the ring is not taken for an answer.
 */
#include "trips.h"

#include "say.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <vshm/error.h>
#include <vshm/layout.h>

void trips_init(struct trips *trips, struct stream *stream, const char *name)
{
	memset(trips, 0, sizeof(*trips));
	trips->stream = stream;
	trips->size = TRIP_SMALLEST;
	trips->number = observe_clock_ns() << 20;
	(void)snprintf(trips->ask, sizeof(trips->ask), "%s.ask", name);
	(void)snprintf(trips->answer, sizeof(trips->answer), "%s.answer", name);
}

const char *trip_mode_name(enum trip_mode mode)
{
	static const char *const names[] = {"spin", "poll", "sleep"};
	return names[mode];
}

/* ---- finding each other ---- */

static bool lives(struct vshm_region *region, vshm_peer peer)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
	return !vshm_region_peer(region, peer, &info) &&
	       (info.state == VSHM_PEER_LIVE || info.state == VSHM_PEER_SUSPECT);
}

/* The producer of the answers. */
static bool find_answering(const struct trips *trips, struct vshm_region *region, struct vshm_end_info *end)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	if (vshm_region_info(region, &info))
		return false;
	for (uint32_t i = 0; i < info.peers * VSHM_ENTRIES; i++) {
		*end = (struct vshm_end_info)VSHM_END_INFO_INIT;
		if (!vshm_region_end(region, i / VSHM_ENTRIES, i % VSHM_ENTRIES, end) && end->kind == VSHM_PRODUCER &&
		    end->state == VSHM_END_OPEN && !strcmp(end->name, trips->answer) && lives(region, end->peer))
			return true;
	}
	return false;
}

bool trips_answered(const struct trips *trips, struct vshm_region *region)
{
	struct vshm_end_info end;
	return find_answering(trips, region, &end);
}

static int cannot_open(const struct trips *trips, const char *ring, int rc)
{
	char why[VSHM_WHY_SIZE];
	if (rc == -EEXIST || rc == -EBUSY)
		return say_failed("ring '%s' is in use: another ping goes on there; choose another NAME", ring);
	return say_failed("ring '%s': %s", ring, stream_why(trips->stream, rc, why));
}

/* There is never more than one record on its way. */
static int open_ends(struct trips *trips, const char *out, const char *in, uint32_t flags)
{
	struct vshm_producer_options producer = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_consumer_options consumer = VSHM_CONSUMER_OPTIONS_INIT;
	if (trips->size + VSHM_RECORD_HEADER > VSHM_DEFAULT_RING_SIZE)
		producer.ring_size = trips->size + VSHM_RECORD_HEADER;
	consumer.flags = flags | (trips->mode == TRIP_POLL ? VSHM_CONSUMER_POLL : 0);
	if (trips->mode == TRIP_SLEEP)
		producer.spin_us = consumer.spin_us = 0;
	int rc = vshm_consumer_open(trips->stream->region, in, &consumer, &trips->in);
	if (rc)
		return cannot_open(trips, in, rc);
	rc = vshm_producer_open(trips->stream->region, out, &producer, &trips->out);
	return rc ? cannot_open(trips, out, rc) : CTL_OK;
}

int trips_open_asking(struct trips *trips)
{
	struct vshm_end_info end;
	int code = open_ends(trips, trips->ask, trips->answer, 0);
	if (code)
		return code;
	size_t most = vshm_producer_max_record(trips->out);
	if (find_answering(trips, trips->stream->region, &end) && end.ring_size - VSHM_RECORD_HEADER < most)
		most = end.ring_size - VSHM_RECORD_HEADER;
	if (trips->size > most)
		return say_failed("records of %" PRIu64 " bytes do not fit the rings: at most --size %zu here%s",
				  trips->size, most,
				  trips->companion ? "" : ", or the same --size for the answering side");
	return CTL_OK;
}

int trips_open_answering(struct trips *trips)
{
	return open_ends(trips, trips->answer, trips->ask, VSHM_CONSUMER_FOLLOW);
}

void trips_close(struct trips *trips)
{
	if (trips->out)
		(void)vshm_producer_close(trips->out, 0);
	if (trips->in)
		(void)vshm_consumer_close(trips->in);
	trips->out = NULL;
	trips->in = NULL;
}

/* ---- failing ---- */

static bool faulty(const struct trips *trips, struct vshm_fault *fault)
{
	return !vshm_consumer_fault(trips->in, fault) || !vshm_producer_fault(trips->out, fault);
}

static int broken(struct trips *trips, const struct vshm_fault *fault)
{
	return say_failed("peer %" PRIu32 " broke the format: %s (0x%" PRIx64 " at 0x%" PRIx64
			  " of its section), after %" PRIu64 " trips",
			  fault->peer, vshm_rule_text(fault->rule), fault->value, fault->offset, trips->done);
}

/* Says why a call of the asking side failed, unless the companion said it. */
static int ask_failed(struct trips *trips, int rc)
{
	char why[VSHM_WHY_SIZE];
	struct vshm_fault fault = VSHM_FAULT_INIT;
	if (trips->companion && companion_failure(trips->companion))
		return CTL_FAILED;
	bool usable = !vshm_region_status(trips->stream->region);
	if (usable && (rc == -EPIPE || rc == -ENODATA || rc == -ESTALE))
		return say_failed("the answering side %s after %" PRIu64 " trips",
				  rc == -EPIPE	   ? "died"
				  : rc == -ENODATA ? "ended"
						   : "restarted",
				  trips->done);
	if (rc == -EPROTO && faulty(trips, &fault))
		return broken(trips, &fault);
	return say_failed("%s, after %" PRIu64 " trips", stream_why(trips->stream, rc, why), trips->done);
}

/* ---- asking ---- */

/* After a call that brought nothing. 1: try again; 0: asked to leave; -1: failed, which was said. */
static int keep_waiting(struct trips *trips, int rc)
{
	struct stream *stream = trips->stream;
	if (rc == -EHOSTDOWN) {
		stream_note(stream, "the answering side is suspect: its heart stands still; waiting");
	} else if (rc != -ETIMEDOUT && rc != -EAGAIN) {
		(void)ask_failed(trips, rc);
		return -1;
	}
	if (stop_asked())
		return 0;
	if (trips->companion && companion_ended(trips->companion)) {
		(void)ask_failed(trips, -EPIPE);
		return -1;
	}
	if (stream_wait_on(stream, NULL))
		return 1;
	if (stop_asked())
		return 0;
	(void)say_failed("no answer for %.3g s, after %" PRIu64 " trips", (double)stream->timeout_ns / 1e9,
			 trips->done);
	return -1;
}

static int ask(struct trips *trips, uint64_t number)
{
	void *data;
	for (;;) {
		int rc = vshm_producer_reserve(trips->out, trips->size, &data, stream_slice(trips->stream));
		if (!rc)
			break;
		rc = keep_waiting(trips, rc);
		if (rc <= 0)
			return rc;
	}
	memset(data, 0, trips->size);
	memcpy(data, &number, sizeof(number));
	int rc = vshm_producer_commit(trips->out, trips->size, 0);
	if (!rc)
		return 1;
	(void)ask_failed(trips, rc);
	return -1;
}

/* Answers to others' questions, left from before, are passed over. */
static int await_answer(struct trips *trips, uint64_t number)
{
	for (;;) {
		struct vshm_view view;
		uint64_t answered = 0;
		int rc = vshm_consumer_peek(trips->in, &view, stream_slice(trips->stream));
		if (!rc) {
			size_t size = view.size;
			if (size >= sizeof(answered))
				memcpy(&answered, view.data, sizeof(answered));
			(void)vshm_consumer_release(trips->in);
			if (answered == number && size == trips->size)
				return 1;
			continue;
		}
		rc = keep_waiting(trips, rc);
		if (rc <= 0)
			return rc;
	}
}

static int one_trip(struct trips *trips)
{
	const uint64_t number = ++trips->number;
	int rc = ask(trips, number);
	return rc > 0 ? await_answer(trips, number) : rc;
}

int trips_meet(struct trips *trips)
{
	int rc = one_trip(trips);
	trips->stream->waiting_since = 0;
	return rc;
}

/* In slices, to notice signals that come between two looks. */
static bool pause_between(uint64_t ns)
{
	const uint64_t until = observe_clock_ns() + ns;
	for (uint64_t now; !stop_asked() && (now = observe_clock_ns()) < until;)
		observe_pause(until - now < STREAM_SLICE_NS ? until - now : STREAM_SLICE_NS);
	return !stop_asked();
}

int trips_ask(struct trips *trips, const struct trips_limits *limits, struct histogram *histogram, uint64_t *elapsed_ns)
{
	const uint64_t start = observe_clock_ns();
	int rc = 1;
	for (*elapsed_ns = 0; rc > 0;) {
		const uint64_t began = observe_clock_ns();
		rc = one_trip(trips);
		const uint64_t now = observe_clock_ns();
		*elapsed_ns = now - start;
		if (rc <= 0)
			return rc;
		histogram_add(histogram, now - began);
		trips->done++;
		trips->stream->waiting_since = 0;
		if ((limits->count && trips->done >= limits->count) ||
		    (limits->time_ns && *elapsed_ns >= limits->time_ns))
			return 1;
		if (stop_asked() || (limits->interval_ns && !pause_between(limits->interval_ns)))
			return 0;
	}
	return rc;
}

/* ---- answering ---- */

/*
 * An answer that finds no room is for an asker that does not read: it is dropped, so that nobody can hold this side up. One
 * that would be too large for our ring is cut, and does not count for the asker.
 */
static int answer_one(struct trips *trips, const struct vshm_view *view)
{
	void *data;
	size_t most = vshm_producer_max_record(trips->out), size = view->size < most ? view->size : most;
	int rc;
	do /* the death of the last asker is said once, and is no reason to leave this one without an answer */
		rc = vshm_producer_reserve(trips->out, size, &data, STREAM_SLICE_NS);
	while ((rc == -EPIPE || rc == -EHOSTDOWN) && !stop_asked());
	if (rc)
		return rc == -EPROTO ? rc : 0;
	if (size)
		memcpy(data, view->data, size);
	trips->done++;
	return vshm_producer_commit(trips->out, size, 0);
}

static bool asker_left(const struct trips *trips, int rc)
{
	return rc == -ENODATA || rc == -EPIPE || (rc == -ESTALE && !vshm_region_status(trips->stream->region));
}

static int answer_failed(struct trips *trips, int rc)
{
	char why[VSHM_WHY_SIZE];
	struct vshm_fault fault = VSHM_FAULT_INIT;
	if (rc == -EPROTO && faulty(trips, &fault))
		return broken(trips, &fault);
	return say_failed("%s, after %" PRIu64 " trips", stream_why(trips->stream, rc, why), trips->done);
}

int trips_answer(struct trips *trips, bool forever)
{
	while (!stop_asked()) {
		struct vshm_view view;
		int rc = vshm_consumer_peek(trips->in, &view, STREAM_SLICE_NS);
		if (!rc) {
			rc = answer_one(trips, &view);
			(void)vshm_consumer_release(trips->in);
		}
		if (!rc || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EHOSTDOWN)
			continue;
		if (!asker_left(trips, rc))
			return answer_failed(trips, rc);
		if (!forever)
			return CTL_OK;
	}
	return CTL_OK;
}
