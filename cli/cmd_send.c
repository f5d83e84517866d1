/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vshmctl send: read(2) puts the input straight into the ring, unless that may be device memory, which the kernel must not be
 * asked to fill. A stream that could not be read to its end is left without an end, so that the receiver does not take the part
 * for the whole.
 */
#include "command.h"
#include "observe.h"
#include "parse.h"
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
#include <sys/stat.h>
#include <unistd.h>
#include <vshm/error.h>
#include <vshm/layout.h>

#define DEFAULT_RECORD 65536u
#define UNSEEN_NS 30000000000u

enum { OPTION_RING_SIZE = STREAM_OWN, OPTION_RECORD, OPTION_DROP };

struct sender {
	struct stream stream;
	struct vshm_producer *producer;
	uint64_t ring_size, record;
	uint64_t attached; /* stream_attached() when the ring was opened */
	bool drop, record_given;
	void *aside; /* where input is read to instead of the ring; NULL: into the ring */
};

/* Says why a call of the producer failed. */
static int producer_failed(struct sender *sender, int rc)
{
	char why[VSHM_WHY_SIZE];
	struct vshm_fault fault = VSHM_FAULT_INIT;
	progress_clear(&sender->stream.progress);
	if (rc == -EPROTO && !vshm_producer_fault(sender->producer, &fault))
		return say_failed("peer %" PRIu32 " broke the format: %s (0x%" PRIx64 " at 0x%" PRIx64
				  " of its section)",
				  fault.peer, vshm_rule_text(fault.rule), fault.value, fault.offset);
	return say_failed("%s", stream_why(&sender->stream, rc, why));
}

static int nobody_read(struct sender *sender)
{
	struct stream *stream = &sender->stream;
	char amount[TEXT_AMOUNT];
	progress_clear(&stream->progress);
	return say_failed("nobody read for %.3g s: sent %s, not all of it read", (double)stream->timeout_ns / 1e9,
			  text_amount(amount, stream->progress.bytes));
}

static const char *waiting_for(const struct sender *sender)
{
	if (!progress_due(&sender->stream.progress))
		return NULL;
	return stream_connected(&sender->stream, VSHM_PRODUCER) ? "waiting for the receiver" : "waiting for a receiver";
}

/* Room for `size` bytes, however long that takes. 1: there it is; 0: asked to leave; -1: failed, which was said. */
static int wait_for_room(struct sender *sender, size_t size, void **data)
{
	struct stream *stream = &sender->stream;
	for (;;) {
		int rc = vshm_producer_reserve(sender->producer, size, data, stream_slice(stream));
		if (!rc)
			return 1;
		if (rc == -EPIPE) {
			stream_note(stream, "the receiver died; waiting for the next, which gets what was not read");
		} else if (rc == -EHOSTDOWN) {
			stream_note(stream, "the receiver is suspect: its heart stands still; waiting");
		} else if (rc != -ETIMEDOUT && rc != -EAGAIN) {
			(void)producer_failed(sender, rc);
			return -1;
		}
		stream_note_nobody(stream, VSHM_PRODUCER);
		if (stream_wait_on(stream, waiting_for(sender)))
			continue;
		if (stop_asked())
			return 0;
		(void)nobody_read(sender);
		return -1;
	}
}

/* read(2), but input that does not come cannot hide a signal or the end of the region. */
static ssize_t read_input(struct sender *sender, int fd, bool plain, void *data, size_t size)
{
	for (;;) {
		struct pollfd one = {.fd = fd, .events = POLLIN};
		int ready = plain ? 1 : poll(&one, 1, STREAM_SLICE_NS / 1000000);
		ssize_t got = ready > 0 ? read(fd, data, size) : -1;
		if (ready > 0 && (got >= 0 || (errno != EINTR && errno != EAGAIN)))
			return got;
		if (stop_asked())
			return -1;
		int rc = vshm_region_status(sender->stream.region);
		if (rc) {
			(void)producer_failed(sender, rc);
			errno = 0;
			return -1;
		}
		progress_tick(&sender->stream.progress, "waiting for input");
	}
}

