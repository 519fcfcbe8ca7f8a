/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/base/sampler_settings.h"
#include "runtime/server/params.h"
#include "runtime/server/unsupported.h"

static const struct qr_model_limits limits = {
    .vocab_n = 1000, .context_max = 2048, .prompts_max = 64};

static bool read_params(const char *body, enum qr_endpoint endpoint, struct qr_params *params,
                        struct qr_api_failure *failure, struct qr_json **document)
{
    char why[256];
    *document = qr_json_parse(body, strlen(body), why, sizeof why);
    assert_non_null(*document);
    memset(failure, 0, sizeof *failure);
    return qr_params_read(*document, endpoint, &limits, params, failure);
}

static void assert_taken(const char *body, enum qr_endpoint endpoint, struct qr_params *params)
{
    struct qr_api_failure failure;
    struct qr_json *document;
    if (!read_params(body, endpoint, params, &failure, &document))
        fail_msg("%s was refused: %s", body, failure.message);
    qr_json_free(document);
}

static void assert_refused(const char *body, enum qr_endpoint endpoint, const char *param,
                           const char *words)
{
    struct qr_params params;
    struct qr_api_failure failure;
    struct qr_json *document;
    if (read_params(body, endpoint, &params, &failure, &document)) fail_msg("%s was taken", body);
    assert_int_equal(failure.http_status, 400);
    assert_string_equal(failure.param, param);
    if (!strstr(failure.message, words)) fail_msg("%s: \"%s\"", body, failure.message);
    qr_json_free(document);
}

/* Goal: a bare request has vLLM's defaults, and null is the default of every field.
 * Method: read an empty body and one of nulls. */
static void defaults_are_vllms(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}", "{\"temperature\":null,\"top_p\":null,\"min_p\":null,\"top_k\":null,\"seed\":null,"
              "\"max_tokens\":null,\"min_tokens\":null,\"stop\":null,\"stream\":null,"
              "\"logprobs\":null,\"echo\":null,\"n\":null,\"best_of\":null,\"logit_bias\":null,"
              "\"presence_penalty\":null,\"cache_salt\":null,\"priority\":null,\"user\":null,"
              "\"stop_token_ids\":null,\"prompt_logprobs\":null,\"stream_options\":null,"
              "\"model\":null,\"top_logprobs\":null,\"ignore_eos\":null}"};
    for (size_t i = 0; i < 2; i++) {
        struct qr_params p;
        assert_taken(bodies[i], i ? QR_CHAT : QR_COMPLETIONS, &p);
        assert_true(p.request.temperature == 1 && p.request.top_p == 1 && p.request.min_p == 0 &&
                    p.request.top_k == 0);
        assert_int_equal(p.request.cache_salt.n, 0);
        assert_false(p.request.flags || p.has_max_tokens || p.stream || p.echo);
        assert_int_equal(p.request.min_tokens, 0);
        assert_int_equal(p.logprobs, -1);
        assert_int_equal(p.prompt_logprobs, -1);
        assert_int_equal(p.request.stop_n + p.request.stop_ids_n, 0);
    }
}

/* Goal: each field reaches the parameters.
 * Method: read bodies of both endpoints and compare each value. */
