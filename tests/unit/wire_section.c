/* SPDX-License-Identifier: BSD-3-Clause */
/* wire: the identity of a section, its alive word, the headers of records. */
#include "unit.h"
#include "wire/wire.h"

static struct vshmi_shared_section section;
static struct vshm_identity sample;

static void make_sample(void)
{
	memset(&sample, 0, sizeof(sample));
	sample.incarnation = 0x1122334455667788;
	sample.state = VSHM_SECTION_LIVE;
	sample.ways = VSHM_WAY_FUTEX | VSHM_WAY_MEMBARRIER | VSHM_WAY_KEEPER | VSHM_WAY_DOORBELL | VSHM_WAY_RINGS;
	memset(sample.machine_id, 0xff, sizeof(sample.machine_id));
	memset(sample.boot_id, 0xfe, sizeof(sample.boot_id));
	sample.pid_namespace = sample.start_ticks = sample.attached_ns = UINT64_MAX;
	sample.pid = sample.uid = sample.beat_ms = sample.ivshmem_id = UINT32_MAX;
	strcpy(sample.label, "camera.1");
}

static void write_sample(void)
{
	vshmi_identity_write(&section, &sample);
	vshmi_incarnation_publish(&section, sample.incarnation);
}

START_TEST(lawful_identities)
{
	struct vshm_identity out;
	struct vshm_fault fault;

	make_sample();
	for (uint32_t state = VSHM_SECTION_FREE; state <= VSHM_SECTION_CLOSING; state++)
		for (uint32_t ways = 0; ways < 32; ways++) {
			sample.state = state;
			sample.ways = ways;
			write_sample();
			ck_ok(vshmi_identity_read(&section, &out, &fault));
			ck_assert_mem_eq(&out, &sample, sizeof(out));
			ck_assert_uint_eq(vshmi_incarnation_load(&section), sample.incarnation);
		}
}
END_TEST

/* Until the incarnation is published there is nobody, whatever else stands there. */
START_TEST(nobody_yet)
{
	struct vshm_identity out, zero;
	struct vshm_fault fault;

	memset(&zero, 0, sizeof(zero));
	memset(&section, 0, sizeof(section));
	ck_ok(vshmi_identity_read(&section, &out, &fault));
	ck_assert_mem_eq(&out, &zero, sizeof(out));
	make_sample();
	write_sample();
	sample.state = 77;
	vshmi_identity_write(&section, &sample);
	ck_assert_uint_eq(vshmi_incarnation_load(&section), 0);
	ck_ok(vshmi_identity_read(&section, &out, &fault));
	ck_assert_mem_eq(&out, &zero, sizeof(out));
}
END_TEST

static void breaks(uint32_t rule, size_t offset, uint64_t value)
{
	struct vshm_identity out, untouched;
	struct vshm_fault fault = VSHM_FAULT_INIT;

	memset(&out, 0x5a, sizeof(out));
	untouched = out;
	write_sample();
	ck_is(vshmi_identity_read(&section, &out, &fault), -EPROTO);
	ck_assert_uint_eq(fault.rule, rule);
	ck_assert_uint_eq(fault.offset, offset);
	ck_assert_uint_eq(fault.value, value);
	ck_assert_mem_eq(&out, &untouched, sizeof(out));
	make_sample();
}

#define BREAKS(rule, field, value) breaks(rule, offsetof(struct vshm_identity, field), value)

START_TEST(unlawful_identities)
{
	make_sample();
	sample.state = 3;
	BREAKS(VSHM_RULE_STATE, state, 3);
	sample.state = UINT32_MAX;
	BREAKS(VSHM_RULE_STATE, state, UINT32_MAX);
	sample.ways = 32;
	BREAKS(VSHM_RULE_WAYS, ways, 32);
	sample.ways = UINT32_MAX;
	BREAKS(VSHM_RULE_WAYS, ways, UINT32_MAX);
	sample.label[0] = '\0';
	BREAKS(VSHM_RULE_LABEL, label, 0);
	sample.label[3] = '\033';
	BREAKS(VSHM_RULE_LABEL, label, 0);
	memset(sample.label, 'a', sizeof(sample.label));
	BREAKS(VSHM_RULE_LABEL, label, 0);
	sample.label[63] = 1;
	BREAKS(VSHM_RULE_LABEL, label, 0);
}
END_TEST

START_TEST(closing_changes_two_words_at_once)
{
	struct vshm_identity out;
	struct vshm_fault fault;

	make_sample();
	write_sample();
	vshmi_section_state_store(&section, VSHM_SECTION_CLOSING, VSHM_WAY_FUTEX);
	ck_ok(vshmi_identity_read(&section, &out, &fault));
	ck_assert_uint_eq(out.state, VSHM_SECTION_CLOSING);
	ck_assert_uint_eq(out.ways, VSHM_WAY_FUTEX);
	ck_assert_uint_eq(out.incarnation, sample.incarnation);
	ck_assert_mem_eq(out.label, sample.label, sizeof(out.label));
}
END_TEST

START_TEST(alive_words)
{
	const uint32_t lawful[] = {0, VSHM_ALIVE_EVICTED, VSHM_ALIVE_WAITERS | 1, VSHM_ALIVE_WAITERS | VSHM_ALIVE_TID,
				   VSHM_ALIVE_WAITERS | VSHM_ALIVE_DIED};
	const uint32_t unlawful[] = {1,
				     VSHM_ALIVE_TID,
				     VSHM_ALIVE_WAITERS,
				     VSHM_ALIVE_DIED,
				     VSHM_ALIVE_DIED | 1,
				     VSHM_ALIVE_WAITERS | VSHM_ALIVE_DIED | 2,
				     UINT32_MAX};

	for (size_t i = 0; i < sizeof(lawful) / sizeof(lawful[0]); i++)
		ck_assert(vshmi_alive_ok(lawful[i]));
	for (size_t i = 0; i < sizeof(unlawful) / sizeof(unlawful[0]); i++)
		ck_assert(!vshmi_alive_ok(unlawful[i]));
}
END_TEST

START_TEST(record_headers)
{
	const uint32_t sizes[] = {0, 1, 8, 1u << 30, UINT32_MAX};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (uint64_t sequence = 0; sequence < UINT64_C(1) << 26; sequence += 0x7fffff) {
			uint64_t header = vshmi_record_pack(sizes[i], VSHM_RECORD_DATA, sequence);

			ck_assert_uint_eq(vshmi_record_size(header), sizes[i]);
			ck_assert_uint_eq(vshmi_record_tag(header), vshmi_record_make_tag(VSHM_RECORD_DATA, sequence));
			ck_assert_uint_eq(vshmi_record_tag(header) >> 8, sequence & 0xffffff);
			ck_assert_uint_eq(vshmi_record_tag(header) & 0xff, VSHM_RECORD_DATA);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire_section");
	TCase *tcase = tcase_create("rules");

	tcase_add_test(tcase, lawful_identities);
	tcase_add_test(tcase, nobody_yet);
	tcase_add_test(tcase, unlawful_identities);
	tcase_add_test(tcase, closing_changes_two_words_at_once);
	tcase_add_test(tcase, alive_words);
	tcase_add_test(tcase, record_headers);
	suite_add_tcase(suite, tcase);
	return unit_run("wire_section", suite);
}
