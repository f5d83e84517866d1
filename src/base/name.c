/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which names are lawful: they appear in file names, URIs, shell commands and terminals, so nothing
 * that any of those treats in a special way is allowed.
 */
#include "base/base.h"

#include <vshm/types.h>

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_name_character(char c)
{
	return is_letter_or_digit(c) || c == '.' || c == '_' || c == ':' || c == '+' || c == '-';
}

/* Length of the lawful name that begins at `text`, reading at most VSHM_NAME_SIZE bytes; 0: none. */
static size_t name_length(const char *text)
{
	if (!is_letter_or_digit(text[0]))
		return 0;
	for (size_t i = 1; i < VSHM_NAME_SIZE; i++) {
		if (text[i] == '\0')
			return i;
		if (!is_name_character(text[i]))
			return 0;
	}
	return 0;
}

bool vshmi_name_ok(const char *name)
{
	return name && name_length(name) > 0;
}

bool vshmi_name_field_ok(const char *field)
{
	size_t length = name_length(field);

	if (!length)
		return false;
	for (size_t i = length; i < VSHM_NAME_SIZE; i++)
		if (field[i] != '\0')
			return false;
	return true;
}
