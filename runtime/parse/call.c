/* SPDX-License-Identifier: MIT */
/* One call: its header, and its arguments as they are delivered. */
#include <stdio.h>
#include <string.h>

#include "runtime/parse/reader.h"

#define LEAD_MAX 64u /* space before an object within a string */

/* ---- the header ----------------------------------------------------------------------------- */

void qr_parse_call_begin(struct qr_parse_reader *r)
{
    struct qr_parse_call *c = &r->call;

    c->header = c->known = c->muted = c->any = false;
    c->name.n = c->id.n = c->arguments.n = 0;
}

/* Nine letters and digits: Mistral's templates accept no other ids. */
static void make_id(uint64_t seed, uint32_t index, char out[9])
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t x = seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15); /* SplitMix64 */

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    for (int i = 0; i < 9; i++, x /= 62)
        out[i] = letters[x % 62];
}

bool qr_parse_call_header(struct qr_parse_reader *r)
{
    struct qr_parse_call *c = &r->call;
    struct quire_text name = qr_parse_trim(qr_held_text(&c->name));
    char made[9];

    if (c->header) return true;
    if (!name.n || name.n > QR_PARSE_NAME_MAX || (c->known && !qr_parse_tool(r, name)))
        return false;
    c->header = true;
    c->muted = r->settings.single && r->calls_n > 0;
    r->tentative = false;
    r->raw.n = r->space.n = 0;
    if (r->channel == QR_PARSE_REASONING) {
        r->channel = QR_PARSE_CONTENT;
        r->reasoned = r->unclosed = true;
    }
    if (!c->muted) {
        qr_parse_flush(r);
        make_id(r->settings.seed, r->calls_n, made);
        struct quire_text id = qr_parse_trim(qr_held_text(&c->id));
        const struct qr_parse_delta delta = {
            .kind = QR_PARSE_CALL,
            .call = r->calls_n++,
            .text = name,
            .id = id.n && id.n <= QR_PARSE_NAME_MAX ? id : (struct quire_text){made, 9}};
        if (!r->failed) r->settings.put(r->settings.context, &delta);
    }
    if (c->arguments.n) qr_parse_call_put(r, c->arguments.data, c->arguments.n);
    c->arguments.n = 0;
    return true;
}

void qr_parse_call_put(struct qr_parse_reader *r, const char *data, size_t n)
{
    struct qr_parse_call *c = &r->call;

    if (!c->header) {
        qr_held_add(r, &c->arguments, data, n);
        return;
    }
    c->any = true;
    if (!c->muted) qr_parse_emit(r, QR_PARSE_ARGUMENTS, data, n);
}

void qr_parse_call_puts(struct qr_parse_reader *r, const char *text)
{
    qr_parse_call_put(r, text, strlen(text));
}

static void put_control(struct qr_parse_reader *r, uint8_t byte)
{
    char text[8];

    switch (byte) {
    case '\n': qr_parse_call_puts(r, "\\n"); return;
    case '\r': qr_parse_call_puts(r, "\\r"); return;
    case '\t': qr_parse_call_puts(r, "\\t"); return;
    default: snprintf(text, sizeof text, "\\u%04x", (unsigned)byte); qr_parse_call_puts(r, text);
    }
}

static void put_byte(struct qr_parse_reader *r, uint8_t byte)
{
    qr_parse_call_put(r, (const char *)&byte, 1);
}

void qr_parse_call_put_escaped(struct qr_parse_reader *r, uint8_t byte)
{
    if (byte < 0x20) {
        put_control(r, byte);
        return;
    }
    if (byte == '"' || byte == '\\') put_byte(r, '\\');
    put_byte(r, byte);
}

void qr_parse_call_end(struct qr_parse_reader *r)
{
    if (!r->call.any) qr_parse_call_puts(r, "{}");
    r->after_call = r->call_open = true;
    qr_parse_flush(r);
}

void qr_parse_call_cut(struct qr_parse_reader *r)
{
    r->after_call = r->call.header;
    r->state = &qr_parse_state_text;
}

void qr_parse_call_cut_early(struct qr_parse_reader *r, bool name)
{
    if (r->stop != QR_PARSE_STOP_LENGTH || (!name && r->call.known)) {
        qr_parse_no_call(r);
        return;
    }
    if (name && !qr_parse_call_header(r)) {
        qr_parse_no_call(r);
        return;
    }
    r->tentative = false;
    r->raw.n = 0;
    qr_parse_call_cut(r);
}

