/* SPDX-License-Identifier: MIT */
/* scope -- who a caller is, and among whom computed prompts are reused (--cache-scope): all, one
 * user's, one key's.
 *
 * The engine shares pages among requests of one salt.  A scope puts who asks in front of the salt
 * that a request brings, so that the two part callers together, and nobody can bring another's.
 * A key is named by where it stands in the key file: no key is in a salt.
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
    int64_t uid; /* of the peer; -1: not known, as on TCP */
    size_t key;  /* 1 + where its API key stands; 0: none was asked for */
};

/* Who has a share: the API key where keys are asked for, else the peer's uid, else nobody in
 * particular (n = 0).  out: [QR_CALLER_NAME_MAX]. */
struct quire_text qr_caller_client(const struct qr_caller *caller, char *out);

/* The salt of a caller's request: out, which has room for QR_CACHE_SALT_MAX bytes, or the request's
 * own, of at most QR_SALT_MAX.  The caller has what the scope goes by. */
struct quire_text qr_scope_salt(enum qr_cache_scope scope, const struct qr_caller *caller,
                                struct quire_text salt, char *out);

#endif
