/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A region behind an ivshmem server, for a process of the host (QEMU docs/specs/ivshmem-spec.rst, "Interrupts" and "Client-Server
 * protocol"): the server passes the memory, an eventfd by which this peer is rung, and one for each other peer. Everything it
 * says is checked; what it says later is read by the keeper. When it goes, those who know each other go on.
 */
#include "transport/list.h"

#include "os/os.h"

#include <vshm/layout.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROTOCOL_VERSION 0
#define CONNECT_NS (INT64_C(5) * 1000 * 1000 * 1000)
#define RETRY_NS (INT64_C(10) * 1000 * 1000)
#define MEMORY_FOLLOWS (-1)

/* As many others can be rung: a region has 64 peers, and a server may have clients that are none. */
#define MOST_CLIENTS 256

struct client {
	uint32_t id; /* UINT32_MAX: free place */
	int bell;    /* its first vector */
};

struct server {
	int socket; /* -1: it is gone */
	int memory;
	unsigned char part[8]; /* of a message */
	unsigned parts;
	int passed; /* the descriptor that came with the part; -1 */
	unsigned heard; /* messages */
	uint32_t departed[MOST_CLIENTS]; /* since the keeper was told */
	unsigned departed_count;
	struct vshmi_ringer ringer; /* under the lock */
	struct vshmi_mutex lock; /* of the clients: whoever rings must not find another's descriptor; held for an instant */
	struct client client[MOST_CLIENTS]; /* written by the keeper alone */
};

static int init(struct vshmi_transport *t, char *why)
{
	struct server *server = vshmi_alloc(sizeof(*server));

	vshmi_transport_init(t, server, VSHM_FACT_CACHED | VSHM_FACT_RMW, true);
	if (!server)
		return vshmi_why(why, -ENOMEM, "out of memory");
	server->socket = server->memory = server->passed = -1;
	for (unsigned i = 0; i < MOST_CLIENTS; i++)
		server->client[i] = (struct client){UINT32_MAX, -1};
	vshmi_ringer_open(&server->ringer);
	return 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void server_close(struct vshmi_transport *t)
{
	struct server *server = t->state;

	if (!server)
		return;
	vshmi_unmap(t->segment[0].base, t->segment[0].size);
	for (unsigned i = 0; i < MOST_CLIENTS; i++)
		close_one(&server->client[i].bell);
	close_one(&t->bell);
	vshmi_ringer_close(&server->ringer);
	close_one(&server->passed);
	close_one(&server->memory);
	close_one(&server->socket);
	vshmi_free(server);
	t->state = NULL;
	t->news = -1;
	t->segment_count = 0;
	memset(t->segment, 0, sizeof(t->segment));
}

/* ---- what the server says ---- */

static struct client *find(struct server *server, uint32_t id)
{
	for (unsigned i = 0; i < MOST_CLIENTS; i++)
		if (server->client[i].id == id)
			return &server->client[i];
	return NULL;
}

/* Another eventfd of a client. Only the first vector is used; a place that is free has the id UINT32_MAX. */
static void add_bell(struct server *server, uint32_t id, int fd)
{
	struct client *client = find(server, id), *place = client ? NULL : find(server, UINT32_MAX);

	if (!place) {
		close(fd);
		return;
	}
	vshmi_lock(&server->lock);
	*place = (struct client){id, fd};
	vshmi_unlock(&server->lock);
}

static void note_departure(struct server *server, uint32_t id)
{
	struct client *client = find(server, id);

	if (!client)
		return;
	vshmi_lock(&server->lock);
	close(client->bell);
	*client = (struct client){UINT32_MAX, -1};
	vshmi_unlock(&server->lock);
	if (server->departed_count < MOST_CLIENTS)
		server->departed[server->departed_count++] = id;
}

static int take_memory(struct vshmi_transport *t, int fd)
{
	struct server *server = t->state;
	struct stat st;
	uint64_t unit;
	int error;

	if (server->memory >= 0) {
		close(fd);
		return -EPROTO;
	}
	server->memory = fd;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < VSHM_SUPERBLOCK_SIZE)
		return -EPROTO;
	unit = vshmi_map_unit(fd);
	t->segment[0].size = vshmi_align_down((uint64_t)st.st_size, unit);
	t->segment[0].base = vshmi_map(fd, t->segment[0].size, false, unit > VSHM_MIN_PAGE ? unit : VSHM_MIN_PAGE, &error);
	if (!t->segment[0].base)
		return error;
	t->segment[0].can_write = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
	t->segment_count = 1;
	return 0;
}

static int take_bell(struct vshmi_transport *t, uint32_t id, int fd)
{
	if (!vshmi_is_eventfd(fd)) {
		close(fd);
		return -EPROTO;
	}
	if (id != t->doorbell)
		add_bell(t->state, id, fd);
	else if (t->bell < 0)
		t->bell = fd;
	else
		close(fd); /* another vector of ours */
	return 0;
}

/* Message by message: the version, our id, the memory; then eventfds, and departures. `fd` becomes ours. */
static int take_message(struct vshmi_transport *t, int64_t value, int fd)
{
	struct server *server = t->state;
	unsigned number = server->heard < 3 ? server->heard++ : 3;

	if (number == 0 && (value != PROTOCOL_VERSION || fd >= 0))
		value = INT64_MIN;
	else if (number == 0)
		return 0;
	if (number == 1 && value >= 0 && value <= UINT16_MAX && fd < 0) {
		t->doorbell = (uint32_t)value;
		return 0;
	}
	if (number >= 2 && value == MEMORY_FOLLOWS && fd >= 0)
		return take_memory(t, fd);
	if (number == 3 && value >= 0 && value <= UINT16_MAX) {
		if (fd >= 0)
			return take_bell(t, (uint32_t)value, fd);
		note_departure(server, (uint32_t)value);
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return -EPROTO;
}

/* One message, if there is a whole one. 1; 0: none there yet; -EPIPE: the server is gone; -EPROTO. */
static int hear(struct vshmi_transport *t)
{
	struct server *server = t->state;
	int fd, passed, n = vshmi_socket_receive(server->socket, server->part + server->parts, 8 - server->parts, &passed);
	int64_t value;

	if (n < 0)
		return n == -EAGAIN ? 0 : n;
	if (passed >= 0 && server->passed >= 0) {
		close(passed);
		return -EPROTO;
	}
	if (passed >= 0)
		server->passed = passed;
	server->parts += (unsigned)n;
	if (server->parts < 8)
		return 1;
	memcpy(&value, server->part, sizeof(value));
	fd = server->passed;
	server->passed = -1;
	server->parts = 0;
	n = take_message(t, value, fd);
	return n ? n : 1;
}

/* Until this peer can be rung: its own eventfds come last. */
static int introduce(struct vshmi_transport *t, const char *path, char *why)
{
	struct server *server = t->state;
	int64_t give_up = vshmi_clock_ns() + CONNECT_NS, left;
	int rc = 0;

	while (rc >= 0 && t->bell < 0) {
		rc = hear(t);
		left = give_up - vshmi_clock_ns();
		if (rc >= 0 && left <= 0) /* also of one that talks and talks */
			rc = -ETIMEDOUT;
		else if (!rc)
			(void)vshmi_poll(&server->socket, 1, left);
	}
	if (rc == -ETIMEDOUT)
		return vshmi_why(why, -EIO, "%s accepts the connection and does not come to an end with its introduction: is it an ivshmem server?", path);
	if (rc == -EPIPE)
		return vshmi_why(why, -EACCES, "the server at %s refuses this process (who may connect: allow=), is full, or has just ended", path);
	if (rc < 0)
		return vshmi_why(why, rc, "what the server at %s says is not the ivshmem protocol", path);
	return t->segment[0].base ? 0 : vshmi_why(why, -EPROTO, "the server at %s passed no memory", path);
}

/* A server whose queue is full has it empty again in no time, unless it hangs. */
static int connect_patiently(const char *path)
{
	int64_t give_up = vshmi_clock_ns() + CONNECT_NS;
	int fd;

	while ((fd = vshmi_socket_connect(path)) == -EBUSY && vshmi_clock_ns() < give_up)
		vshmi_sleep_ns(RETRY_NS);
	return fd;
}

static int server_open(struct vshmi_transport *t, const struct vshmi_uri *uri, bool observe, char *why)
{
	struct server *server;
	int error = init(t, why);

	(void)observe;
	if (error)
		return error;
	server = t->state;
	server->socket = connect_patiently(uri->path);
	if (server->socket < 0)
		error = vshmi_why(why, server->socket, "cannot connect to %s: %s", uri->path,
				  server->socket == -ENOENT ? "no server listens there (vshmctl serve)" :
				  server->socket == -EBUSY  ? "the server is too busy" :
							      "it is not a socket for you");
	if (!error)
		error = introduce(t, uri->path, why);
	if (error) {
		server_close(t);
		return error;
	}
	t->news = server->socket;
	t->rings = true;
	return 0;
}

/* ---- while the region is open ---- */

static int server_ring(struct vshmi_transport *t, uint32_t doorbell)
{
	struct server *server = t->state;
	struct client *client;

	if (doorbell > UINT16_MAX)
		return -ENOENT;
	vshmi_lock(&server->lock);
	client = find(server, doorbell);
	if (client)
		vshmi_ringer_ring(&server->ringer, client->bell);
	vshmi_unlock(&server->lock);
	return client ? 0 : -ENOENT;
}

static bool server_knows(struct vshmi_transport *t, uint32_t doorbell)
{
	struct server *server = t->state;
	bool found;

	vshmi_lock(&server->lock);
	found = doorbell <= UINT16_MAX && find(server, doorbell);
	vshmi_unlock(&server->lock);
	return found;
}

static unsigned server_attend(struct vshmi_transport *t, uint32_t departed[], unsigned most)
{
	struct server *server = t->state;
	unsigned count;
	int rc = 1;

	/* bounded: a server that floods is heard again at the next beat */
	for (unsigned i = 0; rc > 0 && i < MOST_CLIENTS && server->socket >= 0; i++)
		rc = hear(t);
	if (rc < 0) {
		close_one(&server->socket);
		t->news = -1;
	}
	count = server->departed_count < most ? server->departed_count : most;
	memcpy(departed, server->departed, count * sizeof(departed[0]));
	server->departed_count -= count;
	memmove(server->departed, server->departed + count, server->departed_count * sizeof(departed[0]));
	return count;
}

static int server_status(struct vshmi_transport *t)
{
	const struct server *server = t->state;
	struct stat st;

	return fstat(server->memory, &st) || (uint64_t)st.st_size < t->segment[0].size ? -ENODEV : 0;
}

const struct vshmi_transport_ops vshmi_server_ops = {
	.scheme = "server",
	.open = server_open,
	.status = server_status,
	.ring = server_ring,
	.knows = server_knows,
	.attend = server_attend,
	.close = server_close,
};
