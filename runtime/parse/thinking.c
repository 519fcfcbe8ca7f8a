/* SPDX-License-Identifier: MIT */
#include "runtime/parse/thinking.h"

#include <string.h>

#include "runtime/parse/family.h"

/* Where the word is for the last time, after its first byte; 0: nowhere. */
static size_t last_of(struct quire_text text, const char *word)
{
    const size_t n = strlen(word);
    for (size_t i = text.n; i >= n && i > 0; i--)
        if (memcmp(text.data + i - n, word, n) == 0) return i;
    return 0;
}

enum qr_parse_thinking qr_parse_thinking_of(const struct qr_parse_family *family,
                                            const struct qr_parse_reasoning *reasoning,
                                            struct quire_text prompt_tail)
{
    if (!reasoning && family && family->reasoning)
        reasoning = qr_parse_reasoning_find(family->reasoning);
    if (!reasoning || !reasoning->pairs[0].open) return QR_THINKING_NONE;
    for (size_t i = 0; i < QR_PARSE_PAIRS_MAX && reasoning->pairs[i].open; i++) {
        const size_t open = last_of(prompt_tail, reasoning->pairs[i].open);
        const size_t close = last_of(prompt_tail, reasoning->pairs[i].close);
        if (open > close) return QR_THINKING_OPENED;
        if (close > 0) return QR_THINKING_NONE; /* the prompt has closed it: thinking is off */
    }
    return QR_THINKING_ALLOWED;
}
