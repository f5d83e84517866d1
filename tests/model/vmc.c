/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The explorer: coroutines, decisions, and the meaning of each access. Depth-first: an execution replays the decisions
 * of the one before up to the last that has an alternative left, and takes that.
 *
 * A load may read any message that is not older than the thread's view of the word. Of several messages with one
 * value only the oldest is tried: reading it forbids least, so everything that follows the others follows it, too.
 */
#include "memory.h"

#include "shared/shared.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "os/os.h"

#define STACK_SIZE 65536
#define DECISIONS 8192
#define STEPS 20000
#define SITES 128
#define SITE_CACHE 1024
#define SCENARIOS 48

enum state { READY, ASLEEP, ENDED };

struct thread {
	ucontext_t context;
	enum state state;
	struct vmc_knowledge knows;
	const uint32_t *const *futex; /* sleeps on these */
	unsigned futex_count;
	const char *last_word; /* and what was done to it, to name fences */
	bool last_was_store;
	struct { /* a store that the compiler moved behind the next load */
		void *address;
		uint64_t value;
		unsigned size;
		enum vshmi_hook_order order;
	} late;
};

static const struct vmc_scenario *scenario;
static struct thread threads[VMC_THREADS];
static char stacks[VMC_THREADS][STACK_SIZE] __attribute__((aligned(64)));
static unsigned thread_count, me;
static ucontext_t explorer;
static bool running;
static struct vmc_stamp fences; /* what all full fences so far saw */

static struct {
	uint16_t taken, count;
} decisions[DECISIONS];
static unsigned decision_count, decision_depth;
static unsigned preemptions_left, stale_left, steps;

static struct vmc_site sites[SITES];
static const struct vmc_scenario *site_scenarios[SITES][SCENARIOS];
static unsigned site_count, weakened;
static struct {
	struct vmc_site site;
	unsigned index;
} site_cache[SITE_CACHE]; /* of this exploration, by address of the texts */
static bool explaining;
static struct vmc_result *result;

/* ---- decisions ---- */

static unsigned decide(unsigned count)
{
	if (count < 2)
		return 0;
	if (decision_depth == decision_count) {
		if (decision_count == DECISIONS)
			vmc_fail("too many decisions");
		decisions[decision_count].taken = 0;
		decisions[decision_count++].count = (uint16_t)count;
	}
	if (decisions[decision_depth].count != count)
		abort(); /* the scenario does not repeat itself */
	return decisions[decision_depth++].taken;
}

/* Steps to the next unexplored branch; false when there is none. */
static bool next_branch(void)
{
	while (decision_count && decisions[decision_count - 1].taken + 1u == decisions[decision_count - 1].count)
		decision_count--;
	if (!decision_count)
		return false;
	decisions[decision_count - 1].taken++;
	return true;
}

static void explain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void explain(const char *format, ...)
{
	va_list args;

	if (!explaining)
		return;
	printf("    %-10s ", scenario->thread[me].role);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void vmc_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(result->what, sizeof(result->what), format, args);
	va_end(args);
	result->failed = true;
	explain("FAILS: %s", result->what);
	running = false;
	setcontext(&explorer);
	abort();
}

/* ---- who goes on ---- */

static void switch_to(unsigned next)
{
	unsigned from = me;

	if (next == from)
		return;
	me = next;
	swapcontext(&threads[from].context, &threads[next].context);
}

static unsigned others_ready(unsigned list[])
{
	unsigned count = 0;

	for (unsigned i = 0; i < thread_count; i++)
		if (i != me && threads[i].state == READY)
			list[count++] = i;
	return count;
}

/* Before each step that others can see: perhaps another thread goes first. */
static void step(void)
{
	unsigned list[VMC_THREADS], count, choice;

	if (++steps > STEPS)
		vmc_fail("goes on for ever");
	if (!preemptions_left)
		return;
	count = others_ready(list);
	choice = decide(count + 1);
	if (!choice)
		return;
	preemptions_left--;
	switch_to(list[choice - 1]);
}

static void list_sleepers(char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < thread_count && used < size; i++)
		if (threads[i].state == ASLEEP)
			used += (size_t)snprintf(text + used, size - used, " %s", scenario->thread[i].role);
}

/* The current thread cannot go on. */
static void leave(void)
{
	unsigned list[VMC_THREADS], count = others_ready(list);
	char sleepers[80];

	if (count) {
		switch_to(list[decide(count)]);
		return;
	}
	list_sleepers(sleepers, sizeof(sleepers));
	if (sleepers[0])
		vmc_fail("lost wake-up: nobody is left to wake:%s", sleepers);
	running = false;
	setcontext(&explorer);
}

static void flush(void);

