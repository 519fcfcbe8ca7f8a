/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/process.h"
#include "support/smollm2.h"

#define TINY QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"

static const char *smollm2_file; /* NULL: not on this machine */

static void need(const char *program)
{
    if (process_built(program)) return;
    print_message("skipped: %s/%s is not built\n", QUIRE_BUILD_DIR, program);
    skip();
}

static const char *need_smollm2(void)
{
    need("quire");
    if (!smollm2_file) {
        print_message("skipped: there is no SmolLM2 on this machine\n");
        skip();
    }
    return smollm2_file;
}

static void assert_begins(const char *text, const char *prefix)
{
    assert_int_equal(strncmp(text, prefix, strlen(prefix)), 0);
}

#define RUN(input, input_n, ...)                                                                   \
    process_run((const char *const[]){__VA_ARGS__, NULL}, input, input_n)

/* Goal: tokenize and detokenize give the text back: spaces, newlines, umlauts, an emoji, a special
 *       token's text.
 * Method: tokenize from standard input, detokenize its output. */
static void text_survives_the_round_trip(void **state)
{
    (void)state;
    const char *model = need_smollm2();
    static const char text[] =
        "Hello,  world!\n\tgr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80 <|im_end|> 1234";
    struct process_result ids =
        RUN(text, sizeof text - 1, "quire", "tokenize", "--model", model, "-");
    assert_int_equal(ids.code, 0);
    assert_true(strspn(ids.out, "0123456789 \n") == strlen(ids.out));
    struct process_result back =
        RUN(ids.out, strlen(ids.out), "quire", "detokenize", "--model", model, "-");
    assert_int_equal(back.code, 0);
    assert_int_equal(back.out_n, sizeof text - 1);
    assert_memory_equal(back.out, text, sizeof text - 1);
    process_free(&ids);
    process_free(&back);

    struct process_result known =
        RUN("", 0, "quire", "tokenize", "--model", model, "--json", "The capital of France is");
    assert_string_equal(known.out, "[504, 3575, 282, 4649, 314]\n");
    process_free(&known);
}

/* The first greedy ids of llama-tiny's reference, and their prompt. */
struct tiny_case {
    char prompt[512];
    int32_t first;
};

static struct tiny_case tiny_reference(void)
{
    struct tiny_case c = {{0}, -1};
    json_t *json = json_load_file(QUIRE_TEST_DATA "/llama-tiny.q8_0.json", 0, NULL);
    assert_non_null(json);
    const json_t *entry = json_array_get(json_object_get(json, "cases"), 0);
    const json_t *ids = json_object_get(entry, "prompt");
    for (size_t i = 0; i < json_array_size(ids); i++)
        snprintf(c.prompt + strlen(c.prompt), sizeof c.prompt - strlen(c.prompt),
                 "%s%" JSON_INTEGER_FORMAT, i ? "," : "",
                 json_integer_value(json_array_get(ids, i)));
    const json_t *greedy = json_object_get(json_object_get(entry, "greedy"), "ids");
    c.first = (int32_t)json_integer_value(json_array_get(greedy, 0));
    json_decref(json);
    return c;
}

/* Goal: generate accepts ids, and its JSON output has the same ids as its text output.
 * Method: llama-tiny's first reference case, as lines and as JSON. */
static void ids_generate_ids(void **state)
{
    (void)state;
    need("quire");
    struct tiny_case c = tiny_reference();
    struct process_result plain =
        RUN("", 0, "quire", "generate", "--model", TINY, "--kv-memory", "64M", "--ids", c.prompt,
            "--max-tokens", "8", "--temperature", "0", "--ignore-eos", "--show-ids");
    assert_int_equal(plain.code, 0);
    assert_int_equal(strtol(plain.out, NULL, 10), c.first);
    assert_non_null(strstr(plain.err, "8 tokens"));
    struct process_result json =
        RUN("", 0, "quire", "generate", "--model", TINY, "--kv-memory", "64M", "--ids", c.prompt,
            "--max-tokens", "8", "--temperature", "0", "--ignore-eos", "--json");
    assert_int_equal(json.code, 0);
    json_t *answer = json_loads(json.out, 0, NULL);
    const json_t *ids = json_object_get(answer, "token_ids");
    assert_int_equal(json_array_size(ids), 8);
    char *p = plain.out;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(strtol(p, &p, 10), json_integer_value(json_array_get(ids, i)));
    assert_string_equal(json_string_value(json_object_get(answer, "finish_reason")), "length");
    json_decref(answer);
    process_free(&plain);
    process_free(&json);
}

