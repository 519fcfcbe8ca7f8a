/* SPDX-License-Identifier: MIT */
/* Which files load.  A feature that quire does not support is refused by its name.  A contradiction
 * is an error that says what was expected. */
#include "architectures.h"
#include "tiny.h"

static struct tiny tiny;
static struct gguf_writer writer;

/* Writes the model as `tiny` says. */
static void write(void)
{
    tiny_write(&writer, &tiny);
}

static int set_up(void **state)
{
    (void)state;
    tiny = tiny_defaults();
    return 0;
}

static void expect_loads(void)
{
    struct rig r;
    size_t n;
    const uint8_t *bytes = gguf_writer_finish(&writer, &n);

    rig_open(&r, &(struct rig_settings){.bytes = bytes, .bytes_n = n});
    rig_close(&r);
    gguf_writer_free(&writer);
}

/* Loading must return the status, and an error text with the words. */
static void expect_refused(int status, const char *words, const char *more)
{
    struct quire_error error = {0};
    struct rig r;
    size_t n;
    const uint8_t *bytes = gguf_writer_finish(&writer, &n);

    int got = rig_load(&r, &(struct rig_settings){.bytes = bytes, .bytes_n = n}, &error);
    if (!strstr(error.text, words) || !strstr(error.text, more))
        fail_msg("'%s' does not say '%s' and '%s'", error.text, words, more);
    assert_int_equal(got, status);
    assert_int_equal(error.status, status);
    assert_null(r.model);
    rig_close(&r);
    gguf_writer_free(&writer);
}

/* Goal: the model that the tests write is good, and its sizes are read.
 * Method: load it, check its shape and counts. */
static void loads_and_reads_its_shape(void **state)
{
    struct rig r;
    uint64_t head_n;
    size_t n;

    (void)state;
    tiny.own_output = true;
    write();
    const uint8_t *bytes = gguf_writer_finish(&writer, &n);
    rig_open(&r, &(struct rig_settings){.bytes = bytes, .bytes_n = n});
    const struct qr_model_shape *s = qr_model_shape(r.model);
    assert_int_equal(s->layers_n, 2);
    assert_int_equal(s->width, 64);
    assert_int_equal(s->ffn_width, 96);
    assert_int_equal(s->heads_n, 4);
    assert_int_equal(s->kv_heads_n, 2);
    assert_int_equal(s->head_dim, 16);
    assert_int_equal(s->rotary_n, 16);
    assert_int_equal(s->vocab_n, 50);
    assert_int_equal(s->context_max, 2048);
    assert_string_equal(qr_model_architecture(r.model), "llama");
    const uint64_t layer = 64 * (64 + 32 + 32 + 64) + 3 * 64 * 96;
    assert_int_equal(qr_model_weights_n(r.model, &head_n), 2 * layer + 2 * 64 * 50);
    assert_int_equal(head_n, 64 * 50);
    assert_true(qr_model_weights_bytes(r.model) >= 4 * (2 * layer + 2 * 64 * 50));
    rig_close(&r);
    gguf_writer_free(&writer);
}

/* Goal: other architectures, adapters and split files are refused by name.
 * Method: one file each. */
static void other_files_are_refused(void **state)
{
    (void)state;
    tiny.without = "general.architecture";
    write();
    expect_refused(QUIRE_BAD_FILE, "general.architecture is missing", "");
    write();
    gguf_writer_string(&writer, "general.architecture", "mamba");
    expect_refused(QUIRE_UNSUPPORTED, "general.architecture is 'mamba'",
                   "expected 'llama', 'gpt2' or 'qwen2'");
    tiny.without = NULL;
    write();
    gguf_writer_string(&writer, "general.type", "adapter");
    expect_refused(QUIRE_UNSUPPORTED, "general.type is 'adapter'", "expected 'model'");
    write();
    gguf_writer_u32(&writer, "split.count", 3);
    expect_refused(QUIRE_UNSUPPORTED, "split.count is 3", "");
}

/* Goal: the window is the file's, unless the caller sets one or none.
 * Method: each in turn; 0 means none; a window by layer is refused. */
