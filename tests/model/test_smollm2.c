/* SPDX-License-Identifier: MIT */
/* SmolLM2-135M-Instruct, Q4_1: a real model compared with its reference.  Skipped if the file is
 * missing: QUIRE_MODEL, or the one in the user's cache folder. */
#include <unistd.h>

#include "among.h"
#include "golden.h"
#include "runtime/text/tokenizer.h"

#define FILE_NAME  "SmolLM2-135M-Instruct.Q4_1.gguf"
#define PPL_TOKENS 2048u

static char path[1024];

static bool find_model(void)
{
    const char *model = getenv("QUIRE_MODEL");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");

    if (model)
        (void)snprintf(path, sizeof path, "%s", model);
    else if (cache)
        (void)snprintf(path, sizeof path, "%s/quire/%s", cache, FILE_NAME);
    else
        (void)snprintf(path, sizeof path, "%s/.cache/quire/%s", home ? home : "", FILE_NAME);
    return access(path, R_OK) == 0;
}

static void need_model(void)
{
    if (find_model()) return;
    print_message("skipped: %s is not there; ./tools/quickstart fetches it\n", path);
    skip();
}

static struct quire_text *texts_of(const struct qr_gguf *g, const char *name, uint32_t *n)
{
    const struct qr_gguf_key *key = qr_gguf_find(g, name);
    size_t cursor = 0;

    assert_non_null(key);
    *n = (uint32_t)key->count;
    struct quire_text *texts = malloc(*n * sizeof texts[0]);
    assert_non_null(texts);
    for (uint32_t i = 0; i < *n; i++)
        assert_true(qr_gguf_next_string(key, &cursor, &texts[i]));
    return texts;
}

/* The ids of tests/data/ppl_text.txt by the file's tokenizer, without BOS. */
static int32_t *ppl_ids(const struct rig *r, uint32_t *ids_n)
{
    struct qr_tokenizer_source source = {
        .bos_id = -1, .eos_id = -1, .eot_id = -1, .eom_id = -1, .add_bos = 0};
    struct qr_tokenizer *tokenizer;
    struct quire_error error;
    char text[16384];
    size_t n;

    FILE *file = fopen(QUIRE_TEST_DATA "/ppl_text.txt", "rb");
    assert_non_null(file);
    size_t text_n = fread(text, 1, sizeof text, file);
    assert_int_equal(fclose(file), 0);
    assert_true(text_n < sizeof text);
    assert_true(qr_gguf_string(&r->file, "tokenizer.ggml.model", &source.model));
    assert_true(qr_gguf_string(&r->file, "tokenizer.ggml.pre", &source.pre));
    struct quire_text *tokens = texts_of(&r->file, "tokenizer.ggml.tokens", &source.tokens_n);
    struct quire_text *merges = texts_of(&r->file, "tokenizer.ggml.merges", &source.merges_n);
    source.tokens = tokens;
    source.merges = merges;
    if (qr_tokenizer_create(&tokenizer, &source, &r->allocator, NULL, &error))
        fail_msg("%s", error.text);
    int32_t *ids = malloc((text_n + 1) * sizeof ids[0]);
    assert_non_null(ids);
    assert_int_equal(qr_tokenizer_encode(tokenizer, text, text_n, 0, ids, text_n + 1, &n),
                     QUIRE_OK);
    *ids_n = (uint32_t)n;
    qr_tokenizer_destroy(tokenizer);
    free(tokens);
    free(merges);
    return ids;
}

/* Each token's logprob given the tokens before it, in one step of n tokens. */
static void logprobs_in_one_pass(struct rig *r, const int32_t *ids, uint32_t n, double *logprobs)
{
    uint32_t *outputs = malloc(n * sizeof outputs[0]);
    struct qr_step_seq seq = {.rows_n = n, .pages = rig_pages(r, 0)};
    struct qr_step step = {
        .tokens = ids, .rows_n = n, .seqs = &seq, .seqs_n = 1, .outputs = outputs, .outputs_n = n};

    assert_non_null(outputs);
    for (uint32_t i = 0; i < n; i++)
        outputs[i] = i;
    qr_forward_run(r->forward, &step);
    for (uint32_t first = 0; first < n; first += QR_LOGITS_ROWS) {
        uint32_t some = n - first < QR_LOGITS_ROWS ? n - first : QR_LOGITS_ROWS;
        struct qr_logits_row rows[QR_LOGITS_ROWS] = {0};
        qr_forward_logits(r->forward, first, some, rows);
        for (uint32_t i = 0; i < some && first + i + 1 < n; i++) {
            const float *row = rows[i].logits;
            logprobs[first + i + 1] =
                (double)row[ids[first + i + 1]] - golden_logsumexp(row, r->vocab_n);
        }
    }
    free(outputs);
}

