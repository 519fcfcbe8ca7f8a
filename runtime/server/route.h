/* SPDX-License-Identifier: MIT */
/* route -- finds the endpoint of a request and checks its API key.
 *
 * Thread: the loop's.   Memory: none. */
#ifndef QR_SERVER_ROUTE_H
#define QR_SERVER_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"

struct qr_conn;

/* Starts the answer to the request that conn has read.  The answer may end later. */
void qr_route(struct qr_conn *conn);

/* Finds the key of an Authorization header among `keys`, one a line: 1 + the offset of its line.
 * 0: not found.  All wrong keys of one length take equally long. */
size_t qr_route_key(const char *keys, size_t keys_n, const char *header, size_t header_n);

#endif
