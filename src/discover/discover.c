/* SPDX-License-Identifier: BSD-3-Clause */
/* One look at the machine: find, look into, say. */
#include "discover/discover.h"

#include <errno.h>

#define FLAGS (VSHM_DISCOVER_GUARD | VSHM_DISCOVER_SHALLOW | VSHM_DISCOVER_HOLDERS)
#define KINDS ((1u << (VSHM_FOUND_DAX + 1)) - 2u)

static const struct finder {
	uint32_t kinds;
	void (*find)(struct vshmi_finds *finds);
} finders[] = {
	{1u << VSHM_FOUND_REGION, vshmi_find_registered},
	{1u << VSHM_FOUND_REGION, vshmi_find_unregistered}, /* those that are not registered: after the others */
	{1u << VSHM_FOUND_SERVER, vshmi_find_servers},
	{1u << VSHM_FOUND_IVSHMEM | 1u << VSHM_FOUND_IVSHMEM2, vshmi_find_pci},
	{1u << VSHM_FOUND_UIO, vshmi_find_uio},
	{1u << VSHM_FOUND_DAX, vshmi_find_dax},
};

/* A newer program's options: what this library does not know must be zero. */
static bool tail_is_zero(const struct vshm_discover_options *given)
{
	const char *bytes = (const char *)given;

	for (size_t i = sizeof(*given); i < given->struct_size; i++)
		if (bytes[i])
			return false;
	return true;
}

int vshmi_discover_options(const struct vshm_discover_options *given, struct vshm_discover_options *options)
{
	static const struct vshm_discover_options defaults = VSHM_DISCOVER_OPTIONS_INIT;

	*options = defaults;
	if (given) {
		if (given->struct_size < sizeof(given->struct_size))
			return -EINVAL;
		if (!tail_is_zero(given))
			return -E2BIG;
		memcpy(options, given, given->struct_size < sizeof(*options) ? given->struct_size : sizeof(*options));
		options->struct_size = sizeof(*options);
	}
	if (options->flags & ~FLAGS || options->kinds & ~KINDS)
		return -EINVAL;
	if (!options->kinds)
		options->kinds = KINDS;
	return 0;
}

/* A finder can find more than what is asked for. */
static void drop_others(struct vshmi_finds *finds, uint32_t kinds)
{
	size_t kept = 0;

	for (size_t i = 0; i < finds->count; i++)
		if (1u << finds->one[i].kind & kinds)
			finds->one[kept++] = finds->one[i];
	finds->count = kept;
}

/* A name of a device that was found: it is the device's, and no second thing. */
static bool name_device(struct vshmi_finds *finds, const struct vshm_found *name)
{
	size_t length = strcspn(name->uri, "?");

	for (size_t i = 0; i < finds->count; i++) {
		struct vshm_found *device = &finds->one[i];

		if (device->kind != VSHM_FOUND_IVSHMEM || strncmp(device->uri, name->uri, length) != 0 ||
		    device->uri[length])
			continue;
		device->flags |= VSHM_FOUND_REGISTERED;
		VSHMI_TEXT(device->name, "%s", name->name);
		return true;
	}
	return false;
}

static void name_devices(struct vshmi_finds *finds)
{
	size_t kept = 0;

	for (size_t i = 0; i < finds->count; i++)
		if (!(finds->one[i].flags & VSHM_FOUND_REGISTERED) || finds->one[i].kind != VSHM_FOUND_REGION ||
		    !name_device(finds, &finds->one[i]))
			finds->one[kept++] = finds->one[i];
	finds->count = kept;
}

const struct vshm_found *vshmi_same_place(const struct vshmi_finds *finds, const struct vshm_found *found)
{
	for (size_t i = 0; i < finds->count; i++)
		if (finds->one[i].kind == found->kind && !strcmp(finds->one[i].place, found->place))
			return &finds->one[i];
	return NULL;
}

/* A program that wants the device while it is looked at would be refused: once is enough. */
static bool remember(struct vshm_found *found, const struct vshmi_finds *before)
{
	const struct vshm_found *old = before ? vshmi_same_place(before, found) : NULL;

	if (!old || old->error || !old->peers || old->because[0] || old->flags & VSHM_FOUND_SEGMENT ||
	    strcmp(found->driver, "vfio-pci") != 0 || strcmp(old->driver, found->driver) != 0 ||
	    strcmp(old->node, found->node) != 0)
		return false;
	if (!found->name[0])
		VSHMI_TEXT(found->name, "%s", old->name);
	memcpy(found->uuid, old->uuid, sizeof(found->uuid));
	found->profile = old->profile;
	found->peers = old->peers;
	found->live = old->live;
	found->size = old->size;
	return true;
}

static void look_into_all(const struct vshm_discover_options *options, const struct vshmi_finds *before,
			  struct vshmi_finds *finds)
{
	for (size_t i = 0; i < finds->count; i++)
		if (!remember(&finds->one[i], before))
			vshmi_look(&finds->one[i], options->flags);
	vshmi_assemble(finds, options->flags);
}

int vshmi_discover(const struct vshm_discover_options *options, const struct vshmi_finds *before,
		   struct vshmi_finds *finds)
{
	for (size_t i = 0; i < sizeof(finders) / sizeof(finders[0]); i++)
		if (finders[i].kinds & options->kinds)
			finders[i].find(finds);
	if (options->also && options->kinds & 1u << VSHM_FOUND_REGION)
		vshmi_find_path(finds, options->also);
	drop_others(finds, options->kinds);
	name_devices(finds);
	if (options->flags & VSHM_DISCOVER_HOLDERS)
		vshmi_find_holders(finds);
	if (!(options->flags & VSHM_DISCOVER_SHALLOW))
		look_into_all(options, before, finds);
	return finds->failed ? -ENOMEM : 0;
}

int vshm_discover(const struct vshm_discover_options *given, vshm_found_fn found, void *arg)
{
	struct vshm_discover_options options;
	struct vshmi_finds finds = {0};
	int result = found ? vshmi_discover_options(given, &options) : -EINVAL;

	if (result)
		return result;
	result = vshmi_discover(&options, NULL, &finds);
	for (size_t i = 0; i < finds.count && !result; i++)
		found(arg, &finds.one[i]);
	if (!result)
		result = (int)finds.count;
	vshmi_finds_free(&finds);
	return result;
}

const char *vshm_found_kind_text(enum vshm_found_kind kind)
{
	static const char *const texts[] = {
		[VSHM_FOUND_REGION] = "region",	    [VSHM_FOUND_SERVER] = "server", [VSHM_FOUND_IVSHMEM] = "ivshmem",
		[VSHM_FOUND_IVSHMEM2] = "ivshmem2", [VSHM_FOUND_UIO] = "uio",	    [VSHM_FOUND_DAX] = "dax",
	};

	return kind >= VSHM_FOUND_REGION && kind <= VSHM_FOUND_DAX ? texts[kind] : "unknown";
}
