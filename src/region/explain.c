/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults of a superblock in words: what is wrong, and what to do about it.
 */
#include "region/region.h"

static int wrong_size(char *why, int error, const char *path, const struct vshm_fault *fault, uint64_t mapped)
{
	return vshmi_why(why, error,
			 "%s was truncated: its superblock needs %llu bytes, there are %llu: recreate it with `vshmctl create "
			 "--force`",
			 path, (unsigned long long)fault->value, (unsigned long long)mapped);
}

int vshmi_explain_superblock(char *why, int error, const char *path, const struct vshm_fault *fault, uint64_t mapped)
{
	switch (fault->rule) {
	case VSHM_RULE_ZERO:
		return vshmi_why(why, error, "%s is all zero: format it with `vshmctl create --force`", path);
	case VSHM_RULE_MAGIC:
		return vshmi_why(why, error, "%s is not a vshm region (it begins with 0x%016llx): check the path", path,
				 (unsigned long long)fault->value);
	case VSHM_RULE_VERSION:
		return vshmi_why(why, error,
				 "%s has layout version %llu, this library knows %u: use the libvshm that made it, or recreate it",
				 path, (unsigned long long)fault->value, VSHM_LAYOUT_VERSION);
	case VSHM_RULE_FEATURES:
		return vshmi_why(why, error, "%s uses features 0x%llx that this library does not know: use a newer libvshm",
				 path, (unsigned long long)fault->value);
	case VSHM_RULE_SEGMENT_SIZE:
		return wrong_size(why, error, path, fault, mapped);
	default:
		return vshmi_why(why, error,
				 "the superblock of %s is damaged (%s; 0x%llx at offset %llu): recreate it with `vshmctl create "
				 "--force`",
				 path, vshm_rule_text(fault->rule), (unsigned long long)fault->value,
				 (unsigned long long)fault->offset);
	}
}
