/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ivshmem devices on the PCI bus: libudev finds them, libpci tells what they are. Revision 1: QEMU
 * docs/specs/ivshmem-spec.rst; ACRN tells regions apart by the subsystem; cloud-hypervisor has neither doorbells nor anything
 * to be known by. Version 2: Jailhouse Documentation/ivshmem-v2-specification.md.
 */
#include "discover/udev.h"

#include <dirent.h>
#include <errno.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#define IVSHMEM_VENDOR 0x1af4
#define IVSHMEM_DEVICE 0x1110
#define IVSHMEM2_VENDOR 0x110a
#define IVSHMEM2_DEVICE 0x4106
#define MEMORY_BAR 2
#define INTEL_VENDOR 0x8086 /* ACRN's subsystem vendor; its subsystem id is the number of the region */

/* libpci wants an error handler that does not return; a device that is unplugged meanwhile is an error to it. */
static _Thread_local jmp_buf *failed;

__attribute__((noreturn, format(printf, 1, 2))) static void on_error(char *message, ...)
{
	(void)message;
	longjmp(*failed, 1);
}

__attribute__((format(printf, 1, 2))) static void ignore(char *message, ...)
{
	(void)message;
}

/* MSI-X (PCI Local Bus Specification 3.0, section 6.8.2): the table's size. What only root may read is not known. */
static void note_vectors(struct vshm_found *found, struct pci_dev *device)
{
	const struct pci_cap *cap = pci_find_cap(device, PCI_CAP_ID_MSIX, PCI_CAP_NORMAL);
	u8 bytes[4];

	if (!pci_read_block(device, 0x40, bytes, sizeof(bytes)))
		return;
	found->flags |= VSHM_FOUND_CONFIG;
	if (cap)
		found->vectors = (pci_read_word(device, (int)cap->addr + PCI_CAP_FLAGS) & PCI_MSIX_TABSIZE) + 1u;
}

static void note_facts(struct vshm_found *found, struct pci_dev *device)
{
	const char *group;

	(void)pci_fill_info(device, PCI_FILL_IDENT | PCI_FILL_CLASS | PCI_FILL_CLASS_EXT | PCI_FILL_SUBSYS |
					    PCI_FILL_BASES | PCI_FILL_SIZES | PCI_FILL_CAPS | PCI_FILL_IOMMU_GROUP);
	found->vendor = device->vendor_id;
	found->device = device->device_id;
	found->subsystem_vendor = device->subsys_vendor_id;
	found->subsystem = device->subsys_id;
	found->size = device->size[MEMORY_BAR];
	found->protocol = (device->device_class & 0xffu) << 8 | device->prog_if;
	group = pci_get_string_property(device, PCI_FILL_IOMMU_GROUP);
	found->iommu_group = group && *group ? atoi(group) : -1;
	found->flags |= pci_read_word(device, PCI_COMMAND) & PCI_COMMAND_MEMORY ? VSHM_FOUND_MEMORY_ON : 0;
	note_vectors(found, device);
}

/* Asks libpci about the device at found->place; what it cannot tell stays 0. */
static void ask_libpci(struct vshm_found *found)
{
	struct pci_access *access = pci_alloc();
	struct pci_dev *volatile device = NULL; /* set behind setjmp() */
	struct pci_filter address;
	jmp_buf here;

	if (!access)
		return;
	access->method = PCI_ACCESS_SYS_BUS_PCI;
	access->error = on_error;
	access->warning = ignore;
	access->debug = ignore;
	failed = &here;
	if (!setjmp(here)) {
		pci_filter_init(access, &address);
		pci_init(access);
		if (!pci_filter_parse_slot(&address, found->place)) {
			device = pci_get_dev(access, address.domain, address.bus, address.slot, address.func);
			note_facts(found, device);
		}
	}
	failed = NULL;
	if (device)
		pci_free_dev(device);
	pci_cleanup(access);
}

static void name_model(struct vshm_found *found)
{
	if (found->kind == VSHM_FOUND_IVSHMEM2)
		VSHMI_TEXT(found->model, "ivshmem version 2, protocol 0x%04x", (unsigned)found->protocol);
	else if (found->subsystem_vendor == INTEL_VENDOR)
		VSHMI_TEXT(found->model, "ACRN ivshmem, region %u", found->subsystem);
	else if (found->vectors)
		VSHMI_TEXT(found->model, "ivshmem-doorbell, %u vector%s", (unsigned)found->vectors,
			   found->vectors == 1 ? "" : "s");
	else
		VSHMI_TEXT(found->model, found->flags & VSHM_FOUND_CONFIG ? "ivshmem-plain" : "ivshmem");
}

/* ---- ways in ---- */

