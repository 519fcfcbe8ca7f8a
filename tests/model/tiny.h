/* SPDX-License-Identifier: MIT */
/* tiny -- writes llamas with random weights, of any shape and types, to load and to break.
 *
 * Settings start from tiny_defaults.  A key or tensor can be left out or written wrongly. */
#ifndef QR_TESTS_MODEL_TINY_H
#define QR_TESTS_MODEL_TINY_H

#include <stdio.h>

#include "floats.h"
#include "support/type_blocks.h"

struct tiny {
    uint32_t layers_n, width, ffn_width, heads_n, kv_heads_n, head_dim, rotary_n, vocab_n;
    float rope_base;
    enum qr_type type;  /* of matrices */
    enum qr_type other; /* of attn_k and ffn_up */
    enum qr_type down;  /* of ffn_down */
    enum qr_type embedding;
    enum qr_type norm;
    bool own_output;
    bool rope_freqs;
    bool says_key_length;
    const char *without; /* a key or tensor that is left out, NULL: none */
    const char *instead; /* a tensor that gets one output too many, NULL: none */
};

static inline struct tiny tiny_defaults(void)
{
    return (struct tiny){.layers_n = 2,
                         .width = 64,
                         .ffn_width = 96,
                         .heads_n = 4,
                         .kv_heads_n = 2,
                         .head_dim = 16,
                         .rotary_n = 16,
                         .vocab_n = 50,
                         .rope_base = 10000,
                         .type = QR_TYPE_F32,
                         .other = QR_TYPE_F32,
                         .down = QR_TYPE_F32,
                         .embedding = QR_TYPE_F32,
                         .norm = QR_TYPE_F32};
}

static inline uint32_t tiny_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Blocks of random bytes, with scales that give values of about +-0.1. */
static inline void tiny_blocks(enum qr_type type, uint8_t *blocks, size_t n, uint64_t *state)
{
    const struct qr_type_traits *traits = qr_type_traits(type);
    const size_t bytes = traits->block_bytes;
    float d, m;

    type_blocks_usual(type, &d, &m);
    for (size_t i = 0; i < n / traits->block_n; i++) {
        uint8_t *block = blocks + i * bytes;
        for (size_t j = 0; j < bytes; j++)
            block[j] = (uint8_t)tiny_random(state);
        float vary = 0.75f + 0.5f * (float)(tiny_random(state) % 1000) / 1000.0f;
        type_blocks_set(type, block, d * vary, m * vary);
    }
}

static inline void tiny_values(enum qr_type type, float centre, float spread, void *out, size_t n,
                               uint64_t *state)
{
    float *values = malloc(n * sizeof(float));

    assert(values);
    for (size_t i = 0; i < n; i++)
        values[i] = centre + spread * ((float)(tiny_random(state) % 20001) / 10000.0f - 1.0f);
    floats_store(type, values, out, n);
    free(values);
}

static inline bool tiny_wants(const struct tiny *t, const char *name)
{
    return !t->without || strcmp(t->without, name) != 0;
}

static inline void tiny_matrix(struct gguf_writer *w, const struct tiny *t, const char *name,
                               enum qr_type type, const uint64_t shape[2], uint64_t *state)
{
    const struct qr_type_traits *traits = qr_type_traits(type);
    const uint64_t dims[2] = {shape[0], shape[1] + (t->instead && strcmp(t->instead, name) == 0)};
    const size_t values = (size_t)(dims[0] * dims[1]);
    const size_t bytes = values / traits->block_n * traits->block_bytes;
    uint8_t *data = malloc(bytes);

    assert(data);
    if (traits->is_float)
        tiny_values(type, 0, 0.2f, data, values, state);
    else
        tiny_blocks(type, data, values, state);
    if (tiny_wants(t, name)) gguf_writer_tensor(w, name, type, dims, 2, data, bytes);
    free(data);
}

static inline void tiny_vector(struct gguf_writer *w, const struct tiny *t, const char *name,
                               enum qr_type type, uint64_t n, uint64_t *state)
{
    uint8_t *data = malloc((size_t)n * 4);

    assert(data);
    tiny_values(type, 1, 0.3f, data, (size_t)n, state);
    if (tiny_wants(t, name))
        gguf_writer_tensor(w, name, type, &n, 1, data,
                           (size_t)n * qr_type_traits(type)->block_bytes);
    free(data);
}

static inline void tiny_layer(struct gguf_writer *w, const struct tiny *t, uint32_t layer,
                              uint64_t *state)
{
    const uint32_t q_n = t->heads_n * t->head_dim;
    const uint32_t kv_n = t->kv_heads_n * t->head_dim;
    const struct {
        const char *name;
        enum qr_type type;
        uint64_t shape[2]; /* inputs, outputs */
    } matrices[] = {
        {"attn_q", t->type, {t->width, q_n}},
        {"attn_k", t->other, {t->width, kv_n}},
        {"attn_v", t->type, {t->width, kv_n}},
        {"attn_output", t->type, {q_n, t->width}},
        {"ffn_gate", t->type, {t->width, t->ffn_width}},
        {"ffn_up", t->other, {t->width, t->ffn_width}},
        {"ffn_down", t->down, {t->ffn_width, t->width}},
    };
    char name[64];

    for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++) {
        (void)snprintf(name, sizeof name, "blk.%u.%s.weight", layer, matrices[i].name);
        tiny_matrix(w, t, name, matrices[i].type, matrices[i].shape, state);
    }
    (void)snprintf(name, sizeof name, "blk.%u.attn_norm.weight", layer);
    tiny_vector(w, t, name, t->norm, t->width, state);
    (void)snprintf(name, sizeof name, "blk.%u.ffn_norm.weight", layer);
    tiny_vector(w, t, name, t->norm, t->width, state);
}

static inline void tiny_write(struct gguf_writer *w, const struct tiny *t)
{
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {
        {"llama.block_count", t->layers_n},
        {"llama.context_length", 2048},
        {"llama.embedding_length", t->width},
        {"llama.feed_forward_length", t->ffn_width},
        {"llama.attention.head_count", t->heads_n},
        {"llama.attention.head_count_kv", t->kv_heads_n},
        {"llama.vocab_size", t->vocab_n},
        {"llama.rope.dimension_count", t->rotary_n},
    };
    const uint64_t head[2] = {t->width, t->vocab_n};
    uint64_t state = 12345;

    gguf_writer_init(w);
    if (tiny_wants(t, "general.architecture"))
        gguf_writer_string(w, "general.architecture", "llama");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (tiny_wants(t, numbers[i].name)) gguf_writer_u32(w, numbers[i].name, numbers[i].value);
    if (t->says_key_length) gguf_writer_u32(w, "llama.attention.key_length", t->head_dim);
    if (tiny_wants(t, "llama.attention.layer_norm_rms_epsilon"))
        gguf_writer_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_writer_f32(w, "llama.rope.freq_base", t->rope_base);
    tiny_matrix(w, t, "token_embd.weight", t->embedding, head, &state);
    for (uint32_t i = 0; i < t->layers_n; i++)
        tiny_layer(w, t, i, &state);
    tiny_vector(w, t, "output_norm.weight", t->norm, t->width, &state);
    if (t->own_output) tiny_matrix(w, t, "output.weight", t->type, head, &state);
    if (t->rope_freqs) tiny_vector(w, t, "rope_freqs.weight", QR_TYPE_F32, t->rotary_n / 2, &state);
}

#endif
