/* SPDX-License-Identifier: MIT */
/* siphash -- a keyed hash of 128 bits.  Without the key an attacker cannot find two texts with the
 * same hash.
 *
 * SipHash-2-4 with the 128-bit output of its authors' reference: J.-P. Aumasson, D. J. Bernstein,
 * "SipHash: a fast short-input PRF", INDOCRYPT 2012.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_BASE_SIPHASH_H
#define QR_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

void qr_siphash128(const uint64_t key[2], const void *data, size_t n, uint64_t out[2]);

#endif
