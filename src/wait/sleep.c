/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sleep protocol, once. The order of its steps is the proof that no wake-up is lost:
 *
 *   sleeper: note the bell's value; store `armed`; barrier; look; sleep while the bell has that value
 *   ringer:  publish; (light or full) fence; load `armed`; change the bell; wake
 *
 * Of "store armed, then look" and "publish, then load armed" at least one side sees the other's store, because a
 * barrier stands between store and load on both: the ringer's own full fence, or, when all ringers registered for
 * it, the sleeper's membarrier acting on the ringer's CPU. A ring between the note and the sleep changes the bell, so
 * the sleep ends at once. A ringer rings once for each value of `armed`; so it must not be slept on one that a ring may
 * have been spent on before the note, which is so when the look found the position reached but nothing to return (a
 * pad): then what is waited for has changed. tests/model explores this file.
 *
 * Where somebody else sleeps in the end's place (the keeper, for a descriptor), that one has noted the bell at all times,
 * and the end only arms and looks; a ring from then on is noticed.
 */
#include "os/os.h"
#include "wait/wait.h"

void vshmi_sleeper_add(struct vshmi_sleeper *sleeper, const struct vshmi_word32 *word)
{
	for (unsigned i = 0; i < sleeper->count; i++)
		if (sleeper->words[i] == word)
			return;
	if (sleeper->count < VSHMI_WAIT_WORDS)
		sleeper->words[sleeper->count++] = word;
	else
		sleeper->deaf = true;
}

/* A membarrier is a full fence of the caller, too: it serves those who fence as well. */
static void barrier(bool light)
{
	if (!light || !vshmi_membarrier())
		vshmi_fence_full();
}

/* Arms and looks again. `*stands`: nothing is there, and what was armed is still what has to be waited for. */
static int arm_once(const struct vshmi_sleeper *sleeper, bool *stands)
{
	uint64_t armed = sleeper->arm(sleeper->end);
	int rc;

	barrier(sleeper->light);
	rc = sleeper->look(sleeper->end);
	*stands = rc == -EAGAIN && sleeper->arm(sleeper->end) == armed;
	return rc;
}

int vshmi_sleep_once(const struct vshmi_sleeper *sleeper, int64_t timeout_ns, bool *slept)
{
	const uint32_t *address[VSHMI_WAIT_WORDS];
	uint32_t noted[VSHMI_WAIT_WORDS];
	int rc;

	for (unsigned i = 0; i < sleeper->count; i++) {
		address[i] = vshmi_futex_address(sleeper->words[i]);
		noted[i] = vshmi_load_acquire32(sleeper->words[i]);
	}
	rc = arm_once(sleeper, slept);
	if (*slept && sleeper->rest)
		sleeper->rest(sleeper->end, noted[0], timeout_ns);
	else if (*slept && vshmi_futex_wait(address, noted, sleeper->count, timeout_ns) == -EFAULT)
		rc = -EFAULT;
	sleeper->disarm(sleeper->end);
	return rc;
}

/* Far more than one that finds its peer, or a pad, needs: before it has, there is no position to be told. */
#define MOST_ARMINGS 8

int vshmi_stay_armed(const struct vshmi_sleeper *sleeper, bool *stands)
{
	int rc = arm_once(sleeper, stands);

	for (unsigned i = 1; i < MOST_ARMINGS && rc == -EAGAIN && !*stands; i++)
		rc = arm_once(sleeper, stands);
	if (rc != -EAGAIN)
		sleeper->disarm(sleeper->end);
	return rc;
}
