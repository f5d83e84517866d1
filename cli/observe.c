/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks at a region through the library's checked view of it, pairs the ends into rings and makes rates out of
 * two looks. Takes no slot and writes nothing.
 */
#include "observe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vshm/layout.h>

#define LOOK_NS 150000000u

/* The library's default lease, which this program keeps, and a beat for the timing of the looks. */
#define LEASE_NS 1100000000u

uint64_t observe_clock_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t realtime_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Returns early when a signal comes: whoever asked to stop should not wait. */
void observe_pause(uint64_t ns)
{
	struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
	(void)nanosleep(&time, NULL);
}

int observe_uri(const char *text, char *uri)
{
	bool name = *text && !strchr(text, ':') && !strchr(text, '/') && *text != '.';
	int length = snprintf(uri, OBSERVE_URI_SIZE, "%s%s", name ? "vshm:" : "", text);
	return length < 0 || length >= OBSERVE_URI_SIZE ? -1 : 0;
}

int observe_open(const char *uri, struct vshm_region **region, char *why)
{
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;
	options.flags = VSHM_OPEN_OBSERVE | VSHM_OPEN_GUARD;
	return vshm_region_open(uri, &options, region, why);
}

bool observe_is_alone(struct vshm_region *region)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	return !vshm_region_info(region, &info) && !strcmp(info.way, "vfio");
}

void observe_guard(const char *uri)
{
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE];
	if (!observe_open(uri, &region, why)) /* if not: the call that follows says why */
		(void)vshm_region_close(region);
}

const char *observe_stale(const char *uri, struct vshm_region *region)
{
	struct vshm_region_info before = VSHM_REGION_INFO_INIT, after = VSHM_REGION_INFO_INIT;
	struct vshm_region *again;
	int rc = vshm_region_info(region, &before);
	if (!rc)
		rc = observe_open(uri, &again, NULL);
	if (rc)
		return rc == -ENOENT ? "the region was destroyed" : "the region was replaced or destroyed";
	rc = vshm_region_info(again, &after);
	(void)vshm_region_close(again);
	if (rc || memcmp(before.uuid, after.uuid, sizeof(after.uuid)) != 0)
		return "the region was replaced by a new one";
	return "this peer was evicted from the region";
}

bool observed_present(const struct observed_peer *peer)
{
	return peer->info.state >= VSHM_PEER_LIVE && peer->info.incarnation;
}

unsigned observed_live(const struct observation *observation)
{
	unsigned live = 0;
	for (unsigned i = 0; i < observation->region.peers; i++) {
		enum vshm_peer_state state = observation->peer[i].info.state;
		live += state == VSHM_PEER_LIVE || state == VSHM_PEER_SUSPECT;
	}
	return live;
}

const char *observed_state_name(enum vshm_peer_state state)
{
	switch (state) {
	case VSHM_PEER_FREE:
		return "free";
	case VSHM_PEER_PENDING:
		return "pending";
	case VSHM_PEER_LIVE:
		return "live";
	case VSHM_PEER_CLOSING:
		return "closing";
	case VSHM_PEER_SUSPECT:
		return "suspect";
	case VSHM_PEER_DIED:
		return "died";
	case VSHM_PEER_FENCED:
		return "fenced";
	}
	return "unknown";
}

enum wakes observed_wakes(const struct observation *observation, vshm_peer ringer, vshm_peer target)
{
	const struct vshm_peer_info *from = &observation->peer[ringer].info;
	const struct vshm_peer_info *to = &observation->peer[target].info;
	if (from->ways & VSHM_WAY_RINGS && to->ways & VSHM_WAY_DOORBELL) {
		bool strangers = from->server_life != to->server_life || to->server_life == VSHM_LIFE_OVER;
		return strangers ? WAKES_NO : WAKES_YES; /* clients of different servers, or of one before and after its restart */
	}
	if (!(to->ways & VSHM_WAY_FUTEX))
		return WAKES_NO; /* it sleeps on a doorbell, and the ringer has none */
	if (!from->same_kernel && !to->same_kernel)
		return WAKES_UNKNOWN;
	return from->same_kernel && to->same_kernel ? WAKES_YES : WAKES_NO;
}

static struct observed_end *add_end(struct observation *now)
{
	if (now->ends == now->room) {
		size_t room = now->room ? 2 * now->room : 32;
		struct observed_end *more = realloc(now->end, room * sizeof(*more));
		if (!more)
			return NULL;
		now->end = more;
		now->room = room;
	}
	struct observed_end *end = &now->end[now->ends++];
	memset(end, 0, sizeof(*end));
	end->consumer = -1;
	end->bytes_per_second = -1;
	end->records_per_second = -1;
	return end;
}

static int look_at_ends(struct vshm_region *region, vshm_peer peer, struct observation *now)
{
	for (uint32_t index = 0; index < VSHM_ENTRIES; index++) {
		struct vshm_end_info info = VSHM_END_INFO_INIT;
		int rc = vshm_region_end(region, peer, index, &info);
		if (rc && rc != -EPROTO)
			continue;
		struct observed_end *end = add_end(now);
		if (!end)
			return -ENOMEM;
		end->info = info;
		end->info.peer = peer;
		end->info.index = index;
		end->unlawful = rc != 0;
	}
	return 0;
}

static long find_end(const struct observation *now, vshm_peer peer, uint32_t index)
{
	for (size_t i = 0; i < now->ends; i++) {
		if (now->end[i].info.peer == peer && now->end[i].info.index == index && !now->end[i].unlawful)
			return (long)i;
	}
	return -1;
}

bool observed_reads(const struct observed_end *consumer, const struct observed_end *producer)
{
	return !consumer->unlawful && consumer->info.kind == VSHM_CONSUMER && consumer->info.connected &&
	       consumer->info.other_peer == producer->info.peer && consumer->info.other_index == producer->info.index;
}

