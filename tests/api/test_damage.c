/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that are no region, or no longer one: every bit of a superblock flipped, lengths, random bytes, and
 * superblocks whose checksum is right but whose words are not. Each is refused with a reason and leaves nothing behind.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "world.h"

/* A region whose file is open, and its superblock as it was formatted. */
struct damaged {
	struct world w;
	int fd;
	off_t size;
	struct vshm_superblock good;
};

static void begin(struct damaged *d, int transport, uint32_t peers)
{
	char path[PATH_MAX];
	struct stat st;

	world_create(&d->w, transport, peers, 65536);
	world_segment_path(&d->w, 0, path, sizeof(path));
	d->fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(d->fd, 0);
	ck_assert_int_eq(fstat(d->fd, &st), 0);
	d->size = st.st_size;
	ck_assert_int_eq(pread(d->fd, &d->good, sizeof(d->good), 0), (ssize_t)sizeof(d->good));
}

static void end(struct damaged *d)
{
	ck_assert_int_eq(pwrite(d->fd, &d->good, sizeof(d->good), 0), (ssize_t)sizeof(d->good));
	(void)close(d->fd);
	world_destroy(&d->w);
}

static void store(struct damaged *d, const void *bytes, size_t size, off_t offset)
{
	ck_assert_int_eq(pwrite(d->fd, bytes, size, offset), (ssize_t)size);
}

static int is_one_line(const char *why)
{
	size_t n = strnlen(why, VSHM_WHY_SIZE);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)why[i] < 32 || why[i] == 127)
			return 0;
	return n > 0 && n < VSHM_WHY_SIZE;
}

static int try_open(const struct world *w, uint32_t flags, char *why)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_region *r = NULL;
	int rc;

	o.flags = flags;
	o.peer = flags & VSHM_OPEN_OBSERVE ? VSHM_PEER_ANY : 0;
	memset(why, 0, VSHM_WHY_SIZE);
	rc = vshm_region_open(w->uri, &o, &r, why);
	if (rc)
		ck_assert_msg(is_one_line(why), "%d with a bad reason: '%s'", rc, why);
	else
		ck_ok(vshm_region_close(r));
	return rc;
}

static void refused(const struct world *w, int code, const char *what, unsigned long long number)
{
	char why[VSHM_WHY_SIZE];
	int peer = try_open(w, 0, why), observer = try_open(w, VSHM_OPEN_OBSERVE, why);

	ck_assert_msg(peer == code && observer == code, "%s %llu: %d as a peer, %d as an observer, wanted %d: %s", what,
		      number, peer, observer, code, why);
}

/* ---- bits ---- */

static void flip(struct damaged *d, unsigned bit, char *why)
{
	unsigned char byte = ((const unsigned char *)&d->good)[bit / 8];
	unsigned char bad = (unsigned char)(byte ^ (1u << bit % 8));
	int rc;

	store(d, &bad, 1, bit / 8);
	/* an observer of a split region sees the others all the same */
	rc = try_open(&d->w, bit % 2 || d->w.kind == WORLD_SPLIT ? 0 : VSHM_OPEN_OBSERVE, why);
	ck_assert_msg(rc == -EPROTO || rc == -EPROTONOSUPPORT, "byte %u bit %u: %d", bit / 8, bit % 8, rc);
	store(d, &byte, 1, bit / 8);
}

START_TEST(every_bit_of_the_superblock)
{
	int fds, threads, entries, mappings;
	char why[VSHM_WHY_SIZE];
	struct damaged d;

	begin(&d, _i, 2);
	ck_ok(try_open(&d.w, 0, why));
	fds = support_count_fds();
	threads = support_count_threads();
	mappings = support_count_mappings();
	entries = support_count_entries(support_dir());
	for (unsigned bit = 0; bit < 8 * VSHM_SUPERBLOCK_SIZE; bit += world_kind(_i) == WORLD_SHM ? 1 : 13)
		flip(&d, bit, why);
	ck_assert_int_eq(support_count_fds(), fds);
	ck_assert_int_eq(support_count_threads(), threads);
	ck_assert_int_le(support_count_mappings(), mappings + 20);
	ck_assert_int_eq(support_count_entries(support_dir()), entries);
	ck_ok(try_open(&d.w, 0, why)); /* nothing was changed, no slot is taken */
	end(&d);
}
END_TEST

