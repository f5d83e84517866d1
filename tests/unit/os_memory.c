/* SPDX-License-Identifier: BSD-3-Clause */
/* os: the line that says why, private memory, mappings. */
#include "os/os.h"
#include "unit.h"

#include <vshm/types.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE UINT64_C(65536)

/* ---- why ---- */

START_TEST(why_is_one_clean_line)
{
	char why[VSHM_WHY_SIZE];

	ck_is(vshmi_why(why, -EACCES, "%s: cannot", "a\nb\x1b[31m\x7f\xc2\x9b" "c"), -EACCES);
	ck_assert_str_eq(why, "a?b?[31m???c: cannot");
	ck_is(vshmi_why(why, -ENOENT, "%s", "\xc3\xa4"), -ENOENT);
	ck_assert_str_eq(why, "\xc3\xa4");
	ck_is(vshmi_why(NULL, -EIO, "%d", 1), -EIO);
}
END_TEST

START_TEST(why_is_never_too_long)
{
	char why[VSHM_WHY_SIZE + 1], text[VSHM_WHY_SIZE * 2];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	why[VSHM_WHY_SIZE] = '#';
	ck_is(vshmi_why(why, -EIO, "%s", text), -EIO);
	ck_assert_uint_eq(strlen(why), VSHM_WHY_SIZE - 1);
	ck_assert_str_eq(why + VSHM_WHY_SIZE - 5, "x...");
	ck_assert_int_eq(why[VSHM_WHY_SIZE], '#');
	text[VSHM_WHY_SIZE - 1] = '\0';
	vshmi_why(why, -EIO, "%s", text);
	ck_assert_str_eq(why, text);
}
END_TEST

START_TEST(errors_of_the_system)
{
	ck_is(vshmi_error_of(EPERM), -EACCES);
	ck_is(vshmi_error_of(EROFS), -EACCES);
	ck_is(vshmi_error_of(ENOTDIR), -ENOENT);
	ck_is(vshmi_error_of(EDQUOT), -ENOSPC);
	ck_is(vshmi_error_of(EMFILE), -ENOMEM);
	ck_is(vshmi_error_of(ENAMETOOLONG), -EINVAL);
	ck_is(vshmi_error_of(EBADF), -EIO);
	ck_is(vshmi_error_of(0), -EIO);
}
END_TEST

/* ---- private memory ---- */

START_TEST(memory_is_zero)
{
	unsigned char *p = vshmi_alloc(10000), zeros[10000] = {0};

	ck_assert_ptr_nonnull(p);
	ck_assert_mem_eq(p, zeros, sizeof(zeros));
	vshmi_free(p);
	vshmi_free(NULL);
	ck_assert_uint_gt(vshmi_memory_available(), 1 << 20);
}
END_TEST

START_TEST(private_pages_are_zero_in_a_child)
{
	uint64_t *p = vshmi_alloc_private_pages(8192);
	pid_t pid;

	ck_assert_ptr_nonnull(p);
	p[0] = p[1023] = 42;
	pid = support_fork();
	if (!pid)
		_exit(p[0] || p[1023]);
	ck_is(support_wait(pid, SUPPORT_LONG), 0);
	ck_assert_uint_eq(p[0], 42);
	vshmi_free_private_pages(p, 8192);
	vshmi_free_private_pages(NULL, 8192);
}
END_TEST

/* ---- mappings ---- */

