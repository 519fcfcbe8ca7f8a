/* SPDX-License-Identifier: MIT */
/* logprobs -- tokens and their log-probabilities in the shapes of the API.
 *
 * A token alone may be no valid UTF-8.  Completions then write OpenAI's "bytes:\xe2\x80", which
 * keeps different tokens different where they are keys; chat writes U+FFFD and has the bytes in a
 * list beside it.  A model without a tokenizer has "token_id:7".
 *
 * Numbers are natural logarithms; minus infinity is -9999, as vLLM writes it.
 *
 * Thread: the loop's.   Memory: the choice's buffers. */
#ifndef QR_SERVER_LOGPROBS_H
#define QR_SERVER_LOGPROBS_H

#include "runtime/server/choice.h"

/* Completions: one more entry in tokens, token_logprobs, top_logprobs and text_offset. */
void qr_logprobs_add_completion(struct qr_choice *choice, const struct quire_event *event);
/* Chat: one more entry in content. */
void qr_logprobs_add_chat(struct qr_choice *choice, const struct quire_event *event);
/* vLLM's prompt_logprobs: null for the first token, then {"id":{"logprob","rank",
 * "decoded_token"}} for the token and its alternatives.  rank is null where the token is none of
 * them. */
void qr_logprobs_add_prompt(struct qr_choice *choice, const struct quire_event *event);

/* {"tokens":[...],"token_logprobs":[...],"top_logprobs":[...],"text_offset":[...]} */
void qr_logprobs_put_completion(const struct qr_choice *choice, struct qr_buffer *out);
/* {"content":[...]} */
void qr_logprobs_put_chat(const struct qr_choice *choice, struct qr_buffer *out);

/* A token's text, special ones written out, as JSON string with U+FFFD for broken bytes. */
void qr_logprobs_put_token(struct qr_buffer *out, const quire_model *model, int32_t token);

#endif
