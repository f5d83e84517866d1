/* SPDX-License-Identifier: BSD-3-Clause */
/* server: what is said to clients, in which order, and which ids they get. */
#include "server_help.h"

START_TEST(the_order_of_the_specification)
{
	struct vshm_server_options options = options_for(3, 8);
	int fds = support_count_fds(), clients[4], bells[4][3];

	open_server(&options);
	for (unsigned i = 0; i < 4; i++) {
		clients[i] = connect_raw();
		ck_assert_uint_eq(expect_opening(clients[i]), i);
		for (unsigned j = 0; j < i; j++)
			expect_bells(clients[i], j, 3, NULL);
		expect_bells(clients[i], i, 3, bells[i]);
		expect(clients[i], NOTHING);
		for (unsigned j = 0; j < i; j++) {
			expect_bells(clients[j], i, 3, NULL);
			expect(clients[j], NOTHING);
		}
	}
	ck_assert_uint_eq(info_of_server().clients, 4);
	leave(clients[1]);
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned j = 0; j < 3; j++)
			close(bells[i][j]);
		if (i == 1)
			continue;
		expect(clients[i], 1);
		expect(clients[i], NOTHING);
	}
	close_server();
	ck_assert_uint_eq(events.count[VSHM_SERVER_JOINED], 4);
	ck_assert_uint_eq(events.count[VSHM_SERVER_LEFT], 4);
	for (unsigned i = 0; i < 4; i++) {
		if (i != 1)
			expect(clients[i], GOODBYE);
		if (i != 1)
			close(clients[i]);
	}
	ck_assert_int_eq(support_count_fds(), fds);
}
END_TEST

/* Also for one that comes when those before it left gaps. */
START_TEST(own_doorbells_come_last)
{
	struct vshm_server_options options = options_for(2, 8);
	int clients[4];

	open_server(&options);
	for (unsigned i = 0; i < 4; i++)
		clients[i] = connect_raw();
	for (unsigned i = 0; i < 3; i++) {
		leave(clients[i]);
		clients[i] = connect_raw();
		ck_assert_uint_eq(expect_opening(clients[i]), 4 + i);
		for (unsigned j = 0; j < 4; j++)
			if (j != i)
				expect_bells(clients[i], j < i ? 4 + j : j, 2, NULL);
		expect_bells(clients[i], 4 + i, 2, NULL);
		expect(clients[i], NOTHING);
	}
	for (unsigned i = 0; i < 4; i++)
		close(clients[i]);
	close_server();
}
END_TEST

static void ring(int bell)
{
	const uint64_t one = 1;

	ck_assert_int_eq(write(bell, &one, 8), 8);
}

static uint64_t rung(int bell)
{
	uint64_t count = 0;

	return read(bell, &count, 8) == 8 ? count : 0;
}

/* The doorbells of the others ring those that they have themselves. */
START_TEST(doorbells_ring)
{
	struct vshm_server_options options = options_for(2, 4);
	int a, b, own[2], other[2], back[2];

	open_server(&options);
	a = connect_raw();
	ck_assert_uint_eq(expect_opening(a), 0);
	expect_bells(a, 0, 2, own);
	b = connect_raw();
	ck_assert_uint_eq(expect_opening(b), 1);
	expect_bells(b, 0, 2, other);
	expect_bells(b, 1, 2, back);
	for (unsigned i = 0; i < 2; i++) {
		ring(other[i]);
		ck_assert_uint_eq(rung(own[i]), 1);
		ck_assert_uint_eq(rung(own[1 - i]), 0);
		ck_assert(fcntl(own[i], F_GETFL) & O_NONBLOCK);
	}
	for (unsigned i = 0; i < 2; i++) {
		close(own[i]);
		expect_bells(a, 1, 1, &own[i]);
		ring(own[i]);
		ck_assert_uint_eq(rung(back[i]), 1);
		close(own[i]);
		close(other[i]);
		close(back[i]);
	}
	close(a);
	close(b);
	close_server();
}
END_TEST

START_TEST(the_memory_is_that_of_the_caller)
{
	struct vshm_server_options options = options_for(1, 4);
	int memory = make_memory(), client, fd;
	char why[VSHM_WHY_SIZE];

	snprintf(place, sizeof(place), "%s/socket", support_dir());
	ck_ok(vshm_server_open(place, memory, &options, &server, why));
	client = connect_raw();
	expect(client, 0);
	expect(client, 0);
	fd = expect_fd(client, -1);
	ck_assert(same_file(fd, memory));
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	close(fd);
	close(memory);
	close(client);
	close_server();
}
END_TEST

START_TEST(ids_are_not_used_again)
{
	struct vshm_server_options options = options_for(1, 4);
	int first;

	open_server(&options);
	first = connect_alone(0);
	for (uint32_t id = 1; id < 300; id++) {
		int client = connect_raw();

		ck_assert_uint_eq(expect_opening(client), id);
		leave(client);
		expect_bells(first, id, 1, NULL);
		expect(first, id);
		expect(first, NOTHING);
	}
	ck_assert_uint_eq(info_of_server().next_id, 300);
	close(first);
	close_server();
}
END_TEST