static void thread_main(void)
{
	scenario->thread[me].run();
	flush();
	explain("ends");
	threads[me].state = ENDED;
	leave();
}

/* ---- sites ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || !strcmp(a, b);
}

static void met_in(unsigned site)
{
	unsigned i = 0;

	while (site_scenarios[site][i] && site_scenarios[site][i] != scenario)
		if (++i == SCENARIOS)
			abort();
	site_scenarios[site][i] = scenario;
}

static unsigned find_site(const char *role, const char *what, const char *word)
{
	unsigned i = 0;

	while (i < site_count &&
	       !(same_text(sites[i].word, word) && same_text(sites[i].what, what) && same_text(sites[i].role, role)))
		i++;
	if (i == SITES)
		abort();
	if (i == site_count)
		sites[site_count++] = (struct vmc_site){role, what, word};
	if (weakened == VMC_NOT_WEAKENED)
		met_in(i);
	return i;
}

/* True when this site is the weakened one. Notes that it exists. The texts of one scenario are always the same ones. */
static bool weak(const char *what, const char *word)
{
	const char *role = scenario->thread[me].role;
	unsigned slot = (unsigned)((uintptr_t)what * 31 + (uintptr_t)word * 7 + (uintptr_t)role) % SITE_CACHE;

	while (site_cache[slot].site.what && (site_cache[slot].site.what != what ||
					      site_cache[slot].site.word != word || site_cache[slot].site.role != role))
		slot = (slot + 1) % SITE_CACHE;
	if (!site_cache[slot].site.what) {
		site_cache[slot].site = (struct vmc_site){role, what, word};
		site_cache[slot].index = find_site(role, what, word);
	}
	return site_cache[slot].index == weakened;
}

bool vmc_site_in(unsigned index, const struct vmc_scenario *where)
{
	for (unsigned i = 0; i < SCENARIOS; i++)
		if (site_scenarios[index][i] == where)
			return true;
	return false;
}

const void *vmc_setting(void)
{
	return scenario->setting;
}

const struct vmc_site *vmc_site(unsigned index)
{
	return index < site_count ? &sites[index] : NULL;
}

#define MEMBARRIER 4
#define LIGHT_FENCE_AFTER_STORE "light fence after store of"

/* A fence is known by what its thread did last before it. */
static bool weak_fence(unsigned fence)
{
	static const char *const after_store[] = {"full fence after store of", LIGHT_FENCE_AFTER_STORE,
						  "acquire fence after store of", "release fence after store of",
						  "membarrier after store of"};
	static const char *const after_load[] = {"full fence after load of", "light fence after load of",
						 "acquire fence after load of", "release fence after load of",
						 "membarrier after load of"};
	const struct thread *thread = &threads[me];

	return weak((thread->last_was_store ? after_store : after_load)[fence],
		    thread->last_word ? thread->last_word : "nothing");
}

/* ---- accesses ---- */

static void check_race(const void *memory, size_t size, enum vmc_access access)
{
	const char *with = vmc_race(memory, size, access, me, &threads[me].knows.now);

	if (with)
		vmc_fail("data race with %s at %s", with, vmc_memory_name(memory));
}

static void note(const char *word, bool store)
{
	threads[me].last_word = word;
	threads[me].last_was_store = store;
}

/* Which message to read: the newest value, or, as often as allowed, an older one. */
static unsigned choose_message(const struct vmc_word *word, unsigned oldest)
{
	unsigned candidates[VMC_MESSAGES], count = 0, choice;

	for (unsigned i = word->count; i-- > oldest;) {
		unsigned known = 0;

		while (known < count && word->message[candidates[known]].value != word->message[i].value)
			known++;
		candidates[known] = i;
		if (known == count)
			count++;
	}
	choice = stale_left ? decide(count) : 0;
	if (choice)
		stale_left--;
	return candidates[choice];
}

static uint64_t do_load(const void *address, unsigned size, enum vshmi_hook_order order)
{
	const char *name = vmc_memory_name(address);
	struct vmc_knowledge *knows = &threads[me].knows;
	unsigned index = vmc_memory_word(address, size), chosen;
	const struct vmc_message *message;

	if (order == VSHMI_HOOK_ACQUIRE && weak("acquire load of", name))
		order = VSHMI_HOOK_RELAXED;
	check_race(address, size, VMC_WORD_READ);
	chosen = choose_message(vmc_word_at(index), knows->now.view[index]);
	message = &vmc_word_at(index)->message[chosen];
	knows->now.view[index] = (uint8_t)chosen;
	vmc_join(&knows->acquired, &message->stamp);
	if (order == VSHMI_HOOK_ACQUIRE)
		vmc_join(&knows->now, &message->stamp);
	note(name, false);
	explain("load  %-18s = 0x%llx%s%s", name, (unsigned long long)message->value,
		chosen + 1 == vmc_word_at(index)->count ? "" : " (stale)",
		order == VSHMI_HOOK_ACQUIRE ? " acquire" : "");
	return message->value;
}

