/* SPDX-License-Identifier: MIT */
/* golden -- compares a model's answers with another implementation's.
 *
 * Files: tests/data/NAME.json, cases with a prompt's ids, each token's logprob given the tokens
 * before it (the first is null), logits at the last position, and 64 greedy ids with the margin to
 * the runner-up.  A greedy run is compared up to its first difference, which is allowed where the
 * reference's margin is small. */
#ifndef QR_TESTS_MODEL_GOLDEN_H
#define QR_TESTS_MODEL_GOLDEN_H

#include <jansson.h>
#include <math.h>

#include "rig.h"

struct golden_limits {
    double max_abs; /* of the last logits */
    double kl;
    double margin;
    double logprob;
};

/* 1.3 to 14 times the largest difference that another runtime shows on these models. */
static const struct golden_limits GOLDEN_EXACT = {0.01, 1e-6, 0.01, 0.003};
static const struct golden_limits GOLDEN_F16 = {0.3, 1e-3, 0.06, 0.15};
static const struct golden_limits GOLDEN_Q8ACT = {4.0, 0.8, 2.5, 2.5};
static const struct golden_limits GOLDEN_SMOL = {2.0, 0.3, 0.8, 1.2};

static inline json_t *golden_load(const char *name)
{
    char path[512];
    json_error_t error;

    (void)snprintf(path, sizeof path, "%s/%s", QUIRE_TEST_DATA, name);
    json_t *root = json_load_file(path, 0, &error);
    if (!root) fail_msg("%s: %s", path, error.text);
    return root;
}

/* An array of *n integers.  The caller frees it. */
static inline int32_t *golden_ids(const json_t *array, uint32_t *n)
{
    *n = (uint32_t)json_array_size(array);
    int32_t *ids = malloc((*n + 1) * sizeof ids[0]);
    assert_non_null(ids);
    for (uint32_t i = 0; i < *n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return ids;
}

static inline double golden_logsumexp(const float *logits, uint32_t n)
{
    double max = (double)logits[0];
    double sum = 0;

    for (uint32_t i = 1; i < n; i++)
        if ((double)logits[i] > max) max = (double)logits[i];
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - max);
    return max + log(sum);
}

