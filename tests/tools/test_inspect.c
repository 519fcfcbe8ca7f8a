/* SPDX-License-Identifier: MIT */
/* Tests of what `quire inspect` reports as unsupported. */
#include <jansson.h>
#include <unistd.h>

#include "model/rig.h"
#include "model/tiny.h"

#include "support/process.h"

static char path[] = "/tmp/quire-inspect-XXXXXX";

static void need_quire(void)
{
    if (process_built("quire")) return;
    print_message("skipped: %s/quire is not built\n", QUIRE_BUILD_DIR);
    skip();
}

/* Tokens "t0", "t1" and so on. */
static void add_tokens(struct gguf_writer *w, uint32_t n)
{
    struct gguf_bytes texts = {0};
    char text[16];

    for (uint32_t i = 0; i < n; i++) {
        (void)snprintf(text, sizeof text, "t%u", i);
        gguf_put_text(&texts, text);
    }
    gguf_writer_array(w, "tokenizer.ggml.tokens", QR_GGUF_STRING, n, texts.data, texts.n);
    free(texts.data);
}

static void save(struct gguf_writer *w)
{
    size_t n;
    const uint8_t *bytes = gguf_writer_finish(w, &n);
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    gguf_writer_free(w);
}

/* Asserts that the JSON has exactly these reasons, each once, and that the table has all of them.
 */
static void expect_unsupported(const char *const *reasons, size_t reasons_n, bool served)
{
    const char *const as_json[] = {"quire", "inspect", "--json", path, NULL};
    const char *const as_table[] = {"quire", "inspect", path, NULL};
    struct process_result json = process_run(as_json, "", 0);
    struct process_result table = process_run(as_table, "", 0);

    assert_int_equal(json.code, 0);
    assert_int_equal(table.code, 0);
    json_t *root = json_loads(json.out, 0, NULL);
    assert_non_null(root);
    const json_t *said = json_object_get(root, "unsupported");
    assert_int_equal(json_is_true(json_object_get(root, "served")), served);
    for (size_t i = 0; i < json_array_size(said); i++)
        print_message("    %s\n", json_string_value(json_array_get(said, i)));
    assert_int_equal(json_array_size(said), reasons_n);
    for (size_t i = 0; i < reasons_n; i++) {
        const char *sentence = json_string_value(json_array_get(said, i));
        if (!strstr(sentence, reasons[i])) fail_msg("'%s' does not say '%s'", sentence, reasons[i]);
        if (!strstr(table.out, sentence)) fail_msg("the table does not say '%s'", sentence);
    }
    json_decref(root);
    process_free(&json);
    process_free(&table);
}

static const char template[] = "{% for m in messages %}\n"
                               "{{ m.content | shout }}{% if m is polite %}{{ m.role | trim }}"
                               "{% endif %}\n{% endfor %}";

/* Goal: everything that prevents serving a file, or is ignored when it is served, is reported.
 * Method: a type without a kernel, unsupported keys and tensors, another tokenizer, a template with
 *         an unknown filter and test, and one that does not compile. */
static void everything_unsupported_is_told(void **state)
{
    static const char *const reasons[] = {
        "tensors of type IQ2_XXS",
        "key 'llama.attention.\xc3\xa9tat'",
        "llama.expert_count is 8",
        "tensor blk.0.attn_q.weight with rows of 256 is of type IQ2_XXS",
        "tensor 'blk.0.ffn_gate_inp.weight' is unknown in this architecture",
        "tokenizer: ",
        "tokenizer.chat_template: line 2: there is no filter 'shout'",
        "tokenizer.chat_template: line 2: there is no test 'polite'",
        "tokenizer.chat_template.tool_use: ",
    };
    static const uint8_t zeros[256 * 66];
    const uint64_t router[2] = {256, 8}, square[2] = {256, 256};
    struct tiny t = tiny_defaults();
    struct gguf_writer w;

    (void)state;
    need_quire();
    t.width = 256;
    t.head_dim = t.rotary_n = 64;
    t.without = "blk.0.attn_q.weight";
    tiny_write(&w, &t);
    gguf_writer_u32(&w, "llama.expert_count", 8);
    gguf_writer_u32(&w, "llama.attention.\xc3\xa9tat", 1);
    gguf_writer_tensor(&w, "blk.0.attn_q.weight", 16, square, 2, zeros, 256 * 66);
    gguf_writer_tensor(&w, "blk.0.ffn_gate_inp.weight", QR_TYPE_F32, router, 2, zeros, 8192);
    add_tokens(&w, t.vocab_n);
    gguf_writer_string(&w, "tokenizer.ggml.model", "t5");
    gguf_writer_string(&w, "tokenizer.chat_template", template);
    gguf_writer_string(&w, "tokenizer.chat_template.tool_use", "{% include 'other' %}");
    save(&w);
    expect_unsupported(reasons, sizeof reasons / sizeof reasons[0], false);
}

/* Goal: for a file that can be served, only the ignored parts are reported.
 * Method: a valid file with the same template. */
static void what_is_served_tells_only_of_its_text(void **state)
{
    static const char *const reasons[] = {
        "tokenizer: ",
        "tokenizer.chat_template: line 2: there is no filter 'shout'",
        "tokenizer.chat_template: line 2: there is no test 'polite'",
    };
    struct tiny t = tiny_defaults();
    struct gguf_writer w;

    (void)state;
    need_quire();
    tiny_write(&w, &t);
    gguf_writer_string(&w, "tokenizer.chat_template", template);
    save(&w);
    expect_unsupported(reasons, sizeof reasons / sizeof reasons[0], true);
}

/* Goal: a long list is shortened in the table and complete in the JSON.
 * Method: 30 unknown keys. */
static void a_long_list_is_whole_in_the_json(void **state)
{
    struct tiny t = tiny_defaults();
    struct gguf_writer w;
    char name[64];

    (void)state;
    need_quire();
    tiny_write(&w, &t);
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(name, sizeof name, "llama.unheard_of.%02u", i);
        gguf_writer_u32(&w, name, i);
    }
    save(&w);
    const char *const as_json[] = {"quire", "inspect", "--json", path, NULL};
    const char *const as_table[] = {"quire", "inspect", path, NULL};
    struct process_result json = process_run(as_json, "", 0);
    struct process_result table = process_run(as_table, "", 0);
    json_t *root = json_loads(json.out, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "unsupported")), 31); /* no tokenizer */
    assert_non_null(strstr(json.out, "unheard_of.29'"));
    assert_non_null(strstr(table.out, "unheard_of.19'"));
    assert_null(strstr(table.out, "unheard_of.20'"));
    assert_non_null(strstr(table.out, "and 11 more: --json has them all"));
    json_decref(root);
    process_free(&json);
    process_free(&table);
}

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) ? -1 : 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_unsupported_is_told),
        cmocka_unit_test(what_is_served_tells_only_of_its_text),
        cmocka_unit_test(a_long_list_is_whole_in_the_json),
    };

    return cmocka_run_group_tests_name("tools/inspect", tests, make_path, remove_path);
}
