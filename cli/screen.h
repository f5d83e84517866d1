/* SPDX-License-Identifier: BSD-3-Clause */
/* Where text for people goes: how wide it is, whether it takes colours and box-drawing characters. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

struct screen {
	FILE *out;
	unsigned width, height;
	bool terminal;
	bool bounded; /* lines must not be longer than `width`: a terminal, or COLUMNS says so */
	bool colour; /* a terminal, and the user did not say NO_COLOR */
	bool utf8;
};

enum style {
	STYLE_PLAIN,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_A, /* neighbours in a drawing, told apart */
	STYLE_B,
};

/* What `out` leads to. Width 80 where it is no terminal, or COLUMNS. */
void screen_look(struct screen *screen, FILE *out);

/* The escape sequence that begins a style, or ends every style; empty without colours. */
const char *screen_on(const struct screen *screen, enum style style);
const char *screen_off(const struct screen *screen);

/* `text` (escaped already) in a style. */
void screen_put(const struct screen *screen, enum style style, const char *text);

/* `count` times the same piece. */
void screen_repeat(const struct screen *screen, const char *piece, unsigned count);

/* A bar of `width` columns of which `part` of `whole` is filled; something is shown as soon as part > 0. */
void screen_bar(char *out, size_t size, bool utf8, unsigned width, double part, double whole);

/* The same without what is not filled, for bars below each other. */
void screen_bare_bar(char *out, size_t size, bool utf8, unsigned width, double part, double whole);

#endif
