/* SPDX-License-Identifier: MIT */
#include "runtime/text/spm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/text/tokenizer.h"

/* ---- characters ------------------------------------------------------------------------------ */

/* Length of the character at text by its first byte, at most text_n. */
static size_t character_n(const char *text, size_t text_n)
{
    static const uint8_t by_first[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
    size_t n = by_first[(uint8_t)text[0] >> 4];

    return n < text_n ? n : text_n;
}

/* A character's bytes as an integer, distinct for each character: only a NUL begins with a 0 byte,
 * and it has one byte. */
static uint32_t character_word(const char *text, size_t n)
{
    uint32_t word = 0;

    for (size_t i = 0; i < n; i++)
        word = word << 8 | (uint8_t)text[i];
    return word;
}

static size_t pair_bit(uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;

    return (size_t)((pair * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - QR_SPM_PAIR_BITS));
}

static bool may_join(const struct qr_spm *spm, uint32_t left, uint32_t right)
{
    size_t bit = pair_bit(left, right);

    return spm->pairs[bit / 64] >> (bit % 64) & 1;
}

/* True if a merge may make this token: plain text never makes a hidden token or a byte token. */
static bool is_mergeable(const struct qr_vocabulary *v, uint32_t id)
{
    return id != QR_ID_NONE && v->tokens[id].kind != QR_TOKEN_BYTE &&
           !qr_token_is_hidden(v, &v->tokens[id]);
}

static int by_word(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint32_t part_of(const struct qr_spm *spm, uint32_t word)
{
    const uint32_t *part =
        spm->parts_n ? bsearch(&word, spm->parts, spm->parts_n, sizeof word, by_word) : NULL;

    return part ? spm->vocabulary->tokens_n + (uint32_t)(part - spm->parts) : QR_ID_NONE;
}

/* The symbol of a character: its token, its part, or QR_ID_NONE. */
static uint32_t look_up(const struct qr_spm *spm, const char *text, size_t n)
{
    struct quire_text character = {text, n};
    uint32_t id = qr_vocabulary_find(spm->vocabulary, character, (struct quire_text){NULL, 0});

    if (is_mergeable(spm->vocabulary, id)) return id;
    return part_of(spm, character_word(text, n));
}

static uint32_t symbol_of(const struct qr_spm *spm, const char *text, size_t n)
{
    return (uint8_t)text[0] < 128 ? spm->ascii[(uint8_t)text[0]] : look_up(spm, text, n);
}

/* ---- computing the merges -------------------------------------------------------------------- */

/* State while the table of merges is built. */
struct building {
    struct qr_spm *spm;
    const struct quire_allocator *allocator;
    struct qr_merge *found; /* [capacity] */
    uint32_t found_n, capacity;
    uint32_t *ranks;  /* [tokens_n]; equal scores have equal ranks, the highest score has 0 */
    uint64_t *powers; /* [longest + 1] powers of QR_HASH_FACTOR */
};

struct scored {
    float score;
    uint32_t id;
};

static int by_score(const void *a, const void *b)
{
    float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;

    return (x < y) - (x > y);
}

static int rank_tokens(struct building *b, const float *scores, struct quire_error *error)
{
    uint32_t tokens_n = b->spm->vocabulary->tokens_n;
    struct scored *all = qr_alloc(b->allocator, tokens_n * sizeof *all);

    b->ranks = qr_alloc_zero(b->allocator, tokens_n, sizeof *b->ranks);
    if (!all || !b->ranks) {
        qr_free(b->allocator, all);
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for the tokens' ranks");
    }
    for (uint32_t id = 0; id < tokens_n; id++) {
        all[id] = (struct scored){scores ? scores[id] : 0, id};
        if (isnan(all[id].score)) {
            qr_free(b->allocator, all);
            return qr_error(error, QUIRE_BAD_FILE,
                            "the score of token %u in tokenizer.ggml.scores is not a number", id);
        }
    }
    qsort(all, tokens_n, sizeof *all, by_score);
    uint32_t rank = 0;
    for (uint32_t i = 0; i < tokens_n; i++) {
        rank += i > 0 && all[i].score < all[i - 1].score;
        b->ranks[all[i].id] = rank;
    }
    qr_free(b->allocator, all);
    return QUIRE_OK;
}

/* True if merges can make this token.  Of equal texts only the last counts. */
static bool takes_part(const struct qr_vocabulary *v, uint32_t id)
{
    struct quire_text text = {v->tokens[id].text, v->tokens[id].text_n};

    return text.n > 0 && is_mergeable(v, id) &&
           qr_vocabulary_find(v, text, (struct quire_text){NULL, 0}) == id;
}

/* Records the adjacent characters of a token.  Counts the characters that are not tokens, and
 * appends them to `parts` if it is not NULL. */
static uint32_t scan_token(struct qr_spm *spm, uint32_t id, uint32_t *parts)
{
    const struct qr_token *token = &spm->vocabulary->tokens[id];
    uint32_t before = 0, parts_n = 0;

    for (size_t at = 0; at < token->text_n;) {
        size_t n = character_n(token->text + at, token->text_n - at);
        struct quire_text character = {token->text + at, n};
        uint32_t word = character_word(character.data, n);
        uint32_t own = qr_vocabulary_find(spm->vocabulary, character, (struct quire_text){0});
        if (!is_mergeable(spm->vocabulary, own)) {
            if (parts) parts[parts_n] = word;
            parts_n++;
        }
        if (at > 0) {
            size_t bit = pair_bit(before, word);
            spm->pairs[bit / 64] |= UINT64_C(1) << (bit % 64);
        }
        before = word;
        at += n;
    }
    return parts_n;
}

/* Collects characters of tokens that are not tokens themselves.  A vocabulary trained by
 * SentencePiece has none. */
static int collect_parts(struct building *b, struct quire_error *error)
{
    struct qr_spm *spm = b->spm;
    const struct qr_vocabulary *v = spm->vocabulary;
    size_t all_n = 0;

    for (uint32_t id = 0; id < v->tokens_n; id++)
        all_n += takes_part(v, id) ? scan_token(spm, id, NULL) : 0;
    if (all_n == 0) return QUIRE_OK;
    spm->parts = qr_alloc(b->allocator, all_n * sizeof *spm->parts);
    if (!spm->parts) return qr_error(error, QUIRE_NO_MEMORY, "no memory for the tokens' parts");
    size_t n = 0;
    for (uint32_t id = 0; id < v->tokens_n; id++)
        n += takes_part(v, id) ? scan_token(spm, id, spm->parts + n) : 0;
    qsort(spm->parts, n, sizeof *spm->parts, by_word);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && spm->parts[i] == spm->parts[spm->parts_n - 1]) continue;
        if (spm->parts_n == QR_VOCAB_MAX)
            return qr_error(error, QUIRE_UNSUPPORTED, "the tokens have more than %u characters",
                            QR_VOCAB_MAX);
        spm->parts[spm->parts_n++] = spm->parts[i];
    }
    return QUIRE_OK;
}

