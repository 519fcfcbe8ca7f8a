/* SPDX-License-Identifier: MIT */
/* Calls as tags, with raw values: Qwen3-Coder, GLM 4.5, MiniMax M2, DeepSeek V3.2 and V4.
 *
 *     <tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>\n</tool_call>
 *     <tool_call>NAME\n<arg_key>KEY</arg_key>\n<arg_value>VALUE</arg_value>\n</tool_call>
 *     <minimax:tool_call>\n<invoke name="NAME">\n<parameter name="KEY">VALUE</parameter>\n
 *         </invoke>\n</minimax:tool_call>
 *     the same with <｜DSML｜ before each tag, and string="true" or "false" after KEY
 *
 * Values have no escapes, so a value ends at its closing tag only if another tag follows that.  The
 * tool's schema says how a value is written as JSON: strings are delivered as they come, others
 * when they are whole. */
#include <string.h>

#include "runtime/parse/reader.h"
#include "runtime/parse/value.h"

#define TAIL_SPACE_MAX 64u
#define TAIL_MAX       250u /* fits in qr_parse_again's room */

struct qr_tags_syntax {
    const char *call_open, *call_open_end; /* NULL: the name follows the block's marker */
    const char *key_open, *key_close, *value_open, *value_close; /* value_open may be NULL */
    const char *call_close, *block_open, *block_close;
    bool lines; /* a newline on each side of a value is not a part of it */
};

#define DSML(text)     "<｜DSML｜" text
#define DSML_END(text) "</｜DSML｜" text

static const struct qr_tags_syntax syntaxes[] = {
    {"<function=", ">", "<parameter=", ">", NULL, "</parameter>", "</function>", "<tool_call>",
     "</tool_call>", true},
    {NULL, NULL, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "</tool_call>",
     "<tool_call>", "</tool_call>", false},
    {"<invoke name=\"", "\">", "<parameter name=\"", "\">", NULL, "</parameter>", "</invoke>",
     "<minimax:tool_call>", "</minimax:tool_call>", false},
    {DSML("invoke name=\""), "\">", DSML("parameter name=\""), "\">", NULL, DSML_END("parameter>"),
     DSML_END("invoke>"), DSML("function_calls>"), DSML_END("function_calls>"), false},
    {DSML("invoke name=\""), "\">", DSML("parameter name=\""), "\">", NULL, DSML_END("parameter>"),
     DSML_END("invoke>"), DSML("tool_calls>"), DSML_END("tool_calls>"), false}};

enum { BLOCK, NAME, NAME_SPACE, BETWEEN, KEY, VALUE_OPEN, VALUE };

static const struct qr_parse_state state_tags;

/* A key without the attribute that DeepSeek writes after it: KEY" string="true */
static struct quire_text key_name(struct quire_text key)
{
    const char *quote = memchr(key.data, '"', key.n);

    if (quote) key.n = (size_t)(quote - key.data);
    return qr_parse_trim(key);
}

static const json_t *property(const struct qr_parse_reader *r, struct quire_text key)
{
    key = key_name(key);
    return json_object_getn(json_object_get(r->tags.schema, "properties"), key.data, key.n);
}

/* ---- values --------------------------------------------------------------------------------- */

static void put_key(struct qr_parse_reader *r)
{
    const struct quire_text key = key_name(qr_held_text(&r->tags.key));

    qr_parse_call_puts(r, r->call.any ? ", \"" : "{\"");
    for (size_t i = 0; i < key.n; i++)
        qr_parse_call_put_escaped(r, (uint8_t)key.data[i]);
    qr_parse_call_puts(r, "\": ");
}

static void begin_value(struct qr_parse_reader *r)
{
    struct qr_parse_tags *t = &r->tags;

    t->state = VALUE;
    t->begun = false;
    t->tail.n = t->value.n = 0;
    const struct quire_text key = qr_held_text(&t->key);
    t->types = qr_value_types(t->schema, property(r, key));
    if (qr_parse_ends_in(key, "string=\"true"))
        t->types = QR_VALUE_STRING;
    else if (qr_parse_ends_in(key, "string=\"false"))
        t->types = 0;
    t->text = t->types == QR_VALUE_STRING;
    if (!t->text) return;
    put_key(r);
    qr_parse_call_puts(r, "\"");
}

