/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The three ways to an ivshmem device. Its memory is bar 2, its registers are bar 0. Through VFIO it rings and is rung; through a
 * UIO driver of its own, too; sysfs, and uio_pci_generic, which knows no MSI-X, give memory and the register that rings others.
 */
#include "transport/device.h"

#include <vshm/layout.h>

#include <unistd.h>

#define IVSHMEM_VENDOR 0x1af4u
#define IVSHMEM_DEVICE 0x1110u

/* Siemens' version 2 (Jailhouse Documentation/ivshmem-v2-specification.md): only to be told from an unknown device. */
#define IVSHMEM2_VENDOR 0x110au
#define IVSHMEM2_DEVICE 0x4106u

#define IVSHMEM_REGISTERS 0u /* the bars */
#define IVSHMEM_INTERRUPTS 1u
#define IVSHMEM_MEMORY 2u

/* In bar 0: IVPosition is this peer's address, and a store of (address << 16 | vector) rings another one. */
#define IVSHMEM_POSITION 0x08
#define IVSHMEM_DOORBELL 0x0c
#define REGISTERS_SIZE 256

/*
 * On x86 write-combined stores lose their order, which rings depend on. On arm64 such a mapping is ordinary uncached memory, where
 * fences hold and unaligned accesses do not fault, as they do on device memory.
 */
#ifdef __x86_64__
#define COMBINING false
#else
#define COMBINING true
#endif

/* What the UIO drivers of such devices call their mappings: Macdonell's, Schild's and hurryman2212's; Linaro's. */
static const char *const uio_memory[] = {"shmem", "ivshmem-shmem", NULL};
static const char *const uio_registers[] = {"registers", "ivshmem-mmr", NULL};

void vshmi_device_init(struct vshmi_device *device)
{
	memset(device, 0, sizeof(*device));
	device->pci.dir = device->bell = device->unplug = -1;
	device->doorbell = UINT32_MAX;
	device->vfio.container = device->vfio.group = device->vfio.device = -1;
	device->uio.fd = device->uio.dir = -1;
}

/* All but the PCI device itself: another way may follow. */
static void leave_way(struct vshmi_device *device)
{
	vshmi_unmap(device->base, device->size);
	vshmi_unmap(device->registers_page, REGISTERS_SIZE);
	vshmi_vfio_close(&device->vfio);
	vshmi_uio_close(&device->uio);
	if (device->bell_is_ours)
		vshmi_eventfd_close(device->bell);
	if (device->unplug >= 0)
		vshmi_eventfd_close(device->unplug);
	device->unplug = -1;
	device->base = NULL;
	device->registers = NULL;
	device->registers_page = NULL;
	device->rings = false;
	device->bell = -1;
	device->bell_is_ours = false;
	device->doorbell = UINT32_MAX;
}

void vshmi_device_close(struct vshmi_device *device)
{
	leave_way(device);
	vshmi_pci_close(&device->pci);
	vshmi_device_init(device);
}

static int check_kind(const struct vshmi_pci *pci, char *why)
{
	if (pci->vendor == IVSHMEM_VENDOR && pci->device == IVSHMEM_DEVICE)
		return 0;
	if (pci->vendor == IVSHMEM2_VENDOR && pci->device == IVSHMEM2_DEVICE)
		return vshmi_why(why, -EOPNOTSUPP, "%s is an ivshmem device of version 2, which this version of libvshm does not support",
				 pci->address);
	return vshmi_why(why, -EINVAL, "PCI device %s is %04x:%04x, and no ivshmem device (those are %04x:%04x)", pci->address,
			 pci->vendor, pci->device, IVSHMEM_VENDOR, IVSHMEM_DEVICE);
}

static int no_memory(const struct vshmi_pci *pci, char *why)
{
	return vshmi_why(why, -ENODEV, "%s has no shared memory (no BAR 2): check memdev= or size= in the hypervisor", pci->address);
}

/* Maps `size` bytes of `fd` as the memory. NULL: `error` says why. */
static int map_memory(struct vshmi_device *device, int fd, uint64_t offset, uint64_t size, uint32_t wants)
{
	int error;

	device->base = vshmi_map_at(fd, offset, size, wants & VSHMI_DEVICE_WRITE_NOW, VSHM_MIN_PAGE, &error);
	device->size = size;
	return error;
}

