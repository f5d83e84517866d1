/* SPDX-License-Identifier: BSD-3-Clause */
/* What `vshmctl bench` found. The names of the keys in the JSON are part of the interface: add, never rename. */
#include "bench.h"

#include "screen.h"
#include "stop.h"
#include "table.h"
#include "text.h"

#include <json-c/json.h>
#include <stdio.h>

static double records_per_second(const struct figure *figure)
{
	return figure->elapsed_ns ? (double)figure->records * 1e9 / (double)figure->elapsed_ns : 0;
}

static double bytes_per_second(const struct figure *figure)
{
	return records_per_second(figure) * (double)figure->size;
}

/* ---- for people ---- */

static void cell_rate(struct table *table, const struct figure *figure)
{
	char count[TEXT_SIZE];
	if (!figure->done) {
		table_cell(table, STYLE_DIM, "-");
		table_cell(table, STYLE_DIM, "-");
		return;
	}
	table_cell(table, STYLE_PLAIN, "%s", text_count(count, (uint64_t)(records_per_second(figure) + 0.5)));
	table_cell(table, STYLE_PLAIN, "%.3g", bytes_per_second(figure) / 1e9);
}

/* One row for a size: one by one, and in bursts, which come behind each other in the list. */
static void print_streams(const struct bench *bench, const struct screen *screen)
{
	static const char *const titles[] = {">SIZE", ">RECORDS/S", ">GB/S", ">IN BURSTS/S", ">GB/S", NULL};
	struct table table;
	char size[TEXT_SIZE];
	table_init(&table, titles);
	for (unsigned i = 0; i < bench->count; i++) {
		const struct figure *figure = &bench->figure[i];
		if (figure->kind != BENCH_STREAM || (figure->burst == 1 && !figure->done))
			continue;
		if (figure->burst == 1)
			table_cell(&table, STYLE_BOLD, "%s", text_bytes(size, figure->size));
		if (figure->burst == 1 || bench->figure[i - 1].done)
			cell_rate(&table, figure);
	}
	table_print(&table, screen);
}

static void print_lends(const struct bench *bench, const struct screen *screen)
{
	static const char *const titles[] = {"LENT BLOCKS", ">SIZE", ">HANDED OVER/S", ">EACH", NULL};
	struct table table;
	char text[TEXT_SIZE];
	table_init(&table, titles);
	for (unsigned i = 0; i < bench->count; i++) {
		const struct figure *figure = &bench->figure[i];
		if (figure->kind != BENCH_LEND || !figure->done)
			continue;
		table_cell(&table, STYLE_PLAIN, "not copied, not written");
		table_cell(&table, STYLE_PLAIN, "%s", text_bytes(text, figure->size));
		table_cell(&table, STYLE_PLAIN, "%s", text_count(text, (uint64_t)(records_per_second(figure) + 0.5)));
		table_cell(&table, STYLE_BOLD, "%s", text_time(text, 1e9 / records_per_second(figure)));
	}
	if (table.count)
		(void)putchar('\n');
	table_print(&table, screen);
}

static void print_rounds(const struct bench *bench, const struct screen *screen)
{
	static const char *const titles[] = {"ROUND TRIP", ">SIZE", ">P50", ">P99", NULL};
	static const char *const modes[] = {"spin, then sleep", "never sleep", "always sleep"};
	struct table table;
	char text[TEXT_SIZE];
	table_init(&table, titles);
	for (unsigned i = 0; i < bench->count; i++) {
		const struct figure *figure = &bench->figure[i];
		if (figure->kind != BENCH_ROUND || !figure->done)
			continue;
		table_cell(&table, STYLE_PLAIN, "%s", modes[figure->mode]);
		table_cell(&table, STYLE_PLAIN, "%s", text_bytes(text, figure->size));
		table_cell(&table, STYLE_BOLD, "%s", text_time(text, (double)figure->p50_ns));
		table_cell(&table, STYLE_PLAIN, "%s", text_time(text, (double)figure->p99_ns));
	}
	if (table.count)
		(void)putchar('\n');
	table_print(&table, screen);
}

