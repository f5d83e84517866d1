/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl libvirt-xml: what to add to a domain of libvirt, so that a guest has a region. */
#include "command.h"
#include "machine.h"
#include "say.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_escaped(const char *text)
{
	for (; *text; text++) {
		const char *as = *text == '<' ? "&lt;" : *text == '&' ? "&amp;" : *text == '\'' ? "&apos;" : NULL;
		if (as)
			(void)fputs(as, stdout);
		else
			(void)putchar(*text);
	}
}

/* libvirt names a plain device's memory and finds it under /dev/shm (libvirt formatdomain, "Shared memory device"). */
static const char *name_in_shm(const char *path)
{
	static const char directory[] = "/dev/shm/";
	const char *name = path + sizeof(directory) - 1;
	return !strncmp(path, directory, sizeof(directory) - 1) && *name && !strchr(name, '/') ? name : NULL;
}

static void put_plain(const struct machine_memory *memory)
{
	(void)fputs("<shmem name='", stdout);
	put_escaped(name_in_shm(memory->path));
	(void)printf("' role='peer'>\n  <model type='ivshmem-plain'/>\n  <size unit='B'>%" PRIu64 "</size>\n</shmem>\n",
		     memory->size);
}

static void put_doorbell(const struct machine *machine)
{
	(void)printf("<shmem name='%s' role='peer'>\n  <model type='ivshmem-doorbell'/>\n  <server path='", machine->name);
	put_escaped(machine->socket);
	(void)printf("'/>\n  <msi vectors='%u' ioeventfd='on'/>\n</shmem>\n", machine->vectors);
}

/* What libvirt has no words for is handed to QEMU as it is. */
static void put_arguments(const struct machine_memory *memory)
{
	(void)printf("  <qemu:arg value='-object'/>\n  <qemu:arg value='memory-backend-file,id=%s,mem-path=", memory->id);
	put_escaped(memory->path);
	(void)printf(",size=%" PRIu64 ",share=on%s'/>\n  <qemu:arg value='-device'/>\n"
		     "  <qemu:arg value='ivshmem-plain,memdev=%s'/>\n",
		     memory->size, memory->readonly ? ",readonly=on" : "", memory->id);
}

/* One element alone is what virsh attach-device takes; of two each needs to be told where it goes. */
static void put_all(const struct machine *machine)
{
	bool split = machine->count > 1;
	if (machine->socket && split)
		(void)puts("<!-- into <devices>: -->");
	if (machine->socket)
		put_doorbell(machine);
	if (machine->socket && !split)
		return;
	if (!split && name_in_shm(machine->memory[0].path)) {
		put_plain(&machine->memory[0]);
		return;
	}
	(void)puts("<!-- into <domain>, which needs xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0': -->\n<qemu:commandline>");
	for (size_t i = 0; i < machine->count; i++)
		put_arguments(&machine->memory[i]);
	(void)puts("</qemu:commandline>");
}

static int run(int argc, char **argv)
{
	struct machine machine;
	int code = machine_read(argc, argv, &machine);
	if (!code)
		put_all(&machine);
	return code;
}

const struct command command_libvirt_xml = {
	.name = "libvirt-xml",
	.arguments = "NAME|URI [--socket PATH [--vectors N]] [--peer N]",
	.summary = "Print the XML with which libvirt gives a region to a guest",
	.help = "  --socket PATH   with doorbells, by the ivshmem server that listens there\n"
		"  --vectors N     interrupts of the device, 1 to 64; default: 1, which is all that libvshm uses\n"
		"  --peer N        split regions: which peer the guest is; it can write only that one's file\n"
		"\n"
		"A <shmem> element goes into <devices>; virsh attach-device takes it, too. For a region that is not one file in\n"
		"/dev/shm, such as a split one, libvirt has no element: <qemu:commandline> goes into <domain>, by virsh edit.\n"
		"Where AppArmor or SELinux confine machines, the file has to be allowed there, too.\n",
	.run = run,
};
