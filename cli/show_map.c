/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `vshmctl show --map`: the layout to scale, in three magnifications: segments, sections, rings. Every strip is as
 * wide as the terminal and says what one column stands for. What is smaller than a column still gets one.
 */
#include "show.h"

#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <vshm/layout.h>

#define MAX_WIDTH 400u

enum piece {
	PIECE_NOTHING,
	PIECE_HEADER,
	PIECE_FREE,
	PIECE_RING,
	PIECE_UNREAD,
	PIECE_UNKNOWN,
};

struct strip {
	const struct screen *screen;
	uint64_t whole; /* bytes that the strip stands for */
	unsigned width;
	unsigned char piece[MAX_WIDTH];
	unsigned char style[MAX_WIDTH];
};

static const char *piece_mark(const struct screen *screen, enum piece piece)
{
	static const char *const drawn[] = {" ", "▓", "░", "█", "█", "?"};
	static const char *const ascii[] = {" ", "=", ".", "#", "#", "?"};
	return (screen->utf8 ? drawn : ascii)[piece];
}

static void strip_init(struct strip *strip, const struct screen *screen, uint64_t whole)
{
	memset(strip, 0, sizeof(*strip));
	strip->screen = screen;
	strip->whole = whole ? whole : 1;
	strip->width = screen->width < MAX_WIDTH ? screen->width : MAX_WIDTH;
}

static unsigned column_of(const struct strip *strip, uint64_t offset)
{
	double column = (double)offset * strip->width / (double)strip->whole + 0.5;
	return column >= strip->width ? strip->width : (unsigned)column;
}

/* Paints [from, to), not left of `least`; returns the column behind it. */
static unsigned paint(struct strip *strip, uint64_t from, uint64_t to, enum piece piece, enum style style,
		      unsigned least)
{
	unsigned first = column_of(strip, from), last = column_of(strip, to);
	first = first < least ? least : first;
	if (first >= strip->width && strip->width && from < strip->whole)
		first = strip->width - 1;
	last = last <= first ? first + 1 : last;
	last = last > strip->width ? strip->width : last;
	for (unsigned i = first; i < last; i++) {
		strip->piece[i] = (unsigned char)piece;
		strip->style[i] = (unsigned char)style;
	}
	return last;
}

static void put_strip(const struct strip *strip)
{
	unsigned i = 0;
	while (i < strip->width) {
		enum style style = (enum style)strip->style[i];
		(void)fputs(screen_on(strip->screen, style), strip->screen->out);
		for (; i < strip->width && strip->style[i] == (unsigned char)style; i++)
			(void)fputs(piece_mark(strip->screen, (enum piece)strip->piece[i]), strip->screen->out);
		(void)fputs(screen_off(strip->screen), strip->screen->out);
	}
	(void)fputc('\n', strip->screen->out);
}

static void put_scale(const struct strip *strip)
{
	char size[TEXT_SIZE];
	(void)fprintf(strip->screen->out, "%s%s(a column is %s)%s\n", screen_on(strip->screen, STYLE_DIM),
		      strip->width < 90 ? "\n" : "  ",
		      text_bytes(size, (strip->whole + strip->width / 2) / strip->width), screen_off(strip->screen));
}

/* Takes a place in the section that can be seen on the map. */
static bool is_ring_of(const struct observed_end *end, vshm_peer peer)
{
	return !end->unlawful && end->info.kind != VSHM_CONSUMER && end->info.peer == peer;
}

/* Neighbouring rings alternate, so that one sees where the next begins. */
static enum style ring_style(unsigned number)
{
	return number % 2 ? STYLE_B : STYLE_A;
}

/* One section at `base` of the strip. The entries come in any order; painting does not mind. */
static void paint_section(struct strip *strip, const struct show *show, vshm_peer peer, uint64_t base)
{
	const struct vshm_peer_info *info = &show->now->peer[peer].info;
	unsigned number = 0;
	(void)paint(strip, base, base + info->size, PIECE_FREE, STYLE_DIM, 0);
	unsigned behind = paint(strip, base, base + VSHM_SECTION_DATA, PIECE_HEADER, STYLE_PLAIN, 0);
	for (size_t i = 0; i < show->now->ends; i++) {
		const struct vshm_end_info *ring = &show->now->end[i].info;
		if (is_ring_of(&show->now->end[i], peer))
			(void)paint(strip, base + ring->ring_offset, base + ring->ring_offset + ring->ring_size,
				    PIECE_RING, ring_style(number++), behind);
	}
}

