/* SPDX-License-Identifier: MIT */
/* tests -- the tests of the operator `is`. */
#include "runtime/template/chars.h"
#include "runtime/template/strings.h"

#define TEST(name)                                                                                 \
    static struct qr_value test_##name(struct qr_render *r, struct qr_value self,                  \
                                       const struct qr_args *args)

#define KIND_TEST(name, condition)                                                                 \
    TEST(name)                                                                                     \
    {                                                                                              \
        (void)r;                                                                                   \
        (void)args;                                                                                \
        return qr_value_bool(condition);                                                           \
    }

#define COMPARE_TEST(name, op, condition)                                                          \
    TEST(name)                                                                                     \
    {                                                                                              \
        int order = qr_value_compare(&r->run, op, self, args->values[0]);                          \
        return qr_value_bool(condition);                                                           \
    }

KIND_TEST(defined, self.kind != QR_V_UNDEFINED)
KIND_TEST(undefined, self.kind == QR_V_UNDEFINED)
KIND_TEST(none, self.kind == QR_V_NONE)
KIND_TEST(boolean, self.kind == QR_V_BOOL)
KIND_TEST(truth, self.kind == QR_V_BOOL && self.as.truth)
KIND_TEST(untruth, self.kind == QR_V_BOOL && !self.as.truth)
KIND_TEST(integer, self.kind == QR_V_INT)
KIND_TEST(float, self.kind == QR_V_FLOAT)
KIND_TEST(number, qr_value_is_number(self))
KIND_TEST(string, self.kind == QR_V_STRING)
KIND_TEST(mapping, self.kind == QR_V_DICT)
/* Has a length and an index; an undefined value has both in Jinja. */
KIND_TEST(sequence, self.kind == QR_V_STRING || self.kind == QR_V_DICT ||
                        self.kind == QR_V_UNDEFINED ||
                        (self.kind == QR_V_LIST && self.as.list->flavor <= QR_RANGE))
KIND_TEST(iterable, self.kind == QR_V_STRING || self.kind == QR_V_DICT ||
                        self.kind == QR_V_UNDEFINED || self.kind == QR_V_LIST ||
                        self.kind == QR_V_LOOP)
KIND_TEST(callable, self.kind == QR_V_MACRO || self.kind == QR_V_METHOD ||
                        self.kind == QR_V_GLOBAL || self.kind == QR_V_BUILTIN ||
                        self.kind == QR_V_UNDEFINED || self.kind == QR_V_LOOP)
KIND_TEST(escaped, self.kind == QR_V_STRING && self.markup)

COMPARE_TEST(lt, "<", order == -1)
COMPARE_TEST(le, "<=", order == -1 || order == 0)
COMPARE_TEST(gt, ">", order == 1)
COMPARE_TEST(ge, ">=", order == 1 || order == 0)

TEST(eq)
{
    return qr_value_bool(qr_value_equal(&r->run, self, args->values[0]));
}

TEST(ne)
{
    return qr_value_bool(!qr_value_equal(&r->run, self, args->values[0]));
}

TEST(in)
{
    return qr_value_bool(qr_value_contains(&r->run, args->values[0], self));
}

/* Python's `is`: the same object.  Values other than lists and dicts compare by kind and value. */
TEST(sameas)
{
    struct qr_value other = args->values[0];

    if (self.kind != other.kind) return qr_value_bool(false);
    if (self.kind == QR_V_LIST) return qr_value_bool(self.as.list == other.as.list);
    if (self.kind == QR_V_DICT) return qr_value_bool(self.as.dict == other.as.dict);
    return qr_value_bool(qr_value_equal(&r->run, self, other));
}

static struct qr_value remainder_is(struct qr_render *r, struct qr_value self,
                                    struct qr_value divisor, int64_t remainder)
{
    struct qr_value left = qr_arithmetic_binary(r, QR_OP_MOD, self, divisor);

    return qr_value_bool(qr_value_equal(&r->run, left, qr_value_int(remainder)));
}

TEST(odd)
{
    (void)args;
    return remainder_is(r, self, qr_value_int(2), 1);
}

TEST(even)
{
    (void)args;
    return remainder_is(r, self, qr_value_int(2), 0);
}

TEST(divisibleby)
{
    return remainder_is(r, self, args->values[0], 0);
}

TEST(lower)
{
    (void)args;
    return qr_value_bool(qr_string_is_cased(r, qr_print_text(r, self), qr_char_lower));
}

TEST(upper)
{
    (void)args;
    return qr_value_bool(qr_string_is_cased(r, qr_print_text(r, self), qr_char_upper));
}

TEST(filter)
{
    (void)r;
    (void)args;
    return qr_value_bool(self.kind == QR_V_STRING &&
                         (qr_filter_find(self) || qr_list_filter_find(self)));
}

TEST(test)
{
    (void)r;
    (void)args;
    return qr_value_bool(self.kind == QR_V_STRING && qr_test_find(self));
}

static const struct qr_function tests[] = {
    {"defined", "", 0, test_defined},    {"undefined", "", 0, test_undefined},
    {"none", "", 0, test_none},          {"boolean", "", 0, test_boolean},
    {"true", "", 0, test_truth},         {"false", "", 0, test_untruth},
    {"integer", "", 0, test_integer},    {"float", "", 0, test_float},
    {"number", "", 0, test_number},      {"string", "", 0, test_string},
    {"mapping", "", 0, test_mapping},    {"sequence", "", 0, test_sequence},
    {"iterable", "", 0, test_iterable},  {"callable", "", 0, test_callable},
    {"escaped", "", 0, test_escaped},    {"odd", "", 0, test_odd},
    {"even", "", 0, test_even},          {"lower", "", 0, test_lower},
    {"upper", "", 0, test_upper},        {"filter", "", 0, test_filter},
    {"test", "", 0, test_test},          {"divisibleby", "num", 1, test_divisibleby},
    {"sameas", "other", 1, test_sameas}, {"in", "seq", 1, test_in},
    {"eq", "other", 1, test_eq},         {"equalto", "other", 1, test_eq},
    {"==", "other", 1, test_eq},         {"ne", "other", 1, test_ne},
    {"!=", "other", 1, test_ne},         {"lt", "other", 1, test_lt},
    {"lessthan", "other", 1, test_lt},   {"<", "other", 1, test_lt},
    {"le", "other", 1, test_le},         {"<=", "other", 1, test_le},
    {"gt", "other", 1, test_gt},         {"greaterthan", "other", 1, test_gt},
    {">", "other", 1, test_gt},          {"ge", "other", 1, test_ge},
    {">=", "other", 1, test_ge},
};

const struct qr_function *qr_test_find(struct qr_value name)
{
    return qr_function_find(tests, sizeof tests / sizeof tests[0], name);
}
