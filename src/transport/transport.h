/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transport: brings a region's segments into this process, and says what kind of memory they are.
 * It knows nothing of superblocks, peers or rings. One file per transport, one table of operations each; an
 * operation that is NULL means -EOPNOTSUPP.
 */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include "base/base.h"

#include <vshm/region.h>
#include <vshm/types.h>

struct vshmi_transport;

struct vshmi_segment {
	unsigned char *base; /* NULL: not there (yet) */
	uint64_t size;       /* what is mapped */
	bool can_write;      /* this process may make parts of it writable */
	bool own;	     /* set by the region: this peer's section lies there */
};

/* What a new region should look like to its transport. */
struct vshmi_shape {
	uint32_t segments;
	uint64_t segment_size;
	bool split;
	bool force;
	const struct vshm_owner *owners; /* one per segment */
};

struct vshmi_transport_ops {
	const char *scheme;
	/* Maps every segment read-only. `observe`: never needs write permission. */
	int (*open)(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why);
	/*
	 * Makes and allocates segments full of zeros, mapped writable in `t`, under a name that nobody looks at.
	 * `publish` gives them their real name in one step; `close` without it removes them.
	 */
	int (*create)(struct vshmi_transport *t, const struct vshmi_uri *uri, const struct vshmi_shape *shape, char *why);
	int (*publish)(struct vshmi_transport *t, char *why);
	/* Removes the name; whoever has it open keeps the memory. */
	int (*destroy)(const struct vshmi_uri *uri, char *why);
	/* 0, -ESTALE when the segments no longer have their name, -ENODEV when memory is missing. Cheap. */
	int (*status)(struct vshmi_transport *t);
	void (*close)(struct vshmi_transport *t);
	/* Takes in the rings that made `bell` readable. NULL: it is an eventfd. */
	void (*hear)(struct vshmi_transport *t);
	/* Rings the peer whose doorbell has this address. Never blocks. 0; -ENOENT: nobody has it, if that is known. NULL: no doorbells. */
	int (*ring)(struct vshmi_transport *t, uint32_t doorbell);
	/* Was this transport told of whom that doorbell is? NULL: it is told of nobody, and devices ring whom they know. */
	bool (*knows)(struct vshmi_transport *t, uint32_t doorbell);
	/* `news` is readable: reads it. Doorbells whose peers are gone for good, up to `most`; how many. In the keeper's thread. */
	unsigned (*attend)(struct vshmi_transport *t, uint32_t departed[], unsigned most);
	/* The page size that a new region at this place needs: a power of two, at least VSHM_MIN_PAGE. */
	int (*page)(const struct vshmi_uri *uri, uint64_t *page, char *why);
};

struct vshmi_transport {
	const struct vshmi_transport_ops *ops;
	uint32_t facts;    /* VSHM_FACT_CACHED, VSHM_FACT_RMW, VSHM_FACT_ENFORCED */
	const char *way;   /* how it is reached, where there are several ways: "vfio"; NULL */
	char because[VSHM_WHY_SIZE]; /* why this way */
	bool same_kernel;  /* all who have this memory run under this kernel: futexes reach them */
	bool rings;	   /* it can ring others */
	int bell;	   /* a descriptor that becomes readable when this peer is rung; -1: nobody can ring it */
	int news;	   /* with `attend`: a descriptor that becomes readable when there is something to read; -1 */
	uint32_t doorbell; /* its address, by which a server knows this peer, and others ring it if it has a bell; UINT32_MAX: none */
	bool own_first; /* of several segments the first is this peer's own, the others follow in turn; else segment i is peer i's */
	uint32_t segment_count;
	struct vshmi_segment segment[VSHM_MAX_PEERS];
	void *state; /* the transport's own */
};

/* What open and create begin with: no segment, nobody who rings. */
static inline void vshmi_transport_init(struct vshmi_transport *t, void *state, uint32_t facts, bool same_kernel)
{
	t->state = state;
	t->facts = facts;
	t->same_kernel = same_kernel;
	t->way = NULL;
	t->because[0] = '\0';
	t->rings = false;
	t->bell = t->news = -1;
	t->doorbell = UINT32_MAX;
	t->own_first = false;
	t->segment_count = 0;
	memset(t->segment, 0, sizeof(t->segment));
}

/* Follows vshm: names and finds the transport of a URI. 0, -EINVAL, -ENOENT, -EACCES, -EIO. */
int vshmi_transport_find(const char *text, struct vshmi_uri *uri, const struct vshmi_transport_ops **ops, char *why);

/*
 * Makes [offset, offset + size) of a segment writable or read-only again; a mapping that cannot be split stays
 * writable. 0, -EINVAL (outside of what is mapped), -EACCES, -EIO.
 */
int vshmi_transport_protect(struct vshmi_transport *t, uint32_t segment, uint64_t offset, uint64_t size, bool writable);

#endif
