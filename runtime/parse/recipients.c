/* SPDX-License-Identifier: MIT */
/* Functionary 3.2: RECIPIENT\nBODY, then >>>RECIPIENT\nBODY.  The prompt ends in the first >>>.
 * The recipient "all" is told content; a tool is called, with JSON, or code for python. */
#include <string.h>

#include "runtime/parse/reader.h"

#define RECIPIENT_MAX 128u

static const struct qr_parse_state state_recipient, state_body;

static struct quire_text recipient(const struct qr_parse_reader *r)
{
    return qr_parse_trim(qr_held_text(&r->header.text));
}

static bool is_python(const struct qr_parse_reader *r)
{
    return qr_parse_is(recipient(r), "python");
}

static void step_recipient(struct qr_parse_reader *r, uint8_t byte)
{
    if (byte != '\n') {
        qr_held_add_byte(r, &r->header.text, byte);
        if (r->header.text.n > RECIPIENT_MAX) qr_parse_no_call(r);
        return;
    }
    const struct quire_text name = recipient(r);
    if (qr_parse_is(name, "all")) {
        if (!r->said) r->space.n = 0;
        r->tentative = false;
        r->raw.n = 0;
        r->state = &qr_parse_state_text;
        return;
    }
    qr_parse_call_begin(r);
    qr_held_add(r, &r->call.name, name.data, name.n);
    r->state = &state_body;
    if (!r->calls ||
        !(qr_parse_tool(r, name) || (qr_parse_is_name(r, name) && r->header.body) || is_python(r)))
        qr_parse_no_call(r);
}

/* The body's first byte tells JSON from code. */
static void step_body(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_call *c = &r->call;

    if (!c->header) {
        if (qr_is_space(byte)) return;
        if (byte != '{' && !is_python(r)) {
            qr_parse_no_call(r);
            return;
        }
        if (byte != '{') {
            qr_parse_code_begin(r);
            r->state->step(r, byte);
            return;
        }
        if (!qr_parse_call_header(r)) {
            qr_parse_no_call(r);
            return;
        }
        qr_parse_arguments_begin(r);
    }
    switch (qr_parse_arguments_push(r, byte)) {
    case QR_SCAN_MORE: return;
    case QR_SCAN_BROKEN: qr_parse_call_broken(r, byte); return;
    default:
        qr_parse_call_end(r);
        r->state = &qr_parse_state_text;
        return;
    }
}

static void end_recipient(struct qr_parse_reader *r)
{
    const struct quire_text name = recipient(r);

    /* A name alone: cut, or a tool without arguments. */
    if (r->calls && r->stop == QR_PARSE_STOP_END && qr_parse_tool(r, name)) {
        qr_parse_call_begin(r);
        qr_held_add(r, &r->call.name, name.data, name.n);
        if (qr_parse_call_header(r)) {
            qr_parse_call_end(r);
            r->state = &qr_parse_state_text;
            return;
        }
    }
    if (r->stop == QR_PARSE_STOP_LENGTH && !r->said && !r->calls_n) r->raw.n = 0;
    qr_parse_no_call(r);
}

static void end_body(struct qr_parse_reader *r)
{
    if (r->tentative)
        qr_parse_call_cut_early(r, true);
    else
        qr_parse_call_cut(r);
}

static const struct qr_parse_state state_recipient = {step_recipient, end_recipient};
static const struct qr_parse_state state_body = {step_body, end_body};

void qr_parse_recipients_start(struct qr_parse_reader *r)
{
    qr_parse_try(r, &state_recipient, "", 0);
    r->header.text.n = 0;
    r->header.body = true; /* the first recipient may be any name */
}

void qr_parse_recipients_begin(struct qr_parse_reader *r, unsigned open)
{
    (void)open;
    r->state = &state_recipient;
    r->header.text.n = 0;
    r->header.body = false;
}
