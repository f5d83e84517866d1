/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Latest-value data: a sensor that never waits for anybody, and a reader that is slower and always gets fresh values.
 *
 *   sensor measure [URI [COUNT]]   default: file:/dev/shm/vshm-sensor, 200000 values as fast as it goes
 *   sensor watch [URI]             looks now and then, and knows exactly how many values it missed
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vshm/vshm.h>

struct value {
	uint64_t number;
	double celsius;
};

static int complain(const char *what, int rc)
{
	fprintf(stderr, "sensor: %s: %s\n", what, vshm_strerror(rc));
	return 1;
}

static void nap(long microseconds)
{
	const struct timespec pause = {0, microseconds * 1000};

	nanosleep(&pause, NULL);
}

static int measure(struct vshm_region *region, uint64_t count)
{
	struct vshm_producer_options latest = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *producer;
	int rc;

	latest.flags = VSHM_PRODUCER_LATEST;
	latest.ring_size = 4096; /* some hundred values back, for those who want them */
	rc = vshm_producer_open(region, "temperature", &latest, &producer);
	if (rc)
		return complain("open", rc);
	while (vshm_producer_consumers(producer) == 0) /* a real sensor would not care */
		nap(1000);
	for (uint64_t i = 0; i < count && !rc; i++) {
		const struct value value = {i, 20 + (double)(i % 100) / 10};

		rc = vshm_producer_send(producer, &value, sizeof(value), 0); /* there is always room */
		if (i % 1000 == 0)
			nap(1000);
	}
	if (!rc)
		rc = vshm_producer_close(producer, 0);
	if (rc)
		return complain("send", rc);
	printf("sensor: measured %llu values\n", (unsigned long long)count);
	return 0;
}

/* Everything that is there: the last of it is the freshest. */
static int drain(struct vshm_consumer *consumer, struct value *last, uint64_t *seen, int64_t timeout_ns)
{
	struct value value;
	size_t size;
	int rc;

	while (!(rc = vshm_consumer_recv(consumer, &value, sizeof(value), &size, timeout_ns)) || rc == -EOVERFLOW) {
		if (rc == -EOVERFLOW) /* some were overwritten: vshm_consumer_lost() counts them */
			continue;
		if (*seen && value.number <= last->number)
			return -EPROTO;
		*last = value;
		++*seen;
		timeout_ns = 0;
	}
	return rc;
}

static int watch(struct vshm_region *region)
{
	uint64_t seen = 0, lost = 0;
	struct vshm_consumer *consumer;
	struct value last = {0, 0};
	int rc = vshm_consumer_open(region, "temperature", NULL, &consumer);

	if (rc)
		return complain("open", rc);
	do {
		rc = drain(consumer, &last, &seen, VSHM_FOREVER); /* sleeps until there is a value */
		nap(5000);
	} while (rc == -EAGAIN || rc == -EHOSTDOWN);
	if (rc != -ENODATA)
		return complain("read", rc);
	rc = vshm_consumer_lost(consumer, &lost);
	printf("sensor: saw %llu values and missed %llu, the last: number %llu, %.1f degrees\n", (unsigned long long)seen,
	       (unsigned long long)lost, (unsigned long long)last.number, last.celsius);
	vshm_consumer_close(consumer);
	return rc != 0;
}

int main(int argc, char **argv)
{
	const char *uri = argc > 2 ? argv[2] : "file:/dev/shm/vshm-sensor";
	struct vshm_region *region;
	char why[VSHM_WHY_SIZE];
	int rc;

	if (argc < 2 || (strcmp(argv[1], "measure") && strcmp(argv[1], "watch")))
		return fputs("usage: sensor measure|watch [URI [COUNT]]\n", stderr), 2;
	rc = vshm_region_create(uri, NULL, why);
	if ((rc && rc != -EEXIST) || vshm_region_open(uri, NULL, &region, why))
		return fprintf(stderr, "sensor: %s\n", why), 1;
	rc = strcmp(argv[1], "measure") ? watch(region) : measure(region, argc > 3 ? strtoull(argv[3], NULL, 10) : 200000);
	vshm_region_close(region);
	return rc;
}
