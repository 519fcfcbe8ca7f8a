/* SPDX-License-Identifier: MIT */
/* Fuzzes the three request formats behind their JSON: chat, Responses and Messages.  The bytes
 * choose names and values of bodies, so that the fields that belong together meet.  Each body is
 * translated, checked, its tools read and its conversation rendered; a refusal has a status and
 * words. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/server/prompt.h"
#include "runtime/server/tools.h"
#include "runtime/server/translate.h"
#include "runtime/server/unsupported.h"
#include "runtime/server/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
    const uint8_t *data;
    size_t n;
    unsigned values; /* made so far */
};

static uint8_t next(struct source *s)
{
    if (s->n == 0) return 0;
    s->n--;
    return *s->data++;
}

static const char *const names[] = {
    "messages",
    "input",
    "role",
    "content",
    "type",
    "text",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "call_id",
    "output",
    "tool_use_id",
    "input_schema",
    "parameters",
    "tools",
    "tool_choice",
    "mode",
    "allowed_tools",
    "system",
    "max_tokens",
    "max_output_tokens",
    "stream",
    "stop",
    "stop_sequences",
    "reasoning",
    "summary",
    "effort",
    "thinking",
    "format",
    "schema",
    "response_format",
    "instructions",
    "include",
    "top_logprobs",
    "metadata",
    "temperature",
    "n",
    "strict",
    "parallel_tool_calls",
    "disable_parallel_tool_use",
    "output_config",
    "refusal",
    "logit_bias",
    "stop_token_ids",
    "bad_words",
    "allowed_token_ids",
    "truncate_prompt_tokens",
    "chat_template_kwargs",
    "reasoning_effort",
    "add_generation_prompt",
    "continue_final_message",
    "reasoning_content",
    "signature",
    "prompt",
    "documents",
    "is_error",
    "tool_call_id",
};
static const char *const texts[] = {
    "user",
    "assistant",
    "system",
    "developer",
    "tool",
    "text",
    "input_text",
    "output_text",
    "refusal",
    "function",
    "function_call",
    "function_call_output",
    "reasoning",
    "message",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "auto",
    "none",
    "required",
    "any",
    "allowed_tools",
    "json_schema",
    "json_object",
    "look",
    "call_1",
    "{\"a\":1}",
    "{",
    "enabled",
    "disabled",
    "low",
    "custom",
    "web_search",
    "image",
    "",
    "\xc3\xa9",
    "<think>",
    "message.output_text.logprobs",
    "x-anthropic-billing-header: 1",
    "toolu_123456789",
};

static struct quire_text text_of(const char *string)
{
    return (struct quire_text){string, strlen(string)};
}

#define PICK(array, byte) ((array)[(byte) % (sizeof(array) / sizeof *(array))])

static struct qr_json *make(struct source *s, unsigned depth);

static struct qr_json *make_object(struct source *s, unsigned depth)
{
    struct qr_json *object = qr_json_object();
    for (unsigned n = next(s) % 8; n > 0; n--) {
        const char *name = PICK(names, next(s));
        if (!qr_json_set(object, name, make(s, depth + 1))) abort();
    }
    return object;
}

static struct qr_json *make(struct source *s, unsigned depth)
{
    struct qr_json *array;
    const uint8_t kind = next(s) % 10;
    if (depth > 6 || s->values++ > 400 || kind == 0) return qr_json_null();
    switch (kind) {
    case 1: return qr_json_from_bool(next(s) & 1);
    case 2: return qr_json_from_integer((int8_t)next(s));
    case 3:
    case 4:
    case 5: return qr_json_string(text_of(PICK(texts, next(s))));
    case 6:
    case 7:
        array = qr_json_array();
        for (unsigned n = next(s) % 5; n > 0; n--)
            if (!qr_json_append(array, make(s, depth + 1))) abort();
        return array;
    default: return make_object(s, depth);
    }
}

static quire_model *open_model(void)
{
    struct quire_model_settings settings;
    struct quire_error error;
    quire_model *model;

    quire_model_settings_defaults(&settings);
    settings.path = QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf";
    settings.threads = 1;
    if (quire_model_open(&settings, &model, &error) != QUIRE_OK) abort();
    return model;
}

static void check_refusal(const struct qr_api_failure *failure)
{
    if (failure->http_status != 400 || !failure->message[0]) abort();
}

static bool check_chat(const struct qr_server *server, const struct qr_json *chat,
                       struct qr_api_failure *failure)
{
    const struct quire_allocator *memory = &server->settings.memory;
    struct qr_params params;
    struct qr_tools tools;
    struct qr_words words;
    struct qr_prompts prompts;
    struct qr_json *rewritten = NULL;

    qr_tools_init(&tools, memory);
    qr_words_init(&words, memory);
    qr_prompts_init(&prompts, memory);
    bool done = qr_unsupported_check(chat, failure) && qr_tools_read(&tools, server, chat, failure);
    if (done && tools.rewrites) {
        rewritten = qr_tools_rewrite(chat, memory);
        if (!rewritten) abort();
        chat = rewritten;
    }
    done = done && qr_params_read(chat, QR_CHAT, &server->limits, &params, failure) &&
           qr_words_read(&words, server->settings.model, server->limits.vocab_n, chat,
                         &params.request, failure) &&
           qr_prompts_read_chat(&prompts, &server->settings, chat, &server->limits, failure);
    if (done && prompts.n != 1) abort();
    qr_prompts_deinit(&prompts);
    qr_words_deinit(&words);
    qr_tools_deinit(&tools);
    qr_json_free(rewritten);
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct qr_server server;
    struct source source = {.data = data, .n = size};
    struct qr_api_failure failure = {0};

    if (!server.settings.model) {
        server.settings.model = open_model();
        server.settings.memory = qr_allocator((struct quire_allocator){NULL, NULL});
        server.limits =
            (struct qr_model_limits){.vocab_n = 1024, .context_max = 2048, .prompts_max = 64};
    }
    const uint8_t format = next(&source);
    server.family = qr_parse_family_find(format & 4 ? "hermes" : "none");
    struct qr_json *body = make_object(&source, 0);
    struct qr_json *chat = format % 3 == 0   ? qr_json_share(body)
                           : format % 3 == 1 ? qr_responses_translate(body, &failure)
                                             : qr_messages_translate(body, &failure);
    if (!chat || !check_chat(&server, chat, &failure)) {
        if (format % 3 == 1) qr_responses_rename(&failure);
        if (format % 3 == 2) qr_messages_rename(&failure);
        check_refusal(&failure);
    }
    qr_json_free(chat);
    qr_json_free(body);
    return 0;
}
