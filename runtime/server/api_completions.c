/* SPDX-License-Identifier: MIT */
/* POST /v1/completions: continues text or token ids. */
#include "runtime/server/api.h"
#include "runtime/server/generation.h"
#include "runtime/server/json_write.h"
#include "runtime/server/logprobs.h"
#include "runtime/server/openai.h"

/* echo: the answer begins with the prompt as it was sent, or with the text of its ids. */
static void put_prompt_text(struct qr_generation_choice *choice)
{
    const struct qr_prompt *prompt = choice->prompt;
    const quire_model *model = choice->model;
    if (prompt->from_text) {
        qr_buffer_put(&choice->text, prompt->text.data, prompt->text.n);
        return;
    }
    const unsigned flags = QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BEGIN;
    size_t n = 0;
    int status = quire_detokenize(model, prompt->ids, prompt->ids_n, flags, NULL, 0, &n);
    if (status != QUIRE_BUFFER_SMALL || !qr_buffer_reserve(&choice->text, n)) return;
    if (quire_detokenize(model, prompt->ids, prompt->ids_n, flags, choice->text.data, n, &n) ==
        QUIRE_OK)
        choice->text.n = n;
}

static void begin_choice(struct qr_generation_choice *choice)
{
    if (choice->params->echo) put_prompt_text(choice);
}

static void put_prompt_ids(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    const struct qr_prompt *prompt = choice->prompt;
    qr_buffer_puts(out, ",\"prompt_token_ids\":");
    qr_json_put_ids(out, prompt->ids, prompt->ids_n);
}

/* Writes the members that a whole choice and a delta share, without the closing bracket. */
static void put_choice(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    const struct qr_params *p = choice->params;
    qr_buffer_printf(out, "{\"index\":%u,\"text\":", choice->index);
    qr_json_put_string(out, choice->text.data, choice->text.n);
    qr_buffer_puts(out, ",\"logprobs\":");
    if (p->logprobs >= 0)
        qr_logprobs_put_completion(choice, out);
    else
        qr_buffer_puts(out, "null");
    qr_buffer_puts(out, ",\"finish_reason\":");
    qr_choice_put_finish(choice, out);
    qr_buffer_puts(out, ",\"stop_reason\":");
    qr_choice_put_stop_reason(choice, out);
    if (p->return_token_ids) {
        qr_buffer_puts(out, ",\"token_ids\":[");
        qr_buffer_put(out, choice->ids.data, choice->ids.n);
        qr_buffer_put(out, "]", 1);
    }
}

static void put_choices(struct qr_generation *generation, struct qr_buffer *out)
{
    qr_buffer_puts(out, "\"choices\":[");
    for (size_t i = 0; i < generation->choices_n; i++) {
        const struct qr_generation_choice *choice = &generation->choices[i];
        qr_json_put_comma(out);
        put_choice(choice, out);
        if (generation->params.return_token_ids) put_prompt_ids(choice, out);
        if (generation->params.prompt_logprobs >= 0) {
            qr_buffer_puts(out, ",\"prompt_logprobs\":[");
            qr_buffer_put(out, choice->prompt_logprobs.data, choice->prompt_logprobs.n);
            qr_buffer_put(out, "]", 1);
        }
        qr_buffer_put(out, "}", 1);
    }
    qr_buffer_put(out, "]", 1);
}

static void put_delta(struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_puts(out, "\"choices\":[");
    put_choice(choice, out);
    if (choice->params->return_token_ids && !choice->opened) put_prompt_ids(choice, out);
    qr_buffer_puts(out, "}]");
}

void qr_api_completions(struct qr_conn *conn)
{
    static const struct qr_generation_kind kind = {
        .endpoint = QR_COMPLETIONS,
        .id_prefix = "cmpl-",
        .object = "text_completion",
        .delta_object = "text_completion",
        .read_prompts = qr_prompts_read,
        .add_logprobs = qr_logprobs_add_completion,
        .begin_choice = begin_choice,
        .put_choices = put_choices,
        .put_delta = put_delta,
        .put_answer = qr_openai_put_answer,
        .send_delta = qr_openai_send_delta,
        .send_end = qr_openai_send_end,
    };
    qr_generation_begin(conn, &kind);
}