/* Takes a byte that is certain to belong to the value. */
static void put_value(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_tags *t = &r->tags;

    t->begun = true;
    if (!t->text && t->value.n < QR_PARSE_HELD_MAX) {
        qr_held_add_byte(r, &t->value, byte);
        return;
    }
    if (!t->text) { /* too long to be held: a string */
        t->text = true;
        put_key(r);
        qr_parse_call_puts(r, "\"");
        for (size_t i = 0; i < t->value.n; i++)
            qr_parse_call_put_escaped(r, (uint8_t)t->value.data[i]);
        t->value.n = 0;
    }
    qr_parse_call_put_escaped(r, byte);
}

static void end_value(struct qr_parse_reader *r)
{
    struct qr_parse_tags *t = &r->tags;
    struct quire_text text = qr_parse_trim(qr_held_text(&t->value));
    static const struct {
        const char *python, *json;
    } words[] = {{"True", "true"}, {"False", "false"}, {"None", "null"}};

    t->state = BETWEEN;
    t->tail.n = 0;
    if (t->text) {
        qr_parse_call_puts(r, "\"");
        return;
    }
    put_key(r);
    for (size_t i = 0; i < 3; i++)
        if (qr_parse_is(text, words[i].python))
            text = (struct quire_text){words[i].json, strlen(words[i].json)};
    if (qr_value_is_json(t->types, text)) {
        qr_parse_call_put_json(r, text);
        return;
    }
    qr_parse_call_puts(r, "\"");
    for (size_t i = 0; i < t->value.n; i++)
        qr_parse_call_put_escaped(r, (uint8_t)t->value.data[i]);
    qr_parse_call_puts(r, "\"");
}

/* ---- where a value ends --------------------------------------------------------------------- */

enum verdict { HOLD, RELEASE, CLOSED, CLOSED_BY_NEXT };

/* How far text [n] and a tag agree: 0 they differ, 1 the text is a beginning of the tag, 2 it
 * begins with the tag. */
static int agree(const char *text, size_t n, const char *tag)
{
    size_t tag_n = tag ? strlen(tag) : 0;

    if (!tag || memcmp(text, tag, n < tag_n ? n : tag_n)) return 0;
    return n < tag_n ? 1 : 2;
}

/* The most that the text agrees with any of the tags. */
static int agree_any(const char *text, size_t n, const char *const *tags, size_t tags_n)
{
    int best = 0;

    for (size_t i = 0; i < tags_n; i++) {
        int one = agree(text, n, tags[i]);
        if (one > best) best = one;
    }
    return best;
}

/* What follows a closing tag: space, then one of the tags? */
static enum verdict judge_next(const char *at, size_t n, const char *const *tags, size_t tags_n,
                               enum verdict closed)
{
    size_t space = 0;

    while (space < n && qr_is_space((uint8_t)at[space]))
        space++;
    if (space > TAIL_SPACE_MAX) return closed;
    if (space == n) return HOLD;
    int found = agree_any(at + space, n - space, tags, tags_n);
    return found == 2 ? closed : found == 1 ? HOLD : RELEASE;
}

/* <parameter=KEY> within a value whose closing tag is missing: KEY is a property. */
static enum verdict judge_key(const struct qr_parse_reader *r, const char *at, size_t n, bool line)
{
    const struct qr_tags_syntax *s = r->tags.syntax;
    const size_t close_n = strlen(s->key_close);

    for (size_t i = 0; i + close_n <= n; i++) {
        if (memcmp(at + i, s->key_close, close_n)) continue;
        const bool known = property(r, (struct quire_text){at, i});
        return known || (line && !r->tags.schema) ? CLOSED_BY_NEXT : RELEASE;
    }
    return n < 100 && !memchr(at, '\n', n) ? HOLD : RELEASE;
}

/* Does the value end with the held bytes, which begin with \n or <?  *used: the closing tag's bytes
 * and those before it. */
static enum verdict judge(const struct qr_parse_reader *r, size_t *used)
{
    const struct qr_tags_syntax *s = r->tags.syntax;
    const char *at = r->tags.tail.data;
    size_t n = r->tags.tail.n;
    const bool line = at[0] == '\n';
    const char *const after_value[] = {s->key_open,    s->call_close, s->value_close,
                                       s->block_close, s->block_open, s->call_open};
    const char *const after_call[] = {s->block_close, s->block_open, s->call_open};
    const char *const after_block[] = {s->block_open};
    bool hold = false;

