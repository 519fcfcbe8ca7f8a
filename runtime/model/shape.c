/* SPDX-License-Identifier: MIT */
/* Hyperparameters of the llama architecture, by the GGUF specification's key names.
 *
 * Every key under "llama." stands in one of two tables: read here, or allowed only with the value
 * that changes nothing.  Any other is refused by its name: a file may ask for what is not done,
 * but it is never ignored. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/model/weights.h"

#define PREFIX       "llama."
#define SCALING      "llama.rope.scaling."
#define SHOWN_MAX    64
#define ROPE_DEFAULT 10000.0 /* where a file does not say, as converters assume */

/* Read below, or about the file only. */
static const char *const KNOWN[] = {
    "llama.block_count",
    "llama.context_length",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.vocab_size",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.attention.layer_norm_rms_epsilon",
    "llama.attention.sliding_window",
    "llama.rope.dimension_count",
    "llama.rope.freq_base",
    "llama.rope.scaling.type",
    "llama.tensor_data_layout",
};

/* Allowed with a value that changes nothing. */
static const struct {
    const char *name;
    const char *what;
    double values[2];
} NEUTRAL[] = {
    {"llama.expert_count", "a mixture of experts", {0, 0}},
    {"llama.expert_used_count", "a mixture of experts", {0, 0}},
    {"llama.attention.clamp_kqv", "clamped queries, keys and values", {0, 0}},
    {"llama.attention.max_alibi_bias", "ALiBi", {0, 0}},
    {"llama.attention.causal", "attention that is not causal", {1, 1}},
    {"llama.attention.scale", "an attention scale of its own", {0, 0}},
    {"llama.attn_logit_softcapping", "soft-capped attention", {0, 0}},
    {"llama.final_logit_softcapping", "soft-capped logits", {0, 0}},
    {"llama.logit_scale", "scaled logits", {0, 1}},
    {"llama.embedding_scale", "scaled embeddings", {0, 1}},
    {"llama.residual_scale", "scaled residuals", {0, 1}},
    {"llama.use_parallel_residual", "parallel residuals", {0, 0}},
    {"llama.rope.scale_linear", "scaled positions", {0, 1}},
    {"llama.rope.scaling.factor", "scaled positions", {0, 1}},
};

static bool text_is(struct quire_text text, const char *expected)
{
    return text.n == strlen(expected) && memcmp(text.data, expected, text.n) == 0;
}

static int shown(struct quire_text text)
{
    return text.n < SHOWN_MAX ? (int)text.n : SHOWN_MAX;
}

static bool number_of(const struct qr_gguf *file, const char *name, double *value)
{
    bool truth;

    if (qr_gguf_f64(file, name, value)) return true;
    if (!qr_gguf_bool(file, name, &truth)) return false;
    *value = truth ? 1 : 0;
    return true;
}

/* ---- refusals ---------------------------------------------------------------------------------
 */

static int check_general(const struct qr_gguf *file, struct quire_error *error)
{
    struct quire_text text;
    uint32_t parts;

    if (!qr_gguf_string(file, "general.architecture", &text))
        return qr_error(error, QUIRE_BAD_FILE,
                        "key general.architecture is missing, expected a "
                        "string");
    if (!text_is(text, "llama"))
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "general.architecture is '%.*s', which quire does not run yet, expected "
                        "'llama'",
                        shown(text), text.data);
    if (qr_gguf_string(file, "general.type", &text) && !text_is(text, "model"))
        return qr_error(error, QUIRE_UNSUPPORTED, "general.type is '%.*s', expected 'model'",
                        shown(text), text.data);
    if (qr_gguf_u32(file, "split.count", &parts) && parts > 1)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "split.count is %" PRIu32 ": a model split into several files is not "
                        "supported yet, expected a whole one",
                        parts);
    return QUIRE_OK;
}

static int check_neutral(const struct qr_gguf *file, size_t i, struct quire_error *error)
{
    double value;

    if (!number_of(file, NEUTRAL[i].name, &value))
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "%s asks for %s by layer, which quire does not do "
                        "yet",
                        NEUTRAL[i].name, NEUTRAL[i].what);
    if (value == NEUTRAL[i].values[0] || value == NEUTRAL[i].values[1]) return QUIRE_OK;
    return qr_error(error, QUIRE_UNSUPPORTED, "%s is %g: %s, which quire does not do yet",
                    NEUTRAL[i].name, value, NEUTRAL[i].what);
}

static int check_key(const struct qr_gguf *file, const struct qr_gguf_key *key, bool unscaled,
                     struct quire_error *error)
{
    const size_t scaling_n = strlen(SCALING);

