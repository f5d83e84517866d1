/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each client has to hear, in the order of the specification: the version, its id, the memory; the doorbells of those who
 * are there; its own, last; then who comes and who leaves. Each message is made from the difference between the table of what
 * it was told and what is so, at the moment when its socket has room: one who is told late hears nothing of clients
 * that came and went meanwhile, and no message waits anywhere but in a socket.
 */
#include "server/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#define PROTOCOL_VERSION 0
#define MEMORY_FOLLOWS (-1)

/* So many messages in one go: then others have their turn. */
#define BURST 128

struct message {
	int64_t value;
	int fd; /* -1: none */
	struct vshmi_told *told; /* to be noted when it was sent */
	struct vshmi_told then;
};

/* The specification's 64-bit little-endian number, with a descriptor or none. 0 or errno. */
static int send_message(int socket, const struct message *m)
{
	union {
		struct cmsghdr header;
		unsigned char room[CMSG_SPACE(sizeof(int))];
	} control;
	unsigned char bytes[8];
	struct iovec part = {bytes, sizeof(bytes)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)((uint64_t)m->value >> 8 * i);
	if (m->fd >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &m->fd, sizeof(m->fd));
	}
	do
		n = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	/* a stream socket takes 8 bytes whole or not at all */
	return n == sizeof(bytes) ? 0 : EIO;
}

static bool is_there(const struct vshmi_client *client)
{
	return client->fd >= 0 && !client->ending;
}

/* What a client does not know of a slot: that somebody left it, or another doorbell of who is there. */
static bool news_of(const struct vshm_server *server, uint32_t who, uint32_t of, struct message *m)
{
	const struct vshmi_client *other = &server->client[of];
	struct vshmi_told *told = vshmi_told(server, who, of);
	uint16_t id = (uint16_t)vshmi_id(other);

	if (told->count && (other->fd < 0 || told->id != id)) {
		*m = (struct message){told->id, -1, told, {0, 0}};
		return true;
	}
	if (!is_there(other) || told->count == server->vectors)
		return false;
	*m = (struct message){id, vshmi_bells(server, of)[told->count], told, {id, (uint8_t)(told->count + 1)}};
	return true;
}

/* The next of the slots to look at that has news; its own is not among them. */
static bool news_of_others(const struct vshm_server *server, uint32_t who, struct message *m)
{
	struct vshmi_client *client = &server->client[who];

	for (; client->left; client->left--) {
		if (client->at != who && news_of(server, who, client->at, m))
			return true;
		client->at = (client->at + 1) % server->slots;
	}
	return false;
}

static bool next_message(const struct vshm_server *server, uint32_t who, struct message *m)
{
	struct vshmi_client *client = &server->client[who];

	*m = (struct message){PROTOCOL_VERSION, -1, NULL, {0, 0}};
	switch (client->opening) {
	case 0:
		return true;
	case 1:
		m->value = vshmi_id(client);
		return true;
	case 2:
		m->value = MEMORY_FOLLOWS;
		m->fd = server->memory;
		return true;
	default:
		break;
	}
	if (news_of_others(server, who, m))
		return true;
	if (client->introduced)
		return false;
	client->introduced = !news_of(server, who, who, m);
	return !client->introduced;
}

static void note_sent(struct vshmi_client *client, const struct message *m)
{
	if (client->opening < 3)
		client->opening++;
	if (m->told)
		*m->told = m->then;
}

/* Epoll tells of room in the socket only while that is waited for. */
static void wait_for_room(const struct vshm_server *server, uint32_t slot, bool wait)
{
	struct vshmi_client *client = &server->client[slot];
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (wait ? (uint32_t)EPOLLOUT : 0), .data.u32 = slot};

	if (client->waits == wait)
		return;
	client->waits = wait;
	if (epoll_ctl(server->epoll, EPOLL_CTL_MOD, client->fd, &event))
		vshmi_client_end(client, VSHM_SERVER_DROPPED, VSHM_SERVER_FAILED);
}

/* ETOOMANYREFS: too many descriptors of ours lie in sockets, unread (unix(7)). */
static void not_sent(const struct vshm_server *server, uint32_t slot, int error)
{
	struct vshmi_client *client = &server->client[slot];

	if (error == EAGAIN)
		wait_for_room(server, slot, true);
	else if (error == EPIPE || error == ECONNRESET)
		vshmi_client_end(client, VSHM_SERVER_LEFT, VSHM_SERVER_NO_REASON);
	else if (error == ETOOMANYREFS || error == ENOMEM || error == ENOBUFS)
		vshmi_client_end(client, VSHM_SERVER_DROPPED, VSHM_SERVER_DESCRIPTORS);
	else
		vshmi_client_end(client, VSHM_SERVER_DROPPED, VSHM_SERVER_FAILED);
}

void vshmi_tell(struct vshm_server *server, uint32_t slot)
{
	struct vshmi_client *client = &server->client[slot];
	struct message m;
	int error;

	if (!is_there(client))
		return;
	for (unsigned i = 0; i < BURST; i++) {
		if (!next_message(server, slot, &m)) {
			wait_for_room(server, slot, false);
			return;
		}
		error = send_message(client->fd, &m);
		if (error) {
			not_sent(server, slot, error);
			return;
		}
		note_sent(client, &m);
	}
	wait_for_room(server, slot, true);
}

void vshmi_tell_others(struct vshm_server *server, uint32_t about)
{
	for (uint32_t slot = 0; slot < server->slots; slot++) {
		struct vshmi_client *client = &server->client[slot];

		if (slot == about || client->fd < 0)
			continue;
		if (client->left) { /* in the middle of a round: once more, all of them */
			client->left = server->slots;
		} else {
			client->at = about;
			client->left = 1;
		}
		if (!client->waits)
			vshmi_tell(server, slot);
	}
}
