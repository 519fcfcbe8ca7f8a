/* SPDX-License-Identifier: MIT */
#include "kernels/attention.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/attention_order.h"
#include "kernels/attention_q8.h"
#include "kernels/cpu.h"
#include "kernels/exponential.h"
#include "kernels/types.h"

size_t qr_kv_panel_bytes(enum qr_kv_type type, uint32_t head_dim)
{
    if (type == QR_KV_Q8) return ((size_t)head_dim + sizeof(float)) * QR_KV_PANEL;
    return (size_t)head_dim * QR_KV_PANEL * (type == QR_KV_F32 ? 4 : 2);
}

size_t qr_attention_scratch_bytes(void)
{
    return sizeof(struct qr_attention_scratch);
}

size_t qr_attention_partial_bytes(uint32_t group_n, uint32_t head_dim)
{
    size_t bytes = (size_t)group_n * (head_dim + 2) * sizeof(float);

    return (bytes + 63) / 64 * 64;
}

/* ---- the specification ----------------------------------------------------------------- */

static float kv_load(enum qr_kv_type type, const uint8_t *panel, size_t index)
{
    float f;
    uint16_t h;

    if (type == QR_KV_F32) {
        memcpy(&f, panel + 4 * index, sizeof f);
        return f;
    }
    memcpy(&h, panel + 2 * index, sizeof h);
    return type == QR_KV_F16 ? qr_f16_to_f32(h) : qr_bf16_to_f32(h);
}

static void kv_store(enum qr_kv_type type, uint8_t *panel, size_t index, float f)
{
    uint16_t h;

    if (type == QR_KV_F32) {
        memcpy(panel + 4 * index, &f, sizeof f);
        return;
    }
    h = type == QR_KV_F16 ? qr_f32_to_f16(f) : qr_f32_to_bf16(f);
    memcpy(panel + 2 * index, &h, sizeof h);
}

static void put_q8(const struct qr_kv_view *kv, uint8_t *k, uint8_t *v, uint32_t lane,
                   const float *key, const float *value)
{
    const size_t scale_at = qr_q8_scales_at(kv->head_dim) + lane * sizeof(float);
    int8_t quants[QR_HEAD_DIM_MAX];
    float scale = qr_q8_quantize(key, kv->head_dim, quants, NULL);

    memcpy(k + scale_at, &scale, sizeof scale);
    for (uint32_t d = 0; d < kv->head_dim; d++)
        k[qr_q8_key_at(d, lane)] = (uint8_t)(quants[d] + QR_Q8_KEY_RAISE);
    scale = qr_q8_quantize(value, kv->head_dim, quants, NULL);
    memcpy(v + scale_at, &scale, sizeof scale);
    memcpy(v + (size_t)lane * kv->head_dim, quants, kv->head_dim);
}

static QR_KV_PUT_FN(put_scalar)
{
    uint8_t *k = qr_kv_panel(kv, position / QR_KV_PANEL);
    uint8_t *v = k + kv->v_offset;
    uint32_t lane = position % QR_KV_PANEL;

    if (kv->type == QR_KV_Q8) {
        put_q8(kv, k, v, lane, key, value);
        return;
    }
    for (size_t d = 0; d < kv->head_dim; d++) {
        kv_store(kv->type, k, d * QR_KV_PANEL + lane, key[d]);
        kv_store(kv->type, v, lane * kv->head_dim + d, value[d]);
    }
}

/* ---- a query --------------------------------------------------------------------------- */

static void query_take(struct qr_attention_scratch *s, const struct qr_kv_view *kv, const float *q)
{
    for (uint32_t d = 0; d < kv->head_dim; d++)
        s->q[d] = q[d] * qr_attention_scale(kv->head_dim);
    if (kv->type == QR_KV_Q8) s->q_scale[0] = qr_q8_quantize(s->q, kv->head_dim, s->q8, NULL);
}

