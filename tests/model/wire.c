/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Publication of the structures of a region: one writes, another reads at the same time with the real validators, and
 * gets one of the states that were ever published, or is told to come again. Never a mixture, and never an accusation
 * of a writer that did nothing wrong.
 */
#include "ring/ring.h"
#include "scenarios.h"

#define PEERS 4
#define SECTION_SIZE UINT64_C(0x20000)

static struct vshmi_shared_superblock superblock;
static struct vshmi_shared_section section;

static bool zero_words(const void *memory, size_t size)
{
	const unsigned char *bytes = memory;

	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Words of `before` and `after` that are equal need no exploring. */
static void quiet_where_equal(const void *shared, const void *before, const void *after, size_t size)
{
	for (size_t i = 0; i < size; i += 8)
		if (!memcmp((const char *)before + i, (const char *)after + i, 8))
			vmc_quiet((const char *)shared + i, 8);
}

/* ---- superblock: formatted under the eyes of a reader ---- */

static struct vshm_superblock formatted;

static void make_superblock(void)
{
	memset(&formatted, 0, sizeof(formatted));
	formatted.magic = VSHM_MAGIC;
	formatted.layout_version = VSHM_LAYOUT_VERSION;
	formatted.name[0] = 'a';
	formatted.peer_count = formatted.section_count = 1;
	formatted.layout_page = VSHM_MIN_PAGE;
	formatted.segment_size = VSHM_MIN_PAGE + SECTION_SIZE;
	formatted.section[0].offset = VSHM_MIN_PAGE;
	formatted.section[0].size = SECTION_SIZE;
}

static void declare_superblock(void)
{
	make_superblock();
	vmc_name(&superblock, sizeof(superblock), "superblock");
	vmc_name(&superblock.word[0], 8, "magic");
	for (size_t i = 1; i < VSHM_SUPERBLOCK_SIZE / 8; i++)
		if (i != 1 && zero_words((const char *)&formatted + 8 * i, 8))
			vmc_quiet(&superblock.word[i], 8);
}

static void setup_superblock(void)
{
	memset(&superblock, 0, sizeof(superblock));
}

static void format(void)
{
	struct vshm_superblock copy = formatted;

	vshmi_superblock_write(&superblock, &copy);
}

static void read_superblock(void)
{
	struct vshm_superblock copy;
	struct vshm_fault fault = VSHM_FAULT_INIT;
	int rc = vshmi_superblock_read(&superblock, formatted.segment_size, &copy, &fault);

	if (rc)
		VMC_ASSERT(fault.rule == VSHM_RULE_ZERO || fault.rule == VSHM_RULE_MAGIC, "accused: rule %u",
			   fault.rule);
	else
		VMC_ASSERT(copy.segment_size == formatted.segment_size, "half of a superblock");
}

/* ---- identity: another incarnation takes the slot ---- */

static struct vshm_identity first_owner, second_owner;

static void make_identity(struct vshm_identity *identity, uint64_t number)
{
	memset(identity, 0, sizeof(*identity));
	identity->incarnation = number;
	identity->state = number % 2 ? VSHM_SECTION_LIVE : VSHM_SECTION_CLOSING;
	identity->ways = VSHM_WAY_FUTEX;
	identity->attached_ns = number;
	identity->pid = (uint32_t)number;
	identity->label[0] = (char)('0' + number);
	identity->label[62] = '\0';
}

static void declare_identity(void)
{
	make_identity(&first_owner, 1);
	make_identity(&second_owner, 2);
	vmc_name(section.identity, sizeof(section.identity), "identity");
	vmc_name(&section.identity[0], 8, "incarnation");
	quiet_where_equal(section.identity, &first_owner, &second_owner, sizeof(first_owner));
}

static void setup_identity(void)
{
	memset(&section, 0, sizeof(section));
	memcpy(section.identity, &first_owner, sizeof(first_owner));
}

static void take_slot(void)
{
	vshmi_identity_write(&section, &second_owner);
	vshmi_incarnation_publish(&section, second_owner.incarnation);
}

static bool is_identity(const struct vshm_identity *a, const struct vshm_identity *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void read_identity(void)
{
	struct vshm_identity copy;
	struct vshm_fault fault = VSHM_FAULT_INIT;
	int rc = vshmi_identity_read(&section, &copy, &fault);

	VMC_ASSERT(!rc || rc == -EAGAIN, "accused: rule %u", fault.rule);
	if (!rc && copy.incarnation)
		VMC_ASSERT(is_identity(&copy, &first_owner) || is_identity(&copy, &second_owner), "a mixed identity");
}

/* ---- entry: freed and used again for another ring ---- */

static struct vshm_entry first_ring, second_ring;

static void make_entry(struct vshm_entry *entry, uint64_t number)
{
	memset(entry, 0, sizeof(*entry));
	entry->id = number;
	entry->kind = VSHM_PRODUCER;
	entry->name[0] = (char)('0' + number);
	entry->ring_offset = VSHM_SECTION_DATA;
	entry->ring_size = VSHM_MIN_RING << number % 4;
	entry->state = VSHM_END_OPEN;
	entry->position = 4096 * number;
}

static void name_entry(void)
{
	struct vshmi_shared_entry *entry = &section.directory[0];

	vmc_name(entry, sizeof(*entry), "entry");
	vmc_name(&entry->what[0], 8, "entry's id");
	vmc_name(&entry->state, 4, "entry's state");
	vmc_name(&entry->other_id, 8, "other's id");
	vmc_name(&entry->other_peer, 4, "other's peer");
	vmc_name(&entry->position, 8, "position");
	quiet_where_equal(entry->what, &first_ring, &second_ring, sizeof(entry->what));
	vmc_quiet(entry->counters, sizeof(entry->counters));
	vmc_quiet(&entry->armed, 8);
}

static void declare_entry(void)
{
	struct vshmi_shared_entry *entry = &section.directory[0];

	make_entry(&first_ring, 7);
	make_entry(&second_ring, 9);
	second_ring.name[0] = first_ring.name[0];
	name_entry();
	vmc_quiet(&entry->other_incarnation, 8);
}

static void setup_entry(void)
{
	memset(&section, 0, sizeof(section));
	memcpy(&section.directory[0], &first_ring, sizeof(first_ring));
	vshmi_entry_set_other(&section.directory[0], 1, 0, 100, 1000);
}

static void reuse_entry(void)
{
	vshmi_entry_free(&section.directory[0]);
	vshmi_entry_open(&section.directory[0], &second_ring);
}

static void read_entry(void)
{
	struct vshm_entry copy;
	struct vshm_fault fault = VSHM_FAULT_INIT;
	int rc = vshmi_entry_read(&section, 0, SECTION_SIZE, PEERS, &copy, &fault);

	VMC_ASSERT(!rc || rc == -EAGAIN || rc == -ENOENT, "accused: rule %u", fault.rule);
	if (rc)
		return;
	VMC_ASSERT(copy.id == 7 || copy.id == 9, "id %llu", (unsigned long long)copy.id);
	VMC_ASSERT(copy.ring_size == VSHM_MIN_RING << copy.id % 4, "the ring of another entry");
	VMC_ASSERT(copy.position == 4096 * copy.id, "the position of another entry");
	if (copy.other_id)
		VMC_ASSERT(copy.id == 7 && copy.other_peer == 1 && copy.other_start == 1000, "a mixed grant");
}

/* Somebody who looks whether the entry is still that of his ring. */
static void watch_entry(void)
{
	uint64_t id = vshmi_entry_id(&section.directory[0]);

	VMC_ASSERT(id == 0 || id == 7 || id == 9, "id %llu", (unsigned long long)id);
	if (id == 9)
		VMC_ASSERT(vshmi_load64(&section.directory[0].position) == 4096 * 9, "an id before its entry");
}

/* ---- the other end: granted to one, then to another ---- */

static void declare_grant(void)
{
	struct vshmi_shared_entry *entry = &section.directory[0];

	make_entry(&first_ring, 7);
	second_ring = first_ring;
	name_entry();
	vmc_quiet(&entry->state, 4);
	vmc_quiet(&entry->position, 8);
}

static void setup_grant(void)
{
	memset(&section, 0, sizeof(section));
	memcpy(&section.directory[0], &first_ring, sizeof(first_ring));
	vshmi_entry_set_other(&section.directory[0], 1, 10, 100, 1000);
}

static void grant_another(void)
{
	vshmi_entry_set_other(&section.directory[0], 2, 20, 200, 2000);
}

static void read_grant(void)
{
	struct vshm_entry copy;
	struct vshm_fault fault = VSHM_FAULT_INIT;
	int rc = vshmi_entry_read(&section, 0, SECTION_SIZE, PEERS, &copy, &fault);

	VMC_ASSERT(!rc || rc == -EAGAIN, "accused: rule %u", fault.rule);
	if (rc || !copy.other_id)
		return;
	VMC_ASSERT(copy.other_id == copy.other_peer * 100 && copy.other_incarnation == copy.other_peer * 10 &&
			   copy.other_start == copy.other_peer * 1000,
		   "a mixed grant");
}

/* ---- the consumer's entry is used again, and its producer still looks at the head ---- */

static struct vshmi_word64 own_tail, own_armed;
static unsigned char own_ring[VSHM_MIN_RING];
static struct vshmi_tx tx;

static void declare_head(void)
{
	make_entry(&first_ring, 7);
	make_entry(&second_ring, 9);
	first_ring.kind = second_ring.kind = VSHM_CONSUMER;
	first_ring.ring_offset = second_ring.ring_offset = first_ring.ring_size = second_ring.ring_size = 0;
	second_ring.name[0] = first_ring.name[0];
	first_ring.position = 64;
	second_ring.position = VSHM_NOT_STARTED;
	name_entry();
	vmc_name(&section.directory[0].position, 8, "head");
	vmc_quiet(&section.directory[0].other_peer, 4);
	vmc_quiet(&section.directory[0].other_incarnation, 24);
}

static void setup_head(void)
{
	memset(&section, 0, sizeof(section));
	memcpy(&section.directory[0], &first_ring, sizeof(first_ring));
	vshmi_tx_init(&tx, own_ring, sizeof(own_ring), &own_tail, &own_armed);
	tx.tail = 128;
	vshmi_tx_connect(&tx, 64, &section.directory[0].position, NULL, true);
	vshmi_tx_bind(&tx, &section.directory[0].what[0], 7);
}

static void start_elsewhere(void)
{
	reuse_entry();
	vshmi_store_release64(&section.directory[0].position, 4096); /* as vshmi_rx_connect() */
}

static void look_at_head(void)
{
	int rc = vshmi_tx_drained(&tx);

	VMC_ASSERT(rc == -EAGAIN && tx.head == 64, "the head of another: rule %u", tx.fault.rule);
}

/* ---- the same for a producer's entry, whose consumer still looks at the tail ---- */

static struct vshmi_word64 own_head;
static struct vshmi_rx rx;

static void declare_tail(void)
{
	make_entry(&first_ring, 7);
	make_entry(&second_ring, 9);
	second_ring.name[0] = first_ring.name[0];
	second_ring.ring_size = first_ring.ring_size;
	first_ring.position = 64;
	second_ring.position = 0;
	name_entry();
	vmc_name(&section.directory[0].position, 8, "tail");
	vmc_quiet(&section.directory[0].other_peer, 4);
	vmc_quiet(&section.directory[0].other_incarnation, 24);
}

static void setup_tail(void)
{
	memset(&section, 0, sizeof(section));
	memcpy(&section.directory[0], &first_ring, sizeof(first_ring));
	vshmi_rx_init(&rx, &own_head, &own_armed);
	vshmi_rx_connect(&rx, own_ring, sizeof(own_ring), 64, &section.directory[0].position, &own_armed, true);
	vshmi_rx_bind(&rx, &section.directory[0].what[0], 7);
}

static void produce_elsewhere(void)
{
	reuse_entry();
	vshmi_store_release64(&section.directory[0].position, 128); /* as vshmi_tx_publish() */
}

static void look_at_tail(void)
{
	int rc = vshmi_rx_refresh(&rx);

	VMC_ASSERT(rc == -EAGAIN && rx.tail == 64, "the tail of another: rule %u", rx.fault.rule);
}

/* ---- two producers of one name, each in its own section: never both go on ---- */

static struct vshmi_shared_section sections[2];
static bool went_on[2];

static void declare_rivals(void)
{
	make_entry(&first_ring, 7);
	for (unsigned i = 0; i < 2; i++) {
		vmc_name(&sections[i].directory[0], sizeof(first_ring), "entry");
		vmc_quiet(&sections[i].directory[0], sizeof(first_ring));
		vmc_name(&sections[i].directory[0].what[0], 8, "entry's id");
		vmc_name(&sections[i].directory[0].state, 4, "entry's state");
	}
}

static void setup_rivals(void)
{
	for (unsigned i = 0; i < 2; i++) {
		memcpy(&sections[i].directory[0], &first_ring, sizeof(first_ring));
		vshmi_store64(&sections[i].directory[0].armed, 0);
		vshmi_entry_free(&sections[i].directory[0]);
		went_on[i] = true;
	}
}

/* As open_locked() of src/end/producer.c. */
static void open_rival(unsigned self)
{
	struct vshm_entry copy;
	struct vshm_fault fault = VSHM_FAULT_INIT;
	int rc;

	vshmi_entry_open(&sections[self].directory[0], &first_ring);
	vshmi_fence_full();
	rc = vshmi_entry_read(&sections[!self], 0, SECTION_SIZE, PEERS, &copy, &fault);
	VMC_ASSERT(rc != -EPROTO, "accused: rule %u", fault.rule);
	went_on[self] = rc == -ENOENT;
}

static void open_first(void)
{
	open_rival(0);
}

static void open_second(void)
{
	open_rival(1);
}

static void finish_rivals(void)
{
	VMC_ASSERT(!went_on[0] || !went_on[1], "two producers of one name");
}

#define SCENARIO(title, what, write, read) SCENARIO_WITH(3, title, what, write, read)
#define SCENARIO_WITH(bound, title, what, write, read) \
	{ \
		.name = title, .declare = declare_##what, .setup = setup_##what, \
		.thread = {{"writer", write}, {"reader", read}}, .preemptions = (bound), .stale = (bound), \
	}

const struct vmc_scenario wire_scenarios[] = {
	SCENARIO_WITH(2, "superblock", superblock, format, read_superblock),
	SCENARIO("identity", identity, take_slot, read_identity),
	SCENARIO("entry", entry, reuse_entry, read_entry),
	SCENARIO("entry's id", entry, reuse_entry, watch_entry),
	SCENARIO("grant", grant, grant_another, read_grant),
	SCENARIO("head of a reused entry", head, start_elsewhere, look_at_head),
	SCENARIO("tail of a reused entry", tail, produce_elsewhere, look_at_tail),
	{
		.name = "two producers of one name",
		.declare = declare_rivals,
		.setup = setup_rivals,
		.finish = finish_rivals,
		.thread = {{"rival", open_first}, {"rival", open_second}},
		.preemptions = 3,
		.stale = 3,
	},
};
const unsigned wire_scenario_count = sizeof(wire_scenarios) / sizeof(wire_scenarios[0]);