static int make_file(uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* Would a store there fault? Asks the kernel instead of trying. */
static bool writable(void *address)
{
	int fd = open("/dev/zero", O_RDONLY);
	bool can = read(fd, address, 1) == 1;

	close(fd);
	return can;
}

/* From /proc/self/statm: 0 the address space, 1 what is resident; bytes. */
static int64_t memory_used(int which)
{
	long pages[2];
	FILE *f = fopen("/proc/self/statm", "re");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld %ld", &pages[0], &pages[1]), 2);
	fclose(f);
	return (int64_t)pages[which] * sysconf(_SC_PAGESIZE);
}

START_TEST(mappings_are_aligned)
{
	const uint64_t aligns[] = {1, 4096, PAGE, 2 << 20, 32 << 20};
	int error, mappings = support_count_mappings(), fd = make_file(5 * PAGE);
	int64_t before = memory_used(0);
	void *p;

	for (size_t i = 0; i < 200; i++) {
		uint64_t align = aligns[i % (sizeof(aligns) / sizeof(aligns[0]))];

		p = vshmi_map(fd, 5 * PAGE, false, align, &error);
		ck_assert_ptr_nonnull(p);
		ck_is(error, 0);
		ck_assert_uint_eq((uintptr_t)p % align, 0);
		vshmi_unmap(p, 5 * PAGE);
	}
	/* What surrounds an aligned mapping was given back, too. (Sanitizers make mappings of their own.) */
	ck_assert_int_le(support_count_mappings(), mappings + 50);
	ck_assert_int_lt(memory_used(0) - before, 64 << 20);
	vshmi_unmap(NULL, PAGE);
	close(fd);
}
END_TEST

START_TEST(protection_can_be_changed_in_parts)
{
	int error, fd = make_file(4 * PAGE);
	unsigned char *p = vshmi_map(fd, 4 * PAGE, false, PAGE, &error);
	unsigned char *q = vshmi_map(fd, 4 * PAGE, true, PAGE, &error);

	ck_assert(!writable(p));
	ck_assert(writable(q));
	ck_ok(vshmi_map_protect(p + PAGE, PAGE, true));
	ck_assert(!writable(p + PAGE - 1));
	ck_assert(writable(p + PAGE));
	ck_assert(writable(p + 2 * PAGE - 1));
	ck_assert(!writable(p + 2 * PAGE));
	p[PAGE] = 7;
	ck_assert_uint_eq(q[PAGE], 7);
	ck_ok(vshmi_map_protect(p + PAGE, PAGE, false));
	ck_assert(!writable(p + PAGE));
	vshmi_unmap(p, 4 * PAGE);
	vshmi_unmap(q, 4 * PAGE);
	close(fd);
}
END_TEST

START_TEST(read_only_files_stay_read_only)
{
	char path[64];
	int error, fd = make_file(PAGE), read_only;
	void *p;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(read_only, 0);
	ck_assert_ptr_null(vshmi_map(read_only, PAGE, true, PAGE, &error));
	ck_is(error, -EACCES);
	p = vshmi_map(read_only, PAGE, false, PAGE, &error);
	ck_assert_ptr_nonnull(p);
	ck_is(vshmi_map_protect(p, PAGE, true), -EACCES);
	vshmi_unmap(p, PAGE);
	close(read_only);
	close(fd);
}
END_TEST

START_TEST(children_do_not_inherit)
{
	int error, fd = make_file(PAGE);
	void *p = vshmi_map(fd, PAGE, true, PAGE, &error);
	unsigned char resident;
	pid_t pid = support_fork();

	if (!pid)
		_exit(mincore(p, 1, &resident) == -1 && errno == ENOMEM ? 0 : 1);
	ck_is(support_wait(pid, SUPPORT_LONG), 0);
	ck_assert_int_eq(mincore(p, 1, &resident), 0);
	vshmi_unmap(p, PAGE);
	close(fd);
}
END_TEST

START_TEST(mapping_touches_nothing)
{
	int error, fd = make_file(UINT64_C(1) << 30);
	int64_t before = memory_used(1);
	void *p = vshmi_map(fd, UINT64_C(1) << 30, true, PAGE, &error);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_lt(memory_used(1) - before, 1 << 20);
	vshmi_unmap(p, UINT64_C(1) << 30);
	close(fd);
}
END_TEST

START_TEST(senseless_mappings)
{
	const uint64_t sizes[] = {0, UINT64_MAX, UINT64_MAX - 4095, UINT64_C(1) << 63, UINT64_C(1) << 62, UINT64_C(1) << 60};
	int fd = make_file(PAGE);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int error = 0;

		ck_assert_ptr_null(vshmi_map(fd, sizes[i], false, PAGE, &error));
		ck_assert_int_lt(error, 0);
		ck_assert_ptr_null(vshmi_map(fd, PAGE, false, 3 * PAGE, &error));
		ck_is(error, -EINVAL);
		ck_assert_ptr_null(vshmi_map(-1, PAGE, false, PAGE, &error));
		ck_is(error, -EIO);
	}
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("os: memory");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, why_is_one_clean_line);
	tcase_add_test(tc, why_is_never_too_long);
	tcase_add_test(tc, errors_of_the_system);
	tcase_add_test(tc, memory_is_zero);
	tcase_add_test(tc, private_pages_are_zero_in_a_child);
	tcase_add_test(tc, mappings_are_aligned);
	tcase_add_test(tc, protection_can_be_changed_in_parts);
	tcase_add_test(tc, read_only_files_stay_read_only);
	tcase_add_test(tc, children_do_not_inherit);
	tcase_add_test(tc, mapping_touches_nothing);
	tcase_add_test(tc, senseless_mappings);
	suite_add_tcase(suite, tc);
	return unit_run("os-memory", suite);
}
