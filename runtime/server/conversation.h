/* SPDX-License-Identifier: MIT */
/* conversation -- passes a chat request's fields to the model's template: messages, tools,
 * tool_choice, documents, chat_template_kwargs, add_generation_prompt, continue_final_message.
 *
 * As in vLLM, the template sees a tool call's arguments as an object, not as the JSON string that
 * the request has; tool_choice "none" and "auto" both show the tools.
 *
 * Thread: any one.   Memory: the allocator's; texts point into the document. */
#ifndef QR_SERVER_CONVERSATION_H
#define QR_SERVER_CONVERSATION_H

#include "runtime/server/buffer.h"
#include "runtime/server/errors.h"
#include "runtime/server/json.h"

/* Renders a body's conversation into text.  False: failure is set. */
bool qr_conversation_render(struct qr_buffer *text, const quire_model *model,
                            const struct qr_json *body, struct qr_api_failure *failure);

#endif
