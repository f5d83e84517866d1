/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server: an ivshmem server. It listens at a Unix socket, and tells each client who the others are. What each
 * client knows is kept as a table, not as a queue: what is still to be said follows from the difference between what is so
 * and what it was told, so that one who does not read costs nothing more. Bytes of clients are never read: whoever sends any
 * is dropped. Of the memory nothing is mapped but the pages in which the server tells of its clients, and those are only written.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "wire/wire.h"

#include <vshm/error.h>
#include <vshm/server.h>

#include <limits.h>
#include <sys/types.h>

#define VSHMI_IDS 65536u

/* ---- listener.c: the socket ---- */

struct vshmi_listener {
	int fd;
	int dir; /* that holds the name; -1: the socket was handed in */
	char name[108]; /* sun_path of unix(7) */
	dev_t device;
	ino_t inode; /* of the socket that was made */
};

int vshmi_listener_open(struct vshmi_listener *listener, const char *path, const struct vshm_server_options *options,
			char *why);
int vshmi_listener_adopt(struct vshmi_listener *listener, int fd, char *why);
void vshmi_listener_close(struct vshmi_listener *listener);

/* ---- access.c: who is it, and may it come in ---- */

struct vshmi_caller {
	uint32_t uid, gid, pid;
};

struct vshmi_access {
	uint32_t *ids; /* users, then groups; NULL: everybody */
	size_t users, groups;
};

int vshmi_access_init(struct vshmi_access *access, const struct vshm_server_options *options);
void vshmi_access_fini(struct vshmi_access *access);

/* Who is at the other end of a connection. 0 or -EIO. */
int vshmi_access_caller(int fd, struct vshmi_caller *caller);
bool vshmi_access_allows(const struct vshmi_access *access, int fd, const struct vshmi_caller *caller);

/* ---- pages.c: what is told in the memory ---- */

struct vshmi_pages {
	struct vshmi_shared_server *shared; /* NULL: nothing is told there */
	unsigned char *base; /* of the mapping */
	uint64_t size;
	uint64_t *state; /* what was told: a copy, so that the memory is never read */
	uint32_t gone;	 /* the memory was cut off, and this is written to nowhere; atomic */
};

/* Begins a life at `offset` of the memory; 0: there are no pages. On failure vshmi_pages_close() is still to be called. */
int vshmi_pages_open(struct vshmi_pages *pages, int memory, uint64_t offset, char *why);
void vshmi_pages_close(struct vshmi_pages *pages);
void vshmi_pages_tell(struct vshmi_pages *pages, uint32_t id, enum vshm_client_state state);

/* ---- the server ---- */

struct vshmi_client {
	int fd; /* -1: a free slot */
	struct vshmi_caller who;
	uint64_t serial; /* counts up for ever; the id is the rest modulo VSHMI_IDS */
	uint64_t oldest; /* the first serial that it can have seen */
	unsigned opening; /* messages sent of: version, id, memory */
	unsigned at, left; /* slots to look at for what it does not know: the next one, and how many */
	bool introduced; /* it has its own doorbells, which come last */
	bool waits; /* its socket was full: epoll tells when it is not */
	int64_t deadline_ns; /* for its introduction */
	enum vshm_server_change ending; /* left or dropped, at the end of this dispatch; 0: stays */
	enum vshm_server_reason reason;
};

/* What one client was told of a slot: whose doorbells, and how many of them. */
struct vshmi_told {
	uint16_t id;
	uint8_t count; /* 0: nothing, or that it left */
};

struct vshm_server {
	struct vshmi_listener listener;
	struct vshmi_access access;
	struct vshmi_pages pages;
	int epoll, timer, memory;
	int spare; /* is given up to take and close a connection when no descriptor is left; -1 */
	bool deaf; /* not listening for a while */
	bool busy; /* in a call that tells events */
	int64_t tick_ns; /* what the timer is set to; 0: off */
	uint32_t vectors, slots;
	uint32_t flags, most, most_of_one, most_ids_of_one;
	vshm_server_event_fn event;
	void *event_arg;
	uint64_t next; /* serial */
	struct vshm_server_info info;
	struct vshmi_client *client; /* [slots] */
	int *bell; /* [slots][vectors] */
	struct vshmi_told *told; /* [slots][slots]: what the first knows of the second */
	uint32_t *user; /* [VSHMI_IDS]: who had this id last */
};

/* epoll's word for what is no client */
#define VSHMI_AT_LISTENER UINT32_MAX
#define VSHMI_AT_TIMER (UINT32_MAX - 1)

static inline struct vshmi_told *vshmi_told(const struct vshm_server *server, uint32_t who, uint32_t of)
{
	return &server->told[(size_t)who * server->slots + of];
}

static inline int *vshmi_bells(const struct vshm_server *server, uint32_t slot)
{
	return &server->bell[(size_t)slot * server->vectors];
}

static inline uint32_t vshmi_id(const struct vshmi_client *client)
{
	return (uint32_t)(client->serial % VSHMI_IDS);
}

/* ---- tell.c: what each client has to hear ---- */

/* Sends what a client does not know, as far as its socket takes it. */
void vshmi_tell(struct vshm_server *server, uint32_t slot);

/* Something changed in `about`: all others hear of it. */
void vshmi_tell_others(struct vshm_server *server, uint32_t about);

/* ---- clients.c: in and out ---- */

/* Takes connections that wait, VSHM_SERVER_BATCH at most. */
void vshmi_clients_accept(struct vshm_server *server);

/* Something happened at a client's socket: epoll events. */
void vshmi_client_attend(struct vshm_server *server, uint32_t slot, uint32_t events);

/* This client goes at the end of the dispatch. */
void vshmi_client_end(struct vshmi_client *client, enum vshm_server_change change, enum vshm_server_reason reason);

/* Lets those go who are to go. */
void vshmi_clients_sweep(struct vshm_server *server);

/* Who is still not introduced when it should be is dropped. Is there anybody to wait for? */
bool vshmi_clients_hurry(struct vshm_server *server, int64_t now_ns);

/* Everybody out. */
void vshmi_clients_close(struct vshm_server *server);

#endif
