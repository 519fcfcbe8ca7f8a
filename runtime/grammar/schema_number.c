/* SPDX-License-Identifier: MIT */
/* schema_number -- numbers within bounds, as expressions over their digits.
 *
 * A bound is kept in decimal, as it is written in the schema (a double by its shortest text), and
 * compared digit by digit, so nothing is rounded.  With bounds or multipleOf a number is written
 * without an exponent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/schema_parts.h"

#define DIGITS_MAX 400u

struct decimal {
    bool negative;
    char whole[DIGITS_MAX], fraction[DIGITS_MAX]; /* no leading, no trailing zeros; "0" at least */
};

/* ---- decimals ------------------------------------------------------------------------------- */

/* The shortest text that reads as the same double. */
static void shortest(double x, char *text, size_t size)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*e", digits - 1, x);
        if (strtod(text, NULL) == x) return;
    }
}

static bool to_decimal(const json_t *value, struct decimal *d)
{
    char text[64];
    int exponent = 0;
    size_t n = 0;
    char digits[64];

    *d = (struct decimal){0};
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        shortest(json_real_value(value), text, sizeof text);
    else
        return false;
    const char *at = text;
    if (*at == '-') d->negative = true, at++;
    int point = -1;
    for (; *at && *at != 'e'; at++)
        if (*at == '.')
            point = (int)n;
        else
            digits[n++] = *at;
    if (*at == 'e') exponent = atoi(at + 1);
    if (point < 0) point = (int)n;
    point += exponent;
    if (point > (int)DIGITS_MAX - 70 || point < -(int)DIGITS_MAX + 70) return false;
    size_t w = 0, f = 0;
    for (int i = 0; i < point; i++)
        d->whole[w++] = i < (int)n ? digits[i] : '0';
    for (int i = point; i < (int)n; i++)
        d->fraction[f++] = i >= 0 ? digits[i] : '0';
    while (f > 0 && d->fraction[f - 1] == '0')
        f--;
    d->whole[w] = d->fraction[f] = 0;
    size_t zeros = strspn(d->whole, "0");
    memmove(d->whole, d->whole + zeros, w - zeros + 1);
    if (!d->whole[0]) strcpy(d->whole, "0");
    if (strcmp(d->whole, "0") == 0 && f == 0) d->negative = false;
    return true;
}

static int compare_sizes(const struct decimal *a, const struct decimal *b)
{
    size_t n = strlen(a->whole), m = strlen(b->whole);

    if (n != m) return n < m ? -1 : 1;
    int order = strcmp(a->whole, b->whole);
    return order ? order : strcmp(a->fraction, b->fraction);
}

static int compare(const struct decimal *a, const struct decimal *b)
{
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    return a->negative ? -compare_sizes(a, b) : compare_sizes(a, b);
}

/* ---- digits --------------------------------------------------------------------------------- */

static qr_rx digit(struct qr_rx_pool *pool, char first, char last)
{
    struct qr_byte_set set = {0};

    if (first > last) return QR_RX_NONE;
    qr_byte_set_add(&set, (uint8_t)first, (uint8_t)last);
    return qr_rx_set(pool, &set);
}

static qr_rx digits(struct qr_rx_pool *pool, uint32_t min, uint32_t max)
{
    return qr_rx_repeat(pool, digit(pool, '0', '9'), min, max);
}

/* "" or ".5": any fraction. */
static qr_rx any_fraction(struct qr_rx_pool *pool)
{
    return qr_rx_optional(pool,
                          qr_rx_cat(pool, qr_rx_byte(pool, '.'), digits(pool, 1, QR_RX_UNBOUNDED)));
}

static qr_rx whole_digits(struct qr_rx_pool *pool, uint32_t min, uint32_t max)
{
    qr_rx more = max == QR_RX_UNBOUNDED ? max : max - 1;
    qr_rx all = qr_rx_cat(pool, digit(pool, '1', '9'), digits(pool, min - 1, more));

    return min == 1 ? qr_rx_or(pool, qr_rx_byte(pool, '0'), all) : all;
}

/* Whole numbers with as many digits as b's that are more (or less) than its whole part, and any
 * fraction. */
static qr_rx same_length(struct qr_rx_pool *pool, const struct decimal *b, bool more)
{
    const uint32_t n = (uint32_t)strlen(b->whole);
    qr_rx all = QR_RX_NONE;

    for (uint32_t i = 0; i < n; i++) {
        char c = b->whole[i], least = i == 0 && n > 1 ? '1' : '0';
        qr_rx other = more ? digit(pool, (char)(c + 1), '9') : digit(pool, least, (char)(c - 1));
        qr_rx one = qr_rx_cat(pool, other, digits(pool, n - 1 - i, n - 1 - i));
        all = qr_rx_or(pool, all, qr_rx_cat(pool, qr_rx_bytes(pool, b->whole, i), one));
    }
    return qr_rx_cat(pool, all, any_fraction(pool));
}

