/* SPDX-License-Identifier: BSD-3-Clause */
/* There and back, as vshmctl ping does it; and memcpy(3), to compare with. */
#include "bench.h"

#include "say.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>

static void prepare(struct bench *bench, const struct figure *figure, struct trips *trips)
{
	trips_init(trips, &bench->stream, figure->ring);
	trips->mode = figure->mode;
	trips->size = figure->size;
}

int bench_round_lead(struct bench *bench, struct figure *figure)
{
	static struct histogram histogram;
	const struct trips_limits limits = {.time_ns = (uint64_t)bench->figure_ns};
	struct trips trips;
	memset(&histogram, 0, sizeof(histogram));
	prepare(bench, figure, &trips);
	trips.companion = &bench->companion;
	int rc = trips_open_asking(&trips) ? -1 : trips_meet(&trips);
	if (rc > 0)
		rc = trips_ask(&trips, &limits, &histogram, &figure->elapsed_ns);
	trips_close(&trips);
	figure->done = rc > 0;
	figure->records = histogram.count;
	figure->p50_ns = histogram_at(&histogram, 0.5);
	figure->p99_ns = histogram_at(&histogram, 0.99);
	return rc;
}

int bench_round_follow(struct bench *bench, struct figure *figure)
{
	struct trips trips;
	prepare(bench, figure, &trips);
	int code = trips_open_answering(&trips);
	if (!code)
		code = trips_answer(&trips, false);
	trips_close(&trips);
	return code ? -1 : !stop_asked();
}

int bench_memory_lead(struct bench *bench, struct figure *figure)
{
	char *from = malloc(figure->size), *to = malloc(figure->size);
	if (from && to) {
		memset(from, 1, figure->size);
		memset(to, 2, figure->size);
		const uint64_t start = observe_clock_ns();
		do {
			memcpy(to, from, figure->size);
			__asm__ __volatile__("" : : "r"(to) : "memory"); /* it is looked at, as far as one can tell */
			figure->records++;
			figure->elapsed_ns = observe_clock_ns() - start;
		} while (!stop_asked() && figure->elapsed_ns < (uint64_t)bench->figure_ns);
		figure->done = true;
	} else {
		(void)say_failed("no memory");
	}
	free(from);
	free(to);
	return figure->done ? !stop_asked() : -1;
}
