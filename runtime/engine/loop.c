/* SPDX-License-Identifier: MIT */
#include "runtime/engine/loop.h"

#include <assert.h>
#include <uv.h>

#include "runtime/base/memory.h"

struct qr_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_idle_t turning;
    qr_turn_fn *turn;
    void *context;
    struct quire_allocator allocator;
};

static void turn(uv_idle_t *handle)
{
    struct qr_loop *loop = handle->data;

    switch (loop->turn(loop->context)) {
    case QR_TURN_AGAIN: break;
    case QR_TURN_SLEEP: uv_idle_stop(&loop->turning); break;
    case QR_TURN_END:
        uv_idle_stop(&loop->turning);
        uv_stop(&loop->uv);
        break;
    }
}

static void woken(uv_async_t *handle)
{
    struct qr_loop *loop = handle->data;

    uv_idle_start(&loop->turning, turn);
}

struct qr_loop *qr_loop_create(const struct quire_allocator *allocator, qr_turn_fn *turn_fn,
                               void *context)
{
    struct qr_loop *loop = qr_alloc_zero(allocator, 1, sizeof *loop);

    if (!loop) return NULL;
    loop->turn = turn_fn;
    loop->context = context;
    loop->allocator = *allocator;
    if (uv_loop_init(&loop->uv)) {
        qr_free(allocator, loop);
        return NULL;
    }
    if (uv_async_init(&loop->uv, &loop->wake, woken)) {
        uv_loop_close(&loop->uv);
        qr_free(allocator, loop);
        return NULL;
    }
    uv_idle_init(&loop->uv, &loop->turning);
    loop->wake.data = loop;
    loop->turning.data = loop;
    return loop;
}

void qr_loop_destroy(struct qr_loop *loop)
{
    if (!loop) return;
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->turning, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);

    int left = uv_loop_close(&loop->uv);
    assert(left == 0);
    (void)left;
    struct quire_allocator allocator = loop->allocator;
    qr_free(&allocator, loop);
}

void qr_loop_run(struct qr_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void qr_loop_wake(struct qr_loop *loop)
{
    uv_async_send(&loop->wake);
}
