/* SPDX-License-Identifier: MIT */
/* unsupported -- request fields that OpenAI, vLLM or llama.cpp document and quire does not do.
 *
 * A field that would change the answer is refused by name.  The values that clients send by
 * default, which change nothing, are taken.  docs/fields.md lists all of them; the tidy test
 * compares.
 *
 * Thread: any.   Memory: static. */
#ifndef QR_SERVER_UNSUPPORTED_H
#define QR_SERVER_UNSUPPORTED_H

#include "runtime/server/errors.h"
#include "runtime/server/json.h"

/* False: the body has such a field with a value that is not neutral; the failure names it. */
bool qr_unsupported_check(const struct qr_json *body, struct qr_api_failure *failure);

#endif
