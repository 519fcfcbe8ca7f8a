/* SPDX-License-Identifier: MIT */
/* Requests that may draw some tokens only, and never complete some sequences. */
#include "support/engine.h"

static const int32_t prompt[] = {1, 17, 300, 5, 900, 44};

static struct quire_request drawn(uint64_t seed)
{
    struct quire_request request;

    quire_request_defaults(&request);
    request.prompt = prompt;
    request.prompt_n = 6;
    request.max_tokens = 60;
    request.seed = seed;
    request.flags = QUIRE_REQUEST_SEEDED | QUIRE_REQUEST_IGNORE_EOS;
    return request;
}

static bool has(const struct answer *a, const int32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i + n <= a->ids_n; i++) {
        uint32_t same = 0;
        while (same < n && a->ids[i + same].token == ids[same])
            same++;
        if (same == n) return true;
    }
    return false;
}

/* Goal: only allowed tokens are drawn, greedily and at temperature 1, also with min_tokens.
 * Method: three tokens of random weights' vocabulary; every token of the answer is one of them. */
static void only_allowed_tokens_are_drawn(void **state)
{
    static const int32_t allowed[] = {900, 3, 511};
    quire_engine *engine = start(*state);

    for (int i = 0; i < 8; i++) {
        struct quire_request request = drawn((uint64_t)i);
        request.temperature = i % 2 ? 1.0f : 0.0f;
        request.allowed_ids = allowed;
        request.allowed_ids_n = 3;
        request.min_tokens = 5;
        struct answer *a = run(engine, request);
        assert_int_equal(a->ids_n, 60);
        for (uint32_t t = 0; t < a->ids_n; t++)
            assert_true(a->ids[t].token == 900 || a->ids[t].token == 3 || a->ids[t].token == 511);
        free(a);
    }
    stop_and_free(engine);
}

/* Goal: a banned sequence never comes, and bans change nothing else.
 * Method: ban one token and one pair of a greedy answer: neither comes again, and the answer is the
 * same up to the first of them. */
static void banned_sequences_never_come(void **state)
{
    quire_engine *engine = start(*state);
    struct quire_request request = drawn(1);
    request.temperature = 0;
    struct answer *plain = run(engine, request);
    const int32_t one[] = {plain->ids[20].token};
    const int32_t two[] = {plain->ids[10].token, plain->ids[11].token};
    const struct quire_ids bans[] = {{one, 1}, {two, 2}};

    request.bans = bans;
    request.bans_n = 2;
    struct answer *banned = run(engine, request);
    assert_true(has(plain, one, 1) && has(plain, two, 2));
    assert_false(has(banned, one, 1) || has(banned, two, 2));
    uint32_t same = 0;
    while (same < 60 && plain->ids[same].token == banned->ids[same].token)
        same++;
    const int32_t next[] = {plain->ids[same].token};
    const int32_t pair[] = {same ? plain->ids[same - 1].token : 0, plain->ids[same].token};
    assert_true(next[0] == one[0] || (pair[0] == two[0] && pair[1] == two[1]));
    free(plain);
    free(banned);
    stop_and_free(engine);
}

/* Goal: where nothing is left to draw, the request ends with an error that says so.
 * Method: allow one token and ban it. */
static void nothing_left_is_an_error(void **state)
{
    static const int32_t only[] = {900};
    const struct quire_ids ban = {only, 1};
    quire_engine *engine = start(*state);
    struct quire_request request = drawn(1);

    request.allowed_ids = only;
    request.allowed_ids_n = 1;
    request.bans = &ban;
    request.bans_n = 1;
    struct answer *a = run(engine, request);
    assert_int_equal(a->kind, QUIRE_EVENT_ERROR);
    assert_int_equal(a->status, QUIRE_NO_TOKEN);
    free(a);
    stop_and_free(engine);
}

/* Goal: a restricted request has the same bits alone and among others.
 * Method: one with both restrictions, by itself and with seven free ones. */
static void restricted_requests_have_the_same_bits_in_a_crowd(void **state)
{
    static const int32_t pair[] = {3, 900};
    const struct quire_ids ban = {pair, 2};
    static const int32_t allowed[] = {900, 3, 511, 12, 77};
    quire_engine *engine = start(*state);
    struct quire_request request = drawn(9);
    struct answer *crowd[8];

    request.allowed_ids = allowed;
    request.allowed_ids_n = 5;
    request.bans = &ban;
    request.bans_n = 1;
    request.logprobs = 2;
    struct answer *alone = run(engine, request);
    for (int i = 0; i < 8; i++)
        crowd[i] = submit(engine, i == 3 ? request : drawn((uint64_t)i));
    gather(engine, 8);
    assert_int_equal(crowd[3]->ids_n, alone->ids_n);
    for (uint32_t t = 0; t < alone->ids_n; t++) {
        assert_int_equal(crowd[3]->ids[t].token, alone->ids[t].token);
        assert_true(crowd[3]->ids[t].logprob == alone->ids[t].logprob);
    }
    for (int i = 0; i < 8; i++)
        free(crowd[i]);
    free(alone);
    stop_and_free(engine);
}

/* Goal: wrong restrictions are refused by name.
 * Method: tokens outside the vocabulary, empty sequences, arrays that are not there. */
static void wrong_restrictions_are_refused(void **state)
{
    static const int32_t outside[] = {1 << 30};
    const struct quire_ids none = {outside, 0}, far = {outside, 1};
    quire_engine *engine = start(*state);
    struct quire_request request = drawn(1);
    struct quire_error error;
    quire_id id;

    request.allowed_ids = outside;
    request.allowed_ids_n = 1;
    assert_int_equal(quire_submit(engine, &request, &id, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "allowed_token_ids");
    request.allowed_ids = NULL;
    assert_int_equal(quire_submit(engine, &request, &id, &error), QUIRE_INVALID);
    request.allowed_ids_n = 0;
    request.bans_n = 1;
    assert_int_equal(quire_submit(engine, &request, &id, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "bad_words");
    request.bans = &none;
    assert_int_equal(quire_submit(engine, &request, &id, &error), QUIRE_INVALID);
    request.bans = &far;
    assert_int_equal(quire_submit(engine, &request, &id, &error), QUIRE_INVALID);
    stop_and_free(engine);
}

static int open_file(void **state)
{
    *state = open_model(TINY);
    return 0;
}

static int close_file(void **state)
{
    quire_model_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_allowed_tokens_are_drawn),
        cmocka_unit_test(banned_sequences_never_come),
        cmocka_unit_test(nothing_left_is_an_error),
        cmocka_unit_test(restricted_requests_have_the_same_bits_in_a_crowd),
        cmocka_unit_test(wrong_restrictions_are_refused),
    };
    return cmocka_run_group_tests(tests, open_file, close_file);
}
