/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transport: ivshmem devices through a sysfs of this test's own, in which the memory of a device is a file. What only a kernel
 * does, is tested in guests (tests/vm).
 */
#include "transport/list.h"
#include "transport_help.h"

#include <ftw.h>

#define ADDRESS "0000:00:05.0"
#define SECOND "0000:00:06.0"
#define THIRD "0000:01:00.0"

static char root[PATH_MAX];
static const char *address = ADDRESS; /* of the device that is made or changed */

static void write_attribute(const char *name, const void *data, size_t size)
{
	char path[PATH_MAX + 80];
	int fd;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/%s", root, address, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	close(fd);
}

static void write_text(const char *name, const char *text)
{
	write_attribute(name, text, strlen(text));
}

static char read_enable(void)
{
	char path[PATH_MAX + 80], value = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" ADDRESS "/enable", root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(read(fd, &value, 1), 1);
	close(fd);
	return value;
}

static void set_command(unsigned char command)
{
	unsigned char config[64] = {0xf4, 0x1a, 0x10, 0x11};

	config[4] = command;
	write_attribute("config", config, sizeof(config));
}

static void set_memory(uint64_t size)
{
	char path[PATH_MAX + 80];

	write_text("resource2", "");
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/resource2", root, address);
	ck_assert_int_eq(truncate(path, (off_t)size), 0);
}

