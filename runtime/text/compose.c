/* SPDX-License-Identifier: MIT */
#include "runtime/text/compose.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include "runtime/base/memory.h"
#include "runtime/text/utf8.h"

#define FIRST_MARK_LEAD 0xccu /* U+0300 is CC 80: text whose bytes are all smaller has no marks */
#define CLASSES_N       256u
#define RUN_SHORT       16u /* runs up to this length are ordered by insertion */

bool qr_compose_is_needless(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)text[i] >= FIRST_MARK_LEAD) return false;
    return true;
}

/* ---- characters ------------------------------------------------------------------------------ */

/* The character at text; *n is its length in bytes. */
static int32_t decode(const char *text, size_t text_n, size_t *n)
{
    const uint8_t *s = (const uint8_t *)text;
    static const uint8_t bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};

    *n = qr_utf8_character(text, text_n);
    if (*n == 0) *n = 3; /* a surrogate half */
    int32_t c = s[0] & bits[*n];
    for (size_t i = 1; i < *n; i++)
        c = (int32_t)((uint32_t)c << 6 | (s[i] & 0x3f));
    return c;
}

static unsigned class_of(int32_t c)
{
    return (unsigned)utf8proc_get_property(c)->combining_class;
}

/* ---- decomposing ----------------------------------------------------------------------------- */

/* Two bytes decompose to at most three characters, so `capacity` suffices. */
static size_t decompose(const char *text, size_t n, int32_t *out, size_t capacity)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    size_t out_n = 0, at = 0;

    while (at < n) {
        size_t bytes_n;
        int boundary = 0;
        int32_t c = decode(text + at, n - at, &bytes_n);
        utf8proc_ssize_t made = utf8proc_decompose_char(
            c, out + out_n, (utf8proc_ssize_t)(capacity - out_n), options, &boundary);
        assert(made > 0 && (size_t)made <= capacity - out_n);
        out_n += (size_t)made;
        at += bytes_n;
    }
    return out_n;
}

/* ---- order ----------------------------------------------------------------------------------- */

static void order_short(int32_t *run, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const int32_t c = run[i];
        size_t to = i;
        for (; to > 0 && class_of(run[to - 1]) > class_of(c); to--)
            run[to] = run[to - 1];
        run[to] = c;
    }
}

static void order_long(int32_t *run, size_t n, int32_t *spare)
{
    size_t places[CLASSES_N + 1] = {0};

    for (size_t i = 0; i < n; i++)
        places[class_of(run[i]) + 1]++;
    for (size_t k = 1; k <= CLASSES_N; k++)
        places[k] += places[k - 1];
    for (size_t i = 0; i < n; i++)
        spare[places[class_of(run[i])]++] = run[i];
    memcpy(run, spare, n * sizeof run[0]);
}

/* Sorts each run of marks by combining class, stable. */
static void order(int32_t *c, size_t n, int32_t *spare)
{
    size_t end;

    for (size_t begin = 0; begin < n; begin = end + 1) {
        for (end = begin; end < n && class_of(c[end]) != 0;)
            end++;
        if (end - begin > RUN_SHORT)
            order_long(c + begin, end - begin, spare);
        else
            order_short(c + begin, end - begin);
    }
}

/* ---- composing ------------------------------------------------------------------------------- */

static size_t encode(const int32_t *c, size_t n, char *out)
{
    size_t out_n = 0;
    utf8proc_uint8_t bytes[4];

    for (size_t i = 0; i < n; i++) {
        utf8proc_ssize_t made = utf8proc_encode_char(c[i], bytes);
        assert(made > 0);
        if (out) memcpy(out + out_n, bytes, (size_t)made);
        out_n += (size_t)made;
    }
    return out_n;
}

bool qr_compose(const char *text, size_t n, const struct quire_allocator *allocator, char **out,
                size_t *out_n)
{
    const size_t capacity =
        n + n / 2 + 4; /* utf8proc asks for the space of the longest character */
    size_t bytes;

    *out = NULL;
    *out_n = 0;
    if (!qr_mul(capacity, 2 * sizeof(int32_t), &bytes)) return false;
    int32_t *c = qr_alloc(allocator, bytes);
    if (!c) return false;
    size_t c_n = decompose(text, n, c, capacity);
    order(c, c_n, c + capacity);
    utf8proc_ssize_t left =
        utf8proc_normalize_utf32(c, (utf8proc_ssize_t)c_n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    assert(left >= 0 && (size_t)left <= c_n);
    *out_n = encode(c, (size_t)left, NULL);
    assert(*out_n <= 3 * n);
    *out = qr_alloc(allocator, *out_n);
    if (*out) (void)encode(c, (size_t)left, *out);
    qr_free(allocator, c);
    return *out != NULL;
}