/* ---- lengths and contents ---- */

START_TEST(truncated_files)
{
	char why[VSHM_WHY_SIZE];
	struct damaged d;

	begin(&d, 0, 2);
	for (size_t i = 0; i < 24; i++) {
		const off_t sizes[] = {
			0,	1,     7,    8,	    9,	   63,	  64,	  151,	  152,	  153,		 4095,
			4096,	4097,  8192, 65535, 65536, 65537, 131072, 196607, 196608, d.size - 4096, d.size - 1,
			135168, 69632,
		};

		ck_assert_int_lt(sizes[i], d.size);
		ck_assert_int_eq(ftruncate(d.fd, sizes[i]), 0);
		refused(&d.w, -EPROTO, "length", (unsigned long long)sizes[i]);
		ck_is(vshm_region_evict(d.w.uri, 0, 0, why), -EPROTO);
		ck_assert_int_eq(ftruncate(d.fd, d.size), 0);
		store(&d, &d.good, sizeof(d.good), 0);
		ck_ok(try_open(&d.w, 0, why));
	}
	end(&d);
}
END_TEST

START_TEST(all_zero)
{
	struct vshm_superblock zero;
	char why[VSHM_WHY_SIZE];
	struct damaged d;

	memset(&zero, 0, sizeof(zero));
	begin(&d, 0, 2);
	store(&d, &zero, sizeof(zero), 0);
	refused(&d.w, -EPROTO, "all zero", 0);
	(void)try_open(&d.w, 0, why);
	ck_assert_msg(strstr(why, "zero") && strstr(why, "create"), "names neither cause nor cure: %s", why);
	end(&d);
}
END_TEST

START_TEST(random_bytes)
{
	unsigned char bytes[VSHM_SUPERBLOCK_SIZE];
	uint64_t seed = support_seed(), magic = VSHM_MAGIC;
	struct damaged d;

	begin(&d, 0, 2);
	for (unsigned i = 0; i < 500; i++) {
		support_fill(bytes, sizeof(bytes), support_random(&seed));
		if (i % 2)
			memcpy(bytes, &magic, sizeof(magic));
		store(&d, bytes, sizeof(bytes), 0);
		refused(&d.w, -EPROTO, "random bytes", i);
	}
	end(&d);
}
END_TEST

/* ---- right checksum, wrong words ---- */

static void seal(struct vshm_superblock *s)
{
	s->crc = 0;
	s->crc = support_crc32c(s, sizeof(*s));
}

static void sealed_gives(struct damaged *d, struct vshm_superblock *s, int code, const char *what, unsigned long long n)
{
	char why[VSHM_WHY_SIZE];

	seal(s);
	store(d, s, sizeof(*s), 0);
	if (code)
		refused(&d->w, code, what, n);
	else
		ck_assert_msg(try_open(&d->w, 0, why) == 0, "%s %llu is refused: %s", what, n, why);
}

/* If this fails, the other tests here prove nothing: the test's own checksum is not the library's. */
START_TEST(checksum_is_the_documented_one)
{
	struct vshm_superblock s;
	struct damaged d;

	ck_assert_uint_eq(support_crc32c("123456789", 9), 0xe3069283u); /* RFC 3720 */
	begin(&d, _i, 2);
	s = d.good;
	seal(&s);
	ck_assert_uint_eq(s.crc, d.good.crc);
	ck_assert_uint_eq(s.magic, VSHM_MAGIC);
	ck_assert_uint_eq(s.layout_version, VSHM_LAYOUT_VERSION);
	end(&d);
}
END_TEST

