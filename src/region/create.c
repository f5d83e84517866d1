/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a region: sizes, segments, superblocks; and what changes one as a whole: destroy, evict.
 */
#include "region/region.h"

#include <vshm/error.h>

/* Data room per section when no size was asked for: one default ring and as much again. */
#define DEFAULT_DATA (UINT64_C(512) * 1024)

struct plan {
	uint32_t segments, peers;
	uint64_t page, section_size, segment_size;
	char name[VSHM_NAME_SIZE];
	struct vshm_owner owners[VSHM_MAX_PEERS];
};

static int check_options(const struct vshm_create_options *o, char *why)
{
	if (o->flags & ~(VSHM_CREATE_FORCE | VSHM_CREATE_SPLIT))
		return vshmi_why(why, -EINVAL, "unknown flag bits 0x%x in the create options", o->flags);
	if (o->peers > VSHM_MAX_PEERS)
		return vshmi_why(why, -EINVAL, "%u peers: a region has 1 to %u", o->peers, VSHM_MAX_PEERS);
	if (o->size > INT64_MAX)
		return vshmi_why(why, -EINVAL, "a size of %llu bytes is more than any machine has", (unsigned long long)o->size);
	if (o->owner_count && !o->owners)
		return vshmi_why(why, -EINVAL, "owner_count without owners");
	return 0;
}

static int plan_name(struct plan *plan, const struct vshm_create_options *o, const struct vshmi_uri *uri, char *why)
{
	const char *slash = strrchr(uri->path, '/');
	const char *name = o->name ? o->name : slash ? slash + 1 : uri->path;

	if (!vshmi_name_ok(name))
		return vshmi_why(why, -EINVAL,
				 "\"%.80s\" cannot be a region's name: use 1 to %u letters, digits or . _ : + -, beginning with a "
				 "letter or digit",
				 name, VSHM_NAME_SIZE - 1);
	memcpy(plan->name, name, strlen(name));
	return 0;
}

static int plan_sizes(struct plan *plan, const struct vshm_create_options *o, char *why)
{
	uint64_t page = plan->page, minimum = vshmi_align_up(VSHM_MIN_SECTION, page), available;
	bool split = o->flags & VSHM_CREATE_SPLIT;
	uint64_t superblocks = split ? page * plan->peers : page;
	uint64_t size = o->size;

	if (!size)
		size = superblocks + plan->peers * vshmi_align_up(VSHM_SECTION_DATA + DEFAULT_DATA, page);
	available = size > superblocks ? size - superblocks : 0;
	plan->section_size = vshmi_align_down(available / plan->peers, page);
	if (plan->section_size < minimum)
		return vshmi_why(why, -EINVAL, "%llu bytes are too small for %u peers here: at least %llu are needed",
				 (unsigned long long)size, plan->peers,
				 (unsigned long long)(superblocks + plan->peers * minimum));
	plan->segments = split ? plan->peers : 1;
	/* what is left over by rounding stays unused at the end, so that the file has the size that was asked for */
	plan->segment_size = split ? page + plan->section_size : vshmi_align_up(size, page);
	return 0;
}

static int plan_owners(struct plan *plan, const struct vshm_create_options *o, char *why)
{
	static const struct vshm_owner default_owner = VSHM_OWNER_INIT;

	if (o->owner_count > 1 && o->owner_count != plan->segments)
		return vshmi_why(why, -EINVAL, "%zu owners for %u segments: give one, or one for each", o->owner_count,
				 plan->segments);
	for (uint32_t i = 0; i < plan->segments; i++) {
		plan->owners[i] = !o->owners ? default_owner : o->owners[o->owner_count > 1 ? i : 0];
		if (plan->owners[i].mode > 0777)
			return vshmi_why(why, -EINVAL, "mode 0%o has more than permission bits", plan->owners[i].mode);
	}
	return 0;
}

