/* SPDX-License-Identifier: MIT */
/* start -- quire_engine_start: checks the settings, sizes and takes memory, starts the thread. */
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/machine.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/settings.h"

/* The default number of rows in a step.  From 64 rows on, the cost of a row is constant.  So a
 * longer step gains no speed, and running requests wait longer for their next token while a prompt
 * is computed.  With 256 rows computing takes much longer than reading the weights once.  With more
 * sequences than that, prefill still gets 64 rows. */
#define STEP_TOKENS_MIN  256u
#define STEP_PREFILL_MIN 64u
#define STEP_TOKENS_MAX  (1u << 16)
#define STEP_TARGET_MIN  256u /* room for prefill in a step with a target_itl_ms */

#define TARGET_ITL_MS_MAX 60000u

#define THREADS_MAX 1024u
#define CONTEXT_MIN 16u /* a smaller context is refused as a mistake */
/* Used if the system does not say how much memory is free. */
#define KV_MEMORY_IF_UNKNOWN ((uint64_t)512 << 20)

/* ---- settings ----------------------------------------------------------------------------- */

static int check_range(const char *field, uint32_t value, uint32_t least, uint32_t most,
                       struct quire_error *error)
{
    if (value >= least && value <= most) return QUIRE_OK;
    return qr_error_field(error, QUIRE_INVALID, field,
                          "%s is %" PRIu32 "; expected %" PRIu32 " to %" PRIu32, field, value,
                          least, most);
}

static int check_settings(const struct quire_engine_settings *s, const quire_model *model,
                          struct quire_error *error)
{
    uint32_t context_max = qr_model_shape(model->weights)->context_max;
    uint32_t least = s->running_max + QR_PREFILL_MIN;
    int status;

    status = check_range("running_max", s->running_max, 1, QR_RUNNING_LIMIT, error);
    if (!status) status = check_range("waiting_max", s->waiting_max, 1, QR_WAITING_LIMIT, error);
    if (!status) status = check_range("threads", s->threads, 0, THREADS_MAX, error);
    if (!status) status = check_range("no_prefix_cache", s->no_prefix_cache, 0, 1, error);
    if (!status) status = check_range("profile", s->profile, 0, 1, error);
    if (!status && s->context_max)
        status = check_range("context_max", s->context_max, CONTEXT_MIN, context_max, error);
    if (!status && s->step_tokens)
        status = check_range("step_tokens", s->step_tokens, least, STEP_TOKENS_MAX, error);
    if (!status && s->target_itl_ms)
        status = check_range("target_itl_ms", s->target_itl_ms, 1, TARGET_ITL_MS_MAX, error);
    if (!status && s->target_itl_ms && s->step_tokens)
        status =
            qr_error_field(error, QUIRE_INVALID, "target_itl_ms",
                           "target_itl_ms and step_tokens are both set; a step's tokens follow "
                           "from the target, or are fixed");
    if (status) return status;
    if (s->page_tokens != 16 && s->page_tokens != 32 && s->page_tokens != 64 &&
        s->page_tokens != 128)
        return qr_error_field(error, QUIRE_INVALID, "page_tokens",
                              "page_tokens is %" PRIu32 "; expected 16, 32, 64 or 128",
                              s->page_tokens);
    return QUIRE_OK;
}

static int kv_type_of(uint32_t public_type, enum qr_kv_type *type, struct quire_error *error)
{
    switch (public_type) {
    case QUIRE_KV_F16: *type = QR_KV_F16; return QUIRE_OK;
    case QUIRE_KV_F32: *type = QR_KV_F32; return QUIRE_OK;
    case QUIRE_KV_BF16: *type = QR_KV_BF16; return QUIRE_OK;
    case QUIRE_KV_Q8: *type = QR_KV_Q8; return QUIRE_OK;
    default:
        return qr_error_field(error, QUIRE_INVALID, "kv_type",
                              "kv_type is %" PRIu32 "; expected one of enum quire_kv_type",
                              public_type);
    }
}

