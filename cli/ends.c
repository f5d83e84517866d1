/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands in an entry is the last that its peer wrote: of a peer that died, it says nothing about now. */
#include "ends.h"

#include <inttypes.h>
#include <stdio.h>
#include <vshm/layout.h>

static enum vshm_peer_state peer_state(const struct observation *now, const struct observed_end *end)
{
	return end->info.peer < VSHM_MAX_PEERS ? now->peer[end->info.peer].info.state : VSHM_PEER_FREE;
}

static bool is_dead(const struct observation *now, const struct observed_end *end)
{
	enum vshm_peer_state state = peer_state(now, end);
	return state == VSHM_PEER_DIED || state == VSHM_PEER_FENCED;
}

bool end_is_gone(const struct observation *now, const struct observed_end *end)
{
	return end->info.state == VSHM_END_CLOSED || is_dead(now, end);
}

bool end_waits(const struct observation *now, const struct observed_end *end)
{
	return !end->unlawful && end->info.kind == VSHM_CONSUMER && !end->taken && !end->info.connected &&
	       !end_is_gone(now, end);
}

/* An end with nobody at the other side. */
static const char *alone(const struct observed_end *end)
{
	if (end->info.kind == VSHM_CONSUMER)
		return "waits for a producer";
	if (end->info.flags & VSHM_ENTRY_DROP)
		return "no consumer, drops";
	return end->info.armed ? "waits for a consumer" : "no consumer";
}

const char *end_does(const struct observation *now, const struct observed_end *end, char *text)
{
	bool producer = end->info.kind == VSHM_PRODUCER;
	const char *what = is_dead(now, end)			       ? "(dead)"
			   : end->info.state == VSHM_END_CLOSED	       ? "left"
			   : peer_state(now, end) == VSHM_PEER_SUSPECT ? "suspect"
			   : !end->info.connected		       ? alone(end)
								       : "awake";
	if (end->info.armed && end->info.connected && *what == 'a')
		(void)snprintf(text, END_TEXT, "asleep until %s %" PRIu64, producer ? "head" : "tail", end->info.armed);
	else
		(void)snprintf(text, END_TEXT, "%s", what);
	return text;
}

/* Why one of the two does not do anything; NULL: it may. */
static const char *held_up(const struct observation *now, const struct observed_end *producer,
			   const struct observed_end *consumer)
{
	if (is_dead(now, producer))
		return "producer is dead";
	if (producer->info.state == VSHM_END_CLOSED)
		return "stream ended";
	if (peer_state(now, producer) == VSHM_PEER_SUSPECT)
		return "producer is suspect";
	if (!producer->info.connected)
		return alone(producer);
	if (consumer && is_dead(now, consumer))
		return "consumer is dead";
	if (consumer && peer_state(now, consumer) == VSHM_PEER_SUSPECT)
		return "consumer is suspect";
	return NULL;
}

const char *ring_does(const struct observation *now, const struct observed_end *producer)
{
	const struct observed_end *consumer = producer->consumer >= 0 ? &now->end[producer->consumer] : NULL;
	const char *why = held_up(now, producer, consumer);
	bool full = producer->info.armed, empty = consumer && consumer->info.armed;
	if (why)
		return why;
	return full && empty ? "both asleep" : full ? "producer sleeps" : empty ? "consumer sleeps" : "awake";
}