static void make_directory(const char *name)
{
	char path[PATH_MAX + 80];

	snprintf(path, sizeof(path), "%s%s", root, name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

/* A device as QEMU has it, with its memory on. */
static void make_device(const char *at)
{
	char path[100];

	address = at;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	make_directory(path);
	write_text("vendor", "0x1af4\n");
	write_text("device", "0x1110\n");
	write_text("revision", "0x01\n");
	write_text("enable", "0\n");
	set_command(2);
	set_memory(SEGMENT_SIZE);
}

static void begin(void)
{
	static const char *const levels[] = {"", "/dev", "/sys", "/sys/bus", "/sys/bus/pci", "/sys/bus/pci/devices"};

	path_of(root, "root");
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		make_directory(levels[i]);
	make_device(ADDRESS);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void end(void)
{
	ck_assert_int_eq(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static int try_open(struct vshmi_transport *t, const char *text, bool observe, char *why)
{
	const struct vshmi_transport_ops *ops;
	struct vshmi_uri uri;
	int rc = vshmi_transport_find(text, &uri, &ops, why);

	if (rc)
		return rc;
	memset(t, 0, sizeof(*t));
	t->ops = ops;
	return ops == &vshmi_split_ops ? vshmi_devices_open(t, root, &uri, observe, why) :
					 vshmi_ivshmem_open(t, root, &uri, observe, false, why);
}

static void refused(const char *uri, int code, const char *words)
{
	int fds = support_count_fds();
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;
	int rc = try_open(&t, uri, false, why);

	ck_assert_msg(rc == code, "%s: %d instead of %d (%s)", uri, rc, code, why);
	check_why(why);
	ck_assert_msg(strstr(why, words) != NULL, "\"%s\" is not in: %s", words, why);
	ck_assert_int_eq(support_count_fds(), fds);
}

START_TEST(memory_of_a_device)
{
	static const char *const uris[] = {"ivshmem:" ADDRESS, "ivshmem:00:05.0", "ivshmem:" ADDRESS "?via=sysfs"};
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin();
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		write_text("enable", "0\n");
		ck_assert_msg(!try_open(&t, uris[i], false, why), "%s", why);
		ck_assert_int_eq(read_enable(), '1');
		ck_assert_uint_eq(t.segment_count, 1);
		ck_assert_uint_eq(t.segment[0].size, SEGMENT_SIZE);
		ck_assert(!t.same_kernel && !(t.facts & VSHM_FACT_CACHED));
		ck_assert(!writable(t.segment[0].base));
		ck_ok(vshmi_transport_protect(&t, 0, VSHM_MIN_PAGE, VSHM_MIN_PAGE, true));
		ck_assert(writable(t.segment[0].base + VSHM_MIN_PAGE));
		ck_assert(!writable(t.segment[0].base));
		ck_ok(t.ops->status(&t));
		t.ops->close(&t);
		ck_assert_int_eq(read_enable(), '0'); /* taken back */
	}
	end();
}
END_TEST

START_TEST(an_observer_cannot_write)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin();
	ck_ok(try_open(&t, "ivshmem:" ADDRESS, true, why));
	ck_is(vshmi_transport_protect(&t, 0, 0, VSHM_MIN_PAGE, true), -EACCES);
	t.ops->close(&t);
	end();
}
END_TEST

START_TEST(unplugged)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin();
	ck_ok(try_open(&t, "ivshmem:" ADDRESS, false, why));
	end();
	ck_is(t.ops->status(&t), -ENODEV);
	t.ops->close(&t);
}
END_TEST

START_TEST(what_is_no_device)
{
	static const char *const no_addresses[] = {"5",		    "00:05",	     "00:05.8",	      "00:05.0x",   "0000:00:05",
						   "000g:00:05.0", "00000:00:05.0", "0000:00:05.0 ", "../00:05.0", "00/05.0"};
	char uri[64];

	begin();
	for (size_t i = 0; i < sizeof(no_addresses) / sizeof(no_addresses[0]); i++) {
		snprintf(uri, sizeof(uri), "ivshmem:%s", no_addresses[i]);
		refused(uri, -EINVAL, "is no PCI address");
	}
	refused("ivshmem:0000:00:06.0", -ENOENT, "lspci");
	refused("ivshmem:" ADDRESS "?via=vfio", -EOPNOTSUPP, "via=sysfs");
	refused("ivshmem:" ADDRESS "?via=smoke", -EINVAL, "there are vfio, uio and sysfs");
	refused("ivshmem:" ADDRESS "?via=", -EINVAL, "via=");
	refused("ivshmem:" ADDRESS "?via=sysfs&via=sysfs", -EINVAL, "twice");
	refused("file:/dev/shm/x?via=sysfs", -EINVAL, "is none");
	write_text("device", "0x1005\n");
	refused("ivshmem:" ADDRESS, -EINVAL, "1af4:1005");
	write_text("vendor", "0x110a\n");
	write_text("device", "0x4106\n");
	refused("ivshmem:" ADDRESS, -EOPNOTSUPP, "version 2");
	end();
}
END_TEST

START_TEST(what_cannot_be_mapped)
{
	char path[PATH_MAX + 80];

	begin();
	set_command(0);
	refused("ivshmem:" ADDRESS, -EACCES, "switched off");
	set_command(2);
	set_memory(0);
	refused("ivshmem:" ADDRESS, -ENODEV, "no BAR 2");
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" ADDRESS "/resource2", root);
	ck_assert_int_eq(unlink(path), 0);
	refused("ivshmem:" ADDRESS, -ENODEV, "no BAR 2");
	end();
}
END_TEST

#define PAGE 4096
#define POSITION 7

/* Registers, and a table of interrupts. */
static void make_doorbell(void)
{
	static const char page[PAGE];

	write_attribute("resource0", page, sizeof(page));
	write_attribute("resource1", page, sizeof(page));
}

/* ---- UIO: its device is a file, too, in which mapping M begins at page M ---- */

static void make_map(unsigned number, const char *name, const char *size)
{
	char path[200];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/" ADDRESS "/uio/uio0/maps/map%u", number);
	make_directory(path);
	snprintf(path, sizeof(path), "uio/uio0/maps/map%u/name", number);
	write_text(path, name);
	snprintf(path, sizeof(path), "uio/uio0/maps/map%u/size", number);
	write_text(path, size);
}

static void bind_to(const char *driver)
{
	char path[PATH_MAX + 80];

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" ADDRESS "/driver", root);
	ck_assert_int_eq(symlink(driver, path), 0);
}

/* The registers, and behind them the memory. */
static void make_uio(const char *driver, uint32_t position)
{
	static const char *const levels[] = {"", "/uio0", "/uio0/maps"};
	char path[PATH_MAX + 80];
	int fd;

	bind_to(driver);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/" ADDRESS "/uio%s", levels[i]);
		make_directory(path);
	}
	snprintf(path, sizeof(path), "%s/dev/uio0", root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(fd, PAGE + SEGMENT_SIZE), 0);
	ck_assert_int_eq(pwrite(fd, &position, 4, 8), 4);
	ck_assert_int_eq(pwrite(fd, "memory", 6, PAGE), 6);
	close(fd);
}

static uint32_t read_word(const char *file, off_t offset)
{
	char path[PATH_MAX + 80];
	uint32_t word = 0;
	int fd;

	snprintf(path, sizeof(path), "%s%s", root, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &word, 4, offset), 4);
	close(fd);
	return word;
}

