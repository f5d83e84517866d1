/* SPDX-License-Identifier: BSD-3-Clause */
/* vshmctl recv: writev(2) takes the records straight out of the ring, unless that may be device memory. */
#include "command.h"
#include "observe.h"
#include "say.h"
#include "stop.h"
#include "stream.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vshm/error.h>
#include <vshm/layout.h>

/* Records that one writev(2) takes: enough to make small records cheap, less than any IOV_MAX. */
#define BURST 64u

enum { OPTION_FOLLOW = STREAM_OWN };

struct receiver {
	struct stream stream;
	struct vshm_consumer *consumer;
	const char *file; /* NULL: standard output */
	int fd;
	bool follow, copies;
	void *aside; /* with `copies`: the record */
	size_t aside_size;
};

/* Names of the output, and what may have become of it. */
static int output_failed(struct receiver *receiver, int error)
{
	const char *name = receiver->file ? receiver->file : "standard output";
	char amount[TEXT_AMOUNT];
	progress_clear(&receiver->stream.progress);
	return say_failed("%s: %s, after %s", name, error == EPIPE ? "closed by its reader" : strerror(error),
			  text_amount(amount, receiver->stream.progress.bytes));
}

/* Waits until the output takes more, where it does not block. */
static void wait_for_output(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLOUT};
	(void)poll(&one, 1, STREAM_SLICE_NS / 1000000);
}

/* Drops what was written from the front of `vectors`; returns how many are left. */
static int advance(struct iovec **vectors, int count, size_t written)
{
	while (count && written >= (*vectors)->iov_len) {
		written -= (*vectors)->iov_len;
		(*vectors)++;
		count--;
	}
	if (count) {
		(*vectors)->iov_base = (char *)(*vectors)->iov_base + written;
		(*vectors)->iov_len -= written;
	}
	return count;
}

/* Writes all of it. 0, or an errno value; ECANCELED: a signal asked to leave. */
static int write_out(struct receiver *receiver, const struct vshm_view *views, int count)
{
	struct iovec room[BURST], *vectors = room;
	for (int i = 0; i < count; i++) {
		room[i].iov_base = (void *)(uintptr_t)views[i].data;
		room[i].iov_len = views[i].size;
	}
	while ((count = advance(&vectors, count, 0))) {
		ssize_t written = writev(receiver->fd, vectors, count);
		if (written >= 0) {
			receiver->stream.progress.bytes += (uint64_t)written;
			count = advance(&vectors, count, (size_t)written);
			continue;
		}
		if (errno == EAGAIN)
			wait_for_output(receiver->fd);
		else if (errno != EINTR)
			return errno;
		if (stop_asked())
			return ECANCELED;
	}
	return 0;
}

static int consumer_failed(struct receiver *receiver, int rc)
{
	struct stream *stream = &receiver->stream;
	char why[VSHM_WHY_SIZE];
	struct vshm_fault fault = VSHM_FAULT_INIT;
	char amount[TEXT_AMOUNT];
	(void)text_amount(amount, stream->progress.bytes);
	progress_clear(&stream->progress);
	if (rc == -EPIPE)
		return say_failed("the sender died: %s arrived, all that it had committed", amount);
	if (rc == -ESTALE && !vshm_region_status(stream->region))
		return say_failed("the sender restarted: %s arrived from the first", amount);
	if (rc == -EPROTO && !vshm_consumer_fault(receiver->consumer, &fault))
		return say_failed("peer %" PRIu32 " broke the format: %s (0x%" PRIx64 " at 0x%" PRIx64
				  " of its section), after %s",
				  fault.peer, vshm_rule_text(fault.rule), fault.value, fault.offset, amount);
	return say_failed("%s, after %s", stream_why(stream, rc, why), amount);
}

/* With --follow an end is not the end. */
static bool goes_on(struct receiver *receiver, int rc)
{
	struct stream *stream = &receiver->stream;
	char line[160], amount[TEXT_AMOUNT];
	if (rc == -EHOSTDOWN) {
		stream_note(stream, "the sender is suspect: its heart stands still; waiting");
		return true;
	}
	if (!receiver->follow || !(rc == -ENODATA || rc == -EPIPE || rc == -ESTALE) ||
	    vshm_region_status(stream->region))
		return false;
	(void)snprintf(line, sizeof(line), "the sender %s after %s; waiting for the next",
		       rc == -ENODATA ? "ended"
		       : rc == -EPIPE ? "died"
				      : "restarted",
		       text_amount(amount, stream->progress.bytes));
	stream_note(stream, line);
	return true;
}

static const char *waiting_for(struct receiver *receiver)
{
	if (!progress_due(&receiver->stream.progress))
		return NULL;
	return vshm_consumer_connected(receiver->consumer) == 1 ? "waiting for data" : "waiting for a sender";
}

