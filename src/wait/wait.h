/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait: arm, look again, sleep; and how long to look around before. Knows nothing of regions and rings: an end says how
 * it arms, disarms and looks, and which words tell it that something happened. A doorbell is a hint: any wake-up means
 * "look at everything", and every sleep ends by itself.
 */
#ifndef WAIT_WAIT_H
#define WAIT_WAIT_H

#include "shared/shared.h"

/* A futex wait takes at most so many words (linux include/uapi/linux/futex.h: FUTEX_WAITV_MAX). */
#define VSHMI_WAIT_WORDS 128

/*
 * One who wants to sleep. `words` may be in other peers' memory; a change of any of them, or a wake, ends the sleep.
 * Who waits for one of several things arms for all of them, then looks at all of them; what arm() returns then changes
 * when any of the positions does.
 */
struct vshmi_sleeper {
	int (*look)(void *end);	   /* -EAGAIN: nothing yet; anything else ends the wait */
	uint64_t (*arm)(void *end); /* tells the other side what is waited for; returns that, as a number */
	void (*disarm)(void *end);
	/* sleeps otherwise than on the words; `noted`: the first one's value before arm(); NULL: on the words */
	void (*rest)(void *end, uint32_t noted, int64_t timeout_ns);
	void *end;
	bool light; /* somebody waited for relies on this side's membarrier instead of fencing */
	bool deaf;  /* somebody waited for cannot ring: sleep only for short */
	unsigned count;
	const struct vshmi_word32 *words[VSHMI_WAIT_WORDS];
};

/* ---- sleep.c ---- */

/* Listens to one more word, if it is not there yet; where there is no room for it, the sleeper is deaf. */
void vshmi_sleeper_add(struct vshmi_sleeper *sleeper, const struct vshmi_word32 *word);

/*
 * Arms, looks again, and sleeps for at most `timeout_ns`: what look() said; -EAGAIN after a sleep, and when the look changed
 * what has to be waited for. `*slept` tells whether it came to a sleep. -EFAULT: a word cannot be read.
 */
int vshmi_sleep_once(const struct vshmi_sleeper *sleeper, int64_t timeout_ns, bool *slept);

/*
 * Does not sleep, but leaves that to another thread, which has noted the words all the time: arms, looks again, and stays
 * armed if there is nothing. What look() said. `*stands` false with -EAGAIN: it changes all the time what has to be waited
 * for, so look again soon.
 */
int vshmi_stay_armed(const struct vshmi_sleeper *sleeper, bool *stands);

/* ---- spin.c ---- */

/* How long waits of one end have been lasting, and so how long looking around pays. */
struct vshmi_spin {
	int64_t budget_ns; /* never longer than this; 0: never */
	int64_t recent_ns; /* moving average of the last waits, at most 4 * budget */
	unsigned pauses;   /* between two looks: more while records come in bursts, so that they go on doing so */
	unsigned singles;  /* catches of one record */
};

void vshmi_spin_init(struct vshmi_spin *spin, uint32_t spin_us);

/*
 * The first look around, some hundred nanoseconds, without a look at the clock, which would cost as much as the answer of
 * a peer that is at work. What look() said; -EAGAIN.
 */
int vshmi_spin_briefly(struct vshmi_spin *spin, int (*look)(void *end), void *end);

/*
 * Looks until something is there, but not longer than pays and not beyond `deadline_ns` on vshmi_clock_ns() (INT64_MAX:
 * none). What look() said; -EAGAIN when time was up.
 */
int vshmi_spin(struct vshmi_spin *spin, int (*look)(void *end), void *end, int64_t deadline_ns);

/* A wait is over that took so long: learn from it. */
void vshmi_spin_learn(struct vshmi_spin *spin, int64_t waited_ns);

/* Looks before the first look at the clock. */
#define VSHMI_BRIEF_LOOKS 48

/* Between two looks. */
static inline void vshmi_spin_pause(const struct vshmi_spin *spin)
{
	for (unsigned i = 0; i < spin->pauses; i++)
		vshmi_cpu_relax();
}

/* A wait found one thing, or several. Looking less often makes bursts of what comes fast; what comes singly is looked for often. */
void vshmi_spin_found(struct vshmi_spin *spin, bool several);

/* The same for a look that found something at once. */
void vshmi_spin_caught(struct vshmi_spin *spin, bool several);

#endif