START_TEST(other_versions)
{
	static const uint32_t versions[] = {0, 2, 3, 256, 0x80000001u, UINT32_MAX};
	char why[VSHM_WHY_SIZE];
	struct damaged d;

	begin(&d, _i, 2);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct vshm_superblock s = d.good;

		s.layout_version = versions[i];
		sealed_gives(&d, &s, -EPROTONOSUPPORT, "layout version", versions[i]);
	}
	(void)try_open(&d.w, 0, why);
	ck_assert_msg(strstr(why, "version") != NULL, "does not say version: %s", why);
	end(&d);
}
END_TEST

START_TEST(features)
{
	struct damaged d;

	begin(&d, 0, 2);
	for (unsigned bit = 0; bit < 64; bit++) {
		struct vshm_superblock s = d.good;

		s.incompatible = UINT64_C(1) << bit;
		sealed_gives(&d, &s, -EPROTONOSUPPORT, "incompatible feature", bit);
		s = d.good;
		s.compatible = UINT64_C(1) << bit;
		sealed_gives(&d, &s, 0, "compatible feature", bit);
	}
	end(&d);
}
END_TEST

struct wrong {
	const char *what;
	size_t offset;
	unsigned bytes;
	uint64_t value;
};
#define FIELD(field, value) \
	{ \
#field " = " #value, offsetof(struct vshm_superblock, field), \
			sizeof(((struct vshm_superblock *)NULL)->field), value \
	}

static const struct wrong wrongs[] = {
	FIELD(profile, 2),
	FIELD(profile, UINT32_MAX),
	FIELD(peer_count, 0),
	FIELD(peer_count, 1),
	FIELD(peer_count, 3),
	FIELD(peer_count, 65),
	FIELD(peer_count, UINT32_MAX),
	FIELD(section_count, 0),
	FIELD(section_count, 1),
	FIELD(section_count, 3),
	FIELD(section_count, 65),
	FIELD(section_count, UINT32_MAX),
	FIELD(reserved0, 1),
	FIELD(layout_page, 0),
	FIELD(layout_page, 1),
	FIELD(layout_page, 4096),
	FIELD(layout_page, 65537),
	FIELD(layout_page, UINT64_C(1) << 32),
	FIELD(layout_page, UINT64_C(1) << 63),
	FIELD(layout_page, UINT64_MAX),
	FIELD(segment_size, 0),
	FIELD(segment_size, 4096),
	FIELD(segment_size, UINT64_C(1) << 40),
	FIELD(segment_size, UINT64_MAX),
	FIELD(section[0].peer, 2),
	FIELD(section[0].peer, 1),
	FIELD(section[0].peer, UINT32_MAX),
	FIELD(section[1].peer, 0),
	FIELD(section[0].reserved, 1),
	FIELD(section[0].offset, 0),
	FIELD(section[0].offset, 4096),
	FIELD(section[0].offset, 65537),
	FIELD(section[0].offset, UINT64_MAX),
	FIELD(section[0].offset, UINT64_MAX - 65535),
	FIELD(section[1].offset, 65536),
	FIELD(section[1].offset, 131072),
	FIELD(section[1].offset, UINT64_C(1) << 40),
	FIELD(section[0].size, 0),
	FIELD(section[0].size, 65536),
	FIELD(section[0].size, 131073),
	FIELD(section[0].size, UINT64_MAX - 65535),
	FIELD(section[1].size, UINT64_C(1) << 40),
	FIELD(section[1].size, UINT64_MAX),
	FIELD(section[2].peer, 1),
	FIELD(section[63].size, 131072),
	FIELD(reserved1[0], 1),
	FIELD(reserved1[2407], 1),
	FIELD(name[0], 0),
	FIELD(name[0], '\n'),
	FIELD(name[0], '-'),
	FIELD(name[1], ' '),
	FIELD(name[1], '/'),
	FIELD(name[1], 0x1b),
	FIELD(name[1], 0x80),
	FIELD(name[63], 'a'),
};
#define WRONGS (int)(sizeof(wrongs) / sizeof(wrongs[0]))

START_TEST(lawful_checksum_unlawful_word)
{
	const struct wrong *wrong = &wrongs[_i];
	struct vshm_superblock s;
	struct damaged d;

	begin(&d, 0, 2);
	s = d.good;
	memcpy((char *)&s + wrong->offset, &wrong->value, wrong->bytes);
	sealed_gives(&d, &s, -EPROTO, wrong->what, wrong->value);
	ck_is(vshm_region_evict(d.w.uri, 0, VSHM_EVICT_FORCE, NULL), -EPROTO);
	end(&d);
}
END_TEST

