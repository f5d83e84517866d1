/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vshmctl show --json`. The names of the keys are part of the interface: add, never rename. Identifiers that
 * use all 64 bits are text ("0x…"), because many JSON readers keep 53 bits of a number.
 */
#include "show.h"

#include "ends.h"
#include "text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <vshm/layout.h>

static void put(struct json_object *object, const char *key, struct json_object *value)
{
	(void)json_object_object_add(object, key, value);
}

static void put_number(struct json_object *object, const char *key, uint64_t value)
{
	put(object, key, json_object_new_uint64(value));
}

static void put_flag(struct json_object *object, const char *key, bool value)
{
	put(object, key, json_object_new_boolean(value));
}

static void put_text(struct json_object *object, const char *key, const char *text)
{
	char safe[OBSERVE_URI_SIZE];
	text_escape(safe, sizeof(safe), text);
	put(object, key, json_object_new_string(safe));
}

static void put_hex(struct json_object *object, const char *key, uint64_t value)
{
	char text[TEXT_SIZE];
	(void)snprintf(text, sizeof(text), "0x%016" PRIx64, value);
	put(object, key, json_object_new_string(text));
}

/* Whole numbers: a rate with sixteen digits is noise. Unknown is null. */
static void put_rate(struct json_object *object, const char *key, double value)
{
	put(object, key, value < 0 ? NULL : json_object_new_int64((int64_t)(value + 0.5)));
}

static void put_facts(struct json_object *object, uint32_t facts)
{
	struct json_object *all = json_object_new_object();
	put_flag(all, "cached", facts & VSHM_FACT_CACHED);
	put_flag(all, "rmw", facts & VSHM_FACT_RMW);
	put_flag(all, "protected", facts & VSHM_FACT_PROTECTED);
	put_flag(all, "enforced", facts & VSHM_FACT_ENFORCED);
	put_flag(all, "told", facts & VSHM_FACT_TOLD);
	put(object, "facts", all);
}

static void put_region(struct json_object *object, const struct show *show)
{
	const struct vshm_region_info *r = &show->now->region;
	char uuid[40];
	size_t used = 0;
	for (unsigned i = 0; i < 16; i++)
		used += (size_t)snprintf(uuid + used, sizeof(uuid) - used, "%s%02x",
					 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", r->uuid[i]);
	put_text(object, "uri", show->uri);
	put_text(object, "name", r->name);
	put_text(object, "uuid", uuid);
	put_number(object, "layout_version", r->layout_version);
	put_text(object, "profile", r->profile == VSHM_SPLIT ? "split" : "flat");
	put_number(object, "size", r->size);
	put_number(object, "segments", r->segments);
	put_number(object, "layout_page", r->layout_page);
	put_number(object, "created_ns", r->created_ns);
	put_number(object, "looked_ns", show->now->realtime_ns);
	put_number(object, "peer_count", r->peers);
	put_number(object, "peers_live", observed_live(show->now));
	put_facts(object, r->facts);
	put_text(object, "way", r->way);
	put_text(object, "because", r->because);
}

static struct json_object *ways_of(const struct vshm_peer_info *info)
{
	struct json_object *ways = json_object_new_array();
	if (info->ways & VSHM_WAY_FUTEX)
		(void)json_object_array_add(ways, json_object_new_string("futex"));
	if (info->ways & VSHM_WAY_RINGS)
		(void)json_object_array_add(ways, json_object_new_string("rings"));
	if (info->ways & VSHM_WAY_DOORBELL)
		(void)json_object_array_add(ways, json_object_new_string("doorbell"));
	if (info->ways & VSHM_WAY_MEMBARRIER)
		(void)json_object_array_add(ways, json_object_new_string("membarrier"));
	if (info->ways & VSHM_WAY_KEEPER)
		(void)json_object_array_add(ways, json_object_new_string("keeper"));
	return ways;
}

static struct json_object *wakes_of(const struct observation *now, vshm_peer peer, enum wakes which)
{
	struct json_object *targets = json_object_new_array();
	for (vshm_peer other = 0; other < now->region.peers; other++) {
		if (other != peer && observed_present(&now->peer[other]) && observed_wakes(now, peer, other) == which)
			(void)json_object_array_add(targets, json_object_new_uint64(other));
	}
	return targets;
}

static struct json_object *json_of_peer(const struct observation *now, vshm_peer peer)
{
	const struct observed_peer *p = &now->peer[peer];
	struct json_object *object = json_object_new_object();
	put_number(object, "peer", peer);
	put_text(object, "state", observed_state_name(p->info.state));
	put_number(object, "segment", p->info.segment);
	put_number(object, "section_offset", p->info.offset);
	put_number(object, "section_size", p->info.size);
	if (!observed_present(p))
		return object;
	put_text(object, "label", p->info.label);
	put_number(object, "pid", p->info.pid);
	put_number(object, "uid", p->info.uid);
	put_hex(object, "incarnation", p->info.incarnation);
	put_number(object, "attached_ns", p->info.attached_ns);
	put_number(object, "heartbeat", p->info.heartbeat);
	put_number(object, "beat_ms", p->info.beat_ms);
	put_rate(object, "beats_per_second", p->beats_per_second);
	put(object, "ways", ways_of(&p->info));
	put_flag(object, "same_kernel", p->info.same_kernel);
	put_number(object, "ring_bytes", p->info.ring_bytes);
	put(object, "can_wake", wakes_of(now, peer, WAKES_YES));
	put(object, "may_wake", wakes_of(now, peer, WAKES_UNKNOWN));
	return object;
}

static struct json_object *json_of_end(const struct observation *now, const struct observed_end *end)
{
	const struct vshm_end_info *info = &end->info;
	struct json_object *object = json_object_new_object();
	put_number(object, "peer", info->peer);
	put_number(object, "entry", info->index);
	put_hex(object, "id", info->id);
	put_text(object, "state", info->state == VSHM_END_CLOSED ? "closed" : "open");
	put_number(object, info->kind == VSHM_PRODUCER ? "tail" : "head", info->position);
	put_number(object, "armed", info->armed);
	put_flag(object, "asleep", info->armed && !end_is_gone(now, end));
	put_text(object, "peer_state", observed_state_name(now->peer[info->peer].info.state));
	put_flag(object, info->kind == VSHM_PRODUCER ? "drops" : "polls",
		 info->flags & (info->kind == VSHM_PRODUCER ? VSHM_ENTRY_DROP : VSHM_ENTRY_POLLS));
	put_number(object, "records", info->records);
	put_number(object, "rings_sent", info->rings_sent);
	put_number(object, "rings_avoided", info->rings_avoided);
	put_number(object, "sleeps", info->sleeps);
	put_number(object, "spurious", info->spurious);
	put_number(object, "lost", info->lost);
	if (info->kind == VSHM_CONSUMER) {
		put_number(object, "holds_at_most", info->lends);
		put_number(object, "keeps", info->lent);
	}
	return object;
}

/* All that a producer has granted, with what each has not read yet; a latest ring does not wait to be read. */
static struct json_object *json_of_readers(const struct observation *now, const struct observed_end *producer)
{
	struct json_object *readers = json_object_new_array();
	for (size_t i = 0; i < now->ends; i++) {
		const struct observed_end *end = &now->end[i];
		if (!observed_reads(end, producer))
			continue;
		struct json_object *object = json_of_end(now, end);
		put(object, "unread", producer->info.flags & VSHM_ENTRY_LATEST ?
					      NULL : json_object_new_uint64(observed_behind(producer, end)));
		json_object_array_add(readers, object);
	}
	return readers;
}

static struct json_object *json_of_ring(const struct observation *now, const struct observed_end *end)
{
	struct json_object *object = json_object_new_object();
	const struct vshm_end_info *info = &end->info;
	put_text(object, "name", info->name);
	put_flag(object, "connected", info->connected);
	put_number(object, "offset", info->ring_offset);
	put_number(object, "size", info->ring_size);
	put(object, "unread", end->known == KNOWN_EXACTLY ? json_object_new_uint64(end->fill) : NULL);
	put(object, "unread_at_most", end->known != KNOWN_NOT ? json_object_new_uint64(end->fill) : NULL);
	put_text(object, "doing", ring_does(now, end));
	put_rate(object, "bytes_per_second", end->bytes_per_second);
	put_rate(object, "records_per_second", end->records_per_second);
	put(object, "producer", json_of_end(now, end));
	put(object, "consumers_at_most", json_object_new_uint64(info->grants ? info->grants : 1));
	put_number(object, "consumers", info->consumers);
	put_flag(object, "latest", info->flags & VSHM_ENTRY_LATEST);
	put(object, "granted", json_of_readers(now, end));
	put(object, "consumer", end->consumer >= 0 ? json_of_end(now, &now->end[end->consumer]) : NULL);
	return object;
}

static struct json_object *json_of_pool(const struct vshm_end_info *info)
{
	struct json_object *object = json_object_new_object();
	put_text(object, "name", info->name);
	put_number(object, "peer", info->peer);
	put_number(object, "entry", info->index);
	put_number(object, "offset", info->ring_offset);
	put_number(object, "size", info->ring_size);
	put_number(object, "used", info->position);
	put_number(object, "largest_free", info->largest);
	put_number(object, "blocks_lent", info->lent);
	return object;
}

/* Rings; pools; consumers that wait for one; entries that break the rules. */
static void put_ends(struct json_object *object, const struct observation *now)
{
	struct json_object *rings = json_object_new_array();
	struct json_object *waiting = json_object_new_array();
	struct json_object *pools = json_object_new_array();
	struct json_object *unlawful = json_object_new_array();
	for (size_t i = 0; i < now->ends; i++) {
		const struct observed_end *end = &now->end[i];
		struct json_object *one;
		if (end->unlawful) {
			one = json_object_new_object();
			put_number(one, "peer", end->info.peer);
			put_number(one, "entry", end->info.index);
			(void)json_object_array_add(unlawful, one);
		} else if (end->info.kind == VSHM_PRODUCER) {
			(void)json_object_array_add(rings, json_of_ring(now, end));
		} else if (end->info.kind == VSHM_POOL) {
			(void)json_object_array_add(pools, json_of_pool(&end->info));
		} else if (end_waits(now, end)) {
			one = json_of_end(now, end);
			put_text(one, "name", end->info.name);
			(void)json_object_array_add(waiting, one);
		}
	}
	put(object, "rings", rings);
	put(object, "pools", pools);
	put(object, "waiting", waiting);
	put(object, "unlawful", unlawful);
}

int show_json(const struct show *show, bool pretty)
{
	struct json_object *object = json_object_new_object();
	struct json_object *peers = json_object_new_array();
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
		    (pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN);
	put_region(object, show);
	for (vshm_peer peer = 0; peer < show->now->region.peers; peer++)
		(void)json_object_array_add(peers, json_of_peer(show->now, peer));
	put(object, "peers", peers);
	put_ends(object, show->now);
	const char *text = json_object_to_json_string_ext(object, flags);
	if (text)
		(void)fprintf(show->screen.out, "%s\n", text);
	(void)json_object_put(object);
	return text ? 0 : -1;
}