/* ---- sizes -------------------------------------------------------------------------------- */

/* Sets the number of pages and context_max. */
static int size_pages(quire_engine *e, const struct quire_engine_settings *s, size_t page_bytes,
                      uint32_t *pages_n, struct quire_error *error)
{
    uint32_t context_max =
        s->context_max ? s->context_max : qr_model_shape(e->model->weights)->context_max;
    uint64_t context_pages = (context_max + s->page_tokens - 1) / s->page_tokens;
    uint64_t useful = context_pages * s->running_max; /* running_max full contexts */
    uint64_t least = qr_scheduler_pages_for(&e->limits, s->page_tokens, context_max);
    uint64_t available = qr_memory_available();
    uint64_t bytes = s->kv_memory_bytes;

    if (!bytes) bytes = available ? available / 2 : KV_MEMORY_IF_UNKNOWN;
    uint64_t pages = bytes / page_bytes;
    if (!s->kv_memory_bytes && pages > useful) pages = useful;
    if (pages > QR_PAGE_NONE / 2) pages = QR_PAGE_NONE / 2;
    if (pages * s->page_tokens < CONTEXT_MIN)
        return qr_error_field(error, QUIRE_INVALID, "kv_memory_bytes",
                              "%" PRIu64 " bytes of KV memory hold no page: one of %" PRIu32
                              " tokens takes %zu bytes",
                              bytes, s->page_tokens, page_bytes);
    if (s->context_max && pages < least)
        return qr_error_field(error, QUIRE_INVALID, "kv_memory_bytes",
                              "%" PRIu64 " bytes of KV memory hold %" PRIu64
                              " tokens, not the context of %" PRIu32 "; that takes %" PRIu64
                              " bytes",
                              bytes, pages * s->page_tokens, context_max, least * page_bytes);
    e->pages_bind = pages < least;
    e->limits.context_max = e->pages_bind ? (uint32_t)(pages * s->page_tokens) : context_max;
    *pages_n = (uint32_t)pages;
    return QUIRE_OK;
}

static void size_steps(quire_engine *e, const struct quire_engine_settings *s)
{
    uint32_t step = s->running_max + STEP_PREFILL_MIN;

    if (step < STEP_TOKENS_MIN) step = STEP_TOKENS_MIN;
    if (s->target_itl_ms) step = s->running_max + STEP_TARGET_MIN;
    qr_pace_init(&e->pace, (double)s->target_itl_ms * 1e-3);
    e->limits.running_max = s->running_max;
    /* Preempted sequences wait too, in addition to the requests that quire_submit accepts. */
    e->limits.waiting_max = s->waiting_max + s->running_max;
    e->limits.step_tokens = s->step_tokens ? s->step_tokens : step;
    e->limits.prefill_chunk = s->prefill_chunk;
    e->limits.window = qr_model_shape(e->model->weights)->sliding_window;
    e->waiting_max = s->waiting_max;
    e->seqs_max = e->limits.running_max + e->limits.waiting_max;
}

/* ---- memory ------------------------------------------------------------------------------- */

static struct qr_kv_shape kv_shape_of(const quire_model *model, uint32_t page_tokens)
{
    const struct qr_model_shape *shape = qr_model_shape(model->weights);

    return (struct qr_kv_shape){.layers_n = shape->layers_n,
                                .heads_n = shape->kv_heads_n,
                                .head_dim = shape->head_dim,
                                .page_tokens = page_tokens};
}

uint64_t quire_model_kv_token_bytes(const quire_model *model, uint32_t kv_type)
{
    const uint32_t page_tokens = 16; /* bytes a token do not depend on the page size */
    size_t page_bytes;

    if (!model) return 0;
    struct qr_kv_shape kv = kv_shape_of(model, page_tokens);
    if (kv_type_of(kv_type, &kv.type, NULL)) return 0;
    return qr_kv_shape_page_bytes(&kv, &page_bytes) ? page_bytes / page_tokens : 0;
}

