/* SPDX-License-Identifier: MIT */
/* limits -- loops of one bare instruction: what the machine can do at the most.
 *
 * Each runs `rounds` rounds and returns the operations it did (a multiply and an add are two), or
 * the bytes it read.  The caller holds the clock and the threads.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_LIMITS_H
#define QR_KERNELS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define QR_LIMIT_FN(name) double name(uint32_t rounds)
typedef QR_LIMIT_FN(qr_limit_fn);

/* Reads bytes (a multiple of 4,096) with prefetch; *sink takes a value that depends on them. */
#define QR_LIMIT_READ_FN(name) void name(const void *data, size_t bytes, uint64_t *sink)
typedef QR_LIMIT_READ_FN(qr_limit_read_fn);

struct qr_limit_kernels {
    qr_limit_fn *int8;
    qr_limit_fn *bf16; /* NULL where the level has none */
    qr_limit_fn *fp32;
    qr_limit_read_fn *read;
};
void qr_limits_init(struct qr_limit_kernels *k, unsigned cpu_flags);

#endif
