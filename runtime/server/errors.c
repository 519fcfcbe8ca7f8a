/* SPDX-License-Identifier: MIT */
#include "runtime/server/errors.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/server/json_write.h"

static void fill(struct qr_api_failure *failure, int http_status, const char *code,
                 const char *param, const char *format, va_list args)
{
    memset(failure, 0, sizeof *failure);
    failure->http_status = http_status;
    failure->code = code;
    (void)snprintf(failure->param, sizeof failure->param, "%s", param ? param : "");
    (void)vsnprintf(failure->message, sizeof failure->message, format, args);
}

bool qr_fail(struct qr_api_failure *failure, int http_status, const char *code, const char *param,
             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(failure, http_status, code, param, format, args);
    va_end(args);
    return false;
}

bool qr_fail_field(struct qr_api_failure *failure, const char *param, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(failure, 400, NULL, param, format, args);
    va_end(args);
    return false;
}

/* The API's name for a field of struct quire_request. */
static const char *api_field(const char *field)
{
    if (strcmp(field, "stop_ids") == 0) return "stop_token_ids";
    return field;
}

bool qr_fail_engine(struct qr_api_failure *failure, int status, const struct quire_error *error)
{
    const char *text = error && error->text[0] ? error->text : quire_status_text(status);
    const char *field = error ? api_field(error->field) : "";
    switch (status) {
    case QUIRE_INVALID:
    case QUIRE_NO_TOKENIZER:
    case QUIRE_NO_TEMPLATE:
    case QUIRE_NO_TOKEN:
    case QUIRE_UNSUPPORTED: return qr_fail_field(failure, field, "%s", text);
    case QUIRE_TOO_LONG: return qr_fail(failure, 400, "context_length_exceeded", field, "%s", text);
    case QUIRE_QUEUE_FULL:
        (void)qr_fail(failure, 429, "queue_full", NULL,
                      "the waiting queue is full; try again in a second");
        failure->retry_after_s = 1;
        return false;
    case QUIRE_STOPPING:
        return qr_fail(failure, 503, "stopping", NULL, "the server is shutting down");
    default: return qr_fail(failure, 500, NULL, NULL, "%s", text);
    }
}

static const char *type_of(int http_status)
{
    switch (http_status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 408: return "timeout_error";
    case 429: return "rate_limit_error";
    case 500: return "server_error";
    case 503: return "service_unavailable_error";
    default: return "invalid_request_error";
    }
}

void qr_failure_put(const struct qr_api_failure *failure, struct qr_buffer *out)
{
    assert(failure->http_status >= 400);
    qr_buffer_puts(out, "{\"error\":{\"message\":");
    qr_json_put_cstring(out, failure->message);
    qr_buffer_puts(out, ",\"type\":");
    qr_json_put_cstring(out, type_of(failure->http_status));
    qr_buffer_puts(out, ",\"param\":");
    if (failure->param[0])
        qr_json_put_cstring(out, failure->param);
    else
        qr_buffer_puts(out, "null");
    qr_buffer_puts(out, ",\"code\":");
    if (failure->code)
        qr_json_put_cstring(out, failure->code);
    else
        qr_buffer_puts(out, "null");
    qr_buffer_puts(out, "}}");
}

static const char *anthropic_type_of(int http_status)
{
    switch (http_status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503: return "overloaded_error";
    default: return http_status < 500 ? "invalid_request_error" : "api_error";
    }
}

void qr_failure_put_anthropic(const struct qr_api_failure *failure, const char *request_id,
                              struct qr_buffer *out)
{
    assert(failure->http_status >= 400);
    qr_buffer_puts(out, "{\"type\":\"error\",\"error\":{\"type\":");
    qr_json_put_cstring(out, anthropic_type_of(failure->http_status));
    qr_buffer_puts(out, ",\"message\":");
    qr_json_put_cstring(out, failure->message);
    qr_buffer_puts(out, "},\"request_id\":");
    qr_json_put_cstring(out, request_id);
    qr_buffer_puts(out, "}");
}

const char *qr_http_reason(int http_status)
{
    switch (http_status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Payload Too Large";
    case 415: return "Unsupported Media Type";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
    }
}