static int take_pages(quire_engine *e, const struct quire_engine_settings *s,
                      struct quire_error *error)
{
    struct qr_kv_shape kv = kv_shape_of(e->model, s->page_tokens);
    size_t page_bytes, bytes;
    uint32_t pages_n = 0;

    int status = kv_type_of(s->kv_type, &kv.type, error);
    if (status) return status;
    if (!qr_kv_shape_page_bytes(&kv, &page_bytes))
        return qr_error(error, QUIRE_UNSUPPORTED, "pages cannot hold heads of %" PRIu32 " values",
                        kv.head_dim);
    status = size_pages(e, s, page_bytes, &pages_n, error);
    if (status) return status;
    if (!qr_mul(pages_n, page_bytes, &bytes) || !qr_region_create(&e->kv, bytes))
        return qr_error_field(error, QUIRE_NO_MEMORY, "kv_memory_bytes",
                              "no memory for %" PRIu32 " pages of %zu bytes", pages_n, page_bytes);
    e->pool_memory = qr_alloc_aligned(&e->allocator, qr_page_pool_bytes(pages_n));
    if (!e->pool_memory) return qr_error(error, QUIRE_NO_MEMORY, "no memory for the page pool");
    qr_page_pool_init(&e->pool, e->pool_memory, pages_n);
    qr_kv_store_init(&e->store, &kv, e->kv.base, pages_n);
    qr_prefault_init(&e->prefault, &e->kv, page_bytes, pages_n, e->team);
    if (s->no_prefix_cache) return QUIRE_OK;
    const struct qr_prefix_limits of_tree = {
        .nodes_n = qr_scheduler_nodes_for(&e->limits, pages_n, s->page_tokens),
        .page_tokens = s->page_tokens,
        .window = e->limits.window,
    };
    e->tree_memory = qr_alloc_aligned(&e->allocator, qr_prefix_tree_bytes(&of_tree, pages_n));
    if (!e->tree_memory) return qr_error(error, QUIRE_NO_MEMORY, "no memory for the prefix tree");
    qr_prefix_tree_init(&e->tree, e->tree_memory, &e->pool, &of_tree);
    return QUIRE_OK;
}

static int take_scheduler(quire_engine *e, struct quire_error *error)
{
    size_t bytes = qr_scheduler_bytes(&e->limits, e->pool.pages_n, e->store.shape.page_tokens);
    void *memory = qr_alloc_aligned(&e->allocator, bytes);

    if (!memory)
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for the scheduler: %zu bytes", bytes);
    e->scheduler = qr_scheduler_init(memory, &e->limits, &e->pool, &e->store,
                                     e->tree_memory ? &e->tree : NULL);
    return QUIRE_OK;
}

static bool take_scratch(quire_engine *e, uint32_t threads)
{
    uint32_t vocab_n = qr_model_shape(e->model->weights)->vocab_n;
    const struct qr_tokenizer *tokenizer = e->model->tokenizer;
    uint32_t texts_n = tokenizer ? qr_tokenizer_vocab_n(tokenizer) : 0;
    size_t words_n = ((size_t)(texts_n > vocab_n ? texts_n : vocab_n) + 63) / 64;

    e->scratch = qr_alloc_zero(&e->allocator, threads, sizeof *e->scratch);
    if (!e->scratch) return false;
    for (uint32_t i = 0; i < threads; i++) {
        struct qr_sampler_scratch *scratch = &e->scratch[i];
        scratch->best = qr_alloc_aligned(&e->allocator, vocab_n * sizeof *scratch->best);
        scratch->row = qr_alloc_aligned(&e->allocator, vocab_n * sizeof *scratch->row);
        scratch->weights = qr_alloc_aligned(&e->allocator, vocab_n * sizeof *scratch->weights);
        scratch->counts = qr_alloc_zero(&e->allocator, vocab_n, sizeof *scratch->counts);
        scratch->allowed = qr_alloc_zero(&e->allocator, words_n, sizeof *scratch->allowed);
        if (!scratch->best || !scratch->row || !scratch->weights || !scratch->counts ||
            !scratch->allowed)
            return false;
    }
    return true;
}

