/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region: what an ivshmem server tells of its clients. Who left is fenced, and nobody else; who belongs to another life of a server
 * is known to be out of reach.
 */
#include "region/region.h"
#include "unit.h"

#include <vshm/vshm.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIFE UINT64_C(0x1122334455667788)
#define PEERS 4

static char uri[300];
static unsigned char *memory; /* the whole region, writable */
static uint64_t size;
static struct vshmi_shared_server *pages;

/* A region whose memory can be written here as its server and its peers would. */
static void begin(uint32_t flags)
{
	struct vshm_create_options options = VSHM_CREATE_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";
	int fd;

	snprintf(uri, sizeof(uri), "file:%s/r", support_dir());
	options.size = 2 << 20;
	options.peers = PEERS;
	options.flags = flags;
	ck_assert_msg(!vshm_region_create(uri, &options, why), "%s", why);
	if (flags)
		return;
	fd = open(uri + 5, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	size = (uint64_t)lseek(fd, 0, SEEK_END);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	close(fd);
	pages = (struct vshmi_shared_server *)(void *)(memory + VSHM_SERVER_OFFSET);
}

static void end(void)
{
	munmap(memory, size);
	ck_ok(vshm_region_destroy(uri, NULL));
}

static struct vshm_region *attach(vshm_peer peer)
{
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "";
	struct vshm_region *region;

	options.peer = peer;
	ck_assert_msg(!vshm_region_open(uri, &options, &region, why), "%s", why);
	return region;
}

static struct vshm_peer_info info_of(struct vshm_region *region, vshm_peer peer)
{
	struct vshm_peer_info info = VSHM_PEER_INFO_INIT;

	ck_ok(vshm_region_peer(region, peer, &info));
	return info;
}

/* That peer says that it is client `id` of a life, as if it were in a guest; it goes on meanwhile. */
static void pose(const struct vshm_region *region, vshm_peer peer, uint32_t id, uint64_t life)
{
	unsigned char *identity = memory + region->peer[peer].offset + VSHM_SECTION_IDENTITY;
	struct vshmi_word64 *word = (struct vshmi_word64 *)(void *)(identity + offsetof(struct vshm_identity, server_life));

	vshmi_store64(word, 0);
	vshmi_store_release32((struct vshmi_word32 *)(void *)(identity + offsetof(struct vshm_identity, ivshmem_id)), id);
	vshmi_store_release64(word, life);
}

static void tell(uint32_t id, enum vshm_client_state state)
{
	static uint64_t words[VSHM_CLIENT_IDS / 32];

	words[id / 32] = vshmi_server_word(words[id / 32], id, state);
	vshmi_server_tell(pages, id / 32, words[id / 32]);
}

/* Only who left, in the life that the peer is a client of. */
START_TEST(who_left_is_fenced)
{
	struct vshm_region *one, *two;

	begin(0);
	one = attach(0);
	two = attach(1);
	ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_LIVE);
	vshmi_server_begin(pages, LIFE);
	pose(one, 1, 500, LIFE);
	ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_LIVE);
	ck_assert_uint_eq(info_of(one, 1).server_life, LIFE);
	for (enum vshm_client_state state = VSHM_CLIENT_UNKNOWN; state <= VSHM_CLIENT_DROPPED; state++)
		if (state != VSHM_CLIENT_LEFT) {
			tell(500, state);
			ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_LIVE);
		}
	tell(499, VSHM_CLIENT_LEFT);
	tell(501, VSHM_CLIENT_LEFT);
	pose(one, 1, 499, LIFE + 1);
	ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_LIVE);
	pose(one, 1, 499, 0);
	ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_LIVE);
	pose(one, 1, UINT32_MAX, LIFE);
	ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_LIVE);
	pose(one, 1, VSHM_CLIENT_IDS + 499, LIFE);
	ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_LIVE);
	pose(one, 1, 499, LIFE);
	ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_FENCED);
	ck_ok(vshm_region_close(two));
	ck_ok(vshm_region_close(one));
	end();
}
END_TEST

