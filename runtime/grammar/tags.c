/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/tags.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/grammar/gbnf.h"
#include "runtime/grammar/pattern.h"
#include "runtime/grammar/schema_parts.h"

#define DEPTH_MAX 16u

struct tags {
    struct qr_rules *rules;
    struct qr_rx_pool *pool;
    const struct qr_schema_settings *settings;
    struct quire_error *error;
    int status;
    char path[128]; /* of the format that is being compiled */
    size_t path_n;
};

/* A format within others.  Its symbol has the end in it, one of `ends`, since the text before is
 * told from it by nothing else. */
struct format_place {
    const json_t *ends; /* a string or a list of strings; NULL: none */
    unsigned depth;
};

static qr_symbol add_format(struct tags *t, const json_t *format, struct format_place place);

/* ---- refusals ------------------------------------------------------------------------------- */

/* Keeps the first complaint only. */
__attribute__((format(printf, 3, 4))) static qr_symbol refuse(struct tags *t, int status,
                                                              const char *format, ...)
{
    char text[200];
    va_list list;

    if (t->status) return QR_SYMBOL_NONE;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    t->status = qr_error_field(t->error, status, "structural_tag", "%.*s%s%s", (int)t->path_n,
                               t->path, t->path_n ? ": " : "", text);
    return QR_SYMBOL_NONE;
}

/* The same for a part that another compiler refused. */
static qr_symbol refuse_part(struct tags *t, int status)
{
    char text[sizeof t->error->text] = "";

    if (t->error) snprintf(text, sizeof text, "%s", t->error->text);
    return refuse(t, status, "%.180s", text);
}

/* Goes into a member, or back by leave(). */
static size_t enter(struct tags *t, const char *key, size_t index)
{
    const size_t before = t->path_n, room = sizeof t->path - before;
    int n = index == SIZE_MAX ? snprintf(t->path + before, room, "/%s", key)
                              : snprintf(t->path + before, room, "/%s/%zu", key, index);

    t->path_n = n > 0 && (size_t)n < room ? before + (size_t)n : before;
    return before;
}

static void leave(struct tags *t, size_t before)
{
    t->path_n = before;
}

/* Refuses keys that are not among `keys`, names apart by blanks. */
static bool check_keys(struct tags *t, const json_t *object, const char *keys)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const size_t n = strlen(key);
        const char *at = n ? strstr(keys, key) : NULL;
        while (at && !((at == keys || at[-1] == ' ') && (at[n] == ' ' || !at[n])))
            at = strstr(at + 1, key);
        if (at) continue;
        refuse(t, QUIRE_UNSUPPORTED, "%.60s is not supported; expected %s", key, keys);
        return false;
    }
    return true;
}

static bool read_flag(struct tags *t, const json_t *object, const char *key)
{
    const json_t *flag = json_object_get(object, key);

    if (flag && !json_is_boolean(flag)) refuse(t, QUIRE_INVALID, "%s must be a boolean", key);
    return json_is_true(flag);
}

/* A member that is a list with something in it. */
static const json_t *read_list(struct tags *t, const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key);

    if (json_is_array(list) && json_array_size(list)) return list;
    refuse(t, QUIRE_INVALID, "%s must be a list that is not empty", key);
    return NULL;
}

/* Whether a list has texts alone, none of them empty. */
static bool check_texts(struct tags *t, const json_t *list, const char *key)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_string_length(json_array_get(list, i)) == 0) {
            refuse(t, QUIRE_INVALID, "%s/%zu must be a string that is not empty", key, i);
            return false;
        }
    return true;
}

/* ---- free text ------------------------------------------------------------------------------ */

static qr_rx text_rx(struct tags *t, const json_t *text)
{
    return qr_rx_bytes(t->pool, json_string_value(text), json_string_length(text));
}

/* Texts without one of the list's texts in them; short: where one at their very end is allowed. */
static qr_rx without(struct tags *t, const json_t *list, bool short_of_end)
{
    struct qr_byte_set any = {0};
    qr_rx all = QR_RX_ALL, after = QR_RX_ALL;

    qr_byte_set_add(&any, 0, 255);
    if (short_of_end) after = qr_rx_cat(t->pool, qr_rx_set(t->pool, &any), QR_RX_ALL);
    for (size_t i = 0; i < json_array_size(list); i++) {
        qr_rx one = qr_rx_cat(t->pool, text_rx(t, json_array_get(list, i)), after);
        one = qr_rx_not(t->pool, qr_rx_cat(t->pool, QR_RX_ALL, one));
        all = qr_rx_and(t->pool, all, one);
    }
    return all;
}

