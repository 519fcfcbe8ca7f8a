/* SPDX-License-Identifier: MIT */
/* submit -- quire_submit, quire_fork and quire_cancel, for any thread.  They never wait for a step.
 */
#include <inttypes.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/sampler_settings.h"
#include "runtime/base/siphash.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/group.h"
#include "runtime/engine/settings.h"
#include "runtime/text/utf8.h"

#define FLAGS_ALL                                                                                  \
    (uint32_t)(QUIRE_REQUEST_IGNORE_EOS | QUIRE_REQUEST_PROMPT_LOGPROBS | QUIRE_REQUEST_SEEDED |   \
               QUIRE_REQUEST_SPECIAL_TEXT)

/* ---- checks ------------------------------------------------------------------------------- */

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

static int check_max_tokens(const quire_engine *e, const struct quire_request *r,
                            struct quire_error *error)
{
    uint32_t most = e->limits.context_max;
    const char *what = e->pages_bind ? "the KV pages hold" : "the context is";

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
    return check_max_tokens(e, r, error);
}

static int check_setting(const struct qr_sampler_setting *setting, const struct quire_request *r,
                         struct quire_error *error)
{
    double value = qr_sampler_setting_get(setting, r);
    char range[QR_SAMPLER_RANGE_MAX];

    if (qr_sampler_setting_accepts(setting, value)) return QUIRE_OK;
    if (setting->bound == QR_SAMPLER_ABOVE_OR_0 && value == 0.0) return QUIRE_OK;
    qr_sampler_setting_range(setting, range);
    return qr_error_field(error, QUIRE_INVALID, setting->name, "%s is %g; expected %s",
                          setting->name, value, range);
}

static int check_sampling(const struct quire_request *r, struct quire_error *error)
{
    int status = QUIRE_OK;

    for (int i = 0; i < QR_SAMPLER_SETTINGS_N && !status; i++)
        status = check_setting(&qr_sampler_settings[i], r, error);
    if (status) return status;
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
    if (r->shown_ids_n > QR_SHOWN_IDS_MAX || (r->shown_ids_n && !r->shown_ids))
        return qr_error_field(error, QUIRE_INVALID, "shown_ids",
                              "there are %zu shown tokens; expected at most %u", r->shown_ids_n,
                              QR_SHOWN_IDS_MAX);
    int status = check_ids(e, "shown_ids", r->shown_ids, r->shown_ids_n, error);
    if (status) return status;
    return check_ids(e, "stop_token_ids", r->stop_ids, r->stop_ids_n, error);
}

static int check_restriction(const quire_engine *e, const struct quire_request *r,
                             struct quire_error *error)
{
    if (r->allowed_ids_n && !r->allowed_ids)
        return qr_error_field(error, QUIRE_INVALID, "allowed_token_ids",
                              "allowed_ids is NULL, with %zu tokens", r->allowed_ids_n);
    int status = check_ids(e, "allowed_token_ids", r->allowed_ids, r->allowed_ids_n, error);
    if (r->bans_n > QR_BANS_MAX || (r->bans_n && !r->bans))
        return qr_error_field(error, QUIRE_INVALID, "bad_words",
                              "there are %zu banned sequences; expected at most %u", r->bans_n,
                              QR_BANS_MAX);
    for (size_t i = 0; i < r->bans_n && !status; i++) {
        const struct quire_ids *ban = &r->bans[i];
        if (!ban->ids || !ban->ids_n || ban->ids_n > QR_BAN_IDS_MAX)
            return qr_error_field(error, QUIRE_INVALID, "bad_words",
                                  "the banned sequence %zu has %zu tokens; expected 1 to %u", i,
                                  ban->ids ? ban->ids_n : 0, QR_BAN_IDS_MAX);
        status = check_ids(e, "bad_words", ban->ids, ban->ids_n, error);
    }
    return status;
}

static int check_bias(const quire_engine *e, const struct quire_request *r,
                      struct quire_error *error)
{
    int status = QUIRE_OK;

    if (r->logit_bias_n > QR_LOGIT_BIAS_MAX || (r->logit_bias_n && !r->logit_bias))
        return qr_error_field(error, QUIRE_INVALID, "logit_bias",
                              "there are %zu biases; expected at most %u", r->logit_bias_n,
                              QR_LOGIT_BIAS_MAX);
    for (size_t i = 0; i < r->logit_bias_n && !status; i++) {
        const struct quire_logit_bias *bias = &r->logit_bias[i];
        status = check_ids(e, "logit_bias", &bias->token, 1, error);
        if (status || (bias->bias >= -QR_BIAS_MAX && bias->bias <= QR_BIAS_MAX)) continue;
        status = qr_error_field(error, QUIRE_INVALID, "logit_bias",
                                "logit_bias[%zu] is %g; expected -%g to %g", i, (double)bias->bias,
                                (double)QR_BIAS_MAX, (double)QR_BIAS_MAX);
    }
    return status;
}

