/* SPDX-License-Identifier: MIT */
/* Calls as Python: [f(k=v, ..), g()], and what Llama 3 writes after its Python tag.
 *
 * Literals are translated to JSON as they come.  A positional argument takes the name of the
 * property at its place in the tool's schema. */
#include <string.h>

#include "runtime/parse/reader.h"

#define WORD_MAX 256u

enum { TAG, NAME, ARGUMENT, WORD, WORD_SPACE, VALUE, AFTER_ARGUMENT, AFTER_CALL, NEXT };
enum { ANY, KEY, TEXT, ESCAPE, DIGITS, LITERAL, COLON, AFTER };

static const struct qr_parse_state state_python;

static bool is_word(uint8_t c)
{
    uint8_t letter = c | 0x20;
    return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

/* ---- literals ------------------------------------------------------------------------------- */

static bool get(const uint64_t *bits, uint32_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static void set(uint64_t *bits, uint32_t i, bool value)
{
    bits[i / 64] = (bits[i / 64] & ~(UINT64_C(1) << (i % 64))) | (uint64_t)value << (i % 64);
}

static void begin_literal(struct qr_parse_reader *r)
{
    r->python.value = ANY;
    r->python.depth = 0;
    r->python.pending = r->python.key = false;
}

static void put_pending(struct qr_parse_reader *r)
{
    if (r->python.pending) qr_parse_call_puts(r, ", ");
    r->python.pending = false;
}

static enum qr_scan_result literal_ended(struct qr_parse_reader *r)
{
    struct qr_parse_python *p = &r->python;

    p->value = p->key ? COLON : AFTER;
    p->key = false;
    return p->depth ? QR_SCAN_MORE : QR_SCAN_END;
}

static bool is_json_number(struct quire_text text)
{
    struct qr_scan s;

    qr_scan_begin(&s);
    for (size_t i = 0; i < text.n; i++)
        if (qr_scan_push(&s, (uint8_t)text.data[i]) != QR_SCAN_MORE) return false;
    return text.n && qr_scan_is_whole(&s);
}

/* True, False, None or a number. */
static bool put_word(struct qr_parse_reader *r)
{
    static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
                                           {"true", "true"}, {"false", "false"}, {"null", "null"}};
    const struct quire_text word = qr_held_text(&r->python.word);
    char number[WORD_MAX + 2];
    size_t n = 0;

    if (word.n > WORD_MAX - 2) return false;
    for (size_t i = 0; i < 6 && !r->python.key; i++)
        if (qr_parse_is(word, words[i][0])) {
            qr_parse_call_puts(r, words[i][1]);
            return true;
        }
    for (size_t i = 0; i < word.n; i++) {
        if (word.data[i] == '_' || (word.data[i] == '+' && i == 0)) continue;
        if (word.data[i] == '.' && (n == 0 || number[n - 1] == '-')) number[n++] = '0';
        number[n++] = word.data[i];
    }
    if (n && number[n - 1] == '.') number[n++] = '0';
    if (!is_json_number((struct quire_text){number, n})) return false;
    if (r->python.key) qr_parse_call_puts(r, "\"");
    qr_parse_call_put(r, number, n);
    if (r->python.key) qr_parse_call_puts(r, "\"");
    return true;
}

/* A word that is no literal is delivered as it is. */
static enum qr_scan_result put_broken_word(struct qr_parse_reader *r)
{
    qr_parse_call_put(r, r->python.word.data, r->python.word.n);
    return QR_SCAN_BROKEN;
}

static enum qr_scan_result begin_item(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_python *p = &r->python;

    p->key = p->value == KEY;
    if (byte == '"' || byte == '\'') {
        put_pending(r);
        qr_parse_call_puts(r, "\"");
        p->quote = byte;
        p->value = TEXT;
        return QR_SCAN_MORE;
    }
    if (is_word(byte) || byte == '-' || byte == '+' || byte == '.') {
        put_pending(r);
        p->value = LITERAL;
        p->word.n = 0;
        qr_held_add_byte(r, &p->word, byte);
        return QR_SCAN_MORE;
    }
    if (p->key || !strchr("[{(", byte) || p->depth == QR_PARSE_DEPTH_MAX) return QR_SCAN_BROKEN;
    put_pending(r);
    set(p->dicts, p->depth, byte == '{');
    set(p->tuples, p->depth, byte == '(');
    p->depth++;
    qr_parse_call_puts(r, byte == '{' ? "{" : "[");
    p->value = byte == '{' ? KEY : ANY;
    return QR_SCAN_MORE;
}

static enum qr_scan_result close_literal(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_python *p = &r->python;
    const uint32_t top = p->depth - 1;

    if (p->depth == 0) return QR_SCAN_BROKEN;
    if (byte != (get(p->dicts, top) ? '}' : get(p->tuples, top) ? ')' : ']')) return QR_SCAN_BROKEN;
    qr_parse_call_puts(r, byte == '}' ? "}" : "]");
    p->depth--;
    p->pending = false;
    return literal_ended(r);
}

static void put_code(struct qr_parse_reader *r, uint32_t code)
{
    char text[4];
    size_t n =
        qr_parse_encode(code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0xfffd : code, text);
    for (size_t i = 0; i < n; i++)
        qr_parse_call_put_escaped(r, (uint8_t)text[i]);
}

static void push_escape(struct qr_parse_reader *r, uint8_t byte)
{
    static const char from[] = "nrtbfav0\\'\"", to[] = "\n\r\t\b\f\a\v\0\\'\"";
    struct qr_parse_python *p = &r->python;
    const char *at = byte ? strchr(from, byte) : NULL;

    p->value = TEXT;
    if (byte == 'x' || byte == 'u' || byte == 'U') {
        p->value = DIGITS;
        p->digits = byte == 'x' ? 2 : byte == 'u' ? 4 : 8;
        p->code = 0;
    } else if (at) {
        qr_parse_call_put_escaped(r, (uint8_t)to[at - from]);
    } else if (byte != '\n') { /* Python keeps the backslash */
        qr_parse_call_put_escaped(r, '\\');
        qr_parse_call_put_escaped(r, byte);
    }
}

static enum qr_scan_result push_text(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_python *p = &r->python;

    if (p->value == ESCAPE) {
        push_escape(r, byte);
    } else if (p->value == DIGITS) {
        uint8_t letter = byte | 0x20;
        p->code = p->code << 4 | (byte <= '9' ? byte & 15u : (letter - 'a' + 10u) & 15u);
        if (--p->digits) return QR_SCAN_MORE;
        p->value = TEXT;
        put_code(r, p->code);
    } else if (byte == p->quote) {
        qr_parse_call_puts(r, "\"");
        return literal_ended(r);
    } else if (byte == '\\') {
        p->value = ESCAPE;
    } else {
        qr_parse_call_put_escaped(r, byte);
    }
    return QR_SCAN_MORE;
}

static enum qr_scan_result push_literal(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_python *p = &r->python;

    switch (p->value) {
    case TEXT:
    case ESCAPE:
    case DIGITS: return push_text(r, byte);
    case LITERAL:
        if (is_word(byte) || byte == '.' || byte == '-' || byte == '+') {
            if (p->word.n >= WORD_MAX) return put_broken_word(r);
            qr_held_add_byte(r, &p->word, byte);
            return QR_SCAN_MORE;
        }
        if (!put_word(r)) return put_broken_word(r);
        if (literal_ended(r) == QR_SCAN_END) return QR_SCAN_BEFORE;
        break;
    default: break;
    }
    if (qr_is_space(byte)) return QR_SCAN_MORE;
    switch (p->value) {
    case COLON:
        p->value = ANY;
        qr_parse_call_puts(r, ": ");
        return byte == ':' ? QR_SCAN_MORE : QR_SCAN_BROKEN;
    case AFTER:
        if (byte != ',') return close_literal(r, byte);
        if (p->depth == 0) return QR_SCAN_BROKEN;
        p->pending = true;
        p->value = get(p->dicts, p->depth - 1) ? KEY : ANY;
        return QR_SCAN_MORE;
    default:
        if (p->depth && (byte == ']' || byte == '}' || byte == ')')) return close_literal(r, byte);
        return begin_item(r, byte);
    }
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void broken(struct qr_parse_reader *r, uint8_t byte)
{
    if (r->tentative) {
        qr_parse_no_call(r);
        return;
    }
    qr_parse_call_broken(r, byte);
}

static void put_key(struct qr_parse_reader *r, struct quire_text key)
{
    qr_parse_call_puts(r, r->call.any ? ", \"" : "{\"");
    for (size_t i = 0; i < key.n; i++)
        qr_parse_call_put_escaped(r, (uint8_t)key.data[i]);
    qr_parse_call_puts(r, "\": ");
    begin_literal(r);
    r->python.state = VALUE;
    r->python.position++;
}

/* Writes the key of a positional argument.  False: the schema has no property at this position. */
static bool put_position(struct qr_parse_reader *r)
{
    const struct qr_parse_tool *tool = qr_parse_tool(r, qr_held_text(&r->call.name));
    json_t *properties = tool ? json_object_get(tool->parameters, "properties") : NULL;
    void *it = json_object_iter(properties);

    for (uint32_t i = 0; it && i < r->python.position; i++)
        it = json_object_iter_next(properties, it);
    if (!it) return false;
    put_key(r, (struct quire_text){json_object_iter_key(it), strlen(json_object_iter_key(it))});
    return true;
}

static void end_call(struct qr_parse_reader *r)
{
    if (r->call.any) qr_parse_call_puts(r, "}");
    qr_parse_call_end(r);
    r->python.state = AFTER_CALL;
    if (!r->python.list) r->state = &qr_parse_state_text;
}

static void push_value(struct qr_parse_reader *r, uint8_t byte)
{
    enum qr_scan_result result = push_literal(r, byte);

    if (result == QR_SCAN_MORE) return;
    r->python.state = AFTER_ARGUMENT;
    if (result == QR_SCAN_BROKEN)
        broken(r, byte);
    else if (result == QR_SCAN_BEFORE)
        r->state->step(r, byte);
}

static void begin_name(struct qr_parse_reader *r)
{
    const bool known = r->call.known;

    qr_parse_call_begin(r);
    r->call.known = known;
    r->python.state = NAME;
    r->python.word.n = 0;
    r->python.position = 0;
}

static void take_name(struct qr_parse_reader *r)
{
    const struct quire_text name = qr_parse_trim(qr_held_text(&r->python.word));

    r->call.name.n = 0;
    qr_held_add(r, &r->call.name, name.data, name.n);
    r->python.state = ARGUMENT;
    if (!qr_parse_is_name(r, name) || !qr_parse_call_header(r)) qr_parse_no_call(r);
}

static void step_name(struct qr_parse_reader *r, uint8_t byte)
{
    if (byte == '(')
        take_name(r);
    else if ((is_word(byte) || strchr(".- \n\t\r", byte)) && r->python.word.n < WORD_MAX)
        qr_held_add_byte(r, &r->python.word, byte);
    else
        qr_parse_no_call(r);
}

/* An argument begins with a word: a key if = follows, else a value. */
static void step_word(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_python *p = &r->python;

    if (p->state == WORD && (is_word(byte) || byte == '-' || byte == '.')) {
        if (p->word.n < WORD_MAX) {
            qr_held_add_byte(r, &p->word, byte);
            return;
        }
        (void)put_broken_word(r);
        broken(r, byte);
        return;
    }
    if (qr_is_space(byte)) {
        p->state = WORD_SPACE;
        return;
    }
    if (byte == '=') {
        put_key(r, qr_held_text(&p->word));
        return;
    }
    char word[WORD_MAX];
    size_t n = p->word.n;
    memcpy(word, p->word.data, n);
    if (!put_position(r)) {
        (void)put_broken_word(r);
        broken(r, byte);
        return;
    }
    for (size_t i = 0; i < n; i++)
        r->state->step(r, (uint8_t)word[i]);
    r->state->step(r, byte);
}

static void step_argument(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_python *p = &r->python;

    if (qr_is_space(byte)) return;
    if (byte == ')') {
        end_call(r);
    } else if (is_word(byte)) {
        p->state = WORD;
        p->word.n = 0;
        qr_held_add_byte(r, &p->word, byte);
    } else if (put_position(r)) {
        push_value(r, byte);
    } else {
        broken(r, byte);
    }
}

static void step_after(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_python *p = &r->python;

    if (qr_is_space(byte)) return;
    if (p->state == AFTER_ARGUMENT) {
        if (byte == ',')
            p->state = ARGUMENT;
        else if (byte == ')')
            end_call(r);
        else
            broken(r, byte);
    } else if (byte == ',') {
        qr_parse_try(r, &state_python, ",", 1);
        p->state = NEXT;
    } else if (byte == ']') {
        r->state = &qr_parse_state_text;
    } else {
        qr_parse_text(r, byte);
    }
}

/* After the Python tag: an object, a call, or code. */
static void take_code(struct qr_parse_reader *r)
{
    char code[WORD_MAX + 64];
    size_t n = r->raw.n - r->sure;

    qr_parse_code_begin(r);
    if (n > sizeof code || !qr_parse_tool(r, qr_held_text(&r->call.name))) {
        qr_parse_no_call(r);
        return;
    }
    memcpy(code, r->raw.data + r->sure, n);
    for (size_t i = 0; i < n; i++)
        r->state->step(r, (uint8_t)code[i]);
}

static void step_tag(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_held *word = &r->python.word;

    if (word->n == 0 && qr_is_space(byte) && r->raw.n - r->sure < 8) return;
    if (word->n == 0 && (byte == '{' || byte == '[')) {
        qr_parse_json_begin(r, 0);
        r->state->step(r, byte);
    } else if (byte == '(') {
        const bool method = qr_parse_ends_in(qr_held_text(word), ".call");
        if (method) word->n -= 5;
        if (method ? qr_parse_is_name(r, qr_held_text(word))
                   : qr_parse_tool(r, qr_held_text(word)) != NULL)
            take_name(r);
        else
            take_code(r);
    } else if ((is_word(byte) || byte == '.' || byte == '-') && word->n < WORD_MAX) {
        qr_held_add_byte(r, word, byte);
    } else {
        take_code(r);
    }
}

static void step_python(struct qr_parse_reader *r, uint8_t byte)
{
    switch (r->python.state) {
    case TAG: step_tag(r, byte); return;
    case NEXT:
        if (qr_is_space(byte)) return;
        begin_name(r);
        step_name(r, byte);
        return;
    case NAME: step_name(r, byte); return;
    case ARGUMENT: step_argument(r, byte); return;
    case WORD:
    case WORD_SPACE: step_word(r, byte); return;
    case VALUE: push_value(r, byte); return;
    default: step_after(r, byte); return;
    }
}

static void end_python(struct qr_parse_reader *r)
{
    if (r->tentative && r->python.state == TAG && r->stop == QR_PARSE_STOP_END &&
        r->raw.n > r->sure) {
        take_code(r);
        return;
    }
    if (r->tentative)
        qr_parse_call_cut_early(r, false);
    else if (r->python.state >= AFTER_CALL)
        r->state = &qr_parse_state_text;
    else
        qr_parse_call_cut(r);
}

static const struct qr_parse_state state_python = {step_python, end_python};

void qr_parse_python_list(struct qr_parse_reader *r, uint8_t byte)
{
    r->state = &state_python;
    r->python.list = true;
    begin_name(r);
    step_name(r, byte);
}

void qr_parse_python_tag_begin(struct qr_parse_reader *r, unsigned open)
{
    (void)open;
    r->state = &state_python;
    r->call.known = false;
    r->python.list = false;
    begin_name(r);
    r->python.state = TAG;
}
