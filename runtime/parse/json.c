/* SPDX-License-Identifier: MIT */
/* Calls as JSON: {"name": N, "arguments": {..}}, one or several or a list, and the envelope
 * {"tool_call": {..}}, {"tool_calls": [..]}, {"response": ".."}. */
#include <string.h>

#include "runtime/parse/reader.h"

#define WORD_MAX 512u /* a key, a name or an id */

enum {
    START,
    ITEM,
    KEY_FIRST,
    KEY,
    KEY_TEXT,
    COLON,
    VALUE,
    TEXT,
    NUMBER,
    SKIP,
    ARGUMENTS,
    RESPONSE,
    AFTER_VALUE,
    AFTER_ITEM,
    AFTER,
    SEPARATOR
};

enum { OTHER, NAME, ARGUMENTS_KEY, ID, FUNCTION, ENVELOPE_CALL, ENVELOPE_CALLS, ENVELOPE_TEXT };

static const struct qr_parse_state state_json;

static void reset(struct qr_parse_reader *r, uint8_t state)
{
    r->json.state = state;
    r->json.list = r->json.envelope = r->json.tags = false;
    qr_parse_call_begin(r);
    r->state = &state_json;
}

void qr_parse_json_begin(struct qr_parse_reader *r, unsigned open)
{
    (void)open;
    reset(r, START);
}

void qr_parse_json_list_begin(struct qr_parse_reader *r, unsigned open)
{
    reset(r, open ? START : ITEM);
    r->json.list = !open;
}

void qr_parse_hermes_begin(struct qr_parse_reader *r, unsigned open)
{
    (void)open;
    reset(r, START);
    r->json.tags = true;
}

static void begin_object(struct qr_parse_reader *r)
{
    const bool known = r->call.known;

    qr_parse_call_begin(r);
    r->call.known = known;
    r->json.state = KEY_FIRST;
    r->json.nested = 0;
    r->json.name = r->json.arguments = false;
}

void qr_parse_json_bare(struct qr_parse_reader *r, uint8_t byte)
{
    const char first = (char)byte;

    qr_parse_try(r, &state_json, &first, 1);
    reset(r, START);
    r->json.envelope = r->family->bare & QR_BARE_ENVELOPE;
    r->call.known = !r->json.envelope;
    if (byte == '{') {
        begin_object(r);
    } else {
        r->json.list = true;
        r->json.state = ITEM;
    }
}

/* The byte is not what JSON, or a call, allows here. */
static void stop(struct qr_parse_reader *r, uint8_t byte)
{
    if (r->tentative) {
        qr_parse_no_call(r);
        return;
    }
    if (r->json.state == ARGUMENTS) {
        qr_parse_call_broken(r, byte);
        return;
    }
    if (r->json.state < AFTER_ITEM) qr_parse_call_end(r);
    qr_parse_text(r, byte);
}

/* ---- keys and values ------------------------------------------------------------------------ */

static uint8_t key_of(const struct qr_parse_reader *r)
{
    static const struct {
        const char *word;
        uint8_t key;
    } keys[] = {{"name", NAME},
                {"tool_name", NAME},
                {"arguments", ARGUMENTS_KEY},
                {"parameters", ARGUMENTS_KEY},
                {"id", ID},
                {"tool_call_id", ID},
                {"call_id", ID},
                {"function", FUNCTION}};
    const struct quire_text word = qr_held_text(&r->json.word);

    if (r->json.envelope && !r->json.list && r->json.nested == 0)
        return qr_parse_is(word, "tool_call")    ? ENVELOPE_CALL
               : qr_parse_is(word, "tool_calls") ? ENVELOPE_CALLS
               : qr_parse_is(word, "response")   ? ENVELOPE_TEXT
                                                 : OTHER;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (qr_parse_is(word, keys[i].word)) return keys[i].key;
    return OTHER;
}

static void begin_text(struct qr_parse_reader *r, uint8_t state)
{
    r->json.state = state;
    r->json.word.n = 0;
    qr_unescape_begin(&r->json.unescape);
    qr_scan_begin(&r->json.scan);
    (void)qr_scan_push(&r->json.scan, '"');
}