    *used = line ? 1 : 0;
    if (line && n == 1) return HOLD;
    at += *used;
    n -= *used;
    if (at[0] != '<') return RELEASE;
    if (n > TAIL_MAX - 2) return RELEASE;
    int found = agree(at, n, s->value_close);
    if (found == 2) {
        size_t close_n = strlen(s->value_close);
        *used += close_n;
        return judge_next(at + close_n, n - close_n, after_value, 6, CLOSED);
    }
    hold = found == 1;
    const bool same = !strcmp(s->call_close, s->block_close);
    found = same ? 0 : agree(at, n, s->call_close);
    if (found == 2) {
        size_t close_n = strlen(s->call_close);
        return judge_next(at + close_n, n - close_n, after_call, 3, CLOSED_BY_NEXT);
    }
    hold = hold || found == 1;
    found = agree(at, n, s->block_close);
    if (found == 2) {
        size_t close_n = strlen(s->block_close);
        return judge_next(at + close_n, n - close_n, after_block, 1, CLOSED_BY_NEXT);
    }
    hold = hold || found == 1;
    found = agree(at, n, s->key_open);
    if (found == 2) {
        size_t open_n = strlen(s->key_open);
        return judge_key(r, at + open_n, n - open_n, line);
    }
    return hold || found == 1 ? HOLD : RELEASE;
}

/* Closes the value.  Held bytes that the closing tag did not use are read again. */
static void close_value(struct qr_parse_reader *r, enum verdict verdict, size_t used)
{
    struct qr_parse_tags *t = &r->tags;
    char rest[TAIL_MAX + 2];
    const bool line = t->tail.data[0] == '\n';
    size_t from = verdict == CLOSED ? used : line ? 1 : 0, n = t->tail.n - from;

    memcpy(rest, t->tail.data + from, n);
    if (line && !t->syntax->lines && verdict == CLOSED) put_value(r, '\n');
    end_value(r);
    qr_parse_again(r, rest, n);
}

static void step_value(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_tags *t = &r->tags;
    size_t used;

    if (t->tail.n == 0 && byte != '<' && (byte != '\n' || (!t->begun && t->syntax->lines))) {
        if (t->begun || byte != '\n') put_value(r, byte);
        t->begun = true; /* the newline after the opening tag is gone */
        return;
    }
    t->begun = true;
    qr_held_add_byte(r, &t->tail, byte);
    while (t->tail.n && !r->failed) {
        uint8_t first = (uint8_t)t->tail.data[0];
        enum verdict verdict = first == '<' || first == '\n' ? judge(r, &used) : RELEASE;
        if (verdict == HOLD) return;
        if (verdict != RELEASE) {
            close_value(r, verdict, used);
            return;
        }
        put_value(r, first);
        memmove(t->tail.data, t->tail.data + 1, --t->tail.n);
    }
}

/* ---- around values -------------------------------------------------------------------------- */

static void end_call(struct qr_parse_reader *r)
{
    if (r->call.any) qr_parse_call_puts(r, "}");
    qr_parse_call_end(r);
    r->tags.tail.n = 0;
    r->tags.state = BLOCK;
    if (r->tags.syntax->call_open) return;
    r->call_open = false;
    r->state = &qr_parse_state_text;
}

static void take_name(struct qr_parse_reader *r)
{
    struct qr_parse_tags *t = &r->tags;
    struct quire_text name = qr_parse_trim(qr_held_text(&t->key));

    while (name.n > 1 && name.data[0] == '"')
        name.data++, name.n--;
    while (name.n > 1 && name.data[name.n - 1] == '"')
        name.n--;
    if (qr_parse_is_name(r, name)) {
        r->call.name.n = 0;
        qr_held_add(r, &r->call.name, name.data, name.n);
    }
    if (!qr_parse_is_name(r, name) || !qr_parse_call_header(r)) {
        qr_parse_no_call(r);
        return;
    }
    const struct qr_parse_tool *tool = qr_parse_tool(r, name);
    t->schema = tool ? tool->parameters : NULL;
    t->state = BETWEEN;
    t->tail.n = 0;
}

/* GLM: a tag follows the name.  After a known tool's name, a key without its tag may follow. */
static void step_name_space(struct qr_parse_reader *r, uint8_t byte)
{
    if (qr_is_space(byte)) return;
    r->call.known = byte != '<';
    take_name(r);
    if (r->state == &state_tags) r->state->step(r, byte);
}

