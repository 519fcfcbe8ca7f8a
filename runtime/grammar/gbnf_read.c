/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "runtime/base/error.h"
#include "runtime/grammar/charset.h"
#include "runtime/grammar/gbnf_parts.h"

#define REPEAT_MAX 100000u
#define NO_ELEMENT SIZE_MAX

/* A rule, or a group within it, that goes on. */
struct open {
    uint32_t rule;
    size_t at;
    size_t element; /* that refers to the group */
};

#define BUCKETS 1024u

struct reader {
    struct qr_gbnf *g;
    size_t at;
    struct open *open;
    size_t open_n, open_capacity;
    char *literal;
    size_t literal_n, literal_capacity;
    size_t last;               /* the element that a quantifier repeats, or NO_ELEMENT */
    uint32_t buckets[BUCKETS]; /* the last rule with a name of this hash */
};

bool qr_gbnf_refuse(struct qr_gbnf *g, size_t at, const char *format, ...)
{
    uint32_t line = 1, column = 1;
    char text[160];
    va_list list;

    if (g->status) return false;
    for (size_t i = 0; i < at && i < g->text_n; i++) {
        if (g->text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)g->text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    g->status = qr_error_field(g->error, QUIRE_INVALID, "grammar", "line %u, column %u: %s", line,
                               column, text);
    return false;
}

/* ---- characters ----------------------------------------------------------------------------- */

/* The byte at an offset from where the reader is; 0 at the end, as for a NUL, which no rule has. */
static char peek(const struct reader *r, size_t ahead)
{
    return r->at + ahead < r->g->text_n ? r->g->text[r->at + ahead] : 0;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Passes blanks, comments and line breaks.  True: there was a line break. */
static bool skip_space(struct reader *r)
{
    bool line = false;

    for (;; r->at++) {
        if (peek(r, 0) == '#')
            while (r->at < r->g->text_n && peek(r, 0) != '\n')
                r->at++;
        char c = peek(r, 0);
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return line;
        line = line || c == '\n' || c == '\r';
    }
}

static bool read_hex(struct reader *r, size_t digits, uint32_t *code)
{
    size_t begin = r->at;

    *code = 0;
    for (r->at += 2; digits-- > 0; r->at++) {
        char c = peek(r, 0);
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return qr_gbnf_refuse(r->g, begin,
                                  "an escape without its hexadecimal digits; expected \\xHH, "
                                  "\\uHHHH or \\UHHHHHHHH");
        *code = *code << 4 | digit;
    }
    if (*code > QR_CODE_MAX || (*code >= 0xd800 && *code < 0xe000))
        return qr_gbnf_refuse(r->g, begin, "U+%04X is not a character", *code);
    return true;
}

/* One character of a literal or class, escaped or not. */
static bool read_char(struct reader *r, uint32_t *code)
{
    static const char letters[] = "nrtfvba0", codes[] = "\n\r\t\f\v\b\a";
    char c = peek(r, 0), next = peek(r, 1);

    if (c == '\\') {
        if (next == 'x') return read_hex(r, 2, code);
        if (next == 'u') return read_hex(r, 4, code);
        if (next == 'U') return read_hex(r, 8, code);
        const char *known = next ? strchr(letters, next) : NULL;
        if (!known && (!next || is_name(next) || (unsigned char)next > 0x7e || next < ' '))
            if (next != '-' && next != '_')
                return qr_gbnf_refuse(r->g, r->at, "an escape that is not known");
        *code = known ? (unsigned char)codes[known - letters] : (unsigned char)next;
        r->at += 2;
        return true;
    }
    utf8proc_int32_t decoded;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)r->g->text + r->at,
                                             (utf8proc_ssize_t)(r->g->text_n - r->at), &decoded);
    if (used <= 0) return qr_gbnf_refuse(r->g, r->at, "a byte that is not UTF-8");
    *code = (uint32_t)decoded;
    r->at += (size_t)used;
    return true;
}

/* ---- elements ------------------------------------------------------------------------------- */

static bool add_element(struct reader *r, struct qr_gbnf_element element)
{
    struct qr_gbnf *g = r->g;

    if (!QR_RESERVE(g->budget, g, elements, g->elements_n + 1)) return false;
    element.of = r->open[r->open_n - 1].rule;
    element.alternative = g->rules[element.of].alternatives_n - 1;
    element.min = element.max = 1;
    r->last = g->elements_n;
    g->elements[g->elements_n++] = element;
    return true;
}

static bool add_regex(struct reader *r, size_t at, qr_rx rx, size_t size)
{
    return add_element(
        r, (struct qr_gbnf_element){.rule = QR_GBNF_NO_RULE,
                                    .rx = rx,
                                    .size = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX,
                                    .at = at});
}

