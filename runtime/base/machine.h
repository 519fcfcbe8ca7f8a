/* SPDX-License-Identifier: MIT */
/* machine -- what of this machine the process may use.
 *
 * Thread: any.   Memory: none kept. */
#ifndef QR_BASE_MACHINE_H
#define QR_BASE_MACHINE_H

#include <stdint.h>

/* Physical cores: those of the affinity mask, SMT siblings counted once, within the cgroup's CPU
 * quota (rounded up).  At least 1. */
uint32_t qr_cores_available(void);

/* Bytes that could still be taken: MemAvailable, within the cgroup's memory limit.  0: unknown. */
uint64_t qr_memory_available(void);

/* Nanoseconds of a clock that only goes forward. */
uint64_t qr_clock_ns(void);

#endif
