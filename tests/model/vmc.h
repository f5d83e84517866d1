/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmc: a small explorer for weak memory. The threads of a scenario run as coroutines on the library's own sources,
 * which reach shared words through the hooks of shared/hooks.h; the explorer decides, at each of those accesses, who
 * goes on and which of the values that the memory model allows is read, and replays the scenario until every
 * decision within the bounds was taken.
 *
 * The model is that of RC11 without out-of-thin-air, in its view form: a store is a message that carries what its
 * writer made visible with it; a thread's view says how old a message it may still read. A light fence orders
 * nothing; a membarrier is a full fence in every thread at that moment. Every word has one writer, so that the order
 * of its messages is the order in which they were stored. Plain memory is watched with vector clocks.
 *
 * One access can be weakened by one step, to show that its order is needed.
 */
#ifndef MODEL_VMC_H
#define MODEL_VMC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMC_THREADS 3
#define VMC_NOT_WEAKENED UINT32_MAX

struct vmc_thread {
	const char *role; /* names the thread in sites */
	void (*run)(void);
};

struct vmc_scenario {
	const char *name;
	void (*declare)(void); /* names the words, once */
	void (*setup)(void); /* before each execution; nothing runs beside it */
	void (*finish)(void); /* after each; may be NULL */
	struct vmc_thread thread[VMC_THREADS];
	const void *setting; /* for the scenario itself */
	unsigned preemptions; /* at most so many times a thread is stopped that could go on */
	unsigned stale; /* at most so many loads of an execution see another value than the newest */
};

struct vmc_result {
	uint64_t executions;
	bool failed;
	char what[256];
};

/* An access or fence whose order can be weakened: who does it, what it is, on which word. */
struct vmc_site {
	const char *role, *what, *word;
};

/*
 * Explores until the end, the first failure, or `most` executions. `weakened`: index of a site, or VMC_NOT_WEAKENED.
 */
void vmc_explore(const struct vmc_scenario *scenario, unsigned weakened, uint64_t most, struct vmc_result *result);

/* Executes what failed last once more and prints each step. */
void vmc_explain(void);

/* The sites met so far, in all explorations. NULL beyond the last. */
const struct vmc_site *vmc_site(unsigned index);
bool vmc_site_in(unsigned index, const struct vmc_scenario *scenario);

/* ---- for declare() ---- */

/* `size` bytes of words that all have this name. */
void vmc_name(const void *words, size_t size, const char *name);

/* Memory whose plain accesses are watched; its words are found by address, too. */
void vmc_payload(const void *memory, size_t size, const char *name);

/* The word keeps its value in this scenario: the explorer need not stop there. A store of another value fails. */
void vmc_quiet(const void *words, size_t size);

/* ---- for setup, threads and finish ---- */

const void *vmc_setting(void);

/* Plain access by the scenario itself. */
void vmc_plain_read(const void *memory, size_t size);
void vmc_plain_write(void *memory, size_t size);

/* Ends the execution: this must not happen. */
void vmc_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define VMC_ASSERT(condition, ...) ((condition) ? (void)0 : vmc_fail(__VA_ARGS__))

#endif