static float score_of(const struct qr_attention_scratch *s, const struct qr_kv_view *kv, uint32_t t)
{
    const uint8_t *k = qr_kv_panel(kv, t / QR_KV_PANEL);
    uint32_t lane = t % QR_KV_PANEL;
    float score = 0.0f;

    if (kv->type == QR_KV_Q8) {
        int32_t sum = 0;

        for (uint32_t d = 0; d < kv->head_dim; d++)
            sum += s->q8[d] * (k[qr_q8_key_at(d, lane)] - QR_Q8_KEY_RAISE);
        return (float)sum * (qr_q8_scale(k, kv->head_dim, lane) * s->q_scale[0]);
    }
    for (uint32_t d = 0; d < kv->head_dim; d++)
        score = fmaf(s->q[d], kv_load(kv->type, k, d * QR_KV_PANEL + lane), score);
    return score;
}

/* Adds token t's value times weight e. */
static void value_add(const struct qr_kv_view *kv, uint32_t t, float e, float *o)
{
    const uint8_t *v = qr_kv_panel(kv, t / QR_KV_PANEL) + kv->v_offset;
    uint32_t lane = t % QR_KV_PANEL;

    if (kv->type == QR_KV_Q8) {
        float weight = e * qr_q8_scale(v, kv->head_dim, lane);

        for (uint32_t d = 0; d < kv->head_dim; d++)
            o[d] = fmaf(weight, (float)(int8_t)v[lane * kv->head_dim + d], o[d]);
        return;
    }
    for (uint32_t d = 0; d < kv->head_dim; d++)
        o[d] = fmaf(e, kv_load(kv->type, v, (size_t)lane * kv->head_dim + d), o[d]);
}

