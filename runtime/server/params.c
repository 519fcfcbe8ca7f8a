/* SPDX-License-Identifier: MIT */
#include "runtime/server/params.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/sampler_settings.h"
#include "runtime/server/limits.h"

#define KEY_SHOWN_MAX     32u /* bytes of a wrong key that its error quotes */
#define COMPLETION_TOKENS 16u /* OpenAI's default of max_tokens for completions */

static bool wrong_type(struct qr_api_failure *failure, const char *name, const char *expected,
                       const struct qr_json *value)
{
    return qr_fail_field(failure, name, "%s must be %s, not %s", name, expected,
                         qr_json_type_name(qr_json_type(value)));
}

bool qr_field_bool(const struct qr_json *body, const char *name, bool *out,
                   struct qr_api_failure *failure)
{
    const struct qr_json *value = qr_json_get(body, name);
    if (!value) return true;
    if (qr_json_type(value) != QR_JSON_BOOL) return wrong_type(failure, name, "a boolean", value);
    *out = qr_json_bool(value);
    return true;
}

bool qr_field_integer(const struct qr_json *body, const char *name, int64_t least, int64_t most,
                      int64_t *out, struct qr_api_failure *failure)
{
    const struct qr_json *value = qr_json_get(body, name);
    if (!value) return true;
    int64_t number;
    if (!qr_json_integer(value, &number)) return wrong_type(failure, name, "an integer", value);
    if (number < least || number > most) {
        return qr_fail_field(failure, name,
                             "%s must be from %" PRId64 " to %" PRId64 ", not %" PRId64, name,
                             least, most, number);
    }
    *out = number;
    return true;
}

bool qr_field_string(const struct qr_json *body, const char *name, struct quire_text *out,
                     struct qr_api_failure *failure)
{
    const struct qr_json *value = qr_json_get(body, name);
    if (!value) return true;
    if (qr_json_type(value) != QR_JSON_STRING) return wrong_type(failure, name, "a string", value);
    *out = qr_json_text(value);
    return true;
}

/* A number within [least, most], or (least, most] where open. */
static bool field_number(const struct qr_json *body, const char *name, double least, bool open,
                         double most, double *out, struct qr_api_failure *failure)
{
    const struct qr_json *value = qr_json_get(body, name);
    if (!value) return true;
    double number;
    if (!qr_json_number(value, &number)) return wrong_type(failure, name, "a number", value);
    if (!(open ? number > least : number >= least) || !(number <= most)) {
        return qr_fail_field(failure, name, "%s must be %s %g and at most %g, not %g", name,
                             open ? "more than" : "at least", least, most, number);
    }
    *out = number;
    return true;
}

/* ---- groups of fields ---------------------------------------------------------------------- */

static bool read_setting(const struct qr_json *body, const struct qr_sampler_setting *setting,
                         struct qr_params *p, struct qr_api_failure *f)
{
    double value = qr_sampler_setting_get(setting, &p->request);
    int64_t integer = (int64_t)value;
    if (setting->integer) {
        if (!qr_field_integer(body, setting->name, (int64_t)setting->least, (int64_t)setting->most,
                              &integer, f))
            return false;
        value = (double)integer;
    } else if (!field_number(body, setting->name, setting->least, setting->bound != QR_SAMPLER_FROM,
                             setting->most, &value, f)) {
        return false;
    }
    qr_sampler_setting_set(setting, &p->request, value);
    return true;
}

static bool read_sampling(const struct qr_json *body, struct qr_params *p, struct qr_api_failure *f)
{
    int64_t seed = -1; /* vLLM's and llama.cpp's "draw one" */
    for (int i = 0; i < QR_SAMPLER_SETTINGS_N; i++)
        if (!read_setting(body, &qr_sampler_settings[i], p, f)) return false;
    if (!qr_field_integer(body, "seed", INT64_MIN, INT64_MAX, &seed, f)) return false;
    if (seed != -1) p->request.flags |= QUIRE_REQUEST_SEEDED;
    p->request.seed = (uint64_t)seed;
    return true;
}

/* "17": a token of the vocabulary; not "017", so that no token has two keys. */
static bool token_of(struct quire_text key, uint32_t vocab_n, int32_t *token)
{
    uint64_t id = 0;
    for (size_t i = 0; i < key.n; i++) {
        if (key.data[i] < '0' || key.data[i] > '9') return false;
        id = id * 10 + (uint64_t)(key.data[i] - '0');
        if (id >= vocab_n) return false;
    }
    *token = (int32_t)id;
    return key.n == 1 || (key.n > 0 && key.data[0] != '0');
}

