/* SPDX-License-Identifier: MIT */
/* format -- printf formatting as Python's %, for the operator and for the filter. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/template/strings.h"

struct format_values {
    const struct qr_value *all; /* [n] */
    size_t n, next;
};

/* Writes one conversion; `at` is the text after %.  Returns the bytes read. */
static size_t format_one(struct qr_render *r, struct qr_template_output *out, const char *at,
                         size_t n, struct format_values *values)
{
    char text[352];
    size_t used = 0;
    int precision = 6;
    double real = 0;
    int64_t integer = 0;

    if (n && at[0] == '.' && n > 1 && at[1] >= '0' && at[1] <= '9') {
        precision = at[1] - '0';
        used = 2;
    }
    char c = used < n ? at[used] : '\0';
    if (c == '%' && !used) {
        qr_output_put(r, out, "%", 1);
        return 1;
    }
    if (!c || !strchr("sdirf", c) || (used && c != 'f'))
        qr_run_fail(&r->run, "unknown format: expected %%s, %%d, %%i, %%r, %%f, %%.Nf or %%%%");
    if (values->next >= values->n) qr_run_fail(&r->run, "not enough arguments for format string");
    struct qr_value value = values->all[values->next++];
    bool whole = qr_value_as_int(value, &integer);
    if (c == 's')
        qr_print(r, out, value);
    else if (c == 'r')
        qr_print_repr(r, out, value);
    else {
        if (!qr_value_is_number(value))
            qr_run_fail(&r->run, "%%%c: expected a number, got %s", c, qr_value_type_name(value));
        real = whole ? (double)integer : value.as.real;
        if (c != 'f' && !whole && !(fabs(real) < 0x1p63))
            qr_run_fail(&r->run, "an integer of more than 64 bits");
        if (c != 'f' && !whole) integer = (int64_t)real;
        int length = c == 'f' ? snprintf(text, sizeof text, "%.*f", precision, real)
                              : snprintf(text, sizeof text, "%lld", (long long)integer);
        qr_output_put(r, out, text, (size_t)length);
    }
    return used + 1;
}

struct qr_value qr_string_format(struct qr_render *r, struct qr_value format,
                                 const struct qr_value *values, size_t n)
{
    struct format_values given = {.all = values, .n = n};
    struct qr_template_output out = {0};

    for (size_t i = 0; i < format.n; i++) {
        if (format.as.text[i] != '%') {
            qr_output_put(r, &out, &format.as.text[i], 1);
            continue;
        }
        i += format_one(r, &out, format.as.text + i + 1, format.n - i - 1, &given);
    }
    if (given.next < n)
        qr_run_fail(&r->run, "not all arguments converted during string formatting");
    return qr_output_value(&out);
}