static void fields_are_read(void **state)
{
    (void)state;
    struct qr_params p;
    struct qr_api_failure failure;
    struct qr_json *document;
    assert_true(read_params(
        "{\"temperature\":0.5,\"top_p\":0.25,\"min_p\":0.125,\"top_k\":7,\"seed\":-5,"
        "\"max_tokens\":9,\"min_tokens\":2,\"stop\":[\"a\\u0000\",\"b\"],\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true},\"logprobs\":3,\"echo\":true,"
        "\"ignore_eos\":true,\"return_token_ids\":true,\"stop_token_ids\":[0,999]}",
        QR_COMPLETIONS, &p, &failure, &document));
    assert_true(p.request.temperature == 0.5f && p.request.top_p == 0.25f &&
                p.request.min_p == 0.125f && p.request.top_k == 7);
    assert_true((p.request.flags & QUIRE_REQUEST_SEEDED) && p.request.seed == (uint64_t)-5);
    assert_true(p.has_max_tokens && p.request.max_tokens == 9 && p.request.min_tokens == 2);
    assert_int_equal(p.request.stop_n, 2);
    assert_int_equal(p.request.stop[0].n, 2);
    assert_memory_equal(p.request.stop[0].data, "a\0", 2);
    assert_true(p.stream && p.include_usage && p.echo &&
                (p.request.flags & QUIRE_REQUEST_IGNORE_EOS) && p.return_token_ids);
    assert_int_equal(p.logprobs, 3);
    assert_int_equal(p.request.stop_ids_n, 2);
    assert_int_equal(p.request.stop_ids[1], 999);
    qr_json_free(document);

    assert_taken("{\"logprobs\":true,\"top_logprobs\":20,\"max_completion_tokens\":5,"
                 "\"max_tokens\":7,\"stop\":\"x\",\"top_k\":-1,\"seed\":-1}",
                 QR_CHAT, &p);
    assert_int_equal(p.logprobs, 20);
    assert_int_equal(p.request.max_tokens, 5);
    assert_int_equal(p.request.stop_n, 1);
    assert_int_equal(p.request.top_k, -1); /* off, as 0 is */
    assert_false(p.request.flags & QUIRE_REQUEST_SEEDED);
    assert_taken("{\"logprobs\":true}", QR_CHAT, &p);
    assert_int_equal(p.logprobs, 0);
    assert_taken("{\"logprobs\":false,\"top_logprobs\":0}", QR_CHAT, &p);
    assert_int_equal(p.logprobs, -1);
    assert_taken("{\"echo\":true,\"max_tokens\":0}", QR_COMPLETIONS, &p);
    assert_true(p.has_max_tokens && p.request.max_tokens == 0);
}

/* Goal: a wrong type or range is a 400 that names the field.
 * Method: read each wrong body for both endpoints; check the field and words of the message. */