/* What was not read by then is still read, the consumer hears of it, and the slot is taken by the next at once. */
START_TEST(what_it_left_behind)
{
	struct vshm_region *one, *two, *next;
	struct vshm_producer *producer;
	struct vshm_consumer *consumer;
	struct vshm_event event = VSHM_EVENT_INIT;
	char buffer[8];
	int rc = -EAGAIN;
	size_t got;

	begin(0);
	vshmi_server_begin(pages, LIFE);
	one = attach(0);
	two = attach(1);
	ck_ok(vshm_consumer_open(one, "r", NULL, &consumer));
	ck_ok(vshm_producer_open(two, "r", NULL, &producer));
	ck_ok(vshm_producer_send(producer, "hello", 5, SUPPORT_LONG));
	ck_ok(vshm_consumer_recv(consumer, buffer, sizeof(buffer), &got, SUPPORT_LONG));
	ck_assert_uint_eq(got, 5);
	ck_ok(vshm_producer_send(producer, "last", 4, SUPPORT_LONG));
	while (!vshm_region_event(one, &event))
		;
	pose(one, 1, 7, LIFE);
	tell(7, VSHM_CLIENT_LEFT);
	ck_ok(vshm_consumer_recv(consumer, buffer, sizeof(buffer), &got, SUPPORT_LONG));
	ck_assert_uint_eq(got, 4);
	ck_is(vshm_consumer_recv(consumer, buffer, sizeof(buffer), &got, SUPPORT_LONG), -EPIPE);
	for (int64_t give_up = support_now_ns() + SUPPORT_LONG; rc == -EAGAIN && support_now_ns() < give_up;)
		rc = vshm_region_event(one, &event);
	ck_ok(rc);
	ck_assert_uint_eq(event.type, VSHM_EVENT_DIED);
	ck_assert_uint_eq(event.peer, 1);
	ck_ok(vshm_consumer_close(consumer));
	next = attach(1);
	ck_assert_int_eq(info_of(one, 1).state, VSHM_PEER_LIVE);
	ck_ok(vshm_region_close(next));
	(void)vshm_producer_close(producer, 0);
	ck_ok(vshm_region_close(two));
	ck_ok(vshm_region_close(one));
	end();
}
END_TEST

/* In a split region the place belongs to one peer, who has no say about others. */
START_TEST(split_regions_have_no_such_pages)
{
	struct vshm_region *one;

	begin(VSHM_CREATE_SPLIT);
	one = attach(0);
	ck_assert_ptr_null(one->server);
	ck_assert_uint_eq(one->server_life, 0);
	ck_ok(vshm_region_close(one));
	ck_ok(vshm_region_destroy(uri, NULL));
}
END_TEST

static char place[280]; /* of the server */

static void serve_for_ever(uint32_t first_id)
{
	struct vshm_server_options options = VSHM_SERVER_OPTIONS_INIT;
	struct vshm_server *server;
	int fd = open(uri + 5, O_RDWR | O_CLOEXEC);
	struct pollfd ready;

	options.first_id = first_id;
	options.pages_offset = VSHM_SERVER_OFFSET;
	if (vshm_server_open(place, fd, &options, &server, NULL))
		_exit(1);
	ready = (struct pollfd){.fd = vshm_server_fd(server), .events = POLLIN};
	while (poll(&ready, 1, -1) < 0 || !vshm_server_dispatch(server))
		;
	_exit(1);
}

/* A server of that region in a child process. */
static pid_t serve(uint32_t first_id)
{
	uint64_t before = vshmi_server_life(pages);
	pid_t pid;

	snprintf(place, sizeof(place), "%s/socket", support_dir());
	pid = support_fork();
	if (!pid)
		serve_for_ever(first_id);
	for (int64_t give_up = support_now_ns() + SUPPORT_LONG; vshmi_server_life(pages) == before && support_now_ns() < give_up;)
		support_sleep_us(1000);
	ck_assert_uint_ne(vshmi_server_life(pages), before);
	return pid;
}

static struct vshm_region *attach_to_server(vshm_peer peer, uint32_t flags)
{
	struct vshm_open_options options = VSHM_OPEN_OPTIONS_INIT;
	char text[300], why[VSHM_WHY_SIZE] = "";
	struct vshm_region *opened;

	snprintf(text, sizeof(text), "server:%s", place);
	options.peer = peer;
	options.flags = flags;
	ck_assert_msg(!vshm_region_open(text, &options, &opened, why), "%s", why);
	return opened;
}

static bool known_to(struct vshm_region *one, const struct vshm_region *other)
{
	return one->transport.ops->knows(&one->transport, other->transport.doorbell);
}