static void begin_scan(struct qr_parse_reader *r, uint8_t state, uint8_t byte)
{
    r->json.state = state;
    r->json.word.n = 0;
    qr_held_add_byte(r, &r->json.word, byte);
    qr_scan_begin(&r->json.scan);
    if (qr_scan_push(&r->json.scan, byte) == QR_SCAN_BROKEN) stop(r, byte);
}

static void push_arguments(struct qr_parse_reader *r, uint8_t byte)
{
    enum qr_scan_result result = qr_parse_arguments_push(r, byte);

    if (result == QR_SCAN_MORE) return;
    if (result == QR_SCAN_BROKEN) {
        stop(r, byte);
        return;
    }
    r->json.arguments = true;
    r->json.state = AFTER_VALUE;
    if (result == QR_SCAN_BEFORE) r->state->step(r, byte);
}

static void begin_value(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_json *j = &r->json;

    switch (j->key) {
    case NAME:
        if (byte != '"')
            stop(r, byte);
        else
            begin_text(r, TEXT);
        return;
    case FUNCTION:
    case ENVELOPE_CALL:
        if (byte == '{' && j->nested < 2) {
            j->nested++;
            j->state = KEY_FIRST;
        } else if (byte == '"' && j->key == FUNCTION) {
            j->key = NAME;
            begin_text(r, TEXT);
        } else {
            stop(r, byte);
        }
        return;
    case ENVELOPE_CALLS:
        j->list = true;
        j->state = ITEM;
        if (byte != '[') stop(r, byte);
        return;
    case ENVELOPE_TEXT:
        if (byte != '"') {
            stop(r, byte);
            return;
        }
        r->tentative = false;
        r->raw.n = 0;
        begin_text(r, RESPONSE);
        return;
    case ID:
        if (byte == '"')
            begin_text(r, TEXT);
        else
            begin_scan(r, NUMBER, byte);
        return;
    case ARGUMENTS_KEY:
        if (r->call.header || j->arguments) break; /* a second time */
        if (j->name && !qr_parse_call_header(r)) {
            stop(r, byte);
            return;
        }
        j->state = ARGUMENTS;
        qr_parse_arguments_begin(r);
        push_arguments(r, byte);
        return;
    default:
        if (j->envelope && !j->list && j->nested == 0) {
            stop(r, byte);
            return;
        }
    }
    begin_scan(r, SKIP, byte);
}

static void end_text_value(struct qr_parse_reader *r)
{
    struct qr_parse_json *j = &r->json;

    j->state = AFTER_VALUE;
    if (r->call.header) return;
    struct qr_held *to = j->key == NAME ? &r->call.name : &r->call.id;
    to->n = 0;
    qr_held_add(r, to, j->word.data, j->word.n);
    if (j->key != NAME) return;
    j->name = true;
    if (r->call.known && !qr_parse_tool(r, qr_held_text(to))) qr_parse_no_call(r);
}

/* A key, a name, an id, or the response. */
static void step_text(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_json *j = &r->json;
    char out[8];

    if (qr_scan_push(&j->scan, byte) == QR_SCAN_END) {
        if (j->state == KEY_TEXT) {
            j->key = key_of(r);
            j->state = COLON;
        } else if (j->state == RESPONSE) {
            j->state = AFTER;
        } else {
            end_text_value(r);
        }
        return;
    }
    size_t n = qr_unescape_push(&j->unescape, byte, out);
    for (size_t i = 0; i < n; i++)
        if (j->state == RESPONSE)
            qr_parse_text_put(r, (uint8_t)out[i]);
        else if (j->word.n < WORD_MAX)
            qr_held_add_byte(r, &j->word, (uint8_t)out[i]);
}

