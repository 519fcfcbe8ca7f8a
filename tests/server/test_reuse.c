/* SPDX-License-Identifier: MIT */
/* Shared prompts: what is reused, to the token, and that no answer differs for it.  The model is
 * SmolLM2 if its file is there, else the tiny one. */
#include "support/daemon.h"

#define PREFIX_N 300u

static struct daemon warm, cold;
static int vocab_n;

static int start(void **state)
{
    static const char *const warm_flags[] = {"--kv-memory", "256M", NULL};
    static const char *const cold_flags[] = {"--kv-memory", "256M", "--no-prefix-cache", NULL};
    const char *model = smollm2();

    (void)state;
    vocab_n = model ? 49152 : 1024;
    daemon_start(&warm, model ? model : TINY, warm_flags);
    daemon_start(&cold, model ? model : TINY, cold_flags);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    daemon_stop(&warm);
    daemon_stop(&cold);
    return 0;
}

/* n ids, the first `same` of them the prefix's. */
static json_t *prompt_of(unsigned same, unsigned n, unsigned seed)
{
    json_t *ids = json_array();
    unsigned prefix_seed = 1;

    for (unsigned i = 0; i < n; i++) {
        int prefix = rand_r(&prefix_seed) % vocab_n, own = rand_r(&seed) % vocab_n;
        if (own == prefix) own = (own + 1) % vocab_n; /* so that it parts just there */
        json_array_append_new(ids, json_integer(i < same ? prefix : own));
    }
    return ids;
}

static json_t *body_of(json_t *prompt, int tokens_n)
{
    return json_pack("{s:O,s:i,s:i,s:b,s:i,s:b}", "prompt", prompt, "max_tokens", tokens_n,
                     "temperature", 0, "ignore_eos", 1, "logprobs", 4, "return_token_ids", 1);
}

static json_t *complete(const struct daemon *d, json_t *prompt, int tokens_n)
{
    json_t *body = body_of(prompt, tokens_n);
    json_t *answer = ask_with(d, "/v1/completions", body, 200);

    json_decref(body);
    return answer;
}

static double rows(const struct daemon *d)
{
    return metric(d, "quire_iteration_tokens_sum");
}

static long long cached_in(const json_t *answer)
{
    return int_at(answer, "usage.prompt_tokens_details.cached_tokens");
}

/* Both servers answer; the choices are the same JSON, logprobs to their last bit.  Returns what the
 * warm one had cached. */
static long long same_answers(json_t *prompt, int tokens_n)
{
    json_t *a = complete(&warm, prompt, tokens_n), *b = complete(&cold, prompt, tokens_n);
    long long cached = cached_in(a);

    assert_true(json_equal(at(a, "choices"), at(b, "choices")));
    assert_int_equal(cached_in(b), 0);
    json_decref(a);
    json_decref(b);
    json_decref(prompt);
    return cached;
}

/* Goal: a prompt that parts from one of 300 tokens after any of them reuses just those before, by
 * cached_tokens and by the rows computed; its answer is the answer of a server without a cache.
 * Method: cut points at both ends, around a page's edge and inside pages; then the same prompt
 * again. */
static void reuse_is_exact_and_unseen(void **state)
{
    static const unsigned cuts[] = {1, 31, 32, 33, 250, 299};

    (void)state;
    assert_int_equal(same_answers(prompt_of(PREFIX_N, PREFIX_N, 1), 2), 0);
    for (unsigned i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        double before = rows(&warm);
        assert_int_equal(same_answers(prompt_of(cuts[i], PREFIX_N + 12, 10 + i), 4), cuts[i]);
        assert_true(rows(&warm) - before == PREFIX_N + 12 - cuts[i] + 3);
    }
    double before = rows(&warm);
    assert_int_equal(same_answers(prompt_of(PREFIX_N, PREFIX_N, 1), 1), PREFIX_N - 1);
    assert_true(rows(&warm) - before == 1);
    assert_true(metric(&warm, "quire_prefix_cache_hits_total") ==
                1 + 31 + 32 + 33 + 250 + 299 + 299);
    assert_true(metric(&cold, "quire_prefix_cache_queries_total") == 0);
    assert_true(metric(&warm, "quire_page_copies_total") == 6); /* all cuts but 32 */
}

/* Goal: prompts of one prefix that arrive together compute it once, and are answered as ever.
 * Method: eight of them in one request, the prefix not cached before. */
static void simultaneous_prompts_compute_their_prefix_once(void **state)
{
    enum { SHARED = 280, OWN = 10, PROMPTS = 8 };
    json_t *prompts = json_array();

    (void)state;
    for (unsigned i = 0; i < PROMPTS; i++) {
        json_t *ids = prompt_of(0, SHARED, 77), *own = prompt_of(0, OWN, 200 + i);
        json_array_extend(ids, own);
        json_decref(own);
        json_array_append_new(prompts, ids);
    }
    double before = rows(&warm);
    assert_int_equal(same_answers(prompts, 1), (PROMPTS - 1) * SHARED);
    assert_true(rows(&warm) - before == SHARED + PROMPTS * OWN);
}

