/* SPDX-License-Identifier: MIT */
/* chat -- conversations to prompt text, as a model's template renders them.
 *
 * The template sees what transformers' apply_chat_template shows it: messages, tools, documents
 * (none where not given), add_generation_prompt, the special tokens' texts, and whatever the caller
 * adds. A content is a text, or a list of parts where the template goes through parts.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_TEMPLATE_CHAT_H
#define QR_TEMPLATE_CHAT_H

#include "runtime/template/template.h"

/* What a model without a template gets: ChatML. */
extern const struct quire_text qr_chat_fallback;

/* The special tokens' texts by the names that templates know ("bos_token"). */
struct qr_chat_token {
    const char *name;
    struct quire_text text;
};

/* As quire_render_conversation. */
int qr_chat_render(const struct qr_template *t, const struct quire_conversation *conversation,
                   const struct qr_chat_token *tokens, size_t tokens_n, char *text, size_t capacity,
                   size_t *text_n, struct quire_error *error);

#endif
