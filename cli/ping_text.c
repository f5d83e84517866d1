/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The histogram: each row begins at a round number of a logarithmic scale, as fine as the screen has rows for all but
 * the thousandth at either side. The first and the last row take in what is left there.
 */
#include "ping.h"

#include "screen.h"
#include "stop.h"
#include "table.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LEAST_ROWS 10u
#define MOST_ROWS 24u
#define OTHER_ROWS 14u /* of the screen */
#define NARROW 64u /* columns that the figures take side by side */
#define LEAST_BAR 8u
#define MOST_BAR 200u
#define MARKS_SIZE 40
#define WIDEST_MARKS 17u /* "p50 p90 p99 p99.9" */
#define OTHER_COLUMNS 27u /* FROM, TRIPS, SHARE and the gaps */

static const struct {
	const char *name;
	double share;
} percentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};
#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))
#define FIGURES (PERCENTILES + 3)

/* ---- figures ---- */

static double figure(const struct histogram *histogram, unsigned number)
{
	if (number == 0)
		return (double)histogram->least;
	if (number <= PERCENTILES)
		return (double)histogram_at(histogram, percentiles[number - 1].share);
	return number == PERCENTILES + 1 ? (double)histogram->most : histogram_mean(histogram);
}

static void print_figures(const struct histogram *histogram, const struct screen *screen)
{
	static const char *const names[FIGURES] = {"MIN", "P50", "P90", "P99", "P99.9", "MAX", "MEAN"};
	static const char *const side_by_side[] = {">MIN", ">P50", ">P90", ">P99", ">P99.9", ">MAX", ">MEAN", NULL};
	static const char *const below_each_other[] = {"TRIP", ">TIME", NULL};
	bool narrow = screen->bounded && screen->width < NARROW;
	struct table table;
	char time[TEXT_SIZE];
	table_init(&table, narrow ? below_each_other : side_by_side);
	for (unsigned i = 0; i < FIGURES; i++) {
		if (narrow)
			table_cell(&table, STYLE_DIM, "%s", names[i]);
		table_cell(&table, i == 1 ? STYLE_BOLD : STYLE_PLAIN, "%s", text_time(time, figure(histogram, i)));
	}
	table_print(&table, screen);
}

/* ---- the scale ---- */

/* A decade in 24 equal steps. */
static const uint16_t decade[] = {100, 110, 121, 133, 147, 162, 178, 196, 215, 237, 261, 287,
				  316, 348, 383, 422, 464, 511, 562, 619, 681, 750, 825, 909};
#define DECADE (sizeof(decade) / sizeof(decade[0]))

/* The mark of the scale with this number, in ns: mark 0 is 10 ns. */
static uint64_t scale_mark(unsigned number)
{
	uint64_t mark = decade[number % DECADE];
	if (number < DECADE)
		return (mark + 5) / 10;
	for (unsigned i = 1; i < number / DECADE; i++)
		mark *= 10;
	return mark;
}

/* The last mark that is not above `value`, counting in steps. */
static unsigned scale_below(uint64_t value, unsigned step)
{
	unsigned number = 0;
	while (number + step < 16 * DECADE && scale_mark(number + step) <= value)
		number += step;
	return number;
}

struct rows {
	unsigned room; /* at most so many */
	unsigned first, count, step;
	uint64_t trips[MOST_ROWS];
	uint64_t most;
};

static void choose_scale(struct rows *rows, uint64_t least, uint64_t most)
{
	static const unsigned steps[] = {1, 2, 3, 4, 6, 8, 12, DECADE, 2 * DECADE};
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		rows->step = steps[i];
		rows->first = scale_below(least, rows->step);
		rows->count = (scale_below(most, rows->step) - rows->first) / rows->step + 1;
		if (rows->count <= rows->room)
			return;
	}
	rows->count = rows->room;
}

/* The first and the last row are open to the outside. */
static unsigned row_of(const struct rows *rows, uint64_t value)
{
	unsigned row = 0;
	while (row + 1 < rows->count && scale_mark(rows->first + (row + 1) * rows->step) <= value)
		row++;
	return row;
}