    if (key->name.n < strlen(PREFIX) || memcmp(key->name.data, PREFIX, strlen(PREFIX)) != 0)
        return QUIRE_OK;
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++)
        if (text_is(key->name, KNOWN[i])) return QUIRE_OK;
    /* What describes a scaling means nothing where the file says that there is none. */
    if (unscaled && key->name.n > scaling_n && memcmp(key->name.data, SCALING, scaling_n) == 0)
        return QUIRE_OK;
    for (size_t i = 0; i < sizeof(NEUTRAL) / sizeof(NEUTRAL[0]); i++)
        if (text_is(key->name, NEUTRAL[i].name)) return check_neutral(file, i, error);
    return qr_error(error, QUIRE_UNSUPPORTED,
                    "key '%.*s' asks for something that quire does not know", shown(key->name),
                    key->name.data);
}

static int check_features(const struct qr_gguf *file, struct quire_error *error)
{
    struct quire_text text;
    bool unscaled = false;

    if (qr_gguf_find(file, "llama.rope.scaling.type")) {
        if (!qr_gguf_string(file, "llama.rope.scaling.type", &text))
            return qr_error(error, QUIRE_BAD_FILE, "llama.rope.scaling.type is no string");
        if (!text_is(text, "none"))
            return qr_error(error, QUIRE_UNSUPPORTED,
                            "llama.rope.scaling.type is '%.*s', which quire does not do yet, "
                            "expected 'none'",
                            shown(text), text.data);
        unscaled = true;
    }
    for (uint32_t i = 0; i < file->keys_n; i++) {
        int status = check_key(file, &file->keys[i], unscaled, error);
        if (status) return status;
    }
    return QUIRE_OK;
}

/* ---- numbers ----------------------------------------------------------------------------------
 */

static int read_count(const struct qr_gguf *file, const char *name, uint32_t max, uint32_t *value,
                      struct quire_error *error)
{
    const struct qr_gguf_key *key = qr_gguf_find(file, name);

    if (!key)
        return qr_error(error, QUIRE_BAD_FILE, "key %s is missing, expected 1 to %" PRIu32, name,
                        max);
    if (key->kind == QR_GGUF_ARRAY)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "%s is an array, one value a layer, which quire does not do yet", name);
    if (!qr_gguf_u32(file, name, value) || *value == 0 || *value > max)
        return qr_error(error, QUIRE_BAD_FILE, "%s is out of range, expected 1 to %" PRIu32, name,
                        max);
    return QUIRE_OK;
}

static int read_count_or(const struct qr_gguf *file, const char *name, uint32_t max,
                         uint32_t otherwise, uint32_t *value, struct quire_error *error)
{
    *value = otherwise;
    return qr_gguf_find(file, name) ? read_count(file, name, max, value, error) : QUIRE_OK;
}

static int read_heads(struct qr_model_shape *s, const struct qr_gguf *file,
                      struct quire_error *error)
{
    const uint32_t max = UINT16_MAX;
    uint32_t value_n;
    int status = read_count(file, "llama.attention.head_count", max, &s->heads_n, error);

    if (!status)
        status = read_count_or(file, "llama.attention.head_count_kv", max, s->heads_n,
                               &s->kv_heads_n, error);
    if (status) return status;
    if (s->heads_n % s->kv_heads_n)
        return qr_error(error, QUIRE_BAD_FILE,
                        "llama.attention.head_count is %" PRIu32 ", expected a multiple of "
                        "llama.attention.head_count_kv, which is %" PRIu32,
                        s->heads_n, s->kv_heads_n);
    if (!qr_gguf_find(file, "llama.attention.key_length") && s->width % s->heads_n)
        return qr_error(error, QUIRE_BAD_FILE,
                        "llama.embedding_length is %" PRIu32 ", expected a multiple of "
                        "llama.attention.head_count, which is %" PRIu32,
                        s->width, s->heads_n);
    status = read_count_or(file, "llama.attention.key_length", max, s->width / s->heads_n,
                           &s->head_dim, error);
    if (!status)
        status =
            read_count_or(file, "llama.attention.value_length", max, s->head_dim, &value_n, error);
    if (status) return status;
    if (value_n != s->head_dim)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "llama.attention.value_length is %" PRIu32 ", expected %" PRIu32
                        " as the keys' length",
                        value_n, s->head_dim);
    if (s->head_dim % 8 || s->head_dim > QR_HEAD_DIM_MAX)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "heads are %" PRIu32 " long, expected a multiple of 8 up to %u",
                        s->head_dim, QR_HEAD_DIM_MAX);
    if (s->heads_n / s->kv_heads_n > QR_GROUP_MAX)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "%" PRIu32 " query heads share a key head, expected at most %u",
                        s->heads_n / s->kv_heads_n, QR_GROUP_MAX);
    return QUIRE_OK;
}

static int read_rope(struct qr_model_shape *s, const struct qr_gguf *file,
                     struct quire_error *error)
{
    double base = ROPE_DEFAULT;
    int status = read_count_or(file, "llama.rope.dimension_count", s->head_dim, s->head_dim,
                               &s->rotary_n, error);

