/* SPDX-License-Identifier: MIT */
#include "runtime/text/vocabulary.h"

#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/utf8.h"

/* ---- the letters of bytes -------------------------------------------------------------------- */

/* Bytes that are not their own letter: 0-32, 127-160, 173. */
#define LETTERS_FIRST  256u
#define LETTERS_SECOND (LETTERS_FIRST + 33u)
#define LETTERS_THIRD  (LETTERS_SECOND + 34u)

size_t qr_vocabulary_letter(uint8_t byte, char letter[2])
{
    uint32_t code = byte;

    if (byte <= 32)
        code = LETTERS_FIRST + byte;
    else if (byte >= 127 && byte <= 160)
        code = LETTERS_SECOND + (byte - 127u);
    else if (byte == 173)
        code = LETTERS_THIRD;
    if (code < 0x80) {
        letter[0] = (char)code;
        return 1;
    }
    letter[0] = (char)(0xc0 | (code >> 6));
    letter[1] = (char)(0x80 | (code & 0x3f));
    return 2;
}

/* The byte of a letter, or -1. */
static int letter_byte(uint32_t code)
{
    if (code <= 32 || (code >= 127 && code <= 160) || code == 173) return -1;
    if (code < LETTERS_FIRST) return (int)code;
    if (code < LETTERS_SECOND) return (int)(code - LETTERS_FIRST);
    if (code < LETTERS_THIRD) return (int)(code - LETTERS_SECOND + 127);
    return code == LETTERS_THIRD ? 173 : -1;
}

/* ---- texts by id ----------------------------------------------------------------------------- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int qr_token_byte_value(const struct qr_token *token)
{
    const char *s = token->text;

    if (token->text_n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
    int high = hex_value(s[3]), low = hex_value(s[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool qr_token_is_hidden(const struct qr_vocabulary *v, const struct qr_token *token)
{
    if (token->kind == QR_TOKEN_BYTE) return v->form != QR_FORM_SPACES;
    return token->kind != QR_TOKEN_NORMAL && token->kind != QR_TOKEN_USER;
}

static size_t letters_bytes(const struct qr_token *token, char *out)
{
    const uint8_t *s = (const uint8_t *)token->text;
    size_t out_n = 0;

    for (size_t at = 0; at < token->text_n;) {
        size_t n = qr_utf8_character(token->text + at, token->text_n - at);
        int byte = -1;
        if (n == 1) byte = letter_byte(s[at]);
        if (n == 2) byte = letter_byte((uint32_t)(s[at] & 0x1f) << 6 | (s[at + 1] & 0x3f));
        if (byte >= 0) {
            if (out) out[out_n] = (char)byte;
            out_n++;
        } else {
            if (n == 0) n = 1;
            if (out) memcpy(out + out_n, s + at, n);
            out_n += n;
        }
        at += n;
    }
    return out_n;
}

static size_t spaces_bytes(const struct qr_token *token, char *out)
{
    size_t out_n = 0;

    for (size_t at = 0; at < token->text_n; out_n++) {
        bool mark = token->text_n - at >= QR_SPACE_MARK_N &&
                    memcmp(token->text + at, QR_SPACE_MARK, QR_SPACE_MARK_N) == 0;
        if (out) out[out_n] = mark ? ' ' : token->text[at];
        at += mark ? QR_SPACE_MARK_N : 1;
    }
    return out_n;
}

size_t qr_token_bytes(const struct qr_vocabulary *v, const struct qr_token *token, char *out)
{
    if (token->kind == QR_TOKEN_NORMAL)
        return v->form == QR_FORM_SPACES ? spaces_bytes(token, out) : letters_bytes(token, out);
    if (token->kind == QR_TOKEN_BYTE && v->form == QR_FORM_SPACES) {
        int byte = qr_token_byte_value(token);
        if (byte >= 0) {
            if (out) *out = (char)byte;
            return 1;
        }
    }
    if (out && token->text_n) memcpy(out, token->text, token->text_n);
    return token->text_n;
}

/* ---- ids by text ----------------------------------------------------------------------------- */

/* A polynomial in the bytes.  It can be continued, so the two halves of a merge are hashed without
 * joining them.  Each byte is increased by one so that leading zeros count. */
uint64_t qr_vocabulary_hash(uint64_t hash, struct quire_text text)
{
    for (size_t i = 0; i < text.n; i++)
        hash = hash * QR_HASH_FACTOR + (uint8_t)text.data[i] + 1;
    return hash;
}

