/* SPDX-License-Identifier: MIT */
/* Over the socket, an answer has the same bits cold, cached, forked, preempted, with its prompt in
 * chunks, alone and among 64, for each KV type and page size.  The counters show that each of these
 * happened.  The model is SmolLM2 if its file is there, else the tiny one. */
#include "support/daemon.h"

enum { CASES = 7, TOKENS = 8, CHUNK = 16, FORKS = 4, OTHERS = 63 };

/* Each a little short of an edge of 16 tokens, so that every one grows by a page. */
static const unsigned lengths[CASES] = {12, 30, 46, 61, 78, 90, 110};

/* One server a situation; none has the same pages as the one that it is compared with. */
struct type {
    const char *name;
    const char *cold_page, *warm_page;
};

struct bench {
    struct daemon cold; /* shares nothing, and answers one by one: what the others are held to */
    json_t *answers[CASES], *forks[FORKS];
    double kv_token_bytes;
};

static const char *model;
static int vocab_n;

static int find_model(void **state)
{
    (void)state;
    model = smollm2();
    vocab_n = model ? 49152 : 1024;
    if (!model) model = TINY;
    return 0;
}

/* A case's body: greedy, drawn and cut draws in turns, every other with penalties. */
static json_t *body_of(unsigned which, const char *salt)
{
    static const double temperatures[] = {0, 1, 0.8}, top_ps[] = {1, 1, 0.9};
    json_t *ids = json_array();
    unsigned seed = which + 1;

    for (unsigned i = 0; i < lengths[which]; i++)
        json_array_append_new(ids, json_integer(rand_r(&seed) % vocab_n));
    json_t *body =
        json_pack("{s:o,s:i,s:f,s:f,s:i,s:b,s:i,s:b}", "prompt", ids, "max_tokens", TOKENS,
                  "temperature", temperatures[which % 3], "top_p", top_ps[which % 3], "seed",
                  (int)which, "ignore_eos", 1, "logprobs", 5, "return_token_ids", 1);
    if (which % 2) {
        json_object_set_new(body, "repetition_penalty", json_real(1.3));
        json_object_set_new(body, "presence_penalty", json_real(0.5));
        json_object_set_new(body, "frequency_penalty", json_real(0.4));
        json_object_set_new(body, "logit_bias", json_pack("{s:f,s:f}", "300", 2.5, "310", -4.0));
    }
    if (salt) json_object_set_new(body, "cache_salt", json_string(salt));
    return body;
}

static json_t *ask_case(const struct daemon *d, unsigned which, const char *salt)
{
    json_t *body = body_of(which, salt), *answer = ask_with(d, "/v1/completions", body, 200);

    json_decref(body);
    return answer;
}

/* The case with the longest prompt, whose choices part inside a page. */
static json_t *fork_body(unsigned seed, unsigned n)
{
    json_t *body = body_of(CASES - 1, "forks");

    json_object_set_new(body, "temperature", json_real(1));
    json_object_set_new(body, "seed", json_integer(seed));
    json_object_set_new(body, "n", json_integer(n));
    return body;
}

/* All cases at once, each on a connection of its own; every answer is the cold one. */
static void ask_all(const struct bench *b, const struct daemon *d, const char *salt)
{
    struct stream streams[CASES];
    char *texts[CASES];

    for (unsigned i = 0; i < CASES; i++) {
        json_t *body = body_of(i, salt);
        texts[i] = json_dumps(body, JSON_COMPACT);
        streams[i] = (struct stream){.fd = connect_to(d->socket)};
        json_decref(body);
    }
    for (unsigned i = 0; i < CASES; i++)
        send_post(streams[i].fd, "/v1/completions", texts[i]);
    for (unsigned i = 0; i < CASES; i++) {
        struct answer a;
        free(texts[i]);
        assert_true(read_answer(&streams[i], &a));
        assert_int_equal(a.status, 200);
        json_t *answer = json_loads(a.body, JSON_ALLOW_NUL, NULL);
        assert_true(json_equal(at(answer, "choices"), at(b->answers[i], "choices")));
        json_decref(answer);
        answer_free(&a);
        stream_end(&streams[i]);
    }
}

