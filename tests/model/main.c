/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model [quick]: explores all scenarios, then weakens each order by one step and wants to see it fail.
 * `quick` is the first part only, up to the first failure. What fails is printed step by step.
 */
#include "scenarios.h"

#include <stdio.h>
#include <string.h>

#define NOTE "the fence or membarrier between note and look orders more"
#define RIVAL "a rival only wants to know whether the entry is open; writer and reader need it"

#define LOOKS_AGAIN "whoever is told arms and looks again, and the fence or membarrier between the two orders more"

/* Orders that nothing here needs, and why they are there all the same. */
static const struct {
	struct vmc_site site;
	const char *reason;
} equivalents[] = {
	{{"producer", "acquire load of", "producer's bell"}, NOTE},
	{{"consumer", "acquire load of", "consumer's bell"}, NOTE},
	{{"latest reader", "acquire load of", "reader's bell"}, NOTE},
	{{"latest producer", "release store of", "reader's bell"}, NOTE},
	{{"many producer", "acquire load of", "producer's bell"}, NOTE},
	{{"many producer", "release store of", "reader's bell"}, NOTE},
	{{"many reader", "acquire load of", "reader's bell"}, NOTE},
	{{"many reader", "release store of", "producer's bell"}, NOTE},
	{{"many reader", "acquire fence after load of", "tail"}, "the load of the tail has acquired what it shows"},
	{{"many reader", "release clearing of", "head"}, "a reader that begins has read nothing"},
	{{"consumer", "acquire load of", "descriptor"}, LOOKS_AGAIN},
	{{"keeper", "release store of", "descriptor"}, LOOKS_AGAIN},
	{{"keeper", "acquire load of", "consumer's bell"}, LOOKS_AGAIN},
	{{"keeper", "acquire load of", "consumer is done"}, "of one that is done nothing is read"},
	{{"consumer", "release store of", "consumer is done"}, "of one that is done nothing is read"},
	{{"writer", "release fence after store of", "magic"}, "the checksum refuses a mixture of old and new"},
	{{"writer", "release clearing of", "entry's state"}, "of a free entry nothing else is used"},
	{{"writer", "release clearing of", "other's id"}, "of nobody nothing else is used"},
	{{"writer", "release store of", "head"},
	 "a consumer that begins has read nothing; the fence of its opening orders the rest"},
	{{"reader", "acquire load of", "position"}, "the ring loads the tail itself before it reads a record"},
	{{"writer", "release store of", "tail"},
	 "a producer that begins has written nothing; the fence of its opening orders the rest"},
	{{"rival", "release clearing of", "entry's id"}, RIVAL},
	{{"rival", "release fence after store of", "entry's id"}, RIVAL},
	{{"rival", "release store of", "entry's id"}, RIVAL},
	{{"rival", "acquire load of", "entry's state"}, RIVAL},
	{{"rival", "acquire load of", "entry's id"}, RIVAL},
	{{"rival", "acquire fence after load of", "entry's id"}, RIVAL},
};
#define EQUIVALENTS (sizeof(equivalents) / sizeof(equivalents[0]))

/*
 * Fences that stand between a store and a load of another word: the proof that no wake-up is lost. That a light one is
 * gone the explorer would not notice: it does what the compiler then need not do, and keeps to the order of the source.
 */
static const struct vmc_site required[] = {
	{"producer", "light fence after store of", "tail"},
	{"producer", "full fence after store of", "tail"},
	{"consumer", "light fence after store of", "head"},
	{"consumer", "full fence after store of", "head"},
	{"producer", "membarrier after store of", "producer's armed"},
	{"producer", "full fence after store of", "producer's armed"},
	{"consumer", "membarrier after store of", "consumer's armed"},
	{"consumer", "full fence after store of", "consumer's armed"},
	{"many producer", "light fence after store of", "tail"},
	{"many producer", "full fence after store of", "tail"},
	{"many reader", "light fence after store of", "head"},
	{"many reader", "full fence after store of", "head"},
	{"many producer", "membarrier after store of", "producer's armed"},
	{"many producer", "full fence after store of", "producer's armed"},
	{"many reader", "membarrier after store of", "reader's armed"},
	{"many reader", "full fence after store of", "reader's armed"},
	{"latest producer", "light fence after store of", "tail"},
	{"latest producer", "full fence after store of", "tail"},
	{"latest reader", "membarrier after store of", "reader's armed"},
	{"latest reader", "full fence after store of", "reader's armed"},
};
#define REQUIRED (sizeof(required) / sizeof(required[0]))

