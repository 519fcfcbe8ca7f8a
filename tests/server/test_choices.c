/* SPDX-License-Identifier: MIT */
/* n and best_of over the socket: choices are the answers that requests alone would get, to the last
 * bit of their logprobs.  SmolLM2 where its file is, the tiny model otherwise. */
#include <math.h>

#include "support/daemon.h"

#define COMPLETIONS "/v1/completions"
#define CHAT        "/v1/chat/completions"

static struct daemon server, own; /* own: nothing is shared */
static bool real;

static int start(void **state)
{
    static const char *const flags[] = {"--kv-memory", "256M", "--max-running", "16", NULL};
    static const char *const own_flags[] = {"--kv-memory", "256M", "--no-prefix-cache", NULL};
    const char *model = smollm2();

    (void)state;
    real = model != NULL;
    daemon_start(&server, model ? model : TINY, flags);
    daemon_start(&own, model ? model : TINY, own_flags);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    daemon_stop(&server);
    daemon_stop(&own);
    return 0;
}

/* Two prompts of 45 and 64 ids: one ends inside a page, the other at its edge. */
static json_t *body_of(unsigned seed)
{
    json_t *prompts = json_array();

    for (unsigned which = 0; which < 2; which++) {
        json_t *ids = json_array();
        for (unsigned i = 0; i < (which ? 64u : 45u); i++)
            json_array_append_new(ids, json_integer(400 + (which * 101 + i * 37) % 600));
        json_array_append_new(prompts, ids);
    }
    return json_pack("{s:o,s:i,s:i,s:b,s:i,s:b}", "prompt", prompts, "max_tokens", 12, "seed", seed,
                     "ignore_eos", 1, "logprobs", 3, "return_token_ids", 1);
}

/* Goal: choice i of prompt p has index p * n + i and equals the request alone with seed + i; a
 * prompt is counted and computed once.
 * Method: two prompts, four choices each, against one request for each in a server that shares
 * nothing. */
static void choices_are_requests_alone(void **state)
{
    json_t *body = body_of(11);
    double rows = metric(&server, "quire_iteration_tokens_sum");
    double prompts = metric(&server, "quire_prompt_tokens_total");
    double copies = metric(&server, "quire_page_copies_total");

    (void)state;
    json_object_set_new(body, "n", json_integer(4));
    json_t *answer = ask_with(&server, COMPLETIONS, body, 200);
    assert_int_equal(json_array_size(at(answer, "choices")), 8);
    assert_int_equal(int_at(answer, "usage.prompt_tokens"), 45 + 64);
    assert_int_equal(int_at(answer, "usage.completion_tokens"), 8 * 12);
    assert_true(metric(&server, "quire_prompt_tokens_total") - prompts == 45 + 64);
    assert_true(metric(&server, "quire_iteration_tokens_sum") - rows == 45 + 64 + 8 * 11);
    assert_true(metric(&server, "quire_page_copies_total") - copies == 3);
    json_object_del(body, "n");
    for (unsigned i = 0; i < 4; i++) {
        json_object_set_new(body, "seed", json_integer(11 + i));
        json_t *alone = ask_with(&own, COMPLETIONS, body, 200);
        for (unsigned prompt = 0; prompt < 2; prompt++) {
            json_t *a = choice_of(answer, prompt * 4 + i), *b = choice_of(alone, prompt);
            assert_true(json_equal(a, b));
            json_decref(a);
            json_decref(b);
        }
        json_decref(alone);
    }
    json_decref(answer);
    json_decref(body);
}

/* Goal: greedy choices of a prompt are equal.
 * Method: ask for three choices of two prompts at temperature 0. */
