/* SPDX-License-Identifier: MIT */
#include "runtime/template/lexer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/template/chars.h"

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Normalises line ends to \n and drops one newline at the end. */
void qr_template_lexer_init(struct qr_template_lexer *lexer, struct qr_run *run,
                            struct quire_text source)
{
    char *text = qr_run_alloc(run, source.n);
    size_t n = 0;

    qr_run_charge(run, source.n);
    for (size_t i = 0; i < source.n; i++) {
        char c = source.data[i];
        if (c == '\r') {
            if (i + 1 < source.n && source.data[i + 1] == '\n') continue;
            c = '\n';
        }
        text[n++] = c;
    }
    if (n > 0 && text[n - 1] == '\n') n--;
    *lexer = (struct qr_template_lexer){
        .run = run, .text = text, .n = n, .line = 1, .line_starting = true};
}

static char peek(const struct qr_template_lexer *l, size_t ahead)
{
    return ahead < l->n - l->at ? l->text[l->at + ahead] : '\0';
}

static void skip(struct qr_template_lexer *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        l->line += l->text[l->at + i] == '\n';
    l->at += n;
    l->run->line = l->line;
}

static void skip_space(struct qr_template_lexer *l)
{
    skip(l, qr_chars_space_front(l->text + l->at, l->n - l->at));
}

static struct qr_template_token token(const struct qr_template_lexer *l,
                                      enum qr_template_token_kind kind, size_t from)
{
    return (struct qr_template_token){
        .kind = kind, .line = l->line, .at = l->text + from, .at_n = l->at - from};
}

/* Skips the white space after a tag: all of it after -%}, one newline after blocks and comments. */
static void end_tag(struct qr_template_lexer *l, char sign, bool trims)
{
    if (sign == '-')
        skip_space(l);
    else if (trims && sign != '+' && peek(l, 0) == '\n')
        skip(l, 1);
    l->line_starting = l->at > 0 && l->text[l->at - 1] == '\n';
}

/* ---- between tags ---------------------------------------------------------------------------- */

/* The length of data before the tag at `end`; `sign` is the character after the tag's brace. */
static size_t strip_before(const struct qr_template_lexer *l, size_t from, size_t end, char sign,
                           bool prints)
{
    if (sign == '-') return end - from - qr_chars_space_back(l->text + from, end - from);
    if (sign == '+' || prints) return end - from;
    size_t start = end;
    while (start > from && l->text[start - 1] != '\n')
        start--;
    if (start == from && !l->line_starting) return end - from;
    if (qr_chars_space_front(l->text + start, end - start) != end - start) return end - from;
    return start - from;
}

/* Matches the remainder of "{% word %}" after its sign.  Returns its end, or 0 if it does not
 * match. *sign: '-' for -%}, '+' for +%}, else '\0'. */
static size_t match_raw(const struct qr_template_lexer *l, size_t at, const char *word, char *sign)
{
    size_t n = strlen(word);

    at += qr_chars_space_front(l->text + at, l->n - at);
    if (l->n - at < n || memcmp(l->text + at, word, n) != 0) return 0;
    at += n;
    at += qr_chars_space_front(l->text + at, l->n - at);
    *sign = '\0';
    if (at < l->n && (l->text[at] == '-' || (l->text[at] == '+' && n > 3))) *sign = l->text[at++];
    return l->n - at >= 2 && memcmp(l->text + at, "%}", 2) == 0 ? at + 2 : 0;
}

/* Reads the data up to {% endraw %} and skips that tag. */
static struct qr_template_token read_raw(struct qr_template_lexer *l)
{
    size_t from = l->at;

    for (size_t end = from; end + 2 <= l->n; end++) {
        if (memcmp(l->text + end, "{%", 2) != 0) continue;
        char sign = end + 2 < l->n ? l->text[end + 2] : '\0', end_sign;
        if (sign != '-' && sign != '+') sign = '\0';
        size_t after = match_raw(l, end + 2 + (sign != '\0'), "endraw", &end_sign);
        if (!after) continue;
        struct qr_template_token t = token(l, QR_T_DATA, from);
        t.value = qr_value_text(l->text + from, strip_before(l, from, end, sign, false));
        skip(l, after - from);
        end_tag(l, end_sign, true);
        return t;
    }
    qr_run_fail(l->run, "{%% raw %%} without {%% endraw %%}");
}

