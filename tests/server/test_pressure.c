/* SPDX-License-Identifier: MIT */
/* More requests than the pages hold: no request is lost, no answer differs, and one that could
 * never fit is refused at once.  The model is SmolLM2 if its file is there, else the tiny one. */
#include "support/daemon.h"

enum { REQUESTS = 40, TOKENS = 20, LONGEST = 70, PAGE = 16 };

static struct daemon tight, wide;
static unsigned pages_n; /* of the tight one */
static int vocab_n;

/* A pool for three of the longest. */
static int start(void **state)
{
    static const char *const wide_flags[] = {"--kv-memory", "256M", "--page-tokens", "16", NULL};
    const char *model = smollm2();
    char memory[32];
    const char *tight_flags[] = {"--kv-memory", memory, "--page-tokens", "16", NULL};

    (void)state;
    vocab_n = model ? 49152 : 1024;
    if (!model) model = TINY;
    daemon_start(&wide, model, wide_flags);
    pages_n = 3 * ((LONGEST + TOKENS + PAGE - 1) / PAGE);
    (void)snprintf(memory, sizeof memory, "%.0f",
                   pages_n * PAGE * metric(&wide, "quire_kv_bytes_per_token"));
    daemon_start(&tight, model, tight_flags);
    assert_true(metric(&tight, "quire_pages{state=\"free\"}") == pages_n);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    daemon_stop(&tight);
    daemon_stop(&wide);
    return 0;
}

/* n ids that no other seed's begin with. */
static json_t *prompt_of(unsigned n, unsigned seed)
{
    json_t *ids = json_array();

    for (unsigned i = 0; i < n; i++)
        json_array_append_new(ids, json_integer(rand_r(&seed) % vocab_n));
    return ids;
}

static json_t *body_of(unsigned which)
{
    return json_pack("{s:o,s:i,s:i,s:b,s:i,s:b}", "prompt",
                     prompt_of(LONGEST - which % REQUESTS, which + 1), "max_tokens", TOKENS, "seed",
                     (int)which, "ignore_eos", 1, "logprobs", 3, "return_token_ids", 1);
}

static void send_all(const struct daemon *d, struct stream *streams)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        json_t *body = body_of(i);
        char *text = json_dumps(body, JSON_COMPACT);
        streams[i] = (struct stream){.fd = connect_to(d->socket)};
        send_post(streams[i].fd, "/v1/completions", text);
        free(text);
        json_decref(body);
    }
}

static json_t *next_answer(struct stream *s)
{
    struct answer a;

    assert_true(read_answer(s, &a));
    assert_int_equal(a.status, 200);
    json_t *json = json_loads(a.body, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    answer_free(&a);
    stream_end(s);
    return json;
}

/* A prompt of n ids, for max_tokens more; the status wanted. */
static json_t *ask_for(unsigned n, unsigned max_tokens, int status)
{
    json_t *body = json_pack("{s:o,s:i,s:b}", "prompt", prompt_of(n, 1000 + n), "max_tokens",
                             (int)max_tokens, "ignore_eos", 1);
    json_t *answer = ask_with(&tight, "/v1/completions", body, status);

    json_decref(body);
    return answer;
}

/* That it is a 400 which names the field and has these words. */
static void assert_refused(unsigned n, unsigned max_tokens, const char *param, const char *format,
                           unsigned fits)
{
    json_t *answer = ask_for(n, max_tokens, 400);
    char words[64];

    (void)snprintf(words, sizeof words, format, fits);
    assert_string_equal(text_at(answer, "error.param"), param);
    assert_string_equal(text_at(answer, "error.code"), "context_length_exceeded");
    if (!strstr(text_at(answer, "error.message"), words))
        fail_msg("no \"%s\" in: %s", words, text_at(answer, "error.message"));
    json_decref(answer);
}

/* Goal: 40 requests in a pool for 3 are all answered whole, as where there is room for all; who
 * asks for what could never fit is refused meanwhile, without waiting for any of them.
 * Method: all at once, to both servers; the figures say what each had to do. */
static void forty_fit_in_a_pool_for_three(void **state)
{
    static struct stream streams[2][REQUESTS];

    (void)state;
    send_all(&tight, streams[0]);
    assert_refused(pages_n * PAGE, 1, "prompt", "%u tokens", pages_n * PAGE);
    assert_true(metric(&tight, "quire_num_requests_running") +
                    metric(&tight, "quire_num_requests_waiting") >
                0);
    send_all(&wide, streams[1]);
    for (unsigned i = 0; i < REQUESTS; i++) {
        json_t *a = next_answer(&streams[0][i]), *b = next_answer(&streams[1][i]);
        assert_int_equal(json_array_size(at(a, "choices.0.token_ids")), TOKENS);
        assert_string_equal(text_at(a, "choices.0.finish_reason"), "length");
        assert_true(json_equal(at(a, "choices"), at(b, "choices")));
        json_decref(a);
        json_decref(b);
    }
    assert_true(metric(&tight, "quire_num_preemptions_total") > 0);
    assert_true(metric(&tight, "quire_page_evictions_total") > 0);
    assert_true(metric(&wide, "quire_num_preemptions_total") == 0);
    assert_true(metric(&wide, "quire_page_evictions_total") == 0);
    assert_true(metric(&tight, "quire_request_success_total{finished_reason=\"length\"}") ==
                REQUESTS);
    assert_true(metric(&tight, "quire_pages{state=\"held\"}") == 0);
}

/* Goal: the 400 says how many tokens would fit, and so many do.
 * Method: one more than fits and just as many, by the prompt and by max_tokens. */
static void a_refusal_says_what_would_fit(void **state)
{
    const unsigned most = pages_n * PAGE;

    (void)state;
    assert_refused(most, 1, "prompt", "%u at most", most - 1);
    assert_refused(most - 8, 9, "max_tokens", "%u at most", 8);
    json_t *answer = ask_for(most - 8, 8, 200);
    assert_int_equal(int_at(answer, "usage.completion_tokens"), 8);
    json_decref(answer);
    answer = ask_for(most - 1, 1, 200);
    assert_int_equal(int_at(answer, "usage.completion_tokens"), 1);
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forty_fit_in_a_pool_for_three),
        cmocka_unit_test(a_refusal_says_what_would_fit),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
