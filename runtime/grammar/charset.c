/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/charset.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void qr_charset_add(struct qr_budget *b, struct qr_charset *s, uint32_t first, uint32_t last)
{
    if (!QR_RESERVE(b, s, ranges, s->n + 1)) return;
    s->ranges[s->n++] = (struct qr_code_range){first, last};
}

void qr_charset_add_set(struct qr_budget *b, struct qr_charset *s, const struct qr_charset *other)
{
    for (size_t i = 0; i < other->n; i++)
        qr_charset_add(b, s, other->ranges[i].first, other->ranges[i].last);
}

static int compare_ranges(const void *a, const void *b)
{
    const struct qr_code_range *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

void qr_charset_tidy(struct qr_charset *s)
{
    size_t kept = 0;

    if (s->n) qsort(s->ranges, s->n, sizeof *s->ranges, compare_ranges);
    for (size_t i = 0; i < s->n; i++) {
        struct qr_code_range r = s->ranges[i];
        if (kept && r.first <= s->ranges[kept - 1].last + 1) {
            if (r.last > s->ranges[kept - 1].last) s->ranges[kept - 1].last = r.last;
        } else {
            s->ranges[kept++] = r;
        }
    }
    s->n = kept;
}

void qr_charset_complement(struct qr_budget *b, struct qr_charset *s)
{
    uint32_t next = 0;
    size_t kept = 0;

    if (!QR_RESERVE(b, s, ranges, s->n + 1)) return;
    for (size_t i = 0; i < s->n; i++) {
        struct qr_code_range r = s->ranges[i];
        if (r.first > next) s->ranges[kept++] = (struct qr_code_range){next, r.first - 1};
        next = r.last + 1;
    }
    if (next <= QR_CODE_MAX) s->ranges[kept++] = (struct qr_code_range){next, QR_CODE_MAX};
    s->n = kept;
}

bool qr_charset_add_category(struct qr_budget *b, struct qr_charset *s, const char *name, size_t n)
{
    uint32_t first = 0;
    bool inside = false;

    if (n == 3 && memcmp(name, "Any", 3) == 0) {
        qr_charset_add(b, s, 0, QR_CODE_MAX);
        return true;
    }
    if (n == 5 && memcmp(name, "ASCII", 5) == 0) {
        qr_charset_add(b, s, 0, 0x7f);
        return true;
    }
    if (n < 1 || n > 2 || !strchr("LMNPSZC", name[0])) return false;
    for (uint32_t c = 0; c <= QR_CODE_MAX + 1; c++) {
        const char *category = c > QR_CODE_MAX ? "" : utf8proc_category_string((utf8proc_int32_t)c);
        bool in = category[0] && strncmp(category, name, n) == 0;
        if (in && !inside) first = c;
        if (!in && inside) qr_charset_add(b, s, first, c - 1);
        inside = in;
    }
    return true;
}

void qr_charset_free(struct qr_budget *b, struct qr_charset *s)
{
    qr_array_free(b, s->ranges);
    b->bytes_left += s->ranges_capacity * sizeof *s->ranges;
    *s = (struct qr_charset){0};
}

/* ---- in a JSON string ----------------------------------------------------------------------- */

static qr_rx hex_digits(struct qr_rx_pool *pool, uint32_t code, uint32_t n)
{
    qr_rx all = QR_RX_EMPTY;

    for (uint32_t i = 0; i < n; i++) {
        uint8_t digit = (uint8_t)(code >> 4 * i & 15);
        struct qr_byte_set set = {0};
        if (digit < 10) {
            qr_byte_set_add(&set, (uint8_t)('0' + digit), (uint8_t)('0' + digit));
        } else {
            qr_byte_set_add(&set, (uint8_t)('a' + digit - 10), (uint8_t)('a' + digit - 10));
            qr_byte_set_add(&set, (uint8_t)('A' + digit - 10), (uint8_t)('A' + digit - 10));
        }
        all = qr_rx_cat(pool, qr_rx_set(pool, &set), all);
    }
    return all;
}

/* A character that has to be escaped. */
static qr_rx escaped(struct qr_rx_pool *pool, uint32_t code)
{
    static const char codes[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    const char *at = code ? strchr(codes, (int)code) : NULL;

    if (at) {
        char text[3] = {'\\', letters[at - codes], 0};
        return qr_rx_text(pool, text);
    }
    return qr_rx_cat(pool, qr_rx_text(pool, "\\u"), hex_digits(pool, code, 4));
}

qr_rx qr_charset_write(struct qr_rx_pool *pool, const struct qr_charset *s, enum qr_writing writing)
{
    /* what a JSON string may hold as it is */
    static const struct qr_code_range raw[] = {{0x20, 0x21}, {0x23, 0x5b}, {0x5d, QR_CODE_MAX}};
    qr_rx all = QR_RX_NONE;

    if (writing == QR_WRITING_PLAIN) return qr_rx_chars(pool, s->ranges, s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct qr_code_range r = s->ranges[i];
        for (size_t j = 0; j < 3; j++) {
            struct qr_code_range both = {r.first > raw[j].first ? r.first : raw[j].first,
                                         r.last < raw[j].last ? r.last : raw[j].last};
            if (both.first <= both.last) all = qr_rx_or(pool, all, qr_rx_chars(pool, &both, 1));
        }
        for (uint32_t c = r.first; c <= r.last && c <= 0x5c; c++)
            if (c < 0x20 || c == '"' || c == '\\') all = qr_rx_or(pool, all, escaped(pool, c));
    }
    return all;
}

static qr_rx digits_of(struct qr_rx_pool *pool, const char *letters)
{
    struct qr_byte_set set = {0};

    for (; *letters; letters++)
        qr_byte_set_add(&set, (uint8_t)*letters, (uint8_t)*letters);
    return qr_rx_set(pool, &set);
}

qr_rx qr_any_char(struct qr_rx_pool *pool, enum qr_writing writing)
{
    static const struct qr_code_range raw[] = {{0x20, 0x21}, {0x23, 0x5b}, {0x5d, QR_CODE_MAX}};
    static const struct qr_code_range all[] = {{0, QR_CODE_MAX}};

    if (writing == QR_WRITING_PLAIN) return qr_rx_chars(pool, all, 1);
    qr_rx hex = digits_of(pool, "0123456789abcdefABCDEF"), backslash = qr_rx_byte(pool, '\\');
    qr_rx u = qr_rx_byte(pool, 'u'), d = digits_of(pool, "dD");
    qr_rx two = qr_rx_repeat(pool, hex, 2, 2);
    /* 0000 to D7FF and E000 to FFFF; or D800 to DBFF and then DC00 to DFFF */
    qr_rx single = qr_rx_or(
        pool,
        qr_rx_cat(pool, digits_of(pool, "0123456789abcABCefEF"), qr_rx_repeat(pool, hex, 3, 3)),
        qr_rx_cat(pool, d, qr_rx_cat(pool, digits_of(pool, "01234567"), two)));
    qr_rx high = qr_rx_cat(pool, d, qr_rx_cat(pool, digits_of(pool, "89abAB"), two));
    qr_rx low = qr_rx_cat(pool, d, qr_rx_cat(pool, digits_of(pool, "cdefCDEF"), two));
    qr_rx pair = qr_rx_cat(pool, high, qr_rx_cat(pool, backslash, qr_rx_cat(pool, u, low)));
    qr_rx code = qr_rx_cat(pool, u, qr_rx_or(pool, single, pair));
    qr_rx escape = qr_rx_cat(pool, backslash, qr_rx_or(pool, digits_of(pool, "\"\\/bfnrt"), code));
    return qr_rx_or(pool, qr_rx_chars(pool, raw, 3), escape);
}
