/* SPDX-License-Identifier: MIT */
/* gpt-oss's messages ("harmony"):
 *
 *     [<|start|>assistant] HEADER <|message|> BODY (<|end|> | <|call|> | <|return|>)
 *     HEADER = [ to=RECIPIENT] <|channel|> CHANNEL [ to=RECIPIENT] [ <|constrain|>TYPE]
 *
 * A recipient functions.NAME is a call, whatever its channel.  analysis is reasoning; final, and
 * commentary to no one, is content.  Messages to other recipients are dropped.  A header is never
 * text, unless there was no marker at all. */
#include <string.h>

#include "runtime/parse/reader.h"

#define HEADER_MAX 1024u

enum { START, CHANNEL, MESSAGE, CONSTRAIN, END, CALL, RETURN };
#define MARKER(text, number)                                                                       \
    {                                                                                              \
        text, sizeof(text) - 1, 0, number                                                          \
    }
static const struct qr_marker markers[] = {
    MARKER("<|start|>", START),     MARKER("<|channel|>", CHANNEL),
    MARKER("<|message|>", MESSAGE), MARKER("<|constrain|>", CONSTRAIN),
    MARKER("<|end|>", END),         MARKER("<|call|>", CALL),
    MARKER("<|return|>", RETURN)};
#define MARKERS_N (sizeof markers / sizeof *markers)
#define ALL       ((uint64_t)-1)
#define BIT(n)    (UINT64_C(1) << (n))

static const struct qr_parse_state state_header, state_text, state_drop, state_arguments,
    state_inner;

static void begin_header(struct qr_parse_reader *r)
{
    r->header.text.n = 0;
    r->header.state = 0; /* bits: the markers that it has */
    r->match_n = 0;
    r->state = &state_header;
}

/* ---- what a header says --------------------------------------------------------------------- */

static const char *find(struct quire_text text, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= text.n; i++)
        if (!memcmp(text.data + i, word, n)) return text.data + i;
    return NULL;
}

static bool is_end(char c)
{
    return qr_is_space((uint8_t)c) || c == '<';
}

/* The word after the first ` to=`, except assistant and user. */
static struct quire_text recipient_of(struct quire_text header)
{
    const char *end = header.data + header.n;

    for (const char *at = header.data; at;) {
        at = find((struct quire_text){at, (size_t)(end - at)}, "to=");
        if (!at) break;
        const bool word = at == header.data || is_end(at[-1]) || at[-1] == '>';
        struct quire_text name = {at += 3, 0};
        while (at < end && !is_end(*at))
            at++, name.n++;
        if (word && name.n && !qr_parse_is(name, "assistant") && !qr_parse_is(name, "user"))
            return name;
    }
    return (struct quire_text){0};
}

/* The kind of the first known channel.  Without one the body is taken for analysis. */
static enum qr_parse_kind channel_of(struct quire_text header)
{
    static const char *const names[] = {"analysis", "final", "commentary"};
    const char *first = NULL;
    enum qr_parse_kind kind = QR_PARSE_REASONING;

    for (int i = 0; i < 3; i++) {
        const char *at = find(header, names[i]);
        if (at && (!first || at < first)) {
            first = at;
            kind = i ? QR_PARSE_CONTENT : QR_PARSE_REASONING;
        }
    }
    return kind;
}

/* The header begins with <|start|> and another role than assistant. */
static bool is_foreign(struct quire_text header)
{
    const char *role = find(header, "<|start|>");
    size_t n = role ? header.n - (size_t)(role + 9 - header.data) : 0;

    return role && n >= 9 && memcmp(role + 9, "assistant", 9) != 0;
}

static void begin_body(struct qr_parse_reader *r)
{
    const struct quire_text header = qr_held_text(&r->header.text);
    struct quire_text name = recipient_of(header);
    static const char prefix[] = "functions.";
    const bool function = name.n > 10 && !memcmp(name.data, prefix, 10);

    r->match_n = 0;
    if (name.n && !is_foreign(header)) {
        if (function && !qr_parse_tool(r, name)) name.data += 10, name.n -= 10;
        qr_parse_call_begin(r);
        qr_held_add(r, &r->call.name, name.data, name.n);
        r->state = &state_drop;
        if (r->calls && (function || qr_parse_tool(r, name)) && qr_parse_call_header(r)) {
            qr_parse_arguments_begin(r);
            r->state = &state_arguments;
            r->header.state = 0;
        }
        return;
    }
    if (is_foreign(header)) {
        r->state = &state_drop;
        return;
    }
    r->channel = channel_of(header);
    if (r->channel == QR_PARSE_CONTENT && !r->said) r->space.n = 0;
    if (r->channel == QR_PARSE_REASONING) r->reasoned = true;
    r->state = &state_text;
}

