/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs one candidate at one size: two children, each pinned to a core, led through warm-up, measuring and
 * stop. A child that fails or hangs ends the job with one line; nothing of it is left behind.
 */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BENCH_TRIES 3
#define BENCH_PATIENCE_NS UINT64_C(10000000000)

int bench_pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)core, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static void nap(double seconds)
{
	struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

	nanosleep(&time, NULL);
}

static void be_child(const struct bench_options *options, struct bench_job *job, int role)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	job->role = role;
	if (bench_pin(options->core[role]))
		_exit(bench_error(job, "cannot pin to the core", -errno));
	_exit((role ? job->candidate->second : job->candidate->first)(job));
}

static void close_all(struct bench_job *job)
{
	for (int i = 0; i < 4; i++) {
		if (job->fd[i] >= 0)
			close(job->fd[i]);
		job->fd[i] = -1;
	}
}

static int start(const struct bench_options *options, struct bench_job *job, pid_t pid[2])
{
	for (int role = 0; role < 2; role++) {
		pid[role] = fork();
		if (pid[role] < 0)
			return bench_error(job, "fork", -errno);
		if (!pid[role])
			be_child(options, job, role);
	}
	close_all(job);
	return 0;
}

/* Takes the exit of children that have ended. pid 0: reaped. Returns 1 if one of them failed. */
static int reap(struct bench_job *job, pid_t pid[2])
{
	int failed = 0, status;

	for (int role = 0; role < 2; role++) {
		if (pid[role] <= 0 || waitpid(pid[role], &status, WNOHANG) != pid[role])
			continue;
		pid[role] = 0;
		failed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
		if (WIFSIGNALED(status))
			snprintf(job->control->error[role], sizeof(job->control->error[role]), "killed by signal %d",
				 WTERMSIG(status));
	}
	return failed;
}

static void kill_all(pid_t pid[2])
{
	for (int role = 0; role < 2; role++) {
		if (pid[role] <= 0)
			continue;
		kill(pid[role], SIGKILL);
		waitpid(pid[role], NULL, 0);
		pid[role] = 0;
	}
}

/* Waits until `word` is at least `value`. */
static int await(struct bench_job *job, pid_t pid[2], _Atomic unsigned *word, unsigned value, const char *what)
{
	uint64_t deadline = bench_now() + BENCH_PATIENCE_NS;

	while (atomic_load(word) < value) {
		if (reap(job, pid))
			return 1;
		if (bench_now() > deadline)
			return bench_error(job, what, 0);
		nap(0.0002);
	}
	return 0;
}

static int join(struct bench_job *job, pid_t pid[2])
{
	uint64_t deadline = bench_now() + BENCH_PATIENCE_NS;

	while (pid[0] > 0 || pid[1] > 0) {
		if (reap(job, pid))
			return 1;
		if (bench_now() > deadline)
			return bench_error(job, "did not come to its end", 0);
		nap(0.0005);
	}
	return 0;
}

static int lead(const struct bench_options *options, struct bench_job *job, pid_t pid[2])
{
	struct bench_control *control = job->control;

	if (await(job, pid, &control->ready, 2, "did not become ready"))
		return 1;
	atomic_store(&control->phase, BENCH_WARM);
	nap(options->seconds / 5);
	atomic_store(&control->phase, BENCH_MEASURE);
	nap(options->seconds);
	if (await(job, pid, &control->measuring, 1, "no message arrived"))
		return 1;
	atomic_store(&control->phase, BENCH_STOP);
	return join(job, pid);
}

/* Nothing came between the start and the stop: on a busy machine a child can be off its core for so long. */
#define TRY_AGAIN 2

static int collect(struct bench_job *job, struct bench_sample *sample)
{
	const struct bench_control *control = job->control;

	if (control->sent != control->received)
		return bench_error(job, "messages were lost", 0);
	if (control->ns <= 0)
		return TRY_AGAIN;
	sample->ns = control->ns;
	sample->p99_ns = control->p99_ns;
	sample->measured = control->measured;
	sample->preempted = control->preempted[0] + control->preempted[1];
	return 0;
}

static void complain(const struct bench_job *job, int rc)
{
	const struct bench_control *control = job->control;
	const char *side = job->candidate->work == BENCH_STREAM ? "consumer" : "answering side";

	fprintf(stderr, "vshm-bench: %s, %s, %zu B failed\n", bench_work_names[job->candidate->work],
		job->candidate->name, job->size);
	if (rc == TRY_AGAIN)
		fprintf(stderr, "  nothing was measured, in %d attempts; give it more --seconds\n", BENCH_TRIES);
	if (control->error[0][0])
		fprintf(stderr, "  %s\n", control->error[0]);
	if (control->error[1][0])
		fprintf(stderr, "  %s: %s\n", side, control->error[1]);
}

static void fill_job(const struct bench_options *options, struct bench_job *job,
		     const struct bench_candidate *candidate, size_t size)
{
	memset(job, 0, sizeof(*job));
	job->candidate = candidate;
	job->size = size;
	memset(job->fd, -1, sizeof(job->fd));
	/* The library's default ring; four times that where it would hold three records only. */
	job->ring_bytes = size < 65536 ? 262144 : size < 1048576 ? 16 * size : 4 * size;
	if (options->ring_bytes)
		job->ring_bytes = options->ring_bytes;
	memcpy(job->dawdle, options->dawdle, sizeof(job->dawdle));
	job->batch = size < 4096 ? 64 : 8;
	if (candidate->work == BENCH_ROUND_SLEEP)
		job->batch = 1;
}

static int run_children(const struct bench_options *options, struct bench_job *job, struct bench_sample *sample)
{
	pid_t pid[2] = {0, 0};
	int rc = start(options, job, pid);

	if (!rc)
		rc = lead(options, job, pid);
	if (!rc)
		rc = collect(job, sample);
	kill_all(pid);
	return rc;
}

/* 0, 1 (failed) or TRY_AGAIN. */
static int run_once(const struct bench_options *options, struct bench_job *job, struct bench_sample *sample)
{
	int rc;

	memset(job->control, 0, sizeof(*job->control));
	fflush(NULL);
	rc = job->candidate->setup(job);
	if (!rc) {
		rc = run_children(options, job, sample);
		if (job->candidate->teardown)
			job->candidate->teardown(job);
	}
	close_all(job);
	return rc;
}

/* Returns 0, or 1 after a complaint on stderr. */
int bench_run(const struct bench_options *options, const struct bench_candidate *candidate, size_t size,
	      struct bench_sample *sample)
{
	struct bench_job job;
	int rc = TRY_AGAIN;

	fill_job(options, &job, candidate, size);
	job.control = mmap(NULL, sizeof(*job.control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (job.control == MAP_FAILED)
		return 1;
	for (int i = 0; i < BENCH_TRIES && rc == TRY_AGAIN; i++)
		rc = run_once(options, &job, sample);
	if (rc)
		complain(&job, rc);
	munmap(job.control, sizeof(*job.control));
	return rc != 0;
}
