/* SPDX-License-Identifier: MIT */
#include "runtime/parse/reader.h"

#include <string.h>

#include "runtime/parse/thinking.h"

#define OUT_MAX ((size_t)64 << 10) /* a longer delta is sent in pieces */

/* ---- bytes ---------------------------------------------------------------------------------- */

void qr_held_add(struct qr_parse_reader *r, struct qr_held *held, const void *data, size_t n)
{
    if (n > held->capacity - held->n) {
        size_t capacity = held->capacity ? 2 * held->capacity : 64;
        while (capacity < held->n + n)
            capacity *= 2;
        char *grown = r->failed ? NULL : qr_realloc(&r->allocator, held->data, capacity);
        if (!grown) {
            r->failed = true;
            return;
        }
        held->data = grown;
        held->capacity = capacity;
    }
    if (n) memcpy(held->data + held->n, data, n);
    held->n += n;
}

struct quire_text qr_parse_trim(struct quire_text text)
{
    while (text.n && qr_is_space((uint8_t)text.data[0]))
        text.data++, text.n--;
    while (text.n && qr_is_space((uint8_t)text.data[text.n - 1]))
        text.n--;
    return text;
}

bool qr_parse_is(struct quire_text text, const char *word)
{
    size_t n = strlen(word);
    return text.n == n && (n == 0 || memcmp(text.data, word, n) == 0);
}

bool qr_parse_ends_in(struct quire_text text, const char *suffix)
{
    size_t n = strlen(suffix);
    return text.n >= n && memcmp(text.data + text.n - n, suffix, n) == 0;
}

size_t qr_parse_encode(uint32_t code, char out[4])
{
    if (code < 0x80) return out[0] = (char)code, 1;
    if (code < 0x800)
        return out[0] = (char)(0xc0 | code >> 6), out[1] = (char)(0x80 | (code & 63)), 2;
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

const struct qr_parse_tool *qr_parse_tool(const struct qr_parse_reader *r, struct quire_text name)
{
    for (size_t i = 0; i < r->settings.tools_n; i++) {
        const struct qr_parse_tool *tool = &r->settings.tools[i];
        if (tool->name.n == name.n && name.n && !memcmp(tool->name.data, name.data, name.n))
            return tool;
    }
    return NULL;
}

bool qr_parse_is_name(const struct qr_parse_reader *r, struct quire_text name)
{
    if (qr_parse_tool(r, name)) return true;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = (uint8_t)name.data[i], letter = c | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c < 0x80 &&
            !strchr("_-.:/", c))
            return false;
    }
    return name.n > 0 && name.n <= QR_PARSE_NAME_MAX;
}

/* ---- deltas --------------------------------------------------------------------------------- */

void qr_parse_flush(struct qr_parse_reader *r)
{
    if (r->out.n && !r->failed) {
        const struct qr_parse_delta delta = {.kind = r->out_kind,
                                             .call = r->calls_n ? r->calls_n - 1 : 0,
                                             .text = qr_held_text(&r->out)};
        r->settings.put(r->settings.context, &delta);
    }
    r->out.n = 0;
}

void qr_parse_emit(struct qr_parse_reader *r, enum qr_parse_kind kind, const char *data, size_t n)
{
    if (kind != r->out_kind) qr_parse_flush(r);
    r->out_kind = kind;
    qr_held_add(r, &r->out, data, n);
}

/* ---- tentative states ----------------------------------------------------------------------- */

void qr_parse_try(struct qr_parse_reader *r, const struct qr_parse_state *state, const char *text,
                  size_t n)
{
    r->raw.n = 0;
    qr_held_add(r, &r->raw, text, n);
    r->sure = n;
    r->tentative = true;
    r->state = state;
}

/* Puts the bytes before those that wait.  They were mostly taken from there, so there is
 * mostly room for them. */
void qr_parse_again(struct qr_parse_reader *r, const char *data, size_t n)
{
    struct qr_held *again = &r->again;

    if (r->again_at < n) {
        size_t waiting = again->n - r->again_at, more = n - r->again_at;
        size_t old_n = again->n;
        for (size_t i = 0; i < more && !r->failed; i++)
            qr_held_add_byte(r, again, 0);
        if (r->failed) return;
        memmove(again->data + old_n + more - waiting, again->data + old_n - waiting, waiting);
        r->again_at = n;
    }
    r->again_at -= n;
    if (n) memcpy(again->data + r->again_at, data, n);
}

void qr_parse_no_call(struct qr_parse_reader *r)
{
    struct qr_held raw = r->raw;
    size_t sure = r->sure;

    if (sure > raw.n || raw.n - sure > QR_PARSE_AGAIN_MAX || r->ending) sure = raw.n;
    r->tentative = false;
    r->raw = (struct qr_held){0}; /* the text state may try another call meanwhile */
    r->match_n = 0;
    r->state = &qr_parse_state_text;
    for (size_t i = 0; i < sure; i++)
        qr_parse_text_put(r, (uint8_t)raw.data[i]);
    if (raw.n > sure) qr_parse_again(r, raw.data + sure, raw.n - sure);
    qr_free(&r->allocator, r->raw.data);
    r->raw = raw;
    r->raw.n = 0;
}

