/* SPDX-License-Identifier: BSD-3-Clause */
/* transport: files that shrink under a peer, and disks, limits and huge pages that do not suffice. */
#include "transport_files.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

START_TEST(truncated_under_a_peer)
{
	struct vshmi_transport t;

	flat();
	open_region(&t, uri, false);
	ck_assert_int_eq(truncate(path, SEGMENT_SIZE - 1), 0);
	ck_is(t.ops->status(&t), -ENODEV);
	t.ops->close(&t);
	destroy();
	split(2);
	open_region(&t, uri, false);
	ck_assert_int_eq(truncate(peer_file(1), 0), 0);
	ck_ok(t.ops->status(&t)); /* another peer's is that one's affair */
	t.segment[1].own = true;
	ck_is(t.ops->status(&t), -ENODEV);
	t.ops->close(&t);
	destroy();
}
END_TEST

START_TEST(one_peers_file_is_replaced)
{
	struct vshmi_transport t;

	split(2);
	open_region(&t, uri, false);
	ck_assert_int_eq(unlink(peer_file(1)), 0);
	ck_ok(t.ops->status(&t));
	t.segment[1].own = true;
	ck_is(t.ops->status(&t), -ESTALE);
	t.ops->close(&t);
	destroy();
}
END_TEST

static void create_with_a_limit(void)
{
	const struct rlimit limit = {SEGMENT_SIZE - 1, SEGMENT_SIZE - 1};
	struct vshmi_shape shape = shape_of(1, false);
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	must(!setrlimit(RLIMIT_FSIZE, &limit));
	must(find_and_create(&t, uri, &shape, why) == -ENOSPC);
	must(strstr(why, "ulimit -f"));
	must(find_and_create(&t, "inproc:x", &shape, why) == -ENOSPC);
	_exit(0);
}

/* The kernel would send SIGXFSZ, which ends the program. */
START_TEST(file_size_limit)
{
	int entries = support_count_entries(support_dir());
	pid_t pid;

	begin();
	pid = support_fork();
	if (!pid)
		create_with_a_limit();
	ck_is(support_wait(pid, SUPPORT_LONG), 0);
	ck_assert_int_eq(support_count_entries(support_dir()), entries);
}
END_TEST

START_TEST(no_descriptors)
{
	const struct rlimit few = {12, 12};
	pid_t pid;

	split(16);
	pid = support_fork();
	if (!pid) {
		struct vshmi_transport t;
		char why[VSHM_WHY_SIZE] = "";

		must(!setrlimit(RLIMIT_NOFILE, &few));
		must(find_and_open(&t, uri, false, why) == -ENOMEM);
		must(strstr(why, "open"));
		_exit(0);
	}
	ck_is(support_wait(pid, SUPPORT_LONG), 0);
	destroy();
}
END_TEST

/* ---- file systems of their own: need root and a mount namespace ---- */

static bool mount_here(const char *type, const char *options, unsigned long flags)
{
	return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) && !mkdir(other, 0755) &&
	       !mount("none", other, type, flags, options);
}

static void in_a_namespace(const char *name, void (*body)(void))
{
	pid_t pid;
	int status;

	begin();
	snprintf(uri, sizeof(uri), "file:%.*s/x", PATH_MAX - 10, other);
	pid = support_fork();
	if (!pid) {
		body();
		_exit(0);
	}
	status = support_wait(pid, SUPPORT_LONG);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("skip: %s: cannot mount that here (needs root and mount namespaces)\n", name);
	else
		ck_is(status, 0);
	(void)rmdir(other);
}

/* On a small disk only: were it not refused before any is taken, all of /dev/shm and of the memory would be. */
static void take_more_than_there_is(void)
{
	struct vshmi_shape shape = shape_of(1, false);
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	if (!mount_here("tmpfs", "size=1m", 0))
		_exit(77);
	shape.segment_size = UINT64_C(1) << 50;
	must(find_and_create(&t, uri, &shape, why) == -ENOSPC);
	must(strstr(why, "needs 1073741824 MiB"));
	/* Each would fit; all of them do not. Or their sum is no number. */
	shape = shape_of(64, true);
	must(find_and_create(&t, uri, &shape, why) == -ENOSPC);
	must(strstr(why, "needs 16 MiB, and only 1 MiB"));
	shape.segment_size = UINT64_C(1) << 58;
	must(find_and_create(&t, uri, &shape, why) == -ENOSPC);
	must(support_count_entries(other) == 0);
}

START_TEST(more_than_there_is)
{
	in_a_namespace("more_than_there_is", take_more_than_there_is);
}
END_TEST

