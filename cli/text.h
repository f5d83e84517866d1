/* SPDX-License-Identifier: BSD-3-Clause */
/* Text for people: escaping what others wrote, and numbers with units. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Room for any of the numbers below. */
#define TEXT_SIZE 32
#define TEXT_AMOUNT 64

/*
 * Copies `in` with everything that is not printable in this locale as \xNN. Cuts at `size`, never in the middle
 * of an escape. Invisible and direction-changing characters of Unicode count as not printable.
 */
void text_escape(char *out, size_t size, const char *in);

/* Columns that an escaped text takes on the terminal. */
unsigned text_width(const char *text);

/* Cuts a text to `width` columns, the last a mark that something is missing. */
void text_cut(char *text, unsigned width);

/* Each fills `out` (TEXT_SIZE bytes) and returns it. */
const char *text_bytes(char *out, uint64_t bytes); /* "17 B", "64 MiB", "1.5 GiB" */
const char *text_amount(char *out, uint64_t bytes); /* "17 bytes", "195 KiB (200000 bytes)": TEXT_AMOUNT bytes */
const char *text_count(char *out, uint64_t count); /* "950", "12.3k", "4.56M" */
const char *text_rate(char *out, double bytes_per_second); /* "1.21 GiB/s" */
const char *text_time(char *out, double ns); /* "850 ns", "12.3 us", "1.5 ms", "2 s" */
const char *text_age(char *out, uint64_t ns); /* "8s", "3m05s", "2h07m", "4d03h" */
const char *text_clock(char *out, uint64_t ns); /* "0:08", "1:02:03" */
const char *text_date(char *out, uint64_t realtime_ns); /* local, "2026-01-31 23:59:59" */

#endif
