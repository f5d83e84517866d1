/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvshm: shared memory between virtual machines, the host and plain processes, with lock-free rings
 * and doorbells. This header brings all of the others but layout.h; see vshm(7) for the terms.
 */
#ifndef VSHM_VSHM_H
#define VSHM_VSHM_H

#include <vshm/doorbell.h>
#include <vshm/error.h>
#include <vshm/pool.h>
#include <vshm/region.h>
#include <vshm/ring.h>
#include <vshm/server.h>
#include <vshm/types.h>
#include <vshm/version.h>
#include <vshm/wait.h>

#endif
