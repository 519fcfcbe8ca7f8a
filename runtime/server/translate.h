/* SPDX-License-Identifier: MIT */
/* translate -- makes a chat request of a request of the Responses API or the Messages API, so that
 * all three have one path to the prompt, the sampler and the grammar.
 *
 *   responses_request.c   POST /v1/responses: stateless
 *   messages_request.c    POST /v1/messages and /v1/messages/count_tokens
 *
 * A field that asks for what a stateless server of one model cannot do is refused by its name; the
 * fields that change nothing in an answer are dropped.
 *
 * Thread: any one.   Memory: the result is freed with qr_json_free; it shares values with body. */
#ifndef QR_SERVER_TRANSLATE_H
#define QR_SERVER_TRANSLATE_H

#include "runtime/server/errors.h"
#include "runtime/server/json.h"

/* NULL: failure is set, or its http_status is 0 and there is no memory. */
struct qr_json *qr_responses_translate(const struct qr_json *body, struct qr_api_failure *failure);
struct qr_json *qr_messages_translate(const struct qr_json *body, struct qr_api_failure *failure);
/* The same without max_tokens, which a count of tokens has not. */
struct qr_json *qr_messages_translate_count(const struct qr_json *body,
                                            struct qr_api_failure *failure);
/* Give the failure of a chat request the names of its API. */
void qr_responses_rename(struct qr_api_failure *failure);
void qr_messages_rename(struct qr_api_failure *failure);

/* ---- for both ------------------------------------------------------------------------------ */

bool qr_json_is(const struct qr_json *value, const char *text);
/* Shares the body's member with another object, if it is there.  False: no memory. */
bool qr_translate_copy(struct qr_json *to, const char *as, const struct qr_json *body,
                       const char *name);
/* A string, or "" for other types. */
struct quire_text qr_translate_text(const struct qr_json *value);
/* {"role": role, "content": content}; takes content over. */
struct qr_json *qr_translate_message(const char *role, struct qr_json *content);
/* {"id", "type": "function", "function": {"name", "arguments"}}; takes arguments over. */
struct qr_json *qr_translate_call(struct quire_text id, const struct qr_json *name,
                                  struct qr_json *arguments);
/* {"type": "function", "function": {...}}: schema is the body's name for parameters. */
struct qr_json *qr_translate_tool(const struct qr_json *tool, const char *schema);
/* {"type": "function", "function": {"name": name}} */
struct qr_json *qr_translate_function(const struct qr_json *name);
/* The last message, if it is the assistant's, else a new one at the list's end; NULL: no memory. */
struct qr_json *qr_translate_last_assistant(struct qr_json *messages, struct qr_json *last);

#endif
