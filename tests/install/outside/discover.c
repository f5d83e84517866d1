/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of somebody else: what is on this machine. */
#include <stdio.h>
#include <vshm/discover.h>

static void show(void *arg, const struct vshm_found *found)
{
	int *count = arg;

	++*count;
	printf("%s %s\n", vshm_found_kind_text(found->kind), found->place);
}

int main(void)
{
	int shown = 0, found = vshm_discover(NULL, show, &shown);

	if (found < 0 || found != shown)
		return fprintf(stderr, "%d found, %d shown\n", found, shown), 1;
	printf("discover: %d things\n", found);
	return 0;
}
