/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vshmctl bind, unbind: which driver has an ivshmem device. driver_override makes one driver the only one that may have it
 * (kernel Documentation/ABI/testing/sysfs-bus-pci), so no other device of that kind is touched.
 */
#include "command.h"
#include "find.h"
#include "say.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices/"
#define DRIVERS "/sys/bus/pci/drivers/"
#define DRIVER_SIZE 64

struct device {
	char address[24]; /* "0000:00:05.0" */
	char driver[DRIVER_SIZE];
	bool force;
};

/* ---- sysfs ---- */

/* 0, or an errno value. */
static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = write(fd, text, strlen(text)) < 0 ? errno : 0;
	(void)close(fd);
	return error;
}

static int put_attribute(const struct device *device, const char *attribute, const char *text)
{
	char path[128];
	(void)snprintf(path, sizeof(path), DEVICES "%s/%s", device->address, attribute);
	return put(path, text);
}

/* The last part of a link of the device; empty: there is none. */
static void read_link(const struct device *device, const char *link, char *out, size_t size)
{
	char path[128], target[PATH_MAX];
	(void)snprintf(path, sizeof(path), DEVICES "%s/%s", device->address, link);
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = 0;
	const char *slash = strrchr(target, '/');
	(void)snprintf(out, size, "%.*s", (int)size - 1, slash ? slash + 1 : target);
}

static unsigned read_id(const struct device *device, const char *attribute)
{
	char path[128];
	unsigned id = 0;
	(void)snprintf(path, sizeof(path), DEVICES "%s/%s", device->address, attribute);
	FILE *file = fopen(path, "re");
	if (file && fscanf(file, "%x", &id) != 1)
		id = 0;
	if (file)
		(void)fclose(file);
	return id;
}

static int not_written(const struct device *device, const char *doing, int error)
{
	return say_failed("cannot %s %s: %s%s", doing, device->address, strerror(error),
			  error == EACCES || error == EPERM ? ": run it as root" : "");
}

/* ---- which device, and may we ---- */

/* Does the text look like this, in which h stands for a hexadecimal digit and o for one of a function? */
static bool looks_like(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++) {
		if (*pattern == 'h'   ? !isxdigit((unsigned char)*text)
		    : *pattern == 'o' ? *text < '0' || *text > '7'
				      : *text != *pattern)
			return false;
	}
	return !*text;
}

/* As lspci says it, with or without domain, or as a URI; in the kernel's spelling. */
static bool read_address(const char *text, char address[24])
{
	if (!strncmp(text, "ivshmem:", 8))
		text += 8;
	if (!looks_like(text, "hhhh:hh:hh.o") && !looks_like(text, "hh:hh.o"))
		return false;
	(void)snprintf(address, 24, "%s%.12s", strlen(text) == 7 ? "0000:" : "", text);
	for (char *c = address; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return true;
}

static int check_kind(const struct device *device)
{
	unsigned vendor = read_id(device, "vendor"), id = read_id(device, "device");
	bool ours = (vendor == 0x1af4 && id == 0x1110) || (vendor == 0x110a && id == 0x4106);
	if (!vendor)
		return say_failed("there is no PCI device %s here: vshmctl list shows the ivshmem devices",
				  device->address);
	if (!ours && !device->force)
		return say_failed("%s is %04x:%04x, and no ivshmem device: --force takes it all the same",
				  device->address, vendor, id);
	return CTL_OK;
}

static int check_users(const struct device *device)
{
	struct vshm_discover_options options = VSHM_DISCOVER_OPTIONS_INIT;
	struct found_regions found = {0};
	int code = CTL_OK;
	options.flags = VSHM_DISCOVER_SHALLOW | VSHM_DISCOVER_HOLDERS;
	options.kinds = 1u << VSHM_FOUND_IVSHMEM | 1u << VSHM_FOUND_IVSHMEM2;
	(void)find_things(&found, &options);
	for (size_t i = 0; i < found.count && !code && !device->force; i++) {
		const struct vshm_found *one = &found.one[i];
		if (!strcmp(one->place, device->address) && one->holders)
			code = say_failed("%s is in use by %.15s (process %u): end that first; --force takes it away",
					  device->address, one->holder[0].command, (unsigned)one->holder[0].pid);
	}
	find_free(&found);
	return code;
}

static int read_arguments(int argc, char **argv, struct device *device, int most)
{
	static const struct option options[] = {{"force", no_argument, NULL, 'f'}, COMMAND_OPTIONS_END};
	static const char *const names[] = {"ADDRESS", "DRIVER", NULL};
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		device->force = true;
	}
	if (!command_arguments(argc, argv, 1, most, names))
		return CTL_USAGE;
	if (!read_address(argv[optind], device->address))
		return say_usage("'%s' is no PCI address: write it as lspci -D does, such as 0000:00:05.0",
				 argv[optind]);
	int code = check_kind(device);
	read_link(device, "driver", device->driver, sizeof(device->driver));
	return code;
}

