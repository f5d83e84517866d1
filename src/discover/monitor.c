/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who comes and goes. An event only says that it is time to look again: the differences between two looks are what is told,
 * so that no event can be missed or misunderstood.
 */
#include "discover/discover.h"

#include <errno.h>
#include <libudev.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCHED (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_CLOSE_WRITE | IN_ONLYDIR)

struct vshm_monitor {
	struct vshm_discover_options options;
	struct vshmi_finds last;
	struct udev *udev;
	struct udev_monitor *devices;
	int files; /* inotify */
	int either; /* epoll: what the caller polls */
};

/* ---- sources ---- */

/* Without udevd nobody sends its events, but the kernel sends its own. */
static const char *source(void)
{
	return vshmi_exists("/run/udev/control") ? "udev" : "kernel";
}

static int open_devices(struct vshm_monitor *monitor)
{
	static const char *const subsystems[] = {"pci", "uio", "vfio", "dax"};

	monitor->udev = udev_new();
	monitor->devices = monitor->udev ? udev_monitor_new_from_netlink(monitor->udev, source()) : NULL;
	if (!monitor->devices)
		return -EIO;
	for (size_t i = 0; i < sizeof(subsystems) / sizeof(subsystems[0]); i++)
		if (udev_monitor_filter_add_match_subsystem_devtype(monitor->devices, subsystems[i], NULL) < 0)
			return -ENOMEM;
	return udev_monitor_enable_receiving(monitor->devices) < 0 ? -EIO : 0;
}

static void watch_hugetlbfs(void *arg, const char *place)
{
	const struct vshm_monitor *monitor = arg;

	(void)inotify_add_watch(monitor->files, place, WATCHED);
}

/* A watch that is there already stays as it is. Where the run directory is missing, its parent tells when it comes. */
static void watch_files(struct vshm_monitor *monitor)
{
	char parent[PATH_MAX];
	char *slash;

	(void)inotify_add_watch(monitor->files, "/dev/shm", WATCHED);
	vshmi_each_hugetlbfs(watch_hugetlbfs, monitor);
	if (inotify_add_watch(monitor->files, vshmi_run_directory(), WATCHED) >= 0)
		return;
	VSHMI_TEXT(parent, "%s", vshmi_run_directory());
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return;
	*slash = '\0';
	(void)inotify_add_watch(monitor->files, parent, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
}

static int poll_both(struct vshm_monitor *monitor)
{
	const int sources[] = {monitor->files, udev_monitor_get_fd(monitor->devices)};

	monitor->either = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < 2 && monitor->either >= 0; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		if (epoll_ctl(monitor->either, EPOLL_CTL_ADD, sources[i], &event))
			return -ENOMEM;
	}
	return monitor->either < 0 ? -ENOMEM : 0;
}

static int open_sources(struct vshm_monitor *monitor)
{
	int error = open_devices(monitor);

	if (error)
		return error;
	monitor->files = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (monitor->files < 0)
		return -ENOMEM;
	watch_files(monitor);
	return poll_both(monitor);
}

int vshm_monitor_open(const struct vshm_discover_options *given, struct vshm_monitor **out, char *why)
{
	struct vshm_discover_options options;
	struct vshm_monitor *monitor;
	int error = out ? vshmi_discover_options(given, &options) : -EINVAL;

	if (error)
		return error;
	monitor = vshmi_discover_alloc(sizeof(*monitor));
	if (!monitor)
		return -ENOMEM;
	monitor->options = options;
	monitor->files = monitor->either = -1;
	error = open_sources(monitor);
	if (!error) {
		*out = monitor;
		return 0;
	}
	if (why)
		vshmi_text(why, VSHM_WHY_SIZE, "%s",
			   error == -EIO ? "the kernel gives no events of devices (netlink)"
					 : "no memory, or too many descriptors or inotify instances");
	(void)vshm_monitor_close(monitor);
	return error;
}

int vshm_monitor_fd(const struct vshm_monitor *monitor)
{
	return monitor ? monitor->either : -EINVAL;
}

int vshm_monitor_close(struct vshm_monitor *monitor)
{
	if (!monitor)
		return -EINVAL;
	udev_monitor_unref(monitor->devices);
	udev_unref(monitor->udev);
	if (monitor->files >= 0)
		(void)close(monitor->files);
	if (monitor->either >= 0)
		(void)close(monitor->either);
	vshmi_finds_free(&monitor->last);
	vshmi_discover_free(monitor);
	return 0;
}

/* ---- differences ---- */

/* Everything that was said so far is one reason to look. The device of an event is not looked at: the next look finds it. */
static void drain(struct vshm_monitor *monitor)
{
	char events[4096];
	struct udev_device *device;

	while (read(monitor->files, events, sizeof(events)) > 0)
		;
	while ((device = udev_monitor_receive_device(monitor->devices)))
		(void)udev_device_unref(device);
	watch_files(monitor); /* a directory that came meanwhile */
}

/* Peers come and go without being a change; and looking into a device switches its memory on. */
static bool differ(const struct vshm_found *a, const struct vshm_found *b)
{
	return ((a->flags ^ b->flags) & ~VSHM_FOUND_MEMORY_ON) || a->ways != b->ways || a->error != b->error ||
	       a->size != b->size || strcmp(a->uri, b->uri) != 0 || strcmp(a->name, b->name) != 0 ||
	       strcmp(a->driver, b->driver) != 0 || strcmp(a->node, b->node) != 0 ||
	       memcmp(a->uuid, b->uuid, sizeof(a->uuid)) != 0;
}

static int tell(const struct vshmi_finds *before, const struct vshmi_finds *now, vshm_change_fn changed, void *arg)
{
	int changes = 0;

	for (size_t i = 0; i < before->count; i++) {
		if (vshmi_same_place(now, &before->one[i]))
			continue;
		changed(arg, VSHM_FOUND_REMOVED, &before->one[i]);
		changes++;
	}
	for (size_t i = 0; i < now->count; i++) {
		const struct vshm_found *old = vshmi_same_place(before, &now->one[i]);

		if (old && !differ(old, &now->one[i]))
			continue;
		changed(arg, old ? VSHM_FOUND_CHANGED : VSHM_FOUND_ADDED, &now->one[i]);
		changes++;
	}
	return changes;
}

int vshm_monitor_dispatch(struct vshm_monitor *monitor, vshm_change_fn changed, void *arg)
{
	struct vshmi_finds now = {0};
	int result;

	if (!monitor || !changed)
		return -EINVAL;
	drain(monitor);
	result = vshmi_discover(&monitor->options, &monitor->last, &now);
	if (result) {
		vshmi_finds_free(&now);
		return result;
	}
	result = tell(&monitor->last, &now, changed, arg);
	vshmi_finds_free(&monitor->last);
	monitor->last = now;
	return result;
}
