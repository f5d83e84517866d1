/* SPDX-License-Identifier: BSD-3-Clause */
/* The public calls of a server, and one round of it: an epoll descriptor over the socket, the clients and a timer. */
#include "server/server.h"

#include "os/os.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* So many things that happened are looked at in one dispatch. */
#define ROUND 64

#define DEAF_NS (INT64_C(100) * 1000 * 1000)
#define HURRY_NS (INT64_C(1000) * 1000 * 1000)

/* One user may not take all places, but those of a whole region. */
#define LEAST_PER_USER 16u

const char *vshm_server_reason_text(enum vshm_server_reason reason)
{
	switch (reason) {
	case VSHM_SERVER_NO_REASON:
		return "no reason";
	case VSHM_SERVER_ACCESS:
		return "not on the access list";
	case VSHM_SERVER_FULL:
		return "no more clients are let in";
	case VSHM_SERVER_USER_FULL:
		return "no more clients of this user are let in";
	case VSHM_SERVER_DESCRIPTORS:
		return "the server may not open more descriptors";
	case VSHM_SERVER_IDS:
		return "too many ids were seen by clients that are still there";
	case VSHM_SERVER_SHUT:
		return "nobody is let in any more";
	case VSHM_SERVER_SPOKE:
		return "it sent something, which no client may";
	case VSHM_SERVER_SLOW:
		return "it did not read what it was sent";
	case VSHM_SERVER_FAILED:
		return "it could not be sent a message";
	}
	return "unknown reason";
}

/* ---- options ---- */

static int read_options(struct vshm_server_options *out, const struct vshm_server_options *options)
{
	const struct vshm_server_options defaults = VSHM_SERVER_OPTIONS_INIT;
	int error = vshmi_options_in(out, &defaults, sizeof(defaults), options);

	if (error)
		return error;
	if (out->flags & ~VSHM_SERVER_ADMIT_NONE || out->vectors < 1 || out->vectors > VSHM_SERVER_VECTORS_MAX)
		return -EINVAL;
	if (out->clients < 1 || out->clients > VSHM_SERVER_CLIENTS_MAX || out->first_id >= VSHMI_IDS ||
	    out->mode > 0777)
		return -EINVAL;
	if (!out->ids_per_user)
		out->ids_per_user = VSHMI_IDS / 2;
	if (!out->clients_per_user)
		out->clients_per_user = out->clients / 2 > LEAST_PER_USER ? out->clients / 2 : LEAST_PER_USER;
	return 0;
}

static void take_options(struct vshm_server *server, const struct vshm_server_options *options)
{
	server->flags = options->flags;
	server->most = options->clients;
	server->most_of_one = options->clients_per_user;
	server->most_ids_of_one = options->ids_per_user;
	server->event = options->event;
	server->event_arg = options->event_arg;
}

/* ---- open ---- */

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void destroy(struct vshm_server *server)
{
	vshmi_listener_close(&server->listener);
	vshmi_pages_close(&server->pages);
	close_fd(server->epoll);
	close_fd(server->timer);
	close_fd(server->memory);
	close_fd(server->spare);
	vshmi_access_fini(&server->access);
	vshmi_free(server->client);
	vshmi_free(server->bell);
	vshmi_free(server->told);
	vshmi_free(server->user);
	vshmi_free(server);
}

static bool allocate(struct vshm_server *server)
{
	size_t slots = server->slots;

	server->client = vshmi_alloc(slots * sizeof(server->client[0]));
	server->bell = vshmi_alloc(slots * server->vectors * sizeof(server->bell[0]));
	server->told = vshmi_alloc(slots * slots * sizeof(server->told[0]));
	server->user = vshmi_alloc(VSHMI_IDS * sizeof(server->user[0]));
	for (size_t i = 0; server->client && i < slots; i++)
		server->client[i].fd = -1;
	return server->client && server->bell && server->told && server->user;
}

static int create(struct vshm_server **out, const struct vshm_server_options *options, char *why)
{
	struct vshm_server *server = vshmi_alloc(sizeof(*server));
	int error;

	if (!server)
		return vshmi_why(why, -ENOMEM, "out of memory");
	server->listener = (struct vshmi_listener){.fd = -1, .dir = -1};
	server->epoll = server->timer = server->memory = server->spare = -1;
	server->vectors = options->vectors;
	server->slots = options->clients;
	server->next = options->first_id;
	take_options(server, options);
	error = vshmi_access_init(&server->access, options);
	if (!error && !allocate(server))
		error = -ENOMEM;
	if (error) {
		destroy(server);
		return vshmi_why(why, error, error == -EINVAL ? "the access list is not lawful" : "out of memory");
	}
	*out = server;
	return 0;
}

