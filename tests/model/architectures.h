/* SPDX-License-Identifier: MIT */
/* architectures -- the small models in tests/data/architectures, one of each kind, with their
 * answers.  A line here and in make_architectures.py adds a model to all tests of architectures. */
#ifndef QR_TESTS_MODEL_ARCHITECTURES_H
#define QR_TESTS_MODEL_ARCHITECTURES_H

#include "floats.h"
#include "golden.h"

#define ARCHITECTURES_CONTEXT 192u

static const char *const architectures[] = {
    "gpt2",         /* learned positions, LayerNorm, fused Q, K and V, biases, GELU, tied output */
    "llama3",       /* divided frequencies, an output of its own */
    "llama-linear", /* linear scaling, heads longer than width / heads, biases, tied output */
    "llama-yarn",   /* YaRN */
    "mistral",      /* a window of 16 */
    "qwen2",        /* biases on Q, K and V, rotated by halves, tied output */
    "qwen2-yarn-window",
};
#define ARCHITECTURES_N (sizeof architectures / sizeof architectures[0])

static const enum qr_kv_type architectures_kv_types[] = {QR_KV_F16, QR_KV_F32, QR_KV_BF16,
                                                         QR_KV_Q8};
#define ARCHITECTURES_KV_N (sizeof architectures_kv_types / sizeof architectures_kv_types[0])

/* A model's settings.  *bytes (the caller frees) is the file.  If `type` is a float type, its
 * matrices are converted to that; otherwise they are unchanged. */
static inline struct rig_settings architectures_open(const char *name, enum qr_type type,
                                                     uint8_t **bytes)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct gguf_writer w = {0};
    struct quire_error error;
    struct qr_gguf g;
    char path[512];

    (void)snprintf(path, sizeof path, "%s/architectures/%s.gguf", QUIRE_TEST_DATA, name);
    if (qr_gguf_open(&g, path, &allocator, &error)) fail_msg("%s", error.text);
    size_t n = g.bytes_n;
    const uint8_t *file = g.bytes;
    if (type != QR_TYPE_Q8_0) {
        floats_rewrite(&w, &g, type);
        file = gguf_writer_finish(&w, &n);
    }
    *bytes = malloc(n);
    assert_non_null(*bytes);
    memcpy(*bytes, file, n);
    gguf_writer_free(&w);
    qr_gguf_close(&g);
    return (struct rig_settings){
        .bytes = *bytes, .bytes_n = n, .context_max = ARCHITECTURES_CONTEXT};
}

#endif