/* "0 producer" where its section begins, cut to the width of the section. */
static void put_section_names(const struct strip *strip, const struct show *show, uint32_t segment)
{
	char line[MAX_WIDTH + 1];
	memset(line, ' ', sizeof(line));
	for (vshm_peer peer = 0; peer < show->now->region.peers; peer++) {
		const struct observed_peer *p = &show->now->peer[peer];
		char label[VSHM_NAME_SIZE * 4], name[VSHM_NAME_SIZE * 5];
		if (p->info.segment != segment || !p->info.size)
			continue;
		unsigned from = column_of(strip, p->info.offset), to = column_of(strip, p->info.offset + p->info.size);
		text_escape(label, sizeof(label), p->info.label);
		bool plain = text_width(label) == strlen(label); /* cutting bytes must not cut characters */
		(void)snprintf(name, sizeof(name), "|%" PRIu32 " %s", peer,
			       observed_present(p) && plain ? label
			       : observed_present(p)	    ? ""
							    : observed_state_name(p->info.state));
		size_t size = strlen(name);
		if (size > to - from)
			size = to - from;
		if (size > 1)
			memcpy(line + from, name, size);
	}
	unsigned end = strip->width;
	while (end && line[end - 1] == ' ')
		end--;
	line[end] = 0;
	(void)fprintf(show->screen.out, "%s\n", line);
}

/* Its share of the region, and never less than what its sections say. 0: it is not there yet. */
static uint64_t segment_size(const struct observation *now, uint32_t segment)
{
	uint64_t size = 0, share = now->region.segments ? now->region.size / now->region.segments : 0;
	for (vshm_peer peer = 0; peer < now->region.peers; peer++) {
		const struct vshm_peer_info *info = &now->peer[peer].info;
		if (info->segment == segment && info->offset + info->size > size)
			size = info->offset + info->size;
	}
	return size && share > size ? share : size;
}

static void map_segment(const struct show *show, uint32_t segment)
{
	struct strip strip;
	char size[TEXT_SIZE];
	uint64_t whole = segment_size(show->now, segment);
	if (!whole)
		return;
	strip_init(&strip, &show->screen, whole);
	for (vshm_peer peer = 0; peer < show->now->region.peers; peer++) {
		const struct vshm_peer_info *info = &show->now->peer[peer].info;
		if (info->segment == segment && info->size)
			paint_section(&strip, show, peer, info->offset);
	}
	(void)paint(&strip, 0, show->now->region.layout_page, PIECE_HEADER, STYLE_BOLD, 0);
	(void)fprintf(show->screen.out, "\nsegment %" PRIu32 ": %s", segment, text_bytes(size, whole));
	put_scale(&strip);
	put_strip(&strip);
	put_section_names(&strip, show, segment);
}

static void map_section(const struct show *show, vshm_peer peer)
{
	const struct vshm_peer_info *info = &show->now->peer[peer].info;
	struct strip strip;
	char size[TEXT_SIZE], at[TEXT_SIZE], label[VSHM_NAME_SIZE * 4], name[VSHM_NAME_SIZE * 4];
	unsigned number = 0;
	strip_init(&strip, &show->screen, info->size);
	paint_section(&strip, show, peer, 0);
	text_escape(label, sizeof(label), info->label);
	(void)fprintf(show->screen.out, "\nsection of peer %" PRIu32 "%s%s: %s at %s", peer, *label ? " " : "", label,
		      text_bytes(size, info->size), text_bytes(at, info->offset));
	put_scale(&strip);
	put_strip(&strip);
	(void)fprintf(show->screen.out, "%s header %s", piece_mark(&show->screen, PIECE_HEADER),
		      text_bytes(size, VSHM_SECTION_DATA));
	for (size_t i = 0; i < show->now->ends; i++) {
		const struct observed_end *end = &show->now->end[i];
		if (!is_ring_of(end, peer))
			continue;
		text_escape(name, sizeof(name), end->info.name);
		(void)fputs("  ", show->screen.out);
		screen_put(&show->screen, ring_style(number++), piece_mark(&show->screen, PIECE_RING));
		(void)fprintf(show->screen.out, " %s%s %s at %s", end->info.kind == VSHM_POOL ? "pool " : "", name,
			      text_bytes(size, end->info.ring_size),
			      text_bytes(at, end->info.ring_offset));
	}
	uint64_t used = VSHM_SECTION_DATA + info->ring_bytes;
	(void)fprintf(show->screen.out, "  %s free %s\n", piece_mark(&show->screen, PIECE_FREE),
		      text_bytes(size, info->size > used ? info->size - used : 0));
}

