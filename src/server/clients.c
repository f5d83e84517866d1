/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How clients come and go. Before anything is given to one it is known who it is, whether it may, and whether there is
 * room: a slot, an id, descriptors. Whoever goes is only marked, and goes when all that happened has been looked at, so
 * that nothing here calls itself, and a slot is never somebody else's in the middle of a round.
 */
#include "server/server.h"

#include "os/os.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTRODUCTION_NS (INT64_C(10) * 1000 * 1000 * 1000)

/*
 * The smallest buffer that the kernel gives a socket (socket(7)) holds 6 messages. What is in there counts against the
 * descriptors that a user may have under way (RLIMIT_NOFILE, unix(7)), so one who does not read must not have much there.
 */
#define SMALLEST_BUFFER 1
#define UNDER_WAY 8u

/* Descriptors that are left for the rest of the program. */
#define RESERVE 16u

static void tell_event(struct vshm_server *server, enum vshm_server_change change, enum vshm_server_reason reason,
		       uint32_t id, const struct vshmi_caller *who)
{
	const struct vshm_server_event event = {sizeof(event), change, reason, id, who->uid, who->gid, who->pid};

	if (server->event)
		server->event(server->event_arg, &event);
}

/* ---- in ---- */

static uint32_t count_of_user(const struct vshm_server *server, uint32_t uid)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < server->slots; i++)
		count += server->client[i].fd >= 0 && server->client[i].who.uid == uid;
	return count;
}

/* Would one more client be too much for what this process may open, or have under way? */
static bool descriptors_left(const struct vshm_server *server)
{
	uint64_t clients = server->info.clients + 1u;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return false;
	return clients * (1 + server->vectors) + RESERVE <= limit.rlim_cur && clients * UNDER_WAY <= limit.rlim_cur;
}

/* The first serial that anybody who is there can have seen; the next one when nobody is. */
static uint64_t oldest_seen(const struct vshm_server *server)
{
	uint64_t oldest = server->next;

	for (uint32_t i = 0; i < server->slots; i++)
		if (server->client[i].fd >= 0 && server->client[i].oldest < oldest)
			oldest = server->client[i].oldest;
	return oldest;
}

static uint64_t oldest_there(const struct vshm_server *server)
{
	uint64_t oldest = server->next;

	for (uint32_t i = 0; i < server->slots; i++)
		if (server->client[i].fd >= 0 && server->client[i].serial < oldest)
			oldest = server->client[i].serial;
	return oldest;
}

/* May this user have another id? Not while those who are there can have seen so many of its own, or all that there are. */
static bool id_left(const struct vshm_server *server, uint32_t uid)
{
	uint64_t oldest = oldest_seen(server), seen = server->next - oldest;
	uint32_t count = 0;

	if (seen >= VSHMI_IDS || seen < server->most_ids_of_one)
		return seen < VSHMI_IDS;
	for (uint64_t serial = oldest; serial < server->next; serial++)
		count += server->user[serial % VSHMI_IDS] == uid;
	return count < server->most_ids_of_one;
}

static enum vshm_server_reason judge(const struct vshm_server *server, int fd, const struct vshmi_caller *who)
{
	if (server->flags & VSHM_SERVER_ADMIT_NONE)
		return VSHM_SERVER_SHUT;
	if (!vshmi_access_allows(&server->access, fd, who))
		return VSHM_SERVER_ACCESS;
	if (count_of_user(server, who->uid) >= server->most_of_one)
		return VSHM_SERVER_USER_FULL;
	if (server->info.clients >= server->most)
		return VSHM_SERVER_FULL;
	if (!id_left(server, who->uid))
		return VSHM_SERVER_IDS;
	return descriptors_left(server) ? VSHM_SERVER_NO_REASON : VSHM_SERVER_DESCRIPTORS;
}

static void close_bells(int *bells, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		vshmi_eventfd_close(bells[i]);
}

static bool open_bells(int *bells, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		bells[i] = vshmi_eventfd_open();
		if (bells[i] < 0) {
			close_bells(bells, i);
			return false;
		}
	}
	return true;
}

static uint32_t free_slot(const struct vshm_server *server)
{
	uint32_t slot = 0;

	while (server->client[slot].fd >= 0) /* there is one: judge() */
		slot++;
	return slot;
}

static bool listen_to(const struct vshm_server *server, int fd, uint32_t slot)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = slot};
	int size = SMALLEST_BUFFER;

	return !setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) &&
	       !epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

static bool admit(struct vshm_server *server, int fd, const struct vshmi_caller *who)
{
	uint32_t slot = free_slot(server);
	struct vshmi_client *client = &server->client[slot];

	if (!open_bells(vshmi_bells(server, slot), server->vectors))
		return false;
	if (!listen_to(server, fd, slot)) {
		close_bells(vshmi_bells(server, slot), server->vectors);
		return false;
	}
	*client = (struct vshmi_client){.fd = fd,
					.who = *who,
					.serial = server->next,
					.oldest = oldest_there(server),
					.left = server->slots,
					.deadline_ns = vshmi_clock_ns() + INTRODUCTION_NS};
	server->user[vshmi_id(client)] = who->uid;
	server->next++;
	server->info.clients++;
	server->info.joined++;
	vshmi_pages_tell(&server->pages, vshmi_id(client), VSHM_CLIENT_HERE); /* before it knows its id */
	tell_event(server, VSHM_SERVER_JOINED, VSHM_SERVER_NO_REASON, vshmi_id(client), who);
	vshmi_tell(server, slot);
	vshmi_tell_others(server, slot);
	return true;
}

