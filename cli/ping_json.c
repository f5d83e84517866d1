/* SPDX-License-Identifier: BSD-3-Clause */
/* `vshmctl ping --json`. The names of the keys are part of the interface: add, never rename. */
#include "ping.h"

#include "stop.h"

#include <json-c/json.h>
#include <stdio.h>

static void put_number(struct json_object *object, const char *key, uint64_t value)
{
	(void)json_object_object_add(object, key, json_object_new_uint64(value));
}

static void put_text(struct json_object *object, const char *key, const char *text)
{
	(void)json_object_object_add(object, key, json_object_new_string(text));
}

static struct json_object *json_of_buckets(const struct histogram *histogram)
{
	struct json_object *buckets = json_object_new_array();
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		struct json_object *one;
		if (!histogram->bucket[i])
			continue;
		one = json_object_new_object();
		put_number(one, "from_ns", histogram_from(i));
		put_number(one, "below_ns", histogram_from(i + 1));
		put_number(one, "trips", histogram->bucket[i]);
		(void)json_object_array_add(buckets, one);
	}
	return buckets;
}

static void put_times(struct json_object *object, const struct histogram *histogram)
{
	put_number(object, "min_ns", histogram->least);
	put_number(object, "p50_ns", histogram_at(histogram, 0.5));
	put_number(object, "p90_ns", histogram_at(histogram, 0.9));
	put_number(object, "p99_ns", histogram_at(histogram, 0.99));
	put_number(object, "p99_9_ns", histogram_at(histogram, 0.999));
	put_number(object, "max_ns", histogram->most);
	put_number(object, "mean_ns", (uint64_t)(histogram_mean(histogram) + 0.5));
}

int ping_json(const struct ping *ping)
{
	struct json_object *object = json_object_new_object();
	put_text(object, "ask", ping->trips.ask);
	put_text(object, "answer", ping->trips.answer);
	put_text(object, "waiting", trip_mode_name(ping->mode));
	put_number(object, "size", ping->trips.size);
	(void)json_object_object_add(object, "started", json_object_new_boolean(ping->trips.companion != NULL));
	(void)json_object_object_add(object, "interrupted", json_object_new_boolean(stop_asked() != 0));
	put_number(object, "elapsed_ns", ping->elapsed_ns);
	put_number(object, "trips", ping->histogram.count);
	put_times(object, &ping->histogram);
	(void)json_object_object_add(object, "buckets", json_of_buckets(&ping->histogram));
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
									  JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		(void)puts(text);
	(void)json_object_put(object);
	return text ? 0 : -1;
}
