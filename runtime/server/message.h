/* SPDX-License-Identifier: MIT */
/* message -- an answer in parts: reasoning, text and tool calls, as they are read out of a choice's
 * text (runtime/parse).
 *
 *   text -> qr_message_push ... qr_message_end -> parts, in the order written
 *
 * A part is complete when another follows or the message has ended.  Its text is kept whole, for
 * answers that repeat it at the end; `sent` says how much of it a stream has sent.
 *
 * Thread: the loop's.   Memory: the server's allocator. */
#ifndef QR_SERVER_MESSAGE_H
#define QR_SERVER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/parse/parse.h"
#include "runtime/server/buffer.h"

enum qr_message_kind { QR_MESSAGE_REASONING, QR_MESSAGE_TEXT, QR_MESSAGE_CALL };

struct qr_message_part {
    enum qr_message_kind kind;
    uint32_t call;         /* CALL: its index */
    struct qr_buffer text; /* CALL: the arguments, JSON */
    struct qr_buffer name; /* CALL */
    struct qr_buffer id;   /* CALL */
    size_t sent;           /* bytes of text */
    bool opened, closed;   /* what a stream has said of it */
};

struct qr_message {
    const struct quire_allocator *memory;
    struct qr_parse_reader *reader; /* NULL: all text is content */
    struct qr_message_part *parts;
    size_t parts_n, parts_room;
    uint32_t reasoning_tokens;
    bool ended, failed; /* failed: no memory */
};

/* settings NULL: all text is content.  False: no memory. */
bool qr_message_init(struct qr_message *message, const struct quire_allocator *memory,
                     const struct qr_parse_settings *settings);
void qr_message_deinit(struct qr_message *message);

/* A token's text, maybe empty. */
void qr_message_push(struct qr_message *message, struct quire_text text);
/* The text ends; length: it was cut.  A message without parts gets an empty text. */
void qr_message_end(struct qr_message *message, struct quire_text text, bool length);
/* True if no call will follow: generation may stop. */
bool qr_message_is_done(const struct qr_message *message);

/* "stop", "length" or "tool_calls" by what was written; NULL: the reader does not decide. */
const char *qr_message_finish_reason(const struct qr_message *message);
bool qr_message_has(const struct qr_message *message, enum qr_message_kind kind);
/* True if a stream has not sent all of it. */
bool qr_message_has_news(const struct qr_message *message);
bool qr_message_part_is_complete(const struct qr_message *message, size_t part);

#endif