static void sliding_window_is_the_files_or_the_callers(void **state)
{
    const struct {
        uint32_t file, caller, expected;
    } cases[] = {{64, 0, 64}, {0, 0, 0}, {64, 32, 32}, {0, 32, 32}, {64, QUIRE_WINDOW_NONE, 0}};
    struct rig r;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write();
        gguf_writer_u32(&writer, "llama.attention.sliding_window", cases[i].file);
        const uint8_t *bytes = gguf_writer_finish(&writer, &n);
        rig_open(&r,
                 &(struct rig_settings){.bytes = bytes, .bytes_n = n, .window = cases[i].caller});
        assert_int_equal(qr_model_shape(r.model)->sliding_window, cases[i].expected);
        rig_close(&r);
        gguf_writer_free(&writer);
    }
    write();
    gguf_writer_u32(&writer, "llama.attention.sliding_window", UINT32_MAX);
    expect_refused(QUIRE_BAD_FILE, "llama.attention.sliding_window is out of range", "0 to");
    write();
    gguf_writer_array(&writer, "llama.attention.sliding_window", QR_GGUF_I32, 2, "12341234", 8);
    expect_refused(QUIRE_UNSUPPORTED, "llama.attention.sliding_window is an array", "");
}

/* Goal: every key about scaled positions is read; unknown kinds are refused.
 * Method: each kind, its defaults, the older name of the factor, and invalid values. */
static void rope_scaling_is_read(void **state)
{
    struct rig r;
    size_t n;

    (void)state;
    for (int i = 0; i < 4; i++) {
        write();
        if (i == 0) gguf_writer_string(&writer, "llama.rope.scaling.type", "yarn");
        if (i == 3) gguf_writer_string(&writer, "llama.rope.scaling.type", "none");
        gguf_writer_f32(&writer, i == 2 ? "llama.rope.scale_linear" : "llama.rope.scaling.factor",
                        4);
        if (i == 0) gguf_writer_u32(&writer, "llama.rope.scaling.original_context_length", 512);
        if (i == 0) gguf_writer_f32(&writer, "llama.rope.scaling.attn_factor", 0.5f);
        const uint8_t *bytes = gguf_writer_finish(&writer, &n);
        rig_open(&r, &(struct rig_settings){.bytes = bytes, .bytes_n = n});
        const struct qr_rope *rope = &qr_model_shape(r.model)->rope;
        assert_int_equal(rope->scaling, i == 0   ? QR_ROPE_YARN
                                        : i == 3 ? QR_ROPE_UNSCALED
                                                 : QR_ROPE_LINEAR);
        assert_true(rope->factor == (i == 3 ? 1.0 : 4.0));
        assert_true(rope->attention_factor == (i == 0 ? 0.5 : 1.0));
        if (i < 3) assert_int_equal(rope->context_trained, i == 0 ? 512 : 2048);
        if (i < 3) assert_true(rope->beta_fast == 32.0 && rope->beta_slow == 1.0);
        rig_close(&r);
        gguf_writer_free(&writer);
    }
    write();
    gguf_writer_string(&writer, "llama.rope.scaling.type", "longrope");
    expect_refused(QUIRE_UNSUPPORTED, "llama.rope.scaling.type is 'longrope'",
                   "expected 'none', 'linear' or 'yarn'");
    write();
    gguf_writer_u32(&writer, "llama.rope.scaling.type", 1);
    expect_refused(QUIRE_BAD_FILE, "llama.rope.scaling.type is not a string", "");
    write();
    gguf_writer_f32(&writer, "llama.rope.scaling.factor", -2);
    expect_refused(QUIRE_BAD_FILE, "llama.rope.scaling.factor is -2", "from 0");
    write();
    gguf_writer_f32(&writer, "llama.rope.scaling.yarn_ext_factor", 0.5f);
    expect_refused(QUIRE_UNSUPPORTED, "llama.rope.scaling.yarn_ext_factor is 0.5", "YaRN");
    write();
    gguf_writer_string(&writer, "llama.rope.scaling.type", "yarn");
    gguf_writer_f32(&writer, "llama.rope.scaling.yarn_beta_fast", 0.5f);
    expect_refused(QUIRE_BAD_FILE, "llama.rope.scaling.yarn_beta_fast is 0.5", "greater");
    write();
    gguf_writer_string(&writer, "llama.rope.scaling.type", "none");
    gguf_writer_u32(&writer, "llama.rope.scaling.original_context_length", 2048);
    expect_loads();
}

