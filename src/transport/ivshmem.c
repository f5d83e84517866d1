/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region in the memory of an ivshmem device (QEMU docs/specs/ivshmem-spec.rst, revision 1; ACRN's and cloud-hypervisor's are
 * the same for us), as a program in a guest sees it. BAR 2 is the region. via=vfio rings and is rung; via=sysfs maps resource2
 * and hears nothing: waits look again now and then. Futexes do not work on such mappings.
 */
#include "transport/list.h"

#include "os/os.h"
#include "shared/shared.h"

#include <vshm/layout.h>

#include <unistd.h>

#define IVSHMEM_VENDOR 0x1af4u
#define IVSHMEM_DEVICE 0x1110u
#define IVSHMEM_MEMORY 2u /* the bar */

/* Siemens' version 2 (Jailhouse Documentation/ivshmem-v2-specification.md): only to be told from an unknown device. */
#define IVSHMEM2_VENDOR 0x110au
#define IVSHMEM2_DEVICE 0x4106u

/* The registers, in bar 0: IVPosition is this peer's address, and a store of (address << 16 | vector) rings another one. */
#define IVSHMEM_REGISTERS 0u
#define IVSHMEM_POSITION 0x08
#define IVSHMEM_DOORBELL 0x0c
#define REGISTERS_SIZE 4096 /* 256 bytes, and what a mapping takes */

struct device {
	struct vshmi_pci pci;
	int bar;		/* via sysfs: descriptor of the memory; -1 */
	struct vshmi_vfio vfio; /* via VFIO */
	struct vshmi_word32 *registers;
};

static int init(struct vshmi_transport *t, char *why)
{
	/*
	 * The kernel maps a bar as device memory; what it really is, the hypervisor decides. On x86 a locked instruction is right on
	 * any kind of memory, on others an exclusive access to device memory can fault.
	 */
#ifdef __x86_64__
	const uint32_t facts = VSHM_FACT_RMW;
#else
	const uint32_t facts = 0;
#endif
	struct device *device = vshmi_alloc(sizeof(*device));

	vshmi_transport_init(t, device, facts, false);
	if (!device)
		return vshmi_why(why, -ENOMEM, "out of memory");
	device->pci.dir = device->bar = -1;
	device->vfio.container = device->vfio.group = device->vfio.device = -1;
	return 0;
}

static void ivshmem_close(struct vshmi_transport *t)
{
	struct device *device = t->state;

	if (!device)
		return;
	vshmi_unmap(t->segment[0].base, t->segment[0].size);
	vshmi_unmap(device->registers, REGISTERS_SIZE);
	vshmi_vfio_close(&device->vfio);
	if (t->bell >= 0)
		vshmi_eventfd_close(t->bell);
	if (device->bar >= 0)
		close(device->bar);
	vshmi_pci_close(&device->pci);
	vshmi_free(device);
	t->state = NULL;
	t->bell = -1;
	t->segment_count = 0;
	memset(t->segment, 0, sizeof(t->segment));
}

