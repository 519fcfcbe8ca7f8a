/* SPDX-License-Identifier: MIT */
#include "runtime/model/shape.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/model/keys.h"
#include "runtime/model/rope.h"

#define SHOWN_MAX 64u
#define WIDTH_MAX (1u << 20) /* larger than any model's; keeps products within 64 bits */

static int shown(struct quire_text text)
{
    return (int)(text.n < SHOWN_MAX ? text.n : SHOWN_MAX);
}

/* The keys that say what kind of file this is. */
static int read_general(struct qr_keys *k)
{
    struct quire_text text;
    char names[128];
    uint32_t parts;

    if (!qr_gguf_string(k->file, "general.architecture", &text))
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "key general.architecture is missing, expected a string");
    k->architecture = qr_architecture_find(text);
    if (!k->architecture) {
        qr_architecture_names(names, sizeof names);
        return qr_error(k->error, QUIRE_UNSUPPORTED,
                        "general.architecture is '%.*s', which quire does not support, expected %s",
                        shown(text), text.data, names);
    }
    if (qr_gguf_string(k->file, "general.type", &text) &&
        (text.n != 5 || memcmp(text.data, "model", 5) != 0))
        return qr_error(k->error, QUIRE_UNSUPPORTED, "general.type is '%.*s', expected 'model'",
                        shown(text), text.data);
    if (qr_gguf_u32(k->file, "split.count", &parts) && parts > 1 && k->file->parts_n + 1 != parts)
        return qr_error(k->error, QUIRE_UNSUPPORTED,
                        "split.count is %" PRIu32
                        ", but the file was opened alone, expected all its parts",
                        parts);
    return QUIRE_OK;
}

static int check_values(struct qr_keys *k, const struct qr_model_shape *s)
{
    uint32_t value_n;
    int status =
        qr_keys_count_or(k, "attention.value_length", 1, UINT16_MAX, s->head_dim, &value_n);

    if (status || value_n == s->head_dim) return status;
    return qr_error(k->error, QUIRE_UNSUPPORTED,
                    "%s is %" PRIu32 ", expected %" PRIu32 " as the keys' length", k->name, value_n,
                    s->head_dim);
}

static int check_heads(const struct qr_keys *k, const struct qr_model_shape *s)
{
    if (s->head_dim % 8 || s->head_dim > QR_HEAD_DIM_MAX)
        return qr_error(k->error, QUIRE_UNSUPPORTED,
                        "heads are %" PRIu32 " long, expected a multiple of 8 up to %u",
                        s->head_dim, QR_HEAD_DIM_MAX);
    if (s->heads_n / s->kv_heads_n > QR_GROUP_MAX)
        return qr_error(k->error, QUIRE_UNSUPPORTED,
                        "%" PRIu32 " query heads share a key head, expected at most %u",
                        s->heads_n / s->kv_heads_n, QR_GROUP_MAX);
    return QUIRE_OK;
}

static int read_heads(struct qr_keys *k, struct qr_model_shape *s)
{
    const char *architecture = k->architecture->name;
    const uint32_t max = UINT16_MAX;
    int status = qr_keys_count(k, "attention.head_count", 1, max, &s->heads_n);

    if (!status)
        status = qr_keys_count_or(k, "attention.head_count_kv", 1, max, s->heads_n, &s->kv_heads_n);
    if (status) return status;
    if (s->heads_n % s->kv_heads_n)
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "%s.attention.head_count is %" PRIu32 ", expected a multiple of "
                        "%s.attention.head_count_kv, which is %" PRIu32,
                        architecture, s->heads_n, architecture, s->kv_heads_n);
    if (!qr_keys_find(k, "attention.key_length") && s->width % s->heads_n)
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "%s.embedding_length is %" PRIu32 ", expected a multiple of "
                        "%s.attention.head_count, which is %" PRIu32,
                        architecture, s->width, architecture, s->heads_n);
    status =
        qr_keys_count_or(k, "attention.key_length", 1, max, s->width / s->heads_n, &s->head_dim);
    if (!status) status = qr_refused(k->refusals, check_values(k, s));
    return status ? status : qr_refused(k->refusals, check_heads(k, s));
}