static void experts_are_refused(void **state)
{
    (void)state;
    write();
    gguf_writer_u32(&writer, "llama.expert_count", 8);
    expect_refused(QUIRE_UNSUPPORTED, "llama.expert_count is 8", "mixture of experts");
    write();
    gguf_writer_u32(&writer, "llama.expert_count", 0);
    expect_loads();
}

static void clamped_kqv_is_refused(void **state)
{
    (void)state;
    write();
    gguf_writer_f32(&writer, "llama.attention.clamp_kqv", 8);
    expect_refused(QUIRE_UNSUPPORTED, "llama.attention.clamp_kqv is 8", "clamped");
}

static void alibi_is_refused(void **state)
{
    (void)state;
    write();
    gguf_writer_f32(&writer, "llama.attention.max_alibi_bias", 8);
    expect_refused(QUIRE_UNSUPPORTED, "llama.attention.max_alibi_bias is 8", "ALiBi");
}

static void other_scales_and_caps_are_refused(void **state)
{
    static const char *const names[] = {
        "llama.attention.scale",         "llama.attn_logit_softcapping", "llama.logit_scale",
        "llama.final_logit_softcapping", "llama.embedding_scale",        "llama.residual_scale",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        write();
        gguf_writer_f32(&writer, names[i], 0.5f);
        expect_refused(QUIRE_UNSUPPORTED, names[i], "is 0.5");
    }
    write();
    gguf_writer_bool(&writer, "llama.use_parallel_residual", true);
    expect_refused(QUIRE_UNSUPPORTED, "llama.use_parallel_residual is 1", "");
    write();
    gguf_writer_bool(&writer, "llama.attention.causal", false);
    expect_refused(QUIRE_UNSUPPORTED, "llama.attention.causal is 0", "not causal");
}

/* Goal: unknown keys and tensors are not ignored.
 * Method: a key and a tensor with invented names, and a layer too many. */
static void unknown_keys_and_tensors_are_refused(void **state)
{
    const uint64_t n = 64;
    const float floats[64] = {0};

    (void)state;
    write();
    gguf_writer_u32(&writer, "llama.attention.new_idea", 1);
    expect_refused(QUIRE_UNSUPPORTED, "'llama.attention.new_idea'", "");
    write();
    gguf_writer_tensor(&writer, "blk.0.attn_sinks.weight", QR_TYPE_F32, &n, 1, floats, 256);
    expect_refused(QUIRE_UNSUPPORTED, "'blk.0.attn_sinks.weight'", "");
    write();
    gguf_writer_tensor(&writer, "blk.2.attn_norm.weight", QR_TYPE_F32, &n, 1, floats, 256);
    expect_refused(QUIRE_UNSUPPORTED, "'blk.2.attn_norm.weight'", "");
}

/* Goal: a bias is read where the architecture may have one.  Its length must be the matrix's.  Any
 * other bias is refused.
 * Method: one on Q, one that is too short, one on a norm. */
static void biases_belong_to_matrices(void **state)
{
    const uint64_t n = 64, less = 32;
    const float floats[64] = {0};

    (void)state;
    write();
    gguf_writer_tensor(&writer, "blk.1.attn_q.bias", QR_TYPE_F32, &n, 1, floats, 256);
    expect_loads();
    write();
    gguf_writer_tensor(&writer, "blk.1.attn_q.bias", QR_TYPE_F32, &less, 1, floats, 128);
    expect_refused(QUIRE_BAD_FILE, "tensor blk.1.attn_q.bias is 32", "expected 64");
    write();
    gguf_writer_tensor(&writer, "blk.1.attn_norm.bias", QR_TYPE_F32, &n, 1, floats, 256);
    expect_refused(QUIRE_UNSUPPORTED, "tensor 'blk.1.attn_norm.bias'", "");
}