static int add_found(struct building *b, struct qr_merge merge, struct quire_error *error)
{
    if (b->found_n == QR_MERGES_MAX)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "the tokens can be made by more than %u merges of two others",
                        QR_MERGES_MAX);
    if (b->found_n == b->capacity) {
        uint32_t capacity = b->capacity ? 2 * b->capacity : 4096;
        struct qr_merge *more = qr_realloc(b->allocator, b->found, capacity * sizeof *more);
        if (!more) return qr_error(error, QUIRE_NO_MEMORY, "no memory for %u merges", capacity);
        b->found = more;
        b->capacity = capacity;
    }
    b->found[b->found_n++] = merge;
    return QUIRE_OK;
}

/* The symbol of one side of a cut token: a token or a part. */
static uint32_t side_of(const struct qr_spm *spm, struct quire_text text, uint64_t hash)
{
    uint32_t id = qr_vocabulary_find_hashed(spm->vocabulary, text, hash);

    if (is_mergeable(spm->vocabulary, id)) return id;
    if (spm->parts_n == 0 || text.n != character_n(text.data, text.n) || text.n > 4)
        return QR_ID_NONE;
    return part_of(spm, character_word(text.data, text.n));
}

/* Adds a merge for each way to cut a token in two. */
static int cut_token(struct building *b, uint32_t id, struct quire_error *error)
{
    const struct qr_token *token = &b->spm->vocabulary->tokens[id];
    struct quire_text whole = {token->text, token->text_n};
    uint64_t whole_hash = qr_vocabulary_hash(0, whole), hash = 0;
    int status = QUIRE_OK;

    for (size_t at = 0; status == QUIRE_OK;) {
        size_t n = character_n(whole.data + at, whole.n - at);
        hash = qr_vocabulary_hash(hash, (struct quire_text){whole.data + at, n});
        at += n;
        if (at == whole.n) break;
        struct quire_text left = {whole.data, at}, right = {whole.data + at, whole.n - at};
        struct qr_merge merge = {.rank = b->ranks[id], .merged = id};
        merge.left = side_of(b->spm, left, hash);
        if (merge.left == QR_ID_NONE) continue;
        merge.right = side_of(b->spm, right, whole_hash - hash * b->powers[right.n]);
        if (merge.right != QR_ID_NONE) status = add_found(b, merge, error);
    }
    return status;
}

