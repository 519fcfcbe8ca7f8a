/* SPDX-License-Identifier: MIT */
/* Finds every tensor by its name and checks its shape against the hyperparameters.  A tensor that
 * no layer uses is refused, since without it (a bias) the answers would be wrong.  After a refusal
 * the other tensors are still checked. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/model/loader.h"

#define NAME_MAX_BYTES 64u
#define SHOWN_MAX      64

/* ---- finding tensors ------------------------------------------------------------------------ */

static const char *type_name(uint32_t type, char *room, size_t room_n)
{
    const struct qr_type_traits *traits = qr_type_traits(type);

    if (traits->name) return traits->name;
    (void)snprintf(room, room_n, "number %" PRIu32, type);
    return room;
}

static const struct qr_gguf_tensor *find(struct qr_loader *l, const char *name)
{
    const struct qr_gguf_tensor *t = qr_gguf_tensor(l->file, name);

    if (t) l->used[t - l->file->tensors] = true;
    return t;
}

static int find_shaped(struct qr_loader *l, const char *name, uint64_t k, uint64_t n,
                       const struct qr_gguf_tensor **tensor)
{
    const struct qr_gguf_tensor *t = find(l, name);

    if (!t) return qr_error(l->error, QUIRE_BAD_FILE, "tensor %s is missing", name);
    if (t->dims[0] != k || t->dims[1] != n || t->dims[2] != 1 || t->dims[3] != 1)
        return qr_error(l->error, QUIRE_BAD_FILE,
                        "tensor %s is %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                        ", expected %" PRIu64 " x %" PRIu64 " as the hyperparameters say",
                        name, t->dims[0], t->dims[1], t->dims[2], t->dims[3], k, n);
    *tensor = t;
    return QUIRE_OK;
}

static int refuse_type(struct qr_loader *l, const char *name, const struct qr_gguf_tensor *t,
                       const char *expected)
{
    char room[32];

    return qr_error(l->error, QUIRE_UNSUPPORTED,
                    "tensor %s with rows of %" PRIu64 " is of type %s, which quire does not "
                    "support there, expected %s",
                    name, t->dims[0], type_name(t->type, room, sizeof room), expected);
}

/* Expected is any type that the kernels support. */
static int refuse_weights(struct qr_loader *l, const char *name, const struct qr_gguf_tensor *t)
{
    char expected[256] = "";
    size_t n = 0;

    for (uint32_t type = 0; type <= QR_TYPE_BF16; type++) {
        const struct qr_type_traits *traits = qr_type_traits(type);
        if (!traits->block_n) continue;
        n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%s", n ? ", " : "",
                              traits->name);
        assert(n < sizeof expected);
    }
    return refuse_type(l, name, t, expected);
}

static int init_weights(struct qr_loader *l, const char *name, const struct qr_gguf_tensor *t,
                        struct qr_weights *w)
{
    if (!qr_weights_init(w, l->model->kernels, t)) return refuse_weights(l, name, t);
    if (w->is_float) l->model->any_float = true;
    l->model->weights_n += t->dims[0] * t->dims[1];
    return QUIRE_OK;
}

static int find_weights(struct qr_loader *l, const char *name, uint64_t k, uint64_t n,
                        struct qr_weights *w)
{
    const struct qr_gguf_tensor *t;
    int status = find_shaped(l, name, k, n, &t);

    return status ? status : init_weights(l, name, t, w);
}

/* A vector of n floats: finds the tensor; its floats are loaded when there is memory. */
static int find_vector(struct qr_loader *l, const char *name, uint32_t n,
                       const struct qr_gguf_tensor **tensor)
{
    int status = find_shaped(l, name, n, 1, tensor);

    if (status) return status;
    if (!qr_type_traits((*tensor)->type)->is_float || !(*tensor)->data)
        return refuse_type(l, name, *tensor, "F32, F16 or BF16");
    return QUIRE_OK;
}

static void list_vector(struct qr_loader *l, const struct qr_gguf_tensor *t, uint32_t skip,
                        uint32_t n, const float **to)
{
    l->vectors[l->vectors_n++] =
        (struct qr_loader_vector){.tensor = t, .to = to, .skip = skip, .n = n};
}

/* ---- layers --------------------------------------------------------------------------------- */

/* A part's shape, the same in every architecture. */
struct sizes {
    uint32_t k, n;
};