static void greedy_choices_are_equal(void **state)
{
    json_t *body = body_of(1);

    (void)state;
    json_object_set_new(body, "n", json_integer(3));
    json_object_set_new(body, "temperature", json_integer(0));
    json_t *answer = ask_with(&server, COMPLETIONS, body, 200);
    for (unsigned i = 0; i < 6; i++) {
        json_t *a = choice_of(answer, i), *b = choice_of(answer, i / 3 * 3);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
    }
    json_decref(answer);
    json_decref(body);
}

/* Goal: a stream has each choice's deltas under its index, in order and interleaved; they add up to
 * the whole answer; usage and [DONE] come once.
 * Method: the same request whole and streamed. */
static void a_stream_interleaves_the_choices(void **state)
{
    json_t *body = body_of(5), *chunk;
    char texts[8][4096] = {{0}};
    struct answer a;
    size_t at_chunk, closed_n = 0, usage_n = 0, turns_n = 0, last = SIZE_MAX;

    (void)state;
    json_object_set_new(body, "n", json_integer(4));
    json_t *whole = ask_with(&server, COMPLETIONS, body, 200);
    json_object_set_new(body, "stream", json_true());
    json_object_set_new(body, "stream_options", json_pack("{s:b}", "include_usage", 1));
    char *text = json_dumps(body, JSON_COMPACT);
    ask(&server, "POST", COMPLETIONS, text, &a);
    assert_int_equal(a.status, 200);
    json_t *events = events_of(&a);
    json_array_foreach(events, at_chunk, chunk)
    {
        if (json_array_size(at(chunk, "choices")) == 0) {
            assert_int_equal(int_at(chunk, "usage.prompt_tokens"), 45 + 64);
            assert_int_equal(int_at(chunk, "usage.completion_tokens"), 8 * 12);
            usage_n++;
            continue;
        }
        size_t index = (size_t)int_at(chunk, "choices.0.index");
        assert_true(index < 8);
        strcat(texts[index], text_at(chunk, "choices.0.text"));
        closed_n += json_is_string(at(chunk, "choices.0.finish_reason"));
        turns_n += index != last;
        last = index;
    }
    assert_int_equal(closed_n, 8);
    assert_int_equal(usage_n, 1);
    assert_true(turns_n > 8);
    for (unsigned i = 0; i < 8; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "choices.%u.text", i);
        assert_string_equal(texts[i], text_at(whole, path));
    }
    json_decref(events);
    answer_free(&a);
    free(text);
    json_decref(whole);
    json_decref(body);
}

/* Goal: best_of returns the n with the highest sums of logprobs, best first, and counts only
 * these.
 * Method: ask for all six with n, sum their logprobs, and compare with n 2 of best_of 6. */
static void best_of_gives_the_likeliest(void **state)
{
    json_t *body = body_of(3), *value;
    double sums[6] = {0};
    size_t j;

    (void)state;
    json_object_set_new(body, "n", json_integer(6));
    json_t *all = ask_with(&server, COMPLETIONS, body, 200);
    json_object_set_new(body, "n", json_integer(2));
    json_object_set_new(body, "best_of", json_integer(6));
    json_t *best = ask_with(&server, COMPLETIONS, body, 200);
    assert_int_equal(int_at(best, "usage.completion_tokens"), 4 * 12);
    for (unsigned i = 0; i < 6; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "choices.%u.logprobs.token_logprobs", i);
        json_array_foreach((json_t *)(uintptr_t)at(all, path), j, value) sums[i] +=
            (double)(float)json_number_value(value);
    }
    for (unsigned i = 0; i < 2; i++) {
        unsigned which = 0;
        for (unsigned k = 1; k < 6; k++)
            if (sums[k] > sums[which]) which = k;
        sums[which] = -INFINITY;
        json_t *a = choice_of(best, i), *b = choice_of(all, which);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
    }
    json_decref(best);
    json_decref(all);
    json_decref(body);
}

/* Goal: each choice begins with the echoed and scored prompt.
 * Method: compare a second choice with the prompt alone and the next seed. */
