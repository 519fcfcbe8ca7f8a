/* SPDX-License-Identifier: MIT */
/* output -- the text that a template, a block or a filter writes.
 *
 * A growing output (all zero at first) takes its memory from the run's arena.  A fixed output
 * writes into the caller's buffer: bytes past `capacity` are counted in `n` and not written.
 * Both end the run at QR_TEMPLATE_OUTPUT_MAX bytes.
 *
 * Thread: the run's.   Memory: the run's arena, or the caller's buffer if `fixed`. */
#ifndef QR_TEMPLATE_OUTPUT_H
#define QR_TEMPLATE_OUTPUT_H

#include "runtime/template/value.h"

struct qr_render;

struct qr_template_output {
    char *text;
    size_t capacity, n;
    bool fixed;
};

void qr_output_put(struct qr_render *r, struct qr_template_output *out, const char *text, size_t n);
/* The text of a growing output, without a copy. */
struct qr_value qr_output_value(const struct qr_template_output *out);

#endif
