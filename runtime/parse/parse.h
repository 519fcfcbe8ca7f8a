/* SPDX-License-Identifier: MIT */
/* parse -- splits a model's generated text into content, reasoning and tool calls.
 *
 *     text, in any pieces  ->  qr_parse_push ...  qr_parse_end  ->  deltas, in order
 *
 *                   opening marker
 *                 <----------------
 *     REASONING                      CONTENT
 *        ^        ---------------->
 *        |          closing marker
 *     the prompt may open it
 *
 *                  marker                      name is known
 *     CONTENT  ---------------->  tentative  ----------------->  CALL  --- it ends --->  CONTENT
 *         ^                           |                          then ARGUMENTS
 *         +--- no call: it is text ---+
 *
 * In the tentative state the text is held.
 *
 * A reader works byte by byte, so the pieces in which text arrives change only the borders of
 * deltas.  No text makes it fail: text that is not a call is content.  A family is a format in
 * which models write calls (families.h).
 *
 * Order of deltas: CALL begins a call, with its name whole.  ARGUMENTS belong to the last call, and
 * no CONTENT or REASONING comes between a CALL and its last ARGUMENTS.  The arguments of a call,
 * put together, are JSON text as the model wrote it, with these repairs only: control characters
 * within strings are escaped, a string that holds the object is unwrapped, and null, "" or nothing
 * is {}. Families without JSON (tags, Python) are translated.  An answer that was cut leaves them
 * open.
 *
 * Thread: one at a time.
 * Memory: the allocator's; at most QR_PARSE_HELD_MAX bytes are held, three times over.
 * Invariant: a delta holds whole code points.  Bytes that are not UTF-8 become U+FFFD. */
#ifndef QR_PARSE_PARSE_H
#define QR_PARSE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "runtime/parse/families.h"
#include "runtime/quire.h"

struct qr_parse_tool {
    struct quire_text name;
    const json_t *parameters; /* JSON Schema; NULL: none */
};

enum qr_parse_kind {
    QR_PARSE_CONTENT,
    QR_PARSE_REASONING,
    QR_PARSE_CALL,     /* a call begins: text is its name */
    QR_PARSE_ARGUMENTS /* a fragment of the last call's arguments */
};

struct qr_parse_delta {
    enum qr_parse_kind kind;
    uint32_t call;          /* CALL, ARGUMENTS: its index, from 0 */
    struct quire_text text; /* never empty; valid during the call only */
    struct quire_text id;   /* CALL: what the model wrote, or 9 letters and digits */
};

/* Receives deltas, from within qr_parse_push and qr_parse_end. */
typedef void qr_parse_put_fn(void *context, const struct qr_parse_delta *delta);

struct qr_parse_settings {
    const struct qr_parse_family *family;       /* NULL: none */
    const struct qr_parse_reasoning *reasoning; /* NULL: the family's own */
    const struct qr_parse_tool *tools;          /* [tools_n], the caller's until qr_parse_destroy */
    size_t tools_n;
    /* The end of the rendered prompt, 256 bytes or more: it may open the reasoning. */
    struct quire_text prompt_tail;
    bool in_reasoning; /* the prompt opens it, even if prompt_tail does not show it */
    bool no_calls;     /* tool_choice "none"; implied by tools_n == 0 */
    bool named;        /* tool_choice names a function: finish reason "stop" */
    bool single;       /* parallel_tool_calls false: calls after the first are dropped */
    bool envelope;     /* the envelope grammar was forced, see qr_parse_force */
    uint64_t seed;     /* of ids: equal seeds give equal ids */
    qr_parse_put_fn *put;
    void *context;
};

enum qr_parse_stop { QR_PARSE_STOP_END, QR_PARSE_STOP_LENGTH };

struct qr_parse_reader;

/* NULL: no memory.  settings may go; what it points to stays the caller's. */
struct qr_parse_reader *qr_parse_create(const struct qr_parse_settings *settings,
                                        const struct quire_allocator *allocator);
void qr_parse_destroy(struct qr_parse_reader *reader); /* NULL is allowed */

/* Control tokens come as their text, without the token that ended the answer.  False: no memory;
 * nothing may be pushed after that. */
bool qr_parse_push(struct qr_parse_reader *reader, const char *text, size_t n);
/* The text ends.  STOP_LENGTH: max_tokens cut it.  Once. */
bool qr_parse_end(struct qr_parse_reader *reader, enum qr_parse_stop stop);

/* "stop", "length" or "tool_calls": of the text so far; final after qr_parse_end. */
const char *qr_parse_finish_reason(const struct qr_parse_reader *reader);
uint32_t qr_parse_calls_n(const struct qr_parse_reader *reader);
/* With `single`: the first call is complete, so generation may stop. */
bool qr_parse_is_done(const struct qr_parse_reader *reader);

#endif
