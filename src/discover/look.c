/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in the memory of a thing: opened as an observer, who takes no slot and disturbs nobody. */
#include "discover/discover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vshm/error.h>
#include <vshm/layout.h>
#include <vshm/region.h>

static int count_live(struct vshm_region *region, struct vshm_found *found)
{
	for (vshm_peer peer = 0; peer < found->peers; peer++) {
		struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
		int error = vshm_region_peer(region, peer, &info);

		if (error)
			return error;
		found->live += info.state == VSHM_PEER_LIVE || info.state == VSHM_PEER_SUSPECT;
	}
	return 0;
}

static int note(struct vshm_region *region, struct vshm_found *found)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	int error = vshm_region_info(region, &info);

	if (error)
		return error;
	if (!found->name[0])
		VSHMI_TEXT(found->name, "%s", info.name);
	memcpy(found->uuid, info.uuid, sizeof(found->uuid));
	found->profile = info.profile;
	found->peers = info.peers;
	found->size = info.size;
	found->live = 0;
	return count_live(region, found);
}

int vshmi_look_into(struct vshm_found *found, const char *uri, uint32_t flags, struct vshm_region **keep)
{
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE] = "";
	int error;

	options.flags = VSHM_OPEN_OBSERVE | (flags & VSHM_DISCOVER_GUARD ? VSHM_OPEN_GUARD : 0);
	error = vshm_region_open(uri, &options, &region, why);
	if (!error) {
		error = note(region, found);
		if (keep && !error)
			*keep = region;
		else
			(void)vshm_region_close(region);
	}
	found->error = error;
	VSHMI_TEXT(found->why, "%s", error && !why[0] ? vshm_strerror(error) : why);
	return error;
}

/* A split region cannot be read where one of its segments cannot: `facts` are then of that. */
static bool closed_segment(const char *path, struct stat *facts)
{
	DIR *list = opendir(path);
	const struct dirent *entry;
	bool closed = false;

	if (!list)
		return errno == EACCES;
	for (unsigned looked = 0; !closed && looked < 2 * VSHM_MAX_PEERS && (entry = readdir(list)); looked++)
		closed = entry->d_name[0] != '.' && faccessat(dirfd(list), entry->d_name, R_OK, AT_EACCESS) &&
			 errno == EACCES && !fstatat(dirfd(list), entry->d_name, facts, AT_SYMLINK_NOFOLLOW);
	(void)closedir(list);
	return closed;
}

/* Of a file that this user may not read: whose it is says more than that opening it failed. */
static void explain_unreadable(struct vshm_found *found)
{
	char path[PATH_MAX];
	struct stat facts;
	const struct passwd *user;

	if (vshmi_uri_path(found->uri, path, sizeof(path)) || stat(path, &facts))
		return;
	if (S_ISDIR(facts.st_mode) ? !closed_segment(path, &facts) : vshmi_may(path, R_OK) || errno != EACCES)
		return;
	found->flags |= VSHM_FOUND_UNREADABLE;
	user = getpwuid(facts.st_uid);
	if (user)
		VSHMI_TEXT(found->why, "not readable (owner %s)", user->pw_name);
	else
		VSHMI_TEXT(found->why, "not readable (owner %u)", (unsigned)facts.st_uid);
}

/* Did VFIO give out the device, whatever lies in its memory? Others than these do not come from below. */
static bool vfio_opened(int error)
{
	return error != -EACCES && error != -EOPNOTSUPP && error != -EIO;
}

/*
 * Rights to the nodes do not make an IOMMU fit for VFIO: only opening it tells. The library would go on by sysfs and be silent.
 * False: that is still to be looked at.
 */
static bool look_by_vfio(struct vshm_found *found, uint32_t flags)
{
	char uri[64];

	if (found->kind != VSHM_FOUND_IVSHMEM || !(found->ways & VSHM_FOUND_VFIO))
		return false;
	VSHMI_TEXT(uri, "ivshmem:%.32s?via=vfio", found->place);
	if (vfio_opened(vshmi_look_into(found, uri, flags, NULL)))
		return true;
	found->ways &= ~VSHM_FOUND_VFIO;
	VSHMI_TEXT(found->because, "%s", found->why);
	return false;
}

void vshmi_look(struct vshm_found *found, uint32_t flags)
{
	char named[VSHM_NAME_SIZE + 8];

	if (found->error || !found->uri[0] || found->kind == VSHM_FOUND_SERVER)
		return; /* a server would give out an id */
	VSHMI_TEXT(named, "vshm:%s", found->name);
	if (!look_by_vfio(found, flags))
		(void)vshmi_look_into(
			found,
			found->kind == VSHM_FOUND_REGION && found->flags & VSHM_FOUND_REGISTERED ? named : found->uri,
			flags, NULL);
	if (found->error == -EACCES && found->kind == VSHM_FOUND_REGION)
		explain_unreadable(found);
	if (found->kind == VSHM_FOUND_IVSHMEM && (found->error == -EPROTO || found->profile == VSHM_SPLIT))
		vshmi_look_at_segment(found, flags);
}