static void do_store(void *address, unsigned size, uint64_t value, enum vshmi_hook_order order)
{
	const char *name = vmc_memory_name(address);
	struct vmc_knowledge *knows = &threads[me].knows;
	unsigned index = vmc_memory_word(address, size);
	struct vmc_word *word = vmc_word_at(index);
	struct vmc_message *message = &word->message[word->count];

	if (word->count == VMC_MESSAGES)
		vmc_fail("too many stores to %s", name);
	if (order == VSHMI_HOOK_RELEASE && weak(value ? "release store of" : "release clearing of", name))
		order = VSHMI_HOOK_RELAXED;
	check_race(address, size, VMC_WORD_WRITE);
	knows->now.view[index] = (uint8_t)word->count++;
	message->value = value;
	message->stamp = order == VSHMI_HOOK_RELEASE ? knows->now : knows->released;
	message->stamp.view[index] = knows->now.view[index];
	knows->now.clock[me]++;
	vmc_raw_store(address, size, value);
	note(name, true);
	explain("store %-18s = 0x%llx%s", name, (unsigned long long)value,
		order == VSHMI_HOOK_RELEASE ? " release" : "");
}

static void flush(void)
{
	struct thread *thread = &threads[me];
	void *address = thread->late.address;

	if (!address)
		return;
	thread->late.address = NULL;
	step();
	do_store(address, thread->late.size, thread->late.value, thread->late.order);
}

uint64_t vshmi_hook_load(const void *word, unsigned size, enum vshmi_hook_order order)
{
	uint64_t value;

	if (!running || !vmc_memory_name(word) || vmc_memory_quiet(word))
		return vmc_raw_load(word, size);
	if (threads[me].late.address == word)
		flush();
	step();
	value = do_load(word, size, order);
	flush();
	return value;
}

/* Does the compiler keep this store in place? Not if the light fence behind it is the one that was weakened. */
static bool stays_in_place(const char *name)
{
	const struct vmc_site *site = vmc_site(weakened);

	return !site || !same_text(site->what, LIGHT_FENCE_AFTER_STORE) || !same_text(site->word, name) ||
	       !same_text(site->role, scenario->thread[me].role);
}

void vshmi_hook_store(void *word, unsigned size, uint64_t value, enum vshmi_hook_order order)
{
	const char *name = vmc_memory_name(word);

	if (!running || !name) {
		vmc_raw_store(word, size, value);
		return;
	}
	if (vmc_memory_quiet(word)) {
		VMC_ASSERT(vmc_raw_load(word, size) == value, "a quiet word changed");
		return;
	}
	flush();
	if (!stays_in_place(name)) {
		threads[me].late.address = word;
		threads[me].late.size = size;
		threads[me].late.value = value;
		threads[me].late.order = order;
		note(name, true);
		return;
	}
	step();
	do_store(word, size, value, order);
}

bool vshmi_hook_compare_exchange(void *word, uint32_t expected, uint32_t wanted)
{
	(void)word;
	(void)expected;
	(void)wanted;
	vmc_fail("no data path may use compare-and-swap");
}

/* ---- fences ---- */

static void acquire_fence(unsigned thread)
{
	vmc_join(&threads[thread].knows.now, &threads[thread].knows.acquired);
}

static void release_fence(unsigned thread)
{
	threads[thread].knows.released = threads[thread].knows.now;
	threads[thread].knows.now.clock[thread]++;
}

/* Full fences are totally ordered; each knows of what was before the earlier ones. It is no synchronisation. */
static void full_fence(unsigned thread)
{
	acquire_fence(thread);
	vmc_join_view(&threads[thread].knows.now, &fences);
	vmc_join_view(&fences, &threads[thread].knows.now);
	release_fence(thread);
}

void vshmi_hook_fence(enum vshmi_hook_fence fence)
{
	static const char *const names[] = {"full fence", "light fence", "acquire fence", "release fence"};
	bool weakly;

	if (!running)
		return;
	weakly = weak_fence(fence);
	if (fence == VSHMI_HOOK_FENCE_LIGHT)
		return; /* for the compiler only: see stays_in_place() */
	flush();
	explain("%s%s", names[fence], weakly ? " (weakened)" : "");
	switch (fence) {
	case VSHMI_HOOK_FENCE_FULL:
		step();
		if (!weakly) {
			full_fence(me);
			break;
		}
		acquire_fence(me);
		release_fence(me);
		break;
	case VSHMI_HOOK_FENCE_ACQUIRE:
		if (!weakly)
			acquire_fence(me);
		break;
	default:
		if (!weakly)
			release_fence(me);
		break;
	}
}

