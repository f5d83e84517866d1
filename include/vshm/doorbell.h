/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doorbells by hand: ringing and being rung without a region, to try devices and servers, or beside another use of their
 * memory. Regions (region.h) ring by themselves.
 */
#ifndef VSHM_DOORBELL_H
#define VSHM_DOORBELL_H

#include <vshm/types.h>

VSHM_BEGIN_DECLS

struct vshm_doorbell; /* for one thread at a time */

/* The address of nobody. */
#define VSHM_DOORBELL_NONE UINT32_MAX

/*
 * Opens the doorbells at `uri`: ivshmem: (a device, which only one process can have through VFIO), split: with doorbell=, or
 * server:. What lies in the memory does not matter. `why`: NULL, or VSHM_WHY_SIZE bytes for one line on failure.
 * On success *doorbell is owned by the caller: vshm_doorbell_close(). Blocks for a server that is slow, at most 10 s.
 * Errors: -EINVAL, -EOPNOTSUPP (no doorbells there, or no way to them), -ENOENT, -EACCES, -EBUSY, -ENODEV, -EPROTO, -ENOMEM, -EIO.
 */
VSHM_API VSHM_MUST_USE int vshm_doorbell_open(const char *uri, struct vshm_doorbell **doorbell, char *why);

/* Others cannot ring any more. Never blocks. Errors: -EINVAL. */
VSHM_API int vshm_doorbell_close(struct vshm_doorbell *doorbell);

/*
 * The address by which others ring this doorbell: what ivshmem calls its id, 0 .. 65535. VSHM_DOORBELL_NONE: it cannot be rung
 * (sysfs, uio_pci_generic), or NULL. Never blocks.
 */
VSHM_API uint32_t vshm_doorbell_address(const struct vshm_doorbell *doorbell);

/*
 * Rings the doorbell at `address`, 0 .. 65535, on its vector 0. A device does not tell whether anybody is there; a server does.
 * Never blocks. Errors: -EINVAL, -ENOENT (nobody there), -EOPNOTSUPP (this one cannot ring).
 */
VSHM_API VSHM_MUST_USE int vshm_doorbell_ring(struct vshm_doorbell *doorbell, uint32_t address);

/*
 * Waits until this doorbell is rung; rings that came together count once. `timeout_ns` as everywhere (types.h); a signal does not
 * end it. Errors: -EAGAIN (timeout 0), -ETIMEDOUT, -EINVAL, -EOPNOTSUPP (nobody can ring it).
 */
VSHM_API VSHM_MUST_USE int vshm_doorbell_wait(struct vshm_doorbell *doorbell, int64_t timeout_ns);

VSHM_END_DECLS

#endif
