/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions on every transport, and pairs of ends in them. See world.h. */
#include "world.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *const labels[WORLD_KINDS] = {
	[WORLD_SHM] = "file in /dev/shm", [WORLD_DISK] = "file on a disk", [WORLD_SPLIT] = "directory (split)",
	[WORLD_INPROC] = "inproc",	  [WORLD_HUGE] = "hugetlbfs",	   [WORLD_NAMED] = "vshm:NAME",
};
static enum world_kind present[WORLD_KINDS];
static int present_count;
static char run_dir[300];
static uint64_t huge_page;

/* ---- which transports ---- */

/* statfs() does not tell where the mount has no limit of its own. */
static int free_huge_pages(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	int pages = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &pages) != 1)
		pages = 0;
	(void)fclose(f);
	return pages;
}

static const char *why_no_hugetlbfs(void)
{
	struct statfs fs;

	if (!support_huge_dir() || statfs(support_huge_dir(), &fs))
		return "no hugetlbfs is mounted writable here";
	huge_page = (uint64_t)fs.f_bsize;
	if (huge_page != 2 << 20)
		return "its pages have not 2 MiB";
	return free_huge_pages() < 16 ? "fewer than 16 huge pages are free (/proc/sys/vm/nr_hugepages)" : NULL;
}

static void add(enum world_kind kind, const char *why_not)
{
	if (why_not)
		printf("skip: transport %s: %s\n", labels[kind], why_not);
	else
		present[present_count++] = kind;
}

void world_probe(void)
{
	static const char twice[] = "under a sanitizer /dev/shm stands for it: the code is the same";

	add(WORLD_SHM, NULL);
	add(WORLD_DISK, SUPPORT_SANITIZED    ? twice
			: support_disk_dir() ? NULL
					     : "no writable directory outside tmpfs (TMPDIR, /var/tmp, /tmp)");
	add(WORLD_SPLIT, NULL);
	add(WORLD_INPROC, NULL);
	add(WORLD_HUGE, why_no_hugetlbfs());
	add(WORLD_NAMED, SUPPORT_SANITIZED ? twice : NULL);
	snprintf(run_dir, sizeof(run_dir), "%s/run", support_dir());
	if (mkdir(run_dir, 0755) || setenv("VSHM_RUN_DIR", run_dir, 1))
		exit(99);
}

int world_count(void)
{
	return present_count;
}

enum world_kind world_kind(int transport)
{
	return present[transport];
}

const char *world_label(int transport)
{
	return labels[present[transport]];
}

/* ---- regions ---- */

static const char *world_dir(enum world_kind kind)
{
	if (kind == WORLD_DISK)
		return support_disk_dir();
	return kind == WORLD_HUGE ? support_huge_dir() : support_dir();
}

void world_place(struct world *w, int transport, uint32_t peers)
{
	static unsigned serial;

	memset(w, 0, sizeof(*w));
	w->kind = present[transport];
	w->peers = peers;
	snprintf(w->name, sizeof(w->name), "t%d-%u", (int)getpid(), serial++);
	if (w->kind == WORLD_INPROC) {
		snprintf(w->create_uri, sizeof(w->create_uri), "inproc:%s", w->name);
	} else {
		snprintf(w->path, sizeof(w->path), "%s/%s", world_dir(w->kind), w->name);
		snprintf(w->create_uri, sizeof(w->create_uri), "file:%.4000s", w->path);
	}
	if (w->kind == WORLD_NAMED)
		snprintf(w->uri, sizeof(w->uri), "vshm:%s", w->name);
	else
		memcpy(w->uri, w->create_uri, sizeof(w->uri));
}

struct vshm_create_options world_options(const struct world *w, uint64_t data)
{
	struct vshm_create_options o = VSHM_CREATE_OPTIONS_INIT;
	uint64_t page = w->kind == WORLD_HUGE ? huge_page : VSHM_MIN_PAGE;
	uint64_t section = (VSHM_SECTION_DATA + data + page - 1) / page * page;
	uint64_t superblocks = w->kind == WORLD_SPLIT ? w->peers : 1;

	if (section < VSHM_MIN_SECTION)
		section = VSHM_MIN_SECTION;
	o.peers = w->peers;
	o.size = superblocks * page + w->peers * section;
	o.flags = w->kind == WORLD_SPLIT ? VSHM_CREATE_SPLIT : 0;
	return o;
}

void world_create(struct world *w, int transport, uint32_t peers, uint64_t data)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_create_options o;
	int rc;

	world_place(w, transport, peers);
	o = world_options(w, data);
	rc = vshm_region_create(w->create_uri, &o, why);
	ck_assert_msg(rc == 0, "create %s: %d: %s", w->create_uri, rc, why);
	if (w->kind != WORLD_NAMED)
		return;
	rc = vshm_region_register(w->name, w->create_uri, why);
	ck_assert_msg(rc == 0, "register %s: %d: %s", w->name, rc, why);
}

void world_destroy(struct world *w)
{
	char why[VSHM_WHY_SIZE] = "";
	int rc = vshm_region_destroy(w->create_uri, why);

	ck_assert_msg(rc == 0, "destroy %s: %d: %s", w->create_uri, rc, why);
	if (w->kind == WORLD_NAMED)
		ck_ok(vshm_region_register(w->name, NULL, why));
}

struct vshm_region *world_open_with(const struct world *w, const struct vshm_open_options *options)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_region *r = NULL;
	int rc = vshm_region_open(w->uri, options, &r, why);

	ck_assert_msg(rc == 0, "open %s: %d: %s", w->uri, rc, why);
	ck_assert_ptr_nonnull(r);
	return r;
}

