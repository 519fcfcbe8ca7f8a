/* SPDX-License-Identifier: MIT */
#include "runtime/text/chat.h"

#include <string.h>

#include "runtime/base/error.h"

/* ---- the templates that are known ------------------------------------------------------ */

#define CHATML_LOOP                                                                                \
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"       \
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

#define SMOLLM2_SYSTEM                                                                             \
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"     \
    "<|im_end|>\n"

static const struct {
    enum qr_chat_format format;
    const char *text;
} known[] = {
    {QR_CHAT_CHATML, "{% for message in messages %}" CHATML_LOOP},
    {QR_CHAT_CHATML,
     "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}"
     "{% endif %}{% for message in messages %}" CHATML_LOOP},
    {QR_CHAT_CHATML_SMOLLM2,
     "{% for message in messages %}"
     "{% if loop.first and messages[0]['role'] != 'system' %}{{ '" SMOLLM2_SYSTEM "' }}"
     "{% endif %}" CHATML_LOOP},
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Whether the template is `text`.  In a literal the two characters \n are a newline, which files
 * have either way; whitespace at the end is no matter. */
static bool is_template(struct quire_text template, const char *text)
{
    size_t at = 0;

    for (; *text; text++) {
        if (at == template.n) return false;
        bool escaped = *text == '\n' && template.n - at >= 2 && template.data[at] == '\\' &&
                       template.data[at + 1] == 'n';
        if (!escaped && template.data[at] != *text) return false;
        at += escaped ? 2 : 1;
    }
    while (at < template.n && is_space(template.data[at]))
        at++;
    return at == template.n;
}

enum qr_chat_format qr_chat_recognise(struct quire_text chat_template)
{
    if (!chat_template.data) return QR_CHAT_NONE;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (is_template(chat_template, known[i].text)) return known[i].format;
    }
    return QR_CHAT_NONE;
}

/* ---- rendering ------------------------------------------------------------------------- */

/* Text as it comes out: what does not fit is counted and not written. */
struct output {
    char *text; /* [capacity] */
    size_t capacity;
    size_t n;
};

static void put(struct output *out, const char *data, size_t n)
{
    if (n > 0 && out->n <= out->capacity && n <= out->capacity - out->n) {
        memcpy(out->text + out->n, data, n);
    }
    out->n += n;
}

static void put_string(struct output *out, const char *string)
{
    put(out, string, strlen(string));
}

int qr_chat_render(enum qr_chat_format format, const struct quire_message *messages,
                   size_t messages_n, bool add_generation_prompt, char *text, size_t capacity,
                   size_t *text_n, struct quire_error *error)
{
    struct output out = {.text = text, .capacity = text ? capacity : 0};

    *text_n = 0;
    qr_error_clear(error);
    if (format == QR_CHAT_NONE) {
        return qr_error(error, QUIRE_NO_TEMPLATE,
                        "the model has no chat template, or none that is supported: supported "
                        "are ChatML and SmolLM2's");
    }
    for (size_t i = 0; i < messages_n; i++) {
        const struct quire_text role = messages[i].role, content = messages[i].content;
        if ((role.n > 0 && !role.data) || (content.n > 0 && !content.data)) {
            return qr_error_field(error, QUIRE_INVALID, "messages",
                                  "message %zu has a text without data", i);
        }
        bool system = role.n == 6 && memcmp(role.data, "system", 6) == 0;
        if (i == 0 && format == QR_CHAT_CHATML_SMOLLM2 && !system) {
            put_string(&out, SMOLLM2_SYSTEM);
        }
        put_string(&out, "<|im_start|>");
        put(&out, role.data, role.n);
        put_string(&out, "\n");
        put(&out, content.data, content.n);
        put_string(&out, "<|im_end|>\n");
    }
    if (add_generation_prompt) put_string(&out, "<|im_start|>assistant\n");
    *text_n = out.n;
    return out.n > capacity ? QUIRE_BUFFER_SMALL : QUIRE_OK;
}
