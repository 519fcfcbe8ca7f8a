/* SPDX-License-Identifier: MIT */
#include "runtime/template/output.h"

#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/template/render.h"

void qr_output_put(struct qr_render *r, struct qr_template_output *out, const char *text, size_t n)
{
    qr_run_charge(&r->run, n);
    if (n > QR_TEMPLATE_OUTPUT_MAX || out->n > QR_TEMPLATE_OUTPUT_MAX - n)
        qr_run_fail(&r->run, "the template writes more than %zu MiB", QR_TEMPLATE_OUTPUT_MAX >> 20);
    if (!out->fixed && n > out->capacity - out->n) {
        size_t capacity = out->n + n < 64 ? 128 : (out->n + n) * 2;
        char *grown = qr_run_alloc(&r->run, capacity);
        if (out->n) memcpy(grown, out->text, out->n);
        out->text = grown;
        out->capacity = capacity;
    }
    if (n > 0 && out->n <= out->capacity && n <= out->capacity - out->n)
        memcpy(out->text + out->n, text, n);
    out->n += n;
}

struct qr_value qr_output_value(const struct qr_template_output *out)
{
    return qr_value_text(out->text, out->n);
}
