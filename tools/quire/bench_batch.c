/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/terminal.h"
#include "tools/quire/bench.h"

void qr_batch_draw(uint64_t seed, uint32_t vocab_n, int32_t *ids, uint32_t n)
{
    assert(vocab_n >= 16);
    uint32_t low = vocab_n / 16, span = vocab_n - 2 * low;
    for (uint32_t i = 0; i < n; i++) { /* splitmix64 */
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        ids[i] = (int32_t)(low + (uint32_t)((z ^ (z >> 31)) % span));
    }
}

static void request_of(struct quire_request *request, const int32_t *prompt, uint32_t prompt_n,
                       uint32_t generate_n)
{
    quire_request_defaults(request);
    request->prompt = prompt;
    request->prompt_n = prompt_n;
    request->max_tokens = generate_n;
    request->temperature = 0;
    request->flags = QUIRE_REQUEST_IGNORE_EOS;
}

static bool submit(quire_engine *engine, struct quire_request *request, struct qr_failure *why)
{
    quire_id id;
    struct quire_error error = {0};
    int status = quire_submit(engine, request, &id, &error);
    if (status == QUIRE_OK) return true;
    return qr_failed(why, "%s", error.text[0] ? error.text : quire_status_text(status));
}

/* Progress of a batch. */
struct watch {
    double began_s;
    uint64_t tokens_n, tokens_all_first;
    uint32_t firsts_n, ended_n;
    struct qr_batch_times *times;
};

static bool take(struct watch *w, const struct quire_event *e, struct qr_failure *why)
{
    if (e->kind == QUIRE_EVENT_TOKEN) {
        w->tokens_n++;
        w->firsts_n += e->index == 0;
    } else if (e->kind == QUIRE_EVENT_DONE) {
        w->ended_n++;
        if (e->finish != QUIRE_FINISH_LENGTH)
            return qr_failed(why, "a request ended before it had generated all its tokens");
    } else if (e->kind == QUIRE_EVENT_ERROR) {
        return qr_failed(why, "a request failed: %s", quire_status_text(e->status));
    }
    return true;
}

static void read_stretch(quire_engine *engine, struct qr_stretch *s)
{
    struct quire_stats stats = {.size = sizeof stats};

    quire_stats(engine, &stats);
    s->steps_n = stats.steps;
    s->phases_n = quire_profile(engine, s->phases, QR_BENCH_PHASES_MAX);
    assert(s->phases_n <= QR_BENCH_PHASES_MAX);
}

static void end_stretch(quire_engine *engine, struct qr_stretch *s)
{
    struct qr_stretch begin = *s;

    read_stretch(engine, s);
    s->steps_n -= begin.steps_n;
    for (size_t i = 0; i < s->phases_n; i++) {
        s->phases[i].ns -= begin.phases[i].ns;
        s->phases[i].wait_ns -= begin.phases[i].wait_ns;
    }
}

/* Called after all events of a step were taken, so that no time falls inside a step. */
static void mark(struct watch *w, quire_engine *engine, uint32_t requests_n)
{
    struct qr_batch_times *t = w->times;
    double now_s = qr_clock_s() - w->began_s;
    if (t->first_s == 0 && w->firsts_n) t->first_s = now_s;
    if (t->all_first_s == 0 && w->firsts_n == requests_n) {
        t->all_first_s = now_s;
        w->tokens_all_first = w->tokens_n;
        end_stretch(engine, &t->prefill);
        read_stretch(engine, &t->full);
    }
    if (t->full_s == 0 && t->all_first_s > 0 && w->ended_n) {
        t->full_s = now_s - t->all_first_s;
        t->tokens_full = w->tokens_n - w->tokens_all_first;
        end_stretch(engine, &t->full);
    }
    if (w->ended_n == requests_n) {
        t->wall_s = now_s;
        t->tokens_after = w->tokens_n - w->tokens_all_first;
    }
}

bool qr_batch_run(quire_engine *engine, uint32_t vocab_n, const struct qr_batch *b,
                  struct qr_batch_times *times, struct qr_failure *why)
{
    assert(b->prefix_n <= b->prompt_n);
    *times = (struct qr_batch_times){0};
    size_t ids_n = (size_t)b->requests_n * b->prompt_n;
    int32_t *ids = malloc(ids_n * sizeof *ids);
    if (!ids) return qr_failed(why, "out of memory");
    qr_batch_draw(b->seed, vocab_n, ids, (uint32_t)ids_n);
    for (uint32_t i = 1; i < b->requests_n; i++)
        memcpy(ids + (size_t)i * b->prompt_n, ids, b->prefix_n * sizeof *ids);

    struct watch w = {.began_s = qr_clock_s(), .times = times};
    bool ok = true;
    uint32_t sent_n = 0;
    read_stretch(engine, &times->prefill);
    for (; ok && sent_n < b->requests_n; sent_n += ok) {
        struct quire_request request;
        request_of(&request, ids + (size_t)sent_n * b->prompt_n, b->prompt_n, b->generate_n);
        ok = submit(engine, &request, why);
    }
    while (ok && w.ended_n < b->requests_n) {
        struct quire_event event;
        int taken = quire_wait(engine, &event, 1000);
        while (ok && taken) {
            ok = take(&w, &event, why);
            taken = quire_next(engine, &event);
        }
        if (ok) mark(&w, engine, b->requests_n);
    }
    free(ids);
    return ok;
}

bool qr_batch_ids(quire_engine *engine, const int32_t *prompt, uint32_t prompt_n,
                  uint32_t generate_n, int32_t *out, struct qr_failure *why)
{
    struct quire_request request;
    /* A salt of its own keeps the pages of earlier requests out. */
    const uint32_t salt[2] = {prompt_n, generate_n};
    request_of(&request, prompt, prompt_n, generate_n);
    request.cache_salt = (struct quire_text){(const char *)salt, sizeof salt};
    if (!submit(engine, &request, why)) return false;
    struct qr_batch_times unused;
    struct watch w = {.times = &unused};
    while (!w.ended_n) {
        struct quire_event event;
        if (!quire_wait(engine, &event, 1000)) continue;
        if (!take(&w, &event, why)) return false;
        if (event.kind == QUIRE_EVENT_TOKEN && event.index < generate_n)
            out[event.index] = event.token;
    }
    return true;
}
