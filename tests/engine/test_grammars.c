/* SPDX-License-Identifier: MIT */
/* Requests with a grammar, and with a list of allowed tokens. */
#include "support/engine.h"

#define SCHEMA                                                                                     \
    "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"},\"n\":{\"type\":"          \
    "\"integer\","                                                                                 \
    "\"minimum\":0,\"maximum\":99}},\"required\":[\"ok\",\"n\"],\"additionalProperties\":false}"

static quire_grammar *compile(const quire_model *model, const char *schema, const char *regex)
{
    struct quire_grammar_settings settings;
    struct quire_error error;
    quire_grammar *grammar;

    quire_grammar_settings_defaults(&settings);
    if (schema) settings.json_schema = (struct quire_text){schema, strlen(schema)};
    if (regex) settings.regex = (struct quire_text){regex, strlen(regex)};
    if (quire_grammar_compile(model, &settings, &grammar, &error)) fail_msg("%s", error.text);
    return grammar;
}

static struct quire_request held(quire_grammar *grammar, const int32_t *prompt, size_t prompt_n,
                                 uint64_t seed)
{
    struct quire_request request;

    quire_request_defaults(&request);
    request.prompt = prompt;
    request.prompt_n = prompt_n;
    request.max_tokens = 200;
    request.temperature = 1;
    request.seed = seed;
    request.flags = QUIRE_REQUEST_SEEDED;
    request.logprobs = 2;
    request.grammar = grammar;
    return request;
}

static const int32_t prompt[] = {1, 17, 300, 5, 900, 44};

/* Goal: a text that ends matches its grammar, and it ends where no byte may follow.
 * Method: 24 seeds at temperature 1 on random weights, which would write anything. */
static void texts_are_the_grammars(void **state)
{
    quire_model *model = *state;
    quire_grammar *grammar = compile(model, SCHEMA, NULL);
    quire_engine *engine = start(model);
    uint32_t stopped = 0;

    for (uint64_t seed = 0; seed < 24; seed++) {
        struct answer *a = run(engine, held(grammar, prompt, 6, seed));
        size_t accepted;
        bool whole;
        assert_int_equal(a->kind, QUIRE_EVENT_DONE);
        assert_int_equal(quire_grammar_match(grammar, a->text, a->text_n, &accepted, &whole),
                         QUIRE_OK);
        assert_int_equal(accepted, a->text_n);
        assert_int_equal(whole, a->finish == QUIRE_FINISH_STOP);
        stopped += a->finish == QUIRE_FINISH_STOP;
        free(a);
    }
    assert_true(stopped > 12);
    stop_and_free(engine);
    quire_grammar_free(grammar);
}

/* Goal: a request with a grammar has the same bits alone and in a batch.
 * Method: three requests with and five without a grammar at once; then each of the three alone. */
static void a_held_request_has_the_same_bits_in_a_crowd(void **state)
{
    quire_model *model = *state;
    quire_grammar *schema = compile(model, SCHEMA, NULL),
                  *regex = compile(model, NULL, "[a-z]{3,9}");
    quire_engine *engine = start(model);
    quire_grammar *grammars[8] = {schema, NULL, regex, NULL, schema, NULL, NULL, NULL};
    struct quire_request requests[8];
    struct answer *crowd[8];

    for (uint32_t i = 0; i < 8; i++) {
        requests[i] = held(grammars[i], prompt, 3 + i % 4, i);
        if (!grammars[i]) requests[i].max_tokens = 40;
    }
    for (uint32_t i = 0; i < 8; i++)
        crowd[i] = submit(engine, requests[i]);
    gather(engine, 8);
    for (uint32_t i = 0; i < 8; i++) {
        struct answer *alone = run(engine, requests[i]);
        assert_int_equal(alone->ids_n, crowd[i]->ids_n);
        for (uint32_t t = 0; t < alone->ids_n; t++) {
            assert_int_equal(alone->ids[t].token, crowd[i]->ids[t].token);
            assert_memory_equal(&alone->ids[t].logprob, &crowd[i]->ids[t].logprob, sizeof(float));
        }
        free(alone);
        free(crowd[i]);
    }
    stop_and_free(engine);
    quire_grammar_free(schema);
    quire_grammar_free(regex);
}

/* Goal: a mask changes the drawn token, but no logprob.
 * Method: compare the first token of a greedy request with a grammar with that token's score in a
 * prompt. */
