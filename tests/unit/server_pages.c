/* SPDX-License-Identifier: BSD-3-Clause */
/* server: what it tells of its clients in the memory, and that it touches nothing else there. */
#include "server_help.h"

#include "wire/wire.h"

#include <vshm/layout.h>

static unsigned char *memory;

static const struct vshmi_shared_server *pages(void)
{
	return (const struct vshmi_shared_server *)(const void *)(memory + VSHM_SERVER_OFFSET);
}

static enum vshm_client_state state_of(uint32_t id)
{
	return vshmi_server_client(pages(), vshmi_server_life(pages()), id);
}

/* A server with pages, over memory full of `byte`, which stays mapped here. The memory's descriptor is returned. */
static int open_with_pages(struct vshm_server_options *options, int byte)
{
	char why[VSHM_WHY_SIZE] = "";
	int fd = make_memory();

	memset(&events, 0, sizeof(events));
	memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	memset(memory, byte, MEMORY_SIZE);
	snprintf(place, sizeof(place), "%s/socket", support_dir());
	options->pages_offset = VSHM_SERVER_OFFSET;
	ck_assert_msg(!vshm_server_open(place, fd, options, &server, why), "%s", why);
	return fd;
}

static void forget_memory(int fd)
{
	munmap(memory, MEMORY_SIZE);
	close(fd);
}

static void check_rest(int byte)
{
	size_t begin = VSHM_SERVER_OFFSET, end = begin + sizeof(struct vshm_server_page);

	for (size_t i = 0; i < MEMORY_SIZE; i++)
		ck_assert_msg((i >= begin && i < end) || memory[i] == byte, "byte %zu was written", i);
}

START_TEST(who_comes_and_who_leaves)
{
	struct vshm_server_options options = options_for(1, 8);
	int fd, first, second, third;
	uint64_t life;

	options.first_id = 31; /* two words of the table */
	fd = open_with_pages(&options, 0xa5);
	life = vshmi_server_life(pages());
	ck_assert_uint_ne(life, 0);
	ck_assert_int_eq(state_of(31), VSHM_CLIENT_UNKNOWN);
	first = connect_alone(31);
	ck_assert_int_eq(state_of(31), VSHM_CLIENT_HERE);
	ck_assert_int_eq(state_of(32), VSHM_CLIENT_UNKNOWN);
	second = connect_raw();
	ck_assert_int_eq(state_of(32), VSHM_CLIENT_HERE);
	leave(second);
	ck_assert_int_eq(state_of(31), VSHM_CLIENT_HERE);
	ck_assert_int_eq(state_of(32), VSHM_CLIENT_LEFT);
	third = connect_raw();
	ck_assert_int_eq(send(third, "x", 1, MSG_NOSIGNAL), 1);
	run_server();
	ck_assert_int_eq(state_of(33), VSHM_CLIENT_DROPPED); /* what it is may live on */
	close(third);
	ck_ok(vshm_server_close(server)); /* its clients live on */
	ck_assert_uint_eq(vshmi_server_life(pages()), life);
	ck_assert_int_eq(state_of(31), VSHM_CLIENT_HERE);
	check_rest(0xa5);
	close(first);
	forget_memory(fd);
}
END_TEST

/* What others write there makes no difference to what it tells later; nor does another life know the ids of this one. */
START_TEST(scribbled_and_begun_again)
{
	struct vshm_server_options options = options_for(1, 8);
	int fd = open_with_pages(&options, 0), first, again;
	char why[VSHM_WHY_SIZE] = "";
	uint64_t life = vshmi_server_life(pages());

	first = connect_alone(0);
	leave(connect_raw());
	memset(memory + VSHM_SERVER_OFFSET + 4096, 0xff, 16384);
	again = connect_raw();
	ck_assert_int_eq(state_of(0), VSHM_CLIENT_HERE);
	ck_assert_int_eq(state_of(1), VSHM_CLIENT_LEFT);
	ck_assert_int_eq(state_of(2), VSHM_CLIENT_HERE);
	ck_assert_int_eq(state_of(3), VSHM_CLIENT_UNKNOWN);
	ck_ok(vshm_server_close(server));
	ck_assert_msg(!vshm_server_open(place, fd, &options, &server, why), "%s", why);
	ck_assert_uint_ne(vshmi_server_life(pages()), life);
	ck_assert_int_eq(state_of(0), VSHM_CLIENT_UNKNOWN);
	ck_assert_int_eq(state_of(1), VSHM_CLIENT_UNKNOWN);
	ck_ok(vshm_server_close(server));
	close(first);
	close(again);
	forget_memory(fd);
}
END_TEST

