/* SPDX-License-Identifier: MIT */
/* reference -- a llama's forward pass in plain double, token by token.  Of quire's code it uses
 * only the dequantising of weights.
 *
 * The activations of a quantised matrix are rounded to 8 bits in blocks of 32, and Q4_1's and
 * Q5_1's minima to bf16 (residuals.h), as kernels/gemm.h says.  So narrow limits are possible. */
#ifndef QR_TESTS_MODEL_REFERENCE_H
#define QR_TESTS_MODEL_REFERENCE_H

#include <math.h>

#include "support/residuals.h"
#include "tiny.h"

struct reference {
    const struct qr_gguf *file;
    struct tiny t;
    double *keys; /* [tokens][layers][kv_n], and values */
    double *values;
};

static inline const struct qr_gguf_tensor *reference_tensor(const struct reference *r, int layer,
                                                            const char *name)
{
    char full[64];

    if (layer >= 0)
        (void)snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    else
        (void)snprintf(full, sizeof full, "%s.weight", name);
    return qr_gguf_tensor(r->file, full);
}

static inline void reference_row(const struct qr_gguf_tensor *t, uint32_t row, float *out)
{
    const size_t bytes = t->data_n / (size_t)t->dims[1];

    qr_dequantize((enum qr_type)t->type, t->data + row * bytes, out, (size_t)t->dims[0]);
}

/* x rounded up to three significant bits. */
static inline float reference_scale(float x)
{
    int e;
    float fraction = frexpf(x, &e); /* 0.5 to 1 */

    return ldexpf(ceilf(fraction * 8.0f), e - 3);
}

/* x rounded as the kernels do, in float. */
static inline void reference_round(double *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 32) {
        float amax = 0;
        for (uint32_t j = 0; j < 32; j++)
            amax = fmaxf(amax, fabsf((float)x[i + j]));
        float scale = reference_scale(amax / 127.0f);
        for (uint32_t j = 0; j < 32; j++)
            x[i + j] = scale > 0 ? rint((double)((float)x[i + j] / scale)) * (double)scale : 0;
    }
}

/* out[n] = or += matrix times x[k] */
static inline void reference_multiply(const struct qr_gguf_tensor *m, const double *x, double *out,
                                      bool add)
{
    const uint32_t k = (uint32_t)m->dims[0];
    double *in = malloc(k * sizeof in[0]);
    float *row = malloc(k * sizeof row[0]);

    assert(in && row);
    memcpy(in, x, k * sizeof in[0]);
    if (!qr_type_traits(m->type)->is_float) reference_round(in, k);
    for (uint32_t i = 0; i < m->dims[1]; i++) {
        double sum = 0;
        reference_row(m, i, row);
        for (uint32_t j = 0; j < k; j++)
            sum += in[j] * (double)row[j];
        sum += residuals_change(m->type, m->data + i * (m->data_n / (size_t)m->dims[1]), in, k);
        out[i] = add ? out[i] + sum : sum;
    }
    free(in);
    free(row);
}

