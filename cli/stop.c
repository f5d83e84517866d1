/* SPDX-License-Identifier: BSD-3-Clause */
/* Handlers without SA_RESTART: a read(2) that waits for input returns when a signal asks to leave. */
#include "stop.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t asked;
static const char *volatile last_line;

static void on_signal(int number)
{
	const char *line = last_line;
	asked = number;
	if (!line)
		return;
	ssize_t written = write(STDERR_FILENO, line, strlen(line));
	(void)written;
	/* SA_RESETHAND is not set: default action by hand, then die of the signal. */
	struct sigaction action = {.sa_handler = SIG_DFL};
	(void)sigaction(number, &action, NULL);
	(void)raise(number);
}

void stop_install(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	(void)sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < SIGNALS; i++) {
		struct sigaction old;
		/* nohup, and `command &` in a script, ignore signals on purpose: keep that. */
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL);
	}
	action.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &action, NULL);
}

int stop_asked(void)
{
	return asked;
}

void stop_at_once(const char *line)
{
	last_line = line;
	if (line && asked)
		(void)raise(asked);
}

int stop_leave(int code)
{
	if (!asked)
		return code;
	(void)fflush(NULL);
	struct sigaction action = {.sa_handler = SIG_DFL};
	(void)sigaction(asked, &action, NULL);
	(void)raise(asked);
	return code;
}
