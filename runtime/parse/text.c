/* SPDX-License-Identifier: MIT */
/* The text state: content and reasoning, and the markers that may begin in them. */
#include <assert.h>
#include <string.h>

#include "runtime/parse/reader.h"
#include "runtime/parse/thinking.h"

/* Open reasoning after a call's marker is kept, to be read as calls if the text ends without
 * closing it. */
#define DEFERRED_MAX ((size_t)64 << 10)

#define N(array) (sizeof(array) / sizeof *(array))

static const struct qr_parse_state state_deferred;

/* ---- output --------------------------------------------------------------------------------- */

/* Nothing was sent of this kind yet, and something came before it: leading space is dropped. */
static bool leads(const struct qr_parse_reader *r)
{
    if (r->channel == QR_PARSE_REASONING) return !r->thought;
    return !r->said && (r->reasoned || r->wrapped || r->calls_n);
}

static void put_space(struct qr_parse_reader *r)
{
    if (r->space.n && !leads(r)) qr_parse_emit(r, r->channel, r->space.data, r->space.n);
    r->space.n = 0;
}

void qr_parse_text_put(struct qr_parse_reader *r, uint8_t byte)
{
    if (qr_is_space(byte)) {
        if (r->space.n >= QR_PARSE_SPACE_MAX) put_space(r);
        qr_held_add_byte(r, &r->space, byte);
        return;
    }
    if (r->space.n) put_space(r);
    *(r->channel == QR_PARSE_REASONING ? &r->thought : &r->said) = true;
    r->after_call = false;
    if (r->out_kind != r->channel) qr_parse_flush(r);
    r->out_kind = r->channel;
    qr_held_add_byte(r, &r->out, byte);
}

/* ---- matching ------------------------------------------------------------------------------- */

/* The index of the enabled marker that equals the held bytes.  -1: they are a prefix of one.  -2:
 * they are not. */
static int compare(const struct qr_parse_reader *r, const struct qr_marker *markers, size_t n,
                   uint64_t enabled)
{
    int result = -2;

    for (size_t i = 0; i < n; i++) {
        const struct qr_marker *m = &markers[i];
        if (!(enabled >> i & 1) || m->n < r->match_n || memcmp(m->text, r->match, r->match_n))
            continue;
        if (m->n == r->match_n) return (int)i;
        result = -1;
    }
    return result;
}

int qr_parse_match(struct qr_parse_reader *r, const struct qr_marker *markers, size_t n,
                   uint64_t enabled, uint8_t byte,
                   void (*release)(struct qr_parse_reader *r, uint8_t byte))
{
    assert(r->match_n < QR_PARSE_MATCH_MAX);
    r->match[r->match_n++] = (char)byte;
    while (r->match_n) {
        int found = compare(r, markers, n, enabled);
        if (found >= 0) r->match_n = 0;
        if (found >= -1) return found;
        uint8_t first = (uint8_t)r->match[0];
        memmove(r->match, r->match + 1, --r->match_n);
        release(r, first);
    }
    return -1;
}

void qr_parse_match_release(struct qr_parse_reader *r,
                            void (*release)(struct qr_parse_reader *r, uint8_t byte))
{
    uint32_t n = r->match_n;

    r->match_n = 0;
    for (uint32_t i = 0; i < n; i++)
        release(r, (uint8_t)r->match[i]);
}

/* ---- markers -------------------------------------------------------------------------------- */

static bool is_enabled(const struct qr_parse_reader *r, const struct qr_marker *m)
{
    const bool thinking = r->channel == QR_PARSE_REASONING;

    switch ((enum qr_marker_action)m->action) {
    case QR_MARKER_OPEN:
    case QR_MARKER_SECTION: return r->calls;
    case QR_MARKER_CALL_END: return r->call_open && !thinking;
    case QR_MARKER_THINK:
        return thinking ? !r->thought && m->number == r->pair
                        : !r->said && !r->reasoned && !r->calls_n && !r->wrapped;
    case QR_MARKER_THINK_END: return (thinking || r->unclosed) && m->number == r->pair;
    case QR_MARKER_ANSWER: return !thinking && !r->said && !r->wrapped;
    case QR_MARKER_ANSWER_END: return !thinking && r->wrapped;
    }
    return false;
}