static void step_name(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_tags *t = &r->tags;
    const char *end = t->syntax->call_open_end;

    if (!end && t->key.n == 0 && qr_is_space(byte)) return;
    if (!end && t->key.n == 0 && (byte == '{' || byte == '[')) {
        qr_parse_json_begin(r, 0);
        r->state->step(r, byte);
        return;
    }
    if (!end && qr_is_space(byte)) {
        t->state = NAME_SPACE;
        return;
    }
    if (!end && byte == '<') {
        step_name_space(r, byte);
        return;
    }
    qr_held_add_byte(r, &t->key, byte);
    if (end && qr_parse_ends_in(qr_held_text(&t->key), end)) {
        t->key.n -= strlen(end);
        take_name(r);
    } else if (byte == '\n' || t->key.n > QR_PARSE_NAME_MAX) {
        qr_parse_no_call(r);
    }
}

static void begin_name(struct qr_parse_reader *r)
{
    qr_parse_call_begin(r);
    r->tags.state = NAME;
    r->tags.key.n = r->tags.tail.n = 0;
}

/* Within the block, before or between calls. */
static void step_block(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_tags *t = &r->tags;

    if (t->tail.n == 0) {
        if (qr_is_space(byte)) return;
        if ((byte == '{' || byte == '[') && r->tentative) {
            qr_parse_json_begin(r, 0);
            r->state->step(r, byte);
            return;
        }
        if (!r->tentative) qr_parse_try(r, &state_tags, (const char *)&byte, 1);
    }
    qr_held_add_byte(r, &t->tail, byte);
    int open = agree(t->tail.data, t->tail.n, t->syntax->call_open);
    int close = agree(t->tail.data, t->tail.n, t->syntax->block_close);
    if (open == 2) {
        begin_name(r);
    } else if (close == 2 && r->after_call) {
        r->tentative = r->call_open = false;
        r->raw.n = 0;
        r->state = &qr_parse_state_text;
    } else if (open == 0 && (close == 0 || !r->after_call)) {
        qr_parse_no_call(r);
    }
}

/* The call ends here, without its closing tag: these bytes are text. */
static void give_up(struct qr_parse_reader *r, const char *text, size_t n)
{
    end_call(r);
    r->call_open = true;
    r->state = &qr_parse_state_text;
    qr_parse_again(r, text, n);
}

/* Within a call, between values. */
static void step_between(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_tags *t = &r->tags;
    const struct qr_tags_syntax *s = t->syntax;
    const char *const tags[] = {s->key_open, s->call_close, s->value_close, s->block_close,
                                s->block_open};

    qr_held_add_byte(r, &t->tail, byte);
    while (t->tail.n && !r->failed) {
        const char *at = t->tail.data;
        int found = agree_any(at, t->tail.n, tags, 5);
        if (found == 1) return;
        if (found == 2) break;
        if (s->value_open && !qr_is_space((uint8_t)at[0]) && at[0] != '<') {
            t->state = KEY; /* the key's opening tag is missing */
            t->key.n = 0;
            qr_held_add(r, &t->key, at, t->tail.n);
            t->tail.n = 0;
            return;
        }
        if (!qr_is_space((uint8_t)at[0])) {
            char rest[64]; /* as long as a tag */
            const size_t rest_n = t->tail.n < sizeof rest ? t->tail.n : sizeof rest;
            memcpy(rest, at, rest_n);
            give_up(r, rest, rest_n);
            return;
        }
        memmove(t->tail.data, at + 1, --t->tail.n);
    }
    if (!t->tail.n) return;
    const char *at = t->tail.data;
    const size_t n = t->tail.n;
    t->tail.n = 0;
    if (agree(at, n, s->key_open) == 2) {
        t->state = KEY;
        t->key.n = 0;
    } else if (agree(at, n, s->call_close) == 2) {
        end_call(r);
    } else if (agree(at, n, s->value_close) != 2) { /* the block's marker */
        const bool close = agree(at, n, s->block_close) == 2;
        end_call(r);
        r->state = &qr_parse_state_text;
        r->call_open = false;
        if (!close) qr_parse_again(r, s->block_open, strlen(s->block_open));
    }
}

