/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The superblock: describes its own segment. The copy is trusted inside the mapping's own length only; whether the
 * segments of a split region belong together is for the region to decide.
 */
#include "wire/wire.h"

_Static_assert(sizeof(struct vshm_superblock) == VSHM_SUPERBLOCK_SIZE, "layout");
_Static_assert(offsetof(struct vshm_superblock, section) == 152, "layout");

/* Features that this library knows: none yet. */
#define KNOWN_INCOMPATIBLE UINT64_C(0)

#define WORD(field) (offsetof(struct vshm_superblock, field) / 8)

static int broken(struct vshm_fault *fault, uint32_t rule, size_t offset, uint64_t value)
{
	fault->rule = rule;
	fault->offset = offset;
	fault->value = value;
	return rule == VSHM_RULE_VERSION || rule == VSHM_RULE_FEATURES ? -EPROTONOSUPPORT : -EPROTO;
}

#define BROKEN(rule, field, value) broken(fault, rule, offsetof(struct vshm_superblock, field), value)

static uint32_t checksum(const struct vshm_superblock *superblock)
{
	struct vshm_superblock copy = *superblock;

	copy.crc = 0;
	return vshmi_crc32c(0, &copy, sizeof(copy));
}

static bool all_zero(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Magic, checksum, version and features: the part that all layout versions have in common. */
static int check_frame(const struct vshm_superblock *s, struct vshm_fault *fault)
{
	if (all_zero(s, sizeof(*s)))
		return BROKEN(VSHM_RULE_ZERO, magic, 0);
	if (s->magic != VSHM_MAGIC)
		return BROKEN(VSHM_RULE_MAGIC, magic, s->magic);
	if (s->crc != checksum(s))
		return BROKEN(VSHM_RULE_CRC, crc, s->crc);
	if (s->layout_version != VSHM_LAYOUT_VERSION)
		return BROKEN(VSHM_RULE_VERSION, layout_version, s->layout_version);
	if (s->incompatible & ~KNOWN_INCOMPATIBLE)
		return BROKEN(VSHM_RULE_FEATURES, incompatible, s->incompatible);
	return 0;
}

static int check_shape(const struct vshm_superblock *s, uint64_t mapped, struct vshm_fault *fault)
{
	if (!vshmi_name_field_ok(s->name))
		return BROKEN(VSHM_RULE_NAME, name, 0);
	if (s->peer_count < 1 || s->peer_count > VSHM_MAX_PEERS)
		return BROKEN(VSHM_RULE_PEERS, peer_count, s->peer_count);
	if (s->profile > VSHM_SPLIT)
		return BROKEN(VSHM_RULE_PROFILE, profile, s->profile);
	if (s->section_count != (s->profile == VSHM_SPLIT ? 1 : s->peer_count))
		return BROKEN(VSHM_RULE_SECTION, section_count, s->section_count);
	if (!vshmi_is_power_of_two(s->layout_page) || s->layout_page < VSHM_MIN_PAGE)
		return BROKEN(VSHM_RULE_PAGE, layout_page, s->layout_page);
	if (s->segment_size > mapped)
		return BROKEN(VSHM_RULE_SEGMENT_SIZE, segment_size, s->segment_size);
	if (s->reserved0 || !all_zero(s->reserved1, sizeof(s->reserved1)))
		return BROKEN(VSHM_RULE_RESERVED, reserved0, s->reserved0);
	return 0;
}

/* Sections stand in ascending order without overlap, each peer once. */
static int check_sections(const struct vshm_superblock *s, struct vshm_fault *fault)
{
	uint64_t seen = 0, end = s->layout_page;

	for (uint32_t i = 0; i < s->section_count; i++) {
		const struct vshm_section_place *place = &s->section[i];

		if (place->peer >= s->peer_count || seen >> place->peer & 1)
			return BROKEN(VSHM_RULE_SECTION, section[i].peer, place->peer);
		seen |= UINT64_C(1) << place->peer;
		if (place->offset < end || place->offset % s->layout_page)
			return BROKEN(VSHM_RULE_SECTION, section[i].offset, place->offset);
		if (place->size < VSHM_MIN_SECTION || place->size % s->layout_page ||
		    !vshmi_range_fits(place->offset, place->size, s->segment_size))
			return BROKEN(VSHM_RULE_SECTION, section[i].size, place->size);
		if (place->reserved)
			return BROKEN(VSHM_RULE_RESERVED, section[i].reserved, place->reserved);
		end = place->offset + place->size;
	}
	if (!all_zero(&s->section[s->section_count], sizeof(s->section[0]) * (VSHM_MAX_PEERS - s->section_count)))
		return BROKEN(VSHM_RULE_RESERVED, section[s->section_count], 0);
	return 0;
}

int vshmi_superblock_read(const struct vshmi_shared_superblock *shared, uint64_t mapped, struct vshm_superblock *out,
			  struct vshm_fault *fault)
{
	uint64_t word[VSHM_SUPERBLOCK_SIZE / 8];
	struct vshm_superblock copy;
	int rc;

	/* pairs with the release store of the magic in vshmi_superblock_write() */
	word[WORD(magic)] = vshmi_load_acquire64(&shared->word[WORD(magic)]);
	vshmi_load_block(word + 1, shared->word + 1, VSHM_SUPERBLOCK_SIZE / 8 - 1);
	memcpy(&copy, word, sizeof(copy));
	rc = check_frame(&copy, fault);
	if (!rc)
		rc = check_shape(&copy, mapped, fault);
	if (!rc)
		rc = check_sections(&copy, fault);
	if (!rc)
		*out = copy;
	return rc;
}

void vshmi_superblock_write(struct vshmi_shared_superblock *shared, struct vshm_superblock *superblock)
{
	uint64_t words[VSHM_SUPERBLOCK_SIZE / 8];

	superblock->magic = VSHM_MAGIC;
	superblock->crc = checksum(superblock);
	memcpy(words, superblock, sizeof(words));
	vshmi_store64(&shared->word[WORD(magic)], 0);
	vshmi_fence_release();
	vshmi_store_block(shared->word + 1, words + 1, VSHM_SUPERBLOCK_SIZE / 8 - 1);
	vshmi_store_release64(&shared->word[WORD(magic)], words[WORD(magic)]);
}
