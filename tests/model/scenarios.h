/* SPDX-License-Identifier: BSD-3-Clause */
/* What is explored. */
#ifndef MODEL_SCENARIOS_H
#define MODEL_SCENARIOS_H

#include "vmc.h"

extern const struct vmc_scenario ring_scenarios[];
extern const unsigned ring_scenario_count;
extern const struct vmc_scenario wire_scenarios[];
extern const unsigned wire_scenario_count;
extern const struct vmc_scenario many_scenarios[];
extern const unsigned many_scenario_count;
extern const struct vmc_scenario latest_scenarios[];
extern const unsigned latest_scenario_count;
extern const struct vmc_scenario pool_scenarios[];
extern const unsigned pool_scenario_count;

#endif