static unsigned passed, failed;

static void count(bool good)
{
	if (good)
		passed++;
	else
		failed++;
}

static const struct vmc_scenario *scenario_at(unsigned index)
{
	const struct {
		const struct vmc_scenario *list;
		unsigned count;
	} groups[] = {
		{wire_scenarios, wire_scenario_count},
		{ring_scenarios, ring_scenario_count},
		{many_scenarios, many_scenario_count},
		{latest_scenarios, latest_scenario_count},
		{pool_scenarios, pool_scenario_count},
	};

	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); index -= groups[i++].count)
		if (index < groups[i].count)
			return &groups[i].list[index];
	return NULL;
}

static void explore_all(bool quick)
{
	const struct vmc_scenario *scenario;
	struct vmc_result result;

	for (unsigned i = 0; (scenario = scenario_at(i)) && !(quick && failed); i++) {
		vmc_explore(scenario, VMC_NOT_WEAKENED, UINT64_MAX, &result);
		printf("%-36s %8llu executions: %s\n", scenario->name, (unsigned long long)result.executions,
		       result.failed ? result.what : "ok");
		if (result.failed)
			vmc_explain();
		count(!result.failed);
	}
}

static bool same_site(const struct vmc_site *a, const struct vmc_site *b)
{
	return !strcmp(a->role, b->role) && !strcmp(a->what, b->what) && !strcmp(a->word, b->word);
}

static const char *equivalent(const struct vmc_site *site)
{
	for (size_t i = 0; i < EQUIVALENTS; i++)
		if (same_site(&equivalents[i].site, site))
			return equivalents[i].reason;
	return NULL;
}

static bool met(const struct vmc_site *site)
{
	for (unsigned i = 0; vmc_site(i); i++)
		if (same_site(vmc_site(i), site))
			return true;
	return false;
}

static void look_for(const struct vmc_site *site)
{
	count(met(site));
	if (!met(site))
		printf("%s: no %s %s any more\n", site->role, site->what, site->word);
}

/* Equivalents are not proven by running; a while shows that nothing obvious contradicts. */
static void weaken(unsigned index)
{
	const struct vmc_site *site = vmc_site(index);
	const char *reason = equivalent(site);
	const struct vmc_scenario *scenario;
	struct vmc_result result = {.failed = false};
	uint64_t executions = 0;
	bool good;

	for (unsigned i = 0; !result.failed && (scenario = scenario_at(i)); i++) {
		if (!vmc_site_in(index, scenario))
			continue;
		vmc_explore(scenario, index, reason ? 5000 : UINT64_MAX, &result);
		executions += result.executions;
	}
	good = result.failed == !reason;
	printf("%s: %s %s\n    %s after %llu: %s\n", site->role, site->what, site->word,
	       good ? (reason ? "equivalent, not caught" : "caught") : (reason ? "CAUGHT" : "NOT CAUGHT"),
	       (unsigned long long)executions,
	       result.failed ? result.what
	       : reason	     ? reason
			     : "");
	count(good);
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && !strcmp(argv[1], "quick");

	explore_all(quick);
	for (size_t i = 0; i < REQUIRED; i++)
		look_for(&required[i]);
	for (size_t i = 0; i < EQUIVALENTS; i++)
		look_for(&equivalents[i].site);
	if (!quick)
		for (unsigned i = 0; vmc_site(i); i++)
			weaken(i);
	printf("checks: %u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