/* Where in the ring the two positions are: "^head" and "^tail" under the strip; the head only where it is known. */
static void put_positions(const struct strip *strip, uint64_t head, uint64_t tail, bool both)
{
	char line[MAX_WIDTH + 8];
	unsigned columns[2] = {column_of(strip, head), column_of(strip, tail)};
	const char *const names[2] = {"^head", "^tail"};
	memset(line, ' ', sizeof(line));
	for (unsigned i = both ? 0 : 1; i < 2; i++) {
		unsigned from = columns[i] + 5 > strip->width ? strip->width - 5 : columns[i];
		memcpy(line + from, names[i], 5);
	}
	if (both && columns[0] == columns[1]) {
		unsigned from = columns[0] + 10 > strip->width ? strip->width - 10 : columns[0];
		memset(line, ' ', sizeof(line));
		memcpy(line + from, "^head,tail", 10);
	}
	line[strip->width] = 0;
	size_t end = strlen(line);
	while (end && line[end - 1] == ' ')
		line[--end] = 0;
	(void)fprintf(strip->screen->out, "%s\n", line);
}

static void paint_ring(struct strip *strip, const struct observed_end *end, uint64_t head, uint64_t tail)
{
	bool known = end->known != KNOWN_NOT;
	(void)paint(strip, 0, strip->whole, known ? PIECE_FREE : PIECE_UNKNOWN, STYLE_DIM, 0);
	if (end->fill && head < tail) {
		(void)paint(strip, head, tail, PIECE_UNREAD, STYLE_GOOD, 0);
	} else if (end->fill) { /* around the end of the ring */
		(void)paint(strip, head, strip->whole, PIECE_UNREAD, STYLE_GOOD, 0);
		if (tail)
			(void)paint(strip, 0, tail, PIECE_UNREAD, STYLE_GOOD, 0);
	}
}

/* ", 4 KiB unread" */
static void put_unread(const struct show *show, const struct observed_end *end)
{
	char unread[TEXT_SIZE];
	if (end->known == KNOWN_NOT)
		(void)fputs(", how much is unread is not known", show->screen.out);
	else
		(void)fprintf(show->screen.out, ", %s%s unread",
			      end->known == KNOWN_AT_MOST && end->fill ? "at most " : "",
			      text_bytes(unread, end->fill));
}

static void map_ring(const struct show *show, const struct observed_end *end)
{
	struct strip strip;
	char size[TEXT_SIZE], name[VSHM_NAME_SIZE * 4];
	uint64_t ring = end->info.ring_size ? end->info.ring_size : 1;
	uint64_t tail = end->info.position % ring, head = (end->info.position - end->fill) % ring;
	strip_init(&strip, &show->screen, ring);
	paint_ring(&strip, end, head, tail);
	text_escape(name, sizeof(name), end->info.name);
	(void)fprintf(show->screen.out, "\nring %s: peer %" PRIu32 " to ", name, end->info.peer);
	if (end->info.connected && end->info.grants)
		(void)fprintf(show->screen.out, "%" PRIu32 " consumers, %s", end->info.consumers, text_bytes(size, ring));
	else if (end->info.connected)
		(void)fprintf(show->screen.out, "peer %" PRIu32 ", %s", end->info.other_peer, text_bytes(size, ring));
	else
		(void)fprintf(show->screen.out, "nobody, %s", text_bytes(size, ring));
	put_unread(show, end);
	put_scale(&strip);
	put_strip(&strip);
	put_positions(&strip, head, tail, end->known == KNOWN_EXACTLY);
}

void show_map(const struct show *show)
{
	const struct observation *now = show->now;
	show_region(show);
	for (uint32_t segment = 0; segment < now->region.segments; segment++)
		map_segment(show, segment);
	for (vshm_peer peer = 0; peer < now->region.peers; peer++) {
		if (now->peer[peer].info.ring_bytes && now->peer[peer].info.size)
			map_section(show, peer);
	}
	for (size_t i = 0; i < now->ends; i++) {
		if (!now->end[i].unlawful && now->end[i].info.kind == VSHM_PRODUCER)
			map_ring(show, &now->end[i]);
	}
}