/* One record, copied by the library. As peek_burst; it is released already. */
static int receive_copy(struct receiver *receiver, struct vshm_view *view)
{
	struct vshm_view seen;
	int rc = vshm_consumer_peek(receiver->consumer, &seen, stream_slice(&receiver->stream));
	if (rc)
		return rc;
	if (seen.size > receiver->aside_size) {
		void *more = realloc(receiver->aside, seen.size);
		if (!more)
			return -ENOMEM;
		receiver->aside = more;
		receiver->aside_size = seen.size;
	}
	view->data = receiver->aside;
	rc = vshm_consumer_recv(receiver->consumer, receiver->aside, receiver->aside_size, &view->size, 0);
	return rc ? rc : 1;
}

/* One burst from ring to output. CTL_OK: go on; *done: it is over, and the result is the exit code. */
static int receive_burst(struct receiver *receiver, bool *done)
{
	struct stream *stream = &receiver->stream;
	struct vshm_view views[BURST];
	char amount[TEXT_AMOUNT];
	int count = receiver->copies ? receive_copy(receiver, views) :
				       vshm_consumer_peek_burst(receiver->consumer, views, BURST, stream_slice(stream));
	*done = true;
	if (count > 0) {
		int error = write_out(receiver, views, count);
		if (error)
			return error == ECANCELED ? CTL_FAILED : output_failed(receiver, error);
		if (!receiver->copies)
			(void)vshm_consumer_release(receiver->consumer);
		stream->progress.records += (uint64_t)count;
		stream_moved(stream);
		*done = stop_asked();
		return *done ? CTL_FAILED : CTL_OK;
	}
	bool nothing = count == -ETIMEDOUT || count == -EAGAIN;
	if (!nothing && !goes_on(receiver, count))
		return count == -ENODATA ? CTL_OK : consumer_failed(receiver, count);
	stream_note_nobody(stream, VSHM_CONSUMER);
	if (stream_wait_on(stream, waiting_for(receiver))) {
		*done = false;
		return CTL_OK;
	}
	if (stop_asked())
		return CTL_FAILED;
	progress_clear(&stream->progress);
	return say_failed("nothing came for %.3g s: %s arrived", (double)stream->timeout_ns / 1e9,
			  text_amount(amount, stream->progress.bytes));
}

static int receive_all(struct receiver *receiver)
{
	struct vshm_consumer_options options = VSHM_CONSUMER_OPTIONS_INIT;
	struct vshm_counters counters = VSHM_COUNTERS_INIT;
	struct stream *stream = &receiver->stream;
	char why[VSHM_WHY_SIZE];
	options.flags = receiver->follow ? VSHM_CONSUMER_FOLLOW : 0;
	int rc = vshm_consumer_open(stream->region, stream->ring, &options, &receiver->consumer);
	if (rc)
		return say_failed("ring '%s': %s", stream->ring, stream_why(stream, rc, why));
	receiver->copies = !stream_is_plain_memory(stream);
	int code;
	bool done;
	do
		code = receive_burst(receiver, &done);
	while (!done);
	progress_clear(&stream->progress);
	if (stream->stats && !vshm_consumer_counters(receiver->consumer, &counters))
		stream_report(stream, &counters);
	(void)vshm_consumer_close(receiver->consumer);
	free(receiver->aside);
	return code;
}

static int open_output(struct receiver *receiver)
{
	receiver->fd = STDOUT_FILENO;
	if (!receiver->file)
		return CTL_OK;
	receiver->fd = open(receiver->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	return receiver->fd < 0 ? say_failed("%s: %s", receiver->file, strerror(errno)) : CTL_OK;
}

static int receive(struct receiver *receiver)
{
	int code = stream_open(&receiver->stream, "received");
	if (code)
		return code;
	/* Only now: a region that cannot be opened must not cost the old contents of the file. */
	code = open_output(receiver);
	if (!code) {
		code = receive_all(receiver);
		if (receiver->file && close(receiver->fd) && !code)
			code = output_failed(receiver, errno);
	}
	(void)vshm_region_close(receiver->stream.region);
	return stop_leave(code);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		STREAM_OPTIONS, {"follow", no_argument, NULL, OPTION_FOLLOW}, COMMAND_OPTIONS_END};
	static const char *const names[] = {"URI", "RING", "FILE", NULL};
	struct receiver receiver = {.fd = -1};
	stream_init(&receiver.stream, "vshmctl-recv");
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		if (option == '?')
			return CTL_USAGE;
		if (option == OPTION_FOLLOW)
			receiver.follow = true;
		else if (stream_take_option(&receiver.stream, option, optarg))
			return CTL_USAGE;
	}
	if (!command_arguments(argc, argv, 2, 3, names))
		return CTL_USAGE;
	int code = stream_take_target(&receiver.stream, argv + optind);
	if (code)
		return code;
	if (argc - optind == 3 && strcmp(argv[optind + 2], "-") != 0)
		receiver.file = argv[optind + 2];
	stop_install();
	return receive(&receiver);
}

const struct command command_recv = {
	.name = "recv",
	.arguments = "URI RING [FILE]",
	.summary = "Receive from a ring into a file or standard output",
	.help = STREAM_HELP
	"  --follow            when the stream ends or the sender dies, wait for the next sender\n"
	"\n"
	"May be started before the sender. Ends with status 0 at the end of the stream; with 1, and a line that says\n"
	"how much arrived, when the sender died.\n",
	.run = run,
};
