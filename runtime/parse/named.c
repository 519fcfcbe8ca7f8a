/* SPDX-License-Identifier: MIT */
/* Calls with the name in front of JSON arguments.
 *
 *     Mistral          [TOOL_CALLS]NAME[CALL_ID]ID[ARGS]{..}    or, older, [TOOL_CALLS] [{..}]
 *     Functionary 3.1  <function=NAME>{..}</function>           and <|python_tag|>CODE
 *     DeepSeek         ..function<sep>NAME\n```json\n{..}\n```  or ..NAME<sep>{..}
 *     Kimi K2          ..functions.NAME:INDEX<argument_begin>{..} */
#include <string.h>

#include "runtime/parse/reader.h"

#define HEADER_MAX 512u

enum { FIRST, HEADER, KIND, NAME_LINE, FENCE, ARGUMENTS, AFTER_FENCE };

static const struct qr_parse_state state_arguments;

static void begin(struct qr_parse_reader *r, const struct qr_parse_state *state, uint8_t first)
{
    qr_parse_call_begin(r);
    r->header.text.n = 0;
    r->header.state = first;
    r->state = state;
}

static void cut(struct qr_parse_reader *r)
{
    qr_parse_call_cut_early(r, false);
}

/* Adds a byte to the header.  Returns the index of the terminator that it now ends in, which is
 * taken off, or -1. */
static int push_header(struct qr_parse_reader *r, uint8_t byte, const char *const *terminators,
                       size_t n)
{
    struct qr_held *text = &r->header.text;

    qr_held_add_byte(r, text, byte);
    for (size_t i = 0; i < n; i++)
        if (qr_parse_ends_in(qr_held_text(text), terminators[i])) {
            text->n -= strlen(terminators[i]);
            return (int)i;
        }
    if (text->n > HEADER_MAX) qr_parse_no_call(r);
    return -1;
}

/* text may be a part of what `to` holds. */
static void set(struct qr_parse_reader *r, struct qr_held *to, struct quire_text text)
{
    to->n = 0;
    if (text.n <= to->capacity) {
        if (text.n) memmove(to->data, text.data, text.n);
        to->n = text.n;
    } else {
        qr_held_add(r, to, text.data, text.n);
    }
}

