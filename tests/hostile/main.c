/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the victims beside the attacker for HOSTILE_SECONDS (20), then shows that the region is still of use. */
#include "hostile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A call may be late on a busy machine with a sanitizer; one that hangs is later than this. */
#define SLACK (10 * SUPPORT_SECOND)

static pid_t attacker;

struct notes *map_notes(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || ftruncate(fd, 4096))
		return NULL;
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	return map == MAP_FAILED ? NULL : map;
}

void broken(struct arena *a, const char *what, long long value)
{
	fprintf(stderr, "FAIL: %s: %lld %s (SEED=%llu)\n", what, value, value < 0 ? vshm_strerror((int)value) : "",
		(unsigned long long)a->seed);
	support_kill(attacker);
	_exit(1); /* the janitor removes the region */
}

int64_t call_begin(struct arena *a)
{
	add(a->calls, 1);
	return support_now_ns();
}

void call_end(struct arena *a, int64_t began, int64_t timeout_ns, const char *what)
{
	int64_t late = support_now_ns() - began - timeout_ns;

	if (late > SLACK)
		broken(a, what, late);
	if (late > (int64_t)__atomic_load_n(&a->slowest_ns, __ATOMIC_RELAXED))
		__atomic_store_n(&a->slowest_ns, (uint64_t)late, __ATOMIC_RELAXED);
}

int is_stopped(const struct arena *a)
{
	return noted(a->notes->stop) != 0;
}

static void prepare(struct arena *a)
{
	struct vshm_create_options o = VSHM_CREATE_OPTIONS_INIT;
	char why[VSHM_WHY_SIZE] = "", path[512];
	int rc;

	memset(a, 0, sizeof(*a));
	a->seed = support_seed();
	snprintf(a->path, sizeof(a->path), "%s/net0", support_dir());
	snprintf(a->uri, sizeof(a->uri), "file:%s", a->path);
	snprintf(path, sizeof(path), "%s/notes", support_dir());
	a->notes = map_notes(path);
	o.peers = PEERS;
	o.size = VSHM_MIN_PAGE + PEERS * SECTION_SIZE;
	rc = a->notes ? vshm_region_create(a->uri, &o, why) : -EIO;
	if (rc) {
		fprintf(stderr, "create: %s\n", why);
		broken(a, "create", rc);
	}
}

static void start_attacker(struct arena *a)
{
	int64_t end = support_now_ns() + SUPPORT_LONG;
	char notes[512], seed[32];
	const char *arguments[] = {"attack", a->uri, a->path, notes, seed, NULL};

	snprintf(notes, sizeof(notes), "%s/notes", support_dir());
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)a->seed);
	attacker = support_spawn(arguments);
	while (!noted(a->notes->ready))
		if (support_now_ns() > end)
			broken(a, "the attacker did not start", 0);
}

/* Every ten seconds the innocent must have come further. */
static void watch(struct arena *a, int64_t seconds)
{
	int64_t end = support_now_ns() + seconds * SUPPORT_SECOND;
	uint64_t before = 0, herd = 0;

	while (support_now_ns() < end) {
		int64_t pause = end - support_now_ns();

		support_sleep_us((pause > 10 * SUPPORT_SECOND ? 10 * SUPPORT_SECOND : pause) / 1000 + 1);
		if (noted(a->pure) == before)
			broken(a, "the innocent make no progress", (long long)before);
		if (noted(a->herd) == herd)
			broken(a, "the herd makes no progress", (long long)herd);
		before = noted(a->pure);
		herd = noted(a->herd);
		if (waitpid(attacker, NULL, WNOHANG))
			broken(a, "the attacker ended", 0);
	}
}

static void found_after(void *arg, const struct vshm_fault *fault)
{
	(void)arg;
	fprintf(stderr, "peer %u: %s\n", fault->peer, vshm_rule_text(fault->rule));
}

static void evict(struct arena *a)
{
	int rc;

	support_kill(attacker);
	rc = vshm_region_evict(a->uri, PEER_ATTACKER, VSHM_EVICT_FORCE, NULL);
	if (rc && rc != -ENOENT)
		broken(a, "evict", rc);
	note(a->evicted, 1);
}