/* Who has no keeper reads what the server says when it looks at others: so it rings those who came later. */
START_TEST(without_a_keeper)
{
	struct vshm_region *alone, *later;
	struct vshm_producer *producer;
	struct vshm_consumer *consumer;
	char buffer[8];
	size_t got;
	pid_t pid;

	begin(0);
	pid = serve(0);
	alone = attach_to_server(0, VSHM_OPEN_NO_KEEPER);
	later = attach_to_server(1, 0);
	ck_assert_uint_eq(info_of(later, 1).server_life, vshmi_server_life(pages));
	ck_assert(!known_to(alone, later));
	ck_ok(vshm_consumer_open(later, "r", NULL, &consumer));
	ck_ok(vshm_producer_open(alone, "r", NULL, &producer));
	ck_ok(vshm_producer_send(producer, "hello", 5, SUPPORT_LONG));
	ck_ok(vshm_consumer_recv(consumer, buffer, sizeof(buffer), &got, SUPPORT_LONG));
	ck_assert(known_to(alone, later));
	ck_assert(!vshmi_peer_is_stranger(alone, 1));
	ck_assert_uint_eq(info_of(alone, 1).can_wake, 1);
	ck_ok(vshm_region_close(later));
	for (int64_t give_up = support_now_ns() + SUPPORT_LONG;
	     alone->transport.ops->knows(&alone->transport, 1) && support_now_ns() < give_up;)
		(void)info_of(alone, 2);
	ck_assert(!alone->transport.ops->knows(&alone->transport, 1));
	ck_ok(vshm_region_close(alone));
	support_kill(pid);
	end();
}
END_TEST

/* How often a consumer that waits for 300 ms looks. */
static uint64_t looks_of(struct vshm_region *one, struct vshm_region *other, const char *name)
{
	struct vshm_counters before = VSHM_COUNTERS_INIT, after = VSHM_COUNTERS_INIT;
	struct vshm_producer *producer;
	struct vshm_consumer *consumer;
	char buffer[8];
	size_t got;

	ck_ok(vshm_consumer_open(one, name, NULL, &consumer));
	ck_ok(vshm_producer_open(other, name, NULL, &producer));
	ck_ok(vshm_producer_send(producer, "hello", 5, SUPPORT_LONG));
	ck_ok(vshm_consumer_recv(consumer, buffer, sizeof(buffer), &got, SUPPORT_LONG));
	support_sleep_us(200000); /* several beats: each knows of the other what can be known */
	ck_ok(vshm_consumer_counters(consumer, &before));
	for (unsigned i = 0; i < 3; i++)
		ck_is(vshm_consumer_recv(consumer, buffer, sizeof(buffer), &got, 100 * SUPPORT_MS), -ETIMEDOUT);
	ck_ok(vshm_consumer_counters(consumer, &after));
	ck_ok(vshm_consumer_close(consumer));
	ck_ok(vshm_producer_close(producer, SUPPORT_LONG));
	return after.sleeps - before.sleeps;
}

/* Clients of the server before and after its restart do not wait for rings that cannot come. */
START_TEST(strangers_look_often)
{
	struct vshm_region *one, *friend, *stranger;
	uint64_t life;
	pid_t pid;

	begin(0);
	pid = serve(0);
	one = attach_to_server(0, 0);
	friend = attach_to_server(1, 0);
	ck_assert_uint_le(looks_of(one, friend, "friend"), 20);
	life = vshmi_server_life(pages);
	support_kill(pid);
	pid = serve(300);
	stranger = attach_to_server(2, 0);
	ck_assert_uint_ne(info_of(one, 2).server_life, life);
	ck_assert_uint_eq(info_of(one, 1).server_life, life);
	ck_assert_uint_ge(looks_of(one, stranger, "stranger"), 30);
	ck_assert(known_to(one, friend) && known_to(friend, one));
	ck_assert(!known_to(one, stranger) && !known_to(stranger, one));
	ck_assert_uint_eq(info_of(one, 1).can_wake, 1);
	ck_assert_uint_eq(info_of(one, 2).can_wake, 0);
	ck_assert_int_eq(info_of(stranger, 0).state, VSHM_PEER_LIVE); /* out of reach, but there */
	ck_ok(vshm_region_close(stranger));
	ck_ok(vshm_region_close(friend));
	ck_ok(vshm_region_close(one));
	support_kill(pid);
	end();
}
END_TEST

/* ---- whose client is this peer? ---- */

static struct vshm_region region;
static struct vshmi_shared_server lone;
static uint32_t known; /* by the transport */

static bool knows(struct vshmi_transport *t, uint32_t doorbell)
{
	(void)t;
	return doorbell == known;
}

static const struct vshmi_transport_ops device = {.scheme = "device"};
static const struct vshmi_transport_ops connected = {.scheme = "connected", .knows = knows};

