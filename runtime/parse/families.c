/* SPDX-License-Identifier: MIT */
#include "runtime/parse/families.h"

#include <string.h>

#include "runtime/parse/reader.h"

/* ---- reasoning ------------------------------------------------------------------------------ */

const struct qr_parse_reasoning qr_parse_reasonings[] = {
    {.name = "none", .aliases = "identity"},
    {.name = "think",
     .aliases =
         "qwen3 qwen3_thinking deepseek_r1 deepseek_v3 deepseek_v31 deepseek_v32 deepseek_v4 "
         "deepseek deepseek_legacy auto glm45 glm47 glm4 kimi_k2 kimi minimax_m2 minimax "
         "nemotron_v3 nemotron_nano_v2 step3 step3p5 olmo3 ernie45 smollm3 mimo holo2",
     .pairs = {{"<think>", "</think>"}}},
    {.name = "mistral",
     .aliases = "magistral",
     .pairs = {{"[THINK]", "[/THINK]"}, {"<think>", "</think>"}}},
    {.name = "command_r7b",
     .aliases = "cohere_command3 cohere_command4 command_a",
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
    {.name = "gpt_oss", .aliases = "openai_gptoss openai harmony"},
};
const size_t qr_parse_reasonings_n = sizeof qr_parse_reasonings / sizeof *qr_parse_reasonings;

/* ---- forced calls --------------------------------------------------------------------------- */

#define OBJECT_BEFORE   "{~\"name\":~\""
#define OBJECT_NAME_END "\",~\"arguments\":~"

static const struct qr_parse_form form_envelope = {.before = "{~\"tool_call\":~" OBJECT_BEFORE,
                                                   .name_end = OBJECT_NAME_END,
                                                   .after = "~}~}",
                                                   .single = true,
                                                   .bare = true};
static const struct qr_parse_form form_hermes = {.before = "<tool_call>~" OBJECT_BEFORE,
                                                 .name_end = OBJECT_NAME_END,
                                                 .after = "~}~</tool_call>",
                                                 .between = "\n"};
static const struct qr_parse_form form_llama3 = {.before = "{\"name\":~\"",
                                                 .name_end = "\",~\"parameters\":~",
                                                 .after = "~}",
                                                 .single = true,
                                                 .bare = true};
static const struct qr_parse_form form_llama4 = {.kind = QR_FORM_PYTHON,
                                                 .open = "[",
                                                 .name_end = "(",
                                                 .after = ")",
                                                 .between = ", ",
                                                 .close = "]",
                                                 .bare = true};
static const struct qr_parse_form form_mistral_named = {.before = "[TOOL_CALLS]",
                                                        .name_end = "[ARGS]"};
static const struct qr_parse_form form_functionary_v32 = {
    .name_end = "\n", .between = "\n>>>", .bare = true};
static const struct qr_parse_form form_functionary_v31 = {
    .before = "<function=", .name_end = ">", .after = "</function>"};
static const struct qr_parse_form form_command = {
    .open = "<|START_ACTION|>[~",
    .before = "~{~\"tool_call_id\":~\"#\",~\"tool_name\":~\"",
    .name_end = "\",~\"parameters\":~",
    .after = "~}",
    .between = ",",
    .close = "~]<|END_ACTION|>"};
static const struct qr_parse_form form_deepseek_v3 = {
    .open = "<｜tool▁calls▁begin｜>",
    .before = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
    .name_end = "\n```json\n",
    .after = "\n```<｜tool▁call▁end｜>",
    .between = "\n",
    .close = "<｜tool▁calls▁end｜>"};
static const struct qr_parse_form form_deepseek_v31 = {.open = "<｜tool▁calls▁begin｜>",
                                                       .before = "<｜tool▁call▁begin｜>",
                                                       .name_end = "<｜tool▁sep｜>",
                                                       .after = "<｜tool▁call▁end｜>",
                                                       .close = "<｜tool▁calls▁end｜>"};
static const struct qr_parse_form form_harmony = {.before = "<|channel|>commentary to=functions.",
                                                  .name_end = " <|constrain|>json<|message|>",
                                                  .single = true};
static const struct qr_parse_form form_kimi = {.open = "<|tool_calls_section_begin|>",
                                               .before = "<|tool_call_begin|>functions.",
                                               .name_end = ":#<|tool_call_argument_begin|>",
                                               .after = "<|tool_call_end|>",
                                               .close = "<|tool_calls_section_end|>"};
static const struct qr_parse_form form_qwen3_coder = {.kind = QR_FORM_TAGS,
                                                      .before = "<tool_call>\n<function=",
                                                      .name_end = ">\n",
                                                      .key = "<parameter=",
                                                      .key_end = ">\n",
                                                      .value_end = "\n</parameter>\n",
                                                      .after = "</function>\n</tool_call>",
                                                      .between = "\n"};
static const struct qr_parse_form form_glm = {.kind = QR_FORM_TAGS,
                                              .before = "<tool_call>",
                                              .name_end = "\n",
                                              .key = "<arg_key>",
                                              .key_end = "</arg_key>\n<arg_value>",
                                              .value_end = "</arg_value>\n",
                                              .after = "</tool_call>",
                                              .between = "\n"};
static const struct qr_parse_form form_minimax = {.kind = QR_FORM_TAGS,
                                                  .open = "<minimax:tool_call>\n",
                                                  .before = "<invoke name=\"",
                                                  .name_end = "\">\n",
                                                  .key = "<parameter name=\"",
                                                  .key_end = "\">",
                                                  .value_end = "</parameter>\n",
                                                  .after = "</invoke>\n",
                                                  .close = "</minimax:tool_call>"};

#define FORM_DSML(form, block)                                                                     \
    static const struct qr_parse_form form = {.kind = QR_FORM_TAGS,                                \
                                              .open = "<｜DSML｜" block ">\n",                     \
                                              .before = "<｜DSML｜invoke name=\"",                 \
                                              .name_end = "\">\n",                                 \
                                              .key = "<｜DSML｜parameter name=\"",                 \
                                              .key_end = "\" string=\"true\">",                    \
                                              .json_end = "\" string=\"false\">",                  \
                                              .value_end = "</｜DSML｜parameter>\n",               \
                                              .after = "</｜DSML｜invoke>\n",                      \
                                              .close = "</｜DSML｜" block ">"}
FORM_DSML(form_dsml32, "function_calls");
FORM_DSML(form_dsml4, "tool_calls");

/* A list of objects between two markers. */
#define FORM_LIST(form, opening, closing)                                                          \
    static const struct qr_parse_form form = {.open = opening,                                     \
                                              .before = "~" OBJECT_BEFORE,                         \
                                              .name_end = OBJECT_NAME_END,                         \
                                              .after = "~}",                                       \
                                              .between = ",",                                      \
                                              .close = closing}
FORM_LIST(form_mistral_v3, "[TOOL_CALLS]~[", "~]");
FORM_LIST(form_functools, "functools[", "~]");
FORM_LIST(form_granite, "<|tool_call|>~[", "~]");
FORM_LIST(form_tool_calls, "<tool_calls>[", "~]</tool_calls>");
FORM_LIST(form_nemotron, "<TOOLCALL>[", "~]</TOOLCALL>");

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

/* Recognition tries the rows in this order and takes the first whose strings are all in the
 * template. */
const struct qr_parse_family qr_parse_families[] = {
    {.name = "gpt_oss",
     .aliases = "openai harmony",
     .form = &form_harmony,
     .shown = {"<|channel|>", "<|message|>"},
     .reasoning = "gpt_oss",
     .inner = {"<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>", "<|call|>",
               "<|return|>"},
     .start = qr_parse_harmony_start},
    {.name = "functionary_v3.2",
     .aliases = "functionary_v32 functionary",
     .form = &form_functionary_v32,
     .shown = {">>>all"},
     .opens = {">>>"},
     .begin = qr_parse_recipients_begin,
     .start = qr_parse_recipients_start},
    {.name = "kimi_k2",
     .aliases = "kimi kimi_k25 kimi_k2.5",
     .form = &form_kimi,
     .shown = {"<|tool_calls_section_begin|>"},
     .reasoning = "think",
     .opens = {"<|tool_call_begin|>"},
     .sections = {"<|tool_calls_section_begin|>", "<|tool_call_section_begin|>",
                  "<|tool_calls_section_end|>", "<|tool_call_section_end|>", "<|tool_call_end|>"},
     .inner = {"<|tool_call_argument_begin|>"},
     .begin = qr_parse_kimi_begin},
    {.name = "deepseek_v3.2",
     .aliases = "deepseek_v32 deepseekv32",
     .form = &form_dsml32,
     .shown = {"DSML", "function_calls"},
     .reasoning = "think",
     .opens = {"<｜DSML｜function_calls>", "<｜DSML｜invoke name=\""},
     .ends = {"</｜DSML｜function_calls>"},
     .begin = qr_parse_dsml32_begin},
    {.name = "deepseek_v4",
     .aliases = "deepseekv4",
     .form = &form_dsml4,
     .shown = {"DSML"},
     .reasoning = "think",
     .opens = {"<｜DSML｜tool_calls>", "<｜DSML｜invoke name=\""},
     .ends = {"</｜DSML｜tool_calls>"},
     .begin = qr_parse_dsml4_begin},
    {.name = "deepseek_v3",
     .aliases = "deepseek_r1 deepseek deepseekv3",
     .form = &form_deepseek_v3,
     .shown = {"<｜tool▁calls▁begin｜>", "```json"},
     .reasoning = "think",
     .opens = {DEEPSEEK_OPENS},
     .sections = {DEEPSEEK_SECTIONS},
     .inner = {"<｜tool▁sep｜>"},
     .ends = {"```"},
     .begin = qr_parse_deepseek_begin},
    {.name = "deepseek_v3.1",
     .aliases = "deepseek_v31 deepseekv31",
     .form = &form_deepseek_v31,
     .shown = {"<｜tool▁calls▁begin｜>"},
     .reasoning = "think",
     .opens = {DEEPSEEK_OPENS},
     .sections = {DEEPSEEK_SECTIONS},
     .inner = {"<｜tool▁sep｜>"},
     .ends = {"```"},
     .begin = qr_parse_deepseek_begin},
    {.name = "command_r7b",
     .aliases = "cohere_command3 cohere_command4 command_a",
     .form = &form_command,
     .shown = {"<|START_ACTION|>"},
     .reasoning = "command_r7b",
     .opens = {"<|START_ACTION|>"},
     .ends = {"<|END_ACTION|>"},
     .begin = qr_parse_json_begin},
    {.name = "minimax_m2",
     .aliases = "minimaxm2",
     .form = &form_minimax,
     .shown = {"<minimax:tool_call>"},
     .reasoning = "think",
     .opens = {"<minimax:tool_call>", "<invoke name=\""},
     .ends = {"</minimax:tool_call>"},
     .begin = qr_parse_minimax_begin},
    {.name = "mistral_v13",
     .aliases = "magistral ministral ministral3",
     .form = &form_mistral_named,
     .shown = {"[TOOL_CALLS]", "[ARGS]", "[THINK]"},
     .reasoning = "mistral",
     .opens = {"[TOOL_CALLS]"},
     .inner = {"[ARGS]", "[CALL_ID]"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_mistral_begin},
    {.name = "mistral_v11",
     .aliases = "mistral_small_3.2 devstral",
     .form = &form_mistral_named,
     .shown = {"[TOOL_CALLS]", "[ARGS]"},
     .reasoning = "mistral",
     .opens = {"[TOOL_CALLS]"},
     .inner = {"[ARGS]", "[CALL_ID]"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_mistral_begin},
    {.name = "mistral_v3",
     .aliases = "mistral",
     .form = &form_mistral_v3,
     .shown = {"[TOOL_CALLS] ["},
     .opens = {"[TOOL_CALLS]"},
     .inner = {"[ARGS]", "[CALL_ID]"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_mistral_begin},
    {.name = "mistral_nemo",
     .form = &form_mistral_v3,
     .shown = {"[TOOL_CALLS]"},
     .opens = {"[TOOL_CALLS]"},
     .inner = {"[ARGS]", "[CALL_ID]"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_mistral_begin},
    {.name = "glm45",
     .aliases = "glm47 glm46 glm4 glm4_moe glm_4.5",
     .form = &form_glm,
     .shown = {"<arg_key>", "<arg_value>"},
     .reasoning = "think",
     .opens = {"<tool_call>"},
     .ends = {"</tool_call>"},
     .begin = qr_parse_glm_begin},
    {.name = "qwen3_coder",
     .aliases = "qwen3_xml qwen3.5 qwen35 nemotron_v3 nemotron3 step3.5 step3p5",
     .form = &form_qwen3_coder,
     .shown = {"<tool_call>", "<function=", "<parameter="},
     .reasoning = "think",
     .opens = {"<tool_call>", "<function="},
     .ends = {"</function>", "</tool_call>"},
     .begin = qr_parse_tags_begin},
    {.name = "nemotron_v2",
     .aliases = "nemotron_nano_v2 nemotron_json",
     .form = &form_nemotron,
     .shown = {"<TOOLCALL>"},
     .reasoning = "think",
     .opens = {"<TOOLCALL>"},
     .ends = {"</TOOLCALL>"},
     .inside = QR_INSIDE_WAITS,
     .begin = qr_parse_json_begin},
    {.name = "phi4_mini",
     .aliases = "phi4_mini_json phi4",
     .form = &form_functools,
     .shown = {"functools[", "<|/tool|>"},
     .opens = {"functools[", "<|tool_call|>"},
     .ends = {"<|/tool_call|>"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_json_list_begin},
    {.name = "firefunction_v2",
     .aliases = "firefunction",
     .form = &form_functools,
     .shown = {"functools["},
     .opens = {"functools["},
     .begin = qr_parse_json_list_begin},
    {.name = "granite3",
     .aliases = "granite granite_v3",
     .form = &form_granite,
     .shown = {"<|start_of_role|>", "<|tool_call|>"},
     .reasoning = "granite",
     .opens = {"<|tool_call|>", "<tool_call>"},
     .ends = {"</tool_call>"},
     .bare = QR_BARE_LIST,
     .begin = qr_parse_json_begin},
    {.name = "apriel",
     .aliases = "apriel_1.5",
     .form = &form_tool_calls,
     .shown = {"<tool_calls>", "[BEGIN FINAL RESPONSE]"},
     .reasoning = "apriel",
     .opens = {"<tool_calls>"},
     .ends = {"</tool_calls>"},
     .inside = QR_INSIDE_WAITS,
     .begin = qr_parse_json_begin},
    {.name = "hunyuan_a13b",
     .aliases = "hunyuan minimax minimax_m1 jamba",
     .form = &form_tool_calls,
     .shown = {"<tool_calls>"},
     .reasoning = "hunyuan_a13b",
     .opens = {"<tool_calls>"},
     .ends = {"</tool_calls>"},
     .inside = QR_INSIDE_WAITS,
     .begin = qr_parse_json_begin},
    {.name = "hermes",
     .aliases = "hermes_2_pro qwen qwen25 qwen2.5 qwen3 qwen3_forced qwq bielik mimo xiaomi_mimo "
                "smollm3 granite4",
     .form = &form_hermes,
     .shown = {"<tool_call>"},
     .reasoning = "think",
     .opens = {"<tool_call>"},
     .ends = {"</tool_call>"},
     .inside = QR_INSIDE_WAITS,
     .begin = qr_parse_hermes_begin},
    {.name = "functionary_v3.1",
     .aliases = "functionary_v31 functionary_v3.1_llama_3.1",
     .form = &form_functionary_v31,
     .shown = {"<|start_header_id|>", "<function="},
     .opens = {"<function=", "<|python_tag|>"},
     .ends = {"</function>"},
     .begin = qr_parse_functionary_begin},
    {.name = "llama3_json",
     .aliases = "llama3 llama llama_3.x llama_3.x_with_builtin_tools",
     .form = &form_llama3,
     .shown = {"<|start_header_id|>ipython"},
     .opens = {"<|python_tag|>"},
     .bare = QR_BARE_OBJECT | QR_BARE_LIST,
     .begin = qr_parse_python_tag_begin},
    {.name = "llama4_pythonic",
     .aliases = "llama4 llama4_json pythonic",
     .form = &form_llama4,
     .shown = {"<|header_start|>"},
     .opens = {"<|python_start|>"},
     .ends = {"<|python_end|>"},
     .bare = QR_BARE_OBJECT | QR_BARE_LIST | QR_BARE_PYTHON,
     .begin = qr_parse_json_begin},
    {.name = "generic", .aliases = "envelope", .form = &form_envelope, .bare = QR_BARE_ENVELOPE},
    {.name = "none",
     .aliases = "content_only gemma gemma2 gemma3 no_tool_template",
     .form = &form_envelope},
};
const size_t qr_parse_families_n = sizeof qr_parse_families / sizeof *qr_parse_families;

/* ---- finding -------------------------------------------------------------------------------- */

/* Names are compared without case, and - . and space are the same as _. */
static char plain(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c && strchr("-. ", c) ? '_' : c;
}

static bool is_same(const char *name, size_t n, const char *other, size_t other_n)
{
    if (n != other_n) return false;
    for (size_t i = 0; i < n; i++)
        if (plain(name[i]) != plain(other[i])) return false;
    return n > 0;
}

static bool is_named(const char *name, const char *row_name, const char *aliases)
{
    const size_t n = strlen(name);

    if (is_same(name, n, row_name, strlen(row_name))) return true;
    for (const char *at = aliases; at && *at; at += strspn(at, " ")) {
        const size_t word_n = strcspn(at, " ");
        if (is_same(name, n, at, word_n)) return true;
        at += word_n;
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

const struct qr_parse_reasoning *qr_parse_reasoning_recognise(const char *source, size_t n)
{
    const struct qr_parse_family *family = qr_parse_family_recognise(source, n);

    if (family->reasoning) return qr_parse_reasoning_find(family->reasoning);
    for (size_t i = 0; i < qr_parse_reasonings_n; i++) {
        const char *open = qr_parse_reasonings[i].pairs[0].open;
        if (open && memmem(source, n, open, strlen(open))) return &qr_parse_reasonings[i];
    }
    return NULL;
}

/* The i-th text of a list, which a NULL may end early.  NULL: the list is shorter, and *i is
 * reduced by its length. */
static const char *text_at(const char *const *texts, size_t n, size_t *i)
{
    for (size_t at = 0; at < n && texts[at]; at++)
        if ((*i)-- == 0) return texts[at];
    return NULL;
}

#define TEXT_AT(texts, i) text_at(texts, sizeof(texts) / sizeof *(texts), i)

const char *qr_parse_marker_at(const struct qr_parse_family *family,
                               const struct qr_parse_reasoning *reasoning, size_t i)
{
    const char *found = NULL;

    if (!reasoning)
        reasoning = qr_parse_reasoning_find(family->reasoning ? family->reasoning : "none");
    for (size_t p = 0; p < QR_PARSE_PAIRS_MAX && reasoning->pairs[p].open; p++) {
        if (i-- == 0) return reasoning->pairs[p].open;
        if (i-- == 0) return reasoning->pairs[p].close;
    }
    if (!found) found = TEXT_AT(reasoning->answer, &i);
    if (!found) found = TEXT_AT(reasoning->answer_end, &i);
    if (!found) found = TEXT_AT(family->opens, &i);
    if (!found) found = TEXT_AT(family->sections, &i);
    if (!found) found = TEXT_AT(family->inner, &i);
    if (!found) found = TEXT_AT(family->ends, &i);
    return found;
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