static uint32_t choices_n(const struct quire_request *r)
{
    uint32_t n = r->n ? r->n : 1;

    return r->best_of > n ? r->best_of : n;
}

/* All choices of a request run at once, because they share one prompt, and are queued at once. */
static int check_choices(const quire_engine *e, const struct quire_request *r,
                         struct quire_error *error)
{
    const char *field = choices_n(r) > (r->n ? r->n : 1) ? "best_of" : "n";
    uint32_t n = r->n ? r->n : 1, all_n = choices_n(r);

    if (n > QR_CHOICES_MAX)
        return qr_error_field(error, QUIRE_INVALID, "n", "n is %" PRIu32 "; expected 1 to %u", n,
                              QR_CHOICES_MAX);
    if (r->best_of && (r->best_of < n || r->best_of > QR_CHOICES_MAX))
        return qr_error_field(error, QUIRE_INVALID, "best_of",
                              "best_of is %" PRIu32 "; expected n, %" PRIu32 ", to %u", r->best_of,
                              n, QR_CHOICES_MAX);
    if (all_n > e->limits.running_max)
        return qr_error_field(error, QUIRE_INVALID, field,
                              "%s is %" PRIu32 ", but at most %" PRIu32 " sequences run at once",
                              field, all_n, e->limits.running_max);
    if (all_n > e->waiting_max)
        return qr_error_field(error, QUIRE_INVALID, field,
                              "%s is %" PRIu32 ", but the queue takes %" PRIu32 " at most", field,
                              all_n, e->waiting_max);
    return QUIRE_OK;
}

static int check_salt(const struct quire_request *r, struct quire_error *error)
{
    if (r->cache_salt.n <= QR_CACHE_SALT_MAX && (!r->cache_salt.n || r->cache_salt.data))
        return QUIRE_OK;
    return qr_error_field(error, QUIRE_INVALID, "cache_salt",
                          "cache_salt has %zu bytes; expected at most %u",
                          r->cache_salt.data ? r->cache_salt.n : 0, QR_CACHE_SALT_MAX);
}

static int check_grammar(const quire_engine *e, const struct quire_request *r,
                         struct quire_error *error)
{
    if (!r->grammar || qr_grammar_of(r->grammar, e->model)) return QUIRE_OK;
    return qr_error_field(error, QUIRE_INVALID, "grammar",
                          "the grammar was compiled for another model than the engine's");
}

static int check_name(const char *field, struct quire_text name, struct quire_error *error)
{
    if (!name.n || name.data) return QUIRE_OK;
    return qr_error_field(error, QUIRE_INVALID, field, "%s has %zu bytes, but no data", field,
                          name.n);
}

/* ---- public ------------------------------------------------------------------------------- */