static int commit(struct sender *sender, size_t size)
{
	return sender->aside ? vshm_producer_send(sender->producer, sender->aside, size, 0) :
			       vshm_producer_commit(sender->producer, size, 0);
}

/* How much to read next: of a file no more than is left, so that the end of a short one takes no room of the ring. */
static size_t next_size(const struct sender *sender, int fd, const struct stat *plain)
{
	off_t at = plain ? lseek(fd, 0, SEEK_CUR) : -1;
	if (at < 0)
		return sender->record;
	uint64_t left = plain->st_size > at ? (uint64_t)(plain->st_size - at) : 1;
	return left < sender->record ? left : sender->record;
}

/* Sends one input up to its end. 1: done; 0: asked to leave; -1: failed, which was said. */
static int send_input(struct sender *sender, int fd, const char *name)
{
	struct stat facts;
	bool plain = !fstat(fd, &facts) && S_ISREG(facts.st_mode);
	for (;;) {
		void *data;
		size_t size = next_size(sender, fd, plain ? &facts : NULL);
		int room = wait_for_room(sender, size, &data);
		if (room <= 0)
			return room;
		ssize_t got = read_input(sender, fd, plain, sender->aside ? sender->aside : data, size);
		if (got == 0)
			return 1;
		if (got < 0 && stop_asked())
			return 0;
		if (got < 0) {
			progress_clear(&sender->stream.progress);
			if (errno)
				(void)say_failed("%s: %s: the stream is left without an end", name, strerror(errno));
			return -1;
		}
		int rc = commit(sender, (size_t)got);
		if (rc) {
			(void)producer_failed(sender, rc);
			return -1;
		}
		sender->stream.progress.bytes += (uint64_t)got;
		sender->stream.progress.records++;
		stream_moved(&sender->stream);
		if (stop_asked())
			return 0;
	}
}

static int open_input(const char *name)
{
	if (!strcmp(name, "-"))
		return STDIN_FILENO;
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat facts;
	if (fd >= 0 && !fstat(fd, &facts) && S_ISDIR(facts.st_mode)) {
		close(fd);
		errno = EISDIR;
		return -1;
	}
	return fd;
}

static int send_files(struct sender *sender, char **files, const int *inputs, int count)
{
	int done = 1;
	for (int i = 0; i < count && done > 0; i++)
		done = send_input(sender, inputs[i], inputs[i] == STDIN_FILENO ? "standard input" : files[i]);
	return done;
}

/* All inputs are open before the first byte is sent: a typing mistake in the last must not cut the stream. */
static int *open_inputs(char **files, int count)
{
	int *inputs = calloc((size_t)count, sizeof(*inputs));
	for (int i = 0; inputs && i < count; i++) {
		inputs[i] = open_input(files[i]);
		if (inputs[i] < 0) {
			(void)say_failed("%s: %s", files[i], strerror(errno));
			free(inputs);
			return NULL;
		}
	}
	return inputs;
}

static void add_up(struct progress *progress, const int *inputs, int count)
{
	for (int i = 0; i < count; i++) {
		struct stat facts;
		off_t at = fstat(inputs[i], &facts) || !S_ISREG(facts.st_mode) ? -1 : lseek(inputs[i], 0, SEEK_CUR);
		if (at < 0 || facts.st_size <= at) {
			progress->total = 0;
			return;
		}
		progress->total += (uint64_t)(facts.st_size - at);
	}
}

