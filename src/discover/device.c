/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are not on a PCI bus, by libudev: those that UIO gives to programs, and DAX devices. This version of libvshm opens
 * neither; they are shown so that it is clear why.
 */
#include "discover/discover.h"

#include "discover/udev.h"

#include <errno.h>
#include <libudev.h>

void vshmi_each_device(const char *subsystem, void (*each)(struct vshmi_finds *finds, struct udev_device *device),
		       struct vshmi_finds *finds)
{
	struct udev *udev = udev_new();
	struct udev_enumerate *list = udev ? udev_enumerate_new(udev) : NULL;
	struct udev_list_entry *entry;

	if (list && !udev_enumerate_add_match_subsystem(list, subsystem) && !udev_enumerate_scan_devices(list)) {
		udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(list))
		{
			struct udev_device *device = udev_device_new_from_syspath(udev,
										  udev_list_entry_get_name(entry));

			if (device) /* else it was unplugged meanwhile */
				each(finds, device);
			udev_device_unref(device);
		}
	}
	udev_enumerate_unref(list);
	udev_unref(udev);
}

void vshmi_note_driver(struct vshm_found *found, struct udev_device *device)
{
	const char *driver = udev_device_get_driver(device), *node = udev_device_get_devnode(device);

	VSHMI_TEXT(found->driver, "%s", driver ? driver : "");
	if (node && !found->node[0])
		VSHMI_TEXT(found->node, "%s", node);
}

static void not_yet(struct vshm_found *found, const char *what)
{
	found->error = -EOPNOTSUPP;
	VSHMI_TEXT(found->why, "this version of libvshm does not open %s", what);
}

/* ---- UIO ---- */

/* Shared memory as the drivers for ivshmem call it: those of version 1, Linaro's, and that of version 2. */
bool vshmi_uio_is_memory(const char *map)
{
	return !strcmp(map, "shmem") || !strcmp(map, "ivshmem-shmem") || !strcmp(map, "rw_section") ||
	       !strcmp(map, "output_section");
}

uint64_t vshmi_uio_memory(const char *syspath)
{
	char path[1024], name[64];
	uint64_t size = 0;

	for (unsigned map = 0; map < 5; map++) { /* MAX_UIO_MAPS */
		VSHMI_TEXT(path, "%s/maps/map%u/name", syspath, map);
		if (vshmi_read_line(path, name, sizeof(name)) < 0 || !vshmi_uio_is_memory(name))
			continue;
		VSHMI_TEXT(path, "%s/maps/map%u/size", syspath, map);
		size += vshmi_read_number(path, 0);
	}
	return size;
}

/* Any memory: of a platform device nobody says what a map is for. */
static uint64_t largest_map(const char *syspath)
{
	char path[1024];
	uint64_t largest = 0;

	for (unsigned map = 0; map < 5; map++) {
		uint64_t size;

		VSHMI_TEXT(path, "%s/maps/map%u/size", syspath, map);
		size = vshmi_read_number(path, 0);
		largest = size > largest ? size : largest;
	}
	return largest;
}

static bool is_platform(const char *driver)
{
	return driver && (!strcmp(driver, "uio_pdrv_genirq") || !strcmp(driver, "uio_dmem_genirq"));
}

static void add_uio(struct vshmi_finds *finds, struct udev_device *device)
{
	struct udev_device *parent = udev_device_get_parent(device);
	const char *bus = parent ? udev_device_get_subsystem(parent) : NULL,
		   *name = udev_device_get_sysattr_value(device, "name");
	const char *driver = parent ? udev_device_get_driver(parent) : NULL;
	uint64_t size = vshmi_uio_memory(udev_device_get_syspath(device));
	struct vshm_found *one;

	if (bus && !strcmp(bus, "pci"))
		return; /* pci.c has it, if it is one of ours */
	if (!size && is_platform(driver))
		size = largest_map(udev_device_get_syspath(device));
	one = size ? vshmi_finds_add(finds, VSHM_FOUND_UIO) : NULL;
	if (!one)
		return;
	one->size = size;
	VSHMI_TEXT(one->place, "%s", udev_device_get_sysname(device));
	VSHMI_TEXT(one->model, "UIO device %s", name ? name : "");
	vshmi_note_driver(one, device);
	VSHMI_TEXT(one->driver, "%s", driver ? driver : "");
	not_yet(one, "UIO devices that are not on a PCI bus");
}

void vshmi_find_uio(struct vshmi_finds *finds)
{
	vshmi_each_device("uio", add_uio, finds);
}

/* ---- DAX ---- */

static void add_dax(struct vshmi_finds *finds, struct udev_device *device)
{
	const char *size = udev_device_get_sysattr_value(device, "size");
	struct vshm_found *one = vshmi_finds_add(finds, VSHM_FOUND_DAX);
	char path[1024];

	if (!one)
		return;
	VSHMI_TEXT(path, "%s/size", udev_device_get_syspath(device));
	one->size = size ? vshmi_read_number(path, 0) : 0;
	VSHMI_TEXT(one->place, "%s", udev_device_get_sysname(device));
	VSHMI_TEXT(one->model, "DAX device");
	vshmi_note_driver(one, device);
	not_yet(one, "DAX devices");
}

void vshmi_find_dax(struct vshmi_finds *finds)
{
	vshmi_each_device("dax", add_dax, finds);
}
