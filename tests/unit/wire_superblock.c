/* SPDX-License-Identifier: BSD-3-Clause */
/* wire: every rule of a superblock, one broken at a time, with a checksum that is right all the same. */
#include "unit.h"
#include "wire/wire.h"

#define PAGE VSHM_MIN_PAGE
#define SECTION_SIZE (2 * PAGE)

static struct vshmi_shared_superblock shared;
static struct vshm_superblock sample;

/* A lawful flat region of three peers, the sections not in the order of the peers. */
static void make_sample(void)
{
	memset(&sample, 0, sizeof(sample));
	sample.layout_version = VSHM_LAYOUT_VERSION;
	sample.compatible = 5; /* bits that no reader needs to know */
	strcpy(sample.name, "net0");
	sample.profile = VSHM_FLAT;
	sample.peer_count = sample.section_count = 3;
	sample.layout_page = PAGE;
	sample.segment_size = PAGE + 3 * SECTION_SIZE;
	for (uint32_t i = 0; i < 3; i++)
		sample.section[i] = (struct vshm_section_place){(i + 1) % 3, 0, PAGE + i * (uint64_t)SECTION_SIZE,
								SECTION_SIZE};
}

static void make_split(void)
{
	make_sample();
	sample.profile = VSHM_SPLIT;
	sample.section_count = 1;
	memset(&sample.section[1], 0, 2 * sizeof(sample.section[1]));
	sample.segment_size = PAGE + SECTION_SIZE;
}

static int read_back(uint64_t mapped, struct vshm_superblock *out, struct vshm_fault *fault)
{
	memset(fault, 0, sizeof(*fault));
	return vshmi_superblock_read(&shared, mapped, out, fault);
}

static void is_lawful(void)
{
	struct vshm_superblock out;
	struct vshm_fault fault;

	memset(&shared, 0xff, sizeof(shared));
	vshmi_superblock_write(&shared, &sample);
	ck_ok(read_back(sample.segment_size, &out, &fault));
	ck_assert_mem_eq(&out, &sample, sizeof(out));
	ck_assert_uint_eq(out.magic, VSHM_MAGIC);
}

/* `sample` as it is now, sealed with its checksum, breaks this rule at this offset; and nothing is handed out. */
static void breaks(uint32_t rule, size_t offset)
{
	struct vshm_superblock out, untouched;
	struct vshm_fault fault;
	bool unknown = rule == VSHM_RULE_VERSION || rule == VSHM_RULE_FEATURES;

	memset(&out, 0x5a, sizeof(out));
	untouched = out;
	vshmi_superblock_write(&shared, &sample);
	ck_is(read_back(PAGE + 3 * SECTION_SIZE, &out, &fault), unknown ? -EPROTONOSUPPORT : -EPROTO);
	ck_assert_msg(fault.rule == rule, "rule %u instead of %u", fault.rule, rule);
	ck_assert_uint_eq(fault.offset, offset);
	ck_assert_mem_eq(&out, &untouched, sizeof(out));
	make_sample();
}

#define BREAKS(rule, field) breaks(rule, offsetof(struct vshm_superblock, field))

START_TEST(lawful_ones)
{
	make_sample();
	is_lawful();
	make_split();
	is_lawful();
	make_sample();
	sample.peer_count = sample.section_count = 1;
	sample.section[0].peer = 0;
	memset(&sample.section[1], 0, 2 * sizeof(sample.section[1]));
	is_lawful();
	make_sample();
	sample.section[2].offset += PAGE; /* a gap */
	sample.segment_size += PAGE;
	is_lawful();
}
END_TEST

START_TEST(as_many_peers_as_possible)
{
	make_sample();
	sample.peer_count = sample.section_count = VSHM_MAX_PEERS;
	sample.layout_page = 2u << 20;
	sample.segment_size = (VSHM_MAX_PEERS + 1) * sample.layout_page;
	for (uint32_t i = 0; i < VSHM_MAX_PEERS; i++)
		sample.section[i] = (struct vshm_section_place){i, 0, (i + 1) * sample.layout_page, sample.layout_page};
	is_lawful();
}
END_TEST

START_TEST(nothing_was_ever_written)
{
	struct vshm_superblock out;
	struct vshm_fault fault;

	memset(&shared, 0, sizeof(shared));
	ck_is(read_back(UINT64_MAX, &out, &fault), -EPROTO);
	ck_assert_uint_eq(fault.rule, VSHM_RULE_ZERO);
	vshmi_store64(&shared.word[511], 1); /* something, but no region */
	ck_is(read_back(UINT64_MAX, &out, &fault), -EPROTO);
	ck_assert_uint_eq(fault.rule, VSHM_RULE_MAGIC);
}
END_TEST

START_TEST(frame_rules)
{
	make_sample();
	sample.layout_version = 2;
	BREAKS(VSHM_RULE_VERSION, layout_version);
	sample.layout_version = 0;
	BREAKS(VSHM_RULE_VERSION, layout_version);
	sample.incompatible = 1;
	BREAKS(VSHM_RULE_FEATURES, incompatible);
	sample.incompatible = UINT64_C(1) << 63;
	BREAKS(VSHM_RULE_FEATURES, incompatible);
}
END_TEST

