/* SPDX-License-Identifier: BSD-3-Clause */
/* The victims: every call must return in time, with a code from its list, and what it returns must be usable. */
#include "hostile.h"

#include <sys/mman.h>

/* The innocent are never suspect: a slow machine is nobody's fault. */
static int is_innocent(vshm_peer peer)
{
	return peer == PEER_FROM || peer == PEER_TO || peer == PEER_HERD || peer == PEER_SHEEP;
}

struct vshm_region *attach(struct arena *a, vshm_peer peer, vshm_log_fn log)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_region *r = NULL;
	int rc;

	o.peer = peer;
	o.flags = peer == VSHM_PEER_ANY ? VSHM_OPEN_OBSERVE : 0;
	o.lease_ms = is_innocent(peer) ? 20000 : 500;
	o.log = log;
	o.log_arg = a;
	rc = vshm_region_open(a->uri, &o, &r, why);
	if (rc) {
		fprintf(stderr, "open: %s\n", why);
		broken(a, "region open", rc);
	}
	return r;
}

static int64_t random_timeout(uint64_t *seed)
{
	static const int64_t timeouts[] = {0, 0, 1, 50000, SUPPORT_MS, 5 * SUPPORT_MS};

	return timeouts[support_below(seed, sizeof(timeouts) / sizeof(timeouts[0]))];
}

static int is_one_of(int rc, const int codes[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rc == codes[i])
			return 1;
	return 0;
}
#define ALLOWED(rc, ...) is_one_of(rc, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void check_fault(struct arena *a, int rc, const struct vshm_fault *f)
{
	if (rc || f->peer != PEER_ATTACKER || f->rule == VSHM_RULE_NONE || f->rule >= VSHM_RULE_COUNT)
		broken(a, "fault after -EPROTO", rc ? rc : (long long)f->rule);
	add(a->rules[f->rule], 1);
	add(a->quarantines, 1);
}

/* Reads every byte that was shown. No lawful record is larger than a section. */
static unsigned char sink(struct arena *a, const void *data, size_t size)
{
	const unsigned char *p = data;
	unsigned char sum = 0;

	if (size > SECTION_SIZE || (uintptr_t)data % 8)
		broken(a, "a view of impossible size or place", (long long)size);
	for (size_t i = 0; i < size; i++)
		sum ^= p[i];
	return sum;
}

/* ---- consumer of "evil" ---- */

struct reader {
	struct arena *a;
	struct vshm_region *r;
	struct vshm_consumer *c;
	struct vshm_view kept; /* a block of the attacker; data NULL: none */
	uint64_t seed;
	volatile unsigned char sum;
};

/* What was kept is there to be read until the stream has ended, and goes back when the next one comes. */
static void keep_instead(struct reader *v, const struct vshm_view *view)
{
	int rc = vshm_consumer_keep(v->c, view->data);

	if (!ALLOWED(rc, 0, -ENOENT))
		broken(v->a, "keep", rc);
	if (rc)
		return; /* an ordinary record */
	if (v->kept.data) {
		v->sum ^= sink(v->a, v->kept.data, v->kept.size);
		rc = vshm_consumer_give_back(v->c, v->kept.data);
		if (!ALLOWED(rc, 0, -ENOENT)) /* -ENOENT: of a stream that is over, and this one follows */
			broken(v->a, "give back", rc);
	}
	v->kept = *view;
	add(v->a->kept, 1);
}

static int read_burst(struct reader *v, int64_t timeout)
{
	unsigned count = 1 + (unsigned)support_below(&v->seed, 32);
	struct vshm_view views[32];
	int rc = vshm_consumer_peek_burst(v->c, views, count, timeout);

	if (rc > (int)count)
		broken(v->a, "a burst larger than asked for", rc);
	for (int i = 0; i < rc; i++)
		v->sum ^= sink(v->a, views[i].data, views[i].size);
	if (rc > 0) {
		add(v->a->records, rc);
		rc = vshm_consumer_release(v->c);
	}
	return rc;
}

static int read_view(struct reader *v, int64_t timeout)
{
	struct vshm_view view;
	int rc = vshm_consumer_peek(v->c, &view, timeout);

	if (!rc) {
		v->sum ^= sink(v->a, view.data, view.size);
		add(v->a->records, 1);
		if (support_below(&v->seed, 3) == 0)
			keep_instead(v, &view);
		rc = vshm_consumer_release(v->c);
	}
	return rc;
}

