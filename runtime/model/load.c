/* SPDX-License-Identifier: MIT */
/* From a parsed file to a model: every tensor is found by its name, held against the shape that
 * the hyperparameters say, and used once; a tensor that nobody asked for is refused, since a bias
 * left out is a wrong answer.  Matrices are then packed by the whole team, and the file's pages
 * under them given back. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/architecture.h"
#include "runtime/model/rope.h"

#define NAME_MAX_BYTES 64u
#define SHOWN_MAX      64
#define CACHE_LINE     64u

/* Floats that get a place in the model's region: n values of a tensor, from its value skip on. */
struct vector {
    const struct qr_gguf_tensor *tensor;
    const float **to;
    uint32_t skip, n;
};

struct loader {
    const struct qr_gguf *file;
    struct qr_model *model;
    struct qr_team *team;
    struct quire_error *error;
    bool *used;                 /* [tensors_n] */
    struct qr_weights **packed; /* [packed_n], in the order of their memory */
    uint32_t *begins;           /* [packed_n + 1], each one's first panel among all */
    uint32_t packed_n;
    struct vector *vectors; /* [vectors_n] */
    uint32_t vectors_n;
    uint8_t *memory; /* what is left of the region */
};

/* ---- finding tensors --------------------------------------------------------------------------
 */

static const char *type_name(uint32_t type, char *room, size_t room_n)
{
    const struct qr_type_traits *traits = qr_type_traits(type);

    if (traits->name) return traits->name;
    (void)snprintf(room, room_n, "number %" PRIu32, type);
    return room;
}

static const struct qr_gguf_tensor *find(struct loader *l, const char *name)
{
    const struct qr_gguf_tensor *t = qr_gguf_tensor(l->file, name);

    if (t) l->used[t - l->file->tensors] = true;
    return t;
}

