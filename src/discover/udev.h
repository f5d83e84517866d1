/* SPDX-License-Identifier: BSD-3-Clause */
/* What the finders of devices share. */
#ifndef DISCOVER_UDEV_H
#define DISCOVER_UDEV_H

#include "discover/discover.h"

#include <libudev.h>

/* All devices of a subsystem, in the order of their paths. */
void vshmi_each_device(const char *subsystem, void (*each)(struct vshmi_finds *finds, struct udev_device *device),
		       struct vshmi_finds *finds);

/* The driver and the node of a device itself. */
void vshmi_note_driver(struct vshm_found *found, struct udev_device *device);

/* Does a map of a UIO device have this name of shared memory? And how much of it does a device have, by its syspath? */
bool vshmi_uio_is_memory(const char *map);
uint64_t vshmi_uio_memory(const char *syspath);

#endif
