/* SPDX-License-Identifier: MIT */
/* rig -- a model with its team, pages and forward pass, as an engine has them.
 *
 * Each of seqs_n sequences has its own pages, scattered over the pool, so that a test fails if code
 * depends on neighbouring pages. */
#ifndef QR_TESTS_MODEL_RIG_H
#define QR_TESTS_MODEL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/model/forward.h"

struct rig_settings {
    const char *path; /* or a file in memory: */
    const uint8_t *bytes;
    size_t bytes_n;
    const char *cpu_level; /* NULL: this machine's best */
    uint32_t threads_n;    /* 0: 1 */
    enum qr_kv_type kv_type;
    uint32_t page_tokens;                              /* 0: 32 */
    uint32_t rows_max;                                 /* 0: 512 */
    uint32_t context_max;                              /* 0: 512 */
    uint32_t seqs_n;                                   /* 0: 1 */
    uint32_t window;                                   /* 0: the file's */
    void (*tell)(void *context, const char *sentence); /* of every refusal; NULL: of the first */
    void *context;
};

struct rig {
    struct rig_settings settings;
    struct quire_allocator allocator;
    struct qr_gguf file;
    struct qr_kernels kernels;
    struct qr_team *team;
    struct qr_model *model;
    struct qr_region kv_memory;
    struct qr_kv_store kv;
    qr_page_id *pages; /* [seqs_n][pages_n] */
    uint32_t pages_n;
    struct qr_forward *forward;
    uint32_t vocab_n;
};

/* Opens and loads only.  The caller checks the status. */
static inline int rig_load(struct rig *r, const struct rig_settings *settings,
                           struct quire_error *error)
{
    unsigned flags = qr_cpu_flags();
    unsigned level = 0;
    int status;

    *r = (struct rig){.settings = *settings};
    if (!r->settings.threads_n) r->settings.threads_n = 1;
    if (!r->settings.page_tokens) r->settings.page_tokens = 32;
    if (!r->settings.rows_max) r->settings.rows_max = 512;
    if (!r->settings.context_max) r->settings.context_max = 512;
    if (!r->settings.seqs_n) r->settings.seqs_n = 1;
    r->allocator = qr_allocator((struct quire_allocator){0});
    if (settings->cpu_level) {
        assert_true(qr_cpu_level_flags(settings->cpu_level, &level));
        flags &= level;
    }
    qr_kernels_init(&r->kernels, flags);
    r->team = qr_team_create(&r->allocator, r->settings.threads_n);
    assert_non_null(r->team);
    if (settings->path)
        status = qr_gguf_open(&r->file, settings->path, &r->allocator, error);
    else
        status = qr_gguf_parse(&r->file, settings->bytes, settings->bytes_n, "memory",
                               &r->allocator, error);
    if (status) return status;
    struct qr_refusals refusals = {
        .first = error, .tell = settings->tell, .context = settings->context};
    const struct qr_model_source source = {.file = &r->file,
                                           .kernels = &r->kernels,
                                           .team = r->team,
                                           .window = r->settings.window,
                                           .allocator = &r->allocator};
    return qr_model_load(&r->model, &source, &refusals);
}

static inline void rig_close(struct rig *r)
{
    qr_forward_destroy(r->forward);
    qr_region_destroy(&r->kv_memory);
    qr_model_unload(r->model);
    qr_gguf_close(&r->file);
    qr_team_destroy(r->team);
    free(r->pages);
}

static inline void rig_open(struct rig *r, const struct rig_settings *settings)
{
    struct quire_error error = {0};
    size_t page_bytes;

    if (rig_load(r, settings, &error)) fail_msg("%s", error.text);
    const struct qr_model_shape *s = qr_model_shape(r->model);
    const struct qr_kv_shape shape = {.type = r->settings.kv_type,
                                      .layers_n = s->layers_n,
                                      .heads_n = s->kv_heads_n,
                                      .head_dim = s->head_dim,
                                      .page_tokens = r->settings.page_tokens};
    r->vocab_n = s->vocab_n;
    r->pages_n = (r->settings.context_max + shape.page_tokens - 1) / shape.page_tokens;
    uint32_t all = r->pages_n * r->settings.seqs_n;
    assert_true(qr_kv_shape_page_bytes(&shape, &page_bytes));
    assert_true(qr_region_create(&r->kv_memory, page_bytes * all));
    memset(r->kv_memory.base, 0xff,
           page_bytes * all); /* NaN: unwritten slots must have no effect */
    qr_kv_store_init(&r->kv, &shape, r->kv_memory.base, all);
    r->pages = malloc(all * sizeof r->pages[0]);
    assert_non_null(r->pages);
    for (uint32_t seq = 0; seq < r->settings.seqs_n; seq++)
        for (uint32_t i = 0; i < r->pages_n; i++)
            r->pages[seq * r->pages_n + i] = all - 1 - (i * r->settings.seqs_n + seq);
    r->forward = qr_forward_create(r->model, r->team, &r->kv, r->settings.rows_max,
                                   r->settings.context_max, &r->allocator);
    assert_non_null(r->forward);
}

static inline const qr_page_id *rig_pages(const struct rig *r, uint32_t seq)
{
    return r->pages + (size_t)seq * r->pages_n;
}

/* The last step's logits of all n outputs: [n][vocab_n], without padding. */
static inline void rig_take_logits(struct rig *r, uint32_t n, float *logits)
{
    for (uint32_t first = 0; first < n; first += QR_LOGITS_ROWS) {
        uint32_t some = n - first < QR_LOGITS_ROWS ? n - first : QR_LOGITS_ROWS;
        struct qr_logits_row rows[QR_LOGITS_ROWS] = {0};
        qr_forward_logits(r->forward, first, some, rows);
        for (uint32_t i = 0; i < some; i++)
            memcpy(logits + (size_t)(first + i) * r->vocab_n, rows[i].logits,
                   r->vocab_n * sizeof(float));
    }
}

/* Consecutive tokens of one sequence. */
struct rig_tokens {
    uint32_t seq;
    const int32_t *tokens;
    uint32_t n;
    uint32_t position; /* of the first */
};

/* Runs the tokens in chunks.  logits: of each token, [n][vocab_n]. */
static inline void rig_run_chunks(struct rig *r, const struct rig_tokens *t, uint32_t chunk,
                                  float *logits)
{
    uint32_t *outputs = malloc(chunk * sizeof outputs[0]);

    assert_non_null(outputs);
    for (uint32_t i = 0; i < chunk; i++)
        outputs[i] = i;
    for (uint32_t done = 0; done < t->n;) {
        uint32_t some = t->n - done < chunk ? t->n - done : chunk;
        struct qr_step_seq s = {
            .rows_n = some, .position = t->position + done, .pages = rig_pages(r, t->seq)};
        struct qr_step step = {.tokens = t->tokens + done,
                               .rows_n = some,
                               .seqs = &s,
                               .seqs_n = 1,
                               .outputs = outputs,
                               .outputs_n = some};
        qr_forward_run(r->forward, &step);
        rig_take_logits(r, some, logits + (size_t)done * r->vocab_n);
        done += some;
    }
    free(outputs);
}

/* Runs the first n tokens of a sequence in one chunk. */
static inline void rig_run(struct rig *r, uint32_t seq, const int32_t *tokens, uint32_t n,
                           float *logits)
{
    rig_run_chunks(r, &(struct rig_tokens){.seq = seq, .tokens = tokens, .n = n}, n, logits);
}

#endif
