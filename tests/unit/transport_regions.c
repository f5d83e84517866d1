/* SPDX-License-Identifier: BSD-3-Clause */
/* transport: what every transport does in the same way: create, publish, open, protect, replace, destroy. */
#include "transport_help.h"

enum kind { FLAT, SPLIT, INPROC, INPROC_SPLIT, KINDS };

struct place {
	char uri[PATH_MAX + 8];
	char path[PATH_MAX]; /* empty for inproc: */
	struct vshmi_shape shape;
	bool split;
};

static void place(struct place *p, int kind)
{
	memset(p, 0, sizeof(*p));
	p->split = kind == SPLIT || kind == INPROC_SPLIT;
	p->shape = shape_of(p->split ? 3 : 1, p->split);
	if (kind >= INPROC) {
		snprintf(p->uri, sizeof(p->uri), "inproc:net0");
		return;
	}
	path_of(p->path, p->split ? "split" : "flat");
	snprintf(p->uri, sizeof(p->uri), "file:%s", p->path);
}

static bool exists(const struct place *p)
{
	struct vshmi_transport t;

	if (find_and_open(&t, p->uri, true, NULL))
		return false;
	t.ops->close(&t);
	return true;
}

START_TEST(appears_in_one_step)
{
	static const unsigned char zeros[SEGMENT_SIZE];
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;
	struct place p;

	place(&p, _i);
	ck_ok(find_and_create(&t, p.uri, &p.shape, why));
	ck_assert(!exists(&p));
	ck_assert_uint_eq(t.segment_count, p.shape.segments);
	for (uint32_t i = 0; i < t.segment_count; i++) {
		ck_assert_uint_eq(t.segment[i].size, SEGMENT_SIZE);
		ck_assert_uint_eq((uintptr_t)t.segment[i].base % VSHM_MIN_PAGE, 0);
		ck_assert_mem_eq(t.segment[i].base, zeros, SEGMENT_SIZE);
		t.segment[i].base[SEGMENT_SIZE - 1] = 7;
	}
	ck_ok(t.ops->publish(&t, why));
	ck_assert(exists(&p));
	ck_ok(t.ops->status(&t));
	t.ops->close(&t);
	ck_assert(exists(&p));
	ck_ok(find_and_destroy(p.uri, why));
	ck_assert(!exists(&p));
}
END_TEST

START_TEST(nothing_stays_without_publish)
{
	struct vshmi_transport t;
	struct place p;
	int fds, entries = support_count_entries(support_dir());

	place(&p, _i);
	fds = support_count_fds();
	ck_ok(find_and_create(&t, p.uri, &p.shape, NULL));
	t.ops->close(&t);
	ck_assert(!exists(&p));
	ck_assert_int_eq(support_count_fds(), fds);
	ck_assert_int_eq(support_count_entries(support_dir()), entries);
}
END_TEST

START_TEST(all_memory_is_allocated)
{
	struct vshmi_transport t;
	char file[PATH_MAX + 16];
	struct place p;
	struct stat st;

	place(&p, _i);
	if (!p.path[0])
		return;
	make_region(p.uri, &p.shape);
	open_region(&t, p.uri, true);
	for (uint32_t i = 0; i < t.segment_count; i++) {
		if (p.split)
			snprintf(file, sizeof(file), "%s/peer-%u", p.path, i);
		else
			snprintf(file, sizeof(file), "%s", p.path);
		ck_assert_int_eq(lstat(file, &st), 0);
		ck_assert_int_ge(st.st_blocks * 512, (long)SEGMENT_SIZE);
		ck_assert_int_eq(st.st_size, (long)SEGMENT_SIZE);
	}
	t.ops->close(&t);
	ck_ok(find_and_destroy(p.uri, NULL));
}
END_TEST