static double steps(const struct daemon *d)
{
    return metric(d, "quire_iteration_tokens_count");
}

static double rows(const struct daemon *d)
{
    return metric(d, "quire_iteration_tokens_sum");
}

/* ---- situations ---------------------------------------------------------------------------- */

/* Cold and alone: every prompt in one step, nothing found, one sequence at a time. */
static void answer_cold(struct bench *b, const struct type *type)
{
    const char *flags[] = {"--kv-type",     type->name,          "--page-tokens",
                           type->cold_page, "--no-prefix-cache", NULL};
    double sum = 0;

    daemon_start(&b->cold, model, flags);
    b->kv_token_bytes = metric(&b->cold, "quire_kv_bytes_per_token");
    for (unsigned i = 0; i < CASES; i++) {
        b->answers[i] = ask_case(&b->cold, i, NULL);
        assert_int_equal(json_array_size(at(b->answers[i], "choices.0.token_ids")), TOKENS);
        assert_int_equal(json_array_size(at(b->answers[i], "choices.0.logprobs.tokens")), TOKENS);
        sum += lengths[i] + TOKENS - 1;
    }
    assert_true(steps(&b->cold) == CASES * TOKENS);
    assert_true(rows(&b->cold) == sum);
    for (unsigned i = 0; i < FORKS; i++) {
        json_t *body = fork_body(i, 1);
        b->forks[i] = ask_with(&b->cold, "/v1/completions", body, 200);
        json_decref(body);
    }
    assert_false(json_equal(at(b->forks[0], "choices"), at(b->forks[1], "choices")));
    daemon_stop(&b->cold);
}

/* In chunks, by the number of steps that each takes. */
static void chunked(const struct bench *b, const struct daemon *d)
{
    for (unsigned i = 0; i < CASES; i++) {
        double before = steps(d);
        json_t *answer = ask_case(d, i, NULL);
        assert_true(steps(d) - before == (lengths[i] + CHUNK - 1) / CHUNK + TOKENS - 1);
        assert_int_equal(int_at(answer, "usage.prompt_tokens_details.cached_tokens"), 0);
        assert_true(json_equal(at(answer, "choices"), at(b->answers[i], "choices")));
        json_decref(answer);
    }
}

/* The same again: all but the last token is found, and copied where that is inside a page. */
static void cached(const struct bench *b, const struct daemon *d)
{
    double copies = metric(d, "quire_page_copies_total");

    for (unsigned i = 0; i < CASES; i++) {
        double before = rows(d);
        json_t *answer = ask_case(d, i, NULL);
        assert_true(rows(d) - before == TOKENS);
        assert_int_equal(int_at(answer, "usage.prompt_tokens_details.cached_tokens"),
                         lengths[i] - 1);
        assert_true(json_equal(at(answer, "choices"), at(b->answers[i], "choices")));
        json_decref(answer);
    }
    assert_true(metric(d, "quire_page_copies_total") - copies == CASES);
}

/* Choices over one prompt: all but one of them copy the page in which they part. */
static void forked(const struct bench *b, const struct daemon *d)
{
    double copies = metric(d, "quire_page_copies_total"), before = rows(d);
    json_t *body = fork_body(0, FORKS), *answer = ask_with(d, "/v1/completions", body, 200);

    assert_true(rows(d) - before == lengths[CASES - 1] + FORKS * (TOKENS - 1));
    assert_true(metric(d, "quire_page_copies_total") - copies == FORKS - 1);
    for (unsigned i = 0; i < FORKS; i++) {
        json_t *choice = choice_of(answer, i), *alone = choice_of(b->forks[i], 0);
        assert_true(json_equal(choice, alone));
        json_decref(choice);
        json_decref(alone);
    }
    json_decref(answer);
    json_decref(body);
}

/* Among 63 others in every step: these were there before and are there after.  A salt of its own
 * lets all be computed anew, in chunks. */