/* Takes n places in the queue, by a counter.  False: there are fewer. */
static bool take_room(quire_engine *e, uint32_t n)
{
    uint32_t queued = atomic_load_explicit(&e->queued, memory_order_relaxed);

    do {
        if (n > e->waiting_max || queued > e->waiting_max - n) return false;
    } while (!atomic_compare_exchange_weak_explicit(&e->queued, &queued, queued + n,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static void give_room(quire_engine *e, uint32_t n)
{
    atomic_fetch_sub_explicit(&e->queued, n, memory_order_relaxed);
}

/* Makes one request for each choice, with one id, linked as group.h says.  NULL: no memory. */
static struct qr_request *make(quire_engine *e, const struct quire_request *from, uint32_t all_n)
{
    quire_id id = atomic_fetch_add_explicit(&e->ids, 1, memory_order_relaxed) + 1;
    uint64_t seed = from->flags & QUIRE_REQUEST_SEEDED ? from->seed : qr_draw(e->secret, id);
    uint64_t now_ns = qr_clock_ns();
    struct qr_request *first = NULL, **link = &first;
    struct qr_prefix_salt salt = {0};
    struct qr_party client = {0}, end_user = {0};

    if (from->cache_salt.n)
        qr_siphash128(e->salt_key, from->cache_salt.data, from->cache_salt.n, salt.words);
    if (from->client.n) qr_siphash128(e->salt_key, from->client.data, from->client.n, client.words);
    if (from->end_user.n)
        qr_siphash128(e->salt_key, from->end_user.data, from->end_user.n, end_user.words);
    for (uint32_t i = 0; i < all_n; i++) {
        struct qr_grammar *grammar = from->grammar ? qr_grammar_of(from->grammar, e->model) : NULL;
        struct qr_request *r = qr_request_create(from, grammar, e->model->tokenizer, &e->allocator);
        if (!r) break;
        r->id = id;
        r->choice = i;
        r->salt = salt;
        r->client = client;
        r->end_user = end_user;
        r->sampling.seed = seed + i; /* as vLLM does */
        r->submitted_ns = now_ns;
        r->leader = i > 0 ? first : NULL;
        *link = r;
        link = &r->attached;
        if (i + 1 < all_n) continue;
        uint32_t n = from->n ? from->n : 1;
        if (all_n == n || qr_ranking_begin(first, n, all_n, &e->allocator)) return first;
    }
    while (first) {
        struct qr_request *next = first->attached;
        qr_request_destroy(first, &e->allocator);
        first = next;
    }
    return NULL;
}

/* Queues a request that has been checked.  fork_of: the parent, or 0. */
static int accept(quire_engine *e, const struct quire_request *from, quire_id fork_of,
                  uint32_t fork_choice, quire_id *id, struct quire_error *error)
{
    uint32_t all_n = choices_n(from);

    if (atomic_load(&e->stopping)) return qr_error(error, QUIRE_STOPPING, "the engine is stopping");
    if (!take_room(e, all_n)) {
        atomic_fetch_add_explicit(&e->refused, 1, memory_order_relaxed);
        return qr_error(error, QUIRE_QUEUE_FULL,
                        "the queue is full: it takes %" PRIu32 " requests, each choice counted",
                        e->waiting_max);
    }
    struct qr_request *first = make(e, from, all_n);
    if (!first) {
        give_room(e, all_n);
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for a request of %zu tokens",
                        from->prompt_n);
    }
    quire_id taken = first->id;
    first->fork_of = fork_of;
    first->fork_choice = fork_choice;
    for (struct qr_request *r = first; r; r = r->attached)
        qr_request_table_add(&e->table, r);
    if (!qr_inbox_push(&e->inbox, first)) { /* the engine has stopped meanwhile */
        qr_free(&e->allocator, first->ranking);
        for (struct qr_request *r = first, *next; r; r = next) {
            next = r->attached;
            qr_request_table_remove(&e->table, r);
            qr_request_destroy(r, &e->allocator);
        }
        give_room(e, all_n);
        return qr_error(error, QUIRE_STOPPING, "the engine is stopping");
    }
    qr_loop_wake(e->loop); /* from here on only the engine thread uses them */
    *id = taken;
    return QUIRE_OK;
}

/* Checks everything but the prompt and its length. */
static int check_options(const quire_engine *e, const struct quire_request *from,
                         struct quire_error *error)
{
    int status = check_choices(e, from, error);

    if (!status) status = check_sampling(from, error);
    if (!status) status = check_bias(e, from, error);
    if (!status) status = check_restriction(e, from, error);
    if (!status) status = check_stops(e, from, error);
    if (!status) status = check_salt(from, error);
    if (!status) status = check_grammar(e, from, error);
    if (!status) status = check_name("client", from->client, error);
    if (!status) status = check_name("end_user", from->end_user, error);
    return status;
}

int quire_submit(quire_engine *e, const struct quire_request *given, quire_id *id,
                 struct quire_error *error)
{
    struct quire_request from;
    int status;

    qr_error_clear(error);
    if (id) *id = 0;
    if (!e || !id) return qr_error(error, QUIRE_INVALID, "engine or id is NULL");
    quire_request_defaults(&from);
    status = qr_settings_read(&from, sizeof from, given, error);
    if (!status) status = check_length(e, &from, error);
    if (!status) status = check_ids(e, "prompt", from.prompt, from.prompt_n, error);
    if (!status) status = check_options(e, &from, error);
    return status ? status : accept(e, &from, 0, 0, id, error);
}

int quire_fork(quire_engine *e, quire_id id, uint32_t choice, const struct quire_request *given,
               quire_id *forked, struct quire_error *error)
{
    struct quire_request from;
    int status;

    qr_error_clear(error);
    if (forked) *forked = 0;
    if (!e || !forked) return qr_error(error, QUIRE_INVALID, "engine or forked is NULL");
    quire_request_defaults(&from);
    status = qr_settings_read(&from, sizeof from, given, error);
    if (status) return status;
    if (from.prompt_n || from.prompt)
        return qr_error_field(error, QUIRE_INVALID, "prompt",
                              "a fork has the prompt of its parent; expected none");
    if (from.cache_salt.n)
        return qr_error_field(error, QUIRE_INVALID, "cache_salt",
                              "a fork has the salt of its parent; expected none");
    status = check_max_tokens(e, &from, error);
    if (!status) status = check_options(e, &from, error);
    if (status) return status;
    if (!qr_request_table_has(&e->table, id))
        return qr_error(error, QUIRE_NOT_FOUND, "no running request has id %" PRIu64, id);
    return accept(e, &from, id, choice, forked, error);
}

int quire_cancel(quire_engine *e, quire_id id)
{
    if (!e) return QUIRE_INVALID;
    if (!qr_request_table_cancel(&e->table, id)) return QUIRE_NOT_FOUND;
    atomic_store(&e->cancels, true);
    qr_loop_wake(e->loop);
    return QUIRE_OK;
}
