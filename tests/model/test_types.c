/* SPDX-License-Identifier: MIT */
/* A small Llama of every type of weights, and files that mix them as llama-quantize does, compared
 * with transformers' answers for the same file (make_types.py).  The files are made from a seed. */
#include "golden.h"
#include "tiny.h"

/* With float activations the answers differ by rounding, with 8-bit ones also by the rounding of
 * these.  The limits are about twice the largest difference seen. */
static const struct golden_limits float_limits = {1e-4, 1e-10, 1e-4, 1e-4};
static const struct golden_limits quantised_limits = {0.3, 0.002, 0.1, 0.3};

static const struct model {
    const char *name;
    enum qr_type type, other, down, embedding;
    uint32_t ffn_width;
} models[] = {
#define ONE(type)                                                                                  \
    {                                                                                              \
#type, QR_TYPE_##type, QR_TYPE_##type, QR_TYPE_##type, QR_TYPE_##type, 256                 \
    }
    ONE(F32),
    ONE(F16),
    ONE(BF16),
    ONE(Q4_0),
    ONE(Q4_1),
    ONE(Q5_0),
    ONE(Q5_1),
    ONE(Q8_0),
    ONE(Q2_K),
    ONE(Q3_K),
    ONE(Q4_K),
    ONE(Q5_K),
    ONE(Q6_K),
    ONE(IQ4_NL),
    ONE(IQ4_XS),
#undef ONE
    {"Q4_K_M", QR_TYPE_Q4_K, QR_TYPE_Q6_K, QR_TYPE_Q6_K, QR_TYPE_Q6_K, 256},
    /* ffn_down's rows are not a multiple of 256 */
    {"Q3_K_M", QR_TYPE_Q3_K, QR_TYPE_Q5_K, QR_TYPE_Q5_1, QR_TYPE_Q6_K, 288},
    {"IQ4_XS-mixed", QR_TYPE_IQ4_XS, QR_TYPE_Q5_K, QR_TYPE_IQ4_NL, QR_TYPE_Q8_0, 288},
};
#define MODELS_N (sizeof models / sizeof models[0])

static void write_model(struct gguf_writer *w, const struct model *m)
{
    struct tiny t = tiny_defaults();

    t.type = m->type;
    t.other = m->other;
    t.down = m->down;
    t.embedding = m->embedding;
    t.own_output = true;
    t.width = 256; /* rows that every type takes */
    t.head_dim = t.rotary_n = 64;
    t.ffn_width = m->ffn_width;
    tiny_write(w, &t);
}

static json_t *answers_of(const struct model *m)
{
    char file[64];

    (void)snprintf(file, sizeof file, "types/%s.json", m->name);
    return golden_load(file);
}

static uint64_t fnv1a(const uint8_t *bytes, size_t n)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

/* Goal: the file is the one that the answers belong to.
 * Method: compare its checksum with the one stored with the answers. */
static void files_are_those_that_were_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS_N; i++) {
        struct gguf_writer w;
        char sum[17];
        size_t n;
        json_t *root = answers_of(&models[i]);
        write_model(&w, &models[i]);
        const uint8_t *bytes = gguf_writer_finish(&w, &n);
        (void)snprintf(sum, sizeof sum, "%016llx", (unsigned long long)fnv1a(bytes, n));
        assert_string_equal(sum, json_string_value(json_object_get(root, "file_fnv1a")));
        gguf_writer_free(&w);
        json_decref(root);
    }
}

static void check(const uint8_t *bytes, size_t n, const json_t *root,
                  const struct golden_limits *limits)
{
    struct rig r;

    rig_open(&r, &(struct rig_settings){
                     .bytes = bytes, .bytes_n = n, .threads_n = 2, .kv_type = QR_KV_F32});
    golden_check(&r, root, limits);
    rig_close(&r);
}

/* Goal: every type is dequantised as other implementations do, in a whole model.
 * Method: the file with its matrices dequantised to F32, teacher-forced and greedy. */