/* A value of another key, or a numeric id. */
static void step_skip(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_json *j = &r->json;
    enum qr_scan_result result = qr_scan_push(&j->scan, byte);

    if (result == QR_SCAN_BROKEN) {
        stop(r, byte);
        return;
    }
    if (result != QR_SCAN_BEFORE && j->word.n < WORD_MAX) qr_held_add_byte(r, &j->word, byte);
    if (result == QR_SCAN_MORE) return;
    if (j->state == NUMBER && result == QR_SCAN_BEFORE) end_text_value(r);
    j->state = AFTER_VALUE;
    if (result == QR_SCAN_BEFORE) r->state->step(r, byte);
}

/* ---- objects -------------------------------------------------------------------------------- */

static void end_object(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_json *j = &r->json;

    if (j->nested) {
        j->nested--;
        j->state = AFTER_VALUE;
        return;
    }
    if ((r->call.known && !j->arguments) || !j->name || !qr_parse_call_header(r)) {
        stop(r, byte);
        return;
    }
    qr_parse_call_end(r);
    j->state = j->list ? AFTER_ITEM : AFTER;
}

/* Between objects, after at least one call. */
static void step_after(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_json *j = &r->json;
    const char first = (char)byte;

    if (qr_is_space(byte)) {
        qr_parse_text_put(r, byte);
    } else if (byte == '{') {
        qr_parse_try(r, &state_json, &first, 1);
        begin_object(r);
    } else if (byte == ',' || (byte == ';' && !j->list)) {
        qr_parse_try(r, &state_json, &first, 1);
        j->state = j->list ? ITEM : SEPARATOR;
    } else if (byte == ']' && j->list) {
        j->list = false; /* the envelope's brace may follow */
        if (j->envelope)
            j->state = AFTER;
        else
            r->state = &qr_parse_state_text;
    } else if (byte != '}' || r->call.known || j->list) {
        qr_parse_text(r, byte);
    }
}

static void step_json(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_json *j = &r->json;

    switch (j->state) {
    case KEY_TEXT:
    case TEXT:
    case RESPONSE: step_text(r, byte); return;
    case SKIP:
    case NUMBER: step_skip(r, byte); return;
    case ARGUMENTS: push_arguments(r, byte); return;
    case AFTER_ITEM:
    case AFTER: step_after(r, byte); return;
    default: break;
    }
    if (qr_is_space(byte)) return;
    switch (j->state) {
    case START:
        if (byte == '<' && j->tags) {
            qr_parse_tags_begin(r, 0);
            r->state->step(r, byte);
            return;
        }
        j->list = byte == '[';
        j->state = ITEM;
        if (j->list) return;
        /* fallthrough */
    case ITEM:
    case SEPARATOR:
        if (byte == '{')
            begin_object(r);
        else if (j->list && byte != ']' && r->family->bare & QR_BARE_PYTHON)
            qr_parse_python_list(r, byte);
        else
            stop(r, byte);
        return;
    case KEY_FIRST:
        if (byte == '{') return; /* {{"name": ..}} */
        if (byte == '}') {
            end_object(r, byte);
            return;
        }
        /* fallthrough */
    case KEY:
        if (byte == '"')
            begin_text(r, KEY_TEXT);
        else
            stop(r, byte);
        return;
    case COLON:
        j->state = VALUE;
        if (byte != ':') stop(r, byte);
        return;
    case VALUE: begin_value(r, byte); return;
    case AFTER_VALUE:
        if (byte == ',')
            j->state = KEY;
        else if (byte == '}')
            end_object(r, byte);
        else
            stop(r, byte);
        return;
    default: return;
    }
}

static void end_json(struct qr_parse_reader *r)
{
    struct qr_parse_json *j = &r->json;

    if (r->tentative) {
        qr_parse_call_cut_early(r, j->name);
        return;
    }
    if (j->state < AFTER_ITEM && j->state != RESPONSE) {
        if (j->state == ARGUMENTS && !qr_scan_is_whole(&r->call.scan))
            qr_parse_call_cut(r);
        else
            qr_parse_call_end(r);
    }
    r->state = &qr_parse_state_text;
}

static const struct qr_parse_state state_json = {step_json, end_json};
