/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shared: the one door to words that other peers can read or write. The word types are opaque, so that plain
 * access does not compile; every load is a single access of the full width. Whoever loads a word another peer
 * can write loads it once into a local, checks the local, and uses only the local.
 *
 * With VSHM_TEST_HOOKS the same operations become calls (shared/hooks.h) that a test can count, falsify or schedule.
 */
#ifndef SHARED_SHARED_H
#define SHARED_SHARED_H

#include "base/base.h"

struct vshmi_word32 {
	uint32_t shared_; /* never touched outside this file */
};

struct vshmi_word64 {
	uint64_t shared_;
};

_Static_assert(__GCC_ATOMIC_LLONG_LOCK_FREE == 2, "shared words must be lock-free");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout is little-endian");
_Static_assert(sizeof(void *) == 8, "sections can be larger than a 32-bit address space");

#ifdef VSHM_TEST_HOOKS
#include "shared/hooks.h"
#else

/* relaxed: for words that order nothing, or whose order a fence or a later acquire gives */
static inline uint32_t vshmi_load32(const struct vshmi_word32 *word)
{
	return __atomic_load_n(&word->shared_, __ATOMIC_RELAXED);
}

static inline uint64_t vshmi_load64(const struct vshmi_word64 *word)
{
	return __atomic_load_n(&word->shared_, __ATOMIC_RELAXED);
}

static inline uint32_t vshmi_load_acquire32(const struct vshmi_word32 *word)
{
	return __atomic_load_n(&word->shared_, __ATOMIC_ACQUIRE);
}

static inline uint64_t vshmi_load_acquire64(const struct vshmi_word64 *word)
{
	return __atomic_load_n(&word->shared_, __ATOMIC_ACQUIRE);
}

static inline void vshmi_store32(struct vshmi_word32 *word, uint32_t value)
{
	__atomic_store_n(&word->shared_, value, __ATOMIC_RELAXED);
}

static inline void vshmi_store64(struct vshmi_word64 *word, uint64_t value)
{
	__atomic_store_n(&word->shared_, value, __ATOMIC_RELAXED);
}

static inline void vshmi_store_release32(struct vshmi_word32 *word, uint32_t value)
{
	__atomic_store_n(&word->shared_, value, __ATOMIC_RELEASE);
}

static inline void vshmi_store_release64(struct vshmi_word64 *word, uint64_t value)
{
	__atomic_store_n(&word->shared_, value, __ATOMIC_RELEASE);
}

/* Only for the alive word (claim, leave, evict), never on a data path. True when `wanted` was stored. */
static inline bool vshmi_compare_exchange32(struct vshmi_word32 *word, uint32_t expected, uint32_t wanted)
{
	return __atomic_compare_exchange_n(&word->shared_, &expected, wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Only for words of this process that several of its threads write: between peers each word has one writer. */
static inline void vshmi_increment32(struct vshmi_word32 *word)
{
	__atomic_fetch_add(&word->shared_, 1, __ATOMIC_RELEASE);
}

/* Orders all that came before, stores too, before all that comes after, loads too. */
static inline void vshmi_fence_full(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*
 * The cheap half of an asymmetric fence: keeps the compiler from moving accesses across it; the CPU is kept in order
 * by the sleeper's membarrier (wait/), which is the other half.
 */
static inline void vshmi_fence_light(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void vshmi_fence_acquire(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void vshmi_fence_release(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Payload of records: ordinary memory that a release store has handed over. */
static inline void vshmi_copy_in(void *private_copy, const void *shared, size_t size)
{
	memcpy(private_copy, shared, size);
}

static inline void vshmi_copy_out(void *shared, const void *private_copy, size_t size)
{
	memcpy(shared, private_copy, size);
}

/* Told at the start of every public call on an end: a test can then tell a second load from the next call. */
static inline void vshmi_call_begins(void) {}

#endif

/* The address that a futex call wants; for the kernel only. */
static inline const uint32_t *vshmi_futex_address(const struct vshmi_word32 *word)
{
	return &word->shared_;
}

/* The address that a robust list holds: the kernel, too, writes this word, once, when its owner dies. */
static inline uint32_t *vshmi_mark_address(struct vshmi_word32 *word)
{
	return &word->shared_;
}

/* Structures that are read as a whole: `count` words, each loaded or stored once, relaxed. */
static inline void vshmi_load_block(uint64_t *private_copy, const struct vshmi_word64 *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		private_copy[i] = vshmi_load64(&words[i]);
}

static inline void vshmi_store_block(struct vshmi_word64 *words, const uint64_t *private_copy, size_t count)
{
	for (size_t i = 0; i < count; i++)
		vshmi_store64(&words[i], private_copy[i]);
}

/*
 * Payload in what may be device memory: on some processors only aligned accesses of a word at most are right there, and
 * memcpy() makes others. `words` lie up to the next multiple of 8 behind `size`; what is behind it is left zero.
 */
static inline void vshmi_copy_in_words(void *private_copy, const struct vshmi_word64 *words, size_t size)
{
	for (size_t done = 0; done < size; done += sizeof(uint64_t)) {
		const uint64_t word = vshmi_load64(&words[done / sizeof(uint64_t)]);

		memcpy((unsigned char *)private_copy + done, &word, size - done < sizeof(word) ? size - done : sizeof(word));
	}
}

static inline void vshmi_copy_out_words(struct vshmi_word64 *words, const void *private_copy, size_t size)
{
	for (size_t done = 0; done < size; done += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, (const unsigned char *)private_copy + done, size - done < sizeof(word) ? size - done : sizeof(word));
		vshmi_store64(&words[done / sizeof(uint64_t)], word);
	}
}

/* Tells the CPU that this is a polling loop. */
static inline void vshmi_cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

#endif