static int take_memory(struct vshm_server *server, int memory, char *why)
{
	struct stat st;

	if (fstat(memory, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return vshmi_why(why, -EINVAL, "the memory must be a file or a memfd, and not empty");
	if ((fcntl(memory, F_GETFL) & O_ACCMODE) != O_RDWR)
		return vshmi_why(why, -EINVAL, "the memory must be open for reading and writing");
	server->memory = fcntl(memory, F_DUPFD_CLOEXEC, 0);
	return server->memory < 0 ? vshmi_why(why, vshmi_error_of(errno), "no descriptor: %s", strerror(errno)) : 0;
}

static bool watch(const struct vshm_server *server, int fd, uint32_t what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};

	return !epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int prepare(struct vshm_server *server, char *why)
{
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (server->epoll < 0 || server->timer < 0 || server->spare < 0 ||
	    !watch(server, server->timer, VSHMI_AT_TIMER) || !watch(server, server->listener.fd, VSHMI_AT_LISTENER))
		return vshmi_why(why, vshmi_error_of(errno), "cannot wait for clients: %s", strerror(errno));
	return 0;
}

/* With a path, or a descriptor that becomes the server's if all goes well. */
static int open_server(const char *path, int listener, int memory, const struct vshm_server_options *options,
		       struct vshm_server **out, char *why)
{
	struct vshm_server_options known;
	struct vshm_server *server = NULL;
	int error = read_options(&known, options);

	if (error)
		return vshmi_why(why, error, "the options are not lawful");
	error = create(&server, &known, why);
	if (error)
		return error;
	error = take_memory(server, memory, why);
	if (!error)
		error = path ? vshmi_listener_open(&server->listener, path, &known, why)
			     : vshmi_listener_adopt(&server->listener, listener, why);
	if (!error)
		error = prepare(server, why);
	if (!error) /* last: from here on others believe in this server */
		error = vshmi_pages_open(&server->pages, server->memory, known.pages_offset, why);
	if (error) {
		if (!path)
			server->listener.fd = -1; /* still the caller's */
		destroy(server);
		return error;
	}
	*out = server;
	return 0;
}

int vshm_server_open(const char *path, int memory, const struct vshm_server_options *options,
		     struct vshm_server **server, char *why)
{
	if (!path || !server)
		return vshmi_why(why, -EINVAL, "no path, or nowhere to put the server");
	return open_server(path, -1, memory, options, server, why);
}

int vshm_server_adopt(int listener, int memory, const struct vshm_server_options *options, struct vshm_server **server,
		      char *why)
{
	if (!server)
		return vshmi_why(why, -EINVAL, "nowhere to put the server");
	return open_server(NULL, listener, memory, options, server, why);
}

int vshm_server_close(struct vshm_server *server)
{
	if (!server || server->busy)
		return -EINVAL;
	server->busy = true;
	vshmi_pages_close(&server->pages); /* that the clients are dropped now is not their end */
	vshmi_clients_close(server);
	destroy(server);
	return 0;
}

int vshm_server_update(struct vshm_server *server, const struct vshm_server_options *options)
{
	struct vshm_server_options known;
	struct vshmi_access access;
	int error = !server || server->busy ? -EINVAL : read_options(&known, options);

	if (error)
		return error;
	if (known.clients > server->slots)
		return -EINVAL;
	error = vshmi_access_init(&access, &known);
	if (error)
		return error;
	vshmi_access_fini(&server->access);
	server->access = access;
	take_options(server, &known);
	return 0;
}

/* ---- run ---- */

int vshm_server_fd(const struct vshm_server *server)
{
	return server ? server->epoll : -EINVAL;
}

int vshm_server_info(const struct vshm_server *server, struct vshm_server_info *info)
{
	struct vshm_server_info filled;

	if (!server)
		return -EINVAL;
	filled = server->info;
	filled.next_id = (uint32_t)(server->next % VSHMI_IDS);
	return vshmi_options_out(info, &filled, sizeof(filled));
}

static void listen_again(struct vshm_server *server)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = VSHMI_AT_LISTENER};

	if (!server->deaf || epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener.fd, &event))
		return;
	server->deaf = false;
	if (server->spare < 0)
		server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_timer(struct vshm_server *server)
{
	uint64_t count;

	(void)!read(server->timer, &count, sizeof(count));
	listen_again(server);
}

/* The timer runs while there is something to wait for. */
static void set_timer(struct vshm_server *server, bool anybody)
{
	int64_t tick_ns = server->deaf ? DEAF_NS : anybody ? HURRY_NS : 0;
	struct timespec tick = {tick_ns / 1000000000, tick_ns % 1000000000};
	struct itimerspec when = {tick, tick};

	if (tick_ns != server->tick_ns && !timerfd_settime(server->timer, 0, &when, NULL))
		server->tick_ns = tick_ns;
}

/* One round. New clients come last: they get the slots of those who went. */
static void attend(struct vshm_server *server, const struct epoll_event events[], int count)
{
	bool accept = false;

	for (int i = 0; i < count; i++) {
		uint32_t what = events[i].data.u32;

		if (what == VSHMI_AT_LISTENER)
			accept = true;
		else if (what == VSHMI_AT_TIMER)
			on_timer(server);
		else
			vshmi_client_attend(server, what, events[i].events);
	}
	vshmi_clients_sweep(server);
	if (accept)
		vshmi_clients_accept(server);
	set_timer(server, vshmi_clients_hurry(server, vshmi_clock_ns()));
	vshmi_clients_sweep(server);
}

int vshm_server_dispatch(struct vshm_server *server)
{
	struct epoll_event events[ROUND];
	int count;

	if (!server || server->busy)
		return -EINVAL;
	count = epoll_wait(server->epoll, events, ROUND, 0);
	if (count < 0)
		return errno == EINTR ? 0 : -EIO;
	server->busy = true;
	attend(server, events, count);
	server->busy = false;
	return 0;
}
