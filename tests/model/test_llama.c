/* SPDX-License-Identifier: MIT */
/* A small llama with random weights (tests/data/llama-tiny.*), compared with another
 * implementation's answers. */
#include <unistd.h>

#include "floats.h"
#include "golden.h"

#define TINY QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"

static void check_golden(const struct rig_settings *settings, const struct golden_limits *limits)
{
    json_t *root = golden_load("llama-tiny.q8_0.json");
    struct rig r;

    rig_open(&r, settings);
    golden_check(&r, root, limits);
    rig_close(&r);
    json_decref(root);
}

/* Goal: a quantised file gives the reference's answers, up to the rounding of 8-bit activations.
 * Method: prompts teacher-forced, then greedy to the first near tie; the scalar kernels too. */
static void quantised_file_matches_its_reference(void **state)
{
    (void)state;
    check_golden(&(struct rig_settings){.path = TINY, .kv_type = QR_KV_F16}, &GOLDEN_Q8ACT);
    check_golden(&(struct rig_settings){.path = TINY, .cpu_level = "scalar"}, &GOLDEN_Q8ACT);
}

/* Goal: the same for a file of mixed types, Q4_K and Q6_K, as llama-quantize writes it.
 * Method: its own prompts and answers. */
static void mixed_file_matches_its_reference(void **state)
{
    json_t *root = golden_load("llama-tiny.q4_k_m.json");
    struct rig r;

    (void)state;
    rig_open(&r, &(struct rig_settings){.path = QUIRE_TEST_DATA "/llama-tiny.q4_k_m.gguf"});
    golden_check(&r, root, &GOLDEN_Q8ACT);
    rig_close(&r);
    json_decref(root);
}

static void check_rewritten(enum qr_type type, enum qr_kv_type kv_type,
                            const struct golden_limits *limits)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_error error;
    struct gguf_writer w;
    struct qr_gguf g;
    size_t n;

    assert_int_equal(qr_gguf_open(&g, TINY, &allocator, &error), QUIRE_OK);
    floats_rewrite(&w, &g, type);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    check_golden(&(struct rig_settings){.bytes = bytes, .bytes_n = n, .kv_type = kv_type}, limits);
    gguf_writer_free(&w);
    qr_gguf_close(&g);
}

/* Goal: the same weights in F32 give the reference's answers up to rounding; F16 and BF16 round the
 * weights too.
 * Method: dequantise the file; keys and values in f32, and in f16. */
static void float_files_match_their_reference(void **state)
{
    (void)state;
    check_rewritten(QR_TYPE_F32, QR_KV_F32, &GOLDEN_EXACT);
    check_rewritten(QR_TYPE_F32, QR_KV_F16, &GOLDEN_F16);
    check_rewritten(QR_TYPE_F16, QR_KV_F32, &GOLDEN_F16);
    check_rewritten(QR_TYPE_BF16, QR_KV_F32, &GOLDEN_Q8ACT);
}

static void check_made(const char *name, const struct golden_limits *limits)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/models/%s", QUIRE_BUILD_DIR, name);
    if (access(path, R_OK) != 0) {
        print_message("skipped: %s is not there; tests/model/make_float.py writes it\n", path);
        skip();
    }
    check_golden(&(struct rig_settings){.path = path}, limits);
}

/* Goal: the same with another implementation's dequantising.
 * Method: the file that make_float.py wrote with PyPI's gguf. */
static void python_made_f32_matches_its_reference(void **state)
{
    (void)state;
    check_made("llama-tiny.f32.gguf", &GOLDEN_EXACT);
}

static void python_made_f16_matches_its_reference(void **state)
{
    (void)state;
    check_made("llama-tiny.f16.gguf", &GOLDEN_F16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantised_file_matches_its_reference),
        cmocka_unit_test(mixed_file_matches_its_reference),
        cmocka_unit_test(float_files_match_their_reference),
        cmocka_unit_test(python_made_f32_matches_its_reference),
        cmocka_unit_test(python_made_f16_matches_its_reference),
    };

    return cmocka_run_group_tests_name("model/llama", tests, NULL, NULL);
}
