/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an ivshmem device of a guest needs: memory that is switched on and may be mapped, and, where it has a doorbell, an IOMMU
 * and vfio-pci, without which no interrupt reaches a program (src/README.md; kernel Documentation/driver-api/vfio.rst).
 */
#include "discover/discover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vshm/doorbell.h>

#define SYSFS "/sys/bus/pci/devices/"
#define GROUP "vshm" /* that pkg/udev gives device nodes to */

#define POSITION 0x08u /* ivshmem-spec.rst, revision 1: IVPosition, in BAR 0 */

static void device_path(const struct vshm_found *found, const char *attribute, char *path, size_t size)
{
	vshmi_text(path, size, SYSFS "%s/%s", found->place, attribute);
}

/* The group must exist, and help this user. */
static bool in_group(void)
{
	const struct group *group = getgrnam(GROUP);

	return group && group_member(group->gr_gid);
}

/* A command after which this user may read and write `path`. */
static void grant_command(const char *path, char *command, size_t size)
{
	const struct passwd *user = getpwuid(geteuid());

	if (in_group())
		vshmi_text(command, size, "chgrp " GROUP " %s && chmod g+rw %s", path, path);
	else if (user)
		vshmi_text(command, size, "chown %s %s", user->pw_name, path);
	else
		vshmi_text(command, size, "chown %u %s", (unsigned)geteuid(), path);
}

static bool through_vfio(const struct vshm_found *found)
{
	return !strcmp(found->driver, "vfio-pci");
}

static bool through_uio(const struct vshm_found *found)
{
	return !strncmp(found->driver, "uio_", 4);
}

/* ---- memory ---- */

/* Is there any? An address that the guest cannot reach leaves a BAR without its file. */
static bool diagnose_bar(struct vshmi_diagnosis *d)
{
	char path[160];

	device_path(d->found, "resource2", path, sizeof(path));
	if (!d->found->size)
		vshmi_say(d, VSHM_FINDING_PROBLEM, "memory", NULL,
			  "has no shared memory (no BAR 2): check memdev= or size= in the hypervisor");
	else if (!vshmi_exists(path))
		vshmi_say(d, VSHM_FINDING_PROBLEM, "memory", NULL,
			  "its memory got no address: it is too large for this guest's physical addresses (QEMU: -cpu "
			  "MODEL,host-phys-bits=on, or less memory)");
	return d->found->size && vshmi_exists(path);
}

static bool lockdown(void)
{
	char line[128];

	return vshmi_read_line("/sys/kernel/security/lockdown", line, sizeof(line)) > 0 && !strstr(line, "[none]");
}

static void diagnose_resource(struct vshmi_diagnosis *d)
{
	char path[160], command[VSHM_COMMAND_SIZE];

	if (lockdown()) {
		vshmi_say(d, VSHM_FINDING_PROBLEM, "lockdown", NULL,
			  "the kernel is locked down (secure boot): memory is not mapped through sysfs; use VFIO");
		return;
	}
	device_path(d->found, "resource2", path, sizeof(path));
	if (!vshmi_may(path, R_OK | W_OK)) {
		grant_command(path, command, sizeof(command));
		vshmi_say(d, VSHM_FINDING_PROBLEM, "permission", command, "you may not read and write its memory, %s",
			  path);
	}
	device_path(d->found, "enable", path, sizeof(path));
	if (d->found->flags & VSHM_FOUND_MEMORY_ON)
		vshmi_say(d, VSHM_FINDING_OK, "memory", NULL, "its memory is switched on");
	else if (vshmi_may(path, W_OK))
		vshmi_say(d, VSHM_FINDING_OK, "memory", NULL,
			  "its memory is switched off, and is switched on when it is opened");
	else {
		VSHMI_TEXT(command, "echo 1 > %s", path);
		vshmi_say(d, VSHM_FINDING_PROBLEM, "memory", command,
			  "its memory is switched off: reads give ones, without an error");
	}
}

