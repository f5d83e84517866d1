/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vshm:NAME. A directory holds a file per name with one line: the URI. Whoever can write such a file decides
 * what others open, so only root's files and one's own are believed.
 */
#include "transport/file.h"
#include "transport/list.h"

#include "os/os.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *run_directory(void)
{
	/* Not from the environment of a program that runs with more rights than its user. */
	const char *given = secure_getenv("VSHM_RUN_DIR");

	return given && given[0] ? given : "/run/vshm";
}

static int check_name(const char *name, char *why)
{
	if (vshmi_name_ok(name))
		return 0;
	return vshmi_why(why, -EINVAL, "\"%.64s\": a name is 1 to 63 of A-Z a-z 0-9 . _ : + -, a letter or digit first",
			 name ? name : "NULL");
}

/* "DIRECTORY/NAME" for messages and for vshmi_place_init(). */
static int name_path(const char *name, char *path, size_t room, char *why)
{
	int length = snprintf(path, room, "%s/%s", run_directory(), name);

	if (length < 0 || (size_t)length >= room)
		return vshmi_why(why, -EINVAL, "VSHM_RUN_DIR is too long");
	return 0;
}

/* ---- look up ---- */

static int check_registration(int fd, const char *shown, char *why)
{
	struct stat st;
	int error;

	if (fstat(fd, &st))
		return vshmi_file_failed(why, shown, "look at it");
	error = vshmi_file_check_kind(&st, shown, why);
	if (error)
		return error == -EPROTO ? -EACCES : error;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return vshmi_why(why, -EACCES, "%s is owned by uid %u, who is neither you nor root: not believed", shown,
				 st.st_uid);
	if (st.st_mode & 022)
		return vshmi_why(why, -EACCES, "%s: others than its owner may write it (mode %04o): chmod go-w it", shown,
				 (unsigned)(st.st_mode & 07777));
	return 0;
}

static int read_line(int fd, char *line, const char *shown, char *why)
{
	ssize_t got;

	do
		got = read(fd, line, VSHMI_REGISTERED_SIZE - 1);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return vshmi_file_failed(why, shown, "read it");
	line[got] = '\0';
	if (strlen(line) != (size_t)got || line[strcspn(line, "\n")] != '\n' || !line[0] || line[0] == '\n')
		return vshmi_why(why, -EINVAL, "%s does not hold one line with a URI: register the name again", shown);
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static int open_registration(const struct vshmi_place *place, const char *name, char *why)
{
	struct stat st;
	int fd, error = vshmi_place_look(place, &st, why);

	if (error == -ENOENT)
		return vshmi_why(why, -ENOENT, "no region is registered as \"%s\" (%s does not exist)", name, place->shown);
	if (!error && !S_ISREG(st.st_mode))
		error = vshmi_why(why, -EACCES, "%s is not a regular file: not believed", place->shown);
	if (error)
		return error;
	fd = openat(place->dir, place->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? vshmi_file_failed(why, place->shown, "open it") : fd;
}

/* Who may rename files can make one name mean what another one stands for. */
static int check_run_directory(const struct vshmi_place *place, char *why)
{
	struct stat st;

	if (fstat(place->dir, &st))
		return vshmi_file_failed(why, run_directory(), "look at it");
	if ((st.st_mode & 022) && !(st.st_mode & S_ISVTX))
		return vshmi_why(why, -EACCES, "%s: others than its owner may change it (mode %04o): chmod go-w it",
				 run_directory(), (unsigned)(st.st_mode & 07777));
	return 0;
}

static int look_up(const struct vshmi_place *place, const char *name, char *line, char *why)
{
	int error, fd = open_registration(place, name, why);

	if (fd < 0)
		return fd;
	error = check_registration(fd, place->shown, why);
	if (!error)
		error = read_line(fd, line, place->shown, why);
	close(fd);
	return error;
}

int vshmi_name_lookup(const char *name, char uri[VSHMI_REGISTERED_SIZE], char *why)
{
	char path[sizeof(((struct vshmi_uri *)0)->path)];
	struct vshmi_place place;
	int error = check_name(name, why);

	if (!error)
		error = name_path(name, path, sizeof(path), why);
	if (error)
		return error;
	error = vshmi_place_init(&place, path, NULL);
	if (error == -ENOENT)
		error = vshmi_why(why, error, "no region is registered as \"%s\" (%s does not exist)", name, run_directory());
	else if (error)
		error = vshmi_why(why, error, "%s: cannot open this directory", run_directory());
	else
		error = check_run_directory(&place, why);
	if (!error)
		error = look_up(&place, name, uri, why);
	vshmi_place_fini(&place);
	return error;
}

/* ---- register ---- */

/* What is left behind must mean the same to everybody who reads it. */
static int check_uri(const char *text, char *why)
{
	struct vshmi_uri uri;
	const char *bad;

	if (vshmi_uri_parse(text, &uri, &bad))
		return vshmi_why(why, -EINVAL, "%.100s is no URI: %s", text, bad);
	if (!strcmp(uri.scheme, "vshm"))
		return vshmi_why(why, -EINVAL, "%.100s: a name cannot lead to another name: give what it stands for", text);
	if (!strcmp(uri.scheme, "file") && uri.path[0] != '/')
		return vshmi_why(why, -EINVAL, "%.100s: give the whole path, beginning with /", text);
	return 0;
}

static int write_line(int fd, const char *uri)
{
	char line[VSHMI_REGISTERED_SIZE];
	int length = snprintf(line, sizeof(line), "%s\n", uri);

	/* Few bytes, to a new file: written at once, or there is no room. */
	errno = ENOSPC;
	return write(fd, line, (size_t)length) == length && !fchmod(fd, 0644) ? 0 : -1;
}

static int write_registration(struct vshmi_place *place, const char *uri, char *why)
{
	int error, fd;

	error = vshmi_place_temporary(place, why);
	if (error)
		return error;
	fd = openat(place->dir, place->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return vshmi_file_failed(why, place->shown, "make it");
	if (write_line(fd, uri))
		error = vshmi_file_failed(why, place->shown, "write it");
	close(fd);
	if (!error && renameat(place->dir, place->temporary, place->dir, place->name))
		error = vshmi_file_failed(why, place->shown, "give it its name");
	if (error)
		unlinkat(place->dir, place->temporary, 0);
	return error;
}

static int remove_registration(const struct vshmi_place *place, char *why)
{
	if (!unlinkat(place->dir, place->name, 0))
		return 0;
	if (errno == ENOENT)
		return vshmi_why(why, -ENOENT, "%s does not exist: that name is not registered", place->shown);
	return vshmi_file_failed(why, place->shown, "remove it");
}

static int make_directory(char *why)
{
	const char *path = run_directory();

	if (!mkdir(path, 0755))
		return chmod(path, 0755) ? vshmi_file_failed(why, path, "set its mode") : 0;
	return errno == EEXIST ? 0 : vshmi_file_failed(why, path, "make this directory");
}

int vshm_region_register(const char *name, const char *uri, char *why)
{
	char path[sizeof(((struct vshmi_uri *)0)->path)];
	struct vshmi_place place;
	int error = check_name(name, why);

	if (!error && uri)
		error = check_uri(uri, why);
	if (!error)
		error = name_path(name, path, sizeof(path), why);
	if (!error && uri)
		error = make_directory(why);
	if (error)
		return error;
	error = vshmi_place_init(&place, path, why);
	if (!error)
		error = uri ? write_registration(&place, uri, why) : remove_registration(&place, why);
	vshmi_place_fini(&place);
	return error;
}