static void unsupported_types_are_refused(void **state)
{
    const uint64_t dims[2] = {64, 64};
    uint8_t zeros[64] = {0};

    (void)state;
    tiny.without = "blk.0.attn_q.weight";
    write();
    gguf_writer_tensor(&writer, "blk.0.attn_q.weight", 16, dims, 2, zeros, 64);
    expect_refused(QUIRE_UNSUPPORTED, "tensor blk.0.attn_q.weight", "of type IQ2_XXS");
    write();
    gguf_writer_tensor(&writer, "blk.0.attn_q.weight", 16, dims, 2, zeros, 64);
    expect_refused(QUIRE_UNSUPPORTED, "expected F32, F16, Q4_0", "IQ4_XS, BF16");
    write();
    gguf_writer_tensor(&writer, "blk.0.attn_q.weight", 777, dims, 2, zeros, 64);
    expect_refused(QUIRE_UNSUPPORTED, "tensor blk.0.attn_q.weight", "of type number 777");
    tiny.without = "blk.0.attn_norm.weight";
    write();
    gguf_writer_tensor(&writer, "blk.0.attn_norm.weight", QR_TYPE_Q8_0, dims, 1, zeros, 64);
    expect_refused(QUIRE_BAD_FILE, "blk.0.attn_norm.weight", ""); /* data ends early */
}

/* Goal: norms in a quantised type are refused by name.
 * Method: two blocks of Q8_0. */
static void quantised_norms_are_refused(void **state)
{
    const uint64_t n = 64;
    uint8_t zeros[68] = {0};

    (void)state;
    tiny.without = "output_norm.weight";
    write();
    gguf_writer_tensor(&writer, "output_norm.weight", QR_TYPE_Q8_0, &n, 1, zeros, 68);
    expect_refused(QUIRE_UNSUPPORTED, "tensor output_norm.weight", "of type Q8_0");
}

/* Goal: a missing key or tensor is named.
 * Method: leave out each required one in turn. */
static void missing_parts_are_named(void **state)
{
    static const char *const names[] = {
        "llama.block_count",          "llama.context_length",
        "llama.embedding_length",     "llama.feed_forward_length",
        "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon",
        "token_embd.weight",          "output_norm.weight",
        "blk.0.attn_norm.weight",     "blk.1.ffn_norm.weight",
        "blk.0.attn_q.weight",        "blk.0.attn_k.weight",
        "blk.1.attn_v.weight",        "blk.1.attn_output.weight",
        "blk.0.ffn_gate.weight",      "blk.0.ffn_up.weight",
        "blk.1.ffn_down.weight",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tiny.without = names[i];
        write();
        expect_refused(QUIRE_BAD_FILE, names[i], "missing");
    }
}

/* Goal: a tensor with another shape than the hyperparameters say is refused.
 * Method: one output too many, in each matrix in turn. */
static void other_shapes_are_refused(void **state)
{
    static const char *const names[] = {
        "blk.0.attn_q.weight",      "blk.0.attn_k.weight",   "blk.1.attn_v.weight",
        "blk.1.attn_output.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight",
        "blk.1.ffn_down.weight",    "output.weight",
    };

    (void)state;
    tiny.own_output = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tiny.instead = names[i];
        write();
        expect_refused(QUIRE_BAD_FILE, names[i], "expected");
    }
    tiny.instead = "token_embd.weight";
    write();
    expect_refused(QUIRE_BAD_FILE, "llama.vocab_size is 50", "token_embd.weight has 51 rows");
}