/* They can share their page with those of other devices: they begin `inside` bytes after its start. */
static int map_registers(struct vshmi_device *device, int fd, uint64_t offset, uint64_t inside)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int error;

	if (inside + REGISTERS_SIZE > page)
		return -EINVAL;
	device->registers_page = vshmi_map_at(fd, offset, REGISTERS_SIZE, true, page, &error);
	if (error)
		return error;
	device->registers = (struct vshmi_word32 *)(void *)((unsigned char *)device->registers_page + inside);
	device->rings = true;
	return 0;
}

/* Where others ring this device. */
static int note_position(struct vshmi_device *device, char *why)
{
	uint32_t position = UINT32_MAX;

	if (device->registers)
		position = vshmi_load32(&device->registers[IVSHMEM_POSITION / 4]);
	else
		(void)vshmi_vfio_load32(&device->vfio, device->registers_offset + IVSHMEM_POSITION, &position);
	if (position > UINT16_MAX)
		return vshmi_why(why, -ENODEV, "%s has no place at its server yet (IVPosition %d): is the server there?",
				 device->pci.address, (int)position);
	device->doorbell = position;
	return 0;
}

/* A device with interrupts has a bar for their table; one without does not ring either. */
static bool has_doorbells(const struct vshmi_device *device)
{
	return vshmi_pci_bar_size(&device->pci, IVSHMEM_INTERRUPTS) != 0;
}

/* ---- sysfs ---- */

/* Why the kernel refuses to map it: a driver has it, or it does so for nobody (lockdown). */
static int explain_refusal(const struct vshmi_pci *pci, int error, char *why)
{
	if (pci->driver[0])
		return vshmi_why(why, -EBUSY, "cannot map the memory of %s while a program has it through %s (vshmctl doctor tells which): end "
					      "that, or vshmctl unbind %s",
				 pci->address, pci->driver, pci->address);
	return vshmi_why(why, error, "cannot map the memory of %s: %s", pci->address,
			 error == -ENOMEM ? "no address space (ulimit -v) or no memory" :
					    "the kernel refuses it (lockdown, as with secure boot, forbids it)");
}

static int sysfs_memory(struct vshmi_device *device, uint32_t wants, char *why)
{
	uint64_t size = vshmi_pci_bar_size(&device->pci, IVSHMEM_MEMORY);
	int error, bar;

	if (!size)
		return no_memory(&device->pci, why);
	bar = vshmi_pci_open_bar(&device->pci, IVSHMEM_MEMORY, wants & VSHMI_DEVICE_WRITE, COMBINING, why);
	if (bar < 0)
		return bar;
	error = map_memory(device, bar, 0, size, wants);
	close(bar);
	return error ? explain_refusal(&device->pci, error, why) : 0;
}

/* To ring others, where that can be had: who is rung need not look so often. */
static void sysfs_registers(struct vshmi_device *device)
{
	uint64_t address = vshmi_pci_bar_address(&device->pci, IVSHMEM_REGISTERS);
	int bar = has_doorbells(device) ? vshmi_pci_open_bar(&device->pci, IVSHMEM_REGISTERS, true, false, NULL) : -1;

	if (bar < 0)
		return;
	/* nobody can ring it, but by its address the server tells others when this machine is gone */
	if (!map_registers(device, bar, 0, address % (uint64_t)sysconf(_SC_PAGESIZE)))
		(void)note_position(device, NULL);
	close(bar);
}

static int by_sysfs(struct vshmi_device *device, uint32_t wants, char *why)
{
	int error = vshmi_pci_enable(&device->pci, why);

	if (!error && wants & VSHMI_DEVICE_MEMORY)
		error = sysfs_memory(device, wants, why);
	if (!error && wants & VSHMI_DEVICE_DOORBELL)
		sysfs_registers(device);
	return error;
}

/* ---- UIO ---- */