static int open_producer(struct sender *sender)
{
	struct vshm_producer_options options = VSHM_PRODUCER_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE];
	options.ring_size = sender->ring_size;
	options.flags = sender->drop ? VSHM_PRODUCER_DROP : 0;
	int rc = vshm_producer_open(sender->stream.region, sender->stream.ring, &options, &sender->producer);
	if (rc)
		return say_failed("ring '%s': %s", sender->stream.ring, stream_why(&sender->stream, rc, why));
	sender->attached = stream_attached(&sender->stream);
	/* Four records fill the ring to the last byte: the receiver writes one out while the next are read in. */
	size_t most = vshm_producer_max_record(sender->producer);
	char amount[TEXT_AMOUNT];
	if (sender->record_given && sender->record > most)
		return say_failed("a record of %s does not fit the ring: at most --record %zu, or a larger --ring-size",
				  text_amount(amount, sender->record), most);
	size_t quarter = (most + VSHM_RECORD_HEADER) / 4 - VSHM_RECORD_HEADER;
	if (!sender->record_given && sender->record > quarter)
		sender->record = quarter;
	if (stream_is_plain_memory(&sender->stream))
		return CTL_OK;
	sender->aside = malloc(sender->record);
	return sender->aside ? CTL_OK : say_failed("out of memory");
}

/* Did anybody listen, or may have? To ask the ring itself takes room in it. */
static bool was_heard(const struct sender *sender)
{
	const struct stream *stream = &sender->stream;
	struct vshm_counters counters = VSHM_COUNTERS_INIT;
	if (stream_connected(stream, VSHM_PRODUCER))
		return true;
	if (!stream->progress.records)
		return false;
	if (stream_attached(stream) != sender->attached)
		return true;
	if (!vshm_producer_counters(sender->producer, &counters) && counters.rings_sent)
		return true;
	/* One that came and went between two looks, and left no trace, is not waited for for ever. */
	return stream->waiting_since && observe_clock_ns() - stream->waiting_since > UNSEEN_NS;
}

/*
 * An empty stream has an end, too, that somebody must see: the library waits for a receiver only while there is
 * something to read. As wait_for_room().
 */
static int wait_for_receiver(struct sender *sender)
{
	struct stream *stream = &sender->stream;
	while (!sender->drop && !was_heard(sender)) {
		int rc = vshm_region_status(stream->region);
		if (rc) {
			(void)producer_failed(sender, rc);
			return -1;
		}
		observe_pause(10000000);
		stream_note_nobody(stream, VSHM_PRODUCER);
		if (stream_wait_on(stream, "waiting for a receiver"))
			continue;
		if (stop_asked())
			return 0;
		(void)nobody_read(sender);
		return -1;
	}
	return 1;
}

/* Waits until the receiver has read everything, then ends the stream. A signal leaves the producer open. */
static int end_stream(struct sender *sender)
{
	struct stream *stream = &sender->stream;
	void *data;
	/* The largest record fits when all before it is read: so this waits like any other, with progress and signals. */
	int drained = wait_for_receiver(sender);
	if (drained > 0)
		drained = wait_for_room(sender, vshm_producer_max_record(sender->producer), &data);
	if (drained <= 0)
		return CTL_FAILED;
	progress_clear(&stream->progress);
	stop_at_once("vshmctl send: interrupted before the receiver had read everything\n");
	int rc = vshm_producer_close(sender->producer, stream->timeout_ns);
	sender->producer = NULL;
	stop_at_once(NULL);
	if (rc == -EPIPE)
		return say_failed("the receiver died before it had read everything");
	if (rc == -ETIMEDOUT || rc == -EAGAIN)
		return say_failed("the receiver did not read everything in time");
	return rc ? say_failed("%s", vshm_strerror(rc)) : CTL_OK;
}

/* A signal asked to leave: the stream ends here, and what is committed is still delivered if that is quick. */
static void end_early(struct sender *sender)
{
	int64_t linger = stream_connected(&sender->stream, VSHM_PRODUCER) ? 1000000000 : 0;
	if (sender->producer)
		(void)vshm_producer_close(sender->producer, linger);
	sender->producer = NULL;
}

