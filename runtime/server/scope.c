/* SPDX-License-Identifier: MIT */
#include "runtime/server/scope.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/server/limits.h"

static_assert(QR_CALLER_NAME_MAX + QR_SALT_MAX <= QR_CACHE_SALT_MAX,
              "a name, a space and a request's salt fit into the engine's limit");

static struct quire_text name_key(const struct qr_caller *caller, char *out)
{
    assert(caller->key > 0);
    int n = snprintf(out, QR_CALLER_NAME_MAX, "key %zu", caller->key);
    return (struct quire_text){.data = out, .n = (size_t)n};
}

static struct quire_text name_uid(const struct qr_caller *caller, char *out)
{
    assert(caller->uid >= 0);
    int n = snprintf(out, QR_CALLER_NAME_MAX, "uid %lld", (long long)caller->uid);
    return (struct quire_text){.data = out, .n = (size_t)n};
}

struct quire_text qr_caller_client(const struct qr_caller *caller, char *out)
{
    if (caller->key > 0) return name_key(caller, out);
    if (caller->uid >= 0) return name_uid(caller, out);
    return (struct quire_text){.data = out, .n = 0};
}

struct quire_text qr_scope_salt(enum qr_cache_scope scope, const struct qr_caller *caller,
                                struct quire_text salt, char *out)
{
    if (scope == QR_SCOPE_GLOBAL) return salt;
    assert(salt.n <= QR_SALT_MAX);
    struct quire_text made = scope == QR_SCOPE_KEY ? name_key(caller, out) : name_uid(caller, out);
    out[made.n++] =
        ' '; /* replaces the NUL: a digit that begins the salt must not extend the name */
    if (salt.n > 0) memcpy(out + made.n, salt.data, salt.n);
    made.n += salt.n;
    return made;
}
