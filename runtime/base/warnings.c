/* SPDX-License-Identifier: MIT */
#include "runtime/base/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void qr_warn(struct qr_warnings *warnings, const char *format, ...)
{
    va_list arguments;

    if (!warnings || warnings->n == QR_WARNINGS_MAX) return;
    char *text = warnings->texts[warnings->n];
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof warnings->texts[0], format, arguments);
    va_end(arguments);
    for (char *c = text; *c; c++) /* it may quote bytes of a file */
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    for (uint32_t i = 0; i < warnings->n; i++)
        if (strcmp(warnings->texts[i], text) == 0) return;
    warnings->n++;
}
