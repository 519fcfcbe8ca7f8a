/* SPDX-License-Identifier: MIT */
/* cases -- what models of each family write, from tool_cases.json, ready to be run.
 *
 * Thread: the test's.   Memory: jansson's. */
#ifndef TESTS_PARSE_CASES_H
#define TESTS_PARSE_CASES_H

#include "parse/parsed.h"

#define CASE_TOOLS_MAX 8

static inline json_t *cases_load(void)
{
    json_error_t error;
    json_t *file =
        json_load_file(QUIRE_TEST_DATA "/tool_cases.json", JSON_DECODE_INT_AS_REAL, &error);

    if (!file) fail_msg("tool_cases.json: %s (line %d)", error.text, error.line);
    return file;
}

static inline struct quire_text case_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return (struct quire_text){json_string_value(value), json_string_length(value)};
}

static inline bool case_has_flag(const json_t *one, const char *flag)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(one, "flags"), i,
                       item) if (!strcmp(json_string_value(item), flag)) return true;
    return false;
}

static inline struct qr_parse_settings case_settings(const json_t *one, struct qr_parse_tool *tools)
{
    const json_t *choice = json_object_get(one, "tool_choice"), *tool;
    struct qr_parse_settings s = {0};
    size_t i;

    json_array_foreach(json_object_get(one, "tools"), i, tool)
    {
        const json_t *function = json_object_get(tool, "function");
        tools[s.tools_n++] = (struct qr_parse_tool){case_text(function, "name"),
                                                    json_object_get(function, "parameters")};
    }
    s.family = qr_parse_family_find(json_string_value(json_object_get(one, "family")));
    if (!s.family) fail_msg("%s: unknown family", json_string_value(json_object_get(one, "id")));
    s.tools = tools;
    s.prompt_tail = case_text(one, "prompt_tail");
    s.in_reasoning = !strcmp(case_text(one, "starts_in").data, "reasoning");
    s.no_calls = json_is_string(choice) && !strcmp(json_string_value(choice), "none");
    s.named = json_is_object(choice);
    s.single = case_has_flag(one, "parallel_false");
    return s;
}

#endif
