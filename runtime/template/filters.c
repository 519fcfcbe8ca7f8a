/* SPDX-License-Identifier: MIT */
/* filters -- filters of strings, numbers and any value; filters_list.c has those of lists. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/template/chars.h"
#include "runtime/template/strings.h"

#define FILTER(name)                                                                               \
    static struct qr_value filter_##name(struct qr_render *r, struct qr_value self,                \
                                         const struct qr_args *args)

/* ---- strings --------------------------------------------------------------------------------- */

FILTER(trim)
{
    return qr_string_strip(r, qr_print_text(r, self), args->values[0], QR_FRONT | QR_BACK);
}

FILTER(upper)
{
    (void)args;
    return qr_string_upper(r, qr_print_text(r, self));
}

FILTER(lower)
{
    (void)args;
    return qr_string_lower(r, qr_print_text(r, self));
}

FILTER(capitalize)
{
    (void)args;
    return qr_string_capitalize(r, qr_print_text(r, self));
}

static bool begins_word(uint32_t c)
{
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || qr_char_is_space(c);
}

FILTER(title)
{
    (void)args;
    return qr_string_title(r, qr_print_text(r, self), begins_word);
}

FILTER(string)
{
    (void)args;
    return qr_print_text(r, self);
}

FILTER(replace)
{
    return qr_string_replace(r, qr_print_text(r, self), qr_print_text(r, args->values[0]),
                             qr_print_text(r, args->values[1]),
                             qr_args_int(r, args, 2, "count", -1));
}

FILTER(indent)
{
    struct qr_value width = args->values[0];
    bool first = qr_args_bool(args, 1, false), blank = qr_args_bool(args, 2, false);
    struct qr_template_output out = {0};

    if (self.kind != QR_V_STRING) {
        if (self.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, self);
        qr_run_fail(&r->run, "indent: expected a string, got %s", qr_value_type_name(self));
    }
    if (width.kind != QR_V_STRING) {
        int64_t n = qr_args_int(r, args, 0, "width", 4);
        width = qr_arithmetic_binary(r, QR_OP_MUL, QR_VALUE_LITERAL(" "), qr_value_int(n));
    }
    /* The added newline makes an empty last line count. */
    const struct qr_list *lines =
        qr_string_lines(r, qr_value_join(&r->run, self, QR_VALUE_LITERAL("\n")), false).as.list;
    for (size_t i = 0; i < lines->n; i++) {
        if (i) qr_output_put(r, &out, "\n", 1);
        bool indents = i == 0 ? first : blank || lines->items[i].n;
        if (indents) qr_output_put(r, &out, width.as.text, width.n);
        qr_output_put(r, &out, lines->items[i].as.text, lines->items[i].n);
    }
    return qr_output_value(&out);
}

FILTER(escape)
{
    (void)args;
    struct qr_value text = qr_print_text(r, self);
    return text.markup ? text : qr_string_escape(r, text);
}

FILTER(forceescape)
{
    (void)args;
    return qr_string_escape(r, qr_print_text(r, self));
}

FILTER(safe)
{
    (void)args;
    struct qr_value text = qr_print_text(r, self);
    text.markup = true;
    return text;
}

FILTER(wordcount)
{
    (void)args;
    const struct qr_value text = qr_print_text(r, self);
    int64_t n = 0;
    bool inside = false;

    qr_run_charge(&r->run, text.n);
    for (size_t i = 0, used; i < text.n; i += used) {
        uint32_t c = qr_char_get(text.as.text + i, text.n - i, &used);
        bool word = c == '_' || qr_char_is_alnum(c);
        n += word && !inside;
        inside = word;
    }
    return qr_value_int(n);
}