static int finish(struct vshmi_transport *t, int error)
{
	if (error)
		ivshmem_close(t);
	return error;
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

static void note_memory(struct vshmi_transport *t, void *base, uint64_t size, bool writable)
{
	t->segment[0] = (struct vshmi_segment){base, size, writable};
	t->segment_count = 1;
}

/* ---- via=sysfs ---- */

/* Why the kernel refuses to map it: a driver has it, or it does so for nobody (lockdown). */
static int explain_refusal(const struct vshmi_pci *pci, int error, char *why)
{
	if (pci->driver[0])
		return vshmi_why(why, -EBUSY, "cannot map the memory of %s while the driver %s has it: end who uses that, or "
					      "echo %s > /sys/bus/pci/drivers/%s/unbind",
				 pci->address, pci->driver, pci->address, pci->driver);
	return vshmi_why(why, error, "cannot map the memory of %s: %s", pci->address,
			 error == -ENOMEM ? "no address space (ulimit -v) or no memory" :
					    "the kernel refuses it (lockdown, as with secure boot, forbids it)");
}

static int map_sysfs(struct vshmi_transport *t, bool writable, bool writable_now, char *why)
{
	struct device *device = t->state;
	uint64_t size = vshmi_pci_bar_size(&device->pci, IVSHMEM_MEMORY);
	void *base;
	int error;

	if (!size)
		return no_memory(&device->pci, why);
	error = vshmi_pci_enable(&device->pci, why);
	if (error)
		return error;
	device->bar = vshmi_pci_open_bar(&device->pci, IVSHMEM_MEMORY, writable, why);
	if (device->bar < 0)
		return device->bar;
	base = vshmi_map(device->bar, size, writable_now, VSHM_MIN_PAGE, &error);
	if (!base)
		return explain_refusal(&device->pci, error, why);
	note_memory(t, base, size, writable);
	return 0;
}

/* ---- via=vfio ---- */

static int open_bell(struct vshmi_transport *t, struct device *device, char *why)
{
	uint64_t size, offset;
	uint32_t position;
	int error = vshmi_vfio_bar(&device->vfio, IVSHMEM_REGISTERS, &size, &offset);

	if (!error)
		device->registers = vshmi_map_at(device->vfio.device, offset, REGISTERS_SIZE, true, REGISTERS_SIZE, &error);
	if (error)
		return vshmi_why(why, error, "cannot map the registers of %s", device->pci.address);
	t->bell = vshmi_eventfd_open();
	error = t->bell < 0 ? t->bell : vshmi_vfio_set_bell(&device->vfio, t->bell);
	if (error)
		return vshmi_why(why, error, "cannot have the interrupts of %s: no descriptors, or no vectors", device->pci.address);
	position = vshmi_load32(&device->registers[IVSHMEM_POSITION / 4]);
	if (position > UINT16_MAX)
		return vshmi_why(why, -ENODEV, "%s has no place at its server yet (IVPosition %d): is the server there?",
				 device->pci.address, (int)position);
	t->doorbell = position;
	return 0;
}

static int map_vfio(struct vshmi_transport *t, bool observe, bool writable_now, char *why)
{
	struct device *device = t->state;
	uint64_t size, offset;
	void *base;
	int error = vshmi_vfio_open(&device->pci, &device->vfio, why);

	if (error)
		return error;
	if (vshmi_vfio_bar(&device->vfio, IVSHMEM_MEMORY, &size, &offset))
		return no_memory(&device->pci, why);
	if (vshmi_vfio_enable(&device->vfio))
		return vshmi_why(why, -EIO, "cannot switch on the memory and the interrupts of %s", device->pci.address);
	base = vshmi_map_at(device->vfio.device, offset, size, writable_now, VSHM_MIN_PAGE, &error);
	if (!base)
		return vshmi_why(why, error, "cannot map the memory of %s through VFIO", device->pci.address);
	note_memory(t, base, size, !observe);
	/* an observer is rung by nobody, and a plain device has no doorbell */
	return observe || !vshmi_vfio_has_bells(&device->vfio) ? 0 : open_bell(t, device, why);
}

/* One aligned store of 32 bits, which the hypervisor turns into an interrupt (ivshmem-spec.rst, "Doorbell"). */
static void ivshmem_ring(struct vshmi_transport *t, uint32_t doorbell)
{
	struct device *device = t->state;

	if (device->registers && doorbell <= UINT16_MAX)
		vshmi_store_release32(&device->registers[IVSHMEM_DOORBELL / 4], doorbell << 16);
}

/* ---- any way ---- */

/* Without via= the best that works for whoever has the device: the driver it is bound to tells. */
static int choose_way(const struct device *device, const struct vshmi_uri *uri, const char **way, char *why)
{
	*way = uri->via[0] ? uri->via : !strcmp(device->pci.driver, "vfio-pci") ? "vfio" : "sysfs";
	if (!strcmp(*way, "vfio") || !strcmp(*way, "sysfs"))
		return 0;
	if (!strcmp(*way, "uio"))
		return vshmi_why(why, -EOPNOTSUPP, "via=uio is not supported by this version of libvshm: say via=vfio or via=sysfs");
	return vshmi_why(why, -EINVAL, "via=%s: there is no such way to a device; there are vfio, uio and sysfs", uri->via);
}

static int map(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, bool writable_now, char *why)
{
	const struct device *device = t->state;
	const char *way;
	int error = check_kind(&device->pci, why);

	if (!error)
		error = choose_way(device, uri, &way, why);
	if (error)
		return error;
	return !strcmp(way, "vfio") ? map_vfio(t, observe, writable_now, why) : map_sysfs(t, !observe, writable_now, why);
}

int vshmi_ivshmem_open(struct vshmi_transport *t, const char *sysfs, const struct vshmi_uri *uri, bool observe,
		       bool writable_now, char *why)
{
	struct device *device;
	int error = init(t, why);

	if (error)
		return error;
	device = t->state;
	error = vshmi_pci_open(sysfs, uri->path, &device->pci, why);
	return finish(t, error ? error : map(t, uri, observe, writable_now, why));
}

static int ivshmem_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	return vshmi_ivshmem_open(t, "/sys", uri, observe, false, why);
}