static void print_memory(const struct bench *bench, const struct screen *screen)
{
	static const char *const titles[] = {"FOR COMPARISON", ">SIZE", ">GB/S", NULL};
	struct table table;
	char size[TEXT_SIZE];
	table_init(&table, titles);
	for (unsigned i = 0; i < bench->count; i++) {
		const struct figure *figure = &bench->figure[i];
		if (figure->kind != BENCH_MEMORY || !figure->done)
			continue;
		table_cell(&table, STYLE_PLAIN, "memcpy");
		table_cell(&table, STYLE_PLAIN, "%s", text_bytes(size, figure->size));
		table_cell(&table, STYLE_PLAIN, "%.3g", bytes_per_second(figure) / 1e9);
	}
	if (table.count)
		(void)putchar('\n');
	table_print(&table, screen);
}

void bench_text(const struct bench *bench)
{
	struct screen screen;
	screen_look(&screen, stdout);
	if (stop_asked() && screen.terminal) /* behind the ^C */
		(void)putchar('\n');
	if (bench->pinned)
		(void)printf("from processor %u to %u, %.3g s each\n\n", bench->cores[0], bench->cores[1],
			     (double)bench->figure_ns / 1e9);
	else
		(void)printf("not pinned, %.3g s each\n\n", (double)bench->figure_ns / 1e9);
	print_streams(bench, &screen);
	print_lends(bench, &screen);
	print_rounds(bench, &screen);
	print_memory(bench, &screen);
}

/* ---- for programs ---- */

static void put_number(struct json_object *object, const char *key, uint64_t value)
{
	(void)json_object_object_add(object, key, json_object_new_uint64(value));
}

static struct json_object *json_of_figure(const struct figure *figure)
{
	struct json_object *object = json_object_new_object();
	put_number(object, "size", figure->size);
	put_number(object, "elapsed_ns", figure->elapsed_ns);
	if (figure->kind == BENCH_STREAM)
		put_number(object, "burst", figure->burst);
	if (figure->kind != BENCH_MEMORY)
		put_number(object, "records", figure->records);
	if (figure->kind == BENCH_ROUND) {
		(void)json_object_object_add(object, "waiting", json_object_new_string(trip_mode_name(figure->mode)));
		put_number(object, "p50_ns", figure->p50_ns);
		put_number(object, "p99_ns", figure->p99_ns);
		return object;
	}
	if (figure->kind == BENCH_STREAM || figure->kind == BENCH_LEND)
		put_number(object, "records_per_second", (uint64_t)records_per_second(figure));
	if (figure->kind == BENCH_LEND)
		return object;
	put_number(object, "bytes_per_second", (uint64_t)bytes_per_second(figure));
	return object;
}

static struct json_object *json_of_kind(const struct bench *bench, enum bench_kind kind)
{
	struct json_object *all = json_object_new_array();
	for (unsigned i = 0; i < bench->count; i++) {
		if (bench->figure[i].kind == kind && bench->figure[i].done)
			(void)json_object_array_add(all, json_of_figure(&bench->figure[i]));
	}
	return all;
}

static struct json_object *json_of_cores(const struct bench *bench)
{
	struct json_object *cores = bench->pinned ? json_object_new_array() : NULL;
	for (unsigned i = 0; cores && i < 2; i++)
		(void)json_object_array_add(cores, json_object_new_uint64(bench->cores[i]));
	return cores;
}

int bench_json(const struct bench *bench)
{
	struct json_object *object = json_object_new_object();
	(void)json_object_object_add(object, "pinned", json_of_cores(bench));
	(void)json_object_object_add(object, "interrupted", json_object_new_boolean(stop_asked() != 0));
	put_number(object, "figure_ns", (uint64_t)bench->figure_ns);
	(void)json_object_object_add(object, "streams", json_of_kind(bench, BENCH_STREAM));
	(void)json_object_object_add(object, "lends", json_of_kind(bench, BENCH_LEND));
	(void)json_object_object_add(object, "round_trips", json_of_kind(bench, BENCH_ROUND));
	(void)json_object_object_add(object, "memory", json_of_kind(bench, BENCH_MEMORY));
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
	if (text)
		(void)puts(text);
	(void)json_object_put(object);
	return text ? 0 : -1;
}