/* ---- VFIO ---- */

static void diagnose_node(struct vshmi_diagnosis *d, const char *path)
{
	char command[VSHM_COMMAND_SIZE];

	if (!vshmi_exists(path)) {
		vshmi_say(d, VSHM_FINDING_PROBLEM, "permission",
			  strcmp(path, "/dev/iommu") != 0 ? "modprobe vfio_iommu_type1" : "modprobe iommufd",
			  "there is no %s", path);
	} else if (!vshmi_may(path, R_OK | W_OK)) {
		grant_command(path, command, sizeof(command));
		vshmi_say(d, VSHM_FINDING_PROBLEM, "permission", command, "you may not open %s", path);
	}
}

/* A group is given out as a whole: drivers of the host in it are in the way. Ports and bridges are not. */
static bool in_the_way(const char *device, char *driver, size_t size)
{
	char path[160];

	VSHMI_TEXT(path, SYSFS "%s/driver", device);
	vshmi_read_link_name(path, driver, size);
	return *driver && strcmp(driver, "vfio-pci") != 0 && strcmp(driver, "pci-stub") != 0 &&
	       strcmp(driver, "pcieport") != 0;
}

static void diagnose_group(struct vshmi_diagnosis *d)
{
	char path[160], driver[64];
	const struct dirent *entry;
	DIR *list;

	device_path(d->found, "iommu_group/devices", path, sizeof(path));
	list = opendir(path);
	while (list && (entry = readdir(list)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, d->found->place) != 0 &&
		    in_the_way(entry->d_name, driver, sizeof(driver)))
			vshmi_say(
				d, VSHM_FINDING_PROBLEM, "group", NULL,
				"%s, with the driver %s, is in the same IOMMU group %d: put the ivshmem device behind a port of its "
				"own (QEMU: pcie-root-port)",
				entry->d_name, driver, (int)d->found->iommu_group);
	if (list)
		(void)closedir(list);
}

static void diagnose_vfio(struct vshmi_diagnosis *d)
{
	if (d->found->iommu_group < 0) {
		vshmi_say(d, VSHM_FINDING_PROBLEM, "iommu", NULL, "is bound to vfio-pci, but has no IOMMU group");
		return;
	}
	vshmi_say(d, VSHM_FINDING_OK, "driver", NULL, "is bound to vfio-pci, IOMMU group %d",
		  (int)d->found->iommu_group);
	diagnose_node(d, strncmp(d->found->node, "/dev/vfio/devices/", 18) != 0 ? "/dev/vfio/vfio" : "/dev/iommu");
	diagnose_node(d, d->found->node);
	diagnose_group(d);
}

/* ---- interrupts ---- */

static void no_iommu(struct vshmi_diagnosis *d)
{
	if (vshmi_exists("/sys/firmware/acpi/tables/DMAR"))
		vshmi_say(
			d, VSHM_FINDING_HINT, "iommu", NULL,
			"no interrupts: the kernel does not use the machine's IOMMU, which VFIO needs: add intel_iommu=on to the "
			"kernel's command line");
	else
		vshmi_say(
			d, VSHM_FINDING_HINT, "iommu", NULL,
			"no interrupts: VFIO needs an IOMMU. QEMU: -device intel-iommu and, for the kernel, intel_iommu=on (arm64: "
			"-M virt,iommu=smmuv3)");
}

static void bind_command(const struct vshm_found *found, char *command, size_t size)
{
	vshmi_text(command, size, "%svshmctl bind %s",
		   vshmi_exists("/sys/bus/pci/drivers/vfio-pci") ? "" : "modprobe vfio-pci && ", found->place);
}

