/* SPDX-License-Identifier: BSD-3-Clause */
/* Edit distance of short words: letters put in, left out, changed. */
#include "nearest.h"

#include <stdbool.h>
#include <string.h>

#define LONGEST 32

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
	size_t row[LONGEST + 1], columns = strlen(b);
	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= columns; j++) {
			size_t change = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			row[j] = least(change, least(row[j - 1], row[j]) + 1);
		}
	}
	return row[columns];
}

/* Two neighbouring letters in each other's place, and no other difference. */
static bool is_swapped(const char *a, const char *b)
{
	size_t at = 0;
	while (a[at] && a[at] == b[at])
		at++;
	return a[at] && a[at + 1] && a[at + 1] == b[at] && a[at] == b[at + 1] && !strcmp(a + at + 2, b + at + 2);
}

void nearest_offer(struct nearest *nearest, const char *word)
{
	size_t length = strlen(nearest->text);
	if (length < 3 || length > LONGEST || strlen(word) > LONGEST)
		return;
	size_t found = is_swapped(nearest->text, word) ? 1 : distance(nearest->text, word);
	if (found > (length < 5 ? 1 : 2) || (nearest->best && found >= nearest->distance))
		return;
	nearest->best = word;
	nearest->distance = found;
}
