/* SPDX-License-Identifier: MIT */
#include "runtime/template/chat.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/error.h"
#include "runtime/template/chars.h"
#include "runtime/template/compiled.h"

#define CHATML                                                                                     \
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "                    \
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"         \
    "{{ '<|im_start|>assistant\n' }}{% endif %}"

const struct quire_text qr_chat_fallback = {.data = CHATML, .n = sizeof CHATML - 1};

/* To continue the last message, this mark is appended to its content and the output is cut at the
 * mark, as in transformers.  If the space at its end is gone, the template trims contents. */
#define MARK "CONTINUE_FINAL_MESSAGE_TAG "

struct chat {
    const struct qr_template *t;
    const struct quire_conversation *conversation;
    const struct qr_chat_token *tokens;
    size_t tokens_n;
};

_Noreturn __attribute__((format(printf, 2, 3))) static void refuse(struct qr_render *r,
                                                                   const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    qr_run_raise(&r->run, (struct quire_text){.data = text, .n = strlen(text)});
}

/* ---- contents -------------------------------------------------------------------------------- */

static struct qr_value text_part(struct qr_render *r, struct qr_value text)
{
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, 2, sizeof *pairs);

    pairs[0] = (struct qr_pair){.key = QR_VALUE_LITERAL("type"), .value = QR_VALUE_LITERAL("text")};
    pairs[1] = (struct qr_pair){.key = QR_VALUE_LITERAL("text"), .value = text};
    return qr_dict_make(&r->run, pairs, 2);
}

/* The text of a part: {"type": "text", "text": ...} or a plain string. */
static struct qr_value part_text(struct qr_render *r, struct qr_value part, size_t message,
                                 size_t i)
{
    if (part.kind == QR_V_STRING) return part;
    const struct qr_value *type =
        part.kind == QR_V_DICT ? qr_dict_find_text(&r->run, part.as.dict, "type") : NULL;
    if (!type || !qr_value_is_text(*type, "text"))
        refuse(r, "messages[%zu].content[%zu].type must be \"text\"; other types are not supported",
               message, i);
    const struct qr_value *text = qr_dict_find_text(&r->run, part.as.dict, "text");
    if (!text || text->kind != QR_V_STRING)
        refuse(r, "messages[%zu].content[%zu].text must be a string", message, i);
    return *text;
}

/* A content in the form that the template expects: a list of parts, or the parts joined by newlines
 * as in vLLM. */
static struct qr_value read_content(struct qr_render *r, const struct chat *chat,
                                    struct qr_value content, size_t message, bool last)
{
    bool mark = last && (chat->conversation->flags & QUIRE_RENDER_CONTINUE);
    struct qr_value parts = content;

    if (content.kind == QR_V_NONE)
        parts = qr_list_make(&r->run, QR_LIST, 0);
    else if (content.kind == QR_V_STRING) {
        parts = qr_list_make(&r->run, QR_LIST, 1);
        parts.as.list->items[0] = content;
    } else if (content.kind != QR_V_LIST)
        refuse(r, "messages[%zu].content must be a string or a list of parts", message);
    struct qr_list *list = parts.as.list;
    if (mark && !list->n) refuse(r, "the last message has no content to continue");
    struct qr_value text = QR_VALUE_LITERAL("");
    for (size_t i = 0; i < list->n; i++) {
        struct qr_value one = part_text(r, list->items[i], message, i);
        if (mark && i + 1 == list->n) one = qr_value_join(&r->run, one, qr_value_text_of(MARK));
        list->items[i] = text_part(r, one);
        if (chat->t->wants_parts) continue;
        if (i) text = qr_value_join(&r->run, text, QR_VALUE_LITERAL("\n"));
        text = qr_value_join(&r->run, text, one);
    }
    return chat->t->wants_parts ? parts : text;
}

/* ---- messages -------------------------------------------------------------------------------- */

static struct qr_value read_message(struct qr_render *r, const struct chat *chat,
                                    const struct quire_value *value, size_t i, bool last)
{
    char where[40];

    (void)snprintf(where, sizeof where, "messages[%zu]", i);
    if (value->kind != QUIRE_VALUE_MAP) refuse(r, "%s must be an object", where);
    struct qr_value given = qr_value_from(r, value, where);
    const struct qr_value *role = qr_dict_find_text(&r->run, given.as.dict, "role");
    if (!role || role->kind != QR_V_STRING) refuse(r, "%s.role must be a string", where);
    const struct qr_dict *dict = given.as.dict;
    const struct qr_value *content = qr_dict_find_text(&r->run, dict, "content");
    struct qr_value read = read_content(r, chat, content ? *content : qr_value_none, i, last);
    if (content) {
        *(struct qr_value *)content = read; /* no other value shares this dict yet */
        return given;
    }
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, dict->n + 1, sizeof *pairs);
    if (dict->n) memcpy(pairs, dict->pairs, dict->n * sizeof *pairs);
    pairs[dict->n] = (struct qr_pair){.key = QR_VALUE_LITERAL("content"), .value = read};
    return qr_dict_make(&r->run, pairs, dict->n + 1);
}

