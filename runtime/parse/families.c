/* SPDX-License-Identifier: MIT */
#include "runtime/parse/families.h"

#include <string.h>

#include "runtime/parse/reader.h"

/* ---- reasoning ------------------------------------------------------------------------------ */

const struct qr_parse_reasoning qr_parse_reasonings[] = {
    {.name = "none", .aliases = "identity"},
    {.name = "think",
     .aliases =
         "qwen3 deepseek_r1 deepseek_v3 deepseek_v31 deepseek glm45 glm4 glm47 kimi_k2 kimi "
         "minimax_m2 minimax nemotron_v3 nemotron_nano_v2 nemotron step3 step3p5 olmo3 ernie45 "
         "seed_oss hermes smollm3 mimo holo2 deepseek-legacy deepseek-r1 qwen3-thinking "
         "deepseek-v3 auto",
     .pairs = {{"<think>", "</think>"}}},
    {.name = "mistral",
     .aliases = "magistral",
     .pairs = {{"[THINK]", "[/THINK]"}, {"<think>", "</think>"}}},
    {.name = "command_r7b",
     .aliases = "cohere_command3 cohere_command4 cohere command-a command_a",
     .pairs = {{"<|START_THINKING|>", "<|END_THINKING|>"}},
     .answer = {"<|START_RESPONSE|>", "<|START_TEXT|>"},
     .answer_end = {"<|END_RESPONSE|>", "<|END_TEXT|>"}},
    {.name = "granite",
     .pairs = {{"<think>", "</think>"},
               {"Here is my thought process:", "Here is my response:"},
               {"Here's my thought process:", "Here's my response:"}},
     .answer = {"<response>"},
     .answer_end = {"</response>"}},
    {.name = "hunyuan_a13b",
     .aliases = "hunyuan",
     .pairs = {{"<think>", "</think>"}},
     .answer = {"<answer>", "助手："},
     .answer_end = {"</answer>"}},
    {.name = "apriel", .pairs = {{"Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"}}},
    {.name = "gpt_oss", .aliases = "openai_gptoss gpt-oss openai harmony"},
};
const size_t qr_parse_reasonings_n = sizeof qr_parse_reasonings / sizeof *qr_parse_reasonings;

/* ---- families ------------------------------------------------------------------------------- */

#define DEEPSEEK_SECTIONS                                                                          \
    "<｜tool▁calls▁begin｜>", "<｜tool_calls_begin｜>", "<｜tool calls begin｜>",                  \
        "<｜tool\\_calls\\_begin｜>", "<｜tool▁calls｜>", "<｜tool▁call▁end｜>",                   \
        "<｜tool_call_end｜>", "<｜tool call end｜>", "<｜tool\\_call\\_end｜>",                   \
        "<｜tool▁calls▁end｜>", "<｜tool_calls_end｜>", "<｜tool calls end｜>",                    \
        "<｜tool\\_calls\\_end｜>"
#define DEEPSEEK_OPENS                                                                             \
    "<｜tool▁call▁begin｜>", "<｜tool_call_begin｜>", "<｜tool call begin｜>",                     \
        "<｜tool\\_call\\_begin｜>"