static void fill_sections(const struct plan *plan, uint32_t segment, struct vshm_superblock *s)
{
	s->section_count = plan->segments > 1 || s->profile == VSHM_SPLIT ? 1 : plan->peers;
	for (uint32_t i = 0; i < s->section_count; i++) {
		s->section[i].peer = s->profile == VSHM_SPLIT ? segment : i;
		s->section[i].offset = plan->page + i * plan->section_size;
		s->section[i].size = plan->section_size;
	}
}

static void format(struct vshmi_transport *t, const struct plan *plan, bool split, const uint8_t uuid[16])
{
	uint64_t now = vshmi_wall_clock_ns();

	for (uint32_t i = 0; i < plan->segments; i++) {
		struct vshm_superblock s = {
			.layout_version = VSHM_LAYOUT_VERSION,
			.profile = split ? VSHM_SPLIT : VSHM_FLAT,
			.peer_count = plan->peers,
			.layout_page = plan->page,
			.segment_size = plan->segment_size,
			.created_ns = now,
		};

		memcpy(s.uuid, uuid, sizeof(s.uuid));
		memcpy(s.name, plan->name, sizeof(s.name));
		fill_sections(plan, i, &s);
		vshmi_superblock_write((struct vshmi_shared_superblock *)(void *)t->segment[i].base, &s);
	}
}

/* RFC 4122 section 4.4: random, version 4. */
static int make_uuid(uint8_t uuid[16])
{
	int rc = vshmi_random(uuid, 16);

	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	return rc;
}

static int make(const struct vshmi_uri *uri, const struct vshmi_transport_ops *ops, const struct vshm_create_options *o,
		const struct plan *plan, char *why)
{
	bool split = o->flags & VSHM_CREATE_SPLIT;
	struct vshmi_shape shape = {
		.segments = plan->segments,
		.segment_size = plan->segment_size,
		.split = split,
		.force = o->flags & VSHM_CREATE_FORCE,
		.owners = plan->owners,
	};
	struct vshmi_transport *t;
	uint8_t uuid[16];
	int rc = make_uuid(uuid);

	if (rc)
		return vshmi_why(why, rc, "no random numbers: %s", vshm_strerror(rc));
	t = vshmi_alloc(sizeof(*t));
	if (!t)
		return vshmi_why(why, -ENOMEM, "no memory");
	t->ops = ops;
	rc = ops->create(t, uri, &shape, why);
	if (!rc) {
		format(t, plan, split, uuid);
		rc = ops->publish(t, why);
		ops->close(t);
	}
	vshmi_free(t);
	return rc;
}

int vshm_region_create(const char *text, const struct vshm_create_options *options, char *why)
{
	static const struct vshm_create_options defaults = VSHM_CREATE_OPTIONS_INIT;
	const struct vshmi_transport_ops *ops;
	struct vshm_create_options o;
	struct vshmi_uri uri;
	struct plan plan;
	int rc;

	if (why)
		why[0] = '\0';
	if (!text)
		return vshmi_why(why, -EINVAL, "no URI");
	rc = vshmi_options_in(&o, &defaults, sizeof(o), options);
	if (rc)
		return vshmi_why(why, rc, "create options: %s", vshm_strerror(rc));
	rc = check_options(&o, why);
	if (!rc)
		rc = vshmi_transport_find(text, &uri, &ops, why);
	if (rc)
		return rc;
	if (!ops->create || !ops->publish || !ops->page)
		return vshmi_why(why, -EOPNOTSUPP, "%s: regions cannot be created there", ops->scheme);
	memset(&plan, 0, sizeof(plan));
	plan.peers = o.peers ? o.peers : 2;
	rc = plan_name(&plan, &o, &uri, why);
	if (!rc)
		rc = ops->page(&uri, &plan.page, why);
	if (!rc)
		rc = plan_sizes(&plan, &o, why);
	if (!rc)
		rc = plan_owners(&plan, &o, why);
	return rc ? rc : make(&uri, ops, &o, &plan, why);
}

