/* SPDX-License-Identifier: MIT */
/* arithmetic -- Python's operators.  Integers have 64 bits; an overflow is an error. */
#include <math.h>
#include <string.h>

#include "runtime/template/strings.h"

static const char *op_text(enum qr_op op)
{
    static const char *const texts[] = {
        [QR_OP_ADD] = "+",       [QR_OP_SUB] = "-", [QR_OP_MUL] = "*",  [QR_OP_DIV] = "/",
        [QR_OP_FLOORDIV] = "//", [QR_OP_MOD] = "%", [QR_OP_POW] = "**",
    };
    return texts[op];
}

_Noreturn static void fail_types(struct qr_render *r, enum qr_op op, struct qr_value a,
                                 struct qr_value b)
{
    if (a.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, a);
    if (b.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, b);
    if (op == QR_OP_ADD && a.kind == QR_V_STRING)
        qr_run_fail(&r->run, "can only concatenate str (not \"%s\") to str", qr_value_type_name(b));
    qr_run_fail(&r->run, "unsupported operand types for %s: '%s' and '%s'", op_text(op),
                qr_value_type_name(a), qr_value_type_name(b));
}

/* ---- numbers --------------------------------------------------------------------------------- */

static struct qr_value power(struct qr_render *r, int64_t base, int64_t exponent)
{
    int64_t result = 1;

    if (exponent < 0) {
        if (base == 0) qr_run_fail(&r->run, "0 cannot be raised to a negative power");
        return qr_value_float(pow((double)base, (double)exponent));
    }
    while (exponent > 0) {
        bool over = exponent & 1 ? __builtin_mul_overflow(result, base, &result) : false;
        exponent >>= 1;
        if (exponent) over |= __builtin_mul_overflow(base, base, &base);
        if (over) qr_run_fail(&r->run, "an integer of more than 64 bits");
    }
    return qr_value_int(result);
}

static struct qr_value integers(struct qr_render *r, enum qr_op op, int64_t a, int64_t b)
{
    int64_t result = 0;
    bool over = false;

    if (b == 0 && (op == QR_OP_DIV || op == QR_OP_FLOORDIV || op == QR_OP_MOD))
        qr_run_fail(&r->run, "division by zero");
    switch (op) {
    case QR_OP_ADD: over = __builtin_add_overflow(a, b, &result); break;
    case QR_OP_SUB: over = __builtin_sub_overflow(a, b, &result); break;
    case QR_OP_MUL: over = __builtin_mul_overflow(a, b, &result); break;
    case QR_OP_DIV: return qr_value_float((double)a / (double)b);
    case QR_OP_FLOORDIV:
        over = a == INT64_MIN && b == -1;
        if (!over) result = a / b - (a % b != 0 && (a < 0) != (b < 0));
        break;
    case QR_OP_MOD: /* the sign of b, as Python */
        result = b == -1 ? 0 : a % b;
        if (result != 0 && (result < 0) != (b < 0)) result += b;
        break;
    default: return power(r, a, b);
    }
    if (over) qr_run_fail(&r->run, "an integer of more than 64 bits");
    return qr_value_int(result);
}

static struct qr_value reals(struct qr_render *r, enum qr_op op, double a, double b)
{
    if (b == 0 && (op == QR_OP_DIV || op == QR_OP_FLOORDIV || op == QR_OP_MOD))
        qr_run_fail(&r->run, "float division by zero");
    double remainder;
    switch (op) {
    case QR_OP_ADD: return qr_value_float(a + b);
    case QR_OP_SUB: return qr_value_float(a - b);
    case QR_OP_MUL: return qr_value_float(a * b);
    case QR_OP_DIV: return qr_value_float(a / b);
    case QR_OP_MOD:
    case QR_OP_FLOORDIV:
        remainder = fmod(a, b);
        if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
        if (op == QR_OP_MOD) return qr_value_float(remainder == 0 ? copysign(0, b) : remainder);
        return qr_value_float(round((a - remainder) / b));
    default:
        if (a == 0 && b < 0) qr_run_fail(&r->run, "0.0 cannot be raised to a negative power");
        if (a < 0 && b != floor(b)) qr_run_fail(&r->run, "a complex number is not supported");
        return qr_value_float(pow(a, b));
    }
}