START_TEST(a_life_of_ones_own)
{
	static const uint64_t words[] = {(uint64_t)VSHM_CLIENT_HERE << 6 | (uint64_t)VSHM_CLIENT_LEFT << 8 |
					 (uint64_t)VSHM_CLIENT_DROPPED << 10};
	static const struct {
		uint32_t doorbell;
		uint64_t life;
	} cases[] = {{3, LIFE}, {4, VSHM_LIFE_OVER}, {5, VSHM_LIFE_OVER}, {6, VSHM_LIFE_OVER}, {UINT32_MAX, LIFE}};

	memset(&region, 0, sizeof(region));
	region.transport.doorbell = 3;
	vshmi_peer_find_server(&region); /* a split region */
	ck_assert_uint_eq(region.server_life, 0);
	region.server = &lone;
	vshmi_peer_find_server(&region); /* another program's server */
	ck_assert_uint_eq(region.server_life, 0);
	vshmi_server_begin(&lone, LIFE);
	vshmi_server_tell(&lone, 0, words[0]);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		region.transport.doorbell = cases[i].doorbell;
		vshmi_peer_find_server(&region);
		ck_assert_uint_eq(region.server_life, cases[i].life);
	}
}
END_TEST

#define RINGS VSHM_WAY_RINGS
#define BOTH (VSHM_WAY_RINGS | VSHM_WAY_DOORBELL)

static const struct {
	uint32_t ways, its_ways;
	uint64_t life, its_life;
	bool stranger;
} pairs[] = {
	{BOTH, BOTH, LIFE, LIFE, false},
	{BOTH, BOTH, 0, 0, false}, /* no server tells anything: nothing says that they cannot */
	{BOTH, BOTH, LIFE, LIFE + 1, true},
	{BOTH, BOTH, LIFE, 0, true},
	{BOTH, BOTH, 0, LIFE, true},
	{BOTH, BOTH, LIFE, VSHM_LIFE_OVER, true},
	{BOTH, BOTH, VSHM_LIFE_OVER, LIFE, true},
	{BOTH, BOTH, VSHM_LIFE_OVER, VSHM_LIFE_OVER, true}, /* perhaps not of the same */
	{RINGS, BOTH, LIFE, LIFE + 1, true},
	{BOTH, RINGS, LIFE, LIFE + 1, true},
	{VSHM_WAY_FUTEX, BOTH, LIFE, LIFE + 1, false}, /* doorbells are not what they have in common */
	{BOTH, VSHM_WAY_FUTEX, 0, LIFE, false},
};

static struct vshm_identity of_pair(int i)
{
	return (struct vshm_identity){
		.incarnation = 1, .ways = pairs[i].its_ways, .ivshmem_id = 9, .server_life = pairs[i].its_life};
}

START_TEST(strangers)
{
	const struct vshm_identity identity = of_pair(_i);

	memset(&region, 0, sizeof(region));
	region.self = 0;
	region.ways = pairs[_i].ways;
	region.server_life = pairs[_i].life;
	region.transport.ops = &device;
	vshmi_peer_note_doorbell(&region, 1, &identity);
	ck_assert_int_eq(vshmi_peer_is_stranger(&region, 1), pairs[_i].stranger);
	vshmi_peer_note_doorbell(&region, 0, &identity); /* itself */
	ck_assert(!vshmi_peer_is_stranger(&region, 0));
}
END_TEST

/* Who was told of each client by the server needs no guess: whatever the lives say. */
START_TEST(who_is_connected_knows_better)
{
	const struct vshm_identity identity = of_pair(_i);

	if (!(pairs[_i].ways & VSHM_WAY_RINGS) || !(identity.ways & VSHM_WAY_DOORBELL))
		return;
	memset(&region, 0, sizeof(region));
	region.ways = pairs[_i].ways;
	region.server_life = pairs[_i].life;
	region.transport.ops = &connected;
	known = 9;
	vshmi_peer_note_doorbell(&region, 1, &identity);
	ck_assert(!vshmi_peer_is_stranger(&region, 1));
	known = 8;
	vshmi_peer_note_doorbell(&region, 1, &identity);
	ck_assert(vshmi_peer_is_stranger(&region, 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("region_lives");
	TCase *tc = tcase_create("lives");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, who_left_is_fenced);
	tcase_add_test(tc, what_it_left_behind);
	tcase_add_test(tc, split_regions_have_no_such_pages);
	tcase_add_test(tc, without_a_keeper);
	tcase_add_test(tc, strangers_look_often);
	tcase_add_test(tc, a_life_of_ones_own);
	tcase_add_loop_test(tc, strangers, 0, (int)(sizeof(pairs) / sizeof(pairs[0])));
	tcase_add_loop_test(tc, who_is_connected_knows_better, 0, (int)(sizeof(pairs) / sizeof(pairs[0])));
	suite_add_tcase(suite, tc);
	return unit_run("region_lives", suite);
}