static inline void reference_norm(const struct qr_gguf_tensor *weight, const double *x, double *out,
                                  uint32_t n)
{
    float *w = malloc(n * sizeof w[0]);
    double sum = 0;

    assert(w);
    reference_row(weight, 0, w);
    for (uint32_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    for (uint32_t i = 0; i < n; i++)
        out[i] = x[i] / sqrt(sum / n + 1e-5) * (double)w[i];
    free(w);
}

static inline void reference_rope(const struct reference *r, double *x, uint32_t heads_n,
                                  uint32_t position)
{
    const struct qr_gguf_tensor *factors = reference_tensor(r, -1, "rope_freqs");
    float factor[QR_HEAD_DIM_MAX];

    if (factors) reference_row(factors, 0, factor);
    for (uint32_t i = 0; i < r->t.rotary_n / 2; i++) {
        double angle = pow((double)r->t.rope_base, -2.0 * i / r->t.rotary_n) * position;
        if (factors) angle /= (double)factor[i];
        for (uint32_t h = 0; h < heads_n; h++) {
            double *pair = x + h * r->t.head_dim + 2 * i;
            double a = pair[0];
            pair[0] = a * cos(angle) - pair[1] * sin(angle);
            pair[1] = a * sin(angle) + pair[1] * cos(angle);
        }
    }
}

static inline void reference_attend(const struct reference *r, int layer, uint32_t position,
                                    const double *q, double *out)
{
    const struct tiny *t = &r->t;
    const uint32_t kv_n = t->kv_heads_n * t->head_dim;
    double *p = malloc((position + 1) * sizeof p[0]);

    assert(p);
    for (uint32_t h = 0; h < t->heads_n; h++) {
        const uint32_t column = h / (t->heads_n / t->kv_heads_n) * t->head_dim;
        double max = -INFINITY;
        double sum = 0;
        for (uint32_t i = 0; i <= position; i++) {
            const double *k = r->keys + ((size_t)i * t->layers_n + (size_t)layer) * kv_n + column;
            p[i] = 0;
            for (uint32_t d = 0; d < t->head_dim; d++)
                p[i] += q[h * t->head_dim + d] * k[d];
            p[i] /= sqrt(t->head_dim);
            max = fmax(max, p[i]);
        }
        for (uint32_t i = 0; i <= position; i++)
            sum += p[i] = exp(p[i] - max);
        for (uint32_t d = 0; d < t->head_dim; d++) {
            out[h * t->head_dim + d] = 0;
            for (uint32_t i = 0; i <= position; i++)
                out[h * t->head_dim + d] +=
                    p[i] / sum *
                    r->values[((size_t)i * t->layers_n + (size_t)layer) * kv_n + column + d];
        }
    }
    free(p);
}

static inline void reference_layer(const struct reference *r, int layer, uint32_t position,
                                   double *x)
{
    const struct tiny *t = &r->t;
    const uint32_t kv_n = t->kv_heads_n * t->head_dim;
    const size_t at = ((size_t)position * t->layers_n + (size_t)layer) * kv_n;
    const uint32_t most = t->width + t->ffn_width + t->heads_n * t->head_dim;
    double *a = malloc(3 * most * sizeof a[0]);
    double *b = a + most;
    double *c = b + most;

    assert(a);
    reference_norm(reference_tensor(r, layer, "attn_norm"), x, a, t->width);
    reference_multiply(reference_tensor(r, layer, "attn_q"), a, b, false);
    reference_multiply(reference_tensor(r, layer, "attn_k"), a, r->keys + at, false);
    reference_multiply(reference_tensor(r, layer, "attn_v"), a, r->values + at, false);
    reference_rope(r, b, t->heads_n, position);
    reference_rope(r, r->keys + at, t->kv_heads_n, position);
    reference_attend(r, layer, position, b, c);
    reference_multiply(reference_tensor(r, layer, "attn_output"), c, x, true);
    reference_norm(reference_tensor(r, layer, "ffn_norm"), x, a, t->width);
    reference_multiply(reference_tensor(r, layer, "ffn_gate"), a, b, false);
    reference_multiply(reference_tensor(r, layer, "ffn_up"), a, c, false);
    for (uint32_t i = 0; i < t->ffn_width; i++)
        b[i] = b[i] / (1 + exp(-b[i])) * c[i];
    reference_multiply(reference_tensor(r, layer, "ffn_down"), b, x, true);
    free(a);
}

/* Logits of every token: [tokens_n][vocab_n], the caller frees. */
static inline double *reference_run(const struct qr_gguf *file, const struct tiny *t,
                                    const int32_t *tokens, uint32_t tokens_n)
{
    struct reference r = {.file = file, .t = *t};
    const size_t kv = (size_t)tokens_n * t->layers_n * t->kv_heads_n * t->head_dim;
    const struct qr_gguf_tensor *head = reference_tensor(&r, -1, "output");
    double *logits = malloc((size_t)tokens_n * t->vocab_n * sizeof logits[0]);
    double *x = malloc(2 * t->width * sizeof x[0]);
    float *row = malloc(t->width * sizeof row[0]);

    r.keys = malloc(kv * sizeof r.keys[0]);
    r.values = malloc(kv * sizeof r.values[0]);
    assert(logits && x && row && r.keys && r.values);
    for (uint32_t i = 0; i < tokens_n; i++) {
        reference_row(reference_tensor(&r, -1, "token_embd"), (uint32_t)tokens[i], row);
        for (uint32_t j = 0; j < t->width; j++)
            x[j] = (double)row[j];
        for (uint32_t layer = 0; layer < t->layers_n; layer++)
            reference_layer(&r, (int)layer, i, x);
        reference_norm(reference_tensor(&r, -1, "output_norm"), x, x + t->width, t->width);
        reference_multiply(head ? head : reference_tensor(&r, -1, "token_embd"), x + t->width,
                           logits + (size_t)i * t->vocab_n, false);
    }
    free(r.keys);
    free(r.values);
    free(x);
    free(row);
    return logits;
}

#endif