static void skip_comment(struct qr_template_lexer *l)
{
    const char *end = memmem(l->text + l->at, l->n - l->at, "#}", 2);

    if (!end) qr_run_fail(l->run, "unclosed comment: expected #}");
    char before = end > l->text + l->at ? end[-1] : '\0';
    skip(l, (size_t)(end - (l->text + l->at)) + 2);
    end_tag(l, before, true);
}

/* The position of the next "{{", "{%" or "{#" at or after `at`; l->n if there is none. */
static size_t find_tag(const struct qr_template_lexer *l, size_t at)
{
    while (at < l->n) {
        const char *brace = memchr(l->text + at, '{', l->n - at);
        if (!brace) return l->n;
        at = (size_t)(brace - l->text);
        if (at + 1 < l->n && strchr("{%#", l->text[at + 1]) && l->text[at + 1]) return at;
        at++;
    }
    return l->n;
}

/* Skips the opening of a tag, or a whole comment, and sets the state.  *raw: {% raw %} was read. */
static void open_tag(struct qr_template_lexer *l, char brace, bool *raw)
{
    char sign = peek(l, 2);
    size_t signed_n = 2 + (sign == '-' || sign == '+');

    *raw = false;
    if (brace == '#') {
        skip(l, signed_n);
        skip_comment(l);
        return;
    }
    if (brace == '%') {
        char end_sign;
        size_t after = match_raw(l, l->at + signed_n, "raw", &end_sign);
        if (after) {
            skip(l, after - l->at);
            if (end_sign == '-') skip_space(l);
            l->line_starting = l->text[l->at - 1] == '\n';
            *raw = true;
            return;
        }
    }
    skip(l, signed_n);
    l->line_starting = false;
    l->state = brace == '{' ? QR_IN_PRINT : QR_IN_BLOCK;
    l->open_n = 0;
}

static struct qr_template_token next_outside(struct qr_template_lexer *l)
{
    while (l->at < l->n) {
        size_t from = l->at, end = find_tag(l, from);
        if (end == l->n) {
            struct qr_template_token t = token(l, QR_T_DATA, from);
            t.value = qr_value_text(l->text + from, end - from);
            skip(l, end - from);
            return t;
        }
        char brace = l->text[end + 1], sign = end + 2 < l->n ? l->text[end + 2] : '\0';
        size_t kept = strip_before(l, from, end, sign, brace == '{');
        struct qr_template_token data = token(l, QR_T_DATA, from);
        data.value = qr_value_text(l->text + from, kept);
        if (kept) {
            skip(l, end - from);
            /* The next call reads the tag again, with no data before it left to strip. */
            l->line_starting = false;
            return data;
        }
        skip(l, end - from);
        bool raw;
        struct qr_template_token t = token(l, brace == '{' ? QR_T_PRINT : QR_T_BLOCK, end);
        open_tag(l, brace, &raw);
        if (raw) {
            t = read_raw(l);
            if (t.value.n) return t;
            continue;
        }
        if (brace == '#') continue;
        t.at_n = 2;
        return t;
    }
    return token(l, QR_T_END, l->at);
}

/* ---- inside tags ----------------------------------------------------------------------------- */

static uint32_t read_hex(struct qr_template_lexer *l, const char *at, const char *end,
                         unsigned digits)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < digits; i++) {
        char c = at + i < end ? at[i] : '\0';
        uint32_t digit = is_digit(c) ? (uint32_t)(c - '0') : ((uint32_t)c | 0x20) - 'a' + 10;
        if (!c || digit > 15)
            qr_run_fail(l->run, "bad escape in a string: expected %u hexadecimal digits", digits);
        value = value << 4 | digit;
    }
    return value;
}

/* Reads one escape; `at` is the character after the backslash.  Appends its bytes to *out and
 * returns the end of the escape. */
