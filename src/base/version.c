/* SPDX-License-Identifier: BSD-3-Clause */
/* The version of the library that is running, which need not be that of the caller's headers. */
#include <vshm/version.h>

const char *vshm_version(void)
{
	return VSHM_VERSION;
}
