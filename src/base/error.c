/* SPDX-License-Identifier: BSD-3-Clause */
/* Every error and every rule of the layout in words. The lists are closed: see vshm/error.h and vshm/layout.h. */
#include "base/base.h"

#include <vshm/error.h>
#include <vshm/layout.h>

const char *vshm_strerror(int error)
{
	if (error >= 0)
		return "success";
	switch (error) {
	case -EINVAL: return "not a lawful argument, or not allowed now";
	case -E2BIG: return "the options are of a newer libvshm than this one";
	case -EAGAIN: return "full or empty right now";
	case -ETIMEDOUT: return "the timeout passed";
	case -ENOMEM: return "out of memory";
	case -ENOSPC: return "no space left: the region, section, directory or file system is full";
	case -EMSGSIZE: return "the record is larger than the ring or the buffer";
	case -ENODATA: return "end of stream";
	case -EPIPE: return "the peer at the other end died";
	case -ESTALE: return "the other end restarted, or the region was replaced, destroyed or taken away";
	case -EHOSTDOWN: return "the peer at the other end shows no sign of life";
	case -EOVERFLOW: return "records were overwritten, or the consumer was dropped, because it was too slow";
	case -EPROTO: return "the memory breaks the format";
	case -EPROTONOSUPPORT: return "a layout version or feature that this libvshm does not know";
	case -EOPNOTSUPP: return "this transport cannot do that";
	case -ENODEV: return "the memory is gone: file truncated or device unplugged";
	case -EBUSY: return "that role or slot is taken";
	case -EEXIST: return "exists already";
	case -EACCES: return "no permission";
	case -ENOENT: return "does not exist";
	case -ECHILD: return "the handle belongs to the parent of this forked process";
	case -ECANCELED: return "the wait was cancelled";
	case -EIO: return "the operating system failed";
	default: return "unknown error";
	}
}

static const char *const rule_texts[VSHM_RULE_COUNT] = {
	[VSHM_RULE_NONE] = "no rule is broken",
	[VSHM_RULE_MAGIC] = "a region begins with \"VSHMRGN1\"",
	[VSHM_RULE_ZERO] = "all zero: nothing was ever written here",
	[VSHM_RULE_CRC] = "the checksum of the superblock must match its bytes",
	[VSHM_RULE_VERSION] = "the layout version must be one that this libvshm knows",
	[VSHM_RULE_FEATURES] = "every incompatible feature must be one that this libvshm knows",
	[VSHM_RULE_NAME] = "the region's name must be a lawful name",
	[VSHM_RULE_PEERS] = "there are 1 to 64 peers, and a section for each",
	[VSHM_RULE_PROFILE] = "the profile is flat or split, and fits the segments",
	[VSHM_RULE_PAGE] = "the layout page is a power of two, at least 64 KiB",
	[VSHM_RULE_SEGMENT_SIZE] = "the segment is no larger than the memory behind it",
	[VSHM_RULE_SECTION] = "sections lie on layout pages inside the segment, without overlap, one per peer",
	[VSHM_RULE_RESERVED] = "reserved bytes are zero",
	[VSHM_RULE_STRANGER] = "every segment is of this region, and of the peer whose place it is in",
	[VSHM_RULE_STATE] = "a section is free, live or closing",
	[VSHM_RULE_ALIVE] = "the alive word is 0, a thread id, a death mark or an eviction",
	[VSHM_RULE_WAYS] = "only known ways to wake a peer are set",
	[VSHM_RULE_LABEL] = "the peer's label must be a lawful name",
	[VSHM_RULE_ENTRY_STATE] = "a directory entry is free, open or closed",
	[VSHM_RULE_ENTRY_KIND] = "a directory entry is a producer, a consumer or a pool",
	[VSHM_RULE_ENTRY_ID] = "a directory entry in use has an id",
	[VSHM_RULE_ENTRY_NAME] = "a directory entry has a lawful name",
	[VSHM_RULE_ENTRY_FLAGS] = "a directory entry has only flags that its kind knows",
	[VSHM_RULE_RING_SIZE] = "a ring is a power of two from 256 bytes to 1 GiB, a return ring one from 8 bytes to 32 KiB, a pool has lines",
	[VSHM_RULE_RING_PLACE] = "a ring lies inside its section, past the directory, on a line",
	[VSHM_RULE_RING_OVERLAP] = "rings do not overlap",
	[VSHM_RULE_GRANTS] = "a one-to-many ring has at most 64 grants, which lie behind it in its section",
	[VSHM_RULE_OTHER_PEER] = "the other end is a peer of this region",
	[VSHM_RULE_DUPLICATE] = "the ends of a peer have ids of their own",
	[VSHM_RULE_START] = "a consumer starts at a position that the producer has reached",
	[VSHM_RULE_TAIL_ALIGN] = "the producer's position is a multiple of 8",
	[VSHM_RULE_TAIL_RANGE] = "the producer's position never moves back, nor past the ring's capacity",
	[VSHM_RULE_HEAD_ALIGN] = "the consumer's position is a multiple of 8",
	[VSHM_RULE_HEAD_RANGE] = "the consumer's position never moves back, nor past the producer's",
	[VSHM_RULE_RECORD_KIND] = "a record is data, padding, a lent block or a run",
	[VSHM_RULE_RECORD_LENGTH] = "a record ends before the producer's position and the end of the ring",
	[VSHM_RULE_RECORD_SEQUENCE] = "records are numbered without a gap",
	[VSHM_RULE_RECORD_PAD] = "padding reaches to the end of the ring",
	[VSHM_RULE_RECORD_RUN] = "a run has at least one record, and its records fill it",
	[VSHM_RULE_LEND] = "a lent block lies on lines inside its owner's section, and no more are lent than the consumer takes",
	[VSHM_RULE_RETURN_TAIL] = "a consumer returns no more blocks than it was lent, and takes no return back",
	[VSHM_RULE_RETURN_BLOCK] = "a returned token names a pool and a block that there is",
	[VSHM_RULE_RETURN_GENERATION] = "a block is returned with the generation with which it was lent",
	[VSHM_RULE_RETURN_HOLDER] = "a block is returned by a consumer that has it, and once",
};

const char *vshm_rule_text(uint32_t rule)
{
	if (rule >= VSHM_RULE_COUNT || !rule_texts[rule])
		return "unknown rule";
	return rule_texts[rule];
}
