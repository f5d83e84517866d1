/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The door to shared words in test builds: each operation is a call that the test program defines (tests/model,
 * tests/fuzz). Included by shared.h only.
 */
#ifndef SHARED_HOOKS_H
#define SHARED_HOOKS_H

enum vshmi_hook_order {
	VSHMI_HOOK_RELAXED,
	VSHMI_HOOK_ACQUIRE,
	VSHMI_HOOK_RELEASE,
};

enum vshmi_hook_fence {
	VSHMI_HOOK_FENCE_FULL,
	VSHMI_HOOK_FENCE_LIGHT,
	VSHMI_HOOK_FENCE_ACQUIRE,
	VSHMI_HOOK_FENCE_RELEASE,
};

/* `size` is 4 or 8. */
uint64_t vshmi_hook_load(const void *word, unsigned size, enum vshmi_hook_order order);
void vshmi_hook_store(void *word, unsigned size, uint64_t value, enum vshmi_hook_order order);
bool vshmi_hook_compare_exchange(void *word, uint32_t expected, uint32_t wanted);
void vshmi_hook_fence(enum vshmi_hook_fence fence);
void vshmi_hook_copy_in(void *private_copy, const void *shared, size_t size);
void vshmi_hook_copy_out(void *shared, const void *private_copy, size_t size);
void vshmi_hook_call_begins(void);

static inline uint32_t vshmi_load32(const struct vshmi_word32 *word)
{
	return (uint32_t)vshmi_hook_load(word, 4, VSHMI_HOOK_RELAXED);
}

static inline uint64_t vshmi_load64(const struct vshmi_word64 *word)
{
	return vshmi_hook_load(word, 8, VSHMI_HOOK_RELAXED);
}

static inline uint32_t vshmi_load_acquire32(const struct vshmi_word32 *word)
{
	return (uint32_t)vshmi_hook_load(word, 4, VSHMI_HOOK_ACQUIRE);
}

static inline uint64_t vshmi_load_acquire64(const struct vshmi_word64 *word)
{
	return vshmi_hook_load(word, 8, VSHMI_HOOK_ACQUIRE);
}

static inline void vshmi_store32(struct vshmi_word32 *word, uint32_t value)
{
	vshmi_hook_store(word, 4, value, VSHMI_HOOK_RELAXED);
}

static inline void vshmi_store64(struct vshmi_word64 *word, uint64_t value)
{
	vshmi_hook_store(word, 8, value, VSHMI_HOOK_RELAXED);
}

static inline void vshmi_store_release32(struct vshmi_word32 *word, uint32_t value)
{
	vshmi_hook_store(word, 4, value, VSHMI_HOOK_RELEASE);
}

static inline void vshmi_store_release64(struct vshmi_word64 *word, uint64_t value)
{
	vshmi_hook_store(word, 8, value, VSHMI_HOOK_RELEASE);
}

static inline bool vshmi_compare_exchange32(struct vshmi_word32 *word, uint32_t expected, uint32_t wanted)
{
	return vshmi_hook_compare_exchange(word, expected, wanted);
}

static inline void vshmi_increment32(struct vshmi_word32 *word)
{
	uint32_t value;

	do
		value = vshmi_load32(word);
	while (!vshmi_compare_exchange32(word, value, value + 1));
}

static inline void vshmi_fence_full(void)
{
	vshmi_hook_fence(VSHMI_HOOK_FENCE_FULL);
}

static inline void vshmi_fence_light(void)
{
	vshmi_hook_fence(VSHMI_HOOK_FENCE_LIGHT);
}

static inline void vshmi_fence_acquire(void)
{
	vshmi_hook_fence(VSHMI_HOOK_FENCE_ACQUIRE);
}

static inline void vshmi_fence_release(void)
{
	vshmi_hook_fence(VSHMI_HOOK_FENCE_RELEASE);
}

static inline void vshmi_copy_in(void *private_copy, const void *shared, size_t size)
{
	vshmi_hook_copy_in(private_copy, shared, size);
}

static inline void vshmi_copy_out(void *shared, const void *private_copy, size_t size)
{
	vshmi_hook_copy_out(shared, private_copy, size);
}

static inline void vshmi_call_begins(void)
{
	vshmi_hook_call_begins();
}

#endif