START_TEST(shape_rules)
{
	make_sample();
	sample.name[0] = '\0';
	BREAKS(VSHM_RULE_NAME, name);
	sample.name[1] = '\n';
	BREAKS(VSHM_RULE_NAME, name);
	sample.name[60] = 'x'; /* behind the end */
	BREAKS(VSHM_RULE_NAME, name);
	memset(sample.name, 'x', sizeof(sample.name));
	BREAKS(VSHM_RULE_NAME, name);
	sample.peer_count = 0;
	BREAKS(VSHM_RULE_PEERS, peer_count);
	sample.peer_count = VSHM_MAX_PEERS + 1;
	BREAKS(VSHM_RULE_PEERS, peer_count);
	sample.peer_count = UINT32_MAX;
	BREAKS(VSHM_RULE_PEERS, peer_count);
	sample.profile = 2;
	BREAKS(VSHM_RULE_PROFILE, profile);
	sample.layout_page = PAGE / 2;
	BREAKS(VSHM_RULE_PAGE, layout_page);
	sample.layout_page = 0;
	BREAKS(VSHM_RULE_PAGE, layout_page);
	sample.layout_page = PAGE + 4096;
	BREAKS(VSHM_RULE_PAGE, layout_page);
	sample.segment_size++;
	BREAKS(VSHM_RULE_SEGMENT_SIZE, segment_size);
	sample.segment_size = UINT64_MAX;
	BREAKS(VSHM_RULE_SEGMENT_SIZE, segment_size);
	sample.reserved0 = 1;
	BREAKS(VSHM_RULE_RESERVED, reserved0);
	sample.reserved1[sizeof(sample.reserved1) - 1] = 1;
	BREAKS(VSHM_RULE_RESERVED, reserved0);
}
END_TEST

START_TEST(section_rules)
{
	make_sample();
	sample.section_count = 2;
	BREAKS(VSHM_RULE_SECTION, section_count);
	sample.section_count = VSHM_MAX_PEERS + 1;
	BREAKS(VSHM_RULE_SECTION, section_count);
	sample.section_count = UINT32_MAX;
	BREAKS(VSHM_RULE_SECTION, section_count);
	sample.profile = VSHM_SPLIT; /* of one peer each */
	BREAKS(VSHM_RULE_SECTION, section_count);
	sample.section[1].peer = 3;
	BREAKS(VSHM_RULE_SECTION, section[1].peer);
	sample.section[1].peer = UINT32_MAX;
	BREAKS(VSHM_RULE_SECTION, section[1].peer);
	sample.section[1].peer = sample.section[0].peer;
	BREAKS(VSHM_RULE_SECTION, section[1].peer);
	sample.section[0].offset = 0; /* over the superblock */
	BREAKS(VSHM_RULE_SECTION, section[0].offset);
	sample.section[1].offset = sample.section[0].offset;
	BREAKS(VSHM_RULE_SECTION, section[1].offset);
	sample.section[1].offset -= PAGE;
	BREAKS(VSHM_RULE_SECTION, section[1].offset);
	sample.section[1].offset += 4096;
	BREAKS(VSHM_RULE_SECTION, section[1].offset);
	sample.section[2].offset = UINT64_MAX - PAGE + 1;
	BREAKS(VSHM_RULE_SECTION, section[2].size);
	sample.section[2].size = PAGE; /* too small */
	BREAKS(VSHM_RULE_SECTION, section[2].size);
	sample.section[2].size = 0;
	BREAKS(VSHM_RULE_SECTION, section[2].size);
	sample.section[2].size += 4096;
	BREAKS(VSHM_RULE_SECTION, section[2].size);
	sample.section[2].size += PAGE; /* beyond the segment */
	BREAKS(VSHM_RULE_SECTION, section[2].size);
	sample.section[2].size = UINT64_MAX - PAGE + 1;
	BREAKS(VSHM_RULE_SECTION, section[2].size);
	sample.section[1].reserved = 1;
	BREAKS(VSHM_RULE_RESERVED, section[1].reserved);
	sample.section[3].size = PAGE; /* one that does not count */
	BREAKS(VSHM_RULE_RESERVED, section[3]);
	sample.section[VSHM_MAX_PEERS - 1].peer = 1;
	BREAKS(VSHM_RULE_RESERVED, section[3]);
}
END_TEST

/* No single bit of the 4096 bytes can be flipped unnoticed. */
START_TEST(every_bit)
{
	struct vshm_superblock out;
	struct vshm_fault fault;

	make_sample();
	vshmi_superblock_write(&shared, &sample);
	for (unsigned bit = 0; bit < VSHM_SUPERBLOCK_SIZE * 8; bit++) {
		struct vshmi_word64 *word = &shared.word[bit / 64];

		vshmi_store64(word, vshmi_load64(word) ^ UINT64_C(1) << bit % 64);
		ck_is(read_back(sample.segment_size, &out, &fault), -EPROTO);
		ck_assert_uint_eq(fault.rule, bit < 64 ? VSHM_RULE_MAGIC : VSHM_RULE_CRC);
		vshmi_store64(word, vshmi_load64(word) ^ UINT64_C(1) << bit % 64);
	}
	ck_ok(read_back(sample.segment_size, &out, &fault));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire_superblock");
	TCase *tcase = tcase_create("rules");

	tcase_add_test(tcase, lawful_ones);
	tcase_add_test(tcase, as_many_peers_as_possible);
	tcase_add_test(tcase, nothing_was_ever_written);
	tcase_add_test(tcase, frame_rules);
	tcase_add_test(tcase, shape_rules);
	tcase_add_test(tcase, section_rules);
	tcase_add_test(tcase, every_bit);
	suite_add_tcase(suite, tcase);
	return unit_run("wire_superblock", suite);
}