static void logprobs_are_of_the_logits_as_they_came(void **state)
{
    quire_model *model = *state;
    quire_grammar *grammar = compile(model, SCHEMA, NULL);
    quire_engine *engine = start(model);
    struct quire_request request = held(grammar, prompt, 6, 1);
    int32_t longer[7];

    request.temperature = 0;
    struct answer *a = run(engine, request);
    memcpy(longer, prompt, sizeof prompt);
    longer[6] = a->ids[0].token;
    request.grammar = NULL;
    request.prompt = longer;
    request.prompt_n = 7;
    request.max_tokens = 1;
    request.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    struct answer *scored = run(engine, request);
    assert_memory_equal(&scored->prompt[6].logprob, &a->ids[0].logprob, sizeof(float));
    free(a);
    free(scored);
    stop_and_free(engine);
    quire_grammar_free(grammar);
}

/* Goal: a control token that a request shows is held to its grammar by its text; others never come.
 * Method: a grammar that is one control token's text and a letter, with a bias for the token. */
static void a_shown_control_token_is_held_by_its_text(void **state)
{
    quire_model *model = *state;
    const struct quire_logit_bias bias = {1, 100};
    const int32_t shown = 1;
    char name[32], pattern[64];
    size_t name_n, n;

    assert_int_equal(quire_detokenize(model, &shown, 1, 0, NULL, 0, &n), QUIRE_OK);
    assert_int_equal(n, 0);
    assert_int_equal(
        quire_detokenize(model, &shown, 1, QUIRE_TEXT_SPECIAL, name, sizeof name, &name_n),
        QUIRE_OK);
    snprintf(pattern, sizeof pattern, "%.*s[a-z]", (int)name_n, name);
    quire_grammar *grammar = compile(model, NULL, pattern);
    quire_engine *engine = start(model);
    for (int shows = 0; shows < 2; shows++) {
        struct quire_request request = held(grammar, prompt, 6, 3);
        request.logit_bias = &bias;
        request.logit_bias_n = 1;
        request.shown_ids = &shown;
        request.shown_ids_n = (size_t)shows;
        struct answer *a = run(engine, request);
        assert_int_equal(a->kind, QUIRE_EVENT_DONE);
        assert_int_equal(a->finish, QUIRE_FINISH_STOP);
        assert_int_equal(a->text_n, name_n + 1);
        assert_memory_equal(a->text, name, name_n);
        assert_int_equal(a->ids[0].token == shown, shows);
        free(a);
    }
    stop_and_free(engine);
    quire_grammar_free(grammar);
}

/* Goal: a freed grammar stays until its requests have ended, and each choice follows it separately.
 * Method: three choices; free the grammar after they are submitted. */
static void a_request_keeps_its_grammar(void **state)
{
    quire_model *model = *state;
    quire_grammar *grammar = compile(model, NULL, "(yes|no)!"), *check;
    quire_engine *engine = start(model);
    struct quire_request request = held(grammar, prompt, 6, 4);
    request.n = 3;
    struct answer *choices = submit(engine, request);
    quire_grammar_free(grammar);
    gather(engine, 3);
    check = compile(model, NULL, "(yes|no)!");
    for (uint32_t i = 0; i < 3; i++) {
        size_t accepted;
        bool whole;
        assert_int_equal(choices[i].finish, QUIRE_FINISH_STOP);
        quire_grammar_match(check, choices[i].text, choices[i].text_n, &accepted, &whole);
        assert_true(whole);
    }
    free(choices);
    quire_grammar_free(check);
    stop_and_free(engine);
}

/* Goal: a grammar is compiled once; a request with the grammar from the cache has the same bits.
 * Method: the same schema twice, by the model's counts and the tokens of one seed. */
static void a_grammar_is_compiled_once(void **state)
{
    quire_model *model = *state;
    quire_engine *engine = start(model);
    struct quire_stats before = {.size = sizeof before}, after = {.size = sizeof after};
    struct answer *answers[2];

    quire_stats(engine, &before);
    for (int i = 0; i < 2; i++) {
        quire_grammar *grammar = compile(model, "{\"enum\":[1,22,\"once\"]}", NULL);
        answers[i] = run(engine, held(grammar, prompt, 6, 77));
        quire_grammar_free(grammar);
    }
    quire_stats(engine, &after);
    assert_int_equal(after.grammars_compiled, before.grammars_compiled + 1);
    assert_int_equal(after.grammars_reused, before.grammars_reused + 1);
    assert_int_equal(answers[0]->ids_n, answers[1]->ids_n);
    for (uint32_t t = 0; t < answers[0]->ids_n; t++)
        assert_int_equal(answers[0]->ids[t].token, answers[1]->ids[t].token);
    free(answers[0]);
    free(answers[1]);
    stop_and_free(engine);
}

/* Goal: a grammar without a source, with two, or with an unsupported one is an error with a reason.
 * Method: compile each, and one that exceeds its memory. */