static struct sizes sizes_of(const struct qr_model *m, enum qr_part part)
{
    const struct qr_model_shape *s = &m->shape;
    const uint32_t q_n = s->heads_n * s->head_dim;
    const uint32_t kv_n = s->kv_heads_n * s->head_dim;

    switch (part) {
    case QR_Q: return (struct sizes){s->width, q_n};
    case QR_K:
    case QR_V: return (struct sizes){s->width, kv_n};
    case QR_O: return (struct sizes){q_n, s->width};
    case QR_GATE:
    case QR_UP: return (struct sizes){s->width, s->ffn_width};
    default: return (struct sizes){s->ffn_width, s->width};
    }
}

/* Rows [begin, begin + n) of a tensor that holds several parts, as a tensor. */
static const struct qr_gguf_tensor *part_of(const struct qr_model *m, uint32_t layer,
                                            enum qr_part part, const struct qr_gguf_tensor *t,
                                            uint32_t begin, uint32_t n)
{
    struct qr_gguf_tensor *rows = &m->part_tensors[(size_t)layer * QR_PARTS_N + part];
    const size_t row_bytes = t->data_n / t->dims[1];

    *rows = *t;
    rows->dims[1] = n;
    rows->data = t->data ? t->data + begin * row_bytes : NULL;
    rows->data_n = n * row_bytes;
    return rows;
}

/* The outputs of all parts of a tensor. */
static uint32_t outputs_of(const struct qr_model *m, const struct qr_tensor_name *from)
{
    uint32_t n = 0;

    for (unsigned part = from->first; part <= from->last; part++)
        n += sizes_of(m, part).n;
    return n;
}

static int find_matrices(struct qr_loader *l, uint32_t i, const struct qr_tensor_name *from)
{
    struct qr_model *m = l->model;
    const bool whole = from->first == from->last;
    const struct qr_gguf_tensor *t;
    char name[NAME_MAX_BYTES];
    uint32_t begin = 0;

    (void)snprintf(name, sizeof name, "blk.%" PRIu32 ".%s.weight", i, from->name);
    int status = find_shaped(l, name, sizes_of(m, from->first).k, outputs_of(m, from), &t);
    for (unsigned part = from->first; part <= from->last && !status; part++) {
        const uint32_t n = sizes_of(m, part).n;
        status = init_weights(l, name, whole ? t : part_of(m, i, part, t, begin, n),
                              qr_layer_part(&m->layers[i], part));
        begin += n;
    }
    return status;
}

static int find_bias(struct qr_loader *l, uint32_t i, const struct qr_tensor_name *from)
{
    struct qr_model *m = l->model;
    const struct qr_gguf_tensor *t;
    char name[NAME_MAX_BYTES];
    uint32_t begin = 0;

    (void)snprintf(name, sizeof name, "blk.%" PRIu32 ".%s.bias", i, from->name);
    if (from->bias == QR_BIAS_NONE) return QUIRE_OK;
    if (from->bias == QR_BIAS_MAY && !qr_gguf_tensor(l->file, name)) return QUIRE_OK;
    int status = find_vector(l, name, outputs_of(m, from), &t);
    for (unsigned part = from->first; part <= from->last && !status; part++) {
        const uint32_t n = sizes_of(m, part).n;
        list_vector(l, t, begin, n, &qr_layer_part(&m->layers[i], part)->bias);
        begin += n;
    }
    return status;
}

static int find_scale(struct qr_loader *l, const char *name, const float **to)
{
    const uint32_t width = l->model->shape.width;
    const struct qr_gguf_tensor *t;
    int status = find_vector(l, name, width, &t);

    if (!status) list_vector(l, t, 0, width, to);
    return qr_refused(l->refusals, status);
}

static int find_norm(struct qr_loader *l, const char *stem, struct qr_norm *norm)
{
    char name[NAME_MAX_BYTES];

    (void)snprintf(name, sizeof name, "%s.weight", stem);
    int status = find_scale(l, name, &norm->weight);
    if (status || l->model->architecture->norm != QR_NORM_LAYER) return status;
    (void)snprintf(name, sizeof name, "%s.bias", stem);
    return find_scale(l, name, &norm->bias);
}

