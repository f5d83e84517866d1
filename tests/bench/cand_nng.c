/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nng over ipc://, that is a Unix socket and a pool of threads in each process. Messages are filled in place in what
 * nng_msg_alloc() gives and checked where nng_recvmsg() leaves them. A message of one byte is the end.
 */
#include "loops.h"

#ifdef BENCH_HAVE_NNG
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <unistd.h>

#define LAST_SIZE 1u

struct talk {
	struct bench_job *job;
	nng_socket socket;
};

static int complain(struct bench_job *job, const char *what, int rc)
{
	char line[128];

	snprintf(line, sizeof(line), "%s: %s", what, nng_strerror(rc));
	return bench_error(job, line, 0);
}

static int setup(struct bench_job *job)
{
	snprintf(job->uri, sizeof(job->uri), "ipc:///tmp/vshm-bench-%ld", (long)getpid());
	return 0;
}

static void teardown(struct bench_job *job)
{
	unlink(job->uri + sizeof("ipc://") - 1);
}

/* The second side listens; the first dials, in the background until that is there. */
static int talk_open(struct talk *talk, struct bench_job *job, int (*kind)(nng_socket *socket))
{
	int rc = kind(&talk->socket);

	talk->job = job;
	if (!rc)
		rc = job->role ? nng_listen(talk->socket, job->uri, NULL, 0)
			       : nng_dial(talk->socket, job->uri, NULL, NNG_FLAG_NONBLOCK);
	return rc ? complain(job, "nng socket", rc) : 0;
}

static int put_sized(const struct talk *talk, size_t size, uint64_t counter)
{
	nng_msg *message;
	int rc = nng_msg_alloc(&message, size);

	if (rc)
		return complain(talk->job, "nng_msg_alloc", rc);
	bench_fill(nng_msg_body(message), size, counter);
	rc = nng_sendmsg(talk->socket, message, 0);
	return rc ? complain(talk->job, "nng_sendmsg", rc) : 0;
}

static inline int put(void *self, uint64_t counter)
{
	const struct talk *talk = self;

	return put_sized(talk, talk->job->size, counter);
}

static inline int get(void *self, uint64_t counter)
{
	const struct talk *talk = self;
	nng_msg *message;
	int rc = nng_recvmsg(talk->socket, &message, 0);
	size_t size;
	bool good;

	if (rc)
		return -complain(talk->job, "nng_recvmsg", rc);
	size = nng_msg_len(message);
	good = size == talk->job->size && !bench_check(nng_msg_body(message), size, counter);
	nng_msg_free(message);
	if (size == LAST_SIZE)
		return 0;
	return good ? 1 : -bench_error(talk->job, "wrong bytes", 0);
}

static int put_last(const struct talk *talk)
{
	int failed = put_sized(talk, LAST_SIZE, 0);

	if (!failed)
		bench_await_received(talk->job);
	return failed;
}

static int produce(struct bench_job *job)
{
	struct talk talk;

	return talk_open(&talk, job, nng_push0_open) || bench_produce(job, &talk, put) || put_last(&talk);
}

static int consume(struct bench_job *job)
{
	struct talk talk;

	return talk_open(&talk, job, nng_pull0_open) || bench_consume(job, &talk, get);
}

static int trip(void *arg, uint64_t n)
{
	return put(arg, n) || get(arg, ~n) != 1;
}

static int ask(struct bench_job *job)
{
	struct talk talk;

	if (talk_open(&talk, job, nng_pair0_open))
		return 1;
	bench_ready(job);
	return bench_ask(job, trip, &talk) || put_last(&talk);
}

static int answer(struct bench_job *job)
{
	struct talk talk;

	return talk_open(&talk, job, nng_pair0_open) || bench_answer(job, &talk, get, put);
}

#define CANDIDATE(...) BENCH_CANDIDATE(__VA_ARGS__, setup, teardown)
#else
#define CANDIDATE(name, label, work, ...) BENCH_ABSENT(name, label, work, "libnng-dev")
#endif

const struct bench_candidate bench_nng = CANDIDATE("nng", "nng ipc", BENCH_STREAM, produce, consume);
const struct bench_candidate bench_nng_sleep = CANDIDATE("nng", "nng ipc", BENCH_ROUND_SLEEP, ask, answer);
