/* SPDX-License-Identifier: BSD-3-Clause */
/* Which transport a URI means, and what all transports have in common. */
#include "transport/list.h"

#include "os/os.h"

static const struct vshmi_transport_ops *const transports[] = {
	&vshmi_file_ops,
	&vshmi_inproc_ops,
	&vshmi_ivshmem_ops,
	&vshmi_server_ops,
	&vshmi_split_ops,
};

static int parse(const char *text, struct vshmi_uri *uri, char *why)
{
	const char *bad;
	int error = vshmi_uri_parse(text, uri, &bad);

	return error ? vshmi_why(why, error, "\"%.100s\" names no region: %s", text ? text : "", bad) : 0;
}

/* Replaces a vshm: URI by what it stands for. Its own parameters win over those that were registered. */
static int follow_name(struct vshmi_uri *uri, char *why)
{
	char text[VSHMI_REGISTERED_SIZE];
	struct vshmi_uri named;
	int error = vshmi_name_lookup(uri->path, text, why);

	if (!error)
		error = parse(text, &named, why);
	if (error)
		return error;
	if (!strcmp(named.scheme, "vshm"))
		return vshmi_why(why, -EINVAL, "vshm:%s stands for another name (%.100s): register what that stands for",
				 uri->path, text);
	if (uri->peer != VSHM_PEER_ANY)
		named.peer = uri->peer;
	if (uri->owner[0])
		memcpy(named.owner, uri->owner, sizeof(named.owner));
	*uri = named;
	return 0;
}

static const struct vshmi_transport_ops *find_scheme(const char *scheme)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (!strcmp(transports[i]->scheme, scheme))
			return transports[i];
	return NULL;
}

#define HAVE "file:, inproc:, server:, ivshmem:, split: and vshm:"

/* No such transport here: a later version's, or a mistake. */
static int no_transport(const char *scheme, char *why)
{
	static const char *const planned[] = {"uio", "vfio-platform", "dax"};

	for (size_t i = 0; i < sizeof(planned) / sizeof(planned[0]); i++)
		if (!strcmp(planned[i], scheme))
			return vshmi_why(why, -EOPNOTSUPP,
					 "%s: is not supported by this version of libvshm: it has " HAVE, scheme);
	return vshmi_why(why, -EINVAL, "%s: is no transport that this libvshm has: it has " HAVE, scheme);
}

int vshmi_transport_find(const char *text, struct vshmi_uri *uri, const struct vshmi_transport_ops **ops, char *why)
{
	struct vshmi_uri found;
	const struct vshmi_transport_ops *transport;
	int error = parse(text, &found, why);

	if (!error && !strcmp(found.scheme, "vshm"))
		error = follow_name(&found, why);
	if (error)
		return error;
	transport = find_scheme(found.scheme);
	if (!transport)
		return no_transport(found.scheme, why);
	if (found.via[0] && transport != &vshmi_ivshmem_ops && !found.doorbell[0])
		return vshmi_why(why, -EINVAL, "via=%s says how to get at a device, and %s: is none", found.via, found.scheme);
	if (found.doorbell[0] && transport != &vshmi_split_ops)
		return vshmi_why(why, -EINVAL, "doorbell= names the doorbell device of a split region, and %s: is none", found.scheme);
	*uri = found;
	*ops = transport;
	return 0;
}

int vshmi_transport_protect(struct vshmi_transport *t, uint32_t segment, uint64_t offset, uint64_t size, bool writable)
{
	const struct vshmi_segment *s;

	if (segment >= t->segment_count || !t->segment[segment].base)
		return -EINVAL;
	s = &t->segment[segment];
	if (!vshmi_range_fits(offset, size, s->size))
		return -EINVAL;
	if (writable && !s->can_write)
		return -EACCES;
	return vshmi_map_protect(s->base + offset, size, writable);
}
