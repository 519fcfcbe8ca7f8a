/* SPDX-License-Identifier: MIT */
#include "runtime/parse/thinking.h"

#include <string.h>

#include "runtime/parse/family.h"

/* The end of the last occurrence of the word in the text; 0: there is none. */
static size_t last_of(struct quire_text text, const char *word)
{
    const size_t n = strlen(word);

    for (size_t i = text.n; i >= n && i > 0; i--)
        if (memcmp(text.data + i - n, word, n) == 0) return i;
    return 0;
}

bool qr_parse_is_opened(struct quire_text prompt_tail, const struct qr_parse_reasoning *reasoning,
                        size_t pair)
{
    return last_of(prompt_tail, reasoning->pairs[pair].open) >
           last_of(prompt_tail, reasoning->pairs[pair].close);
}

const struct qr_parse_reasoning *qr_parse_reasoning_in(const struct qr_parse_family *family,
                                                       const struct qr_parse_reasoning *reasoning,
                                                       struct quire_text prompt_tail)
{
    if (reasoning) return reasoning;
    if (family && family->reasoning) return qr_parse_reasoning_find(family->reasoning);
    for (size_t i = 0; i < qr_parse_reasonings_n; i++) {
        const struct qr_parse_reasoning *row = &qr_parse_reasonings[i];
        if (row->pairs[0].open && qr_parse_is_opened(prompt_tail, row, 0)) return row;
    }
    return qr_parse_reasoning_find("none");
}

enum qr_parse_thinking qr_parse_thinking_of(const struct qr_parse_family *family,
                                            const struct qr_parse_reasoning *reasoning,
                                            struct quire_text prompt_tail)
{
    reasoning = qr_parse_reasoning_in(family, reasoning, prompt_tail);
    if (reasoning == qr_parse_reasoning_find("gpt_oss")) return QR_THINKING_ALLOWED;
    if (!reasoning->pairs[0].open) return QR_THINKING_NONE;
    for (size_t i = 0; i < QR_PARSE_PAIRS_MAX && reasoning->pairs[i].open; i++) {
        if (qr_parse_is_opened(prompt_tail, reasoning, i)) return QR_THINKING_OPENED;
        if (last_of(prompt_tail, reasoning->pairs[i].close))
            return QR_THINKING_NONE; /* the prompt has closed it: thinking is off */
    }
    return QR_THINKING_ALLOWED;
}

void qr_parse_thinking_pair(const struct qr_parse_family *family,
                            const struct qr_parse_reasoning *reasoning,
                            struct quire_text prompt_tail, const char **open, const char **close)
{
    const struct qr_parse_reasoning *row = qr_parse_reasoning_in(family, reasoning, prompt_tail);
    size_t pair = 0;

    for (size_t i = 0; i < QR_PARSE_PAIRS_MAX && row->pairs[i].open; i++)
        if (qr_parse_is_opened(prompt_tail, row, i)) pair = i;
    *open = row->pairs[pair].open;
    *close = row->pairs[pair].close;
}
