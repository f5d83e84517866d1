/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl: finds the command, prints help. What a command does is in cmd_NAME.c. */
#include "command.h"

#include "nearest.h"
#include "say.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vshm/version.h>

static const struct command *const commands[] = {
	&command_create, &command_destroy, &command_list, &command_show, &command_check,
	&command_evict,	 &command_send,	   &command_recv, &command_ping, &command_bench,
	&command_serve,	 &command_ring,	   &command_wait, &command_qemu_args, &command_libvirt_xml,
	&command_doctor, &command_bind,	   &command_unbind,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int program_help(void)
{
	(void)puts("Usage: vshmctl COMMAND [ARGUMENT...]\n"
		   "Creates, inspects and uses regions of memory that programs share.\n");
	for (size_t i = 0; i < COMMANDS; i++)
		(void)printf("  %-11s %s\n", commands[i]->name, commands[i]->summary);
	(void)puts(
		"\n"
		"  vshmctl COMMAND --help   says more about one of them\n"
		"  vshmctl --version        prints the version\n"
		"\n"
		"A region is named by a URI: file:/dev/shm/net0 (the path alone will do), or vshm:net0 (or net0) for one\n"
		"that is registered under /run/vshm. A directory is a split region, with a file for each peer.\n"
		"\n"
		"Exit status: 0 done, 1 failed, 2 wrong usage, 77 not possible here.\n"
		"Environment: VSHM_RUN_DIR (instead of /run/vshm), VSHM_CONFIG_DIR (instead of /etc/vshm), COLUMNS,\n"
		"NO_COLOR.");
	return say_flushed(CTL_OK);
}

static int program_version(void)
{
	const char *library = vshm_version();
	(void)printf("vshmctl %s", VSHM_VERSION);
	if (strcmp(library, VSHM_VERSION) != 0)
		(void)printf(" (with libvshm %s)", library);
	(void)puts("");
	return say_flushed(CTL_OK);
}

static int command_help(const struct command *command)
{
	(void)printf("Usage: vshmctl %s %s\n%s.\n\n%s", command->name, command->arguments, command->summary,
		     command->help);
	return say_flushed(CTL_OK);
}

/* --help anywhere before a "--" wins over every other mistake on the line. */
static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	}
	return false;
}

static int unknown_option(const char *text, const struct option *options)
{
	char name[40];
	struct nearest nearest = {.text = name};
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(text + 2, "="), text + 2);
	for (; options->name; options++)
		nearest_offer(&nearest, options->name);
	if (nearest.best)
		return say_usage("unknown option '%s': did you mean --%s?", text, nearest.best);
	return say_usage("unknown option '%s'", text);
}

/* "--path --size 4M": the next option is no value. One that does begin with two dashes can be written behind a =. */
static bool swallowed_option(char **argv)
{
	return optarg && optarg == argv[optind - 1] && !strncmp(optarg, "--", 2);
}

int command_option(int argc, char **argv, const struct option *options)
{
	int index = 0;
	opterr = 0;
	int option = getopt_long(argc, argv, ":", options, &index);
	const char *text = optind > 0 && optind <= argc ? argv[optind - 1] : "";
	bool swallowed = option != -1 && option != '?' && option != ':' && swallowed_option(argv);
	if (option == ':' || swallowed)
		(void)say_usage("option '%s' needs a value", swallowed ? argv[optind - 2] : text);
	else if (option == '?' && !strncmp(text, "--", 2) && optopt)
		(void)say_usage("option '%s' takes no value", text);
	else if (option == '?' && !strncmp(text, "--", 2))
		(void)unknown_option(text, options);
	else if (option == '?' && optopt)
		(void)say_usage("unknown option '-%c'", optopt);
	else if (option == '?')
		(void)say_usage("unknown option '%s'", text);
	return option == ':' || swallowed ? '?' : option;
}

bool command_arguments(int argc, char **argv, int least, int most, const char *const *names)
{
	int count = argc - optind;
	if (count < least)
		(void)say_usage("%s is missing", names[count]);
	else if (count > most)
		(void)say_usage("'%s' is one argument too many", argv[optind + most]);
	for (int i = optind; count >= least && count <= most && i < argc; i++) {
		if (!*argv[i]) {
			(void)say_usage("%s is empty", names[i - optind < most ? i - optind : most - 1]);
			return false;
		}
	}
	return count >= least && count <= most;
}

/*
 * Where standard descriptors are closed, the next file would take their numbers, and a message would be written into
 * a region. They get one that fails, as a closed one does.
 */
static void occupy_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

static int unknown(const char *word)
{
	struct nearest nearest = {.text = word};
	const char *kind = *word == '-' ? "option" : "command";
	for (size_t i = 0; i < COMMANDS; i++)
		nearest_offer(&nearest, commands[i]->name);
	if (nearest.best)
		return say_usage("unknown %s '%s': did you mean %s?", kind, word, nearest.best);
	return say_usage("unknown %s '%s'", kind, word);
}

/* "help" and "help COMMAND": what many programs take for --help. */
static int help(int argc, char **argv)
{
	if (argc < 3)
		return program_help();
	const struct command *command = find_command(argv[2]);
	return command ? command_help(command) : unknown(argv[2]);
}

int main(int argc, char **argv)
{
	occupy_standard();
	(void)setlocale(LC_CTYPE, "");
	if (argc < 2)
		return say_usage("no command");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return program_help();
	if (!strcmp(argv[1], "--version"))
		return program_version();
	if (!strcmp(argv[1], "help"))
		return help(argc, argv);
	const struct command *command = find_command(argv[1]);
	if (!command)
		return unknown(argv[1]);
	say_command(command->name);
	if (asks_for_help(argc - 1, argv + 1))
		return command_help(command);
	return say_flushed(command->run(argc - 1, argv + 1));
}