static void wrong_fields_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param, *words;
    } both[] = {
        {"{\"temperature\":\"hot\"}", "temperature", "must be a number"},
        {"{\"temperature\":-0.1}", "temperature", "at least 0"},
        {"{\"temperature\":1e300}", "temperature", "at most"},
        {"{\"top_p\":0}", "top_p", "more than 0"},
        {"{\"top_p\":1.01}", "top_p", "at most 1"},
        {"{\"top_p\":true}", "top_p", "must be a number"},
        {"{\"min_p\":-1}", "min_p", "at least 0"},
        {"{\"min_p\":2}", "min_p", "at most 1"},
        {"{\"top_k\":-2}", "top_k", "from -1"},
        {"{\"top_k\":1.5}", "top_k", "must be an integer"},
        {"{\"seed\":1.5}", "seed", "must be an integer"},
        {"{\"seed\":\"1\"}", "seed", "must be an integer"},
        {"{\"max_tokens\":0}", "max_tokens", "at least 1"},
        {"{\"max_tokens\":-2}", "max_tokens", "from -1 to 2048"},
        {"{\"max_tokens\":2049}", "max_tokens", "from -1 to 2048"},
        {"{\"max_tokens\":\"9\"}", "max_tokens", "must be an integer"},
        {"{\"max_completion_tokens\":0}", "max_completion_tokens", "at least 1"},
        {"{\"max_completion_tokens\":[1]}", "max_completion_tokens", "must be an integer"},
        {"{\"min_tokens\":-1}", "min_tokens", "from 0"},
        {"{\"min_tokens\":5,\"max_tokens\":4}", "min_tokens", "at most max_tokens"},
        {"{\"stop\":\"\"}", "stop", "must not be empty"},
        {"{\"stop\":[\"a\",\"\"]}", "stop", "must not be empty"},
        {"{\"stop\":5}", "stop", "must be a string"},
        {"{\"stop\":[null]}", "stop", "must be a string"},
        {"{\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\","
         "\"d\",\"e\",\"f\",\"g\",\"h\"]}",
         "stop", "at most 16"},
        {"{\"stop_token_ids\":5}", "stop_token_ids", "must be a list"},
        {"{\"stop_token_ids\":[1000]}", "stop_token_ids", "stop_token_ids[0]"},
        {"{\"stop_token_ids\":[1,-1]}", "stop_token_ids", "stop_token_ids[1]"},
        {"{\"stop_token_ids\":[\"a\"]}", "stop_token_ids", "stop_token_ids[0]"},
        {"{\"stream\":1}", "stream", "must be a boolean"},
        {"{\"stream_options\":{}}", "stream_options", "needs stream"},
        {"{\"stream\":true,\"stream_options\":[]}", "stream_options", "must be an object"},
        {"{\"stream\":true,\"stream_options\":{\"include_usage\":1}}",
         "stream_options.include_usage", "must be a boolean"},
        {"{\"ignore_eos\":\"yes\"}", "ignore_eos", "must be a boolean"},
        {"{\"return_token_ids\":0}", "return_token_ids", "must be a boolean"},
        {"{\"echo\":\"x\"}", "echo", "must be a boolean"},
        {"{\"prompt_logprobs\":21}", "prompt_logprobs", "from 0 to 20"},
        {"{\"prompt_logprobs\":1,\"stream\":true}", "prompt_logprobs", "stream"},
        {"{\"n\":0}", "n", "from 1 to 128"},
        {"{\"n\":129}", "n", "from 1 to 128"},
        {"{\"n\":\"1\"}", "n", "must be an integer"},
        {"{\"best_of\":0}", "best_of", "from 1"},
        {"{\"presence_penalty\":3}", "presence_penalty", "at most 2"},
        {"{\"frequency_penalty\":-3}", "frequency_penalty", "at least -2"},
        {"{\"repetition_penalty\":0}", "repetition_penalty", "more than 0"},
        {"{\"logit_bias\":[]}", "logit_bias", "must be an object"},
        {"{\"priority\":\"high\"}", "priority", "must be an integer"},
        {"{\"priority\":1.5}", "priority", "must be an integer"},
        {"{\"priority\":2147483648}", "priority", "-2147483648"},
        {"{\"user\":5}", "user", "must be a string"},
        {"{\"cache_salt\":5}", "cache_salt", "must be a string"},
        {"{\"cache_salt\":\"\"}", "cache_salt", "must not be empty"},
        {"{\"model\":5}", "model", "must be a string"},
        {"{\"user\":{}}", "user", "must be a string"},
        {"{\"n\":3,\"best_of\":2}", "best_of", "at least n, 3"},
        {"{\"best_of\":2,\"stream\":true}", "best_of", "when stream is true"},
        {"{\"presence_penalty\":[1]}", "presence_penalty", "must be a number"},
        {"{\"logit_bias\":{\"5\":true}}", "logit_bias", "token 5 must be a number"},
        {"{\"logit_bias\":{\"5\":null}}", "logit_bias", "token 5 must be a number"},
        {"{\"logit_bias\":{\"1000\":1}}", "logit_bias", "from 0 to 999"},
        {"{\"logit_bias\":{\"99999999999999999999\":1}}", "logit_bias", "from 0 to 999"},
        {"{\"logit_bias\":{\"-1\":1}}", "logit_bias", "from 0 to 999"},
        {"{\"logit_bias\":{\"\":1}}", "logit_bias", "from 0 to 999"},
        {"{\"logit_bias\":{\"5\":1,\"05\":1}}", "logit_bias", "from 0 to 999, not '05'"},
        {"{\"logit_bias\":{\"cat\":1}}", "logit_bias", "from 0 to 999, not 'cat'"},
    };
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        assert_refused(both[i].body, QR_COMPLETIONS, both[i].param, both[i].words);
        assert_refused(both[i].body, QR_CHAT, both[i].param, both[i].words);
    }
    assert_refused("{\"logprobs\":21}", QR_COMPLETIONS, "logprobs", "from 0 to 20");
    assert_refused("{\"logprobs\":-1}", QR_COMPLETIONS, "logprobs", "from 0 to 20");
    assert_refused("{\"logprobs\":true}", QR_COMPLETIONS, "logprobs", "must be an integer");
    assert_refused("{\"logprobs\":5}", QR_CHAT, "logprobs", "must be a boolean");
    assert_refused("{\"top_logprobs\":5}", QR_CHAT, "top_logprobs", "needs logprobs");
    assert_refused("{\"logprobs\":true,\"top_logprobs\":21}", QR_CHAT, "top_logprobs", "to 20");
    assert_refused("{\"echo\":true}", QR_CHAT, "echo", "not supported yet");
}

