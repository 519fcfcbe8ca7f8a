/* SPDX-License-Identifier: MIT */
/* globals -- functions of every template: range, dict and namespace of jinja2, raise_exception and
 * strftime_now of transformers. */
#include <string.h>
#include <time.h>

#include "runtime/base/limits.h"
#include "runtime/template/render.h"

static struct qr_value call_range(struct qr_render *r, struct qr_value self,
                                  const struct qr_args *args)
{
    (void)self;
    bool one = args->values[1].kind == QR_V_UNSET;
    for (size_t i = 0; i < 3; i++) {
        int64_t ignored;
        if (args->values[i].kind != QR_V_UNSET && !qr_value_as_int(args->values[i], &ignored))
            qr_run_fail(&r->run, "range: expected integers, got %s",
                        qr_value_type_name(args->values[i]));
    }
    int64_t start = one ? 0 : qr_args_int(r, args, 0, "range's start", 0);
    int64_t stop = qr_args_int(r, args, one ? 0 : 1, "range's end", 0);
    int64_t step = qr_args_int(r, args, 2, "range's step", 1);
    if (step == 0) qr_run_fail(&r->run, "range: the step must not be zero");
    uint64_t span = step > 0 ? (stop > start ? (uint64_t)stop - (uint64_t)start : 0)
                             : (start > stop ? (uint64_t)start - (uint64_t)stop : 0);
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    uint64_t n = span ? (span - 1) / stride + 1 : 0;
    if (n > QR_TEMPLATE_RANGE_MAX)
        qr_run_fail(&r->run, "range: more than %d items", QR_TEMPLATE_RANGE_MAX);
    struct qr_value range = qr_list_make(&r->run, QR_RANGE, (size_t)n);
    range.as.list->start = start;
    range.as.list->stop = stop;
    range.as.list->step = step;
    for (uint64_t i = 0; i < n; i++)
        range.as.list->items[i] = qr_value_int((int64_t)((uint64_t)start + i * (uint64_t)step));
    return range;
}

/* The pairs of the positional argument, then the named arguments. */
static struct qr_value merge(struct qr_render *r, const char *what, const struct qr_args *args)
{
    struct qr_value given = args->n ? args->values[0] : qr_value_none;
    const struct qr_list *list = NULL;
    size_t n = 0;

    if (args->n > 1) qr_run_fail(&r->run, "%s takes at most 1 argument, got %zu", what, args->n);
    if (given.kind == QR_V_DICT)
        n = given.as.dict->n;
    else if (args->n) {
        list = qr_value_iterate(&r->run, given);
        n = list->n;
    }
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, n + args->named_n, sizeof *pairs);
    for (size_t i = 0; i < n; i++) {
        if (!list) {
            pairs[i] = given.as.dict->pairs[i];
            continue;
        }
        const struct qr_list *pair = qr_value_iterate(&r->run, list->items[i]);
        if (pair->n != 2)
            qr_run_fail(&r->run, "%s: expected pairs, got an item of length %zu", what, pair->n);
        pairs[i] = (struct qr_pair){.key = pair->items[0], .value = pair->items[1]};
    }
    if (args->named_n) memcpy(pairs + n, args->named, args->named_n * sizeof *pairs);
    return qr_dict_make(&r->run, pairs, n + args->named_n);
}

static struct qr_value call_dict(struct qr_render *r, struct qr_value self,
                                 const struct qr_args *args)
{
    (void)self;
    return merge(r, "dict", args);
}

static struct qr_value call_namespace(struct qr_render *r, struct qr_value self,
                                      const struct qr_args *args)
{
    (void)self;
    const struct qr_dict *dict = merge(r, "namespace", args).as.dict;
    struct qr_value space = qr_namespace_make(&r->run);
    for (size_t i = 0; i < dict->n; i++) {
        if (dict->pairs[i].key.kind != QR_V_STRING)
            qr_run_fail(&r->run, "namespace: attribute names must be strings");
        qr_namespace_set(&r->run, space.as.space, dict->pairs[i].key, dict->pairs[i].value);
    }
    return space;
}

static struct qr_value call_raise(struct qr_render *r, struct qr_value self,
                                  const struct qr_args *args)
{
    (void)self;
    struct qr_value text = qr_print_text(r, args->values[0]);
    qr_run_raise(&r->run, (struct quire_text){.data = text.as.text, .n = text.n});
}

/* The time is an argument of the render; the time zone is the process's, as in datetime.now().
 * %Z and %z print nothing, as for a Python time without a zone. */
static struct qr_value call_strftime(struct qr_render *r, struct qr_value self,
                                     const struct qr_args *args)
{
    (void)self;
    struct qr_value given = qr_args_text(r, args, 0, "strftime_now's format");
    char format[256], text[1024];
    size_t n = 0;
    struct tm tm;
    time_t now = (time_t)r->now_s;

    if (given.n >= sizeof format - 2)
        qr_run_fail(&r->run, "strftime_now: the format has more than %zu bytes", sizeof format - 3);
    for (size_t i = 0; i < given.n; i++) {
        char c = given.as.text[i], next = i + 1 < given.n ? given.as.text[i + 1] : '\0';
        if (c == '%' && (next == 'Z' || next == 'z')) {
            i++;
            continue;
        }
        if (c == '\0') qr_run_fail(&r->run, "strftime_now: the format contains a NUL");
        format[n++] = c;
        if (c == '%' && next) format[n++] = given.as.text[++i];
    }
    format[n++] = ' '; /* strftime returns 0 for an empty result and for one that is too long */
    format[n] = '\0';
    if (!localtime_r(&now, &tm)) qr_run_fail(&r->run, "strftime_now: time out of range");
    size_t text_n = strftime(text, sizeof text, format, &tm);
    if (text_n == 0)
        qr_run_fail(&r->run, "strftime_now: the result has more than %zu bytes", sizeof text);
    char *kept = qr_run_alloc(&r->run, text_n);
    memcpy(kept, text, text_n);
    return qr_value_text(kept, text_n - 1);
}

static const struct qr_function globals[] = {
    {"range", "start stop step", 1, call_range},  {"dict", NULL, 0, call_dict},
    {"namespace", NULL, 0, call_namespace},       {"raise_exception", "message", 1, call_raise},
    {"strftime_now", "format", 1, call_strftime},
};

const struct qr_function *qr_global_find(struct qr_value name)
{
    return qr_function_find(globals, sizeof globals / sizeof globals[0], name);
}
