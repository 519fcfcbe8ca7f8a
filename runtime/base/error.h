/* SPDX-License-Identifier: MIT */
/* error -- fills the public struct quire_error.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_BASE_ERROR_H
#define QR_BASE_ERROR_H

#include "runtime/quire.h"

/* Sets the status, an empty field and the text, which is cut to fit and has no control characters.
 * error may be NULL.  Returns status, so that `return qr_error(...)` reads well. */
__attribute__((format(printf, 3, 4))) int qr_error(struct quire_error *error, int status,
                                                   const char *format, ...);
/* The same, and names the field at fault. */
__attribute__((format(printf, 4, 5))) int
qr_error_field(struct quire_error *error, int status, const char *field, const char *format, ...);
/* Success: status QUIRE_OK, empty texts. */
void qr_error_clear(struct quire_error *error);

#endif