/* Whether a tag's end is one that ends free text. */
static bool has_ends(const json_t *ends)
{
    return json_is_array(ends) || json_string_length(ends) > 0;
}

/* The ends as a list, which the caller drops. */
static json_t *list_of(const json_t *ends)
{
    json_t *list = json_is_array(ends) ? json_copy((json_t *)(uintptr_t)ends) : json_array();

    if (json_string_length(ends)) (void)json_array_append(list, (json_t *)(uintptr_t)ends);
    return list;
}

static qr_rx ends_rx(struct tags *t, const json_t *ends)
{
    qr_rx all = QR_RX_NONE;

    if (!ends) return QR_RX_EMPTY;
    if (json_is_string(ends)) return text_rx(t, ends);
    for (size_t i = 0; i < json_array_size(ends); i++)
        all = qr_rx_or(t->pool, all, text_rx(t, json_array_get(ends, i)));
    return all;
}

/* Free text that contains none of `stops` and ends where one of `ends` is completed, or, without
 * ends, anywhere.  The ends are in it. */
static qr_rx free_text(struct tags *t, const json_t *ends, const json_t *stops)
{
    qr_rx text = without(t, stops, false);

    if (!has_ends(ends)) return text;
    json_t *list = list_of(ends);
    text = qr_rx_and(t->pool, text, without(t, list, true));
    text = qr_rx_and(t->pool, text, qr_rx_cat(t->pool, QR_RX_ALL, ends_rx(t, list)));
    json_decref(list);
    return text;
}

/* The symbol of a format and then its ends. */
static qr_symbol with_ends(struct tags *t, qr_symbol symbol, struct format_place place)
{
    qr_symbol both[2] = {symbol, QR_SYMBOL_NONE};
    qr_rx ends = ends_rx(t, place.ends);

    if (ends == QR_RX_EMPTY) return symbol;
    both[1] = qr_rules_regex(t->rules, ends);
    return qr_rules_sequence(t->rules, both, 2);
}

/* ---- formats -------------------------------------------------------------------------------- */

static qr_symbol add_schema(struct tags *t, const json_t *schema)
{
    int status;

    if (!schema) return refuse(t, QUIRE_INVALID, "there is no schema");
    qr_symbol symbol = qr_schema_add(t->rules, schema, t->settings, &status, t->error);
    return status ? refuse_part(t, status) : symbol;
}

static qr_symbol add_regex(struct tags *t, const json_t *pattern)
{
    struct qr_pattern_error complaint;
    qr_rx rx = QR_RX_NONE;

    if (!json_is_string(pattern)) return refuse(t, QUIRE_INVALID, "pattern must be a string");
    if (!qr_pattern_compile(t->pool, json_string_value(pattern), json_string_length(pattern),
                            QR_WRITING_PLAIN, false, &rx, &complaint))
        return t->pool->budget->failed ? QR_SYMBOL_NONE
                                       : refuse(t, QUIRE_UNSUPPORTED, "pattern: %s at byte %zu",
                                                complaint.complaint, complaint.at);
    return qr_rules_regex(t->rules, rx);
}

static qr_symbol add_grammar(struct tags *t, const json_t *grammar)
{
    int status;

    if (!json_is_string(grammar)) return refuse(t, QUIRE_INVALID, "grammar must be a string");
    qr_symbol symbol = qr_gbnf_add(t->rules, json_string_value(grammar),
                                   json_string_length(grammar), &status, t->error);
    return status ? refuse_part(t, status) : symbol;
}

