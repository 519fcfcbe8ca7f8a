/* SPDX-License-Identifier: MIT */
/* Sliding windows: a small Mistral with random weights and a window of 64
 * (tests/data/mistral-tiny.f16), compared with another implementation's answers. */
#include "among.h"
#include "golden.h"

#define MISTRAL QUIRE_TEST_DATA "/mistral-tiny.f16.gguf"
#define WINDOW  64u

static json_t *root;

static int load_answers(void **state)
{
    (void)state;
    root = golden_load("mistral-tiny.f16.json");
    return 0;
}

static int drop_answers(void **state)
{
    (void)state;
    json_decref(root);
    return 0;
}

/* Goal: prompts within and beyond the window get the reference's answers up to rounding; with keys
 * in f16 as closely as other implementations do. Method: teacher-forced, then greedy; one thread
 * and two. */
static void beyond_the_window_matches_its_reference(void **state)
{
    struct rig_settings settings = {.path = MISTRAL, .kv_type = QR_KV_F32};
    struct rig r;

    (void)state;
    rig_open(&r, &settings);
    assert_int_equal(qr_model_shape(r.model)->sliding_window, WINDOW);
    golden_check(&r, root, &GOLDEN_EXACT);
    rig_close(&r);
    settings.kv_type = QR_KV_F16;
    settings.threads_n = 2;
    rig_open(&r, &settings);
    golden_check(&r, root, &GOLDEN_F16);
    rig_close(&r);
}

/* The largest difference of a case's last logits, with a window set by the caller. */
static double worst_with_window(const json_t *golden, uint32_t window)
{
    return golden_worst_with(
        &(struct rig_settings){.path = MISTRAL, .kv_type = QR_KV_F32, .window = window}, golden);
}

/* Goal: the limits above are narrow enough to notice a window of one key more or fewer, or none.
 * Method: run with each, and find the difference that the reference's makers measured for that
 * mistake; without a window the answers are those of full attention. */
static void one_key_more_or_fewer_is_caught(void **state)
{
    static const struct {
        const char *name;
        uint32_t window;
    } mistakes[] = {{"window_minus1", WINDOW - 1},
                    {"window_plus1", WINDOW + 1},
                    {"nowindow", QUIRE_WINDOW_NONE}};
    const json_t *cases = json_object_get(root, "cases");
    const json_t *all = json_object_get(root, "negative_controls_max_abs_logit_diff_last");
    const json_t *full = json_array_get(json_object_get(root, "cases_full_attention"), 0);
    uint32_t compared = 0;

    (void)state;
    for (size_t m = 0; m < sizeof mistakes / sizeof mistakes[0]; m++) {
        const json_t *found = json_object_get(all, mistakes[m].name);
        for (size_t i = 0; i < json_array_size(cases); i++) {
            const json_t *golden = json_array_get(cases, i);
            const char *name = json_string_value(json_object_get(golden, "name"));
            double expected = json_number_value(json_object_get(found, name));
            double worst = worst_with_window(golden, mistakes[m].window);
            print_message("    %s, %s: %.3g, expected %.3g\n", mistakes[m].name, name, worst,
                          expected);
            assert_true(fabs(worst - expected) <= 0.01 + 0.01 * expected);
            compared += expected > 1;
        }
    }
    assert_int_equal(compared, 6); /* two prompts are longer than the window */
    assert_true(worst_with_window(full, QUIRE_WINDOW_NONE) <= GOLDEN_EXACT.max_abs);
    assert_true(worst_with_window(full, 0) > 1);
}

/* Goal: a page with only keys before the window is not read.
 * Method: 300 tokens in chunks, alone and on two threads.  Before each step the numbers of pages
 * that left the window are overwritten with invalid ones.  The logits equal those with all pages.
 */
static void pages_before_the_window_may_be_gone(void **state)
{
    enum { TOKENS = 300 };
    static const uint32_t chunks[] = {1, 7, 50, 120};
    struct rig_settings settings = {.path = MISTRAL, .kv_type = QR_KV_F16, .page_tokens = 16};
    struct rig r;

    (void)state;
    rig_open(&r, &settings);
    const uint32_t vocab_n = r.vocab_n;
    int32_t *tokens = among_tokens(1, TOKENS, vocab_n);
    float *expected = malloc((size_t)TOKENS * vocab_n * sizeof(float));
    float *logits = malloc((size_t)TOKENS * vocab_n * sizeof(float));
    assert_true(expected && logits);
    rig_run(&r, 0, tokens, TOKENS, expected);
    rig_close(&r);
    for (uint32_t i = 0; i < 2 * sizeof chunks / sizeof chunks[0]; i++) {
        const uint32_t chunk = chunks[i / 2];
        settings.threads_n = 1 + i % 2;
        rig_open(&r, &settings);
        for (uint32_t at = 0; at < TOKENS; at += chunk) {
            uint32_t n = TOKENS - at < chunk ? TOKENS - at : chunk;
            for (uint32_t page = 0; at >= WINDOW && (page + 1) * 16 <= at - WINDOW + 1; page++)
                r.pages[page] = QR_PAGE_NONE;
            rig_run_chunks(&r, &(struct rig_tokens){.tokens = tokens + at, .n = n, .position = at},
                           n, logits + (size_t)at * vocab_n);
        }
        among_expect_same(expected, logits, TOKENS, vocab_n, "pages gone");
        rig_close(&r);
    }
    free(expected);
    free(logits);
    free(tokens);
}

/* Goal: a wide window is spread over threads by the spans that the row sees, and no others.
 * Method: a window of 600 set by the caller, 1,500 tokens: the last 40 one by one on four threads,
 * with invalid pages before the window, against one chunk on one thread. */
static void a_wide_window_is_spread_by_its_spans(void **state)
{
    enum { TOKENS = 1500, SINGLES = 40, WIDE = 600 };
    struct rig_settings settings = {.path = MISTRAL,
                                    .kv_type = QR_KV_F16,
                                    .window = WIDE,
                                    .rows_max = TOKENS,
                                    .context_max = TOKENS};
    struct rig r;

    (void)state;
    rig_open(&r, &settings);
    const uint32_t vocab_n = r.vocab_n;
    int32_t *tokens = among_tokens(2, TOKENS, vocab_n);
    float *expected = malloc((size_t)TOKENS * vocab_n * sizeof(float));
    float *logits = malloc((size_t)TOKENS * vocab_n * sizeof(float));
    assert_true(expected && logits);
    rig_run(&r, 0, tokens, TOKENS, expected);
    rig_close(&r);
    settings.threads_n = 4;
    rig_open(&r, &settings);
    rig_run(&r, 0, tokens, TOKENS - SINGLES, logits);
    for (uint32_t page = 0; (page + 1) * 32 <= TOKENS - SINGLES - WIDE + 1; page++)
        r.pages[page] = QR_PAGE_NONE;
    rig_run_chunks(&r,
                   &(struct rig_tokens){.tokens = tokens + TOKENS - SINGLES,
                                        .n = SINGLES,
                                        .position = TOKENS - SINGLES},
                   1, logits + (size_t)(TOKENS - SINGLES) * vocab_n);
    among_expect_same(expected, logits, TOKENS, vocab_n, "spread");
    rig_close(&r);
    free(expected);
    free(logits);
    free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beyond_the_window_matches_its_reference),
        cmocka_unit_test(one_key_more_or_fewer_is_caught),
        cmocka_unit_test(pages_before_the_window_may_be_gone),
        cmocka_unit_test(a_wide_window_is_spread_by_its_spans),
    };

    return cmocka_run_group_tests_name("model/mistral", tests, load_answers, drop_answers);
}