static uint64_t enabled_markers(const struct qr_parse_reader *r)
{
    uint64_t enabled = 0;

    for (uint32_t i = 0; i < r->markers_n; i++)
        enabled |= (uint64_t)is_enabled(r, &r->markers[i]) << i;
    return enabled;
}

static void end_reasoning(struct qr_parse_reader *r)
{
    r->space.n = 0;
    r->reasoned = true;
    r->unclosed = false;
    r->channel = QR_PARSE_CONTENT;
}

static void take_marker(struct qr_parse_reader *r, const struct qr_marker *m)
{
    switch ((enum qr_marker_action)m->action) {
    case QR_MARKER_OPEN:
        if (r->channel == QR_PARSE_REASONING && r->family->inside == QR_INSIDE_WAITS &&
            !r->deferred) {
            qr_parse_try(r, &state_deferred, m->text, m->n);
            return;
        }
        qr_parse_try(r, &qr_parse_state_text, m->text, m->n);
        r->family->begin(r, m->number);
        return;
    case QR_MARKER_SECTION:
        r->call_open = false;
        r->after_call = true;
        if (r->channel == QR_PARSE_REASONING) {
            end_reasoning(r);
            r->unclosed = true;
        }
        return;
    case QR_MARKER_CALL_END: /* the last of them closes the call */
        r->call_open = m->number + 1u < N(r->family->ends) && r->family->ends[m->number + 1];
        return;
    case QR_MARKER_THINK:
        r->pair = m->number;
        r->space.n = 0;
        r->channel = QR_PARSE_REASONING;
        return;
    case QR_MARKER_THINK_END: end_reasoning(r); return;
    case QR_MARKER_ANSWER:
        r->space.n = 0;
        r->wrapped = true;
        return;
    case QR_MARKER_ANSWER_END:
        r->space.n = 0;
        r->wrapped = false;
        return;
    }
}

/* ---- the state ------------------------------------------------------------------------------ */

static bool begins_bare(const struct qr_parse_reader *r, uint8_t byte)
{
    if (!r->calls || r->said || r->calls_n || r->channel != QR_PARSE_CONTENT) return false;
    return (byte == '{' && r->family->bare & (QR_BARE_OBJECT | QR_BARE_ENVELOPE)) ||
           (byte == '[' && r->family->bare & (QR_BARE_LIST | QR_BARE_PYTHON));
}

static void step_text(struct qr_parse_reader *r, uint8_t byte)
{
    if (r->match_n == 0) {
        if (r->family->bare && begins_bare(r, byte)) {
            /* A marker may begin with the same byte: then the marker is tried. */
            r->match[r->match_n++] = (char)byte;
            if (compare(r, r->markers, r->markers_n, enabled_markers(r)) == -2) {
                r->match_n = 0;
                qr_parse_json_bare(r, byte);
            }
            return;
        }
        if (!r->begins[byte]) {
            qr_parse_text_put(r, byte);
            return;
        }
    }
    if (r->match_n == 1 && r->match[0] == '[' && begins_bare(r, '[')) {
        r->match[r->match_n++] = (char)byte;
        bool marker = compare(r, r->markers, r->markers_n, enabled_markers(r)) != -2;
        r->match_n--;
        if (!marker) {
            r->match_n = 0;
            qr_parse_json_bare(r, '[');
            qr_held_add_byte(r, &r->raw, byte);
            r->state->step(r, byte);
            return;
        }
    }
    int found =
        qr_parse_match(r, r->markers, r->markers_n, enabled_markers(r), byte, qr_parse_text_put);
    if (found >= 0) take_marker(r, &r->markers[found]);
}

/* Whether the held bytes begin a marker around calls, and follow another one. */
static bool holds_call_end(const struct qr_parse_reader *r)
{
    uint64_t enabled = 0;

    for (uint32_t i = 0; i < r->markers_n; i++) {
        const uint8_t action = r->markers[i].action;
        if (action == QR_MARKER_SECTION || action == QR_MARKER_CALL_END ||
            (action == QR_MARKER_OPEN && r->family->sections[0]))
            enabled |= (uint64_t)is_enabled(r, &r->markers[i]) << i;
    }
    return r->after_call && r->match_n && compare(r, r->markers, r->markers_n, enabled) == -1;
}

