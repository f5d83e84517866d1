/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers `vshmctl ping` from an event loop: it sleeps in epoll, and makes no call that waits.
 *   vm-echo URI      echoes ring ping.ask into ring ping.answer, until it is killed
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <vshm/vshm.h>

/* All that is there. 0, or why it ends. */
static int echo(struct vshm_consumer *in, struct vshm_producer *out)
{
	struct vshm_view view;
	int rc;

	while (!(rc = vshm_consumer_peek(in, &view, 0))) {
		rc = vshm_producer_send(out, view.data, view.size, 0);
		if (rc && rc != -EAGAIN && rc != -EPIPE)
			return rc;
		(void)vshm_consumer_release(in);
	}
	return rc == -EAGAIN || rc == -EHOSTDOWN || rc == -ENODATA || rc == -EPIPE ? 0 : rc;
}

int main(int argc, char **argv)
{
	struct vshm_consumer_options follow = VSHM_CONSUMER_OPTIONS_INIT;
	struct epoll_event event = {.events = EPOLLIN};
	struct vshm_region *region;
	struct vshm_consumer *in;
	struct vshm_producer *out;
	char why[VSHM_WHY_SIZE];
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd, rc;

	follow.flags = VSHM_CONSUMER_FOLLOW;
	if (argc != 2 || vshm_region_open(argv[1], NULL, &region, why))
		return fprintf(stderr, "vm-echo: %s\n", argc == 2 ? why : "URI"), 1;
	if (vshm_consumer_open(region, "ping.ask", &follow, &in) || vshm_producer_open(region, "ping.answer", NULL, &out))
		return fprintf(stderr, "vm-echo: no ends\n"), 1;
	fd = vshm_region_fd(region);
	rc = fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -EIO : 0;
	while (!rc && epoll_wait(epoll, &event, 1, -1) > 0) {
		rc = vshm_region_dispatch(region);
		if (!rc)
			rc = echo(in, out);
	}
	return fprintf(stderr, "vm-echo: %s\n", vshm_strerror(rc)), 1;
}
