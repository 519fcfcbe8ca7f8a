/* SPDX-License-Identifier: MIT */
/* shown -- control tokens whose text belongs to the answer, within a grammar.
 *
 * A grammar's vocabulary has no control tokens, since they have no text.  Those that a request
 * shows have one, such as a marker that begins a tool call: they are tried by their text at each
 * mask.
 *
 * Thread: any, one at a time for a request. */
#ifndef QR_ENGINE_SHOWN_H
#define QR_ENGINE_SHOWN_H

#include "runtime/engine/engine.h"
#include "runtime/engine/request.h"

/* Adds the request's shown tokens that its grammar allows next to `allowed`.  False: none. */
bool qr_shown_allow(struct qr_request *r, uint64_t *allowed);
/* As qr_constraint_accept, of any token that the mask allowed. */
enum qr_constraint_state qr_shown_accept(struct qr_request *r, int32_t token);

#endif