static void bad_settings_are_errors(void **state)
{
    quire_model *model = *state;
    struct quire_grammar_settings settings;
    struct quire_error error;
    quire_grammar *grammar;

    quire_grammar_settings_defaults(&settings);
    assert_int_equal(quire_grammar_compile(model, &settings, &grammar, &error), QUIRE_INVALID);
    assert_null(grammar);
    settings.regex = (struct quire_text){"a", 1};
    settings.json_schema = (struct quire_text){"{}", 2};
    assert_int_equal(quire_grammar_compile(model, &settings, &grammar, &error), QUIRE_INVALID);
    settings.json_schema = (struct quire_text){NULL, 0};
    settings.regex = (struct quire_text){"(?=a)", 5};
    assert_int_equal(quire_grammar_compile(model, &settings, &grammar, &error), QUIRE_UNSUPPORTED);
    assert_string_equal(error.field, "regex");
    settings.regex = (struct quire_text){"a{1000}{1000}", 13};
    settings.memory_max = 100000;
    assert_int_equal(quire_grammar_compile(model, &settings, &grammar, &error), QUIRE_UNSUPPORTED);
}

/* Goal: a host can follow a text by itself: masks, tokens, texts, bytes and the way back.
 * Method: along a choice of two words, each answer against what the words allow. */
static void a_host_can_follow_a_text(void **state)
{
    quire_model *model = *state;
    quire_grammar *grammar = compile(model, NULL, "left|right");
    struct quire_model_info info = {.size = sizeof info};
    quire_matcher *m;
    uint64_t bytes[4];
    int32_t token = -1;
    bool may_end;

    quire_model_info(model, &info);
    uint64_t *bits = calloc((info.vocab_n + 63) / 64, sizeof *bits);
    assert_int_equal(quire_matcher_create(grammar, &m), QUIRE_OK);
    quire_grammar_free(grammar);
    assert_int_equal(quire_matcher_mask(m, bits, &may_end), QUIRE_OK);
    assert_false(may_end);
    for (uint32_t id = 0; id < info.vocab_n; id++) {
        bool allowed = bits[id >> 6] >> (id & 63) & 1;
        assert_int_equal(quire_matcher_accept(m, (int32_t)id), allowed ? QUIRE_OK : QUIRE_NO_TOKEN);
        if (!allowed) continue;
        assert_int_equal(quire_matcher_rollback(m, 1), QUIRE_OK);
        token = (int32_t)id;
    }
    assert_true(token >= 0);
    assert_int_equal(quire_matcher_accept(m, -1), QUIRE_NO_TOKEN);
    assert_int_equal(quire_matcher_accept(m, (int32_t)info.vocab_n), QUIRE_NO_TOKEN);
    assert_int_equal(quire_matcher_rollback(m, 1), QUIRE_INVALID);
    assert_int_equal(quire_matcher_accept_text(m, "rig", 3), QUIRE_OK);
    assert_int_equal(quire_matcher_accept_text(m, "x", 1), QUIRE_NO_TOKEN);
    assert_int_equal(quire_matcher_bytes(m, bytes), QUIRE_OK);
    for (uint32_t b = 0; b < 256; b++)
        assert_int_equal(bytes[b >> 6] >> (b & 63) & 1, b == 'h');
    assert_int_equal(quire_matcher_accept_text(m, "ht", 2), QUIRE_OK);
    assert_int_equal(quire_matcher_mask(m, bits, &may_end), QUIRE_OK);
    assert_true(may_end);
    assert_int_equal(quire_matcher_rollback(m, 2), QUIRE_OK);
    assert_int_equal(quire_matcher_accept_text(m, "left", 4), QUIRE_OK);
    quire_matcher_free(m);
    quire_matcher_free(NULL);
    free(bits);
}

/* Goal: a grammar of another model is refused by field.
 * Method: compile it for one model, submit it to another's engine. */
static void a_grammar_of_another_model_is_refused(void **state)
{
    quire_model *model = *state, *other = open_model(TINY);
    quire_grammar *grammar = compile(other, NULL, "a+");
    quire_engine *engine = start(model);
    struct quire_request request = held(grammar, prompt, 6, 1);
    struct quire_error error;
    quire_id id;

    assert_int_equal(quire_submit(engine, &request, &id, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "grammar");
    stop_and_free(engine);
    quire_grammar_free(grammar);
    quire_model_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_the_grammars),
        cmocka_unit_test(a_held_request_has_the_same_bits_in_a_crowd),
        cmocka_unit_test(logprobs_are_of_the_logits_as_they_came),
        cmocka_unit_test(a_shown_control_token_is_held_by_its_text),
        cmocka_unit_test(a_request_keeps_its_grammar),
        cmocka_unit_test(a_grammar_is_compiled_once),
        cmocka_unit_test(bad_settings_are_errors),
        cmocka_unit_test(a_host_can_follow_a_text),
        cmocka_unit_test(a_grammar_of_another_model_is_refused),
    };
    return cmocka_run_group_tests(tests, open_tiny, close_model);
}
