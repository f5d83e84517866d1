/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every call returns 0 or a count on success and a negative errno value on failure, with its outputs
 * untouched. The list is closed, each code has one meaning:
 *
 *   -EINVAL      the caller's mistake: NULL, out of range, wrong order of calls, unknown flag bits
 *   -E2BIG       options of a newer libvshm than this one
 *   -EAGAIN      full or empty right now (only with timeout 0)
 *   -ETIMEDOUT   the timeout passed
 *   -ENOMEM      no private memory
 *   -ENOSPC      the region, section, directory or file system is full
 *   -EMSGSIZE    the record is larger than the ring, or than the buffer it is to be copied into
 *   -ENODATA     orderly end of stream: the producer closed and everything was read
 *   -EPIPE       the peer at the other end died
 *   -ESTALE      the peer at the other end restarted, this peer was evicted, or the region was replaced or destroyed
 *   -EHOSTDOWN   the peer at the other end is suspect: its heart does not beat
 *   -EOVERFLOW   lapped: records of a latest ring were overwritten unread (vshm_consumer_lost()), or the producer dropped this
 *                consumer because it was too slow
 *   -EPROTO      the memory breaks the format: see the fault
 *   -EPROTONOSUPPORT  a layout version or feature that this library does not know
 *   -EOPNOTSUPP  this transport cannot do that
 *   -ENODEV      the memory is gone: file truncated, device unplugged
 *   -EBUSY       that role or slot is taken
 *   -EEXIST      exists already
 *   -EACCES      no permission
 *   -ENOENT      does not exist
 *   -ECHILD      the handle belongs to the parent of this forked process
 *   -ECANCELED   the wait was cancelled: vshm_region_cancel()
 *   -EIO         the operating system failed in a way that has no better word
 */
#ifndef VSHM_ERROR_H
#define VSHM_ERROR_H

#include <vshm/types.h>

VSHM_BEGIN_DECLS

/*
 * One line of English for an error that a libvshm call returned.
 * `error`: the (negative) return value; 0 or a count gives "success".
 * Returns a constant string, never NULL. Any thread, never blocks.
 */
VSHM_API const char *vshm_strerror(int error);

/*
 * The rule of the layout that a fault names (enum vshm_rule), in words.
 * Returns a constant string, never NULL. Any thread, never blocks.
 */
VSHM_API const char *vshm_rule_text(uint32_t rule);

VSHM_END_DECLS

#endif
