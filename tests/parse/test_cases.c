/* SPDX-License-Identifier: MIT */
/* Answers of models of each family, whole, byte by byte and cut at every byte. */
#include "parse/cases.h"

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

/* Goal: each case is read as expected, or as another accepted form, however it is cut.
 * Method: the cases of tool_cases.json; whole, in bytes, and in two pieces at every byte. */
static void each_case_is_read_alike(void **state)
{
    json_t *file = cases_load();
    const json_t *one;
    size_t i, wrong = 0;
    (void)state;

    json_array_foreach(json_object_get(file, "cases"), i, one)
    {
        struct qr_parse_tool tools[CASE_TOOLS_MAX];
        struct qr_parse_settings settings = case_settings(one, tools);
        const struct quire_text raw = case_text(one, "raw_output");
        const enum qr_parse_stop stop = strcmp(case_text(one, "stop").data, "length")
                                            ? QR_PARSE_STOP_END
                                            : QR_PARSE_STOP_LENGTH;
        struct parsed whole, cut;

        parsed_run(&whole, settings, raw.data, raw.n, raw.n, 1, stop);
        if (!is_accepted(&whole, one)) {
            print_error("%s: content '%s', reasoning '%s', %u calls ('%s' '%s'), %s\n",
                        case_text(one, "id").data, whole.content.data, whole.reasoning.data,
                        whole.calls_n, whole.calls[0].name.data, whole.calls[0].arguments.data,
                        whole.finish_reason);
            wrong++;
        }
        for (size_t at = 0; at <= raw.n; at++) {
            parsed_run(&cut, settings, raw.data, raw.n, at, at ? raw.n : 1, stop);
            if (!parsed_equal(&whole, &cut)) {
                print_error("%s: differs when cut at %zu\n", case_text(one, "id").data, at);
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