static struct qr_value simple_message(struct qr_render *r, const struct chat *chat,
                                      const struct quire_message *message, size_t i, bool last)
{
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, 2, sizeof *pairs);
    char where[40];

    (void)snprintf(where, sizeof where, "messages[%zu]", i);
    pairs[0].key = QR_VALUE_LITERAL("role");
    pairs[0].value = qr_value_text_from(r, message->role, where);
    pairs[1].key = QR_VALUE_LITERAL("content");
    pairs[1].value = read_content(r, chat, qr_value_text_from(r, message->content, where), i, last);
    return qr_dict_make(&r->run, pairs, 2);
}

static struct qr_value read_messages(struct qr_render *r, const struct chat *chat)
{
    const struct quire_conversation *c = chat->conversation;
    size_t n = c->values ? c->values->n : c->messages_n;

    if (c->values && c->values->kind != QUIRE_VALUE_LIST) refuse(r, "messages must be a list");
    if (c->values && n && !c->values->as.items)
        refuse(r, "messages: a list of %zu items has none", n);
    struct qr_value list = qr_list_make(&r->run, QR_LIST, n);
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n;
        list.as.list->items[i] = c->values ? read_message(r, chat, &c->values->as.items[i], i, last)
                                           : simple_message(r, chat, &c->messages[i], i, last);
    }
    return list;
}

/* ---- variables ------------------------------------------------------------------------------- */

static void bind(struct qr_render *r, const void *data)
{
    const struct chat *chat = data;
    const struct quire_conversation *c = chat->conversation;
    bool prompt = c->flags & QUIRE_RENDER_GENERATION_PROMPT;

    for (size_t i = 0; i < chat->tokens_n; i++)
        qr_scope_set(r, r->scope, qr_value_text_of(chat->tokens[i].name),
                     qr_value_text_from(r, chat->tokens[i].text, "special tokens"));
    if (c->variables) {
        struct qr_value variables = qr_value_from(r, c->variables, "chat_template_kwargs");
        if (variables.kind != QR_V_DICT) refuse(r, "chat_template_kwargs must be an object");
        for (size_t i = 0; i < variables.as.dict->n; i++)
            qr_scope_set(r, r->scope, variables.as.dict->pairs[i].key,
                         variables.as.dict->pairs[i].value);
    }
    qr_scope_set(r, r->scope, qr_value_text_of("messages"), read_messages(r, chat));
    qr_scope_set(r, r->scope, qr_value_text_of("tools"),
                 c->tools ? qr_value_from(r, c->tools, "tools") : qr_value_none);
    qr_scope_set(r, r->scope, qr_value_text_of("documents"),
                 c->documents ? qr_value_from(r, c->documents, "documents") : qr_value_none);
    qr_scope_set(r, r->scope, qr_value_text_of("add_generation_prompt"), qr_value_bool(prompt));
}

/* The length of the output before the mark, without the white space that the template trims. */
static size_t cut(struct qr_render *r, const struct qr_template_output *out, const void *data)
{
    (void)data;
    const size_t n = sizeof MARK - 1, bare = n - 1;
    for (size_t at = out->n >= bare ? out->n - bare + 1 : 0; at-- > 0;) {
        if (memcmp(out->text + at, MARK, bare) != 0) continue;
        if (out->n - at >= n && out->text[at + bare] == ' ') return at;
        return at - qr_chars_space_back(out->text, at);
    }
    refuse(r, "continue_final_message: the last message does not appear in the rendered prompt");
}

int qr_chat_render(const struct qr_template *t, const struct quire_conversation *conversation,
                   const struct qr_chat_token *tokens, size_t tokens_n, char *text, size_t capacity,
                   size_t *text_n, struct quire_error *error)
{
    const struct chat chat = {
        .t = t, .conversation = conversation, .tokens = tokens, .tokens_n = tokens_n};
    const uint32_t both = QUIRE_RENDER_GENERATION_PROMPT | QUIRE_RENDER_CONTINUE;
    const struct qr_template_job job = {
        .t = t,
        .bind = bind,
        .end = conversation->flags & QUIRE_RENDER_CONTINUE ? cut : NULL,
        .data = &chat,
        .now_s = conversation->now_s ? conversation->now_s : (int64_t)time(NULL),
    };

    *text_n = 0;
    if ((conversation->flags & both) == both)
        return qr_error_field(
            error, QUIRE_INVALID, "continue_final_message",
            "continue_final_message and add_generation_prompt exclude each other");
    return qr_template_run(&job, text, capacity, text_n, error);
}