/* A region that is mapped just to look at it or to change its alive words: takes no slot and starts no thread. */
static int map_briefly(const char *text, bool observe, struct vshm_region **out, struct vshmi_uri *uri,
		       const struct vshmi_transport_ops **ops, char *why)
{
	struct vshm_region *region;
	int rc;

	if (why)
		why[0] = '\0';
	if (!text)
		return vshmi_why(why, -EINVAL, "no URI");
	rc = vshmi_transport_find(text, uri, ops, why);
	if (rc)
		return rc;
	region = vshmi_alloc(sizeof(*region));
	if (!region)
		return vshmi_why(why, -ENOMEM, "no memory");
	region->self = region->wanted_peer = VSHM_PEER_ANY;
	region->takes_any_word = true; /* an operator may remove what contradicts itself, too */
	region->guarded = vshmi_guard_is_on();
	rc = vshmi_host_self(&region->host);
	if (rc)
		(void)vshmi_why(why, rc, "cannot read this process' identity from /proc: %s", vshm_strerror(rc));
	else
		rc = vshmi_region_map(region, uri, *ops, observe, why);
	if (rc)
		vshmi_free(region);
	else
		*out = region;
	return rc;
}

static void unmap_brief(struct vshm_region *region)
{
	vshmi_region_unmap(region);
	vshmi_free(region);
}

int vshm_region_destroy(const char *text, char *why)
{
	const struct vshmi_transport_ops *ops;
	struct vshm_region *region;
	struct vshmi_uri uri;
	int rc = map_briefly(text, true, &region, &uri, &ops, why); /* only what is a region is removed */

	if (rc)
		return rc;
	unmap_brief(region);
	if (!ops->destroy)
		return vshmi_why(why, -EOPNOTSUPP, "%s: regions cannot be destroyed", ops->scheme);
	return ops->destroy(&uri, why);
}

static int evict(struct vshm_region *region, vshm_peer number, bool force, char *why)
{
	struct vshmi_peer *peer = &region->peer[number];
	struct vshm_identity identity;
	enum vshm_peer_state state;
	uint32_t before;
	int rc;

	if (!peer->section)
		return vshmi_why(why, -ENOENT, "peer %u has no segment yet", number);
	state = vshmi_peer_examine(region, number, &identity);
	before = vshmi_load_acquire32(&peer->section->alive);
	if (!before)
		return vshmi_why(why, -ENOENT, "slot %u of region %s is free: nobody to evict", number, region->name);
	if (state < VSHM_PEER_DIED && !force)
		return vshmi_why(why, -EBUSY,
				 "peer %u (%s, pid %u) is not known to be dead: make sure that it does not write any more, then use "
				 "--force",
				 number, identity.incarnation ? identity.label : "unknown", identity.pid);
	if (!region->transport.segment[peer->segment].can_write)
		return vshmi_why(why, -EACCES, "the segment of peer %u is not writable for you: ask its owner, or root", number);
	rc = vshmi_transport_protect(&region->transport, peer->segment, peer->offset, peer->size, true);
	if (rc)
		return vshmi_why(why, rc, "cannot make the section of peer %u writable: %s", number, vshm_strerror(rc));
	if (!vshmi_slot_change(region, &peer->section->alive, before, VSHM_ALIVE_EVICTED))
		return vshmi_why(why, -EBUSY, "slot %u changed hands this very moment: look again", number);
	vshmi_futex_wake(vshmi_futex_address(&peer->section->alive));
	return 0;
}

int vshm_region_evict(const char *text, vshm_peer peer, uint32_t flags, char *why)
{
	const struct vshmi_transport_ops *ops;
	struct vshm_region *region;
	struct vshmi_uri uri;
	int rc;

	if (flags & ~VSHM_EVICT_FORCE)
		return vshmi_why(why, -EINVAL, "unknown flag bits 0x%x", flags);
	rc = map_briefly(text, false, &region, &uri, &ops, why);
	if (rc)
		return rc;
	if (peer >= region->peers)
		rc = vshmi_why(why, -EINVAL, "region %s has peers 0 to %u, not %u", region->name, region->peers - 1, peer);
	else
		rc = evict(region, peer, flags & VSHM_EVICT_FORCE, why);
	unmap_brief(region);
	return rc;
}
