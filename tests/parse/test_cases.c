/* SPDX-License-Identifier: MIT */
/* Answers of models of each family, whole, byte by byte and cut at every byte. */
#include "parse/parsed.h"

static json_t *load_cases(void)
{
    json_error_t error;
    json_t *file =
        json_load_file(QUIRE_TEST_DATA "/tool_cases.json", JSON_DECODE_INT_AS_REAL, &error);

    if (!file) fail_msg("tool_cases.json: %s (line %d)", error.text, error.line);
    return file;
}

/* Equal after trimming; NULL is empty. */
static bool is_text(const struct parsed_text *got, const json_t *expected)
{
    const char *e = json_is_string(expected) ? json_string_value(expected) : "";
    size_t e_n = strlen(e), g_n = got->n;
    const char *g = got->data ? got->data : "";

    for (; e_n && strchr(" \n\r\t", *e); e++)
        e_n--;
    while (e_n && strchr(" \n\r\t", e[e_n - 1]))
        e_n--;
    for (; g_n && strchr(" \n\r\t", *g); g++)
        g_n--;
    while (g_n && strchr(" \n\r\t", g[g_n - 1]))
        g_n--;
    return e_n == g_n && memcmp(e, g, e_n) == 0;
}

static json_t *value_of(const struct parsed_text *text)
{
    return json_loadb(text->data ? text->data : "", text->n,
                      JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

/* Whether a, without white space, begins b without white space. */
static bool begins(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, " \n\r\t");
        b += strspn(b, " \n\r\t");
        if (!*a || *a != *b) return !*a;
    }
}

static bool is_call(const struct parsed *p, uint32_t i, const json_t *expected)
{
    const json_t *arguments = json_object_get(expected, "arguments");
    const json_t *prefix = json_object_get(expected, "arguments_prefix");
    const json_t *id = json_object_get(expected, "id");

    if (!is_text(&p->calls[i].name, json_object_get(expected, "name"))) return false;
    if (id && !is_text(&p->calls[i].id, id)) return false;
    if (prefix) {
        const char *text = p->calls[i].arguments.data;
        return begins(text ? text : "", json_string_value(prefix));
    }
    json_t *got = value_of(&p->calls[i].arguments);
    bool same = got && json_equal(got, arguments);
    json_decref(got);
    return same;
}

/* The keys of `over`, where there, count instead of those of `expected`. */
static bool is_message(const struct parsed *p, const json_t *expected, const json_t *over)
{
    static const char *const keys[] = {"content", "reasoning", "tool_calls", "finish_reason"};
    const json_t *value[4];

    for (int i = 0; i < 4; i++) {
        value[i] = json_object_get(over, keys[i]);
        if (!value[i]) value[i] = json_object_get(expected, keys[i]);
    }
    if (!is_text(&p->content, value[0]) || !is_text(&p->reasoning, value[1]) ||
        p->calls_n != json_array_size(value[2]) ||
        strcmp(p->finish_reason, json_string_value(value[3])))
        return false;
    if (p->calls_n && !json_is_string(value[0]) && p->content.n) return false;
    for (uint32_t i = 0; i < p->calls_n; i++)
        if (!is_call(p, i, json_array_get(value[2], i))) return false;
    return true;
}

static bool is_accepted(const struct parsed *p, const json_t *one)
{
    const json_t *expected = json_object_get(one, "expected"), *over;
    size_t i;

    if (is_message(p, expected, NULL)) return true;
    json_array_foreach(json_object_get(one, "also_accept"), i,
                       over) if (is_message(p, expected, over)) return true;
    return false;
}

static bool has_flag(const json_t *one, const char *flag)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(one, "flags"), i,
                       item) if (!strcmp(json_string_value(item), flag)) return true;
    return false;
}

static struct quire_text text_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return (struct quire_text){json_string_value(value), json_string_length(value)};
}

static struct qr_parse_settings settings_of(const json_t *one, struct qr_parse_tool *tools)
{
    const json_t *choice = json_object_get(one, "tool_choice"), *tool;
    struct qr_parse_settings s = {0};
    size_t i;

    json_array_foreach(json_object_get(one, "tools"), i, tool)
    {
        const json_t *function = json_object_get(tool, "function");
        tools[s.tools_n++] = (struct qr_parse_tool){text_at(function, "name"),
                                                    json_object_get(function, "parameters")};
    }
    s.family = qr_parse_family_find(json_string_value(json_object_get(one, "family")));
    if (!s.family) fail_msg("%s: unknown family", json_string_value(json_object_get(one, "id")));
    s.tools = tools;
    s.prompt_tail = text_at(one, "prompt_tail");
    s.in_reasoning = !strcmp(text_at(one, "starts_in").data, "reasoning");
    s.no_calls = json_is_string(choice) && !strcmp(json_string_value(choice), "none");
    s.named = json_is_object(choice);
    s.single = has_flag(one, "parallel_false");
    return s;
}

/* Goal: each case is read as expected, or as another accepted form, however it is cut.
 * Method: the cases of tool_cases.json; whole, in bytes, and in two pieces at every byte. */
static void each_case_is_read_alike(void **state)
{
    json_t *file = load_cases();
    const json_t *one;
    size_t i, wrong = 0;
    (void)state;

    json_array_foreach(json_object_get(file, "cases"), i, one)
    {
        struct qr_parse_tool tools[8];
        struct qr_parse_settings settings = settings_of(one, tools);
        const struct quire_text raw = text_at(one, "raw_output");
        const enum qr_parse_stop stop =
            strcmp(text_at(one, "stop").data, "length") ? QR_PARSE_STOP_END : QR_PARSE_STOP_LENGTH;
        struct parsed whole, cut;

        parsed_run(&whole, settings, raw.data, raw.n, raw.n, 1, stop);
        if (!is_accepted(&whole, one)) {
            print_error("%s: content '%s', reasoning '%s', %u calls ('%s' '%s'), %s\n",
                        text_at(one, "id").data, whole.content.data, whole.reasoning.data,
                        whole.calls_n, whole.calls[0].name.data, whole.calls[0].arguments.data,
                        whole.finish_reason);
            wrong++;
        }
        for (size_t at = 0; at <= raw.n; at++) {
            parsed_run(&cut, settings, raw.data, raw.n, at, at ? raw.n : 1, stop);
            if (!parsed_equal(&whole, &cut)) {
                print_error("%s: differs when cut at %zu\n", text_at(one, "id").data, at);
                wrong++;
            }
            parsed_free(&cut);
        }
        parsed_free(&whole);
    }
    assert_int_equal(wrong, 0);
    assert_true(i > 100);
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_case_is_read_alike)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
