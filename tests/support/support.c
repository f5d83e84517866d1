/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories, children, time and chance for tests. See support.h. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char shm_dir[256];
static char disk_dir[256];
static char huge_dir[256];
static int janitor_fd = -1;
static pid_t janitor_pid;

static void die(const char *what)
{
	fprintf(stderr, "test support: %s: %s\n", what, strerror(errno));
	exit(99);
}

/* ---- a place for files ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

static void remove_tree(const char *dir)
{
	if (dir[0])
		(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Its pipe says end of file when every process that inherited the other side is gone. */
static void janitor(int fd)
{
	char byte;

	(void)setsid();
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)close(0);
	(void)close(1);
	(void)close(2);
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
	remove_tree(shm_dir);
	remove_tree(disk_dir);
	remove_tree(huge_dir);
	_exit(0);
}

static void start_janitor(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		die("pipe");
	janitor_pid = fork();
	if (janitor_pid < 0)
		die("fork");
	if (!janitor_pid) {
		(void)close(fds[1]);
		janitor(fds[0]);
	}
	(void)close(fds[0]);
	janitor_fd = fds[1];
}

static int is_disk(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC && !access(path, W_OK);
}

static void make_disk_dir(const char *program)
{
	const char *const roots[] = {getenv("TMPDIR"), "/var/tmp", "/tmp", "."};

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		if (!roots[i] || !is_disk(roots[i]) || strlen(roots[i]) > 150)
			continue;
		snprintf(disk_dir, sizeof(disk_dir), "%s/vshm-%s-%d-XXXXXX", roots[i], program, (int)getpid());
		if (mkdtemp(disk_dir))
			return;
	}
	disk_dir[0] = '\0';
}

static void make_huge_dir(const char *program)
{
	FILE *mounts = setmntent("/proc/mounts", "re");

	if (!mounts)
		return;
	for (struct mntent *m = getmntent(mounts); m && !huge_dir[0]; m = getmntent(mounts)) {
		if (strcmp(m->mnt_type, "hugetlbfs") != 0 || access(m->mnt_dir, W_OK) || strlen(m->mnt_dir) > 150)
			continue;
		snprintf(huge_dir, sizeof(huge_dir), "%s/vshm-%s-%d-XXXXXX", m->mnt_dir, program, (int)getpid());
		if (!mkdtemp(huge_dir))
			huge_dir[0] = '\0';
	}
	(void)endmntent(mounts);
}

void support_begin(const char *program)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(shm_dir, sizeof(shm_dir), "/dev/shm/vshm-%s-%d-XXXXXX", program, (int)getpid());
	if (!mkdtemp(shm_dir))
		die(shm_dir);
	make_disk_dir(program);
	make_huge_dir(program);
	start_janitor();
}

void support_end(void)
{
	if (janitor_fd < 0)
		return;
	(void)close(janitor_fd);
	janitor_fd = -1;
	(void)waitpid(janitor_pid, NULL, 0);
}

const char *support_dir(void)
{
	return shm_dir;
}

const char *support_disk_dir(void)
{
	return disk_dir[0] ? disk_dir : NULL;
}

const char *support_huge_dir(void)
{
	return huge_dir[0] ? huge_dir : NULL;
}

int support_count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	int count = 0;

	if (!d)
		return -1;
	for (const struct dirent *e = readdir(d); e; e = readdir(d))
		count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	(void)closedir(d);
	return count;
}

int support_count_fds(void)
{
	return support_count_entries("/proc/self/fd");
}

int support_count_threads(void)
{
	return support_count_entries("/proc/self/task");
}

int support_count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int count = 0, c;

	if (!f)
		return -1;
	while ((c = fgetc(f)) != EOF)
		count += c == '\n';
	(void)fclose(f);
	return count;
}

/* ---- children ---- */

void support_die_with_parent(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

pid_t support_fork(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(98);
	}
	return pid;
}

pid_t support_spawn(const char *const arguments[])
{
	const char *argv[32] = {"child"};
	pid_t pid;

	for (size_t i = 0; arguments[i] && i < 30; i++)
		argv[i + 1] = arguments[i];
	pid = support_fork();
	if (!pid) {
		(void)execv("/proc/self/exe", (char *const *)argv);
		_exit(97);
	}
	return pid;
}

int support_wait(pid_t pid, int64_t timeout_ns)
{
	int64_t end = support_now_ns() + timeout_ns;
	int status;
	pid_t got;

	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return status;
		if ((got < 0 && errno != EINTR) || support_now_ns() > end)
			break;
		support_sleep_us(200);
	}
	support_kill(pid);
	return -1;
}

void support_kill(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- time and chance ---- */

int64_t support_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SUPPORT_SECOND + t.tv_nsec;
}

void support_sleep_us(int64_t us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

uint64_t support_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	unsigned long long value;

	if (!text || !*text)
		return otherwise;
	value = strtoull(text, &end, 0);
	return *end ? otherwise : value;
}

uint64_t support_seed(void)
{
	uint64_t seed = support_env("SEED", (uint64_t)support_now_ns() ^ ((uint64_t)getpid() << 40));

	printf("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64: every seed is good, 0 too. */
uint64_t support_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t support_below(uint64_t *state, uint64_t limit)
{
	return limit ? support_random(state) % limit : 0;
}

void support_pin(unsigned cpu)
{
	cpu_set_t all, one;
	int wanted = (int)cpu;

	if (sched_getaffinity(0, sizeof(all), &all) || CPU_COUNT(&all) < 2)
		return;
	wanted %= CPU_COUNT(&all);
	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all) || wanted-- > 0)
			continue;
		CPU_SET(i, &one);
		break;
	}
	(void)sched_setaffinity(0, sizeof(one), &one);
}

/* ---- bytes ---- */

static uint64_t word_at(uint64_t key, size_t index)
{
	uint64_t state = key * UINT64_C(0x2545f4914f6cdd1d) + index;

	return support_random(&state);
}

void support_fill(void *data, size_t size, uint64_t key)
{
	unsigned char *p = data;
	uint64_t word;

	for (size_t i = 0; i < size; i += 8) {
		word = word_at(key, i);
		memcpy(p + i, &word, size - i < 8 ? size - i : 8);
	}
}

int support_same(const void *data, size_t size, uint64_t key)
{
	const unsigned char *p = data;
	uint64_t word;

	for (size_t i = 0; i < size; i += 8) {
		word = word_at(key, i);
		if (memcmp(p + i, &word, size - i < 8 ? size - i : 8) != 0)
			return 0;
	}
	return 1;
}

uint32_t support_crc32c(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
	}
	return ~crc;
}
