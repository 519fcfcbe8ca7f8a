/* SPDX-License-Identifier: MIT */
#include "runtime/engine/restriction.h"

#include <string.h>

uint32_t qr_restriction_words(const struct quire_request *from)
{
    int32_t most = -1;

    for (size_t i = 0; i < from->allowed_ids_n; i++)
        if (from->allowed_ids[i] > most) most = from->allowed_ids[i];
    return (uint32_t)(most + 64) / 64;
}

size_t qr_restriction_bans_ids(const struct quire_request *from)
{
    size_t n = 0;

    for (size_t i = 0; i < from->bans_n; i++)
        n += from->bans[i].ids_n;
    return n;
}

void qr_restriction_init(struct qr_restriction *restriction, const struct quire_request *from)
{
    uint32_t end = 0;

    restriction->words_n = qr_restriction_words(from);
    if (!from->allowed_ids_n) restriction->allowed = NULL;
    if (restriction->allowed)
        memset(restriction->allowed, 0, restriction->words_n * sizeof *restriction->allowed);
    for (size_t i = 0; i < from->allowed_ids_n; i++)
        restriction->allowed[from->allowed_ids[i] >> 6] |= UINT64_C(1)
                                                           << (from->allowed_ids[i] & 63);
    restriction->bans_n = (uint32_t)from->bans_n;
    for (uint32_t i = 0; i < restriction->bans_n; i++) {
        memcpy(restriction->bans + end, from->bans[i].ids,
               from->bans[i].ids_n * sizeof *restriction->bans);
        end += (uint32_t)from->bans[i].ids_n;
        restriction->bans_ends[i] = end;
    }
}

/* Bans the last token of a sequence whose others were the last to be generated. */
static void ban(const int32_t *ids, uint32_t n, const int32_t *generated, uint32_t generated_n,
                uint64_t *bits)
{
    if (n - 1 > generated_n) return;
    if (memcmp(ids, generated + generated_n - (n - 1), (n - 1) * sizeof *ids) != 0) return;
    bits[ids[n - 1] >> 6] &= ~(UINT64_C(1) << (ids[n - 1] & 63));
}

bool qr_restriction_apply(const struct qr_restriction *restriction, const int32_t *generated,
                          uint32_t generated_n, uint64_t *bits, uint32_t vocab_n)
{
    const uint32_t words_n = (vocab_n + 63) / 64;
    uint32_t begin = 0;
    uint64_t any = 0;

    for (uint32_t i = 0; restriction->allowed && i < words_n; i++)
        bits[i] &= i < restriction->words_n ? restriction->allowed[i] : 0;
    for (uint32_t i = 0; i < restriction->bans_n; i++) {
        const uint32_t end = restriction->bans_ends[i];
        ban(restriction->bans + begin, end - begin, generated, generated_n, bits);
        begin = end;
    }
    for (uint32_t i = 0; i < words_n; i++)
        any |= bits[i];
    return any != 0;
}