/* The UIO device that the driver made of it: its node. */
static bool find_uio(struct vshm_found *found, const char *syspath, uint64_t *memory)
{
	char path[1200];

	for (unsigned number = 0; number < 256; number++) {
		VSHMI_TEXT(path, "%s/uio/uio%u", syspath, number);
		if (!vshmi_exists(path))
			continue;
		VSHMI_TEXT(found->node, "/dev/uio%u", number);
		*memory = vshmi_uio_memory(path);
		return true;
	}
	return false;
}

/* VFIO has two doors: that of the IOMMU group, and, since Linux 6.6, the device's own. */
static bool find_own_door(const char *syspath, char *node, size_t size)
{
	char path[1200];
	const struct dirent *entry;
	DIR *list;

	VSHMI_TEXT(path, "%s/vfio-dev", syspath);
	*node = '\0';
	list = opendir(path);
	while (list && !*node && (entry = readdir(list)))
		if (!strncmp(entry->d_name, "vfio", 4))
			vshmi_text(node, size, "/dev/vfio/devices/%.32s", entry->d_name);
	if (list)
		(void)closedir(list);
	return *node;
}

static bool usable(const char *node, const char *with)
{
	return *node && vshmi_may(node, R_OK | W_OK) && vshmi_may(with, R_OK | W_OK);
}

static void note_vfio(struct vshm_found *found, const char *syspath)
{
	char own[VSHM_FOUND_NODE_SIZE];

	if (found->iommu_group >= 0)
		VSHMI_TEXT(found->node, "/dev/vfio/%d", found->iommu_group);
	if (find_own_door(syspath, own, sizeof(own)) && !usable(found->node, "/dev/vfio/vfio") &&
	    (usable(own, "/dev/iommu") || !vshmi_exists(found->node)))
		VSHMI_TEXT(found->node, "%s", own);
	if (usable(found->node, strcmp(found->node, own) != 0 ? "/dev/vfio/vfio" : "/dev/iommu"))
		found->ways |= VSHM_FOUND_VFIO;
}

static void note_ways(struct vshm_found *found, const char *syspath)
{
	char path[1200];
	uint64_t memory = 0;
	bool resource;

	VSHMI_TEXT(path, "%s/resource%d", syspath, MEMORY_BAR);
	resource = vshmi_may(path, R_OK | W_OK);
	VSHMI_TEXT(path, "%s/enable", syspath);
	resource = resource && (found->flags & VSHM_FOUND_MEMORY_ON || vshmi_may(path, W_OK));
	if (!strcmp(found->driver, "vfio-pci"))
		note_vfio(found, syspath);
	else if (find_uio(found, syspath, &memory) && vshmi_may(found->node, R_OK | W_OK) && (memory || resource))
		found->ways |= VSHM_FOUND_UIO_WAY;
	found->ways |= resource ? VSHM_FOUND_SYSFS : 0;
}

/* ---- all of them ---- */

static enum vshm_found_kind kind_of(struct udev_device *device)
{
	char path[1200];
	unsigned long long vendor, id;

	VSHMI_TEXT(path, "%s/vendor", udev_device_get_syspath(device));
	vendor = vshmi_read_number(path, 0);
	VSHMI_TEXT(path, "%s/device", udev_device_get_syspath(device));
	id = vshmi_read_number(path, 0);
	if (vendor == IVSHMEM_VENDOR && id == IVSHMEM_DEVICE)
		return VSHM_FOUND_IVSHMEM;
	return vendor == IVSHMEM2_VENDOR && id == IVSHMEM2_DEVICE ? VSHM_FOUND_IVSHMEM2 : 0;
}

static void add_device(struct vshmi_finds *finds, struct udev_device *device)
{
	enum vshm_found_kind kind = kind_of(device);
	struct vshm_found *one = kind ? vshmi_finds_add(finds, kind) : NULL;

	if (!one)
		return;
	VSHMI_TEXT(one->place, "%s", udev_device_get_sysname(device));
	vshmi_note_driver(one, device);
	ask_libpci(one);
	name_model(one);
	note_ways(one, udev_device_get_syspath(device));
	if (kind == VSHM_FOUND_IVSHMEM) {
		VSHMI_TEXT(one->uri, "ivshmem:%s", one->place);
	} else {
		one->error = -EOPNOTSUPP;
		VSHMI_TEXT(one->why, "this version of libvshm does not open ivshmem devices of version 2");
	}
}

void vshmi_find_pci(struct vshmi_finds *finds)
{
	/* libpci takes it for an error that there is no such bus */
	if (vshmi_may("/sys/bus/pci/devices", R_OK | X_OK))
		vshmi_each_device("pci", add_device, finds);
}