/* Goal: hyperparameters that contradict each other or are out of range are refused.
 * Method: one file each. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    tiny.kv_heads_n = 3;
    write();
    expect_refused(QUIRE_BAD_FILE, "llama.attention.head_count is 4", "head_count_kv, which is 3");
    tiny = tiny_defaults();
    tiny.heads_n = 6;
    write();
    expect_refused(QUIRE_BAD_FILE, "llama.embedding_length is 64", "head_count, which is 6");
    tiny = tiny_defaults();
    tiny.rotary_n = 24;
    write();
    expect_refused(QUIRE_BAD_FILE, "llama.rope.dimension_count is out of range", "1 to 16");
    tiny.rotary_n = 4;
    write();
    expect_refused(QUIRE_UNSUPPORTED, "llama.rope.dimension_count is 4", "multiple of 8");
    tiny = tiny_defaults();
    write();
    gguf_writer_u32(&writer, "llama.attention.value_length", 8);
    expect_refused(QUIRE_UNSUPPORTED, "llama.attention.value_length is 8", "expected 16");
    write();
    gguf_writer_array(&writer, "tokenizer.ggml.tokens", QR_GGUF_STRING, 1, "\0\0\0\0\0\0\0\0", 8);
    expect_refused(QUIRE_BAD_FILE, "tokenizer.ggml.tokens has 1 tokens", "50 rows");
    tiny.rope_base = 0;
    write();
    expect_refused(QUIRE_BAD_FILE, "llama.rope.freq_base is 0", "finite number");
    tiny = tiny_defaults();
    tiny.without = "llama.block_count";
    write();
    gguf_writer_u32(&writer, "llama.block_count", 100000);
    expect_refused(QUIRE_BAD_FILE, "llama.block_count is out of range", "1 to 512");
    tiny.without = "llama.feed_forward_length";
    write();
    gguf_writer_array(&writer, "llama.feed_forward_length", QR_GGUF_I32, 2, "12341234", 8);
    expect_refused(QUIRE_UNSUPPORTED, "llama.feed_forward_length is an array", "");
}

/* Goal: divisors of frequencies that are zero are refused.
 * Method: rope_freqs.weight of zeros. */
static void zero_frequencies_are_refused(void **state)
{
    const uint64_t n = 8;
    const float floats[8] = {0};

    (void)state;
    write();
    gguf_writer_tensor(&writer, "rope_freqs.weight", QR_TYPE_F32, &n, 1, floats, 32);
    expect_refused(QUIRE_BAD_FILE, "rope_freqs.weight holds 0 at 0", "above 0");
}

/* Resident bytes of the file that is mapped from path.  SIZE_MAX: it is not mapped. */
static size_t resident(const char *path)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    size_t kb, bytes = SIZE_MAX;
    bool found = false;
    char line[512];

    assert_non_null(maps);
    while (bytes == SIZE_MAX && fgets(line, sizeof line, maps)) {
        if (strstr(line, path)) found = true;
        if (found && sscanf(line, "Rss: %zu kB", &kb) == 1) bytes = kb * 1024;
    }
    assert_int_equal(fclose(maps), 0);
    return bytes;
}

