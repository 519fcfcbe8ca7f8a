/* SPDX-License-Identifier: MIT */
#include "runtime/server/message.h"

#include <string.h>

#include "runtime/base/memory.h"

static struct qr_message_part *add_part(struct qr_message *m, enum qr_message_kind kind)
{
    if (m->parts_n == m->parts_room) {
        const size_t room = m->parts_room ? m->parts_room * 2 : 2;
        struct qr_message_part *grown = qr_realloc(m->memory, m->parts, room * sizeof *grown);
        if (!grown) {
            m->failed = true;
            return NULL;
        }
        m->parts = grown;
        m->parts_room = room;
    }
    struct qr_message_part *part = &m->parts[m->parts_n++];
    memset(part, 0, sizeof *part);
    part->kind = kind;
    qr_buffer_init(&part->text, m->memory);
    qr_buffer_init(&part->name, m->memory);
    qr_buffer_init(&part->id, m->memory);
    return part;
}

/* The last part, if it is of this kind, else a new one. */
static struct qr_message_part *part_of(struct qr_message *m, enum qr_message_kind kind)
{
    if (m->parts_n > 0 && m->parts[m->parts_n - 1].kind == kind) return &m->parts[m->parts_n - 1];
    return add_part(m, kind);
}

static void put_delta(void *context, const struct qr_parse_delta *delta)
{
    static const enum qr_message_kind kinds[] = {
        [QR_PARSE_CONTENT] = QR_MESSAGE_TEXT,
        [QR_PARSE_REASONING] = QR_MESSAGE_REASONING,
        [QR_PARSE_CALL] = QR_MESSAGE_CALL,
        [QR_PARSE_ARGUMENTS] = QR_MESSAGE_CALL,
    };
    struct qr_message *m = context;
    struct qr_message_part *part = delta->kind == QR_PARSE_CALL ? add_part(m, QR_MESSAGE_CALL)
                                                                : part_of(m, kinds[delta->kind]);
    if (!part) return;
    if (delta->kind == QR_PARSE_CALL) {
        part->call = delta->call;
        qr_buffer_put(&part->name, delta->text.data, delta->text.n);
        qr_buffer_put(&part->id, delta->id.data, delta->id.n);
    } else {
        qr_buffer_put(&part->text, delta->text.data, delta->text.n);
    }
    m->failed |= part->text.failed || part->name.failed || part->id.failed;
}

bool qr_message_init(struct qr_message *message, const struct quire_allocator *memory,
                     const struct qr_parse_settings *settings)
{
    *message = (struct qr_message){.memory = memory};
    if (!settings) return true;
    struct qr_parse_settings own = *settings;
    own.put = put_delta;
    own.context = message;
    message->reader = qr_parse_create(&own, memory);
    return message->reader != NULL;
}

void qr_message_deinit(struct qr_message *message)
{
    qr_parse_destroy(message->reader);
    for (size_t i = 0; i < message->parts_n; i++) {
        qr_buffer_deinit(&message->parts[i].text);
        qr_buffer_deinit(&message->parts[i].name);
        qr_buffer_deinit(&message->parts[i].id);
    }
    if (message->memory) qr_free(message->memory, message->parts);
}

static void push(struct qr_message *m, struct quire_text text)
{
    if (text.n == 0 || m->failed) return;
    if (m->reader) {
        if (!qr_parse_push(m->reader, text.data, text.n)) m->failed = true;
        return;
    }
    struct qr_message_part *part = part_of(m, QR_MESSAGE_TEXT);
    if (!part) return;
    qr_buffer_put(&part->text, text.data, text.n);
    m->failed |= part->text.failed;
}

void qr_message_push(struct qr_message *message, struct quire_text text)
{
    push(message, text);
    if (message->parts_n > 0 && message->parts[message->parts_n - 1].kind == QR_MESSAGE_REASONING)
        message->reasoning_tokens++;
}

void qr_message_end(struct qr_message *message, struct quire_text text, bool length)
{
    push(message, text);
    if (message->reader && !message->failed &&
        !qr_parse_end(message->reader, length ? QR_PARSE_STOP_LENGTH : QR_PARSE_STOP_END))
        message->failed = true;
    message->ended = true;
    if (message->parts_n == 0) (void)add_part(message, QR_MESSAGE_TEXT);
}

bool qr_message_is_done(const struct qr_message *message)
{
    return message->reader && qr_parse_is_done(message->reader);
}

const char *qr_message_finish_reason(const struct qr_message *message)
{
    return message->reader ? qr_parse_finish_reason(message->reader) : NULL;
}

bool qr_message_has(const struct qr_message *message, enum qr_message_kind kind)
{
    for (size_t i = 0; i < message->parts_n; i++)
        if (message->parts[i].kind == kind) return true;
    return false;
}

bool qr_message_has_news(const struct qr_message *message)
{
    for (size_t i = 0; i < message->parts_n; i++) {
        const struct qr_message_part *part = &message->parts[i];
        if (part->sent < part->text.n || (part->kind == QR_MESSAGE_CALL && !part->opened))
            return true;
    }
    return false;
}

bool qr_message_part_is_complete(const struct qr_message *message, size_t part)
{
    return message->ended || part + 1 < message->parts_n;
}