/* Goal: the same for clients of their own and a prefix of many steps: those that come while it is
 * computed wait for it.
 * Method: eight connections over 1,500 tokens, which take the first of them several steps; the rows
 * computed, what each had cached, and two of the answers. */
static void simultaneous_clients_compute_their_prefix_once(void **state)
{
    enum { SHARED = 1500, OWN = 10, CLIENTS = 8, TOKENS = 2 };
    struct stream streams[CLIENTS];
    json_t *prompts[CLIENTS];
    double before = rows(&warm);
    long long cached = 0;
    unsigned leaders_n = 0;

    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++) {
        json_t *own = prompt_of(0, OWN, 400 + i), *body;
        prompts[i] = prompt_of(0, SHARED, 78);
        json_array_extend(prompts[i], own);
        json_decref(own);
        body = body_of(prompts[i], TOKENS);
        char *text = json_dumps(body, JSON_COMPACT);
        streams[i] = (struct stream){.fd = connect_to(warm.socket)};
        send_post(streams[i].fd, "/v1/completions", text);
        free(text);
        json_decref(body);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct answer a;
        assert_true(read_answer(&streams[i], &a));
        assert_int_equal(a.status, 200);
        json_t *answer = json_loads(a.body, JSON_ALLOW_NUL, NULL);
        cached += cached_in(answer);
        leaders_n += cached_in(answer) == 0;
        if (i == 0 || i == CLIENTS - 1) {
            json_t *other = complete(&cold, prompts[i], TOKENS);
            assert_true(json_equal(at(answer, "choices"), at(other, "choices")));
            json_decref(other);
        }
        json_decref(answer);
        json_decref(prompts[i]);
        answer_free(&a);
        stream_end(&streams[i]);
    }
    assert_int_equal(leaders_n, 1);
    assert_int_equal(cached, (CLIENTS - 1) * SHARED);
    assert_true(rows(&warm) - before == SHARED + CLIENTS * (OWN + TOKENS - 1));
}

/* Asks a prompt or a conversation with a salt, or without (NULL); returns what was cached. */
static long long salted(bool chat, const char *salt)
{
    json_t *body = json_pack("{s:i,s:i}", "max_tokens", 2, "temperature", 0);
    const char *text =
        "Nobody else shall learn that this was asked, not even by the clock, at all.";

    if (chat)
        json_object_set_new(body, "messages",
                            json_pack("[{s:s,s:s}]", "role", "user", "content", text));
    else
        json_object_set_new(body, "prompt", json_string(text));
    if (salt) json_object_set_new(body, "cache_salt", json_string(salt));
    json_t *answer = ask_with(&warm, chat ? "/v1/chat/completions" : "/v1/completions", body, 200);
    long long cached = cached_in(answer);
    json_decref(answer);
    json_decref(body);
    return cached;
}

/* Goal: on every endpoint a salt changes what is shared: nothing of another salt's, or of no
 * salt's; all of its own. Method: one text three times each, in turns. */
static void salts_part_callers(void **state)
{
    (void)state;
    if (!smollm2()) skip(); /* the tiny model has no tokenizer */
    for (int chat = 0; chat < 2; chat++) {
        long long unsalted = salted(chat, NULL);
        assert_int_equal(salted(chat, "a"), 0);
        assert_int_equal(salted(chat, "b"), 0);
        long long again = salted(chat, NULL);
        assert_true(again > unsalted && again >= 8);
        assert_int_equal(salted(chat, "a"), again);
        assert_int_equal(salted(chat, "b"), again);
    }
}

/* Goal: free, cached and held pages add up, and unheld ones are cached.
 * Method: compare the page metrics of the servers with and without a prefix cache. */
static void pages_add_up(void **state)
{
    (void)state;
    double cached = metric(&warm, "quire_pages{state=\"cached\"}");
    assert_true(cached > 0);
    assert_true(metric(&warm, "quire_pages{state=\"held\"}") == 0);
    assert_true(metric(&cold, "quire_pages{state=\"cached\"}") == 0);
    assert_true(cached + metric(&warm, "quire_pages{state=\"free\"}") ==
                metric(&cold, "quire_pages{state=\"free\"}"));
    double waste = metric(&warm, "quire_kv_waste_ratio");
    assert_true(waste > 0 && waste < 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reuse_is_exact_and_unseen),
        cmocka_unit_test(simultaneous_prompts_compute_their_prefix_once),
        cmocka_unit_test(simultaneous_clients_compute_their_prefix_once),
        cmocka_unit_test(salts_part_callers),
        cmocka_unit_test(pages_add_up),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