static void each_choice_echoes(void **state)
{
    json_t *body = body_of(9);

    (void)state;
    json_object_set_new(body, "echo", json_true());
    json_object_set_new(body, "n", json_integer(2));
    json_t *answer = ask_with(&server, COMPLETIONS, body, 200);
    json_object_set_new(body, "n", json_integer(1));
    json_object_set_new(body, "seed", json_integer(10));
    json_t *alone = ask_with(&own, COMPLETIONS, body, 200);
    for (unsigned prompt = 0; prompt < 2; prompt++) {
        json_t *a = choice_of(answer, prompt * 2 + 1), *b = choice_of(alone, prompt);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
    }
    json_decref(alone);
    json_decref(answer);
    json_decref(body);
}

/* Goal: a conversation has as many messages as n, whole and streamed.
 * Method: compare three choices whole, streamed, and alone with seed + i. */
static void a_chat_has_choices(void **state)
{
    (void)state;
    if (!real) skip();
    json_t *body = json_pack("{s:[{s:s,s:s}],s:i,s:i,s:i}", "messages", "role", "user", "content",
                             "Name a colour.", "max_tokens", 8, "seed", 4, "n", 3);
    json_t *whole = ask_with(&server, CHAT, body, 200), *chunk;
    char texts[3][1024] = {{0}};
    bool opened[3] = {false};
    struct answer a;
    size_t i;

    assert_int_equal(json_array_size(at(whole, "choices")), 3);
    json_object_set_new(body, "stream", json_true());
    char *text = json_dumps(body, JSON_COMPACT);
    ask(&server, "POST", CHAT, text, &a);
    json_t *events = events_of(&a);
    json_array_foreach(events, i, chunk)
    {
        size_t index = (size_t)int_at(chunk, "choices.0.index");
        assert_true(index < 3);
        if (!opened[index])
            assert_string_equal(text_at(chunk, "choices.0.delta.role"), "assistant");
        opened[index] = true;
        const char *piece = text_at(chunk, "choices.0.delta.content");
        if (piece) strcat(texts[index], piece);
    }
    for (i = 0; i < 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "choices.%zu.message.content", i);
        assert_string_equal(texts[i], text_at(whole, path));
        json_object_set_new(body, "seed", json_integer(4 + (int)i));
        json_object_set_new(body, "n", json_integer(1));
        json_object_del(body, "stream");
        json_t *alone = ask_with(&own, CHAT, body, 200);
        assert_string_equal(texts[i], text_at(alone, "choices.0.message.content"));
        json_decref(alone);
    }
    json_decref(events);
    answer_free(&a);
    free(text);
    json_decref(whole);
    json_decref(body);
}

/* Goal: more choices than can run at once are a 400 that names the field and the limit.
 * Method: ask for n 17 of 16, then for best_of 18. */
static void too_many_choices_are_explained(void **state)
{
    (void)state;
    json_t *body = body_of(1);
    json_object_set_new(body, "n", json_integer(17));
    json_t *answer = ask_with(&server, COMPLETIONS, body, 400);
    assert_string_equal(text_at(answer, "error.param"), "n");
    assert_non_null(strstr(text_at(answer, "error.message"), "at most 16"));
    json_decref(answer);
    json_object_set_new(body, "best_of", json_integer(18));
    answer = ask_with(&server, COMPLETIONS, body, 400);
    assert_string_equal(text_at(answer, "error.param"), "best_of");
    json_decref(answer);
    json_decref(body);
    assert_true(metric(&server, "quire_pages{state=\"held\"}") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_are_requests_alone),
        cmocka_unit_test(greedy_choices_are_equal),
        cmocka_unit_test(a_stream_interleaves_the_choices),
        cmocka_unit_test(best_of_gives_the_likeliest),
        cmocka_unit_test(each_choice_echoes),
        cmocka_unit_test(a_chat_has_choices),
        cmocka_unit_test(too_many_choices_are_explained),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