/* Goal: a seed makes sampling repeatable.
 * Method: two sampled runs with one seed. */
static void a_seed_repeats(void **state)
{
    (void)state;
    need("quire");
    struct process_result r[2];
    for (int i = 0; i < 2; i++)
        r[i] =
            RUN("", 0, "quire", "generate", "--model", TINY, "--kv-memory", "64M", "--ids", "5,6,7",
                "--max-tokens", "12", "--seed", "42", "--ignore-eos", "--show-ids", "--quiet");
    assert_int_equal(r[0].code, 0);
    assert_string_equal(r[0].out, r[1].out);
    assert_string_equal(r[0].err, "");
    process_free(&r[0]);
    process_free(&r[1]);
}

/* Goal: chat answers one message, and piped lines are turns of one conversation.
 * Method: SmolLM2, greedy, few tokens; the first turn is the same both ways. */
static void chat_answers_a_message_and_lines(void **state)
{
    (void)state;
    const char *model = need_smollm2();
    struct process_result once = RUN("", 0, "quire", "chat", "--model", model, "--kv-memory", "64M",
                                     "--temperature", "0", "--max-tokens", "8", "Say hello.");
    assert_int_equal(once.code, 0);
    assert_true(once.out_n > 1);
    static const char lines[] = "Say hello.\n\nAnd again.\n";
    struct process_result twice =
        RUN(lines, sizeof lines - 1, "quire", "chat", "--model", model, "--kv-memory", "64M",
            "--temperature", "0", "--max-tokens", "8", "--quiet");
    assert_int_equal(twice.code, 0);
    assert_true(twice.out_n > once.out_n);
    assert_memory_equal(twice.out, once.out, once.out_n);
    process_free(&once);
    process_free(&twice);
}

/* Goal: inspect prints the contents of a file as a table and as JSON.
 * Method: llama-tiny, whose figures are known. */
static void inspect_tells_what_is_there(void **state)
{
    (void)state;
    need("quire");
    struct process_result table = RUN("", 0, "quire", "inspect", TINY);
    assert_int_equal(table.code, 0);
    static const char *const words[] = {"llama",         "block_count", "Q8_0", "F32", " as f16",
                                        "can be served", "yes",         "bos",  "byte"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_non_null(strstr(table.out, words[i]));
    struct process_result text = RUN("", 0, "quire", "inspect", "--json", "--keys", TINY);
    assert_int_equal(text.code, 0);
    json_t *json = json_loads(text.out, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "architecture")), "llama");
    assert_true(json_is_true(json_object_get(json, "served")));
    const json_t *parameters = json_object_get(json, "hyperparameters");
    json_int_t layers = json_integer_value(json_object_get(parameters, "block_count"));
    json_int_t kv_heads =
        json_integer_value(json_object_get(parameters, "attention.head_count_kv"));
    json_int_t heads = json_integer_value(json_object_get(parameters, "attention.head_count"));
    json_int_t width = json_integer_value(json_object_get(parameters, "embedding_length"));
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(json, "kv_bytes_per_token"), "f16")),
        layers * kv_heads * (width / heads) * 2 * 2);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(json, "kv_bytes_per_token"), "q8")),
        layers * kv_heads * (width / heads + 4) * 2);
    json_int_t tensors = 0;
    size_t i;
    json_t *type;
    json_array_foreach(json_object_get(json, "types"), i, type) tensors +=
        json_integer_value(json_object_get(type, "tensors"));
    assert_int_equal(tensors, json_integer_value(json_object_get(json, "tensors")));
    assert_non_null(json_object_get(json_object_get(json, "keys"), "general.architecture"));
    const json_t *tokenizer = json_object_get(json, "tokenizer");
    const json_t *kinds = json_object_get(tokenizer, "tokens_by_type");
    assert_int_equal(json_integer_value(json_object_get(kinds, "byte")), 256);
    const json_t *bos = json_object_get(json_object_get(tokenizer, "special"), "bos");
    assert_int_equal(json_integer_value(json_object_get(bos, "id")), 1);
    assert_string_equal(json_string_value(json_object_get(bos, "text")), "<s>");
    assert_string_equal(json_string_value(json_object_get(tokenizer, "split_in_use")), "none");
    assert_true(json_is_true(json_object_get(tokenizer, "adds_bos")));
    assert_int_equal(json_array_size(json_object_get(json, "warnings")), 0);
    json_decref(json);
    process_free(&table);
    process_free(&text);
}

