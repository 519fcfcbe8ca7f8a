/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/pattern.h"

#include <assert.h>
#include <string.h>
#include <utf8proc.h>

#define GROUPS_MAX 64u /* within one another */
#define REPEAT_MAX 100000u

/* Anchors are written as bytes that no text has.  A text s matches if BEGIN.. s END.. does, with
 * any number of each; see resolve_anchors. */
#define BEGIN_BYTE  0xfeu
#define END_BYTE    0xffu
#define ANCHORS_MAX 8u

struct group {
    qr_rx alternatives, sequence;
    qr_rx atom; /* the last one, which a quantifier may follow */
    bool quantified;
    bool has_atom;
};

struct parser {
    struct qr_rx_pool *pool;
    const char *text;
    size_t n, at;
    enum qr_writing writing;
    struct group groups[GROUPS_MAX];
    uint32_t depth;
    struct qr_pattern_error *error;
    bool failed;
};

static bool complain(struct parser *p, size_t at, const char *complaint)
{
    if (!p->failed) *p->error = (struct qr_pattern_error){at, complaint};
    p->failed = true;
    return false;
}

static bool next_is(const struct parser *p, const char *text)
{
    size_t n = strlen(text);

    return p->n - p->at >= n && memcmp(p->text + p->at, text, n) == 0;
}

static bool take(struct parser *p, const char *text)
{
    if (!next_is(p, text)) return false;
    p->at += strlen(text);
    return true;
}

static bool take_code(struct parser *p, uint32_t *code)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)p->text + p->at,
                                             (utf8proc_ssize_t)(p->n - p->at), &c);

    if (used <= 0) return complain(p, p->at, "the pattern is not valid UTF-8");
    p->at += (size_t)used;
    *code = (uint32_t)c;
    return true;
}

/* ---- escapes and classes -------------------------------------------------------------------- */

static bool take_hex(struct parser *p, size_t digits_n, uint32_t *code)
{
    static const char digits[] = "0123456789abcdef";

    *code = 0;
    for (size_t i = 0; i < digits_n; i++, p->at++) {
        const char *digit =
            p->at < p->n && p->text[p->at] ? strchr(digits, p->text[p->at] | 0x20) : NULL;
        if (!digit) return complain(p, p->at, "expected a hexadecimal digit");
        *code = *code * 16 + (uint32_t)(digit - digits);
    }
    return true;
}

static bool take_unicode(struct parser *p, uint32_t *code)
{
    if (take(p, "{")) {
        size_t digits_n = 0;
        while (p->at + digits_n < p->n && p->text[p->at + digits_n] != '}')
            digits_n++;
        if (digits_n < 1 || digits_n > 6) return complain(p, p->at, "expected \\u{1 to 6 digits}");
        if (!take_hex(p, digits_n, code) || !take(p, "}")) return false;
        return *code <= QR_CODE_MAX || complain(p, p->at, "a code point past U+10FFFF");
    }
    if (!take_hex(p, 4, code)) return false;
    if (*code >= 0xd800 && *code < 0xdc00 && next_is(p, "\\u")) {
        uint32_t low;
        p->at += 2;
        if (!take_hex(p, 4, &low)) return false;
        if (low < 0xdc00 || low > 0xdfff) return complain(p, p->at, "half a surrogate pair");
        *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    }
    return true;
}