static double real_of(struct qr_value value)
{
    int64_t integer;

    return qr_value_as_int(value, &integer) ? (double)integer : value.as.real;
}

/* ---- texts and lists ------------------------------------------------------------------------- */

static struct qr_value add_texts(struct qr_render *r, struct qr_value a, struct qr_value b)
{
    bool markup = a.markup || b.markup;

    if (markup && !a.markup) a = qr_string_escape(r, a);
    if (markup && !b.markup) b = qr_string_escape(r, b);
    struct qr_value sum = qr_value_join(&r->run, a, b);
    sum.markup = markup;
    return sum;
}

static struct qr_value add_lists(struct qr_render *r, const struct qr_list *a,
                                 const struct qr_list *b)
{
    struct qr_value sum = qr_list_make(&r->run, (enum qr_list_flavor)a->flavor, a->n + b->n);

    if (a->n) memcpy(sum.as.list->items, a->items, a->n * sizeof *a->items);
    if (b->n) memcpy(sum.as.list->items + a->n, b->items, b->n * sizeof *b->items);
    return sum;
}

static struct qr_value repeat(struct qr_render *r, struct qr_value value, int64_t times)
{
    size_t n = value.kind == QR_V_STRING ? value.n : value.as.list->n, all;

    if (times < 0) times = 0;
    if (__builtin_mul_overflow(n, (size_t)times, &all))
        qr_run_fail(&r->run, "a repeated value is longer than 2^64 bytes or items");
    if (value.kind == QR_V_LIST) {
        struct qr_value list =
            qr_list_make(&r->run, (enum qr_list_flavor)value.as.list->flavor, all);
        for (size_t i = 0; i < all; i += n)
            memcpy(list.as.list->items + i, value.as.list->items, n * sizeof(struct qr_value));
        return list;
    }
    qr_run_charge(&r->run, all);
    char *text = qr_run_alloc(&r->run, all);
    for (size_t i = 0; i < all; i += n)
        memcpy(text + i, value.as.text, n);
    return qr_value_text(text, all);
}

/* ---- all types ------------------------------------------------------------------------------- */

static bool is_plain_list(struct qr_value value)
{
    return value.kind == QR_V_LIST && value.as.list->flavor <= QR_TUPLE;
}

struct qr_value qr_arithmetic_binary(struct qr_render *r, enum qr_op op, struct qr_value a,
                                     struct qr_value b)
{
    int64_t x, y;
    bool ax = qr_value_as_int(a, &x), by = qr_value_as_int(b, &y);

    if (ax && by) return integers(r, op, x, y);
    if (qr_value_is_number(a) && qr_value_is_number(b)) return reals(r, op, real_of(a), real_of(b));
    if (op == QR_OP_ADD && a.kind == QR_V_STRING && b.kind == QR_V_STRING)
        return add_texts(r, a, b);
    if (op == QR_OP_ADD && is_plain_list(a) && is_plain_list(b) &&
        a.as.list->flavor == b.as.list->flavor)
        return add_lists(r, a.as.list, b.as.list);
    if (op == QR_OP_MUL && (a.kind == QR_V_STRING || is_plain_list(a)) && by)
        return repeat(r, a, y);
    if (op == QR_OP_MUL && (b.kind == QR_V_STRING || is_plain_list(b)) && ax)
        return repeat(r, b, x);
    if (op == QR_OP_MOD && a.kind == QR_V_STRING) {
        bool many = b.kind == QR_V_LIST && b.as.list->flavor == QR_TUPLE;
        return many ? qr_string_format(r, a, b.as.list->items, b.as.list->n)
                    : qr_string_format(r, a, &b, 1);
    }
    fail_types(r, op, a, b);
}

struct qr_value qr_arithmetic_negative(struct qr_render *r, struct qr_value a)
{
    int64_t integer;

    if (a.kind == QR_V_FLOAT) return qr_value_float(-a.as.real);
    if (a.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, a);
    if (!qr_value_as_int(a, &integer))
        qr_run_fail(&r->run, "bad operand type for unary -: '%s'", qr_value_type_name(a));
    return integers(r, QR_OP_SUB, 0, integer);
}