/* {"17": -100, ...}; a value outside OpenAI's range is cut to it, as vLLM does. */
static bool read_bias(const struct qr_json *body, const struct qr_model_limits *limits,
                      struct qr_params *p, struct qr_api_failure *f)
{
    const struct qr_json *biases = qr_json_get(body, "logit_bias");
    struct qr_json_member member = {0};
    if (!biases) return true;
    if (qr_json_type(biases) != QR_JSON_OBJECT)
        return wrong_type(f, "logit_bias", "an object", biases);
    if (qr_json_length(biases) > QR_LOGIT_BIAS_MAX) {
        return qr_fail_field(f, "logit_bias", "logit_bias has at most %u tokens",
                             QR_LOGIT_BIAS_MAX);
    }
    while (qr_json_next(biases, &member)) {
        struct quire_logit_bias *bias = &p->logit_bias[p->request.logit_bias_n++];
        double value;
        if (!token_of(member.key, limits->vocab_n, &bias->token)) {
            return qr_fail_field(f, "logit_bias",
                                 "a key of logit_bias must be a token id from 0 to %u, not '%.*s'",
                                 limits->vocab_n - 1,
                                 (int)(member.key.n < KEY_SHOWN_MAX ? member.key.n : KEY_SHOWN_MAX),
                                 member.key.data);
        }
        if (!qr_json_number(member.value, &value)) {
            return qr_fail_field(f, "logit_bias",
                                 "logit_bias of token %" PRId32 " must be a number, not %s",
                                 bias->token, qr_json_type_name(qr_json_type(member.value)));
        }
        bias->bias = (float)fmax(-(double)QR_BIAS_MAX, fmin(value, (double)QR_BIAS_MAX));
    }
    return true;
}

static bool read_lengths(const struct qr_json *body, enum qr_endpoint endpoint,
                         const struct qr_model_limits *limits, struct qr_params *p,
                         struct qr_api_failure *f)
{
    int64_t max_tokens = -1, min_tokens = 0;
    const char *name = "max_completion_tokens";
    if (!qr_json_get(body, name)) name = "max_tokens";
    /* -1 is llama.cpp's "the rest of the context", which is chat's default. */
    if (!qr_field_integer(body, "max_tokens", -1, limits->context_max, &max_tokens, f) ||
        !qr_field_integer(body, "max_completion_tokens", -1, limits->context_max, &max_tokens, f) ||
        !qr_field_integer(body, "min_tokens", 0, limits->context_max, &min_tokens, f))
        return false;
    if (max_tokens == 0 && !(endpoint == QR_COMPLETIONS && p->echo))
        return qr_fail_field(f, name, "%s must be at least 1; 0 scores a prompt, with echo", name);
    if (max_tokens >= 0 && min_tokens > max_tokens)
        return qr_fail_field(f, "min_tokens", "min_tokens must be at most %s", name);
    if (max_tokens < 0 && qr_json_get(body, name)) p->wants_rest = true;
    p->has_max_tokens = max_tokens >= 0;
    p->request.max_tokens = p->has_max_tokens ? (uint32_t)max_tokens : 0;
    p->request.min_tokens = (uint32_t)min_tokens;
    return true;
}

static bool add_stop(const struct qr_json *value, struct qr_params *p, struct qr_api_failure *f)
{
    if (qr_json_type(value) != QR_JSON_STRING)
        return wrong_type(f, "stop", "a string or a list of strings", value);
    struct quire_text text = qr_json_text(value);
    if (text.n == 0) return qr_fail_field(f, "stop", "stop strings must not be empty");
    if (text.n > QR_STOP_BYTES_MAX)
        return qr_fail_field(f, "stop", "a stop string has at most %u bytes", QR_STOP_BYTES_MAX);
    if (p->request.stop_n == QR_STOP_STRINGS_MAX)
        return qr_fail_field(f, "stop", "there are at most %u stop strings", QR_STOP_STRINGS_MAX);
    p->stop[p->request.stop_n++] = text;
    return true;
}

