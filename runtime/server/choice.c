/* SPDX-License-Identifier: MIT */
#include "runtime/server/choice.h"

#include "runtime/server/json_write.h"

void qr_choice_init(struct qr_generation_choice *choice, const struct quire_allocator *memory)
{
#define INIT(name) qr_buffer_init(&choice->name, memory);
    QR_CHOICE_BUFFERS(INIT)
#undef INIT
    qr_buffer_init(&choice->scores, memory);
    choice->stop_id = -1;
}

void qr_choice_deinit(struct qr_generation_choice *choice)
{
#define DEINIT(name) qr_buffer_deinit(&choice->name);
    QR_CHOICE_BUFFERS(DEINIT)
#undef DEINIT
    qr_message_deinit(&choice->message);
    qr_buffer_deinit(&choice->scores);
}

void qr_choice_clear_delta(struct qr_generation_choice *choice)
{
#define CLEAR(name) qr_buffer_clear(&choice->name);
    QR_CHOICE_DELTA_BUFFERS(CLEAR)
#undef CLEAR
    choice->tokens_n = 0;
}

bool qr_choice_failed(const struct qr_generation_choice *choice)
{
    bool failed = choice->message.failed || choice->scores.failed;
#define FAILED(name) failed |= choice->name.failed;
    QR_CHOICE_BUFFERS(FAILED)
#undef FAILED
    return failed;
}

void qr_choice_put_finish(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    const char *read = qr_message_finish_reason(&choice->message);
    const char *text = "abort";
    if (!choice->ended) {
        qr_buffer_puts(out, "null");
        return;
    }
    if (choice->finish == QUIRE_FINISH_LENGTH)
        text = "length";
    else if (choice->finish == QUIRE_FINISH_STOP)
        text = read ? read : "stop";
    qr_buffer_printf(out, "\"%s\"", text);
}

void qr_choice_put_stop_reason(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    const struct quire_request *request = &choice->params->request;
    if (choice->stop.n > 0) {
        qr_json_put_string(out, choice->stop.data, choice->stop.n);
        return;
    }
    for (size_t i = 0; i < request->stop_ids_n; i++) {
        if (choice->stop_id >= 0 && choice->stop_id == request->stop_ids[i]) {
            qr_buffer_printf(out, "%d", choice->stop_id);
            return;
        }
    }
    qr_buffer_puts(out, "null");
}
