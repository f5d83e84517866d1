/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An event loop with a region in it: what comes on standard input goes into a ring, what comes in a ring is printed, and so
 * is what happens to the peers. One epoll, one thread, no call that waits.
 *
 *   epoll_loop URI SEND RECV      sends to ring SEND, receives from ring RECV; ends with its input or with SIGINT
 *
 * Two of them talk: epoll_loop /dev/shm/chat here there, and epoll_loop /dev/shm/chat there here.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <vshm/vshm.h>

#define LINE 4096

struct loop {
	struct vshm_region *region;
	struct vshm_producer *out;
	struct vshm_consumer *in;
	int epoll;
	char held[LINE]; /* input that found no room yet */
	size_t size;
	bool ended; /* no more input */
};

static void print_events(struct loop *loop)
{
	static const char *const words[] = {"?", "joined", "is suspect", "recovered", "died", "restarted", "left"};
	struct vshm_event event = VSHM_EVENT_INIT;

	while (!vshm_region_event(loop->region, &event))
		printf("peer %u %s\n", event.peer, words[event.type]);
}

/* Everything that is there, until -EAGAIN: only then does the descriptor promise to tell of more. */
static int print_records(struct loop *loop)
{
	for (;;) {
		struct vshm_view view;
		int rc = vshm_consumer_peek(loop->in, &view, 0);

		if (!rc) {
			printf("< %.*s", (int)view.size, (const char *)view.data);
			vshm_consumer_release(loop->in);
		} else if (!vshm_region_status(loop->region) &&
			   (rc == -ENODATA || rc == -EPIPE || rc == -ESTALE || rc == -EHOSTDOWN)) {
			printf("< (%s)\n", vshm_strerror(rc)); /* said once: it follows */
		} else {
			return rc == -EAGAIN ? 0 : rc;
		}
	}
}

/* While there is no room, standard input is not listened to. */
static int send_held(struct loop *loop)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.fd = STDIN_FILENO}};
	int rc = loop->size ? vshm_producer_send(loop->out, loop->held, loop->size, 0) : 0;

	if (rc == -EPIPE || rc == -EHOSTDOWN) /* said once: somebody else may come */
		rc = vshm_producer_send(loop->out, loop->held, loop->size, 0);
	if (rc && rc != -EAGAIN)
		return rc;
	if (!rc)
		loop->size = 0;
	if (loop->size)
		event.events = 0;
	return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, STDIN_FILENO, &event) ? -errno : 0;
}

static int read_input(struct loop *loop)
{
	ssize_t n = read(STDIN_FILENO, loop->held, sizeof(loop->held));

	if (n < 0)
		return -errno;
	loop->ended = !n;
	loop->size = (size_t)n;
	return send_held(loop);
}

static int run(struct loop *loop)
{
	struct epoll_event input = {.events = EPOLLIN, .data = {.fd = STDIN_FILENO}}, news = {.events = EPOLLIN};
	int rc = vshm_region_fd(loop->region);

	if (rc < 0)
		return rc;
	news.data.fd = rc;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, news.data.fd, &news) ||
	    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input))
		return -errno;
	for (rc = 0; !rc && !loop->ended;) {
		struct epoll_event event;

		if (epoll_wait(loop->epoll, &event, 1, -1) < 1)
			continue;
		if (event.data.fd == STDIN_FILENO) {
			rc = read_input(loop);
			continue;
		}
		rc = vshm_region_dispatch(loop->region);
		print_events(loop);
		if (!rc)
			rc = print_records(loop);
		if (!rc && loop->size)
			rc = send_held(loop);
		fflush(stdout);
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct vshm_consumer_options follow = VSHM_CONSUMER_OPTIONS_INIT;
	static struct loop loop;
	char why[VSHM_WHY_SIZE];
	int rc;

	if (argc != 4)
		return fprintf(stderr, "usage: epoll_loop URI SEND RECV\n"), 2;
	rc = vshm_region_create(argv[1], NULL, why); /* or the other one has done it */
	if (!rc || rc == -EEXIST)
		rc = vshm_region_open(argv[1], NULL, &loop.region, why);
	if (rc)
		return fprintf(stderr, "epoll_loop: %s\n", why), 1;
	follow.flags = VSHM_CONSUMER_FOLLOW;
	rc = vshm_producer_open(loop.region, argv[2], NULL, &loop.out);
	if (!rc)
		rc = vshm_consumer_open(loop.region, argv[3], &follow, &loop.in);
	if (!rc)
		rc = run(&loop);
	if (!rc)
		rc = vshm_producer_close(loop.out, 5000000000); /* until the other one has read it */
	if (rc)
		fprintf(stderr, "epoll_loop: %s\n", vshm_strerror(rc));
	vshm_region_close(loop.region);
	return rc != 0;
}
