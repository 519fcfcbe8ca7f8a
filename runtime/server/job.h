/* SPDX-License-Identifier: MIT */
/* job -- a request in progress: work that may be done on a worker, and that a connection may
 * leave.
 *
 * run() does the work and may be on another thread: it touches its job and the model only.
 * done() follows on the loop's thread; conn is then NULL if the client has left.  leave() tells a
 * job between done() and its end that its connection is gone.
 *
 * Thread: the loop's, but for run().   Memory: whoever embeds it owns it. */
#ifndef QR_SERVER_JOB_H
#define QR_SERVER_JOB_H

#include <stdbool.h>
#include <uv.h>

#include "runtime/server/server.h"

struct qr_server_job {
    struct qr_server *server;
    struct qr_conn *conn; /* NULL: the client has left */
    void (*run)(struct qr_server_job *job);
    void (*done)(struct qr_server_job *job);
    void (*leave)(struct qr_server_job *job, enum qr_cancel reason);
    uv_work_t work;
    bool at_work;
};

/* Begins; with worker false run() and done() are called before it returns. */
void qr_server_job_start(struct qr_server_job *job, bool worker);
/* The connection is gone. */
void qr_server_job_leave(struct qr_server_job *job, enum qr_cancel reason);

#endif
