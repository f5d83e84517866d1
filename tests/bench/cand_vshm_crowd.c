/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region of as many peers as there can be, in which all but the busy pair do nothing: each of the others is a handle
 * with a keeper and a heartbeat of its own, in one further process that runs where the scheduler wants it.
 */
#include "cand_vshm.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The holder: attaches as every peer but the first two, says so, and stays until it is killed. */
static int hold(const struct bench_job *job, int tell)
{
	struct vshm_region *region; /* each lives as long as this process */
	char why[VSHM_WHY_SIZE] = "";

	for (vshm_peer peer = 2; peer < VSHM_MAX_PEERS; peer++)
		if (bench_vshm_open(job, peer, &region, why)) {
			fprintf(stderr, "vshm-bench: peer %u of the crowd: %s\n", peer, why);
			return 1;
		}
	if (write(tell, "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static int await_crowd(struct bench_job *job, int told)
{
	char byte;

	return read(told, &byte, 1) == 1 ? 0 : bench_error(job, "the crowd did not come", 0);
}

int bench_vshm_crowd_setup(struct bench_job *job)
{
	int end[2], rc = bench_vshm_setup(job);

	if (rc)
		return rc;
	if (pipe(end))
		return bench_error(job, "pipe", -errno);
	job->helper = fork();
	if (!job->helper) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(end[0]);
		_exit(hold(job, end[1]));
	}
	close(end[1]);
	rc = job->helper < 0 ? bench_error(job, "fork", -errno) : await_crowd(job, end[0]);
	close(end[0]);
	if (rc)
		bench_vshm_crowd_teardown(job);
	return rc;
}

void bench_vshm_crowd_teardown(struct bench_job *job)
{
	if (job->helper > 0) {
		kill(job->helper, SIGKILL);
		waitpid(job->helper, NULL, 0);
	}
	job->helper = 0;
	bench_vshm_teardown(job);
}
