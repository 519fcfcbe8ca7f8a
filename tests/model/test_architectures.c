/* SPDX-License-Identifier: MIT */
/* A small model of each architecture, with every kind of positions, compared with transformers; and
 * the files of a folder that QUIRE_REFERENCE names. */
#include <dirent.h>

#include "architectures.h"

static void check_one(const char *name, enum qr_type type, enum qr_kv_type kv_type,
                      const struct golden_limits *limits)
{
    char file[64];
    uint8_t *bytes;
    struct rig r;

    (void)snprintf(file, sizeof file, "architectures/%s.json", name);
    json_t *root = golden_load(file);
    struct rig_settings settings = architectures_open(name, type, &bytes);
    settings.kv_type = kv_type;
    settings.threads_n = 2;
    rig_open(&r, &settings);
    golden_check(&r, root, limits);
    rig_close(&r);
    free(bytes);
    json_decref(root);
}

/* Goal: with float weights the answers are the reference's, up to rounding.
 * Method: the same file with its matrices dequantised to F32; prompts longer than the window and
 * than the trained context, teacher-forced and then greedy to the end. */
static void float_files_match_their_reference(void **state)
{
    static const struct golden_limits limits = {1e-3, 1e-7, 1e-3, 1e-3};

    (void)state;
    for (size_t i = 0; i < ARCHITECTURES_N; i++) {
        print_message("%s\n", architectures[i]);
        check_one(architectures[i], QR_TYPE_F32, QR_KV_F32, &limits);
    }
}

/* Goal: in Q8_0 the answers are the reference's, up to the rounding of 8-bit activations.
 * Method: the same prompts, keys and values in f16. */
static void quantised_files_match_their_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARCHITECTURES_N; i++) {
        print_message("%s\n", architectures[i]);
        check_one(architectures[i], QR_TYPE_Q8_0, QR_KV_F16, &GOLDEN_Q8ACT);
    }
}

/* The largest change of the last logits of the longest prompt when the file loses a tensor or key.
 */
static double worst_without(const char *name, const char *lost)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_error error;
    struct qr_gguf g;
    uint8_t *bytes;
    struct rig r;
    char file[64];
    uint32_t ids_n;

    (void)snprintf(file, sizeof file, "architectures/%s.json", name);
    json_t *root = golden_load(file);
    const json_t *golden = json_array_get(json_object_get(root, "cases"), 2);
    int32_t *ids = golden_ids(json_object_get(golden, "prompt"), &ids_n);
    struct rig_settings settings = architectures_open(name, QR_TYPE_F32, &bytes);
    settings.kv_type = QR_KV_F32;
    assert_int_equal(qr_gguf_parse(&g, bytes, settings.bytes_n, name, &allocator, &error), 0);
    const struct qr_gguf_tensor *t = qr_gguf_tensor(&g, lost);
    const struct qr_gguf_key *key = qr_gguf_find(&g, lost);
    assert_true(t || key);
    if (t && strstr(lost, "rope_freqs"))
        for (size_t i = 0; i < t->data_n / 4; i++)
            memcpy(bytes + (t->data - bytes) + 4 * i, &(float){1}, 4);
    else if (t)
        memset(bytes + (t->data - bytes), 0, t->data_n);
    else /* a key of the same length without a meaning */
        memcpy((char *)bytes + ((const uint8_t *)key->name.data - bytes), "general", 5);
    qr_gguf_close(&g);
    rig_open(&r, &settings);
    float *logits = malloc((size_t)ids_n * r.vocab_n * sizeof(float));
    assert_non_null(logits);
    rig_run(&r, 0, ids, ids_n, logits);
    double worst = golden_worst(golden, logits + (size_t)(ids_n - 1) * r.vocab_n, r.vocab_n);
    print_message("    %s without %s: %.3g\n", name, lost, worst);
    free(logits);
    rig_close(&r);
    free(ids);
    free(bytes);
    json_decref(root);
    return worst;
}

/* Goal: the limits above are narrow enough to notice a missing bias, key or tensor.
 * Method: leave out each kind in turn; the logits change by far more than the limit. */
static void what_is_left_out_is_seen(void **state)
{
    static const struct {
        const char *name, *lost;
    } cases[] = {
        {"gpt2", "position_embd.weight"},
        {"gpt2", "blk.1.attn_qkv.bias"},
        {"gpt2", "blk.0.attn_output.bias"},
        {"gpt2", "blk.1.ffn_up.bias"},
        {"gpt2", "blk.0.ffn_down.bias"},
        {"gpt2", "blk.1.attn_norm.bias"},
        {"gpt2", "output_norm.bias"},
        {"llama3", "rope_freqs.weight"},
        {"llama-linear", "blk.1.attn_output.bias"},
        {"llama-linear", "blk.0.ffn_gate.bias"},
        {"llama-linear", "llama.rope.scaling.factor"},
        {"llama-yarn", "llama.rope.scaling.type"},
        {"llama-yarn", "llama.rope.scaling.original_context_length"},
        {"mistral", "llama.attention.sliding_window"},
        {"qwen2", "blk.1.attn_k.bias"},
        {"qwen2", "blk.1.attn_v.bias"},
        {"qwen2-yarn-window", "qwen2.attention.sliding_window"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(worst_without(cases[i].name, cases[i].lost) > 0.02);
}

/* ---- files that are not in the tree --------------------------------------------------------- */

static void check_file(const char *folder, const char *name)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_error error;
    struct gguf_writer w;
    struct qr_gguf g;
    struct rig r;
    char path[1024];
    size_t n;

    (void)snprintf(path, sizeof path, "%s/json/%s.json", folder, name);
    json_t *root = json_load_file(path, 0, NULL);
    if (!root) return;
    print_message("%s\n", name);
    (void)snprintf(path, sizeof path, "%s/gguf/%s.gguf", folder, name);
    rig_open(&r, &(struct rig_settings){.path = path, .kv_type = QR_KV_F16});
    golden_check(&r, root, strstr(name, ".f16") ? &GOLDEN_F16 : &GOLDEN_Q8ACT);
    rig_close(&r);
    assert_int_equal(qr_gguf_open(&g, path, &allocator, &error), QUIRE_OK);
    floats_rewrite(&w, &g, QR_TYPE_F32);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    rig_open(&r, &(struct rig_settings){.bytes = bytes, .bytes_n = n, .kv_type = QR_KV_F32});
    golden_check(&r, root, &GOLDEN_EXACT);
    rig_close(&r);
    gguf_writer_free(&w);
    qr_gguf_close(&g);
    json_decref(root);
}

/* Goal: files that are too large for the tree pass too.
 * Method: gguf/NAME.gguf and json/NAME.json in the folder that QUIRE_REFERENCE names, as they are
 * and in F32. */
static void files_outside_the_tree_match_their_reference(void **state)
{
    const char *folder = getenv("QUIRE_REFERENCE");
    char path[1024];

    (void)state;
    if (!folder) {
        print_message("skipped: QUIRE_REFERENCE names no folder\n");
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/gguf", folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char *end = strstr(entry->d_name, ".gguf");
        if (!end || end[5]) continue;
        *end = '\0';
        check_file(folder, entry->d_name);
    }
    (void)closedir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_files_match_their_reference),
        cmocka_unit_test(quantised_files_match_their_reference),
        cmocka_unit_test(what_is_left_out_is_seen),
        cmocka_unit_test(files_outside_the_tree_match_their_reference),
    };

    return cmocka_run_group_tests_name("model/architectures", tests, NULL, NULL);
}
