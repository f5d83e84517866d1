/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is at the other end of a connection, as the kernel noted it at connect(2) (unix(7), SO_PEERCRED and SO_PEERGROUPS), and
 * whether it may come in. Decided before any descriptor leaves.
 */
#include "server/server.h"

#include "os/os.h"

#include <sys/socket.h>

/* Most processes are in fewer; for more, memory is taken. */
#define FEW_GROUPS 64

int vshmi_access_init(struct vshmi_access *access, const struct vshm_server_options *options)
{
	size_t users = options->allow_uid_count, groups = options->allow_gid_count;

	*access = (struct vshmi_access){NULL, users, groups};
	if (users > VSHM_SERVER_ACCESS_MAX || groups > VSHM_SERVER_ACCESS_MAX)
		return -EINVAL;
	if ((users && !options->allow_uids) || (groups && !options->allow_gids))
		return -EINVAL;
	if (!users && !groups)
		return 0;
	access->ids = vshmi_alloc((users + groups) * sizeof(uint32_t));
	if (!access->ids)
		return -ENOMEM;
	if (users)
		memcpy(access->ids, options->allow_uids, users * sizeof(uint32_t));
	if (groups)
		memcpy(access->ids + users, options->allow_gids, groups * sizeof(uint32_t));
	return 0;
}

void vshmi_access_fini(struct vshmi_access *access)
{
	vshmi_free(access->ids);
	access->ids = NULL;
}

int vshmi_access_caller(int fd, struct vshmi_caller *caller)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || size != sizeof(peer))
		return -EIO;
	*caller = (struct vshmi_caller){peer.uid, peer.gid, (uint32_t)peer.pid};
	return 0;
}

static bool is_in(const uint32_t *list, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == id)
			return true;
	return false;
}

static bool any_is_in(const uint32_t *list, size_t count, const gid_t *groups, size_t group_count)
{
	for (size_t i = 0; i < group_count; i++)
		if (is_in(list, count, groups[i]))
			return true;
	return false;
}

/* Its further groups. The kernel has at most 65536 of them for a process, and says how much room they need. */
static bool further_groups_are_in(const uint32_t *list, size_t count, int fd)
{
	gid_t few[FEW_GROUPS], *groups = few;
	socklen_t size = sizeof(few);
	int failed = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	bool found;

	if (failed && errno == ERANGE) {
		groups = vshmi_alloc(size);
		failed = !groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	}
	found = !failed && any_is_in(list, count, groups, size / sizeof(gid_t));
	if (groups != few)
		vshmi_free(groups);
	return found;
}

bool vshmi_access_allows(const struct vshmi_access *access, int fd, const struct vshmi_caller *caller)
{
	const uint32_t *groups;

	if (!access->ids)
		return true;
	groups = access->ids + access->users;
	if (is_in(access->ids, access->users, caller->uid))
		return true;
	return access->groups &&
	       (is_in(groups, access->groups, caller->gid) || further_groups_are_in(groups, access->groups, fd));
}
