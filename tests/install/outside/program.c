/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of somebody else: one record through a ring, within this process. */
#include <stdio.h>
#include <string.h>
#include <vshm/layout.h>
#include <vshm/vshm.h>

#define URI "inproc:outside"

static int one_record(struct vshm_region *region)
{
	struct vshm_producer *producer;
	struct vshm_consumer *consumer;
	char text[16];
	size_t size;

	if (vshm_producer_open(region, "words", NULL, &producer) || vshm_consumer_open(region, "words", NULL, &consumer))
		return -1;
	if (vshm_producer_send(producer, "hello", 5, VSHM_FOREVER))
		return -1;
	if (vshm_consumer_recv(consumer, text, sizeof(text), &size, VSHM_FOREVER))
		return -1;
	return size == 5 && !memcmp(text, "hello", 5) ? 0 : -1;
}

int main(void)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_region *region;
	int rc;

	if (strcmp(vshm_version(), VSHM_VERSION))
		return fprintf(stderr, "library %s, headers %s\n", vshm_version(), VSHM_VERSION), 1;
	if (vshm_region_create(URI, NULL, why) || vshm_region_open(URI, NULL, &region, why))
		return fprintf(stderr, "%s\n", why), 1;
	rc = one_record(region);
	if (rc)
		vshm_region_why(region, why);
	vshm_region_close(region);
	if (vshm_region_destroy(URI, NULL) || rc)
		return fprintf(stderr, "no record: %s\n", why), 1;
	printf("C: libvshm %s, layout %u\n", vshm_version(), VSHM_LAYOUT_VERSION);
	return 0;
}
