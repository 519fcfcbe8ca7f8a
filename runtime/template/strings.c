/* SPDX-License-Identifier: MIT */
#include "runtime/template/strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/template/chars.h"

static bool is_among(struct qr_value chars, const char *c, size_t n)
{
    for (size_t i = 0; i < chars.n;) {
        size_t used = qr_char_n(chars.as.text + i, chars.n - i);
        if (used == n && memcmp(chars.as.text + i, c, n) == 0) return true;
        i += used;
    }
    return false;
}

/* The offset of the last character of text[0, n). */
static size_t last_char(const char *text, size_t n)
{
    for (size_t back = 1; back <= 4 && back <= n; back++) {
        if (qr_char_n(text + n - back, back) == back && back > 1) return n - back;
        if (((unsigned char)text[n - back] & 0xc0) != 0x80) break;
    }
    return n - 1;
}

struct qr_value qr_string_strip(struct qr_render *r, struct qr_value text, struct qr_value chars,
                                unsigned sides)
{
    const char *s = text.as.text;
    size_t from = 0, to = text.n;

    qr_run_charge(&r->run, text.n);
    if (chars.kind == QR_V_UNSET || chars.kind == QR_V_NONE) {
        if (sides & QR_FRONT) from = qr_chars_space_front(s, to);
        if (sides & QR_BACK) to -= qr_chars_space_back(s + from, to - from);
        return qr_value_text(s + from, to - from);
    }
    if (chars.kind != QR_V_STRING)
        qr_run_fail(&r->run, "strip arg must be None or str, not %s", qr_value_type_name(chars));
    while ((sides & QR_FRONT) && from < to) {
        size_t n = qr_char_n(s + from, to - from);
        qr_run_charge(&r->run, chars.n);
        if (!is_among(chars, s + from, n)) break;
        from += n;
    }
    while ((sides & QR_BACK) && to > from) {
        size_t at = from + last_char(s + from, to - from);
        qr_run_charge(&r->run, chars.n);
        if (!is_among(chars, s + at, to - at)) break;
        to = at;
    }
    return qr_value_text(s + from, to - from);
}

/* ---- case ------------------------------------------------------------------------------------ */

enum letter { KEPT, UPPER, LOWER };

static void put_letter(struct qr_render *r, struct qr_template_output *out, const char *at,
                       size_t n, uint32_t c, enum letter letter)
{
    char text[4];
    uint32_t changed = letter == UPPER ? qr_char_upper(c) : letter == LOWER ? qr_char_lower(c) : c;

    if (letter == UPPER && c == 0xdf) /* U+00DF, the only common letter that grows */
        qr_output_put(r, out, "SS", 2);
    else if (changed == c)
        qr_output_put(r, out, at, n);
    else
        qr_output_put(r, out, text, qr_char_put(changed, text));
}

static struct qr_value change_case(struct qr_render *r, struct qr_value text, enum letter first,
                                   enum letter rest)
{
    struct qr_template_output out = {0};

    for (size_t i = 0, used; i < text.n; i += used) {
        uint32_t c = qr_char_get(text.as.text + i, text.n - i, &used);
        put_letter(r, &out, text.as.text + i, used, c, i == 0 ? first : rest);
    }
    return qr_output_value(&out);
}

struct qr_value qr_string_upper(struct qr_render *r, struct qr_value text)
{
    return change_case(r, text, UPPER, UPPER);
}

struct qr_value qr_string_lower(struct qr_render *r, struct qr_value text)
{
    return change_case(r, text, LOWER, LOWER);
}

struct qr_value qr_string_capitalize(struct qr_render *r, struct qr_value text)
{
    return change_case(r, text, UPPER, LOWER);
}

struct qr_value qr_string_title(struct qr_render *r, struct qr_value text,
                                bool (*begins)(uint32_t c))
{
    struct qr_template_output out = {0};
    bool first = true;

    for (size_t i = 0, used; i < text.n; i += used) {
        uint32_t c = qr_char_get(text.as.text + i, text.n - i, &used);
        put_letter(r, &out, text.as.text + i, used, c, first ? UPPER : LOWER);
        first = begins(c);
    }
    return qr_output_value(&out);
}

bool qr_string_is_cased(struct qr_render *r, struct qr_value text, uint32_t (*to)(uint32_t))
{
    bool any = false;

    qr_run_charge(&r->run, text.n);
    for (size_t i = 0, used; i < text.n; i += used) {
        uint32_t c = qr_char_get(text.as.text + i, text.n - i, &used);
        if (!qr_char_is_cased(c)) continue;
        if (to(c) != c) return false;
        any = true;
    }
    return any;
}

struct qr_value qr_string_escape(struct qr_render *r, struct qr_value text)
{
    static const char letters[] = "&<>'\"";
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    struct qr_template_output out = {0};