/* ---- strings within JSON -------------------------------------------------------------------- */

void qr_unescape_begin(struct qr_unescape *u)
{
    *u = (struct qr_unescape){0};
}

static size_t put_code(struct qr_unescape *u, uint32_t code, char *out)
{
    size_t n = 0;

    if (u->high && code >= 0xdc00 && code <= 0xdfff) {
        code = 0x10000 + ((u->high - 0xd800) << 10) + (code - 0xdc00);
        u->high = 0;
        return qr_parse_encode(code, out);
    }
    if (u->high) n = qr_parse_encode(0xfffd, out);
    u->high = 0;
    if (code >= 0xd800 && code <= 0xdbff) {
        u->high = code;
        return n;
    }
    return n + qr_parse_encode(code >= 0xdc00 && code <= 0xdfff ? 0xfffd : code, out + n);
}

size_t qr_unescape_push(struct qr_unescape *u, uint8_t byte, char out[8])
{
    static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
    size_t n = 0;

    if (u->state == 0 && byte == '\\') {
        u->state = 1;
        return 0;
    }
    if (u->state == 1 && byte == 'u') {
        u->state = 2;
        u->code = 0;
        return 0;
    }
    if (u->state >= 2) {
        uint8_t letter = byte | 0x20;
        unsigned digit = byte >= '0' && byte <= '9'       ? byte - 48u
                         : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10u
                                                          : 0;
        u->code = u->code << 4 | digit;
        if (u->state++ < 5) return 0;
        u->state = 0;
        return put_code(u, u->code, out);
    }
    if (u->high) n = qr_parse_encode(0xfffd, out);
    u->high = 0;
    if (u->state == 1) {
        const char *at = byte ? strchr(from, byte) : NULL;
        u->state = 0;
        if (at) byte = (uint8_t)to[at - from];
    }
    out[n++] = (char)byte;
    return n;
}

/* ---- arguments ------------------------------------------------------------------------------ */

void qr_parse_arguments_begin(struct qr_parse_reader *r)
{
    r->call.mode = QR_ARGUMENTS_START;
    qr_scan_begin(&r->call.scan);
    qr_scan_begin(&r->call.inner);
    qr_unescape_begin(&r->call.unescape);
    r->call.lead.n = 0;
}

/* A byte that the model wrote, with control characters of strings escaped. */
static void put_raw(struct qr_parse_reader *r, bool in_string, uint8_t byte)
{
    if (in_string && byte < 0x20)
        put_control(r, byte);
    else
        put_byte(r, byte);
}

void qr_parse_call_put_json(struct qr_parse_reader *r, struct quire_text json)
{
    struct qr_scan s;

    qr_scan_begin(&s);
    for (size_t i = 0; i < json.n; i++) {
        const bool in_string = qr_scan_in_string(&s);
        (void)qr_scan_push(&s, (uint8_t)json.data[i]);
        put_raw(r, in_string, (uint8_t)json.data[i]);
    }
}

/* Holds the space between tokens until more follows, so that a fragment ends with a token. */
static enum qr_scan_result push_raw(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_held *space = &r->call.lead;
    struct qr_scan *s = &r->call.scan;
    const bool in_string = qr_scan_in_string(s);

    if (byte == '{' && s->depth == 1 && s->state == QR_SCAN_KEY_OR_END) return QR_SCAN_MORE;
    enum qr_scan_result result = qr_scan_push(s, byte);
    if (result == QR_SCAN_BROKEN || result == QR_SCAN_BEFORE) return result;
    if (!in_string && qr_is_space(byte) && space->n < QR_PARSE_SPACE_MAX) {
        qr_held_add_byte(r, space, byte);
        return result;
    }
    if (space->n) qr_parse_call_put(r, space->data, space->n);
    space->n = 0;
    put_raw(r, in_string, byte);
    return result;
}

static void put_inner(struct qr_parse_reader *r, uint8_t byte)
{
    const bool in_string = qr_scan_in_string(&r->call.inner);

    (void)qr_scan_push(&r->call.inner, byte);
    put_raw(r, in_string, byte);
}

/* Arguments in a string.  An object is unwrapped; a string of space alone counts as no arguments.
 */
