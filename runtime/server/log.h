/* SPDX-License-Identifier: MIT */
/* log -- one line for each event, as text or JSON.
 *
 * Callers pass counts, statuses and names, never text of a prompt or an answer.
 *
 * Thread: any; a line is one write.   Memory: the stack. */
#ifndef QR_SERVER_LOG_H
#define QR_SERVER_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum qr_log_level { QR_LOG_ERROR, QR_LOG_WARN, QR_LOG_INFO, QR_LOG_DEBUG };

struct qr_log {
    enum qr_log_level level; /* the least severe level that is written */
    bool json;
    int fd;
};

/* A request that was answered, or whose client left. */
struct qr_log_request {
    const char *method;
    const char *path;
    int status; /* 499: the client left */
    double seconds;
    uint32_t prompt_tokens;
    uint32_t completion_tokens;
    const char *note; /* NULL, or why the client was dropped */
};

__attribute__((format(printf, 3, 4))) void qr_log(const struct qr_log *log, enum qr_log_level level,
                                                  const char *format, ...);
void qr_log_request(const struct qr_log *log, const struct qr_log_request *request);

#endif
