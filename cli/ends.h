/* SPDX-License-Identifier: BSD-3-Clause */
/* What an end is doing, in words. */
#ifndef CLI_ENDS_H
#define CLI_ENDS_H

#include "observe.h"

/* Room for what end_does() says. */
#define END_TEXT 64

/* The end left, or its peer cannot move it any more. */
bool end_is_gone(const struct observation *now, const struct observed_end *end);

/* A consumer that is there, and that no producer has granted. */
bool end_waits(const struct observation *now, const struct observed_end *end);

/* One end: "left", "(dead)", "suspect", "waits for a producer", "asleep until tail 64", "awake". Returns `text`. */
const char *end_does(const struct observation *now, const struct observed_end *end, char *text);

/* A ring as a whole: who sleeps, who is missing, who is dead. A constant text. */
const char *ring_does(const struct observation *now, const struct observed_end *producer);

#endif
