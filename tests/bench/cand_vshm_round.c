/* SPDX-License-Identifier: BSD-3-Clause */
/* libvshm, there and back: two rings, "there" and "back"; polling, sleeping, and as the defaults have it. */
#include "cand_vshm.h"

#include <errno.h>

struct talk {
	struct bench_job *job;
	struct vshm_region *region;
	struct vshm_producer *out;
	struct vshm_consumer *in;
};

static int talk_open(struct talk *talk, struct bench_job *job)
{
	const char *out = job->role ? "back" : "there", *in = job->role ? "there" : "back";

	talk->job = job;
	return bench_vshm_attach(job, &talk->region) || bench_vshm_producer(job, talk->region, out, &talk->out) ||
	       bench_vshm_consumer(job, talk->region, in, &talk->in);
}

static int put(struct talk *talk, uint64_t counter)
{
	const size_t size = talk->job->size;
	void *data;
	int rc;

	do
		rc = vshm_producer_reserve(talk->out, size, &data, VSHM_FOREVER);
	while (rc == -EHOSTDOWN);
	if (rc)
		return rc;
	bench_fill(data, size, counter);
	return vshm_producer_commit(talk->out, size, 0);
}

static int get(struct talk *talk, uint64_t counter)
{
	struct vshm_view view;
	int rc;

	do
		rc = vshm_consumer_peek(talk->in, &view, VSHM_FOREVER);
	while (rc == -EHOSTDOWN);
	if (rc)
		return rc;
	if (view.size != talk->job->size || bench_check(view.data, view.size, counter))
		return -EBADMSG;
	return vshm_consumer_release(talk->in);
}

static int complain(struct bench_job *job, int rc)
{
	return bench_error(job, rc == -EBADMSG ? "wrong bytes" : vshm_strerror(rc), 0);
}

static int trip(void *arg, uint64_t n)
{
	struct talk *talk = arg;
	int rc = put(talk, n);

	if (!rc)
		rc = get(talk, ~n);
	return rc ? complain(talk->job, rc) : 0;
}

static int ask(struct bench_job *job)
{
	struct talk talk;
	int failed, rc;

	if (talk_open(&talk, job))
		return 1;
	bench_ready(job);
	failed = bench_ask(job, trip, &talk);
	if (!failed) {
		rc = vshm_producer_close(talk.out, BENCH_LINGER_NS);
		failed = rc ? complain(job, rc) : 0;
	}
	vshm_region_close(talk.region);
	return failed;
}

static int answer(struct bench_job *job)
{
	struct talk talk;
	uint64_t n = 0;
	int rc;

	if (talk_open(&talk, job))
		return 1;
	bench_ready(job);
	for (; !(rc = get(&talk, n)); n++) {
		rc = put(&talk, ~n);
		if (rc)
			break;
	}
	job->control->received = n;
	vshm_region_close(talk.region);
	return rc == -ENODATA ? 0 : complain(job, rc);
}

const struct bench_candidate bench_vshm_poll = {
	.name = "vshm",
	.label = "vshm, polling",
	.work = BENCH_ROUND_POLL,
	.flags = BENCH_VSHM_POLL,
	.setup = bench_vshm_setup,
	.first = ask,
	.second = answer,
	.teardown = bench_vshm_teardown,
};

const struct bench_candidate bench_vshm_quick = {
	.name = "vshm",
	.label = "vshm, defaults",
	.work = BENCH_ROUND_QUICK,
	.setup = bench_vshm_setup,
	.first = ask,
	.second = answer,
	.teardown = bench_vshm_teardown,
};

const struct bench_candidate bench_vshm_sleep = {
	.name = "vshm",
	.label = "vshm, no spinning",
	.work = BENCH_ROUND_SLEEP,
	.flags = BENCH_VSHM_SLEEP,
	.setup = bench_vshm_setup,
	.first = ask,
	.second = answer,
	.teardown = bench_vshm_teardown,
};
