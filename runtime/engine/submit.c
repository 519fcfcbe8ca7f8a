/* SPDX-License-Identifier: MIT */
/* submit -- quire_submit and quire_cancel: from any thread, never waiting for a step. */
#include <inttypes.h>
#include <math.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/siphash.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/settings.h"
#include "runtime/text/utf8.h"

#define FLAGS_ALL                                                                                  \
    (uint32_t)(QUIRE_REQUEST_IGNORE_EOS | QUIRE_REQUEST_PROMPT_LOGPROBS | QUIRE_REQUEST_SEEDED)

/* ---- what a request may say ------------------------------------------------------------------ */

static int check_ids(const quire_engine *e, const char *field, const int32_t *ids, size_t n,
                     struct quire_error *error)
{
    uint32_t vocab_n = qr_model_shape(e->model->weights)->vocab_n;

    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= vocab_n)
            return qr_error_field(error, QUIRE_INVALID, field,
                                  "%s[%zu] is token %" PRId32 "; the vocabulary has %" PRIu32,
                                  field, i, ids[i], vocab_n);
    return QUIRE_OK;
}

static int check_length(const quire_engine *e, const struct quire_request *r,
                        struct quire_error *error)
{
    uint32_t most = e->limits.context_max;
    const char *what = e->pages_bind ? "the KV pages hold" : "the context is";

    if (!r->prompt || !r->prompt_n)
        return qr_error_field(error, QUIRE_INVALID, "prompt", "the prompt is empty");
    if (r->prompt_n > most || (r->prompt_n == most && r->max_tokens))
        return qr_error_field(error, QUIRE_TOO_LONG, "prompt",
                              "the prompt has %zu tokens, but %s %" PRIu32 " tokens%s", r->prompt_n,
                              what, most, r->max_tokens ? ", the answer's included" : "");
    if (!r->max_tokens && !(r->flags & QUIRE_REQUEST_PROMPT_LOGPROBS))
        return qr_error_field(error, QUIRE_INVALID, "max_tokens",
                              "max_tokens is 0; expected at least 1, except with prompt logprobs");
    if (r->max_tokens > most - r->prompt_n)
        return qr_error_field(error, QUIRE_TOO_LONG, "max_tokens",
                              "max_tokens is %" PRIu32 " after a prompt of %zu tokens, but %s "
                              "%" PRIu32 " tokens: at most %" PRIu32 " fit",
                              r->max_tokens, r->prompt_n, what, most, most - (uint32_t)r->prompt_n);
    if (r->min_tokens > r->max_tokens)
        return qr_error_field(error, QUIRE_INVALID, "min_tokens",
                              "min_tokens is %" PRIu32 ", more than max_tokens, %" PRIu32,
                              r->min_tokens, r->max_tokens);
    return QUIRE_OK;
}

/* NaN fails every comparison. */
static int check_sampling(const struct quire_request *r, struct quire_error *error)
{
    if (!(r->temperature >= 0.0f) || isinf(r->temperature))
        return qr_error_field(error, QUIRE_INVALID, "temperature",
                              "temperature is %g; expected 0 or more", (double)r->temperature);
    if (!(r->top_p > 0.0f && r->top_p <= 1.0f))
        return qr_error_field(error, QUIRE_INVALID, "top_p",
                              "top_p is %g; expected more than 0 and at most 1", (double)r->top_p);
    if (!(r->min_p >= 0.0f && r->min_p <= 1.0f))
        return qr_error_field(error, QUIRE_INVALID, "min_p", "min_p is %g; expected 0 to 1",
                              (double)r->min_p);
    if (r->top_k < -1)
        return qr_error_field(error, QUIRE_INVALID, "top_k",
                              "top_k is %" PRId32 "; expected -1 or 0 (off), or 1 and more",
                              r->top_k);
    if (r->logprobs < -1 || r->logprobs > (int32_t)QR_LOGPROBS_MAX)
        return qr_error_field(error, QUIRE_INVALID, "logprobs",
                              "logprobs is %" PRId32 "; expected 0 to %u, or -1 for none",
                              r->logprobs, QR_LOGPROBS_MAX);
    if (r->flags & ~FLAGS_ALL)
        return qr_error_field(error, QUIRE_INVALID, "flags", "flags has unknown bits: %#" PRIx32,
                              r->flags & ~FLAGS_ALL);
    return QUIRE_OK;
}

