/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of the model: messages, views, clocks. Used by vmc.c only. */
#ifndef MODEL_MEMORY_H
#define MODEL_MEMORY_H

#include "vmc.h"

#define VMC_WORDS 64 /* that change, in one scenario */
#define VMC_MESSAGES 32 /* of one word */

/* What is known at some point: of each word, the oldest message that may still be read; of each thread, its clock. */
struct vmc_stamp {
	uint8_t view[VMC_WORDS];
	uint16_t clock[VMC_THREADS];
};

struct vmc_knowledge {
	struct vmc_stamp now;
	struct vmc_stamp acquired; /* what an acquire fence would add */
	struct vmc_stamp released; /* what the last release fence set out */
};

struct vmc_message {
	uint64_t value;
	struct vmc_stamp stamp;
};

struct vmc_word {
	char *address;
	unsigned size;
	unsigned count;
	struct vmc_message message[VMC_MESSAGES];
};

/* ---- places ---- */

void vmc_memory_forget(void); /* all names */
void vmc_memory_reset(void); /* all messages */

/* What declare() said of an address. NULL: private memory. */
const char *vmc_memory_name(const void *address);
bool vmc_memory_quiet(const void *address);
bool vmc_memory_payload(const void *address);

/* The word's index; it begins with one message, the bytes that stand there. */
unsigned vmc_memory_word(const void *address, unsigned size);
struct vmc_word *vmc_word_at(unsigned index);
uint64_t vmc_raw_load(const void *address, unsigned size);
void vmc_raw_store(void *address, unsigned size, uint64_t value);

/* ---- knowledge ---- */

void vmc_join(struct vmc_stamp *into, const struct vmc_stamp *from);
void vmc_join_view(struct vmc_stamp *into, const struct vmc_stamp *from);

/* ---- plain memory ---- */

enum vmc_access { VMC_PLAIN_READ, VMC_PLAIN_WRITE, VMC_WORD_READ, VMC_WORD_WRITE };

/* NULL, or the kind of access of another thread that this one is not ordered with. */
const char *vmc_race(const void *memory, size_t size, enum vmc_access access, unsigned thread,
		     const struct vmc_stamp *now);

#endif
