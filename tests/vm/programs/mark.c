/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vm-mark: says when something happened, to whoever looks at the same memory. Clocks of guests differ, and a command takes a guest
 * some time to begin; a word in memory that the host looks at does not.
 *
 *   vm-mark speak URI RING              says something to two listeners, now and then, while they sleep
 *   vm-mark kill MEMORY WORD PID        marks, then kills that process, at once
 *   vm-mark told MEMORY WORD URI RING   reads the ring, and marks when its producer is said to have died
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vshm/vshm.h>

#define MAPPED 4096
#define PAUSE_NS 100000000

static _Atomic(unsigned) *map_words(const char *path)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	void *words = fd < 0 ? MAP_FAILED : mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		(void)close(fd);
	return words == MAP_FAILED ? NULL : words;
}

static int kill_it(_Atomic(unsigned) *word, pid_t pid)
{
	atomic_store(word, 1);
	return kill(pid, SIGKILL) ? perror("vm-mark: kill"), 1 : 0;
}

/* A stream whose producer is only suspect may go on. */
static int read_stream(struct vshm_consumer *consumer)
{
	struct vshm_view view;
	int rc;

	do {
		rc = vshm_consumer_peek(consumer, &view, VSHM_FOREVER);
		if (!rc)
			(void)vshm_consumer_release(consumer);
	} while (!rc || rc == -EHOSTDOWN);
	return rc;
}

static int open_region(const char *uri, struct vshm_region **region)
{
	char why[VSHM_WHY_SIZE];

	return vshm_region_open(uri, NULL, region, why) ? fprintf(stderr, "vm-mark: %s\n", why), 1 : 0;
}

static int speak(const char *uri, const char *ring)
{
	struct vshm_producer_options two = VSHM_PRODUCER_OPTIONS_INIT;
	const struct timespec pause = {0, PAUSE_NS};
	struct vshm_producer *producer;
	struct vshm_region *region;
	int rc;

	two.consumers = 2;
	if (open_region(uri, &region))
		return 1;
	rc = vshm_producer_open(region, ring, &two, &producer);
	while (!rc) {
		rc = vshm_producer_send(producer, "word", 4, VSHM_FOREVER);
		(void)nanosleep(&pause, NULL);
	}
	return fprintf(stderr, "vm-mark: speak: %s\n", vshm_strerror(rc)), 1;
}

static int be_told(_Atomic(unsigned) *word, const char *uri, const char *ring)
{
	struct vshm_consumer *consumer;
	struct vshm_region *region;
	int rc;

	if (open_region(uri, &region))
		return 1;
	rc = vshm_consumer_open(region, ring, NULL, &consumer);
	if (!rc)
		rc = read_stream(consumer);
	if (rc == -EPIPE)
		atomic_store(word, 1);
	printf("%s\n", vshm_strerror(rc));
	(void)vshm_region_close(region);
	return rc != -EPIPE;
}

int main(int argc, char **argv)
{
	_Atomic(unsigned) *words = argc > 4 ? map_words(argv[2]) : NULL;
	_Atomic(unsigned) *word = words ? words + strtoul(argv[3], NULL, 10) % (MAPPED / sizeof(*word)) : NULL;

	if (argc == 4 && !strcmp(argv[1], "speak"))
		return speak(argv[2], argv[3]);
	if (argc > 4 && !word)
		return perror(argv[2]), 1;
	if (argc == 5 && !strcmp(argv[1], "kill"))
		return kill_it(word, (pid_t)strtol(argv[4], NULL, 10));
	if (argc == 6 && !strcmp(argv[1], "told"))
		return be_told(word, argv[4], argv[5]);
	return fputs("usage: vm-mark speak URI RING | kill MEMORY WORD PID | told MEMORY WORD URI RING\n", stderr), 2;
}