/* A row's core distance is in the range of the limits, or 0 if other work used a core. */
static void assert_between_ends(const json_t *row, const json_t *limits)
{
    const json_t *ends = json_object_get(limits, "core_to_core_ns");
    double least = json_number_value(json_object_get(ends, "least"));
    double most = json_number_value(json_object_get(ends, "most"));
    const json_t *own = json_object_get(row, "core_to_core_ns");
    assert_true(json_is_number(own) && json_is_number(json_object_get(ends, "most")));
    assert_true(json_number_value(own) == 0 ||
                (json_number_value(own) >= least && json_number_value(own) <= most));
}

/* Goal: bench measures in process and reports every row, as text and JSON.
 * Method: llama-tiny with small batches; the figures themselves are not checked. */
static void bench_reports_every_row(void **state)
{
    (void)state;
    need("quire");
    struct process_result r =
        RUN("", 0, "quire", "bench", "--model", TINY, "--kv-memory", "256M", "--rows",
            "start,decode,context", "--batches", "1,4", "--contexts", "160", "--best-of", "2",
            "--profile", "--json", "--quiet");
    if (r.code != 0) print_message("%s\n", r.err);
    assert_int_equal(r.code, 0);
    json_t *json = json_loads(r.out, 0, NULL);
    const json_t *rows = json_object_get(json, "rows");
    assert_int_equal(json_array_size(rows), 4);
    static const char *const keys[] = {"start", "decode_1", "decode_4", "decode_1_context_160"};
    for (size_t i = 0; i < 4; i++) {
        const json_t *row = json_array_get(rows, i);
        assert_string_equal(json_string_value(json_object_get(row, "key")), keys[i]);
        assert_int_equal(json_array_size(json_object_get(row, "values")), 2);
        assert_true(json_number_value(json_object_get(row, "best")) > 0);
        assert_between_ends(row, json_object_get(json, "limits"));
    }
    assert_true(json_number_value(json_object_get(json_object_get(json, "limits"), "int8_ops")) >
                0);
    const json_t *profiles = json_object_get(json, "profiles");
    assert_int_equal(json_array_size(profiles), 3); /* start has no steps */
    for (size_t i = 0; i < 3; i++)
        assert_true(json_array_size(json_object_get(json_array_get(profiles, i), "phases")) > 8);
    json_decref(json);
    process_free(&r);
}

/* Goal: bench prints the machine's limits without a model, including the core distance.
 * Method: text and JSON, with one thread, which has no other core to measure. */
static void bench_tells_limits_alone(void **state)
{
    (void)state;
    need("quire");
    struct process_result r = RUN("", 0, "quire", "bench", "--limits", "--threads", "1");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "Limits of this machine on 1 threads"));
    const char *line = strstr(r.out, "\n  core to core ");
    assert_non_null(line);
    assert_string_equal(line + strlen(line) - 5, "none\n");
    process_free(&r);
    r = RUN("", 0, "quire", "bench", "--limits", "--threads", "2", "--json");
    assert_int_equal(r.code, 0);
    json_t *json = json_loads(r.out, 0, NULL);
    const json_t *limits = json_object_get(json, "limits");
    const json_t *ends = json_object_get(limits, "core_to_core_ns");
    assert_true(json_number_value(json_object_get(limits, "read_bytes")) > 0);
    assert_true(json_is_number(json_object_get(ends, "least")));
    assert_true(json_number_value(json_object_get(ends, "least")) ==
                json_number_value(json_object_get(ends, "most"))); /* measured once */
    json_decref(json);
    process_free(&r);
}

/* Goal: the tokens are the same with the KV cache and without (bench compares them).
 * Method: llama-tiny, 24 tokens. */
static void the_cache_changes_no_token(void **state)
{
    (void)state;
    need("quire");
    struct process_result r = RUN("", 0, "quire", "bench", "--model", TINY, "--kv-memory", "64M",
                                  "--kv-cache-table", "--lengths", "24", "--json", "--quiet");
    if (r.code != 0) print_message("%s\n", r.err);
    assert_int_equal(r.code, 0);
    json_t *json = json_loads(r.out, 0, NULL);
    const json_t *row = json_array_get(json_object_get(json, "kv_cache"), 0);
    assert_int_equal(json_integer_value(json_object_get(row, "tokens")), 24);
    assert_true(json_number_value(json_object_get(row, "without_s")) > 0);
    json_decref(json);
    process_free(&r);
}

/* Goal: a model that cannot be loaded gives exit code 3 and one line of error.
 * Method: a missing file, a file that is not GGUF, a truncated one. */
