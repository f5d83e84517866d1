/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One PCI device through VFIO (Documentation/driver-api/vfio.rst, linux/vfio.h): its bars, its interrupts as eventfds, and the
 * bit without which it sends none. Needs the driver vfio-pci bound to it and an IOMMU; one process at a time can have it. There are two
 * doors to it: the group, in a container, and, since Linux 6.6, the device's own node with iommufd (Documentation/userspace-api/iommufd.rst).
 * Behind them all is the same.
 */
#include "base/base.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vshm/types.h>

/* PCI Local Bus Specification 3.0, section 6.2.2: command register, memory space and bus master. */
#define PCI_COMMAND 4
#define PCI_COMMAND_MEMORY 2u
#define PCI_COMMAND_MASTER 4u

/* linux/iommufd.h and linux/vfio.h since 6.6: not in the headers that this is built with everywhere. */
#define IOMMUFD_ALLOC _IO(VFIO_TYPE, 0x81)
struct iommufd_alloc {
	uint32_t size, flags, id;
};
#define DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
struct device_bind_iommufd {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t id;
};
#define DEVICE_ATTACH_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 19)
struct device_attach_iommufd {
	uint32_t argsz, flags, id;
};

/* ---- by group and container ---- */

static int read_group(const struct vshmi_pci *pci, char *why)
{
	char target[256];
	const char *slash;
	ssize_t n = readlinkat(pci->dir, "iommu_group", target, sizeof(target) - 1);

	if (n <= 0)
		return vshmi_why(why, -EOPNOTSUPP,
				 "%s has no IOMMU group, without which VFIO cannot be used: give the guest an IOMMU (QEMU: -device "
				 "intel-iommu and intel_iommu=on), or use via=sysfs",
				 pci->address);
	target[n] = '\0';
	slash = strrchr(target, '/');
	return atoi(slash ? slash + 1 : target);
}

static int open_container(const char *root, struct vshmi_vfio *vfio, char *why)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/dev/vfio/vfio", root);
	vfio->container = open(path, O_RDWR | O_CLOEXEC);
	if (vfio->container < 0)
		return vshmi_why(why, errno == ENOENT ? -EOPNOTSUPP : vshmi_error_of(errno),
				 "cannot open /dev/vfio/vfio: %s",
				 errno == ENOENT ? "run modprobe vfio-pci" : "it needs to be readable and writable for you");
	if (ioctl(vfio->container, VFIO_GET_API_VERSION) == VFIO_API_VERSION)
		return 0;
	return vshmi_why(why, -EOPNOTSUPP, "this kernel's VFIO has another version than %d", VFIO_API_VERSION);
}

static int open_group(const struct vshmi_pci *pci, struct vshmi_vfio *vfio, int number, char *why)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	const char *address = pci->address;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/dev/vfio/%d", pci->root, number);
	vfio->group = open(path, O_RDWR | O_CLOEXEC);
	if (vfio->group < 0 && errno == EBUSY)
		return vshmi_why(why, -EBUSY, "%s is in use by another process: only one can have it through VFIO", address);
	if (vfio->group < 0 && errno == ENOENT)
		return vshmi_why(why, -EOPNOTSUPP,
				 "%s is not bound to vfio-pci: as root, vshmctl bind %s", address, address);
	if (vfio->group < 0)
		return vshmi_why(why, vshmi_error_of(errno), "cannot open %s: it needs to be readable and writable for you", path);
	if (ioctl(vfio->group, VFIO_GROUP_GET_STATUS, &status) || !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return vshmi_why(why, -EBUSY, "other devices of the IOMMU group %d of %s have drivers of their own: unbind those first",
				 number, address);
	return 0;
}

static int open_device(struct vshmi_vfio *vfio, const char *address, char *why)
{
	if (ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container) ||
	    ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU)) {
		if (errno == EPERM)
			return vshmi_why(why, -EACCES, "the IOMMU cannot remap interrupts (QEMU: -M q35,kernel-irqchip=split -device "
						       "intel-iommu,intremap=on): mend that, load vfio_iommu_type1 with "
						       "allow_unsafe_interrupts=1, or use via=sysfs");
		return vshmi_why(why, -EOPNOTSUPP, "%s: this kernel cannot use its IOMMU for VFIO: run modprobe vfio_iommu_type1",
				 address);
	}
	vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (vfio->device >= 0)
		return 0;
	return vshmi_why(why, vshmi_error_of(errno), "VFIO does not give out %s: is it bound to vfio-pci?", address);
}

static int open_by_group(const struct vshmi_pci *pci, struct vshmi_vfio *vfio, char *why)
{
	int group = read_group(pci, why), error;

	if (group < 0)
		return group;
	error = open_container(pci->root, vfio, why);
	if (!error)
		error = open_group(pci, vfio, group, why);
	return error ? error : open_device(vfio, pci->address, why);
}

/* ---- by the device's own node ---- */

/* "/dev/vfio/devices/vfioN". False: it has none. */
static bool find_node(const struct vshmi_pci *pci, char *path, size_t size)
{
	char name[32];

	if (!vshmi_pci_child(pci, "vfio-dev", name, sizeof(name)))
		return false;
	(void)snprintf(path, size, "%s/dev/vfio/devices/%s", pci->root, name);
	return true;
}

/* The device makes no access to memory of its own; an address space, empty, is what its interrupts need on some machines. */
static int bind_device(const struct vshmi_vfio *vfio)
{
	struct iommufd_alloc space = {.size = sizeof(space)};
	struct device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = vfio->container};
	struct device_attach_iommufd attach = {.argsz = sizeof(attach)};

	if (ioctl(vfio->device, DEVICE_BIND_IOMMUFD, &bind) || ioctl(vfio->container, IOMMUFD_ALLOC, &space))
		return -1;
	attach.id = space.id;
	return ioctl(vfio->device, DEVICE_ATTACH_IOMMUFD, &attach);
}

