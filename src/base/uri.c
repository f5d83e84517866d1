/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * "scheme:path?key=value&key=value" into its parts. Nothing is decoded: a path is taken as it stands,
 * and cannot contain '?' or control characters. Whether the path makes sense is for its transport.
 */
#include "base/base.h"

#include <vshm/types.h>

static const char bad_length[] = "it is too long";

/* Copies `length` bytes as a string; false when there is no room. */
static bool copy_part(char *out, size_t room, const char *text, size_t length)
{
	if (length >= room)
		return false;
	memcpy(out, text, length);
	out[length] = '\0';
	return true;
}

static bool has_control_characters(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* Bytes of the scheme at the start of `text`; 0: there is none. */
static size_t scheme_length(const char *text)
{
	size_t i = 0;

	while ((text[i] >= 'a' && text[i] <= 'z') || (i && (text[i] == '-' || (text[i] >= '0' && text[i] <= '9'))))
		i++;
	return text[i] == ':' ? i : 0;
}

/* A decimal peer number; VSHM_PEER_ANY when it is none. */
static uint32_t parse_peer(const char *text, size_t length)
{
	uint32_t peer = 0;

	if (length < 1 || length > 2)
		return VSHM_PEER_ANY;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return VSHM_PEER_ANY;
		peer = peer * 10 + (uint32_t)(text[i] - '0');
	}
	return peer < VSHM_MAX_PEERS ? peer : VSHM_PEER_ANY;
}

/* One "key=value" of `length` bytes. NULL, or what is wrong. */
static const char *parse_parameter(struct vshmi_uri *uri, const char *text, size_t length)
{
	if (length >= 5 && !memcmp(text, "peer=", 5)) {
		if (uri->peer != VSHM_PEER_ANY)
			return "peer= is given twice";
		uri->peer = parse_peer(text + 5, length - 5);
		return uri->peer == VSHM_PEER_ANY ? "peer= needs a number from 0 to 63" : NULL;
	}
	if (length >= 6 && !memcmp(text, "owner=", 6)) {
		if (uri->owner[0])
			return "owner= is given twice";
		if (length == 6)
			return "owner= needs the name or number of a user";
		return copy_part(uri->owner, sizeof(uri->owner), text + 6, length - 6) ? NULL : "owner= is too long";
	}
	if (length >= 4 && !memcmp(text, "via=", 4)) {
		if (uri->via[0])
			return "via= is given twice";
		return length > 4 && copy_part(uri->via, sizeof(uri->via), text + 4, length - 4) ?
			       NULL :
			       "via= needs a way to a device: vfio, uio or sysfs";
	}
	if (length >= 9 && !memcmp(text, "doorbell=", 9)) {
		if (uri->doorbell[0])
			return "doorbell= is given twice";
		return length > 9 && copy_part(uri->doorbell, sizeof(uri->doorbell), text + 9, length - 9) ?
			       NULL :
			       "doorbell= needs the PCI address of a device";
	}
	return "only the parameters peer=N, owner=USER, via=WAY and doorbell=ADDRESS are known";
}

static const char *parse_parameters(struct vshmi_uri *uri, const char *text)
{
	for (;;) {
		size_t length = strcspn(text, "&");
		const char *bad = parse_parameter(uri, text, length);

		if (bad || !text[length])
			return bad;
		text += length + 1;
	}
}

static const char *parse(const char *text, struct vshmi_uri *uri)
{
	size_t scheme, path;

	if (has_control_characters(text))
		return "it contains control characters";
	if (text[0] == '/' || text[0] == '.') {
		memcpy(uri->scheme, "file", sizeof("file"));
	} else {
		scheme = scheme_length(text);
		if (!scheme)
			return "it does not say what it is: write file:PATH, vshm:NAME, server:SOCKET, ivshmem:ADDRESS, split:ADDRESS,... or inproc:NAME";
		if (!copy_part(uri->scheme, sizeof(uri->scheme), text, scheme))
			return bad_length;
		text += scheme + 1;
	}
	path = strcspn(text, "?");
	if (!path)
		return "nothing follows the colon";
	if (!copy_part(uri->path, sizeof(uri->path), text, path))
		return bad_length;
	return text[path] ? parse_parameters(uri, text + path + 1) : NULL;
}

int vshmi_uri_parse(const char *text, struct vshmi_uri *uri, const char **bad)
{
	struct vshmi_uri parsed;

	memset(&parsed, 0, sizeof(parsed));
	parsed.peer = VSHM_PEER_ANY;
	*bad = text ? parse(text, &parsed) : "it is NULL";
	if (*bad)
		return -EINVAL;
	*uri = parsed;
	return 0;
}
