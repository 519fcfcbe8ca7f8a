/* SPDX-License-Identifier: MIT */
#include "runtime/server/task.h"

#include <assert.h>

#include "runtime/server/conn.h"

static void on_worker(uv_work_t *work)
{
    struct qr_task *task = work->data;
    task->run(task);
}

static void after_worker(uv_work_t *work, int status)
{
    (void)status; /* work that has been started is never cancelled here */
    struct qr_task *task = work->data;
    struct qr_server *server = task->server;
    task->at_work = false;
    server->tasks_n--;
    task->done(task);
    qr_server_flush(server);
    qr_server_check_drained(server);
}

void qr_task_start(struct qr_task *task, bool worker)
{
    assert(task->conn && !task->at_work);
    task->conn->task = task;
    if (worker) {
        task->work.data = task;
        task->at_work = true;
        if (uv_queue_work(&task->server->loop, &task->work, on_worker, after_worker) == 0) {
            task->server->tasks_n++;
            return;
        }
        task->at_work = false;
    }
    task->run(task);
    task->done(task);
}

void qr_task_leave(struct qr_task *task, enum qr_cancel reason)
{
    assert(task->conn);
    task->conn->task = NULL;
    task->conn = NULL;
    if (!task->at_work) task->leave(task, reason);
}
