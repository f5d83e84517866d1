/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions: create, open, info, close, destroy, replace, and what each refuses. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

/* A line for people: not empty, nothing a terminal would act on. */
static void check_why(const char *why)
{
	size_t length = strnlen(why, VSHM_WHY_SIZE);

	ck_assert_uint_gt(length, 0);
	ck_assert_uint_lt(length, VSHM_WHY_SIZE);
	for (size_t i = 0; i < length; i++)
		ck_assert_msg((unsigned char)why[i] >= 32 && why[i] != 127, "control character in: %s", why);
}

static void cannot_create(const char *uri, const struct vshm_create_options *o, int code)
{
	char why[VSHM_WHY_SIZE] = "";
	int rc = vshm_region_create(uri, o, why);

	ck_assert_msg(rc == code, "create %s: %d, wanted %d (%s)", uri, rc, code, why);
	check_why(why);
}

static void cannot_open(const char *uri, int code)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_region *r = NULL;
	int rc = vshm_region_open(uri, NULL, &r, why);

	ck_assert_msg(rc == code, "open %s: %d, wanted %d (%s)", uri, rc, code, why);
	ck_assert_ptr_null(r);
	check_why(why);
}

START_TEST(info_tells_what_was_asked_for)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 3, 65536);
	r = world_open(&w, 1);
	ck_ok(vshm_region_info(r, &info));
	ck_assert_str_eq(info.name, w.name);
	ck_assert_uint_eq(info.layout_version, VSHM_LAYOUT_VERSION);
	ck_assert_uint_eq(info.peers, 3);
	ck_assert_uint_eq(info.self, 1);
	ck_assert_uint_eq(info.profile, w.kind == WORLD_SPLIT ? VSHM_SPLIT : VSHM_FLAT);
	ck_assert_uint_eq(info.segments, w.kind == WORLD_SPLIT ? 3 : 1);
	ck_assert_uint_ge(info.layout_page, VSHM_MIN_PAGE);
	ck_assert_uint_eq(info.layout_page & (info.layout_page - 1), 0);
	ck_assert_uint_ge(info.size, 3 * (VSHM_SECTION_DATA + 65536));
	ck_assert_uint_ne(info.created_ns, 0);
	ck_assert(info.facts & VSHM_FACT_CACHED);
	ck_assert_int_eq(!!(info.facts & VSHM_FACT_ENFORCED), w.kind == WORLD_SPLIT);
	ck_ok(vshm_region_status(r));
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(defaults_make_a_region_for_two)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	struct vshm_region *a, *b;
	struct world w;

	world_place(&w, _i, 2);
	if (w.kind == WORLD_SPLIT || w.kind == WORLD_NAMED)
		return; /* both need options or a name */
	ck_ok(vshm_region_create(w.create_uri, NULL, NULL));
	a = world_open(&w, VSHM_PEER_ANY);
	b = world_open(&w, VSHM_PEER_ANY);
	ck_ok(vshm_region_info(a, &info));
	ck_assert_uint_eq(info.peers, 2);
	ck_assert_uint_ge(info.size, 1 << 20);
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

START_TEST(own_name_and_uuid)
{
	struct vshm_region_info one = VSHM_REGION_INFO_INIT, two = VSHM_REGION_INFO_INIT;
	struct vshm_create_options o;
	struct vshm_region *r;
	struct world w, v;

	world_place(&w, _i, 2);
	o = world_options(&w, 65536);
	o.name = "Own.name_1:+-";
	ck_ok(vshm_region_create(w.create_uri, &o, NULL));
	if (w.kind == WORLD_NAMED)
		ck_ok(vshm_region_register(w.name, w.create_uri, NULL));
	r = world_open(&w, 0);
	ck_ok(vshm_region_info(r, &one));
	ck_assert_str_eq(one.name, "Own.name_1:+-");
	ck_ok(vshm_region_close(r));
	world_create(&v, _i, 2, 65536);
	r = world_open(&v, 0);
	ck_ok(vshm_region_info(r, &two));
	ck_assert_mem_ne(one.uuid, two.uuid, sizeof(one.uuid));
	ck_ok(vshm_region_close(r));
	world_destroy(&v);
	world_destroy(&w);
}
END_TEST

START_TEST(not_there)
{
	char uri[PATH_MAX + 64];
	struct world w;

	world_place(&w, _i, 2);
	cannot_open(w.uri, -ENOENT);
	ck_is(vshm_region_destroy(w.create_uri, NULL), -ENOENT);
	ck_is(vshm_region_evict(w.uri, 0, 0, NULL), -ENOENT);
	if (!w.path[0])
		return;
	snprintf(uri, sizeof(uri), "%s/deeper/down", w.create_uri);
	cannot_create(uri, NULL, -ENOENT);
	cannot_open(uri, -ENOENT);
}
END_TEST

