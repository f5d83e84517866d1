/* SPDX-License-Identifier: BSD-3-Clause */
/* Two looks at a region as an observer: what `show` and `list` print. */
#ifndef CLI_OBSERVE_H
#define CLI_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>

#include <vshm/region.h>

struct observed_peer {
	struct vshm_peer_info info;
	double beats_per_second; /* between the two looks; negative: not known */
};

enum known {
	KNOWN_NOT,
	KNOWN_AT_MOST, /* nobody tells yet what is read: everything that can lie in the ring */
	KNOWN_EXACTLY,
};

/* A ring, or a consumer whose producer is not there yet, or an entry that breaks the rules. */
struct observed_end {
	struct vshm_end_info info;
	bool unlawful; /* only peer and index are valid */
	long consumer; /* a producer's: index of the granted consumer's end, or -1 */
	bool taken; /* a consumer's: some producer names it */
	enum known known; /* a producer's: how much `fill` says */
	uint64_t fill; /* bytes that were not read yet, by the slowest of several */
	double bytes_per_second, records_per_second; /* between the two looks; negative: not known */
};

struct observation {
	struct vshm_region_info region;
	struct observed_peer peer[VSHM_MAX_PEERS];
	struct observed_end *end;
	size_t ends, room;
	uint64_t monotonic_ns, realtime_ns;
};

enum wakes {
	WAKES_NO,
	WAKES_YES,
	WAKES_UNKNOWN, /* neither of them runs under this kernel */
};

/* What vshmctl says for a URI argument: "net0" alone means vshm:net0. `uri`: OBSERVE_URI_SIZE bytes. 0, or -1: too long. */
#define OBSERVE_URI_SIZE 4200
int observe_uri(const char *text, char *uri);

/* Attaches to a region as an observer. 0, or an error with `why`. */
int observe_open(const char *uri, struct vshm_region **region, char *why);

/* Can no second process of this machine open it meanwhile? So it is with a device through VFIO. */
bool observe_is_alone(struct vshm_region *region);

/*
 * From here on memory that vanishes under this process gives an error instead of SIGBUS, also in calls that have no such
 * option: they use the guard of a process that has one.
 */
void observe_guard(const char *uri);

/* One look. `before`: an earlier one, for rates, or NULL. 0, or what vshm_region_status() said. */
int observe(struct vshm_region *region, const struct observation *before, struct observation *now);

/*
 * Two looks: 150 ms apart where all hearts were seen beating, else until the library's lease has passed, so that
 * "suspect" can be said. `stop`: asked between looks whether to give up.
 */
int observe_twice(struct vshm_region *region, struct observation *now, int (*stop)(void));

void observe_free(struct observation *observation);

/* After -ESTALE from a region that was opened by `uri`: what became of it, or of this peer. A constant text. */
const char *observe_stale(const char *uri, struct vshm_region *region);

/* Was this consumer granted by that producer? And how many bytes of its ring has it not read? */
bool observed_reads(const struct observed_end *consumer, const struct observed_end *producer);
uint64_t observed_behind(const struct observed_end *producer, const struct observed_end *consumer);

/* Is somebody in this slot? */
bool observed_present(const struct observed_peer *peer);

unsigned observed_live(const struct observation *observation);

/* Can peer `ringer` wake peer `target`? As far as one can tell from here. */
enum wakes observed_wakes(const struct observation *observation, vshm_peer ringer, vshm_peer target);

const char *observed_state_name(enum vshm_peer_state state);

uint64_t observe_clock_ns(void);
void observe_pause(uint64_t ns);

#endif
