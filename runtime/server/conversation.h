/* SPDX-License-Identifier: MIT */
/* conversation -- a chat request's fields as what the model's template is given: messages, tools,
 * tool_choice, documents, chat_template_kwargs, add_generation_prompt, continue_final_message.
 *
 * As vLLM: a tool call's arguments, which come as JSON in a string, are given as the object that
 * they are; tool_choice "none" and "auto" both show the tools.
 *
 * Thread: any one.   Memory: the allocator's; texts point into the document. */
#ifndef QR_SERVER_CONVERSATION_H
#define QR_SERVER_CONVERSATION_H

#include "runtime/server/buffer.h"
#include "runtime/server/errors.h"
#include "runtime/server/json.h"

/* Renders the conversation of a body into text. */
bool qr_conversation_render(struct qr_buffer *text, const quire_model *model,
                            const struct qr_json *body, struct qr_api_failure *failure);

#endif
