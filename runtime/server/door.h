/* SPDX-License-Identifier: MIT */
/* door -- checks who may send a request before it reaches an endpoint, and answers browsers.
 *
 *   Host, Origin   a page on the web can make a browser send requests to this machine's loopback
 *                  address, under the page's own name or under a name that it points there (DNS
 *                  rebinding).  Without keys nothing else would stop it, so on a loopback
 *                  connection the two must name this machine or an origin of --cors-origin.
 *   CORS           a page of --cors-origin may read answers; other pages get no CORS headers.
 *   key            Authorization: Bearer KEY, or X-Api-Key: KEY.
 *
 * Thread: the loop's.   Memory: none. */
#ifndef QR_SERVER_DOOR_H
#define QR_SERVER_DOOR_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"
#include "runtime/server/errors.h"

struct qr_conn;

/* Adds the CORS lines for this request's Origin, if it has one that is allowed, to all answers. */
void qr_door_put_cors(struct qr_conn *conn);
/* True if this is a CORS preflight of an allowed origin.  It has been answered with 204. */
bool qr_door_preflight(struct qr_conn *conn);
/* False: Host or Origin is foreign, and the failure says which. */
bool qr_door_knows(const struct qr_conn *conn, struct qr_api_failure *failure);
/* True if no key is needed or the request has one; sets conn->caller.key. */
bool qr_door_has_key(struct qr_conn *conn);

/* Finds a key among `keys`, one a line: 1 + the offset of its line.  0: not found.  All wrong keys
 * of one length take equally long. */
size_t qr_door_find_key(const char *keys, size_t keys_n, const char *key, size_t key_n);
/* The key in an Authorization header, after "Bearer "; n = 0: there is none. */
struct quire_text qr_door_bearer(struct quire_text header);
/* True if a Host header names this machine: localhost, a name under it, or an IP address. */
bool qr_door_host_is_local(struct quire_text host);
/* The host and port of an origin: "a:1" of "http://a:1"; n = 0: it has none. */
struct quire_text qr_door_origin_host(struct quire_text origin);

#endif