static int send_all(struct sender *sender, char **files, const int *inputs, int count)
{
	struct vshm_counters counters = VSHM_COUNTERS_INIT;
	add_up(&sender->stream.progress, inputs, count);
	int done = send_files(sender, files, inputs, count);
	bool counted = !vshm_producer_counters(sender->producer, &counters);
	int code = done > 0 ? end_stream(sender) : CTL_FAILED;
	progress_clear(&sender->stream.progress);
	if (sender->stream.stats && counted)
		stream_report(&sender->stream, &counters);
	if (stop_asked())
		end_early(sender);
	/* After a failure the end stays open on purpose: the receiver must see a death, not an end. */
	if (!sender->producer)
		(void)vshm_region_close(sender->stream.region);
	return code;
}

static int attach_and_send(struct sender *sender, char **files, const int *inputs, int count)
{
	int code = stream_open(&sender->stream, "sent");
	if (code)
		return code;
	code = open_producer(sender);
	if (code)
		(void)vshm_region_close(sender->stream.region);
	else
		code = send_all(sender, files, inputs, count);
	free(sender->aside);
	return code;
}

static int read_options(int argc, char **argv, struct sender *sender)
{
	static const struct option options[] = {
		STREAM_OPTIONS,
		{"ring-size", required_argument, NULL, OPTION_RING_SIZE},
		{"record", required_argument, NULL, OPTION_RECORD},
		{"drop", no_argument, NULL, OPTION_DROP},
		COMMAND_OPTIONS_END,
	};
	for (int option; (option = command_option(argc, argv, options)) != -1;) {
		const char *bad = NULL;
		int code = CTL_OK;
		switch (option) {
		case '?':
			return CTL_USAGE;
		case OPTION_RING_SIZE:
			bad = parse_size(optarg, &sender->ring_size);
			break;
		case OPTION_RECORD:
			bad = parse_size(optarg, &sender->record);
			sender->record_given = true;
			break;
		case OPTION_DROP:
			sender->drop = true;
			break;
		default:
			code = stream_take_option(&sender->stream, option, optarg);
			break;
		}
		if (bad)
			code = say_usage("--%s '%s': %s", option == OPTION_RECORD ? "record" : "ring-size", optarg,
					 bad);
		if (code)
			return code;
	}
	return CTL_OK;
}

static int run(int argc, char **argv)
{
	static const char *const names[] = {"URI", "RING", "FILE", NULL};
	static char from_stdin[] = "-";
	char *standard[] = {from_stdin};
	static struct sender sender = {.record = DEFAULT_RECORD};
	stream_init(&sender.stream, "vshmctl-send");
	int code = read_options(argc, argv, &sender);
	if (!code && !command_arguments(argc, argv, 2, 1000, names))
		code = CTL_USAGE;
	if (!code)
		code = stream_take_target(&sender.stream, argv + optind);
	if (code)
		return code;
	int count = argc - optind - 2;
	char **files = count ? argv + optind + 2 : standard;
	count = count ? count : 1;
	int *inputs = open_inputs(files, count);
	if (!inputs)
		return CTL_FAILED;
	stop_install();
	code = attach_and_send(&sender, files, inputs, count);
	free(inputs);
	return stop_leave(code);
}

const struct command command_send = {
	.name = "send",
	.arguments = "URI RING [FILE...]",
	.summary = "Send files or standard input through a ring",
	.help = STREAM_HELP
	"  --ring-size SIZE    bytes of the ring; default: 256K, or what fits\n"
	"  --record SIZE       most bytes of a record; default: 64K, or a quarter of the ring\n"
	"  --drop              while nobody receives, drop instead of waiting\n"
	"\n"
	"Waits for a receiver, and at the end until it has read everything; then the receiver sees the end of the\n"
	"stream. When a receiver dies, waits for the next one, which goes on where it stopped. FILE - is standard\n"
	"input. When an input cannot be read to its end, the receiver sees no end of the stream, but a failure.\n",
	.run = run,
};
