/* SPDX-License-Identifier: MIT */
#include "runtime/template/chars.h"

#include <locale.h>
#include <wctype.h>

#define ESCAPED 0xdc00u /* plus an invalid byte */

uint32_t qr_char_get(const char *text, size_t n, size_t *used)
{
    const unsigned char *s = (const unsigned char *)text;
    uint32_t c = s[0];
    size_t more = c < 0xc2 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 0;

    *used = 1;
    if (c < 0x80) return c;
    if (more == 0 || more >= n) return ESCAPED + c;
    uint32_t value = c & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) return ESCAPED + c;
        value = value << 6 | (s[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return ESCAPED + c;
    *used = more + 1;
    return value;
}

size_t qr_char_n(const char *text, size_t n)
{
    size_t used = 1;

    if ((unsigned char)text[0] >= 0x80) (void)qr_char_get(text, n, &used);
    return used;
}

size_t qr_char_put(uint32_t c, char *out)
{
    if (c < 0x80 || (c >= ESCAPED + 0x80 && c <= ESCAPED + 0xff)) {
        out[0] = (char)(c & 0xff);
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t qr_chars_count(const char *text, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i += qr_char_n(text + i, n - i))
        count++;
    return count;
}

size_t qr_chars_at(const char *text, size_t n, size_t i)
{
    size_t at = 0;

    while (i-- > 0 && at < n)
        at += qr_char_n(text + at, n - at);
    return at;
}

/* ---- classes --------------------------------------------------------------------------------- */

bool qr_char_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool qr_char_is_line(uint32_t c)
{
    return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool qr_char_is_printed(uint32_t c)
{
    if (c < 0x7f) return c >= 0x20;
    if (qr_char_is_space(c)) return false;
    return !(c <= 0xa0 || c == 0xad || (c >= 0x600 && c <= 0x605) || c == 0x61c || c == 0x6dd ||
             c == 0x70f || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
             (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
             (c >= 0xd800 && c <= 0xf8ff) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
             (c & 0xfffe) == 0xfffe || (c >= 0xe0000 && c <= 0xe0fff) || c >= 0xf0000);
}

/* The C library's Unicode tables, independent of the host's locale; ASCII if the machine lacks the
 * C.UTF-8 locale.  The locale object is created once and never freed. */
static locale_t unicode(void)
{
    static locale_t made; /* two threads may create it at once; the loser frees its own */
    locale_t known = __atomic_load_n(&made, __ATOMIC_ACQUIRE);

    if (known) return known;
    locale_t mine = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!mine) mine = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
    if (!mine) return (locale_t)0;
    if (!__atomic_compare_exchange_n(&made, &known, mine, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        freelocale(mine);
        return known;
    }
    return mine;
}

bool qr_char_is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

bool qr_char_is_alpha(uint32_t c)
{
    if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    locale_t locale = unicode();
    return locale && iswalpha_l((wint_t)c, locale);
}

bool qr_char_is_alnum(uint32_t c)
{
    return qr_char_is_digit(c) || qr_char_is_alpha(c);
}

uint32_t qr_char_upper(uint32_t c)
{
    if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
    locale_t locale = unicode();
    return locale ? (uint32_t)towupper_l((wint_t)c, locale) : c;
}

uint32_t qr_char_lower(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    locale_t locale = unicode();
    return locale ? (uint32_t)towlower_l((wint_t)c, locale) : c;
}

bool qr_char_is_cased(uint32_t c)
{
    return qr_char_upper(c) != c || qr_char_lower(c) != c;
}

/* ---- white space at the ends ----------------------------------------------------------------- */

size_t qr_chars_space_front(const char *text, size_t n)
{
    size_t at = 0, used;

    while (at < n && qr_char_is_space(qr_char_get(text + at, n - at, &used)))
        at += used;
    return at;
}

size_t qr_chars_space_back(const char *text, size_t n)
{
    size_t end = n;

    while (end > 0) {
        size_t start = end - 1, used;
        while (start > 0 && end - start < 4 && ((unsigned char)text[start] & 0xc0) == 0x80)
            start--;
        if (!qr_char_is_space(qr_char_get(text + start, end - start, &used))) break;
        if (start + used != end) break;
        end = start;
    }
    return n - end;
}
