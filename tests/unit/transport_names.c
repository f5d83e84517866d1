/* SPDX-License-Identifier: BSD-3-Clause */
/* transport: vshm:NAME: registering, finding, and which files are not believed. */
#include "transport_help.h"

#include <vshm/region.h>

#define TARGET "file:/dev/shm/somewhere?peer=3"

static char directory[PATH_MAX];

/* A run directory of this test's own; it does not exist yet. */
static void begin(void)
{
	path_of(directory, "run");
	ck_assert_int_eq(setenv("VSHM_RUN_DIR", directory, 1), 0);
}

static void end(void)
{
	ck_assert_int_eq(rmdir(directory), 0);
}

static void file_in(char path[PATH_MAX + 80], const char *name)
{
	snprintf(path, PATH_MAX + 80, "%s/%s", directory, name);
}

static void write_file(const char *name, const char *text, size_t size, mode_t mode)
{
	char path[PATH_MAX + 80];
	int fd;

	file_in(path, name);
	(void)!mkdir(directory, 0755);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void remove_file(const char *name)
{
	char path[PATH_MAX + 80];

	file_in(path, name);
	ck_assert_int_eq(unlink(path), 0);
}

static void finds(const char *text, const char *path, uint32_t peer, const char *owner)
{
	const struct vshmi_transport_ops *ops = NULL;
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_uri uri;
	int error = vshmi_transport_find(text, &uri, &ops, why);

	ck_assert_msg(!error, "%s: %d (%s)", text, error, why);
	ck_assert_str_eq(ops->scheme, "file");
	ck_assert_str_eq(uri.scheme, "file");
	ck_assert_str_eq(uri.path, path);
	ck_assert_uint_eq(uri.peer, peer);
	ck_assert_str_eq(uri.owner, owner);
}

static void does_not_find(const char *text, int code)
{
	const struct vshmi_transport_ops *ops = NULL;
	char why[VSHM_WHY_SIZE] = "";
	int error, fds = support_count_fds();
	struct vshmi_uri uri;

	error = vshmi_transport_find(text, &uri, &ops, why);
	ck_assert_msg(error == code, "%s: %d instead of %d (%s)", text ? text : "NULL", error, code, why);
	check_why(why);
	ck_assert_ptr_null(ops);
	ck_assert_int_eq(support_count_fds(), fds);
}

START_TEST(register_find_forget)
{
	char path[PATH_MAX + 80], why[VSHM_WHY_SIZE] = "";
	struct stat st;

	begin();
	does_not_find("vshm:net0", -ENOENT);
	ck_is(vshm_region_register("net0", NULL, why), -ENOENT);
	check_why(why);
	umask(0777);
	ck_ok(vshm_region_register("net0", TARGET, why));
	file_in(path, "net0");
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0644);
	ck_assert_int_eq(lstat(directory, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0755);
	finds("vshm:net0", "/dev/shm/somewhere", 3, "");
	finds("vshm:net0?peer=5&owner=root", "/dev/shm/somewhere", 5, "root");
	ck_ok(vshm_region_register("net0", "/dev/shm/else?owner=7", NULL));
	finds("vshm:net0", "/dev/shm/else", VSHM_PEER_ANY, "7");
	ck_assert_int_eq(support_count_entries(directory), 1);
	ck_ok(vshm_region_register("net0", NULL, why));
	does_not_find("vshm:net0", -ENOENT);
	ck_is(vshm_region_register("net0", NULL, why), -ENOENT);
	end();
}
END_TEST

static const struct {
	const char *name, *uri;
} unlawful[] = {
	{NULL, TARGET}, {"", TARGET}, {"../x", TARGET}, {".x", TARGET}, {"a/b", TARGET}, {"a\n", TARGET},
	{"x", ""}, {"x", "vshm:y"}, {"x", "nothing"}, {"x", "file:relative"}, {"x", "./relative"}, {"x", "/a\nfile:/b"},
	{"x", "file:/a?b=c"}, {"../x", NULL}, {NULL, NULL},
};

START_TEST(unlawful_registrations)
{
	char why[VSHM_WHY_SIZE] = "";

	begin();
	ck_is(vshm_region_register(unlawful[_i].name, unlawful[_i].uri, why), -EINVAL);
	check_why(why);
	ck_is(vshm_region_register(unlawful[_i].name, unlawful[_i].uri, NULL), -EINVAL);
	ck_assert_int_ne(access(directory, F_OK), 0);
}
END_TEST

static const char *const unlawful_names[] = {"vshm:.x", "vshm:../../etc/passwd", "vshm:a/b", "vshm:-"};

START_TEST(unlawful_names_are_not_looked_up)
{
	begin();
	does_not_find(unlawful_names[_i], -EINVAL);
}
END_TEST

START_TEST(senseless_uris)
{
	does_not_find(NULL, -EINVAL);
	does_not_find("", -EINVAL);
	does_not_find("word", -EINVAL);
	does_not_find("bogus:x", -EINVAL);
	does_not_find("uio:uio0", -EOPNOTSUPP);
	does_not_find("dax:/dev/dax0.0", -EOPNOTSUPP);
}
END_TEST

static const struct {
	const char *text;
	size_t size;
} contents[] = {
	{"", 0}, {"\n", 1}, {"file:/a", 7}, {"file:/a\0\n", 9}, {"\0file:/a\n", 9}, {"vshm:x\n", 7}, {"vshm:loop\n", 10},
	{"bogus\n", 6}, {"bogus:x\n", 8}, {"file:/a\x1b[2J\n", 12}, {"file:/a?peer=99\n", 16}, {"\nfile:/a\n", 9},
};

START_TEST(unlawful_contents)
{
	begin();
	write_file("loop", contents[_i].text, contents[_i].size, 0644);
	does_not_find("vshm:loop", -EINVAL);
	remove_file("loop");
	end();
}
END_TEST

START_TEST(a_name_for_a_name)
{
	const struct vshmi_transport_ops *ops;
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_uri uri;

	begin();
	write_file("loop", "vshm:loop\n", 10, 0644);
	ck_is(vshmi_transport_find("vshm:loop", &uri, &ops, why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "stands for another name"));
	remove_file("loop");
	end();
}
END_TEST

START_TEST(a_file_that_is_too_long)
{
	char text[5000];

	begin();
	memset(text, 'a', sizeof(text));
	memcpy(text, "file:/", 6);
	text[sizeof(text) - 1] = '\n';
	write_file("long", text, sizeof(text), 0644);
	does_not_find("vshm:long", -EINVAL);
	remove_file("long");
	end();
}
END_TEST

START_TEST(strangers_are_not_believed)
{
	char path[PATH_MAX + 80], other[PATH_MAX + 80];

	begin();
	write_file("net0", "file:/a\n", 8, 0644);
	finds("vshm:net0", "/a", VSHM_PEER_ANY, "");
	write_file("net0", "file:/a\n", 8, 0664);
	does_not_find("vshm:net0", -EACCES);
	write_file("net0", "file:/a\n", 8, 0646);
	does_not_find("vshm:net0", -EACCES);
	write_file("net0", "file:/a\n", 8, 0644);
	ck_assert_int_eq(chmod(directory, 0775), 0);
	does_not_find("vshm:net0", -EACCES);
	ck_assert_int_eq(chmod(directory, 01777), 0);
	finds("vshm:net0", "/a", VSHM_PEER_ANY, "");
	ck_assert_int_eq(chmod(directory, 0755), 0);
	file_in(path, "net0");
	file_in(other, "other");
	ck_assert_int_eq(link(path, other), 0);
	does_not_find("vshm:net0", -EACCES);
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(symlink("net0", other), 0);
	does_not_find("vshm:other", -EACCES);
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(mkfifo(other, 0600), 0);
	does_not_find("vshm:other", -EACCES);
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(mkdir(other, 0700), 0);
	does_not_find("vshm:other", -EACCES);
	ck_assert_int_eq(rmdir(other), 0);
	ck_assert_int_eq(unlink(path), 0);
	end();
}
END_TEST

START_TEST(another_user_is_not_believed)
{
	char path[PATH_MAX + 80];

	if (geteuid()) {
		printf("skip: another_user_is_not_believed: needs root to make a file of somebody else\n");
		return;
	}
	begin();
	write_file("net0", "file:/a\n", 8, 0644);
	file_in(path, "net0");
	ck_assert_int_eq(chown(path, 12345, 12345), 0);
	does_not_find("vshm:net0", -EACCES);
	remove_file("net0");
	end();
}
END_TEST

START_TEST(no_directory_for_names)
{
	char why[VSHM_WHY_SIZE] = "", deep[PATH_MAX + 80], long_path[PATH_MAX];

	begin();
	snprintf(deep, sizeof(deep), "%s/a/b", directory);
	ck_assert_int_eq(setenv("VSHM_RUN_DIR", deep, 1), 0);
	ck_is(vshm_region_register("net0", TARGET, why), -ENOENT);
	check_why(why);
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[PATH_MAX - 1] = '\0';
	ck_assert_int_eq(setenv("VSHM_RUN_DIR", long_path, 1), 0);
	ck_is(vshm_region_register("net0", TARGET, why), -EINVAL);
	does_not_find("vshm:net0", -EINVAL);
}
END_TEST

#define count_of(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("transport: names");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, register_find_forget);
	tcase_add_loop_test(tc, unlawful_registrations, 0, count_of(unlawful));
	tcase_add_loop_test(tc, unlawful_names_are_not_looked_up, 0, count_of(unlawful_names));
	tcase_add_test(tc, senseless_uris);
	tcase_add_loop_test(tc, unlawful_contents, 0, count_of(contents));
	tcase_add_test(tc, a_name_for_a_name);
	tcase_add_test(tc, a_file_that_is_too_long);
	tcase_add_test(tc, strangers_are_not_believed);
	tcase_add_test(tc, another_user_is_not_believed);
	tcase_add_test(tc, no_directory_for_names);
	suite_add_tcase(suite, tc);
	return unit_run("transport-names", suite);
}
