/* SPDX-License-Identifier: MIT */
/* engine -- the public functions on an engine that runs: stop, events, figures. */
#include "runtime/engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include "runtime/engine/settings.h"

void quire_engine_stop(quire_engine *e, uint32_t drain_ms)
{
    if (!e) return;
    uint64_t deadline = qr_clock_ns() + (uint64_t)drain_ms * 1000000u;

    /* A second stop may shorten the first one's drain, never lengthen it. */
    uint64_t set = atomic_load(&e->stop_ns);
    while (deadline < set && !atomic_compare_exchange_weak(&e->stop_ns, &set, deadline)) {
    }
    atomic_store(&e->stopping, true);
    qr_loop_wake(e->loop);
    pthread_mutex_lock(&e->join_lock);
    if (e->thread_runs) pthread_join(e->thread, NULL);
    e->thread_runs = false;
    pthread_mutex_unlock(&e->join_lock);
}

void quire_engine_free(quire_engine *e)
{
    if (!e) return;
    quire_engine_stop(e, 0);
    qr_engine_release(e);
}

int quire_fd(const quire_engine *e)
{
    return e ? e->completion.fd : -1;
}

int quire_next(quire_engine *e, struct quire_event *event)
{
    if (!e || !event) return QUIRE_INVALID;
    return qr_completion_take(&e->completion, event, NULL) ? 1 : 0;
}

int quire_wait(quire_engine *e, struct quire_event *event, int timeout_ms)
{
    if (!e || !event) return QUIRE_INVALID;
    uint64_t now = qr_clock_ns();
    uint64_t deadline = now + (timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000u : 0);

    for (;;) {
        bool ended;
        if (qr_completion_take(&e->completion, event, &ended)) return 1;
        if (ended || (timeout_ms >= 0 && now >= deadline)) return 0;

        struct pollfd fd = {.fd = e->completion.fd, .events = POLLIN};
        int left = -1;
        if (timeout_ms >= 0) left = (int)((deadline - now + 999999u) / 1000000u);
        if (poll(&fd, 1, left) < 0 && errno != EINTR) return QUIRE_SYSTEM;
        now = qr_clock_ns();
    }
}

void quire_stats(const quire_engine *engine, struct quire_stats *out)
{
    quire_engine *e = (quire_engine *)engine; /* the copy is under a lock */
    struct quire_stats stats;

    if (!e) return;
    uint32_t live = qr_request_table_count(&e->table);
    qr_stats_read(&e->stats, &stats);
    stats.waiting = live > stats.running ? live - stats.running : 0;
    stats.refused = atomic_load_explicit(&e->refused, memory_order_relaxed);
    qr_grammars_count(e->model, &stats);
    qr_settings_write(out, &stats, sizeof stats);
}

size_t quire_profile(const quire_engine *engine, struct quire_phase *out, size_t capacity)
{
    quire_engine *e = (quire_engine *)engine; /* the copy is under a lock */
    struct qr_phase_time times[QR_PHASES_N];

    if (!e || !e->phases.on) return 0;
    qr_stats_read_phases(&e->stats, times);
    for (size_t i = 0; i < QR_PHASES_N && i < capacity; i++)
        out[i] = (struct quire_phase){.name = qr_phase_text((enum qr_phase)i),
                                      .ns = times[i].ns,
                                      .wait_ns = times[i].wait_ns};
    return QR_PHASES_N;
}