/* The drivers for such devices differ in what they call their mappings. */
START_TEST(drivers_of_its_own)
{
	static const char *const names[][2] = {{"registers\n", "shmem\n"}, {"ivshmem-mmr\n", "ivshmem-shmem\n"}};
	char why[VSHM_WHY_SIZE] = "", size[32];
	struct vshmi_transport t;

	snprintf(size, sizeof(size), "0x%x\n", (unsigned)SEGMENT_SIZE);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		begin();
		make_uio("../../drivers/uio_ivshmem", POSITION);
		make_map(0, names[i][0], "0x1000\n");
		make_map(1, names[i][1], size);
		ck_assert_msg(!try_open(&t, "ivshmem:" ADDRESS, false, why), "%s", why);
		ck_assert_str_eq(t.way, "uio");
		ck_assert(strstr(t.because, "uio_ivshmem") != NULL);
		ck_assert_uint_eq(t.segment[0].size, SEGMENT_SIZE);
		ck_assert_mem_eq(t.segment[0].base, "memory", 6);
		ck_assert(t.rings && t.bell >= 0);
		ck_assert_uint_eq(t.doorbell, POSITION);
		t.ops->ring(&t, 3);
		ck_assert_uint_eq(read_word("/dev/uio0", 12), 3u << 16);
		t.ops->hear(&t);
		t.ops->close(&t);
		end();
	}
}
END_TEST

/* A driver for any device gives away no 64-bit bar and knows no MSI-X: memory and registers come from sysfs. */
START_TEST(a_driver_for_any_device)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin();
	make_uio("../../drivers/uio_pci_generic", POSITION);
	make_map(0, "\n", "0x1000\n");
	make_doorbell();
	ck_assert_msg(!try_open(&t, "ivshmem:" ADDRESS "?via=uio", false, why), "%s", why);
	ck_assert_uint_eq(t.segment[0].size, SEGMENT_SIZE);
	ck_assert(t.rings && t.bell < 0);
	ck_assert_uint_eq(t.doorbell, 0); /* for the server's word about it */
	t.ops->ring(&t, 5);
	t.ops->ring(&t, UINT16_MAX + 1);
	ck_assert_uint_eq(read_word("/sys/bus/pci/devices/" ADDRESS "/resource0", 12), 5u << 16);
	t.ops->close(&t);
	end();
}
END_TEST

START_TEST(uio_that_cannot_be)
{
	begin();
	refused("ivshmem:" ADDRESS "?via=uio", -EOPNOTSUPP, "modprobe uio_pci_generic");
	make_uio("../../drivers/uio_ivshmem", UINT32_MAX);
	make_map(0, "registers\n", "0x1000\n");
	refused("ivshmem:" ADDRESS, -ENODEV, "IVPosition -1");
	refused("ivshmem:" ADDRESS "?via=uio", -ENODEV, "IVPosition -1");
	end();
}
END_TEST

/* ---- sysfs, once more ---- */

/* It hears nothing, but it can ring; and says what would take more. */
START_TEST(sysfs_rings)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin();
	ck_ok(try_open(&t, "ivshmem:" ADDRESS, false, why));
	ck_assert(!t.rings && t.bell < 0 && strstr(t.because, "plain") != NULL);
	t.ops->ring(&t, 1); /* nothing happens */
	t.ops->close(&t);
	make_doorbell();
	ck_ok(try_open(&t, "ivshmem:" ADDRESS, true, why));
	ck_assert(!t.rings);
	t.ops->close(&t);
	ck_ok(try_open(&t, "ivshmem:" ADDRESS, false, why));
	ck_assert(t.rings && t.bell < 0 && strstr(t.because, "vfio-pci") != NULL);
	t.ops->ring(&t, UINT16_MAX);
	ck_assert_uint_eq(read_word("/sys/bus/pci/devices/" ADDRESS "/resource0", 12), 0xffff0000u);
	t.ops->close(&t);
	end();
}
END_TEST

/* Where no firmware has placed them, the registers of several devices share a page. */
START_TEST(registers_inside_a_page)
{
	char why[VSHM_WHY_SIZE] = "", size[32];
	struct vshmi_transport t;

	begin();
	make_doorbell();
	write_text("resource", "0x0000000010000300 0x00000000100003ff 0x0000000000040200\n");
	ck_ok(try_open(&t, "ivshmem:" ADDRESS, false, why));
	t.ops->ring(&t, 2);
	ck_assert_uint_eq(read_word("/sys/bus/pci/devices/" ADDRESS "/resource0", 0x30c), 2u << 16);
	ck_assert_uint_eq(read_word("/sys/bus/pci/devices/" ADDRESS "/resource0", 0x0c), 0);
	t.ops->close(&t);

	snprintf(size, sizeof(size), "0x%x\n", (unsigned)SEGMENT_SIZE);
	make_uio("../../drivers/uio_ivshmem", 0);
	make_map(0, "registers\n", "0x100\n");
	write_text("uio/uio0/maps/map0/offset", "0x300\n");
	make_map(1, "shmem\n", size);
	ck_ok(try_open(&t, "ivshmem:" ADDRESS, false, why));
	t.ops->ring(&t, 4);
	ck_assert_uint_eq(read_word("/dev/uio0", 0x30c), 4u << 16);
	t.ops->close(&t);
	end();
}
END_TEST

