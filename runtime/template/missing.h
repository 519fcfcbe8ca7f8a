/* SPDX-License-Identifier: MIT */
/* missing -- lists the unknown filters and tests of a template.
 *
 * An unknown name fails only when a render reaches it, so that a template with one in an unused
 * branch still works.  `quire inspect` reports them in advance.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_TEMPLATE_MISSING_H
#define QR_TEMPLATE_MISSING_H

#include "runtime/template/template.h"

/* Calls tell with a sentence for each unknown filter and test, in the order of the tree. */
void qr_template_missing(const struct qr_template *t,
                         void (*tell)(void *context, const char *sentence), void *context);

#endif
