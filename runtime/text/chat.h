/* SPDX-License-Identifier: MIT */
/* chat -- conversations to prompt text, as the model's template renders them.
 *
 * Known templates are recognised by their text and rendered in C; others are QUIRE_NO_TEMPLATE.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_TEXT_CHAT_H
#define QR_TEXT_CHAT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"

enum qr_chat_format {
    QR_CHAT_NONE,
    QR_CHAT_CHATML,        /* <|im_start|>role\ncontent<|im_end|>\n */
    QR_CHAT_CHATML_SMOLLM2 /* the same, with SmolLM2's default system prompt in front */
};

/* Which format a file's tokenizer.chat_template (data NULL: none) is. */
enum qr_chat_format qr_chat_recognise(struct quire_text chat_template);

/* As quire_render. */
int qr_chat_render(enum qr_chat_format format, const struct quire_message *messages,
                   size_t messages_n, bool add_generation_prompt, char *text, size_t capacity,
                   size_t *text_n, struct quire_error *error);

#endif
