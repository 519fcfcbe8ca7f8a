/* SPDX-License-Identifier: MIT */
#include "runtime/server/prompt.h"

#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/server/conversation.h"
#include "runtime/server/limits.h"
#include "runtime/server/state.h"

static bool no_memory(struct qr_api_failure *failure)
{
    return qr_fail(failure, 500, NULL, NULL, "out of memory");
}

void qr_prompts_init(struct qr_prompts *prompts, const struct quire_allocator *memory)
{
    *prompts = (struct qr_prompts){.memory = memory};
    qr_buffer_init(&prompts->tail, memory);
}

void qr_prompts_deinit(struct qr_prompts *prompts)
{
    for (size_t i = 0; i < prompts->n; i++)
        qr_free(prompts->memory, prompts->all[i].ids);
    qr_free(prompts->memory, prompts->all);
    qr_buffer_deinit(&prompts->tail);
    qr_prompts_init(prompts, prompts->memory);
}

static bool make(struct qr_prompts *prompts, size_t n, struct qr_api_failure *failure)
{
    prompts->all = qr_alloc_zero(prompts->memory, n, sizeof *prompts->all);
    if (!prompts->all) return no_memory(failure);
    prompts->n = n;
    return true;
}

/* ---- text and ids -------------------------------------------------------------------------- */

bool qr_prompt_tokenize(const struct quire_allocator *memory, const quire_model *model,
                        struct quire_text text, unsigned flags, size_t ids_max, const char *field,
                        int32_t **ids, size_t *ids_n, struct qr_api_failure *failure)
{
    /* A text of n bytes has at most 3 n + 3 ids. */
    size_t capacity = 3 * text.n + 3 < ids_max ? 3 * text.n + 3 : ids_max;
    int32_t *made = qr_alloc(memory, (capacity ? capacity : 1) * sizeof *made);
    if (!made) return no_memory(failure);

    int status = quire_tokenize(model, text.data, text.n, flags, made, capacity, ids_n);
    if (status == QUIRE_OK) {
        *ids = made;
        return true;
    }
    qr_free(memory, made);
    if (status == QUIRE_BUFFER_SMALL) {
        (void)qr_fail(failure, 400, "context_length_exceeded", field,
                      "This model's maximum context length is %zu tokens, and the prompt has %zu",
                      ids_max, *ids_n);
        failure->prompt_tokens = *ids_n;
        failure->context_max = ids_max;
        return false;
    }
    if (status == QUIRE_NO_TOKENIZER)
        return qr_fail_field(failure, field, "%s", quire_status_text(status));
    return qr_fail_engine(failure, status, NULL);
}

bool qr_prompt_ids(const struct quire_allocator *memory, const struct qr_json *list,
                   uint32_t vocab_n, const char *field, int32_t **ids, size_t *ids_n,
                   struct qr_api_failure *failure)
{
    size_t n = qr_json_length(list);
    int32_t *made = qr_alloc(memory, (n ? n : 1) * sizeof *made);
    if (!made) return no_memory(failure);
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        if (!qr_json_integer(qr_json_at(list, i), &id) || id < 0 || id >= vocab_n) {
            qr_free(memory, made);
            return qr_fail_field(failure, field, "%s[%zu] must be a token id from 0 to %u", field,
                                 i, vocab_n - 1);
        }
        made[i] = (int32_t)id;
    }
    *ids = made;
    *ids_n = n;
    return true;
}

/* How prompts become tokens, from the body. */
struct prompt_reading {
    const quire_model *model;
    const struct qr_model_limits *limits;
    unsigned flags; /* QUIRE_TEXT_* */
    size_t last_n;  /* keep the last tokens only; SIZE_MAX: all */
    struct qr_api_failure *failure;
};

/* vLLM's add_special_tokens and truncate_prompt_tokens; -1: the context without one token. */
static bool read_fields(struct prompt_reading *r, const struct qr_json *body)
{
    int64_t last = 0;
    bool special = true;

    if (!qr_field_bool(body, "add_special_tokens", &special, r->failure) ||
        !qr_field_integer(body, "truncate_prompt_tokens", -1, r->limits->context_max, &last,
                          r->failure))
        return false;
    if (!special) r->flags &= ~(unsigned)(QUIRE_TEXT_BOS | QUIRE_TEXT_EOS);
    r->last_n = SIZE_MAX;
    if (!qr_json_get(body, "truncate_prompt_tokens")) return true;
    if (last == 0)
        return qr_fail_field(r->failure, "truncate_prompt_tokens",
                             "truncate_prompt_tokens must be -1 or at least 1");
    r->last_n = last > 0 ? (size_t)last : r->limits->context_max - 1;
    return true;
}

static void truncate_prompt(struct qr_prompt *prompt, const struct prompt_reading *r)
{
    if (prompt->ids_n <= r->last_n) return;
    memmove(prompt->ids, prompt->ids + prompt->ids_n - r->last_n, r->last_n * sizeof *prompt->ids);
    prompt->ids_n = r->last_n;
    prompt->from_text = false; /* an echo shows what is left */
}