static int uio_bell(struct vshmi_device *device, char *why)
{
	uint64_t offset, inside;

	if (!vshmi_uio_map(&device->uio, uio_registers, &offset, &inside)) {
		sysfs_registers(device); /* uio_pci_generic: a driver for any device knows none of our interrupts */
		return 0;
	}
	if (map_registers(device, device->uio.fd, offset, inside))
		return vshmi_why(why, -EIO, "cannot map the registers of %s through UIO", device->pci.address);
	if (!vshmi_uio_has_bells(&device->uio))
		return 0;
	device->bell = device->uio.fd;
	return note_position(device, why);
}

static int by_uio(struct vshmi_device *device, uint32_t wants, char *why)
{
	uint64_t offset, inside, size;
	int error = vshmi_uio_open(&device->pci, &device->uio, why);

	if (!error)
		error = vshmi_pci_enable(&device->pci, why);
	if (error)
		return error;
	size = wants & VSHMI_DEVICE_MEMORY ? vshmi_uio_map(&device->uio, uio_memory, &offset, &inside) : 0;
	if (size)
		error = map_memory(device, device->uio.fd, offset, size, wants);
	if (error)
		return vshmi_why(why, error, "cannot map the memory of %s through UIO", device->pci.address);
	if (!size && wants & VSHMI_DEVICE_MEMORY)
		error = sysfs_memory(device, wants, why);
	return error || !(wants & VSHMI_DEVICE_DOORBELL) ? error : uio_bell(device, why);
}

/* ---- VFIO ---- */

static int vfio_bell(struct vshmi_device *device, char *why)
{
	uint64_t size, offset = 0;
	int error = vshmi_vfio_bar(&device->vfio, IVSHMEM_REGISTERS, &size, &offset);

	device->registers_offset = offset;
	device->rings = error >= 0;
	if (error > 0)
		error = map_registers(device, device->vfio.device, offset, 0);
	if (error)
		return vshmi_why(why, error, "cannot have the registers of %s", device->pci.address);
	device->bell = vshmi_eventfd_open();
	device->bell_is_ours = device->bell >= 0;
	error = device->bell < 0 ? device->bell : vshmi_vfio_set_bell(&device->vfio, device->bell);
	if (error)
		return vshmi_why(why, error, "cannot have the interrupts of %s: no descriptors, or no vectors", device->pci.address);
	return note_position(device, why);
}

static int vfio_memory(struct vshmi_device *device, uint32_t wants, char *why)
{
	uint64_t size, offset;
	int error;

	if (vshmi_vfio_bar(&device->vfio, IVSHMEM_MEMORY, &size, &offset) <= 0)
		return no_memory(&device->pci, why);
	error = map_memory(device, device->vfio.device, offset, size, wants);
	return error ? vshmi_why(why, error, "cannot map the memory of %s through VFIO", device->pci.address) : 0;
}

/* Where that cannot be had, whoever unplugs it waits until the program ends. */
static void vfio_unplug(struct vshmi_device *device)
{
	device->unplug = vshmi_eventfd_open();
	if (device->unplug >= 0)
		(void)vshmi_vfio_set_request(&device->vfio, device->unplug);
}

static int by_vfio(struct vshmi_device *device, uint32_t wants, char *why)
{
	int error = vshmi_vfio_open(&device->pci, &device->vfio, why);

	if (error)
		return error;
	if (vshmi_vfio_enable(&device->vfio))
		return vshmi_why(why, -EIO, "cannot switch on the memory and the interrupts of %s", device->pci.address);
	vfio_unplug(device);
	if (wants & VSHMI_DEVICE_MEMORY)
		error = vfio_memory(device, wants, why);
	if (error || !(wants & VSHMI_DEVICE_DOORBELL) || !vshmi_vfio_has_bells(&device->vfio))
		return error;
	return vfio_bell(device, why);
}

/* ---- which way ---- */

static const struct way {
	const char *name;
	int (*open)(struct vshmi_device *device, uint32_t wants, char *why);
} ways[] = {{"vfio", by_vfio}, {"uio", by_uio}, {"sysfs", by_sysfs}};

static int go(struct vshmi_device *device, const struct way *way, uint32_t wants, char *why)
{
	int error = way->open(device, wants, why);

	device->way = way->name;
	if (error)
		leave_way(device);
	return error;
}

