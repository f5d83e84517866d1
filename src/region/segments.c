/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From segments to sections: reads the superblocks, each once, and decides which segments make up the region.
 * In a split region whoever owns a segment can write its superblock, too. A segment that does not fit in is therefore left out
 * and its peer is as good as not there; nobody else is kept from opening the region. Which segment is whose, the superblocks may
 * say only where all of them agree; else their order does, which is not for a peer to choose.
 */
#include "region/region.h"

struct assembly {
	struct vshm_region *region;
	const char *path;
	uint32_t count;
	struct vshm_superblock *superblock; /* one for each segment */
	struct vshm_fault fault[VSHM_MAX_PEERS];
	int error[VSHM_MAX_PEERS]; /* 0: lawful; -ENODATA: pending */
};

static void read_superblock(struct assembly *all, uint32_t i)
{
	const struct vshmi_segment *segment = &all->region->transport.segment[i];

	if (!segment->base) {
		all->error[i] = -ENODATA;
		return;
	}
	all->error[i] = vshmi_superblock_read((const struct vshmi_shared_superblock *)(const void *)segment->base, segment->size,
					      &all->superblock[i], &all->fault[i]);
	if (all->error[i] && all->fault[i].rule == VSHM_RULE_ZERO && all->count > 1)
		all->error[i] = -ENODATA; /* nobody has formatted it yet */
}

static bool agree(const struct vshm_superblock *a, const struct vshm_superblock *b)
{
	return !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) && a->peer_count == b->peer_count && a->profile == b->profile &&
	       a->layout_page == b->layout_page;
}

/* The one without which there is nothing to open: this peer's own, or the only one. VSHM_PEER_ANY: no special one. */
static uint32_t needed(const struct assembly *all)
{
	const struct vshm_region *region = all->region;

	if (region->transport.own_first || all->count == 1)
		return 0;
	return region->wanted_peer < all->count ? region->wanted_peer : VSHM_PEER_ANY;
}

/* May this process write this segment and not all others? Then it is its own. */
static bool is_own(const struct assembly *all, uint32_t i)
{
	const struct vshmi_segment *segment = all->region->transport.segment;
	bool others = false;

	for (uint32_t j = 0; j < all->count; j++)
		others |= segment[j].base && !segment[j].can_write;
	return segment[i].can_write && others;
}

/* The own word counts most, then how many say the same; -1: it says nothing lawful. */
static int weight(const struct assembly *all, uint32_t i)
{
	int votes = 0;

	if (all->error[i] || (all->count > 1 && all->superblock[i].profile != VSHM_SPLIT))
		return -1;
	for (uint32_t j = 0; j < all->count; j++)
		votes += !all->error[j] && agree(&all->superblock[i], &all->superblock[j]);
	return votes + (int)VSHM_MAX_PEERS * (2 * (i == needed(all)) + is_own(all, i));
}

/* Whose word about the region counts; NULL: nobody's. */
static const struct vshm_superblock *elect(const struct assembly *all)
{
	const struct vshm_superblock *elected = NULL;
	int most = -1;

	for (uint32_t i = 0; i < all->count; i++) {
		int votes = weight(all, i);

		if (votes <= most)
			continue;
		most = votes;
		elected = &all->superblock[i];
	}
	return elected;
}

/* Where no word is this peer's own, more than half must say the same: else a liar could be the one that is believed. */
static bool is_doubtful(const struct assembly *all, const struct vshm_superblock *elected)
{
	uint32_t votes = 0, voters = 0;

	for (uint32_t i = 0; i < all->count; i++) {
		if (weight(all, i) < 0)
			continue;
		if (&all->superblock[i] == elected && (i == needed(all) || is_own(all, i)))
			return false;
		voters++;
		votes += agree(&all->superblock[i], elected);
	}
	return 2 * votes <= voters;
}

static int leave_out(struct assembly *all, uint32_t i, uint32_t rule, uint64_t offset, uint64_t value)
{
	all->fault[i] = (struct vshm_fault){sizeof(struct vshm_fault), VSHM_PEER_ANY, rule, offset, value};
	return all->error[i] = -EPROTO;
}

/* Those of another region, and flat ones among several. */
static void leave_out_strangers(struct assembly *all, const struct vshm_superblock *elected)
{
	for (uint32_t i = 0; i < all->count; i++) {
		const struct vshm_superblock *s = &all->superblock[i];

		if (!all->error[i] && all->count > 1 && (s->profile != VSHM_SPLIT || !agree(s, elected)))
			leave_out(all, i, VSHM_RULE_STRANGER, 0, 0);
	}
}

/* Is each peer there, and once? Then the superblocks are right about who is who, in whatever order they come. */
static bool is_complete(const struct assembly *all, const struct vshm_superblock *elected)
{
	uint64_t seen = 0;

	for (uint32_t i = 0; i < all->count; i++)
		if (!all->error[i])
			seen |= UINT64_C(1) << all->superblock[i].section[0].peer;
	return all->count == elected->peer_count && seen == (UINT64_MAX >> (64 - elected->peer_count));
}