static void wrong_driver(struct vshmi_diagnosis *d)
{
	char command[VSHM_COMMAND_SIZE], driver[VSHM_FOUND_DRIVER_SIZE + 16];

	bind_command(d->found, command, sizeof(command));
	VSHMI_TEXT(driver, d->found->driver[0] ? "with the driver %s" : "without a driver", d->found->driver);
	vshmi_say(d, VSHM_FINDING_PROBLEM, "driver", command,
		  "has %u interrupt%s, which %s reach no program: waits look again every millisecond",
		  (unsigned)d->found->vectors, d->found->vectors == 1 ? "" : "s", driver);
}

#define UNSAFE "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"

/* The line is the library's. An ivshmem device makes no accesses of its own, by which it could forge interrupts; others might. */
static void no_vfio(struct vshmi_diagnosis *d, const char *why)
{
	bool remap = strstr(why, "remap") != NULL;

	vshmi_say(d, VSHM_FINDING_PROBLEM, "interrupts", remap && vshmi_exists(UNSAFE) ? "echo 1 > " UNSAFE : NULL,
		  "%s", why);
	if (remap)
		vshmi_say(d, VSHM_FINDING_HINT, "iommu", NULL,
			  "QEMU's IOMMU can, with -M q35,kernel-irqchip=split -device intel-iommu,intremap=on; else "
			  "vfio_iommu_type1.allow_unsafe_interrupts=1 on the kernel's command line, for all devices");
}

/* What a program would do is done: nothing but that tells whether it can. */
static void try_vfio(struct vshmi_diagnosis *d)
{
	const struct vshm_found *found = d->found;
	struct vshm_doorbell *bell;
	char uri[64], why[VSHM_WHY_SIZE];
	int error;

	VSHMI_TEXT(uri, "ivshmem:%.32s?via=vfio", found->place);
	error = vshm_doorbell_open(uri, &bell, why);
	if (error && error != -EBUSY) {
		no_vfio(d, why);
		return;
	}
	if (!error || found->holders) /* else what is said of who has it says why not */
		vshmi_say(d, VSHM_FINDING_OK, "interrupts", NULL, "rings and is rung, %u interrupt%s",
			  (unsigned)found->vectors, found->vectors == 1 ? "" : "s");
	if (error)
		return;
	vshmi_say(d, VSHM_FINDING_OK, "server", NULL, "its doorbell has address %u",
		  (unsigned)vshm_doorbell_address(bell));
	(void)vshm_doorbell_close(bell);
}

static void diagnose_vfio_interrupts(struct vshmi_diagnosis *d)
{
	if (d->found->ways & VSHM_FOUND_VFIO)
		try_vfio(d);
	else
		vshmi_say(d, VSHM_FINDING_HINT, "interrupts", NULL,
			  "its interrupts reach no program until VFIO can be used: waits look again every millisecond");
}

static void diagnose_interrupts(struct vshmi_diagnosis *d)
{
	const struct vshm_found *found = d->found;

	if (found->because[0] && (found->vectors || !(found->flags & VSHM_FOUND_CONFIG)))
		no_vfio(d, found->because);
	else if (!(found->flags & VSHM_FOUND_CONFIG))
		vshmi_say(d, VSHM_FINDING_HINT, "interrupts", NULL, "whether it has interrupts, only root may see");
	else if (!found->vectors && strstr(found->uri, "?doorbell="))
		vshmi_say(d, VSHM_FINDING_OK, "interrupts", NULL, "another device has the doorbells");
	else if (!found->vectors)
		vshmi_say(
			d, VSHM_FINDING_HINT, "interrupts", NULL,
			"a plain device, without doorbells: waits look again every millisecond (QEMU: ivshmem-doorbell, with vshmctl "
			"serve)");
	else if (through_vfio(found))
		diagnose_vfio_interrupts(d);
	else if (through_uio(found) && strcmp(found->driver, "uio_pci_generic") != 0)
		vshmi_say(d, VSHM_FINDING_OK, "interrupts", NULL, "rings and is rung through UIO");
	else if (found->iommu_group < 0)
		no_iommu(d);
	else
		wrong_driver(d);
}

