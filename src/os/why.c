/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line that says why a call failed. It ends on terminals and in logs, and carries text from outside
 * (paths, names of files): one line, no control characters, never longer than VSHM_WHY_SIZE.
 */
#include "os/os.h"

#include <vshm/types.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* C0, DEL, and C1 as UTF-8 writes it (c2 80 .. c2 9f): what a terminal may act upon. */
static void blank_control_characters(char *text)
{
	unsigned char *p = (unsigned char *)text;

	for (; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

int vshmi_why_va(char *why, int error, const char *format, va_list args)
{
	int length;

	if (!why)
		return error;
	length = vsnprintf(why, VSHM_WHY_SIZE, format, args);
	if (length < 0)
		why[0] = '\0';
	if (length >= VSHM_WHY_SIZE)
		memcpy(why + VSHM_WHY_SIZE - 4, "...", 4);
	blank_control_characters(why);
	return error;
}

int vshmi_why(char *why, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vshmi_why_va(why, error, format, args);
	va_end(args);
	return error;
}

int vshmi_error_of(int system_errno)
{
	switch (system_errno) {
	case EPERM:
	case EACCES:
	case EROFS:
	case ELOOP:
		return -EACCES;
	case ENOENT:
	case ENOTDIR:
		return -ENOENT;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return -ENOSPC;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EAGAIN:
		return -ENOMEM;
	case EINVAL:
	case ENAMETOOLONG:
		return -EINVAL;
	case ENOSYS:
	case EOPNOTSUPP:
		return -EOPNOTSUPP;
	case EEXIST:
		return -EEXIST;
	case ENODEV:
	case ENXIO:
		return -ENODEV;
	default:
		return -EIO;
	}
}
