/* SPDX-License-Identifier: BSD-3-Clause */
/* Strict parsers: a typing mistake must never become a different lawful value. */
#include "parse.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits at *text; false: none, or more than 64 bits. */
static bool digits(const char **text, uint64_t *value)
{
	const char *at = *text;
	uint64_t sum = 0;
	if (!is_digit(*at))
		return false;
	for (; is_digit(*at); at++) {
		if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, (unsigned)(*at - '0'), &sum))
			return false;
	}
	*text = at;
	*value = sum;
	return true;
}

const char *parse_number(const char *text, uint64_t *number)
{
	uint64_t value;
	if (!digits(&text, &value) || *text)
		return "write a decimal number";
	*number = value;
	return NULL;
}

const char *parse_size(const char *text, uint64_t *size)
{
	static const char *const bad =
		"write a number of bytes, or one with K, M, G or T (powers of 1024), such as 64M";
	uint64_t value;
	if (!digits(&text, &value))
		return bad;
	unsigned shift = 0;
	switch (*text) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	case 'T':
	case 't':
		shift = 40;
		break;
	default:
		break;
	}
	if (shift)
		text++;
	if (*text)
		return bad;
	if (value > (uint64_t)INT64_MAX >> shift)
		return "too large: write less than 8388608T";
	if (!value)
		return "must be more than 0";
	*size = value << shift;
	return NULL;
}

const char *parse_seconds(const char *text, int64_t *ns)
{
	static const char *const bad = "write seconds such as 5 or 0.25, at most 1000000";
	uint64_t whole;
	if (!digits(&text, &whole) || whole > 1000000)
		return bad;
	uint64_t sum = whole * 1000000000u;
	if (*text == '.') {
		uint64_t unit = 100000000u;
		if (!is_digit(*++text))
			return bad;
		for (; is_digit(*text); text++, unit /= 10)
			sum += unit * (uint64_t)(*text - '0');
	}
	if (*text)
		return bad;
	*ns = (int64_t)sum;
	return NULL;
}

const char *parse_mode(const char *text, uint32_t *mode)
{
	uint32_t value = 0;
	size_t length = strlen(text);
	if (length < 3 || length > 4 || strspn(text, "01234567") != length || (length == 4 && *text != '0'))
		return "write permission bits in octal, such as 0660";
	for (; *text; text++)
		value = value * 8 + (uint32_t)(*text - '0');
	*mode = value;
	return NULL;
}

static bool find_user(const char *name, uint32_t *uid)
{
	uint64_t number;
	const struct passwd *user = getpwnam(name);
	if (user)
		number = user->pw_uid;
	else if (parse_number(name, &number) || number >= UINT32_MAX)
		return false;
	*uid = (uint32_t)number;
	return true;
}

static bool find_group(const char *name, uint32_t *gid)
{
	uint64_t number;
	const struct group *group = getgrnam(name);
	if (group)
		number = group->gr_gid;
	else if (parse_number(name, &number) || number >= UINT32_MAX)
		return false;
	*gid = (uint32_t)number;
	return true;
}

const char *parse_owner(const char *text, struct vshm_owner *owner)
{
	char user[256];
	struct vshm_owner found = *owner;
	if (!*text || strlen(text) >= sizeof(user))
		return "write USER, USER:GROUP or :GROUP";
	(void)snprintf(user, sizeof(user), "%s", text);
	char *group = strchr(user, ':');
	if (group)
		*group++ = 0;
	if (group && !*group)
		return "write a group after the colon, or leave the colon out";
	if (*user && !find_user(user, &found.uid))
		return "no such user on this machine: write the name or number of one that exists";
	if (group && !find_group(group, &found.gid))
		return "no such group on this machine: write the name or number of one that exists";
	*owner = found;
	return NULL;
}

const char *parse_name(const char *text)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-";
	size_t length = strlen(text);
	if (!length)
		return "a name must not be empty";
	if (length >= VSHM_NAME_SIZE)
		return "a name has at most 63 characters";
	if (!strchr(letters, *text))
		return "a name begins with a letter or digit";
	if (strspn(text, more) != length)
		return "a name consists of A-Z a-z 0-9 . _ : + -";
	return NULL;
}

const char *parse_peer(const char *text, vshm_peer *peer)
{
	uint64_t number;
	if (parse_number(text, &number) || number >= VSHM_MAX_PEERS)
		return "write the number of a peer, 0 to 63";
	*peer = (vshm_peer)number;
	return NULL;
}
