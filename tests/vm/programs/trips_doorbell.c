/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The doorbell alone, without a byte of payload: one store into a register there, one interrupt as an eventfd here. What a
 * round trip of two that sleep cannot be faster than. VFIO by hand (Documentation/driver-api/vfio.rst), nothing of libvshm.
 */
#include "trips.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Registers of QEMU's docs/specs/ivshmem-spec.rst, in words; the PCI command register and its bits for memory and bus master. */
#define POSITION 2
#define DOORBELL 3
#define COMMAND 4
#define COMMAND_ON 6u

#define WAIT_MS 10000
#define MEET_MS 200
#define MEET_TRIES 100
#define QUIET_MS 500 /* in which whatever was rung too often has come */

static int device = -1, bell = -1;
static volatile uint32_t *registers;
static uint32_t other;

/* A group stays open as long as its device: nothing here is closed before the end of the program. */
static int open_device(const char *address)
{
	char path[300], target[256];
	const int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	ssize_t n;
	int group;

	(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, target, sizeof(target) - 1);
	if (container < 0 || n < 0)
		return -1;
	target[n] = '\0';
	(void)snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU))
		return -1;
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	return device < 0 ? -1 : 0;
}

static int region(unsigned index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){.argsz = sizeof(*info), .index = index};
	return ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info);
}

static int map_registers(void)
{
	struct vfio_region_info config, bar;
	uint16_t command;

	if (region(VFIO_PCI_CONFIG_REGION_INDEX, &config) || region(VFIO_PCI_BAR0_REGION_INDEX, &bar) ||
	    pread(device, &command, sizeof(command), (off_t)config.offset + COMMAND) != sizeof(command))
		return -1;
	command |= COMMAND_ON;
	if (pwrite(device, &command, sizeof(command), (off_t)config.offset + COMMAND) != sizeof(command))
		return -1;
	registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	return registers == MAP_FAILED ? -1 : 0;
}

static int listen_for_interrupts(void)
{
	_Alignas(struct vfio_irq_set) unsigned char room[sizeof(struct vfio_irq_set) + sizeof(int32_t)] = {0};
	struct vfio_irq_set *set = (struct vfio_irq_set *)room;
	const int32_t fd = bell = eventfd(0, EFD_CLOEXEC);

	set->argsz = sizeof(room);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = VFIO_PCI_MSIX_IRQ_INDEX;
	set->count = 1;
	memcpy(set->data, &fd, sizeof(fd));
	return fd < 0 || ioctl(device, VFIO_DEVICE_SET_IRQS, set) ? -1 : 0;
}

int doorbell_position(const char *address)
{
	return open_device(address) || map_registers() ? trips_say(address, errno) : (int)registers[POSITION];
}

static int open_doorbell(const char *const arguments[], size_t size, bool asks)
{
	(void)size;
	(void)asks;
	if (doorbell_position(arguments[0]) < 0)
		return -1;
	other = arguments[1] ? (uint32_t)strtoul(arguments[1], NULL, 10) : 0;
	return listen_for_interrupts() ? trips_say("eventfd", errno) : 0;
}

static int put(size_t size, uint64_t counter)
{
	(void)size;
	(void)counter;
	registers[DOORBELL] = other << 16;
	return 0;
}

static int get(size_t size, uint64_t counter)
{
	uint64_t rung;

	(void)size;
	(void)counter;
	if (read(bell, &rung, sizeof(rung)) != sizeof(rung))
		return trips_say("read", errno);
	return rung == 1 ? 0 : trips_say("it was rung more than once", 0);
}

static bool rings_within(int ms)
{
	struct pollfd wait = {.fd = bell, .events = POLLIN};
	uint64_t rung;

	return poll(&wait, 1, ms) == 1 && read(bell, &rung, sizeof(rung)) == sizeof(rung);
}

/* As whoever cannot wait for ever has to. */
static int get_in_time(size_t size, uint64_t counter)
{
	(void)size;
	(void)counter;
	return rings_within(WAIT_MS) ? 0 : trips_say("it does not ring", 0);
}

/*
 * Whoever listens late misses what was rung before: the asking side rings until it is answered. Then both wait until it is quiet,
 * the answering side for less long, so that it is there when the first trip comes.
 */
static int meet(bool asks)
{
	bool met = false;

	for (int i = 0; i < MEET_TRIES && !met; i++) {
		if (asks)
			(void)put(0, 0);
		met = rings_within(MEET_MS);
	}
	if (!met)
		return trips_say("nobody rings", 0);
	if (!asks)
		(void)put(0, 0);
	while (rings_within(asks ? QUIET_MS : MEET_MS))
		if (!asks)
			(void)put(0, 0);
	return 0;
}

static int finish(void)
{
	return 0;
}

const struct way way_doorbell = {"doorbell", "ADDRESS POSITION-OF-THE-OTHER", open_doorbell, put, get, meet, finish};
const struct way way_doorbell_poll = {"doorbell-poll", "as doorbell", open_doorbell, put, get_in_time, meet, finish};
