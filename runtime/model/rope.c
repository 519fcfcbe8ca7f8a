/* SPDX-License-Identifier: MIT */
#include "runtime/model/rope.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/base/error.h"

#define BASE_DEFAULT      10000.0 /* of a file that does not say, as converters assume */
#define BETA_FAST_DEFAULT 32.0    /* turns within the trained context */
#define BETA_SLOW_DEFAULT 1.0
#define NUMBER_MAX        1e9 /* larger than any file's */
#define SHOWN_MAX         32u
#define TWO_PI            6.283185307179586476925

static int read_scaling_type(struct qr_keys *k, struct qr_rope *rope)
{
    static const struct {
        const char *name;
        enum qr_rope_scaling scaling;
    } types[] = {{"none", QR_ROPE_UNSCALED}, {"linear", QR_ROPE_LINEAR}, {"yarn", QR_ROPE_YARN}};
    struct quire_text text;

    rope->scaling = QR_ROPE_LINEAR; /* a factor without a type means this */
    if (!qr_keys_find(k, "rope.scaling.type")) return QUIRE_OK;
    if (!qr_gguf_string(k->file, k->name, &text))
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "%s is not a string, expected 'none', 'linear' or 'yarn'", k->name);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (text.n != strlen(types[i].name) || memcmp(text.data, types[i].name, text.n) != 0)
            continue;
        rope->scaling = types[i].scaling;
        return QUIRE_OK;
    }
    return qr_error(
        k->error, QUIRE_UNSUPPORTED,
        "%s is '%.*s', which quire does not support, expected 'none', 'linear' or 'yarn'", k->name,
        (int)(text.n < SHOWN_MAX ? text.n : SHOWN_MAX), text.data);
}

static int read_scaling(struct qr_keys *k, struct qr_model_shape *s)
{
    struct qr_rope *rope = &s->rope;
    double older;
    int status = read_scaling_type(k, rope);

    if (status || rope->scaling == QR_ROPE_UNSCALED) return status;
    status = qr_keys_number_or(k, "rope.scale_linear", 0, NUMBER_MAX, 0, &older);
    if (!status)
        status = qr_keys_number_or(k, "rope.scaling.factor", 0, NUMBER_MAX, older, &rope->factor);
    if (!status)
        status = qr_keys_number_or(k, "rope.scaling.attn_factor", 0, NUMBER_MAX, 1,
                                   &rope->attention_factor);
    if (!status)
        status = qr_keys_number_or(k, "rope.scaling.yarn_log_multiplier", 0, NUMBER_MAX, 0,
                                   &rope->log_multiplier);
    if (!status)
        status = qr_keys_number_or(k, "rope.scaling.yarn_beta_fast", 0, NUMBER_MAX,
                                   BETA_FAST_DEFAULT, &rope->beta_fast);
    if (!status)
        status = qr_keys_number_or(k, "rope.scaling.yarn_beta_slow", 0, NUMBER_MAX,
                                   BETA_SLOW_DEFAULT, &rope->beta_slow);
    if (!status)
        status = qr_keys_count_or(k, "rope.scaling.original_context_length", 1, QR_CONTEXT_MAX,
                                  s->context_max, &rope->context_trained);
    if (status) return status;
    if (rope->factor == 0) rope->factor = 1; /* some files say so that there is none */
    if (rope->scaling == QR_ROPE_YARN &&
        !(rope->beta_slow > 0 && rope->beta_fast > rope->beta_slow))
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "%s.rope.scaling.yarn_beta_fast is %g and yarn_beta_slow %g, expected the "
                        "first to be greater, and both greater than 0",
                        k->architecture->name, rope->beta_fast, rope->beta_slow);
    return QUIRE_OK;
}

int qr_rope_read(struct qr_keys *k, struct qr_model_shape *s)
{
    s->rope = (struct qr_rope){.factor = 1, .attention_factor = 1};
    s->rotary_n = 0;
    if (k->architecture->positions == QR_POSITIONS_LEARNED) return QUIRE_OK;
    int status =
        qr_keys_count_or(k, "rope.dimension_count", 1, s->head_dim, s->head_dim, &s->rotary_n);
    if (status) return status;
    if (s->rotary_n % 8)
        return qr_error(k->error, QUIRE_UNSUPPORTED, "%s is %" PRIu32 ", expected a multiple of 8",
                        qr_keys_name(k, "rope.dimension_count"), s->rotary_n);
    status = qr_keys_number_or(k, "rope.freq_base", 1, 1e30, BASE_DEFAULT, &s->rope.base);
    return status ? status : read_scaling(k, s);
}

/* The index of the pair that makes so many turns within the trained context, not rounded. */
static double pair_of_turns(const struct qr_model_shape *s, double turns)
{
    return s->rotary_n * log(s->rope.context_trained / (turns * TWO_PI)) / (2 * log(s->rope.base));
}

/* The part of pair i's frequency that is not scaled: 1 for fast pairs, 0 for slow pairs. */
static double unscaled_part(const struct qr_model_shape *s, uint32_t i)
{
    double low = fmax(0, floor(pair_of_turns(s, s->rope.beta_fast)));
    double high = fmin(s->rotary_n - 1, ceil(pair_of_turns(s, s->rope.beta_slow)));
    double ramp = (i - low) / fmax(0.001, high - low);

    return 1 - fmin(1, fmax(0, ramp));
}

void qr_rope_frequencies(const struct qr_model_shape *s, const float *divisors, double *frequencies)
{
    for (uint32_t i = 0; i < s->rotary_n / 2; i++) {
        double plain = pow(s->rope.base, -2.0 * i / s->rotary_n);
        if (divisors) plain /= (double)divisors[i];
        double scaled = plain / s->rope.factor;
        if (s->rope.scaling == QR_ROPE_YARN) {
            double part = unscaled_part(s, i);
            scaled = scaled * (1 - part) + plain * part;
        }
        frequencies[i] = scaled;
    }
}

static double magnitude(double factor, double multiplier)
{
    return factor <= 1 ? 1 : 0.1 * multiplier * log(factor) + 1;
}

double qr_rope_magnitude(const struct qr_rope *rope)
{
    if (rope->scaling != QR_ROPE_YARN) return rope->attention_factor;
    double all = rope->log_multiplier > 0 ? magnitude(rope->factor, rope->log_multiplier) : 1;
    return rope->attention_factor * magnitude(rope->factor, 1) / all;
}