/* Goal: perplexity of the reference text within 1 % of the reference's.
 * Method: one pass of 2,048 tokens; the mean over the 2,047 that are predicted. */
static void expect_perplexity(enum qr_kv_type kv_type)
{
    struct rig r;
    uint32_t n;
    double sum = 0;
    double worst = 0;

    need_model();
    json_t *root = golden_load("smollm2.json");
    const json_t *golden = json_object_get(root, "perplexity");
    rig_open(&r, &(struct rig_settings){.path = path,
                                        .threads_n = 2,
                                        .kv_type = kv_type,
                                        .rows_max = PPL_TOKENS,
                                        .context_max = PPL_TOKENS});
    int32_t *ids = ppl_ids(&r, &n);
    double *logprobs = calloc(PPL_TOKENS, sizeof logprobs[0]);
    assert_non_null(logprobs);
    assert_true(n >= PPL_TOKENS);
    logprobs_in_one_pass(&r, ids, PPL_TOKENS, logprobs);
    for (uint32_t i = 1; i < PPL_TOKENS; i++)
        sum -= logprobs[i];
    double expected = json_number_value(json_object_get(golden, "ppl_single_pass"));
    double ppl = exp(sum / (PPL_TOKENS - 1));
    const json_t *some = json_object_get(golden, "logprobs_every_64th");
    for (size_t i = 0; i < json_array_size(some); i++) {
        const json_t *pair = json_array_get(some, i);
        double theirs = json_number_value(json_array_get(pair, 1));
        double d = fabs(logprobs[json_integer_value(json_array_get(pair, 0))] - theirs);
        if (!(d <= worst)) worst = d;
    }
    print_message("    perplexity %.4f, the reference %.4f; logprobs differ by at most %.3g\n", ppl,
                  expected, worst);
    assert_true(fabs(ppl / expected - 1) <= 0.01);
    assert_true(worst <= GOLDEN_SMOL.logprob);
    free(logprobs);
    free(ids);
    rig_close(&r);
    json_decref(root);
}

static void perplexity_is_the_references(void **state)
{
    (void)state;
    expect_perplexity(QR_KV_F16);
}

static void perplexity_is_the_references_with_q8_keys(void **state)
{
    (void)state;
    expect_perplexity(QR_KV_Q8);
}

/* Goal: six real prompts give the reference's answers.
 * Method: teacher-forced, and greedy to the first near tie. */
static void prompts_match_their_reference(void **state)
{
    struct rig r;

    (void)state;
    need_model();
    json_t *root = golden_load("smollm2.json");
    rig_open(&r, &(struct rig_settings){.path = path, .threads_n = 2, .kv_type = QR_KV_F16});
    golden_check(&r, root, &GOLDEN_SMOL);
    rig_close(&r);
    json_decref(root);
}

/* Goal: a real model's bits do not depend on threads, other sequences or chunks.
 * Method: 40 tokens alone on one thread in one chunk, against among 32 on two in chunks of 16. */
static void same_bits_alone_and_among_32(void **state)
{
    const uint32_t n = 40;
    struct rig_settings settings = {
        .kv_type = QR_KV_F16, .rows_max = 128, .context_max = 128, .seqs_n = AMONG_SEQS};
    struct rig r;

    (void)state;
    need_model();
    settings.path = path;
    rig_open(&r, &settings);
    const uint32_t vocab_n = r.vocab_n;
    int32_t *tokens = among_tokens(5, n, vocab_n);
    float *expected = malloc((size_t)n * vocab_n * sizeof(float));
    float *logits = malloc((size_t)n * vocab_n * sizeof(float));
    assert_true(expected && logits);
    rig_run(&r, 0, tokens, n, expected);
    rig_close(&r);
    settings.threads_n = 2;
    rig_open(&r, &settings);
    among_run(&r, tokens, n, 16, logits);
    among_expect_same(expected, logits, n, vocab_n, "among 32 in chunks of 16");
    rig_run_chunks(&r, &(struct rig_tokens){.tokens = tokens, .n = n}, 1, logits);
    among_expect_same(expected, logits, n, vocab_n, "one token a step");
    rig_close(&r);
    free(tokens);
    free(expected);
    free(logits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perplexity_is_the_references),
        cmocka_unit_test(perplexity_is_the_references_with_q8_keys),
        cmocka_unit_test(prompts_match_their_reference),
        cmocka_unit_test(same_bits_alone_and_among_32),
    };

    return cmocka_run_group_tests_name("model/smollm2", tests, NULL, NULL);
}