/* The header is the name: JSON arguments follow. */
static bool take_name(struct qr_parse_reader *r, struct quire_text name)
{
    name = qr_parse_trim(name);
    if (!qr_parse_is_name(r, name)) {
        qr_parse_no_call(r);
        return false;
    }
    set(r, &r->call.name, name);
    r->header.state = ARGUMENTS;
    qr_parse_arguments_begin(r);
    r->state = &state_arguments;
    return true;
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void step_arguments(struct qr_parse_reader *r, uint8_t byte)
{
    if (!r->call.header) {
        if (qr_is_space(byte)) return;
        if (!strchr("{[\"n", byte) || !qr_parse_call_header(r)) {
            qr_parse_no_call(r);
            return;
        }
    }
    switch (qr_parse_arguments_push(r, byte)) {
    case QR_SCAN_MORE: return;
    case QR_SCAN_BROKEN: qr_parse_call_broken(r, byte); return;
    case QR_SCAN_END:
        qr_parse_call_end(r);
        r->state = &qr_parse_state_text;
        return;
    case QR_SCAN_BEFORE:
        qr_parse_call_end(r);
        qr_parse_text(r, byte);
        return;
    }
}

static void end_arguments(struct qr_parse_reader *r)
{
    if (r->tentative)
        qr_parse_call_cut_early(r, true);
    else
        qr_parse_call_cut(r);
}

static const struct qr_parse_state state_arguments = {step_arguments, end_arguments};

/* ---- Mistral -------------------------------------------------------------------------------- */

static void step_mistral(struct qr_parse_reader *r, uint8_t byte)
{
    static const char *const terminators[] = {"[ARGS]", "[CALL_ID]", "{"};

    if (r->header.state == FIRST) {
        if (qr_is_space(byte)) return;
        if (byte == '[' || byte == '{') {
            qr_parse_json_begin(r, 0);
            r->state->step(r, byte);
            return;
        }
        r->header.state = HEADER;
    }
    int found = push_header(r, byte, terminators, 3);
    if (found == 1) { /* the id follows */
        set(r, &r->call.name, qr_held_text(&r->header.text));
        r->header.text.n = 0;
    } else if (found >= 0) {
        struct quire_text text = qr_held_text(&r->header.text);
        if (r->call.name.n)
            set(r, &r->call.id, text);
        else
            set(r, &r->call.name, text);
        if (take_name(r, qr_held_text(&r->call.name)) && found == 2) r->state->step(r, byte);
    } else if (byte == '\n' && r->tentative) {
        qr_parse_no_call(r);
    }
}

static const struct qr_parse_state state_mistral = {step_mistral, cut};

void qr_parse_mistral_begin(struct qr_parse_reader *r, unsigned open)
{
    (void)open;
    begin(r, &state_mistral, FIRST);
}

/* ---- Functionary 3.1 ------------------------------------------------------------------------ */

static void step_functionary(struct qr_parse_reader *r, uint8_t byte)
{
    static const char *const terminators[] = {">"};

    if (push_header(r, byte, terminators, 1) == 0)
        (void)take_name(r, qr_held_text(&r->header.text));
    else if (byte == '\n' && r->tentative)
        qr_parse_no_call(r);
}

static const struct qr_parse_state state_functionary = {step_functionary, cut};

void qr_parse_functionary_begin(struct qr_parse_reader *r, unsigned open)
{
    if (open)
        qr_parse_code_begin(r);
    else
        begin(r, &state_functionary, HEADER);
}

/* ---- code ----------------------------------------------------------------------------------- */

static void step_code(struct qr_parse_reader *r, uint8_t byte)
{
    if (!r->call.header) {
        if (!qr_parse_call_header(r)) {
            qr_parse_no_call(r);
            return;
        }
        qr_parse_call_puts(r, "{\"code\": \"");
    }
    qr_parse_call_put_escaped(r, byte);
}

static void end_code(struct qr_parse_reader *r)
{
    if (r->tentative) {
        qr_parse_no_call(r);
        return;
    }
    if (r->stop == QR_PARSE_STOP_END) qr_parse_call_puts(r, "\"}");
    qr_parse_call_cut(r);
}

static const struct qr_parse_state state_code = {step_code, end_code};

void qr_parse_code_begin(struct qr_parse_reader *r)
{
    static const char *const names[] = {"python", "code_interpreter", "ipython"};
    const char *name = names[0];

    for (size_t i = 3; i-- > 0;)
        if (qr_parse_tool(r, (struct quire_text){names[i], strlen(names[i])})) name = names[i];
    qr_parse_call_begin(r);
    qr_held_add(r, &r->call.name, name, strlen(name));
    r->state = &state_code;
}

/* ---- DeepSeek ------------------------------------------------------------------------------- */

/* Models without this token spell it in several ways. */
static const char *const separators[] = {"<｜tool▁sep｜>", "<｜tool_sep｜>", "<｜tool sep｜>",
                                         "<｜tool\\_sep｜>"};

/* After the separator: NAME\n```json\n{ in V3.  In V3.1 the name came before, and { follows. */
static void step_deepseek_name(struct qr_parse_reader *r, uint8_t byte)
{
    static const char *const terminators[] = {"\n", "```", "{"};
    const bool first = r->header.text.n == 0;

    if (first && qr_is_space(byte)) return;
    if (first && byte == '{') {
        if (take_name(r, qr_held_text(&r->call.name))) r->state->step(r, byte);
        return;
    }
    int found = push_header(r, byte, terminators, 3);
    if (found < 0) return;
    set(r, &r->call.name, qr_held_text(&r->header.text));
    if (found == 2) {
        if (take_name(r, qr_held_text(&r->call.name))) r->state->step(r, byte);
        return;
    }
    r->header.state = FENCE;
    r->header.text.n = 0;
}

/* Up to the object: space, ```, json. */
static void step_deepseek_fence(struct qr_parse_reader *r, uint8_t byte)
{
    if (byte == '{') {
        if (take_name(r, qr_held_text(&r->call.name))) r->state->step(r, byte);
        return;
    }
    if (!qr_is_space(byte)) qr_held_add_byte(r, &r->header.text, byte);
    size_t n = r->header.text.n;
    if (n > 7 ||
        (strncmp("```json", r->header.text.data, n) && strncmp("json", r->header.text.data, n)))
        qr_parse_no_call(r);
}

static void step_deepseek(struct qr_parse_reader *r, uint8_t byte)
{
    if (r->header.state == NAME_LINE) {
        step_deepseek_name(r, byte);
    } else if (r->header.state == FENCE) {
        step_deepseek_fence(r, byte);
    } else if (push_header(r, byte, separators, 4) >= 0) {
        set(r, &r->call.name, qr_held_text(&r->header.text));
        r->header.text.n = 0;
        r->header.state = NAME_LINE;
    }
}

static void end_deepseek(struct qr_parse_reader *r)
{
    qr_parse_call_cut_early(r, r->header.state == FENCE);
}

static const struct qr_parse_state state_deepseek = {step_deepseek, end_deepseek};

void qr_parse_deepseek_begin(struct qr_parse_reader *r, unsigned open)
{
    (void)open;
    begin(r, &state_deepseek, HEADER);
}

/* ---- Kimi K2 -------------------------------------------------------------------------------- */

static bool strip(struct quire_text *name, const char *prefix)
{
    size_t n = strlen(prefix);

    if (name->n <= n || memcmp(name->data, prefix, n)) return false;
    name->data += n;
    name->n -= n;
    return true;
}

/* functions.NAME:INDEX.  Clients that rewrite ids cause functions_NAME_N and
 * functionsNAMEN.  What has no prefix, or is a tool, is the name. */
static struct quire_text kimi_name(const struct qr_parse_reader *r, struct quire_text id)
{
    struct quire_text name = id, short_name;
    size_t n = name.n;

    while (n && name.data[n - 1] >= '0' && name.data[n - 1] <= '9')
        n--;
    if (n && n < name.n && name.data[n - 1] == ':') name.n = n - 1;
    if (qr_parse_tool(r, name)) return name;
    short_name = name;
    if (strip(&short_name, "functions.")) return short_name;
    if (!strip(&short_name, "functions_") && !strip(&short_name, "functions")) return name;
    if (qr_parse_tool(r, short_name)) return short_name;
    while (short_name.n && short_name.data[short_name.n - 1] >= '0' &&
           short_name.data[short_name.n - 1] <= '9') {
        short_name.n--;
        if (qr_parse_tool(r, short_name)) return short_name;
    }
    if (short_name.n && short_name.data[short_name.n - 1] == '_') short_name.n--;
    return qr_parse_tool(r, short_name) ? short_name : name;
}

static void step_kimi(struct qr_parse_reader *r, uint8_t byte)
{
    static const char *const terminators[] = {"<|tool_call_argument_begin|>", "{"};
    int found = push_header(r, byte, terminators, 2);

    if (found < 0) return;
    struct quire_text id = qr_parse_trim(qr_held_text(&r->header.text));
    set(r, &r->call.id, id);
    if (take_name(r, kimi_name(r, id)) && found == 1) r->state->step(r, byte);
}

static const struct qr_parse_state state_kimi = {step_kimi, cut};

void qr_parse_kimi_begin(struct qr_parse_reader *r, unsigned open)
{
    (void)open;
    begin(r, &state_kimi, HEADER);
}
