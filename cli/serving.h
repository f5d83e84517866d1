/* SPDX-License-Identifier: BSD-3-Clause */
/* One region that is served: its socket, its memory, the ids that it gave out, and what it says of its clients. */
#ifndef CLI_SERVING_H
#define CLI_SERVING_H

#include "plan.h"

#include <vshm/server.h>

struct serving {
	struct plan plan;
	struct vshm_server *server;
	int ids; /* the file that keeps the next id over a restart, locked; -1: there is none */
	uint32_t written; /* what stands in there */
	bool registered; /* vshm:NAME was made for this one */
	bool closing; /* not in the config any more */
};

/* Begins to serve what the plan says. Exit code; says why not. */
int serving_open(struct serving *serving, const struct plan *plan);

/* The config has changed: who may connect does at once, other things after a restart. `plan`: NULL when it is not there any more. */
void serving_reload(struct serving *serving, const struct plan *plan);

/* What there is to do. Exit code. */
int serving_dispatch(struct serving *serving);

void serving_close(struct serving *serving);

/* Says how many lines were left out, when it is time. How many milliseconds until it is; -1: there are none. */
int serving_say_rest(void);

#endif
