/* SPDX-License-Identifier: BSD-3-Clause */
/* What the suites of the file transport share: two places of each test's own, and regions there. */
#ifndef VSHM_TEST_TRANSPORT_FILES_H
#define VSHM_TEST_TRANSPORT_FILES_H

#include "transport_help.h"

/* The two places, and what URIs call them. */
static char path[PATH_MAX], other[PATH_MAX];
static char uri[PATH_MAX + 64], other_uri[PATH_MAX + 64];

static inline void begin(void)
{
	path_of(path, "place");
	path_of(other, "other");
	snprintf(uri, sizeof(uri), "file:%s", path);
	snprintf(other_uri, sizeof(other_uri), "file:%s", other);
}

static inline void flat(void)
{
	struct vshmi_shape shape = shape_of(1, false);

	begin();
	make_region(uri, &shape);
}

static inline void split(uint32_t peers)
{
	struct vshmi_shape shape = shape_of(peers, true);

	begin();
	make_region(uri, &shape);
}

static inline void destroy(void)
{
	ck_ok(find_and_destroy(uri, NULL));
}

static inline const char *peer_file(uint32_t peer)
{
	static char file[PATH_MAX + 16];

	snprintf(file, sizeof(file), "%s/peer-%u", path, peer);
	return file;
}

static inline void write_file(const char *name, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

/* For a child of a test, where Check cannot speak. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#endif