static int find_merges(struct building *b, struct quire_error *error)
{
    const struct qr_vocabulary *v = b->spm->vocabulary;
    size_t longest = 0;
    int status = QUIRE_OK;

    for (uint32_t id = 0; id < v->tokens_n; id++)
        if (v->tokens[id].text_n > longest) longest = v->tokens[id].text_n;
    b->powers = qr_alloc(b->allocator, (longest + 1) * sizeof *b->powers);
    if (!b->powers) return qr_error(error, QUIRE_NO_MEMORY, "no memory for the tokens' merges");
    b->powers[0] = 1;
    for (size_t i = 1; i <= longest; i++)
        b->powers[i] = b->powers[i - 1] * QR_HASH_FACTOR;
    for (uint32_t id = 0; id < v->tokens_n && status == QUIRE_OK; id++)
        if (takes_part(v, id)) status = cut_token(b, id, error);
    if (status != QUIRE_OK) return status;
    if (!qr_merges_init(&b->spm->merges, b->found_n, b->allocator))
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for %u merges", b->found_n);
    for (uint32_t i = 0; i < b->found_n; i++)
        qr_merges_add(&b->spm->merges, b->found[i]);
    return QUIRE_OK;
}

/* Finds the byte tokens; without one, a token whose text is the byte. */
static void collect_bytes(struct qr_spm *spm)
{
    const struct qr_vocabulary *v = spm->vocabulary;

    memset(spm->bytes, 0xff, sizeof spm->bytes);
    spm->unknown_id = QR_ID_NONE;
    for (unsigned byte = 0; byte < 256; byte++) {
        char text = (char)byte;
        uint32_t id = qr_vocabulary_find(v, (struct quire_text){&text, 1}, (struct quire_text){0});
        if (is_mergeable(v, id)) spm->bytes[byte] = id;
    }
    for (uint32_t id = v->tokens_n; id-- > 0;) {
        int byte = v->tokens[id].kind == QR_TOKEN_BYTE ? qr_token_byte_value(&v->tokens[id]) : -1;
        if (byte >= 0) spm->bytes[byte] = id;
        if (v->tokens[id].kind == QR_TOKEN_UNKNOWN) spm->unknown_id = id;
    }
}

int qr_spm_init(struct qr_spm *spm, const struct qr_vocabulary *vocabulary, const float *scores,
                const struct quire_allocator *allocator, struct quire_error *error)
{
    struct building b = {.spm = spm, .allocator = allocator};

    memset(spm, 0, sizeof *spm);
    spm->vocabulary = vocabulary;
    collect_bytes(spm);
    int status = collect_parts(&b, error);
    for (unsigned c = 0; c < 128; c++) {
        char text = (char)c;
        spm->ascii[c] = look_up(spm, &text, 1);
    }
    if (status == QUIRE_OK) status = rank_tokens(&b, scores, error);
    if (status == QUIRE_OK) status = find_merges(&b, error);
    qr_free(allocator, b.found);
    qr_free(allocator, b.ranks);
    qr_free(allocator, b.powers);
    if (status != QUIRE_OK) qr_spm_deinit(spm, allocator);
    return status;
}