/* ---- unbind ---- */

static int take_away(const struct device *device)
{
	char path[PATH_MAX];
	if (!device->driver[0])
		return CTL_OK;
	(void)snprintf(path, sizeof(path), DRIVERS "%s/unbind", device->driver);
	int error = put(path, device->address);
	return error ? not_written(device, "unbind", error) : CTL_OK;
}

static int run_unbind(int argc, char **argv)
{
	struct device device = {0};
	char driver[DRIVER_SIZE];
	int code = read_arguments(argc, argv, &device, 1);
	if (!code)
		code = check_users(&device);
	if (code)
		return code;
	int error = put_attribute(&device, "driver_override", "\n");
	if (error)
		return not_written(&device, "free the driver of", error);
	code = take_away(&device);
	if (code)
		return code;
	read_link(&device, "driver", driver, sizeof(driver));
	if (driver[0])
		return say_failed("%s still has the driver %s", device.address, driver);
	(void)printf("%s has no driver%s%s\n", device.address, device.driver[0] ? " any more: was " : ", and had none",
		     device.driver);
	return CTL_OK;
}

/* ---- bind ---- */

static int check_driver(const struct device *device, const char *driver)
{
	char path[PATH_MAX], group[32];
	struct stat facts;
	if (strchr(driver, '/') || *driver == '.')
		return say_usage("'%s' is no name of a driver", driver);
	(void)snprintf(path, sizeof(path), DRIVERS "%s", driver);
	if (stat(path, &facts))
		return say_failed("the kernel has no driver %s: modprobe %s", driver, driver);
	read_link(device, "iommu_group", group, sizeof(group));
	if (strcmp(driver, "vfio-pci") != 0 || group[0])
		return CTL_OK;
	(void)say_failed(
		"%s has no IOMMU group, without which vfio-pci does not take it: vshmctl doctor %s says how to get one",
		device->address, device->address);
	return CTL_IMPOSSIBLE;
}

static void tell_bound(const struct device *device, const char *driver, const char *already)
{
	char group[32];
	read_link(device, "iommu_group", group, sizeof(group));
	(void)printf("%s is %sbound to %s", device->address, already, driver);
	if (!strcmp(driver, "vfio-pci"))
		(void)printf(": /dev/vfio/%s", group);
	(void)puts("");
}

/* Makes `driver` the only one that may have it, and has the kernel look for one. */
static int give_to(const struct device *device, const char *driver)
{
	char now[DRIVER_SIZE];
	int error = put_attribute(device, "driver_override", driver);
	if (error)
		return not_written(device, "choose the driver of", error);
	int code = take_away(device);
	if (code)
		return code;
	error = put("/sys/bus/pci/drivers_probe", device->address);
	read_link(device, "driver", now, sizeof(now));
	if (!strcmp(now, driver))
		return CTL_OK;
	(void)put_attribute(device, "driver_override", "\n");
	return say_failed("%s does not take %s%s%s: dmesg may say why", driver, device->address, error ? ": " : "",
			  error ? strerror(error) : "");
}

static int run_bind(int argc, char **argv)
{
	struct device device = {0};
	int code = read_arguments(argc, argv, &device, 2);
	if (code)
		return code;
	const char *driver = optind + 1 < argc ? argv[optind + 1] : "vfio-pci";
	bool bound = !strcmp(device.driver, driver);
	if (!bound)
		code = check_driver(&device, driver);
	if (!code && !bound)
		code = check_users(&device);
	if (!code && !bound)
		code = give_to(&device, driver);
	if (!code)
		tell_bound(&device, driver, bound ? "already " : "");
	return code;
}

const struct command command_bind = {
	.name = "bind",
	.arguments = "ADDRESS [DRIVER] [--force]",
	.summary = "Give an ivshmem device of this machine to a driver: vfio-pci",
	.help = "  --force   also what is no ivshmem device, or is in use\n"
		"\n"
		"ADDRESS is that of the PCI device, such as 0000:00:05.0 or 00:05.0. DRIVER is vfio-pci if none is named: with it\n"
		"programs are woken by interrupts. Takes the device from the driver that it has. Until the next boot, or vshmctl\n"
		"unbind. Needs root.\n",
	.run = run_bind,
};

const struct command command_unbind = {
	.name = "unbind",
	.arguments = "ADDRESS [--force]",
	.summary = "Take an ivshmem device from its driver",
	.help = "  --force   also what is no ivshmem device, or is in use\n"
		"\n"
		"Without a driver, programs map the device through sysfs, and several can at a time. Undoes vshmctl bind. Needs root.\n",
	.run = run_unbind,
};
