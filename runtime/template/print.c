/* SPDX-License-Identifier: MIT */
/* print -- Python's str and repr, and json.dumps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/template/chars.h"
#include "runtime/template/render.h"

static void put(struct qr_render *r, struct qr_template_output *out, const char *string)
{
    qr_output_put(r, out, string, strlen(string));
}

static void put_int(struct qr_render *r, struct qr_template_output *out, int64_t integer)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%lld", (long long)integer);
    put(r, out, text);
}

/* Writes the shortest digits that read back as the same number, as Python's repr: 1e+16, 1.0. */
static void put_float(struct qr_render *r, struct qr_template_output *out, double real)
{
    char digits[40], text[48];
    int precision = 0;

    do {
        (void)snprintf(digits, sizeof digits, "%.*e", precision, fabs(real));
    } while (strtod(digits, NULL) != fabs(real) && ++precision < 17);
    int exponent = atoi(strchr(digits, 'e') + 1), n = precision + 1;
    if (precision > 0) memmove(digits + 1, digits + 2, (size_t)precision); /* drop the point */
    if (signbit(real)) put(r, out, "-");
    if (exponent < -4 || exponent >= 16)
        (void)snprintf(text, sizeof text, "%c%s%.*se%c%02d", digits[0], n > 1 ? "." : "", n - 1,
                       digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        (void)snprintf(text, sizeof text, "0.%.*s%.*s", -exponent - 1, "000", n, digits);
    else if (exponent + 1 >= n)
        (void)snprintf(text, sizeof text, "%.*s%.*s.0", n, digits, exponent + 1 - n,
                       "0000000000000000");
    else
        (void)snprintf(text, sizeof text, "%.*s.%.*s", exponent + 1, digits, n - exponent - 1,
                       digits + exponent + 1);
    put(r, out, text);
}

static void put_real(struct qr_render *r, struct qr_template_output *out, double real,
                     const char *nan_text, const char *infinite)
{
    if (isnan(real))
        put(r, out, nan_text);
    else if (isinf(real)) {
        if (real < 0) put(r, out, "-");
        put(r, out, infinite);
    } else
        put_float(r, out, real);
}

/* ---- repr ------------------------------------------------------------------------------------ */

static void put_quoted(struct qr_render *r, struct qr_template_output *out, struct qr_value text)
{
    bool single = memchr(text.as.text, '\'', text.n) && !memchr(text.as.text, '"', text.n);
    const char quote = single ? '"' : '\'';
    char escape[16];

    qr_output_put(r, out, &quote, 1);
    for (size_t i = 0, used; i < text.n; i += used) {
        uint32_t c = qr_char_get(text.as.text + i, text.n - i, &used);
        const char *letter = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
        if (letter)
            put(r, out, letter);
        else if (c == '\\' || c == (uint32_t)quote) {
            escape[0] = '\\';
            escape[1] = (char)c;
            qr_output_put(r, out, escape, 2);
        } else if (qr_char_is_printed(c))
            qr_output_put(r, out, text.as.text + i, used);
        else {
            (void)snprintf(escape, sizeof escape,
                           c < 0x100     ? "\\x%02x"
                           : c < 0x10000 ? "\\u%04x"
                                         : "\\U%08x",
                           (unsigned)c);
            put(r, out, escape);
        }
    }
    qr_output_put(r, out, &quote, 1);
}

static void put_pairs(struct qr_render *r, struct qr_template_output *out,
                      const struct qr_pair *pairs, size_t n)
{
    put(r, out, "{");
    for (size_t i = 0; i < n; i++) {
        if (i) put(r, out, ", ");
        qr_print_repr(r, out, pairs[i].key);
        put(r, out, ": ");
        qr_print_repr(r, out, pairs[i].value);
    }
    put(r, out, "}");
}

static void put_list(struct qr_render *r, struct qr_template_output *out,
                     const struct qr_list *list)
{
    static const char *const before[] = {
        [QR_LIST] = "[",
        [QR_TUPLE] = "(",
        [QR_KEYS] = "dict_keys([",
        [QR_VALUES] = "dict_values([",
        [QR_ITEMS] = "dict_items([",
    };
    static const char *const after[] = {
        [QR_LIST] = "]", [QR_TUPLE] = ")", [QR_KEYS] = "])", [QR_VALUES] = "])", [QR_ITEMS] = "])",
    };

    if (list->flavor == QR_GENERATOR) {
        put(r, out, "<generator object>");
        return;
    }
    if (list->flavor == QR_RANGE) {
        put(r, out, "range(");
        put_int(r, out, list->start);
        put(r, out, ", ");
        put_int(r, out, list->stop);
        if (list->step != 1) put(r, out, ", ");
        if (list->step != 1) put_int(r, out, list->step);
        put(r, out, ")");
        return;
    }
    put(r, out, before[list->flavor]);
    for (size_t i = 0; i < list->n; i++) {
        if (i) put(r, out, ", ");
        qr_print_repr(r, out, list->items[i]);
    }
    if (list->flavor == QR_TUPLE && list->n == 1) put(r, out, ",");
    put(r, out, after[list->flavor]);
}

static void put_object(struct qr_render *r, struct qr_template_output *out, struct qr_value value)
{
    switch (value.kind) {
    case QR_V_NAMESPACE:
        put(r, out, "<Namespace ");
        put_pairs(r, out, value.as.space->pairs, value.as.space->n);
        break;
    case QR_V_LOOP:
        put(r, out, "<LoopContext ");
        put_int(r, out, (int64_t)value.as.loop->at + 1);
        put(r, out, "/");
        put_int(r, out, (int64_t)value.as.loop->list->n);
        break;
    case QR_V_MACRO:
        put(r, out, "<Macro ");
        put_quoted(r, out, value.as.macro->name);
        break;
    default:
        put(r, out, "<");
        put(r, out, qr_value_type_name(value));
        break;
    }
    put(r, out, ">");
}

void qr_print_repr(struct qr_render *r, struct qr_template_output *out, struct qr_value value)
{
    if (value.kind == QR_V_STRING) {
        if (value.markup) put(r, out, "Markup(");
        put_quoted(r, out, value);
        if (value.markup) put(r, out, ")");
        return;
    }
    if (value.kind == QR_V_UNDEFINED) {
        put(r, out, "Undefined");
        return;
    }
    qr_print(r, out, value);
}

void qr_print(struct qr_render *r, struct qr_template_output *out, struct qr_value value)
{
    switch (value.kind) {
    case QR_V_UNDEFINED: return;
    case QR_V_NONE: put(r, out, "None"); return;
    case QR_V_BOOL: put(r, out, value.as.truth ? "True" : "False"); return;
    case QR_V_INT: put_int(r, out, value.as.integer); return;
    case QR_V_FLOAT: put_real(r, out, value.as.real, "nan", "inf"); return;
    case QR_V_STRING: qr_output_put(r, out, value.as.text, value.n); return;
    default: break;
    }
    qr_run_charge(&r->run, 0);
    qr_run_enter(&r->run);
    if (value.kind == QR_V_LIST)
        put_list(r, out, value.as.list);
    else if (value.kind == QR_V_DICT)
        put_pairs(r, out, value.as.dict->pairs, value.as.dict->n);
    else
        put_object(r, out, value);
    qr_run_leave(&r->run);
}

struct qr_value qr_print_text(struct qr_render *r, struct qr_value value)
{
    struct qr_template_output out = {0};

    if (value.kind == QR_V_STRING) return value;
    qr_print(r, &out, value);
    return qr_output_value(&out);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_json_text(struct qr_render *r, struct qr_template_output *out, struct qr_value text,
                          bool ascii)
{
    static const char letters[] = "\"\\\n\r\t\f\b", names[] = "\"\\nrtfb";
    size_t plain = 0;
    char escape[16];

    put(r, out, "\"");
    for (size_t i = 0, used; i < text.n; i += used) {
        uint32_t c = qr_char_get(text.as.text + i, text.n - i, &used);
        const char *letter = c && c < 0x80 ? strchr(letters, (int)c) : NULL;
        if (!letter && c >= 0x20 && (c < 0x80 || !ascii)) continue;
        qr_output_put(r, out, text.as.text + plain, i - plain);
        plain = i + used;
        if (letter)
            (void)snprintf(escape, sizeof escape, "\\%c", names[letter - letters]);
        else if (c < 0x10000)
            (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
        else
            (void)snprintf(escape, sizeof escape, "\\u%04x\\u%04x",
                           (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
                           (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
        put(r, out, escape);
    }
    qr_output_put(r, out, text.as.text + plain, text.n - plain);
    put(r, out, "\"");
}

static void put_break(struct qr_render *r, struct qr_template_output *out,
                      const struct qr_json_style *style, size_t level)
{
    if (!style->lines) return;
    put(r, out, "\n");
    for (size_t i = 0; i < level; i++)
        qr_output_put(r, out, style->indent.data, style->indent.n);
}

static void put_json(struct qr_render *r, struct qr_template_output *out, struct qr_value value,
                     const struct qr_json_style *style, size_t level);

/* A key is a string, or a value that json.dumps converts to one. */
static void put_json_key(struct qr_render *r, struct qr_template_output *out, struct qr_value key,
                         const struct qr_json_style *style)
{
    if (key.kind == QR_V_STRING) {
        put_json_text(r, out, key, style->ascii);
        return;
    }
    if (key.kind == QR_V_LIST) qr_run_fail(&r->run, "tojson: a key must be a string, got tuple");
    put(r, out, "\"");
    put_json(r, out, key, style, 0);
    put(r, out, "\"");
}

static const struct qr_pair *sorted_pairs(struct qr_render *r, const struct qr_dict *dict)
{
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, dict->n, sizeof *pairs);

    if (dict->n) memcpy(pairs, dict->pairs, dict->n * sizeof *pairs);
    qr_sort_pairs(&r->run, pairs, dict->n, false);
    return pairs;
}

static void put_json_dict(struct qr_render *r, struct qr_template_output *out,
                          const struct qr_dict *dict, const struct qr_json_style *style,
                          size_t level)
{
    const struct qr_pair *pairs = style->sorted ? sorted_pairs(r, dict) : dict->pairs;

    put(r, out, "{");
    for (size_t i = 0; i < dict->n; i++) {
        if (i) qr_output_put(r, out, style->item.data, style->item.n);
        put_break(r, out, style, level + 1);
        put_json_key(r, out, pairs[i].key, style);
        qr_output_put(r, out, style->key.data, style->key.n);
        put_json(r, out, pairs[i].value, style, level + 1);
    }
    if (dict->n) put_break(r, out, style, level);
    put(r, out, "}");
}

static void put_json_list(struct qr_render *r, struct qr_template_output *out,
                          const struct qr_list *list, const struct qr_json_style *style,
                          size_t level)
{
    put(r, out, "[");
    for (size_t i = 0; i < list->n; i++) {
        if (i) qr_output_put(r, out, style->item.data, style->item.n);
        put_break(r, out, style, level + 1);
        put_json(r, out, list->items[i], style, level + 1);
    }
    if (list->n) put_break(r, out, style, level);
    put(r, out, "]");
}

static void put_json(struct qr_render *r, struct qr_template_output *out, struct qr_value value,
                     const struct qr_json_style *style, size_t level)
{
    switch (value.kind) {
    case QR_V_NONE: put(r, out, "null"); return;
    case QR_V_BOOL: put(r, out, value.as.truth ? "true" : "false"); return;
    case QR_V_INT: put_int(r, out, value.as.integer); return;
    case QR_V_FLOAT: put_real(r, out, value.as.real, "NaN", "Infinity"); return;
    case QR_V_STRING: put_json_text(r, out, value, style->ascii); return;
    case QR_V_DICT: break;
    case QR_V_LIST:
        if (value.as.list->flavor <= QR_TUPLE) break;
        qr_run_fail(&r->run, "Object of type %s is not JSON serializable",
                    qr_value_type_name(value));
    default:
        qr_run_fail(&r->run, "Object of type %s is not JSON serializable",
                    qr_value_type_name(value));
    }
    qr_run_enter(&r->run);
    if (value.kind == QR_V_DICT)
        put_json_dict(r, out, value.as.dict, style, level);
    else
        put_json_list(r, out, value.as.list, style, level);
    qr_run_leave(&r->run);
}

void qr_print_json(struct qr_render *r, struct qr_template_output *out, struct qr_value value,
                   const struct qr_json_style *style)
{
    put_json(r, out, value, style, 0);
}