static void expect_pages_back(enum qr_type type)
{
    char path[] = "/tmp/quire-test-load-XXXXXX";
    const int32_t tokens[4] = {1, 49, 7, 30};
    float logits[2][4 * 50];
    struct rig r;
    size_t n;

    tiny.type = tiny.other = tiny.down = tiny.embedding = type;
    tiny.ffn_width = 4096;
    write();
    const uint8_t *bytes = gguf_writer_finish(&writer, &n);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    for (int i = 0; i < 2; i++) {
        struct rig_settings settings = {.bytes = bytes, .bytes_n = n};
        if (i) settings = (struct rig_settings){.path = path};
        rig_open(&r, &settings);
        if (i) assert_true(resident(path) < n / 4);
        rig_run(&r, 0, tokens, 4, logits[i]);
        rig_close(&r);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    assert_memory_equal(copy, bytes, n);
    free(copy);
    assert_int_equal(remove(path), 0);
    gguf_writer_free(&writer);
}

/* Goal: a model from a file on disk gives the file's pages back, so that weights are in memory
 * once, and its answers stay the same.  Other memory is left alone. Method: the same model from
 * disk and from memory, quantised and float; little of the file stays resident; equal logits; the
 * file in memory is unchanged. */
static void pages_given_back_do_no_harm(void **state)
{
    (void)state;
    expect_pages_back(QR_TYPE_Q8_0);
    expect_pages_back(QR_TYPE_F16);
}

static void count(void *told_n, const char *sentence)
{
    assert_true(sentence[0] != '\0');
    ++*(size_t *)told_n;
}

/* Loads any file twice: up to the first refusal, and to the end.  Both report the same refusal
 * first. */
static void load_hostile(struct rig_settings settings)
{
    struct quire_error error = {0}, first = {0};
    size_t told_n = 0;
    struct rig r;

    int status = rig_load(&r, &settings, &error);
    const bool parsed = r.file.keys; /* refused by the parser */
    rig_close(&r);
    settings.tell = count;
    settings.context = &told_n;
    assert_int_equal(rig_load(&r, &settings, &first), status);
    rig_close(&r);
    if (!status) return;
    assert_true(error.text[0] != '\0');
    assert_string_equal(first.text, error.text);
    assert_int_equal(told_n > 0, parsed);
}

/* Goal: no byte before the data makes loading crash or read outside the file.
 * Method: set each to a few hostile values and load.  The status may be either; a sanitizer sees a
 * wrong read.  Q8_0, so that packing runs too. */
static void hostile_headers_never_crash(void **state)
{
    const uint8_t values[] = {0x00, 0x7f, 0xff};
    size_t n;

    (void)state;
    tiny.layers_n = 1;
    tiny.type = QR_TYPE_Q8_0;
    write();
    (void)gguf_writer_finish(&writer, &n);
    for (size_t i = 0; i < n - writer.data.n; i++) {
        const uint8_t was = writer.file.data[i];
        for (size_t j = 0; j < sizeof values; j++) {
            writer.file.data[i] = values[j];
            load_hostile((struct rig_settings){.bytes = writer.file.data, .bytes_n = n});
        }
        writer.file.data[i] = was;
    }
    gguf_writer_free(&writer);
}

/* Goal: the same for a tensor of several parts and for learned positions.
 * Method: the small GPT-2, every byte before its data set to 0xff in turn. */
static void hostile_headers_of_gpt2_never_crash(void **state)
{
    struct rig r;
    uint8_t *bytes;

    (void)state;
    struct rig_settings settings = architectures_open("gpt2", QR_TYPE_Q8_0, &bytes);
    rig_open(&r, &settings);
    const size_t header_n = (size_t)(qr_gguf_tensor(&r.file, "token_embd.weight")->data - bytes);
    rig_close(&r);
    for (size_t i = 0; i < header_n; i++) {
        const uint8_t was = bytes[i];
        bytes[i] = 0xff;
        load_hostile(settings);
        bytes[i] = was;
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(loads_and_reads_its_shape, set_up),
        cmocka_unit_test_setup(other_files_are_refused, set_up),
        cmocka_unit_test_setup(sliding_window_is_the_files_or_the_callers, set_up),
        cmocka_unit_test_setup(rope_scaling_is_read, set_up),
        cmocka_unit_test_setup(experts_are_refused, set_up),
        cmocka_unit_test_setup(clamped_kqv_is_refused, set_up),
        cmocka_unit_test_setup(alibi_is_refused, set_up),
        cmocka_unit_test_setup(other_scales_and_caps_are_refused, set_up),
        cmocka_unit_test_setup(unknown_keys_and_tensors_are_refused, set_up),
        cmocka_unit_test_setup(biases_belong_to_matrices, set_up),
        cmocka_unit_test_setup(unsupported_types_are_refused, set_up),
        cmocka_unit_test_setup(quantised_norms_are_refused, set_up),
        cmocka_unit_test_setup(missing_parts_are_named, set_up),
        cmocka_unit_test_setup(other_shapes_are_refused, set_up),
        cmocka_unit_test_setup(contradictions_are_refused, set_up),
        cmocka_unit_test_setup(zero_frequencies_are_refused, set_up),
        cmocka_unit_test_setup(pages_given_back_do_no_harm, set_up),
        cmocka_unit_test_setup(hostile_headers_never_crash, set_up),
        cmocka_unit_test(hostile_headers_of_gpt2_never_crash),
    };

    return cmocka_run_group_tests_name("model/load", tests, NULL, NULL);
}