/* What a better way would take; for whoever wonders why nothing rings. */
static void explain_sysfs(struct vshmi_device *device)
{
	if (!has_doorbells(device))
		(void)vshmi_why(device->because, 0, "a plain device has no interrupts: nothing would be gained by another way");
	else
		(void)vshmi_why(device->because, 0, "%s is bound to it: interrupts need vfio-pci and an IOMMU",
				device->pci.driver[0] ? device->pci.driver : "no driver");
}

/* A driver was bound so that it is used; where it cannot be, the memory is to be had all the same. */
static int go_best(struct vshmi_device *device, uint32_t wants, char *why)
{
	bool vfio = !strcmp(device->pci.driver, "vfio-pci"), uio = !vfio && vshmi_uio_there(&device->pci);
	char first[VSHM_WHY_SIZE] = "";
	int error = 0;

	if (vfio || uio) {
		error = go(device, vfio ? &ways[0] : &ways[1], wants, first);
		if (!error)
			(void)vshmi_why(device->because, 0, "it is bound to %s", device->pci.driver);
		if (!error || error == -EBUSY || error == -ENODEV)
			return error ? vshmi_why(why, error, "%s", first) : 0;
	}
	if (!error) {
		explain_sysfs(device);
		return go(device, &ways[2], wants, why);
	}
	(void)vshmi_why(device->because, 0, "%s", first);
	return go(device, &ways[2], wants, NULL) ? vshmi_why(why, error, "%s", first) : 0;
}

static int choose(struct vshmi_device *device, const char *via, uint32_t wants, char *why)
{
	if (!via[0])
		return go_best(device, wants, why);
	(void)vshmi_why(device->because, 0, "as via= says");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, via))
			return go(device, &ways[i], wants, why);
	return vshmi_why(why, -EINVAL, "via=%s: there is no such way to a device; there are vfio, uio and sysfs", via);
}

int vshmi_device_open(struct vshmi_device *device, const char *root, const char *address, const char *via, uint32_t wants, char *why)
{
	int error;

	vshmi_device_init(device);
	error = vshmi_pci_open(root, address, &device->pci, why);
	if (!error)
		error = check_kind(&device->pci, why);
	if (!error)
		error = choose(device, via, wants, why);
	if (error)
		vshmi_device_close(device);
	return error;
}

/* ---- while it is open ---- */

/* One aligned store of 32 bits, which the hypervisor turns into an interrupt (ivshmem-spec.rst, "Doorbell"). */
void vshmi_device_ring(const struct vshmi_device *device, uint32_t doorbell)
{
	if (!device->rings || doorbell > UINT16_MAX)
		return;
	if (device->registers)
		vshmi_store_release32(&device->registers[IVSHMEM_DOORBELL / 4], doorbell << 16);
	else
		vshmi_vfio_store32(&device->vfio, device->registers_offset + IVSHMEM_DOORBELL, doorbell << 16);
}

void vshmi_device_hear(const struct vshmi_device *device)
{
	if (device->bell_is_ours)
		vshmi_eventfd_clear(device->bell);
	else
		vshmi_uio_clear(&device->uio);
}

int vshmi_device_status(const struct vshmi_device *device)
{
	if (device->unplug >= 0 && vshmi_eventfd_signalled(device->unplug))
		return -ENODEV;
	return vshmi_pci_there(&device->pci) ? 0 : -ENODEV;
}

uint32_t vshmi_device_facts(const struct vshmi_device *device)
{
	enum vshmi_memory memory = vshmi_pci_memory(&device->pci, IVSHMEM_MEMORY);
	uint32_t facts = memory ? VSHM_FACT_TOLD : 0;

	/*
	 * The kernel maps a bar as device memory; what it really is, the hypervisor decides. On x86 a locked instruction is right on
	 * any kind of memory, on others an exclusive access to device memory can fault.
	 */
#ifdef __x86_64__
	facts |= VSHM_FACT_RMW;
#endif
	return memory == VSHMI_MEMORY_CACHED ? facts | VSHM_FACT_CACHED | VSHM_FACT_RMW : facts;
}
