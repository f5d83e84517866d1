/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For demo.sh: carries a file from one process to another through a libvshm ring, a pipe and a Unix socket, in turns.
 *
 *   demo-carry URI FILE ROUNDS
 *
 * The sender reads the file in pieces of 64 KiB (into the ring itself, or into a buffer that it then writes); the
 * receiver adds up every 8 bytes where they arrive, so that each byte is really read. Prints for each way its name
 * and the median, lowest and highest MiB/s. Checks that the sums agree.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vshm/vshm.h>

#define PIECE 65536
#define BUFFERED (1 << 20) /* what each way may hold: the ring, the pipe, the socket (if the system lets it) */
#define MAX_ROUNDS 15

/* What the receiver found out; in memory that both processes have. */
struct outcome {
	uint64_t bytes, sum, end_ns;
};

/* An open way between the two processes; ends[0] for the receiver, ends[1] for the sender, where it has descriptors. */
struct way {
	const char *name;
	const char *uri;
	int ends[2];
	int (*open)(struct way *way);
	int (*send)(struct way *way, int file);
	int (*receive)(struct way *way, struct outcome *outcome);
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The file's pieces begin at multiples of 8; only the last one may end elsewhere. */
static void add_up(struct outcome *outcome, const unsigned char *data, size_t size)
{
	uint64_t sum = 0, word;
	size_t i;

	for (i = 0; i + 8 <= size; i += 8) {
		memcpy(&word, data + i, 8);
		sum += word;
	}
	for (word = 0; i < size; i++)
		word = word << 8 | data[i];
	outcome->sum += sum + word;
	outcome->bytes += size;
}

/* Reads until `size` bytes or the end: pipes and sockets give less at a time. */
static ssize_t read_full(int fd, unsigned char *data, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got = read(fd, data + have, size - have);

		if (got < 0)
			return -errno;
		if (!got)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static int write_full(int fd, const unsigned char *data, size_t size)
{
	while (size) {
		ssize_t put = write(fd, data, size);

		if (put < 0)
			return -errno;
		data += put;
		size -= (size_t)put;
	}
	return 0;
}

/* ---- pipe and socket ---- */

static int pipe_open(struct way *way)
{
	if (pipe(way->ends))
		return -errno;
	fcntl(way->ends[1], F_SETPIPE_SZ, BUFFERED); /* refused where the system allows less: so be it */
	return 0;
}

static int socket_open(struct way *way)
{
	const int size = BUFFERED;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, way->ends))
		return -errno;
	setsockopt(way->ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

static int descriptor_send(struct way *way, int file)
{
	static unsigned char piece[PIECE];
	ssize_t size;
	int rc = 0;

	close(way->ends[0]);
	while (!rc && (size = read_full(file, piece, PIECE)) > 0)
		rc = write_full(way->ends[1], piece, (size_t)size);
	close(way->ends[1]);
	return rc;
}

static int descriptor_receive(struct way *way, struct outcome *outcome)
{
	static unsigned char piece[PIECE];
	ssize_t size;

	close(way->ends[1]);
	while ((size = read_full(way->ends[0], piece, PIECE)) > 0)
		add_up(outcome, piece, (size_t)size);
	return (int)size;
}

/* ---- ring ---- */

static int ring_open(struct way *way)
{
	(void)way;
	return 0;
}

static int ring_failed(const char *what, const char *why, int rc)
{
	fprintf(stderr, "demo-carry: %s: %s\n", what, why[0] ? why : vshm_strerror(rc));
	return rc;
}

static int ring_send_all(struct vshm_producer *producer, int file)
{
	void *piece;
	int rc;

	while (!(rc = vshm_producer_reserve(producer, PIECE, &piece, VSHM_FOREVER))) {
		ssize_t size = read_full(file, piece, PIECE);

		if (size <= 0)
			return (int)size;
		rc = vshm_producer_commit(producer, (size_t)size, 0);
		if (rc)
			break;
	}
	return rc;
}

static int ring_send(struct way *way, int file)
{
	struct vshm_producer_options options = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *producer;
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE] = "";
	int rc = vshm_region_open(way->uri, NULL, &region, why);

	if (rc)
		return ring_failed("sender", why, rc);
	options.ring_size = BUFFERED;
	rc = vshm_producer_open(region, "carry", &options, &producer);
	if (!rc)
		rc = ring_send_all(producer, file);
	if (!rc)
		rc = vshm_producer_close(producer, VSHM_FOREVER);
	if (rc) {
		vshm_region_why(region, why);
		ring_failed("sender", why, rc);
	}
	vshm_region_close(region);
	return rc;
}

static int ring_receive(struct way *way, struct outcome *outcome)
{
	struct vshm_consumer *consumer;
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_view view;
	int rc = vshm_region_open(way->uri, NULL, &region, why);

	if (rc)
		return ring_failed("receiver", why, rc);
	rc = vshm_consumer_open(region, "carry", NULL, &consumer);
	while (!rc && !(rc = vshm_consumer_peek(consumer, &view, VSHM_FOREVER))) {
		add_up(outcome, view.data, view.size);
		rc = vshm_consumer_release(consumer);
	}
	outcome->end_ns = now_ns(); /* before the region is closed */
	if (rc != -ENODATA) {
		vshm_region_why(region, why);
		ring_failed("receiver", why, rc);
	}
	vshm_region_close(region);
	return rc == -ENODATA ? 0 : rc;
}

/* ---- one round, and all ---- */

/* MiB/s, or a negative error. */
static double carry(struct way *way, int file, struct outcome *outcome)
{
	uint64_t start_ns;
	int rc = way->open(way), status = 0;
	pid_t child;

	if (rc || lseek(file, 0, SEEK_SET) != 0)
		return rc ? rc : -EIO;
	memset(outcome, 0, sizeof(*outcome));
	start_ns = now_ns();
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		rc = way->receive(way, outcome);
		if (!outcome->end_ns)
			outcome->end_ns = now_ns();
		_exit(rc ? 1 : 0);
	}
	rc = way->send(way, file);
	if (rc)
		kill(child, SIGTERM);
	waitpid(child, &status, 0);
	if (rc || status)
		return rc ? rc : -EIO;
	return (double)outcome->bytes / 1048576.0 / ((double)(outcome->end_ns - start_ns) / 1e9);
}

