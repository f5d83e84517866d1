/* SPDX-License-Identifier: BSD-3-Clause */
/* Facts about the terminal; the only file that knows escape sequences for colour. */
#include "screen.h"

#include "parse.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);
	uint64_t number;
	if (!text || parse_number(text, &number) || number < 20 || number > 1000)
		return otherwise;
	return (unsigned)number;
}

void screen_look(struct screen *screen, FILE *out)
{
	struct winsize size = {0};
	const char *plain = getenv("NO_COLOR");
	const char *kind = getenv("TERM");
	memset(screen, 0, sizeof(*screen));
	screen->out = out;
	screen->terminal = isatty(fileno(out)) == 1;
	screen->colour = screen->terminal && !(plain && *plain) && kind && strcmp(kind, "dumb") != 0;
	screen->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	screen->width = from_environment("COLUMNS", 0);
	screen->bounded = screen->terminal || screen->width;
	screen->width = screen->width ? screen->width : 80;
	screen->height = from_environment("LINES", 1000);
	if (screen->terminal && !ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
		screen->width = size.ws_col;
		screen->height = size.ws_row;
	}
}

const char *screen_on(const struct screen *screen, enum style style)
{
	static const char *const codes[] = {
		[STYLE_PLAIN] = "",	   [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",
		[STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[1;31m",
		[STYLE_A] = "\033[36m",	   [STYLE_B] = "\033[35m",
	};
	return screen->colour ? codes[style] : "";
}

const char *screen_off(const struct screen *screen)
{
	return screen->colour ? "\033[0m" : "";
}

void screen_put(const struct screen *screen, enum style style, const char *text)
{
	const char *on = screen_on(screen, style);
	(void)fprintf(screen->out, "%s%s%s", on, text, *on ? screen_off(screen) : "");
}

void screen_repeat(const struct screen *screen, const char *piece, unsigned count)
{
	while (count--)
		(void)fputs(piece, screen->out);
}

/* `empty`: what the rest is filled with; "": nothing. */
static void draw_bar(char *out, size_t size, bool utf8, unsigned width, double share, const char *empty)
{
	static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	const char *full = utf8 ? "█" : "#";
	unsigned cells = (unsigned)(share * width * 8 + 0.5);
	if (share > 0 && !cells)
		cells = 1;
	unsigned whole_cells = cells / 8, rest = cells % 8, shown = 0;
	if (!utf8 && rest) { /* ASCII has no fractions: show a cell rather than nothing */
		whole_cells += rest >= 4 || !whole_cells;
		rest = 0;
	}
	*out = 0;
	for (; shown < width && strlen(out) + 4 < size; shown++) {
		if (shown < whole_cells)
			(void)strcat(out, full);
		else if (shown == whole_cells && rest)
			(void)strcat(out, eighths[rest]);
		else
			(void)strcat(out, empty);
	}
}

static double share_of(double part, double whole)
{
	double share = whole > 0 ? part / whole : 0;
	return share < 0 ? 0 : share > 1 ? 1 : share;
}

void screen_bar(char *out, size_t size, bool utf8, unsigned width, double part, double whole)
{
	draw_bar(out, size, utf8, width, share_of(part, whole), utf8 ? "░" : ".");
}

void screen_bare_bar(char *out, size_t size, bool utf8, unsigned width, double part, double whole)
{
	draw_bar(out, size, utf8, width, share_of(part, whole), "");
}
