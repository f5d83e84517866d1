/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words and their messages, and the race detector: for each 4 bytes of payload and each thread, the thread's clock at
 * its last access of each kind. Two accesses, one a write and one plain, have to be ordered by what the later one knows.
 */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGES 32
#define GRANULES 64

struct range {
	const char *begin;
	size_t size;
	const char *name;
	bool quiet, payload;
};

static struct range ranges[RANGES];
static unsigned range_count;
static struct vmc_word words[VMC_WORDS];
static unsigned word_count;

static const char *payload_begin;
static size_t payload_size;
static struct {
	uint16_t last[4][VMC_THREADS]; /* by enum vmc_access */
} granules[GRANULES];

static void add(const void *memory, size_t size, const char *name, bool quiet, bool payload)
{
	struct range *last = &ranges[range_count ? range_count - 1 : 0];

	if (range_count && last->quiet && quiet && last->begin + last->size == memory) {
		last->size += size;
		return;
	}
	if (range_count == RANGES)
		abort();
	ranges[range_count++] = (struct range){memory, size, name, quiet, payload};
}

void vmc_name(const void *memory, size_t size, const char *name)
{
	add(memory, size, name, false, false);
}

void vmc_quiet(const void *memory, size_t size)
{
	add(memory, size, "quiet", true, false);
}

void vmc_payload(const void *memory, size_t size, const char *name)
{
	if (payload_begin || size > sizeof(granules) / sizeof(granules[0]) * 4)
		abort();
	payload_begin = memory;
	payload_size = size;
	add(memory, size, name, false, true);
}

void vmc_memory_forget(void)
{
	range_count = 0;
	payload_begin = NULL;
	payload_size = 0;
}

void vmc_memory_reset(void)
{
	word_count = 0;
	memset(granules, 0, sizeof(granules));
}

/* What was said last counts. */
static const struct range *find(const void *address)
{
	for (unsigned i = range_count; i-- > 0;)
		if ((size_t)((const char *)address - ranges[i].begin) < ranges[i].size)
			return &ranges[i];
	return NULL;
}

const char *vmc_memory_name(const void *address)
{
	const struct range *range = find(address);

	return range ? range->name : NULL;
}

bool vmc_memory_quiet(const void *address)
{
	const struct range *range = find(address);

	return range && range->quiet;
}

bool vmc_memory_payload(const void *address)
{
	return (size_t)((const char *)address - payload_begin) < payload_size;
}

uint64_t vmc_raw_load(const void *address, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, address, size); /* little-endian */
	return value;
}

void vmc_raw_store(void *address, unsigned size, uint64_t value)
{
	memcpy(address, &value, size);
}

struct vmc_word *vmc_word_at(unsigned index)
{
	return &words[index];
}

unsigned vmc_memory_word(const void *address, unsigned size)
{
	for (unsigned i = 0; i < word_count; i++)
		if (words[i].address == address)
			return i;
	if (word_count == VMC_WORDS)
		abort();
	words[word_count].address = (char *)(uintptr_t)address;
	words[word_count].size = size;
	words[word_count].count = 1;
	words[word_count].message[0].value = vmc_raw_load(address, size);
	memset(&words[word_count].message[0].stamp, 0, sizeof(struct vmc_stamp));
	return word_count++;
}

void vmc_join_view(struct vmc_stamp *into, const struct vmc_stamp *from)
{
	for (unsigned i = 0; i < VMC_WORDS; i++)
		if (into->view[i] < from->view[i])
			into->view[i] = from->view[i];
}

void vmc_join(struct vmc_stamp *into, const struct vmc_stamp *from)
{
	vmc_join_view(into, from);
	for (unsigned i = 0; i < VMC_THREADS; i++)
		if (into->clock[i] < from->clock[i])
			into->clock[i] = from->clock[i];
}

static bool conflict(enum vmc_access a, enum vmc_access b)
{
	bool write = a == VMC_PLAIN_WRITE || a == VMC_WORD_WRITE || b == VMC_PLAIN_WRITE || b == VMC_WORD_WRITE;
	bool plain = a == VMC_PLAIN_WRITE || a == VMC_PLAIN_READ || b == VMC_PLAIN_WRITE || b == VMC_PLAIN_READ;

	return write && plain;
}

static const char *race_at(size_t granule, enum vmc_access access, unsigned thread, const struct vmc_stamp *now)
{
	static const char *const kinds[] = {"a plain read", "a plain write", "a word's load", "a word's store"};

	for (unsigned kind = 0; kind < 4; kind++)
		for (unsigned other = 0; other < VMC_THREADS; other++)
			if (other != thread && conflict(access, (enum vmc_access)kind) &&
			    granules[granule].last[kind][other] > now->clock[other])
				return kinds[kind];
	granules[granule].last[access][thread] = now->clock[thread];
	return NULL;
}

const char *vmc_race(const void *memory, size_t size, enum vmc_access access, unsigned thread,
		     const struct vmc_stamp *now)
{
	size_t begin = (size_t)((const char *)memory - payload_begin);
	const char *with = NULL;

	if (begin >= payload_size || !size)
		return NULL;
	for (size_t granule = begin / 4; !with && granule <= (begin + size - 1) / 4; granule++)
		with = race_at(granule, access, thread, now);
	return with;
}
