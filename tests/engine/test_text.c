/* SPDX-License-Identifier: MIT */
/* Requests with text: its end, the text held back, and the reference's answers. */
#include <jansson.h>

#include "support/engine.h"

struct fixture {
    quire_model *model;
    quire_engine *engine;
};

static int make(void **state)
{
    const char *path = smollm2_unless_tsan();
    struct fixture *f = calloc(1, sizeof *f);

    if (path) {
        f->model = open_model(path);
        f->engine = start(f->model);
    }
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;

    if (f->model) {
        stop_and_free(f->engine);
        quire_model_close(f->model);
    }
    free(f);
    return 0;
}

static struct fixture *need(void **state)
{
    struct fixture *f = *state;

    if (!f->model) skip();
    return f;
}

static struct quire_text text_of(const char *s)
{
    return (struct quire_text){s, strlen(s)};
}

/* Runs a text's greedy continuation. */
static struct quire_request after(const struct fixture *f, const char *text, uint32_t n)
{
    static int32_t ids[512];
    size_t ids_n;

    assert_int_equal(quire_tokenize(f->model, text, strlen(text),
                                    QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS, ids, 512, &ids_n),
                     QUIRE_OK);
    return greedy(ids, ids_n, n);
}

static void assert_text(const struct answer *a, const char *text, size_t n)
{
    assert_int_equal(a->text_n, n);
    assert_memory_equal(a->text, text, n);
}

/* Goal: the streamed text is the text of the ids.
 * Method: compare with quire_detokenize of all ids. */
static void text_is_that_of_the_ids(void **state)
{
    struct fixture *f = need(state);
    struct answer *a =
        run(f->engine, after(f, "Some emoji: \xf0\x9f\x98\x80 \xf0\x9f\x8e\x89", 60));
    int32_t ids[60];
    char text[4096];
    size_t n;

    for (int i = 0; i < 60; i++)
        ids[i] = a->ids[i].token;
    assert_int_equal(quire_detokenize(f->model, ids, 60, 0, text, sizeof text, &n), QUIRE_OK);
    assert_true(n > 60);
    assert_true(a->text_n >= n); /* half a character at the end comes out as U+FFFD */
    assert_memory_equal(a->text, text, n < 3 ? n : n - 3);
    free(a);
}

/* Goal: a stop string ends the text before its first byte, at any position in tokens, and the event
 * names it.
 * Method: bytes [at, at + 9) of the free answer as a stop string, for every `at`. */
static void stop_strings_span_tokens(void **state)
{
    struct fixture *f = need(state);
    struct quire_request r = after(f, "The capital of France is", 40);
    struct answer *whole = run(f->engine, r);

    for (size_t at = 1; at + 9 <= whole->text_n && at < 40; at += 3) {
        char string[10] = {0};
        struct quire_text stop[2] = {text_of("never to be seen"), {string, 9}};
        memcpy(string, whole->text + at, 9);
        size_t first = (size_t)(strstr(whole->text, string) - whole->text);
        r.stop = stop;
        r.stop_n = 2;
        struct answer *a = run(f->engine, r);
        assert_text(a, whole->text, first);
        assert_int_equal(a->finish, QUIRE_FINISH_STOP);
        assert_int_equal(a->stop_id, -1);
        assert_string_equal(a->stop, string);
        for (uint32_t i = 0; i < a->ids_n; i++)
            assert_int_equal(a->ids[i].token, whole->ids[i].token);
        free(a);
    }
    struct quire_text never = {"France? Never!", 14};
    r.stop = &never;
    r.stop_n = 1;
    struct answer *a = run(f->engine, r);
    assert_text(a, whole->text, whole->text_n);
    assert_int_equal(a->finish, QUIRE_FINISH_LENGTH);
    free(a);
    free(whole);
}

/* Goal: text that may begin a stop string is held back, and the end brings it.
 * Method: a stop string that begins at the very end of the answer. */
static void held_text_comes_with_the_end(void **state)
{
    struct fixture *f = need(state);
    struct quire_request r = after(f, "The capital of France is", 12);
    struct answer *whole = run(f->engine, r), *a = calloc(1, sizeof *a);
    char string[8] = {0};
    struct quire_text stop = {string, 6};
    struct quire_event event;
    size_t streamed = 0;

    memcpy(string, whole->text + whole->text_n - 5, 5);
    string[5] = '\x01';
    r.stop = &stop;
    r.stop_n = 1;
    r.user = a;
    assert_int_equal(quire_submit(f->engine, &r, &a->id, NULL), QUIRE_OK);
    while (!a->terminals_n) {
        assert_int_equal(quire_wait(f->engine, &event, WAIT_MS), 1);
        if (event.kind == QUIRE_EVENT_TOKEN) streamed += event.text.n;
        if (event.kind == QUIRE_EVENT_DONE) assert_int_equal(event.text.n, 5);
        (void)take(&event);
    }
    assert_int_equal(streamed, whole->text_n - 5);
    assert_text(a, whole->text, whole->text_n);
    free(whole);
    free(a);
}

