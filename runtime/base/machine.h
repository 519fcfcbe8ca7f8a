/* SPDX-License-Identifier: MIT */
/* machine -- the cores, memory and clock that the process may use.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_BASE_MACHINE_H
#define QR_BASE_MACHINE_H

#include <stdint.h>

/* Physical cores: those of the affinity mask, SMT siblings counted once, within the cgroup's CPU
 * quota (rounded up).  At least 1. */
uint32_t qr_cores_available(void);

/* Bytes that the process could still take: MemAvailable, within the cgroup's memory limit.  0:
 * unknown. */
uint64_t qr_memory_available(void);

/* Nanoseconds of a monotonic clock. */
uint64_t qr_clock_ns(void);

#endif
