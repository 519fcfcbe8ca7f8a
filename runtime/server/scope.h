/* SPDX-License-Identifier: MIT */
/* scope -- names callers, and decides which callers share computed prompts (--cache-scope): all,
 * those of one uid, or those of one API key.
 *
 * The engine shares pages among requests with the same salt.  A scope writes the caller's name and
 * a space before the request's own salt.  So no request can choose a salt of another caller.  A key
 * is named by its offset in the key file; the key itself is in no salt.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_SERVER_SCOPE_H
#define QR_SERVER_SCOPE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/limits.h"
#include "runtime/quire.h"

#define QR_CALLER_NAME_MAX 32u /* "key 18446744073709551615" */

enum qr_cache_scope { QR_SCOPE_GLOBAL, QR_SCOPE_UID, QR_SCOPE_KEY };

struct qr_caller {
    int64_t uid; /* of the peer; -1: unknown, as on TCP */
    size_t key;  /* qr_route_key of its API key; 0: none is required */
};

/* The client for fair sharing: the API key if there is one, else the peer's uid, else n = 0, which
 * all such callers share.  out: [QR_CALLER_NAME_MAX]. */
struct quire_text qr_caller_client(const struct qr_caller *caller, char *out);

/* The salt of a caller's request, written to out [QR_CACHE_SALT_MAX], or the request's own salt, at
 * most QR_SALT_MAX bytes, for the global scope.  The caller must have the uid or key that the scope
 * needs. */
struct quire_text qr_scope_salt(enum qr_cache_scope scope, const struct qr_caller *caller,
                                struct quire_text salt, char *out);

#endif
