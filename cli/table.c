/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables. Out of memory, a cell is empty rather than the program gone. */
#include "table.h"

#include "text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NARROWEST 4u

void table_init(struct table *table, const char *const *titles)
{
	memset(table, 0, sizeof(*table));
	while (titles[table->columns] && table->columns < TABLE_COLUMNS) {
		table->title[table->columns] = titles[table->columns];
		table->columns++;
	}
}

void table_drawn(struct table *table, enum style style, const char *text)
{
	if (table->count == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		struct table_cell *cells = realloc(table->cells, room * sizeof(*cells));
		if (!cells)
			return;
		table->cells = cells;
		table->room = room;
	}
	table->cells[table->count++] = (struct table_cell){strdup(text), style};
}

void table_cell(struct table *table, enum style style, const char *format, ...)
{
	char text[512], safe[1024];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_escape(safe, sizeof(safe), text);
	table_drawn(table, style, safe);
}

static bool optional(const struct table *table, unsigned column)
{
	return table->title[column][0] == '~';
}

static bool to_the_right(const struct table *table, unsigned column)
{
	return table->title[column][optional(table, column)] == '>';
}

static const char *title_of(const struct table *table, unsigned column)
{
	return table->title[column] + optional(table, column) + to_the_right(table, column);
}

static const char *text_of(const struct table *table, size_t cell)
{
	return cell < table->count && table->cells[cell].text ? table->cells[cell].text : "";
}

/* The width of a column; 0: nothing in it. */
static unsigned width_of(const struct table *table, unsigned column)
{
	unsigned widest = 0;
	for (size_t cell = column; cell < table->count; cell += table->columns) {
		unsigned width = text_width(text_of(table, cell));
		widest = width > widest ? width : widest;
	}
	unsigned title = text_width(title_of(table, column));
	return widest && title > widest ? title : widest;
}

/* The widest column, if it can be made narrower yet. */
static unsigned *widest_of(const struct table *table, unsigned *widths)
{
	unsigned *widest = &widths[0];
	for (unsigned column = 1; column < table->columns; column++)
		widest = widths[column] > *widest ? &widths[column] : widest;
	return *widest > NARROWEST ? widest : NULL;
}

/* Takes optional columns out, then cuts the widest, until a line of a known width holds the rest. */
static void make_fit(const struct table *table, const struct screen *screen, unsigned *widths)
{
	unsigned all = 0;
	for (unsigned column = 0; column < table->columns; column++)
		all += widths[column] ? widths[column] + 2 : 0;
	if (!screen->bounded)
		return;
	for (unsigned column = table->columns; column-- && all > screen->width + 2;) {
		if (!optional(table, column) || !widths[column])
			continue;
		all -= widths[column] + 2;
		widths[column] = 0;
	}
	for (unsigned *widest; all > screen->width + 2 && (widest = widest_of(table, widths)); all--)
		--*widest;
}

static void print_cell(const struct screen *screen, enum style style, const char *text, unsigned width, bool right,
		       bool last)
{
	char cut[1024];
	(void)snprintf(cut, sizeof(cut), "%s", text);
	text_cut(cut, width);
	unsigned own = text_width(cut);
	unsigned pad = width > own ? width - own : 0;
	if (right)
		screen_repeat(screen, " ", pad);
	screen_put(screen, style, cut);
	if (!right && !last)
		screen_repeat(screen, " ", pad);
	(void)fputs(last ? "\n" : "  ", screen->out);
}

/* Nothing is printed behind the last cell that has text: no blanks at the end of a line. */
static void print_row(const struct table *table, const struct screen *screen, const unsigned *widths, size_t row)
{
	const size_t first = row * table->columns;
	unsigned last = table->columns - 1;
	while (last && (!widths[last] || !*text_of(table, first + last)))
		last--;
	for (unsigned column = 0; column <= last; column++) {
		enum style style = first + column < table->count ? table->cells[first + column].style : STYLE_PLAIN;
		if (widths[column])
			print_cell(screen, style, text_of(table, first + column), widths[column],
				   to_the_right(table, column), column == last);
	}
}

void table_print(struct table *table, const struct screen *screen)
{
	unsigned widths[TABLE_COLUMNS], last = 0;
	for (unsigned column = 0; column < table->columns; column++)
		widths[column] = width_of(table, column);
	make_fit(table, screen, widths);
	for (unsigned column = 0; column < table->columns; column++)
		last = widths[column] && *title_of(table, column) ? column : last;
	for (unsigned column = 0; column <= last && table->count; column++) {
		if (widths[column])
			print_cell(screen, STYLE_DIM, title_of(table, column), widths[column],
				   to_the_right(table, column), column == last);
	}
	for (size_t row = 0; row * table->columns < table->count; row++)
		print_row(table, screen, widths, row);
	for (size_t cell = 0; cell < table->count; cell++)
		free(table->cells[cell].text);
	free(table->cells);
	memset(table, 0, sizeof(*table));
}
