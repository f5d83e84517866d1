/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Config files, split into keys and values by inih. What inih does not do is done in the reader that hands it
 * the lines: numbers of lines, sections without keys, names longer than its buffer, bytes that are no text.
 * The first mistake is reported; nothing of a file with a mistake is used.
 */
#include "config.h"

#include "parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A config file larger than this is a mistake: 64 regions with 64 peers each still fit. */
#define MAX_FILE 65536u

/* inih cuts lines at 200 bytes (its INI_MAX_LINE); the reader refuses them before that. */
#define MAX_LINE 190u

struct reader {
	struct config *config;
	const char *file;
	const char *text, *end; /* what is still to be read */
	unsigned line;
	struct plan *plan; /* of the section that is open */
	vshm_peer peer; /* VSHM_PEER_ANY: the region itself */
	char section[128]; /* as it stands in the file */
	char *why;
	bool failed;
};

static void fail(struct reader *r, unsigned line, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void fail(struct reader *r, unsigned line, const char *key, const char *format, ...)
{
	char what[512];
	va_list args;
	if (r->failed)
		return;
	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	const char *section = r->section[0] ? r->section : "";
	(void)snprintf(r->why, CONFIG_WHY_SIZE, "%s:%u: %s%s%s%s%s", r->file, line, section, *section ? " " : "", key,
		       *key ? ": " : "", what);
	r->failed = true;
}

static struct plan *add_plan(struct reader *r, const char *name)
{
	struct config *config = r->config;
	size_t room = (config->count + 1) * sizeof(void *);
	struct plan **plans = realloc(config->plans, room);
	if (plans)
		config->plans = plans;
	char **files = realloc(config->files, room);
	if (files)
		config->files = files;
	struct plan *plan = plans && files ? malloc(sizeof(*plan)) : NULL;
	char *file = strdup(r->file);
	if (!plan || !file) {
		free(plan);
		free(file);
		return NULL;
	}
	plan_init(plan);
	(void)snprintf(plan->name, sizeof(plan->name), "%s", name);
	plan->line = r->line;
	config->plans[config->count] = plan;
	config->files[config->count++] = file;
	return plan;
}

static struct plan *find_plan(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++) {
		if (!strcmp(config->plans[i]->name, name))
			return config->plans[i];
	}
	return NULL;
}

static const char *file_of(const struct config *config, const struct plan *plan)
{
	size_t i = 0;
	while (config->plans[i] != plan)
		i++;
	return config->files[i];
}

const struct plan *config_find(const struct config *config, const char *name)
{
	return find_plan(config, name);
}

static void open_region(struct reader *r, const char *name)
{
	const struct plan *twin = find_plan(r->config, name);
	if (!twin)
		r->plan = add_plan(r, name);
	if (twin)
		fail(r, r->line, "", "this section stands twice, first at %s:%u: merge the two",
		     file_of(r->config, twin), twin->line);
	else if (!r->plan)
		fail(r, r->line, "", "out of memory");
}

static void open_peer(struct reader *r, const char *name, const char *number)
{
	struct plan *plan = find_plan(r->config, name);
	const char *bad = parse_peer(number, &r->peer);
	if (bad)
		fail(r, r->line, "", "'%.40s': %s", number, bad);
	else if (!plan)
		fail(r, r->line, "", "write the section [region %s] before this one", name);
	else if (plan->peer_line[r->peer])
		fail(r, r->line, "", "this section stands twice, first in line %u: merge the two",
		     plan->peer_line[r->peer]);
	else
		plan->peer_line[r->peer] = r->line;
	r->plan = plan;
}