/* Goal: default values and unknown fields are accepted.
 * Method: read a body of both. */
static void harmless_values_are_taken(void **state)
{
    (void)state;
    struct qr_params p;
    assert_taken("{\"n\":1,\"best_of\":1,\"presence_penalty\":0,\"frequency_penalty\":0.0,"
                 "\"repetition_penalty\":1,\"logit_bias\":{},\"priority\":0,\"user\":\"me\","
                 "\"model\":\"any\",\"service_tier\":17,\"tools\":[{}]}",
                 QR_COMPLETIONS, &p);
}

/* Goal: penalties and biases are read; a bias beyond OpenAI's range is cut to it, as in vLLM.
 * Method: read defaults, values inside and values outside the range. */
static void penalties_are_read(void **state)
{
    (void)state;
    struct qr_params p;
    assert_taken("{}", QR_COMPLETIONS, &p);
    assert_true(p.request.repetition_penalty == 1 && p.request.presence_penalty == 0 &&
                p.request.frequency_penalty == 0);
    assert_int_equal(p.request.logit_bias_n, 0);
    assert_taken("{\"presence_penalty\":-2,\"frequency_penalty\":0.5,\"repetition_penalty\":1.25,"
                 "\"logit_bias\":{\"0\":-1e9,\"999\":2.5,\"17\":101}}",
                 QR_CHAT, &p);
    assert_true(p.request.repetition_penalty == 1.25f && p.request.presence_penalty == -2);
    assert_true(p.request.frequency_penalty == 0.5f);
    assert_int_equal(p.request.logit_bias_n, 3);
    float sum = 0;
    for (uint32_t i = 0; i < 3; i++) {
        const struct quire_logit_bias *bias = &p.request.logit_bias[i];
        float expected = bias->token == 0 ? -100 : bias->token == 17 ? 100 : 2.5f;
        assert_true(bias->bias == expected);
        sum += bias->bias;
    }
    assert_true(sum == 2.5f); /* each of the three once */
    assert_taken("{\"repetition_penalty\":1e-60}", QR_CHAT, &p);
    assert_true(p.request.repetition_penalty > 0);
}

/* Goal: as many tokens may have a bias as OpenAI allows, and no more.
 * Method: read bodies with 300 and 301 biases. */
static void biases_are_bounded(void **state)
{
    (void)state;
    static char body[8192];
    for (int n = 300; n <= 301; n++) {
        struct qr_params p;
        size_t at = (size_t)snprintf(body, sizeof body, "{\"logit_bias\":{\"0\":1");
        for (int i = 1; i < n; i++)
            at += (size_t)snprintf(body + at, sizeof body - at, ",\"%d\":1", i);
        (void)snprintf(body + at, sizeof body - at, "}}");
        if (n == 300) {
            assert_taken(body, QR_COMPLETIONS, &p);
            assert_int_equal(p.request.logit_bias_n, 300);
        } else {
            assert_refused(body, QR_COMPLETIONS, "logit_bias", "at most 300");
        }
    }
}

/* Goal: n defaults to 1 and best_of to n.
 * Method: read bodies with neither, one and both. */
static void choices_are_counted(void **state)
{
    (void)state;
    struct qr_params p;
    assert_taken("{}", QR_CHAT, &p);
    assert_int_equal(p.request.n, 1);
    assert_int_equal(p.request.best_of, 1);
    assert_taken("{\"n\":3,\"stream\":true}", QR_CHAT, &p);
    assert_int_equal(p.request.n, 3);
    assert_int_equal(p.request.best_of, 3);
    assert_taken("{\"n\":2,\"best_of\":128}", QR_COMPLETIONS, &p);
    assert_int_equal(p.request.n, 2);
    assert_int_equal(p.request.best_of, 128);
    assert_taken("{\"n\":2,\"best_of\":2,\"stream\":true}", QR_COMPLETIONS, &p);
    assert_int_equal(p.request.best_of, 2);
}