/* One who closed while it waited in the queue costs no id, and nobody is told of it; nor does one who spoke already. */
static void receive_caller(struct vshm_server *server, int fd)
{
	struct vshmi_caller who = {UINT32_MAX, UINT32_MAX, 0};
	enum vshm_server_reason reason = VSHM_SERVER_SPOKE;
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n == 0) {
		close(fd);
		return;
	}
	if (vshmi_access_caller(fd, &who))
		reason = VSHM_SERVER_ACCESS;
	else if (n < 0)
		reason = judge(server, fd, &who);
	if (!reason && admit(server, fd, &who))
		return;
	close(fd);
	server->info.refused++;
	tell_event(server, VSHM_SERVER_REFUSED, reason ? reason : VSHM_SERVER_DESCRIPTORS, UINT32_MAX, &who);
}

static int accept_one(const struct vshm_server *server)
{
	int fd;

	do
		fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/*
 * No descriptor is left: one that was kept makes room to take a connection and close it, so that its client knows, and
 * the queue does not stay full. 0, or the error of accept(2), which says EMFILE before it says that nobody waits.
 */
static int turn_away(struct vshm_server *server)
{
	struct vshmi_caller who = {UINT32_MAX, UINT32_MAX, 0};
	int fd;

	close(server->spare);
	fd = accept_one(server);
	if (fd >= 0) {
		(void)vshmi_access_caller(fd, &who);
		close(fd);
		server->info.refused++;
		tell_event(server, VSHM_SERVER_REFUSED, VSHM_SERVER_DESCRIPTORS, UINT32_MAX, &who);
	}
	server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fd : 0;
}

static void turn_deaf(struct vshm_server *server)
{
	struct epoll_event event = {.events = 0, .data.u32 = VSHMI_AT_LISTENER};

	server->deaf = !epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener.fd, &event);
}

/* One connection that waits. 0, or why there is no further one now: -EAGAIN when that is all. */
static int take_one(struct vshm_server *server)
{
	int fd = accept_one(server);
	bool full = fd == -EMFILE || fd == -ENFILE;

	if (fd >= 0)
		receive_caller(server, fd);
	if (fd >= 0 || fd == -ECONNABORTED)
		return 0;
	return full && server->spare >= 0 ? turn_away(server) : fd;
}

void vshmi_clients_accept(struct vshm_server *server)
{
	int error = 0;

	for (unsigned i = 0; i < VSHM_SERVER_BATCH && !error; i++)
		error = take_one(server);
	if (error && error != -EAGAIN)
		turn_deaf(server);
}

/* ---- out ---- */

void vshmi_client_end(struct vshmi_client *client, enum vshm_server_change change, enum vshm_server_reason reason)
{
	if (client->ending)
		return;
	client->ending = change;
	client->reason = reason;
}

/*
 * A client has nothing to say. What it sends is looked at only to tell a byte from the end, and never received: descriptors that
 * come with it are closed by the kernel, with the socket. Something that is there and cannot be seen (MSG_OOB) is a byte, too.
 */
void vshmi_client_attend(struct vshm_server *server, uint32_t slot, uint32_t events)
{
	struct vshmi_client *client = &server->client[slot];
	char byte;
	ssize_t n;

	if (client->fd < 0 || client->ending)
		return;
	if (events & (uint32_t)~EPOLLOUT) {
		n = recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n > 0 || (n < 0 && errno == EAGAIN))
			vshmi_client_end(client, VSHM_SERVER_DROPPED, VSHM_SERVER_SPOKE);
		else if (n == 0 || errno != EINTR)
			vshmi_client_end(client, VSHM_SERVER_LEFT, VSHM_SERVER_NO_REASON);
	} else {
		vshmi_tell(server, slot);
	}
}

static void remove_client(struct vshm_server *server, uint32_t slot)
{
	struct vshmi_client *client = &server->client[slot];
	const struct vshmi_client gone = *client;

	close(client->fd);
	close_bells(vshmi_bells(server, slot), server->vectors);
	memset(vshmi_told(server, slot, 0), 0, server->slots * sizeof(struct vshmi_told));
	*client = (struct vshmi_client){.fd = -1};
	server->info.clients--;
	vshmi_pages_tell(&server->pages, vshmi_id(&gone),
			 gone.ending == VSHM_SERVER_DROPPED ? VSHM_CLIENT_DROPPED : VSHM_CLIENT_LEFT);
	if (gone.ending == VSHM_SERVER_DROPPED)
		server->info.dropped++;
	else
		server->info.left++;
	tell_event(server, gone.ending, gone.reason, vshmi_id(&gone), &gone.who);
}

void vshmi_clients_sweep(struct vshm_server *server)
{
	bool any = true;

	/* telling the others can end some of these: at most all of them */
	while (any) {
		any = false;
		for (uint32_t slot = 0; slot < server->slots; slot++) {
			if (server->client[slot].fd < 0 || !server->client[slot].ending)
				continue;
			remove_client(server, slot);
			vshmi_tell_others(server, slot);
			any = true;
		}
	}
}

bool vshmi_clients_hurry(struct vshm_server *server, int64_t now_ns)
{
	bool any = false;

	for (uint32_t slot = 0; slot < server->slots; slot++) {
		struct vshmi_client *client = &server->client[slot];

		if (client->fd < 0 || client->introduced)
			continue;
		if (now_ns >= client->deadline_ns)
			vshmi_client_end(client, VSHM_SERVER_DROPPED, VSHM_SERVER_SLOW);
		any = true;
	}
	return any;
}

void vshmi_clients_close(struct vshm_server *server)
{
	for (uint32_t slot = 0; slot < server->slots; slot++) {
		if (server->client[slot].fd < 0)
			continue;
		vshmi_client_end(&server->client[slot], VSHM_SERVER_LEFT, VSHM_SERVER_NO_REASON);
		remove_client(server, slot);
	}
}
