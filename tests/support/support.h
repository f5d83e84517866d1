/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests above the public headers share: one temporary directory per program that is removed
 * however the program ends, child processes that never outlive it, time, chance, and checkable bytes.
 * Nothing in here knows libvshm.
 */
#ifndef VSHM_TEST_SUPPORT_H
#define VSHM_TEST_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SUPPORT_MS INT64_C(1000000)
#define SUPPORT_SECOND INT64_C(1000000000)

/* Longer than any lawful wait on a loaded two-core machine; shorter than the patience of a test runner. */
#define SUPPORT_LONG (30 * SUPPORT_SECOND)

#ifdef __has_feature
#define SUPPORT_HAS(feature) __has_feature(feature)
#else
#define SUPPORT_HAS(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || SUPPORT_HAS(thread_sanitizer)
#define SUPPORT_TSAN 1
#else
#define SUPPORT_TSAN 0
#endif
#if SUPPORT_TSAN || defined(__SANITIZE_ADDRESS__) || SUPPORT_HAS(address_sanitizer)
#define SUPPORT_SANITIZED 1
#else
#define SUPPORT_SANITIZED 0
#endif

/* ---- a place for files ---- */

/*
 * Makes the directory (below /dev/shm) and a janitor process that removes it when this process ends, by
 * SIGKILL too. Call once, first thing in main(). support_end() waits until the directory is gone.
 */
void support_begin(const char *program);
void support_end(void);
const char *support_dir(void);

/* A second directory with the same life, on a file system that is not tmpfs; NULL where there is none. */
const char *support_disk_dir(void);

/* A third one on hugetlbfs; NULL where none is mounted that this process may write. */
const char *support_huge_dir(void);

/* Number of entries of a directory, without . and .., or -1. */
int support_count_entries(const char *dir);
int support_count_fds(void);
int support_count_threads(void);
int support_count_mappings(void);

/* ---- children ---- */

/* Runs this very program again with `arguments` (NULL-terminated, without argv[0]). It dies with the caller's thread. */
pid_t support_spawn(const char *const arguments[]);

/* Forks; the child dies with the caller's thread. */
pid_t support_fork(void);

/* Waits for a child; past the timeout kills it and returns -1. Else the wait status. */
int support_wait(pid_t pid, int64_t timeout_ns);

/* For processes that somebody else forked (Check does for each test): killed when the parent's thread ends. */
void support_die_with_parent(void);

/* SIGKILL and wait. */
void support_kill(pid_t pid);

/* ---- time and chance ---- */

int64_t support_now_ns(void);
void support_sleep_us(int64_t us);

/* SEED and other numbers from the environment; the default where unset or not a number. */
uint64_t support_env(const char *name, uint64_t otherwise);

/* SEED, or the clock; printed, so that a failure can be repeated. */
uint64_t support_seed(void);
uint64_t support_random(uint64_t *state);
uint64_t support_below(uint64_t *state, uint64_t limit);

/* Runs on one CPU from now on, where there are several; else nothing happens. */
void support_pin(unsigned cpu);

/* ---- bytes ---- */

/* Fills, or checks, `size` bytes that depend on `key` and on each byte's place. support_same: 1 or 0. */
void support_fill(void *data, size_t size, uint64_t key);
int support_same(const void *data, size_t size, uint64_t key);

uint32_t support_crc32c(const void *data, size_t size);

#endif