/* Goal: a priority of 32 bits and a user of any bytes come out as they came in.
 * Method: the extremes; a user with a NUL in it. */
static void turns_are_read(void **state)
{
    (void)state;
    struct qr_params p;
    assert_taken("{\"priority\":-2147483648,\"user\":\"a\\u0000b\"}", QR_COMPLETIONS, &p);
    assert_int_equal(p.request.priority, INT32_MIN);
    assert_int_equal(p.request.end_user.n, 3);
    assert_taken("{\"priority\":2147483647}", QR_CHAT, &p);
    assert_int_equal(p.request.priority, INT32_MAX);
    assert_int_equal(p.request.end_user.n, 0);
    assert_taken("{\"priority\":null,\"user\":null}", QR_CHAT, &p);
    assert_int_equal(p.request.priority, 0);
}

/* Goal: lengths are checked against the context as in vLLM.
 * Method: ask for the length after prompts that just fit and just do not. */
static void max_tokens_fits_the_context(void **state)
{
    (void)state;
    struct qr_params none = {.has_max_tokens = false};
    struct qr_params hundred = {.has_max_tokens = true, .request.max_tokens = 100};
    struct qr_params scoring = {.has_max_tokens = true, .request.max_tokens = 0};
    struct qr_api_failure failure;
    uint32_t n;
    assert_true(qr_params_max_tokens(&none, QR_COMPLETIONS, &limits, 5, &n, &failure));
    assert_int_equal(n, 16);
    assert_true(qr_params_max_tokens(&none, QR_COMPLETIONS, &limits, 2040, &n, &failure));
    assert_int_equal(n, 8);
    assert_true(qr_params_max_tokens(&none, QR_CHAT, &limits, 48, &n, &failure));
    assert_int_equal(n, 2000);
    assert_true(qr_params_max_tokens(&hundred, QR_CHAT, &limits, 1948, &n, &failure));
    assert_int_equal(n, 100);
    assert_false(qr_params_max_tokens(&hundred, QR_CHAT, &limits, 1949, &n, &failure));
    assert_string_equal(failure.param, "max_tokens");
    assert_string_equal(failure.code, "context_length_exceeded");
    assert_false(qr_params_max_tokens(&none, QR_CHAT, &limits, 2048, &n, &failure));
    assert_string_equal(failure.param, "messages");
    assert_false(qr_params_max_tokens(&none, QR_COMPLETIONS, &limits, 2048, &n, &failure));
    assert_string_equal(failure.param, "prompt");
    assert_true(qr_params_max_tokens(&scoring, QR_COMPLETIONS, &limits, 2048, &n, &failure));
    assert_int_equal(n, 0);
    assert_false(qr_params_max_tokens(&scoring, QR_COMPLETIONS, &limits, 2049, &n, &failure));
}

/* Goal: docs/fields.md says of every sampler setting what the table of settings says.
 * Method: make each row from the table, and look for it in the file. */
static void sampler_settings_are_documented(void **state)
{
    static char page[65536];
    FILE *file = fopen(QUIRE_SOURCE_DIR "/docs/fields.md", "r");

    (void)state;
    assert_non_null(file);
    size_t n = fread(page, 1, sizeof page - 1, file);
    assert_true(n > 0 && n < sizeof page - 1);
    page[n] = 0;
    fclose(file);
    for (int i = 0; i < QR_SAMPLER_SETTINGS_N; i++) {
        const struct qr_sampler_setting *setting = &qr_sampler_settings[i];
        char range[QR_SAMPLER_RANGE_MAX], row[512];
        qr_sampler_setting_range(setting, range);
        snprintf(row, sizeof row, "\n| `%s` | both | %s | %s | %g | %c%s. |\n", setting->name,
                 setting->integer ? "integer" : "number", range, setting->normal,
                 toupper(setting->meaning[0]), setting->meaning + 1);
        if (!strstr(page, row)) fail_msg("docs/fields.md lacks this row:%s", row);
    }
}