/* ---- headers -------------------------------------------------------------------------------- */

static void put_header(struct qr_parse_reader *r, uint8_t byte)
{
    qr_held_add_byte(r, &r->header.text, byte);
}

/* A long header without a marker is the answer itself. */
static void header_is_text(struct qr_parse_reader *r)
{
    r->channel = QR_PARSE_CONTENT;
    for (size_t i = 0; i < r->header.text.n; i++)
        qr_parse_text_put(r, (uint8_t)r->header.text.data[i]);
    r->state = &state_text;
}

/* Whether the last code point of the header is complete. */
static bool is_whole(struct quire_text header)
{
    size_t back = 1;

    while (back < 4 && back < header.n && (header.data[header.n - back] & 0xc0) == 0x80)
        back++;
    const uint8_t lead = (uint8_t)header.data[header.n - back];
    return back == (lead < 0xc0 ? 1u : lead < 0xe0 ? 2u : lead < 0xf0 ? 3u : 4u);
}

static void step_header(struct qr_parse_reader *r, uint8_t byte)
{
    int found = qr_parse_match(r, markers, MARKERS_N, ALL, byte, put_header);

    if (found < 0) {
        if (r->header.text.n > HEADER_MAX && is_whole(qr_held_text(&r->header.text))) {
            if (r->header.state == 0)
                header_is_text(r);
            else
                begin_body(r);
        }
        return;
    }
    if (found == MESSAGE) {
        begin_body(r);
    } else if (found == START || found >= END) {
        if (r->header.state == 0 && qr_parse_trim(qr_held_text(&r->header.text)).n)
            header_is_text(r);
        begin_header(r);
        if (found == START) qr_held_add(r, &r->header.text, "<|start|>", 9);
        r->header.state = found == START;
    } else {
        r->header.state |= 1;
        qr_held_add(r, &r->header.text, markers[found].text, markers[found].n);
    }
}

static void end_header(struct qr_parse_reader *r)
{
    qr_parse_match_release(r, put_header);
    if (r->header.state == 0 && r->header.text.n && r->stop == QR_PARSE_STOP_END) header_is_text(r);
    if (r->header.state == 0 && r->header.text.n && !find(qr_held_text(&r->header.text), "to=") &&
        r->stop == QR_PARSE_STOP_LENGTH)
        header_is_text(r);
    r->state = &qr_parse_state_text;
}

static const struct qr_parse_state state_header = {step_header, end_header};

/* ---- bodies --------------------------------------------------------------------------------- */

#define ENDS (BIT(START) | BIT(END) | BIT(CALL) | BIT(RETURN))

static void end_message(struct qr_parse_reader *r, int marker)
{
    r->space.n = 0;
    begin_header(r);
    if (marker != START) return;
    qr_held_add(r, &r->header.text, "<|start|>", 9);
    r->header.state = 1;
}

static void step_text(struct qr_parse_reader *r, uint8_t byte)
{
    if (byte != '<' && r->match_n == 0) { /* every marker begins with < */
        qr_parse_text_put(r, byte);
        return;
    }
    int found = qr_parse_match(r, markers, MARKERS_N, ENDS | BIT(CHANNEL), byte, qr_parse_text_put);

    if (found == CHANNEL) { /* text, or a message without its <|start|> */
        r->header.text.n = 0;
        r->state = &state_inner;
    } else if (found >= 0) {
        end_message(r, found);
    }
}

static void end_text(struct qr_parse_reader *r)
{
    r->state = &qr_parse_state_text; /* releases what is held */
}

static const struct qr_parse_state state_text = {step_text, end_text};

static void nothing(struct qr_parse_reader *r, uint8_t byte)
{
    (void)r;
    (void)byte;
}