static void fill_a_small_disk(void)
{
	struct vshmi_shape shape = shape_of(1, false);
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	if (!mount_here("tmpfs", "size=640k", 0))
		_exit(77);
	make_region(uri, &shape);
	snprintf(uri, sizeof(uri), "file:%.*s/y", PATH_MAX - 10, other);
	shape.segment_size = 2 * SEGMENT_SIZE;
	must(find_and_create(&t, uri, &shape, why) == -ENOSPC);
	must(strstr(why, "needs 512 KiB, and only 384 KiB"));
	must(support_count_entries(other) == 1);
	shape = shape_of(2, true);
	must(find_and_create(&t, uri, &shape, why) == -ENOSPC);
	must(support_count_entries(other) == 1);
	/* Exactly full is not too full. */
	shape = shape_of(1, false);
	shape.segment_size = 384 << 10;
	make_region(uri, &shape);
}

START_TEST(small_disk)
{
	in_a_namespace("small_disk", fill_a_small_disk);
}
END_TEST

/* Its last files: directory entries run out before bytes do. */
static void fill_a_disk_of_few_files(void)
{
	struct vshmi_shape shape = shape_of(4, true);
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	if (!mount_here("tmpfs", "nr_inodes=5", 0))
		_exit(77);
	/* The files need no entries until they are published. */
	must(!find_and_create(&t, uri, &shape, why));
	must(t.ops->publish(&t, why) == -ENOSPC);
	t.ops->close(&t);
	must(support_count_entries(other) == 0);
	shape = shape_of(2, true);
	make_region(uri, &shape);
}

START_TEST(few_files)
{
	in_a_namespace("few_files", fill_a_disk_of_few_files);
}
END_TEST

static void use_a_read_only_disk(void)
{
	struct vshmi_shape shape = shape_of(1, false);
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	if (!mount_here("tmpfs", "size=1m", 0))
		_exit(77);
	make_region(uri, &shape);
	must(!mount("none", other, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL));
	must(find_and_open(&t, uri, false, why) == -EACCES);
	must(strstr(why, "read-only file system"));
	must(!find_and_open(&t, uri, true, why));
	must(!t.segment[0].can_write);
	t.ops->close(&t);
	must(find_and_destroy(uri, why) == -EACCES);
	snprintf(uri, sizeof(uri), "file:%.*s/y", PATH_MAX - 10, other);
	must(find_and_create(&t, uri, &shape, why) == -EACCES);
}

START_TEST(read_only_disk)
{
	in_a_namespace("read_only_disk", use_a_read_only_disk);
}
END_TEST

static void use_huge_pages(void)
{
	const struct vshmi_transport_ops *ops;
	struct vshmi_shape shape = shape_of(1, false);
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;
	struct vshmi_uri parsed;
	uint64_t page;
	int error;

	if (!mount_here("hugetlbfs", "pagesize=2M", 0))
		_exit(77);
	must(!vshmi_transport_find(uri, &parsed, &ops, NULL));
	must(!ops->page(&parsed, &page, NULL) && page == 2 << 20);
	must(find_and_create(&t, uri, &shape, why) == -EINVAL);
	must(strstr(why, "multiple of 2097152"));
	shape.segment_size = page;
	error = find_and_create(&t, uri, &shape, why);
	if (error) { /* none are reserved on this machine: said so, and nothing is left */
		must(error == -ENOSPC && strstr(why, "nr_hugepages"));
		must(support_count_entries(other) == 0);
		return;
	}
	must(!t.ops->publish(&t, why));
	must((uintptr_t)t.segment[0].base % page == 0);
	t.ops->close(&t);
	must(!find_and_open(&t, uri, false, why));
	must(t.segment[0].size == page && (uintptr_t)t.segment[0].base % page == 0);
	t.ops->close(&t);
}

START_TEST(huge_pages)
{
	in_a_namespace("huge_pages", use_huge_pages);
}
END_TEST

static void add_all(TCase *tc)
{
	tcase_add_test(tc, truncated_under_a_peer);
	tcase_add_test(tc, one_peers_file_is_replaced);
	tcase_add_test(tc, more_than_there_is);
	tcase_add_test(tc, file_size_limit);
	tcase_add_test(tc, no_descriptors);
	tcase_add_test(tc, small_disk);
	tcase_add_test(tc, few_files);
	tcase_add_test(tc, read_only_disk);
	tcase_add_test(tc, huge_pages);
}

int main(void)
{
	Suite *suite = suite_create("transport: shortage");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	add_all(tc);
	suite_add_tcase(suite, tc);
	return unit_run("transport-shortage", suite);
}