static int find_layer(struct qr_loader *l, uint32_t i)
{
    struct qr_model *m = l->model;
    const struct qr_tensor_name *from = m->architecture->tensors;
    char stem[NAME_MAX_BYTES];
    int status = QUIRE_OK;

    for (; from->name && !status; from++) {
        status = qr_refused(l->refusals, find_bias(l, i, from));
        if (!status) status = qr_refused(l->refusals, find_matrices(l, i, from));
    }
    (void)snprintf(stem, sizeof stem, "blk.%" PRIu32 ".attn_norm", i);
    if (!status) status = find_norm(l, stem, &m->layers[i].attn_norm);
    (void)snprintf(stem, sizeof stem, "blk.%" PRIu32 ".ffn_norm", i);
    if (!status) status = find_norm(l, stem, &m->layers[i].ffn_norm);
    return status;
}

/* ---- outside the layers --------------------------------------------------------------------- */

static int find_positions(struct qr_loader *l)
{
    const char *name = "position_embd.weight";
    struct qr_model *m = l->model;

    if (m->architecture->positions != QR_POSITIONS_LEARNED) return QUIRE_OK;
    int status = find_shaped(l, name, m->shape.width, m->shape.context_max, &m->positions);
    if (status) return status;
    if (!m->positions->data) return refuse_type(l, name, m->positions, "a type of known size");
    m->weights_n += (uint64_t)m->shape.width * m->shape.context_max;
    m->weights_bytes += m->positions->data_n;
    return QUIRE_OK;
}

static int find_embedding(struct qr_loader *l)
{
    struct qr_model *m = l->model;
    const struct qr_gguf_tensor *t;
    int status = find_shaped(l, "token_embd.weight", m->shape.width, m->shape.vocab_n, &t);

    if (status) return status;
    if (!t->data) return refuse_type(l, "token_embd.weight", t, "a type of known size");
    m->embedding_type = (enum qr_type)t->type;
    m->embedding = t->data;
    m->embedding_row_bytes = t->data_n / m->shape.vocab_n;
    if (!qr_gguf_tensor(l->file, "output.weight")) return QUIRE_OK; /* counted as the head */
    m->weights_n += (uint64_t)m->shape.width * m->shape.vocab_n;
    m->weights_bytes += t->data_n;
    return QUIRE_OK;
}

/* A file without output.weight uses the embedding as its head. */
static int find_head(struct qr_loader *l)
{
    struct qr_model *m = l->model;
    const bool own = qr_gguf_tensor(l->file, "output.weight");

    if (!own && !m->embedding) return QUIRE_OK; /* refused before */
    return find_weights(l, own ? "output.weight" : "token_embd.weight", m->shape.width,
                        m->shape.vocab_n, &m->head);
}

/* Llama 3's scaling: a divisor for each frequency. */
static int find_divisors(struct qr_loader *l)
{
    const char *name = "rope_freqs.weight";
    const uint32_t n = l->model->shape.rotary_n / 2;
    const struct qr_gguf_tensor *t;

    if (n == 0 || !qr_gguf_tensor(l->file, name)) return QUIRE_OK;
    int status = find_vector(l, name, n, &t);
    if (status || n > QR_HEAD_DIM_MAX / 2) return status; /* such heads were refused before */
    qr_dequantize((enum qr_type)t->type, t->data, l->divisors, n);
    for (uint32_t i = 0; i < n; i++)
        if (!(l->divisors[i] > 0) || !isfinite(l->divisors[i]))
            return qr_error(l->error, QUIRE_BAD_FILE,
                            "%s holds %g at %" PRIu32 ", expected a number above 0", name,
                            (double)l->divisors[i], i);
    l->divided = true;
    return QUIRE_OK;
}

static int check_all_used(struct qr_loader *l)
{
    int status = QUIRE_OK;

    for (uint32_t i = 0; i < l->file->tensors_n && !status; i++) {
        const struct quire_text *name = &l->file->tensors[i].name;
        if (l->used[i]) continue;
        status =
            qr_error(l->error, QUIRE_UNSUPPORTED, "tensor '%.*s' is unknown in this architecture",
                     name->n < SHOWN_MAX ? (int)name->n : SHOWN_MAX, name->data);
        status = qr_refused(l->refusals, status);
    }
    return status;
}

int qr_loader_find(struct qr_loader *l)
{
    int status = qr_refused(l->refusals, find_embedding(l));

    if (!status) status = qr_refused(l->refusals, find_positions(l));
    for (uint32_t i = 0; !status && i < l->model->shape.layers_n; i++)
        status = find_layer(l, i);
    if (!status) status = find_norm(l, "output_norm", &l->model->head_norm);
    if (!status) status = qr_refused(l->refusals, find_head(l));
    if (!status) status = qr_refused(l->refusals, find_divisors(l));
    return status ? status : check_all_used(l);
}
