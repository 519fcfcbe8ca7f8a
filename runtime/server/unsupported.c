/* SPDX-License-Identifier: MIT */
#include "runtime/server/unsupported.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/server/buffer.h"

/* X(name, neutral): JSON values, with a space between, that change nothing; null always does.
 * "empty" is "", [] or {}. */
#define QR_UNSUPPORTED_FIELDS(X)                                                                   \
    /* OpenAI */                                                                                   \
    X("audio", "")                                                                                 \
    X("function_call", "\"none\" \"auto\"")                                                        \
    X("functions", "empty")                                                                        \
    X("modalities", "[\"text\"]")                                                                  \
    X("prediction", "")                                                                            \
    X("suffix", "empty")                                                                           \
    X("web_search_options", "")                                                                    \
    /* vLLM */                                                                                     \
    X("early_stopping", "false")                                                                   \
    X("include_reasoning", "true")                                                                 \
    X("kv_transfer_params", "empty")                                                               \
    X("length_penalty", "1")                                                                       \
    X("logits_processors", "empty")                                                                \
    X("media_io_kwargs", "empty")                                                                  \
    X("mm_processor_kwargs", "empty")                                                              \
    X("prompt_embeds", "empty")                                                                    \
    X("thinking_token_budget", "")                                                                 \
    X("use_beam_search", "false")                                                                  \
    X("vllm_xargs", "empty")                                                                       \
    /* llama.cpp */                                                                                \
    X("cache_prompt", "true")                                                                      \
    X("dry_multiplier", "0")                                                                       \
    X("dynatemp_range", "0")                                                                       \
    X("grammar_lazy", "false")                                                                     \
    X("id_slot", "-1 0")                                                                           \
    X("image_data", "empty")                                                                       \
    X("lora", "empty")                                                                             \
    X("min_keep", "0")                                                                             \
    X("mirostat", "0")                                                                             \
    X("n_indent", "0")                                                                             \
    X("n_predict", "-1")                                                                           \
    X("n_probs", "0")                                                                              \
    X("post_sampling_probs", "false")                                                              \
    X("repeat_penalty", "1")                                                                       \
    X("return_progress", "false")                                                                  \
    X("samplers", "empty")                                                                         \
    X("t_max_predict_ms", "0 -1")                                                                  \
    X("tfs_z", "1")                                                                                \
    X("thinking_forced_open", "false")                                                             \
    X("timings_per_token", "false")                                                                \
    X("top_n_sigma", "-1")                                                                         \
    X("typ_p", "1")                                                                                \
    X("typical_p", "1")                                                                            \
    X("xtc_probability", "0")

static const struct unsupported {
    const char *name, *neutral;
} fields[] = {
#define FIELD(name, neutral) {name, neutral},
    QR_UNSUPPORTED_FIELDS(FIELD)
#undef FIELD
};

static bool is_empty(const struct qr_json *value)
{
    const enum qr_json_type type = qr_json_type(value);

    if (type == QR_JSON_STRING) return qr_json_text(value).n == 0;
    return (type == QR_JSON_ARRAY || type == QR_JSON_OBJECT) && qr_json_length(value) == 0;
}

/* One word of a row's neutral values. */
static bool equals(const struct qr_json *value, const char *word, size_t word_n)
{
    double number;
    char text[16];

    if (word_n == strlen("empty") && memcmp(word, "empty", word_n) == 0) return is_empty(value);
    if (qr_json_type(value) == QR_JSON_BOOL)
        return word_n == (qr_json_bool(value) ? 4u : 5u) &&
               memcmp(word, qr_json_bool(value) ? "true" : "false", word_n) == 0;
    if (qr_json_type(value) == QR_JSON_STRING)
        return word_n == qr_json_text(value).n + 2 && word[0] == '"' &&
               memcmp(word + 1, qr_json_text(value).data, word_n - 2) == 0;
    if (qr_json_type(value) == QR_JSON_ARRAY)
        return qr_json_length(value) == 1 && word[0] == '[' &&
               equals(qr_json_at(value, 0), word + 1, word_n - 2);
    if (!qr_json_number(value, &number) || word_n >= sizeof text) return false;
    memcpy(text, word, word_n);
    text[word_n] = '\0';
    char *end;
    const double neutral = strtod(text, &end);
    return word_n > 0 && !*end && number == neutral;
}

static bool is_neutral(const struct qr_json *value, const char *neutral)
{
    while (*neutral) {
        const size_t n = strcspn(neutral, " ");
        if (equals(value, neutral, n)) return true;
        neutral += n + (neutral[n] == ' ');
    }
    return false;
}

bool qr_unsupported_check(const struct qr_json *body, struct qr_api_failure *failure)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const struct qr_json *value = qr_json_get(body, fields[i].name);
        if (!value || is_neutral(value, fields[i].neutral)) continue;
        return qr_fail_field(failure, fields[i].name, "%s is not supported", fields[i].name);
    }
    return true;
}