/* "[region NAME]" or "[region NAME peer N]", and nothing but a comment behind it. */
static void open_section(struct reader *r, const char *line, size_t size)
{
	char copy[MAX_LINE + 1], *words[5] = {NULL}, *rest = copy;
	unsigned count = 0;
	const char *close = memchr(line, ']', size);
	r->section[0] = 0;
	if (!close) {
		fail(r, r->line, "", "a section ends with ']': write [region NAME]");
		return;
	}
	size_t length = (size_t)(close - line);
	const char *behind = close + 1 + strspn(close + 1, " \t");
	memcpy(copy, line + 1, length - 1);
	copy[length - 1] = 0;
	(void)snprintf(r->section, sizeof(r->section), "%.*s", (int)length + 1, line);
	for (char *word; (word = strsep(&rest, " \t"));) {
		if (*word && count < 5)
			words[count++] = word;
	}
	r->plan = NULL;
	r->peer = VSHM_PEER_ANY;
	bool peer = count == 4 && !strcmp(words[2], "peer");
	if (behind < line + size && *behind != ';' && *behind != '#' && *behind != '\n')
		fail(r, r->line, "", "there is more behind the ']': put it on a line of its own");
	else if (count < 2 || strcmp(words[0], "region") != 0 || !(count == 2 || peer))
		fail(r, r->line, "", "unknown section: write [region NAME] or [region NAME peer N]");
	else if (parse_name(words[1]))
		fail(r, r->line, "", "'%.80s': %s", words[1], parse_name(words[1]));
	else if (peer)
		open_peer(r, words[1], words[3]);
	else
		open_region(r, words[1]);
}

