/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ZeroMQ over ipc://, that is a Unix socket and a thread of the library in each process. Messages are filled in place in
 * what zmq_msg_init_size() gives and checked where zmq_msg_recv() leaves them. A message of one byte is the end.
 */
#include "loops.h"

#ifdef BENCH_HAVE_ZMQ
#include <unistd.h>
#include <zmq.h>

#define LAST_SIZE 1

struct talk {
	struct bench_job *job;
	void *context, *socket;
};

static int complain(struct bench_job *job, const char *what)
{
	return bench_error(job, what, -zmq_errno());
}

static int setup(struct bench_job *job)
{
	snprintf(job->uri, sizeof(job->uri), "ipc://@vshm-bench-%ld", (long)getpid());
	return 0;
}

/* The second side binds, the first connects. ZeroMQ tries again until the other one is there. */
static int talk_open(struct talk *talk, struct bench_job *job, int kind)
{
	talk->job = job;
	talk->context = zmq_ctx_new();
	talk->socket = talk->context ? zmq_socket(talk->context, kind) : NULL;
	if (!talk->socket)
		return complain(job, "zmq_socket");
	if (job->role ? zmq_bind(talk->socket, job->uri) : zmq_connect(talk->socket, job->uri))
		return complain(job, "zmq_bind or zmq_connect");
	return 0;
}

static void talk_close(struct talk *talk)
{
	if (talk->socket)
		zmq_close(talk->socket);
	if (talk->context)
		zmq_ctx_term(talk->context);
}

static int put_sized(const struct talk *talk, size_t size, uint64_t counter)
{
	zmq_msg_t message;

	if (zmq_msg_init_size(&message, size))
		return complain(talk->job, "zmq_msg_init_size");
	bench_fill(zmq_msg_data(&message), size, counter);
	return zmq_msg_send(&message, talk->socket, 0) < 0 ? complain(talk->job, "zmq_msg_send") : 0;
}

static inline int put(void *self, uint64_t counter)
{
	const struct talk *talk = self;

	return put_sized(talk, talk->job->size, counter);
}

static inline int get(void *self, uint64_t counter)
{
	const struct talk *talk = self;
	zmq_msg_t message;
	int size;
	bool good;

	zmq_msg_init(&message);
	size = zmq_msg_recv(&message, talk->socket, 0);
	if (size < 0)
		return -complain(talk->job, "zmq_msg_recv");
	good = (size_t)size == talk->job->size && !bench_check(zmq_msg_data(&message), (size_t)size, counter);
	zmq_msg_close(&message);
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
	struct talk talk = {0};
	int failed = talk_open(&talk, job, ZMQ_PUSH) || bench_produce(job, &talk, put) || put_last(&talk);

	talk_close(&talk);
	return failed;
}

static int consume(struct bench_job *job)
{
	struct talk talk = {0};
	int failed = talk_open(&talk, job, ZMQ_PULL) || bench_consume(job, &talk, get);

	talk_close(&talk);
	return failed;
}

static int trip(void *arg, uint64_t n)
{
	return put(arg, n) || get(arg, ~n) != 1;
}

static int ask(struct bench_job *job)
{
	struct talk talk = {0};
	int failed = talk_open(&talk, job, ZMQ_PAIR);

	if (!failed) {
		bench_ready(job);
		failed = bench_ask(job, trip, &talk) || put_last(&talk);
	}
	talk_close(&talk);
	return failed;
}

static int answer(struct bench_job *job)
{
	struct talk talk = {0};
	int failed = talk_open(&talk, job, ZMQ_PAIR) || bench_answer(job, &talk, get, put);

	talk_close(&talk);
	return failed;
}

#define CANDIDATE(...) BENCH_CANDIDATE(__VA_ARGS__, setup, NULL)
#else
#define CANDIDATE(name, label, work, ...) BENCH_ABSENT(name, label, work, "libzmq3-dev")
#endif

const struct bench_candidate bench_zmq = CANDIDATE("zmq", "ZeroMQ ipc", BENCH_STREAM, produce, consume);
const struct bench_candidate bench_zmq_sleep = CANDIDATE("zmq", "ZeroMQ ipc", BENCH_ROUND_SLEEP, ask, answer);
