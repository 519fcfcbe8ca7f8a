/* SPDX-License-Identifier: MIT */
/* errors -- a failed request's answer: an HTTP status and an error object, OpenAI's or Anthropic's.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_SERVER_ERRORS_H
#define QR_SERVER_ERRORS_H

#include <stdint.h>

#include "runtime/quire.h"
#include "runtime/server/buffer.h"

struct qr_api_failure {
    int http_status;  /* 0: no failure */
    const char *code; /* a static string; NULL: null */
    char param[64];   /* the wrong field; "": null */
    char message[400];
    unsigned retry_after_s; /* 0: no Retry-After */
    /* context_length_exceeded: the prompt's tokens and the context's.  0: not told. */
    uint64_t prompt_tokens, context_max;
};

/* Fills in a failure.  Returns false, so that a caller can `return qr_fail(...)`.  param and code
 * may be NULL. */
__attribute__((format(printf, 5, 6))) bool qr_fail(struct qr_api_failure *failure, int http_status,
                                                   const char *code, const char *param,
                                                   const char *format, ...);
/* The same with status 400 and no code, for a wrong field. */
__attribute__((format(printf, 3, 4))) bool
qr_fail_field(struct qr_api_failure *failure, const char *param, const char *format, ...);
/* Turns a status of the engine into an HTTP failure; the text comes from error if it is set. */
bool qr_fail_engine(struct qr_api_failure *failure, int status, const struct quire_error *error);

/* Writes OpenAI's {"error":{"message","type","param","code"}}. */
void qr_failure_put(const struct qr_api_failure *failure, struct qr_buffer *out);
/* Writes Anthropic's {"type":"error","error":{"type","message"},"request_id"}. */
void qr_failure_put_anthropic(const struct qr_api_failure *failure, const char *request_id,
                              struct qr_buffer *out);

/* The reason phrase of a status line: "Not Found". */
const char *qr_http_reason(int http_status);

#endif
