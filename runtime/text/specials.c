/* SPDX-License-Identifier: MIT */
#include "runtime/text/specials.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/text/utf8.h"

/* Orders by text; of equal texts the highest id comes first, which is the one that
 * qr_vocabulary_find returns. */
static int by_text(const void *a, const void *b, void *context)
{
    const struct qr_token *tokens = context;
    uint32_t left_id = *(const uint32_t *)a, right_id = *(const uint32_t *)b;
    const struct qr_token *left = &tokens[left_id], *right = &tokens[right_id];
    uint32_t n = left->text_n < right->text_n ? left->text_n : right->text_n;

    int order = memcmp(left->text, right->text, n);
    if (order != 0) return order;
    if (left->text_n != right->text_n) return left->text_n < right->text_n ? -1 : 1;
    return left_id > right_id ? -1 : left_id < right_id;
}

static bool is_special(const struct qr_token *token, unsigned kinds)
{
    return token->text_n > 0 && (kinds >> token->kind & 1u) &&
           qr_utf8_valid(token->text, token->text_n) == token->text_n;
}

bool qr_specials_init(struct qr_specials *s, const struct qr_vocabulary *vocabulary, unsigned kinds,
                      const struct quire_allocator *allocator)
{
    const struct qr_token *tokens = vocabulary->tokens;
    uint32_t n = 0;

    *s = (struct qr_specials){.vocabulary = vocabulary};
    for (uint32_t id = 0; id < vocabulary->tokens_n; id++)
        n += is_special(&tokens[id], kinds);
    if (n == 0) return true;
    s->ids = qr_alloc(allocator, n * sizeof *s->ids);
    if (!s->ids) return false;
    for (uint32_t id = 0; id < vocabulary->tokens_n; id++) {
        if (!is_special(&tokens[id], kinds)) continue;
        s->ids[s->ids_n++] = id;
        s->begins[(uint8_t)tokens[id].text[0]] = true;
    }
    qsort_r(s->ids, s->ids_n, sizeof *s->ids, by_text, vocabulary->tokens);
    return true;
}

void qr_specials_deinit(struct qr_specials *s, const struct quire_allocator *allocator)
{
    qr_free(allocator, s->ids);
    *s = (struct qr_specials){0};
}

/* The first of ids[low, high) with a byte of at least `byte` at depth.  All texts of the range
 * share the bytes before depth; a text that ends at depth is less than any byte. */
static uint32_t lower_bound(const struct qr_specials *s, uint32_t low, uint32_t high,
                            uint32_t depth, unsigned byte)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct qr_token *token = &s->vocabulary->tokens[s->ids[middle]];
        bool less = token->text_n <= depth || (uint8_t)token->text[depth] < byte;
        if (less)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest special token at the start of text, or QR_ID_NONE. */
static uint32_t longest(const struct qr_specials *s, const char *text, size_t text_n)
{
    uint32_t low = 0, high = s->ids_n, found = QR_ID_NONE;

    for (uint32_t depth = 0; depth < text_n; depth++) {
        unsigned byte = (uint8_t)text[depth];
        low = lower_bound(s, low, high, depth, byte);
        high = lower_bound(s, low, high, depth, byte + 1);
        if (low == high) break;
        /* The shortest text of the range is first. */
        if (s->vocabulary->tokens[s->ids[low]].text_n == depth + 1) found = s->ids[low];
    }
    return found;
}

bool qr_specials_next(const struct qr_specials *s, const char *text, size_t text_n, size_t from,
                      size_t *at, uint32_t *id)
{
    if (s->ids_n == 0) return false;
    for (size_t i = from; i < text_n; i++) {
        if (!s->begins[(uint8_t)text[i]]) continue;
        *id = longest(s, text + i, text_n - i);
        if (*id != QR_ID_NONE) {
            *at = i;
            return true;
        }
    }
    return false;
}
