/* SPDX-License-Identifier: MIT */
/* chat -- renders a conversation to prompt text with the model's template.
 *
 * The template sees the variables of transformers' apply_chat_template: messages, tools, documents
 * (none if not given), add_generation_prompt, the texts of the special tokens and the caller's
 * variables.  If names collide, the conversation's variable wins, then the caller's.  A content is
 * one string, or a list of parts if the template iterates over parts (qr_template_wants_parts).
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_TEMPLATE_CHAT_H
#define QR_TEMPLATE_CHAT_H

#include "runtime/template/template.h"

/* The template for a model that has none: ChatML. */
extern const struct quire_text qr_chat_fallback;

/* The text of a special token under the name that templates use, such as "bos_token". */
struct qr_chat_token {
    const char *name;
    struct quire_text text;
};

/* As quire_render_conversation. */
int qr_chat_render(const struct qr_template *t, const struct quire_conversation *conversation,
                   const struct qr_chat_token *tokens, size_t tokens_n, char *text, size_t capacity,
                   size_t *text_n, struct quire_error *error);

#endif