static inline int golden_base64(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes n little-endian floats from base64. */
static inline void golden_floats(const char *text, float *floats, uint32_t n)
{
    uint8_t *out = (uint8_t *)floats;
    uint32_t bits = 0;
    uint32_t held = 0;
    size_t done = 0;

    for (; *text && golden_base64(*text) >= 0; text++) {
        bits = bits << 6 | (uint32_t)golden_base64(*text);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        assert_true(done < n * sizeof(float));
        out[done++] = (uint8_t)(bits >> held);
    }
    assert_int_equal(done, n * sizeof(float));
}

static inline uint32_t golden_argmax(const float *logits, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* logits: of every prompt position. */
static inline void golden_check_logprobs(const json_t *golden, const int32_t *ids, uint32_t ids_n,
                                         const float *logits, uint32_t vocab_n,
                                         const struct golden_limits *limits)
{
    const json_t *expected = json_object_get(golden, "prompt_logprobs");
    double worst = 0;

    for (uint32_t i = 1; i < ids_n; i++) {
        const float *row = logits + (size_t)(i - 1) * vocab_n;
        double ours = (double)row[ids[i]] - golden_logsumexp(row, vocab_n);
        double d = fabs(ours - json_number_value(json_array_get(expected, i)));
        if (!(d <= worst)) worst = d;
    }
    print_message("    prompt logprobs differ by at most %.3g\n", worst);
    if (!(worst <= limits->logprob)) fail_msg("prompt logprobs differ by %g", worst);
}

/* The largest difference of the last logits: of all if the file has all, else of the best 20. */
static inline double golden_worst(const json_t *golden, const float *logits, uint32_t vocab_n)
{
    const json_t *last = json_object_get(golden, "last");
    const json_t *top = json_object_get(last, "top20");
    const char *full = json_string_value(json_object_get(last, "f32_b64"));
    float *expected = malloc(vocab_n * sizeof(float));
    double worst = 0;

    assert_non_null(expected);
    if (full) golden_floats(full, expected, vocab_n);
    for (uint32_t i = 0; i < (full ? vocab_n : json_array_size(top)); i++) {
        const json_t *pair = json_array_get(top, i);
        uint32_t id = full ? i : (uint32_t)json_integer_value(json_array_get(pair, 0));
        double e = full ? (double)expected[i] : json_number_value(json_array_get(pair, 1));
        double d = fabs((double)logits[id] - e);
        if (!(d <= worst)) worst = d;
    }
    free(expected);
    return worst;
}

static inline double golden_kl(const char *base64, const float *logits, uint32_t vocab_n)
{
    float *expected = malloc(vocab_n * sizeof(float));
    double kl = 0;

    assert_non_null(expected);
    golden_floats(base64, expected, vocab_n);
    double sum = golden_logsumexp(expected, vocab_n);
    double ours = golden_logsumexp(logits, vocab_n);
    for (uint32_t i = 0; i < vocab_n; i++) {
        double p = (double)expected[i] - sum;
        kl += exp(p) * (p - ((double)logits[i] - ours));
    }
    free(expected);
    return kl;
}

static inline void golden_check_last(const json_t *golden, const float *logits, uint32_t vocab_n,
                                     const struct golden_limits *limits)
{
    const json_t *last = json_object_get(golden, "last");
    const char *full = json_string_value(json_object_get(last, "f32_b64"));
    double worst = golden_worst(golden, logits, vocab_n);

    print_message("    last logits differ by at most %.3g\n", worst);
    if (!(worst <= limits->max_abs)) fail_msg("last logits differ by %g", worst);
    if (!full) return;
    double kl = golden_kl(full, logits, vocab_n);
    print_message("    KL of the last position %.3g\n", kl);
    if (!(kl <= limits->kl)) fail_msg("KL of the last position is %g", kl);
}

/* Generates greedily up to the first difference.  logits: the prompt's last. */
static inline void golden_check_greedy(const json_t *golden, struct rig *r, uint32_t position,
                                       const float *last, const struct golden_limits *limits)
{
    const json_t *greedy = json_object_get(golden, "greedy");
    const json_t *margins = json_object_get(greedy, "margin");
    const json_t *seconds = json_object_get(greedy, "second");
    float *logits = malloc(r->vocab_n * sizeof(float));
    uint32_t ids_n;
    int32_t *ids = golden_ids(json_object_get(greedy, "ids"), &ids_n);
    uint32_t i;

    assert_non_null(logits);
    memcpy(logits, last, r->vocab_n * sizeof(float));
    for (i = 0; i < ids_n; i++) {
        int32_t ours = (int32_t)golden_argmax(logits, r->vocab_n);
        if (ours != ids[i]) {
            double margin = json_number_value(json_array_get(margins, i));
            if (margin > limits->margin)
                fail_msg("greedy step %u: %d instead of %d, margin %g", i, ours, ids[i], margin);
            if (limits->margin < 0.1)
                assert_int_equal(ours, json_integer_value(json_array_get(seconds, i)));
            break;
        }
        rig_run_chunks(r, &(struct rig_tokens){.tokens = &ids[i], .n = 1, .position = position + i},
                       1, logits);
    }
    print_message("    greedy follows for %u of %u tokens\n", i, ids_n);
    free(ids);
    free(logits);
}

/* Every case of a golden file against one model. */
static inline void golden_check(struct rig *r, const json_t *root,
                                const struct golden_limits *limits)
{
    const json_t *cases = json_object_get(root, "cases");

    assert_true(json_array_size(cases) > 0);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *golden = json_array_get(cases, i);
        uint32_t ids_n;
        int32_t *ids = golden_ids(json_object_get(golden, "prompt"), &ids_n);
        float *logits = malloc((size_t)ids_n * r->vocab_n * sizeof(float));
        assert_non_null(logits);
        print_message("  %s\n", json_string_value(json_object_get(golden, "name")));
        rig_run(r, 0, ids, ids_n, logits);
        const float *last = logits + (size_t)(ids_n - 1) * r->vocab_n;
        golden_check_logprobs(golden, ids, ids_n, logits, r->vocab_n, limits);
        golden_check_last(golden, last, r->vocab_n, limits);
        golden_check_greedy(golden, r, ids_n, last, limits);
        free(logits);
        free(ids);
    }
}

/* The largest difference of a case's last logits, on a rig of its own.  NaN counts as one. */
static inline double golden_worst_with(const struct rig_settings *settings, const json_t *golden)
{
    struct rig r;
    uint32_t ids_n;
    int32_t *ids = golden_ids(json_object_get(golden, "prompt"), &ids_n);

    rig_open(&r, settings);
    float *logits = malloc((size_t)ids_n * r.vocab_n * sizeof(float));
    assert_non_null(logits);
    rig_run(&r, 0, ids, ids_n, logits);
    double worst = golden_worst(golden, logits + (size_t)(ids_n - 1) * r.vocab_n, r.vocab_n);
    free(logits);
    free(ids);
    rig_close(&r);
    return worst;
}

#endif
