/* SPDX-License-Identifier: BSD-3-Clause */
/* The process around the library: fork, two processes, leaks, resident memory. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

/* ---- fork ---- */

#define child_gets(call) \
	do { \
		int rc_ = (call); \
		if (rc_ != -ECHILD) { \
			fprintf(stderr, "in the child: %s = %d\n", #call, rc_); \
			bad++; \
		} \
	} while (0)

static unsigned regions_in_child(struct pair *t)
{
	struct vshm_region_info info = VSHM_REGION_INFO_INIT;
	struct vshm_peer_info peer = VSHM_PEER_INFO_INIT;
	struct vshm_end_info end = VSHM_END_INFO_INIT;
	struct vshm_producer *p = NULL;
	struct vshm_consumer *c = NULL;
	char why[VSHM_WHY_SIZE];
	unsigned bad = 0;

	child_gets(vshm_region_status(t->a));
	child_gets(vshm_region_why(t->a, why));
	child_gets(vshm_region_info(t->a, &info));
	child_gets(vshm_region_peer(t->a, 0, &peer));
	child_gets(vshm_region_end(t->a, 0, 0, &end));
	child_gets(vshm_region_check(t->a, NULL, NULL));
	child_gets(vshm_producer_open(t->a, "other", NULL, &p));
	child_gets(vshm_consumer_open(t->a, "other", NULL, &c));
	return bad;
}

static unsigned producers_in_child(struct pair *t)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct vshm_fault f = VSHM_FAULT_INIT;
	unsigned bad = 0;
	void *data;

	child_gets(vshm_producer_reserve(t->p, 1, &data, 0));
	child_gets(vshm_producer_reserve(t->p, 1, &data, VSHM_FOREVER));
	child_gets(vshm_producer_commit(t->p, 0, 0));
	child_gets(vshm_producer_flush(t->p));
	child_gets(vshm_producer_send(t->p, "x", 1, 0));
	child_gets(vshm_producer_reserve_burst(t->p, 1, &data, 1, 0));
	child_gets(vshm_producer_commit_burst(t->p, 1, 0));
	child_gets(vshm_producer_counters(t->p, &n));
	child_gets(vshm_producer_fault(t->p, &f));
	(void)vshm_producer_max_record(t->p);
	child_gets(vshm_producer_close(t->p, VSHM_FOREVER));
	return bad;
}

static unsigned consumers_in_child(struct pair *t)
{
	struct vshm_counters n = VSHM_COUNTERS_INIT;
	struct vshm_fault f = VSHM_FAULT_INIT;
	struct vshm_view v;
	unsigned bad = 0;
	size_t size;

	child_gets(vshm_consumer_peek(t->c, &v, 0));
	child_gets(vshm_consumer_peek(t->c, &v, VSHM_FOREVER));
	child_gets(vshm_consumer_release(t->c));
	child_gets(vshm_consumer_peek_burst(t->c, &v, 1, 0));
	child_gets(vshm_consumer_recv(t->c, &v, sizeof(v), &size, 0));
	child_gets(vshm_consumer_connected(t->c));
	child_gets(vshm_consumer_counters(t->c, &n));
	child_gets(vshm_consumer_fault(t->c, &f));
	child_gets(vshm_consumer_close(t->c));
	return bad;
}

/* The child may open the region as somebody else; whether it can reach what lives in one process is left open. */
static unsigned fresh_in_child(struct pair *t)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r = NULL;

	o.peer = 2;
	if (t->w.kind == WORLD_INPROC || SUPPORT_TSAN) /* ThreadSanitizer allows no threads after such a fork */
		return 0;
	if (vshm_region_open(t->w.uri, &o, &r, NULL) || vshm_region_status(r) || vshm_region_close(r))
		return 1;
	return 0;
}

static void in_child(struct pair *t)
{
	unsigned bad = regions_in_child(t) + producers_in_child(t) + consumers_in_child(t);

	bad += fresh_in_child(t);
	if (vshm_region_close(t->a) != -ECHILD || vshm_region_close(t->b) != -ECHILD)
		bad++;
	_exit(bad ? 1 : 0);
}

