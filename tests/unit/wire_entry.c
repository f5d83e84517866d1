/* SPDX-License-Identifier: BSD-3-Clause */
/* wire: every rule of a directory entry, one broken at a time. */
#include "unit.h"
#include "wire/wire.h"

#define SECTION_SIZE UINT64_C(0x40000)
#define PEERS 3
#define INDEX 5

static struct vshmi_shared_section section;

/* A whole section, with the data behind the directory. */
static union {
	struct vshmi_shared_section section;
	unsigned char bytes[SECTION_SIZE];
} wide;
static struct vshm_entry sample;

/* A producer's entry that names a consumer. */
static void make_producer(void)
{
	memset(&sample, 0, sizeof(sample));
	sample.id = 77;
	sample.kind = VSHM_PRODUCER;
	strcpy(sample.name, "frames");
	sample.ring_offset = VSHM_SECTION_DATA;
	sample.ring_size = 0x10000;
	sample.state = VSHM_END_OPEN;
	sample.other_peer = 2;
	sample.other_incarnation = 0xabc;
	sample.other_id = 12;
	sample.other_start = 64;
	sample.position = 0x12340;
}

static void make_consumer(void)
{
	make_producer();
	sample.kind = VSHM_CONSUMER;
	sample.flags = VSHM_ENTRY_POLLS;
	sample.ring_offset = sample.ring_size = 0;
	sample.position = VSHM_NOT_STARTED;
}

/* The bytes as a hostile owner may write them. */
static void write_sample(void)
{
	memcpy(&section.directory[INDEX], &sample, sizeof(sample));
}

static int read_back(struct vshm_entry *out, struct vshm_fault *fault)
{
	memset(fault, 0, sizeof(*fault));
	return vshmi_entry_read(&section, INDEX, SECTION_SIZE, PEERS, out, fault);
}

static void is_lawful(void)
{
	struct vshm_entry out;
	struct vshm_fault fault;

	write_sample();
	ck_ok(read_back(&out, &fault));
	ck_assert_mem_eq(&out, &sample, sizeof(out));
}

static void breaks(uint32_t rule, size_t offset, uint64_t value)
{
	struct vshm_entry out, untouched;
	struct vshm_fault fault;

	memset(&out, 0x5a, sizeof(out));
	untouched = out;
	write_sample();
	ck_is(read_back(&out, &fault), -EPROTO);
	ck_assert_msg(fault.rule == rule, "rule %u instead of %u", fault.rule, rule);
	ck_assert_uint_eq(fault.offset, VSHM_SECTION_DIRECTORY + INDEX * sizeof(struct vshm_entry) + offset);
	ck_assert_uint_eq(fault.value, value);
	ck_assert_mem_eq(&out, &untouched, sizeof(out));
	make_producer();
}

#define BREAKS(rule, field, value) breaks(rule, offsetof(struct vshm_entry, field), value)

START_TEST(lawful_ones)
{
	make_producer();
	is_lawful();
	sample.state = VSHM_END_CLOSED;
	is_lawful();
	sample.flags = VSHM_ENTRY_DROP;
	is_lawful();
	sample.ring_offset = SECTION_SIZE - sample.ring_size;
	is_lawful();
	sample.ring_size = VSHM_MIN_RING;
	is_lawful();
	make_consumer();
	is_lawful();
	sample.position = sample.armed = 0x123; /* for the ring to judge */
	sample.records = sample.rings_sent = sample.rings_avoided = sample.sleeps = sample.spurious = UINT64_MAX;
	is_lawful();
}
END_TEST

/* No peer number that could be out of range is handed out. */
START_TEST(nobody_is_named)
{
	struct vshm_entry out;
	struct vshm_fault fault;

	make_consumer();
	sample.other_id = 0;
	sample.other_peer = UINT32_MAX;
	write_sample();
	ck_ok(read_back(&out, &fault));
	ck_assert_uint_eq(out.other_id, 0);
	ck_assert_uint_eq(out.other_peer, 0);
}
END_TEST