/* The buffer has exactly the size it is said to have: AddressSanitizer watches its end. */
static int read_copy(struct reader *v, int64_t timeout)
{
	size_t size = support_below(&v->seed, 20000), received = SIZE_MAX;
	unsigned char *buffer = malloc(size ? size : 1);
	int rc;

	if (!buffer)
		broken(v->a, "malloc", 0);
	rc = vshm_consumer_recv(v->c, buffer, size, &received, timeout);
	if (!rc && received > size)
		broken(v->a, "received more than the buffer holds", (long long)received);
	if (!rc)
		v->sum ^= sink(v->a, buffer, received);
	add(v->a->records, !rc);
	free(buffer);
	return rc == -EMSGSIZE ? 0 : rc;
}

static int read_once(struct reader *v)
{
	static int (*const ways[])(struct reader *, int64_t) = {read_view, read_burst, read_copy};
	int64_t timeout = random_timeout(&v->seed), began = call_begin(v->a);
	int rc = ways[support_below(&v->seed, 3)](v, timeout);

	call_end(v->a, began, timeout, "a consumer call");
	if (rc == -EMSGSIZE)
		return 0;
	if (rc == -EAGAIN || rc == -ETIMEDOUT) {
		if ((rc == -EAGAIN) != (timeout == 0))
			broken(v->a, "the wrong one of -EAGAIN and -ETIMEDOUT", rc);
		return 0;
	}
	return rc;
}

static void open_reader(struct reader *v)
{
	struct vshm_consumer_options o = VSHM_CONSUMER_OPTIONS_INIT;
	int64_t began = call_begin(v->a);
	int rc;

	o.flags = (uint32_t)support_below(&v->seed, 4); /* FOLLOW, POLL, both, none */
	o.lends = (uint32_t)support_below(&v->seed, 40);
	rc = vshm_consumer_open(v->r, "evil", &o, &v->c);
	call_end(v->a, began, 0, "consumer open");
	if (rc == -EBUSY)
		support_sleep_us(200); /* the attacker claims that the ring has a consumer */
	else if (rc)
		broken(v->a, "consumer open", rc);
}

static void close_reader(struct reader *v)
{
	int64_t began = call_begin(v->a);
	int rc = vshm_consumer_close(v->c);

	call_end(v->a, began, 0, "consumer close");
	if (rc)
		broken(v->a, "consumer close", rc);
	v->c = NULL;
	v->kept.data = NULL;
	add(v->a->reopened, 1);
}

static void quarantined_reader(struct reader *v)
{
	struct vshm_fault f = VSHM_FAULT_INIT;
	struct vshm_view view;
	int rc = vshm_consumer_peek(v->c, &view, 0);

	if (rc != -EPROTO)
		broken(v->a, "-EPROTO did not stay", rc);
	check_fault(v->a, vshm_consumer_fault(v->c, &f), &f);
}