/* Goal: the file's recommendations are the defaults of requests that name none.
 * Method: limits with defaults of their own, a bare body and one that names a setting. */
static void recommended_settings_are_defaults(void **state)
{
    (void)state;
    struct qr_model_limits recommended = limits;
    struct qr_params params;
    struct qr_api_failure failure = {0};
    char why[64];
    quire_request_defaults(&recommended.defaults);
    recommended.defaults.temperature = 0.25f;
    recommended.defaults.top_k = 20;
    struct qr_json *bare = qr_json_parse("{}", 2, why, sizeof why);
    struct qr_json *named = qr_json_parse("{\"top_k\":-1}", 12, why, sizeof why);
    assert_true(qr_params_read(bare, QR_CHAT, &recommended, &params, &failure));
    assert_true(params.request.temperature == 0.25f);
    assert_int_equal(params.request.top_k, 20);
    assert_true(qr_params_read(named, QR_CHAT, &recommended, &params, &failure));
    assert_true(params.request.temperature == 0.25f);
    assert_int_equal(params.request.top_k, -1);
    qr_json_free(bare);
    qr_json_free(named);
}

/* Goal: what other servers do and this one does not is refused by name, unless it changes nothing.
 * Method: neutral values that clients send by default, and others. */
static void unsupported_fields_are_refused(void **state)
{
    (void)state;
    static const char *const taken[] = {
        "{\"use_beam_search\":false,\"mirostat\":0,\"dry_multiplier\":0.0,\"typical_p\":1,"
        "\"length_penalty\":1.0,\"functions\":[],\"function_call\":\"auto\",\"suffix\":\"\","
        "\"modalities\":[\"text\"],\"kv_transfer_params\":{},\"top_n_sigma\":-1.0,"
        "\"t_max_predict_ms\":-1,\"n_predict\":-1,\"cache_prompt\":true,\"audio\":null}",
        "{\"mirostat_tau\":5,\"dry_base\":1.75,\"no_such_field\":[1]}",
    };
    static const struct {
        const char *body, *name;
    } refused[] = {
        {"{\"use_beam_search\":true}", "use_beam_search"},
        {"{\"mirostat\":2}", "mirostat"},
        {"{\"functions\":[{}]}", "functions"},
        {"{\"function_call\":{\"name\":\"f\"}}", "function_call"},
        {"{\"modalities\":[\"text\",\"audio\"]}", "modalities"},
        {"{\"modalities\":[\"audio\"]}", "modalities"},
        {"{\"audio\":{}}", "audio"},
        {"{\"suffix\":\"x\"}", "suffix"},
        {"{\"typical_p\":0.9}", "typical_p"},
        {"{\"dry_multiplier\":\"0\"}", "dry_multiplier"},
    };
    struct qr_api_failure failure;
    char why[64];
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        struct qr_json *body = qr_json_parse(taken[i], strlen(taken[i]), why, sizeof why);
        if (!qr_unsupported_check(body, &failure)) fail_msg("%s", failure.message);
        qr_json_free(body);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct qr_json *body =
            qr_json_parse(refused[i].body, strlen(refused[i].body), why, sizeof why);
        assert_false(qr_unsupported_check(body, &failure));
        assert_int_equal(failure.http_status, 400);
        assert_string_equal(failure.param, refused[i].name);
        qr_json_free(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recommended_settings_are_defaults),
        cmocka_unit_test(unsupported_fields_are_refused),
        cmocka_unit_test(defaults_are_vllms),
        cmocka_unit_test(fields_are_read),
        cmocka_unit_test(wrong_fields_are_named),
        cmocka_unit_test(harmless_values_are_taken),
        cmocka_unit_test(choices_are_counted),
        cmocka_unit_test(turns_are_read),
        cmocka_unit_test(max_tokens_fits_the_context),
        cmocka_unit_test(penalties_are_read),
        cmocka_unit_test(biases_are_bounded),
        cmocka_unit_test(sampler_settings_are_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
