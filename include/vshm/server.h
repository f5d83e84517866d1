/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An ivshmem server: hands one memory, and a doorbell to each other client, to those who may connect to a Unix socket:
 * QEMU's ivshmem-doorbell devices, and "server:" regions of this library. Protocol: QEMU docs/specs/ivshmem-spec.rst,
 * "Client-Server protocol", version 0.
 *
 * The server never reads the memory, and writes nothing there but the pages that `pages_offset` gives it. It has no thread:
 * the program polls one descriptor and calls vshm_server_dispatch(). A server is for one thread at a time; different servers are
 * independent. After a fork only one of the two processes may go on with it.
 */
#ifndef VSHM_SERVER_H
#define VSHM_SERVER_H

#include <vshm/types.h>

VSHM_BEGIN_DECLS

struct vshm_server;

#define VSHM_SERVER_VECTORS_MAX 64   /* what existing clients take */
#define VSHM_SERVER_CLIENTS_MAX 1024 /* at a time */
#define VSHM_SERVER_ACCESS_MAX 1024  /* users, and as many groups, on an access list */
#define VSHM_SERVER_BATCH 16	     /* one dispatch gives out at most so many ids */

/* ---- what happens ---- */

enum vshm_server_change {
	VSHM_SERVER_JOINED = 1,	 /* was let in, and has its id */
	VSHM_SERVER_LEFT = 2,	 /* closed its connection, or died */
	VSHM_SERVER_REFUSED = 3, /* was not let in: got nothing */
	VSHM_SERVER_DROPPED = 4, /* was thrown out; what it got before, it keeps */
};

enum vshm_server_reason {
	VSHM_SERVER_NO_REASON = 0,
	/* refused: */
	VSHM_SERVER_ACCESS = 1,	     /* not on the access list */
	VSHM_SERVER_FULL = 2,	     /* so many clients as there may be */
	VSHM_SERVER_USER_FULL = 3,   /* so many clients of this user as there may be */
	VSHM_SERVER_DESCRIPTORS = 4, /* this process may not open so many descriptors, or has no memory; dropped, too */
	VSHM_SERVER_IDS = 5,	     /* all ids, or all that this user may have, were seen by clients that are still there */
	VSHM_SERVER_SHUT = 6,	     /* VSHM_SERVER_ADMIT_NONE */
	/* dropped: */
	VSHM_SERVER_SPOKE = 7, /* sent something: no client may; refused, too, if it did at once */
	VSHM_SERVER_SLOW = 8,  /* did not read its introduction for 10 s */
	VSHM_SERVER_FAILED = 9, /* the system could not pass it a message */
};

/*
 * A reason in words. Returns a constant string, never NULL. Any thread, never blocks.
 */
VSHM_API const char *vshm_server_reason_text(enum vshm_server_reason reason);

/* Who came, went, or was not let in. User, group and process are those that the kernel noted when it connected. */
struct vshm_server_event {
	size_t struct_size;
	enum vshm_server_change change;
	enum vshm_server_reason reason;
	uint32_t id; /* UINT32_MAX: was refused, and has none */
	uint32_t uid, gid;
	uint32_t pid; /* for messages only: another process may have it by now. 0: of another pid namespace */
};

/*
 * Receives an event, valid only during the call. Called from vshm_server_dispatch() and vshm_server_close(), in their
 * thread; may call vshm_server_info() and nothing else on this server.
 */
typedef void (*vshm_server_event_fn)(void *arg, const struct vshm_server_event *event);

/* ---- open and close ---- */

#define VSHM_SERVER_ADMIT_NONE 1u /* those who are there stay, nobody else is let in */

struct vshm_server_options {
	size_t struct_size;
	uint32_t flags;		   /* VSHM_SERVER_ADMIT_… */
	uint32_t vectors;	   /* doorbells of each client, 1 .. VSHM_SERVER_VECTORS_MAX */
	uint32_t clients;	   /* most at a time, 1 .. VSHM_SERVER_CLIENTS_MAX */
	uint32_t clients_per_user; /* most of one user; 0: half of `clients`, and 16 if that is more */
	uint32_t ids_per_user;	   /* most ids of one user that those who are there have seen; 0: 32768, half of them all */
	uint32_t first_id;	   /* 0 .. 65535: what a server before this one said was next (vshm_server_info()) */
	uint32_t mode;		   /* permission bits of the socket, 0 .. 0777; to connect is to write */
	uint32_t uid, gid;	   /* owner of the socket; UINT32_MAX: as it comes */
	/* Who may connect: these users, and members of these groups. Both lists empty: whoever the mode lets in. */
	const uint32_t *allow_uids;
	size_t allow_uid_count;
	const uint32_t *allow_gids;
	size_t allow_gid_count;
	vshm_server_event_fn event; /* NULL: nobody is told */
	void *event_arg;
	/*
	 * Where in the memory the server tells what became of its clients: struct vshm_server_page of layout.h, at
	 * VSHM_SERVER_OFFSET in a flat region. Programs in guests learn there that another machine is gone. 0: nowhere, and the
	 * memory is not touched. Those pages are mapped, under the guard against SIGBUS that VSHM_OPEN_GUARD installs:
	 * whoever has the memory can truncate it.
	 */
	uint64_t pages_offset;
};
#define VSHM_SERVER_OPTIONS_INIT                                                                   \
	{                                                                                          \
		sizeof(struct vshm_server_options), 0, 1, 128, 0, 0, 0, 0600, UINT32_MAX, UINT32_MAX, NULL, 0, NULL, \
			0, NULL, NULL, 0                                                              \
	}

