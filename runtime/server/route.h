/* SPDX-License-Identifier: MIT */
/* route -- finds the endpoint of a request that may enter (door.h).
 *
 * Thread: the loop's.   Memory: none. */
#ifndef QR_SERVER_ROUTE_H
#define QR_SERVER_ROUTE_H

#include "runtime/server/http.h"

struct qr_conn;

/* Starts the answer to the request that conn has read.  The answer may end later. */
void qr_route(struct qr_conn *conn);

/* A request's path without /v1 in front and without slashes at its end. */
struct quire_text qr_route_path(const struct qr_http_parser *http);

#endif
