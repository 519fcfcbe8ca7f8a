/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/lexer.h"

#include <assert.h>
#include <string.h>

uint32_t qr_lexer_add(struct qr_lexer *lexer, qr_rx rx)
{
    assert(!qr_rx_nullable(lexer->pool, rx));
    for (uint32_t i = 0; i < lexer->lexemes_n; i++)
        if (lexer->lexemes[i] == rx) return i;
    if (!QR_RESERVE(lexer->pool->budget, lexer, lexemes, lexer->lexemes_n + 1)) return 0;
    lexer->lexemes[lexer->lexemes_n++] = rx;
    return (uint32_t)lexer->lexemes_n - 1;
}

static uint32_t hash_of(const struct qr_lex_tag *tags, size_t n)
{
    uint64_t h = n;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (h >> 29) ^ ((uint64_t)tags[i].lexeme << 32 | tags[i].rx)) *
            UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static bool rehash(struct qr_lexer *lexer)
{
    size_t n = lexer->buckets_n ? 2 * lexer->buckets_n : 256;

    if (!QR_RESERVE(lexer->pool->budget, lexer, buckets, n)) return false;
    lexer->buckets_n = n;
    memset(lexer->buckets, 0xff, n * sizeof *lexer->buckets);
    for (uint32_t i = 0; i < lexer->states_n; i++) {
        uint32_t *bucket = &lexer->buckets[lexer->states[i].hash & (n - 1)];
        lexer->states[i].next = *bucket;
        *bucket = i;
    }
    return true;
}

/* The state of a set of tags.  DEAD also when memory is out. */
static uint32_t intern(struct qr_lexer *lexer, const struct qr_lex_tag *tags, size_t n)
{
    struct qr_budget *budget = lexer->pool->budget;
    uint32_t hash = hash_of(tags, n), accepts_n = 0;

    for (uint32_t i = lexer->buckets[hash & (lexer->buckets_n - 1)]; i != UINT32_MAX;
         i = lexer->states[i].next) {
        const struct qr_lex_state *s = &lexer->states[i];
        if (s->hash == hash && s->tags_n == n &&
            (n == 0 || memcmp(lexer->tags + s->tags, tags, n * sizeof *tags) == 0))
            return i;
    }
    if (!QR_RESERVE(budget, lexer, tags, lexer->tags_n + n) ||
        !QR_RESERVE(budget, lexer, accepts, lexer->accepts_n + n) ||
        !QR_RESERVE(budget, lexer, states, lexer->states_n + 1) ||
        !QR_RESERVE(budget, lexer, moves, (lexer->states_n + 1) * lexer->classes_n))
        return QR_LEX_DEAD;
    if (n) memcpy(lexer->tags + lexer->tags_n, tags, n * sizeof *tags);
    for (size_t i = 0; i < n; i++)
        if (qr_rx_nullable(lexer->pool, tags[i].rx))
            lexer->accepts[lexer->accepts_n + accepts_n++] = tags[i].lexeme;
    uint32_t state = (uint32_t)lexer->states_n++;
    uint32_t *bucket = &lexer->buckets[hash & (lexer->buckets_n - 1)];
    lexer->states[state] = (struct qr_lex_state){.tags = (uint32_t)lexer->tags_n,
                                                 .tags_n = (uint32_t)n,
                                                 .accepts = (uint32_t)lexer->accepts_n,
                                                 .accepts_n = accepts_n,
                                                 .reach = QR_LEX_UNKNOWN,
                                                 .hash = hash,
                                                 .next = *bucket};
    *bucket = state;
    lexer->tags_n += n;
    lexer->accepts_n += accepts_n;
    memset(lexer->moves + (size_t)state * lexer->classes_n, 0xff,
           lexer->classes_n * sizeof *lexer->moves);
    if (lexer->states_n > lexer->buckets_n && !rehash(lexer)) return QR_LEX_DEAD;
    return state;
}

bool qr_lexer_begin(struct qr_lexer *lexer)
{
    static const struct qr_code_range easy[] = {
        {0x20, 0x21}, {0x23, 0x5b}, {0x5d, 0x2027}, {0x202a, 0x10ffff}};

    lexer->easy = qr_rx_chars(lexer->pool, easy, 4);
    lexer->classes_n = qr_rx_classes(lexer->pool, lexer->class_of);
    for (uint32_t b = 256; b-- > 0;)
        lexer->byte_of[lexer->class_of[b]] = (uint8_t)b;
    if (!rehash(lexer)) return false;
    (void)intern(lexer, NULL, 0);
    if (lexer->pool->budget->failed) return false;
    for (uint32_t c = 0; c < lexer->classes_n; c++)
        lexer->moves[c] = QR_LEX_DEAD;
    return true;
}

void qr_lexer_deinit(struct qr_lexer *lexer)
{
    struct qr_budget *budget = lexer->pool->budget;

    qr_array_free(budget, lexer->lexemes);
    qr_array_free(budget, lexer->tags);
    qr_array_free(budget, lexer->accepts);
    qr_array_free(budget, lexer->states);
    qr_array_free(budget, lexer->moves);
    qr_array_free(budget, lexer->buckets);
    qr_array_free(budget, lexer->scratch);
}

uint32_t qr_lexer_start(struct qr_lexer *lexer, const uint32_t *lexemes, size_t n)
{
    size_t kept = 0;

    if (!QR_RESERVE(lexer->pool->budget, lexer, scratch, n)) return QR_LEX_DEAD;
    for (size_t i = 0; i < n; i++)
        if (!qr_rx_is_empty(lexer->pool, lexer->lexemes[lexemes[i]]))
            lexer->scratch[kept++] = (struct qr_lex_tag){lexemes[i], lexer->lexemes[lexemes[i]]};
    return intern(lexer, lexer->scratch, kept);
}

uint32_t qr_lexer_build(struct qr_lexer *lexer, uint32_t state, uint32_t class)
{
    const uint32_t tags_n = lexer->states[state].tags_n;
    size_t kept = 0;

    if (!QR_RESERVE(lexer->pool->budget, lexer, scratch, tags_n)) return QR_LEX_DEAD;
    for (uint32_t i = 0; i < tags_n; i++) {
        struct qr_lex_tag tag = lexer->tags[lexer->states[state].tags + i];
        tag.rx = qr_rx_derive(lexer->pool, tag.rx, lexer->byte_of[class]);
        if (!qr_rx_is_empty(lexer->pool, tag.rx)) lexer->scratch[kept++] = tag;
    }
    uint32_t to = intern(lexer, lexer->scratch, kept);
    if (!lexer->pool->budget->failed) lexer->moves[(size_t)state * lexer->classes_n + class] = to;
    return to;
}

uint32_t qr_lexer_reach(struct qr_lexer *lexer, uint32_t state)
{
    uint32_t reach = lexer->states[state].reach;

    if (reach != QR_LEX_UNKNOWN) return reach;
    reach = 0;
    for (uint32_t i = 0; i < lexer->states[state].tags_n; i++) {
        qr_rx rx = lexer->tags[lexer->states[state].tags + i].rx;
        uint32_t one = qr_rx_reach(lexer->pool, rx, lexer->easy);
        if (one > reach) reach = one;
    }
    if (reach >= QR_LEX_UNKNOWN) reach = QR_LEX_UNKNOWN - 1;
    lexer->states[state].reach = reach;
    return reach;
}
