/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions, notes, records, and the killer. See crash.h. */
#include "crash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct notes *map_notes(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || ftruncate(fd, 4096))
		return NULL;
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	return map == MAP_FAILED ? NULL : map;
}

void scene_open(struct scene *s, uint32_t peers)
{
	struct vshm_create_options o = VSHM_CREATE_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";
	int rc;

	memset(s, 0, sizeof(*s));
	s->seed = support_seed();
	snprintf(s->path, sizeof(s->path), "%s/r%d", support_dir(), (int)getpid());
	snprintf(s->uri, sizeof(s->uri), "file:%s", s->path);
	snprintf(s->notes_path, sizeof(s->notes_path), "%s-notes", s->path);
	s->notes = map_notes(s->notes_path);
	ck_assert_ptr_nonnull(s->notes);
	o.peers = peers;
	rc = vshm_region_create(s->uri, &o, why);
	ck_assert_msg(rc == 0, "create: %d: %s", rc, why);
	(void)signal(SIGPIPE, SIG_IGN);
}

void scene_close(struct scene *s)
{
	ck_assert_int_eq(vshm_region_destroy(s->uri, NULL), 0);
	(void)munmap(s->notes, 4096);
	(void)unlink(s->notes_path);
}

void scene_second(struct scene *second, const struct scene *first)
{
	*second = *first;
	second->seed++;
	snprintf(second->notes_path, sizeof(second->notes_path), "%.500s2", first->notes_path);
	second->notes = map_notes(second->notes_path);
	ck_assert_ptr_nonnull(second->notes);
}

struct vshm_region *scene_attach(const struct scene *s, vshm_peer peer, uint32_t lease_ms)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_region *r = NULL;
	int rc;

	o.peer = peer;
	o.lease_ms = lease_ms;
	o.flags = peer == VSHM_PEER_ANY ? VSHM_OPEN_OBSERVE : 0;
	rc = vshm_region_open(s->uri, &o, &r, why);
	ck_assert_msg(rc == 0, "open as %u: %d: %s", peer, rc, why);
	return r;
}

/* ---- records ---- */

size_t record_size(uint64_t run, uint64_t number)
{
	uint64_t state = run * 1000003 + number;

	return RECORD_HEAD + support_below(&state, MAX_PAYLOAD - RECORD_HEAD + 1);
}

void record_fill(void *data, uint64_t run, uint64_t number)
{
	memcpy(data, &run, 8);
	memcpy((char *)data + 8, &number, 8);
	support_fill((char *)data + RECORD_HEAD, record_size(run, number) - RECORD_HEAD, run ^ (number << 20));
}

int record_is(const struct vshm_view *view, uint64_t run, uint64_t number)
{
	unsigned char expected[MAX_PAYLOAD];

	if (view->size != record_size(run, number))
		return 0;
	record_fill(expected, run, number);
	return memcmp(view->data, expected, view->size) == 0;
}

/* ---- peers ---- */

pid_t start_peer(struct scene *s, const char *role, vshm_peer peer, uint64_t run, unsigned pace_us, int fd)
{
	char numbers[5][32];
	const char *arguments[] = {"peer",     role,	   s->uri,     s->notes_path, numbers[0],
				   numbers[1], numbers[2], numbers[3], NULL};

	memset(s->notes, 0, sizeof(*s->notes));
	snprintf(numbers[0], sizeof(numbers[0]), "%u", peer);
	snprintf(numbers[1], sizeof(numbers[1]), "%llu", (unsigned long long)run);
	snprintf(numbers[2], sizeof(numbers[2]), "%u", pace_us);
	snprintf(numbers[3], sizeof(numbers[3]), "%d", fd);
	return support_spawn(arguments);
}

static void *kill_later(void *arg)
{
	struct killer *k = arg;
	int64_t end = support_now_ns() + SUPPORT_LONG;

	while (k->ready && !noted(k->ready->ready) && !noted(k->ready->error) && support_now_ns() < end)
		support_sleep_us(50);
	support_sleep_us(k->delay_us);
	support_kill(k->pid);
	__atomic_store_n(&k->dead_at_ns, support_now_ns(), __ATOMIC_RELEASE);
	return NULL;
}

void killer_start(struct killer *k, pid_t pid, const struct notes *ready, int64_t delay_us)
{
	k->pid = pid;
	k->ready = ready;
	k->delay_us = delay_us;
	k->dead_at_ns = 0;
	ck_assert_int_eq(pthread_create(&k->thread, NULL, kill_later, k), 0);
}

void killer_start_random(struct killer *k, pid_t pid, struct scene *s)
{
	if (support_below(&s->seed, 3))
		killer_start(k, pid, s->notes, (int64_t)support_below(&s->seed, 5000));
	else
		killer_start(k, pid, NULL, (int64_t)support_below(&s->seed, SUPPORT_SANITIZED ? 100000 : 4000));
}

int64_t killer_dead_at(const struct killer *k)
{
	return __atomic_load_n(&k->dead_at_ns, __ATOMIC_ACQUIRE);
}

void killer_join(struct killer *k)
{
	ck_assert_int_eq(pthread_join(k->thread, NULL), 0);
}

unsigned kills(unsigned share)
{
	unsigned count = (unsigned)(support_env("COUNT", SUPPORT_SANITIZED ? 60 : 500) * share / 500);

	return count ? count : 1;
}