/* Each client has the memory, and can cut it off under the server. */
START_TEST(cut_off)
{
	struct vshm_server_options options = options_for(1, 8);
	int fd = open_with_pages(&options, 0), client;

	ck_assert_int_eq(ftruncate(fd, 0), 0);
	client = connect_raw();
	ck_assert_uint_eq(info_of_server().clients, 1);
	leave(client);
	ck_assert_int_eq(ftruncate(fd, MEMORY_SIZE), 0);
	leave(connect_raw());
	ck_assert_uint_eq(info_of_server().left, 2);
	close_server();
	forget_memory(fd);
}
END_TEST

START_TEST(no_room_for_them)
{
	static const uint64_t wrong[] = {1, 2048, 4097, MEMORY_SIZE, MEMORY_SIZE - 4096,
					 MEMORY_SIZE - sizeof(struct vshm_server_page) + 4096, UINT64_MAX,
					 UINT64_MAX - 4095, UINT64_C(1) << 63};
	struct vshm_server_options options = options_for(1, 8);
	int fd = make_memory(), fds = support_count_fds();

	snprintf(place, sizeof(place), "%s/socket", support_dir());
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char why[VSHM_WHY_SIZE] = "";

		options.pages_offset = wrong[i];
		ck_is(vshm_server_open(place, fd, &options, &server, why), -EINVAL);
		ck_assert_ptr_nonnull(strstr(why, "multiple of 4096"));
		ck_assert_int_ne(access(place, F_OK), 0);
	}
	ck_assert_int_eq(support_count_fds(), fds);
	options.pages_offset = MEMORY_SIZE - sizeof(struct vshm_server_page);
	ck_ok(vshm_server_open(place, fd, &options, &server, NULL));
	close_server();
	close(fd);
}
END_TEST

/* Memory that can only be mapped in large pieces, and not written otherwise. */
START_TEST(on_huge_pages)
{
	const char *dir = support_huge_dir();
	struct vshm_server_options options = options_for(1, 8);
	char path[300];
	struct stat st;
	int fd, client;

	if (!dir) {
		printf("skipped: no hugetlbfs is mounted that this process may write\n");
		return;
	}
	snprintf(path, sizeof(path), "%s/memory", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(ftruncate(fd, st.st_blksize), 0);
	memory = mmap(NULL, (size_t)st.st_blksize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		printf("skipped: no huge page is free\n");
		close(fd);
		return;
	}
	options.pages_offset = VSHM_SERVER_OFFSET;
	snprintf(place, sizeof(place), "%s/socket", support_dir());
	ck_ok(vshm_server_open(place, fd, &options, &server, NULL));
	client = connect_raw();
	ck_assert_int_eq(state_of(0), VSHM_CLIENT_HERE);
	leave(client);
	ck_assert_int_eq(state_of(0), VSHM_CLIENT_LEFT);
	close_server();
	munmap(memory, (size_t)st.st_blksize);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server: pages");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, who_comes_and_who_leaves);
	tcase_add_test(tc, scribbled_and_begun_again);
	if (SUPPORT_TSAN)
		printf("skip: cut_off: ThreadSanitizer's atomic operations must not be interrupted by SIGBUS\n");
	else
		tcase_add_test(tc, cut_off);
	tcase_add_test(tc, no_room_for_them);
	tcase_add_test(tc, on_huge_pages);
	suite_add_tcase(suite, tc);
	return unit_run("server-pages", suite);
}