FILTER(format)
{
    if (args->named_n) qr_run_fail(&r->run, "format by names is not supported");
    return qr_string_format(r, qr_print_text(r, self), args->values, args->n);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* As in transformers: HTML is not escaped, and of non-ASCII text nothing by default. */
FILTER(tojson)
{
    struct qr_json_style style = {.ascii = qr_args_bool(args, 0, false),
                                  .sorted = qr_args_bool(args, 3, false),
                                  .lines = qr_args_given(args, 1),
                                  .item = {", ", 2},
                                  .key = {": ", 2}};
    struct qr_template_output out = {0};

    if (style.lines) {
        struct qr_value indent = args->values[1];
        if (indent.kind != QR_V_STRING) {
            int64_t n = qr_args_int(r, args, 1, "indent", 0);
            indent = qr_arithmetic_binary(r, QR_OP_MUL, QR_VALUE_LITERAL(" "), qr_value_int(n));
        }
        style.indent = (struct quire_text){.data = indent.as.text, .n = indent.n};
        style.item = (struct quire_text){.data = ",", .n = 1};
    }
    if (qr_args_given(args, 2)) {
        const struct qr_list *two = qr_value_iterate(&r->run, args->values[2]);
        if (two->n != 2 || two->items[0].kind != QR_V_STRING || two->items[1].kind != QR_V_STRING)
            qr_run_fail(&r->run, "separators: expected two strings");
        style.item = (struct quire_text){.data = two->items[0].as.text, .n = two->items[0].n};
        style.key = (struct quire_text){.data = two->items[1].as.text, .n = two->items[1].n};
    }
    qr_print_json(r, &out, self, &style);
    return qr_output_value(&out);
}

/* ---- numbers --------------------------------------------------------------------------------- */

FILTER(int)
{
    int64_t integer;
    double real;
    struct qr_value otherwise =
        args->values[0].kind == QR_V_UNSET ? qr_value_int(0) : args->values[0];

    if (self.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, self);
    if (qr_value_as_int(self, &integer)) return qr_value_int(integer);
    if (self.kind == QR_V_FLOAT)
        real = self.as.real;
    else if (self.kind == QR_V_STRING) {
        if (qr_string_parse_int(self, qr_args_int(r, args, 1, "base", 10), &integer))
            return qr_value_int(integer);
        if (!qr_string_parse_float(self, &real)) return otherwise;
    } else
        return otherwise;
    return fabs(real) < 0x1p63 ? qr_value_int((int64_t)real) : otherwise;
}

FILTER(float)
{
    int64_t integer;
    double real;

    if (self.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, self);
    if (qr_value_as_int(self, &integer)) return qr_value_float((double)integer);
    if (self.kind == QR_V_FLOAT) return self;
    if (self.kind == QR_V_STRING && qr_string_parse_float(self, &real)) return qr_value_float(real);
    return args->values[0].kind == QR_V_UNSET ? qr_value_float(0) : args->values[0];
}

FILTER(abs)
{
    (void)args;
    int64_t integer;

    if (self.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, self);
    if (self.kind == QR_V_FLOAT) return qr_value_float(fabs(self.as.real));
    if (!qr_value_as_int(self, &integer))
        qr_run_fail(&r->run, "bad operand type for abs(): '%s'", qr_value_type_name(self));
    return integer < 0 ? qr_arithmetic_negative(r, self) : qr_value_int(integer);
}

FILTER(round)
{
    int64_t precision = qr_args_int(r, args, 0, "precision", 0), integer;
    struct qr_value method =
        args->values[1].kind == QR_V_UNSET ? QR_VALUE_LITERAL("common") : args->values[1];
    bool common = qr_value_is_text(method, "common"), up = qr_value_is_text(method, "ceil");
    char text[400];

    if (!common && !up && !qr_value_is_text(method, "floor"))
        qr_run_fail(&r->run, "round: expected the method common, ceil or floor");
    if (!qr_value_is_number(self)) {
        if (self.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, self);
        qr_run_fail(&r->run, "round: expected a number, got %s", qr_value_type_name(self));
    }
    bool whole = qr_value_as_int(self, &integer);
    if (precision < 0 || precision > 60)
        qr_run_fail(&r->run, "round: expected a precision of 0 to 60, got %lld",
                    (long long)precision);
    if (common && whole) return qr_value_int(integer);
    double real = whole ? (double)integer : self.as.real;
    if (!common) {
        double scale = pow(10, (double)precision);
        return qr_value_float((up ? ceil(real * scale) : floor(real * scale)) / scale);
    }
    if (!isfinite(real)) return self;
    /* printf rounds the exact value, half to even, as Python does. */
    (void)snprintf(text, sizeof text, "%.*f", (int)precision, real);
    return qr_value_float(strtod(text, NULL));
}

/* ---- any value ------------------------------------------------------------------------------- */

FILTER(default)
{
    (void)r;
    bool empty = qr_args_bool(args, 1, false) && !qr_value_truth(self);

    if (self.kind != QR_V_UNDEFINED && !empty) return self;
    return args->values[0].kind == QR_V_UNSET ? QR_VALUE_LITERAL("") : args->values[0];
}

FILTER(attr)
{
    if (args->values[0].kind != QR_V_STRING) qr_run_fail(&r->run, "attr: expected a name");
    /* A dict's items are not attributes. */
    if (self.kind == QR_V_DICT && !qr_method_find(self, args->values[0]))
        return qr_value_undefined(args->values[0].as.text, args->values[0].n);
    return qr_access_attribute(r, self, args->values[0]);
}

static const struct qr_function filters[] = {
    {"trim", "chars", 0, filter_trim},
    {"upper", "", 0, filter_upper},
    {"lower", "", 0, filter_lower},
    {"capitalize", "", 0, filter_capitalize},
    {"title", "", 0, filter_title},
    {"string", "", 0, filter_string},
    {"replace", "old new count", 2, filter_replace},
    {"indent", "width first blank", 0, filter_indent},
    {"escape", "", 0, filter_escape},
    {"e", "", 0, filter_escape},
    {"forceescape", "", 0, filter_forceescape},
    {"safe", "", 0, filter_safe},
    {"wordcount", "", 0, filter_wordcount},
    {"format", NULL, 0, filter_format},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, filter_tojson},
    {"int", "default base", 0, filter_int},
    {"float", "default", 0, filter_float},
    {"abs", "", 0, filter_abs},
    {"round", "precision method", 0, filter_round},
    {"default", "default_value boolean", 0, filter_default},
    {"d", "default_value boolean", 0, filter_default},
    {"attr", "name", 1, filter_attr},
};

const struct qr_function *qr_filter_find(struct qr_value name)
{
    return qr_function_find(filters, sizeof filters / sizeof filters[0], name);
}