static const char *read_escape(struct qr_template_lexer *l, const char *at, const char *end,
                               char **out)
{
    static const char letters[] = "abfnrtv\\'\"", bytes[] = "\a\b\f\n\r\t\v\\'\"";
    const char *known = strchr(letters, *at);
    uint32_t c = 0;
    unsigned digits = *at == 'x' ? 2 : *at == 'u' ? 4 : *at == 'U' ? 8 : 0;

    if (*at == '\n') return at + 1; /* a line continuation */
    if (*at && known) {
        *(*out)++ = bytes[known - letters];
        return at + 1;
    }
    if (digits) {
        c = read_hex(l, at + 1, end, digits);
        at += 1 + digits;
        if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            qr_run_fail(l->run, "bad escape in a string: U+%04X is not a character", (unsigned)c);
    } else if (*at >= '0' && *at <= '7') {
        for (int i = 0; i < 3 && at < end && *at >= '0' && *at <= '7'; i++)
            c = c * 8 + (uint32_t)(*at++ - '0');
    } else if (*at == 'N')
        qr_run_fail(l->run, "\\N{...} is not supported; expected \\uXXXX");
    else {
        *(*out)++ = '\\'; /* an unknown escape is kept, as in Python */
        return at;
    }
    *out += qr_char_put(c, *out);
    return at;
}

static struct qr_value unescape(struct qr_template_lexer *l, const char *text, size_t n)
{
    const char *end = text + n, *at = text;

    if (!memchr(text, '\\', n)) return qr_value_text(text, n);
    char *made = qr_run_alloc(l->run, n + 4), *out = made;
    while (at < end)
        if (*at == '\\' && at + 1 < end)
            at = read_escape(l, at + 1, end, &out);
        else
            *out++ = *at++;
    return qr_value_text(made, (size_t)(out - made));
}

static struct qr_template_token read_string(struct qr_template_lexer *l)
{
    size_t from = l->at, end = from + 1;
    char quote = l->text[from];

    while (end < l->n && l->text[end] != quote)
        end += l->text[end] == '\\' && end + 1 < l->n ? 2 : 1;
    if (end >= l->n) qr_run_fail(l->run, "unclosed string: expected %c", quote);
    struct qr_template_token t = token(l, QR_T_STRING, from);
    t.value = unescape(l, l->text + from + 1, end - from - 1);
    skip(l, end + 1 - from);
    t.at_n = l->at - from;
    return t;
}

/* Copies digits without the single underscores between them.  Returns the source bytes read. */
static size_t read_digits(const struct qr_template_lexer *l, size_t at, int base, char *out,
                          size_t *out_n)
{
    size_t from = at;

    for (; at < l->n; at++) {
        char c = l->text[at];
        int digit = is_digit(c) ? c - '0' : (c | 0x20) >= 'a' ? (c | 0x20) - 'a' + 10 : 99;
        if (c == '_' && at > from && at + 1 < l->n && l->text[at - 1] != '_') {
            char after = l->text[at + 1];
            int next = is_digit(after)         ? after - '0'
                       : (after | 0x20) >= 'a' ? (after | 0x20) - 'a' + 10
                                               : 99;
            if (next < base) continue;
        }
        if (digit >= base || c == '_') break;
        if (*out_n < 400) out[(*out_n)++] = c;
    }
    return at - from;
}

static struct qr_template_token read_number(struct qr_template_lexer *l)
{
    char digits[512];
    size_t n = 0, at = l->at, from = l->at;
    int base = 10;
    bool real = false;

    if (l->text[at] == '0' && at + 1 < l->n) {
        char x = (char)(l->text[at + 1] | 0x20);
        int other = x == 'x' ? 16 : x == 'o' ? 8 : x == 'b' ? 2 : 10;
        if (other != 10 && read_digits(l, at + 2, other, digits, &n)) base = other;
        n = 0;
    }
    at += base == 10 ? 0 : 2;
    at += read_digits(l, at, base, digits, &n);
    if (base == 10 && at + 1 < l->n && l->text[at] == '.' && is_digit(l->text[at + 1])) {
        digits[n++] = '.';
        real = true;
        at += 1 + read_digits(l, at + 1, 10, digits, &n);
    }
    if (base == 10 && at < l->n && (l->text[at] | 0x20) == 'e') {
        size_t sign = at + 1 < l->n && (l->text[at + 1] == '-' || l->text[at + 1] == '+');
        if (at + 1 + sign < l->n && is_digit(l->text[at + 1 + sign])) {
            digits[n++] = 'e';
            if (sign) digits[n++] = l->text[at + 1];
            real = true;
            at += 1 + sign + read_digits(l, at + 1 + sign, 10, digits, &n);
        }
    }
    digits[n] = '\0';
    skip(l, at - from);
    struct qr_template_token t = token(l, real ? QR_T_FLOAT : QR_T_INTEGER, from);
    errno = 0;
    t.value =
        real ? qr_value_float(strtod(digits, NULL)) : qr_value_int(strtoll(digits, NULL, base));
    if (!real && (errno || n >= 400)) qr_run_fail(l->run, "an integer of more than 64 bits");
    return t;
}