static void end_text(struct qr_parse_reader *r)
{
    if (holds_call_end(r)) r->match_n = 0;
    qr_parse_match_release(r, qr_parse_text_put);
    if (r->channel == QR_PARSE_CONTENT && r->after_call) r->space.n = 0;
    put_space(r);
    r->state = &qr_parse_state_end;
}

void qr_parse_text(struct qr_parse_reader *r, uint8_t byte)
{
    r->state = &qr_parse_state_text;
    step_text(r, byte);
}

static void step_nothing(struct qr_parse_reader *r, uint8_t byte)
{
    (void)r;
    (void)byte;
}

static void end_nothing(struct qr_parse_reader *r)
{
    (void)r;
}

const struct qr_parse_state qr_parse_state_text = {step_text, end_text};
const struct qr_parse_state qr_parse_state_end = {step_nothing, end_nothing};

/* ---- a call's marker within reasoning ------------------------------------------------------- */

/* The raw text was reasoning. */
static void put_deferred(struct qr_parse_reader *r, size_t n)
{
    r->tentative = false;
    r->state = &qr_parse_state_text;
    for (size_t i = 0; i < n; i++)
        qr_parse_text_put(r, (uint8_t)r->raw.data[i]);
    r->raw.n = 0;
}

static void step_deferred(struct qr_parse_reader *r, uint8_t byte)
{
    (void)byte;
    const char *close = r->reasoning->pairs[r->pair].close;

    if (qr_parse_ends_in(qr_held_text(&r->raw), close)) {
        put_deferred(r, r->raw.n - strlen(close));
        end_reasoning(r);
    } else if (r->raw.n >= DEFERRED_MAX) {
        put_deferred(r, r->raw.n);
    }
}

static void end_deferred(struct qr_parse_reader *r)
{
    r->deferred = true; /* from now on the marker begins a call */
    if (r->stop == QR_PARSE_STOP_LENGTH) {
        put_deferred(r, r->raw.n);
        return;
    }
    r->tentative = false;
    r->state = &qr_parse_state_text;
    qr_held_add(r, &r->again, r->raw.data, r->raw.n);
    r->raw.n = 0;
}

static const struct qr_parse_state state_deferred = {step_deferred, end_deferred};

/* ---- the beginning -------------------------------------------------------------------------- */

static void add_marker(struct qr_parse_reader *r, const char *text, enum qr_marker_action action,
                       unsigned number)
{
    size_t n = strlen(text);

    assert(r->markers_n < QR_PARSE_MARKERS_MAX && n < QR_PARSE_MATCH_MAX);
    r->markers[r->markers_n++] =
        (struct qr_marker){text, (uint8_t)n, (uint8_t)action, (uint8_t)number};
    r->begins[(uint8_t)text[0]] = true;
}

static void add_markers(struct qr_parse_reader *r, const char *const *texts, size_t n,
                        enum qr_marker_action action)
{
    for (unsigned i = 0; i < n && texts[i]; i++)
        add_marker(r, texts[i], action, i);
}

void qr_parse_text_init(struct qr_parse_reader *r)
{
    const struct quire_text tail = r->settings.prompt_tail;
    const struct qr_parse_family *f = r->family;
    bool open = r->settings.in_reasoning;

    const struct qr_parse_reasoning *g = r->reasoning;
    for (unsigned i = 0; i < QR_PARSE_PAIRS_MAX && g->pairs[i].open; i++) {
        add_marker(r, g->pairs[i].open, QR_MARKER_THINK, i);
        add_marker(r, g->pairs[i].close, QR_MARKER_THINK_END, i);
        if (qr_parse_is_opened(tail, g, i)) {
            open = true;
            r->pair = (uint8_t)i;
        }
    }
    r->channel = open && g->pairs[0].open ? QR_PARSE_REASONING : QR_PARSE_CONTENT;
    add_markers(r, g->answer, N(g->answer), QR_MARKER_ANSWER);
    add_markers(r, g->answer_end, N(g->answer_end), QR_MARKER_ANSWER_END);
    if (!f->begin) return;
    add_markers(r, f->opens, N(f->opens), QR_MARKER_OPEN);
    add_markers(r, f->sections, N(f->sections), QR_MARKER_SECTION);
    add_markers(r, f->ends, N(f->ends), QR_MARKER_CALL_END);
}