/* Fractions (with their point) that are more than b's, or equal with `equal`. */
static qr_rx fraction_above(struct qr_rx_pool *pool, const struct decimal *b, bool equal)
{
    const char *f = b->fraction;
    const uint32_t n = (uint32_t)strlen(f);
    qr_rx rest = digits(pool, 0, QR_RX_UNBOUNDED), all = QR_RX_NONE;

    for (uint32_t i = 0; i < n; i++)
        all = qr_rx_or(pool, all,
                       qr_rx_cat(pool, qr_rx_bytes(pool, f, i),
                                 qr_rx_cat(pool, digit(pool, (char)(f[i] + 1), '9'), rest)));
    qr_rx more = qr_rx_cat(pool, rest, qr_rx_cat(pool, digit(pool, '1', '9'), rest));
    if (n || !equal)
        all = qr_rx_or(pool, all, qr_rx_cat(pool, qr_rx_bytes(pool, f, n), equal ? rest : more));
    all = qr_rx_cat(pool, qr_rx_byte(pool, '.'), all);
    return n == 0 && equal ? any_fraction(pool) : all;
}

static qr_rx fraction_below(struct qr_rx_pool *pool, const struct decimal *b, bool equal)
{
    const char *f = b->fraction;
    const uint32_t n = (uint32_t)strlen(f);
    qr_rx rest = digits(pool, 0, QR_RX_UNBOUNDED), all = QR_RX_NONE;
    qr_rx zeros = qr_rx_repeat(pool, qr_rx_byte(pool, '0'), 0, QR_RX_UNBOUNDED);

    for (uint32_t i = 0; i < n; i++) {
        qr_rx begin = qr_rx_bytes(pool, f, i);
        all = qr_rx_or(
            pool, all,
            qr_rx_cat(pool, begin, qr_rx_cat(pool, digit(pool, '0', (char)(f[i] - 1)), rest)));
        if (i) all = qr_rx_or(pool, all, begin);
    }
    if (equal && n) all = qr_rx_or(pool, all, qr_rx_cat(pool, qr_rx_bytes(pool, f, n), zeros));
    if (equal && !n) all = qr_rx_cat(pool, qr_rx_byte(pool, '0'), zeros);
    all = qr_rx_cat(pool, qr_rx_byte(pool, '.'), all);
    return n || equal ? qr_rx_optional(pool, all) : QR_RX_NONE;
}

/* Numbers without sign from b on; its size counts. */
static qr_rx at_least(struct qr_rx_pool *pool, const struct decimal *b, bool equal)
{
    const uint32_t n = (uint32_t)strlen(b->whole);
    qr_rx longer = qr_rx_cat(pool, whole_digits(pool, n + 1, QR_RX_UNBOUNDED), any_fraction(pool));
    qr_rx same = qr_rx_cat(pool, qr_rx_text(pool, b->whole), fraction_above(pool, b, equal));

    return qr_rx_or(pool, longer, qr_rx_or(pool, same_length(pool, b, true), same));
}

static qr_rx at_most(struct qr_rx_pool *pool, const struct decimal *b, bool equal)
{
    const uint32_t n = (uint32_t)strlen(b->whole);
    qr_rx shorter = QR_RX_NONE;
    qr_rx same = qr_rx_cat(pool, qr_rx_text(pool, b->whole), fraction_below(pool, b, equal));

    if (n > 1) shorter = qr_rx_cat(pool, whole_digits(pool, 1, n - 1), any_fraction(pool));
    return qr_rx_or(pool, shorter, qr_rx_or(pool, same_length(pool, b, false), same));
}

/* ---- the keywords --------------------------------------------------------------------------- */

struct bounds {
    struct decimal min, max;
    bool has_min, has_max, min_open, max_open; /* open: the bound itself is out */
};

static void tighten(struct bounds *b, const struct decimal *d, bool open, bool is_min)
{
    struct decimal *bound = is_min ? &b->min : &b->max;
    bool *has = is_min ? &b->has_min : &b->has_max, *is_open = is_min ? &b->min_open : &b->max_open;
    int order = *has ? compare(d, bound) : 0;

    if (!*has || (is_min ? order > 0 : order < 0)) {
        *bound = *d;
        *is_open = open;
    } else if (order == 0) {
        *is_open = *is_open || open;
    }
    *has = true;
}