/* Goal: the end of sequence ends the text; its id is given and has no text.  ignore_eos and
 * min_tokens go on. Method: a chat with a short answer. */
static void the_end_of_sequence_ends(void **state)
{
    struct fixture *f = need(state);
    struct quire_message message = {text_of("user"), text_of("Say only the word: yes")};
    char text[1024];
    size_t n;

    assert_int_equal(quire_render(f->model, &message, 1, true, text, sizeof text - 1, &n, NULL),
                     QUIRE_OK);
    text[n] = '\0';
    struct quire_request r = after(f, text, 200);
    r.flags = 0;
    struct answer *a = run(f->engine, r);
    assert_int_equal(a->finish, QUIRE_FINISH_STOP);
    assert_true(a->ids_n < 200);
    assert_int_equal(a->stop_id, a->ids[a->ids_n - 1].token);
    assert_null(strstr(a->text, "<|im_end|>"));

    r.min_tokens = a->ids_n + 7;
    struct answer *more = run(f->engine, r);
    assert_true(more->ids_n > a->ids_n + 7 || more->finish == QUIRE_FINISH_LENGTH);
    for (uint32_t i = 0; i < a->ids_n + 7; i++)
        assert_int_not_equal(more->ids[i].token, a->stop_id);
    free(more);

    r.min_tokens = 0;
    r.flags = QUIRE_REQUEST_IGNORE_EOS;
    r.max_tokens = a->ids_n + 20;
    more = run(f->engine, r);
    assert_int_equal(more->finish, QUIRE_FINISH_LENGTH);
    assert_int_equal(more->ids[a->ids_n - 1].token, a->stop_id);
    free(more);
    free(a);
}

/* Goal: a stop id ends the text; its id is given and has no text.  Within min_tokens it is banned.
 * Method: a token of the free answer as a stop id, with and without min_tokens. */
static void stop_ids_end(void **state)
{
    struct fixture *f = need(state);
    struct quire_request r = after(f, "One, two, three,", 30);
    struct answer *whole = run(f->engine, r);
    int32_t stop[] = {49000, whole->ids[5].token};
    uint32_t first = 0;

    while (whole->ids[first].token != stop[1])
        first++;
    r.stop_ids = stop;
    r.stop_ids_n = 2;
    struct answer *a = run(f->engine, r);
    assert_int_equal(a->ids_n, first + 1);
    assert_int_equal(a->finish, QUIRE_FINISH_STOP);
    assert_int_equal(a->stop_id, stop[1]);
    int32_t before[30];
    char text[512];
    size_t text_n;
    for (uint32_t i = 0; i < first; i++)
        before[i] = a->ids[i].token;
    assert_int_equal(quire_detokenize(f->model, before, first, 0, text, sizeof text, &text_n),
                     QUIRE_OK);
    assert_text(a, text, text_n);
    free(a);

    r.min_tokens = first + 1;
    a = run(f->engine, r);
    assert_true(a->ids_n > first + 1);
    for (uint32_t i = 0; i <= first; i++)
        assert_int_not_equal(a->ids[i].token, stop[1]);
    free(a);
    free(whole);
}

/* Goal: impossible stop strings are refused.
 * Method: empty, without data, invalid UTF-8, too long. */
static void bad_stop_strings_are_refused(void **state)
{
    struct fixture *f = need(state);
    struct quire_request r = after(f, "x", 3);
    struct quire_error error;
    static char letters[1025];
    struct quire_text bad[] = {{"", 0}, {NULL, 3}, {"\xff", 1}, {"a\xc3", 2}, {letters, 1025}};
    quire_id id;

    memset(letters, 'a', sizeof letters);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r.stop = &bad[i];
        r.stop_n = 1;
        assert_int_equal(quire_submit(f->engine, &r, &id, &error), QUIRE_INVALID);
        assert_string_equal(error.field, "stop");
    }
}

/* ---- the reference ------------------------------------------------------------------------ */

static size_t ids_of(const json_t *array, int32_t *ids, size_t max)
{
    size_t n = json_array_size(array);

    assert_true(n <= max);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return n;
}

/* A greedy run is compared up to its first difference, which is excused if the reference's margin
 * is below the tolerance.  Prompt logprobs differ by at most the tolerance. */