static void step_key(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_tags *t = &r->tags;

    qr_held_add_byte(r, &t->key, byte);
    if (qr_parse_ends_in(qr_held_text(&t->key), t->syntax->key_close)) {
        t->key.n -= strlen(t->syntax->key_close);
        t->tail.n = 0;
        if (t->syntax->value_open)
            t->state = VALUE_OPEN;
        else
            begin_value(r);
    } else if (t->key.n > QR_PARSE_NAME_MAX) {
        give_up(r, t->key.data, t->key.n);
    }
}

static void step_value_open(struct qr_parse_reader *r, uint8_t byte)
{
    struct qr_parse_tags *t = &r->tags;

    if (t->tail.n == 0 && qr_is_space(byte)) return;
    qr_held_add_byte(r, &t->tail, byte);
    int found = agree(t->tail.data, t->tail.n, t->syntax->value_open);
    if (found == 1) return;
    char rest[32];
    size_t n = found == 2 ? 0 : t->tail.n;
    if (n) memcpy(rest, t->tail.data, n);
    begin_value(r);
    qr_parse_again(r, rest, n);
}

static void step_tags(struct qr_parse_reader *r, uint8_t byte)
{
    switch (r->tags.state) {
    case BLOCK: step_block(r, byte); return;
    case NAME: step_name(r, byte); return;
    case NAME_SPACE: step_name_space(r, byte); return;
    case BETWEEN: step_between(r, byte); return;
    case KEY: step_key(r, byte); return;
    case VALUE_OPEN: step_value_open(r, byte); return;
    case VALUE: step_value(r, byte); return;
    }
}

/* The text ends within a value: the held bytes may close it. */
static void end_in_value(struct qr_parse_reader *r)
{
    struct qr_parse_tags *t = &r->tags;
    const struct qr_tags_syntax *s = t->syntax;
    const char *at = t->tail.data;
    size_t n = t->tail.n, line = n && at[0] == '\n';
    const bool closed = n && agree(at + line, n - line, s->value_close) == 2;
    const bool stopped = n && r->stop == QR_PARSE_STOP_END &&
                         (agree(at + line, n - line, s->call_close) == 2 ||
                          agree(at + line, n - line, s->block_close) == 2);

    if (closed || stopped) {
        if (line && !s->lines) put_value(r, '\n');
        end_value(r);
        return;
    }
    for (size_t i = 0; i < n && r->stop == QR_PARSE_STOP_END; i++)
        put_value(r, (uint8_t)at[i]);
}

static void end_tags(struct qr_parse_reader *r)
{
    struct qr_parse_tags *t = &r->tags;

    if (r->tentative) {
        if (t->state == BLOCK && r->after_call && r->stop == QR_PARSE_STOP_LENGTH) r->raw.n = 0;
        const bool named = !t->syntax->call_open && t->state != BLOCK && t->key.n;
        const bool cut = r->stop == QR_PARSE_STOP_LENGTH;
        if (named && (t->state == NAME_SPACE || !cut)) { /* the name alone, without an end */
            r->call.known = !cut;
            take_name(r);
            if (r->state == &state_tags && !cut) end_call(r);
            if (r->state == &state_tags) qr_parse_call_cut(r);
            return;
        }
        qr_parse_call_cut_early(r, false);
        return;
    }
    if (t->state == VALUE) end_in_value(r);
    if (t->state == BETWEEN && r->stop == QR_PARSE_STOP_END) end_call(r);
    qr_parse_call_cut(r);
}

static const struct qr_parse_state state_tags = {step_tags, end_tags};

static void begin(struct qr_parse_reader *r, unsigned syntax, unsigned open)
{
    r->tags.syntax = &syntaxes[syntax];
    r->tags.tail.n = 0;
    r->state = &state_tags;
    begin_name(r);
    r->call.known = open > 0;
    if (open == 0 && r->tags.syntax->call_open) r->tags.state = BLOCK;
}

void qr_parse_tags_begin(struct qr_parse_reader *r, unsigned open)
{
    begin(r, 0, open);
}

void qr_parse_glm_begin(struct qr_parse_reader *r, unsigned open)
{
    begin(r, 1, open);
}

void qr_parse_minimax_begin(struct qr_parse_reader *r, unsigned open)
{
    begin(r, 2, open);
}

void qr_parse_dsml32_begin(struct qr_parse_reader *r, unsigned open)
{
    begin(r, 3, open);
}

void qr_parse_dsml4_begin(struct qr_parse_reader *r, unsigned open)
{
    begin(r, 4, open);
}
