/* SPDX-License-Identifier: MIT */
#include "runtime/engine/shown.h"

#define TEXT_MAX 256u /* a longer control token is never a marker */

/* The token's text, 0 bytes if it is too long. */
static size_t text_of(const struct qr_request *r, int32_t token, char text[TEXT_MAX])
{
    const struct qr_tokenizer *t = r->detokenizer.tokenizer;

    if (!t || (uint32_t)token >= qr_tokenizer_vocab_n(t)) return 0;
    size_t n = qr_tokenizer_shown_bytes(t, (uint32_t)token, NULL);
    return n <= TEXT_MAX ? qr_tokenizer_shown_bytes(t, (uint32_t)token, text) : 0;
}

bool qr_shown_allow(struct qr_request *r, uint64_t *allowed)
{
    char text[TEXT_MAX];
    bool any = false;

    for (uint32_t i = 0; i < r->shown_ids_n; i++) {
        const uint32_t id = (uint32_t)r->shown_ids[i];
        const size_t n = text_of(r, r->shown_ids[i], text);
        if (n == 0 || !qr_constraint_allows_text(&r->constraint, text, n)) continue;
        allowed[id >> 6] |= UINT64_C(1) << (id & 63);
        any = true;
    }
    return any;
}

enum qr_constraint_state qr_shown_accept(struct qr_request *r, int32_t token)
{
    char text[TEXT_MAX];

    for (uint32_t i = 0; i < r->shown_ids_n; i++) {
        if (r->shown_ids[i] != token) continue;
        const size_t n = text_of(r, token, text);
        if (n) return qr_constraint_accept_bytes(&r->constraint, text, n);
    }
    return qr_constraint_accept(&r->constraint, (uint32_t)token);
}