bool vshmi_membarrier(void)
{
	if (weak_fence(MEMBARRIER))
		return true;
	flush();
	step();
	explain("membarrier");
	full_fence(me);
	for (unsigned i = 0; i < thread_count; i++)
		full_fence(i);
	full_fence(me);
	return true;
}

/* ---- payload ---- */

void vmc_plain_read(const void *memory, size_t size)
{
	if (running)
		check_race(memory, size, VMC_PLAIN_READ);
}

void vmc_plain_write(void *memory, size_t size)
{
	if (running)
		check_race(memory, size, VMC_PLAIN_WRITE);
}

void vshmi_hook_copy_in(void *private_copy, const void *shared, size_t size)
{
	vmc_plain_read(shared, size);
	memcpy(private_copy, shared, size);
}

void vshmi_hook_copy_out(void *shared, const void *private_copy, size_t size)
{
	vmc_plain_write(shared, size);
	memcpy(shared, private_copy, size);
}

void vshmi_hook_call_begins(void) {}

/* ---- the operating system of the model ---- */

/* Did one of the words change? The kernel sees the newest value, and from then on this thread does, too. */
static bool changed(const uint32_t *const words[], const uint32_t expected[], unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned index = vmc_memory_word(words[i], 4);

		threads[me].knows.now.view[index] = (uint8_t)(vmc_word_at(index)->count - 1);
		if (*words[i] != expected[i])
			return true;
	}
	return false;
}

/* The kernel compares and falls asleep in one step. There are no timeouts here: what nobody wakes sleeps for ever. */
int vshmi_futex_wait(const uint32_t *const words[], const uint32_t expected[], unsigned count, int64_t timeout_ns)
{
	(void)timeout_ns;
	flush();
	step();
	if (changed(words, expected, count)) {
		explain("does not sleep: the bell rang");
		return 0;
	}
	explain("sleeps");
	threads[me].state = ASLEEP;
	threads[me].futex = words;
	threads[me].futex_count = count;
	leave();
	explain("wakes up");
	return 0;
}

void vshmi_futex_wake(const uint32_t *word)
{
	flush();
	step();
	explain("wakes who sleeps on %s", vmc_memory_name(word));
	for (unsigned t = 0; t < thread_count; t++)
		for (unsigned i = 0; threads[t].state == ASLEEP && i < threads[t].futex_count; i++)
			if (threads[t].futex[i] == word)
				threads[t].state = READY;
}

/* ---- executions ---- */

static void prepare(void)
{
	vmc_memory_reset();
	memset(&fences, 0, sizeof(fences));
	decision_depth = 0;
	steps = 0;
	preemptions_left = scenario->preemptions;
	stale_left = scenario->stale;
	scenario->setup();
	for (unsigned i = 0; i < thread_count; i++) {
		struct thread *thread = &threads[i];

		memset(&thread->knows, 0, sizeof(thread->knows));
		thread->knows.now.clock[i] = 1;
		thread->state = READY;
		thread->last_word = NULL;
		thread->late.address = NULL;
		getcontext(&thread->context);
		thread->context.uc_stack.ss_sp = stacks[i];
		thread->context.uc_stack.ss_size = STACK_SIZE;
		thread->context.uc_link = NULL;
		makecontext(&thread->context, thread_main, 0);
	}
}

static void execute(void)
{
	volatile bool over = false; /* setcontext() comes back to the getcontext() */

	prepare();
	getcontext(&explorer);
	if (!over) {
		over = true;
		running = true;
		me = decide(thread_count);
		setcontext(&threads[me].context);
	}
	if (!result->failed && scenario->finish)
		scenario->finish();
}

static void declare(const struct vmc_scenario *what)
{
	scenario = what;
	for (thread_count = 0; thread_count < VMC_THREADS && what->thread[thread_count].run;)
		thread_count++;
	vmc_memory_forget();
	what->declare();
}

void vmc_explore(const struct vmc_scenario *what, unsigned weak_site, uint64_t most, struct vmc_result *out)
{
	declare(what);
	weakened = weak_site;
	memset(site_cache, 0, sizeof(site_cache));
	result = out;
	memset(out, 0, sizeof(*out));
	decision_count = 0;
	do {
		execute();
		out->executions++;
	} while (!out->failed && out->executions < most && next_branch());
}

void vmc_explain(void)
{
	struct vmc_result again;

	result = &again;
	memset(&again, 0, sizeof(again));
	explaining = true;
	execute();
	explaining = false;
}
