/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fetch hook: shared words as a hostile peer would have them. Each load may be followed by a change of that very
 * word, at the whim of the fuzzer's input, as if the other side had written it at that moment; so what is used after
 * a second look differs from what was checked after the first. Loads are counted: a second load of one word in one call
 * is a failure (but for words that frame others, and hints), and so is more work than the call may do.
 */
#ifndef FUZZ_FETCH_H
#define FUZZ_FETCH_H

#include "shared/shared.h"

/* An input begins: `data` feeds all choices; behind its end they are 0. */
void fetch_begin(const uint8_t *data, size_t size);
bool fetch_empty(void);
uint8_t fetch_byte(void);
uint64_t fetch_word(void);

/* A number at or near those that matter: 0, the limits, `near` and small steps from it. */
uint64_t fetch_value(uint64_t near);

/* A call of the library begins; it may load at most `loads` words. */
void fetch_call(unsigned loads);

/* This word may be loaded more than once in a call: it frames others, or is a hint. Until the next fetch_begin(). */
void fetch_hint(const void *word);

/* A load of this word begins a new try inside a call: the others may be loaded once more. Until the next fetch_begin(). */
void fetch_renewed_by(const void *word);

/* Ends the program: the library did what it must not do. */
void fetch_fail(const char *what) __attribute__((noreturn));
#define FETCH_ASSERT(condition) ((condition) ? (void)0 : fetch_fail(#condition))

/* Reads each byte for real. */
void fetch_read(const void *data, size_t size);

#endif