/* The low bits depend on the last bytes only, so they are mixed. */
static uint32_t hash_end(uint64_t hash)
{
    hash ^= hash >> 32;
    return (uint32_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static uint32_t hash_of(struct quire_text left, struct quire_text right)
{
    return hash_end(qr_vocabulary_hash(qr_vocabulary_hash(0, left), right));
}

static bool same(const struct qr_token *token, struct quire_text left, struct quire_text right)
{
    return token->text_n == left.n + right.n && memcmp(token->text, left.data, left.n) == 0 &&
           (right.n == 0 || memcmp(token->text + left.n, right.data, right.n) == 0);
}

/* True if the token's text is these bytes in letters. */
static bool is_in_letters(const struct qr_token *token, struct quire_text bytes)
{
    char letter[2];
    size_t at = 0;

    for (size_t i = 0; i < bytes.n; i++) {
        size_t n = qr_vocabulary_letter((uint8_t)bytes.data[i], letter);
        if (at + n > token->text_n || memcmp(token->text + at, letter, n) != 0) return false;
        at += n;
    }
    return at == token->text_n;
}

/* The slot of the text, or the free slot for it. */
static struct qr_vocabulary_slot *slot_of(const struct qr_vocabulary *v, struct quire_text left,
                                          struct quire_text right, uint32_t hash)
{
    for (uint32_t i = hash & v->mask;; i = (i + 1) & v->mask) {
        struct qr_vocabulary_slot *slot = &v->slots[i];
        if (slot->id == QR_ID_NONE) return slot;
        if (slot->hash == hash && same(&v->tokens[slot->id], left, right)) return slot;
    }
}

int qr_vocabulary_init(struct qr_vocabulary *v, enum qr_vocabulary_form form,
                       const struct quire_text *texts, const int32_t *kinds, uint32_t tokens_n,
                       const struct quire_allocator *allocator, struct quire_error *error)
{
    *v = (struct qr_vocabulary){.form = form, .tokens_n = tokens_n};
    if (tokens_n == 0) return qr_error(error, QUIRE_BAD_FILE, "tokenizer.ggml.tokens is empty");
    if (tokens_n > QR_VOCAB_MAX)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "tokenizer.ggml.tokens has %u tokens; at most %u are supported", tokens_n,
                        QR_VOCAB_MAX);
    uint32_t slots_n = 16;
    while (slots_n < 2 * tokens_n)
        slots_n *= 2;
    v->mask = slots_n - 1;
    v->tokens = qr_alloc(allocator, tokens_n * sizeof *v->tokens);
    v->slots = qr_alloc(allocator, slots_n * sizeof *v->slots);
    if (!v->tokens || !v->slots) {
        qr_vocabulary_deinit(v, allocator);
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for a vocabulary of %u tokens",
                        tokens_n);
    }
    memset(v->slots, 0xff, slots_n * sizeof *v->slots);
    for (uint32_t id = 0; id < tokens_n; id++) {
        int32_t kind = kinds ? kinds[id] : QR_TOKEN_NORMAL;
        if (texts[id].n > QR_TOKEN_TEXT_MAX || kind < 0 || kind > QR_TOKEN_BYTE) {
            qr_vocabulary_deinit(v, allocator);
            return qr_error(error, QUIRE_BAD_FILE,
                            "token %u has %zu bytes and type %d; expected at most %u bytes and a "
                            "type of 0 to 6",
                            id, texts[id].n, (int)kind, QR_TOKEN_TEXT_MAX);
        }
        v->tokens[id] = (struct qr_token){
            .text = texts[id].data, .text_n = (uint32_t)texts[id].n, .kind = (uint8_t)kind};
        if (texts[id].n == 0) continue;
        struct quire_text none = {NULL, 0};
        uint32_t hash = hash_of(texts[id], none);
        *slot_of(v, texts[id], none, hash) = (struct qr_vocabulary_slot){.hash = hash, .id = id};
    }
    return QUIRE_OK;
}

void qr_vocabulary_deinit(struct qr_vocabulary *v, const struct quire_allocator *allocator)
{
    qr_free(allocator, v->tokens);
    qr_free(allocator, v->slots);
    *v = (struct qr_vocabulary){0};
}

uint32_t qr_vocabulary_find(const struct qr_vocabulary *v, struct quire_text left,
                            struct quire_text right)
{
    if (left.n == 0) {
        left = right;
        right = (struct quire_text){NULL, 0};
    }
    if (left.n == 0 || left.n > QR_TOKEN_TEXT_MAX || right.n > QR_TOKEN_TEXT_MAX) return QR_ID_NONE;
    return slot_of(v, left, right, hash_of(left, right))->id;
}

uint32_t qr_vocabulary_find_hashed(const struct qr_vocabulary *v, struct quire_text text,
                                   uint64_t hash)
{
    if (text.n == 0 || text.n > QR_TOKEN_TEXT_MAX) return QR_ID_NONE;
    return slot_of(v, text, (struct quire_text){NULL, 0}, hash_end(hash))->id;
}

uint32_t qr_vocabulary_find_bytes(const struct qr_vocabulary *v, struct quire_text bytes)
{
    char letter[2];
    uint64_t hash = 0;

    if (bytes.n > QR_TOKEN_TEXT_MAX) return QR_ID_NONE;
    for (size_t i = 0; i < bytes.n; i++) {
        struct quire_text text = {letter, qr_vocabulary_letter((uint8_t)bytes.data[i], letter)};
        hash = qr_vocabulary_hash(hash, text);
    }
    uint32_t wanted = hash_end(hash);
    for (uint32_t i = wanted & v->mask;; i = (i + 1) & v->mask) {
        const struct qr_vocabulary_slot *slot = &v->slots[i];
        if (slot->id == QR_ID_NONE) return QR_ID_NONE;
        if (slot->hash != wanted) continue;
        const struct qr_token *token = &v->tokens[slot->id];
        if (token->kind == QR_TOKEN_NORMAL && is_in_letters(token, bytes)) return slot->id;
    }
}
