/* SPDX-License-Identifier: MIT */
/* conversation -- passes a chat request's fields to the model's template: messages, tools,
 * tool_choice, documents, chat_template_kwargs, add_generation_prompt, continue_final_message.
 *
 * What the template sees of a request:
 *   - a tool call's arguments as an object, not as the JSON string that the request has, as in
 *     vLLM; a string that is not JSON stays one, so that a call that was cut off blocks no
 *     conversation
 *   - the role developer as system, unless the template knows it
 *   - parts input_text, output_text and refusal as text
 *   - reasoning as reasoning_content
 *   - chat_template_kwargs over those of --chat-template-kwargs; reasoning_effort, and
 *     enable_thinking by it
 *   - the tools whatever tool_choice says
 *
 * Thread: any one.   Memory: the allocator's; texts point into the document. */
#ifndef QR_SERVER_CONVERSATION_H
#define QR_SERVER_CONVERSATION_H

#include "runtime/server/buffer.h"
#include "runtime/server/errors.h"
#include "runtime/server/json.h"

struct qr_server_settings;

/* Renders a body's conversation into text.  False: failure is set. */
bool qr_conversation_render(struct qr_buffer *text, const struct qr_server_settings *settings,
                            const struct qr_json *body, struct qr_api_failure *failure);

#endif
