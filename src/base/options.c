/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Structs whose first member is size_t struct_size: how a program and a library of different age
 * understand each other. What the older side does not know must be zero.
 */
#include "base/base.h"

/* No struct will ever be this large: a struct_size beyond it was never set, and its tail is not looked at. */
#define LARGEST_STRUCT 4096u

/* Reads struct_size and checks what lies beyond `known_size`. */
static int check_size(const void *options, size_t known_size, size_t *size)
{
	const unsigned char *bytes = options;

	memcpy(size, options, sizeof(*size));
	if (*size < sizeof(*size))
		return -EINVAL;
	if (*size > LARGEST_STRUCT)
		return -E2BIG;
	for (size_t i = known_size; i < *size; i++)
		if (bytes[i])
			return -E2BIG;
	return 0;
}

int vshmi_options_in(void *out, const void *defaults, size_t known_size, const void *options)
{
	size_t size = 0;
	int error = options ? check_size(options, known_size, &size) : 0;

	if (error)
		return error;
	memcpy(out, defaults, known_size);
	if (options)
		memcpy(out, options, size < known_size ? size : known_size);
	memcpy(out, &known_size, sizeof(known_size));
	return 0;
}

int vshmi_options_out(void *out, const void *filled, size_t known_size)
{
	size_t size = 0;
	int error = out ? check_size(out, known_size, &size) : -EINVAL;

	if (error)
		return error;
	if (size > known_size)
		size = known_size;
	memcpy((char *)out + sizeof(size_t), (const char *)filled + sizeof(size_t), size - sizeof(size_t));
	return 0;
}