START_TEST(free_ones_are_not_looked_at)
{
	struct vshm_entry out;
	struct vshm_fault fault;

	memset(&sample, 0xff, sizeof(sample));
	sample.state = VSHM_END_FREE;
	write_sample();
	ck_is(read_back(&out, &fault), -ENOENT);
	ck_assert_uint_eq(vshmi_entry_id(&section.directory[INDEX]), 0);
}
END_TEST

START_TEST(entry_rules)
{
	make_producer();
	sample.state = 3;
	BREAKS(VSHM_RULE_ENTRY_STATE, state, 3);
	sample.state = UINT32_MAX;
	BREAKS(VSHM_RULE_ENTRY_STATE, state, UINT32_MAX);
	sample.id = 0;
	BREAKS(VSHM_RULE_ENTRY_ID, id, 0);
	sample.kind = 0;
	BREAKS(VSHM_RULE_ENTRY_KIND, kind, 0);
	sample.kind = 4;
	BREAKS(VSHM_RULE_ENTRY_KIND, kind, 4);
	sample.flags = 8;
	BREAKS(VSHM_RULE_ENTRY_FLAGS, flags, 8);
	sample.flags = UINT32_MAX;
	BREAKS(VSHM_RULE_ENTRY_FLAGS, flags, UINT32_MAX);
	sample.name[0] = '\0';
	BREAKS(VSHM_RULE_ENTRY_NAME, name, 0);
	sample.name[2] = '/';
	BREAKS(VSHM_RULE_ENTRY_NAME, name, 0);
	memset(sample.name, 'n', sizeof(sample.name));
	BREAKS(VSHM_RULE_ENTRY_NAME, name, 0);
	sample.name[63] = 'n';
	BREAKS(VSHM_RULE_ENTRY_NAME, name, 0);
	sample.other_peer = PEERS;
	BREAKS(VSHM_RULE_OTHER_PEER, other_peer, PEERS);
	sample.other_peer = UINT32_MAX;
	BREAKS(VSHM_RULE_OTHER_PEER, other_peer, UINT32_MAX);
}
END_TEST

/* The table of grants lies behind the ring, in the same section. */
START_TEST(grant_rules)
{
	make_producer();
	sample.grants = VSHM_MAX_PEERS;
	sample.flags = VSHM_ENTRY_LATEST;
	is_lawful();
	sample.grants = 0;
	BREAKS(VSHM_RULE_GRANTS, grants, 0);
	sample.grants = VSHM_MAX_PEERS + 1;
	BREAKS(VSHM_RULE_GRANTS, grants, VSHM_MAX_PEERS + 1);
	sample.grants = UINT32_MAX;
	BREAKS(VSHM_RULE_GRANTS, grants, UINT32_MAX);
	sample.ring_offset = SECTION_SIZE - sample.ring_size;
	is_lawful();
	sample.grants = 1;
	BREAKS(VSHM_RULE_GRANTS, grants, 1);
	make_consumer();
	sample.grants = 1;
	BREAKS(VSHM_RULE_GRANTS, grants, 1);
}
END_TEST

static void grants_are(uint32_t index, vshm_peer peer, uint64_t id)
{
	struct vshm_grant grant;
	bool there = vshmi_grant_read((const void *)&wide, &sample, index, PEERS, &grant);

	ck_assert_int_eq(there, id != 0);
	if (there)
		ck_assert(grant.peer == peer && grant.id == id && grant.incarnation == id + 1 && grant.start == 8 * id);
}