static void read_bound(struct qr_schema *s, const json_t *schema, struct bounds *b,
                       const char *keyword, bool open, bool is_min)
{
    const json_t *value = json_object_get(schema, keyword);
    struct decimal d;

    if (!value || json_is_boolean(value))
        return; /* draft 4's exclusive flags are read with the bound */
    if (!to_decimal(value, &d))
        qr_schema_refuse(s, schema, keyword, "expected a number of a size that can be written");
    else
        tighten(b, &d, open, is_min);
}

static void read_bounds(struct qr_schema *s, const json_t *schema, struct bounds *b)
{
    read_bound(s, schema, b, "minimum", json_is_true(json_object_get(schema, "exclusiveMinimum")),
               true);
    read_bound(s, schema, b, "maximum", json_is_true(json_object_get(schema, "exclusiveMaximum")),
               false);
    read_bound(s, schema, b, "exclusiveMinimum", true, true);
    read_bound(s, schema, b, "exclusiveMaximum", true, false);
}

/* Numbers without sign, of size `low` to `high`; NULL: no bound. */
static qr_rx between(struct qr_rx_pool *pool, const struct decimal *low, bool low_open,
                     const struct decimal *high, bool high_open)
{
    qr_rx rx = qr_rx_cat(pool, whole_digits(pool, 1, QR_RX_UNBOUNDED), any_fraction(pool));

    if (low) rx = qr_rx_and(pool, rx, at_least(pool, low, !low_open));
    if (high) rx = qr_rx_and(pool, rx, at_most(pool, high, !high_open));
    return rx;
}

static qr_rx within(struct qr_rx_pool *pool, const struct bounds *b)
{
    qr_rx above = QR_RX_NONE, below = QR_RX_NONE;

    if (!b->has_max || !b->max.negative)
        above = between(pool, b->has_min && !b->min.negative ? &b->min : NULL, b->min_open,
                        b->has_max ? &b->max : NULL, b->max_open);
    if (!b->has_min || b->min.negative)
        below = between(pool, b->has_max && b->max.negative ? &b->max : NULL, b->max_open,
                        b->has_min ? &b->min : NULL, b->min_open);
    else if (strcmp(b->min.whole, "0") == 0 && !b->min.fraction[0] && !b->min_open)
        below = QR_RX_NONE; /* -0 is not written where nothing below zero is */
    if (b->has_max && !b->max.negative && b->max_open && strcmp(b->max.whole, "0") == 0 &&
        !b->max.fraction[0]) { /* below zero: -0 is not */
        struct decimal zero = {.whole = "0"};
        below = qr_rx_and(pool, below, at_least(pool, &zero, false));
    }
    return qr_rx_or(pool, above, qr_rx_cat(pool, qr_rx_byte(pool, '-'), below));
}

static qr_rx multiples_of(struct qr_schema *s, const json_t *schema, const json_t *value)
{
    struct decimal d;
    char text[40];

    if (!to_decimal(value, &d) || d.negative || strlen(d.whole) + strlen(d.fraction) > 18 ||
        (strcmp(d.whole, "0") == 0 && !d.fraction[0])) {
        qr_schema_refuse(s, schema, "multipleOf", "expected a number above 0 of up to 18 digits");
        return QR_RX_NONE;
    }
    snprintf(text, sizeof text, "%.18s%.18s", d.whole, d.fraction);
    unsigned long long divisor = strtoull(text, NULL, 10);
    if (divisor > UINT32_MAX) {
        qr_schema_refuse(s, schema, "multipleOf",
                         "more than 4,294,967,295 steps of its last digit");
        return QR_RX_NONE;
    }
    qr_rx minus = qr_rx_optional(s->pool, qr_rx_byte(s->pool, '-'));
    return qr_rx_cat(s->pool, minus,
                     qr_rx_multiple(s->pool, divisor, (uint32_t)strlen(d.fraction)));
}

/* Any number of JSON: with an exponent too. */
static qr_rx any_number(struct qr_rx_pool *pool, bool exponent)
{
    struct qr_byte_set e = {0}, sign = {0};

    qr_byte_set_add(&e, 'e', 'e');
    qr_byte_set_add(&e, 'E', 'E');
    qr_byte_set_add(&sign, '+', '+');
    qr_byte_set_add(&sign, '-', '-');
    qr_rx power = qr_rx_cat(pool, qr_rx_set(pool, &e),
                            qr_rx_cat(pool, qr_rx_optional(pool, qr_rx_set(pool, &sign)),
                                      digits(pool, 1, QR_RX_UNBOUNDED)));
    qr_rx rx =
        qr_rx_cat(pool, qr_rx_optional(pool, qr_rx_byte(pool, '-')),
                  qr_rx_cat(pool, whole_digits(pool, 1, QR_RX_UNBOUNDED), any_fraction(pool)));
    return exponent ? qr_rx_cat(pool, rx, qr_rx_optional(pool, power)) : rx;
}

