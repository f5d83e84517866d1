/* SPDX-License-Identifier: BSD-3-Clause */
/* A table in text: columns as wide as their widest cell. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "screen.h"

#define TABLE_COLUMNS 14

struct table_cell {
	char *text;
	enum style style;
};

struct table {
	unsigned columns;
	const char *title[TABLE_COLUMNS];
	struct table_cell *cells; /* row by row */
	size_t count, room;
};

/*
 * `titles`: NULL-terminated. One that begins with '~' is left out, the last first, where a terminal is too narrow.
 * One that begins with '>' (behind a '~') is aligned to the right, and so are its cells.
 */
void table_init(struct table *table, const char *const *titles);

/* Adds the next cell. Escapes what is not printable. */
void table_cell(struct table *table, enum style style, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Adds a cell that was drawn here, box characters and all. */
void table_drawn(struct table *table, enum style style, const char *text);

/* Prints and frees it. Columns without any text are left out. */
void table_print(struct table *table, const struct screen *screen);

#endif
