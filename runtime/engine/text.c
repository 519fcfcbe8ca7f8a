/* SPDX-License-Identifier: MIT */
/* text -- the public text functions: they check arguments, then call tokenizer or template. */
#include "runtime/base/error.h"
#include "runtime/engine/model_handle.h"
#include "runtime/engine/settings.h"

int quire_tokenize(const quire_model *model, const char *text, size_t text_n, unsigned flags,
                   int32_t *ids, size_t capacity, size_t *ids_n)
{
    size_t n = 0;

    if (ids_n) *ids_n = 0;
    if (!model || (!text && text_n) || (!ids && capacity)) return QUIRE_INVALID;
    if (flags & ~(unsigned)(QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS | QUIRE_TEXT_EOS))
        return QUIRE_INVALID;
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
    if (flags & ~(unsigned)(QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BEGIN)) return QUIRE_INVALID;
    if (!model->tokenizer) return QUIRE_NO_TOKENIZER;
    int status = qr_tokenizer_decode(model->tokenizer, ids, ids_n, flags, text, capacity, &n);
    if (text_n) *text_n = n;
    return status;
}

int quire_render_conversation(const quire_model *model, const struct quire_conversation *given,
                              char *text, size_t capacity, size_t *text_n,
                              struct quire_error *error)
{
    struct quire_conversation c;
    size_t n = 0;

    qr_error_clear(error);
    if (text_n) *text_n = 0;
    if (!model) return qr_error(error, QUIRE_INVALID, "there is no model");
    if (!text && capacity)
        return qr_error(error, QUIRE_INVALID, "text is NULL, but capacity is not 0");
    quire_conversation_defaults(&c);
    int status = qr_settings_read(&c, sizeof c, given, error);
    if (status) return status;
    if (c.values ? c.messages != NULL || c.messages_n : !c.messages || !c.messages_n)
        return qr_error_field(error, QUIRE_INVALID, "messages",
                              c.values ? "messages are given twice" : "there are no messages");
    if (!model->chat)
        return qr_error(error, QUIRE_NO_TEMPLATE, "the model has no chat template%s%s",
                        model->template_note[0] ? ": " : "", model->template_note);
    const struct qr_template *t = c.tools && model->chat_tools ? model->chat_tools : model->chat;
    status = qr_chat_render(t, &c, model->special, model->special_n, text, capacity, &n, error);
    if (text_n) *text_n = n;
    return status;
}

int quire_render(const quire_model *model, const struct quire_message *messages, size_t messages_n,
                 bool add_generation_prompt, char *text, size_t capacity, size_t *text_n,
                 struct quire_error *error)
{
    struct quire_conversation conversation;

    quire_conversation_defaults(&conversation);
    conversation.messages = messages;
    conversation.messages_n = messages_n;
    conversation.flags = add_generation_prompt ? QUIRE_RENDER_GENERATION_PROMPT : 0;
    return quire_render_conversation(model, &conversation, text, capacity, text_n, error);
}
