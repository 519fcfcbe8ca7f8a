/* SPDX-License-Identifier: MIT */
#include "runtime/server/job.h"

#include <assert.h>

#include "runtime/server/conn.h"

static void on_worker(uv_work_t *work)
{
    struct qr_server_job *job = work->data;
    job->run(job);
}

static void after_worker(uv_work_t *work, int status)
{
    (void)status; /* the server never cancels queued work */
    struct qr_server_job *job = work->data;
    job->at_work = false;
    job->server->jobs_n--;
    job->done(job);
}

void qr_server_job_start(struct qr_server_job *job, bool worker)
{
    assert(job->conn && !job->at_work);
    job->conn->job = job;
    if (worker) {
        job->work.data = job;
        job->at_work = true;
        if (uv_queue_work(&job->server->loop, &job->work, on_worker, after_worker) == 0) {
            job->server->jobs_n++;
            return;
        }
        job->at_work = false;
    }
    job->run(job);
    job->done(job);
}

void qr_server_job_leave(struct qr_server_job *job, enum qr_cancel reason)
{
    assert(job->conn);
    job->conn->job = NULL;
    job->conn = NULL;
    if (!job->at_work) job->leave(job, reason);
}
