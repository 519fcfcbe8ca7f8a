/* SPDX-License-Identifier: MIT */
/* print -- values as text: Python's str and repr, and json.dumps.
 *
 * Thread: the run's.   Memory: the run's arena, or the output's. */
#ifndef QR_TEMPLATE_PRINT_H
#define QR_TEMPLATE_PRINT_H

#include "runtime/template/output.h"

struct qr_json_style {
    bool ascii, sorted;
    bool lines;               /* one item a line, indented by `indent` a level */
    struct quire_text indent; /* if `lines` */
    struct quire_text item;   /* between two items */
    struct quire_text key;    /* between a key and its value */
};

void qr_print(struct qr_render *r, struct qr_template_output *out, struct qr_value value);
void qr_print_repr(struct qr_render *r, struct qr_template_output *out, struct qr_value value);
void qr_print_json(struct qr_render *r, struct qr_template_output *out, struct qr_value value,
                   const struct qr_json_style *style);
/* str(value); a string is returned as it is. */
struct qr_value qr_print_text(struct qr_render *r, struct qr_value value);

#endif
