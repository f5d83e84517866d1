/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who has a thing open or mapped: the descriptors and the shared mappings of all processes, as far as this user may see them
 * (proc(5), /proc/PID/fd and /proc/PID/maps). Paths are compared as texts: following them could block.
 */
#include "discover/discover.h"

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
	return !strncmp(attribute, "/resource", 9) && (size_t)(attribute - target) > own &&
	       attribute[-(ptrdiff_t)own - 1] == '/' && !strncmp(attribute - own, found->place, own);
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

static void look_at_target(struct vshmi_finds *finds, const char *target, unsigned pid)
{
	if (target[0] != '/' || !strcmp(target, "/dev/null"))
		return;
	for (size_t i = 0; i < finds->count; i++)
		if (is_of(&finds->one[i], target))
			note_holder(&finds->one[i], pid);
}

static void look_at_descriptors(struct vshmi_finds *finds, unsigned pid)
{
	char path[64], target[PATH_MAX];
	const struct dirent *entry;
	ssize_t length;
	DIR *list;

	VSHMI_TEXT(path, "/proc/%u/fd", pid);
	list = opendir(path);
	while (list && (entry = readdir(list))) {
		length = entry->d_name[0] == '.' ? -1
						 : readlinkat(dirfd(list), entry->d_name, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		look_at_target(finds, target, pid);
	}
	if (list)
		(void)closedir(list);
}

/* What is mapped may have no descriptor any more. A line: addresses, rights, offset, device, inode, path. */
static void look_at_mappings(struct vshmi_finds *finds, unsigned pid)
{
	char path[64], line[PATH_MAX + 128], rights[8];
	FILE *file;

	VSHMI_TEXT(path, "/proc/%u/maps", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		int at = 0;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*s %7s %*s %*s %*s %n", rights, &at) == 1 && at > 0 && strchr(rights, 's'))
			look_at_target(finds, line + at, pid);
	}
	if (file)
		(void)fclose(file);
}

void vshmi_find_holders(struct vshmi_finds *finds)
{
	DIR *list = finds->count ? opendir("/proc") : NULL;
	const struct dirent *entry;

	while (list && (entry = readdir(list))) {
		unsigned long pid = strtoul(entry->d_name, NULL, 10);

		if (!pid || pid == (unsigned long)getpid())
			continue;
		look_at_descriptors(finds, (unsigned)pid);
		look_at_mappings(finds, (unsigned)pid);
	}
	if (list)
		(void)closedir(list);
}