static bool read_stops(const struct qr_json *body, const struct qr_model_limits *limits,
                       struct qr_params *p, struct qr_api_failure *f)
{
    const struct qr_json *stop = qr_json_get(body, "stop");
    if (stop && qr_json_type(stop) != QR_JSON_ARRAY && !add_stop(stop, p, f)) return false;
    if (qr_json_type(stop) == QR_JSON_ARRAY) {
        for (size_t i = 0; i < qr_json_length(stop); i++)
            if (!add_stop(qr_json_at(stop, i), p, f)) return false;
    }
    const struct qr_json *ids = qr_json_get(body, "stop_token_ids");
    if (!ids) return true;
    if (qr_json_type(ids) != QR_JSON_ARRAY)
        return wrong_type(f, "stop_token_ids", "a list of token ids", ids);
    if (qr_json_length(ids) > QR_STOP_IDS_MAX) {
        return qr_fail_field(f, "stop_token_ids", "there are at most %u stop_token_ids",
                             QR_STOP_IDS_MAX);
    }
    for (size_t i = 0; i < qr_json_length(ids); i++) {
        int64_t id;
        if (!qr_json_integer(qr_json_at(ids, i), &id) || id < 0 || id >= limits->vocab_n) {
            return qr_fail_field(f, "stop_token_ids",
                                 "stop_token_ids[%zu] must be a token id from 0 to %u", i,
                                 limits->vocab_n - 1);
        }
        p->stop_ids[p->request.stop_ids_n++] = (int32_t)id;
    }
    return true;
}

static bool read_logprobs(const struct qr_json *body, enum qr_endpoint endpoint,
                          struct qr_params *p, struct qr_api_failure *f)
{
    int64_t logprobs = -1, prompt_logprobs = -1;
    if (endpoint == QR_COMPLETIONS) {
        const struct qr_json *value = qr_json_get(body, "logprobs");
        const bool off = qr_json_type(value) == QR_JSON_BOOL && !qr_json_bool(value);
        if (!off && !qr_field_integer(body, "logprobs", 0, QR_LOGPROBS_MAX, &logprobs, f))
            return false;
    } else {
        bool wanted = false;
        int64_t top = 0;
        if (!qr_field_bool(body, "logprobs", &wanted, f) ||
            !qr_field_integer(body, "top_logprobs", 0, QR_LOGPROBS_MAX, &top, f))
            return false;
        if (top > 0 && !wanted)
            return qr_fail_field(f, "top_logprobs", "top_logprobs needs logprobs to be true");
        if (wanted) logprobs = top;
    }
    if (!qr_field_bool(body, "return_tokens_as_token_ids", &p->names_ids, f)) return false;
    if (!qr_field_integer(body, "prompt_logprobs", 0, QR_LOGPROBS_MAX, &prompt_logprobs, f))
        return false;
    if (prompt_logprobs >= 0 && p->stream) {
        return qr_fail_field(f, "prompt_logprobs",
                             "prompt_logprobs are not available when stream is true");
    }
    p->logprobs = (int32_t)logprobs;
    p->prompt_logprobs = (int32_t)prompt_logprobs;
    p->request.logprobs = (int32_t)(logprobs > prompt_logprobs ? logprobs : prompt_logprobs);
    return true;
}

static bool read_answer(const struct qr_json *body, enum qr_endpoint endpoint, struct qr_params *p,
                        struct qr_api_failure *f)
{
    bool ignore_eos = false, skips_special = true;
    if (!qr_field_bool(body, "include_stop_str_in_output", &p->includes_stop, f) ||
        !qr_field_bool(body, "skip_special_tokens", &skips_special, f))
        return false;
    if (!skips_special) p->request.flags |= QUIRE_REQUEST_SPECIAL_TEXT;
    if (!qr_field_bool(body, "stream", &p->stream, f) ||
        !qr_field_bool(body, "echo", &p->echo, f) ||
        !qr_field_bool(body, "ignore_eos", &ignore_eos, f) ||
        !qr_field_bool(body, "return_token_ids", &p->return_token_ids, f))
        return false;
    if (ignore_eos) p->request.flags |= QUIRE_REQUEST_IGNORE_EOS;
    if (p->echo && endpoint == QR_CHAT)
        return qr_fail_field(f, "echo", "echo is not supported yet for chat");
    const struct qr_json *options = qr_json_get(body, "stream_options");
    if (!options) return true;
    if (qr_json_type(options) != QR_JSON_OBJECT)
        return wrong_type(f, "stream_options", "an object", options);
    if (!p->stream)
        return qr_fail_field(f, "stream_options", "stream_options needs stream to be true");
    if (!qr_field_bool(options, "include_usage", &p->include_usage, f)) {
        (void)snprintf(f->param, sizeof f->param, "stream_options.include_usage");
        return false;
    }
    if (!qr_field_bool(options, "continuous_usage_stats", &p->continuous_usage, f)) {
        (void)snprintf(f->param, sizeof f->param, "stream_options.continuous_usage_stats");
        return false;
    }
    return true;
}