/* The next mapping lies below this one, so that reading beyond its end is a fault. */
static void reserve_nothing(struct arena *a)
{
	if (mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		broken(a, "mmap", 0);
}

void *victim_consumer(void *arg)
{
	struct reader v = {.a = arg};

	reserve_nothing(v.a);
	v.r = attach(v.a, PEER_CONSUMER, NULL);
	v.seed = v.a->seed + 1;
	while (!is_stopped(v.a)) {
		int rc = v.c ? read_once(&v) : 0;

		if (!v.c) {
			open_reader(&v);
			continue;
		}
		if (!ALLOWED(rc, 0, -ENODATA, -EPIPE, -ESTALE, -EHOSTDOWN, -EBUSY, -EPROTO, -EOVERFLOW))
			broken(v.a, "consumer", rc);
		if (rc == -EPROTO)
			quarantined_reader(&v);
		if ((rc && rc != -EHOSTDOWN && support_below(&v.seed, 4)) || rc == -EPROTO ||
		    support_below(&v.seed, 2000) == 0)
			close_reader(&v);
		if (vshm_region_status(v.r))
			broken(v.a, "the consumer's region", vshm_region_status(v.r));
	}
	if (vshm_region_close(v.r))
		broken(v.a, "region close", 0);
	return NULL;
}

/* ---- producer of "prey" ---- */

struct writer {
	struct arena *a;
	struct vshm_region *r;
	struct vshm_producer *p;
	struct vshm_pool *pool;
	struct vshm_block block; /* lent last, still owned; data NULL: none */
	uint64_t seed;
};

/* That it lies about blocks is said to the log alone: everything else goes on. */
static void note_lies(void *arg, enum vshm_log_level level, const char *message)
{
	struct arena *a = arg;

	(void)level;
	if (!strstr(message, "is lent nothing any more"))
		return;
	for (uint32_t rule = VSHM_RULE_RETURN_TAIL; rule < VSHM_RULE_COUNT; rule++)
		if (strstr(message, vshm_rule_text(rule)))
			add(a->rules[rule], 1);
}

static void open_lendery(struct writer *v)
{
	struct vshm_pool_options o = VSHM_POOL_OPTIONS_INIT;
	int rc;

	o.size = 65536;
	rc = vshm_pool_open(v->r, "lendery", &o, &v->pool);
	if (rc)
		broken(v->a, "pool open", rc);
}

static void free_last(struct writer *v)
{
	int rc = v->block.data ? vshm_pool_free(v->pool, &v->block) : 0;

	if (rc)
		broken(v->a, "free", rc);
	v->block.data = NULL;
}

/* A block for the attacker, which can hold as many as there are. The owner's own hold lasts until the next one. */
static int write_lent(struct writer *v, int64_t timeout)
{
	struct vshm_fault f = VSHM_FAULT_INIT;
	size_t size = 1 + support_below(&v->seed, 2000);
	struct vshm_block block = {.data = NULL};
	int rc = vshm_pool_alloc(v->pool, size, &block);

	if (rc && rc != -ENOSPC)
		broken(v->a, "alloc", rc);
	free_last(v);
	if (rc)
		return 0;
	v->block = block;
	memset(v->block.data, 0x77, size);
	rc = vshm_producer_lend(v->p, v->pool, &v->block, size, timeout);
	add(v->a->lent, !rc);
	if (rc == -EOPNOTSUPP || (rc == -EPROTO && vshm_producer_fault(v->p, &f) == -ENOENT))
		return 0; /* it takes none, or lied about some: the ring goes on */
	return rc;
}

/* The attacker is gone: everything comes home, in one piece. */
static void lendery_is_whole(struct writer *v)
{
	struct vshm_pool_info info = VSHM_POOL_INFO_INIT;
	int64_t end = support_now_ns() + SUPPORT_LONG;
	int rc = 0;

	free_last(v);
	while (!noted(v->a->evicted) && support_now_ns() < end)
		support_sleep_us(1000);
	do
		rc = vshm_pool_info(v->pool, &info);
	while (!rc && info.blocks_used && support_now_ns() < end);
	if (rc || info.used || info.lent || info.largest != info.size)
		broken(v->a, "blocks were lost", rc ? rc : (long long)info.used);
	rc = vshm_pool_close(v->pool);
	if (rc)
		broken(v->a, "pool close", rc);
}

static int write_record(struct writer *v, int64_t timeout)
{
	size_t size = support_below(&v->seed, vshm_producer_max_record(v->p) + 1);
	void *data;
	int rc = vshm_producer_reserve(v->p, size, &data, timeout);

	if (rc)
		return rc;
	memset(data, 0x5a, size);
	return vshm_producer_commit(v->p, size - support_below(&v->seed, size + 1),
				    (uint32_t)support_below(&v->seed, 2));
}

static int write_copy(struct writer *v, int64_t timeout)
{
	unsigned char bytes[VSHM_MIN_RING - VSHM_RECORD_HEADER] = {1};

	return vshm_producer_send(v->p, bytes, support_below(&v->seed, sizeof(bytes) + 1), timeout);
}

static int write_burst(struct writer *v, int64_t timeout)
{
	unsigned count = 1 + (unsigned)support_below(&v->seed, 16);
	size_t size = support_below(&v->seed, VSHM_MIN_RING - VSHM_RECORD_HEADER + 1);
	void *data[16];
	int rc = vshm_producer_reserve_burst(v->p, size, data, count, timeout);

	if (rc < 0)
		return rc;
	if (rc < 1 || rc > (int)count)
		broken(v->a, "a burst of a wrong size", rc);
	for (int i = 0; i < rc; i++)
		memset(data[i], 0x33, size);
	return vshm_producer_commit_burst(v->p, (unsigned)support_below(&v->seed, (uint64_t)rc + 1), 0);
}

static int write_once(struct writer *v)
{
	static int (*const ways[])(struct writer *, int64_t) = {write_record, write_copy, write_burst, write_lent};
	int64_t timeout = random_timeout(&v->seed), began = call_begin(v->a);
	int rc = ways[support_below(&v->seed, 4)](v, timeout);

	call_end(v->a, began, timeout, "a producer call");
	if ((rc == -EAGAIN && timeout) || (rc == -ETIMEDOUT && !timeout))
		broken(v->a, "the wrong one of -EAGAIN and -ETIMEDOUT", rc);
	return rc;
}

static void open_writer(struct writer *v)
{
	struct vshm_producer_options o = VSHM_PRODUCER_OPTIONS_INIT;
	int64_t began = call_begin(v->a);
	int rc;

	o.flags = (uint32_t)support_below(&v->seed, 2);
	o.ring_size = UINT64_C(256) << support_below(&v->seed, 8);
	rc = vshm_producer_open(v->r, "prey", &o, &v->p);
	call_end(v->a, began, 0, "producer open");
	if (rc == -EEXIST)
		support_sleep_us(200); /* the attacker claims that it has such a producer */
	else if (rc == -ENOSPC)
		support_sleep_us(200); /* it still holds the memory of the last ring */
	else if (rc)
		broken(v->a, "producer open", rc);
}

static void close_writer(struct writer *v)
{
	int64_t timeout = support_below(&v->seed, 2) ? 0 : SUPPORT_MS, began = call_begin(v->a);
	int rc = vshm_producer_close(v->p, timeout);

	call_end(v->a, began, timeout, "producer close");
	if (!ALLOWED(rc, 0, -EAGAIN, -ETIMEDOUT, -EPIPE, -EPROTO))
		broken(v->a, "producer close", rc);
	v->p = NULL;
	add(v->a->reopened, 1);
}

static void quarantined_writer(struct writer *v)
{
	struct vshm_fault f = VSHM_FAULT_INIT;
	void *data;
	int rc = vshm_producer_reserve(v->p, 1, &data, 0);

	if (rc != -EPROTO)
		broken(v->a, "-EPROTO did not stay", rc);
	check_fault(v->a, vshm_producer_fault(v->p, &f), &f);
}

void *victim_producer(void *arg)
{
	struct writer v = {.a = arg};

	v.r = attach(v.a, PEER_PRODUCER, note_lies);
	v.seed = v.a->seed + 2;
	open_lendery(&v);
	while (!is_stopped(v.a)) {
		int rc = v.p ? write_once(&v) : 0;

		if (!v.p) {
			open_writer(&v);
			continue;
		}
		if (!ALLOWED(rc, 0, -EAGAIN, -ETIMEDOUT, -EPIPE, -EHOSTDOWN, -EPROTO))
			broken(v.a, "producer", rc);
		if (rc == -EPROTO)
			quarantined_writer(&v);
		if (rc == -EPROTO || support_below(&v.seed, 2000) == 0)
			close_writer(&v);
		if (vshm_region_status(v.r))
			broken(v.a, "the producer's region", vshm_region_status(v.r));
	}
	lendery_is_whole(&v);
	if (vshm_region_close(v.r))
		broken(v.a, "region close", 0);
	return NULL;
}

/* ---- the innocent pair ---- */

/* Every eighth record is lent. */
static int lend_pure(struct vshm_producer *p, struct vshm_pool *pool, uint64_t i)
{
	struct vshm_block block;
	int rc = vshm_pool_alloc(pool, i % 512, &block);

	if (rc)
		return rc;
	support_fill(block.data, block.size, i);
	rc = vshm_producer_lend(p, pool, &block, block.size, SUPPORT_LONG);
	return rc ? rc : vshm_pool_free(pool, &block);
}

static int pure_pool_open(struct vshm_region *r, struct vshm_pool **pool)
{
	struct vshm_pool_options o = VSHM_POOL_OPTIONS_INIT;

	o.size = 65536;
	return vshm_pool_open(r, "pure", &o, pool);
}

void *innocent_from(void *arg)
{
	struct arena *a = arg;
	struct vshm_region *r = attach(a, PEER_FROM, NULL);
	struct vshm_producer *p = NULL;
	struct vshm_pool *pool = NULL;
	unsigned char bytes[512];
	int rc = vshm_producer_open(r, "pure", NULL, &p);

	if (!rc)
		rc = pure_pool_open(r, &pool);
	for (uint64_t i = 0; !rc && !is_stopped(a); i++) {
		support_fill(bytes, i % sizeof(bytes), i);
		rc = i % 8 == 7 ? lend_pure(p, pool, i)
				: vshm_producer_send(p, bytes, i % sizeof(bytes), SUPPORT_LONG);
	}
	if (!rc)
		rc = vshm_producer_close(p, SUPPORT_LONG);
	if (!rc) /* all of it was read, and so all blocks are back */
		rc = vshm_pool_close(pool);
	if (rc || vshm_region_status(r) || vshm_region_close(r))
		broken(a, "the innocent producer", rc);
	return NULL;
}

void *innocent_to(void *arg)
{
	struct arena *a = arg;
	struct vshm_region *r = attach(a, PEER_TO, NULL);
	struct vshm_consumer *c = NULL;
	struct vshm_view v;
	int rc = vshm_consumer_open(r, "pure", NULL, &c);

	for (uint64_t i = 0; !rc; i++) {
		rc = vshm_consumer_peek(c, &v, SUPPORT_LONG);
		if (rc)
			break;
		if (v.size != i % 512 || !support_same(v.data, v.size, i))
			broken(a, "a wrong byte between the innocent", (long long)i);
		rc = vshm_consumer_release(c);
		add(a->pure, 1);
	}
	if (rc != -ENODATA || vshm_region_status(r) || vshm_region_close(r))
		broken(a, "the innocent consumer", rc);
	return NULL;
}

/* ---- one who comes and goes ---- */

void *victim_door(void *arg)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct arena *a = arg;

	o.peer = PEER_DOOR;
	while (!is_stopped(a)) {
		struct vshm_region *r = NULL;
		struct vshm_consumer *c = NULL;
		struct vshm_view v;
		int64_t began = call_begin(a);
		int rc = vshm_region_open(a->uri, &o, &r, NULL);

		call_end(a, began, 5 * SUPPORT_SECOND, "region open"); /* the attacker can claim to drain */
		if (!ALLOWED(rc, 0, -EBUSY))
			broken(a, "region open at the door", rc);
		if (rc)
			continue;
		rc = vshm_consumer_open(r, "evil", NULL, &c);
		if (!ALLOWED(rc, 0, -EBUSY))
			broken(a, "consumer open at the door", rc);
		if (!rc)
			(void)!vshm_consumer_peek(c, &v, SUPPORT_MS);
		if (vshm_region_close(r))
			broken(a, "region close at the door", 0);
	}
	return NULL;
}

