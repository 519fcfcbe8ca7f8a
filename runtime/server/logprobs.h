/* SPDX-License-Identifier: MIT */
/* logprobs -- writes tokens and their log-probabilities in the API's formats.
 *
 * A single token may be invalid UTF-8.  Completions use tokens as keys, so they write OpenAI's
 * "bytes:\xe2\x80", which differs for different tokens.  Chat writes U+FFFD and a list of the
 * bytes. A model without a tokenizer has "token_id:7".
 *
 * Numbers are natural logarithms; minus infinity is -9999, as vLLM writes it.
 *
 * Thread: the loop's.   Memory: the choice's buffers. */
#ifndef QR_SERVER_LOGPROBS_H
#define QR_SERVER_LOGPROBS_H

#include "runtime/server/choice.h"

/* Completions: adds an entry to tokens, token_logprobs, top_logprobs and text_offset. */
void qr_logprobs_add_completion(struct qr_generation_choice *choice,
                                const struct quire_event *event);
/* Chat: adds an entry to content. */
void qr_logprobs_add_chat(struct qr_generation_choice *choice, const struct quire_event *event);
/* vLLM's prompt_logprobs: null for the first token, then {"id":{"logprob","rank",
 * "decoded_token"}} for the token and its alternatives.  rank is null if the token is not among
 * the alternatives. */
void qr_logprobs_add_prompt(struct qr_generation_choice *choice, const struct quire_event *event);

/* {"tokens":[...],"token_logprobs":[...],"top_logprobs":[...],"text_offset":[...]} */
void qr_logprobs_put_completion(const struct qr_generation_choice *choice, struct qr_buffer *out);
/* {"content":[...]} */
void qr_logprobs_put_chat(const struct qr_generation_choice *choice, struct qr_buffer *out);

/* A token's text as a JSON string.  Special tokens have text; invalid bytes become U+FFFD. */
void qr_logprobs_put_token(struct qr_buffer *out, const quire_model *model, int32_t token);
/* The same, but a text that is not valid UTF-8 is a list of its bytes, as llama.cpp writes it. */
void qr_logprobs_put_piece(struct qr_buffer *out, const quire_model *model, int32_t token);

#endif
