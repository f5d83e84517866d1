/* SPDX-License-Identifier: BSD-3-Clause */
/* What the suites of the transports share: regions of any kind in a few words. */
#ifndef VSHM_TEST_TRANSPORT_HELP_H
#define VSHM_TEST_TRANSPORT_HELP_H

#include "os/os.h"
#include "transport/transport.h"
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vshm/layout.h>

#define SEGMENT_SIZE (UINT64_C(4) * VSHM_MIN_PAGE)

#define EIGHT_OWNERS                                                                               \
	VSHM_OWNER_INIT, VSHM_OWNER_INIT, VSHM_OWNER_INIT, VSHM_OWNER_INIT, VSHM_OWNER_INIT,       \
		VSHM_OWNER_INIT, VSHM_OWNER_INIT, VSHM_OWNER_INIT
static const struct vshm_owner default_owners[VSHM_MAX_PEERS] = {
	EIGHT_OWNERS, EIGHT_OWNERS, EIGHT_OWNERS, EIGHT_OWNERS,
	EIGHT_OWNERS, EIGHT_OWNERS, EIGHT_OWNERS, EIGHT_OWNERS,
};

/* A line for people: not empty, one line, nothing a terminal would act on. */
static inline void check_why(const char *why)
{
	size_t length = strnlen(why, VSHM_WHY_SIZE);

	ck_assert_uint_gt(length, 10);
	ck_assert_uint_lt(length, VSHM_WHY_SIZE);
	for (size_t i = 0; i < length; i++)
		ck_assert_msg((unsigned char)why[i] >= 32 && why[i] != 127, "control character in: %s", why);
}

/* A path in the test's directory that no other test uses. */
static inline void path_of(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s-%d", support_dir(), name, (int)getpid());
}

static inline struct vshmi_shape shape_of(uint32_t segments, bool split)
{
	struct vshmi_shape shape = {.segments = segments, .segment_size = SEGMENT_SIZE, .split = split};

	shape.owners = default_owners;
	return shape;
}

static inline int find_and_open(struct vshmi_transport *t, const char *uri, bool observe, char *why)
{
	const struct vshmi_transport_ops *ops;
	struct vshmi_uri parsed;
	int error = vshmi_transport_find(uri, &parsed, &ops, why);

	memset(t, 0, sizeof(*t));
	t->ops = ops;
	return error ? error : ops->open(t, &parsed, observe, why);
}

static inline int find_and_create(struct vshmi_transport *t, const char *uri, const struct vshmi_shape *shape, char *why)
{
	const struct vshmi_transport_ops *ops;
	struct vshmi_uri parsed;
	int error = vshmi_transport_find(uri, &parsed, &ops, why);

	memset(t, 0, sizeof(*t));
	t->ops = ops;
	return error ? error : ops->create(t, &parsed, shape, why);
}

static inline int find_and_destroy(const char *uri, char *why)
{
	const struct vshmi_transport_ops *ops;
	struct vshmi_uri parsed;
	int error = vshmi_transport_find(uri, &parsed, &ops, why);

	return error ? error : ops->destroy(&parsed, why);
}

/* Creates and publishes; what is at the path then is a region of this shape, full of zeros. */
static inline void make_region(const char *uri, const struct vshmi_shape *shape)
{
	struct vshmi_transport t;
	char why[VSHM_WHY_SIZE] = "";
	int error = find_and_create(&t, uri, shape, why);

	ck_assert_msg(!error, "create %s: %d (%s)", uri, error, why);
	error = t.ops->publish(&t, why);
	ck_assert_msg(!error, "publish %s: %d (%s)", uri, error, why);
	t.ops->close(&t);
}

static inline void open_region(struct vshmi_transport *t, const char *uri, bool observe)
{
	char why[VSHM_WHY_SIZE] = "";
	int error = find_and_open(t, uri, observe, why);

	ck_assert_msg(!error, "open %s: %d (%s)", uri, error, why);
}

/* Refused with this error and a line that contains `words`; no descriptor or mapping stays. */
static inline void cannot_open(const char *uri, bool observe, int code, const char *words)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;
	int error = find_and_open(&t, uri, observe, why), fds, mappings;

	ck_assert_msg(error == code, "open %s: %d instead of %d (%s)", uri, error, code, why);
	check_why(why);
	ck_assert_msg(strstr(why, words) != NULL, "\"%s\" is not in: %s", words, why);
	/* The first time libc may load what it needs to know users. */
	fds = support_count_fds();
	mappings = support_count_mappings();
	ck_assert_int_eq(find_and_open(&t, uri, observe, NULL), code);
	ck_assert_int_eq(support_count_fds(), fds);
	ck_assert_int_le(support_count_mappings(), mappings + (SUPPORT_SANITIZED ? 20 : 0));
}

static inline void cannot_create(const char *uri, const struct vshmi_shape *shape, int code, const char *words)
{
	int fds = support_count_fds(), entries = support_count_entries(support_dir());
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;
	int error = find_and_create(&t, uri, shape, why);

	ck_assert_msg(error == code, "create %s: %d instead of %d (%s)", uri, error, code, why);
	check_why(why);
	ck_assert_msg(strstr(why, words) != NULL, "\"%s\" is not in: %s", words, why);
	ck_assert_int_eq(support_count_fds(), fds);
	ck_assert_int_eq(support_count_entries(support_dir()), entries);
}

/* Would a store there fault? Asks the kernel instead of trying. */
static inline bool writable(void *address)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	bool can = read(fd, address, 1) == 1;

	close(fd);
	return can;
}

#endif
