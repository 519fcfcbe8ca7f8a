/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/loadgen/workload.h"

static struct qr_failure why;

static struct qr_load_settings settings_of(enum qr_workload_kind kind, bool chat)
{
    return (struct qr_load_settings){.workload = kind,
                                     .chat = chat,
                                     .prompts_n = 8,
                                     .input_n = 20,
                                     .output_n = 10,
                                     .turns_n = 3,
                                     .request_rate = HUGE_VAL,
                                     .burstiness = 1,
                                     .ignore_eos = true};
}

static json_t *body(const struct qr_workload *w, size_t job, const struct qr_load_settings *s)
{
    size_t n;
    char *text = qr_workload_body(w, job, s, "the \"model\"", &n);
    assert_non_null(text);
    assert_int_equal(strlen(text), n);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static json_int_t number(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

/* Goal: random prompts have exactly the requested number of ids and avoid both ends of the
 *       vocabulary; bodies have the fields of vLLM's client.
 * Method: parse the bodies. */
static void random_prompts_are_exact(void **state)
{
    (void)state;
    struct qr_load_settings s = settings_of(QR_WORKLOAD_RANDOM, false);
    struct qr_workload w;
    assert_true(qr_workload_create(&w, &s, 1600, 8, 1, &why));
    assert_int_equal(w.jobs_n, 8);
    for (size_t i = 0; i < 8; i++) {
        json_t *json = body(&w, i, &s);
        const json_t *prompt = json_object_get(json, "prompt");
        assert_int_equal(json_array_size(prompt), 20);
        for (size_t k = 0; k < 20; k++)
            assert_in_range(json_integer_value(json_array_get(prompt, k)), 100, 1499);
        assert_int_equal(number(json, "max_tokens"), 10);
        assert_true(json_is_true(json_object_get(json, "stream")));
        assert_true(json_is_true(json_object_get(json, "ignore_eos")));
        assert_true(json_is_true(
            json_object_get(json_object_get(json, "stream_options"), "include_usage")));
        assert_string_equal(json_string_value(json_object_get(json, "model")), "the \"model\"");
        assert_int_equal(qr_workload_input_n(&w, i), 20);
        json_decref(json);
    }
    qr_workload_destroy(&w);
}

/* Goal: lengths are within vLLM's bounds, and both bounds occur.
 * Method: 400 requests with a ratio of 0.5. */
static void range_ratio_spreads_lengths(void **state)
{
    (void)state;
    struct qr_load_settings s = settings_of(QR_WORKLOAD_RANDOM, false);
    struct qr_workload w;
    s.range_ratio = 0.5;
    assert_true(qr_workload_create(&w, &s, 1600, 400, 1, &why));
    size_t least = 1000, most = 0;
    for (size_t i = 0; i < w.jobs_n; i++) {
        assert_in_range(w.jobs[i].ids_n, 10, 30);
        assert_in_range(w.jobs[i].output_n, 5, 15);
        if (w.jobs[i].ids_n < least) least = w.jobs[i].ids_n;
        if (w.jobs[i].ids_n > most) most = w.jobs[i].ids_n;
    }
    assert_int_equal(least, 10);
    assert_int_equal(most, 30);
    qr_workload_destroy(&w);
}

/* Goal: the same seed makes the same prompts; warm-ups share only the prefix.
 * Method: compare three workloads. */
static void prefixes_are_shared_and_seeds_repeat(void **state)
{
    (void)state;
    struct qr_load_settings s = settings_of(QR_WORKLOAD_SHARED_PREFIX, false);
    struct qr_workload a, b, c;
    s.prefix_n = 50;
    assert_true(qr_workload_create(&a, &s, 1600, 4, 1, &why));
    assert_true(qr_workload_create(&b, &s, 1600, 4, 1, &why));
    assert_true(qr_workload_create(&c, &s, 1600, 4, 2, &why));
    assert_int_equal(qr_workload_input_n(&a, 0), 70);
    assert_memory_equal(a.prefix, c.prefix, 50 * sizeof *a.prefix);
    assert_memory_equal(a.jobs[3].ids, b.jobs[3].ids, 20 * sizeof(int32_t));
    assert_memory_not_equal(a.jobs[3].ids, c.jobs[3].ids, 20 * sizeof(int32_t));
    json_t *one = body(&a, 0, &s), *two = body(&a, 1, &s);
    unsigned same = 0;
    for (size_t i = 0; i < 70; i++)
        same += json_integer_value(json_array_get(json_object_get(one, "prompt"), i)) ==
                json_integer_value(json_array_get(json_object_get(two, "prompt"), i));
    assert_in_range(same, 50, 52);
    json_decref(one);
    json_decref(two);
    qr_workload_destroy(&a);
    qr_workload_destroy(&b);
    qr_workload_destroy(&c);
}

/* Goal: a conversation's next prompt is the whole history and then the new ids.
 * Method: answer two turns, once with ids, once without. */
static void turns_grow(void **state)
{
    (void)state;
    struct qr_load_settings s = settings_of(QR_WORKLOAD_MULTI_TURN, false);
    struct qr_workload w;
    struct qr_random r;
    qr_random_seed(&r, 1);
    assert_true(qr_workload_create(&w, &s, 1600, 7, 1, &why));
    assert_int_equal(w.conversations_n, 3);
    assert_int_equal(w.jobs[4].conversation, 1);
    assert_int_equal(w.jobs[4].turn, 1);
    const int32_t ids[] = {7, 8, 9};
    const struct qr_turn_answer with_ids = {ids, 3, 3, ""}, without = {NULL, 0, 5, ""};
    assert_true(qr_workload_answer(&w, 0, &with_ids, 1600, &r));
    assert_int_equal(qr_workload_input_n(&w, 1), 20 + 3 + 20);
    json_t *json = body(&w, 1, &s);
    const json_t *prompt = json_object_get(json, "prompt");
    assert_int_equal(json_array_size(prompt), 43);
    assert_int_equal(json_integer_value(json_array_get(prompt, 0)), w.jobs[0].ids[0]);
    assert_int_equal(json_integer_value(json_array_get(prompt, 21)), 8);
    assert_int_equal(json_integer_value(json_array_get(prompt, 23)), w.jobs[1].ids[0]);
    assert_true(json_is_true(json_object_get(json, "return_token_ids")));
    json_decref(json);
    assert_true(qr_workload_answer(&w, 1, &without, 1600, &r));
    assert_int_equal(qr_workload_input_n(&w, 2), 43 + 5 + 20);
    qr_workload_destroy(&w);
}

/* Goal: chat conversations send alternating messages.
 * Method: check the second turn's body. */
static void chat_turns_are_messages(void **state)
{
    (void)state;
    struct qr_load_settings s = settings_of(QR_WORKLOAD_MULTI_TURN, true);
    struct qr_workload w;
    struct qr_random r;
    qr_random_seed(&r, 1);
    assert_true(qr_workload_create(&w, &s, 0, 3, 1, &why));
    const struct qr_turn_answer answer = {NULL, 0, 2, "an \"answer\""};
    assert_true(qr_workload_answer(&w, 0, &answer, 0, &r));
    json_t *json = body(&w, 1, &s);
    const json_t *messages = json_object_get(json, "messages");
    assert_int_equal(json_array_size(messages), 3);
    const json_t *middle = json_array_get(messages, 1);
    assert_string_equal(json_string_value(json_object_get(middle, "role")), "assistant");
    assert_string_equal(json_string_value(json_object_get(middle, "content")), "an \"answer\"");
    assert_int_equal(number(json, "max_completion_tokens"), 10);
    assert_int_equal(qr_workload_input_n(&w, 1), 0);
    json_decref(json);
    qr_workload_destroy(&w);
}

static bool read_dataset(struct qr_workload *w, struct qr_load_settings *s, const char *text)
{
    char path[] = "/tmp/quire-dataset-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    s->dataset_path = path;
    bool ok = qr_workload_create(w, s, 1600, s->prompts_n, 1, &why);
    unlink(path);
    s->dataset_path = NULL;
    return ok;
}

/* Goal: every file format is read, and a short file is repeated from the top.
 * Method: JSON lines, ShareGPT's array, plain lines. */
static void files_of_every_form_are_read(void **state)
{
    (void)state;
    struct qr_load_settings s = settings_of(QR_WORKLOAD_FILE, false);
    struct qr_workload w;
    assert_true(read_dataset(&w, &s,
                             "{\"prompt\":\"one\",\"output_tokens\":3}\r\n\n"
                             "{\"prompt\":[5,6]}\nplain text\n"));
    assert_int_equal(w.jobs_n, 8);
    assert_string_equal(w.jobs[0].text, "one");
    assert_int_equal(w.jobs[0].output_n, 3);
    assert_int_equal(w.jobs[1].ids_n, 2);
    assert_int_equal(w.jobs[1].output_n, 10);
    assert_string_equal(w.jobs[2].text, "plain text");
    assert_string_equal(w.jobs[6].text, "one");
    json_t *json = body(&w, 0, &s);
    assert_string_equal(json_string_value(json_object_get(json, "prompt")), "one");
    json_decref(json);
    qr_workload_destroy(&w);

    assert_true(read_dataset(&w, &s,
                             "[{\"conversations\":[{\"from\":\"human\",\"value\":\"hi\"},"
                             "{\"from\":\"gpt\",\"value\":\"ho\"}]}]"));
    assert_string_equal(w.jobs[7].text, "hi");
    qr_workload_destroy(&w);

    s.chat = true;
    assert_true(read_dataset(&w, &s, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"));
    json = body(&w, 0, &s);
    assert_int_equal(json_array_size(json_object_get(json, "messages")), 1);
    json_decref(json);
    qr_workload_destroy(&w);
}

/* Goal: the error about a bad row names the row.
 * Method: unusable rows, an empty file, a missing file. */
static void bad_files_are_refused(void **state)
{
    (void)state;
    struct qr_load_settings s = settings_of(QR_WORKLOAD_FILE, false);
    struct qr_workload w;
    assert_false(read_dataset(&w, &s, "{\"prompt\":\"one\"}\n{\"prompt\":3}\n"));
    assert_non_null(strstr(why.text, "row 2"));
    assert_false(read_dataset(&w, &s, "{\"prompt\":[1,-1]}"));
    assert_false(read_dataset(&w, &s, "{\"prompt\""));
    assert_false(read_dataset(&w, &s, "{\"messages\":[]}"));
    assert_non_null(strstr(why.text, "completions"));
    assert_false(read_dataset(&w, &s, "\n\n"));
    assert_non_null(strstr(why.text, "no prompt"));
    s.dataset_path = "/tmp/quire-there-is-no-such-file";
    assert_false(qr_workload_create(&w, &s, 1600, 8, 1, &why));
    assert_non_null(strstr(why.text, "no-such-file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_prompts_are_exact),
        cmocka_unit_test(range_ratio_spreads_lengths),
        cmocka_unit_test(prefixes_are_shared_and_seeds_repeat),
        cmocka_unit_test(turns_grow),
        cmocka_unit_test(chat_turns_are_messages),
        cmocka_unit_test(files_of_every_form_are_read),
        cmocka_unit_test(bad_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
