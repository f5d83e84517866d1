/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many to one: three producers, one consumer that waits for all of them at once and serves them in turn, so that one
 * with a flood cannot hide the others.
 *
 *   fan_in collect [URI]            default: file:/dev/shm/vshm-fan-in; ends when all three streams have ended
 *   fan_in send URI NAME [COUNT]    NAME: red, green or blue
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vshm/vshm.h>

#define SOURCES 3

static const char *const names[SOURCES] = {"red", "green", "blue"};

static int complain(const char *what, int rc)
{
	fprintf(stderr, "fan_in: %s: %s\n", what, vshm_strerror(rc));
	return 1;
}

static int send(struct vshm_region *region, const char *name, uint64_t count)
{
	struct vshm_producer *producer;
	int rc = vshm_producer_open(region, name, NULL, &producer);

	if (rc)
		return complain("open", rc);
	for (uint64_t i = 0; i < count && !rc; i++)
		rc = vshm_producer_send(producer, &i, sizeof(i), VSHM_FOREVER);
	if (!rc)
		rc = vshm_producer_close(producer, VSHM_FOREVER);
	return rc ? complain("send", rc) : 0;
}

/* At most 64 records from one source, then it is the others' turn. */
static int serve(struct vshm_consumer *consumer, uint64_t *count)
{
	struct vshm_view view;
	int rc = 0;

	for (unsigned i = 0; i < 64 && !(rc = vshm_consumer_peek(consumer, &view, 0)); i++) {
		if (view.size != sizeof(*count) || *(const uint64_t *)view.data != *count)
			return -EPROTO;
		++*count;
		vshm_consumer_release(consumer);
	}
	return rc == -EAGAIN ? 0 : rc;
}

static int collect(struct vshm_region *region)
{
	struct vshm_poll ends[SOURCES];
	uint64_t counts[SOURCES] = {0};
	unsigned which[SOURCES], open = SOURCES;
	int rc = 0;

	memset(ends, 0, sizeof(ends));
	for (unsigned i = 0; i < SOURCES && !rc; i++) {
		which[i] = i;
		rc = vshm_consumer_open(region, names[i], NULL, &ends[i].consumer);
	}
	while (open && rc >= 0) {
		rc = vshm_poll(region, ends, open, VSHM_FOREVER);
		for (unsigned i = 0; rc >= 0 && i < open; i++) {
			int end = ends[i].ready ? serve(ends[i].consumer, &counts[which[i]]) : 0;

			if (end == -ENODATA) { /* this one has ended: go on with the others */
				vshm_consumer_close(ends[i].consumer);
				ends[i] = ends[--open];
				which[i] = which[open];
				break;
			}
			if (end && end != -EHOSTDOWN)
				rc = end;
		}
	}
	if (rc < 0)
		return complain("collect", rc);
	printf("fan_in: %s %llu, %s %llu, %s %llu\n", names[0], (unsigned long long)counts[0], names[1],
	       (unsigned long long)counts[1], names[2], (unsigned long long)counts[2]);
	return 0;
}

int main(int argc, char **argv)
{
	struct vshm_create_options options = VSHM_CREATE_OPTIONS_INIT;
	const char *uri = argc > 2 ? argv[2] : "file:/dev/shm/vshm-fan-in";
	bool sends = argc > 3 && !strcmp(argv[1], "send");
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE];
	int rc;

	if (!sends && (argc < 2 || strcmp(argv[1], "collect")))
		return fputs("usage: fan_in collect [URI] | fan_in send URI NAME [COUNT]\n", stderr), 2;
	options.peers = 1 + SOURCES;
	rc = vshm_region_create(uri, &options, why);
	if ((rc && rc != -EEXIST) || vshm_region_open(uri, NULL, &region, why))
		return fprintf(stderr, "fan_in: %s\n", why), 1;
	rc = sends ? send(region, argv[3], argc > 4 ? strtoull(argv[4], NULL, 10) : 100000) : collect(region);
	vshm_region_close(region);
	return rc;
}
