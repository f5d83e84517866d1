/* SPDX-License-Identifier: BSD-3-Clause */
/* What vshmctl says when something went wrong or needs mentioning: one line on stderr each. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

enum exit_code {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_IMPOSSIBLE = 77, /* not here: another machine, kernel or version could */
};

#define SAY_FORMAT __attribute__((format(printf, 1, 2)))

/* The command that the following lines speak for. */
void say_command(const char *name);

/* "vshmctl COMMAND: WHY". Control characters of the whole line are escaped. Returns CTL_FAILED. */
int say_failed(const char *format, ...) SAY_FORMAT;

/* Why a call of the library failed: `why`, or what `error` means. Returns CTL_FAILED, or CTL_IMPOSSIBLE. */
int say_refused(int error, const char *why);

/* "vshmctl COMMAND: WHY (see …--help)". Returns CTL_USAGE. */
int say_usage(const char *format, ...) SAY_FORMAT;

/* "vshmctl COMMAND: …": what a command is there to tell, as it happens. */
void say_news(const char *format, ...) SAY_FORMAT;

/* "vshmctl COMMAND: note: …": nothing failed. */
void say_note(const char *format, ...) SAY_FORMAT;

/* Writes out what is left for stdout; says so when that fails. Returns `code`, or CTL_FAILED. */
int say_flushed(int code);

#endif
