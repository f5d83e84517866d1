/* SPDX-License-Identifier: BSD-3-Clause */
/* Lent blocks, as both sides of these tests use them: the payload of each is a numbered record. */
#include "crash.h"

#include <string.h>

/* ---- what a holder keeps ---- */

int shelf_is_whole(const struct shelf *s)
{
	for (unsigned i = 0; i < s->count; i++)
		if (!record_is(&s->kept[i].view, s->kept[i].run, s->kept[i].number))
			return 0;
	return 1;
}

int shelf_give_back(struct shelf *s, struct vshm_consumer *c, uint64_t *seed)
{
	unsigned i = (unsigned)support_below(seed, s->count);
	int rc = -EILSEQ;

	if (record_is(&s->kept[i].view, s->kept[i].run, s->kept[i].number))
		rc = vshm_consumer_give_back(c, s->kept[i].view.data);
	s->kept[i] = s->kept[--s->count];
	return rc;
}

int shelf_give_back_all(struct shelf *s, struct vshm_consumer *c, uint64_t *seed)
{
	int rc = 0;

	while (!rc && s->count)
		rc = shelf_give_back(s, c, seed);
	return rc;
}

static int keep(struct shelf *s, struct vshm_consumer *c, const struct vshm_view *v)
{
	s->kept[s->count].view = *v;
	memcpy(&s->kept[s->count].run, v->data, 8);
	memcpy(&s->kept[s->count].number, (const char *)v->data + 8, 8);
	s->count++;
	return vshm_consumer_keep(c, v->data);
}

int shelf_take(struct shelf *s, struct vshm_consumer *c, const struct vshm_view *v, uint64_t *seed)
{
	int rc = 0;

	if (s->count < SHELF && support_below(seed, 2))
		rc = keep(s, c, v);
	if (!rc)
		rc = vshm_consumer_release(c);
	if (!rc && s->count > support_below(seed, SHELF + 1))
		rc = shelf_give_back(s, c, seed);
	return rc;
}

int open_borrower(struct vshm_region *r, uint32_t flags, struct vshm_consumer **c)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;

	o.flags = flags;
	o.lends = LENDS;
	return vshm_consumer_open(r, RING_NAME, &o, c);
}

int open_blocks(struct vshm_region *r, struct vshm_pool **pool)
{
	struct vshm_pool_options o = VSHM_POOL_OPTIONS_INIT;

	o.size = POOL_SIZE;
	return vshm_pool_open(r, "blocks", &o, pool);
}

/* ---- a consumer that is to die ---- */

/* Of this run, and the next one. */
static int is_next(struct doomed *d, const struct vshm_view *v, uint64_t *expected)
{
	uint64_t number;

	memcpy(&number, (const char *)v->data + 8, 8);
	if (!noted(d->notes->first)) {
		*expected = number;
		note(d->notes->first, number + 1);
	}
	return number == *expected && record_is(v, d->run, number);
}

static int hold_one(struct doomed *d, struct vshm_consumer *c, struct shelf *shelf, uint64_t *expected)
{
	struct vshm_view v;
	int rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);

	if (rc)
		return rc;
	if (!is_next(d, &v, expected))
		return -EILSEQ;
	rc = shelf_take(shelf, c, &v, &d->seed);
	note(d->notes->done, ++*expected);
	pace(d);
	return rc;
}

int hold_blocks(struct doomed *d)
{
	struct shelf shelf = {.count = 0};
	struct vshm_consumer *c = NULL;
	uint64_t expected = 0;
	int rc = open_borrower(d->region, 0, &c);

	if (rc)
		return give_up(d, "consumer open", rc);
	note(d->notes->ready, 1);
	while (!rc || rc == -EHOSTDOWN)
		rc = hold_one(d, c, &shelf, &expected);
	if (rc == -ENODATA)
		rc = shelf_give_back_all(&shelf, c, &d->seed);
	return rc ? give_up(d, "holder", rc) : 0;
}

/* ---- an owner that is to die ---- */

struct owner {
	struct vshm_producer *p;
	struct vshm_pool *pool;
};

static int open_owner(struct doomed *d, struct owner *o, uint32_t consumers)
{
	struct vshm_producer_options options = VSHM_PRODUCER_OPTIONS_INIT;
	int rc = open_blocks(d->region, &o->pool);

	options.ring_size = RING_SIZE;
	options.consumers = consumers;
	if (!rc)
		rc = vshm_producer_open(d->region, RING_NAME, &options, &o->p);
	if (rc)
		return give_up(d, "owner open", rc);
	note(d->notes->ready, 1);
	return 0;
}

/* The quotas of all holders together are less than the pool: there is always a block, but not always a taker. */
static int lend_block(struct doomed *d, const struct owner *o, uint64_t number)
{
	size_t size = record_size(d->run, number);
	struct vshm_block block;
	int rc = vshm_pool_alloc(o->pool, size, &block);

	if (rc)
		return give_up(d, "alloc", rc);
	record_fill(block.data, d->run, number);
	note(d->notes->started, number + 1);
	do
		rc = vshm_producer_lend(o->p, o->pool, &block, size, SUPPORT_LONG);
	while (rc == -EHOSTDOWN || rc == -EPIPE);
	if (rc)
		return give_up(d, "lend", rc);
	note(d->notes->done, number + 1);
	rc = vshm_pool_free(o->pool, &block);
	return rc ? give_up(d, "free", rc) : 0;
}

/* After the end of the stream everything comes home. */
static int close_owner(struct doomed *d, const struct owner *o)
{
	struct vshm_pool_info info = VSHM_POOL_INFO_INIT;
	int64_t end = support_now_ns() + SUPPORT_LONG;
	int rc = vshm_producer_close(o->p, SUPPORT_LONG);

	while (!rc && !(rc = vshm_pool_info(o->pool, &info)) && info.blocks_used && support_now_ns() < end)
		support_sleep_us(200);
	if (!rc)
		rc = info.used || info.lent || info.largest != POOL_SIZE ? -EBUSY : vshm_pool_close(o->pool);
	return rc ? give_up(d, "the owner's end", rc) : 0;
}

static int lend_until_stopped(struct doomed *d, uint32_t consumers)
{
	struct owner o = {NULL, NULL};
	uint64_t number = 0;

	if (open_owner(d, &o, consumers))
		return 1;
	while (!noted(d->notes->stop)) {
		if (lend_block(d, &o, number++))
			return 1;
		pace(d);
	}
	return close_owner(d, &o);
}

int lend_to_one(struct doomed *d)
{
	return lend_until_stopped(d, 0);
}

int lend_to_many(struct doomed *d)
{
	return lend_until_stopped(d, 2);
}
