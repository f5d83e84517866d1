/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The asking side sends a message and waits for another one, time and again; the answering side does the opposite. Both check
 * every byte. Both are told how many trips there will be, because not every way tells that the other side has ended.
 */
#include "trips.h"

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A side whose counterpart is gone would wait for ever. */
#define GIVE_UP_SECONDS 120
#define WARM_UP 10 /* one trip for so many that are measured: emulation translates code when it is used first */

static const struct way *const ways[] = {&way_ring_poll, &way_ring_sleep, &way_tcp, &way_serial, &way_doorbell, &way_doorbell_poll};

int trips_say(const char *what, int error)
{
	(void)fprintf(stderr, "vm-trips: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
	return -1;
}

static uint64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* A sample is the mean of a batch: reading the clock takes as long as a trip of the fastest way. */
static void report(uint64_t *samples, size_t count, unsigned batch)
{
	qsort(samples, count, sizeof(*samples), by_value);
	printf("{\"trips\": %zu, \"p50_ns\": %.1f, \"p99_ns\": %.1f}\n", count * batch, (double)samples[count / 2] / batch,
	       (double)samples[count - 1 - count / 100] / batch);
}

static int trips(const struct way *way, size_t size, uint64_t *counter, uint64_t count, bool asks)
{
	int failed = 0;

	for (; !failed && count; count--, ++*counter) {
		failed = asks ? way->put(size, *counter) : way->get(size, *counter);
		if (!failed)
			failed = asks ? way->get(size, ~*counter) : way->put(size, ~*counter);
	}
	return failed;
}

static int ask(const struct way *way, size_t size, size_t batches, unsigned batch)
{
	uint64_t *samples = calloc(batches, sizeof(*samples)), counter = 0;
	int failed = samples ? trips(way, size, &counter, batches / WARM_UP * batch, true) : trips_say("no memory", 0);

	for (size_t i = 0; !failed && i < batches; i++) {
		const uint64_t begun = now();

		failed = trips(way, size, &counter, batch, true);
		samples[i] = now() - begun;
	}
	if (!failed)
		report(samples, batches, batch);
	free(samples);
	return failed;
}

static int run(const struct way *way, const char *const arguments[], size_t size, size_t batches, unsigned batch, bool asks)
{
	uint64_t counter = 0;
	int failed = way->open(arguments, size, asks);

	if (!failed && way->meet)
		failed = way->meet(asks);
	if (failed)
		return failed;
	failed = asks ? ask(way, size, batches, batch) :
			trips(way, size, &counter, (batches / WARM_UP + batches) * batch, false);
	return way->close() || failed;
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: vm-trips ask|answer SIZE TRIPS BATCH WAY...\n"
			      "       vm-trips position ADDRESS\n"
			      "SIZE: bytes, a multiple of 8. TRIPS: a multiple of BATCH, of which one sample is made. WAY:\n");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		(void)fprintf(stderr, "  %s %s\n", ways[i]->name, ways[i]->arguments);
	return 2;
}

static const struct way *find(const char *name)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i]->name, name))
			return ways[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct way *way = argc >= 7 ? find(argv[5]) : NULL;
	const bool asks = argc > 1 && !strcmp(argv[1], "ask");
	int position;

	if (argc == 3 && !strcmp(argv[1], "position")) {
		position = doorbell_position(argv[2]);
		return position < 0 || printf("%d\n", position) < 0;
	}
	const size_t size = way ? strtoul(argv[2], NULL, 10) : 0, count = way ? strtoul(argv[3], NULL, 10) : 0;
	const unsigned batch = way ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
	if (!way || (!asks && strcmp(argv[1], "answer") != 0) || !size || size % 8 || !batch || count < batch)
		return usage();
	(void)alarm(GIVE_UP_SECONDS);
	return run(way, (const char *const *)&argv[6], size, count / batch, batch, asks) != 0;
}
