/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of the words of superblocks and sections, from the layout. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* What stands at `offset` of a section: "heartbeat", "entry 3: tail/head", "bell for peer 2". Fills `out`. */
void word_name(uint64_t offset, char *out, size_t size);

/* The same for a superblock: "layout_version", "section 2: offset". */
void superblock_word_name(uint64_t offset, char *out, size_t size);

#endif
