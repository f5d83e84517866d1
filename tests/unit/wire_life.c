/* SPDX-License-Identifier: BSD-3-Clause */
/* wire: the pages in which an ivshmem server tells of its clients. */
#include "unit.h"
#include "wire/wire.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#define LIFE UINT64_C(0x1122334455667788)

static struct vshmi_shared_server page;

static void set(uint32_t id, enum vshm_client_state state)
{
	static uint64_t words[VSHM_CLIENT_IDS / 32];

	words[id / 32] = vshmi_server_word(words[id / 32], id, state);
	vshmi_server_tell(&page, id / 32, words[id / 32]);
}

/* Each id has a state of its own, and a new life knows none of them. */
START_TEST(every_id)
{
	vshmi_server_begin(&page, LIFE);
	ck_assert_uint_eq(vshmi_server_life(&page), LIFE);
	for (uint32_t id = 0; id < VSHM_CLIENT_IDS; id++)
		ck_assert_int_eq(vshmi_server_client(&page, LIFE, id), VSHM_CLIENT_UNKNOWN);
	for (uint32_t id = 0; id < VSHM_CLIENT_IDS; id++)
		set(id, (enum vshm_client_state)((id + id / 32) % 4));
	for (uint32_t id = 0; id < VSHM_CLIENT_IDS; id++)
		ck_assert_uint_eq(vshmi_server_client(&page, LIFE, id), (id + id / 32) % 4);
	for (uint32_t id = 3; id < VSHM_CLIENT_IDS; id += 1000) {
		set(id, VSHM_CLIENT_HERE);
		set(id, VSHM_CLIENT_LEFT);
		ck_assert_int_eq(vshmi_server_client(&page, LIFE, id), VSHM_CLIENT_LEFT);
		ck_assert_uint_eq(vshmi_server_client(&page, LIFE, id + 1), (id + 1 + (id + 1) / 32) % 4);
		ck_assert_uint_eq(vshmi_server_client(&page, LIFE, id - 1), (id - 1 + (id - 1) / 32) % 4);
	}
	vshmi_server_begin(&page, LIFE + 1);
	for (uint32_t id = 0; id < VSHM_CLIENT_IDS; id++)
		ck_assert_int_eq(vshmi_server_client(&page, LIFE + 1, id), VSHM_CLIENT_UNKNOWN);
}
END_TEST

/* An old life's clients are nobody's business, and nor are pages that are none. */
START_TEST(other_lives)
{
	const struct vshm_server_page nothing = {0}, *seen = (const struct vshm_server_page *)(const void *)&page;
	struct vshm_server_page other;

	memcpy(&page, &nothing, sizeof(page));
	ck_assert_uint_eq(vshmi_server_life(&page), 0);
	ck_assert_int_eq(vshmi_server_client(&page, 0, 0), VSHM_CLIENT_UNKNOWN);
	vshmi_server_begin(&page, LIFE);
	set(7, VSHM_CLIENT_LEFT);
	ck_assert_int_eq(vshmi_server_client(&page, LIFE, 7), VSHM_CLIENT_LEFT);
	ck_assert_int_eq(vshmi_server_client(&page, LIFE - 1, 7), VSHM_CLIENT_UNKNOWN);
	ck_assert_int_eq(vshmi_server_client(&page, 0, 7), VSHM_CLIENT_UNKNOWN);
	ck_assert_uint_eq(seen->magic, VSHM_SERVER_MAGIC);
	ck_assert_mem_eq(&seen->magic, "VSHMSRV1", 8);
	ck_assert_uint_eq(seen->state[0], (uint64_t)VSHM_CLIENT_LEFT << 14);
	memcpy(&other, seen, sizeof(other));
	other.magic++;
	memcpy(&page, &other, sizeof(page));
	ck_assert_uint_eq(vshmi_server_life(&page), 0);
	ck_assert_int_eq(vshmi_server_client(&page, LIFE, 7), VSHM_CLIENT_UNKNOWN);
	other.magic--;
	other.life = VSHM_LIFE_OVER; /* which says of a peer that its life is not known */
	memcpy(&page, &other, sizeof(page));
	ck_assert_uint_eq(vshmi_server_life(&page), 0);
	ck_assert_int_eq(vshmi_server_client(&page, VSHM_LIFE_OVER, 7), VSHM_CLIENT_UNKNOWN);
}
END_TEST

#define LIVES 3000
#define LOOKS 64

/* In odd lives all clients left, in even ones all are there. */
static void begin_again(uint64_t life)
{
	vshmi_server_begin(&page, life);
	for (uint32_t i = 0; i < LOOKS; i++)
		vshmi_server_tell(&page, 32 * i, life % 2 ? UINT64_C(0xaaaaaaaaaaaaaaaa) : UINT64_C(0x5555555555555555));
}

/* How many looks at a life found something; none finds what another life told. */
static unsigned look_around(void)
{
	uint64_t life = vshmi_server_life(&page);
	unsigned found = 0;

	for (uint32_t i = 0; i < LOOKS; i++) {
		enum vshm_client_state state = vshmi_server_client(&page, life, 1024 * i);

		ck_assert_int_ne(state, life % 2 ? VSHM_CLIENT_HERE : VSHM_CLIENT_LEFT);
		found += state != VSHM_CLIENT_UNKNOWN;
	}
	return found;
}

static void *restart_for_long(void *arg)
{
	uint32_t *done = arg;

	for (uint64_t life = 1; life <= 10 * LIVES; life++) {
		begin_again(life);
		for (uint64_t i = 0; i < life % 1000; i++)
			vshmi_cpu_relax();
	}
	__atomic_store_n(done, 1, __ATOMIC_RELEASE);
	return NULL;
}

START_TEST(a_look_while_a_life_begins)
{
	uint32_t done = 0;
	pthread_t thread;

	memset(&page, 0, sizeof(page));
	ck_ok(pthread_create(&thread, NULL, restart_for_long, &done));
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		(void)look_around();
	ck_ok(pthread_join(thread, NULL));
}
END_TEST

static volatile sig_atomic_t lives;

static void restart_once(int number)
{
	(void)number;
	begin_again((uint64_t)lives + 1);
	lives++;
}

/* A life begins between two loads of a look. */
START_TEST(a_look_is_of_one_life)
{
	const struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
	unsigned found = 0;

	memset(&page, 0, sizeof(page));
	ck_assert(signal(SIGALRM, restart_once) != SIG_ERR);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	while (lives < LIVES)
		found += look_around();
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_uint_gt(found, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire: life");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, every_id);
	tcase_add_test(tc, other_lives);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_look_while_a_life_begins);
	tcase_add_test(tc, a_look_is_of_one_life);
	suite_add_tcase(suite, tc);
	return unit_run("wire-life", suite);
}
