/* SPDX-License-Identifier: MIT */
/* Fuzzes the reader of generated text: any family, any cut.  The first bytes choose the family, the
 * settings and the pieces; a byte above 0x7f in the text stands for one of the families' markers,
 * so that inputs reach deep.  Deltas must be UTF-8, in the order that parse.h promises, and equal
 * however the text is cut. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/parse/family.h"
#include "runtime/parse/force.h"
#include "runtime/parse/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX (1u << 14)

struct message {
    char text[4 * TEXT_MAX];
    size_t n;
    uint32_t calls_n;
    bool in_call;
};

static void put(void *context, const struct qr_parse_delta *delta)
{
    struct message *m = context;
    json_t *utf8 = json_stringn(delta->text.data, delta->text.n);

    if (!utf8 || !delta->text.n) abort();
    json_decref(utf8);
    if (delta->kind == QR_PARSE_ARGUMENTS && (!m->in_call || delta->call + 1 != m->calls_n))
        abort();
    if (delta->kind == QR_PARSE_CALL && (delta->call != m->calls_n++ || !delta->id.n)) abort();
    m->in_call = delta->kind >= QR_PARSE_CALL;
    /* kinds that alternate make other messages */
    static const char tags[] = "\1\2\3\4";
    if (m->n + delta->text.n + 1 > sizeof m->text) return;
    if (m->n == 0 || m->text[m->n] != tags[delta->kind] || delta->kind == QR_PARSE_CALL)
        m->text[m->n++] = tags[delta->kind];
    memcpy(m->text + m->n, delta->text.data, delta->text.n);
    m->n += delta->text.n;
    m->text[m->n] = tags[delta->kind]; /* what came last */
}

static void run(struct message *m, struct qr_parse_settings *settings, const char *text, size_t n,
                size_t piece, enum qr_parse_stop stop)
{
    const struct quire_allocator memory = qr_allocator((struct quire_allocator){0});

    m->n = m->calls_n = 0;
    m->in_call = false;
    settings->put = put;
    settings->context = m;
    struct qr_parse_reader *r = qr_parse_create(settings, &memory);
    if (!r) abort();
    for (size_t i = 0; i < n; i += piece)
        if (!qr_parse_push(r, text + i, n - i < piece ? n - i : piece)) abort();
    if (!qr_parse_end(r, stop)) abort();
    if (qr_parse_calls_n(r) != m->calls_n) abort();
    qr_parse_destroy(r);
}

/* Pieces of what families write. */
static const char *piece_of(const struct qr_parse_family *f, const struct qr_parse_reasoning *g,
                            uint8_t byte)
{
    static const char *const common[] = {"{\"name\": \"get_weather\", \"arguments\": ",
                                         "{\"city\": \"Oslo\"}",
                                         "\"}",
                                         "}",
                                         "]",
                                         "[",
                                         "{",
                                         "\n",
                                         " ",
                                         "get_weather",
                                         "<parameter=city>",
                                         "</parameter>",
                                         "</function>",
                                         "<function=get_weather>",
                                         "</tool_call>",
                                         "<arg_key>",
                                         "</arg_key>",
                                         "<arg_value>",
                                         "</arg_value>",
                                         "<invoke name=\"get_weather\">",
                                         "<parameter name=\"city\">",
                                         "</invoke>",
                                         "[ARGS]",
                                         "[CALL_ID]",
                                         ">>>",
                                         "all\n",
                                         "(city=",
                                         ")",
                                         "'a'",
                                         "<|channel|>",
                                         "<|message|>",
                                         "analysis",
                                         "final",
                                         " to=functions.get_weather",
                                         "<|end|>",
                                         "<|start|>assistant",
                                         "<|tool_call_argument_begin|>",
                                         "functions.get_weather:0",
                                         "<｜tool▁sep｜>",
                                         "```json\n",
                                         "```",
                                         "\"parameters\": ",
                                         "\\\"",
                                         "\\u00e9",
                                         "null",
                                         "12",
                                         "True",
                                         ",",
                                         "\xe6\x97\xa5",
                                         "\"tool_call\": ",
                                         "\"response\": \""};
    size_t n = byte & 0x7f;

    for (int i = 0; i < 6 && f->opens[i]; i++)
        if (n-- == 0) return f->opens[i];
    for (int i = 0; i < 6 && f->ends[i]; i++)
        if (n-- == 0) return f->ends[i];
    for (int i = 0; i < 14 && f->sections[i]; i++)
        if (n-- == 0) return f->sections[i];
    for (unsigned i = 0; i < QR_PARSE_PAIRS_MAX && g->pairs[i].open; i++) {
        if (n-- == 0) return g->pairs[i].open;
        if (n-- == 0) return g->pairs[i].close;
    }
    return common[n % (sizeof common / sizeof *common)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct message whole, cut;
    static char text[TEXT_MAX];
    static json_t *schema;
    size_t n = 0;

    if (size < 3) return 0;
    if (!schema)
        schema = json_loads("{\"properties\": {\"city\": {\"type\": \"string\"},"
                            "\"days\": {\"type\": \"integer\"}}}",
                            0, NULL);
    const struct qr_parse_tool tools[] = {{{"get_weather", 11}, schema}, {{"python", 6}, NULL}};
    const struct qr_parse_family *family = &qr_parse_families[data[0] % qr_parse_families_n];
    const struct qr_parse_reasoning *reasoning =
        qr_parse_reasoning_find(family->reasoning ? family->reasoning : "none");
    struct qr_parse_settings settings = {.family = family,
                                         .tools = tools,
                                         .tools_n = 2,
                                         .in_reasoning = data[1] & 1,
                                         .no_calls = (data[1] & 14) == 14,
                                         .single = (data[1] & 48) == 48};
    const enum qr_parse_stop stop = data[1] & 64 ? QR_PARSE_STOP_LENGTH : QR_PARSE_STOP_END;
    for (size_t i = 3; i < size; i++) {
        const char *piece = data[i] & 0x80 ? piece_of(family, reasoning, data[i]) : NULL;
        size_t piece_n = piece ? strlen(piece) : 1;
        if (n + piece_n > sizeof text) break;
        if (piece)
            memcpy(text + n, piece, piece_n);
        else
            text[n] = (char)data[i];
        n += piece_n;
    }
    run(&whole, &settings, text, n, n ? n : 1, stop);
    run(&cut, &settings, text, n, 1, stop);
    if (whole.n != cut.n || memcmp(whole.text, cut.text, whole.n) != 0) abort();
    run(&cut, &settings, text, n, data[2] ? data[2] : 1, stop);
    if (whole.n != cut.n || memcmp(whole.text, cut.text, whole.n) != 0) abort();
    return 0;
}
