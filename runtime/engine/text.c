/* SPDX-License-Identifier: MIT */
/* text -- the public text functions: arguments checked, then the tokenizer's or the template's. */
#include "runtime/base/error.h"
#include "runtime/engine/model_handle.h"

int quire_tokenize(const quire_model *model, const char *text, size_t text_n, unsigned flags,
                   int32_t *ids, size_t capacity, size_t *ids_n)
{
    size_t n = 0;

    if (ids_n) *ids_n = 0;
    if (!model || (!text && text_n) || (!ids && capacity)) return QUIRE_INVALID;
    if (flags & ~(unsigned)(QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS)) return QUIRE_INVALID;
    if (!model->tokenizer) return QUIRE_NO_TOKENIZER;
    int status =
        qr_tokenizer_encode(model->tokenizer, text ? text : "", text_n, flags, ids, capacity, &n);
    if (ids_n) *ids_n = n;
    return status;
}

int quire_detokenize(const quire_model *model, const int32_t *ids, size_t ids_n, unsigned flags,
                     char *text, size_t capacity, size_t *text_n)
{
    size_t n = 0;

    if (text_n) *text_n = 0;
    if (!model || (!ids && ids_n) || (!text && capacity)) return QUIRE_INVALID;
    if (flags & ~(unsigned)QUIRE_TEXT_SPECIAL) return QUIRE_INVALID;
    if (!model->tokenizer) return QUIRE_NO_TOKENIZER;
    int status = qr_tokenizer_decode(model->tokenizer, ids, ids_n, flags, text, capacity, &n);
    if (text_n) *text_n = n;
    return status;
}

int quire_render(const quire_model *model, const struct quire_message *messages, size_t messages_n,
                 bool add_generation_prompt, char *text, size_t capacity, size_t *text_n,
                 struct quire_error *error)
{
    size_t n = 0;

    qr_error_clear(error);
    if (text_n) *text_n = 0;
    if (!model) return qr_error(error, QUIRE_INVALID, "there is no model");
    if (!messages || !messages_n)
        return qr_error_field(error, QUIRE_INVALID, "messages", "there are no messages");
    if (!text && capacity) return qr_error(error, QUIRE_INVALID, "there is no place for the text");
    for (size_t i = 0; i < messages_n; i++)
        if ((!messages[i].role.data && messages[i].role.n) ||
            (!messages[i].content.data && messages[i].content.n))
            return qr_error_field(error, QUIRE_INVALID, "messages", "message %zu is NULL", i);
    int status = qr_chat_render(model->chat, messages, messages_n, add_generation_prompt, text,
                                capacity, &n, error);
    if (text_n) *text_n = n;
    return status;
}
