/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UCX: tagged messages (UCP) over its shared memory transport "posix" and nothing else. One send and one receive at
 * a time, each driven to its end, as a program does that has one message to move. Both sides poll.
 */
#include "loops.h"

#ifdef BENCH_HAVE_UCX
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <ucp/api/ucp.h>

#define ADDRESS_SPACE 4032u
#define PATIENCE_NS UINT64_C(5000000000)

/* How the two find each other: written by one side each. */
struct card {
	alignas(BENCH_LINE) _Atomic(size_t) size; /* 0: not there yet */
	char address[ADDRESS_SPACE];
};

struct talk {
	struct bench_job *job;
	ucp_context_h context;
	ucp_worker_h worker;
	ucp_ep_h peer;
	void *data;
};

static int complain(struct bench_job *job, const char *what, ucs_status_t status)
{
	char line[160];

	snprintf(line, sizeof(line), "%s: %s", what, ucs_status_string(status));
	return bench_error(job, line, 0);
}

static int setup(struct bench_job *job)
{
	int rc = bench_map(job, 2 * sizeof(struct card));

	return rc ? bench_error(job, "shared memory", rc) : 0;
}

static ucs_status_t open_context(struct talk *talk)
{
	const ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES, .features = UCP_FEATURE_TAG};
	ucp_config_t *config;
	ucs_status_t status = ucp_config_read(NULL, NULL, &config);

	if (status != UCS_OK)
		return status;
	status = ucp_config_modify(config, "TLS", "posix");
	if (status == UCS_OK)
		status = ucp_init(&params, config, &talk->context);
	ucp_config_release(config);
	return status;
}

static ucs_status_t open_worker(struct talk *talk)
{
	const ucp_worker_params_t params = {
		.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
		.thread_mode = UCS_THREAD_MODE_SINGLE,
	};

	return ucp_worker_create(talk->context, &params, &talk->worker);
}

static ucs_status_t show_card(const struct talk *talk)
{
	struct card *card = (struct card *)talk->job->memory + talk->job->role;
	ucp_address_t *address;
	size_t size;
	ucs_status_t status = ucp_worker_get_address(talk->worker, &address, &size);

	if (status != UCS_OK)
		return status;
	if (size <= ADDRESS_SPACE) {
		memcpy(card->address, address, size);
		atomic_store(&card->size, size);
	}
	ucp_worker_release_address(talk->worker, address);
	return size <= ADDRESS_SPACE ? UCS_OK : UCS_ERR_BUFFER_TOO_SMALL;
}

static ucs_status_t open_peer(struct talk *talk)
{
	const struct card *card = (struct card *)talk->job->memory + !talk->job->role;
	const ucp_ep_params_t params = {
		.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
		.address = (const ucp_address_t *)(const void *)card->address,
	};
	uint64_t deadline = bench_now() + PATIENCE_NS;

	while (!atomic_load(&card->size))
		if (bench_now() > deadline)
			return UCS_ERR_TIMED_OUT;
	return ucp_ep_create(talk->worker, &params, &talk->peer);
}

static int talk_open(struct talk *talk, struct bench_job *job)
{
	ucs_status_t status;

	memset(talk, 0, sizeof(*talk));
	talk->job = job;
	talk->data = aligned_alloc(64, (job->size + 63) / 64 * 64);
	if (!talk->data)
		return bench_error(job, "buffer", -ENOMEM);
	status = open_context(talk);
	if (status == UCS_OK)
		status = open_worker(talk);
	if (status == UCS_OK)
		status = show_card(talk);
	if (status == UCS_OK)
		status = open_peer(talk);
	return status == UCS_OK ? 0 : complain(job, "UCX does not open", status);
}

/* The sender stays until everything was read: what it sent may still need it. Returns `failed`. */
static int talk_close(struct talk *talk, int failed)
{
	const volatile uint64_t *received = &talk->job->control->received;
	uint64_t deadline = bench_now() + PATIENCE_NS;

	while (!failed && !talk->job->role && *received != talk->job->control->sent && bench_now() < deadline)
		ucp_worker_progress(talk->worker);
	if (talk->worker)
		ucp_worker_destroy(talk->worker);
	if (talk->context)
		ucp_cleanup(talk->context);
	free(talk->data);
	return failed;
}

static inline int put(void *self, uint64_t counter)
{
	const struct talk *talk = self;
	const ucp_request_param_t param = {0};
	ucs_status_ptr_t request;
	ucs_status_t status;

	bench_fill(talk->data, talk->job->size, counter);
	request = ucp_tag_send_nbx(talk->peer, talk->data, talk->job->size, 1, &param);
	if (!request)
		return 0;
	if (UCS_PTR_IS_ERR(request))
		return complain(talk->job, "send", UCS_PTR_STATUS(request));
	while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS)
		ucp_worker_progress(talk->worker);
	ucp_request_free(request);
	return status == UCS_OK ? 0 : complain(talk->job, "send", status);
}

static inline int get(void *self, uint64_t counter)
{
	const struct talk *talk = self;
	const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL};
	ucs_status_ptr_t request = ucp_tag_recv_nbx(talk->worker, talk->data, talk->job->size, 1, UINT64_MAX, &param);
	ucs_status_t status;

	if (UCS_PTR_IS_ERR(request))
		return -complain(talk->job, "receive", UCS_PTR_STATUS(request));
	while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS)
		if (!ucp_worker_progress(talk->worker) && bench_is_end(talk->job, counter)) {
			ucp_request_cancel(talk->worker, request);
			ucp_request_free(request);
			return 0;
		}
	ucp_request_free(request);
	if (status != UCS_OK)
		return -complain(talk->job, "receive", status);
	return bench_check(talk->data, talk->job->size, counter) ? -bench_error(talk->job, "wrong bytes", 0) : 1;
}

static int produce(struct bench_job *job)
{
	struct talk talk;

	return talk_close(&talk, talk_open(&talk, job) || bench_produce(job, &talk, put));
}

static int consume(struct bench_job *job)
{
	struct talk talk;

	return talk_close(&talk, talk_open(&talk, job) || bench_consume(job, &talk, get));
}

static int trip(void *arg, uint64_t n)
{
	return put(arg, n) || get(arg, ~n) != 1;
}

static int ask(struct bench_job *job)
{
	struct talk talk;
	int failed = talk_open(&talk, job);

	if (!failed) {
		bench_ready(job);
		failed = bench_ask(job, trip, &talk);
		bench_sent(job, job->control->sent);
	}
	return talk_close(&talk, failed);
}

static int answer(struct bench_job *job)
{
	struct talk talk;

	return talk_close(&talk, talk_open(&talk, job) || bench_answer(job, &talk, get, put));
}

#define CANDIDATE(...) BENCH_CANDIDATE(__VA_ARGS__, setup, bench_unmap)
#else
#define CANDIDATE(name, label, work, ...) BENCH_ABSENT(name, label, work, "libucx-dev")
#endif

const struct bench_candidate bench_ucx = CANDIDATE("ucx", "UCX tag, posix", BENCH_STREAM, produce, consume);
const struct bench_candidate bench_ucx_poll = CANDIDATE("ucx", "UCX tag, posix", BENCH_ROUND_POLL, ask, answer);