static int check_stops(const quire_engine *e, const struct quire_request *r,
                       struct quire_error *error)
{
    if (r->stop_n > QR_STOP_STRINGS_MAX || (r->stop_n && !r->stop))
        return qr_error_field(error, QUIRE_INVALID, "stop",
                              "there are %zu stop strings; expected at most %u", r->stop_n,
                              QR_STOP_STRINGS_MAX);
    if (r->stop_n && !e->model->tokenizer)
        return qr_error_field(error, QUIRE_NO_TOKENIZER, "stop",
                              "stop strings need a tokenizer, and this model's is not supported");
    for (size_t i = 0; i < r->stop_n; i++) {
        const struct quire_text *stop = &r->stop[i];
        if (!stop->data || !stop->n || stop->n > QR_STOP_BYTES_MAX)
            return qr_error_field(error, QUIRE_INVALID, "stop",
                                  "stop[%zu] has %zu bytes; expected 1 to %u", i,
                                  stop->data ? stop->n : 0, QR_STOP_BYTES_MAX);
        if (qr_utf8_valid(stop->data, stop->n) != stop->n)
            return qr_error_field(error, QUIRE_INVALID, "stop",
                                  "stop[%zu] is not valid UTF-8: no text could match it", i);
    }
    if (r->stop_ids_n > QR_STOP_IDS_MAX || (r->stop_ids_n && !r->stop_ids))
        return qr_error_field(error, QUIRE_INVALID, "stop_token_ids",
                              "there are %zu stop tokens; expected at most %u", r->stop_ids_n,
                              QR_STOP_IDS_MAX);
    return check_ids(e, "stop_token_ids", r->stop_ids, r->stop_ids_n, error);
}

static int check_salt(const struct quire_request *r, struct quire_error *error)
{
    if (r->cache_salt.n <= QR_CACHE_SALT_MAX && (!r->cache_salt.n || r->cache_salt.data))
        return QUIRE_OK;
    return qr_error_field(error, QUIRE_INVALID, "cache_salt",
                          "cache_salt has %zu bytes; expected at most %u",
                          r->cache_salt.data ? r->cache_salt.n : 0, QR_CACHE_SALT_MAX);
}

/* ---- public ------------------------------------------------------------------------------- */

/* Room in the queue, by a counter alone.  False: it is full. */
static bool take_room(quire_engine *e)
{
    uint32_t queued = atomic_load_explicit(&e->queued, memory_order_relaxed);

    do {
        if (queued >= e->waiting_max) return false;
    } while (!atomic_compare_exchange_weak_explicit(&e->queued, &queued, queued + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static void give_room(quire_engine *e)
{
    atomic_fetch_sub_explicit(&e->queued, 1, memory_order_relaxed);
}

int quire_submit(quire_engine *e, const struct quire_request *given, quire_id *id,
                 struct quire_error *error)
{
    struct quire_request from;
    int status;

    qr_error_clear(error);
    if (id) *id = 0;
    if (!e || !id) return qr_error(error, QUIRE_INVALID, "there is no engine, or no place for id");
    quire_request_defaults(&from);
    status = qr_settings_read(&from, sizeof from, given, error);
    if (!status) status = check_length(e, &from, error);
    if (!status) status = check_ids(e, "prompt", from.prompt, from.prompt_n, error);
    if (!status) status = check_sampling(&from, error);
    if (!status) status = check_stops(e, &from, error);
    if (!status) status = check_salt(&from, error);
    if (status) return status;
    if (atomic_load(&e->stopping)) return qr_error(error, QUIRE_STOPPING, "the engine is stopping");

    if (!take_room(e)) {
        atomic_fetch_add_explicit(&e->refused, 1, memory_order_relaxed);
        return qr_error(error, QUIRE_QUEUE_FULL, "the queue is full: %" PRIu32 " requests wait",
                        e->waiting_max);
    }
    struct qr_request *r = qr_request_create(&from, e->model->tokenizer, &e->allocator);
    if (!r) {
        give_room(e);
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for a request of %zu tokens",
                        from.prompt_n);
    }
    quire_id taken = atomic_fetch_add_explicit(&e->ids, 1, memory_order_relaxed) + 1;
    r->id = taken;
    if (from.cache_salt.n)
        qr_siphash128(e->salt_key, from.cache_salt.data, from.cache_salt.n, r->salt.words);
    if (!(r->flags & QUIRE_REQUEST_SEEDED)) r->sampling.seed = qr_draw(e->secret, taken);
    r->submitted_ns = qr_clock_ns();
    qr_request_table_add(&e->table, r);
    if (!qr_inbox_push(&e->inbox, r)) { /* stopped meanwhile */
        qr_request_table_remove(&e->table, r);
        qr_request_destroy(r, &e->allocator);
        give_room(e);
        return qr_error(error, QUIRE_STOPPING, "the engine is stopping");
    }
    qr_loop_wake(e->loop); /* r is the engine thread's from here on */
    *id = taken;
    return QUIRE_OK;
}

int quire_cancel(quire_engine *e, quire_id id)
{
    if (!e) return QUIRE_INVALID;
    if (!qr_request_table_cancel(&e->table, id)) return QUIRE_NOT_FOUND;
    atomic_store(&e->cancels, true);
    qr_loop_wake(e->loop);
    return QUIRE_OK;
}