static bool read_one(struct qr_prompts *prompts, size_t i, const struct qr_json *value,
                     const struct prompt_reading *r)
{
    const quire_model *model = r->model;
    const struct qr_model_limits *limits = r->limits;
    struct qr_api_failure *failure = r->failure;
    struct qr_prompt *prompt = &prompts->all[i];
    bool done;
    if (qr_json_type(value) == QR_JSON_STRING) {
        prompt->from_text = true;
        prompt->text = qr_json_text(value);
        done = qr_prompt_tokenize(prompts->memory, model, prompt->text, r->flags,
                                  r->last_n == SIZE_MAX ? limits->context_max : SIZE_MAX, "prompt",
                                  &prompt->ids, &prompt->ids_n, failure);
    } else {
        done = qr_prompt_ids(prompts->memory, value, limits->vocab_n, "prompt", &prompt->ids,
                             &prompt->ids_n, failure);
    }
    if (done) truncate_prompt(prompt, r);
    if (done && prompt->ids_n == 0)
        return qr_fail_field(failure, "prompt", "the prompt must have at least one token");
    return done;
}

bool qr_prompts_read(struct qr_prompts *prompts, const struct qr_server_settings *settings,
                     const struct qr_json *body, const struct qr_model_limits *limits,
                     struct qr_api_failure *failure)
{
    const struct qr_json *value = qr_json_get(body, "prompt");
    struct prompt_reading r = {.model = settings->model,
                               .limits = limits,
                               .flags = QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS | QUIRE_TEXT_EOS,
                               .failure = failure};
    if (!value) return qr_fail_field(failure, "prompt", "prompt is required");
    if (!read_fields(&r, body)) return false;

    enum qr_json_type type = qr_json_type(value);
    enum qr_json_type first =
        type == QR_JSON_ARRAY ? qr_json_type(qr_json_at(value, 0)) : QR_JSON_NULL;
    bool ids = type == QR_JSON_ARRAY && (first == QR_JSON_INTEGER || first == QR_JSON_REAL);
    if (type == QR_JSON_STRING || ids)
        return make(prompts, 1, failure) && read_one(prompts, 0, value, &r);

    size_t n = qr_json_length(value);
    if (type != QR_JSON_ARRAY || (n > 0 && first != QR_JSON_STRING && first != QR_JSON_ARRAY)) {
        return qr_fail_field(failure, "prompt",
                             "prompt must be a string, a list of strings, a list of token ids, or "
                             "a list of such lists");
    }
    if (n == 0) return qr_fail_field(failure, "prompt", "prompt must not be empty");
    size_t most = limits->prompts_max < QR_PROMPTS_MAX ? limits->prompts_max : QR_PROMPTS_MAX;
    if (n > most) {
        return qr_fail_field(failure, "prompt", "at most %zu prompts can be sent at once, not %zu",
                             most, n);
    }
    if (!make(prompts, n, failure)) return false;
    for (size_t i = 0; i < n; i++) {
        const struct qr_json *one = qr_json_at(value, i);
        if (qr_json_type(one) != first) {
            return qr_fail_field(failure, "prompt",
                                 "prompt[%zu] must be %s, as prompt[0] is, not %s", i,
                                 qr_json_type_name(first), qr_json_type_name(qr_json_type(one)));
        }
        if (!read_one(prompts, i, one, &r)) return false;
    }
    return true;
}

/* ---- conversations ------------------------------------------------------------------------- */

bool qr_prompts_read_chat(struct qr_prompts *prompts, const struct qr_server_settings *settings,
                          const struct qr_json *body, const struct qr_model_limits *limits,
                          struct qr_api_failure *failure)
{
    struct qr_buffer text;
    struct prompt_reading r = {.model = settings->model,
                               .limits = limits,
                               .flags = QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS,
                               .failure = failure};
    qr_buffer_init(&text, prompts->memory);
    bool done = read_fields(&r, body) && make(prompts, 1, failure) &&
                qr_conversation_render(&text, settings, body, failure);
    if (done) {
        /* The tokenizer adds no second BOS if the template has written one. */
        struct qr_prompt *prompt = &prompts->all[0];
        struct quire_text rendered = {.data = text.n ? text.data : "", .n = text.n};
        size_t tail_n = text.n < QR_PROMPT_TAIL_BYTES ? text.n : QR_PROMPT_TAIL_BYTES;
        qr_buffer_put(&prompts->tail, rendered.data + rendered.n - tail_n, tail_n);
        done = qr_prompt_tokenize(prompts->memory, settings->model, rendered, r.flags,
                                  r.last_n == SIZE_MAX ? limits->context_max : SIZE_MAX, "messages",
                                  &prompt->ids, &prompt->ids_n, failure);
        if (done) truncate_prompt(prompt, &r);
        if (done && prompt->ids_n == 0)
            done = qr_fail_field(failure, "messages", "the prompt must have at least one token");
    }
    qr_buffer_deinit(&text);
    return done;
}

struct quire_text qr_prompts_tail(const struct qr_prompts *prompts)
{
    return (struct quire_text){.data = prompts->tail.n ? prompts->tail.data : "",
                               .n = prompts->tail.n};
}
