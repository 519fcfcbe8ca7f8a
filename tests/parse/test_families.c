/* SPDX-License-Identifier: MIT */
/* Which family a chat template shows, and which names mean it. */
#include "parse/parsed.h"

/* Goal: published templates are recognised.
 * Method: the templates of tests/data; a template that shows no calls is of the family none. */
static void templates_show_their_family(void **state)
{
    static const struct {
        const char *template, *family;
    } cases[] = {
        {"command-r7b-tool-use", "command_r7b"},
        {"deepseek-coder", "none"},
        {"deepseek-r1-distill-qwen", "deepseek_v3"},
        {"firefunction-v2", "firefunction_v2"},
        {"functionary-3.2", "functionary_v3.2"},
        {"gemma-2", "none"},
        {"gpt-oss", "gpt_oss"},
        {"granite-3.3", "granite3"},
        {"hermes-3-tool-use", "hermes"},
        {"kimi-k2", "kimi_k2"},
        {"llama-2", "none"},
        {"llama-3", "none"},
        {"llama-3.1", "llama3_json"},
        {"llama-3.2", "llama3_json"},
        {"mistral-7b-v0.1", "none"},
        {"mistral-7b-v0.3", "mistral_v3"},
        {"mistral-nemo", "mistral_nemo"},
        {"mistral-small-3.2", "mistral_v11"},
        {"phi-3-mini", "none"},
        {"qwen2.5", "hermes"},
        {"qwen3", "hermes"},
        {"smollm2", "none"},
        {"zephyr-7b-beta", "none"},
    };
    static char source[1 << 18];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        snprintf(path, sizeof path, QUIRE_TEST_DATA "/templates/%s.jinja", cases[i].template);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        size_t n = fread(source, 1, sizeof source, file);
        assert_int_equal(fclose(file), 0);
        assert_string_equal(qr_parse_family_name(qr_parse_family_recognise(source, n)),
                            cases[i].family);
    }
}

/* Goal: what only its markers tell apart is told apart.
 * Method: templates cut down to their markers. */
