/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_bytes pipe|unix [FILE]: pushes the bytes of a file (or of standard input) through a pipe or a Unix stream
 * socket to a child process that reads all of them, and prints how fast that went. What a program would
 * do without libvshm, for comparison with the same bytes through a ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536u /* the capacity of a pipe */

static int fail(const char *what)
{
	fprintf(stderr, "bench_bytes: %s: %s\n", what, strerror(errno));
	return 1;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* read(2) without EINTR. */
static ssize_t get(int fd, void *data, size_t size)
{
	ssize_t n;

	do
		n = read(fd, data, size);
	while (n < 0 && errno == EINTR);
	return n;
}

static int put(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* What the child says at the end. The sum is there so that it really looks at the bytes. */
struct answer {
	uint64_t total, sum;
};

/* The child: reads until the end and looks at every word. */
static int consume(int from, int to)
{
	static uint64_t block[BLOCK / 8];
	struct answer answer = {0, 0};
	ssize_t n;

	while ((n = get(from, block, sizeof(block))) > 0) {
		for (size_t i = 0; i < (size_t)n / 8; i++)
			answer.sum += block[i];
		answer.total += (uint64_t)n;
	}
	if (n < 0)
		return fail("read");
	return put(to, (const char *)&answer, sizeof(answer)) ? fail("answer") : 0;
}

static int64_t produce(int in, int to)
{
	static char block[BLOCK];
	int64_t total = 0;
	ssize_t n;

	while ((n = get(in, block, sizeof(block))) > 0) {
		if (put(to, block, (size_t)n))
			return -1;
		total += n;
	}
	return n < 0 ? -1 : total;
}

static int report(const char *kind, int64_t sent, uint64_t received, double seconds)
{
	if (sent < 0 || (uint64_t)sent != received) {
		fprintf(stderr, "bench_bytes: sent %lld bytes, %llu arrived\n", (long long)sent,
			(unsigned long long)received);
		return 1;
	}
	printf("%s: %llu bytes in %.3f s, %.0f MB/s\n", kind, (unsigned long long)received, seconds,
	       (double)received / seconds / 1e6);
	return 0;
}

/* data: 0 reads, 1 writes; both ends of a pipe or of a socket pair. */
static int transfer(const char *kind, int in, const int data[2])
{
	struct answer received;
	int64_t sent;
	int answer[2], status;
	double start = now();
	pid_t pid;

	if (pipe(answer))
		return fail("pipe");
	pid = fork();
	if (pid < 0)
		return fail("fork");
	if (!pid) {
		close(data[1]);
		_exit(consume(data[0], answer[1]));
	}
	close(data[0]);
	close(answer[1]);
	sent = produce(in, data[1]);
	if (sent < 0)
		fail("transfer");
	close(data[1]);
	if (get(answer[0], &received, sizeof(received)) != sizeof(received))
		received.total = 0;
	waitpid(pid, &status, 0);
	return report(kind, sent, received.total, now() - start);
}

int main(int argc, char **argv)
{
	int data[2], in = STDIN_FILENO, rc;

	if (argc < 2 || argc > 3 || (strcmp(argv[1], "pipe") && strcmp(argv[1], "unix"))) {
		fprintf(stderr, "usage: bench_bytes pipe|unix [FILE]\n");
		return 2;
	}
	if (argc == 3 && strcmp(argv[2], "-"))
		in = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return fail(argv[2]);
	rc = strcmp(argv[1], "pipe") ? socketpair(AF_UNIX, SOCK_STREAM, 0, data) : pipe(data);
	return rc ? fail(argv[1]) : transfer(argv[1], in, data);
}
