/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams between peers that are awake, and counts its own allocations; hotpath.sh counts the system calls between
 * the marks, thread by thread. With the argument "plant" it allocates and calls the system in between, to show that
 * both are noticed. Prints "records N allocations M".
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vshm/vshm.h>

#include "support.h"

#define RECORDS 200000u

/* ---- allocations of the threads that stream ---- */

void *__libc_malloc(size_t size); /* NOLINT(bugprone-reserved-identifier) */
void *__libc_calloc(size_t count, size_t n); /* NOLINT(bugprone-reserved-identifier) */
void *__libc_realloc(void *p, size_t size); /* NOLINT(bugprone-reserved-identifier) */
void *__libc_memalign(size_t align, size_t size); /* NOLINT(bugprone-reserved-identifier) */

static __thread int counting;
static unsigned long allocations;
static int planted;

static void count_one(void)
{
	if (counting)
		(void)__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count_one();
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	count_one();
	return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	count_one();
	return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	count_one();
	return __libc_memalign(align, size);
}

/* ---- marks ---- */

static void begin(void)
{
	counting = 1;
	(void)prctl(PR_SET_NAME, "vshm-begin");
}

static void end(void)
{
	(void)prctl(PR_SET_NAME, "vshm-end");
	counting = 0;
}

static void plant(void)
{
	void *volatile p;

	if (!planted)
		return;
	p = malloc(64);
	free(p);
	(void)getppid();
}

static void fail(const char *what, int rc)
{
	fprintf(stderr, "hotpath: %s: %d %s\n", what, rc, vshm_strerror(rc));
	exit(1);
}

static void must(int rc, const char *what)
{
	if (rc < 0)
		fail(what, rc);
}

/* ---- streams ---- */

struct ends {
	struct vshm_region *a, *b;
	struct vshm_producer *p;
	struct vshm_consumer *c;
};

static void send_one(struct vshm_producer *p, unsigned i)
{
	void *data;
	int rc;

	while ((rc = vshm_producer_reserve(p, 8 + i % 200, &data, 0)) == -EAGAIN)
		;
	must(rc, "reserve");
	memset(data, (int)i, 8 + i % 200);
	must(vshm_producer_commit(p, 8 + i % 200, i % 4 ? VSHM_MORE : 0), "commit");
}

static void receive_one(struct vshm_consumer *c, unsigned i)
{
	struct vshm_view v;
	int rc;

	while ((rc = vshm_consumer_peek(c, &v, 0)) == -EAGAIN)
		;
	must(rc, "peek");
	if (v.size != 8 + i % 200 || *(const unsigned char *)v.data != (unsigned char)i)
		fail("wrong record", -EIO);
	must(vshm_consumer_release(c), "release");
}

static void *send_all(void *arg)
{
	struct ends *e = arg;

	begin();
	for (unsigned i = 0; i < RECORDS; i++)
		send_one(e->p, i);
	must(vshm_producer_flush(e->p), "flush");
	plant();
	end();
	return NULL;
}

static void *receive_all(void *arg)
{
	struct ends *e = arg;

	begin();
	for (unsigned i = 0; i < RECORDS; i++)
		receive_one(e->c, i);
	plant();
	end();
	return NULL;
}

/* One thread, both ends, every call of the hot path; timeouts other than 0 too, since nothing has to wait. */
static void alternate(struct ends *e)
{
	unsigned char buffer[256] = {0};
	struct vshm_view views[32];
	void *data[32];
	size_t n;
	int k;

	begin();
	for (unsigned i = 0; i < RECORDS / 64; i++) {
		must(vshm_producer_send(e->p, buffer, i % 256, VSHM_FOREVER), "send");
		must(vshm_consumer_recv(e->c, buffer, sizeof(buffer), &n, VSHM_FOREVER), "recv");
		must(k = vshm_producer_reserve_burst(e->p, 32, data, 32, VSHM_FOREVER), "reserve burst");
		must(vshm_producer_commit_burst(e->p, (unsigned)k, 0), "commit burst");
		while (k > 0) {
			int got = vshm_consumer_peek_burst(e->c, views, 32, VSHM_FOREVER);

			must(got, "peek burst");
			must(vshm_consumer_release(e->c), "release");
			k -= got;
		}
	}
	plant();
	end();
}

static void open_ends(struct ends *e, const char *uri)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_view v;
	void *data;

	o.flags = VSHM_CONSUMER_POLL;
	must(vshm_region_create(uri, NULL, NULL), "create");
	must(vshm_region_open(uri, NULL, &e->a, NULL), "open");
	must(vshm_region_open(uri, NULL, &e->b, NULL), "open");
	must(vshm_producer_open(e->a, "ring", NULL, &e->p), "producer");
	must(vshm_consumer_open(e->b, "ring", &o, &e->c), "consumer");
	while (!vshm_consumer_connected(e->c)) {
		(void)!vshm_producer_reserve(e->p, 0, &data, 0);
		(void)!vshm_consumer_peek(e->c, &v, 0);
	}
}

int main(int argc, char **argv)
{
	pthread_t one, two;
	struct ends e;
	char uri[300];

	planted = argc > 1 && !strcmp(argv[1], "plant");
	support_begin("hotpath");
	snprintf(uri, sizeof(uri), "file:%s/net0", support_dir());
	open_ends(&e, uri);
	alternate(&e);
	if (pthread_create(&one, NULL, send_all, &e) || pthread_create(&two, NULL, receive_all, &e))
		return 1;
	(void)pthread_join(one, NULL);
	(void)pthread_join(two, NULL);
	must(vshm_region_close(e.a), "close");
	must(vshm_region_close(e.b), "close");
	support_end();
	printf("records %u allocations %lu\n", RECORDS, allocations);
	return 0;
}