START_TEST(exists_already)
{
	struct vshm_region_info before = VSHM_REGION_INFO_INIT, after = VSHM_REGION_INFO_INIT;
	struct vshm_create_options o;
	struct vshm_region *r;
	struct world w;

	world_create(&w, _i, 2, 65536);
	r = world_open(&w, 0);
	ck_ok(vshm_region_info(r, &before));
	o = world_options(&w, 65536);
	cannot_create(w.create_uri, &o, -EEXIST);
	ck_ok(vshm_region_status(r));
	ck_ok(vshm_region_close(r));
	r = world_open(&w, 0);
	ck_ok(vshm_region_info(r, &after));
	ck_assert_mem_eq(before.uuid, after.uuid, sizeof(before.uuid));
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

START_TEST(force_replaces_and_says_stale)
{
	struct vshm_create_options o;
	struct vshm_view v;
	struct pair t;
	int rc;

	pair_open(&t, _i, 4096);
	put(t.p, t.c, 100, 1);
	o = world_options(&t.w, 65536);
	o.flags |= VSHM_CREATE_FORCE;
	ck_ok(vshm_region_create(t.w.create_uri, &o, NULL));
	wait_status(t.a, -ESTALE);
	wait_status(t.b, -ESTALE);
	while ((rc = vshm_consumer_peek(t.c, &v, SUPPORT_LONG)) == 0) /* what was committed may still be read */
		ck_ok(vshm_consumer_release(t.c));
	ck_is(rc, -ESTALE);
	ck_ok(vshm_region_close(t.a));
	ck_ok(vshm_region_close(t.b));
	t.a = world_open(&t.w, 0);
	ck_ok(vshm_region_status(t.a));
	ck_ok(vshm_region_close(t.a));
	world_destroy(&t.w);
}
END_TEST

START_TEST(destroy_under_peers_says_stale)
{
	struct vshm_view v;
	struct pair t;

	pair_open(&t, _i, 4096);
	world_destroy(&t.w);
	wait_status(t.a, -ESTALE);
	ck_is(vshm_consumer_peek(t.c, &v, SUPPORT_LONG), -ESTALE);
	cannot_open(t.w.uri, -ENOENT);
	ck_ok(vshm_region_close(t.a));
	ck_ok(vshm_region_close(t.b));
}
END_TEST

START_TEST(destroy_refuses_what_is_no_region)
{
	char uri[PATH_MAX + 64], path[PATH_MAX], why[VSHM_WHY_SIZE] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/precious", support_dir());
	snprintf(uri, sizeof(uri), "file:%s", path);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_gt(fprintf(f, "%08000d\n", 1), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_is(vshm_region_destroy(uri, why), -EPROTO);
	check_why(why);
	ck_assert_int_eq(access(path, F_OK), 0);
	snprintf(uri, sizeof(uri), "file:%s", support_dir());
	ck_assert_int_lt(vshm_region_destroy(uri, why), 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	cannot_create(uri, NULL, -EEXIST);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(creation_leaves_nothing_behind)
{
	struct vshm_create_options o = VSHM_CREATE_OPTIONS_INIT;
	struct statvfs fs;
	char uri[PATH_MAX + 64];
	int entries = support_count_entries(support_dir());
	int fds = support_count_fds();

	snprintf(uri, sizeof(uri), "file:%s/full", support_dir());
	ck_assert_int_eq(statvfs(support_dir(), &fs), 0);
	o.size = (uint64_t)fs.f_blocks * fs.f_frsize / 65536 * 65536 * 2;
	cannot_create(uri, &o, -ENOSPC);
	o.flags = VSHM_CREATE_SPLIT;
	cannot_create(uri, &o, -ENOSPC);
	ck_assert_int_eq(support_count_entries(support_dir()), entries);
	ck_assert_int_eq(support_count_fds(), fds);
}
END_TEST

/* In a mount namespace of its own: a file system of 1 MiB that is nearly full. */
static void fill_small_disk(void)
{
	struct vshm_create_options o = VSHM_CREATE_OPTIONS_INIT;
	char dir[PATH_MAX], uri[PATH_MAX + 64];
	int before;

	snprintf(dir, sizeof(dir), "%s/small", support_dir());
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mkdir(dir, 0700) ||
	    mount("none", dir, "tmpfs", 0, "size=1m"))
		_exit(77);
	snprintf(uri, sizeof(uri), "file:%s/half", dir);
	o.size = 10 << 16;
	before = support_count_entries(dir);
	if (vshm_region_create(uri, &o, NULL))
		_exit(1);
	snprintf(uri, sizeof(uri), "file:%s/rest", dir);
	if (vshm_region_create(uri, &o, NULL) != -ENOSPC)
		_exit(2);
	o.flags = VSHM_CREATE_SPLIT;
	if (vshm_region_create(uri, &o, NULL) != -ENOSPC)
		_exit(3);
	_exit(support_count_entries(dir) == before + 1 ? 0 : 4);
}

START_TEST(disk_full)
{
	pid_t pid = support_fork();
	int status;

	if (!pid)
		fill_small_disk();
	status = support_wait(pid, SUPPORT_LONG);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("skip: disk full: cannot mount a small tmpfs here (needs root and mount namespaces)\n");
	else
		ck_assert_int_eq(status, 0);
}
END_TEST

/* As nobody; root may do anything. */
static void open_as_nobody(const struct world *w)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r = NULL;
	char uri[PATH_MAX + 64], why[VSHM_WHY_SIZE] = "";

	if (!getuid() && (setgid(65534) || setuid(65534)))
		_exit(77);
	if (vshm_region_open(w->uri, NULL, &r, why) != -EACCES || !why[0])
		_exit(1);
	o.flags = VSHM_OPEN_OBSERVE;
	if (vshm_region_open(w->uri, &o, &r, why) != -EACCES || !why[0])
		_exit(2);
	if (vshm_region_destroy(w->create_uri, NULL) != -EACCES)
		_exit(3);
	snprintf(uri, sizeof(uri), "%s-2", w->create_uri);
	_exit(vshm_region_create(uri, NULL, why) == -EACCES && why[0] ? 0 : 4);
}

START_TEST(no_permission)
{
	struct world w;
	pid_t pid;

	if (getuid() != 0) {
		printf("skip: no permission: needs root to become somebody else\n");
		return;
	}
	ck_assert_int_eq(chmod(support_dir(), 0755), 0);
	if (support_disk_dir())
		ck_assert_int_eq(chmod(support_disk_dir(), 0755), 0);
	world_create(&w, _i, 2, 65536);
	pid = w.kind == WORLD_INPROC ? 0 : support_fork();
	if (!pid && w.kind != WORLD_INPROC)
		open_as_nobody(&w);
	if (pid)
		ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	world_destroy(&w);
}
END_TEST

START_TEST(owners_and_modes)
{
	struct vshm_owner owner = {UINT32_MAX, UINT32_MAX, 0640};
	struct vshm_create_options o;
	char path[PATH_MAX];
	struct stat st;
	struct world w;

	world_place(&w, _i, 2);
	if (!w.path[0])
		return;
	o = world_options(&w, 65536);
	o.owners = &owner;
	o.owner_count = 1;
	ck_ok(vshm_region_create(w.create_uri, &o, NULL));
	world_segment_path(&w, 1, path, sizeof(path));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_ok(vshm_region_destroy(w.create_uri, NULL));
	ck_assert_int_ne(access(w.path, F_OK), 0);
}
END_TEST

/* Somebody else's file is not trusted, unless the URI says whose it is. */
START_TEST(owner_of_the_file)
{
	struct vshm_region *r = NULL;
	struct world w;

	if (getuid() != 0) {
		printf("skip: owner of the file: needs root to give files away\n");
		return;
	}
	world_create(&w, _i, 2, 65536);
	if (!w.path[0] || w.kind == WORLD_NAMED) {
		world_destroy(&w);
		return;
	}
	ck_assert_int_eq(chown(w.path, 65534, 65534), 0);
	cannot_open(w.uri, -EACCES);
	strncat(w.uri, "?peer=0&owner=65534", sizeof(w.uri) - strlen(w.uri) - 1);
	ck_ok(vshm_region_open(w.uri, NULL, &r, NULL));
	ck_ok(vshm_region_close(r));
	ck_assert_int_eq(chown(w.path, 0, 0), 0);
	world_destroy(&w);
}
END_TEST

START_TEST(bad_creation_options)
{
	struct vshm_create_options o = VSHM_CREATE_OPTIONS_INIT;
	char uri[PATH_MAX + 64];

	snprintf(uri, sizeof(uri), "file:%s/bad", support_dir());
	o.peers = VSHM_MAX_PEERS + 1;
	cannot_create(uri, &o, -EINVAL);
	o.peers = UINT32_MAX;
	cannot_create(uri, &o, -EINVAL);
	o.peers = 2;
	o.size = 1;
	ck_assert_int_lt(vshm_region_create(uri, &o, NULL), 0);
	o.size = UINT64_MAX;
	ck_assert_int_lt(vshm_region_create(uri, &o, NULL), 0);
	o.size = UINT64_C(1) << 62;
	ck_assert_int_lt(vshm_region_create(uri, &o, NULL), 0);
	o.size = 0;
	o.flags = UINT32_MAX;
	cannot_create(uri, &o, -EINVAL);
	ck_assert_int_ne(access(uri + 5, F_OK), 0);
}
END_TEST

static const char *const bad_names[] = {
	"",
	"a b",
	"a/b",
	"../x",
	"-a",
	".a",
	"_a",
	"a\n",
	"a\x1b[31m",
	"\x7f",
	"a\xc3\xa4",
	"a%s",
	"a,b",
	"a;b",
	"a'b",
	"a\"b",
	"a\\b",
	"a*",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* 64 */
};

START_TEST(bad_region_names)
{
	struct vshm_create_options o = VSHM_CREATE_OPTIONS_INIT;
	char uri[PATH_MAX + 64];

	snprintf(uri, sizeof(uri), "file:%s/named", support_dir());
	o.name = bad_names[_i];
	cannot_create(uri, &o, -EINVAL);
	ck_assert_int_ne(access(uri + 5, F_OK), 0);
	ck_is(vshm_region_register(bad_names[_i], uri, NULL), -EINVAL);
	snprintf(uri, sizeof(uri), "inproc:%s", bad_names[_i]);
	cannot_create(uri, NULL, -EINVAL);
	snprintf(uri, sizeof(uri), "vshm:%s", bad_names[_i]);
	cannot_open(uri, -EINVAL);
}
END_TEST

static const char *const bad_uris[] = {
	"",
	":",
	"file:",
	"file",
	"nonsense:/dev/shm/x",
	"inproc:",
	"vshm:",
	"relative-word",
	"file:/dev/shm/none?peer=",
	"file:/dev/shm/none?peer=x",
	"file:/dev/shm/none?peer=-1",
	"file:/dev/shm/none?peer=4294967296",
	"file:/dev/shm/none?pear=1",
	"file:/dev/shm/none?owner=",
	"file:/dev/shm/none?=",
};

START_TEST(bad_uris_are_refused)
{
	cannot_open(bad_uris[_i], -EINVAL);
}
END_TEST

START_TEST(uri_too_long)
{
	char *uri = malloc(100000);

	ck_assert_ptr_nonnull(uri);
	memset(uri, 'a', 99999);
	memcpy(uri, "file:/", 6);
	uri[99999] = '\0';
	ck_assert_int_lt(vshm_region_create(uri, NULL, NULL), 0);
	cannot_open(uri, -EINVAL);
	free(uri);
}
END_TEST

START_TEST(named_region)
{
	char why[VSHM_WHY_SIZE];
	struct world w;

	world_place(&w, 0, 2);
	ck_is(vshm_region_register("gone", NULL, why), -ENOENT);
	ck_ok(vshm_region_create(w.create_uri, NULL, NULL));
	ck_ok(vshm_region_register("by.name", w.create_uri, why));
	snprintf(w.uri, sizeof(w.uri), "vshm:by.name?peer=1");
	ck_ok(vshm_region_close(world_open(&w, VSHM_PEER_ANY)));
	ck_ok(vshm_region_register("by.name", NULL, why));
	cannot_open(w.uri, -ENOENT);
	ck_ok(vshm_region_destroy(w.create_uri, NULL));
}
END_TEST

/* vshm:a -> vshm:a must not go round for ever. */
START_TEST(named_loop)
{
	struct vshm_region *r = NULL;
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/run/loop", support_dir());
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_gt(fprintf(f, "vshm:loop\n"), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_lt(vshm_region_open("vshm:loop", NULL, &r, NULL), 0);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

static void add_single(TCase *tc)
{
	tcase_add_test(tc, destroy_refuses_what_is_no_region);
	tcase_add_test(tc, creation_leaves_nothing_behind);
	tcase_add_test(tc, disk_full);
	tcase_add_test(tc, bad_creation_options);
	tcase_add_test(tc, uri_too_long);
	tcase_add_test(tc, named_region);
	tcase_add_test(tc, named_loop);
	tcase_add_loop_test(tc, bad_region_names, 0, (int)(sizeof(bad_names) / sizeof(bad_names[0])));
	tcase_add_loop_test(tc, bad_uris_are_refused, 0, (int)(sizeof(bad_uris) / sizeof(bad_uris[0])));
}

Suite *suite_region(void)
{
	Suite *s = suite_create("region");
	TCase *tc = tcase_create("region");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, info_tells_what_was_asked_for);
	add_everywhere(tc, defaults_make_a_region_for_two);
	add_everywhere(tc, own_name_and_uuid);
	add_everywhere(tc, not_there);
	add_everywhere(tc, exists_already);
	add_everywhere(tc, force_replaces_and_says_stale);
	add_everywhere(tc, destroy_under_peers_says_stale);
	add_everywhere(tc, no_permission);
	add_everywhere(tc, owners_and_modes);
	add_everywhere(tc, owner_of_the_file);
	add_single(tc);
	suite_add_tcase(s, tc);
	return s;
}