/*
 * Listens at a new socket. Nobody can connect before it has its owner and mode. A socket that is there is replaced when
 * it is this user's (or the caller is root) and nobody listens; anything else that is there, a symbolic link too, is left
 * alone. The directory must belong to root or the caller, and others must not be able to rename in it.
 * `path`: absolute or relative, at most 107 bytes. `memory`: a file, a file of hugetlbfs, or a memfd, open for reading and
 * writing; the server keeps a copy of the descriptor, and the caller closes its own. Whoever gets it can truncate what is
 * not sealed. QEMU takes only sizes that are a power of two. `options`: NULL for defaults; copied, the lists too.
 * `why`: NULL, or VSHM_WHY_SIZE bytes for one line on failure.
 * On success *server is owned by the caller: vshm_server_close(). Blocks only for what the file system takes. Of two
 * processes that open the same path in the same instant, both can succeed, and clients reach one of them.
 * Errors: -EINVAL, -E2BIG, -EBUSY (a server listens there), -EEXIST (something else is there), -ENOENT (no such directory),
 * -EACCES (no permission, or a directory that is not safe), -ENOMEM (no memory, or no descriptors), -ENOSPC, -EIO.
 */
VSHM_API VSHM_MUST_USE int vshm_server_open(const char *path, int memory, const struct vshm_server_options *options,
					    struct vshm_server **server, char *why);

/*
 * The same on a listening Unix stream socket, as systemd passes one: mode and owner in the options do not matter.
 * On success `listener` belongs to the server, is made non-blocking and closed with it; its name in the file system stays.
 * Errors: -EINVAL (not such a socket, too), -E2BIG, -ENOMEM, -EIO.
 */
VSHM_API VSHM_MUST_USE int vshm_server_adopt(int listener, int memory, const struct vshm_server_options *options,
					     struct vshm_server **server, char *why);

/*
 * Drops all clients, with VSHM_SERVER_LEFT for each, and removes the socket if it is still the one that was made. The
 * clients keep the memory and each other's doorbells. Never blocks.
 * Errors: -EINVAL (NULL, or called from an event).
 */
VSHM_API int vshm_server_close(struct vshm_server *server);

/*
 * Other limits, flags and access list, for clients that come later: those who are there stay. Of `options` (NULL for
 * defaults), vectors, first_id, mode, uid, gid and pages_offset do not matter, and `clients` must not be more than at open.
 * Never blocks. Errors: -EINVAL, -E2BIG, -ENOMEM; then nothing is changed.
 */
VSHM_API VSHM_MUST_USE int vshm_server_update(struct vshm_server *server, const struct vshm_server_options *options);

/* ---- run ---- */

/*
 * A descriptor for poll(2), epoll(7) and event loops: readable when vshm_server_dispatch() has something to do. The same
 * one at each call; it belongs to the server. Never blocks. Errors: -EINVAL.
 */
VSHM_API VSHM_MUST_USE int vshm_server_fd(const struct vshm_server *server);

/*
 * Does what there is to do, but no more than a bounded piece of it: then the descriptor stays readable. Never blocks,
 * whatever clients do. Ids count up from first_id to 65535, then from 0; one is not given out again while a client is
 * there that can have seen who had it before, because QEMU 7.2 corrupts its memory then. So that no user can use them all
 * up by coming and going, each has a part of them only (ids_per_user).
 * Errors: -EINVAL (NULL, or called from an event), -EIO (the system fails: close the server).
 */
VSHM_API VSHM_MUST_USE int vshm_server_dispatch(struct vshm_server *server);

struct vshm_server_info {
	size_t struct_size;
	uint32_t clients; /* now */
	uint32_t next_id; /* for the next client, or the next server at this place */
	uint64_t joined, left, refused, dropped; /* since the server was opened */
};
#define VSHM_SERVER_INFO_INIT                                                                      \
	{                                                                                          \
		sizeof(struct vshm_server_info), 0, 0, 0, 0, 0, 0                                  \
	}

/*
 * Fills `info`, whose struct_size is set. For a program that keeps next_id against its own death: before each dispatch,
 * have a number written down that is VSHM_SERVER_BATCH or more ahead. Never blocks. Errors: -EINVAL, -E2BIG.
 */
VSHM_API VSHM_MUST_USE int vshm_server_info(const struct vshm_server *server, struct vshm_server_info *info);

VSHM_END_DECLS

#endif