static void add_class(struct parser *p, struct qr_charset *set, char letter)
{
    static const struct qr_code_range spaces[] = {
        {9, 13},          {0x20, 0x20},     {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
        {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    struct qr_budget *b = p->pool->budget;
    struct qr_charset own = {0};

    switch (letter | 0x20) {
    case 's':
        for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
            qr_charset_add(b, &own, spaces[i].first, spaces[i].last);
        break;
    case 'w':
        qr_charset_add(b, &own, 'A', 'Z');
        qr_charset_add(b, &own, 'a', 'z');
        qr_charset_add(b, &own, '_', '_');
        qr_charset_add(b, &own, '0', '9');
        break;
    default: qr_charset_add(b, &own, '0', '9');
    }
    qr_charset_tidy(&own);
    if (!(letter & 0x20)) qr_charset_complement(b, &own);
    qr_charset_add_set(b, set, &own);
    qr_charset_free(b, &own);
}

static bool take_property(struct parser *p, struct qr_charset *set, bool inverted)
{
    struct qr_budget *b = p->pool->budget;
    struct qr_charset own = {0};
    size_t begin = p->at, n = 0;

    if (take(p, "{")) {
        begin = p->at;
        while (p->at < p->n && p->text[p->at] != '}')
            p->at++;
        n = p->at - begin;
        if (!take(p, "}")) return complain(p, begin, "\\p{ without }");
    } else if (p->at < p->n) {
        n = 1;
        p->at++;
    }
    if (!qr_charset_add_category(b, &own, p->text + begin, n))
        return complain(p, begin,
                        "this Unicode property is not supported; expected a category "
                        "such as L or Lu");
    qr_charset_tidy(&own);
    if (inverted) qr_charset_complement(b, &own);
    qr_charset_add_set(b, set, &own);
    qr_charset_free(b, &own);
    return true;
}

/* After a backslash.  *single: one code point, in *code; else a class, added to set. */
static bool take_escape(struct parser *p, struct qr_charset *set, bool in_class, bool *single,
                        uint32_t *code)
{
    static const char letters[] = "tnrfv", codes[] = "\t\n\r\f\v";
    const size_t begin = p->at;

    *single = true;
    if (p->at == p->n) return complain(p, begin, "a backslash at the end");
    char c = p->text[p->at];
    const char *at = c ? strchr(letters, c) : NULL;
    if (at) {
        p->at++;
        *code = (uint32_t)(uint8_t)codes[at - letters];
        return true;
    }
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W':
    case 's':
    case 'S':
        p->at++;
        *single = false;
        add_class(p, set, c);
        return true;
    case 'p':
    case 'P':
        p->at++;
        *single = false;
        return take_property(p, set, c == 'P');
    case 'x': p->at++; return take_hex(p, 2, code);
    case 'u': p->at++; return take_unicode(p, code);
    case 'c':
        p->at++;
        if (p->at == p->n || !((p->text[p->at] | 0x20) >= 'a' && (p->text[p->at] | 0x20) <= 'z'))
            return complain(p, begin, "\\c without a letter");
        *code = (uint32_t)p->text[p->at++] & 31;
        return true;
    case '0':
        p->at++;
        *code = 0;
        return true;
    case 'b':
        if (in_class) {
            p->at++;
            *code = 8;
            return true;
        }
        return complain(p, begin, "\\b is not supported");
    default: break;
    }
    if (c >= '1' && c <= '9') return complain(p, begin, "references to groups are not supported");
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return complain(p, begin, "this escape is not supported");
    return take_code(p, code);
}

static bool take_class_member(struct parser *p, struct qr_charset *set, bool *single,
                              uint32_t *code)
{
    if (take(p, "\\")) return take_escape(p, set, true, single, code);
    *single = true;
    return take_code(p, code);
}

/* After '['. */
static bool take_class(struct parser *p, struct qr_charset *set)
{
    const size_t begin = p->at;
    const bool inverted = take(p, "^");
    bool single, last_single;
    uint32_t code, last;

    for (;;) {
        if (p->at == p->n) return complain(p, begin - 1, "[ without ]");
        if (take(p, "]")) break;
        if (next_is(p, "[:")) return complain(p, p->at, "[:class:] is not supported");
        if (!take_class_member(p, set, &single, &code)) return false;
        if (next_is(p, "-") && !next_is(p, "-]") && single) {
            size_t at = p->at++;
            if (!take_class_member(p, set, &last_single, &last)) return false;
            if (!last_single) { /* [a-\d]: three members */
                qr_charset_add(p->pool->budget, set, '-', '-');
                last = code;
            }
            if (last < code) return complain(p, at, "a range that ends before it begins");
            qr_charset_add(p->pool->budget, set, code, last);
        } else if (single) {
            qr_charset_add(p->pool->budget, set, code, code);
        }
    }
    qr_charset_tidy(set);
    if (inverted) qr_charset_complement(p->pool->budget, set);
    return true;
}

/* ---- structure ------------------------------------------------------------------------------ */

static struct group *group(struct parser *p)
{
    return &p->groups[p->depth];
}

/* The last atom joins the sequence, and a new one begins. */
static void put_atom(struct parser *p, qr_rx atom, bool quantifiable)
{
    struct group *g = group(p);

    g->sequence = qr_rx_cat(p->pool, g->sequence, g->atom);
    g->atom = atom;
    g->has_atom = quantifiable;
    g->quantified = false;
}

static void put_set(struct parser *p, struct qr_charset *set)
{
    qr_charset_tidy(set);
    put_atom(p, qr_charset_write(p->pool, set, p->writing), true);
    qr_charset_free(p->pool->budget, set);
}

static void put_code(struct parser *p, uint32_t code)
{
    struct qr_charset set = {0};

    qr_charset_add(p->pool->budget, &set, code, code);
    put_set(p, &set);
}

static void begin_group(struct parser *p)
{
    p->groups[p->depth] =
        (struct group){.alternatives = QR_RX_NONE, .sequence = QR_RX_EMPTY, .atom = QR_RX_EMPTY};
}

static void end_alternative(struct parser *p)
{
    struct group *g = group(p);

    g->alternatives = qr_rx_or(p->pool, g->alternatives, qr_rx_cat(p->pool, g->sequence, g->atom));
    g->sequence = g->atom = QR_RX_EMPTY;
    g->has_atom = false;
}

/* "{m}", "{m,}", "{m,n}" at p->at.  False: it is something else, or an error. */
static bool take_bounds(struct parser *p, uint32_t *min, uint32_t *max)
{
    size_t at = p->at + 1;
    uint64_t bounds[2] = {0, 0};
    size_t digits[2] = {0, 0}, which = 0;

    for (; at < p->n && p->text[at] != '}'; at++) {
        char c = p->text[at];
        if (c == ',' && which == 0)
            which = 1;
        else if (c >= '0' && c <= '9' && bounds[which] <= REPEAT_MAX)
            bounds[which] = bounds[which] * 10 + (uint64_t)(c - '0'), digits[which]++;
        else if (!(c >= '0' && c <= '9'))
            return false;
    }
    if (at == p->n || digits[0] == 0) return false;
    if (bounds[0] > REPEAT_MAX || bounds[1] > REPEAT_MAX)
        return complain(p, p->at, "a repetition of more than 100,000");
    *min = (uint32_t)bounds[0];
    *max = which == 0 ? *min : digits[1] ? (uint32_t)bounds[1] : QR_RX_UNBOUNDED;
    if (*max < *min) return complain(p, p->at, "a repetition that ends before it begins");
    p->at = at + 1;
    return true;
}

static bool take_quantifier(struct parser *p)
{
    struct group *g = group(p);
    const size_t begin = p->at;
    uint32_t min = 0, max = QR_RX_UNBOUNDED;

    if (take(p, "+"))
        min = 1;
    else if (take(p, "?"))
        max = 1;
    else if (!take(p, "*") && !take_bounds(p, &min, &max))
        return false;
    if (!g->has_atom || g->quantified)
        return complain(p, begin, "a quantifier without anything to repeat");
    if (next_is(p, "+")) return complain(p, p->at, "possessive quantifiers are not supported");
    (void)take(p, "?");
    g->atom = qr_rx_repeat(p->pool, g->atom, min, max);
    g->quantified = true;
    return true;
}

static bool open_group(struct parser *p)
{
    const size_t begin = p->at;

    if (take(p, "?")) {
        if (next_is(p, "=") || next_is(p, "!"))
            return complain(p, begin, "look-ahead is not supported");
        if (next_is(p, "<=") || next_is(p, "<!"))
            return complain(p, begin, "look-behind is not supported");
        if (take(p, "P<") || take(p, "<")) {
            while (p->at < p->n && p->text[p->at] != '>')
                p->at++;
            if (!take(p, ">")) return complain(p, begin, "a group's name without >");
        } else if (!take(p, ":")) {
            return complain(p, begin, "inline flags are not supported");
        }
    }
    if (p->depth + 1 == GROUPS_MAX) return complain(p, begin, "groups nest deeper than 63");
    p->depth++;
    begin_group(p);
    return true;
}

static bool parse_one(struct parser *p)
{
    const size_t begin = p->at;
    struct qr_charset set = {0};
    bool single = true;
    uint32_t code;

    if (take(p, "(")) return open_group(p);
    if (take(p, ")")) {
        if (p->depth == 0) return complain(p, begin, ") without (");
        end_alternative(p);
        qr_rx inner = group(p)->alternatives;
        p->depth--;
        put_atom(p, inner, true);
        return true;
    }
    if (take(p, "|")) {
        end_alternative(p);
        return true;
    }
    if (take(p, "^")) {
        put_atom(p, qr_rx_byte(p->pool, BEGIN_BYTE), false);
        return true;
    }
    if (take(p, "$")) {
        put_atom(p, qr_rx_byte(p->pool, END_BYTE), false);
        return true;
    }
    if (next_is(p, "*") || next_is(p, "+") || next_is(p, "?") || next_is(p, "{")) {
        if (take_quantifier(p)) return true;
        if (p->failed) return false;
    }
    if (take(p, ".")) { /* all but the ends of lines */
        qr_charset_add(p->pool->budget, &set, '\n', '\n');
        qr_charset_add(p->pool->budget, &set, '\r', '\r');
        qr_charset_add(p->pool->budget, &set, 0x2028, 0x2029);
        qr_charset_complement(p->pool->budget, &set);
        put_set(p, &set);
        return true;
    }
    bool ok = true;
    if (take(p, "[")) {
        single = false;
        ok = take_class(p, &set);
    } else if (take(p, "\\")) {
        ok = take_escape(p, &set, false, &single, &code);
    } else {
        ok = take_code(p, &code);
    }
    if (ok && single)
        put_code(p, code);
    else if (ok)
        put_set(p, &set);
    qr_charset_free(p->pool->budget, &set);
    return ok;
}

/* ---- anchors -------------------------------------------------------------------------------- */

/* From the texts with anchors' bytes to the texts that they match. */
static qr_rx resolve_anchors(struct parser *p, qr_rx rx, bool search)
{
    struct qr_rx_pool *pool = p->pool;
    qr_rx begins = qr_rx_byte(pool, BEGIN_BYTE), ends = qr_rx_byte(pool, END_BYTE);
    qr_rx any = qr_rx_repeat(pool, qr_any_char(pool, p->writing), 0, QR_RX_UNBOUNDED);
    qr_rx before = qr_rx_repeat(pool, begins, 0, QR_RX_UNBOUNDED);
    qr_rx after = qr_rx_repeat(pool, ends, 0, QR_RX_UNBOUNDED);

    if (search) { /* what is skipped, from the text's border on */
        before = qr_rx_optional(
            pool, qr_rx_cat(pool, qr_rx_repeat(pool, begins, 1, QR_RX_UNBOUNDED), any));
        after = qr_rx_optional(pool,
                               qr_rx_cat(pool, any, qr_rx_repeat(pool, ends, 1, QR_RX_UNBOUNDED)));
    }
    qr_rx left = qr_rx_cat(pool, before, qr_rx_cat(pool, rx, after)), all = QR_RX_NONE;
    for (uint32_t i = 0; i < ANCHORS_MAX; i++) {
        left = qr_rx_derive(pool, left, BEGIN_BYTE);
        all = qr_rx_or(pool, all, left);
    }
    qr_rx right = all;
    all = QR_RX_NONE;
    for (uint32_t i = 0; i < ANCHORS_MAX; i++) {
        right = qr_rx_before(pool, right, END_BYTE);
        all = qr_rx_or(pool, all, right);
    }
    return qr_rx_without(pool, all, BEGIN_BYTE, END_BYTE);
}

bool qr_pattern_compile(struct qr_rx_pool *pool, const char *text, size_t n,
                        enum qr_writing writing, bool search, qr_rx *rx,
                        struct qr_pattern_error *error)
{
    struct parser p = {.pool = pool, .text = text, .n = n, .writing = writing, .error = error};

    *error = (struct qr_pattern_error){0};
    begin_group(&p);
    while (p.at < n && !pool->budget->failed)
        if (!parse_one(&p)) return false;
    if (p.depth) return complain(&p, n, "( without )");
    end_alternative(&p);
    *rx = resolve_anchors(&p, p.groups[0].alternatives, search);
    if (pool->budget->failed) error->complaint = "the pattern is too large";
    return !pool->budget->failed;
}