    for (size_t i = 0; i < text.n; i++) {
        const char *known = text.as.text[i] ? strchr(letters, text.as.text[i]) : NULL;
        const char *put = known ? names[known - letters] : &text.as.text[i];
        qr_output_put(r, &out, put, known ? strlen(put) : 1);
    }
    text = qr_output_value(&out);
    text.markup = true;
    return text;
}

/* ---- replace, split, join -------------------------------------------------------------------- */

struct qr_value qr_string_replace(struct qr_render *r, struct qr_value text, struct qr_value from,
                                  struct qr_value to, int64_t most)
{
    struct qr_template_output out = {0};
    const char *at = text.as.text, *end = at + text.n;

    if (most == 0) return text;
    while (most != 0) {
        const char *found = from.n ? memmem(at, (size_t)(end - at), from.as.text, from.n) : at;
        if (!found) break;
        qr_run_charge(&r->run, (size_t)(found - at));
        qr_output_put(r, &out, at, (size_t)(found - at));
        qr_output_put(r, &out, to.as.text, to.n);
        at = found + from.n;
        if (most > 0) most--;
        if (from.n) continue;
        if (at == end) break; /* an empty `from` matches around each character */
        size_t n = qr_char_n(at, (size_t)(end - at));
        qr_output_put(r, &out, at, n);
        at += n;
    }
    qr_output_put(r, &out, at, (size_t)(end - at));
    return qr_output_value(&out);
}

struct qr_value qr_string_lines(struct qr_render *r, struct qr_value text, bool ends)
{
    size_t n = 0, used;

    qr_run_charge(&r->run, text.n);
    for (int pass = 0;; pass++) {
        struct qr_value list = {0};
        if (pass) list = qr_list_make(&r->run, QR_LIST, n);
        n = 0;
        for (size_t i = 0; i < text.n; n++) {
            size_t from = i, end = text.n, next = text.n;
            for (; i < text.n; i += used) {
                if (!qr_char_is_line(qr_char_get(text.as.text + i, text.n - i, &used))) continue;
                bool both =
                    text.as.text[i] == '\r' && i + 1 < text.n && text.as.text[i + 1] == '\n';
                end = i;
                next = i + used + both;
                break;
            }
            i = next;
            if (pass)
                list.as.list->items[n] =
                    qr_value_text(text.as.text + from, (ends ? next : end) - from);
        }
        if (pass) return list;
    }
}

struct qr_value qr_string_join(struct qr_render *r, struct qr_value between,
                               const struct qr_list *list, bool texts_only)
{
    struct qr_template_output out = {0};

    for (size_t i = 0; i < list->n; i++) {
        if (texts_only && list->items[i].kind != QR_V_STRING)
            qr_run_fail(&r->run, "sequence item %zu: expected str instance, %s found", i,
                        qr_value_type_name(list->items[i]));
        if (i) qr_output_put(r, &out, between.as.text, between.n);
        qr_print(r, &out, list->items[i]);
    }
    return qr_output_value(&out);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Copies the text without outer white space and without underscores between digits; adds a NUL. */
static bool number_text(struct qr_value text, char *out, size_t capacity)
{
    size_t from = qr_chars_space_front(text.as.text, text.n), n = 0;
    size_t to = text.n - qr_chars_space_back(text.as.text + from, text.n - from);

    for (size_t i = from; i < to; i++) {
        char c = text.as.text[i];
        if (c == '_' && i > from && i + 1 < to &&
            qr_char_is_alnum((unsigned char)out[n - (n > 0)]) && text.as.text[i + 1] != '_')
            continue;
        if (n + 1 == capacity || c <= ' ' || c == '_') return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0;
}

bool qr_string_parse_int(struct qr_value text, int64_t base, int64_t *out)
{
    char digits[80], *end;

    if (base < 0 || base > 36 || base == 1 || !number_text(text, digits, sizeof digits))
        return false;
    char *at = digits + (digits[0] == '-' || digits[0] == '+');
    if (at[0] == '0' && (at[1] | 0x20) >= 'a') { /* 0x, 0o, 0b: base 16, 8, 2 or 0 */
        char x = (char)(at[1] | 0x20);
        int prefix = x == 'x' ? 16 : x == 'o' ? 8 : x == 'b' ? 2 : 0;
        if (prefix && (base == prefix || base == 0)) {
            memmove(at, at + 2, strlen(at + 2) + 1);
            base = prefix;
        }
    }
    if (base == 0) base = 10;
    if (!qr_char_is_alnum((unsigned char)*at)) return false;
    /* strtoll would accept another 0x. */
    if (base == 16 && at[0] == '0' && (at[1] | 0x20) == 'x') return false;
    errno = 0;
    *out = strtoll(digits, &end, (int)base);
    return *end == '\0' && errno == 0;
}

bool qr_string_parse_float(struct qr_value text, double *out)
{
    char digits[400], *end;

    if (!number_text(text, digits, sizeof digits) || strpbrk(digits, "xXpP(")) return false;
    *out = strtod(digits, &end);
    return *end == '\0';
}