static void crowded(const struct bench *b, const struct daemon *d)
{
    static struct stream others[OTHERS];

    for (int i = 0; i < OTHERS; i++) {
        char body[160];
        (void)snprintf(body, sizeof body,
                       "{\"prompt\":[%d,%d],\"max_tokens\":1000,\"ignore_eos\":true,"
                       "\"stream\":true,\"seed\":%d}",
                       i + 300, i + 500, i);
        others[i] = (struct stream){.fd = connect_to(d->socket)};
        send_post(others[i].fd, "/v1/completions", body);
    }
    await_metric(d, "quire_num_requests_running", OTHERS);
    double hits = metric(d, "quire_prefix_cache_hits_total"), steps_before = steps(d);
    ask_all(b, d, "crowd");
    assert_true(steps(d) - steps_before >= (lengths[CASES - 1] + CHUNK - 1) / CHUNK + TOKENS - 1);
    assert_true(metric(d, "quire_num_requests_running") == OTHERS);
    assert_true(metric(d, "quire_prefix_cache_hits_total") == hits);
    for (int i = 0; i < OTHERS; i++)
        stream_end(&others[i]);
    await_metric(d, "quire_num_requests_running", 0);
}

/* In a pool for the longest and two pages: most have to give their pages back and are computed
 * again, with a tree (which keeps what it can) and without. */
static void preempted(const struct bench *b, const struct type *type, bool cache)
{
    const unsigned pages_n = (lengths[CASES - 1] + TOKENS + 15) / 16 + 2;
    char memory[32];
    const char *flags[] = {"--kv-type",
                           type->name,
                           "--page-tokens",
                           "16",
                           "--kv-memory",
                           memory,
                           cache ? NULL : "--no-prefix-cache",
                           NULL};
    struct daemon tight;

    (void)snprintf(memory, sizeof memory, "%.0f", pages_n * 16 * b->kv_token_bytes);
    daemon_start(&tight, model, flags);
    assert_true(metric(&tight, "quire_pages{state=\"free\"}") == pages_n);
    ask_all(b, &tight, NULL);
    assert_true(metric(&tight, "quire_num_preemptions_total") > 0);
    if (cache)
        assert_true(metric(&tight, "quire_page_evictions_total") > 0);
    else
        assert_true(metric(&tight, "quire_preempted_tokens_recomputed_total") > 0);
    daemon_stop(&tight);
}

/* Goal: see above.
 * Method: a server without a cache answers one by one, prompts in one piece; other servers, whose
 * pages hold another number of tokens, answer in every other situation; choices are compared as
 * JSON, where numbers are written so that equal ones have equal bits. */
static void same_bits(void **state)
{
    const struct type *type = *state;
    const char *flags[] = {"--kv-type",
                           type->name,
                           "--page-tokens",
                           type->warm_page,
                           "--prefill-chunk",
                           "16",
                           "--kv-memory",
                           "512M",
                           NULL};
    struct bench b = {0};
    struct daemon warm;

    answer_cold(&b, type);
    daemon_start(&warm, model, flags);
    chunked(&b, &warm);
    cached(&b, &warm);
    forked(&b, &warm);
    crowded(&b, &warm);
    assert_true(metric(&warm, "quire_num_preemptions_total") == 0);
    daemon_stop(&warm);
    preempted(&b, type, true);
    preempted(&b, type, false);
    for (unsigned i = 0; i < CASES; i++)
        json_decref(b.answers[i]);
    for (unsigned i = 0; i < FORKS; i++)
        json_decref(b.forks[i]);
}

int main(void)
{
    static struct type types[] = {
        {"f32", "32", "64"}, {"f16", "32", "16"}, {"bf16", "64", "32"}, {"q8", "128", "32"}};
    const struct CMUnitTest tests[] = {
        {"f32", same_bits, NULL, NULL, &types[0]},
        {"f16", same_bits, NULL, NULL, &types[1]},
        {"bf16", same_bits, NULL, NULL, &types[2]},
        {"q8", same_bits, NULL, NULL, &types[3]},
    };

    return cmocka_run_group_tests(tests, find_model, NULL);
}