static qr_rx any_integer(struct qr_rx_pool *pool)
{
    return qr_rx_cat(pool, qr_rx_optional(pool, qr_rx_byte(pool, '-')),
                     whole_digits(pool, 1, QR_RX_UNBOUNDED));
}

/* Numbers that break one of the bounds, or multipleOf, of the schema. */
static qr_rx breaking(struct qr_schema *s, const json_t *schema, const char *keyword)
{
    struct bounds b = {0};

    if (strcmp(keyword, "multipleOf") == 0)
        return qr_rx_and(
            s->pool, any_number(s->pool, false),
            qr_rx_not(s->pool, multiples_of(s, schema, json_object_get(schema, keyword))));
    if (strcmp(keyword, "type") == 0) { /* "integer": has a fraction that is not zero */
        struct decimal zero = {.whole = "0"};
        qr_rx some = qr_rx_cat(s->pool, whole_digits(s->pool, 1, QR_RX_UNBOUNDED),
                               fraction_above(s->pool, &zero, false));
        return qr_rx_cat(s->pool, qr_rx_optional(s->pool, qr_rx_byte(s->pool, '-')), some);
    }
    bool is_min = strstr(keyword, "inimum") != NULL, open = keyword[0] == 'e';
    if (json_is_boolean(json_object_get(schema, keyword)))
        return QR_RX_NONE; /* a flag of draft 4 */
    if (!open)
        open =
            json_is_true(json_object_get(schema, is_min ? "exclusiveMinimum" : "exclusiveMaximum"));
    read_bound(s, schema, &b, keyword, open, is_min);
    struct bounds other = {0};
    tighten(&other, is_min ? &b.min : &b.max, !open, !is_min);
    return within(s->pool, &other);
}

qr_rx qr_schema_number(struct qr_schema *s, const struct qr_demands *d, bool integer)
{
    static const char *const keywords[] = {"minimum",          "maximum",    "exclusiveMinimum",
                                           "exclusiveMaximum", "multipleOf", "type"};
    struct bounds b = {0};
    qr_rx rx = QR_RX_ALL;
    const json_t *value;

    for (size_t i = 0; i < d->n; i++) {
        const json_t *schema = qr_demand_keywords(s, &d->all[i]);
        if (schema) read_bounds(s, schema, &b);
        if ((value = qr_demand_get(s, d, i, "multipleOf")))
            rx = qr_rx_and(s->pool, rx, multiples_of(s, schema, value));
        for (size_t k = 0; k < 6; k++)
            if ((schema = qr_demand_not(d, i, keywords[k])))
                rx = qr_rx_and(s->pool, rx, breaking(s, schema, keywords[k]));
        if (d->all[i].kind == QR_DEMAND_NOT_VALUE && json_is_number(d->all[i].a))
            rx = qr_rx_and(s->pool, rx,
                           qr_rx_and(s->pool, any_number(s->pool, false),
                                     qr_rx_not(s->pool, qr_schema_number_literal(s, d->all[i].a))));
    }
    if (b.has_min || b.has_max) rx = qr_rx_and(s->pool, rx, within(s->pool, &b));
    bool bounded = rx != QR_RX_ALL;
    rx = qr_rx_and(s->pool, rx, any_number(s->pool, !bounded));
    return integer ? qr_rx_and(s->pool, rx, any_integer(s->pool)) : rx;
}

qr_rx qr_schema_number_literal(struct qr_schema *s, const json_t *value)
{
    struct decimal d;
    struct qr_rx_pool *pool = s->pool;

    if (!to_decimal(value, &d)) {
        qr_schema_refuse(s, value, "", "a number of this size cannot be written");
        return QR_RX_NONE;
    }
    qr_rx zeros = qr_rx_repeat(pool, qr_rx_byte(pool, '0'), 0, QR_RX_UNBOUNDED);
    qr_rx fraction = qr_rx_cat(pool, qr_rx_text(pool, d.fraction), zeros);
    if (!d.fraction[0])
        fraction =
            qr_rx_optional(pool, qr_rx_cat(pool, qr_rx_byte(pool, '.'), qr_rx_byte(pool, '0')));
    else
        fraction = qr_rx_cat(pool, qr_rx_byte(pool, '.'), fraction);
    qr_rx rx = qr_rx_cat(pool, qr_rx_text(pool, d.whole), fraction);
    return d.negative ? qr_rx_cat(pool, qr_rx_byte(pool, '-'), rx) : rx;
}