/* Memory that holds a region, or anything else that begins with some bytes, is not formatted. */
static int check_empty(const struct vshmi_transport *t, const char *address, char *why)
{
	const struct vshmi_segment *segment = &t->segment[0];
	uint64_t any = 0;

	for (uint64_t i = 0; i < VSHM_SUPERBLOCK_SIZE; i += 8) {
		uint64_t word;

		memcpy(&word, segment->base + i, sizeof(word));
		any |= word;
	}
	return any ? vshmi_why(why, -EEXIST, "the memory of %s is in use: if it is nobody's, fill its first 4096 bytes with zeros",
			       address) :
		     0;
}

int vshmi_ivshmem_create(struct vshmi_transport *t, const char *sysfs, const struct vshmi_uri *uri, const struct vshmi_shape *shape,
			 char *why)
{
	int error;

	if (shape->split)
		return vshmi_why(why, -EOPNOTSUPP, "one device is one flat region: a split one has a device for each peer");
	error = vshmi_ivshmem_open(t, sysfs, uri, false, true, why);
	if (error)
		return error;
	if (shape->segment_size > t->segment[0].size)
		error = vshmi_why(why, -ENOSPC, "the memory of %s has %llu bytes, not %llu: ask for less, or enlarge it in the hypervisor",
				  uri->path, (unsigned long long)t->segment[0].size, (unsigned long long)shape->segment_size);
	return finish(t, error ? error : check_empty(t, uri->path, why));
}

static int ivshmem_create(struct vshmi_transport *t, const struct vshmi_uri *uri, const struct vshmi_shape *shape, char *why)
{
	return vshmi_ivshmem_create(t, "/sys", uri, shape, why);
}

/* The memory has its name already: the superblock's magic, stored last, makes a region of it. */
static int ivshmem_publish(struct vshmi_transport *t, char *why)
{
	(void)t;
	(void)why;
	return 0;
}

/* Unplugged devices lose their directory, and what was open of it can no longer be read. */
static int ivshmem_status(struct vshmi_transport *t)
{
	const struct device *device = t->state;

	return faccessat(device->pci.dir, "vendor", R_OK, 0) ? -ENODEV : 0;
}

static int ivshmem_page(const struct vshmi_uri *uri, uint64_t *page, char *why)
{
	(void)uri;
	(void)why;
	*page = VSHM_MIN_PAGE;
	return 0;
}

const struct vshmi_transport_ops vshmi_ivshmem_ops = {
	.scheme = "ivshmem",
	.open = ivshmem_open,
	.create = ivshmem_create,
	.publish = ivshmem_publish,
	.status = ivshmem_status,
	.ring = ivshmem_ring,
	.close = ivshmem_close,
	.page = ivshmem_page,
};