static bool read_literal(struct reader *r)
{
    const size_t begin = r->at++;

    for (r->literal_n = 0; peek(r, 0) != '"';) {
        uint32_t code;
        if (r->at >= r->g->text_n || peek(r, 0) == '\n')
            return qr_gbnf_refuse(r->g, begin, "a text without its closing \"");
        if (!read_char(r, &code) || !QR_RESERVE(r->g->budget, r, literal, r->literal_n + 4))
            return false;
        r->literal_n += (size_t)utf8proc_encode_char((utf8proc_int32_t)code,
                                                     (utf8proc_uint8_t *)r->literal + r->literal_n);
    }
    r->at++;
    return add_regex(r, begin, qr_rx_bytes(r->g->pool, r->literal, r->literal_n), r->literal_n);
}

static bool read_ranges(struct reader *r, size_t begin, struct qr_charset *set)
{
    while (peek(r, 0) != ']') {
        uint32_t first, last;
        if (r->at >= r->g->text_n || peek(r, 0) == '\n')
            return qr_gbnf_refuse(r->g, begin, "a class without its closing ]");
        size_t at = r->at;
        if (!read_char(r, &first)) return false;
        last = first;
        if (peek(r, 0) == '-' && peek(r, 1) != ']') {
            r->at++;
            if (r->at >= r->g->text_n || !read_char(r, &last))
                return qr_gbnf_refuse(r->g, begin, "a class without its closing ]");
        }
        if (last < first) return qr_gbnf_refuse(r->g, at, "a range that ends before it begins");
        qr_charset_add(r->g->budget, set, first, last);
    }
    r->at++;
    return true;
}

static bool read_class(struct reader *r)
{
    const size_t begin = r->at++;
    struct qr_charset set = {0};
    const bool other = peek(r, 0) == '^';

    if (other) r->at++;
    bool ok = read_ranges(r, begin, &set);
    if (ok && set.n == 0 && !other) ok = qr_gbnf_refuse(r->g, begin, "an empty class");
    if (ok) {
        qr_charset_tidy(&set);
        if (other) qr_charset_complement(r->g->budget, &set);
        ok = add_regex(r, begin, qr_charset_write(r->g->pool, &set, QR_WRITING_PLAIN), 1 + set.n);
    }
    qr_charset_free(r->g->budget, &set);
    return ok;
}

static bool read_count(struct reader *r, uint32_t *count)
{
    const size_t begin = r->at;

    for (*count = 0; peek(r, 0) >= '0' && peek(r, 0) <= '9'; r->at++) {
        *count = 10 * *count + (uint32_t)(peek(r, 0) - '0');
        if (*count > REPEAT_MAX)
            return qr_gbnf_refuse(r->g, begin, "more than %u repetitions", REPEAT_MAX);
    }
    return true;
}

static bool read_quantifier(struct reader *r)
{
    const size_t begin = r->at;
    const char c = peek(r, 0);
    uint32_t min = c == '+', max = c == '?' ? 1 : QR_RX_UNBOUNDED;

    r->at++;
    if (r->last == NO_ELEMENT)
        return qr_gbnf_refuse(r->g, begin, "%c repeats nothing; expected it after an element", c);
    if (c == '{') {
        (void)skip_space(r);
        const size_t digits = r->at;
        if (!read_count(r, &min)) return false;
        const bool counted = r->at > digits;
        max = min;
        (void)skip_space(r);
        if (peek(r, 0) == ',') {
            r->at++;
            (void)skip_space(r);
            const size_t second = r->at;
            if (!read_count(r, &max)) return false;
            if (r->at == second) max = counted ? QR_RX_UNBOUNDED : 0;
            (void)skip_space(r);
        }
        if (peek(r, 0) != '}' || (!counted && max == 0))
            return qr_gbnf_refuse(r->g, begin,
                                  "a count that is not known; expected {n}, {n,}, {,m} or {n,m}");
        r->at++;
    }
    if (max < min) return qr_gbnf_refuse(r->g, begin, "a repetition that ends before it begins");
    r->g->elements[r->last].min = min;
    r->g->elements[r->last].max = max;
    r->last = NO_ELEMENT;
    return true;
}

/* ---- rules ---------------------------------------------------------------------------------- */

/* The rule of a name, made where there is none.  n = 0: a group.  NO_RULE: no memory. */
static uint32_t rule_of(struct reader *r, size_t name, size_t n)
{
    struct qr_gbnf *g = r->g;
    uint32_t hash = 0;

    for (size_t i = 0; i < n; i++)
        hash = hash * 31 + (unsigned char)g->text[name + i];
    uint32_t *bucket = &r->buckets[hash % BUCKETS];
    for (uint32_t i = *bucket; n && i != QR_GBNF_NO_RULE; i = g->rules[i].next)
        if (g->rules[i].name_n == n && memcmp(g->text + g->rules[i].name, g->text + name, n) == 0)
            return i;
    if (!QR_RESERVE(g->budget, g, rules, g->rules_n + 1)) return QR_GBNF_NO_RULE;
    uint32_t rule = (uint32_t)g->rules_n++;
    g->rules[rule] =
        (struct qr_gbnf_rule){.name = name, .name_n = n, .at = name, .next = QR_GBNF_NO_RULE};
    if (n == 0) return rule;
    g->rules[rule].next = *bucket;
    return *bucket = rule;
}

