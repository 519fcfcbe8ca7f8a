/* SPDX-License-Identifier: MIT */
#include "runtime/server/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024

struct line {
    char data[LINE_BYTES];
    size_t n;
};

static const char *const level_names[] = {[QR_LOG_ERROR] = "error",
                                          [QR_LOG_WARN] = "warn",
                                          [QR_LOG_INFO] = "info",
                                          [QR_LOG_DEBUG] = "debug"};

__attribute__((format(printf, 2, 3))) static void put(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line->data + line->n, sizeof line->data - line->n, format, args);
    va_end(args);
    if (n > 0) line->n += (size_t)n;
    if (line->n > sizeof line->data - 3) line->n = sizeof line->data - 3; /* "}\n" still fits */
}

/* Text that a client may have sent: escaped, so that it cannot end the line or the quotes. */
static void put_clean(struct line *line, const char *text, bool json)
{
    for (const char *c = text; *c && line->n < sizeof line->data - 16; c++) {
        unsigned char byte = (unsigned char)*c;
        if (json && (byte == '"' || byte == '\\'))
            put(line, "\\%c", byte);
        else if (byte < 0x20 || byte >= 0x7f)
            put(line, json ? "\\u%04x" : "\\x%02x", byte);
        else
            line->data[line->n++] = (char)byte;
    }
}

static void begin(const struct qr_log *log, struct line *line, enum qr_log_level level)
{
    struct timespec now;
    struct tm utc;
    line->n = 0;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    char when[32];
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    put(line,
        log->json ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":\"" : "%s.%03ldZ %s ",
        when, now.tv_nsec / 1000000, level_names[level]);
}

static void end(const struct qr_log *log, struct line *line)
{
    if (log->json) line->data[line->n++] = '}';
    line->data[line->n++] = '\n';
    /* A failed write to the log cannot be reported anywhere. */
    ssize_t written = write(log->fd, line->data, line->n);
    (void)written;
}

void qr_log(const struct qr_log *log, enum qr_log_level level, const char *format, ...)
{
    if (level > log->level) return;
    char text[LINE_BYTES - 128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);

    struct line line;
    begin(log, &line, level);
    put_clean(&line, text, log->json);
    if (log->json) put(&line, "\"");
    end(log, &line);
}

void qr_log_request(const struct qr_log *log, const struct qr_log_request *request)
{
    enum qr_log_level level = request->status >= 500 ? QR_LOG_WARN : QR_LOG_INFO;
    if (level > log->level) return;
    char path[128]; /* a path may be long: only its beginning is logged */
    (void)snprintf(path, sizeof path, "%s", request->path);

    struct line line;
    begin(log, &line, level);
    if (log->json) {
        put(&line, "request\",\"method\":\"%s\",\"path\":\"", request->method);
        put_clean(&line, path, true);
        put(&line,
            "\",\"status\":%d,\"seconds\":%.6f,\"prompt_tokens\":%u,\"completion_tokens\":%u",
            request->status, request->seconds, request->prompt_tokens, request->completion_tokens);
        if (request->note) put(&line, ",\"note\":\"%s\"", request->note);
    } else {
        put(&line, "%s ", request->method);
        put_clean(&line, path, false);
        put(&line, " %d %.1f ms, %u + %u tokens%s%s", request->status, request->seconds * 1e3,
            request->prompt_tokens, request->completion_tokens, request->note ? ", " : "",
            request->note ? request->note : "");
    }
    end(log, &line);
}
