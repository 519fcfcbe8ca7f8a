/* SPDX-License-Identifier: MIT */
#include "tools/client/failure.h"

#include <stdarg.h>
#include <stdio.h>

bool qr_failed(struct qr_failure *why, const char *format, ...)
{
    if (!why) return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return false;
}
