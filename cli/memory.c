/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for a server. A file is opened, and looked at only to know whether it is a region. A memfd is formatted by making
 * the region as a file first, whose name goes at once, and copying that: regions are made by name only.
 */
#include "memory.h"

#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vshm/error.h>
#include <vshm/layout.h>
#include <vshm/region.h>

#define PIECE 65536u
#define STAND_IN 4096u

static int failed(const struct plan *plan, int fd, const char *doing)
{
	(void)say_failed("%s: %s: %s", plan->name, doing, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* One that nobody can cut under those who have mapped it. */
static int seal(const struct plan *plan, int fd)
{
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return failed(plan, fd, "cannot seal the memory");
	return fd;
}

static int make_memfd(const struct plan *plan, uint64_t size)
{
	int fd = memfd_create(plan->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return failed(plan, fd, "cannot make the memory");
	int error = posix_fallocate(fd, 0, (off_t)size);
	errno = error;
	return error ? failed(plan, fd, "cannot allocate the memory") : fd;
}

/* A new file is almost all zero, and so is the memfd. */
static bool copy_piece(int from, int to, off_t at, size_t size)
{
	static const char zeros[PIECE];
	char piece[PIECE];
	if (pread(from, piece, size, at) != (ssize_t)size)
		return false;
	return !memcmp(piece, zeros, size) || pwrite(to, piece, size, at) == (ssize_t)size;
}

static int copy_to_memfd(const struct plan *plan, int file, uint64_t *size)
{
	struct stat facts;
	if (fstat(file, &facts))
		return failed(plan, -1, "cannot look at the new region");
	*size = (uint64_t)facts.st_size;
	int fd = make_memfd(plan, *size);
	for (off_t at = 0; fd >= 0 && at < facts.st_size; at += PIECE) {
		size_t left = (size_t)(facts.st_size - at);
		if (!copy_piece(file, fd, at, left < PIECE ? left : PIECE))
			return failed(plan, fd, "cannot format the memory");
	}
	return fd < 0 ? fd : seal(plan, fd);
}

static int format_memfd(const struct plan *plan, uint64_t *size)
{
	struct vshm_create_options options = VSHM_CREATE_OPTIONS_INIT;
	char directory[] = "/dev/shm/vshm-serve-XXXXXX", uri[64], why[VSHM_WHY_SIZE] = "";
	if (!mkdtemp(directory))
		return failed(plan, -1, "cannot write to /dev/shm");
	(void)snprintf(uri, sizeof(uri), "file:%s/region", directory);
	options.name = plan->name;
	options.size = plan->size;
	options.peers = plan->peers;
	int rc = vshm_region_create(uri, &options, why);
	int file = rc ? -1 : open(uri + 5, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	(void)unlink(uri + 5);
	(void)rmdir(directory);
	if (rc)
		(void)say_failed("%s: %s", plan->name, *why ? why : vshm_strerror(rc));
	if (file < 0)
		return rc ? -1 : failed(plan, -1, "cannot make the memory");
	int fd = copy_to_memfd(plan, file, size);
	close(file);
	return fd;
}

/* Of root, of this user, or of the owner that the plan names; one file under one name. */
static bool is_trusted(const struct plan *plan, const struct stat *facts)
{
	bool owner = facts->st_uid == 0 || facts->st_uid == geteuid() || facts->st_uid == plan->owner.uid;
	return owner && facts->st_nlink == 1;
}

static int open_file(const struct plan *plan, uint64_t *size)
{
	struct stat facts;
	int fd = open(plan->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &facts)) {
		bool missing = errno == ENOENT;
		(void)say_failed("%s: %s: %s%s%s", plan->name, plan->path, strerror(errno),
				 missing ? ": make it first, with vshmctl create " : "", missing ? plan->name : "");
	} else if (!S_ISREG(facts.st_mode) || facts.st_size <= 0) {
		(void)say_failed("%s: %s is no file with a region", plan->name, plan->path);
	} else if (!is_trusted(plan, &facts)) {
		(void)say_failed("%s: %s belongs to user %u, or has other names: name the owner with owner=",
				 plan->name, plan->path, (unsigned)facts.st_uid);
	} else {
		*size = (uint64_t)facts.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* A split region is a directory of files, which the machines have themselves. */
static bool is_split(const char *path)
{
	struct stat facts;
	char file[PATH_MAX + 16];
	(void)snprintf(file, sizeof(file), "%s/peer-0", path);
	return !lstat(path, &facts) && S_ISDIR(facts.st_mode) && !lstat(file, &facts) && S_ISREG(facts.st_mode);
}

int memory_open(const struct plan *plan, uint64_t *size)
{
	if (plan->memfd)
		return format_memfd(plan, size);
	if (!plan->split && !is_split(plan->path))
		return open_file(plan, size);
	*size = STAND_IN;
	int fd = make_memfd(plan, *size);
	return fd < 0 ? fd : seal(plan, fd);
}

/* By its superblock, which whoever has had the file could have written: nothing is done with it but this. */
uint64_t memory_pages(int fd, uint64_t size)
{
	struct vshm_superblock superblock;
	if (pread(fd, &superblock, sizeof(superblock), 0) != (ssize_t)sizeof(superblock))
		return 0;
	bool flat = superblock.magic == VSHM_MAGIC && superblock.layout_version == VSHM_LAYOUT_VERSION &&
		    superblock.profile == VSHM_FLAT;
	return flat && superblock.layout_page >= VSHM_MIN_PAGE && size > superblock.layout_page ? VSHM_SERVER_OFFSET : 0;
}