static bool push_open(struct reader *r, uint32_t rule, size_t at)
{
    if (rule == QR_GBNF_NO_RULE || !QR_RESERVE(r->g->budget, r, open, r->open_n + 1)) return false;
    r->open[r->open_n++] = (struct open){rule, at, r->last};
    r->g->rules[rule].defined = true;
    r->g->rules[rule].alternatives_n = 1;
    r->last = NO_ELEMENT;
    return true;
}

/* Whether every group was closed. */
static bool groups_are_closed(struct reader *r)
{
    return r->open_n < 2 || qr_gbnf_refuse(r->g, r->open[r->open_n - 1].at, "( without )");
}

/* A name: a rule's beginning, or a reference to one. */
static bool read_name(struct reader *r, bool first_of_line)
{
    const size_t name = r->at;
    size_t n = 0;

    while (is_name(peek(r, n)))
        n++;
    r->at += n;
    const size_t after = r->at;
    (void)skip_space(r);
    bool defines = peek(r, 0) == ':' && peek(r, 1) == ':' && peek(r, 2) == '=';
    if (defines && r->open_n && (!first_of_line || !groups_are_closed(r)))
        return qr_gbnf_refuse(r->g, name, "the rule %.*s begins within a line",
                              n < 60 ? (int)n : 60, r->g->text + name);
    if (!defines && r->open_n == 0)
        return qr_gbnf_refuse(r->g, r->at, "expected ::= after the rule's name %.*s",
                              n < 60 ? (int)n : 60, r->g->text + name);
    uint32_t rule = rule_of(r, name, n);
    if (rule == QR_GBNF_NO_RULE) return false;
    if (!defines) {
        r->at = after;
        return add_element(r, (struct qr_gbnf_element){.rule = rule, .at = name});
    }
    r->at += 3;
    if (r->g->rules[rule].defined)
        return qr_gbnf_refuse(r->g, name, "a second rule %.*s", n < 60 ? (int)n : 60,
                              r->g->text + name);
    r->g->rules[rule].at = name;
    r->open_n = 0;
    return push_open(r, rule, name);
}

static bool close_group(struct reader *r)
{
    if (r->open_n < 2) return qr_gbnf_refuse(r->g, r->at, ") without (");
    r->last = r->open[--r->open_n].element;
    r->at++;
    return true;
}

/* What stands at r->at; first_of_line: a line break came before. */
static bool read_part(struct reader *r, bool first_of_line)
{
    static const struct qr_code_range all = {0, QR_CODE_MAX};
    const size_t begin = r->at;
    const char c = peek(r, 0);
    uint32_t group;

    if (is_name(c)) return read_name(r, first_of_line);
    if (r->open_n == 0) return qr_gbnf_refuse(r->g, begin, "expected a rule: name ::= ...");
    switch (c) {
    case '"': return read_literal(r);
    case '[': return read_class(r);
    case '.': r->at++; return add_regex(r, begin, qr_rx_chars(r->g->pool, &all, 1), 1);
    case '(':
        r->at++;
        group = rule_of(r, begin, 0);
        if (group == QR_GBNF_NO_RULE) return false;
        return add_element(r, (struct qr_gbnf_element){.rule = group, .at = begin}) &&
               push_open(r, group, begin);
    case ')': return close_group(r);
    case '|':
        r->at++;
        r->g->rules[r->open[r->open_n - 1].rule].alternatives_n++;
        r->last = NO_ELEMENT;
        return true;
    case '*':
    case '+':
    case '?':
    case '{': return read_quantifier(r);
    case '<':
    case '!': return qr_gbnf_refuse(r->g, begin, "token elements (%c) are not supported", c);
    default:
        return qr_gbnf_refuse(r->g, begin, "expected a text, a class, a rule's name, a group or |");
    }
}

/* Every rule that is referred to is there, and so is root. */
static bool check_names(struct qr_gbnf *g)
{
    bool root = false;

    for (size_t i = 0; i < g->rules_n; i++) {
        const struct qr_gbnf_rule *rule = &g->rules[i];
        const char *name = g->text + rule->name;
        if (!rule->defined)
            return qr_gbnf_refuse(g, rule->at, "no rule is named %.*s",
                                  rule->name_n < 60 ? (int)rule->name_n : 60, name);
        root = root || (rule->name_n == 4 && memcmp(name, "root", 4) == 0);
    }
    return root || qr_gbnf_refuse(g, g->text_n, "no rule is named root, where a grammar begins");
}

bool qr_gbnf_read(struct qr_gbnf *g)
{
    struct reader r = {.g = g, .last = NO_ELEMENT};
    bool ok = true;

    memset(r.buckets, 0xff, sizeof r.buckets);
    while (ok) {
        const bool first_of_line = skip_space(&r) || r.open_n == 0;
        if (r.at >= g->text_n) break;
        ok = read_part(&r, first_of_line) && !g->budget->failed;
    }
    ok = ok && groups_are_closed(&r) && check_names(g);
    qr_array_free(g->budget, r.open);
    qr_array_free(g->budget, r.literal);
    g->budget->bytes_left += r.open_capacity * sizeof *r.open + r.literal_capacity;
    return ok;
}
