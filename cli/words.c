/* SPDX-License-Identifier: BSD-3-Clause */
/* Offsets to names, by the structures of vshm/layout.h, so that `check` can say which word is wrong. */
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <vshm/layout.h>

struct word {
	size_t offset, size;
	const char *name;
};

#define IDENTITY(field) \
	{ \
		offsetof(struct vshm_identity, field), sizeof(((struct vshm_identity *)0)->field), #field \
	}
#define ENTRY(field) \
	{ \
		offsetof(struct vshm_entry, field), sizeof(((struct vshm_entry *)0)->field), #field \
	}
#define SUPERBLOCK(field) \
	{ \
		offsetof(struct vshm_superblock, field), sizeof(((struct vshm_superblock *)0)->field), #field \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct word identity_words[] = {
	IDENTITY(incarnation),	 IDENTITY(state),	IDENTITY(ways),	       IDENTITY(machine_id), IDENTITY(boot_id),
	IDENTITY(pid_namespace), IDENTITY(start_ticks), IDENTITY(attached_ns), IDENTITY(pid),	     IDENTITY(uid),
	IDENTITY(beat_ms),	 IDENTITY(ivshmem_id),	IDENTITY(label),       IDENTITY(server_life),
};

static const struct word entry_words[] = {
	ENTRY(id),	  ENTRY(kind),	      ENTRY(flags),    ENTRY(name),	  ENTRY(ring_offset),
	ENTRY(ring_size), ENTRY(grants),      ENTRY(reserved0), ENTRY(state),    ENTRY(other_peer), ENTRY(other_incarnation),
	ENTRY(other_id),  ENTRY(other_start), ENTRY(records),  ENTRY(rings_sent), ENTRY(rings_avoided),
	ENTRY(sleeps),	  ENTRY(spurious),    ENTRY(position), ENTRY(oldest),
	ENTRY(newest),	  ENTRY(returned),    ENTRY(held),     ENTRY(armed),
};

static const struct word superblock_words[] = {
	SUPERBLOCK(magic),	  SUPERBLOCK(layout_version), SUPERBLOCK(crc),	     SUPERBLOCK(compatible),
	SUPERBLOCK(incompatible), SUPERBLOCK(uuid),	      SUPERBLOCK(name),	     SUPERBLOCK(profile),
	SUPERBLOCK(peer_count),	  SUPERBLOCK(section_count),  SUPERBLOCK(reserved0), SUPERBLOCK(layout_page),
	SUPERBLOCK(segment_size), SUPERBLOCK(created_ns),     SUPERBLOCK(reserved1),
};

static const char *find(const struct word *words, size_t count, uint64_t offset)
{
	for (size_t i = 0; i < count; i++) {
		if (offset >= words[i].offset && offset - words[i].offset < words[i].size)
			return words[i].name;
	}
	return "unused";
}

void word_name(uint64_t offset, char *out, size_t size)
{
	uint64_t entry = (offset - VSHM_SECTION_DIRECTORY) / sizeof(struct vshm_entry);
	if (offset >= VSHM_SECTION_DATA)
		(void)snprintf(out, size, "ring data");
	else if (offset >= VSHM_SECTION_DIRECTORY && entry < VSHM_ENTRIES)
		(void)snprintf(out, size, "entry %" PRIu64 ": %s", entry,
			       find(entry_words, COUNT(entry_words),
				    (offset - VSHM_SECTION_DIRECTORY) % sizeof(struct vshm_entry)));
	else if (offset >= VSHM_SECTION_BELLS && offset < VSHM_SECTION_BELLS + VSHM_LINE * VSHM_MAX_PEERS)
		(void)snprintf(out, size, "bell for peer %" PRIu64, (offset - VSHM_SECTION_BELLS) / VSHM_LINE);
	else if (offset < sizeof(struct vshm_identity))
		(void)snprintf(out, size, "identity: %s", find(identity_words, COUNT(identity_words), offset));
	else if (offset == VSHM_SECTION_ALIVE)
		(void)snprintf(out, size, "alive");
	else if (offset == VSHM_SECTION_HEARTBEAT)
		(void)snprintf(out, size, "heartbeat");
	else if (offset == VSHM_SECTION_CHANGES)
		(void)snprintf(out, size, "changes");
	else
		(void)snprintf(out, size, "unused");
}

void superblock_word_name(uint64_t offset, char *out, size_t size)
{
	static const char *const fields[] = {"peer", "offset", "size"};
	const uint64_t first = offsetof(struct vshm_superblock, section), one = sizeof(struct vshm_section_place);
	uint64_t number = (offset - first) / one;
	if (offset >= first && number < VSHM_MAX_PEERS)
		(void)snprintf(out, size, "section %" PRIu64 ": %s", number, fields[(offset - first) % one / 8]);
	else
		(void)snprintf(out, size, "%s", find(superblock_words, COUNT(superblock_words), offset));
}
