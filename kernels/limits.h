/* SPDX-License-Identifier: MIT */
/* limits -- loops of a single instruction, which measure the machine's limits.
 *
 * Each arithmetic loop runs `rounds` rounds and returns the number of operations (a multiply and an
 * add are two).  The caller measures the time and spreads calls over threads.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_LIMITS_H
#define QR_KERNELS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define QR_LIMIT_FN(name) double name(uint32_t rounds)
typedef QR_LIMIT_FN(qr_limit_fn);

/* Reads bytes (a multiple of 4,096) with prefetch.  *sink depends on all of them. */
#define QR_LIMIT_READ_FN(name) void name(const void *data, size_t bytes, uint64_t *sink)
typedef QR_LIMIT_READ_FN(qr_limit_read_fn);

struct qr_limit_kernels {
    qr_limit_fn *int8;
    qr_limit_fn *bf16; /* NULL if the level has no bf16 dot */
    qr_limit_fn *fp32;
    qr_limit_read_fn *read;
};
void qr_limits_init(struct qr_limit_kernels *k, unsigned cpu_flags);

#endif
