/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A one-to-many ring with the attacker among its consumers. The producer drops who lies, and who holds it up; the innocent
 * consumer gets every record, in order and whole.
 */
#include "hostile.h"

#define LONGEST 512u
#define PATIENCE (2 * SUPPORT_MS)

/* Only what the library says shows that a liar was dropped: everybody else goes on. */
static void count_liars(void *arg, enum vshm_log_level level, const char *message)
{
	struct arena *a = arg;
	char who[32];

	(void)level;
	snprintf(who, sizeof(who), "peer %u ", (unsigned)PEER_ATTACKER);
	if (!strstr(message, "is dropped"))
		return;
	if (!strstr(message, who))
		broken(a, "an innocent consumer was dropped as a liar", 0);
	add(a->liars, 1);
}

static struct vshm_producer *open_herd(struct arena *a, struct vshm_region *r)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	struct vshm_producer *p = NULL;
	int rc;

	o.ring_size = 16384;
	o.consumers = 4;
	rc = vshm_producer_open(r, "herd", &o, &p);
	while (!rc && vshm_producer_consumers(p) < 1) /* the innocent one */
		support_sleep_us(1000);
	if (rc)
		broken(a, "producer open of the herd", rc);
	return p;
}

/* It was not the innocent one: that has read all that was sent. */
static void drop_slow(struct arena *a, struct vshm_producer *p, uint64_t sent)
{
	vshm_peer peer = VSHM_PEER_ANY;
	int rc;

	if (noted(a->herd) != sent)
		return;
	rc = vshm_producer_drop(p, &peer);
	if (rc && rc != -ENOENT)
		broken(a, "drop", rc);
	if (!rc && peer != PEER_ATTACKER)
		broken(a, "an innocent consumer was dropped", peer);
	add(a->slow, !rc);
}

void *innocent_shepherd(void *arg)
{
	struct arena *a = arg;
	struct vshm_region *r = attach(a, PEER_HERD, count_liars);
	struct vshm_producer *p = open_herd(a, r);
	unsigned char bytes[LONGEST];
	uint64_t sent = 0;
	int rc = 0;

	while (!is_stopped(a)) {
		int64_t began = call_begin(a);

		support_fill(bytes, sent % LONGEST, sent);
		rc = vshm_producer_send(p, bytes, sent % LONGEST, PATIENCE);
		call_end(a, began, PATIENCE, "sending to the herd");
		sent += !rc;
		if (rc == -ETIMEDOUT)
			drop_slow(a, p, sent);
		else if (rc && rc != -EPIPE && rc != -EHOSTDOWN)
			broken(a, "the producer of the herd", rc);
		if (sent % 64 == 0)
			support_sleep_us(200);
	}
	for (int64_t give_up = support_now_ns() + SUPPORT_LONG; noted(a->herd) != sent; support_sleep_us(1000))
		if (support_now_ns() > give_up)
			broken(a, "the innocent one did not read the rest", (long long)(sent - noted(a->herd)));
	/* the attacker need not read to the end, and may die as the last one */
	rc = vshm_producer_close(p, PATIENCE);
	if ((rc && rc != -EPIPE && rc != -ETIMEDOUT) || vshm_region_status(r) || vshm_region_close(r))
		broken(a, "the end of the herd", rc);
	return NULL;
}

void *innocent_sheep(void *arg)
{
	struct arena *a = arg;
	struct vshm_region *r = attach(a, PEER_SHEEP, NULL);
	struct vshm_consumer *c = NULL;
	struct vshm_view v;
	int rc = vshm_consumer_open(r, "herd", NULL, &c);

	for (uint64_t i = 0; !rc; i++) {
		rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);
		if (rc)
			break;
		if (v.size != i % LONGEST || !support_same(v.data, v.size, i))
			broken(a, "a wrong byte in the herd", (long long)i);
		rc = vshm_consumer_release(c);
		add(a->herd, 1);
	}
	if (rc != -ENODATA || vshm_region_status(r) || vshm_region_close(r))
		broken(a, "the innocent consumer of the herd", rc);
	return NULL;
}