static int find_shaped(struct loader *l, const char *name, uint64_t k, uint64_t n,
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

static int refuse_type(struct loader *l, const char *name, const struct qr_gguf_tensor *t,
                       const char *expected)
{
    char room[32];

    return qr_error(l->error, QUIRE_UNSUPPORTED,
                    "tensor %s with rows of %" PRIu64 " is of type %s, which quire does not run "
                    "there yet, expected %s",
                    name, t->dims[0], type_name(t->type, room, sizeof(room)), expected);
}

/* Whatever has a form that the kernels take. */
static int refuse_weights(struct loader *l, const char *name, const struct qr_gguf_tensor *t)
{
    char expected[256] = "";
    size_t n = 0;

    for (uint32_t type = 0; type <= QR_TYPE_BF16; type++) {
        const struct qr_type_traits *traits = qr_type_traits(type);
        if (!traits->block_n) continue;
        n += (size_t)snprintf(expected + n, sizeof(expected) - n, "%s%s", n ? ", " : "",
                              traits->name);
        assert(n < sizeof(expected));
    }
    return refuse_type(l, name, t, expected);
}

static int init_weights(struct loader *l, const char *name, const struct qr_gguf_tensor *t,
                        struct qr_weights *w)
{
    if (!qr_weights_init(w, l->model->kernels, t)) return refuse_weights(l, name, t);
    if (w->is_float) l->model->any_float = true;
    l->model->weights_n += t->dims[0] * t->dims[1];
    return QUIRE_OK;
}

static int find_weights(struct loader *l, const char *name, uint64_t k, uint64_t n,
                        struct qr_weights *w)
{
    const struct qr_gguf_tensor *t;
    int status = find_shaped(l, name, k, n, &t);

    return status ? status : init_weights(l, name, t, w);
}

/* A vector of n floats: its tensor now, its floats once there is memory. */
static int find_vector(struct loader *l, const char *name, uint32_t n,
                       const struct qr_gguf_tensor **tensor)
{
    int status = find_shaped(l, name, n, 1, tensor);

    if (status) return status;
    if (!qr_type_traits((*tensor)->type)->is_float || !(*tensor)->data)
        return refuse_type(l, name, *tensor, "F32, F16 or BF16");
    return QUIRE_OK;
}

static void list_vector(struct loader *l, const struct qr_gguf_tensor *t, uint32_t skip, uint32_t n,
                        const float **to)
{
    l->vectors[l->vectors_n++] = (struct vector){.tensor = t, .to = to, .skip = skip, .n = n};
}

/* ---- layers -----------------------------------------------------------------------------------
 */

/* Where a part stands, and its shape: the same in every architecture. */
struct place {
    struct qr_weights *weights;
    uint32_t k, n;
};

static struct place place_of(const struct qr_model *m, struct qr_layer *layer, enum qr_part part)
{
    const struct qr_model_shape *s = &m->shape;
    const uint32_t q_n = s->heads_n * s->head_dim;
    const uint32_t kv_n = s->kv_heads_n * s->head_dim;

    switch (part) {
    case QR_Q: return (struct place){&layer->q, s->width, q_n};
    case QR_K: return (struct place){&layer->k, s->width, kv_n};
    case QR_V: return (struct place){&layer->v, s->width, kv_n};
    case QR_O: return (struct place){&layer->o, q_n, s->width};
    case QR_GATE: return (struct place){&layer->gate, s->width, s->ffn_width};
    case QR_UP: return (struct place){&layer->up, s->width, s->ffn_width};
    default: return (struct place){&layer->down, s->ffn_width, s->width};
    }
}

/* Rows [begin, begin + n) of a tensor that holds several parts, as a tensor of their own. */
static const struct qr_gguf_tensor *piece_of(const struct qr_model *m, uint32_t layer,
                                             enum qr_part part, const struct qr_gguf_tensor *t,
                                             uint32_t begin, uint32_t n)
{
    struct qr_gguf_tensor *piece = &m->pieces[(size_t)layer * QR_PARTS_N + part];
    const size_t row_bytes = t->data_n / t->dims[1];

    *piece = *t;
    piece->dims[1] = n;
    piece->data = t->data ? t->data + begin * row_bytes : NULL;
    piece->data_n = n * row_bytes;
    return piece;
}

/* A tensor of matrices and its bias. */
static int find_matrices(struct loader *l, uint32_t i, const struct qr_tensor_name *from)
{
    struct qr_model *m = l->model;
    struct qr_layer *layer = &m->layers[i];
    const struct place first = place_of(m, layer, from->first);
    const struct qr_gguf_tensor *t, *bias = NULL;
    char name[NAME_MAX_BYTES];
    uint32_t all = 0, begin = 0;

    for (unsigned part = from->first; part <= from->last; part++)
        all += place_of(m, layer, part).n;
    (void)snprintf(name, sizeof(name), "blk.%" PRIu32 ".%s.bias", i, from->name);
    if (from->bias == QR_BIAS_MUST ||
        (from->bias == QR_BIAS_MAY && qr_gguf_tensor(l->file, name))) {
        int status = find_vector(l, name, all, &bias);
        if (status) return status;
    }
    (void)snprintf(name, sizeof(name), "blk.%" PRIu32 ".%s.weight", i, from->name);
    int status = find_shaped(l, name, first.k, all, &t);
    for (unsigned part = from->first; part <= from->last && !status; part++) {
        const struct place to = place_of(m, layer, part);
        const bool whole = from->first == from->last;
        status =
            init_weights(l, name, whole ? t : piece_of(m, i, part, t, begin, to.n), to.weights);
        if (!status && bias) list_vector(l, bias, begin, to.n, &to.weights->bias);
        begin += to.n;
    }
    return status;
}

static int find_norm(struct loader *l, const char *stem, struct qr_norm *norm)
{
    const uint32_t width = l->model->shape.width;
    const struct qr_gguf_tensor *t;
    char name[NAME_MAX_BYTES];

    (void)snprintf(name, sizeof(name), "%s.weight", stem);
    int status = find_vector(l, name, width, &t);
    if (status) return status;
    list_vector(l, t, 0, width, &norm->weight);
    if (l->model->architecture->norm != QR_NORM_LAYER) return QUIRE_OK;
    (void)snprintf(name, sizeof(name), "%s.bias", stem);
    status = find_vector(l, name, width, &t);
    if (!status) list_vector(l, t, 0, width, &norm->bias);
    return status;
}

static int find_layer(struct loader *l, uint32_t i)
{
    struct qr_model *m = l->model;
    const struct qr_tensor_name *from = m->architecture->tensors;
    char stem[NAME_MAX_BYTES];
    int status = QUIRE_OK;

    for (; from->name && !status; from++)
        status = find_matrices(l, i, from);
    (void)snprintf(stem, sizeof(stem), "blk.%" PRIu32 ".attn_norm", i);
    if (!status) status = find_norm(l, stem, &m->layers[i].attn_norm);
    (void)snprintf(stem, sizeof(stem), "blk.%" PRIu32 ".ffn_norm", i);
    if (!status) status = find_norm(l, stem, &m->layers[i].ffn_norm);
    return status;
}

/* ---- what is not a layer's --------------------------------------------------------------------
 */

static int find_positions(struct loader *l)
{
    const char *name = "position_embd.weight";
    struct qr_model *m = l->model;

    if (m->architecture->positions != QR_POSITIONS_LEARNED) return QUIRE_OK;
    int status = find_shaped(l, name, m->shape.width, m->shape.context_max, &m->positions);
    if (status) return status;
    if (!m->positions->data) return refuse_type(l, name, m->positions, "one that can be read");
    m->weights_n += (uint64_t)m->shape.width * m->shape.context_max;
    m->weights_bytes += m->positions->data_n;
    return QUIRE_OK;
}

static int find_embedding(struct loader *l)
{
    struct qr_model *m = l->model;
    const struct qr_gguf_tensor *t;
    int status = find_shaped(l, "token_embd.weight", m->shape.width, m->shape.vocab_n, &t);

    if (status) return status;
    if (!t->data) return refuse_type(l, "token_embd.weight", t, "one that can be read");
    m->embedding_type = (enum qr_type)t->type;
    m->embedding = t->data;
    m->embedding_row_bytes = t->data_n / m->shape.vocab_n;
    /* Without an output of its own, the embedding is the head. */
    if (!qr_gguf_tensor(l->file, "output.weight"))
        return find_weights(l, "token_embd.weight", m->shape.width, m->shape.vocab_n, &m->head);
    m->weights_n += (uint64_t)m->shape.width * m->shape.vocab_n;
    m->weights_bytes += t->data_n;
    return find_weights(l, "output.weight", m->shape.width, m->shape.vocab_n, &m->head);
}

static int check_all_used(struct loader *l)
{
    for (uint32_t i = 0; i < l->file->tensors_n; i++) {
        const struct quire_text *name = &l->file->tensors[i].name;
        if (l->used[i]) continue;
        return qr_error(l->error, QUIRE_UNSUPPORTED,
                        "tensor '%.*s' is none that quire knows in this architecture",
                        name->n < SHOWN_MAX ? (int)name->n : SHOWN_MAX, name->data);
    }
    return QUIRE_OK;
}

/* ---- vectors ----------------------------------------------------------------------------------
 */

static size_t lines(size_t bytes)
{
    return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static void load_vectors(struct loader *l)
{
    for (uint32_t i = 0; i < l->vectors_n; i++) {
        const struct vector *v = &l->vectors[i];
        const size_t bytes = qr_type_traits(v->tensor->type)->block_bytes;
        float *floats = (float *)l->memory;
        l->memory += lines(v->n * sizeof(float));
        qr_dequantize((enum qr_type)v->tensor->type, v->tensor->data + v->skip * bytes, floats,
                      v->n);
        *v->to = floats;
    }
}

/* Llama 3's scaling: each frequency divided by a number of its own. */
static int load_divisors(struct loader *l, float *divisors, bool *found)
{
    const char *name = "rope_freqs.weight";
    const uint32_t n = l->model->shape.rotary_n / 2;
    const struct qr_gguf_tensor *t;

    *found = n > 0 && qr_gguf_tensor(l->file, name);
    if (!*found) return QUIRE_OK;
    int status = find_vector(l, name, n, &t);
    if (status) return status;
    qr_dequantize((enum qr_type)t->type, t->data, divisors, n);
    for (uint32_t i = 0; i < n; i++)
        if (!(divisors[i] > 0) || !isfinite(divisors[i]))
            return qr_error(l->error, QUIRE_BAD_FILE,
                            "%s holds %g at %" PRIu32 ", expected a number above 0", name,
                            (double)divisors[i], i);
    return QUIRE_OK;
}

static int load_frequencies(struct loader *l)
{
    struct qr_model *m = l->model;
    double *frequencies = (double *)l->memory;
    float divisors[QR_HEAD_DIM_MAX / 2];
    bool divided;
    int status = load_divisors(l, divisors, &divided);

    if (status) return status;
    l->memory += lines(m->shape.rotary_n / 2 * sizeof(double));
    qr_rope_frequencies(&m->shape, divided ? divisors : NULL, frequencies);
    m->frequencies = frequencies;
    m->magnitude = qr_rope_magnitude(&m->shape.rope);
    m->rotate = m->architecture->positions == QR_ROPE_HALVES ? m->kernels->rows.rope_halves
                                                             : m->kernels->rows.rope;
    return QUIRE_OK;
}

/* ---- packing ----------------------------------------------------------------------------------
 */

static void list_packed(struct loader *l, struct qr_weights *w)
{
    if (!w->n) return; /* a part that this architecture has not */
    l->packed[l->packed_n] = w;
    l->begins[l->packed_n + 1] = l->begins[l->packed_n] + w->panels_n;
    l->packed_n++;
}

static int list_all(struct loader *l)
{
    struct qr_model *m = l->model;
    const uint32_t most = QR_PARTS_N * m->shape.layers_n + 1;

    l->packed = qr_alloc_zero(&m->allocator, most, sizeof(l->packed[0]));
    l->begins = qr_alloc_zero(&m->allocator, most + 1, sizeof(l->begins[0]));
    if (!l->packed || !l->begins)
        return qr_error(l->error, QUIRE_NO_MEMORY, "no memory for a list of %" PRIu32 " matrices",
                        most);
    for (uint32_t i = 0; i < m->shape.layers_n; i++) {
        for (unsigned part = 0; part < QR_PARTS_N; part++)
            list_packed(l, place_of(m, &m->layers[i], part).weights);
    }
    list_packed(l, &m->head);
    return QUIRE_OK;
}

/* Gate and up are worked on together, so their panels take turns in the memory of both. */
static void alternate(struct qr_layer *layer)
{
    struct qr_matrix *gate = &layer->gate.packed;
    struct qr_matrix *up = &layer->up.packed;

    if (!layer->gate.n || layer->gate.is_float != layer->up.is_float) return; /* other panels */
    assert(gate->panels_n == up->panels_n);
    assert(gate->data + qr_matrix_bytes(gate) == up->data);
    gate->panel_stride = up->panel_stride = gate->panel_bytes + up->panel_bytes;
    up->data = gate->data + gate->panel_bytes;
}

/* The matrices of one piece of work, from first to last. */
static struct qr_stream stream_of(const struct qr_weights *first, const struct qr_weights *last)
{
    const struct qr_matrix *m = &last->packed;
    size_t bytes = (size_t)(m->data - first->packed.data) + (m->panels_n - 1) * m->panel_stride +
                   m->panel_bytes;
    return (struct qr_stream){.data = first->packed.data, .bytes = bytes};
}

/* What is read after each matrix, round and round. */
static void chain(struct qr_model *m)
{
    const uint32_t layers_n = m->shape.layers_n;

    m->head.ahead = stream_of(&m->layers[0].q, &m->layers[0].v);
    for (uint32_t i = 0; i < layers_n; i++) {
        struct qr_layer *layer = &m->layers[i];
        layer->q.ahead = layer->k.ahead = layer->v.ahead = stream_of(&layer->o, &layer->o);
        layer->o.ahead = stream_of(layer->gate.n ? &layer->gate : &layer->up, &layer->up);
        layer->gate.ahead = layer->up.ahead = stream_of(&layer->down, &layer->down);
        layer->down.ahead =
            i + 1 < layers_n ? stream_of(&layer[1].q, &layer[1].v) : stream_of(&m->head, &m->head);
    }
}

static int create_region(struct loader *l)
{
    struct qr_model *m = l->model;
    size_t bytes = lines(m->shape.rotary_n / 2 * sizeof(double));

    for (uint32_t i = 0; i < l->vectors_n; i++)
        bytes += lines(l->vectors[i].n * sizeof(float));
    for (uint32_t i = 0; i < l->packed_n; i++)
        if (!qr_add_size(bytes, qr_weights_bytes(l->packed[i]), &bytes)) bytes = SIZE_MAX;
    if (!qr_region_create(&m->region, bytes))
        return qr_error(l->error, QUIRE_NO_MEMORY, "no memory for %zu bytes of packed weights",
                        bytes);
    m->weights_bytes += bytes;
    l->memory = m->region.base;
    for (uint32_t i = 0; i < l->packed_n; i++) {
        l->packed[i]->packed.data = l->memory;
        l->memory += qr_weights_bytes(l->packed[i]);
    }
    for (uint32_t i = 0; i < m->shape.layers_n; i++)
        alternate(&m->layers[i]);
    chain(m);
    return QUIRE_OK;
}

static void pack_panels(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct loader *l = work;
    uint32_t i = 0;

    (void)thread;
    while (begin < end) {
        while (begin >= l->begins[i + 1])
            i++;
        uint32_t stop = end < l->begins[i + 1] ? end : l->begins[i + 1];
        const struct qr_weights *w = l->packed[i];
        qr_weights_pack(w, (uint8_t *)(uintptr_t)w->packed.data, begin - l->begins[i],
                        stop - l->begins[i]);
        begin = stop;
    }
}

/* Whole pages under a packed tensor are dropped from this process; should one be read again, the
 * system brings it back from the file. */
static void give_back(const struct loader *l)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    if (!l->file->mapped) return; /* dropping memory that is no file's would zero it */
    for (uint32_t i = 0; i < l->packed_n; i++) {
        const struct qr_gguf_tensor *t = l->packed[i]->tensor;
        uintptr_t begin = ((uintptr_t)t->data + page - 1) / page * page;
        uintptr_t end = ((uintptr_t)t->data + t->data_n) / page * page;
        if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static int make_tables(struct loader *l)
{
    struct qr_model *m = l->model;
    const uint32_t layers_n = m->shape.layers_n;
    const uint32_t vectors_most = (QR_PARTS_N + 4) * layers_n + 2; /* biases and norms */

    m->layers = qr_alloc_zero(&m->allocator, layers_n, sizeof(m->layers[0]));
    m->pieces = qr_alloc_zero(&m->allocator, (size_t)layers_n * QR_PARTS_N, sizeof(m->pieces[0]));
    l->used = qr_alloc_zero(&m->allocator, l->file->tensors_n, sizeof(l->used[0]));
    l->vectors = qr_alloc_zero(&m->allocator, vectors_most, sizeof(l->vectors[0]));
    if (m->layers && m->pieces && l->used && l->vectors) return QUIRE_OK;
    return qr_error(l->error, QUIRE_NO_MEMORY, "no memory for a table of %" PRIu32 " layers",
                    layers_n);
}

static int load(struct loader *l)
{
    struct qr_model *m = l->model;
    int status = qr_model_shape_read(&m->shape, &m->architecture, l->file, l->error);

    if (!status) status = make_tables(l);
    if (!status) status = find_embedding(l);
    if (!status) status = find_positions(l);
    for (uint32_t i = 0; !status && i < m->shape.layers_n; i++)
        status = find_layer(l, i);
    if (!status) status = find_norm(l, "output_norm", &m->head_norm);
    if (!status) status = list_all(l);
    if (!status) status = create_region(l);
    if (!status) status = load_frequencies(l);
    if (!status) status = check_all_used(l);
    if (status) return status;
    load_vectors(l);
    qr_team_run(l->team, pack_panels, l, l->begins[l->packed_n], 0);
    give_back(l);
    return QUIRE_OK;
}

int qr_model_load(struct qr_model **model, const struct qr_gguf *file,
                  const struct qr_kernels *kernels, struct qr_team *team, uint32_t window,
                  const struct quire_allocator *allocator, struct quire_error *error)
{
    struct loader l = {.file = file, .team = team, .error = error};

    *model = NULL;
    l.model = qr_alloc_zero(allocator, 1, sizeof(*l.model));
    if (!l.model) return qr_error(error, QUIRE_NO_MEMORY, "no memory for a model");
    l.model->allocator = *allocator;
    l.model->kernels = kernels;
    int status = load(&l);
    if (window) l.model->shape.sliding_window = window == QUIRE_WINDOW_NONE ? 0 : window;
    qr_free(allocator, l.used);
    qr_free(allocator, l.packed);
    qr_free(allocator, l.vectors);
    qr_free(allocator, l.begins);
    if (status) {
        qr_model_unload(l.model);
        return status;
    }
    *model = l.model;
    return QUIRE_OK;
}

void qr_model_unload(struct qr_model *model)
{
    if (!model) return;
    struct quire_allocator allocator = model->allocator;
    qr_region_destroy(&model->region);
    qr_free(&allocator, model->layers);
    qr_free(&allocator, model->pieces);
    qr_free(&allocator, model);
}

const struct qr_model_shape *qr_model_shape(const struct qr_model *model)
{
    return &model->shape;
}

const char *qr_model_architecture(const struct qr_model *model)
{
    return model->architecture->name;
}

uint64_t qr_model_weights_bytes(const struct qr_model *model)
{
    return model->weights_bytes;
}

uint64_t qr_model_weights_n(const struct qr_model *model, uint64_t *head_n)
{
    *head_n = (uint64_t)model->shape.width * model->shape.vocab_n;
    return model->weights_n;
}