static int ascending(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Every way in turns, so that a disturbance hits all of them alike. */
static int run(struct way *ways, size_t count, int file, size_t rounds, struct outcome *outcome)
{
	double speed[4][MAX_ROUNDS];
	uint64_t sum = 0, bytes = 0;

	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			speed[i][round] = carry(&ways[i], file, outcome);
			if (speed[i][round] < 0)
				return (int)speed[i][round];
			if (bytes && (sum != outcome->sum || bytes != outcome->bytes))
				return -EBADMSG;
			sum = outcome->sum;
			bytes = outcome->bytes;
		}
	}
	for (size_t i = 0; i < count; i++) {
		qsort(speed[i], rounds, sizeof(speed[i][0]), ascending);
		printf("%s %.0f %.0f %.0f\n", ways[i].name, speed[i][rounds / 2], speed[i][0], speed[i][rounds - 1]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct way ways[] = {
		{"ring", argc > 1 ? argv[1] : "", {-1, -1}, ring_open, ring_send, ring_receive},
		{"pipe", "", {-1, -1}, pipe_open, descriptor_send, descriptor_receive},
		{"socket", "", {-1, -1}, socket_open, descriptor_send, descriptor_receive},
	};
	unsigned long rounds = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	struct outcome *outcome;
	int file, rc;

	if (rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: demo-carry URI FILE ROUNDS\n");
		return 2;
	}
	file = open(argv[2], O_RDONLY | O_CLOEXEC);
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (file < 0 || outcome == MAP_FAILED) {
		fprintf(stderr, "demo-carry: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	rc = run(ways, sizeof(ways) / sizeof(ways[0]), file, rounds, outcome);
	if (rc)
		fprintf(stderr, "demo-carry: %s\n", strerror(-rc));
	return rc != 0;
}
