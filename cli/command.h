/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of vshmctl: one file each, all with the arguments of main() from the command's own name on. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <getopt.h>
#include <stdbool.h>

struct command {
	const char *name;
	const char *arguments; /* "URI RING [FILE...]" */
	const char *summary; /* one line */
	const char *help; /* options and the rest, for --help */
	int (*run)(int argc, char **argv); /* an exit code */
};

extern const struct command command_bench;
extern const struct command command_bind;
extern const struct command command_check;
extern const struct command command_create;
extern const struct command command_destroy;
extern const struct command command_doctor;
extern const struct command command_evict;
extern const struct command command_libvirt_xml;
extern const struct command command_list;
extern const struct command command_ping;
extern const struct command command_qemu_args;
extern const struct command command_recv;
extern const struct command command_ring;
extern const struct command command_send;
extern const struct command command_serve;
extern const struct command command_show;
extern const struct command command_unbind;
extern const struct command command_wait;

/*
 * The next option of a command, as getopt_long() gives it; options may stand anywhere. -1: no more. '?': a mistake,
 * which was said; return CTL_USAGE. `options` ends with COMMAND_OPTIONS_END.
 */
int command_option(int argc, char **argv, const struct option *options);
#define COMMAND_OPTIONS_END \
	{ \
		NULL, 0, NULL, 0 \
	}

/*
 * Are there `least` to `most` arguments left? Otherwise names what is missing (`names`: NULL-terminated) or too much,
 * and returns false.
 */
bool command_arguments(int argc, char **argv, int least, int most, const char *const *names);

#endif
