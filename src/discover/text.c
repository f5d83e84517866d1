/* SPDX-License-Identifier: BSD-3-Clause */
/* Small texts: messages, and what stands in sysfs. */
#include "discover/discover.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void vshmi_text(char *out, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(out, size, format, args);
	va_end(args);
}

ssize_t vshmi_read_line(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t got = fd < 0 ? -1 : read(fd, out, size - 1);

	if (fd >= 0)
		(void)close(fd);
	out[got > 0 ? got : 0] = '\0';
	if (got < 0)
		return -1;
	out[strcspn(out, "\n")] = '\0';
	return (ssize_t)strlen(out);
}

unsigned long long vshmi_read_number(const char *path, unsigned long long otherwise)
{
	char text[64], *end;
	unsigned long long number;

	if (vshmi_read_line(path, text, sizeof(text)) <= 0)
		return otherwise;
	number = strtoull(text, &end, 0);
	return end == text ? otherwise : number;
}

void vshmi_read_link_name(const char *path, char *out, size_t size)
{
	char target[1024];
	const char *slash;
	ssize_t length = readlink(path, target, sizeof(target) - 1);

	target[length > 0 ? length : 0] = '\0';
	slash = strrchr(target, '/');
	vshmi_text(out, size, "%s", slash ? slash + 1 : target);
}

const char *vshmi_size_option(char *out, size_t size, unsigned long long bytes)
{
	static const char units[] = " KMG";
	unsigned unit = 0;

	for (; bytes && bytes % 1024 == 0 && unit < 3; unit++)
		bytes /= 1024;
	vshmi_text(out, size, "%llu%.1s", bytes, unit ? &units[unit] : "");
	return out;
}

bool vshmi_exists(const char *path)
{
	struct stat facts;

	return !lstat(path, &facts);
}

bool vshmi_may(const char *path, int mode)
{
	return !access(path, mode); /* not faccessat(): that is no function that umockdev knows */
}