START_TEST(grants_in_the_table)
{
	struct vshmi_shared_grant *table = (void *)(wide.bytes + VSHM_SECTION_DATA + 256);

	make_producer();
	sample.ring_size = 256;
	sample.grants = 3;
	memset(&wide, 0, sizeof(wide));
	for (uint32_t i = 0; i < 3; i++)
		grants_are(i, 0, 0);
	vshmi_grant_set(&table[1], 2, 8, 7, 56);
	vshmi_grant_set(&table[2], PEERS, 10, 9, 72); /* nobody of this region */
	grants_are(0, 0, 0);
	grants_are(1, 2, 7);
	grants_are(2, 0, 0);
	vshmi_grant_set(&table[1], 0, 0, 0, 0);
	grants_are(1, 0, 0);
	sample.grants = 0; /* one-to-one: the entry's own */
	sample.other_incarnation = 13;
	sample.other_start = 96;
	grants_are(0, 2, 12);
	sample.kind = VSHM_CONSUMER;
	grants_are(0, 0, 0);
}
END_TEST

static void size_breaks(uint64_t size)
{
	sample.ring_size = size;
	BREAKS(VSHM_RULE_RING_SIZE, ring_size, size);
}

static void offset_breaks(uint64_t offset)
{
	sample.ring_offset = offset;
	BREAKS(VSHM_RULE_RING_PLACE, ring_offset, offset);
}

START_TEST(ring_rules)
{
	make_producer();
	size_breaks(0);
	size_breaks(1);
	size_breaks(VSHM_MIN_RING / 2);
	size_breaks(VSHM_MIN_RING + 8);
	size_breaks(0x10000 + 1);
	size_breaks(VSHM_MAX_RING * 2);
	size_breaks(UINT64_C(1) << 63);
	size_breaks(UINT64_MAX);
	offset_breaks(0);
	offset_breaks(VSHM_SECTION_DIRECTORY);
	offset_breaks(VSHM_SECTION_DATA - VSHM_LINE);
	offset_breaks(VSHM_SECTION_DATA + 8);
	offset_breaks(VSHM_SECTION_DATA + VSHM_LINE - 1);
	offset_breaks(SECTION_SIZE - 0x10000 + VSHM_LINE);
	offset_breaks(SECTION_SIZE);
	offset_breaks(UINT64_MAX - VSHM_LINE + 1);
	offset_breaks(UINT64_MAX - 0x10000 + 1); /* offset + size is 0 modulo 2^64 */
	sample.ring_size = VSHM_MAX_RING; /* lawful, but not in this section */
	BREAKS(VSHM_RULE_RING_PLACE, ring_offset, VSHM_SECTION_DATA);
}
END_TEST

/* A consumer has a return ring or none. */
static void return_ring_breaks(uint32_t rule, uint64_t offset, uint64_t size)
{
	make_consumer();
	sample.ring_offset = offset;
	sample.ring_size = size;
	if (rule == VSHM_RULE_RING_SIZE)
		BREAKS(VSHM_RULE_RING_SIZE, ring_size, size);
	else
		BREAKS(VSHM_RULE_RING_PLACE, ring_offset, offset);
}

START_TEST(return_rings)
{
	make_consumer();
	is_lawful();
	sample.ring_offset = VSHM_SECTION_DATA;
	sample.ring_size = 8;
	is_lawful();
	sample.ring_size = 8 * VSHM_MAX_LENDS;
	is_lawful();
	return_ring_breaks(VSHM_RULE_RING_SIZE, VSHM_SECTION_DATA, 4);
	return_ring_breaks(VSHM_RULE_RING_SIZE, VSHM_SECTION_DATA, 24);
	return_ring_breaks(VSHM_RULE_RING_SIZE, VSHM_SECTION_DATA, 16 * VSHM_MAX_LENDS);
	return_ring_breaks(VSHM_RULE_RING_SIZE, VSHM_SECTION_DATA, UINT64_C(1) << 63);
	return_ring_breaks(VSHM_RULE_RING_PLACE, VSHM_SECTION_DATA, 0);
	return_ring_breaks(VSHM_RULE_RING_PLACE, 0, 8);
	return_ring_breaks(VSHM_RULE_RING_PLACE, VSHM_SECTION_DATA + 8, 8);
	return_ring_breaks(VSHM_RULE_RING_PLACE, SECTION_SIZE, 8);
}
END_TEST