    if (status) return status;
    if (s->rotary_n % 8)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "llama.rope.dimension_count is %" PRIu32 ", expected a multiple of 8",
                        s->rotary_n);
    if (qr_gguf_find(file, "llama.rope.freq_base") &&
        !qr_gguf_f64(file, "llama.rope.freq_base", &base))
        return qr_error(error, QUIRE_BAD_FILE, "llama.rope.freq_base is no number");
    if (!isfinite((float)base) || base < 1)
        return qr_error(error, QUIRE_BAD_FILE,
                        "llama.rope.freq_base is %g, expected a finite number from 1 on", base);
    s->rope_base = (float)base;
    return QUIRE_OK;
}

/* Mistral's: 0, or no key, is none. */
static int read_window(struct qr_model_shape *s, const struct qr_gguf *file,
                       struct quire_error *error)
{
    const char *name = "llama.attention.sliding_window";
    const struct qr_gguf_key *key = qr_gguf_find(file, name);

    s->sliding_window = 0;
    if (!key) return QUIRE_OK;
    if (key->kind == QR_GGUF_ARRAY)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "%s is an array, one value a layer, which quire does not do yet", name);
    if (!qr_gguf_u32(file, name, &s->sliding_window) || s->sliding_window > QR_CONTEXT_MAX)
        return qr_error(error, QUIRE_BAD_FILE, "%s is out of range, expected 0 to %u", name,
                        QR_CONTEXT_MAX);
    return QUIRE_OK;
}

static int read_eps(struct qr_model_shape *s, const struct qr_gguf *file, struct quire_error *error)
{
    const char *name = "llama.attention.layer_norm_rms_epsilon";
    double eps;

    if (!qr_gguf_f64(file, name, &eps))
        return qr_error(error, QUIRE_BAD_FILE, "key %s is missing or no number", name);
    if (!(eps > 0 && eps < 1))
        return qr_error(error, QUIRE_BAD_FILE, "%s is %g, expected more than 0 and less than 1",
                        name, eps);
    s->norm_eps = (float)eps;
    return QUIRE_OK;
}

static int read_vocab(struct qr_model_shape *s, const struct qr_gguf *file,
                      struct quire_error *error)
{
    const struct qr_gguf_tensor *embedding = qr_gguf_tensor(file, "token_embd.weight");
    const struct qr_gguf_key *tokens = qr_gguf_find(file, "tokenizer.ggml.tokens");
    uint32_t said;

    if (!embedding) return qr_error(error, QUIRE_BAD_FILE, "tensor token_embd.weight is missing");
    if (embedding->dims[1] > QR_VOCAB_MAX)
        return qr_error(error, QUIRE_BAD_FILE,
                        "token_embd.weight has %" PRIu64 " rows, expected at most %u",
                        embedding->dims[1], QR_VOCAB_MAX);
    s->vocab_n = (uint32_t)embedding->dims[1];
    int status = read_count_or(file, "llama.vocab_size", QR_VOCAB_MAX, s->vocab_n, &said, error);
    if (status) return status;
    if (said != s->vocab_n)
        return qr_error(error, QUIRE_BAD_FILE,
                        "llama.vocab_size is %" PRIu32 ", but token_embd.weight has %" PRIu32
                        " rows, expected as many",
                        said, s->vocab_n);
    if (tokens && tokens->count != s->vocab_n)
        return qr_error(error, QUIRE_BAD_FILE,
                        "tokenizer.ggml.tokens has %" PRIu64 " tokens, but token_embd.weight has "
                        "%" PRIu32 " rows, expected as many",
                        tokens->count, s->vocab_n);
    return QUIRE_OK;
}

int qr_model_shape_read(struct qr_model_shape *shape, const struct qr_gguf *file,
                        struct quire_error *error)
{
    const uint32_t width_max = 1u << 20; /* far past any; keeps products within 64 bits */
    int status = check_general(file, error);

    if (!status) status = check_features(file, error);
    if (!status)
        status = read_count(file, "llama.block_count", QR_LAYERS_MAX, &shape->layers_n, error);
    if (!status)
        status =
            read_count(file, "llama.context_length", QR_CONTEXT_MAX, &shape->context_max, error);
    if (!status)
        status = read_count(file, "llama.embedding_length", width_max, &shape->width, error);
    if (!status)
        status = read_count(file, "llama.feed_forward_length", width_max, &shape->ffn_width, error);
    if (!status) status = read_heads(shape, file, error);
    if (!status) status = read_rope(shape, file, error);
    if (!status) status = read_window(shape, file, error);
    if (!status) status = read_eps(shape, file, error);
    if (!status) status = read_vocab(shape, file, error);
    if (status) return status;
    if (shape->width % 8 || shape->ffn_width % 8)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "llama.embedding_length is %" PRIu32
                        " and llama.feed_forward_length %" PRIu32 ", expected multiples of 8",
                        shape->width, shape->ffn_width);
    return QUIRE_OK;
}
