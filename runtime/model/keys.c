/* SPDX-License-Identifier: MIT */
#include "runtime/model/keys.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/error.h"

#define SCALING   "rope.scaling."
#define SHOWN_MAX 64

/* The architectures in which a key has a meaning. */
enum { ALL = 0, ROPE = 1, RMS = 2, LAYER = 4 };

/* Keys that shape.c and rope.c read, or that describe the file only. */
static const struct {
    const char *name;
    unsigned in;
} known[] = {
    {"block_count", ALL},
    {"context_length", ALL},
    {"embedding_length", ALL},
    {"feed_forward_length", ALL},
    {"vocab_size", ALL},
    {"attention.head_count", ALL},
    {"attention.head_count_kv", ALL},
    {"attention.key_length", ALL},
    {"attention.value_length", ALL},
    {"attention.layer_norm_rms_epsilon", RMS},
    {"attention.layer_norm_epsilon", LAYER},
    {"attention.sliding_window", ALL},
    {"rope.dimension_count", ROPE},
    {"rope.freq_base", ROPE},
    {"rope.scale_linear", ROPE},
    {"rope.scaling.type", ROPE},
    {"rope.scaling.factor", ROPE},
    {"rope.scaling.original_context_length", ROPE},
    {"rope.scaling.attn_factor", ROPE},
    {"rope.scaling.finetuned", ROPE},
    {"rope.scaling.yarn_log_multiplier", ROPE},
    {"rope.scaling.yarn_beta_fast", ROPE},
    {"rope.scaling.yarn_beta_slow", ROPE},
    {"tensor_data_layout", ALL},
};

/* Keys that are accepted only with a value that changes nothing. */
static const struct {
    const char *name;
    const char *what;
    double values[2];
} neutral[] = {
    {"expert_count", "a mixture of experts", {0, 0}},
    {"expert_used_count", "a mixture of experts", {0, 0}},
    {"attention.clamp_kqv", "clamped queries, keys and values", {0, 0}},
    {"attention.max_alibi_bias", "ALiBi", {0, 0}},
    {"attention.causal", "attention that is not causal", {1, 1}},
    {"attention.scale", "an attention scale of its own", {0, 0}},
    {"attn_logit_softcapping", "soft-capped attention", {0, 0}},
    {"final_logit_softcapping", "soft-capped logits", {0, 0}},
    {"logit_scale", "scaled logits", {0, 1}},
    {"embedding_scale", "scaled embeddings", {0, 1}},
    {"residual_scale", "scaled residuals", {0, 1}},
    {"use_parallel_residual", "parallel residuals", {0, 0}},
    {"rope.scaling.yarn_ext_factor", "a share of YaRN", {-1, 1}},
    {"rope.scaling.yarn_attn_factor", "a second attention factor of YaRN", {-1, 1}},
};

/* ---- names ---------------------------------------------------------------------------------- */

const char *qr_keys_name(struct qr_keys *k, const char *name)
{
    int n = snprintf(k->name, sizeof k->name, "%s.%s", k->architecture->name, name);

    assert(n > 0 && (size_t)n < sizeof k->name);
    return k->name;
}

const struct qr_gguf_key *qr_keys_find(struct qr_keys *k, const char *name)
{
    return qr_gguf_find(k->file, qr_keys_name(k, name));
}

/* ---- refusals ------------------------------------------------------------------------------- */

static unsigned architecture_bits(const struct qr_architecture *a)
{
    unsigned rope = a->positions == QR_POSITIONS_LEARNED ? 0 : ROPE;

    return rope | (a->norm == QR_NORM_LAYER ? LAYER : RMS);
}

static bool text_is(struct quire_text text, const char *name)
{
    return text.n == strlen(name) && memcmp(text.data, name, text.n) == 0;
}

static bool number_of(const struct qr_gguf *file, const char *name, double *value)
{
    bool truth;

    if (qr_gguf_f64(file, name, value)) return true;
    if (!qr_gguf_bool(file, name, &truth)) return false;
    *value = truth ? 1 : 0;
    return true;
}

