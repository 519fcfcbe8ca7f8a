/* SPDX-License-Identifier: MIT */
/* missing -- what a template names and there is not: an error only where a render reaches it, so
 * that a branch that is never taken harms nobody; but worth knowing beforehand.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_TEMPLATE_MISSING_H
#define QR_TEMPLATE_MISSING_H

#include "runtime/template/template.h"

/* Calls tell with a sentence for each filter and test that there is not, in the template's order.
 */
void qr_template_missing(const struct qr_template *t,
                         void (*tell)(void *context, const char *sentence), void *context);

#endif
