/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who has a thing open: the descriptors of all processes, as far as this user may see them (proc(5), /proc/PID/fd). Their
 * targets are compared as texts: following them could block.
 */
#include "discover/discover.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static void note_holder(struct vshm_found *found, unsigned pid)
{
	char path[64];
	struct vshm_holder *holder = &found->holder[found->holders];

	for (unsigned i = 0; i < found->holders && i < VSHM_FOUND_HOLDERS; i++)
		if (found->holder[i].pid == pid)
			return;
	if (found->holders++ >= VSHM_FOUND_HOLDERS)
		return;
	holder->pid = pid;
	VSHMI_TEXT(path, "/proc/%u/comm", pid);
	(void)vshmi_read_line(path, holder->command, sizeof(holder->command));
}

/* A device: its node, or its memory in sysfs, whose links end in the real directory. */
static bool is_of_device(const struct vshm_found *found, const char *target)
{
	size_t length = strlen(target), own = strlen(found->place);
	const char *attribute;

	if (found->node[0] && !strcmp(target, found->node))
		return true;
	if (strncmp(target, "/sys/", 5) != 0 || length < own + 10)
		return false;
	attribute = strrchr(target, '/');
	return !strncmp(attribute, "/resource", 9) && (size_t)(attribute - target) > own && attribute[-(ptrdiff_t)own - 1] == '/' &&
	       !strncmp(attribute - own, found->place, own);
}

/* A region: the file, or one in the directory. */
static bool is_of_region(const struct vshm_found *found, const char *target)
{
	char path[PATH_MAX], real[PATH_MAX];
	size_t length;

	if (vshmi_uri_path(found->uri, path, sizeof(path)) || !realpath(path, real))
		return false;
	length = strlen(real);
	return !strncmp(target, real, length) && (!target[length] || target[length] == '/');
}

static bool is_of(const struct vshm_found *found, const char *target)
{
	if (found->kind == VSHM_FOUND_REGION)
		return is_of_region(found, target);
	return found->kind != VSHM_FOUND_SERVER && is_of_device(found, target);
}

static void look_at_descriptor(struct vshmi_finds *finds, int directory, const char *name, unsigned pid)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(directory, name, target, sizeof(target) - 1);

	if (length <= 0 || target[0] != '/')
		return;
	target[length] = '\0';
	if (strncmp(target, "/dev/null", 10) == 0)
		return;
	for (size_t i = 0; i < finds->count; i++)
		if (is_of(&finds->one[i], target))
			note_holder(&finds->one[i], pid);
}

static void look_at_process(struct vshmi_finds *finds, unsigned pid)
{
	char path[64];
	DIR *list;
	const struct dirent *entry;

	VSHMI_TEXT(path, "/proc/%u/fd", pid);
	list = opendir(path);
	while (list && (entry = readdir(list)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at_descriptor(finds, dirfd(list), entry->d_name, pid);
	if (list)
		(void)closedir(list);
}

void vshmi_find_holders(struct vshmi_finds *finds)
{
	DIR *list = finds->count ? opendir("/proc") : NULL;
	const struct dirent *entry;

	while (list && (entry = readdir(list))) {
		unsigned long pid = strtoul(entry->d_name, NULL, 10);

		if (pid && pid != (unsigned long)getpid())
			look_at_process(finds, (unsigned)pid);
	}
	if (list)
		(void)closedir(list);
}