/* In the order of recognition: the first row whose strings a template has, all of them. */
const struct qr_parse_family qr_parse_families[] = {
    {.name = "gpt_oss",
     .aliases = "openai gpt-oss harmony",
     .shown = {"<|channel|>", "<|message|>"},
     .reasoning = "gpt_oss",
     .start = qr_parse_harmony_start},
    {.name = "functionary_v3.2",
     .aliases = "functionary_v32 functionary",
     .shown = {">>>all"},
     .opens = {">>>"},
     .begin = qr_parse_recipients_begin,
     .start = qr_parse_recipients_start},
    {.name = "kimi_k2",
     .aliases = "kimi_k2.5 kimi_k25 kimi",
     .shown = {"<|tool_calls_section_begin|>"},
     .reasoning = "think",
     .opens = {"<|tool_call_begin|>"},
     .sections = {"<|tool_calls_section_begin|>", "<|tool_call_section_begin|>",
                  "<|tool_calls_section_end|>", "<|tool_call_section_end|>", "<|tool_call_end|>"},
     .begin = qr_parse_kimi_begin},
    {.name = "deepseek_v3",
     .aliases = "deepseek_r1 deepseek_v30 deepseek deepseekv3",
     .shown = {"<｜tool▁calls▁begin｜>", "```json"},
     .reasoning = "think",
     .opens = {DEEPSEEK_OPENS},
     .sections = {DEEPSEEK_SECTIONS},
     .ends = {"```"},
     .begin = qr_parse_deepseek_begin},
    {.name = "deepseek_v3.1",
     .aliases = "deepseek_v31 deepseekv31",
     .shown = {"<｜tool▁calls▁begin｜>"},
     .reasoning = "think",
     .opens = {DEEPSEEK_OPENS},
     .sections = {DEEPSEEK_SECTIONS},
     .begin = qr_parse_deepseek_begin},
    {.name = "command_r7b",
     .aliases = "cohere_command3 cohere_command4 command_r command_a command-r7b",
     .shown = {"<|START_ACTION|>"},
     .reasoning = "command_r7b",
     .opens = {"<|START_ACTION|>"},
     .ends = {"<|END_ACTION|>"},
     .begin = qr_parse_json_begin},
    {.name = "minimax_m2",
     .aliases = "minimax-m2 minimax_m2.1",
     .shown = {"<minimax:tool_call>"},
     .reasoning = "think",
     .opens = {"<minimax:tool_call>", "<invoke name=\""},
     .ends = {"</minimax:tool_call>"},
     .begin = qr_parse_minimax_begin},
    {.name = "mistral_v13",
     .aliases = "magistral ministral3 ministral",
     .shown = {"[TOOL_CALLS]", "[ARGS]", "[THINK]"},
     .reasoning = "mistral",
     .opens = {"[TOOL_CALLS]"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_mistral_begin},
    {.name = "mistral_v11",
     .aliases = "mistral_small_3.2 devstral",
     .shown = {"[TOOL_CALLS]", "[ARGS]"},
     .reasoning = "mistral",
     .opens = {"[TOOL_CALLS]"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_mistral_begin},
    {.name = "mistral_v3",
     .aliases = "mistral mistral_v7",
     .shown = {"[TOOL_CALLS] ["},
     .opens = {"[TOOL_CALLS]"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_mistral_begin},
    {.name = "mistral_nemo",
     .shown = {"[TOOL_CALLS]"},
     .opens = {"[TOOL_CALLS]"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_mistral_begin},
    {.name = "glm45",
     .aliases = "glm4 glm47 glm46 glm4_moe",
     .shown = {"<arg_key>", "<arg_value>"},
     .reasoning = "think",
     .opens = {"<tool_call>"},
     .begin = qr_parse_glm_begin},
    {.name = "qwen3_coder",
     .aliases = "qwen3_xml qwen3.5 qwen35 nemotron_v3 nemotron3 step3.5 step3p5 seed_oss",
     .shown = {"<tool_call>", "<function=", "<parameter="},
     .reasoning = "think",
     .opens = {"<tool_call>", "<function="},
     .ends = {"</tool_call>"},
     .begin = qr_parse_tags_begin},
    {.name = "nemotron_v2",
     .aliases = "nemotron nemotron_nano_v2 nemotron_json",
     .shown = {"<TOOLCALL>"},
     .reasoning = "think",
     .opens = {"<TOOLCALL>"},
     .ends = {"</TOOLCALL>"},
     .inside = QR_INSIDE_WAITS,
     .begin = qr_parse_json_begin},
    {.name = "phi4_mini",
     .aliases = "phi4_mini_json phi4",
     .shown = {"functools[", "<|/tool|>"},
     .opens = {"functools[", "<|tool_call|>"},
     .ends = {"<|/tool_call|>"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_json_list_begin},
    {.name = "firefunction_v2",
     .aliases = "firefunction",
     .shown = {"functools["},
     .opens = {"functools["},
     .begin = qr_parse_json_list_begin},
    {.name = "granite3",
     .aliases = "granite granite-20b-fc granite_v3",
     .shown = {"<|start_of_role|>", "<|tool_call|>"},
     .reasoning = "granite",
     .opens = {"<|tool_call|>", "<tool_call>"},
     .ends = {"</tool_call>"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_json_begin},
    {.name = "apriel",
     .shown = {"<tool_calls>", "[BEGIN FINAL RESPONSE]"},
     .reasoning = "apriel",
     .opens = {"<tool_calls>"},
     .ends = {"</tool_calls>"},
     .inside = QR_INSIDE_WAITS,
     .begin = qr_parse_json_begin},
    {.name = "hunyuan_a13b",
     .aliases = "hunyuan minimax_m1 minimax minimax-m1",
     .shown = {"<tool_calls>"},
     .reasoning = "hunyuan_a13b",
     .opens = {"<tool_calls>"},
     .ends = {"</tool_calls>"},
     .inside = QR_INSIDE_WAITS,
     .begin = qr_parse_json_begin},
    {.name = "hermes",
     .aliases = "qwen25 qwen2.5 qwen qwen3 qwen3-forced qwq bielik mimo smollm3 granite4 hermes2 "
                "hermes_2_pro longcat",
     .shown = {"<tool_call>"},
     .reasoning = "think",
     .opens = {"<tool_call>"},
     .ends = {"</tool_call>"},
     .inside = QR_INSIDE_WAITS,
     .begin = qr_parse_hermes_begin},
    {.name = "functionary_v3.1",
     .aliases = "functionary_v31 functionary_v3",
     .shown = {"<|start_header_id|>", "<function="},
     .opens = {"<function=", "<|python_tag|>"},
     .ends = {"</function>"},
     .begin = qr_parse_functionary_begin},
    {.name = "llama3_json",
     .aliases = "llama3 llama llama3.1 llama3.2 llama3.3",
     .shown = {"<|start_header_id|>ipython"},
     .opens = {"<|python_tag|>"},
     .bare = QR_BARE_OBJECT | QR_BARE_LIST,
     .begin = qr_parse_python_tag_begin},
    {.name = "llama4_pythonic",
     .aliases = "llama4 llama4_json pythonic",
     .shown = {"<|header_start|>"},
     .opens = {"<|python_start|>"},
     .ends = {"<|python_end|>"},
     .bare = QR_BARE_OBJECT | QR_BARE_LIST | QR_BARE_PYTHON,
     .begin = qr_parse_json_begin},
    {.name = "generic", .aliases = "envelope", .bare = QR_BARE_ENVELOPE},
    {.name = "none", .aliases = "gemma3 gemma2 gemma no_tool_template no_tools"},
};
const size_t qr_parse_families_n = sizeof qr_parse_families / sizeof *qr_parse_families;

/* ---- finding -------------------------------------------------------------------------------- */

static bool is_named(const char *name, const char *row_name, const char *aliases)
{
    size_t n = strlen(name);

    if (!n || strchr(name, ' ')) return false;
    if (!strcmp(name, row_name)) return true;
    for (const char *at = aliases; at && *at; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word == n && !memcmp(at, name, n)) return true;
        at += word;
    }
    return false;
}

const struct qr_parse_family *qr_parse_family_find(const char *name)
{
    for (size_t i = 0; i < qr_parse_families_n; i++)
        if (is_named(name, qr_parse_families[i].name, qr_parse_families[i].aliases))
            return &qr_parse_families[i];
    return NULL;
}

const struct qr_parse_reasoning *qr_parse_reasoning_find(const char *name)
{
    for (size_t i = 0; i < qr_parse_reasonings_n; i++)
        if (is_named(name, qr_parse_reasonings[i].name, qr_parse_reasonings[i].aliases))
            return &qr_parse_reasonings[i];
    return NULL;
}

const struct qr_parse_family *qr_parse_family_recognise(const char *source, size_t n)
{
    for (size_t i = 0; i < qr_parse_families_n; i++) {
        const struct qr_parse_family *f = &qr_parse_families[i];
        bool all = f->shown[0] != NULL;
        for (size_t s = 0; all && s < 4 && f->shown[s]; s++)
            all = memmem(source, n, f->shown[s], strlen(f->shown[s])) != NULL;
        if (all) return f;
    }
    return qr_parse_family_find("none");
}

const char *qr_parse_family_name(const struct qr_parse_family *family)
{
    return family->name;
}

const char *qr_parse_reasoning_name(const struct qr_parse_reasoning *reasoning)
{
    return reasoning->name;
}

const char *qr_parse_family_name_at(size_t i)
{
    return i < qr_parse_families_n ? qr_parse_families[i].name : NULL;
}

const char *qr_parse_reasoning_name_at(size_t i)
{
    return i < qr_parse_reasonings_n ? qr_parse_reasonings[i].name : NULL;
}