static bool take_arrays(quire_engine *e)
{
    const struct quire_allocator *a = &e->allocator;
    struct qr_step_arrays *step = &e->step;
    size_t rows_n = e->limits.step_tokens, seqs_n = e->limits.running_max;
    const struct qr_tokenizer *tokenizer = e->model->tokenizer;

    step->tokens = qr_alloc_zero(a, rows_n, sizeof *step->tokens);
    step->outputs = qr_alloc_zero(a, rows_n, sizeof *step->outputs);
    step->meaning = qr_alloc_zero(a, rows_n, sizeof *step->meaning);
    step->seqs = qr_alloc_zero(a, seqs_n, sizeof *step->seqs);
    step->results = qr_alloc_zero(a, seqs_n, sizeof *step->results);
    /* Several choices can be drawn from one row, at most as many as there are sequences. */
    step->draws = qr_alloc_zero(a, QR_LOGITS_ROWS + seqs_n, sizeof *step->draws);
    e->by_seq = qr_alloc_zero(a, e->seqs_max, sizeof(struct qr_request *));
    e->text = qr_alloc(a, tokenizer ? qr_detokenizer_room(tokenizer) : 1);
    return step->tokens && step->outputs && step->meaning && step->seqs && step->results &&
           step->draws && e->by_seq && e->text;
}

static int take_memory(quire_engine *e, const struct quire_engine_settings *s,
                       struct quire_error *error)
{
    e->team = qr_team_create(&e->allocator, s->threads);
    if (!e->team)
        return qr_error_field(error, QUIRE_NO_MEMORY, "threads",
                              "cannot start the compute team: no memory or no threads");
    size_steps(e, s);
    int status = take_pages(e, s, error);
    if (!status) status = take_scheduler(e, error);
    if (status) return status;
    e->forward = qr_forward_create(e->model->weights, e->team, &e->store, e->limits.step_tokens,
                                   e->limits.context_max, &e->allocator);
    if (!e->forward)
        return qr_error_field(error, QUIRE_NO_MEMORY, "step_tokens",
                              "no memory for steps of %" PRIu32 " tokens", e->limits.step_tokens);
    if (s->profile) {
        e->phases.on = true;
        qr_forward_profile(e->forward, &e->phases);
        qr_team_measure(e->team, &e->phases.waited_ns);
    }
    if (!take_scratch(e, qr_team_threads(e->team)) || !take_arrays(e) ||
        !qr_request_table_init(&e->table, e->waiting_max + e->limits.running_max, &e->allocator))
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for the engine's own arrays");
    return QUIRE_OK;
}

/* ---- the thread --------------------------------------------------------------------------- */

static void *engine_main(void *argument)
{
    quire_engine *e = argument;

    pthread_setname_np(pthread_self(), "quire-engine");
    qr_loop_run(e->loop);
    return NULL;
}

/* The engine's thread blocks all signals, because signals are for the host program's threads. */
static int start_thread(quire_engine *e, struct quire_error *error)
{
    sigset_t all, before;

    e->loop = qr_loop_create(&e->allocator, qr_engine_turn, e);
    if (!e->loop)
        return qr_error(error, QUIRE_NO_MEMORY,
                        "cannot create the event loop: no memory or no descriptors");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&e->thread, NULL, engine_main, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return qr_error(error, QUIRE_SYSTEM, "the engine's thread could not be started: %s",
                        strerror(failed));
    e->thread_runs = true;
    return QUIRE_OK;
}

static void describe(quire_engine *e)
{
    struct quire_stats *s = &e->stats.now;

    s->threads = qr_team_threads(e->team);
    s->page_tokens = e->store.shape.page_tokens;
    s->page_bytes = e->store.page_bytes;
    s->context_max = e->limits.context_max;
    s->waiting_max = e->waiting_max;
    s->pages_all = s->pages_free = e->pool.pages_n;
    qr_stats_publish(&e->stats);
}