/* ---- input ---------------------------------------------------------------------------------- */

static void step(struct qr_parse_reader *r, uint8_t byte)
{
    if (r->tentative) {
        qr_held_add_byte(r, &r->raw, byte);
        if (r->raw.n > QR_PARSE_HELD_MAX) {
            qr_parse_no_call(r);
            return;
        }
    }
    r->state->step(r, byte);
}

static void take_waiting(struct qr_parse_reader *r)
{
    while (r->again_at < r->again.n && !r->failed)
        step(r, (uint8_t)r->again.data[r->again_at++]);
    r->again.n = r->again_at = 0;
}

static void take(struct qr_parse_reader *r, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n && !r->failed; i++) {
        step(r, ((const uint8_t *)bytes)[i]);
        if (r->again.n) take_waiting(r);
    }
}

/* Whether a byte may follow those of a code point on the way. */
static bool continues(const struct qr_parse_reader *r, uint8_t byte)
{
    uint8_t lead = r->utf8[0];

    if ((byte & 0xc0) != 0x80) return false;
    if (r->utf8_n > 1) return true;
    return !(lead == 0xe0 && byte < 0xa0) && !(lead == 0xed && byte > 0x9f) &&
           !(lead == 0xf0 && byte < 0x90) && !(lead == 0xf4 && byte > 0x8f);
}

static void replace(struct qr_parse_reader *r)
{
    r->utf8_n = 0;
    take(r, "\xef\xbf\xbd", 3);
}

static void take_byte(struct qr_parse_reader *r, uint8_t byte)
{
    if (r->utf8_n) {
        if (continues(r, byte)) {
            r->utf8[r->utf8_n++] = byte;
            if (r->utf8_n < r->utf8_wanted) return;
            r->utf8_n = 0;
            take(r, r->utf8, r->utf8_wanted);
            return;
        }
        replace(r);
    }
    r->utf8[0] = byte;
    if (byte < 0x80) {
        take(r, &byte, 1);
    } else if (byte < 0xc2 || byte > 0xf4) {
        replace(r);
    } else {
        r->utf8_wanted = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        r->utf8_n = 1;
    }
}

bool qr_parse_push(struct qr_parse_reader *r, const char *text, size_t n)
{
    for (size_t i = 0; i < n && !r->failed; i++) {
        take_byte(r, (uint8_t)text[i]);
        if (r->out.n >= OUT_MAX) qr_parse_flush(r);
    }
    qr_parse_flush(r);
    return !r->failed;
}

bool qr_parse_end(struct qr_parse_reader *r, enum qr_parse_stop stop)
{
    r->stop = stop;
    if (r->utf8_n) replace(r);
    r->ending = true;
    while (r->state != &qr_parse_state_end && !r->failed) {
        r->state->end(r);
        take_waiting(r);
    }
    qr_parse_flush(r);
    return !r->failed;
}

/* ---- create, destroy ------------------------------------------------------------------------ */

struct qr_parse_reader *qr_parse_create(const struct qr_parse_settings *settings,
                                        const struct quire_allocator *allocator)
{
    struct qr_parse_reader *r = qr_alloc_zero(allocator, 1, sizeof *r);

    if (!r) return NULL;
    r->allocator = *allocator;
    r->settings = *settings;
    r->family = settings->family ? settings->family : qr_parse_family_find("none");
    if (settings->envelope) r->family = qr_parse_family_find("generic");
    r->reasoning = qr_parse_reasoning_in(r->family, settings->reasoning, settings->prompt_tail);
    if (settings->in_reasoning && !settings->reasoning && !r->reasoning->pairs[0].open)
        r->reasoning = qr_parse_reasoning_find("think");
    r->calls = !settings->no_calls && settings->tools_n > 0;
    r->state = &qr_parse_state_text;
    qr_parse_text_init(r);
    if (r->family->start) r->family->start(r);
    if (r->failed) {
        qr_parse_destroy(r);
        return NULL;
    }
    return r;
}

void qr_parse_destroy(struct qr_parse_reader *r)
{
    if (!r) return;
    struct qr_held *all[] = {
        &r->out,        &r->space,          &r->raw,         &r->again,      &r->call.name,
        &r->call.id,    &r->call.arguments, &r->call.lead,   &r->json.word,  &r->tags.key,
        &r->tags.value, &r->tags.tail,      &r->header.text, &r->python.word};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        qr_free(&r->allocator, all[i]->data);
    struct quire_allocator allocator = r->allocator;
    qr_free(&allocator, r);
}

/* ---- results -------------------------------------------------------------------------------- */

const char *qr_parse_finish_reason(const struct qr_parse_reader *r)
{
    if (r->ending && r->stop == QR_PARSE_STOP_LENGTH) return "length";
    return r->calls_n && !r->settings.named ? "tool_calls" : "stop";
}

uint32_t qr_parse_calls_n(const struct qr_parse_reader *r)
{
    return r->calls_n;
}

bool qr_parse_is_done(const struct qr_parse_reader *r)
{
    return r->settings.single && r->calls_n && r->after_call && !r->tentative;
}