/* ---- one who looks ---- */

static int is_plain(const char *text)
{
	size_t n = strnlen(text, VSHM_NAME_SIZE);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 32 || (unsigned char)text[i] > 126)
			return 0;
	return n < VSHM_NAME_SIZE;
}

/* Positions of two ends that contradict each other: which of them lies cannot be seen from outside. */
static int is_between_two(const struct vshm_fault *f)
{
	return (f->peer == PEER_CONSUMER || f->peer == PEER_PRODUCER) && f->rule >= VSHM_RULE_START;
}

static void found(void *arg, const struct vshm_fault *fault)
{
	struct arena *a = arg;

	if (fault->rule == VSHM_RULE_NONE || fault->rule >= VSHM_RULE_COUNT)
		broken(a, "a finding without a rule", fault->rule);
	if (fault->peer != PEER_ATTACKER && !is_between_two(fault)) {
		fprintf(stderr, "peer %u: %s: 0x%llx at 0x%llx\n", fault->peer, vshm_rule_text(fault->rule),
			(unsigned long long)fault->value, (unsigned long long)fault->offset);
		broken(a, "a finding at somebody else", fault->peer);
	}
	add(a->findings, 1);
}

static void look_at_attacker(struct arena *a, struct vshm_region *r)
{
	struct vshm_peer_info peer = VSHM_PEER_INFO_INIT;
	struct vshm_end_info end = VSHM_END_INFO_INIT;
	int rc = vshm_region_peer(r, PEER_ATTACKER, &peer);

	if (rc || peer.state > VSHM_PEER_FENCED || !is_plain(peer.label))
		broken(a, "peer info", rc);
	for (uint32_t i = 0; i < VSHM_ENTRIES; i++) {
		rc = vshm_region_end(r, PEER_ATTACKER, i, &end);
		if (!ALLOWED(rc, 0, -ENOENT, -EPROTO) || (!rc && !is_plain(end.name)))
			broken(a, "end info", rc);
	}
}

void *victim_observer(void *arg)
{
	struct arena *a = arg;
	struct vshm_region *r = attach(a, VSHM_PEER_ANY, NULL);

	while (!is_stopped(a)) {
		int64_t began = call_begin(a);

		look_at_attacker(a, r);
		call_end(a, began, 0, "looking");
		began = call_begin(a);
		if (vshm_region_check(r, found, a) < 0)
			broken(a, "check", 0);
		call_end(a, began, 200 * SUPPORT_MS, "check");
	}
	if (vshm_region_status(r) || vshm_region_close(r))
		broken(a, "the observer's region", 0);
	return NULL;
}
