/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Spin before sleep: a wake-up through the kernel costs some 5 to 10 µs on both sides, so looking around for about as
 * long is never much worse than the better of the two choices (the ski-rental argument), and when waits have lately
 * been far longer than the budget it is given up almost at once.
 */
#include "os/os.h"
#include "wait/wait.h"

/* The default budget: about twice the cost of a wake-up. */
#define DEFAULT_SPIN_US 20

/* Looks between two looks at the clock, which costs as much as some 20 of them. */
#define LOOKS_PER_CLOCK 32

/* Some 200 ns: what a burst gains by more is less than what waiting for it costs. */
#define MOST_PAUSES 16

/* Every so many single catches, a pause is tried: in lock-step it makes several of them, elsewhere it is given up at once. */
#define TRY_EVERY 8

/* When spinning does not pay: still try for as long as a quick answer would take. */
#define TOKEN_NS 1000

void vshmi_spin_init(struct vshmi_spin *spin, uint32_t spin_us)
{
	spin->budget_ns = (spin_us == UINT32_MAX ? DEFAULT_SPIN_US : (int64_t)spin_us) * 1000;
	spin->recent_ns = 0;
	spin->pauses = 1;
	spin->singles = 0;
}

int vshmi_spin_briefly(struct vshmi_spin *spin, int (*look)(void *end), void *end)
{
	if (!spin->budget_ns)
		return -EAGAIN;
	for (int i = 0; i < VSHMI_BRIEF_LOOKS; i++) {
		int rc = look(end);

		if (rc != -EAGAIN) {
			spin->recent_ns -= spin->recent_ns / 8;
			return rc;
		}
		vshmi_spin_pause(spin);
	}
	return -EAGAIN;
}

int vshmi_spin(struct vshmi_spin *spin, int (*look)(void *end), void *end, int64_t deadline_ns)
{
	int64_t until, now;
	int rc;

	if (!spin->budget_ns)
		return look(end);
	now = vshmi_clock_ns();
	until = now + (spin->recent_ns > spin->budget_ns && spin->budget_ns > TOKEN_NS ? TOKEN_NS : spin->budget_ns);
	if (until > deadline_ns)
		until = deadline_ns;
	do {
		for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
			rc = look(end);
			if (rc != -EAGAIN)
				return rc;
			vshmi_spin_pause(spin);
		}
		now = vshmi_clock_ns();
	} while (now < until);
	return -EAGAIN;
}

void vshmi_spin_learn(struct vshmi_spin *spin, int64_t waited_ns)
{
	int64_t most = 4 * spin->budget_ns;

	if (waited_ns > most)
		waited_ns = most;
	spin->recent_ns += (waited_ns - spin->recent_ns) / 8;
}

void vshmi_spin_found(struct vshmi_spin *spin, bool several)
{
	if (!spin->budget_ns)
		return;
	if (several && spin->pauses < MOST_PAUSES)
		spin->pauses *= 2;
	else if (!several && spin->pauses > 1)
		spin->pauses /= 2;
}

void vshmi_spin_caught(struct vshmi_spin *spin, bool several)
{
	if (several || spin->pauses > 1)
		vshmi_spin_found(spin, several);
	else if (spin->budget_ns && ++spin->singles % TRY_EVERY == 0)
		spin->pauses = 2;
}