/* The peer whose segment this is by the order in which they come. */
static uint32_t peer_in_order(const struct assembly *all, uint32_t i, uint32_t peers)
{
	return all->region->transport.own_first ? (all->superblock[0].section[0].peer + i) % peers : i;
}

static void leave_out_liars(struct assembly *all, const struct vshm_superblock *elected)
{
	if (all->region->transport.own_first && is_complete(all, elected))
		return;
	for (uint32_t i = 0; i < all->count; i++) {
		uint32_t peer = all->superblock[i].section[0].peer;

		if (!all->error[i] && peer != peer_in_order(all, i, elected->peer_count))
			leave_out(all, i, VSHM_RULE_SECTION, offsetof(struct vshm_superblock, section[0].peer), peer);
	}
}

/* The region is what the elected superblock says; the sections are where each of the others says. */
static void adopt(struct assembly *all, const struct vshm_superblock *elected)
{
	struct vshm_region *region = all->region;

	memcpy(region->name, elected->name, sizeof(region->name));
	memcpy(region->uuid, elected->uuid, sizeof(region->uuid));
	region->profile = elected->profile;
	region->peers = elected->peer_count;
	region->layout_page = elected->layout_page;
	region->created_ns = elected->created_ns;
	region->own_segment = region->profile == VSHM_FLAT ? 0 : VSHM_MAX_PEERS;
	/* in a split region the place behind a superblock is its owner's, who has no say about others */
	if (region->profile == VSHM_FLAT && all->count == 1)
		region->server = (const struct vshmi_shared_server *)(const void *)(region->transport.segment[0].base +
										    VSHM_SERVER_OFFSET);
	for (uint32_t i = 0; i < all->count; i++) {
		const struct vshm_superblock *s = &all->superblock[i];

		for (uint32_t j = 0; !all->error[i] && j < s->section_count; j++) {
			struct vshmi_peer *peer = &region->peer[s->section[j].peer];

			peer->segment = i;
			peer->offset = s->section[j].offset;
			peer->size = s->section[j].size;
			peer->section = (struct vshmi_shared_section *)(void *)(region->transport.segment[i].base + peer->offset);
		}
		region->size += all->error[i] ? 0 : s->segment_size;
	}
}

static int explain(const struct assembly *all, uint32_t i, char *why)
{
	int error = all->error[i] == -ENODATA ? -EPROTO : all->error[i];

	if (all->fault[i].rule == VSHM_RULE_STRANGER)
		return vshmi_why(why, error, "segment %u of %s belongs to another region: recreate it", i, all->path);
	return vshmi_explain_superblock(why, error, all->path, &all->fault[i], all->region->transport.segment[i].size);
}

/* Nothing lawful at all: the first that is damaged says why. */
static int explain_nothing(const struct assembly *all, char *why)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (all->error[i] != -ENODATA)
			return explain(all, i, why);
	return vshmi_why(why, -EPROTO, "%s has no formatted segment: run `vshmctl create`", all->path);
}

static int assemble(struct assembly *all, char *why)
{
	struct vshm_region *region = all->region;
	const struct vshm_superblock *elected;
	uint32_t own;

	for (uint32_t i = 0; i < all->count; i++)
		read_superblock(all, i);
	elected = elect(all);
	if (!elected)
		return explain_nothing(all, why);
	if (!region->takes_any_word && is_doubtful(all, elected))
		return vshmi_why(why, -EPROTO, "the segments of %s contradict each other, and none is known to be right: say which peer "
					       "this is, with peer=N, or recreate it", all->path);
	leave_out_strangers(all, elected);
	if (elected->profile == VSHM_SPLIT)
		leave_out_liars(all, elected);
	own = needed(all);
	if (own != VSHM_PEER_ANY && all->error[own] && (all->error[own] != -ENODATA || region->transport.own_first))
		return explain(all, own, why);
	adopt(all, elected);
	for (uint32_t i = 0; i < all->count; i++)
		if (all->error[i] && all->error[i] != -ENODATA) {
			region->left_out |= UINT64_C(1) << i;
			vshmi_region_log(region, VSHM_LOG_WARNING, "segment %u of %s is left out: %s (0x%llx at offset %llu)", i, all->path,
					 vshm_rule_text(all->fault[i].rule), (unsigned long long)all->fault[i].value,
					 (unsigned long long)all->fault[i].offset);
		}
	return 0;
}

int vshmi_region_assemble(struct vshm_region *region, const char *path, char *why)
{
	struct assembly *all = vshmi_alloc(sizeof(*all));
	int rc = -ENOMEM;

	if (all) {
		all->region = region;
		all->path = path;
		all->count = region->transport.segment_count;
		all->superblock = vshmi_alloc(all->count * sizeof(*all->superblock));
	}
	if (all && all->superblock)
		rc = assemble(all, why);
	else
		(void)vshmi_why(why, rc, "out of memory");
	if (all)
		vshmi_free(all->superblock);
	vshmi_free(all);
	return rc;
}