static void a_bad_model_is_exit_3(void **state)
{
    (void)state;
    need("quire");
    char cut[] = "/tmp/quire-cut-XXXXXX";
    int fd = mkstemp(cut);
    assert_true(fd >= 0);
    FILE *tiny = fopen(TINY, "rb");
    char bytes[4096];
    size_t n = fread(bytes, 1, sizeof bytes, tiny);
    fclose(tiny);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
    const char *const models[] = {"/tmp/quire-there-is-no-such-model.gguf",
                                  QUIRE_TEST_DATA "/ppl_text.txt", cut};
    for (size_t i = 0; i < 3; i++) {
        struct process_result r = RUN("", 0, "quire", "generate", "--model", models[i], "hi");
        assert_int_equal(r.code, 3);
        assert_begins(r.err, "quire: ");
        assert_true(strlen(r.err) > 12);
        assert_ptr_equal(strchr(r.err, '\n'), r.err + strlen(r.err) - 1);
        process_free(&r);
        r = RUN("", 0, "quire", "inspect", models[i]);
        assert_int_equal(r.code, 3);
        process_free(&r);
    }
    unlink(cut);
}

/* Goal: wrong usage gives exit code 2 and an error that names the mistake.
 * Method: one mistake for each command. */
static void wrong_usage_is_exit_2(void **state)
{
    (void)state;
    need("quire");
    static const struct {
        const char *arguments[8];
        const char *says;
    } cases[] = {
        {{"quire", NULL}, "Usage"},
        {{"quire", "dance", NULL}, "dance"},
        {{"quire", "generate", "--nonsense", NULL}, "--nonsense"},
        {{"quire", "generate", "--model", "a", "--socket", "b", "hi", NULL}, "one of"},
        {{"quire", "generate", "--ids", "1,x", "--model", TINY, NULL}, "'x'"},
        {{"quire", "generate", "--max-tokens", "0", "hi", NULL}, "--max-tokens"},
        {{"quire", "chat", "one", "two", NULL}, "one message"},
        {{"quire", "detokenize", "1", "two", "--model", TINY, NULL}, "two"},
        {{"quire", "inspect", "a", "b", NULL}, "one file"},
        {{"quire", "bench", "--socket", "x", NULL}, "--socket"},
        {{"quire", "bench", NULL}, "in this process"},
        {{"quire", "bench", "--model", TINY, "--rows", "speed", NULL}, "speed"},
        {{"quire", "bench", "--model", TINY, "--batches", "0", NULL}, "--batches"},
        {{"quire", "bench", "--model", TINY, "--contexts", "100", NULL}, "--contexts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct process_result r = process_run(cases[i].arguments, "", 0);
        if (r.code != 2) print_message("case %zu: %s\n", i, r.err);
        assert_int_equal(r.code, 2);
        assert_non_null(strstr(r.err, cases[i].says));
        process_free(&r);
    }
}

/* Goal: every command, and loadgen, has help.
 * Method: run each with --help. */
static void help_is_everywhere(void **state)
{
    (void)state;
    need("quire");
    need("loadgen");
    static const char *const commands[] = {"generate",   "chat",    "tokenize",
                                           "detokenize", "inspect", "bench"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct process_result r = RUN("", 0, "quire", commands[i], "--help");
        assert_int_equal(r.code, 0);
        assert_begins(r.out, "Usage: quire ");
        assert_non_null(strstr(r.out, "--model FILE"));
        process_free(&r);
    }
    struct process_result r = RUN("", 0, "quire", "--version");
    assert_begins(r.out, "quire ");
    process_free(&r);
    r = RUN("", 0, "loadgen", "--help");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "--request-rate"));
    process_free(&r);
}

int main(void)
{
    smollm2_file = smollm2();
    unsetenv("QUIRE_MODEL");                  /* each test sets its own model */
    setenv("XDG_RUNTIME_DIR", "/nowhere", 1); /* no server of the user is found */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_survives_the_round_trip),
        cmocka_unit_test(ids_generate_ids),
        cmocka_unit_test(a_seed_repeats),
        cmocka_unit_test(chat_answers_a_message_and_lines),
        cmocka_unit_test(inspect_tells_what_is_there),
        cmocka_unit_test(bench_reports_every_row),
        cmocka_unit_test(bench_tells_limits_alone),
        cmocka_unit_test(the_cache_changes_no_token),
        cmocka_unit_test(a_bad_model_is_exit_3),
        cmocka_unit_test(wrong_usage_is_exit_2),
        cmocka_unit_test(help_is_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
