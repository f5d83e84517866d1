/* SPDX-License-Identifier: BSD-3-Clause */
/* What somebody may have meant who mistyped a word. */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *text; /* as typed */
	const char *best; /* NULL: nothing is near */
	size_t distance;
};

/* Offers one word that would have been right. */
void nearest_offer(struct nearest *nearest, const char *word);

#endif