START_TEST(two_opens_share_memory)
{
	struct vshmi_transport a, b, watcher;
	struct place p;

	place(&p, _i);
	make_region(p.uri, &p.shape);
	open_region(&a, p.uri, false);
	open_region(&b, p.uri, false);
	open_region(&watcher, p.uri, true);
	ck_assert_uint_eq(a.segment_count, p.shape.segments);
	for (uint32_t i = 0; i < a.segment_count; i++) {
		ck_assert(a.segment[i].can_write);
		ck_assert(!writable(a.segment[i].base));
		ck_ok(vshmi_transport_protect(&a, i, 0, SEGMENT_SIZE, true));
		a.segment[i].base[5] = (unsigned char)(i + 1);
		ck_assert_uint_eq(b.segment[i].base[5], i + 1);
		ck_assert_uint_eq(watcher.segment[i].base[5], i + 1);
	}
	ck_assert(a.same_kernel);
	ck_assert_uint_eq(a.facts & (VSHM_FACT_CACHED | VSHM_FACT_RMW), VSHM_FACT_CACHED | VSHM_FACT_RMW);
	ck_assert_int_eq(!!(a.facts & VSHM_FACT_ENFORCED), _i == SPLIT);
	a.ops->close(&a);
	b.ops->close(&b);
	watcher.ops->close(&watcher);
	ck_ok(find_and_destroy(p.uri, NULL));
}
END_TEST

START_TEST(parts_become_writable)
{
	struct vshmi_transport t;
	unsigned char *base;
	struct place p;

	place(&p, _i);
	make_region(p.uri, &p.shape);
	open_region(&t, p.uri, false);
	base = t.segment[0].base;
	ck_ok(vshmi_transport_protect(&t, 0, VSHM_MIN_PAGE, VSHM_MIN_PAGE, true));
	ck_assert(!writable(base + VSHM_MIN_PAGE - 1));
	ck_assert(writable(base + VSHM_MIN_PAGE));
	ck_assert(!writable(base + 2 * VSHM_MIN_PAGE));
	ck_ok(vshmi_transport_protect(&t, 0, VSHM_MIN_PAGE, VSHM_MIN_PAGE, false));
	ck_assert(!writable(base + VSHM_MIN_PAGE));
	ck_is(vshmi_transport_protect(&t, 0, 0, SEGMENT_SIZE + 1, true), -EINVAL);
	ck_is(vshmi_transport_protect(&t, 0, UINT64_MAX - 4095, 8192, true), -EINVAL);
	ck_is(vshmi_transport_protect(&t, t.segment_count, 0, 4096, true), -EINVAL);
	t.ops->close(&t);
	ck_ok(find_and_destroy(p.uri, NULL));
}
END_TEST

START_TEST(a_taken_name_is_refused)
{
	struct vshmi_transport late;
	char why[VSHM_WHY_SIZE] = "";
	struct place p;

	place(&p, _i);
	/* Also when the name is taken between create and publish. */
	ck_ok(find_and_create(&late, p.uri, &p.shape, NULL));
	make_region(p.uri, &p.shape);
	cannot_create(p.uri, &p.shape, -EEXIST, "--force");
	ck_is(late.ops->publish(&late, why), -EEXIST);
	check_why(why);
	late.ops->close(&late);
	ck_assert(exists(&p));
	ck_ok(find_and_destroy(p.uri, NULL));
	ck_is(find_and_destroy(p.uri, why), -ENOENT);
	check_why(why);
}
END_TEST

START_TEST(force_replaces)
{
	int entries = support_count_entries(support_dir());
	struct vshmi_transport old, new;
	struct place p;

	place(&p, _i);
	p.shape.force = true;
	make_region(p.uri, &p.shape);
	open_region(&old, p.uri, false);
	ck_ok(vshmi_transport_protect(&old, 0, 0, SEGMENT_SIZE, true));
	old.segment[0].base[0] = 1;
	make_region(p.uri, &p.shape);
	ck_is(old.ops->status(&old), -ESTALE);
	ck_assert_uint_eq(old.segment[0].base[0], 1);
	open_region(&new, p.uri, false);
	ck_assert_uint_eq(new.segment[0].base[0], 0);
	ck_ok(new.ops->status(&new));
	old.ops->close(&old);
	new.ops->close(&new);
	ck_ok(find_and_destroy(p.uri, NULL));
	ck_assert_int_eq(support_count_entries(support_dir()), entries);
}
END_TEST

START_TEST(destroyed_under_a_peer)
{
	struct vshmi_transport t;
	struct place p;

	place(&p, _i);
	make_region(p.uri, &p.shape);
	open_region(&t, p.uri, false);
	ck_ok(find_and_destroy(p.uri, NULL));
	ck_is(t.ops->status(&t), -ESTALE);
	ck_assert_uint_eq(t.segment[0].base[SEGMENT_SIZE - 1], 0);
	t.ops->close(&t);
}
END_TEST

