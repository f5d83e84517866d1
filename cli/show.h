/* SPDX-License-Identifier: BSD-3-Clause */
/* The three faces of `vshmctl show`. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "observe.h"
#include "screen.h"

struct show {
	const char *uri;
	const struct observation *now;
	struct screen screen;
};

void show_text(const struct show *show);
void show_map(const struct show *show);

/* One JSON document on one line, or over several lines when `pretty`. 0, or -1: no memory. */
int show_json(const struct show *show, bool pretty);

/* The first lines of text and map: what region this is. */
void show_region(const struct show *show);

#endif