/* Positions of two sections are not read at one instant: a consumer seen later may be ahead. */
static uint64_t between(const struct vshm_end_info *producer, uint64_t head)
{
	uint64_t fill = producer->position - head;
	if (fill > (uint64_t)INT64_MAX)
		return 0;
	return fill > producer->ring_size ? producer->ring_size : fill;
}

uint64_t observed_behind(const struct observed_end *producer, const struct observed_end *consumer)
{
	return between(&producer->info, consumer->info.position);
}

/* Without a consumer nobody says from where on the next one will read. */
static void guess_fill(struct observed_end *end)
{
	const struct vshm_end_info *info = &end->info;
	if (info->other_peer != VSHM_PEER_ANY)
		return;
	end->known = KNOWN_AT_MOST;
	end->fill = info->position < info->ring_size ? info->position : info->ring_size;
}

/* Several consumers: the slowest of them. A latest ring waits for nobody, and has nothing unread. */
static void measure_many(const struct observation *now, struct observed_end *end)
{
	end->known = end->info.flags & VSHM_ENTRY_LATEST ? KNOWN_NOT : KNOWN_EXACTLY;
	end->fill = 0;
	for (size_t i = 0; i < now->ends; i++) {
		if (!observed_reads(&now->end[i], end))
			continue;
		uint64_t fill = observed_behind(end, &now->end[i]);
		if (fill > end->fill)
			end->fill = fill;
	}
}

static void pair_ends(struct observation *now)
{
	for (size_t i = 0; i < now->ends; i++) {
		struct observed_end *end = &now->end[i];
		if (end->unlawful || end->info.kind != VSHM_PRODUCER)
			continue;
		if (!end->info.connected) {
			guess_fill(end);
			continue;
		}
		if (end->info.grants) {
			measure_many(now, end);
			continue;
		}
		end->known = KNOWN_EXACTLY;
		end->consumer = find_end(now, end->info.other_peer, end->info.other_index);
		end->fill = between(&end->info, end->info.other_position);
		if (end->consumer >= 0)
			now->end[end->consumer].taken = true;
	}
}

static void rate_end(const struct observation *before, struct observed_end *end, double seconds)
{
	long index = find_end(before, end->info.peer, end->info.index);
	if (index < 0 || before->end[index].info.id != end->info.id || end->unlawful)
		return;
	const struct vshm_end_info *old = &before->end[index].info;
	if (old->position <= end->info.position)
		end->bytes_per_second = (double)(end->info.position - old->position) / seconds;
	if (old->records <= end->info.records)
		end->records_per_second = (double)(end->info.records - old->records) / seconds;
}

static void rate(const struct observation *before, struct observation *now)
{
	double seconds = (double)(now->monotonic_ns - before->monotonic_ns) / 1e9;
	if (seconds < 0.05)
		return;
	for (size_t i = 0; i < now->ends; i++)
		rate_end(before, &now->end[i], seconds);
	for (unsigned i = 0; i < now->region.peers; i++) {
		const struct vshm_peer_info *old = &before->peer[i].info, *new = &now->peer[i].info;
		if (old->incarnation == new->incarnation && old->heartbeat <= new->heartbeat)
			now->peer[i].beats_per_second = (double)(new->heartbeat - old->heartbeat) / seconds;
	}
}

int observe(struct vshm_region *region, const struct observation *before, struct observation *now)
{
	static const struct vshm_region_info no_region = VSHM_REGION_INFO_INIT;
	static const struct vshm_peer_info no_peer = VSHM_PEER_INFO_INIT;
	memset(now, 0, sizeof(*now));
	now->region = no_region;
	int rc = vshm_region_info(region, &now->region);
	if (!rc)
		rc = vshm_region_status(region);
	for (unsigned i = 0; i < VSHM_MAX_PEERS; i++) {
		now->peer[i].info = no_peer;
		now->peer[i].beats_per_second = -1;
	}
	for (vshm_peer peer = 0; !rc && peer < now->region.peers; peer++) {
		rc = vshm_region_peer(region, peer, &now->peer[peer].info);
		if (!rc && now->peer[peer].info.state != VSHM_PEER_PENDING)
			rc = look_at_ends(region, peer, now);
	}
	now->monotonic_ns = observe_clock_ns();
	now->realtime_ns = realtime_ns();
	if (rc) {
		observe_free(now);
		return rc;
	}
	pair_ends(now);
	if (before)
		rate(before, now);
	return 0;
}

/* A heart that should have beaten since `before` and did not: only the lease can tell. */
static bool somebody_stands_still(const struct observation *before, const struct observation *now)
{
	for (unsigned i = 0; i < now->region.peers; i++) {
		const struct vshm_peer_info *old = &before->peer[i].info, *new = &now->peer[i].info;
		if (new->state == VSHM_PEER_LIVE &&new->beat_ms && old->incarnation == new->incarnation &&
		    old->heartbeat == new->heartbeat)
			return true;
	}
	return false;
}

int observe_twice(struct vshm_region *region, struct observation *now, int (*stop)(void))
{
	struct observation before;
	int rc = observe(region, NULL, &before);
	if (rc)
		return rc;
	uint64_t began = before.monotonic_ns;
	for (;;) {
		observe_pause(LOOK_NS);
		rc = observe(region, &before, now);
		if (rc || stop() || !somebody_stands_still(&before, now) || now->monotonic_ns - began > LEASE_NS)
			break;
		observe_free(now);
	}
	observe_free(&before);
	return rc;
}

void observe_free(struct observation *observation)
{
	free(observation->end);
	observation->end = NULL;
	observation->ends = observation->room = 0;
}