START_TEST(forked_child_is_refused_and_parent_goes_on)
{
	struct pair t;
	pid_t pid;

	world_create(&t.w, _i, 3, 65536);
	t.a = world_open(&t.w, 0);
	t.b = world_open(&t.w, 1);
	t.p = producer(t.a, "ring", 1024, 0);
	t.c = consumer(t.b, "ring", 0);
	connect_ends(t.p, t.c);
	put(t.p, t.c, 100, 1);
	pid = support_fork();
	if (!pid)
		in_child(&t);
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	get(t.c, 100, 1);
	support_sleep_us(200000); /* the keeper had time to notice anything odd */
	ck_ok(vshm_region_status(t.a));
	put(t.p, t.c, 100, 2);
	get(t.c, 100, 2);
	pair_close(&t);
}
END_TEST

/* ---- two processes ---- */

static void produce_in_child(const struct world *w, uint64_t count)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	unsigned char record[200];
	struct vshm_region *r;
	struct vshm_producer *p;

	o.peer = 0;
	if (vshm_region_open(w->uri, &o, &r, NULL) || vshm_producer_open(r, "ring", NULL, &p))
		_exit(1);
	for (uint64_t i = 0; i < count; i++) {
		support_fill(record, i % 200, i);
		if (vshm_producer_send(p, record, i % 200, SUPPORT_LONG))
			_exit(2);
	}
	if (vshm_producer_close(p, SUPPORT_LONG) || vshm_region_close(r))
		_exit(3);
	_exit(0);
}

START_TEST(two_processes)
{
	struct vshm_region *r;
	struct vshm_consumer *c;
	struct vshm_view v;
	struct world w;
	pid_t pid;

	if (world_kind(_i) == WORLD_INPROC)
		return;
	world_create(&w, _i, 2, 1 << 19);
	pid = support_fork();
	if (!pid)
		produce_in_child(&w, 30000);
	r = world_open(&w, 1);
	c = consumer(r, "ring", 0);
	for (uint64_t i = 0; i < 30000; i++)
		get(c, i % 200, i);
	ck_is(vshm_consumer_peek(c, &v, SUPPORT_LONG), -ENODATA);
	ck_assert_int_eq(support_wait(pid, SUPPORT_LONG), 0);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* ---- a sandbox ---- */

static int deny_robust_lists(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_set_robust_list, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void attach_in_sandbox(const struct world *w)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r;

	o.peer = 0;
	if (deny_robust_lists() || vshm_region_open(w->uri, &o, &r, NULL))
		_exit(77);
	(void)raise(SIGSTOP);
	_exit(0);
}

/* No mark of the kernel's there: the peer does not claim one, and its death is noticed all the same. */
START_TEST(without_robust_lists)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;
	int64_t give_up = support_now_ns() + SUPPORT_LONG;
	struct vshm_region *r;
	struct world w;
	int status = 0;
	pid_t pid;

	world_create(&w, 0, 2, 65536);
	pid = support_fork();
	if (!pid)
		attach_in_sandbox(&w);
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	if (!WIFSTOPPED(status)) {
		printf("skip: without_robust_lists: seccomp filters are not allowed here\n");
		world_destroy(&w);
		return;
	}
	r = world_open(&w, 1);
	ck_ok(vshm_region_peer(r, 0, &info));
	ck_assert_uint_eq(info.ways & VSHM_WAY_KEEPER, 0);
	ck_assert_int_le(info.state, VSHM_PEER_SUSPECT);
	support_kill(pid);
	do {
		ck_assert(support_now_ns() < give_up);
		ck_ok(vshm_region_peer(r, 0, &info));
	} while (info.state != VSHM_PEER_FENCED);
	ck_ok(vshm_region_close(r));
	world_destroy(&w);
}
END_TEST

/* ---- leaks ---- */

static void open_and_close(const struct world *w, unsigned round)
{
	struct vshm_region *a = world_open(w, 0), *b = world_open(w, 1), *o = world_observe(w);
	struct vshm_producer *p = producer(a, "ring", 1024, 0);
	struct vshm_consumer *c = consumer(b, "ring", 0);

	if (round % 2) {
		connect_ends(p, c);
		put(p, c, 64, round);
		get(c, 64, round);
	}
	if (round % 3) {
		ck_ok(vshm_consumer_close(c));
		(void)vshm_producer_close(p, 0);
	}
	ck_ok(vshm_region_close(b));
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(o));
}