struct vshm_region *world_open(const struct world *w, vshm_peer peer)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;

	o.peer = peer;
	return world_open_with(w, &o);
}

struct vshm_region *world_observe(const struct world *w)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;

	o.flags = VSHM_OPEN_OBSERVE;
	return world_open_with(w, &o);
}

static int holds_peer(const char *path, vshm_peer peer)
{
	struct vshm_superblock sb;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, &sb, sizeof(sb));

	if (fd >= 0)
		(void)close(fd);
	return got == (ssize_t)sizeof(sb) && sb.magic == VSHM_MAGIC && sb.section[0].peer == peer;
}

void world_segment_path(const struct world *w, vshm_peer peer, char *path, size_t size)
{
	DIR *d;

	snprintf(path, size, "%s", w->path);
	if (w->kind != WORLD_SPLIT)
		return;
	d = opendir(w->path);
	ck_assert_ptr_nonnull(d);
	for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
		snprintf(path, size, "%s/%s", w->path, e->d_name);
		if (holds_peer(path, peer)) {
			(void)closedir(d);
			return;
		}
	}
	ck_abort_msg("no segment of peer %u in %s", peer, w->path);
}

/* ---- ends ---- */

struct vshm_producer *producer(struct vshm_region *r, const char *name, uint64_t ring_size, uint32_t flags)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p = NULL;
	char why[VSHM_WHY_SIZE] = "";
	int rc;

	o.ring_size = ring_size;
	o.flags = flags;
	rc = vshm_producer_open(r, name, &o, &p);
	if (rc)
		(void)vshm_region_why(r, why);
	ck_assert_msg(rc == 0, "producer %s: %d: %s", name, rc, why);
	return p;
}

struct vshm_consumer *consumer(struct vshm_region *r, const char *name, uint32_t flags)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_consumer *c = NULL;
	char why[VSHM_WHY_SIZE] = "";
	int rc;

	o.flags = flags;
	rc = vshm_consumer_open(r, name, &o, &c);
	if (rc)
		(void)vshm_region_why(r, why);
	ck_assert_msg(rc == 0, "consumer %s: %d: %s", name, rc, why);
	return c;
}

/* The producer grants in its slow paths: a reserve that does not fit, or finds nobody, is one. */
void connect_ends(struct vshm_producer *p, struct vshm_consumer *c)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	struct vshm_view v;
	void *data;
	int rc;

	while (!vshm_consumer_connected(c)) {
		ck_assert_msg(support_now_ns() < end, "the ends did not connect");
		rc = vshm_producer_reserve(p, 0, &data, 0);
		ck_assert_msg(rc == 0 || rc == -EAGAIN, "reserve: %d", rc);
		(void)vshm_producer_flush(p);
		rc = vshm_consumer_peek(c, &v, 0);
		ck_assert_msg(rc == 0 || rc == -EAGAIN, "peek: %d", rc);
	}
}

void put(struct vshm_producer *p, struct vshm_consumer *c, size_t size, uint64_t key)
{
	struct vshm_view v;
	void *data = NULL;
	int rc = -EAGAIN;

	/* The wrap padding is a record of its own: the consumer may have to step over it first. */
	for (int i = 0; i < 100 && rc == -EAGAIN; i++) {
		rc = vshm_producer_reserve(p, size, &data, 0);
		if (rc == -EAGAIN)
			(void)!vshm_consumer_peek(c, &v, 0);
	}
	ck_assert_msg(rc == 0, "reserve %zu: %d", size, rc);
	ck_assert_uint_eq((uintptr_t)data % 8, 0);
	support_fill(data, size, key);
	ck_ok(vshm_producer_commit(p, size, 0));
}

void get(struct vshm_consumer *c, size_t size, uint64_t key)
{
	struct vshm_view v = {NULL, 0};
	int rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);

	ck_assert_msg(rc == 0, "peek: %d, wanted a record of %zu bytes", rc, size);
	ck_assert_uint_eq(v.size, size);
	ck_assert_uint_eq((uintptr_t)v.data % 8, 0);
	ck_assert_msg(support_same(v.data, size, key), "record of %zu bytes differs", size);
	ck_ok(vshm_consumer_release(c));
}

void get_nothing(struct vshm_consumer *c, int code)
{
	struct vshm_view v = {&v, 77};

	ck_is(vshm_consumer_peek(c, &v, 0), code);
	ck_assert_uint_eq(v.size, 77); /* outputs untouched on failure */
}

void pair_open(struct pair *t, int transport, uint64_t ring_size)
{
	world_create(&t->w, transport, 2, ring_size < 65536 ? 65536 : ring_size);
	t->a = world_open(&t->w, 0);
	t->b = world_open(&t->w, 1);
	t->p = producer(t->a, "ring", ring_size, 0);
	t->c = consumer(t->b, "ring", 0);
	connect_ends(t->p, t->c);
}

void pair_close(struct pair *t)
{
	ck_ok(vshm_region_close(t->b));
	ck_ok(vshm_region_close(t->a));
	world_destroy(&t->w);
}

void wait_status(struct vshm_region *r, int code)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	int rc;

	while ((rc = vshm_region_status(r)) != code) {
		ck_assert_msg(support_now_ns() < end, "status %d, wanted %d", rc, code);
		support_sleep_us(1000);
	}
}

pthread_t start_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, arg), 0);
	return thread;
}

void join_thread(pthread_t thread)
{
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