static bool is_text(const char *line, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)line[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Hands inih the next line, without blanks in front: it would take an indented line for more of the last value. */
static char *next_line(char *out, int size, void *arg)
{
	struct reader *r = arg;
	if (r->failed || r->text == r->end)
		return NULL;
	const char *line = r->text;
	const char *newline = memchr(line, '\n', (size_t)(r->end - line));
	const char *stop = newline ? newline : r->end;
	r->text = newline ? newline + 1 : r->end;
	r->line++;
	if (r->line == 1 && stop - line >= 3 && !memcmp(line, "\xef\xbb\xbf", 3))
		line += 3;
	while (line < stop && (*line == ' ' || *line == '\t'))
		line++;
	while (stop > line && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
		stop--;
	size_t length = (size_t)(stop - line);
	if (length > MAX_LINE || length + 2 > (size_t)size)
		fail(r, r->line, "", "the line is too long: at most %u bytes", MAX_LINE);
	else if (!is_text(line, length))
		fail(r, r->line, "", "there is a control character or NUL byte in this line: this is no text file");
	if (r->failed)
		return NULL;
	memcpy(out, line, length);
	memcpy(out + length, "\n", 2);
	if (*out == '[')
		open_section(r, out, length);
	return r->failed ? NULL : out;
}

static enum plan_key find_key(const char *name)
{
	enum plan_key key = 0;
	while (key < PLAN_KEYS && strcmp(plan_key_name(key), name) != 0)
		key++;
	return key;
}

static void set_key(struct reader *r, enum plan_key key, const char *name, const char *value)
{
	char room[VSHM_WHY_SIZE];
	struct plan *plan = r->plan;
	bool region = r->peer == VSHM_PEER_ANY;
	uint32_t seen = region ? plan->keys : plan->peer_keys[r->peer];
	if (seen & 1u << key) {
		fail(r, r->line, name, "stands twice in this section: keep one");
		return;
	}
	if (region)
		plan->key_line[key] = r->line;
	const char *bad = region ? plan_set(plan, key, value, room) : plan_set_peer(plan, r->peer, key, value, room);
	if (bad)
		fail(r, r->line, name, "%s", bad);
}

static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *r = arg;
	enum plan_key key = find_key(name);
	(void)section; /* cut off at 50 bytes: the reader has the whole of it */
	if (!r->plan)
		fail(r, r->line, name, "stands before the first section: write [region NAME] above it");
	else if (key == PLAN_KEYS)
		fail(r, r->line, name, "unknown key: write %s",
		     r->peer == VSHM_PEER_ANY ? "size, peers, profile, path, owner, mode, socket, vectors or allow"
					      : "owner or mode");
	else
		set_key(r, key, name, value);
	return !r->failed;
}

/* Reads the whole file, if it is one that only root or the caller can have written. */
static char *load(const char *file, size_t *size, char *why)
{
	struct stat facts;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &facts)) {
		(void)snprintf(why, CONFIG_WHY_SIZE, "%s: %s", file, strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	char *text = NULL;
	if (!S_ISREG(facts.st_mode))
		(void)snprintf(why, CONFIG_WHY_SIZE, "%s: is not a file", file);
	else if (facts.st_uid != 0 && facts.st_uid != geteuid())
		(void)snprintf(why, CONFIG_WHY_SIZE,
			       "%s: belongs to user %u: only files of root or of yourself are used", file,
			       (unsigned)facts.st_uid);
	else if (facts.st_mode & (S_IWGRP | S_IWOTH))
		(void)snprintf(why, CONFIG_WHY_SIZE, "%s: others may write it: run chmod go-w on it", file);
	else if (facts.st_size > (off_t)MAX_FILE)
		(void)snprintf(why, CONFIG_WHY_SIZE, "%s: is larger than 64 KiB: split it into several files", file);
	else if (!(text = malloc(MAX_FILE + 1)))
		(void)snprintf(why, CONFIG_WHY_SIZE, "%s: out of memory", file);
	*size = 0;
	for (ssize_t got = 1; text && got > 0; *size += got > 0 ? (size_t)got : 0) {
		got = read(fd, text + *size, MAX_FILE + 1 - *size);
		if (got < 0 || *size + (size_t)got > MAX_FILE) {
			(void)snprintf(why, CONFIG_WHY_SIZE, "%s: %s", file,
				       got < 0 ? strerror(errno)
					       : "is larger than 64 KiB: split it into several files");
			free(text);
			text = NULL;
		}
	}
	close(fd);
	return text;
}

int config_read(struct config *config, const char *file, char *why)
{
	size_t size;
	char *text = load(file, &size, why);
	if (!text)
		return -1;
	struct reader r = {
		.config = config, .file = file, .text = text, .end = text + size, .why = why, .peer = VSHM_PEER_ANY};
	int line = ini_parse_stream(next_line, &r, on_key, &r);
	/* What inih itself could not make sense of: everything else was refused above. */
	if (line != 0 && !r.failed) {
		r.section[0] = 0;
		fail(&r, line > 0 ? (unsigned)line : r.line, "", "neither a section nor KEY = VALUE");
	}
	free(text);
	return r.failed ? -1 : 0;
}

static int is_ini(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');
	return entry->d_name[0] != '.' && dot && !strcmp(dot, ".ini");
}

const char *config_directory(void)
{
	const char *directory = getenv("VSHM_CONFIG_DIR");
	return directory && *directory ? directory : "/etc/vshm";
}

static int read_one_of(struct config *config, const char *directory, const char *name, char *why)
{
	char file[PATH_MAX];
	int length = snprintf(file, sizeof(file), "%s/%s", directory, name);
	if (length > 0 && (size_t)length < sizeof(file))
		return config_read(config, file, why);
	(void)snprintf(why, CONFIG_WHY_SIZE, "%s: the path is too long", directory);
	return -1;
}

int config_read_directory(struct config *config, const char *directory, char *why)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_ini, alphasort);
	if (count < 0) {
		(void)snprintf(why, CONFIG_WHY_SIZE,
			       "%s: %s: name a file with --config, or a region with NAME and --path", directory,
			       strerror(errno));
		return -1;
	}
	int rc = 0;
	for (int i = 0; i < count; i++) {
		rc = rc ? rc : read_one_of(config, directory, entries[i]->d_name, why);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

static int blame(const struct config *config, size_t i, unsigned line, const char *key, const char *what, char *why)
{
	(void)snprintf(why, CONFIG_WHY_SIZE, "%s:%u: [region %s] %s: %s", config->files[i], line,
		       config->plans[i]->name, key, what);
	return -1;
}

int config_check(const struct config *config, const char *only, enum plan_existing existing, char *why)
{
	for (size_t i = 0; i < config->count; i++) {
		const struct plan *plan = config->plans[i];
		char room[VSHM_WHY_SIZE];
		enum plan_key key;
		unsigned line;
		/* The files of the others may be in place already: that is their own matter. */
		bool meant = !only || !strcmp(only, plan->name);
		const char *bad = plan_check(plan, meant ? existing : PLAN_REPLACE, &key, &line, room);
		if (bad && (meant || key != PLAN_PATH || !plan->path[0]))
			return blame(config, i, line, plan_key_name(key), bad, why);
		for (size_t j = 0; j < i; j++) {
			if (plan->memfd || strcmp(config->plans[j]->path, plan->path) != 0)
				continue;
			(void)snprintf(room, sizeof(room), "[region %s] has the same path: give each its own",
				       config->plans[j]->name);
			return blame(config, i, plan->key_line[PLAN_PATH], "path", room, why);
		}
	}
	return 0;
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->count; i++) {
		free(config->plans[i]);
		free(config->files[i]);
	}
	free(config->plans);
	free(config->files);
	memset(config, 0, sizeof(*config));
}
