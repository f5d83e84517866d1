/* SPDX-License-Identifier: BSD-3-Clause */
/* `vshmctl show` for people: the region, its peers, its rings, who can wake whom. */
#include "show.h"

#include "ends.h"
#include "table.h"
#include "text.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <vshm/layout.h>

static void put_uuid(FILE *out, const uint8_t *uuid)
{
	for (unsigned i = 0; i < 16; i++)
		(void)fprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static void show_way(const struct screen *screen, const struct vshm_region_info *r)
{
	char because[VSHM_WHY_SIZE * 4];
	text_escape(because, sizeof(because), r->because);
	(void)fprintf(screen->out, "%s  via %s: %s%s\n", screen_on(screen, STYLE_DIM), r->way, because, screen_off(screen));
}

void show_region(const struct show *show)
{
	const struct vshm_region_info *r = &show->now->region;
	const struct screen *screen = &show->screen;
	char name[VSHM_NAME_SIZE * 4], uri[OBSERVE_URI_SIZE], size[TEXT_SIZE], page[TEXT_SIZE], date[TEXT_SIZE];
	text_escape(name, sizeof(name), r->name);
	text_escape(uri, sizeof(uri), show->uri);
	screen_put(screen, STYLE_BOLD, name);
	(void)fprintf(screen->out, "  %s%s%s  %s, %u of %" PRIu32 " peers attached\n", uri,
		      text_width(name) + text_width(uri) + 45 > screen->width ? "\n  " : "  ",
		      text_bytes(size, r->size), r->profile == VSHM_SPLIT ? "split" : "flat", observed_live(show->now),
		      r->peers);
	(void)fprintf(screen->out, "%s  layout %" PRIu32 ", page %s, created %s%suuid ", screen_on(screen, STYLE_DIM),
		      r->layout_version, text_bytes(page, r->layout_page), text_date(date, r->created_ns),
		      screen->width < 105 ? "\n  " : ", ");
	put_uuid(screen->out, r->uuid);
	(void)fprintf(screen->out, "\n  memory %s%s, atomics %s,%ssections of others %s%s\n",
		      r->facts & VSHM_FACT_CACHED ? "cached" : r->facts & VSHM_FACT_TOLD ? "uncached" : "perhaps uncached",
		      r->facts & VSHM_FACT_TOLD ? " (the kernel says)" : "",
		      r->facts & VSHM_FACT_RMW ? "work" : "not allowed", screen->width < 80 ? "\n  " : " ",
		      r->facts & VSHM_FACT_ENFORCED    ? "read-only, enforced by the system"
		      : r->facts & VSHM_FACT_PROTECTED ? "read-only by agreement"
						       : "unprotected",
		      screen_off(screen));
	if (*r->way)
		show_way(screen, r);
}

static enum style state_style(enum vshm_peer_state state)
{
	switch (state) {
	case VSHM_PEER_LIVE:
		return STYLE_GOOD;
	case VSHM_PEER_CLOSING:
	case VSHM_PEER_SUSPECT:
		return STYLE_WARN;
	case VSHM_PEER_DIED:
	case VSHM_PEER_FENCED:
		return STYLE_BAD;
	case VSHM_PEER_FREE:
	case VSHM_PEER_PENDING:
		break;
	}
	return STYLE_DIM;
}

static void cell_ways(struct table *table, const struct vshm_peer_info *info)
{
	const char *woken = info->ways & VSHM_WAY_FUTEX ? "futex" : info->ways & VSHM_WAY_DOORBELL ? "doorbell" : "nothing";
	table_cell(table, STYLE_PLAIN, "%s%s%s%s", woken,
		   info->ways & VSHM_WAY_MEMBARRIER ? " membarrier" : "", info->ways & VSHM_WAY_KEEPER ? " keeper" : "",
		   info->same_kernel ? "" : " (other kernel)");
}

static void cell_heart(struct table *table, const struct observed_peer *peer)
{
	if (!peer->info.beat_ms)
		table_cell(table, STYLE_DIM, "none");
	else if (peer->beats_per_second < 0)
		table_cell(table, STYLE_PLAIN, "?");
	else
		table_cell(table, peer->beats_per_second > 0 ? STYLE_PLAIN : STYLE_WARN, "%.0f/s",
			   peer->beats_per_second);
}

static void cell_user(struct table *table, uint32_t uid)
{
	const struct passwd *user = getpwuid(uid);
	if (user)
		table_cell(table, STYLE_PLAIN, "%s", user->pw_name);
	else
		table_cell(table, STYLE_PLAIN, "%" PRIu32, uid);
}

static void cell_use(struct table *table, const struct screen *screen, const struct vshm_peer_info *info)
{
	char bar[64], used[TEXT_SIZE], size[TEXT_SIZE], cell[160];
	uint64_t room = info->size > VSHM_SECTION_DATA ? info->size - VSHM_SECTION_DATA : 0;
	screen_bar(bar, sizeof(bar), screen->utf8, 8, (double)info->ring_bytes, (double)room);
	(void)snprintf(cell, sizeof(cell), "%s %s of %s", bar, text_bytes(used, info->ring_bytes),
		       text_bytes(size, room));
	table_drawn(table, STYLE_PLAIN, cell);
}

static void row_of_peer(struct table *table, const struct show *show, vshm_peer peer)
{
	const struct observed_peer *p = &show->now->peer[peer];
	char age[TEXT_SIZE];
	uint64_t now = show->now->realtime_ns, since = p->info.attached_ns;
	table_cell(table, STYLE_BOLD, "%" PRIu32, peer);
	table_cell(table, state_style(p->info.state), "%s", observed_state_name(p->info.state));
	table_cell(table, STYLE_PLAIN, "%s", p->info.label);
	table_cell(table, STYLE_PLAIN, "%" PRIu32, p->info.pid);
	cell_user(table, p->info.uid);
	table_cell(table, STYLE_PLAIN, "%s", text_age(age, now > since ? now - since : 0));
	cell_heart(table, p);
	cell_ways(table, &p->info);
	cell_use(table, &show->screen, &p->info);
}

/* Slots that nobody uses, on one line: "2-62 free". */
static void put_empty(const struct show *show, enum vshm_peer_state state)
{
	const struct observation *now = show->now;
	bool any = false;
	for (unsigned i = 0; i < now->region.peers; i++) {
		unsigned last = i;
		if (observed_present(&now->peer[i]) || now->peer[i].info.state != state)
			continue;
		while (last + 1 < now->region.peers && now->peer[last + 1].info.state == state &&
		       !observed_present(&now->peer[last + 1]))
			last++;
		(void)fprintf(show->screen.out, any ? ", %u" : "  %u", i);
		if (last > i)
			(void)fprintf(show->screen.out, "-%u", last);
		any = true;
		i = last;
	}
	if (any)
		(void)fprintf(show->screen.out, " %s\n", observed_state_name(state));
}

static void show_peers(const struct show *show)
{
	static const char *const titles[] = {
		">PEER", "STATE", "LABEL", ">PID", "~USER", "~>AGE", "~>HEART", "~WAYS", "RINGS IN SECTION", NULL};
	struct table table;
	table_init(&table, titles);
	for (vshm_peer peer = 0; peer < show->now->region.peers; peer++) {
		if (observed_present(&show->now->peer[peer]))
			row_of_peer(&table, show, peer);
	}
	(void)fputc('\n', show->screen.out);
	table_print(&table, &show->screen);
	(void)fputs(screen_on(&show->screen, STYLE_DIM), show->screen.out);
	for (unsigned state = VSHM_PEER_FREE; state <= VSHM_PEER_FENCED; state++)
		put_empty(show, (enum vshm_peer_state)state);
	(void)fputs(screen_off(&show->screen), show->screen.out);
}

static void cell_peer(struct table *table, const struct show *show, vshm_peer peer)
{
	const char *label = peer < show->now->region.peers ? show->now->peer[peer].info.label : "";
	table_cell(table, STYLE_PLAIN, "%" PRIu32 "%s%.20s", peer, *label ? " " : "", label);
}

static void cell_fill(struct table *table, const struct show *show, const struct observed_end *end)
{
	char bar[80], size[TEXT_SIZE], cell[160];
	double share = end->info.ring_size ? (double)end->fill / (double)end->info.ring_size : 0;
	const char *limit = end->known == KNOWN_AT_MOST && end->fill ? "at most " : "";
	if (end->known == KNOWN_NOT) {
		table_cell(table, STYLE_DIM, "not known");
		return;
	}
	if (*limit && show->screen.width < 110) {
		table_cell(table, STYLE_WARN, "%s%s", limit, text_bytes(size, end->fill));
		return;
	}
	screen_bar(bar, sizeof(bar), show->screen.utf8, show->screen.width < 110 ? 6 : 12, (double)end->fill,
		   (double)end->info.ring_size);
	(void)snprintf(cell, sizeof(cell), "%s %3.0f%%  %s%s", bar, share * 100, limit, text_bytes(size, end->fill));
	table_drawn(table, share >= 0.9 ? STYLE_WARN : STYLE_PLAIN, cell);
}

static void cell_rate(struct table *table, const struct observed_end *end)
{
	char rate[TEXT_SIZE];
	if (end->bytes_per_second < 0)
		table_cell(table, STYLE_PLAIN, " ");
	else
		table_cell(table, end->bytes_per_second > 0 ? STYLE_GOOD : STYLE_DIM, "%s",
			   text_rate(rate, end->bytes_per_second));
}

static void cell_records(struct table *table, const struct observed_end *end, const struct observed_end *consumer)
{
	char text[TEXT_SIZE];
	uint64_t records = end->info.records;
	/* each end publishes its count now and then: 0 says nothing yet */
	if (consumer && consumer->info.records > records)
		records = consumer->info.records;
	table_cell(table, STYLE_PLAIN, "%s", records ? text_count(text, records) : " ");
}

static void row_of_ring(struct table *table, const struct show *show, const struct observed_end *end)
{
	const struct observed_end *consumer = end->consumer >= 0 ? &show->now->end[end->consumer] : NULL;
	char size[TEXT_SIZE], tail[TEXT_SIZE];
	table_cell(table, STYLE_BOLD, "%s", end->info.name);
	cell_peer(table, show, end->info.peer);
	if (end->info.grants)
		table_cell(table, end->info.consumers ? STYLE_PLAIN : STYLE_DIM, "%" PRIu32 " of %" PRIu32 "%s", end->info.consumers,
			   end->info.grants, end->info.flags & VSHM_ENTRY_LATEST ? ", latest" : "");
	else if (end->info.connected)
		cell_peer(table, show, end->info.other_peer);
	else
		table_cell(table, STYLE_DIM, "nobody%s", end->info.flags & VSHM_ENTRY_DROP ? ": drops" : "");
	cell_fill(table, show, end);
	table_cell(table, end_is_gone(show->now, end) ? STYLE_WARN : STYLE_PLAIN, "%s", ring_does(show->now, end));
	cell_rate(table, end);
	table_cell(table, STYLE_PLAIN, "%s", text_bytes(size, end->info.ring_size));
	cell_records(table, end, consumer);
	table_cell(table, STYLE_PLAIN, "%s", text_bytes(tail, end->info.position));
}

/* Of a consumer: bytes that it has not read. A latest ring does not wait to be read. */
static void cell_behind(struct table *table, const struct observation *now, const struct observed_end *end)
{
	char text[TEXT_SIZE];
	for (size_t i = 0; i < now->ends; i++) {
		const struct observed_end *producer = &now->end[i];
		if (producer->unlawful || producer->info.kind != VSHM_PRODUCER || !observed_reads(end, producer) ||
		    producer->info.flags & VSHM_ENTRY_LATEST)
			continue;
		table_cell(table, STYLE_PLAIN, "%s", text_bytes(text, observed_behind(producer, end)));
		return;
	}
	table_cell(table, STYLE_PLAIN, " ");
}

/* Positions and doorbells of both ends, for those who debug. */
static void row_of_end(struct table *table, const struct observation *now, const struct observed_end *end)
{
	char does[END_TEXT];
	bool producer = end->info.kind == VSHM_PRODUCER;
	table_cell(table, STYLE_PLAIN, "%s", end->info.name);
	table_cell(table, STYLE_PLAIN, "%s %" PRIu32 "/%" PRIu32, producer ? "producer" : "consumer", end->info.peer,
		   end->info.index);
	if (end->info.lent)
		table_cell(table, STYLE_PLAIN, "head %" PRIu64 ", keeps %" PRIu32 " of %" PRIu32 " blocks", end->info.position,
			   end->info.lent, end->info.lends);
	else
		table_cell(table, STYLE_PLAIN, "%s %" PRIu64, producer ? "tail" : "head", end->info.position);
	cell_behind(table, now, end);
	(void)end_does(now, end, does);
	table_cell(table, strcmp(does, "awake") != 0 ? STYLE_WARN : STYLE_DIM, "%s", does);
	table_cell(table, STYLE_PLAIN, "%" PRIu64, end->info.rings_sent);
	table_cell(table, STYLE_PLAIN, "%" PRIu64, end->info.rings_avoided);
	table_cell(table, STYLE_PLAIN, "%" PRIu64, end->info.sleeps);
	table_cell(table, STYLE_PLAIN, "%" PRIu64, end->info.spurious);
	table_cell(table, end->info.lost ? STYLE_WARN : STYLE_PLAIN, "%" PRIu64, end->info.lost);
}

static bool is_ring(const struct observed_end *end)
{
	return !end->unlawful && end->info.kind == VSHM_PRODUCER && end->info.state != VSHM_END_FREE;
}

static void show_rings(const struct show *show)
{
	static const char *const titles[] = {"RING",   "PRODUCER", "CONSUMER",	"UNREAD",     "STATE",
					     "~>RATE", "~>SIZE",   "~>RECORDS", "~>POSITION", NULL};
	struct table table;
	table_init(&table, titles);
	for (size_t i = 0; i < show->now->ends; i++) {
		if (is_ring(&show->now->end[i]))
			row_of_ring(&table, show, &show->now->end[i]);
	}
	(void)fputc('\n', show->screen.out);
	if (!table.count)
		(void)fputs("no rings\n", show->screen.out);
	table_print(&table, &show->screen);
}

static void row_of_pool(struct table *table, const struct show *show, const struct vshm_end_info *pool)
{
	char bar[80], used[TEXT_SIZE], largest[TEXT_SIZE], size[TEXT_SIZE], cell[160];
	table_cell(table, STYLE_BOLD, "%s", pool->name);
	cell_peer(table, show, pool->peer);
	screen_bar(bar, sizeof(bar), show->screen.utf8, 8, (double)pool->position, (double)pool->ring_size);
	(void)snprintf(cell, sizeof(cell), "%s %s", bar, text_bytes(used, pool->position));
	table_drawn(table, STYLE_PLAIN, cell);
	table_cell(table, STYLE_PLAIN, "%" PRIu32, pool->lent);
	table_cell(table, pool->largest ? STYLE_PLAIN : STYLE_WARN, "%s", text_bytes(largest, pool->largest));
	table_cell(table, STYLE_PLAIN, "%s", text_bytes(size, pool->ring_size));
}

static void show_pools(const struct show *show)
{
	static const char *const titles[] = {"POOL", "OWNER", "IN USE", ">BLOCKS LENT", ">LARGEST FREE", ">SIZE", NULL};
	struct table table;
	table_init(&table, titles);
	for (size_t i = 0; i < show->now->ends; i++) {
		if (!show->now->end[i].unlawful && show->now->end[i].info.kind == VSHM_POOL)
			row_of_pool(&table, show, &show->now->end[i].info);
	}
	if (table.count)
		(void)fputc('\n', show->screen.out);
	table_print(&table, &show->screen);
}

static void show_ends(const struct show *show)
{
	static const char *const titles[] = {"END OF",	   "WHICH",   "POSITION",   "~>BEHIND", "WAITS", ">RUNG",
					     "~>NOT RUNG", "~>SLEPT", "~>SPURIOUS", ">LOST",	NULL};
	struct table table;
	table_init(&table, titles);
	for (size_t i = 0; i < show->now->ends; i++) {
		if (!show->now->end[i].unlawful && show->now->end[i].info.kind != VSHM_POOL)
			row_of_end(&table, show->now, &show->now->end[i]);
	}
	if (table.count)
		(void)fputc('\n', show->screen.out);
	table_print(&table, &show->screen);
}

static void show_odd_ends(const struct show *show)
{
	for (size_t i = 0; i < show->now->ends; i++) {
		const struct observed_end *end = &show->now->end[i];
		char name[VSHM_NAME_SIZE * 4];
		text_escape(name, sizeof(name), end->info.name);
		if (end->unlawful)
			(void)fprintf(show->screen.out,
				      "%speer %" PRIu32 " entry %" PRIu32 " breaks the rules: run vshmctl check%s\n",
				      screen_on(&show->screen, STYLE_BAD), end->info.peer, end->info.index,
				      screen_off(&show->screen));
		else if (end_waits(show->now, end))
			(void)fprintf(show->screen.out, "%speer %" PRIu32 " waits for a producer of \"%s\"%s\n",
				      screen_on(&show->screen, STYLE_WARN), end->info.peer, name,
				      screen_off(&show->screen));
	}
}

static void row_of_wakes(struct table *table, const struct show *show, const vshm_peer *peers, unsigned count,
			 unsigned row)
{
	const struct observation *now = show->now;
	table_cell(table, STYLE_BOLD, "%" PRIu32, peers[row]);
	for (unsigned i = 0; i < count; i++) {
		enum wakes wakes = observed_wakes(now, peers[row], peers[i]);
		if (i == row)
			table_drawn(table, STYLE_DIM, show->screen.utf8 ? "·" : ".");
		else if (wakes == WAKES_YES)
			table_drawn(table, STYLE_GOOD, show->screen.utf8 ? "●" : "y");
		else
			table_drawn(table, STYLE_WARN, wakes == WAKES_UNKNOWN ? "?" : show->screen.utf8 ? "○" : "n");
	}
}

static bool can_all_wake(const struct observation *now, const vshm_peer *peers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = 0; j < count; j++) {
			if (i != j && observed_wakes(now, peers[i], peers[j]) != WAKES_YES)
				return false;
		}
	}
	return true;
}

