/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One ivshmem device of revision 1 (QEMU docs/specs/ivshmem-spec.rst; ACRN's and cloud-hypervisor's are the same for us), as a
 * program in a guest sees it: its memory, its registers, its interrupts. Not for other modules.
 */
#ifndef TRANSPORT_DEVICE_H
#define TRANSPORT_DEVICE_H

#include "os/os.h"
#include "shared/shared.h"
#include "transport/transport.h"

/* What the device is wanted for. */
#define VSHMI_DEVICE_MEMORY 1u
#define VSHMI_DEVICE_WRITE 2u	   /* parts of the memory will be made writable */
#define VSHMI_DEVICE_WRITE_NOW 4u  /* all of it is, at once */
#define VSHMI_DEVICE_DOORBELL 8u   /* to ring others, and to be rung where the way has interrupts */

struct vshmi_device {
	struct vshmi_pci pci;
	const char *way;		      /* "vfio", "uio", "sysfs" */
	char because[VSHM_WHY_SIZE];      /* why this way */
	void *base;			      /* the memory; NULL: not wanted */
	uint64_t size;
	bool rings;			      /* it can ring others: */
	struct vshmi_word32 *registers;	      /* mapped; NULL: */
	uint64_t registers_offset;	      /* they are at this place of the VFIO device */
	void *registers_page;
	int bell;	   /* becomes readable when it is rung; -1: it has no interrupts */
	uint32_t doorbell; /* its address, at the server and for those who ring it; UINT32_MAX: none */
	/* the rest belongs to the way */
	struct vshmi_vfio vfio;
	struct vshmi_uio uio;
	bool bell_is_ours; /* an eventfd, to be closed */
	int unplug;	   /* an eventfd: somebody waits until it is closed; -1 */
};

/* Nothing open: what close() can be called on. */
void vshmi_device_init(struct vshmi_device *device);

/*
 * Opens the device that `address` names below `root` (""), by the way `via`, or, if that is empty, by the best that works.
 * 0; -EINVAL, -ENOENT, -EOPNOTSUPP, -ENODEV, -EACCES, -EBUSY, -EIO, with what to do; then nothing stays open.
 */
int vshmi_device_open(struct vshmi_device *device, const char *root, const char *address, const char *via, uint32_t wants, char *why);
void vshmi_device_close(struct vshmi_device *device);

void vshmi_device_ring(const struct vshmi_device *device, uint32_t doorbell);

/* Takes in the rings that made `bell` readable. */
void vshmi_device_hear(const struct vshmi_device *device);

/* 0, or -ENODEV: it was unplugged. */
int vshmi_device_status(const struct vshmi_device *device);

/* VSHM_FACT_… of such memory. */
uint32_t vshmi_device_facts(const struct vshmi_device *device);

#endif