static enum qr_scan_result push_quoted(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_call *c = &r->call;
    char out[8];
    enum qr_scan_result result = qr_scan_push(&c->scan, byte);

    if (result != QR_SCAN_MORE) return result;
    size_t n = qr_unescape_push(&c->unescape, byte, out);
    if (c->mode == QR_ARGUMENTS_QUOTED) {
        qr_held_add_byte(r, &c->lead, byte);
        for (size_t i = 0; i < n && c->mode == QR_ARGUMENTS_QUOTED; i++)
            if (!qr_is_space((uint8_t)out[i]))
                c->mode = out[i] == '{' ? QR_ARGUMENTS_UNWRAP : QR_ARGUMENTS_STRING;
        if (c->mode == QR_ARGUMENTS_QUOTED && c->lead.n > LEAD_MAX) c->mode = QR_ARGUMENTS_STRING;
        if (c->mode == QR_ARGUMENTS_STRING) {
            put_byte(r, '"');
            for (size_t i = 0; i < c->lead.n; i++)
                put_raw(r, true, (uint8_t)c->lead.data[i]);
            c->lead.n = 0;
        }
        if (c->mode != QR_ARGUMENTS_UNWRAP) return result;
    }
    for (size_t i = 0; i < n; i++)
        put_inner(r, (uint8_t)out[i]);
    return result;
}

static enum qr_scan_result push_null(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_scan *s = &r->call.scan;
    const uint8_t at = s->at;
    enum qr_scan_result result = qr_scan_push(s, byte);

    if (result == QR_SCAN_BROKEN) qr_parse_call_put(r, "null", at);
    return result;
}

enum qr_scan_result qr_parse_arguments_push(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_call *c = &r->call;

    switch (c->mode) {
    case QR_ARGUMENTS_START:
        if (qr_is_space(byte)) return QR_SCAN_MORE;
        if (byte == '"' || byte == 'n') {
            c->mode = byte == '"' ? QR_ARGUMENTS_QUOTED : QR_ARGUMENTS_NULL;
            return qr_scan_push(&c->scan, byte);
        }
        c->mode = QR_ARGUMENTS_RAW;
        return push_raw(r, byte);
    case QR_ARGUMENTS_RAW:
    case QR_ARGUMENTS_STRING: return push_raw(r, byte);
    case QR_ARGUMENTS_NULL: return push_null(r, byte);
    case QR_ARGUMENTS_QUOTED:
    case QR_ARGUMENTS_UNWRAP: return push_quoted(r, byte);
    }
    return QR_SCAN_BROKEN;
}

/* ---- arguments that are no JSON ------------------------------------------------------------- */

static void put_broken(struct qr_parse_reader *r, uint8_t byte)
{
    if (qr_is_space(byte) && r->space.n < QR_PARSE_SPACE_MAX) {
        qr_held_add_byte(r, &r->space, byte);
        return;
    }
    qr_parse_call_put(r, r->space.data, r->space.n);
    r->space.n = 0;
    put_byte(r, byte);
}

static void step_broken(struct qr_parse_reader *r, uint8_t byte)
{
    uint64_t enabled = 0;

    for (uint32_t i = 0; i < r->markers_n; i++)
        enabled |= (uint64_t)(r->markers[i].action <= QR_MARKER_CALL_END) << i;
    int found = qr_parse_match(r, r->markers, r->markers_n, enabled, byte, put_broken);
    if (found < 0) return;
    const struct qr_marker *m = &r->markers[found];
    r->space.n = 0;
    qr_parse_call_end(r);
    r->state = &qr_parse_state_text;
    for (size_t i = 0; i < m->n; i++)
        qr_parse_text(r, (uint8_t)m->text[i]);
}

static void end_broken(struct qr_parse_reader *r)
{
    if (r->stop == QR_PARSE_STOP_END) qr_parse_match_release(r, put_broken);
    r->match_n = 0;
    r->space.n = 0;
    qr_parse_call_cut(r);
}

static const struct qr_parse_state state_broken = {step_broken, end_broken};

void qr_parse_call_broken(struct qr_parse_reader *r, uint8_t byte)
{
    r->space.n = 0;
    if (r->call.mode == QR_ARGUMENTS_RAW)
        qr_held_add(r, &r->space, r->call.lead.data, r->call.lead.n);
    r->call.lead.n = 0;
    r->state = &state_broken;
    step_broken(r, byte);
}