/* Bound for VFIO, which is not there: the memory can be had all the same, and why nothing rings is said. */
START_TEST(the_next_best)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin();
	bind_to("../../drivers/vfio-pci");
	ck_assert_msg(!try_open(&t, "ivshmem:" ADDRESS, false, why), "%s", why);
	ck_assert_str_eq(t.way, "sysfs");
	ck_assert_msg(strstr(t.because, "no IOMMU group") != NULL, "%s", t.because);
	t.ops->close(&t);
	set_memory(0);
	refused("ivshmem:" ADDRESS, -EOPNOTSUPP, "no IOMMU group");
	end();
}
END_TEST

/* Step by step towards VFIO; what the kernel does behind the last, is tested in guests. */
START_TEST(doors_of_vfio)
{
	char path[PATH_MAX + 80];

	begin();
	bind_to("../../drivers/vfio-pci");
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" ADDRESS "/iommu_group", root);
	ck_assert_int_eq(symlink("../../../kernel/iommu_groups/7", path), 0);
	refused("ivshmem:" ADDRESS "?via=vfio", -EOPNOTSUPP, "modprobe vfio-pci");
	make_directory("/sys/bus/pci/devices/" ADDRESS "/vfio-dev");
	make_directory("/sys/bus/pci/devices/" ADDRESS "/vfio-dev/vfio0");
	refused("ivshmem:" ADDRESS "?via=vfio", -EOPNOTSUPP, "modprobe iommufd");
	write_text("../../../../../dev/iommu", "");
	refused("ivshmem:" ADDRESS "?via=vfio", -ENOENT, "/dev/vfio/devices/vfio0");
	make_directory("/dev/vfio");
	make_directory("/dev/vfio/devices");
	write_text("../../../../../dev/vfio/devices/vfio0", "");
	refused("ivshmem:" ADDRESS "?via=vfio", -EIO, "cannot be bound to an IOMMU");
	write_text("../../../../../dev/vfio/vfio", "");
	refused("ivshmem:" ADDRESS "?via=vfio", -EIO, "cannot be bound to an IOMMU");
	end();
}
END_TEST

/* How the kernel maps it, where it tells. */
START_TEST(kind_of_memory)
{
	static const struct {
		const char *line;
		uint32_t facts;
	} told[] = {
		{"PAT: [mem 0x00000000fe000000-0x00000000fe100000] uncached-minus\n", VSHM_FACT_TOLD},
		{"PAT: [mem 0x00000000fe000000-0x00000000fe100000] write-back\n", VSHM_FACT_TOLD | VSHM_FACT_CACHED},
		{"PAT: [mem 0x00000000fe000000-0x00000000fe100000] write-combining\n", VSHM_FACT_TOLD},
		{"PAT: [mem 0x00000000fe100000-0x00000000fe200000] write-back\n", 0},
		{"PAT: memtype list:\nPAT: [mem 0x00000000fd000000-0x00000000fe000000] write-back\n", 0},
	};
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin();
	make_directory("/sys/kernel");
	make_directory("/sys/kernel/debug");
	make_directory("/sys/kernel/debug/x86");
	write_text("resource", "0x00000000fea00000 0x00000000fea000ff 0x0000000000040200\n"
			       "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
			       "0x00000000fe000000 0x00000000fe0fffff 0x000000000014220c\n");
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		write_text("../../../../kernel/debug/x86/pat_memtype_list", told[i].line);
		ck_ok(try_open(&t, "ivshmem:" ADDRESS, false, why));
		ck_assert_uint_eq(t.facts & (VSHM_FACT_TOLD | VSHM_FACT_CACHED), told[i].facts);
		t.ops->close(&t);
	}
	end();
}
END_TEST

static int try_create(struct vshmi_transport *t, const struct vshmi_shape *shape, char *why)
{
	const struct vshmi_transport_ops *ops;
	struct vshmi_uri uri;

	ck_ok(vshmi_transport_find("ivshmem:" ADDRESS, &uri, &ops, why));
	memset(t, 0, sizeof(*t));
	t->ops = ops;
	return vshmi_ivshmem_create(t, root, &uri, shape, why);
}

