/* SPDX-License-Identifier: MIT */
/* bytes -- compares bytes that have a length with a string that ends in a NUL.
 *
 * Thread: any. */
#ifndef QR_CLIENT_BYTES_H
#define QR_CLIENT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool qr_bytes_are(const char *bytes, size_t n, const char *string)
{
    return n == strlen(string) && !memcmp(bytes, string, n);
}

static inline bool qr_bytes_begin(const char *bytes, size_t n, const char *string)
{
    return n >= strlen(string) && !memcmp(bytes, string, strlen(string));
}

static inline bool qr_bytes_end(const char *bytes, size_t n, const char *string)
{
    size_t string_n = strlen(string);
    return n >= string_n && !memcmp(bytes + n - string_n, string, string_n);
}

#endif
