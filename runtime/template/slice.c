/* SPDX-License-Identifier: MIT */
/* slice -- x[from:to:step], with Python's rules for negative and missing bounds. */
#include "runtime/template/chars.h"
#include "runtime/template/render.h"

static int64_t bound(struct qr_render *r, struct qr_value value, int64_t otherwise)
{
    int64_t integer;

    if (value.kind == QR_V_NONE) return otherwise;
    if (!qr_value_as_int(value, &integer))
        qr_run_fail(&r->run, "slice indices must be integers or none, not %s",
                    qr_value_type_name(value));
    return integer;
}

/* Python's: counted from the end where negative, then cut to [least, most]. */
static int64_t clamp(int64_t at, int64_t n, int64_t least, int64_t most)
{
    if (at < 0) at = at < -n ? least : at + n;
    return at < least ? least : at > most ? most : at;
}

struct qr_value qr_slice_take(struct qr_render *r, struct qr_value of,
                              const struct qr_value bounds[3])
{
    if (of.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, of);
    if (of.kind != QR_V_STRING && (of.kind != QR_V_LIST || of.as.list->flavor > QR_RANGE))
        return qr_value_undefined_of("slice");
    int64_t n = qr_value_length(&r->run, of), step = bound(r, bounds[2], 1);
    if (step == 0) qr_run_fail(&r->run, "slice step cannot be zero");
    if (step < -n - 1) step = -n - 1; /* the same items, and -step exists */
    int64_t least = step < 0 ? -1 : 0, most = step < 0 ? n - 1 : n;
    int64_t from = clamp(bound(r, bounds[0], step < 0 ? INT64_MAX : 0), n, least, most);
    int64_t to = bounds[1].kind == QR_V_NONE ? (step < 0 ? -1 : n)
                                             : clamp(bound(r, bounds[1], 0), n, least, most);
    int64_t count = step > 0 ? (to > from ? (to - from - 1) / step + 1 : 0)
                             : (from > to ? (from - to - 1) / -step + 1 : 0);

    if (of.kind == QR_V_LIST) {
        const struct qr_list *list = of.as.list;
        struct qr_value made =
            qr_list_make(&r->run, list->flavor == QR_TUPLE ? QR_TUPLE : QR_LIST, (size_t)count);
        for (int64_t i = 0; i < count; i++)
            made.as.list->items[i] = list->items[from + i * step];
        return made;
    }
    const char *text = of.as.text;
    if (step == 1) {
        size_t start = qr_chars_at(text, of.n, (size_t)from);
        size_t bytes = count ? qr_chars_at(text + start, of.n - start, (size_t)count) : 0;
        return qr_value_text(text + start, bytes);
    }
    const struct qr_list *all = qr_value_iterate(&r->run, of);
    struct qr_template_output out = {0};
    for (int64_t i = 0; i < count; i++) {
        struct qr_value c = all->items[from + i * step];
        qr_output_put(r, &out, c.as.text, c.n);
    }
    return qr_output_value(&out);
}