static int check_neutral(struct qr_keys *k, size_t i)
{
    const char *name = qr_keys_name(k, neutral[i].name);
    double value;

    if (!number_of(k->file, name, &value))
        return qr_error(k->error, QUIRE_UNSUPPORTED,
                        "%s asks for %s by layer, which quire does not support", name,
                        neutral[i].what);
    if (value == neutral[i].values[0] || value == neutral[i].values[1]) return QUIRE_OK;
    return qr_error(k->error, QUIRE_UNSUPPORTED, "%s is %g: %s, which quire does not support", name,
                    value, neutral[i].what);
}

/* unscaled: the file says that there is no scaling, so keys that describe one mean nothing. */
static int check_key(struct qr_keys *k, const struct quire_text *name, bool unscaled)
{
    const size_t prefix_n = strlen(k->architecture->name) + 1;
    const unsigned in = architecture_bits(k->architecture);

    if (name->n < prefix_n || memcmp(name->data, k->architecture->name, prefix_n - 1) != 0 ||
        name->data[prefix_n - 1] != '.')
        return QUIRE_OK;
    struct quire_text key = {.data = name->data + prefix_n, .n = name->n - prefix_n};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if ((known[i].in & in) == known[i].in && text_is(key, known[i].name)) return QUIRE_OK;
    if (unscaled && key.n > strlen(SCALING) && memcmp(key.data, SCALING, strlen(SCALING)) == 0)
        return QUIRE_OK;
    for (size_t i = 0; i < sizeof neutral / sizeof neutral[0]; i++)
        if (text_is(key, neutral[i].name)) return check_neutral(k, i);
    return qr_error(k->error, QUIRE_UNSUPPORTED, "key '%.*s' is unknown to quire",
                    name->n < SHOWN_MAX ? (int)name->n : SHOWN_MAX, name->data);
}

int qr_keys_check(struct qr_keys *k)
{
    struct quire_text type;
    bool unscaled = qr_gguf_string(k->file, qr_keys_name(k, SCALING "type"), &type) &&
                    text_is(type, "none") && k->architecture->positions != QR_POSITIONS_LEARNED;

    for (uint32_t i = 0; i < k->file->keys_n; i++) {
        int status = qr_refused(k->refusals, check_key(k, &k->file->keys[i].name, unscaled));
        if (status) return status;
    }
    return QUIRE_OK;
}

/* ---- values --------------------------------------------------------------------------------- */

int qr_keys_count(struct qr_keys *k, const char *name, uint32_t least, uint32_t most,
                  uint32_t *value)
{
    const struct qr_gguf_key *key = qr_keys_find(k, name);

    if (!key)
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "key %s is missing, expected %" PRIu32 " to %" PRIu32, k->name, least,
                        most);
    if (key->kind == QR_GGUF_ARRAY)
        return qr_error(k->error, QUIRE_UNSUPPORTED,
                        "%s is an array, one value a layer, which quire does not support; "
                        "expected one value",
                        k->name);
    if (!qr_gguf_u32(k->file, k->name, value) || *value < least || *value > most)
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "%s is out of range, expected %" PRIu32 " to %" PRIu32, k->name, least,
                        most);
    return QUIRE_OK;
}

int qr_keys_count_or(struct qr_keys *k, const char *name, uint32_t least, uint32_t most,
                     uint32_t otherwise, uint32_t *value)
{
    *value = otherwise;
    return qr_keys_find(k, name) ? qr_keys_count(k, name, least, most, value) : QUIRE_OK;
}

int qr_keys_number_or(struct qr_keys *k, const char *name, double least, double most,
                      double otherwise, double *value)
{
    *value = otherwise;
    if (!qr_keys_find(k, name)) return QUIRE_OK;
    if (!qr_gguf_f64(k->file, k->name, value))
        return qr_error(k->error, QUIRE_BAD_FILE, "%s is not a number", k->name);
    if (!isfinite(*value) || *value < least || *value > most)
        return qr_error(k->error, QUIRE_BAD_FILE,
                        "%s is %g, expected a finite number from %g to %g", k->name, *value, least,
                        most);
    return QUIRE_OK;
}
