/* SPDX-License-Identifier: MIT */
#include "runtime/server/logprobs.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/server/json_write.h"

/* The longest tokens in use are runs of a few hundred spaces. */
#define TOKEN_BYTES_MAX 2048
#define LOGPROB_LEAST   (-9999.0f)

/* The bytes of one token; ok is false if the model has no tokenizer. */
struct token {
    char data[TOKEN_BYTES_MAX];
    size_t n;
    bool ok;
};

static void read_token(struct token *token, const quire_model *model, int32_t id, unsigned flags)
{
    token->ok = quire_detokenize(model, &id, 1, flags, token->data, sizeof token->data,
                                 &token->n) == QUIRE_OK;
    if (!token->ok) token->n = 0;
}

static void put_value(struct qr_buffer *out, float logprob)
{
    qr_json_put_float(out, logprob < LOGPROB_LEAST ? LOGPROB_LEAST : logprob);
}

static void put_id_name(struct qr_buffer *out, int32_t id)
{
    qr_buffer_printf(out, "\"token_id:%d\"", id);
}

/* Writes a token as completions do, where it may be a key. */
static void put_name(struct qr_buffer *out, const struct token *token, int32_t id)
{
    if (!token->ok) {
        put_id_name(out, id);
    } else if (qr_json_utf8_valid(token->data, token->n)) {
        qr_json_put_string(out, token->data, token->n);
    } else {
        qr_buffer_puts(out, "\"bytes:");
        for (size_t i = 0; i < token->n; i++)
            qr_buffer_printf(out, "\\\\x%02x", (unsigned char)token->data[i]);
        qr_buffer_put(out, "\"", 1);
    }
}

static uint32_t top_n(const struct quire_event *event, int32_t wanted)
{
    uint32_t most = wanted > 0 ? (uint32_t)wanted : 0;
    return event->top_n < most ? event->top_n : most;
}

/* ---- completions --------------------------------------------------------------------------- */

/* A token under the name that the request wants: its text, or its id. */
static void read_named(struct token *token, const struct qr_generation_choice *choice, int32_t id)
{
    read_token(token, choice->model, id, QUIRE_TEXT_SPECIAL);
    if (choice->params->names_ids) token->ok = false;
}

/* Writes the most likely tokens and the chosen one as members of an object.  If two tokens have the
 * same text, the first is kept, which is the more likely. */
static void put_top(struct qr_buffer *out, const struct qr_generation_choice *choice,
                    const struct quire_event *event, uint32_t n)
{
    struct {
        size_t from, n;
    } names[QR_LOGPROBS_MAX + 1];
    uint32_t names_n = 0;
    bool taken = false;
    qr_buffer_put(out, "{", 1);
    for (uint32_t i = 0; i <= n; i++) {
        const bool chosen = i == n;
        if (chosen && taken) break;
        int32_t id = chosen ? event->token : event->top[i].token;
        taken |= id == event->token;

        struct token token;
        read_named(&token, choice, id);
        const size_t before = out->n;
        qr_json_put_comma(out);
        const size_t from = out->n;
        put_name(out, &token, id);
        bool known = false;
        for (uint32_t j = 0; j < names_n && !out->failed; j++) {
            known |= names[j].n == out->n - from &&
                     memcmp(out->data + names[j].from, out->data + from, names[j].n) == 0;
        }
        if (known) {
            out->n = before;
            continue;
        }
        names[names_n].from = from;
        names[names_n++].n = out->n - from;
        qr_buffer_put(out, ":", 1);
        put_value(out, chosen ? event->logprob : event->top[i].logprob);
    }
    qr_buffer_put(out, "}", 1);
}

/* Counts first bytes of characters: a character split over tokens counts once. */
static uint64_t characters(const struct token *token)
{
    uint64_t n = 0;
    for (size_t i = 0; i < token->n; i++)
        n += ((unsigned char)token->data[i] & 0xc0) != 0x80;
    return n;
}

/* The characters that a token has in the answer's text.  The text has the prompt's special tokens,
 * but not generated ones, and not a BOS that the tokenizer added. */
static uint64_t text_characters(const struct qr_generation_choice *choice,
                                const struct quire_event *event)
{
    const struct qr_prompt *prompt = choice->prompt;
    const struct quire_model_info *info = choice->info;
    const quire_model *model = choice->model;
    struct token token;
    if (event->kind != QUIRE_EVENT_PROMPT) {
        read_token(&token, model, event->token, 0);
        return characters(&token);
    }
    read_token(&token, model, event->token, QUIRE_TEXT_SPECIAL);
    const bool added =
        prompt->from_text && event->index == 0 && info->adds_bos && event->token == info->bos_id &&
        (prompt->text.n < token.n || memcmp(prompt->text.data, token.data, token.n) != 0);
    return added ? 0 : characters(&token);
}

void qr_logprobs_add_completion(struct qr_generation_choice *choice,
                                const struct quire_event *event)
{
    struct token token;
    read_named(&token, choice, event->token);
    qr_json_put_comma(&choice->tokens);
    put_name(&choice->tokens, &token, event->token);

    qr_json_put_comma(&choice->values);
    qr_json_put_comma(&choice->tops);
    if (isnan(event->logprob)) {
        qr_buffer_puts(&choice->values, "null");
        qr_buffer_puts(&choice->tops, "null");
    } else {
        put_value(&choice->values, event->logprob);
        put_top(&choice->tops, choice, event, top_n(event, choice->params->logprobs));
    }
    qr_json_put_comma(&choice->offsets);
    qr_buffer_printf(&choice->offsets, "%llu", (unsigned long long)choice->characters);
    choice->characters += text_characters(choice, event);
}

