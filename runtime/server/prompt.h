/* SPDX-License-Identifier: MIT */
/* prompt -- reads the prompts of a request as token ids: from text, ids or a conversation.
 *
 * Thread: any one.   Memory: the allocator's; a text prompt's text points into the document. */
#ifndef QR_SERVER_PROMPT_H
#define QR_SERVER_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"
#include "runtime/server/buffer.h"
#include "runtime/server/errors.h"
#include "runtime/server/json.h"
#include "runtime/server/params.h"

struct qr_server_settings;

struct qr_prompt {
    int32_t *ids;
    size_t ids_n;
    bool from_text;
    struct quire_text text; /* the prompt, if from_text */
};

struct qr_prompts {
    const struct quire_allocator *memory;
    struct qr_prompt *all;
    size_t n;
    struct qr_buffer tail; /* the end of a rendered conversation */
};

void qr_prompts_init(struct qr_prompts *prompts, const struct quire_allocator *memory);
void qr_prompts_deinit(struct qr_prompts *prompts);

/* Reads the field `prompt`: a text, texts, token ids, or lists of token ids. */
bool qr_prompts_read(struct qr_prompts *prompts, const struct qr_server_settings *settings,
                     const struct qr_json *body, const struct qr_model_limits *limits,
                     struct qr_api_failure *failure);
/* Renders `messages` with the model's template: one prompt. */
bool qr_prompts_read_chat(struct qr_prompts *prompts, const struct qr_server_settings *settings,
                          const struct qr_json *body, const struct qr_model_limits *limits,
                          struct qr_api_failure *failure);

/* The end of a rendered conversation; n = 0 for other prompts. */
struct quire_text qr_prompts_tail(const struct qr_prompts *prompts);

/* Tokenises a text into at most ids_max ids; more are a failure that names `field`.  The caller
 * frees *ids with qr_free. */
bool qr_prompt_tokenize(const struct quire_allocator *memory, const quire_model *model,
                        struct quire_text text, unsigned flags, size_t ids_max, const char *field,
                        int32_t **ids, size_t *ids_n, struct qr_api_failure *failure);
/* Reads a JSON list of token ids and checks each against the vocabulary. */
bool qr_prompt_ids(const struct quire_allocator *memory, const struct qr_json *list,
                   uint32_t vocab_n, const char *field, int32_t **ids, size_t *ids_n,
                   struct qr_api_failure *failure);

#endif
