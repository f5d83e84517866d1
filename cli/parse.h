/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values that people type, in options and config files. Strict: the whole text counts, no sign, no hex,
 * no overflow. Each returns NULL, or a constant text that says what to write instead.
 */
#ifndef CLI_PARSE_H
#define CLI_PARSE_H

#include <vshm/region.h>

/* "4096", "64K", "64M", "2G", "1T": bytes; the letters are powers of 1024. */
const char *parse_size(const char *text, uint64_t *size);

/* A decimal number; the caller checks the range. */
const char *parse_number(const char *text, uint64_t *number);

/* "5", "0.25": nanoseconds. At most 1 000 000 seconds. */
const char *parse_seconds(const char *text, int64_t *ns);

/* "0660": permission bits in octal. */
const char *parse_mode(const char *text, uint32_t *mode);

/* "USER", "USER:GROUP", ":GROUP", by name or number. Leaves what is not named. */
const char *parse_owner(const char *text, struct vshm_owner *owner);

/* The name of a region or ring: the rule of VSHM_NAME_SIZE. */
const char *parse_name(const char *text);

/* The number of a peer in a region. */
const char *parse_peer(const char *text, vshm_peer *peer);

#endif