/* A name without its end, and one with text behind the end. */
START_TEST(names_that_are_not_one_string)
{
	struct vshm_superblock s;
	struct damaged d;

	begin(&d, 0, 2);
	s = d.good;
	memset(s.name, 'a', sizeof(s.name));
	sealed_gives(&d, &s, -EPROTO, "name without end", 0);
	s = d.good;
	s.name[62] = 'x';
	sealed_gives(&d, &s, -EPROTO, "bytes behind the name", 0);
	end(&d);
}
END_TEST

/* ---- things that are no regular file ---- */

static void refused_somehow(const char *path)
{
	char uri[PATH_MAX + 8], why[VSHM_WHY_SIZE] = "";
	struct vshm_region *r = NULL;
	int rc;

	snprintf(uri, sizeof(uri), "file:%s", path);
	rc = vshm_region_open(uri, NULL, &r, why);
	ck_assert_msg(rc == -EPROTO || rc == -ENOENT || rc == -EACCES || rc == -EINVAL || rc == -EOPNOTSUPP, "%s: %d",
		      path, rc);
	ck_assert(is_one_line(why));
	ck_assert_int_lt(vshm_region_destroy(uri, why), 0);
	ck_assert(is_one_line(why));
}

START_TEST(no_regular_files)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/empty", support_dir());
	ck_assert_int_eq(mkdir(path, 0700), 0);
	refused_somehow(path);
	snprintf(path, sizeof(path), "%s/fifo", support_dir());
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	refused_somehow(path); /* and does not wait for somebody to write */
	ck_assert_int_eq(access(path, F_OK), 0);
	refused_somehow("/dev/null");
	refused_somehow("/dev/zero");
	refused_somehow("/proc/self/status");
	refused_somehow("/");
}
END_TEST

/* Somebody else's link in a shared directory must not lead anywhere. */
START_TEST(symbolic_links_are_not_followed)
{
	char link[PATH_MAX + 8], uri[PATH_MAX + 16], why[VSHM_WHY_SIZE] = "";
	struct vshm_region *r = NULL;
	struct world w;

	world_create(&w, 0, 2, 65536);
	snprintf(link, sizeof(link), "%.4000s-link", w.path);
	ck_assert_int_eq(symlink(w.path, link), 0);
	snprintf(uri, sizeof(uri), "file:%s", link);
	ck_assert_int_lt(vshm_region_open(uri, NULL, &r, why), 0);
	ck_assert(is_one_line(why));
	ck_is(vshm_region_create(uri, NULL, why), -EEXIST);
	ck_assert_int_eq(unlink(link), 0);
	world_destroy(&w);
}
END_TEST

Suite *suite_damage(void)
{
	Suite *s = suite_create("damage");
	TCase *tc = tcase_create("damage");

	tcase_set_timeout(tc, 240);
	tcase_add_checked_fixture(tc, support_die_with_parent, NULL);
	for (int i = 0; i < world_count(); i++)
		if (world_kind(i) == WORLD_SHM || world_kind(i) == WORLD_DISK || world_kind(i) == WORLD_SPLIT)
			tcase_add_loop_test(tc, every_bit_of_the_superblock, i, i + 1);
	tcase_add_loop_test(tc, checksum_is_the_documented_one, 0, 1);
	tcase_add_loop_test(tc, other_versions, 0, 1);
	tcase_add_test(tc, truncated_files);
	tcase_add_test(tc, all_zero);
	tcase_add_test(tc, random_bytes);
	tcase_add_test(tc, features);
	tcase_add_loop_test(tc, lawful_checksum_unlawful_word, 0, WRONGS);
	tcase_add_test(tc, names_that_are_not_one_string);
	tcase_add_test(tc, no_regular_files);
	tcase_add_test(tc, symbolic_links_are_not_followed);
	suite_add_tcase(s, tc);
	return s;
}