/* The spoilt section is taken by the next peer, and works. */
static void use_again(struct arena *a)
{
	struct vshm_open_options o = VSHM_OPEN_OPTIONS_INIT;
	struct vshm_producer *p = NULL;
	struct vshm_region *r = NULL;
	int rc;

	o.peer = PEER_ATTACKER;
	rc = vshm_region_open(a->uri, &o, &r, NULL);
	if (rc)
		broken(a, "open in the attacker's slot", rc);
	rc = vshm_producer_open(r, "good", NULL, &p);
	if (rc)
		broken(a, "producer in the attacker's slot", rc);
	rc = vshm_producer_send(p, "x", 1, 0);
	if (rc || vshm_region_check(r, found_after, a) || vshm_region_close(r) || vshm_region_destroy(a->uri, NULL))
		broken(a, "using the region again", rc);
}

/* A rule that is never found broken, although the attacker breaks it all the time, is not checked. */
static void all_rules_met(struct arena *a, uint64_t seconds)
{
	static const uint32_t rules[] = {
		VSHM_RULE_START,	 VSHM_RULE_TAIL_ALIGN,	    VSHM_RULE_TAIL_RANGE,
		VSHM_RULE_HEAD_ALIGN,	 VSHM_RULE_HEAD_RANGE,	    VSHM_RULE_RECORD_KIND,
		VSHM_RULE_RECORD_LENGTH, VSHM_RULE_RECORD_SEQUENCE, VSHM_RULE_RECORD_PAD,
		VSHM_RULE_LEND,		 VSHM_RULE_RETURN_TAIL,	    VSHM_RULE_RETURN_BLOCK,
		VSHM_RULE_RETURN_GENERATION, VSHM_RULE_RETURN_HOLDER,
	};

	for (size_t i = 0; seconds >= 15 && i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!a->rules[rules[i]])
			broken(a, vshm_rule_text(rules[i]), 0);
}

/* Likewise: a consumer that nobody ever dropped did what it liked. */
static void all_were_dropped(struct arena *a, uint64_t seconds)
{
	if (seconds >= 15 && !a->liars)
		broken(a, "no liar was dropped from the herd", 0);
	if (seconds >= 15 && !a->slow)
		broken(a, "nobody who held the herd up was dropped", 0);
}

static void print_rules(const struct arena *a)
{
	for (uint32_t i = 1; i < VSHM_RULE_COUNT; i++)
		if (a->rules[i])
			printf("  %8llu %s\n", (unsigned long long)a->rules[i], vshm_rule_text(i));
}

int main(int argc, char **argv)
{
	static void *(*const roles[])(void *) = {innocent_from,	  innocent_to,	   innocent_shepherd, innocent_sheep,
						 victim_consumer, victim_producer, victim_door,	      victim_observer};
	pthread_t threads[sizeof(roles) / sizeof(roles[0])];
	uint64_t seconds = support_env("HOSTILE_SECONDS", 20);
	static struct arena a;

	if (argc > 1 && !strcmp(argv[1], "attack"))
		return attacker_main(argc, argv);
	support_begin("hostile");
	prepare(&a);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (pthread_create(&threads[i], NULL, roles[i], &a))
			broken(&a, "thread", 0);
		while ((i == 1 && !noted(a.pure)) || (i == 3 && !noted(a.herd)))
			support_sleep_us(1000); /* the innocent know each other before the attacker comes */
	}
	start_attacker(&a);
	watch(&a, (int64_t)seconds);
	note(a.notes->stop, 1);
	evict(&a);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		(void)pthread_join(threads[i], NULL);
	use_again(&a);
	printf("%llu calls, %llu records, %llu quarantines, %llu ends opened again, %llu findings, %llu pure records\n",
	       (unsigned long long)a.calls, (unsigned long long)a.records, (unsigned long long)a.quarantines,
	       (unsigned long long)a.reopened, (unsigned long long)a.findings, (unsigned long long)a.pure);
	printf("herd: %llu records, %llu liars and %llu slow ones dropped\n", (unsigned long long)a.herd,
	       (unsigned long long)a.liars, (unsigned long long)a.slow);
	printf("lent: %llu blocks to the attacker, %llu of its blocks kept\n", (unsigned long long)a.lent,
	       (unsigned long long)a.kept);
	printf("attacker: %llu words in %llu rounds, %llu grants, %llu requests; slowest call %llu us late\n",
	       (unsigned long long)a.notes->scribbles, (unsigned long long)a.notes->rounds,
	       (unsigned long long)a.notes->grants, (unsigned long long)a.notes->requests,
	       (unsigned long long)(a.slowest_ns / 1000));
	print_rules(&a);
	all_rules_met(&a, seconds);
	all_were_dropped(&a, seconds);
	support_end();
	return 0;
}