START_TEST(open_and_close_leak_nothing)
{
	int fds, threads, mappings, entries = 0;
	struct world w;

	world_create(&w, _i, 2, 65536);
	open_and_close(&w, 0); /* what is made once per process */
	open_and_close(&w, 1);
	fds = support_count_fds();
	threads = support_count_threads();
	mappings = support_count_mappings();
	if (w.kind == WORLD_SPLIT)
		entries = support_count_entries(w.path);
	for (unsigned i = 0; i < 100; i++)
		open_and_close(&w, i);
	ck_assert_int_eq(support_count_fds(), fds);
	ck_assert_int_eq(support_count_threads(), threads);
	ck_assert_int_le(support_count_mappings(), mappings + 20);
	if (w.kind == WORLD_SPLIT)
		ck_assert_int_eq(support_count_entries(w.path), entries);
	world_destroy(&w);
}
END_TEST

START_TEST(create_and_destroy_leak_nothing)
{
	int fds = support_count_fds(), entries = support_count_entries(support_dir());
	int threads = support_count_threads();
	struct world w;

	for (unsigned i = 0; i < 50; i++) {
		world_create(&w, _i, 2, 65536);
		world_destroy(&w);
	}
	ck_assert_int_eq(support_count_fds(), fds);
	ck_assert_int_eq(support_count_entries(support_dir()), entries);
	ck_assert_int_eq(support_count_threads(), threads);
}
END_TEST

/* ---- resident memory ---- */

/* Pages of this process that are there, in KiB; with a sanitizer its own anonymous memory is left out. */
static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	long sum = 0, n;
	char line[128];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "RssShmem: %ld", &n) == 1 || sscanf(line, "RssFile: %ld", &n) == 1 ||
		    (!SUPPORT_SANITIZED && sscanf(line, "RssAnon: %ld", &n) == 1))
			sum += n;
	}
	ck_assert_int_eq(fclose(f), 0);
	return sum;
}

static int room_for_a_gibibyte(void)
{
	struct statvfs fs;

	return !statvfs(support_dir(), &fs) && (uint64_t)fs.f_bavail * fs.f_frsize > UINT64_C(1536) << 20;
}

START_TEST(attaching_to_a_gibibyte_is_cheap)
{
	struct vshm_create_options o = VSHM_CREATE_OPTIONS_INIT;
	struct vshm_producer *p;
	struct vshm_consumer *c;
	struct vshm_region *a, *b;
	struct world w;
	long before;

	if (!room_for_a_gibibyte()) {
		printf("skip: 1 GiB region: less than 1.5 GiB free in %s\n", support_dir());
		return;
	}
	world_create(&w, _i, 2, 65536);
	open_and_close(&w, 1); /* code that is used once is paged in */
	world_destroy(&w);
	world_place(&w, _i, 2);
	o.size = 1 << 30;
	ck_ok(vshm_region_create(w.create_uri, &o, NULL));
	before = resident_kib();
	a = world_open(&w, 0);
	b = world_open(&w, 1);
	p = producer(a, "ring", 256 << 20, 0);
	c = consumer(b, "ring", 0);
	connect_ends(p, c);
	put(p, c, 64, 1);
	get(c, 64, 1);
	ck_assert_int_lt(resident_kib() - before, 1024);
	ck_ok(vshm_region_close(a));
	ck_ok(vshm_region_close(b));
	world_destroy(&w);
}
END_TEST

Suite *suite_process(void)
{
	Suite *s = suite_create("process");
	TCase *tc = tcase_create("process");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	add_everywhere(tc, forked_child_is_refused_and_parent_goes_on);
	add_everywhere(tc, two_processes);
	tcase_add_test(tc, without_robust_lists);
	add_everywhere(tc, open_and_close_leak_nothing);
	add_everywhere(tc, create_and_destroy_leak_nothing);
	tcase_add_loop_test(tc, attaching_to_a_gibibyte_is_cheap, 0, 1);
	suite_add_tcase(s, tc);
	return s;
}