/* A tag from the `skip`th byte of its beginning on.  content: NULL: the older form, a schema. */
static qr_symbol add_tag(struct tags *t, const json_t *tag, size_t skip, unsigned depth)
{
    const json_t *begin = json_object_get(tag, "begin"), *end = json_object_get(tag, "end");
    const json_t *content = json_object_get(tag, "content");

    if (!check_keys(t, tag, "type begin content schema end")) return QR_SYMBOL_NONE;
    if (!json_is_string(begin)) return refuse(t, QUIRE_INVALID, "begin must be a string");
    if (!json_is_string(end) && !(json_is_array(end) && json_array_size(end)))
        return refuse(t, QUIRE_INVALID, "end must be a string or a list of strings");
    if (json_is_array(end) && !check_texts(t, end, "end")) return QR_SYMBOL_NONE;
    qr_symbol symbols[2];
    symbols[0] = qr_rules_regex(t->rules, qr_rx_bytes(t->pool, json_string_value(begin) + skip,
                                                      json_string_length(begin) - skip));
    const struct format_place inner = {end, depth + 1};
    size_t path = enter(t, content ? "content" : "schema", SIZE_MAX);
    symbols[1] = content ? add_format(t, content, inner)
                         : with_ends(t, add_schema(t, json_object_get(tag, "schema")), inner);
    leave(t, path);
    return qr_rules_sequence(t->rules, symbols, 2);
}

/* Symbols that are gathered into a choice. */
static void add_choice(struct tags *t, uint32_t choice, const qr_symbol *symbols, size_t n)
{
    if (!t->status) qr_rules_add(t->rules, choice, symbols, n);
}

/* Each trigger with each of the tags that begin with it; every tag has one. */
static uint32_t add_triggers(struct tags *t, const json_t *triggers, const json_t *tags,
                             const char *key, qr_rx before, unsigned depth)
{
    uint32_t choice = qr_rules_nonterminal(t->rules);

    for (size_t i = 0; i < json_array_size(tags) && !t->status; i++) {
        const json_t *tag = json_array_get(tags, i);
        const json_t *begin = json_object_get(tag, "begin");
        const size_t begin_n = json_string_length(begin);
        bool triggered = false;
        size_t path = enter(t, key, i);
        for (size_t j = 0; j < json_array_size(triggers) && !t->status; j++) {
            const json_t *trigger = json_array_get(triggers, j);
            const size_t n = json_string_length(trigger);
            if (n > begin_n || memcmp(json_string_value(begin), json_string_value(trigger), n) != 0)
                continue;
            triggered = true;
            qr_rx until =
                qr_rx_and(t->pool, before, qr_rx_cat(t->pool, QR_RX_ALL, text_rx(t, trigger)));
            qr_symbol symbols[2] = {qr_rules_regex(t->rules, until), add_tag(t, tag, n, depth)};
            add_choice(t, choice, symbols, 2);
        }
        if (!triggered)
            refuse(t, QUIRE_INVALID, "begin must be a string that starts with one of the triggers");
        leave(t, path);
    }
    return choice;
}

/* texts: what ends free text before a trigger does. */
static qr_symbol add_triggered(struct tags *t, const json_t *f, const char *key,
                               struct format_place place)
{
    const json_t *triggers = read_list(t, f, "triggers"), *tags = read_list(t, f, key);
    const json_t *excludes = json_object_get(f, "excludes");
    const bool one = read_flag(t, f, "at_least_one"), only = read_flag(t, f, "stop_after_first");

    if (excludes && !json_is_array(excludes))
        return refuse(t, QUIRE_INVALID, "excludes must be a list");
    if (t->status || !check_texts(t, triggers, "triggers") || !check_texts(t, excludes, "excludes"))
        return QR_SYMBOL_NONE;
    json_t *ends = list_of(place.ends), *stops = json_copy((json_t *)(uintptr_t)triggers);
    (void)json_array_extend(stops, (json_t *)(uintptr_t)excludes);
    qr_rx before = qr_rx_and(t->pool, without(t, triggers, true), without(t, ends, true));
    before = qr_rx_and(t->pool, before, without(t, excludes, false));
    uint32_t tag = add_triggers(t, triggers, tags, key, before, place.depth);
    qr_symbol once = QR_SYMBOL(QR_SYMBOL_RULES, tag);
    qr_symbol last = qr_rules_regex(t->rules, free_text(t, place.ends, stops));
    json_decref(ends);
    json_decref(stops);
    uint32_t whole = qr_rules_nonterminal(t->rules);
    if (only) {
        qr_symbol ended = with_ends(t, once, place);
        add_choice(t, whole, &ended, 1);
        if (!one) add_choice(t, whole, &last, 1);
    } else {
        qr_symbol symbols[2] = {
            qr_rules_repeat(t->rules, once, QR_SYMBOL_NONE, one, QR_RX_UNBOUNDED), last};
        add_choice(t, whole, symbols, 2);
    }
    return QR_SYMBOL(QR_SYMBOL_RULES, whole);
}

