/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who and where this process is, and whether another one is surely gone. What other processes say of
 * themselves is checked against the kernel, never believed.
 */
#include "base/base.h"
#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reads a small file as a string. 0 or -EIO. */
static int read_text(const char *path, char *out, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t got;

	if (fd < 0)
		return -EIO;
	do
		got = read(fd, out, room - 1);
	while (got < 0 && errno == EINTR);
	close(fd);
	if (got < 0)
		return -EIO;
	out[got] = '\0';
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 32 hexadecimal digits, with or without hyphens. */
static bool parse_id(const char *text, uint8_t id[16])
{
	unsigned digits = 0;

	memset(id, 0, 16);
	for (; *text && *text != '\n'; text++) {
		int digit = hex_digit(*text);

		if (*text == '-')
			continue;
		if (digit < 0 || digits == 32)
			return false;
		id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | digit);
		digits++;
	}
	return digits == 32;
}

static int read_id(const char *path, uint8_t id[16])
{
	char text[64];

	if (!read_text(path, text, sizeof(text)) && parse_id(text, id))
		return 0;
	memset(id, 0, 16);
	return -EIO;
}

/* Field 22 of a stat file of /proc (proc(5)); the name in field 2 may contain anything. 0: unknown. */
static uint64_t start_ticks(const char *path)
{
	char text[1024], *field;

	if (read_text(path, text, sizeof(text)))
		return 0;
	field = strrchr(text, ')');
	for (int number = 2; field && number < 22; number++)
		field = strchr(field + 1, ' ');
	return field ? strtoull(field + 1, NULL, 10) : 0;
}

int vshmi_host_self(struct vshmi_host *host)
{
	struct stat st;

	memset(host, 0, sizeof(*host));
	host->pid = (uint32_t)getpid();
	host->uid = (uint32_t)geteuid();
	host->start_ticks = start_ticks("/proc/self/stat");
	if (!stat("/proc/self/ns/pid", &st))
		host->pid_namespace = st.st_ino;
	/* Some containers have none: then a restarted machine cannot be recognised, and that is all. */
	(void)read_id("/etc/machine-id", host->machine_id);
	return read_id("/proc/sys/kernel/random/boot_id", host->boot_id);
}

/* Is this number now only that of a thread of some other process? Then no process has it. */
static bool is_thread_only(uint32_t pid)
{
	char path[32], text[1024];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	if (read_text(path, text, sizeof(text)))
		return false;
	line = strstr(text, "\nTgid:");
	return line && strtoul(line + 6, NULL, 10) != pid;
}

static bool has_exited(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	/* Readable when the last thread ended, reaped or not. */
	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

int vshmi_process_gone(uint32_t pid, uint64_t ticks)
{
	char path[32];
	uint64_t found;
	int pidfd, gone;

	if (pid == 0 || pid > INT_MAX)
		return -EOPNOTSUPP;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 && errno == ESRCH)
		return 1;
	if (pidfd < 0)
		return (errno == EINVAL || errno == ENOENT) && is_thread_only(pid) ? 1 : -EOPNOTSUPP;
	/*
	 * Whatever happens between the calls, each answer is about the process that the pidfd holds or about
	 * one that came after it; both mean that an earlier owner of the number is gone.
	 */
	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	found = start_ticks(path);
	gone = (ticks && found && found != ticks) || has_exited(pidfd);
	close(pidfd);
	return gone;
}

int vshmi_random(void *out, size_t size)
{
	unsigned char *bytes = out;

	while (size) {
		ssize_t got = getrandom(bytes, size, 0);

		if (got < 0 && errno != EINTR)
			return -EIO;
		if (got > 0) {
			bytes += got;
			size -= (size_t)got;
		}
	}
	return 0;
}

void vshmi_program_name(char *out, size_t size)
{
	char text[64];
	size_t length;

	if (read_text("/proc/self/comm", text, sizeof(text)))
		text[0] = '\0';
	length = strcspn(text, "\n");
	if (length >= size)
		length = size - 1;
	memset(out, 0, size);
	memcpy(out, text, length);
}
