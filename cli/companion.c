/* SPDX-License-Identifier: BSD-3-Clause */
/* fork(2), a pipe to say go, and waitpid(2) that cannot hang. */
#include "companion.h"

#include "observe.h"
#include "say.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_NS 5000000u
#define ABOUT_TO_END_NS 500000000u
#define LEAVE_NS 300000000u
#define FINISH_NS 5000000000u

static bool told_to_go(int go)
{
	char byte;
	ssize_t got;
	do
		got = read(go, &byte, 1);
	while (got < 0 && errno == EINTR && !stop_asked());
	return got == 1;
}

static _Noreturn void be_companion(pid_t first, int go, int (*run)(void *arg), void *arg)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != first)
		exit(CTL_OK);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	int code = told_to_go(go) ? run(arg) : CTL_OK;
	exit(stop_leave(code));
}

int companion_start(struct companion *companion, int (*run)(void *arg), void *arg)
{
	int ends[2];
	pid_t first = getpid();
	memset(companion, 0, sizeof(*companion));
	if (pipe2(ends, O_CLOEXEC))
		return say_failed("pipe: %s", strerror(errno));
	(void)fflush(NULL);
	pid_t pid = fork();
	if (!pid) {
		(void)close(ends[1]);
		be_companion(first, ends[0], run, arg);
	}
	(void)close(ends[0]);
	if (pid < 0) {
		(void)close(ends[1]);
		return say_failed("cannot start a second process: %s", strerror(errno));
	}
	companion->pid = pid;
	companion->go = ends[1];
	return CTL_OK;
}

void companion_go(struct companion *companion)
{
	/* SIGPIPE is ignored since stop_install(): one that is gone is noticed later. */
	ssize_t written = companion->pid ? write(companion->go, "", 1) : 0;
	(void)written;
}

bool companion_ended(struct companion *companion)
{
	if (companion->pid && !companion->ended)
		companion->ended = waitpid(companion->pid, &companion->status, WNOHANG) == companion->pid;
	return companion->ended;
}

static bool ends_within(struct companion *companion, uint64_t ns)
{
	const uint64_t until = observe_clock_ns() + ns;
	while (!companion_ended(companion) && observe_clock_ns() < until)
		observe_pause(LOOK_NS);
	return companion->ended;
}

int companion_failure(struct companion *companion)
{
	if (!companion->pid || !ends_within(companion, ABOUT_TO_END_NS))
		return CTL_OK;
	return WIFEXITED(companion->status) ? WEXITSTATUS(companion->status) : CTL_OK;
}

void companion_finish(struct companion *companion)
{
	if (!companion->pid)
		return;
	(void)close(companion->go);
	if (!ends_within(companion, LEAVE_NS)) /* it may wait for what does not come any more */
		(void)kill(companion->pid, SIGTERM);
	if (!ends_within(companion, FINISH_NS)) {
		(void)kill(companion->pid, SIGKILL);
		(void)waitpid(companion->pid, &companion->status, 0);
	}
	companion->pid = 0;
}
