/* SPDX-License-Identifier: MIT */
/* openai -- the form of answers that completions and chat share: a head, choices, usage, and
 * streams of deltas that end with [DONE].
 *
 * A stream's deltas have a null finish_reason; a last one, without text, tells it.
 *
 * Thread: the loop's.   Memory: the server's allocator. */
#ifndef QR_SERVER_OPENAI_H
#define QR_SERVER_OPENAI_H

#include "runtime/server/generation.h"

/* The functions of qr_generation_kind of these names. */
void qr_openai_put_answer(struct qr_generation *generation, struct qr_buffer *out);
void qr_openai_send_delta(struct qr_generation_choice *choice);
void qr_openai_send_end(struct qr_generation *generation);

#endif