static qr_symbol add_separated(struct tags *t, const json_t *f, struct format_place place)
{
    const json_t *tags = read_list(t, f, "tags"), *separator = json_object_get(f, "separator");
    const bool one = read_flag(t, f, "at_least_one"), only = read_flag(t, f, "stop_after_first");

    if (!json_is_string(separator)) refuse(t, QUIRE_INVALID, "separator must be a string");
    if (t->status) return QR_SYMBOL_NONE;
    uint32_t choice = qr_rules_nonterminal(t->rules);
    for (size_t i = 0; i < json_array_size(tags) && !t->status; i++) {
        size_t path = enter(t, "tags", i);
        qr_symbol symbol = add_tag(t, json_array_get(tags, i), 0, place.depth);
        add_choice(t, choice, &symbol, 1);
        leave(t, path);
    }
    qr_symbol between = json_string_length(separator)
                            ? qr_rules_regex(t->rules, text_rx(t, separator))
                            : QR_SYMBOL_NONE;
    return with_ends(t,
                     qr_rules_repeat(t->rules, QR_SYMBOL(QR_SYMBOL_RULES, choice), between, one,
                                     only ? 1 : QR_RX_UNBOUNDED),
                     place);
}

/* A sequence: the last of its elements has the ends. */
static qr_symbol add_elements(struct tags *t, const json_t *f, bool sequence,
                              struct format_place place)
{
    const json_t *elements = read_list(t, f, "elements");
    const size_t n = json_array_size(elements);
    uint32_t whole = qr_rules_nonterminal(t->rules);
    qr_symbol before = QR_SYMBOL_NONE;

    for (size_t i = 0; i < n && !t->status; i++) {
        const json_t *element = json_array_get(elements, i);
        const char *type = json_string_value(json_object_get(element, "type"));
        size_t path = enter(t, "elements", i);
        struct format_place inner = {.depth = place.depth + 1};
        if (!sequence || i + 1 == n) inner.ends = place.ends;
        if (sequence && i + 1 < n && type && strcmp(type, "any_text") == 0)
            return refuse(t, QUIRE_UNSUPPORTED, "any_text is supported at the end of a sequence");
        qr_symbol symbol = add_format(t, element, inner);
        leave(t, path);
        qr_symbol pair[2] = {before, symbol};
        if (!sequence)
            add_choice(t, whole, &symbol, 1);
        else if (i == 0)
            before = symbol;
        else if (!t->status)
            before = qr_rules_sequence(t->rules, pair, 2);
    }
    if (sequence) add_choice(t, whole, &before, 1);
    return QR_SYMBOL(QR_SYMBOL_RULES, whole);
}

static qr_symbol add_repeated(struct tags *t, const json_t *f, uint32_t min, uint32_t max,
                              struct format_place place)
{
    size_t path = enter(t, "content", SIZE_MAX);
    qr_symbol one = add_format(t, json_object_get(f, "content"),
                               (struct format_place){.depth = place.depth + 1});

    leave(t, path);
    return t->status
               ? QR_SYMBOL_NONE
               : with_ends(t, qr_rules_repeat(t->rules, one, QR_SYMBOL_NONE, min, max), place);
}

static qr_symbol add_const(struct tags *t, const json_t *value)
{
    return json_is_string(value) ? qr_rules_regex(t->rules, text_rx(t, value))
                                 : refuse(t, QUIRE_INVALID, "value must be a string");
}

static qr_symbol add_any_text(struct tags *t, const json_t *f, struct format_place place)
{
    const json_t *excludes = json_object_get(f, "excludes");

    if (excludes && !json_is_array(excludes))
        return refuse(t, QUIRE_INVALID, "excludes must be a list");
    if (!check_texts(t, excludes, "excludes")) return QR_SYMBOL_NONE;
    return qr_rules_regex(t->rules, free_text(t, place.ends, excludes));
}

