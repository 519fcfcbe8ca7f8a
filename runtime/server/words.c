/* SPDX-License-Identifier: MIT */
#include "runtime/server/words.h"

#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/server/prompt.h"

void qr_words_init(struct qr_words *words, const struct quire_allocator *memory)
{
    *words = (struct qr_words){.memory = memory};
}

void qr_words_deinit(struct qr_words *words)
{
    for (size_t i = 0; i < words->bans_n; i++)
        qr_free(words->memory, (void *)(uintptr_t)words->bans[i].ids);
    qr_free(words->memory, words->bans);
    qr_free(words->memory, words->allowed);
}

static bool no_memory(struct qr_api_failure *failure)
{
    return qr_fail(failure, 500, NULL, NULL, "out of memory");
}

/* Bans one way to write a word, unless it is banned already. */
static bool add_ban(struct qr_words *words, const quire_model *model, struct quire_text text,
                    struct qr_api_failure *failure)
{
    struct quire_ids ban;
    int32_t *ids;

    if (!qr_prompt_tokenize(words->memory, model, text, 0, QR_BAN_IDS_MAX, "bad_words", &ids,
                            &ban.ids_n, failure))
        return false;
    for (size_t i = 0; i < words->bans_n; i++) {
        const struct quire_ids *other = &words->bans[i];
        if (other->ids_n == ban.ids_n && memcmp(other->ids, ids, ban.ids_n * sizeof *ids) == 0)
            ban.ids_n = 0;
    }
    if (ban.ids_n == 0) {
        qr_free(words->memory, ids);
        return true;
    }
    ban.ids = ids;
    words->bans[words->bans_n++] = ban;
    return true;
}

static bool read_word(struct qr_words *words, const quire_model *model, const struct qr_json *word,
                      struct qr_api_failure *failure)
{
    char spaced[QR_STOP_BYTES_MAX + 1] = " ";

    if (qr_json_type(word) != QR_JSON_STRING || qr_json_text(word).n == 0 ||
        qr_json_text(word).n > QR_STOP_BYTES_MAX)
        return qr_fail_field(failure, "bad_words",
                             "bad_words must be a list of strings of 1 to %u bytes",
                             QR_STOP_BYTES_MAX);
    struct quire_text text = qr_json_text(word);
    memcpy(spaced + 1, text.data, text.n);
    return add_ban(words, model, text, failure) &&
           add_ban(words, model, (struct quire_text){spaced, text.n + 1}, failure);
}

bool qr_words_read(struct qr_words *words, const quire_model *model, uint32_t vocab_n,
                   const struct qr_json *body, struct quire_request *request,
                   struct qr_api_failure *failure)
{
    const struct qr_json *allowed = qr_json_get(body, "allowed_token_ids");
    const struct qr_json *bad = qr_json_get(body, "bad_words");
    const size_t n = qr_json_length(bad);

    if (allowed && (qr_json_type(allowed) != QR_JSON_ARRAY || qr_json_length(allowed) == 0))
        return qr_fail_field(failure, "allowed_token_ids",
                             "allowed_token_ids must be a list of at least one token id");
    if (allowed && !qr_prompt_ids(words->memory, allowed, vocab_n, "allowed_token_ids",
                                  &words->allowed, &words->allowed_n, failure))
        return false;
    if (bad && (qr_json_type(bad) != QR_JSON_ARRAY || n > QR_BANS_MAX / 2))
        return qr_fail_field(failure, "bad_words", "bad_words must be a list of at most %u strings",
                             QR_BANS_MAX / 2);
    words->bans = n ? qr_alloc_zero(words->memory, 2 * n, sizeof *words->bans) : NULL;
    if (n && !words->bans) return no_memory(failure);
    for (size_t i = 0; i < n; i++)
        if (!read_word(words, model, qr_json_at(bad, i), failure)) return false;
    request->allowed_ids = words->allowed;
    request->allowed_ids_n = words->allowed_n;
    request->bans = words->bans;
    request->bans_n = words->bans_n;
    return true;
}