/* A server goes on where the one before stopped. */
START_TEST(ids_go_on_after_a_restart)
{
	struct vshm_server_options options = options_for(1, 4);
	int old, new;

	open_server(&options);
	old = connect_alone(0);
	options.first_id = info_of_server().next_id;
	close_server();
	expect(old, GOODBYE);
	open_server(&options);
	new = connect_alone(1);
	close(old);
	close(new);
	close_server();
}
END_TEST

/* Behind 65535 comes 0, and so on, but not while somebody is there who saw the one who had that id. */
START_TEST(ids_that_were_seen)
{
	struct vshm_server_options options = options_for(1, 4);
	int a, b;

	options.first_id = 65534;
	options.ids_per_user = 65536;
	open_server(&options);
	a = connect_alone(65534);
	b = connect_raw();
	leave(a);
	for (unsigned i = 0; i < 65534; i++) {
		a = try_connect(0);
		run_server();
		leave(a);
		(void)drain(b);
	}
	ck_assert_uint_eq(events.count[VSHM_SERVER_REFUSED], 0);
	ck_assert_uint_eq(info_of_server().next_id, 65534);
	leave(connect_raw()); /* b saw the first one who had it */
	ck_assert_uint_eq(events.last.reason, VSHM_SERVER_IDS);
	leave(b);
	a = connect_alone(65534);
	close(a);
	close_server();
}
END_TEST

/* By coming and going one user uses up its own part, and the others have theirs. */
START_TEST(ids_of_one_user)
{
	struct vshm_server_options options = options_for(1, 4);
	int witness, last;

	options.ids_per_user = 100;
	options.mode = 0666;
	open_server(&options);
	witness = connect_alone(0);
	for (unsigned i = 1; i < 100; i++)
		leave(connect_raw());
	ck_assert_uint_eq(events.count[VSHM_SERVER_REFUSED], 0);
	leave(connect_raw());
	ck_assert_uint_eq(events.last.reason, VSHM_SERVER_IDS);
	if (geteuid() == 0) {
		ck_ok(chmod(support_dir(), 0755));
		ck_ok(seteuid(65534));
		last = try_connect(0);
		ck_ok(seteuid(0));
		run_server();
		ck_assert_uint_eq(expect_opening(last), 100);
		leave(last);
	}
	leave(witness); /* nobody is there who saw any */
	close(connect_alone(info_of_server().next_id));
	close_server();
}
END_TEST

/* A client that is told late hears only of what is so. */
START_TEST(nothing_piles_up)
{
	struct vshm_server_options options = options_for(4, 64);
	int lazy, others[40], peers = 0, fd;

	options.clients_per_user = 64;
	open_server(&options);
	lazy = connect_raw();
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 40; i++)
			others[i] = connect_raw();
		for (unsigned i = 0; i < 40; i++)
			leave(others[i]);
	}
	for (unsigned i = 0; i < 40; i++)
		others[i] = connect_raw();
	ck_assert_uint_eq(expect_opening(lazy), 0);
	for (int64_t value = next(lazy, &fd); value != NOTHING; value = next(lazy, &fd)) {
		ck_assert_int_ne(value, GOODBYE);
		peers += fd >= 0;
		close(fd);
	}
	/* its own, the 40 that are there, and of the first that came perhaps a few */
	ck_assert_int_ge(peers, 4 + 40 * 4);
	ck_assert_int_le(peers, 4 + 40 * 4 + 8);
	for (unsigned i = 0; i < 40; i++)
		close(others[i]);
	close(lazy);
	close_server();
}
END_TEST

/* Existing doorbells come before one's own, however slowly they are read. */
START_TEST(a_crowd_in_order)
{
	struct vshm_server_options options = options_for(64, 64);
	int clients[12], fd;

	open_server(&options);
	for (unsigned i = 0; i < 12; i++)
		clients[i] = connect_raw();
	for (unsigned i = 0; i < 12; i++) {
		unsigned seen[12] = {0};
		bool introduced = false;

		ck_assert_uint_eq(expect_opening(clients[i]), i);
		for (int64_t id = next(clients[i], &fd); id != NOTHING; id = next(clients[i], &fd)) {
			ck_assert(id >= 0 && id < 12 && fd >= 0);
			close(fd);
			seen[id]++;
			introduced |= (unsigned)id == i;
			ck_assert(id >= i || !introduced);
		}
		for (unsigned j = 0; j < 12; j++)
			ck_assert_uint_eq(seen[j], 64);
	}
	for (unsigned i = 0; i < 12; i++)
		close(clients[i]);
	close_server();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server: protocol");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, the_order_of_the_specification);
	tcase_add_test(tc, own_doorbells_come_last);
	tcase_add_test(tc, doorbells_ring);
	tcase_add_test(tc, the_memory_is_that_of_the_caller);
	tcase_add_test(tc, ids_are_not_used_again);
	tcase_add_test(tc, ids_go_on_after_a_restart);
	tcase_add_test(tc, ids_that_were_seen);
	tcase_add_test(tc, ids_of_one_user);
	tcase_add_test(tc, nothing_piles_up);
	tcase_add_test(tc, a_crowd_in_order);
	suite_add_tcase(suite, tc);
	return unit_run("server-protocol", suite);
}