static void fill(struct rows *rows, const struct histogram *histogram, unsigned room)
{
	memset(rows, 0, sizeof(*rows));
	rows->room = room < LEAST_ROWS ? LEAST_ROWS : room > MOST_ROWS ? MOST_ROWS : room;
	choose_scale(rows, histogram_at(histogram, 0.001), histogram_at(histogram, 0.999));
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (histogram->bucket[i])
			rows->trips[row_of(rows, histogram_from(i))] += histogram->bucket[i];
	}
	for (unsigned i = 0; i < rows->count; i++)
		rows->most = rows->trips[i] > rows->most ? rows->trips[i] : rows->most;
}

/* ---- drawing ---- */

/* "p50 p90": the percentiles that lie in a row. */
static void marks_of(const struct rows *rows, const struct histogram *histogram, unsigned row, char *out)
{
	size_t used = 0;
	*out = 0;
	for (unsigned i = 0; i < PERCENTILES; i++) {
		if (row_of(rows, histogram_at(histogram, percentiles[i].share)) == row)
			used += (size_t)snprintf(out + used, MARKS_SIZE - used, "%s%s", used ? " " : "",
						 percentiles[i].name);
	}
}

static unsigned bar_width(const struct screen *screen)
{
	unsigned taken = OTHER_COLUMNS + WIDEST_MARKS + 2;
	if (screen->width < taken + LEAST_BAR) /* without marks */
		taken = OTHER_COLUMNS;
	unsigned room = screen->width > taken ? screen->width - taken : LEAST_BAR;
	return room > MOST_BAR ? MOST_BAR : room;
}

static void print_rows(const struct rows *rows, const struct histogram *histogram, const struct screen *screen)
{
	static const char *const titles[] = {">FROM", ">TRIPS", ">SHARE", "", "~", NULL};
	const unsigned width = bar_width(screen);
	struct table table;
	table_init(&table, titles);
	for (unsigned row = 0; row < rows->count; row++) {
		char time[TEXT_SIZE], count[TEXT_SIZE], marks[MARKS_SIZE], bar[MOST_BAR * 4 + 4];
		if (row && !rows->trips[row] && !rows->trips[row - 1]) /* one row for all of a gap */
			continue;
		uint64_t from = row ? scale_mark(rows->first + row * rows->step) : histogram->least;
		marks_of(rows, histogram, row, marks);
		screen_bare_bar(bar, sizeof(bar), screen->utf8, width, (double)rows->trips[row], (double)rows->most);
		table_cell(&table, STYLE_PLAIN, "%s", text_time(time, (double)from));
		table_cell(&table, STYLE_PLAIN, "%s", text_count(count, rows->trips[row]));
		table_cell(&table, STYLE_PLAIN, "%.1f%%", 100.0 * (double)rows->trips[row] / (double)histogram->count);
		table_drawn(&table, STYLE_A, bar);
		table_cell(&table, STYLE_DIM, "%s", marks);
	}
	table_print(&table, screen);
}

/* On two lines where one is too short. */
static void print_subject(const struct ping *ping, const struct screen *screen)
{
	static const char *const modes[] = {"spin, then sleep", "never sleep", "always sleep"};
	char size[TEXT_SIZE], time[TEXT_SIZE], line[200];
	(void)snprintf(line, sizeof(line), "%" PRIu64 " round trip%s of %s in %s", ping->histogram.count,
		       ping->histogram.count == 1 ? "" : "s", text_bytes(size, ping->trips.size),
		       text_time(time, (double)ping->elapsed_ns));
	bool narrow = screen->bounded && text_width(line) + 32 > screen->width;
	(void)printf("%s%swaits %s\n\n", line, narrow ? "\n" : "; ", modes[ping->mode]);
}

void ping_text(const struct ping *ping)
{
	const struct histogram *histogram = &ping->histogram;
	struct screen screen;
	struct rows rows;
	screen_look(&screen, stdout);
	if (stop_asked() && screen.terminal) /* behind the ^C */
		(void)putchar('\n');
	print_subject(ping, &screen);
	print_figures(histogram, &screen);
	(void)putchar('\n');
	fill(&rows, histogram, screen.height > OTHER_ROWS ? screen.height - OTHER_ROWS : 0);
	print_rows(&rows, histogram, &screen);
}