static void put_list(struct qr_buffer *out, const char *name, const struct qr_buffer *items)
{
    qr_buffer_printf(out, "\"%s\":[", name);
    qr_buffer_put(out, items->data, items->n);
    qr_buffer_put(out, "]", 1);
    out->failed |= items->failed;
}

void qr_logprobs_put_completion(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_put(out, "{", 1);
    put_list(out, "tokens", &choice->tokens);
    qr_buffer_put(out, ",", 1);
    put_list(out, "token_logprobs", &choice->values);
    qr_buffer_put(out, ",", 1);
    put_list(out, "top_logprobs", &choice->tops);
    qr_buffer_put(out, ",", 1);
    put_list(out, "text_offset", &choice->offsets);
    qr_buffer_put(out, "}", 1);
}

/* ---- chat ---------------------------------------------------------------------------------- */

static void put_chat_token(struct qr_buffer *out, const struct qr_generation_choice *choice,
                           int32_t id, float logprob)
{
    struct token token;
    read_named(&token, choice, id);
    qr_buffer_puts(out, "\"token\":");
    if (token.ok)
        qr_json_put_string(out, token.data, token.n);
    else
        put_id_name(out, id);
    qr_buffer_puts(out, ",\"logprob\":");
    put_value(out, logprob);
    qr_buffer_puts(out, ",\"bytes\":[");
    for (size_t i = 0; i < token.n; i++)
        qr_buffer_printf(out, i ? ",%u" : "%u", (unsigned char)token.data[i]);
    qr_buffer_puts(out, "]");
}

void qr_logprobs_add_chat(struct qr_generation_choice *choice, const struct quire_event *event)
{
    struct qr_buffer *out = &choice->content;
    qr_json_put_comma(out);
    qr_buffer_puts(out, "{");
    put_chat_token(out, choice, event->token, event->logprob);
    qr_buffer_puts(out, ",\"top_logprobs\":[");
    const uint32_t n = top_n(event, choice->params->logprobs);
    for (uint32_t i = 0; i < n; i++) {
        qr_buffer_puts(out, i ? ",{" : "{");
        put_chat_token(out, choice, event->top[i].token, event->top[i].logprob);
        qr_buffer_puts(out, "}");
    }
    qr_buffer_puts(out, "]}");
}

void qr_logprobs_put_chat(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_put(out, "{", 1);
    put_list(out, "content", &choice->content);
    qr_buffer_puts(out, ",\"refusal\":null}");
}

/* ---- vLLM's prompt_logprobs ---------------------------------------------------------------- */

void qr_logprobs_put_token(struct qr_buffer *out, const quire_model *model, int32_t token)
{
    struct token bytes;
    read_token(&bytes, model, token, QUIRE_TEXT_SPECIAL);
    if (bytes.ok)
        qr_json_put_string(out, bytes.data, bytes.n);
    else
        put_id_name(out, token);
}

void qr_logprobs_put_piece(struct qr_buffer *out, const quire_model *model, int32_t token)
{
    struct token bytes;
    read_token(&bytes, model, token, QUIRE_TEXT_SPECIAL);
    if (!bytes.ok || qr_json_utf8_valid(bytes.data, bytes.n)) {
        qr_logprobs_put_token(out, model, token);
        return;
    }
    for (size_t i = 0; i < bytes.n; i++)
        qr_buffer_printf(out, "%s%u", i > 0 ? "," : "[", (unsigned char)bytes.data[i]);
    qr_buffer_put(out, "]", 1);
}

static void put_ranked(struct qr_buffer *out, const quire_model *model, int32_t id, float logprob,
                       uint32_t rank)
{
    qr_json_put_comma(out);
    qr_buffer_printf(out, "\"%d\":{\"logprob\":", id);
    put_value(out, logprob);
    if (rank > 0)
        qr_buffer_printf(out, ",\"rank\":%u,\"decoded_token\":", rank);
    else
        qr_buffer_puts(out, ",\"rank\":null,\"decoded_token\":");
    qr_logprobs_put_token(out, model, id);
    qr_buffer_put(out, "}", 1);
}

void qr_logprobs_add_prompt(struct qr_generation_choice *choice, const struct quire_event *event)
{
    struct qr_buffer *out = &choice->prompt_logprobs;
    const quire_model *model = choice->model;
    qr_json_put_comma(out);
    if (isnan(event->logprob)) {
        qr_buffer_puts(out, "null");
        return;
    }
    /* The rank is known only if the engine's alternatives, which may be more than the request's,
     * include the token. */
    const uint32_t n = top_n(event, choice->params->prompt_logprobs);
    uint32_t rank = 0;
    for (uint32_t i = 0; i < event->top_n; i++)
        if (event->top[i].token == event->token) rank = i + 1;
    qr_buffer_put(out, "{", 1);
    put_ranked(out, model, event->token, event->logprob, rank);
    for (uint32_t i = 0; i < n; i++) {
        if (event->top[i].token == event->token) continue;
        put_ranked(out, model, event->top[i].token, event->top[i].logprob, i + 1);
    }
    qr_buffer_put(out, "}", 1);
}
