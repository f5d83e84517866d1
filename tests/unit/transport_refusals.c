/* SPDX-License-Identifier: BSD-3-Clause */
/* transport: files and directories that may be a trap, or cannot be used, and what the file: transport says to them. */
#include "transport_files.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define STRANGER 12345

static bool needs_root(const char *test)
{
	if (!geteuid())
		return false;
	printf("skip: %s: needs root to make files of somebody else\n", test);
	return true;
}

/* ---- things that are not regions ---- */

START_TEST(not_there)
{
	struct vshmi_shape shape = shape_of(1, false);
	char deep[PATH_MAX + 80];

	begin();
	cannot_open(uri, false, -ENOENT, "does not exist");
	snprintf(deep, sizeof(deep), "file:%s/a/b", path);
	cannot_open(deep, false, -ENOENT, "directory does not exist");
	cannot_create(deep, &shape, -ENOENT, "directory does not exist");
	cannot_open("file:/dev/shm/", false, -EPROTO, "no file peer-N");
	cannot_open("file:/", false, -EINVAL, "must end in a name");
	cannot_open("file:/dev/shm/..", false, -EINVAL, "must end in a name");
	cannot_open(".", false, -EINVAL, "must end in a name");
}
END_TEST

START_TEST(too_small)
{
	begin();
	write_file(path, 0);
	cannot_open(uri, false, -EPROTO, "is empty");
	ck_assert_int_eq(truncate(path, 4095), 0);
	cannot_open(uri, false, -EPROTO, "has only 4095 bytes");
	ck_assert_int_eq(truncate(path, 4096 + 4095), 0);
	{
		struct vshmi_transport t;

		open_region(&t, uri, false);
		ck_assert_uint_eq(t.segment[0].size, 4096);
		ck_ok(t.ops->status(&t));
		t.ops->close(&t);
	}
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(not_a_file)
{
	struct vshmi_shape shape = shape_of(1, false);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	begin();
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	cannot_open(uri, false, -EPROTO, "not a regular file");
	cannot_open(uri, true, -EPROTO, "not a regular file");
	shape.force = true;
	cannot_create(uri, &shape, -EPROTO, "not a regular file");
	ck_is(find_and_destroy(uri, NULL), -EPROTO);
	ck_assert_int_eq(unlink(path), 0);
	cannot_open("file:/dev/null", false, -EPROTO, "not a regular file");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cannot_open(uri, false, -EPROTO, "not a regular file");
	close(fd);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* The file of peer 1 is refused: to that peer with a reason; the others do without it. */
static void second_is_left_out(const char *words)
{
	char named[PATH_MAX + 128];
	struct vshmi_transport t;

	snprintf(named, sizeof(named), "%s?peer=1", uri);
	cannot_open(named, false, -EACCES, words);
	for (unsigned observe = 0; observe < 2; observe++) {
		open_region(&t, uri, observe);
		ck_assert(t.segment[0].base && !t.segment[1].base);
		ck_ok(t.ops->status(&t));
		t.ops->close(&t);
	}
}

START_TEST(symbolic_links)
{
	struct vshmi_shape shape = shape_of(1, false);

	flat();
	ck_assert_int_eq(symlink(path, other), 0);
	cannot_open(other_uri, false, -EACCES, "symbolic link");
	cannot_open(other_uri, true, -EACCES, "symbolic link");
	cannot_create(other_uri, &shape, -EEXIST, "exists already");
	shape.force = true;
	cannot_create(other_uri, &shape, -EACCES, "symbolic link");
	ck_is(find_and_destroy(other_uri, NULL), -EACCES);
	ck_assert_int_eq(unlink(other), 0);
	destroy();
	/* To a directory; and from inside one. */
	split(2);
	ck_assert_int_eq(symlink(path, other), 0);
	cannot_open(other_uri, false, -EACCES, "symbolic link");
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(rename(peer_file(1), other), 0);
	ck_assert_int_eq(symlink(other, peer_file(1)), 0);
	second_is_left_out("symbolic link");
	ck_assert_int_eq(unlink(other), 0);
	destroy();
}
END_TEST

START_TEST(hard_links)
{
	flat();
	ck_assert_int_eq(link(path, other), 0);
	cannot_open(uri, false, -EACCES, "has 2 names");
	ck_is(find_and_destroy(uri, NULL), -EACCES);
	ck_assert_int_eq(unlink(other), 0);
	destroy();
	split(2);
	ck_assert_int_eq(link(peer_file(1), other), 0);
	second_is_left_out("peer-1 has 2 names");
	ck_assert_int_eq(unlink(other), 0);
	destroy();
}
END_TEST

/* ---- owners ---- */

START_TEST(files_of_strangers)
{
	char named[PATH_MAX + 128];
	struct vshmi_transport t;

	if (needs_root("files_of_strangers"))
		return;
	flat();
	ck_assert_int_eq(chown(path, STRANGER, 0), 0);
	cannot_open(uri, false, -EACCES, "?owner=12345");
	cannot_open(uri, true, -EACCES, "neither you nor root");
	snprintf(named, sizeof(named), "%s?owner=%d", uri, STRANGER);
	open_region(&t, named, false);
	t.ops->close(&t);
	snprintf(named, sizeof(named), "%s?owner=%d", uri, STRANGER + 1);
	cannot_open(named, false, -EACCES, "neither you nor root");
	snprintf(named, sizeof(named), "%s?owner=no-such-user", uri);
	cannot_open(named, false, -EINVAL, "no such user");
	snprintf(named, sizeof(named), "%s?owner=4294967296", uri);
	cannot_open(named, false, -EINVAL, "no such user");
	ck_assert_int_eq(chown(path, 65534, 0), 0);
	snprintf(named, sizeof(named), "%s?owner=nobody", uri);
	open_region(&t, named, false);
	t.ops->close(&t);
	destroy();
}
END_TEST

START_TEST(directories_of_strangers)
{
	struct vshmi_transport t;

	if (needs_root("directories_of_strangers"))
		return;
	split(2);
	/* The directory's owner put the file there: whose it is does not matter. */
	ck_assert_int_eq(chown(peer_file(1), STRANGER, 0), 0);
	open_region(&t, uri, false);
	t.ops->close(&t);
	/* Everybody can put files there: then it does. */
	ck_assert_int_eq(chmod(path, 01777), 0);
	second_is_left_out("peer-1 is owned by uid 12345");
	ck_assert_int_eq(chmod(path, 0755), 0);
	ck_assert_int_eq(chown(path, STRANGER, 0), 0);
	cannot_open(uri, false, -EACCES, "neither you nor root");
	destroy();
}
END_TEST

START_TEST(directories_that_others_may_change)
{
	const mode_t modes[] = {0777, 0775, 0757, 0722};

	split(2);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		ck_assert_int_eq(chmod(path, modes[i]), 0);
		cannot_open(uri, false, -EACCES, "chmod go-w");
		cannot_open(uri, true, -EACCES, "chmod go-w");
	}
	ck_assert_int_eq(chmod(path, 0755), 0);
	destroy();
}
END_TEST

/* ---- permissions: as somebody who is not root ---- */

static void become_nobody(void)
{
	if (setgid(65534) || setuid(65534))
		_exit(77);
}

static int as_nobody(void (*body)(void))
{
	pid_t pid = support_fork();

	if (!pid) {
		become_nobody();
		body();
		_exit(0);
	}
	return support_wait(pid, SUPPORT_LONG);
}

static void may_only_read(void)
{
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	must(find_and_open(&t, uri, false, why) == -EACCES);
	must(strstr(why, "observe"));
	must(!find_and_open(&t, uri, true, why));
	for (uint32_t i = 0; i < t.segment_count; i++) {
		must(!t.segment[i].can_write);
		must(vshmi_transport_protect(&t, i, 0, VSHM_MIN_PAGE, true) == -EACCES);
		must(!writable(t.segment[i].base));
	}
	t.ops->close(&t);
}

static void may_not_even_read(void)
{
	struct vshmi_shape shape = shape_of(1, false);
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	must(find_and_open(&t, uri, false, why) == -EACCES);
	must(strstr(why, "mode 0600"));
	must(find_and_open(&t, uri, true, why) == -EACCES);
	must(find_and_destroy(uri, why) == -EACCES);
	must(find_and_create(&t, other_uri, &shape, why) == -EACCES);
	must(strstr(why, "no permission to make files"));
}

static void may_write_one(void)
{
	struct vshmi_transport t;

	must(!find_and_open(&t, uri, false, NULL));
	must(t.segment_count == 2);
	must(!t.segment[0].can_write && t.segment[1].can_write);
	must(vshmi_transport_protect(&t, 0, 0, VSHM_MIN_PAGE, true) == -EACCES);
	must(!vshmi_transport_protect(&t, 1, 0, VSHM_MIN_PAGE, true));
	t.ops->close(&t);
}

START_TEST(permissions_of_a_file)
{
	if (needs_root("permissions_of_a_file"))
		return;
	ck_assert_int_eq(chmod(support_dir(), 0755), 0);
	flat();
	ck_is(as_nobody(may_not_even_read), 0);
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_is(as_nobody(may_only_read), 0);
	destroy();
}
END_TEST

START_TEST(permissions_of_a_directory)
{
	struct vshm_owner owners[2] = {{UINT32_MAX, UINT32_MAX, 0644}, {65534, 65534, 0644}};
	struct vshmi_shape shape = shape_of(2, true);
	struct stat st;

	if (needs_root("permissions_of_a_directory"))
		return;
	ck_assert_int_eq(chmod(support_dir(), 0755), 0);
	begin();
	shape.owners = owners;
	make_region(uri, &shape);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0755);
	ck_assert_int_eq(stat(peer_file(1), &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0644);
	ck_assert_uint_eq(st.st_uid, 65534);
	ck_assert_uint_eq(st.st_gid, 65534);
	ck_is(as_nobody(may_write_one), 0);
	ck_assert_int_eq(chown(peer_file(1), 0, 0), 0);
	ck_is(as_nobody(may_only_read), 0);
	destroy();
}
END_TEST

static void give_away(void)
{
	const struct vshm_owner root = {0, 0, 0600};
	struct vshmi_shape shape = shape_of(1, false);
	char why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	shape.owners = &root;
	must(find_and_create(&t, uri, &shape, why) == -EACCES);
	must(strstr(why, "only root can give it"));
	must(support_count_entries(other) == 0);
}

START_TEST(giving_a_region_away)
{
	if (needs_root("giving_a_region_away"))
		return;
	ck_assert_int_eq(chmod(support_dir(), 0755), 0);
	begin();
	ck_assert_int_eq(mkdir(other, 0755), 0);
	ck_assert_int_eq(chown(other, 65534, 65534), 0);
	snprintf(uri, sizeof(uri), "file:%.*s/x", PATH_MAX - 10, other);
	ck_is(as_nobody(give_away), 0);
	ck_assert_int_eq(rmdir(other), 0);
}
END_TEST

/* ---- split regions ---- */

START_TEST(peers_that_are_not_there_yet)
{
	struct vshmi_transport t;

	split(4);
	ck_assert_int_eq(unlink(peer_file(0)), 0);
	ck_assert_int_eq(truncate(peer_file(1), 100), 0);
	ck_assert_int_eq(unlink(peer_file(3)), 0);
	open_region(&t, uri, false);
	ck_assert_uint_eq(t.segment_count, 3);
	ck_assert_ptr_null(t.segment[0].base);
	ck_assert_ptr_null(t.segment[1].base);
	ck_assert_ptr_nonnull(t.segment[2].base);
	ck_is(vshmi_transport_protect(&t, 0, 0, 0, true), -EINVAL);
	ck_ok(t.ops->status(&t));
	t.ops->close(&t);
	ck_assert_int_eq(unlink(peer_file(1)), 0);
	ck_assert_int_eq(unlink(peer_file(2)), 0);
	cannot_open(uri, false, -EPROTO, "no file peer-N");
	destroy();
}
END_TEST

START_TEST(directories_with_other_things)
{
	struct vshmi_shape shape = shape_of(2, true);
	char file[PATH_MAX + 16], why[VSHM_WHY_SIZE];
	struct vshmi_transport t;

	split(2);
	snprintf(file, sizeof(file), "%s/peer-64", path);
	write_file(file, 10);
	open_region(&t, uri, false);
	t.ops->close(&t);
	ck_is(find_and_destroy(uri, why), -EPROTO);
	ck_assert_ptr_nonnull(strstr(why, "peer-64"));
	shape.force = true;
	cannot_create(uri, &shape, -EPROTO, "peer-64");
	ck_assert_int_eq(access(peer_file(0), F_OK), 0);
	ck_assert_int_eq(unlink(file), 0);
	destroy();
}
END_TEST

START_TEST(a_file_does_not_replace_a_directory)
{
	struct vshmi_shape one = shape_of(1, false), two = shape_of(2, true);

	one.force = two.force = true;
	split(2);
	cannot_create(uri, &one, -EEXIST, "is a directory");
	destroy();
	flat();
	cannot_create(uri, &two, -EEXIST, "is a file");
	destroy();
}
END_TEST

/* The target changes its kind between create and publish. */
START_TEST(a_target_that_changes)
{
	struct vshmi_shape one = shape_of(1, false), two = shape_of(2, true);
	int entries = support_count_entries(support_dir());
	struct vshmi_transport t;

	one.force = two.force = true;
	begin();
	ck_ok(find_and_create(&t, uri, &one, NULL));
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_is(t.ops->publish(&t, NULL), -EEXIST);
	t.ops->close(&t);
	ck_assert_int_eq(rmdir(path), 0);
	ck_ok(find_and_create(&t, uri, &two, NULL));
	write_file(path, 5);
	ck_assert_int_lt(t.ops->publish(&t, NULL), 0);
	t.ops->close(&t);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(support_count_entries(support_dir()), entries);
}
END_TEST

/* ---- names and paths ---- */

START_TEST(long_names)
{
	struct vshmi_shape shape = shape_of(1, false);
	char text[PATH_MAX], name[PATH_MAX];
	struct vshmi_transport t;

	begin();
	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = '\0';
	snprintf(text, sizeof(text), "file:%s/%.255s", support_dir(), name);
	make_region(text, &shape);
	open_region(&t, text, false);
	t.ops->close(&t);
	cannot_create(text, &shape, -EEXIST, "--force");
	ck_ok(find_and_destroy(text, NULL));
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = '\0';
	snprintf(text, sizeof(text), "file:%s/%.256s", support_dir(), name);
	cannot_open(text, false, -EINVAL, "longer than 255");
	cannot_create(text, &shape, -EINVAL, "longer than 255");
}
END_TEST

START_TEST(ways_to_write_a_path)
{
	struct vshmi_shape shape = shape_of(1, false);
	const char *name;
	char text[PATH_MAX + 64];
	struct vshmi_transport t;

	flat();
	name = strrchr(path, '/') + 1;
	snprintf(text, sizeof(text), "file:%s//", path);
	open_region(&t, text, false);
	t.ops->close(&t);
	open_region(&t, path, false);
	t.ops->close(&t);
	ck_assert_int_eq(chdir(support_dir()), 0);
	snprintf(text, sizeof(text), "file:%s", name);
	open_region(&t, text, false);
	t.ops->close(&t);
	snprintf(text, sizeof(text), "./%s", name);
	open_region(&t, text, false);
	t.ops->close(&t);
	snprintf(text, sizeof(text), "%s/x", path);
	cannot_open(text, false, -ENOENT, "not a directory");
	cannot_create(text, &shape, -ENOENT, "not a directory");
	destroy();
}
END_TEST

static void add_things(TCase *tc)
{
	tcase_add_test(tc, not_there);
	tcase_add_test(tc, too_small);
	tcase_add_test(tc, not_a_file);
	tcase_add_test(tc, symbolic_links);
	tcase_add_test(tc, hard_links);
	tcase_add_test(tc, files_of_strangers);
	tcase_add_test(tc, directories_of_strangers);
	tcase_add_test(tc, directories_that_others_may_change);
	tcase_add_test(tc, permissions_of_a_file);
	tcase_add_test(tc, permissions_of_a_directory);
	tcase_add_test(tc, giving_a_region_away);
	tcase_add_test(tc, peers_that_are_not_there_yet);
	tcase_add_test(tc, directories_with_other_things);
	tcase_add_test(tc, a_file_does_not_replace_a_directory);
	tcase_add_test(tc, a_target_that_changes);
	tcase_add_test(tc, long_names);
	tcase_add_test(tc, ways_to_write_a_path);
}

int main(void)
{
	Suite *suite = suite_create("transport: refusals");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	add_things(tc);
	suite_add_tcase(suite, tc);
	return unit_run("transport-refusals", suite);
}