static void pool_breaks(uint32_t rule, uint64_t offset, uint64_t size)
{
	make_producer();
	sample.kind = VSHM_POOL;
	sample.ring_offset = offset;
	sample.ring_size = size;
	if (rule == VSHM_RULE_RING_SIZE)
		BREAKS(VSHM_RULE_RING_SIZE, ring_size, size);
	else
		BREAKS(VSHM_RULE_RING_PLACE, ring_offset, offset);
}

START_TEST(pools)
{
	make_producer();
	sample.kind = VSHM_POOL;
	sample.ring_size = 3 * VSHM_LINE;
	is_lawful();
	pool_breaks(VSHM_RULE_RING_SIZE, VSHM_SECTION_DATA, 0);
	pool_breaks(VSHM_RULE_RING_SIZE, VSHM_SECTION_DATA, 100);
	pool_breaks(VSHM_RULE_RING_PLACE, VSHM_SECTION_DATA, SECTION_SIZE);
	pool_breaks(VSHM_RULE_RING_PLACE, VSHM_SECTION_DATA - VSHM_LINE, VSHM_LINE);
	pool_breaks(VSHM_RULE_RING_PLACE, UINT64_MAX - VSHM_LINE + 1, VSHM_LINE);
}
END_TEST

/* What the owner writes, step by step, as others read it. */
START_TEST(life_of_an_entry)
{
	struct vshmi_shared_entry *entry = &section.directory[INDEX];
	struct vshm_entry out;
	struct vshm_fault fault;

	memset(&section, 0xff, sizeof(section));
	vshmi_entry_free(entry);
	ck_is(read_back(&out, &fault), -ENOENT);
	make_producer();
	vshmi_entry_open(entry, &sample);
	ck_assert_uint_eq(vshmi_load64(&entry->held) | vshmi_load64(&entry->part) | vshmi_load64(&entry->returned), 0);
	sample.other_peer = 0;
	sample.other_id = 0; /* nobody yet, but a consumer may have done with one */
	ck_ok(read_back(&out, &fault));
	memset(out.reserved1, 0, sizeof(out.reserved1));
	memset(out.reserved2, 0, sizeof(out.reserved2));
	memset(out.reserved3, 0, sizeof(out.reserved3));
	ck_assert_mem_eq(&out, &sample, sizeof(out));
	ck_assert_uint_eq(vshmi_entry_id(entry), 77);
	vshmi_entry_set_other(entry, 1, 2, 3, 4096);
	ck_ok(read_back(&out, &fault));
	ck_assert(out.other_peer == 1 && out.other_incarnation == 2 && out.other_id == 3 && out.other_start == 4096);
	vshmi_entry_set_other(entry, 0, 0, 0, 0);
	ck_ok(read_back(&out, &fault));
	ck_assert_uint_eq(out.other_id, 0);
	vshmi_entry_free(entry);
	ck_is(read_back(&out, &fault), -ENOENT);
	ck_assert_uint_eq(vshmi_entry_id(entry), 0);
}
END_TEST

/* The neighbours are nobody's business. */
START_TEST(an_entry_is_read_alone)
{
	make_producer();
	memset(&section, 0xff, sizeof(section));
	is_lawful();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire_entry");
	TCase *tcase = tcase_create("rules");

	tcase_add_test(tcase, lawful_ones);
	tcase_add_test(tcase, nobody_is_named);
	tcase_add_test(tcase, free_ones_are_not_looked_at);
	tcase_add_test(tcase, entry_rules);
	tcase_add_test(tcase, ring_rules);
	tcase_add_test(tcase, grant_rules);
	tcase_add_test(tcase, grants_in_the_table);
	tcase_add_test(tcase, return_rings);
	tcase_add_test(tcase, pools);
	tcase_add_test(tcase, life_of_an_entry);
	tcase_add_test(tcase, an_entry_is_read_alone);
	suite_add_tcase(suite, tcase);
	return unit_run("wire_entry", suite);
}
