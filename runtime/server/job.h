/* SPDX-License-Identifier: MIT */
/* job -- work for a request that may run on a worker thread, and that outlives its connection.
 *
 *   start -> run() -> done() -> (the embedder's own life) -> freed by the embedder
 *              |         ^
 *              client leaves: done() still follows, with conn NULL
 *                                   client leaves here: leave()
 *
 * run() may be on a worker: it may touch its own job, the model, and the server's constant fields
 * (state.h).  done() and leave() are called on the loop's thread.
 *
 * Thread: the loop's, except run().   Memory: the struct that embeds the job owns it. */
#ifndef QR_SERVER_JOB_H
#define QR_SERVER_JOB_H

#include <stdbool.h>
#include <uv.h>

#include "runtime/server/state.h"

struct qr_server_job {
    struct qr_server *server;
    struct qr_conn *conn; /* NULL: the client has left */
    void (*run)(struct qr_server_job *job);
    void (*done)(struct qr_server_job *job);
    void (*leave)(struct qr_server_job *job, enum qr_cancel reason);
    uv_work_t work;
    bool at_work; /* queued or running on a worker */
};

/* Starts the job.  If worker is false, run() and done() are called before this returns. */
void qr_server_job_start(struct qr_server_job *job, bool worker);
/* Tells the job that its connection is gone. */
void qr_server_job_leave(struct qr_server_job *job, enum qr_cancel reason);

#endif
