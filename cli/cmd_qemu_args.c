/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl qemu-args: what to add to the command line of QEMU, so that a guest has a region. */
#include "command.h"
#include "machine.h"
#include "say.h"

#include <inttypes.h>
#include <stdio.h>

/* In a value of QEMU's options a comma is written twice; for the shell, everything stands in quotes. */
static void put_value(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			(void)fputs("'\\''", stdout);
		else if (*text == ',')
			(void)fputs(",,", stdout);
		else
			(void)putchar(*text);
	}
}

static void put_memory(const struct machine_memory *memory)
{
	(void)printf("-object 'memory-backend-file,id=%s,mem-path=", memory->id);
	put_value(memory->path);
	(void)printf(",size=%" PRIu64 ",share=on%s'\n-device ivshmem-plain,memdev=%s\n", memory->size,
		     memory->readonly ? ",readonly=on" : "", memory->id);
}

/* The server passes the memory, of a flat region; of a split one only the doorbells are wanted. */
static void put_doorbell(const struct machine *machine)
{
	(void)printf("-chardev 'socket,id=%s-bell,path=", machine->memory[0].id);
	put_value(machine->socket);
	(void)printf("'\n-device ivshmem-doorbell,chardev=%s-bell,vectors=%u\n", machine->memory[0].id, machine->vectors);
}

static int run(int argc, char **argv)
{
	struct machine machine;
	int code = machine_read(argc, argv, &machine);
	if (code)
		return code;
	for (size_t i = 0; i < machine.count && (!machine.socket || machine.count > 1); i++)
		put_memory(&machine.memory[i]);
	if (machine.socket)
		put_doorbell(&machine);
	return CTL_OK;
}

const struct command command_qemu_args = {
	.name = "qemu-args",
	.arguments = "NAME|URI [--socket PATH [--vectors N]] [--peer N]",
	.summary = "Print the options with which QEMU gives a region to a guest",
	.help = "  --socket PATH   with doorbells, by the ivshmem server that listens there\n"
		"  --vectors N     interrupts of the device, 1 to 64; default: 1, which is all that libvshm uses\n"
		"  --peer N        split regions: which peer the guest is; it can write only that one's file\n"
		"\n"
		"The options are written for a shell, one line each:\n"
		"\n"
		"  eval qemu-system-x86_64 ... $(vshmctl qemu-args net0)\n"
		"\n"
		"In the guest the region is ivshmem:ADDRESS; vshmctl list there, or lspci -D -d 1af4:1110, shows the address.\n"
		"Interrupts need an IOMMU in the guest: -M q35,kernel-irqchip=split -device intel-iommu,intremap=on, and\n"
		"intel_iommu=on for its kernel; for arm64 -M virt,gic-version=3,iommu=smmuv3.\n",
	.run = run,
};