static int read_eps(struct qr_keys *k, struct qr_model_shape *s)
{
    const char *name = qr_keys_name(k, k->architecture->norm == QR_NORM_LAYER
                                           ? "attention.layer_norm_epsilon"
                                           : "attention.layer_norm_rms_epsilon");
    double eps;

    if (!qr_gguf_f64(k->file, name, &eps))
        return qr_error(k->error, QUIRE_BAD_FILE, "key %s is missing or not a number", name);
    if (!(eps > 0 && eps < 1))
        return qr_error(k->error, QUIRE_BAD_FILE, "%s is %g, expected more than 0 and less than 1",
                        name, eps);
    s->norm_eps = (float)eps;
    return QUIRE_OK;
}

static int read_vocab(struct qr_keys *k, struct qr_model_shape *s)
{
    const struct qr_gguf_tensor *embedding = qr_gguf_tensor(k->file, "token_embd.weight");
    const struct qr_gguf_key *tokens = qr_gguf_find(k->file, "tokenizer.ggml.tokens");
    uint32_t stated;

    if (!embedding)
        return qr_error(k->error, QUIRE_BAD_FILE, "tensor token_embd.weight is missing");
    if (embedding->dims[1] > QR_VOCAB_MAX)
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "token_embd.weight has %" PRIu64 " rows, expected at most %u",
                        embedding->dims[1], QR_VOCAB_MAX);
    s->vocab_n = (uint32_t)embedding->dims[1];
    int status = qr_keys_count_or(k, "vocab_size", 1, QR_VOCAB_MAX, s->vocab_n, &stated);
    if (status) return status;
    if (stated != s->vocab_n)
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "%s is %" PRIu32 ", but token_embd.weight has %" PRIu32
                        " rows, expected the same number",
                        k->name, stated, s->vocab_n);
    if (tokens && tokens->count != s->vocab_n)
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "tokenizer.ggml.tokens has %" PRIu64 " tokens, but token_embd.weight has "
                        "%" PRIu32 " rows, expected the same number",
                        tokens->count, s->vocab_n);
    return QUIRE_OK;
}

static int check_widths(const struct qr_keys *k, const struct qr_model_shape *s)
{
    if (s->width % 8 == 0 && s->ffn_width % 8 == 0) return QUIRE_OK;
    return qr_error(k->error, QUIRE_UNSUPPORTED,
                    "%s.embedding_length is %" PRIu32 " and %s.feed_forward_length %" PRIu32
                    ", expected multiples of 8",
                    k->architecture->name, s->width, k->architecture->name, s->ffn_width);
}

int qr_model_shape_read(struct qr_model_shape *shape, const struct qr_architecture **architecture,
                        const struct qr_gguf *file, struct qr_refusals *refusals)
{
    struct qr_keys k = {.file = file, .refusals = refusals, .error = &refusals->last};
    int status = read_general(&k);

    if (!status) status = qr_keys_check(&k);
    if (!status) status = qr_keys_count(&k, "block_count", 1, QR_LAYERS_MAX, &shape->layers_n);
    if (!status)
        status = qr_keys_count(&k, "context_length", 1, QR_CONTEXT_MAX, &shape->context_max);
    if (!status) status = qr_keys_count(&k, "embedding_length", 1, WIDTH_MAX, &shape->width);
    if (!status) status = qr_keys_count(&k, "feed_forward_length", 1, WIDTH_MAX, &shape->ffn_width);
    if (!status) status = read_heads(&k, shape);
    if (!status) status = qr_refused(refusals, qr_rope_read(&k, shape));
    if (!status) /* Mistral has one; 0: no window */
        status = qr_refused(refusals, qr_keys_count_or(&k, "attention.sliding_window", 0,
                                                       QR_CONTEXT_MAX, 0, &shape->sliding_window));
    if (!status) status = qr_refused(refusals, read_eps(&k, shape));
    if (!status) status = read_vocab(&k, shape);
    if (!status) status = qr_refused(refusals, check_widths(&k, shape));
    if (!status) *architecture = k.architecture;
    return status;
}
