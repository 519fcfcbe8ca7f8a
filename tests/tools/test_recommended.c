/* SPDX-License-Identifier: MIT */
/* Tests of the sampler settings that a model's file recommends (general.sampling.*). */
#include <jansson.h>
#include <unistd.h>

#include "model/rig.h"
#include "model/tiny.h"

#include "runtime/quire.h"
#include "support/process.h"

static char path[] = "/tmp/quire-recommended-XXXXXX";

/* Writes a llama of 50 ids; keys: it recommends greedy sampling, and a top_p that is out of range.
 */
static void write_model(bool keys)
{
    struct tiny t = tiny_defaults();
    struct gguf_writer w;
    size_t n;

    tiny_write(&w, &t);
    if (keys) {
        gguf_writer_f32(&w, "general.sampling.temp", 0.0f);
        gguf_writer_u32(&w, "general.sampling.top_k", 20);
        gguf_writer_f32(&w, "general.sampling.top_p", 2.0f);
        gguf_writer_f32(&w, "general.sampling.penalty_repeat", 1.25f);
    }
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    gguf_writer_free(&w);
}

/* Goal: quire_model_sampling sets what the file recommends, within a request's size, and nothing
 *       that is out of range or not recommended.
 * Method: a file with four keys, one of them wrong; then one without keys. */
static void a_request_gets_the_file_s_settings(void **state)
{
    struct quire_model_settings settings;
    struct quire_request request;
    struct quire_error error;
    quire_model *model;

    (void)state;
    write_model(true);
    quire_model_settings_defaults(&settings);
    settings.path = path;
    assert_int_equal(quire_model_open(&settings, &model, &error), QUIRE_OK);
    quire_request_defaults(&request);
    request.min_p = 0.25f;
    assert_int_equal(quire_model_sampling(model, &request), 3);
    assert_true(request.temperature == 0 && request.top_k == 20);
    assert_true(request.repetition_penalty == 1.25f);
    assert_true(request.top_p == 1 && request.min_p == 0.25f);

    quire_request_defaults_sized(&request, offsetof(struct quire_request, top_k));
    request.top_k = 7;
    assert_int_equal(quire_model_sampling(model, &request), 1);
    assert_int_equal(request.top_k, 7);
    quire_model_close(model);

    write_model(false);
    assert_int_equal(quire_model_open(&settings, &model, &error), QUIRE_OK);
    quire_request_defaults(&request);
    assert_int_equal(quire_model_sampling(model, &request), 0);
    assert_true(request.temperature == 1);
    quire_model_close(model);
}

/* The ids that quire generates with one seed and one more option. */
static char *generated(const char *option, const char *value)
{
    const char *const arguments[] = {"quire",      "generate",     "--model", path,
                                     "--ids",      "5,6,7",        "--seed",  "1",
                                     "--quiet",    "--max-tokens", "24",      "--ignore-eos",
                                     "--show-ids", option,         value,     NULL};
    struct process_result r = process_run(arguments, "", 0);
    if (r.code) print_message("%s\n", r.err);
    assert_int_equal(r.code, 0);
    free(r.err);
    return r.out;
}

/* Goal: quire generate takes the file's settings instead of its own defaults; an option replaces
 *       one of them.
 * Method: the recommended greedy text, the same with the option, and a hot one. */
static void generate_follows_the_file(void **state)
{
    (void)state;
    if (!process_built("quire")) {
        print_message("skipped: %s/quire is not built\n", QUIRE_BUILD_DIR);
        skip();
    }
    write_model(true);
    char *recommended = generated(NULL, NULL), *greedy = generated("--temperature", "0");
    char *hot = generated("--temperature", "50");
    assert_string_equal(recommended, greedy);
    assert_string_not_equal(recommended, hot);
    free(recommended);
    free(greedy);
    free(hot);
}

/* Goal: inspect shows the recommended settings.
 * Method: the table and the JSON of such a file. */
static void inspect_shows_them(void **state)
{
    (void)state;
    if (!process_built("quire")) {
        print_message("skipped: %s/quire is not built\n", QUIRE_BUILD_DIR);
        skip();
    }
    write_model(true);
    const char *const as_json[] = {"quire", "inspect", "--json", path, NULL};
    const char *const as_table[] = {"quire", "inspect", path, NULL};
    struct process_result json = process_run(as_json, "", 0);
    struct process_result table = process_run(as_table, "", 0);
    json_t *root = json_loads(json.out, 0, NULL);
    const json_t *sampling = json_object_get(root, "sampling");
    assert_int_equal(json_object_size(sampling), 4);
    assert_int_equal(json_integer_value(json_object_get(sampling, "top_k")), 20);
    assert_non_null(strstr(table.out, "\nRecommended sampling\n"));
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
        cmocka_unit_test(a_request_gets_the_file_s_settings),
        cmocka_unit_test(generate_follows_the_file),
        cmocka_unit_test(inspect_shows_them),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
