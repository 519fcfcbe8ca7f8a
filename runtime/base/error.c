/* SPDX-License-Identifier: MIT */
#include "runtime/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 4, 0))) static int fill(struct quire_error *error, int status,
                                                      const char *field, const char *format,
                                                      va_list arguments)
{
    if (!error) return status;
    error->status = status;
    (void)snprintf(error->field, sizeof error->field, "%s", field);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    /* A text may quote bytes of a file.  It must be one line without terminal commands. */
    for (char *c = error->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    return status;
}

int qr_error(struct quire_error *error, int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fill(error, status, "", format, arguments);
    va_end(arguments);
    return status;
}

int qr_error_field(struct quire_error *error, int status, const char *field, const char *format,
                   ...)
{
    va_list arguments;

    va_start(arguments, format);
    fill(error, status, field, format, arguments);
    va_end(arguments);
    return status;
}

void qr_error_clear(struct quire_error *error)
{
    if (error) memset(error, 0, sizeof *error);
}