/* Zeros are nobody's; anything else is left as it is. */
START_TEST(a_region_in_a_device)
{
	struct vshmi_shape shape = shape_of(1, false), large = shape, split = shape_of(2, true);
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin();
	large.segment_size *= 2;
	ck_is(try_create(&t, &large, why), -ENOSPC);
	check_why(why);
	ck_is(try_create(&t, &split, why), -EOPNOTSUPP);
	ck_ok(try_create(&t, &shape, why));
	ck_assert(writable(t.segment[0].base));
	t.segment[0].base[VSHM_SUPERBLOCK_SIZE - 1] = 1;
	ck_ok(t.ops->publish(&t, why));
	t.ops->close(&t);
	ck_is(try_create(&t, &shape, why), -EEXIST);
	check_why(why);
	end();
}
END_TEST

/* ---- split: several devices ---- */

/* Of three devices two are memory, and one rings. */
static void begin_split(void)
{
	begin();
	make_device(THIRD);
	make_doorbell();
	make_device(SECOND);
}

static void check_segments(const char *uri, bool observe, bool first, bool second)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	ck_assert_msg(!try_open(&t, uri, observe, why), "%s", why);
	ck_assert_uint_eq(t.segment_count, 2);
	ck_assert(t.facts & VSHM_FACT_ENFORCED);
	ck_assert(t.segment[0].can_write == first && t.segment[1].can_write == second);
	ck_ok(t.ops->status(&t));
	t.ops->close(&t);
}

START_TEST(a_device_for_each_segment)
{
	begin_split();
	check_segments("split:" ADDRESS "," SECOND, false, true, false);
	check_segments("split:" ADDRESS "," SECOND "?peer=1", false, true, false);
	check_segments("split:" ADDRESS ",00:06.0?peer=1", true, false, false);
	end();
}
END_TEST

START_TEST(a_doorbell_beside_them)
{
	char why[VSHM_WHY_SIZE] = "";
	struct vshmi_transport t;

	begin_split();
	ck_assert_msg(!try_open(&t, "split:" ADDRESS "," SECOND "?doorbell=" THIRD "&via=sysfs", false, why), "%s", why);
	ck_assert_msg(strstr(t.because, "plain") && strstr(t.because, "doorbell via sysfs"), "%s", t.because);
	ck_assert(t.rings && t.bell < 0);
	t.ops->ring(&t, 9);
	ck_assert_uint_eq(read_word("/sys/bus/pci/devices/" THIRD "/resource0", 12), 9u << 16);
	t.ops->close(&t);
	end();
}
END_TEST

START_TEST(splits_that_cannot_be)
{
	char many[1024] = "split:00:05.0";

	begin_split();
	refused("split:" ADDRESS "," SECOND "?doorbell=0000:00:07.0", -ENOENT, "0000:00:07.0");
	refused("split:" ADDRESS "," SECOND "?doorbell=", -EINVAL, "doorbell=");
	refused("split:" ADDRESS "," SECOND "?via=sysfs", -EINVAL, "is none");
	refused("split:" ADDRESS ",,", -EINVAL, "is no PCI address");
	refused("split:" ADDRESS ",0000:00:09.0", -ENOENT, "0000:00:09.0");
	refused("split:" ADDRESS "," SECOND ",00000000000000000000000000000000000000000", -EINVAL, "commas between");
	refused("ivshmem:" ADDRESS "?doorbell=" THIRD, -EINVAL, "split region");
	for (unsigned i = 0; i < VSHM_MAX_PEERS; i++)
		strcat(many, ",00:05.0");
	refused(many, -EINVAL, "1 to 64");
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transport: ivshmem");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, memory_of_a_device);
	tcase_add_test(tc, an_observer_cannot_write);
	tcase_add_test(tc, unplugged);
	tcase_add_test(tc, what_is_no_device);
	tcase_add_test(tc, what_cannot_be_mapped);
	tcase_add_test(tc, a_region_in_a_device);
	tcase_add_test(tc, drivers_of_its_own);
	tcase_add_test(tc, a_driver_for_any_device);
	tcase_add_test(tc, uio_that_cannot_be);
	tcase_add_test(tc, sysfs_rings);
	tcase_add_test(tc, registers_inside_a_page);
	tcase_add_test(tc, the_next_best);
	tcase_add_test(tc, doors_of_vfio);
	tcase_add_test(tc, kind_of_memory);
	tcase_add_test(tc, a_device_for_each_segment);
	tcase_add_test(tc, a_doorbell_beside_them);
	tcase_add_test(tc, splits_that_cannot_be);
	suite_add_tcase(suite, tc);
	return unit_run("transport-ivshmem", suite);
}
