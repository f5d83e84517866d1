/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words that every part of libvshm uses. The terms are explained in vshm(7):
 * region, segment, section, peer, ring, record, producer, consumer, doorbell.
 */
#ifndef VSHM_TYPES_H
#define VSHM_TYPES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VSHM_API __attribute__((visibility("default")))
#define VSHM_MUST_USE __attribute__((warn_unused_result))
#else
#define VSHM_API
#define VSHM_MUST_USE
#endif

#ifdef __cplusplus
#define VSHM_BEGIN_DECLS extern "C" {
#define VSHM_END_DECLS }
#else
#define VSHM_BEGIN_DECLS
#define VSHM_END_DECLS
#endif

/* A peer's number in its region, 0 .. peer count - 1: the number of the section that it writes. */
typedef uint32_t vshm_peer;

/* A place: bytes from the start of a section (or of a segment, where said so). */
typedef uint64_t vshm_offset;

/* "Whichever is free", where a peer number is asked for. */
#define VSHM_PEER_ANY UINT32_MAX

/* At most this many peers share a region: one bit each in a 64-bit set. */
#define VSHM_MAX_PEERS 64

/* Bytes of a name with its final NUL: 1 to 63 of A-Z a-z 0-9 . _ : + -, the first a letter or digit. */
#define VSHM_NAME_SIZE 64

/* Bytes of a buffer for one line of plain English that says why a call failed and what to do. */
#define VSHM_WHY_SIZE 256

/*
 * Timeouts are nanoseconds on CLOCK_MONOTONIC, counted from the call.
 * 0: do not wait, say -EAGAIN. Negative values other than VSHM_FOREVER are -EINVAL where a call would have to wait.
 */
#define VSHM_FOREVER ((int64_t)-1)

/* A readable piece of memory: `size` bytes at `data`. Owned by whoever handed it out. */
struct vshm_view {
	const void *data;
	size_t size;
};

/* Severity of a line given to a log hook. */
enum vshm_log_level {
	VSHM_LOG_ERROR = 1,
	VSHM_LOG_WARNING = 2,
	VSHM_LOG_INFO = 3,
};

/*
 * Receives one line without newline, valid only during the call. Called from any thread that uses
 * the region, the keeper thread included; it must not call back into that region.
 */
typedef void (*vshm_log_fn)(void *arg, enum vshm_log_level level, const char *line);

/* What a peer broke, kept by the end that noticed it (-EPROTO). Values come from shared memory: print them as numbers. */
struct vshm_fault {
	size_t struct_size;
	vshm_peer peer;     /* who wrote it */
	uint32_t rule;      /* which rule: enum vshm_rule in layout.h; vshm_rule_text() says it in words */
	vshm_offset offset; /* where in that peer's section */
	uint64_t value;     /* what stood there */
};
#define VSHM_FAULT_INIT                                                                            \
	{                                                                                          \
		sizeof(struct vshm_fault), 0, 0, 0, 0                                              \
	}

#endif