/* Its address at the server. A device of the first revision has -1 until it got one. UINT32_MAX as well: cannot be seen. */
static bool read_position(const struct vshm_found *found, uint32_t *position)
{
	char path[160];
	const uint32_t *registers;
	int fd;

	device_path(found, "resource0", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	registers = mmap(NULL, 256, PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (registers == MAP_FAILED)
		return false;
	*position = __atomic_load_n(&registers[POSITION / sizeof(*registers)], __ATOMIC_RELAXED);
	(void)munmap((void *)registers, 256);
	return true;
}

static void diagnose_position(struct vshmi_diagnosis *d)
{
	uint32_t position;

	if (!d->found->vectors || through_vfio(d->found) || !(d->found->flags & VSHM_FOUND_MEMORY_ON) ||
	    !read_position(d->found, &position))
		return;
	if (position <= UINT16_MAX)
		vshmi_say(d, VSHM_FINDING_OK, "server", NULL, "its doorbell has address %u", (unsigned)position);
	else
		vshmi_say(d, VSHM_FINDING_PROBLEM, "server", NULL,
			  "has no place at its server (IVPosition %d): is the server there?", (int)position);
}

/* ---- region ---- */

static void diagnose_held(struct vshmi_diagnosis *d)
{
	char who[VSHM_WHY_SIZE];

	vshmi_holders_text(d->found, who, sizeof(who));
	if (d->found->error == -EBUSY && !*who)
		vshmi_say(d, VSHM_FINDING_HINT, "held", NULL, "%s", d->found->why);
	else if (d->found->error == -EBUSY)
		vshmi_say(d, VSHM_FINDING_HINT, "held", NULL,
			  "is in use by %s: through VFIO only one process can have it", who);
	else if (*who)
		vshmi_say(d, VSHM_FINDING_OK, "held", NULL, "is in use by %s", who);
}

static void diagnose_region(struct vshmi_diagnosis *d)
{
	const struct vshm_found *found = d->found;
	char command[VSHM_COMMAND_SIZE], option[32];

	if (found->flags & VSHM_FOUND_DOORBELL && !found->peers) {
		vshmi_say(d, VSHM_FINDING_OK, "region", NULL, "is there for the doorbells of the split region %s",
			  found->name);
	} else if (!found->error && found->flags & VSHM_FOUND_SEGMENT) {
		vshmi_say(d, VSHM_FINDING_OK, "region", NULL, "holds the segment of peer %u of the split region %s",
			  (unsigned)found->peer, found->name);
	} else if (!found->error && found->peers) {
		vshmi_say(d, VSHM_FINDING_OK, "region", NULL, "holds the region %s: %u of %u peers attached",
			  found->name, (unsigned)found->live, (unsigned)found->peers);
	} else if (found->error == -EPROTO && strstr(found->why, "zero")) {
		VSHMI_TEXT(command, "vshmctl create net0 --uri %.200s --size %s", found->uri,
			   vshmi_size_option(option, sizeof(option), found->size));
		vshmi_say(d, VSHM_FINDING_PROBLEM, "format", command, "its memory is all zero: no region yet");
	} else if (found->error && found->error != -EBUSY && !d->problems) {
		vshmi_say(d, VSHM_FINDING_PROBLEM, "region", NULL, "%s", found->why);
	}
}

void vshmi_diagnose_pci(struct vshmi_diagnosis *d)
{
	if (!diagnose_bar(d))
		return;
	if (through_vfio(d->found)) {
		diagnose_vfio(d);
	} else {
		if (d->found->driver[0])
			vshmi_say(d, VSHM_FINDING_OK, "driver", NULL, "is bound to %s", d->found->driver);
		diagnose_resource(d);
	}
	diagnose_interrupts(d);
	diagnose_position(d);
	diagnose_held(d);
	diagnose_region(d);
}