START_TEST(everything_is_given_back)
{
	int fds, mappings;
	struct place p;

	place(&p, _i);
	make_region(p.uri, &p.shape);
	fds = support_count_fds();
	mappings = support_count_mappings();
	for (int i = 0; i < 200; i++) {
		struct vshmi_transport t;

		open_region(&t, p.uri, i % 2);
		t.ops->close(&t);
		t.ops->close(&t); /* a second time does nothing */
	}
	ck_assert_int_eq(support_count_fds(), fds);
	ck_assert_int_le(support_count_mappings(), mappings + 50); /* sanitizers make some, too */
	ck_ok(find_and_destroy(p.uri, NULL));
}
END_TEST

START_TEST(page_of_a_place)
{
	const struct vshmi_transport_ops *ops;
	struct vshmi_uri uri;
	uint64_t page = 0;
	struct place p;

	place(&p, _i);
	ck_ok(vshmi_transport_find(p.uri, &uri, &ops, NULL));
	ck_ok(ops->page(&uri, &page, NULL));
	ck_assert_uint_eq(page, VSHM_MIN_PAGE);
}
END_TEST

/* ---- inproc: only ---- */

#define ROUNDS 300

static void create_and_destroy(void *arg)
{
	struct vshmi_shape shape = shape_of(1, false);

	shape.force = true;
	for (int i = 0; i < ROUNDS; i++) {
		struct vshmi_transport t;

		if (!find_and_open(&t, arg, false, NULL))
			t.ops->close(&t);
		if (!find_and_create(&t, arg, &shape, NULL)) {
			(void)!t.ops->publish(&t, NULL);
			t.ops->close(&t);
		}
		(void)!find_and_destroy(arg, NULL);
	}
}

START_TEST(inproc_from_many_threads)
{
	static char uri[] = "inproc:busy";
	struct vshmi_thread *threads[3];
	int fds = support_count_fds();

	for (int i = 0; i < 3; i++)
		ck_ok(vshmi_thread_start(&threads[i], "busy", create_and_destroy, uri));
	for (int i = 0; i < 3; i++)
		vshmi_thread_join(threads[i]);
	ck_assert_int_eq(support_count_fds(), fds);
}
END_TEST

START_TEST(inproc_names)
{
	struct vshmi_shape shape = shape_of(1, false);
	char why[VSHM_WHY_SIZE];

	cannot_open("inproc:nobody", false, -ENOENT, "create it first");
	cannot_open("inproc:a/b", false, -EINVAL, "a name is");
	cannot_create("inproc:.x", &shape, -EINVAL, "a name is");
	ck_is(find_and_destroy("inproc:-", why), -EINVAL);
}
END_TEST

/* More than the machine has: refused before any is taken. Were it not, this child shall be what the kernel kills. */
START_TEST(inproc_too_large)
{
	struct vshmi_shape shape = shape_of(1, false);
	struct vshmi_transport t;
	pid_t pid = support_fork();
	int fd;

	if (!pid) {
		shape.segment_size = UINT64_C(1) << 50;
		fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1000", 4) != 4)
			_exit(1);
		_exit(find_and_create(&t, "inproc:huge", &shape, NULL) != -ENOSPC);
	}
	ck_is(support_wait(pid, SUPPORT_LONG), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transport: regions");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, appears_in_one_step, 0, KINDS);
	tcase_add_loop_test(tc, nothing_stays_without_publish, 0, KINDS);
	tcase_add_loop_test(tc, all_memory_is_allocated, 0, KINDS);
	tcase_add_loop_test(tc, two_opens_share_memory, 0, KINDS);
	tcase_add_loop_test(tc, parts_become_writable, 0, KINDS);
	tcase_add_loop_test(tc, a_taken_name_is_refused, 0, KINDS);
	tcase_add_loop_test(tc, force_replaces, 0, KINDS);
	tcase_add_loop_test(tc, destroyed_under_a_peer, 0, KINDS);
	tcase_add_loop_test(tc, everything_is_given_back, 0, KINDS);
	tcase_add_loop_test(tc, page_of_a_place, 0, KINDS);
	tcase_add_test(tc, inproc_from_many_threads);
	tcase_add_test(tc, inproc_names);
	tcase_add_test(tc, inproc_too_large);
	suite_add_tcase(suite, tc);
	return unit_run("transport-regions", suite);
}