static void float_files_match_their_reference(void **state)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_error error;

    (void)state;
    for (size_t i = 0; i < MODELS_N; i++) {
        struct gguf_writer w, floats;
        struct qr_gguf g;
        size_t n;
        json_t *root = answers_of(&models[i]);
        print_message("%s\n", models[i].name);
        write_model(&w, &models[i]);
        const uint8_t *bytes = gguf_writer_finish(&w, &n);
        assert_int_equal(qr_gguf_parse(&g, bytes, n, models[i].name, &allocator, &error), 0);
        floats_rewrite(&floats, &g, QR_TYPE_F32);
        bytes = gguf_writer_finish(&floats, &n);
        check(bytes, n, root, &float_limits);
        gguf_writer_free(&floats);
        qr_gguf_close(&g);
        gguf_writer_free(&w);
        json_decref(root);
    }
}

/* Goal: without dequantising, F16 and BF16 agree up to rounding, the other types up to the rounding
 * of 8-bit activations. Method: the same prompts. */
static void files_as_they_are_match_their_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS_N; i++) {
        struct gguf_writer w;
        size_t n;
        json_t *root = answers_of(&models[i]);
        bool is_float = qr_type_traits(models[i].type)->is_float;
        print_message("%s\n", models[i].name);
        write_model(&w, &models[i]);
        const uint8_t *bytes = gguf_writer_finish(&w, &n);
        check(bytes, n, root, is_float ? &float_limits : &quantised_limits);
        gguf_writer_free(&w);
        json_decref(root);
    }
}

/* Zeros one eighth of every block of the type. */
static void lose(uint8_t *bytes, const struct qr_gguf *g, enum qr_type type, size_t eighth)
{
    const size_t block = qr_type_traits(type)->block_bytes;
    const size_t begin = eighth * block / 8;
    const size_t end = (eighth + 1) * block / 8;

    for (uint32_t i = 0; i < g->tensors_n; i++) {
        const struct qr_gguf_tensor *t = &g->tensors[i];
        if (t->type != type) continue;
        for (size_t at = 0; at < t->data_n; at += block)
            memset(bytes + (t->data - bytes) + at + begin, 0, end - begin);
    }
}

/* Goal: the limits for 8-bit activations are narrow enough to notice a wrongly read part of a
 * block. Method: zeros in each eighth of every block in turn; the logits change by more than the
 * limit. */
static void every_part_of_a_block_counts(void **state)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_error error;

    (void)state;
    for (size_t i = 0; i < 8 * MODELS_N; i++) {
        const struct model *m = &models[i / 8];
        struct gguf_writer w;
        struct qr_gguf g;
        size_t n;
        if (qr_type_traits(m->type)->is_float) continue;
        json_t *root = answers_of(m);
        write_model(&w, m);
        (void)gguf_writer_finish(&w, &n);
        assert_int_equal(qr_gguf_parse(&g, w.file.data, n, m->name, &allocator, &error), 0);
        lose(w.file.data, &g, m->type, i % 8);
        qr_gguf_close(&g);
        double worst = golden_worst_with(
            &(struct rig_settings){.bytes = w.file.data, .bytes_n = n, .kv_type = QR_KV_F32},
            json_array_get(json_object_get(root, "cases"), 1));
        if (worst <= quantised_limits.max_abs)
            fail_msg("%s without eighth %zu of a block: %g", m->name, i % 8, worst);
        gguf_writer_free(&w);
        json_decref(root);
    }
}

/* Writes every file to the folder, for make_types.py. */
static int write_all(const char *folder)
{
    for (size_t i = 0; i < MODELS_N; i++) {
        struct gguf_writer w;
        char path[1024];
        size_t n;
        write_model(&w, &models[i]);
        const uint8_t *bytes = gguf_writer_finish(&w, &n);
        (void)snprintf(path, sizeof path, "%s/%s.gguf", folder, models[i].name);
        FILE *file = fopen(path, "wb");
        bool written = file && fwrite(bytes, 1, n, file) == n;
        if (!file || fclose(file) || !written) return 1;
        gguf_writer_free(&w);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_those_that_were_answered),
        cmocka_unit_test(float_files_match_their_reference),
        cmocka_unit_test(files_as_they_are_match_their_reference),
        cmocka_unit_test(every_part_of_a_block_counts),
    };
    const char *folder = getenv("QUIRE_TYPES");

    if (folder) return write_all(folder);
    return cmocka_run_group_tests_name("model/types", tests, NULL, NULL);
}