/* Usually everybody can wake everybody: then a sentence says more than a table full of dots. */
static void show_wakes(const struct show *show)
{
	static char numbers[TABLE_COLUMNS][12];
	const char *titles[TABLE_COLUMNS + 1] = {">WAKES"};
	vshm_peer peers[VSHM_MAX_PEERS];
	unsigned count = 0;
	for (vshm_peer peer = 0; peer < show->now->region.peers; peer++) {
		if (observed_present(&show->now->peer[peer]) && show->now->peer[peer].info.state < VSHM_PEER_DIED)
			peers[count++] = peer;
	}
	if (count < 2)
		return;
	(void)fputc('\n', show->screen.out);
	if (can_all_wake(show->now, peers, count)) {
		(void)fputs("every peer can wake every other\n", show->screen.out);
		return;
	}
	/* A table has few columns: the first peers stand for the rest, --json has all. */
	unsigned shown = count < TABLE_COLUMNS - 1 ? count : TABLE_COLUMNS - 1;
	for (unsigned i = 0; i < shown; i++) {
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%" PRIu32, peers[i]);
		titles[i + 1] = numbers[i];
	}
	struct table table;
	table_init(&table, titles);
	for (unsigned row = 0; row < shown; row++)
		row_of_wakes(&table, show, peers, shown, row);
	table_print(&table, &show->screen);
	(void)fprintf(show->screen.out,
		      "%s(the peer at the left can wake the one above; ? cannot be told from here%s)%s\n",
		      screen_on(&show->screen, STYLE_DIM), shown < count ? "; more peers: --json" : "",
		      screen_off(&show->screen));
}

void show_text(const struct show *show)
{
	show_region(show);
	show_peers(show);
	show_rings(show);
	show_pools(show);
	show_odd_ends(show);
	show_ends(show);
	show_wakes(show);
}