static void step_drop(struct qr_parse_reader *r, uint8_t byte)
{
    int found = qr_parse_match(r, markers, MARKERS_N, ENDS, byte, nothing);
    if (found >= 0) end_message(r, found);
}

static void end_drop(struct qr_parse_reader *r)
{
    r->match_n = 0;
    r->state = &qr_parse_state_text;
}

static const struct qr_parse_state state_drop = {step_drop, end_drop};

/* <|channel|> within a body: up to <|message|> it is a header if it begins with a channel's name.
 */
static void inner_is_text(struct qr_parse_reader *r)
{
    static const char marker[] = "<|channel|>";

    for (size_t i = 0; marker[i]; i++)
        qr_parse_text_put(r, (uint8_t)marker[i]);
    for (size_t i = 0; i < r->header.text.n; i++)
        qr_parse_text_put(r, (uint8_t)r->header.text.data[i]);
    r->state = &state_text;
}

static bool begins_with_channel(struct quire_text text)
{
    return find(text, "analysis") == text.data || find(text, "final") == text.data ||
           find(text, "commentary") == text.data;
}

static void step_inner(struct qr_parse_reader *r, uint8_t byte)
{
    int found = qr_parse_match(r, markers, MARKERS_N, ALL, byte, put_header);

    if (found == MESSAGE && r->header.text.n &&
        begins_with_channel(qr_held_text(&r->header.text))) {
        r->space.n = 0;
        begin_body(r);
    } else if (found == CONSTRAIN) {
        qr_held_add(r, &r->header.text, markers[found].text, markers[found].n);
    } else if (found >= 0) {
        inner_is_text(r);
        qr_parse_again(r, markers[found].text, markers[found].n);
    } else if (r->header.text.n > 128) {
        inner_is_text(r);
    }
}

static void end_inner(struct qr_parse_reader *r)
{
    qr_parse_match_release(r, put_header);
    inner_is_text(r);
}

static const struct qr_parse_state state_inner = {step_inner, end_inner};

/* ---- calls ---------------------------------------------------------------------------------- */

static void put_broken(struct qr_parse_reader *r, uint8_t byte)
{
    qr_parse_call_put(r, (const char *)&byte, 1);
}

/* header.state: 0 within the arguments, 1 after them, 2 if they are not JSON. */
static void step_arguments(struct qr_parse_reader *r, uint8_t byte)
{
    if (r->header.state == 0 && byte == '<' && r->call.mode == QR_ARGUMENTS_START)
        r->header.state = 2;
    if (r->header.state == 0) {
        enum qr_scan_result result = qr_parse_arguments_push(r, byte);
        if (result == QR_SCAN_MORE) return;
        r->header.state = result == QR_SCAN_BROKEN ? 2 : 1;
        if (result == QR_SCAN_BROKEN && r->call.mode == QR_ARGUMENTS_RAW)
            qr_parse_call_put(r, r->call.lead.data, r->call.lead.n); /* held space */
        if (result == QR_SCAN_END) return;
    }
    int found = qr_parse_match(r, markers, MARKERS_N, ENDS, byte,
                               r->header.state == 2 ? put_broken : nothing);
    if (found < 0) return;
    qr_parse_call_end(r);
    r->call_open = false;
    end_message(r, found);
}

static void end_arguments(struct qr_parse_reader *r)
{
    const bool whole = r->header.state == 1 || qr_scan_is_whole(&r->call.scan) ||
                       r->call.mode == QR_ARGUMENTS_START;

    r->match_n = 0;
    if (r->stop == QR_PARSE_STOP_END && whole)
        qr_parse_call_end(r);
    else if (r->stop == QR_PARSE_STOP_LENGTH && r->header.state == 1)
        qr_parse_call_end(r);
    qr_parse_call_cut(r);
}

static const struct qr_parse_state state_arguments = {step_arguments, end_arguments};

void qr_parse_harmony_start(struct qr_parse_reader *r)
{
    static const char start[] = "<|start|>assistant";
    const struct quire_text tail = r->settings.prompt_tail;
    const size_t start_n = sizeof start - 1;

    begin_header(r);
    for (size_t i = tail.n; i >= start_n; i--) {
        if (memcmp(tail.data + i - start_n, start, start_n)) continue;
        for (; i < tail.n; i++) /* what the prompt has begun */
            r->state->step(r, (uint8_t)tail.data[i]);
        return;
    }
}
