/* SPDX-License-Identifier: MIT */
#include "runtime/template/template.h"

#include <stdint.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/template/compiled.h"

/* ---- compiling ------------------------------------------------------------------------------- */

struct compiling {
    struct qr_template *t;
    struct quire_text source;
};

static void compile(void *data)
{
    struct compiling *c = data;

    c->t->root = qr_parse(&c->t->run, c->source);
    c->t->wants_parts = qr_parts_detect(&c->t->run, c->t->root);
}

int qr_template_create(struct qr_template **out, struct quire_text source,
                       const struct quire_allocator *memory, struct quire_error *error)
{
    *out = NULL;
    if (source.n > QR_TEMPLATE_BYTES_MAX)
        return qr_error(error, QUIRE_INVALID,
                        "the chat template has %zu bytes; expected at most %u", source.n,
                        QR_TEMPLATE_BYTES_MAX);
    struct quire_allocator allocator = qr_allocator(*memory);
    struct qr_template *t = qr_alloc_zero(&allocator, 1, sizeof *t);
    if (!t) return qr_error(error, QUIRE_NO_MEMORY, "no memory for a chat template");
    t->memory = allocator;
    struct compiling compiling = {.t = t, .source = source};
    qr_run_init(&t->run, &t->memory, QR_TEMPLATE_MEMORY_MAX, QR_TEMPLATE_STEPS_MAX, error);
    int status = qr_run_guarded(&t->run, compile, &compiling);
    t->run.error = NULL;
    if (status) {
        if (error) error->field[0] = '\0'; /* the model file is wrong, not a request */
        qr_template_destroy(t);
        return status;
    }
    *out = t;
    return QUIRE_OK;
}

void qr_template_destroy(struct qr_template *t)
{
    if (!t) return;
    qr_run_deinit(&t->run);
    struct quire_allocator memory = t->memory;
    qr_free(&memory, t);
}

bool qr_template_wants_parts(const struct qr_template *t)
{
    return t->wants_parts;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Input raises the limits, because a correct template copies each message a few times. */
static void allow(struct qr_render *r, size_t bytes)
{
    size_t more;

    if (!qr_mul(bytes, QR_TEMPLATE_MEMORY_TIMES, &more) ||
        !qr_add_size(r->run.bytes_max, more, &r->run.bytes_max))
        r->run.bytes_max = SIZE_MAX / 2;
    r->run.steps_max += bytes; /* and reads it more than once */
}

struct qr_value qr_value_text_from(struct qr_render *r, struct quire_text text, const char *where)
{
    if (text.n && !text.data)
        qr_run_fail(&r->run, "%s: a text of %zu bytes has no data", where, text.n);
    allow(r, text.n);
    return qr_value_text(text.data, text.n);
}

static struct qr_value list_from(struct qr_render *r, const struct quire_value *value,
                                 const char *where)
{
    struct qr_value list = qr_list_make(&r->run, QR_LIST, value->n);

    for (size_t i = 0; i < value->n; i++)
        list.as.list->items[i] = qr_value_from(r, &value->as.items[i], where);
    return list;
}

static struct qr_value dict_from(struct qr_render *r, const struct quire_value *value,
                                 const char *where)
{
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, value->n, sizeof *pairs);

    for (size_t i = 0; i < value->n; i++) {
        pairs[i].key = qr_value_text_from(r, value->keys[i], where);
        pairs[i].value = qr_value_from(r, &value->as.items[i], where);
    }
    return qr_dict_make(&r->run, pairs, value->n);
}

struct qr_value qr_value_from(struct qr_render *r, const struct quire_value *value,
                              const char *where)
{
    struct qr_value made = qr_value_none;

    switch (value->kind) {
    case QUIRE_VALUE_NONE: return qr_value_none;
    case QUIRE_VALUE_BOOL: return qr_value_bool(value->as.truth);
    case QUIRE_VALUE_INTEGER: return qr_value_int(value->as.integer);
    case QUIRE_VALUE_REAL: return qr_value_float(value->as.real);
    case QUIRE_VALUE_TEXT: return qr_value_text_from(r, value->as.text, where);
    case QUIRE_VALUE_LIST:
    case QUIRE_VALUE_MAP: break;
    default: qr_run_fail(&r->run, "%s: unknown value type %d", where, value->kind);
    }
    if (value->n && (!value->as.items || (value->kind == QUIRE_VALUE_MAP && !value->keys)))
        qr_run_fail(&r->run, "%s: a list or map of %zu items has none", where, value->n);
    size_t bytes;
    if (!qr_mul(value->n, sizeof *value, &bytes)) bytes = SIZE_MAX;
    allow(r, bytes);
    qr_run_enter(&r->run);
    made =
        value->kind == QUIRE_VALUE_LIST ? list_from(r, value, where) : dict_from(r, value, where);
    qr_run_leave(&r->run);
    return made;
}

/* ---- rendering ------------------------------------------------------------------------------- */

struct rendering {
    struct qr_render r;
    struct qr_template_output out;
    const struct qr_template_job *job;
    size_t n; /* bytes of the final text */
};

static void render(void *data)
{
    struct rendering *rendering = data;
    struct qr_render *r = &rendering->r;
    const struct qr_template_job *job = rendering->job;

    r->scope = qr_scope_push(r, NULL);
    r->out = &rendering->out;
    job->bind(r, job->data);
    qr_exec_body(r, job->t->root);
    rendering->n = job->end ? job->end(r, r->out, job->data) : r->out->n;
}

int qr_template_run(const struct qr_template_job *job, char *text, size_t capacity, size_t *text_n,
                    struct quire_error *error)
{
    const struct quire_allocator memory = job->t->memory;
    struct rendering rendering = {.job = job};
    bool direct = !job->end; /* otherwise job->end needs the whole output first */

    *text_n = 0;
    if (direct)
        rendering.out =
            (struct qr_template_output){.text = text, .capacity = capacity, .fixed = true};
    qr_run_init(&rendering.r.run, &memory, QR_TEMPLATE_MEMORY_MAX, QR_TEMPLATE_STEPS_MAX, error);
    rendering.r.now_s = job->now_s;
    int status = qr_run_guarded(&rendering.r.run, render, &rendering);
    if (!status) {
        *text_n = rendering.n;
        status = rendering.n > capacity ? QUIRE_BUFFER_SMALL : QUIRE_OK;
        if (!direct && !status && rendering.n) memcpy(text, rendering.out.text, rendering.n);
    }
    qr_run_deinit(&rendering.r.run);
    return status;
}

static void bind_map(struct qr_render *r, const void *data)
{
    struct qr_value variables = qr_value_from(r, data, "variables");

    if (variables.kind != QR_V_DICT) qr_run_fail(&r->run, "variables: expected a map");
    for (size_t i = 0; i < variables.as.dict->n; i++) {
        const struct qr_pair *pair = &variables.as.dict->pairs[i];
        qr_scope_set(r, r->scope, pair->key, pair->value);
    }
}

int qr_template_render(const struct qr_template *t, const struct quire_value *variables,
                       int64_t now_s, char *text, size_t capacity, size_t *text_n,
                       struct quire_error *error)
{
    const struct qr_template_job job = {
        .t = t, .bind = bind_map, .data = variables, .now_s = now_s};

    return qr_template_run(&job, text, capacity, text_n, error);
}