void qr_spm_deinit(struct qr_spm *spm, const struct quire_allocator *allocator)
{
    qr_merges_deinit(&spm->merges, allocator);
    qr_free(allocator, spm->parts);
    spm->parts = NULL;
    spm->parts_n = 0;
}

/* ---- text to ids ----------------------------------------------------------------------------- */

size_t qr_spm_escape(const char *text, size_t text_n, bool space, char *out)
{
    size_t out_n = 0;

    for (size_t i = space ? 0 : 1; i <= text_n; i++) {
        bool is_space = i == 0 || text[i - 1] == ' ';
        size_t n = is_space ? QR_SPACE_MARK_N : 1;
        if (out) memcpy(out + out_n, is_space ? QR_SPACE_MARK : text + i - 1, n);
        out_n += n;
    }
    return out_n;
}

/* Appends the byte tokens of a character, or the unknown token if a byte has none.  U+2581 counts
 * as the space that it was before escaping. */
static void add_bytes(const struct qr_spm *spm, const char *text, size_t n, struct qr_ids *out)
{
    if (n == QR_SPACE_MARK_N && memcmp(text, QR_SPACE_MARK, n) == 0) {
        text = " ";
        n = 1;
    }
    for (size_t i = 0; i < n; i++) {
        if (spm->bytes[(uint8_t)text[i]] != QR_ID_NONE) continue;
        if (spm->unknown_id != QR_ID_NONE) qr_ids_add(out, spm->unknown_id);
        return;
    }
    for (size_t i = 0; i < n; i++)
        qr_ids_add(out, spm->bytes[(uint8_t)text[i]]);
}

/* Length in bytes of the first piece of text, which no merge can leave; its characters. */
static size_t piece_n(const struct qr_spm *spm, const char *text, size_t text_n, size_t *symbols_n)
{
    size_t at = character_n(text, text_n);
    uint32_t before = character_word(text, at);

    for (*symbols_n = 1; at < text_n; ++*symbols_n) {
        size_t n = character_n(text + at, text_n - at);
        uint32_t word = character_word(text + at, n);
        if (!may_join(spm, before, word)) break;
        before = word;
        at += n;
    }
    return at;
}

static int encode_piece(const struct qr_spm *spm, struct qr_merge_scratch *scratch,
                        const char *text, size_t text_n, size_t symbols_n, struct qr_ids *out)
{
    struct qr_symbol *symbols = qr_merge_room(scratch, symbols_n);
    size_t at = 0;

    if (!symbols) return QUIRE_NO_MEMORY;
    for (size_t i = 0; i < symbols_n; i++) {
        size_t n = character_n(text + at, text_n - at);
        symbols[i].id = symbol_of(spm, text + at, n);
        at += n;
    }
    int status = qr_merge(&spm->merges, scratch, symbols_n);
    if (status != QUIRE_OK) return status;
    at = 0;
    for (size_t i = 0; i < symbols_n;) {
        size_t next = symbols[i].next, n = character_n(text + at, text_n - at);
        if (symbols[i].id < spm->vocabulary->tokens_n)
            qr_ids_add(out, symbols[i].id);
        else
            add_bytes(spm, text + at, n, out);
        for (at += n; ++i < next;)
            at += character_n(text + at, text_n - at);
    }
    return QUIRE_OK;
}

int qr_spm_encode(const struct qr_spm *spm, struct qr_merge_scratch *scratch, const char *text,
                  size_t text_n, struct qr_ids *out)
{
    for (size_t at = 0; at < text_n;) {
        size_t symbols_n;
        size_t n = piece_n(spm, text + at, text_n - at, &symbols_n);
        int status = encode_piece(spm, scratch, text + at, n, symbols_n, out);
        if (status != QUIRE_OK) return status;
        at += n;
    }
    return QUIRE_OK;
}
