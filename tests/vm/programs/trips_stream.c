/* SPDX-License-Identifier: BSD-3-Clause */
/* What a user has without libvshm: TCP over virtio-net, and a virtio serial port. Bytes one way and bytes the other way. */
#include "trips.h"

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 4711
#define TRIES 500
#define PAUSE_NS 20000000

static int fd = -1;
static unsigned char *buffer;

static int prepare(size_t size)
{
	buffer = aligned_alloc(64, (size + 63) / 64 * 64);
	return buffer ? 0 : trips_say("no memory", 0);
}

/* ---- TCP ---- */

static struct sockaddr_in place(const char *address)
{
	struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	place.sin_addr.s_addr = inet_addr(address);
	return place;
}

static int answer_calls(const char *address)
{
	const struct sockaddr_in own = place(address);
	const int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(listener, (const struct sockaddr *)&own, sizeof(own)) || listen(listener, 1))
		return -1;
	fd = accept(listener, NULL, NULL);
	(void)close(listener);
	return fd < 0 ? -1 : 0;
}

/* Until somebody listens there. */
static int call(const char *address)
{
	const struct timespec pause = {0, PAUSE_NS};
	const struct sockaddr_in other = place(address);

	for (int i = 0; i < TRIES; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0 || !connect(fd, (const struct sockaddr *)&other, sizeof(other)))
			return fd < 0 ? -1 : 0;
		(void)close(fd);
		(void)nanosleep(&pause, NULL);
	}
	return -1;
}

static int open_tcp(const char *const arguments[], size_t size, bool asks)
{
	const int on = 1;

	if (prepare(size))
		return -1;
	if ((asks ? call(arguments[0]) : answer_calls(arguments[0])) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		return trips_say(arguments[0], errno);
	return 0;
}

/* ---- a serial port ---- */

static int open_serial(const char *const arguments[], size_t size, bool asks)
{
	(void)asks;
	if (prepare(size))
		return -1;
	fd = open(arguments[0], O_RDWR | O_CLOEXEC);
	return fd < 0 ? trips_say(arguments[0], errno) : 0;
}

/* ---- either ---- */

static int put(size_t size, uint64_t counter)
{
	bench_fill(buffer, size, counter);
	for (size_t done = 0; done < size;) {
		const ssize_t n = write(fd, buffer + done, size - done);

		if (n < 0 && errno != EINTR)
			return trips_say("cannot send", errno);
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int get(size_t size, uint64_t counter)
{
	for (size_t done = 0; done < size;) {
		const ssize_t n = read(fd, buffer + done, size - done);

		if (!n || (n < 0 && errno != EINTR))
			return trips_say("cannot receive", n ? errno : EPIPE);
		done += n > 0 ? (size_t)n : 0;
	}
	return bench_check(buffer, size, counter) ? trips_say("wrong bytes came through", 0) : 0;
}

static int finish(void)
{
	free(buffer);
	return close(fd) ? trips_say("close", errno) : 0;
}

const struct way way_tcp = {"tcp", "ADDRESS-OF-THE-ANSWERING-SIDE", open_tcp, put, get, NULL, finish};
const struct way way_serial = {"serial", "DEVICE", open_serial, put, get, NULL, finish};
