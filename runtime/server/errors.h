/* SPDX-License-Identifier: MIT */
/* errors -- what is answered when a request cannot be: a status and OpenAI's error object.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_SERVER_ERRORS_H
#define QR_SERVER_ERRORS_H

#include "runtime/quire.h"
#include "runtime/server/buffer.h"

struct qr_api_failure {
    int http_status;  /* 0: nothing has failed */
    const char *code; /* static; NULL: null */
    char param[64];   /* the field at fault; "": null */
    char message[400];
    unsigned retry_after_s; /* 0: no Retry-After */
};

/* Fills it; returns false, so that `return qr_fail(...)` reads well.  param and code may be
 * NULL. */
__attribute__((format(printf, 5, 6))) bool qr_fail(struct qr_api_failure *failure, int http_status,
                                                   const char *code, const char *param,
                                                   const char *format, ...);
/* 400, naming a field. */
__attribute__((format(printf, 3, 4))) bool
qr_fail_field(struct qr_api_failure *failure, const char *param, const char *format, ...);
/* What a status of the engine is to a client; error (may be NULL) gives the words. */
bool qr_fail_engine(struct qr_api_failure *failure, int status, const struct quire_error *error);

/* {"error":{"message","type","param","code"}} */
void qr_failure_put(const struct qr_api_failure *failure, struct qr_buffer *out);

/* "Not Found" */
const char *qr_http_reason(int http_status);

#endif
