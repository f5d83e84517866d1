/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base: arithmetic that cannot overflow, names, option structs, URIs, CRC-32C, floods of wake-ups.
 * Knows no operating system and allocates nothing; builds freestanding.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VSHMI_LIKELY(x) __builtin_expect(!!(x), 1)
#define VSHMI_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A slow path: kept out of its caller, so that the fast path saves no registers for it. */
#define VSHMI_RARE __attribute__((noinline, cold))

static inline bool vshmi_is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* `value` rounded up to a multiple of `unit`, a power of two; the caller knows that it fits. */
static inline uint64_t vshmi_align_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) & ~(unit - 1);
}

static inline uint64_t vshmi_align_down(uint64_t value, uint64_t unit)
{
	return value & ~(unit - 1);
}

/* Is [offset, offset + size) inside [0, limit)? Right for every 64-bit value. */
static inline bool vshmi_range_fits(uint64_t offset, uint64_t size, uint64_t limit)
{
	return size <= limit && offset <= limit - size;
}

/* The smallest power of two that is at least `value`; 0 when it does not fit. */
uint64_t vshmi_round_up_power_of_two(uint64_t value);

/* Is `name` (NUL-terminated, any length) a lawful name? See VSHM_NAME_SIZE. NULL is not. */
bool vshmi_name_ok(const char *name);

/* The same for a name field of VSHM_NAME_SIZE bytes as it lies in memory: lawful, and NUL up to its end. */
bool vshmi_name_field_ok(const char *field);

/*
 * Brings a caller's option struct into the form that this library knows: `options` (may be NULL) begins
 * with size_t struct_size; a shorter one is filled up from `defaults`, a longer one must be zero there.
 * 0, -EINVAL (struct_size too small to hold itself) or -E2BIG.
 */
int vshmi_options_in(void *out, const void *defaults, size_t known_size, const void *options);

/* The same for structs that the library fills: copies what the caller's struct has room for. */
int vshmi_options_out(void *out, const void *filled, size_t known_size);

/* CRC-32C (RFC 3720 appendix B.4) of `size` bytes, continued from `crc`; begin with 0. */
uint32_t vshmi_crc32c(uint32_t crc, const void *data, size_t size);

/*
 * Bells that ring for nothing. Any peer of a region can ring at line rate, and must not keep another one busy with it: after
 * so many wake-ups in a row that found nothing, the bells are left out for as many short naps.
 */
struct vshmi_flood {
	unsigned empty;	  /* wake-ups in a row that found nothing */
	int64_t since_ns; /* the first of them */
	unsigned naps;	  /* so many are due */
};

void vshmi_flood_note(struct vshmi_flood *flood, int64_t now_ns); /* one more */
bool vshmi_flood_nap(struct vshmi_flood *flood);		    /* is a nap due? It is taken then */

/* A parsed URI; all strings are parts of the caller's copy. */
struct vshmi_uri {
	char scheme[16];
	char path[1024];
	char owner[64];   /* owner=; empty: not given */
	char via[16];	  /* via=: how to get at a device; empty: not given */
	char doorbell[16]; /* doorbell=: PCI address of a device; empty: not given */
	uint32_t peer;    /* peer=; VSHM_PEER_ANY: not given */
};

/*
 * Splits "scheme:path?key=value&…". A text that begins with '/' or '.' is a file. `bad` receives a constant
 * string that says what is wrong. 0 or -EINVAL.
 */
int vshmi_uri_parse(const char *text, struct vshmi_uri *uri, const char **bad);

#endif