static void follow(quire_engine *engine, const char *file, double margin_max, double logprob_max)
{
    json_t *all = json_load_file(file, 0, NULL), *c;
    size_t i;

    assert_non_null(all);
    json_array_foreach(json_object_get(all, "cases"), i, c)
    {
        int32_t prompt[512], ids[64];
        size_t prompt_n = ids_of(json_object_get(c, "prompt"), prompt, 512);
        json_t *answer = json_object_get(c, "greedy");
        json_t *logprobs = json_object_get(c, "prompt_logprobs");
        size_t ids_n = ids_of(json_object_get(answer, "ids"), ids, 64);
        struct quire_request r = greedy(prompt, prompt_n, (uint32_t)ids_n);

        r.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
        struct answer *a = run(engine, r);
        assert_int_equal(a->prompt_n, prompt_n);
        assert_true(isnan(a->prompt[0].logprob));
        for (size_t t = 0; t < prompt_n; t++) {
            assert_int_equal(a->prompt[t].token, prompt[t]);
            if (!t) continue;
            double expected = json_number_value(json_array_get(logprobs, t));
            if (fabs((double)a->prompt[t].logprob - expected) > logprob_max)
                fail_msg("%s, case %zu: prompt logprob %zu is %g, not %g", file, i, t,
                         (double)a->prompt[t].logprob, expected);
        }
        for (size_t t = 0; t < ids_n; t++) {
            if (a->ids[t].token == ids[t]) continue;
            double margin = json_number_value(json_array_get(json_object_get(answer, "margin"), t));
            if (margin > margin_max)
                fail_msg("%s, case %zu: token %zu is %d, not %d, at a margin of %g", file, i, t,
                         (int)a->ids[t].token, (int)ids[t], margin);
            break;
        }
        free(a);
    }
    json_decref(all);
}

static void smollm2_follows_the_reference(void **state)
{
    struct fixture *f = need(state);

    follow(f->engine, QUIRE_TEST_DATA "/smollm2.json", 0.8, 1.2);
}

static void llama_tiny_follows_the_reference(void **state)
{
    quire_model *model = open_model(TINY);
    quire_engine *engine = start(model);

    (void)state;
    follow(engine, QUIRE_TEST_DATA "/llama-tiny.q8_0.json", 2.5, 2.5);
    stop_and_free(engine);
    quire_model_close(model);
}

/* ---- logprobs ------------------------------------------------------------------------------ */

/* Goal: logprobs are the drawn token's and the best ones in order.
 * Method: the greedy token is the first alternative, with its logprob; all sum to less than 1. */
static void logprobs_belong_to_their_tokens(void **state)
{
    quire_model *model = open_model(TINY);
    quire_engine *engine = start(model);
    int32_t prompt[] = {10, 20, 30, 40};
    struct quire_request r = greedy(prompt, 4, 20);

    (void)state;
    struct answer *none = run(engine, r);
    for (uint32_t i = 0; i < 20; i++) {
        assert_true(isnan(none->ids[i].logprob));
        assert_int_equal(none->ids[i].top_n, 0);
    }
    assert_int_equal(none->prompt_n, 0);
    r.logprobs = 20;
    r.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    struct answer *a = run(engine, r);
    for (uint32_t i = 0; i < 20; i++) {
        const struct scored *s = &a->ids[i];
        double sum = 0.0;
        assert_int_equal(s->token, none->ids[i].token);
        assert_int_equal(s->top_n, 20);
        assert_int_equal(s->top[0].token, s->token);
        assert_memory_equal(&s->top[0].logprob, &s->logprob, sizeof s->logprob);
        for (int k = 0; k < 20; k++) {
            sum += exp((double)s->top[k].logprob);
            if (k) assert_true(s->top[k].logprob <= s->top[k - 1].logprob);
        }
        assert_true(sum <= 1.0 + 1e-5);
    }
    assert_int_equal(a->prompt_n, 4);
    assert_int_equal(a->prompt[0].top_n, 0);
    assert_int_equal(a->prompt[3].top_n, 20);
    free(a);

    /* A prompt and nothing else. */
    r.max_tokens = 0;
    r.logprobs = -1;
    a = run(engine, r);
    assert_int_equal(a->finish, QUIRE_FINISH_LENGTH);
    assert_int_equal(a->ids_n, 0);
    assert_int_equal(a->prompt_n, 4);
    assert_true(a->prompt[3].logprob < 0.0f);
    free(a);
    r.prompt_n = 1;
    a = run(engine, r);
    assert_int_equal(a->prompt_n, 1);
    assert_true(isnan(a->prompt[0].logprob));
    free(a);
    free(none);
    stop_and_free(engine);
    quire_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_that_of_the_ids),
        cmocka_unit_test(stop_strings_span_tokens),
        cmocka_unit_test(held_text_comes_with_the_end),
        cmocka_unit_test(the_end_of_sequence_ends),
        cmocka_unit_test(stop_ids_end),
        cmocka_unit_test(bad_stop_strings_are_refused),
        cmocka_unit_test(smollm2_follows_the_reference),
        cmocka_unit_test(llama_tiny_follows_the_reference),
        cmocka_unit_test(logprobs_belong_to_their_tokens),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
