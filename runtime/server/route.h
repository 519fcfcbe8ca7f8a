/* SPDX-License-Identifier: MIT */
/* route -- which handler answers a request, and whether it may.
 *
 * Thread: the loop's.   Memory: none. */
#ifndef QR_SERVER_ROUTE_H
#define QR_SERVER_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"

struct qr_conn;

/* Begins the answer to the request that conn has read; it may end later. */
void qr_route(struct qr_conn *conn);

/* Which of the keys, one a line, an Authorization header holds: 1 + where it begins; 0: none. Takes
 * as long for any wrong key of a length. */
size_t qr_route_key(const char *keys, size_t keys_n, const char *header, size_t header_n);

#endif
