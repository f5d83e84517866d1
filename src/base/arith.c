/* SPDX-License-Identifier: BSD-3-Clause */
/* Arithmetic that is too long for a header. */
#include "base/base.h"

uint64_t vshmi_round_up_power_of_two(uint64_t value)
{
	if (value <= 1)
		return 1;
	if (value > UINT64_C(1) << 63)
		return 0;
	return UINT64_C(1) << (64 - __builtin_clzll(value - 1));
}