static int make_shared(quire_engine *e, struct quire_error *error)
{
    if (!qr_stats_init(&e->stats))
        return qr_error(error, QUIRE_SYSTEM, "cannot create a mutex: out of memory");
    if (pthread_mutex_init(&e->join_lock, NULL)) {
        qr_stats_deinit(&e->stats);
        return qr_error(error, QUIRE_SYSTEM, "cannot create a mutex: out of memory");
    }
    e->join_lock_made = true;
    if (qr_completion_init(&e->completion, &e->allocator))
        return qr_error(error, QUIRE_SYSTEM, "cannot create the completion queue: no descriptor");
    return QUIRE_OK;
}

int quire_engine_start(const struct quire_engine_settings *given, quire_model *model,
                       quire_engine **out, struct quire_error *error)
{
    struct quire_engine_settings settings;
    int status;

    qr_error_clear(error);
    if (!out)
        return qr_error(error, QUIRE_INVALID, "engine is NULL; expected a place for the result");
    *out = NULL;
    if (!model) return qr_error(error, QUIRE_INVALID, "there is no model");
    quire_engine_settings_defaults(&settings);
    status = qr_settings_read(&settings, sizeof settings, given, error);
    if (!status) status = check_settings(&settings, model, error);
    if (status) return status;

    struct quire_allocator allocator = qr_allocator(settings.allocator);
    quire_engine *e = qr_alloc_zero(&allocator, 1, sizeof *e);
    if (!e) return qr_error(error, QUIRE_NO_MEMORY, "no memory for the engine");
    e->allocator = allocator;
    e->model = model;
    e->completion.fd = -1;
    qr_inbox_init(&e->inbox);
    atomic_init(&e->stop_ns, UINT64_MAX);
    if (getrandom(&e->secret, sizeof e->secret, GRND_NONBLOCK) != sizeof e->secret)
        e->secret = qr_draw(qr_clock_ns(), (uintptr_t)e);
    if (getrandom(e->salt_key, sizeof e->salt_key, GRND_NONBLOCK) != sizeof e->salt_key) {
        e->salt_key[0] = qr_draw(e->secret, 1);
        e->salt_key[1] = qr_draw(e->secret, 2);
    }

    status = make_shared(e, error);
    if (!status) status = take_memory(e, &settings, error);
    if (!status) {
        describe(e);
        status = start_thread(e, error);
    }
    if (status) {
        qr_engine_release(e);
        return status;
    }
    *out = e;
    return QUIRE_OK;
}

void qr_engine_release(quire_engine *e)
{
    struct quire_allocator a = e->allocator;

    qr_loop_destroy(e->loop);
    qr_forward_destroy(e->forward);
    for (uint32_t i = 0; e->scratch && i < qr_team_threads(e->team); i++) {
        qr_free_aligned(&a, e->scratch[i].best);
        qr_free_aligned(&a, e->scratch[i].row);
        qr_free_aligned(&a, e->scratch[i].weights);
        qr_free(&a, e->scratch[i].counts);
        qr_free(&a, e->scratch[i].allowed);
    }
    qr_free(&a, e->scratch);
    qr_team_destroy(e->team);
    qr_free(&a, e->step.tokens);
    qr_free(&a, e->step.outputs);
    qr_free(&a, e->step.meaning);
    qr_free(&a, e->step.seqs);
    qr_free(&a, e->step.results);
    qr_free(&a, e->step.draws);
    qr_free(&a, e->by_seq);
    qr_free(&a, e->text);
    qr_free_aligned(&a, e->scheduler);
    qr_free_aligned(&a, e->tree_memory);
    qr_free_aligned(&a, e->pool_memory);
    qr_region_destroy(&e->kv);
    qr_request_table_deinit(&e->table, &a);
    qr_completion_deinit(&e->completion);
    if (e->join_lock_made) {
        pthread_mutex_destroy(&e->join_lock);
        qr_stats_deinit(&e->stats);
    }
    qr_free(&a, e);
}