enum format_type {
    CONST_STRING,
    JSON_SCHEMA,
    ANY_TEXT,
    REGEX,
    GRAMMAR,
    SEQUENCE,
    OR,
    TAG,
    TRIGGERED_TAGS,
    TAGS_WITH_SEPARATOR,
    OPTIONAL,
    PLUS,
    STAR,
    FORMATS_N
};

static const struct {
    const char *name, *keys;
} formats[FORMATS_N] = {
    {"const_string", "type value"},
    {"json_schema", "type json_schema"},
    {"any_text", "type excludes"},
    {"regex", "type pattern"},
    {"grammar", "type grammar"},
    {"sequence", "type elements"},
    {"or", "type elements"},
    {"tag", "type begin content schema end"},
    {"triggered_tags", "type triggers tags at_least_one stop_after_first excludes"},
    {"tags_with_separator", "type tags separator at_least_one stop_after_first"},
    {"optional", "type content"},
    {"plus", "type content"},
    {"star", "type content"},
};

static qr_symbol add_format(struct tags *t, const json_t *f, struct format_place place)
{
    const char *name = json_string_value(json_object_get(f, "type"));
    uint32_t type = 0;

    if (t->status) return QR_SYMBOL_NONE;
    if (place.depth > DEPTH_MAX)
        return refuse(t, QUIRE_UNSUPPORTED, "more than %u formats within each other", DEPTH_MAX);
    if (!name) return refuse(t, QUIRE_INVALID, "a format must be an object with a type: a string");
    while (type < FORMATS_N && strcmp(name, formats[type].name) != 0)
        type++;
    if (type == FORMATS_N)
        return refuse(t, QUIRE_UNSUPPORTED, "type \"%.40s\" is not supported", name);
    if (!check_keys(t, f, formats[type].keys)) return QR_SYMBOL_NONE;
    switch ((enum format_type)type) {
    case CONST_STRING: return with_ends(t, add_const(t, json_object_get(f, "value")), place);
    case JSON_SCHEMA: return with_ends(t, add_schema(t, json_object_get(f, "json_schema")), place);
    case ANY_TEXT: return add_any_text(t, f, place);
    case REGEX: return with_ends(t, add_regex(t, json_object_get(f, "pattern")), place);
    case GRAMMAR: return with_ends(t, add_grammar(t, json_object_get(f, "grammar")), place);
    case SEQUENCE: return add_elements(t, f, true, place);
    case OR: return add_elements(t, f, false, place);
    case TAG: return with_ends(t, add_tag(t, f, 0, place.depth), place);
    case TRIGGERED_TAGS: return add_triggered(t, f, "tags", place);
    case TAGS_WITH_SEPARATOR: return add_separated(t, f, place);
    case OPTIONAL: return add_repeated(t, f, 0, 1, place);
    case PLUS: return add_repeated(t, f, 1, QR_RX_UNBOUNDED, place);
    case STAR: return add_repeated(t, f, 0, QR_RX_UNBOUNDED, place);
    case FORMATS_N: break;
    }
    return QR_SYMBOL_NONE;
}

qr_symbol qr_tags_add(struct qr_rules *rules, const char *text, size_t n,
                      const struct qr_schema_settings *settings, int *status,
                      struct quire_error *error)
{
    struct tags t = {
        .rules = rules, .pool = rules->lexer->pool, .settings = settings, .error = error};
    json_error_t what;
    json_t *root = json_loadb(text, n, JSON_ALLOW_NUL, &what);
    qr_symbol symbol = QR_SYMBOL_NONE;

    if (!root && json_error_code(&what) == json_error_numeric_overflow)
        root = json_loadb(text, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &what);
    const json_t *format = json_object_get(root, "format");
    if (!json_is_object(root)) {
        refuse(&t, QUIRE_INVALID, "a structural tag must be a JSON object");
    } else if (format && check_keys(&t, root, "type format")) {
        (void)enter(&t, "format", SIZE_MAX);
        symbol = add_format(&t, format, (struct format_place){0});
    } else if (!format && check_keys(&t, root, "type structures triggers")) {
        symbol = add_triggered(&t, root, "structures", (struct format_place){0});
    }
    json_decref(root);
    *status = t.status;
    return symbol;
}
