/* SPDX-License-Identifier: MIT */
/* libFuzzer target: the input is a template, rendered with a conversation that has every kind of
 * value. */
#include <stdlib.h>
#include <string.h>

#include "runtime/template/chat.h"

#define TEXT(string)                                                                               \
    {                                                                                              \
        .kind = QUIRE_VALUE_TEXT, .as.text = { string, sizeof string - 1 }                         \
    }
#define KEY(string)                                                                                \
    {                                                                                              \
        string, sizeof string - 1                                                                  \
    }

static const struct quire_text part_keys[] = {KEY("type"), KEY("text")};
static const struct quire_value part_items[] = {TEXT("text"), TEXT("a part \xc3\xbc")};
static const struct quire_value part = {
    .kind = QUIRE_VALUE_MAP, .n = 2, .keys = part_keys, .as.items = part_items};
static const struct quire_text keys[] = {KEY("role"), KEY("content"), KEY("n"),    KEY("flag"),
                                         KEY("none"), KEY("real"),    KEY("items")};
static const struct quire_value first[] = {TEXT("system"),
                                           TEXT("You are <b>terse</b>.\n"),
                                           {.kind = QUIRE_VALUE_INTEGER, .as.integer = 42},
                                           {.kind = QUIRE_VALUE_BOOL, .as.truth = true},
                                           {.kind = QUIRE_VALUE_NONE},
                                           {.kind = QUIRE_VALUE_REAL, .as.real = 2.5},
                                           {.kind = QUIRE_VALUE_LIST, .n = 1, .as.items = &part}};
static const struct quire_value second[] = {TEXT("user"),
                                            {.kind = QUIRE_VALUE_LIST, .n = 1, .as.items = &part}};
static const struct quire_value messages[] = {
    {.kind = QUIRE_VALUE_MAP, .n = 7, .keys = keys, .as.items = first},
    {.kind = QUIRE_VALUE_MAP, .n = 2, .keys = keys, .as.items = second}};
static const struct quire_value list = {.kind = QUIRE_VALUE_LIST, .n = 2, .as.items = messages};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct quire_allocator memory;
    static const struct qr_chat_token tokens[] = {{"bos_token", KEY("<s>")}};
    static char text[1 << 16];
    struct qr_template *t;
    struct quire_error error;
    size_t n, again;

    if (size == 0) return 0;
    const struct quire_conversation c = {.values = &list,
                                         .tools = &list,
                                         .flags = data[0] % 3u, /* nothing, prompt, continue */
                                         .now_s = 1000000000};
    const struct quire_text source = {(const char *)data + 1, size - 1};
    if (qr_template_create(&t, source, &memory, &error)) {
        if (error.status == QUIRE_OK || !error.text[0]) abort();
        return 0;
    }
    int status = qr_chat_render(t, &c, tokens, 1, text, sizeof text, &n, &error);
    if (status == QUIRE_OK && n > sizeof text) abort();
    if (status == QUIRE_BUFFER_SMALL && n <= sizeof text) abort();
    if (status == QUIRE_INVALID && !error.text[0] && !memchr(source.data, 'r', source.n)) abort();
    /* A compiled template does not change, so a second render gives the same. */
    if (qr_chat_render(t, &c, tokens, 1, NULL, 0, &again, &error) != status && status != QUIRE_OK)
        abort();
    if (status == QUIRE_OK && again != n) abort();
    qr_template_destroy(t);
    return 0;
}