/* Attends to the keys [begin, end) of one span; the result is *state.m, *state.l and state.o[]. */
static void span_scalar(const struct qr_attention_scratch *s, const struct qr_kv_view *kv,
                        uint32_t begin, uint32_t end, struct qr_attention_state state)
{
    float p[QR_KV_SPAN];
    float lanes[QR_KV_PANEL] = {0};
    float max = -INFINITY;
    uint32_t first = begin / QR_KV_SPAN * QR_KV_SPAN;

    for (uint32_t t = begin; t < end; t++) {
        float score = score_of(s, kv, t);

        p[t - first] = score;
        max = score > max ? score : max;
    }
    for (uint32_t d = 0; d < kv->head_dim; d++)
        state.o[d] = 0.0f;
    for (uint32_t t = begin; t < end; t++) {
        float e = qr_exp2(p[t - first] - max);

        lanes[t % QR_KV_PANEL] += e;
        value_add(kv, t, e, state.o);
    }
    for (unsigned half = QR_KV_PANEL / 2; half > 0; half /= 2)
        for (unsigned i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    *state.m = max;
    *state.l = lanes[0];
}

static QR_ATTEND_FN(attend_scalar)
{
    struct qr_attention_scratch *s = a->scratch;
    struct qr_attention_state sum = {&s->m[0], &s->l[0], s->o};
    struct qr_attention_state span = {&s->m[1], &s->l[1], s->o + QR_HEAD_DIM_MAX};

    qr_attention_check(kv, a);
    for (uint32_t r = 0; r < a->rows_n; r++) {
        uint32_t end = a->position + r + 1;
        uint32_t begin = qr_attention_begin(a->window, end);

        uint32_t first = a->summed_n ? a->summed_n : begin / QR_KV_SPAN;

        for (uint32_t h = 0; h < a->group_n; h++) {
            query_take(s, kv, a->q + r * a->q_stride + h * kv->head_dim);
            if (a->summed_n)
                qr_attention_merge(
                    sum, qr_attention_partial((void *)a->partial, 0, h, a->group_n, kv->head_dim),
                    true, kv->head_dim);
            for (uint32_t b = first; b * QR_KV_SPAN < end; b++) {
                uint32_t from = b * QR_KV_SPAN > begin ? b * QR_KV_SPAN : begin;
                uint32_t to = (b + 1) * QR_KV_SPAN < end ? (b + 1) * QR_KV_SPAN : end;

                span_scalar(s, kv, from, to, span);
                qr_attention_merge(sum, span, !a->summed_n && b == first, kv->head_dim);
            }
            qr_attention_finish(a->out + r * a->out_stride + h * kv->head_dim, sum, kv->head_dim);
        }
    }
}

static QR_ATTEND_SHARED_FN(attend_shared_scalar)
{
    struct qr_attention_scratch *s = a->scratch;
    struct qr_attention_state span = {&s->m[1], &s->l[1], s->o + QR_HEAD_DIM_MAX};

    qr_attention_shared_check(kv, a, span_begin, span_end);
    for (uint32_t r = 0; r < a->rows_n; r++) {
        for (uint32_t h = 0; h < a->group_n; h++) {
            query_take(s, kv, a->q[r] + (size_t)h * kv->head_dim);
            for (uint32_t b = span_begin; b < span_end; b++) {
                span_scalar(s, kv, b * QR_KV_SPAN, (b + 1) * QR_KV_SPAN, span);
                qr_attention_merge(
                    qr_attention_partial(a->partials[r], 0, h, a->group_n, kv->head_dim), span,
                    b == 0, kv->head_dim);
            }
        }
    }
}

static QR_ATTEND_SPANS_FN(attend_spans_scalar)
{
    struct qr_attention_scratch *s = a->scratch;
    uint32_t end = a->position + 1;
    uint32_t begin = qr_attention_begin(a->window, end);

    qr_attention_check(kv, a);
    assert(a->rows_n == 1 && span_end <= a->position / QR_KV_SPAN + 1);
    for (uint32_t h = 0; h < a->group_n; h++) {
        query_take(s, kv, a->q + (size_t)h * kv->head_dim);
        for (uint32_t b = span_begin; b < span_end; b++) {
            uint32_t from = b * QR_KV_SPAN > begin ? b * QR_KV_SPAN : begin;
            uint32_t to = (b + 1) * QR_KV_SPAN < end ? (b + 1) * QR_KV_SPAN : end;

            if (from < to)
                span_scalar(s, kv, from, to,
                            qr_attention_partial(partial, b, h, a->group_n, kv->head_dim));
        }
    }
}

static QR_ATTEND_MERGE_FN(attend_merge_scalar)
{
    struct qr_attention_scratch *s = a->scratch;
    struct qr_attention_state sum = {&s->m[0], &s->l[0], s->o};
    uint32_t first = qr_attention_begin(a->window, a->position + 1) / QR_KV_SPAN;

    qr_attention_check(kv, a);
    assert(a->rows_n == 1 && spans_n == a->position / QR_KV_SPAN + 1);
    for (uint32_t h = 0; h < a->group_n; h++) {
        for (uint32_t b = first; b < spans_n; b++)
            qr_attention_merge(
                sum, qr_attention_partial((void *)partial, b, h, a->group_n, kv->head_dim),
                b == first, kv->head_dim);
        qr_attention_finish(a->out + h * kv->head_dim, sum, kv->head_dim);
    }
}

const uint8_t *qr_attention_written(const struct qr_kv_view *kv, uint32_t position)
{
    return qr_kv_panel(kv, position / QR_KV_PANEL);
}

const uint8_t *qr_attention_value(const struct qr_kv_view *kv, uint32_t position, size_t *bytes)
{
    const size_t value_bytes = kv->type == QR_KV_Q8 ? 1 : kv->type == QR_KV_F32 ? 4 : 2;

    *bytes = kv->head_dim * value_bytes;
    return qr_attention_written(kv, position) + kv->v_offset + position % QR_KV_PANEL * *bytes;
}

uint32_t qr_attention_first(const struct qr_kv_view *kv, uint32_t position, uint32_t window,
                            uint32_t summed_n, const uint8_t **panels, uint32_t panels_n)
{
    const uint32_t end = position + 1;
    const uint32_t begin = summed_n ? summed_n * QR_KV_SPAN : qr_attention_begin(window, end);

    return qr_attention_panels(kv, begin, end, panels, panels_n);
}

#if defined(__x86_64__)
#include "kernels/x86/attention.h"
#endif

void qr_attention_init(struct qr_attention_kernels *k, unsigned cpu_flags)
{
    k->put = put_scalar;
    k->attend = attend_scalar;
    k->attend_shared = attend_shared_scalar;
    k->attend_spans = attend_spans_scalar;
    k->attend_merge = attend_merge_scalar;
#if defined(__x86_64__)
    attention_init_x86(k, cpu_flags);
#else
    (void)cpu_flags;
#endif
}