static const struct {
    char text[3];
    enum qr_op op;
} operators[] = {
    {"//", QR_OP_FLOORDIV}, {"**", QR_OP_POW},   {"==", QR_OP_EQ},       {"!=", QR_OP_NE},
    {"<=", QR_OP_LE},       {">=", QR_OP_GE},    {"+", QR_OP_ADD},       {"-", QR_OP_SUB},
    {"*", QR_OP_MUL},       {"/", QR_OP_DIV},    {"%", QR_OP_MOD},       {"<", QR_OP_LT},
    {">", QR_OP_GT},        {"~", QR_OP_TILDE},  {"|", QR_OP_PIPE},      {".", QR_OP_DOT},
    {",", QR_OP_COMMA},     {":", QR_OP_COLON},  {";", QR_OP_SEMICOLON}, {"=", QR_OP_ASSIGN},
    {"(", QR_OP_LPAREN},    {")", QR_OP_RPAREN}, {"[", QR_OP_LBRACKET},  {"]", QR_OP_RBRACKET},
    {"{", QR_OP_LBRACE},    {"}", QR_OP_RBRACE},
};

static void track_brackets(struct qr_template_lexer *l, char c)
{
    if (c == '(' || c == '[' || c == '{') {
        if (l->open_n == sizeof l->open)
            qr_run_fail(l->run, "brackets are nested deeper than %zu", sizeof l->open);
        l->open[l->open_n++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (l->open_n == 0) qr_run_fail(l->run, "unexpected '%c'", c);
        if (l->open[l->open_n - 1] != c)
            qr_run_fail(l->run, "unexpected '%c', expected '%c'", c, l->open[l->open_n - 1]);
        l->open_n--;
    }
}

static struct qr_template_token read_operator(struct qr_template_lexer *l)
{
    size_t from = l->at;

    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        size_t n = strlen(operators[i].text);
        if (l->n - l->at < n || memcmp(l->text + l->at, operators[i].text, n) != 0) continue;
        if (n == 1) track_brackets(l, operators[i].text[0]);
        skip(l, n);
        struct qr_template_token t = token(l, QR_T_OP, from);
        t.op = operators[i].op;
        return t;
    }
    char c = peek(l, 0);
    if (c > 0x20 && c < 0x7f) qr_run_fail(l->run, "unexpected character '%c'", c);
    qr_run_fail(l->run, "unexpected byte %02x", (unsigned)(unsigned char)c);
}

struct qr_template_token qr_template_lexer_next(struct qr_template_lexer *l)
{
    qr_run_charge(l->run, 1);
    if (l->state == QR_IN_DATA) return next_outside(l);
    bool prints = l->state == QR_IN_PRINT;
    const char *end = prints ? "}}" : "%}";
    skip_space(l);
    if (l->at == l->n) qr_run_fail(l->run, "unclosed tag: expected %s", end);
    size_t sign = peek(l, 0) == '-' || (!prints && peek(l, 0) == '+');
    if (l->open_n == 0 && peek(l, sign) == end[0] && peek(l, sign + 1) == end[1]) {
        size_t from = l->at;
        char s = sign ? peek(l, 0) : '\0';
        skip(l, 2 + sign);
        struct qr_template_token t = token(l, prints ? QR_T_PRINT_END : QR_T_BLOCK_END, from);
        end_tag(l, s, !prints);
        l->state = QR_IN_DATA;
        return t;
    }
    char c = peek(l, 0);
    if (is_digit(c)) return read_number(l);
    if (c == '"' || c == '\'') return read_string(l);
    if (!is_name_start(c)) return read_operator(l);
    size_t from = l->at, n = 0;
    while (n < l->n - l->at && (is_name_start(peek(l, n)) || is_digit(peek(l, n))))
        n++;
    skip(l, n);
    struct qr_template_token t = token(l, QR_T_NAME, from);
    t.value = qr_value_text(l->text + from, n);
    return t;
}
