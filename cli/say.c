/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages. Each is made as a whole line, then escaped as a whole: whatever a file name, a label or
 * a config value holds, it cannot forge a second line or drive the terminal.
 */
#include "say.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <vshm/error.h>

static const char *command; /* NULL: the program itself */

void say_command(const char *name)
{
	command = name;
}

static void say_line(const char *kind, const char *tail, const char *format, va_list args)
{
	char line[2048];
	(void)vsnprintf(line, sizeof(line), format, args);
	char safe[4096];
	text_escape(safe, sizeof(safe), line);
	(void)fprintf(stderr, "vshmctl%s%s: %s%s%s\n", command ? " " : "", command ? command : "", kind, safe, tail);
}

int say_failed(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say_line("", "", format, args);
	va_end(args);
	return CTL_FAILED;
}

int say_refused(int error, const char *why)
{
	(void)say_failed("%s", *why ? why : vshm_strerror(error));
	return error == -EOPNOTSUPP ? CTL_IMPOSSIBLE : CTL_FAILED;
}

int say_usage(const char *format, ...)
{
	char tail[64];
	(void)snprintf(tail, sizeof(tail), " (see vshmctl %s%s--help)", command ? command : "", command ? " " : "");
	va_list args;
	va_start(args, format);
	say_line("", tail, format, args);
	va_end(args);
	return CTL_USAGE;
}

void say_news(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say_line("", "", format, args);
	va_end(args);
}

void say_note(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say_line("note: ", "", format, args);
	va_end(args);
}

int say_flushed(int code)
{
	/* A closed stdout is only seen here; without this, `vshmctl list >/dev/full` would claim success. */
	errno = 0;
	bool failed = fflush(stdout) || ferror(stdout);
	if (failed)
		return say_failed("cannot write to standard output: %s", strerror(errno ? errno : EIO));
	return code;
}