/* After read_answer. */
static bool read_choices(const struct qr_json *body, struct qr_params *p, struct qr_api_failure *f)
{
    int64_t n = 1, best_of = 0;
    if (!qr_field_integer(body, "n", 1, QR_CHOICES_MAX, &n, f) ||
        !qr_field_integer(body, "best_of", 1, QR_CHOICES_MAX, &best_of, f))
        return false;
    if (best_of && best_of < n)
        return qr_fail_field(f, "best_of", "best_of must be at least n, %" PRId64, n);
    if (best_of > n && p->stream) {
        return qr_fail_field(f, "best_of",
                             "best_of must be n when stream is true: the best are known when all "
                             "have ended");
    }
    p->request.n = (uint32_t)n;
    p->request.best_of = best_of > n ? (uint32_t)best_of : p->request.n;
    return true;
}

static bool read_order(const struct qr_json *body, struct qr_params *p, struct qr_api_failure *f)
{
    int64_t priority = 0;
    if (!qr_field_integer(body, "priority", INT32_MIN, INT32_MAX, &priority, f)) return false;
    p->request.priority = (int32_t)priority;
    return qr_field_string(body, "user", &p->request.end_user, f);
}

static bool read_salt(const struct qr_json *body, struct qr_params *p, struct qr_api_failure *f)
{
    if (!qr_json_get(body, "cache_salt")) return true;
    if (!qr_field_string(body, "cache_salt", &p->request.cache_salt, f)) return false;
    if (p->request.cache_salt.n == 0)
        return qr_fail_field(f, "cache_salt", "cache_salt must not be empty");
    if (p->request.cache_salt.n > QR_SALT_MAX)
        return qr_fail_field(f, "cache_salt", "cache_salt has at most %u bytes", QR_SALT_MAX);
    return true;
}

/* ---- public -------------------------------------------------------------------------------- */

bool qr_params_read(const struct qr_json *body, enum qr_endpoint endpoint,
                    const struct qr_model_limits *limits, struct qr_params *params,
                    struct qr_api_failure *failure)
{
    struct quire_text model; /* any name is this server's one model */
    memset(params, 0, sizeof *params);
    if (limits->defaults.size)
        params->request = limits->defaults;
    else
        quire_request_defaults(&params->request);
    params->request.logit_bias = params->logit_bias;
    params->request.stop = params->stop;
    params->request.stop_ids = params->stop_ids;
    return qr_field_string(body, "model", &model, failure) && read_order(body, params, failure) &&
           read_answer(body, endpoint, params, failure) && read_choices(body, params, failure) &&
           read_sampling(body, params, failure) && read_bias(body, limits, params, failure) &&
           read_lengths(body, endpoint, limits, params, failure) &&
           read_stops(body, limits, params, failure) &&
           read_logprobs(body, endpoint, params, failure) && read_salt(body, params, failure);
}

bool qr_params_max_tokens(const struct qr_params *params, enum qr_endpoint endpoint,
                          const struct qr_model_limits *limits, size_t prompt_n,
                          uint32_t *max_tokens, struct qr_api_failure *failure)
{
    const char *prompt_name = endpoint == QR_CHAT ? "messages" : "prompt";
    const bool scores = params->has_max_tokens && params->request.max_tokens == 0;
    if (prompt_n + !scores > limits->context_max) {
        (void)qr_fail(failure, 400, "context_length_exceeded", prompt_name,
                      "This model's maximum context length is %u tokens, and the prompt has %zu: "
                      "%u at most fit",
                      limits->context_max, prompt_n, limits->context_max - !scores);
        failure->prompt_tokens = prompt_n;
        failure->context_max = limits->context_max;
        return false;
    }
    uint32_t room = limits->context_max - (uint32_t)prompt_n;
    if (params->has_max_tokens) {
        if (params->request.max_tokens > room && !params->cuts_max_tokens) {
            return qr_fail(failure, 400, "context_length_exceeded", "max_tokens",
                           "This model's maximum context length is %u tokens, and %zu of the "
                           "prompt and %u of max_tokens were asked for: %u at most fit",
                           limits->context_max, prompt_n, params->request.max_tokens, room);
        }
        *max_tokens = params->request.max_tokens < room ? params->request.max_tokens : room;
    } else {
        const bool few = endpoint == QR_COMPLETIONS && !params->wants_rest;
        *max_tokens = few && room > COMPLETION_TOKENS ? COMPLETION_TOKENS : room;
    }
    if (params->request.min_tokens > *max_tokens) {
        return qr_fail_field(failure, "min_tokens",
                             "min_tokens must be at most max_tokens, here %u", *max_tokens);
    }
    return true;
}
