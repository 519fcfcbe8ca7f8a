/* SPDX-License-Identifier: MIT */
/* words -- vLLM's allowed_token_ids and bad_words as the engine's restrictions.
 *
 * A bad word is banned as it is tokenised at the beginning of a text and after a space.
 *
 * Thread: any one.   Memory: the allocator's, until qr_words_deinit. */
#ifndef QR_SERVER_WORDS_H
#define QR_SERVER_WORDS_H

#include "runtime/server/errors.h"
#include "runtime/server/json.h"

struct qr_words {
    const struct quire_allocator *memory;
    int32_t *allowed;       /* [allowed_n] */
    struct quire_ids *bans; /* [bans_n], each with ids of its own */
    size_t allowed_n, bans_n;
};

void qr_words_init(struct qr_words *words, const struct quire_allocator *memory);
void qr_words_deinit(struct qr_words *words);
/* Reads the fields, and lets the request point to them. */
bool qr_words_read(struct qr_words *words, const quire_model *model, uint32_t vocab_n,
                   const struct qr_json *body, struct quire_request *request,
                   struct qr_api_failure *failure);

#endif
