/* SPDX-License-Identifier: MIT */
#include "runtime/server/openai.h"

#include "runtime/server/conn.h"
#include "runtime/server/json_write.h"

static const struct quire_allocator *memory_of(const struct qr_generation *generation)
{
    return &generation->job.server->settings.memory;
}

/* Counts a prompt once for all its choices. */
static void put_usage(const struct qr_generation *generation, struct qr_buffer *out)
{
    uint64_t prompt = 0, completion = 0, cached = 0, reasoning = 0;
    for (size_t i = 0; i < generation->choices_n; i++) {
        const struct quire_usage *usage = &generation->choices[i].usage;
        completion += usage->completion_tokens;
        reasoning += generation->choices[i].message.reasoning_tokens;
        if (i % generation->params.request.n != 0) continue;
        prompt += usage->prompt_tokens;
        cached += usage->cached_tokens;
    }
    qr_buffer_printf(
        out,
        "\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu,"
        "\"completion_tokens\":%llu,\"prompt_tokens_details\":{\"cached_tokens\":%llu}",
        (unsigned long long)prompt, (unsigned long long)(prompt + completion),
        (unsigned long long)completion, (unsigned long long)cached);
    if (generation->kind->is_message)
        qr_buffer_printf(out, ",\"completion_tokens_details\":{\"reasoning_tokens\":%llu}",
                         (unsigned long long)reasoning);
    qr_buffer_puts(out, "}");
}

static void put_head(const struct qr_generation *generation, const char *object,
                     struct qr_buffer *out)
{
    qr_buffer_printf(out,
                     "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%llu,\"model\":", generation->id,
                     object, (unsigned long long)generation->created_s);
    qr_json_put_cstring(out, generation->job.server->settings.name);
    qr_buffer_put(out, ",", 1);
}

void qr_openai_put_answer(struct qr_generation *generation, struct qr_buffer *out)
{
    put_head(generation, generation->kind->object, out);
    generation->kind->put_choices(generation, out);
    qr_buffer_put(out, ",", 1);
    put_usage(generation, out);
    qr_buffer_put(out, "}", 1);
}

/* Sends one event with what put_choice writes.  With include_usage all but the last have a null
 * usage, with continuous_usage_stats all have the usage so far. */
static void send_event(struct qr_generation_choice *choice,
                       void (*put_opening)(const struct qr_generation_choice *, struct qr_buffer *),
                       void (*put_delta)(struct qr_generation_choice *, struct qr_buffer *))
{
    struct qr_generation *generation = choice->generation;
    struct qr_buffer payload;
    qr_buffer_init(&payload, memory_of(generation));
    put_head(generation, generation->kind->delta_object, &payload);
    if (put_opening)
        put_opening(choice, &payload);
    else
        put_delta(choice, &payload);
    if (generation->params.continuous_usage) {
        qr_buffer_puts(&payload, ",");
        put_usage(generation, &payload);
    } else if (generation->params.include_usage) {
        qr_buffer_puts(&payload, ",\"usage\":null");
    }
    qr_buffer_puts(&payload, "}");
    payload.failed |= qr_choice_failed(choice);
    qr_generation_put_event(generation, NULL, &payload);
    qr_buffer_deinit(&payload);
}

static bool has_news(const struct qr_generation_choice *choice)
{
    return choice->text.n > 0 || choice->ids.n > 0 || choice->tokens.n > 0 ||
           choice->content.n > 0 || qr_message_has_news(&choice->message);
}

void qr_openai_send_delta(struct qr_generation_choice *choice)
{
    const struct qr_generation_kind *kind = choice->generation->kind;
    const bool ended = choice->ended;
    if (!choice->opened && kind->put_opening) send_event(choice, kind->put_opening, NULL);
    /* A token without text is an event too, unless the reader of a message holds it back. */
    if (has_news(choice) || (!ended && !choice->message.reader)) {
        choice->ended = false;
        send_event(choice, NULL, kind->put_delta);
        choice->ended = ended;
        choice->opened = true;
        qr_choice_clear_delta(choice);
    }
    if (ended) send_event(choice, NULL, kind->put_delta);
    choice->opened = true;
    choice->closed = ended;
    qr_choice_clear_delta(choice);
}

void qr_openai_send_end(struct qr_generation *generation)
{
    struct qr_buffer payload;
    qr_buffer_init(&payload, memory_of(generation));
    if (generation->failure.http_status) {
        qr_conn_put_failure(generation->job.conn, &generation->failure, &payload);
    } else if (generation->params.include_usage) {
        put_head(generation, generation->kind->delta_object, &payload);
        qr_buffer_puts(&payload, "\"choices\":[],");
        put_usage(generation, &payload);
        qr_buffer_put(&payload, "}", 1);
    }
    if (payload.n > 0 && !payload.failed)
        qr_conn_stream_put(generation->job.conn, NULL, payload.data, payload.n);
    qr_conn_stream_end(generation->job.conn, true);
    qr_buffer_deinit(&payload);
}