static int open_by_node(const struct vshmi_pci *pci, struct vshmi_vfio *vfio, const char *node, char *why)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/dev/iommu", pci->root);
	vfio->container = open(path, O_RDWR | O_CLOEXEC);
	if (vfio->container < 0)
		return vshmi_why(why, errno == ENOENT ? -EOPNOTSUPP : vshmi_error_of(errno), "cannot open /dev/iommu: %s",
				 errno == ENOENT ? "run modprobe iommufd" : "it needs to be readable and writable for you");
	vfio->device = open(node, O_RDWR | O_CLOEXEC);
	if (vfio->device < 0)
		return vshmi_why(why, vshmi_error_of(errno), "cannot open %s: it needs to be readable and writable for you", node);
	if (!bind_device(vfio))
		return 0;
	/* EINVAL is what the kernel says when another process has bound it (Linux drivers/vfio/vfio_main.c, vfio_df_open()) */
	if (errno == EBUSY || errno == EPERM || errno == EINVAL)
		return vshmi_why(why, -EBUSY, "%s is in use by another process, or another driver has a device of its IOMMU group",
				 pci->address);
	return vshmi_why(why, vshmi_error_of(errno), "%s cannot be bound to an IOMMU by way of %s", pci->address, node);
}

/* ---- by either ---- */

int vshmi_vfio_open(const struct vshmi_pci *pci, struct vshmi_vfio *vfio, char *why)
{
	char node[512], first[VSHM_WHY_SIZE] = "";
	int error, denied;

	vfio->container = vfio->group = vfio->device = -1;
	denied = error = open_by_group(pci, vfio, first);
	if ((error == -EOPNOTSUPP || error == -EACCES) && find_node(pci, node, sizeof(node))) {
		vshmi_vfio_close(vfio);
		error = open_by_node(pci, vfio, node, why);
	} else if (error) {
		(void)vshmi_why(why, error, "%s", first);
	}
	/* where the kernel has no second door, what is wrong with the first matters */
	if (error == -EOPNOTSUPP && denied == -EACCES)
		error = vshmi_why(why, denied, "%s", first);
	if (error)
		vshmi_vfio_close(vfio);
	return error;
}

void vshmi_vfio_close(struct vshmi_vfio *vfio)
{
	int *const fds[] = {&vfio->device, &vfio->group, &vfio->container};

	for (unsigned i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int region_info(const struct vshmi_vfio *vfio, unsigned index, struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, info) ? vshmi_error_of(errno) : 0;
}

int vshmi_vfio_bar(const struct vshmi_vfio *vfio, unsigned bar, uint64_t *size, uint64_t *offset)
{
	struct vfio_region_info info;
	int error = region_info(vfio, VFIO_PCI_BAR0_REGION_INDEX + bar, &info);

	if (error)
		return error;
	if (!info.size || !(info.flags & VFIO_REGION_INFO_FLAG_READ))
		return -ENODEV;
	*size = info.size;
	*offset = info.offset;
	return info.flags & VFIO_REGION_INFO_FLAG_MMAP ? 1 : 0;
}

int vshmi_vfio_load32(const struct vshmi_vfio *vfio, uint64_t offset, uint32_t *value)
{
	return pread(vfio->device, value, sizeof(*value), (off_t)offset) == sizeof(*value) ? 0 : -EIO;
}

void vshmi_vfio_store32(const struct vshmi_vfio *vfio, uint64_t offset, uint32_t value)
{
	int kept = errno;

	(void)!pwrite(vfio->device, &value, sizeof(value), (off_t)offset);
	errno = kept;
}

int vshmi_vfio_enable(const struct vshmi_vfio *vfio)
{
	struct vfio_region_info info;
	uint16_t command;
	int error = region_info(vfio, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	off_t at = (off_t)info.offset + PCI_COMMAND;

	if (error)
		return error;
	if (pread(vfio->device, &command, sizeof(command), at) != sizeof(command))
		return -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	return pwrite(vfio->device, &command, sizeof(command), at) == sizeof(command) ? 0 : -EIO;
}

bool vshmi_vfio_has_bells(const struct vshmi_vfio *vfio)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX};

	return !ioctl(vfio->device, VFIO_DEVICE_GET_IRQ_INFO, &info) && info.flags & VFIO_IRQ_INFO_EVENTFD && info.count;
}

static int set_eventfd(const struct vshmi_vfio *vfio, unsigned index, int fd)
{
	union {
		struct vfio_irq_set set;
		unsigned char room[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	} irq;
	int32_t eventfd = fd;

	memset(&irq, 0, sizeof(irq));
	irq.set.argsz = sizeof(irq.room);
	irq.set.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	irq.set.index = index;
	irq.set.count = 1;
	memcpy(irq.room + sizeof(irq.set), &eventfd, sizeof(eventfd));
	return ioctl(vfio->device, VFIO_DEVICE_SET_IRQS, &irq) ? vshmi_error_of(errno) : 0;
}

int vshmi_vfio_set_bell(const struct vshmi_vfio *vfio, int fd)
{
	return set_eventfd(vfio, VFIO_PCI_MSIX_IRQ_INDEX, fd);
}

int vshmi_vfio_set_request(const struct vshmi_vfio *vfio, int fd)
{
	return set_eventfd(vfio, VFIO_PCI_REQ_IRQ_INDEX, fd);
}
