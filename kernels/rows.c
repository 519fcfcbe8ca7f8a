/* SPDX-License-Identifier: MIT */
#include "kernels/rows.h"

#include <math.h>

#include "kernels/cpu.h"
#include "kernels/exponential.h"
#include "kernels/rows_topk.h"

#define LANES 16u

/* The fixed tree: lane i plus lane i + 8, then i + 4, i + 2, i + 1. */
static float lanes_sum(float lanes[LANES])
{
    for (unsigned half = LANES / 2; half > 0; half /= 2)
        for (unsigned i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

static QR_RMS_NORM_FN(rms_norm_scalar)
{
    float lanes[LANES] = {0};
    float scale;

    for (uint32_t i = 0; i < n; i++)
        lanes[i % LANES] = fmaf(x[i], x[i], lanes[i % LANES]);
    scale = 1.0f / sqrtf(lanes_sum(lanes) / (float)n + eps);
    for (uint32_t i = 0; i < n; i++)
        out[i] = x[i] * scale * weight[i];
}

static QR_LAYER_NORM_FN(layer_norm_scalar)
{
    float lanes[LANES] = {0};
    float mean, scale;

    for (uint32_t i = 0; i < n; i++)
        lanes[i % LANES] += x[i];
    mean = lanes_sum(lanes) / (float)n;
    for (uint32_t i = 0; i < LANES; i++)
        lanes[i] = 0.0f;
    for (uint32_t i = 0; i < n; i++)
        lanes[i % LANES] = fmaf(x[i] - mean, x[i] - mean, lanes[i % LANES]);
    scale = 1.0f / sqrtf(lanes_sum(lanes) / (float)n + eps);
    for (uint32_t i = 0; i < n; i++)
        out[i] = fmaf((x[i] - mean) * scale, weight[i], bias[i]);
}

static QR_ROPE_FN(rope_scalar)
{
    for (uint32_t h = 0; h < heads_n; h++, x += head_dim) {
        for (uint32_t i = 0; i < rotary_n / 2; i++) {
            float even = x[2 * i];
            float odd = x[2 * i + 1];

            x[2 * i] = fmaf(even, cosines[i], -(odd * sines[i]));
            x[2 * i + 1] = fmaf(odd, cosines[i], even * sines[i]);
        }
    }
}

static QR_ROPE_FN(rope_halves_scalar)
{
    const uint32_t half = rotary_n / 2;

    for (uint32_t h = 0; h < heads_n; h++, x += head_dim) {
        for (uint32_t i = 0; i < half; i++) {
            float first = x[i];
            float second = x[half + i];

            x[i] = fmaf(first, cosines[i], -(second * sines[i]));
            x[half + i] = fmaf(second, cosines[i], first * sines[i]);
        }
    }
}

static QR_SWIGLU_FN(swiglu_scalar)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = gate[i] / (1.0f + qr_exp(-gate[i])) * up[i];
}

static QR_GELU_FN(gelu_scalar)
{
    for (uint32_t i = 0; i < n; i++) {
        float minus_2u = x[i] * fmaf(x[i] * x[i], QR_GELU_CUBIC, QR_GELU_LINEAR);

        out[i] = x[i] / (1.0f + qr_exp(minus_2u));
    }
}

static QR_ADD_FN(add_scalar)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] += x[i];
}

static QR_ARGMAX_FN(argmax_scalar)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best] || (x[best] != x[best] && x[i] == x[i])) best = i;
    return best;
}

static QR_BEST_FN(best_scalar)
{
    for (uint32_t i = 0; i < n; i++)
        if (x[i] > best->value || (x[i] == best->value && first + i < best->index))
            *best = (struct qr_scored){x[i], first + i};
}

static QR_LOGSUMEXP_FN(logsumexp_scalar)
{
    double lanes[LANES] = {0};
    float max = -INFINITY;

    for (uint32_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    if (isinf(max)) return max;
    for (uint32_t i = 0; i < n; i++)
        lanes[i % LANES] += (double)qr_exp(x[i] - max);
    for (unsigned half = LANES / 2; half > 0; half /= 2)
        for (unsigned i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return (float)((double)max + log(lanes[0]));
}

static QR_TOPK_FN(topk_scalar)
{
    if (k == 0) return;
    qr_topk_begin(x, k, out);
    for (uint32_t i = k; i < n; i++)
        qr_topk_offer(out, k, x[i], i);
    qr_topk_end(out, k);
}

#if defined(__x86_64__)
#include "kernels/x86/rows.h"
#endif

void qr_rows_init(struct qr_row_kernels *k, unsigned cpu_flags)
{
    k->rms_norm = rms_norm_scalar;
    k->layer_norm = layer_norm_scalar;
    k->rope = rope_scalar;
    k->rope_halves = rope_halves_scalar;
    k->swiglu = swiglu_scalar;
    k->gelu = gelu_scalar;
    k->add = add_scalar;
    k->argmax = argmax_scalar;
    k->best = best_scalar;
    k->logsumexp = logsumexp_scalar;
    k->topk = topk_scalar;
#if defined(__x86_64__)
    rows_init_x86(k, cpu_flags);
#else
    (void)cpu_flags;
#endif
}
