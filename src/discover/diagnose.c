/* SPDX-License-Identifier: BSD-3-Clause */
/* What is missing: which questions there are to which thing, and how an answer is said. */
#include "discover/discover.h"

#include <errno.h>
#include <stdarg.h>

/* Anybody may choose the name of a file, and a shell of root is to read it. */
static bool is_plain(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._:+,@%-";

	return !text[strspn(text, plain)];
}

/* Whatever is in a command is in one of these. */
static bool may_be_quoted(const struct vshm_found *found)
{
	char path[VSHM_FOUND_URI_SIZE];

	return is_plain(found->place) && is_plain(found->name) &&
	       (vshmi_uri_path(found->uri, path, sizeof(path)) || is_plain(path));
}

void vshmi_say(struct vshmi_diagnosis *diagnosis, enum vshm_finding_level level, const char *topic, const char *command,
	       const char *format, ...)
{
	struct vshm_finding finding = {.struct_size = sizeof(finding), .level = level, .topic = topic};
	va_list args;

	va_start(args, format);
	(void)vsnprintf(finding.text, sizeof(finding.text), format, args);
	va_end(args);
	if (command && may_be_quoted(diagnosis->found))
		VSHMI_TEXT(finding.command, "%s", command);
	diagnosis->problems += level == VSHM_FINDING_PROBLEM;
	diagnosis->finding(diagnosis->arg, &finding);
}

void vshmi_holders_text(const struct vshm_found *found, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < found->holders && i < VSHM_FOUND_HOLDERS && used + 40 < size; i++) {
		vshmi_text(out + used, size - used, "%s%s (process %u)", i ? ", " : "", found->holder[i].command,
			   (unsigned)found->holder[i].pid);
		used += strlen(out + used);
	}
	if (found->holders > VSHM_FOUND_HOLDERS && used + 20 < size)
		vshmi_text(out + used, size - used, " and %u more", (unsigned)found->holders - VSHM_FOUND_HOLDERS);
}

/* What this version does not open is not to be mended. */
static void diagnose_closed(struct vshmi_diagnosis *diagnosis)
{
	vshmi_say(diagnosis, VSHM_FINDING_HINT, "support", NULL, "%s", diagnosis->found->why);
}

int vshm_diagnose(const struct vshm_found *found, vshm_finding_fn finding, void *arg)
{
	struct vshmi_diagnosis diagnosis = {found, finding, arg, 0};

	if (!found || !finding || found->struct_size < sizeof(*found))
		return -EINVAL;
	switch (found->kind) {
	case VSHM_FOUND_REGION:
	case VSHM_FOUND_SERVER:
		vshmi_diagnose_host(&diagnosis);
		break;
	case VSHM_FOUND_IVSHMEM:
		vshmi_diagnose_pci(&diagnosis);
		break;
	default:
		diagnose_closed(&diagnosis);
	}
	return diagnosis.problems;
}