static void markers_tell_families_apart(void **state)
{
    static const struct {
        const char *source, *family;
    } cases[] = {
        {"", "none"},
        {"<tool_call>", "hermes"},
        {"<tool_call> <function= <parameter=", "qwen3_coder"},
        {"<tool_call> <arg_key> <arg_value>", "glm45"},
        {"<tool_calls> <tool_call>", "hunyuan_a13b"},
        {"<｜DSML｜function_calls>", "deepseek_v3.2"},
        {"<｜DSML｜tool_calls> <tool_calls>", "deepseek_v4"},
        {"<minimax:tool_call> <tool_calls>", "minimax_m2"},
        {"<TOOLCALL>", "nemotron_v2"},
        {"[TOOL_CALLS] [ARGS] [THINK]", "mistral_v13"},
        {"<｜tool▁calls▁begin｜> ```json", "deepseek_v3"},
        {"<｜tool▁calls▁begin｜>", "deepseek_v3.1"},
        {"<|start_header_id|> <function=", "functionary_v3.1"},
        {"<|header_start|>", "llama4_pythonic"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(qr_parse_family_name(qr_parse_family_recognise(
                                cases[i].source, strlen(cases[i].source))),
                            cases[i].family);
}

/* Goal: reasoning is recognised where the template shows no calls too.
 * Method: templates cut down to their markers. */
static void templates_show_their_reasoning(void **state)
{
    static const struct {
        const char *source, *reasoning;
    } cases[] = {{"<tool_call>", "think"},
                 {"<think>", "think"},
                 {"[THINK]", "mistral"},
                 {"<|start_header_id|>ipython <think>", "think"},
                 {"<|START_ACTION|>", "command_r7b"}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(qr_parse_reasoning_name(qr_parse_reasoning_recognise(
                                cases[i].source, strlen(cases[i].source))),
                            cases[i].reasoning);
    assert_null(qr_parse_reasoning_recognise("<|im_start|>", 12));
}

/* Goal: peers' parser names mean a family.
 * Method: names of vLLM's and SGLang's parsers. */
static void peers_names_are_known(void **state)
{
    static const struct {
        const char *name, *family;
    } cases[] = {{"hermes", "hermes"},
                 {"qwen25", "hermes"},
                 {"qwen3_coder", "qwen3_coder"},
                 {"qwen3_xml", "qwen3_coder"},
                 {"llama3_json", "llama3_json"},
                 {"llama4_pythonic", "llama4_pythonic"},
                 {"llama4_json", "llama4_pythonic"},
                 {"mistral", "mistral_v3"},
                 {"openai", "gpt_oss"},
                 {"deepseek_v3", "deepseek_v3"},
                 {"deepseek_v31", "deepseek_v3.1"},
                 {"kimi_k2", "kimi_k2"},
                 {"glm45", "glm45"},
                 {"glm47", "glm45"},
                 {"minimax_m2", "minimax_m2"},
                 {"granite", "granite3"},
                 {"phi4_mini_json", "phi4_mini"},
                 {"hunyuan_a13b", "hunyuan_a13b"},
                 {"cohere_command3", "command_r7b"},
                 {"Hermes 2 Pro", "hermes"},
                 {"Llama 3.x", "llama3_json"},
                 {"Functionary v3.1 Llama 3.1", "functionary_v3.1"},
                 {"Content-only", "none"},
                 {"gpt-oss", "gpt_oss"},
                 {"none", "none"}};
    static const char *const reasonings[][2] = {
        {"qwen3", "think"},           {"deepseek_r1", "think"},
        {"mistral", "mistral"},       {"granite", "granite"},
        {"openai_gptoss", "gpt_oss"}, {"hunyuan_a13b", "hunyuan_a13b"},
        {"glm45", "think"},           {"none", "none"}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct qr_parse_family *family = qr_parse_family_find(cases[i].name);
        assert_non_null(family);
        assert_string_equal(qr_parse_family_name(family), cases[i].family);
    }
    for (size_t i = 0; i < sizeof reasonings / sizeof *reasonings; i++) {
        const struct qr_parse_reasoning *row = qr_parse_reasoning_find(reasonings[i][0]);
        assert_non_null(row);
        assert_string_equal(qr_parse_reasoning_name(row), reasonings[i][1]);
    }
    for (size_t i = 0; qr_parse_family_name_at(i); i++)
        assert_string_equal(qr_parse_family_name(qr_parse_family_find(qr_parse_family_name_at(i))),
                            qr_parse_family_name_at(i));
    assert_null(qr_parse_family_find("no such parser"));
    assert_null(qr_parse_family_find(""));
    assert_null(qr_parse_reasoning_find("hermes2"));
}

/* Goal: all markers of a family are listed: a decoder must not hide them.
 * Method: a family with markers in every place, and one whose reasoning is another's. */
static void markers_are_listed(void **state)
{
    static const char *const mistral[] = {"[THINK]",      "[/THINK]", "<think>",  "</think>",
                                          "[TOOL_CALLS]", "[ARGS]",   "[CALL_ID]"};
    const struct qr_parse_family *family = qr_parse_family_find("mistral_v13");
    size_t n = 0;
    (void)state;

    for (; qr_parse_marker_at(family, NULL, n); n++)
        assert_string_equal(qr_parse_marker_at(family, NULL, n), mistral[n]);
    assert_int_equal(n, sizeof mistral / sizeof *mistral);
    assert_string_equal(qr_parse_marker_at(family, qr_parse_reasoning_find("none"), 0),
                        "[TOOL_CALLS]");
    assert_string_equal(qr_parse_marker_at(qr_parse_family_find("gpt_oss"), NULL, 0), "<|start|>");
    assert_null(qr_parse_marker_at(qr_parse_family_find("none"), NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(templates_show_their_family),
                                       cmocka_unit_test(markers_tell_families_apart),
                                       cmocka_unit_test(templates_show_their_reasoning),
                                       cmocka_unit_test(peers_names_are_known),
                                       cmocka_unit_test(markers_are_listed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
